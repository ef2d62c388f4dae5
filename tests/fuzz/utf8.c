/* wire/utf8 against a decoder that knows code points instead of byte ranges. */
#include "wire/utf8.h"
#include "fuzz.h"

#include <stdlib.h>

/* One code point from the front: its bytes, 0 when it is cut off, -1 when it is none. */
static int decode(const unsigned char *b, size_t n, uint32_t *code)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    int size = b[0] < 0x80             ? 1
               : (b[0] & 0xE0) == 0xC0 ? 2
               : (b[0] & 0xF0) == 0xE0 ? 3
               : (b[0] & 0xF8) == 0xF0 ? 4
                                       : -1;
    if (size < 0)
        return -1;
    *code = size == 1 ? b[0] : b[0] & (0x7Fu >> size);
    for (int i = 1; i < size; i++) {
        if ((size_t)i == n)
            return 0;
        if ((b[i] & 0xC0) != 0x80)
            return -1;
        *code = *code << 6 | (b[i] & 0x3F);
    }
    bool surrogate = *code >= 0xD800 && *code <= 0xDFFF;
    return *code < least[size] || *code > 0x10FFFF || surrogate ? -1 : size;
}

/* Can these few bytes, the beginning of a code point, still become one? */
static bool can_be_completed(const unsigned char *b, size_t n)
{
    unsigned char tried[4] = {b[0], 0, 0, 0};
    uint32_t code;
    for (size_t i = 1; i < n; i++)
        tried[i] = b[i];
    /* the lowest and the highest tails: a range that holds a code point holds one at its end */
    for (unsigned tail = 0x80; tail <= 0xBF; tail += 0x3F) {
        for (size_t i = n; i < 4; i++)
            tried[i] = (unsigned char)tail;
        if (decode(tried, 4, &code) > 0)
            return true;
    }
    return false;
}

/* How many bytes are the beginning of a text, and does it end between code points? */
static size_t judge(const unsigned char *b, size_t n, bool *whole)
{
    size_t at = 0;
    uint32_t code;
    int size = 1;
    while (at < n && (size = decode(b + at, n - at, &code)) > 0)
        at += (size_t)size;
    *whole = at == n;
    for (size_t more = 1; at < n; more++) {
        if (at + more > n || !can_be_completed(b + at, more))
            return at + more - 1;
    }
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, data + size};
    struct fuzz_chop chop = fuzz_chop_of(fuzz_byte(&in));
    size_t n = fuzz_left(&in), at = 0;
    unsigned char *text = fuzz_copy(in.at, n);
    bool whole, ok = true;
    size_t good = judge(text, n, &whole);
    CHECK(utf8_valid(text, n) == whole);

    uint32_t state = UTF8_START;
    while (at < n && ok) {
        size_t piece = fuzz_piece(&chop, n - at);
        ok = utf8_feed(&state, text + at, piece);
        at += piece;
        CHECK(ok == (at <= good)); /* fails with the piece that has the first bad byte */
    }
    CHECK((ok && state == UTF8_START) == whole);
    free(text);
    return 0;
}
