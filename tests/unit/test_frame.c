/* wire/frame: headers read and written, each fault at the first byte that shows it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"
#include "wire/frame.h"

#include <string.h>

static const uint64_t lengths[] = {
    0,
    1,
    125,
    126,
    127,
    0xFFFF,
    0x10000,
    (UINT64_C(1) << 31) - 1,
    UINT64_C(1) << 31,
    (UINT64_C(1) << 31) + 1,
    (UINT64_C(1) << 32) - 1,
    UINT64_C(1) << 32,
    (UINT64_C(1) << 32) + 1,
    (UINT64_C(1) << 63) - 1,
};

struct expectation {
    int result;
    size_t told_at; /* bytes after which the result is known */
    struct frame_header header;
};

/* Bytes are added one by one or in any pieces: 0 until the result is known. */
static void run_expectation(struct feed *f, void *context)
{
    const struct expectation *e = context;
    unsigned char *prefix;
    size_t n;
    int rc = 0;
    struct frame_header h, untouched;
    memset(&h, 0xEE, sizeof h);
    memcpy(&untouched, &h, sizeof h);
    while (rc == 0 && feed_next_prefix(f, &prefix, &n)) {
        rc = frame_parse(prefix, n, &h);
        char how[32];
        if (rc != (n < e->told_at ? 0 : e->result))
            fail_msg("%s: %d after %zu bytes, expected %d after %zu", feed_how(f, how), rc, n,
                     e->result, e->told_at);
    }
    if (rc <= 0) {
        assert_memory_equal(&h, &untouched, sizeof h);
        return;
    }
    assert_int_equal(h.fin, e->header.fin);
    assert_int_equal(h.rsv, e->header.rsv);
    assert_int_equal(h.opcode, e->header.opcode);
    assert_int_equal(h.masked, e->header.masked);
    assert_true(h.length == e->header.length);
    if (h.masked)
        assert_memory_equal(h.key, e->header.key, 4);
}

/* `bytes` may go on behind the header. */
static void expect_header(const char *bytes, size_t n, int size, struct frame_header header)
{
    struct expectation e = {size, (size_t)size, header};
    feed_every_way(bytes, n, run_expectation, &e);
}

static void expect_error(const char *bytes, size_t n, int error, size_t told_at)
{
    struct expectation e = {error, told_at, {0}};
    feed_every_way(bytes, n, run_expectation, &e);
}

#define BYTES(text) text, sizeof text - 1

static void test_examples_of_the_rfc(void **state)
{
    (void)state; /* section 5.7 */
    expect_header(BYTES("\x81\x05Hello"), 2,
                  (struct frame_header){.fin = true, .opcode = FRAME_TEXT, .length = 5});
    expect_header(BYTES("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), 6,
                  (struct frame_header){.fin = true,
                                        .opcode = FRAME_TEXT,
                                        .masked = true,
                                        .key = {0x37, 0xfa, 0x21, 0x3d},
                                        .length = 5});
    expect_header(BYTES("\x01\x03Hel"), 2,
                  (struct frame_header){.opcode = FRAME_TEXT, .length = 3});
    expect_header(BYTES("\x80\x02lo"), 2, (struct frame_header){.fin = true, .length = 2});
    expect_header(BYTES("\x89\x05Hello"), 2,
                  (struct frame_header){.fin = true, .opcode = FRAME_PING, .length = 5});
    expect_header(BYTES("\x82\x7E\x01\x00"), 4,
                  (struct frame_header){.fin = true, .opcode = FRAME_BINARY, .length = 256});
    expect_header(BYTES("\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00"), 10,
                  (struct frame_header){.fin = true, .opcode = FRAME_BINARY, .length = 65536});
}

static bool opcode_is_defined(unsigned opcode)
{
    return opcode == 0 || opcode == 1 || opcode == 2 || opcode == 8 || opcode == 9 || opcode == 10;
}

/* What the first two bytes alone decide; 0: nothing wrong with them. */
static int fault_of(unsigned first, unsigned second, size_t *told_at)
{
    unsigned opcode = first & 15;
    *told_at = 1;
    if (!opcode_is_defined(opcode))
        return FRAME_ERR_OPCODE;
    if (opcode >= 8 && first < 0x80)
        return FRAME_ERR_CONTROL_FRAGMENT;
    *told_at = 2;
    if (opcode >= 8 && (second & 0x7F) > 125)
        return FRAME_ERR_CONTROL_LENGTH;
    return 0;
}

static void test_all_values_of_the_first_two_bytes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1 << 16; i++) {
        unsigned first = i >> 8, second = i & 0xFF, form = second & 0x7F;
        /* behind them 0x01s, which suit every form of the length */
        unsigned char bytes[FRAME_HEADER_MAX];
        memset(bytes, 1, sizeof bytes);
        bytes[0] = (unsigned char)first;
        bytes[1] = (unsigned char)second;
        size_t told_at;
        int expected = fault_of(first, second, &told_at);
        if (expected == 0)
            expected = 2 + (form == 126 ? 2 : form == 127 ? 8 : 0) + (second >= 0x80 ? 4 : 0);
        struct frame_header h;
        int rc = frame_parse(bytes, sizeof bytes, &h);
        if (rc != expected)
            fail_msg("%02x %02x: %d instead of %d", first, second, rc, expected);
        if (rc > 0 && (h.fin != (first >= 0x80) || h.rsv != (first & 0x70) ||
                       h.opcode != (first & 15) || h.masked != (second >= 0x80)))
            fail_msg("%02x %02x: read wrongly", first, second);
        if (rc < 0 && told_at == 1 && frame_parse(bytes, 1, &h) != rc)
            fail_msg("%02x: not refused at once", first);
    }
}

