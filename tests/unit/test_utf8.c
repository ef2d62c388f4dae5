/* wire/utf8 against a reference made the other way round: all Unicode scalar values are encoded by
 * the bit patterns of RFC 3629 section 3, and what is no beginning of these is not UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"
#include "wire/utf8.h"

#include <stdlib.h>
#include <string.h>

enum verdict { INVALID, BEGINNING, WHOLE };

/* The verdict on each string of 1, 2 and 3 bytes; of 4 bytes, a bit for each that begins with
 * F0 to F4. */
static struct {
    uint8_t one[1 << 8];
    uint8_t two[1 << 16];
    uint8_t *three; /* 2^24 */
    uint8_t *four;  /* 5 * 2^24 bits: WHOLE or not */
} table;

static size_t encode(uint32_t c, unsigned char out[4])
{
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char mark[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (unsigned char)(0x80 | (c & 0x3F));
    out[0] = (unsigned char)(mark[n] | c);
    return n;
}

static size_t number(const unsigned char *bytes, size_t n)
{
    size_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | bytes[i];
    return value;
}

static int make_table(void **state)
{
    (void)state;
    table.three = calloc(1 << 24, 1);
    table.four = calloc(5 << 21, 1);
    if (!table.three || !table.four)
        return -1;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        unsigned char b[4];
        size_t n = encode(c, b);
        table.one[b[0]] = n == 1 ? WHOLE : BEGINNING;
        if (n >= 2)
            table.two[number(b, 2)] = n == 2 ? WHOLE : BEGINNING;
        if (n >= 3)
            table.three[number(b, 3)] = n == 3 ? WHOLE : BEGINNING;
        size_t bit = n == 4 ? number(b, 4) - (size_t)0xF0000000 : 0;
        if (n == 4)
            table.four[bit / 8] |= (uint8_t)(1 << bit % 8);
    }
    return 0;
}

static int free_table(void **state)
{
    (void)state;
    free(table.three);
    free(table.four);
    return 0;
}

/* Of up to 4 bytes: one code point, the beginning of one, or neither? */
static enum verdict judge_one(const unsigned char *b, size_t n)
{
    if (n == 1)
        return (enum verdict)table.one[b[0]];
    if (n == 2)
        return (enum verdict)table.two[number(b, 2)];
    if (n == 3)
        return (enum verdict)table.three[number(b, 3)];
    if (b[0] < 0xF0 || b[0] > 0xF4)
        return INVALID;
    size_t bit = number(b, 4) - (size_t)0xF0000000;
    return table.four[bit / 8] >> bit % 8 & 1 ? WHOLE : INVALID;
}

/* The reference for a text of any length. */
static enum verdict judge(const unsigned char *b, size_t n)
{
    while (n) {
        size_t take = 1;
        enum verdict v = judge_one(b, 1);
        while (v == BEGINNING && take < n)
            v = judge_one(b, ++take);
        if (v != WHOLE)
            return v;
        b += take;
        n -= take;
    }
    return WHOLE;
}

static enum verdict feed(uint32_t *state, const unsigned char *b, size_t n)
{
    return !utf8_feed(state, b, n) ? INVALID : *state == UTF8_START ? WHOLE : BEGINNING;
}

/* The pieces [0, at) and [at, n). */
static enum verdict feed_split(const unsigned char *b, size_t n, size_t at)
{
    uint32_t state = UTF8_START;
    enum verdict v = feed(&state, b, at);
    return v == INVALID ? v : feed(&state, b + at, n - at);
}

/* Byte by byte, each prefix compared: it fails at the first byte that shows the fault. */
static void check_bytewise(const unsigned char *b, size_t n)
{
    uint32_t state = UTF8_START;
    enum verdict v = WHOLE;
    for (size_t i = 0; i < n && v != INVALID; i++) {
        v = feed(&state, b + i, 1);
        if (v != judge(b, i + 1))
            fail_msg("%02zx: byte %zu of %zu judged wrongly", number(b, i + 1), i, n);
    }
}

static void check(const unsigned char *b, size_t n)
{
    enum verdict expected = judge(b, n);
    for (size_t at = 0; at < n; at++)
        if (feed_split(b, n, at) != expected)
            fail_msg("%02zx (of %zu) split at %zu judged wrongly", number(b, n), n, at);
    if (utf8_valid(b, n) != (expected == WHOLE))
        fail_msg("%02zx: utf8_valid", number(b, n));
}

static void test_all_sequences_of_one_and_two_bytes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1 << 16; i++) {
        unsigned char b[2] = {(unsigned char)(i >> 8), (unsigned char)i};
        check(b + 1, 1);
        check(b, 2);
        check_bytewise(b, 2);
    }
}

static void test_all_sequences_of_three_bytes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1 << 24; i++) {
        unsigned char b[3] = {(unsigned char)(i >> 16), (unsigned char)(i >> 8), (unsigned char)i};
        enum verdict expected = judge(b, 3);
        if (feed_split(b, 3, 0) != expected || feed_split(b, 3, 1) != expected ||
            feed_split(b, 3, 2) != expected)
            fail_msg("%06x judged wrongly", i);
    }
}

