/* wire/frame: against RFC 6455 section 5.2 read plainly, at every prefix, and written back. */
#include "wire/frame.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

/* Judges a header in the order in which frame.h says that faults are seen. */
static int expected(const unsigned char *b, size_t n, struct frame_header *h)
{
    if (n == 0)
        return 0;
    uint8_t opcode = b[0] & 15;
    if ((opcode >= 3 && opcode <= 7) || opcode >= 11)
        return FRAME_ERR_OPCODE;
    if (opcode >= 8 && b[0] < 128)
        return FRAME_ERR_CONTROL_FRAGMENT;
    if (n == 1)
        return 0;
    unsigned form = b[1] % 128, more = form == 126 ? 2 : form == 127 ? 8 : 0;
    if (opcode >= 8 && form > 125)
        return FRAME_ERR_CONTROL_LENGTH;
    uint64_t length = form;
    if (more) {
        length = 0;
        for (size_t i = 2; i < 2 + more && i < n; i++)
            length = length * 256 + b[i];
        if (more == 8 && n > 2 && b[2] >= 128)
            return FRAME_ERR_LENGTH_SIGN;
        if (n < 2 + more)
            return 0;
        if (length < (more == 2 ? 126u : 65536u))
            return FRAME_ERR_LENGTH_NOT_MINIMAL;
    }
    size_t size = 2 + more + (b[1] >= 128 ? 4 : 0);
    if (n < size)
        return 0;
    h->fin = b[0] >= 128;
    h->rsv = b[0] & 0x70;
    h->opcode = opcode;
    h->masked = b[1] >= 128;
    h->length = length;
    if (h->masked)
        memcpy(h->key, b + size - 4, 4);
    return (int)size;
}

static bool same(const struct frame_header *a, const struct frame_header *b)
{
    return a->fin == b->fin && a->rsv == b->rsv && a->opcode == b->opcode &&
           a->masked == b->masked && a->length == b->length &&
           (!a->masked || memcmp(a->key, b->key, 4) == 0);
}

static void check_prefix(const unsigned char *bytes, size_t n)
{
    struct frame_header h, wanted = {0}, untouched;
    unsigned char *copy = fuzz_copy(bytes, n);
    memset(&h, 0x5A, sizeof h);
    untouched = h;
    int rc = frame_parse(copy, n, &h);
    CHECK(rc == expected(bytes, n, &wanted));
    if (rc > 0)
        CHECK(same(&h, &wanted));
    else
        CHECK(memcmp(&h, &untouched, sizeof h) == 0);
    free(copy);
}

/* A whole header is in its shortest form, so writing it gives its bytes. */
static void check_written(const unsigned char *bytes, size_t n)
{
    struct frame_header h;
    unsigned char out[FRAME_HEADER_MAX];
    int rc = frame_parse(bytes, n, &h);
    if (rc <= 0)
        return;
    size_t size = frame_write_header(out, h.fin, h.rsv, (enum frame_opcode)h.opcode, h.length,
                                     h.masked ? h.key : NULL);
    CHECK(size == (size_t)rc && memcmp(out, bytes, size) == 0);
}

/* The other way round: what is written is read. */
static void check_read(const unsigned char *bytes, size_t n)
{
    static const enum frame_opcode opcodes[] = {FRAME_CONTINUATION, FRAME_TEXT, FRAME_BINARY,
                                                FRAME_CLOSE,        FRAME_PING, FRAME_PONG};
    struct fuzz_input in = {bytes, bytes + n};
    unsigned char out[FRAME_HEADER_MAX];
    uint8_t first = fuzz_byte(&in), shift = fuzz_byte(&in) % 64;
    struct frame_header h, wanted = {
                               .fin = first & 0x80,
                               .rsv = first & 0x70,
                               .opcode = (uint8_t)opcodes[(first & 15) % 6],
                               .masked = shift & 1,
                               .length = fuzz_number(&in, 8) >> 1 >> shift,
                           };
    for (size_t i = 0; i < 4; i++)
        wanted.key[i] = fuzz_byte(&in);
    if (frame_is_control(wanted.opcode)) {
        wanted.fin = true;
        wanted.length %= FRAME_CONTROL_MAX + 1;
    }
    size_t size = frame_write_header(out, wanted.fin, wanted.rsv, (enum frame_opcode)wanted.opcode,
                                     wanted.length, wanted.masked ? wanted.key : NULL);
    CHECK(size <= FRAME_HEADER_MAX && frame_parse(out, size, &h) == (int)size && same(&h, &wanted));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t n = 0; n <= size && n <= FRAME_HEADER_MAX + 2; n++)
        check_prefix(data, n);
    check_written(data, size);
    check_read(data, size);
    return 0;
}