static void test_faults_are_told_at_their_first_byte(void **state)
{
    (void)state;
    expect_error(BYTES("\x83\x00"), FRAME_ERR_OPCODE, 1);
    expect_error(BYTES("\x8B\xFF\xFF"), FRAME_ERR_OPCODE, 1);
    expect_error(BYTES("\x09\x00"), FRAME_ERR_CONTROL_FRAGMENT, 1);
    expect_error(BYTES("\x89\x7E\x00\x7E"), FRAME_ERR_CONTROL_LENGTH, 2);
    expect_error(BYTES("\x88\xFF\x00"), FRAME_ERR_CONTROL_LENGTH, 2);
    expect_error(BYTES("\x82\x7F\x80\x00\x00\x00\x00\x00\x00\x00"), FRAME_ERR_LENGTH_SIGN, 3);
    expect_error(BYTES("\x82\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), FRAME_ERR_LENGTH_SIGN, 3);
    expect_error(BYTES("\x82\x7E\x00\x00"), FRAME_ERR_LENGTH_NOT_MINIMAL, 4);
    expect_error(BYTES("\x82\xFE\x00\x7D\x01\x02\x03\x04"), FRAME_ERR_LENGTH_NOT_MINIMAL, 4);
    expect_error(BYTES("\x82\x7F\x00\x00\x00\x00\x00\x00\x00\x00"), FRAME_ERR_LENGTH_NOT_MINIMAL,
                 10);
    expect_error(BYTES("\x82\xFF\x00\x00\x00\x00\x00\x00\xFF\xFF"), FRAME_ERR_LENGTH_NOT_MINIMAL,
                 10);
}

/* Written, then read again in every way. */
static void round_trip(bool fin, uint8_t rsv, enum frame_opcode opcode, uint64_t length,
                       const unsigned char *key)
{
    unsigned char out[FRAME_HEADER_MAX];
    size_t size = frame_write_header(out, fin, rsv, opcode, length, key);
    size_t shortest = length < 126 ? 2 : length < 65536 ? 4 : 10;
    assert_int_equal(size, shortest + (key ? 4 : 0));
    struct frame_header h = {
        .fin = fin, .rsv = rsv, .opcode = (uint8_t)opcode, .masked = key != NULL, .length = length};
    if (key)
        memcpy(h.key, key, 4);
    expect_header((char *)out, size, (int)size, h);
}

static void test_round_trip_of_every_form(void **state)
{
    (void)state;
    static const unsigned char key[4] = {0x80, 0x01, 0xFF, 0x00};
    static const enum frame_opcode data[] = {FRAME_CONTINUATION, FRAME_TEXT, FRAME_BINARY};
    static const enum frame_opcode control[] = {FRAME_CLOSE, FRAME_PING, FRAME_PONG};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (size_t j = 0; j < 3; j++) {
            round_trip(true, 0, data[j], lengths[i], NULL);
            round_trip(false, FRAME_RSV1, data[j], lengths[i], key);
            round_trip(true, FRAME_RSV2 | FRAME_RSV3, data[j], lengths[i], key);
            if (lengths[i] > FRAME_CONTROL_MAX)
                continue;
            round_trip(true, 0, control[j], lengths[i], NULL);
            round_trip(true, FRAME_RSV3, control[j], lengths[i], key);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_of_the_rfc),
        cmocka_unit_test(test_all_values_of_the_first_two_bytes),
        cmocka_unit_test(test_faults_are_told_at_their_first_byte),
        cmocka_unit_test(test_round_trip_of_every_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
