#include "wire/utf8.h"

#include <string.h>

/* A finite automaton over bytes, one step a byte and without branches. It is the grammar of
 * RFC 3629 section 4, read as "what may come next":
 *
 *     UTF8-2 = C2-DF tail
 *     UTF8-3 = E0 A0-BF tail / E1-EC 2tail / ED 80-9F tail / EE-EF 2tail
 *     UTF8-4 = F0 90-BF 2tail / F1-F3 3tail / F4 80-8F 2tail          tail = 80-BF
 *
 * A state is named by what it waits for: 1 to 3 tails, or the second byte after one of the four
 * leads that narrow it (E0 and F0 against overlong forms, ED against surrogates, F4 against what
 * lies above U+10FFFF). All states fit in one 64-bit row for each byte: a state's number is the bit
 * at which its successor stands in the row, six bits each. So a step is a load and a shift, and
 * `& 63` costs nothing where the processor's shift does it anyway. */
enum state {
    OK = UTF8_START, /* between code points */
    NO = 6,          /* failed, and stays so */
    T1 = 12,
    T2 = 18,
    T3 = 24,
    E0 = 30,
    ED = 36,
    F0 = 42,
    F4 = 48,
};

#define NEXT(from, to) ((uint64_t)(to) << (from))

/* A row of successors: of OK, T1, T2 and so on. */
#define ROW(ok, t1, t2, t3, e0, ed, f0, f4)                                                        \
    (NEXT(OK, ok) | NEXT(NO, NO) | NEXT(T1, t1) | NEXT(T2, t2) | NEXT(T3, t3) | NEXT(E0, e0) |     \
     NEXT(ED, ed) | NEXT(F0, f0) | NEXT(F4, f4))

#define LEAD(to) ROW(to, NO, NO, NO, NO, NO, NO, NO)

static const uint64_t rows[256] = {
    /* after:                 OK  T1  T2  T3  E0  ED  F0  F4 */
    [0x00 ... 0x7F] = ROW(OK, NO, NO, NO, NO, NO, NO, NO),
    [0x80 ... 0x8F] = ROW(NO, OK, T1, T2, NO, T1, NO, T2),
    [0x90 ... 0x9F] = ROW(NO, OK, T1, T2, NO, T1, T2, NO),
    [0xA0 ... 0xBF] = ROW(NO, OK, T1, T2, T1, NO, T2, NO),
    [0xC0 ... 0xC1] = LEAD(NO), /* overlong */
    [0xC2 ... 0xDF] = LEAD(T1),
    [0xE0] = LEAD(E0),
    [0xE1 ... 0xEC] = LEAD(T2),
    [0xED] = LEAD(ED),
    [0xEE ... 0xEF] = LEAD(T2),
    [0xF0] = LEAD(F0),
    [0xF1 ... 0xF3] = LEAD(T3),
    [0xF4] = LEAD(F4),
    [0xF5 ... 0xFF] = LEAD(NO), /* above U+10FFFF */
};

#define BLOCK 16 /* bytes judged at once */

static inline bool block_is_ascii(const unsigned char *bytes)
{
    uint64_t a, b;
    memcpy(&a, bytes, 8);
    memcpy(&b, bytes + 8, 8);
    return !((a | b) & UINT64_C(0x8080808080808080));
}

static inline uint64_t step(uint64_t state, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        state = rows[bytes[i]] >> (state & 63);
    return state & 63;
}

bool utf8_feed(uint32_t *state, const unsigned char *bytes, size_t n)
{
    uint64_t now = *state;
    for (; n >= BLOCK; bytes += BLOCK, n -= BLOCK) {
        if (now == OK && block_is_ascii(bytes))
            continue;
        now = step(now, bytes, BLOCK);
        if (now == NO)
            return false;
    }
    now = step(now, bytes, n);
    *state = (uint32_t)now;
    return now != NO;
}

bool utf8_valid(const unsigned char *bytes, size_t n)
{
    uint32_t state = UTF8_START;
    return utf8_feed(&state, bytes, n) && state == UTF8_START;
}