static void test_all_beginnings_of_four_bytes(void **state)
{
    (void)state;
    static const unsigned char last[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90,
                                         0x9F, 0xA0, 0xBF, 0xC0, 0xE2, 0xFF};
    for (unsigned i = 0; i < 1 << 16; i++) {
        for (size_t j = 0; j < sizeof last * sizeof last; j++) {
            unsigned char b[4] = {(unsigned char)(i >> 8), (unsigned char)i, last[j / sizeof last],
                                  last[j % sizeof last]};
            if (b[0] < 0x80 && j > 0)
                continue; /* an ASCII byte, then three: tested above */
            check(b, 4);
            check_bytewise(b, 4);
        }
    }
}

static void test_all_code_points(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        unsigned char b[4];
        size_t n = encode(c, b);
        if (utf8_valid(b, n) == (c >= 0xD800 && c <= 0xDFFF))
            fail_msg("U+%04X", c);
    }
}

static void run_guarded(struct feed *f, void *context)
{
    const enum verdict *expected = context;
    uint32_t state = UTF8_START;
    enum verdict v = WHOLE;
    unsigned char *piece;
    size_t n;
    while (v != INVALID && feed_next(f, &piece, &n))
        v = feed(&state, piece, n);
    char how[32];
    if (v != *expected)
        fail_msg("%s: %d instead of %d", feed_how(f, how), (int)v, (int)*expected);
}

/* Each kind of fault and each boundary, at every place of a text longer than the ASCII steps. */
static void test_every_place_of_a_long_text_in_every_way(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "\xC3\xA9",
        "\xE2\x82\xAC",
        "\xED\x9F\xBF",
        "\xEE\x80\x80",
        "\xF0\x90\x80\x80",
        "\xF4\x8F\xBF\xBF", /* valid */
        "\x80",
        "\xC0\x80",
        "\xC1\xBF",
        "\xE0\x9F\xBF",
        "\xED\xA0\x80", /* not */
        "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xFF",
        "\xC3",
        "\xE2\x82",
        "\xF0\x90\x80", /* cut short */
    };
    for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) {
        for (size_t at = 0; at <= 34; at++) {
            unsigned char text[40];
            memset(text, 'a', sizeof text);
            memcpy(text + at, parts[p], strlen(parts[p]));
            size_t end = at + strlen(parts[p]);
            enum verdict expected = judge(text, sizeof text);
            feed_every_way(text, sizeof text, run_guarded, &expected);
            expected = judge(text, end);
            feed_every_way(text, end, run_guarded, &expected);
        }
    }
}

static size_t random_text(uint64_t *random, unsigned char *out, size_t points)
{
    size_t n = 0;
    for (size_t i = 0; i < points; i++) {
        static const uint32_t below[] = {0x80, 0x80, 0x800, 0xD800, 0x110000};
        uint32_t c = (uint32_t)(random_next(random) % below[random_next(random) % 5]);
        n += encode(c >= 0xD800 && c <= 0xDFFF ? 'x' : c, out + n);
    }
    return n;
}

static void test_random_texts_whole_and_damaged(void **state)
{
    (void)state;
    uint64_t random = 20;
    size_t seen[3] = {0};
    for (size_t turn = 0; turn < 20000; turn++) {
        unsigned char text[400];
        size_t n = random_text(&random, text, random_next(&random) % 100);
        for (size_t damage = random_next(&random) % 3; n && damage; damage--)
            text[random_next(&random) % n] ^= (unsigned char)(1 << random_next(&random) % 8);
        enum verdict expected = judge(text, n);
        seen[expected]++;
        size_t at = n ? random_next(&random) % n : 0;
        if (feed_split(text, n, 0) != expected || feed_split(text, n, at) != expected)
            fail_msg("turn %zu, split at %zu", turn, at);
        if (turn % 50 == 0)
            feed_in_pieces(text, n, 1 + at % 20, run_guarded, &expected);
    }
    assert_true(seen[INVALID] > 1000 && seen[BEGINNING] > 10 && seen[WHOLE] > 1000);
}

static void test_empty_text(void **state)
{
    (void)state;
    uint32_t s = UTF8_START;
    assert_true(utf8_valid(NULL, 0));
    assert_true(utf8_feed(&s, (const unsigned char *)"\xE2", 1));
    uint32_t before = s;
    assert_true(utf8_feed(&s, NULL, 0));
    assert_int_equal(s, before);
    assert_int_not_equal(s, UTF8_START);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_text),
        cmocka_unit_test(test_all_sequences_of_one_and_two_bytes),
        cmocka_unit_test(test_all_sequences_of_three_bytes),
        cmocka_unit_test(test_all_beginnings_of_four_bytes),
        cmocka_unit_test(test_all_code_points),
        cmocka_unit_test(test_every_place_of_a_long_text_in_every_way),
        cmocka_unit_test(test_random_texts_whole_and_damaged),
    };
    return cmocka_run_group_tests(tests, make_table, free_table);
}
