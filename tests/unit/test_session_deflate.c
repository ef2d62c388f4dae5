/* wire/session with permessage-deflate: limits counted while inflating, bombs, memory, and what is
 * written. The rules themselves are vectors in session_vectors.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session_log.h"
#include "wire/deflate.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static const unsigned char key[4] = {0x37, 0xFA, 0x21, 0x3D};
static const struct deflate_settings settings = DEFLATE_SETTINGS_DEFAULT;

#if defined(__SANITIZE_ADDRESS__)
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

static size_t heap_in_use(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return __sanitizer_get_current_allocated_bytes();
#else
    return 0;
#endif
}

/* A session of a client, which reads frames without a mask. */
struct reader {
    struct session s;
    struct session_limits limits;
    struct deflate_pool pool;
};

static void reader_init(struct reader *r, bool takeover, struct session_limits limits)
{
    struct deflate_params agreed = {takeover, takeover, 15, 15};
    r->pool = (struct deflate_pool){0};
    r->limits = limits;
    session_init(&r->s, SESSION_CLIENT, &r->limits);
    struct deflate *d = deflate_new(&r->pool, &agreed, false, &settings);
    assert_non_null(d);
    session_use_deflate(&r->s, d);
}

static void reader_free(struct reader *r)
{
    session_free(&r->s);
    session_free(&r->s); /* harmless */
    deflate_pool_free(&r->pool);
}

#define ROOMY                                                                                      \
    (struct session_limits)                                                                        \
    {                                                                                              \
        .message = 16 * MIB, .fragments = 1024                                                     \
    }

/* One message, packed, as one frame. */
static void pack(struct buf *wire, enum frame_opcode kind, const void *data, size_t n)
{
    struct deflater *d = deflater_new(15, 9, false);
    assert_non_null(d);
    assert_true(session_write_compressed(wire, d, kind, data, n, NULL));
    deflater_free(d);
}

/* Feeds in pieces of at most `step`. SESSION_MORE or the first error, behind which all the rest is
 * fed, and ignored. *held: the most that the session held behind a piece. */
static int feed_steps(struct session *s, const struct buf *wire, size_t step, struct buf *log,
                      size_t *held)
{
    int rc = SESSION_MORE, error = SESSION_MORE;
    for (size_t at = 0; at < wire->len; at += step) {
        size_t n = step < wire->len - at ? step : wire->len - at;
        rc = feed_copy(s, wire->data + at, n, log);
        assert_true(rc == SESSION_MORE || error == SESSION_MORE);
        error = rc < 0 ? rc : error;
        if (held && session_held(s) > *held)
            *held = session_held(s);
        assert_true(error == SESSION_MORE || session_held(s) == 0);
    }
    return error;
}

static unsigned char *zeros(size_t n)
{
    unsigned char *data = calloc(n, 1);
    assert_non_null(data);
    return data;
}

static void fill_with_noise(unsigned char *data, size_t n)
{
    uint64_t random = n;
    for (size_t i = 0; i < n; i++)
        data[i] = (unsigned char)random_next(&random);
}

/* --- limits ------------------------------------------------------------------------------- */

static void test_the_limit_is_exact_for_each_size(void **state)
{
    (void)state;
    static const size_t limits[] = {0,     1,     2,     1023,  1024,  1025,  2048,   10000,
                                    16383, 16384, 16385, 32768, 65535, 65536, 100000, 1 << 20};
    static const size_t steps[] = {50, 1000, SIZE_MAX / 2};
    unsigned char *data = zeros(MIB + 1);
    for (size_t i = 0; i < MIB; i += 50)
        data[i] = (unsigned char)(i * 7);
    for (size_t l = 0; l < COUNT(limits); l++)
        for (size_t way = 0; way < 2 * COUNT(steps); way++) {
            struct reader r;
            struct buf wire = {0}, log = {0};
            bool over = way % 2;
            pack(&wire, FRAME_BINARY, data, limits[l] + over);
            reader_init(&r, l % 2, (struct session_limits){.message = limits[l], .fragments = 1});
            assert_int_equal(feed_steps(&r.s, &wire, steps[way / 2], &log, NULL),
                             over ? SESSION_ERR_TOO_BIG : SESSION_MORE);
            assert_int_equal(log.len > 0, !over);
            reader_free(&r);
            buf_free(&wire);
            buf_free(&log);
        }
    free(data);
}

static void test_a_limit_lowered_in_a_message_holds_at_once(void **state)
{
    (void)state;
    struct reader r;
    struct buf wire = {0}, log = {0};
    pack(&wire, FRAME_BINARY, "0123456789abcdef", 16);
    for (size_t limit = 0; limit < 20; limit++) {
        struct buf first = {wire.data, 10, 10}, rest = {wire.data + 10, wire.len - 10, 0};
        reader_init(&r, false, ROOMY);
        assert_int_equal(feed_steps(&r.s, &first, 100, &log, NULL), SESSION_MORE);
        r.limits.message = limit;
        assert_int_equal(feed_steps(&r.s, &rest, 100, &log, NULL),
                         limit < 16 ? SESSION_ERR_TOO_BIG : SESSION_MORE);
        reader_free(&r);
    }
    buf_free(&wire);
    buf_free(&log);
}

static void test_declared_lengths_of_compressed_messages_do_not_overflow(void **state)
{
    (void)state;
    static const uint64_t half = (UINT64_MAX - 64 * KIB) / 2;
    const struct {
        uint64_t limit, first, then;
        int rc;
    } cases[] = {
        {UINT64_MAX, INT64_MAX, 0, SESSION_MORE},  {half, INT64_MAX, 0, SESSION_MORE},
        {half + 1, INT64_MAX, 0, SESSION_MORE},    {0, 64 * KIB, 0, SESSION_MORE},
        {0, 64 * KIB + 1, 0, SESSION_ERR_TOO_BIG}, {1000, 66 * KIB, 0, SESSION_ERR_TOO_BIG},
        {UINT64_MAX, 0, INT64_MAX, SESSION_MORE},  {half, 0, INT64_MAX, SESSION_MORE},
        {0, 0, 64 * KIB - 2, SESSION_MORE},        {0, 0, 64 * KIB - 1, SESSION_ERR_TOO_BIG},
        {0, 0, INT64_MAX, SESSION_ERR_TOO_BIG},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned char head[FRAME_HEADER_MAX];
        struct reader r;
        struct buf log = {0};
        reader_init(&r, false, (struct session_limits){.message = cases[i].limit, .fragments = 2});
        if (cases[i].then) /* behind two bytes that say nothing */
            assert_int_equal(feed_copy(&r.s, "\x42\x02\x03\x00", 4, &log), SESSION_MORE);
        size_t n = frame_write_header(head, false, cases[i].then ? 0 : FRAME_RSV1,
                                      cases[i].then ? FRAME_CONTINUATION : FRAME_BINARY,
                                      cases[i].then ? cases[i].then : cases[i].first, NULL);
        assert_int_equal(feed(&r.s, head, n, &log), cases[i].rc);
        reader_free(&r);
    }
}

/* The result is the same however the message is cut. */
static int with_ratio(const unsigned char *data, size_t n, uint32_t ratio)
{
    static const size_t steps[] = {1, 7, 1000, SIZE_MAX / 2};
    struct buf wire = {0};
    int result = 0;
    pack(&wire, FRAME_BINARY, data, n);
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct reader r;
        struct buf log = {0};
        struct session_limits limits = ROOMY;
        limits.inflate_ratio = ratio;
        reader_init(&r, i % 2, limits);
        int rc = feed_steps(&r.s, &wire, steps[i], &log, NULL);
        assert_true(i == 0 || rc == result);
        result = rc;
        reader_free(&r);
        buf_free(&log);
    }
    buf_free(&wire);
    return result;
}

static void test_the_ratio_counts_from_64_KiB_on(void **state)
{
    (void)state;
    unsigned char *data = zeros(MIB);
    assert_int_equal(with_ratio(data, 64 * KIB, 1), SESSION_MORE);
    assert_int_equal(with_ratio(data, 64 * KIB + 1, 1), SESSION_ERR_RATIO);
    assert_int_equal(with_ratio(data, 64 * KIB + 1, 100), SESSION_ERR_RATIO);
    assert_int_equal(with_ratio(data, 64 * KIB + 1, UINT32_MAX), SESSION_MORE);
    assert_int_equal(with_ratio(data, MIB, 100), SESSION_ERR_RATIO);
    assert_int_equal(with_ratio(data, MIB, 0), SESSION_MORE);
    assert_int_equal(with_ratio(data, MIB, 1100), SESSION_MORE); /* DEFLATE has at most 1032 */
    free(data);
}

static void test_the_ratio_is_that_of_the_whole_message(void **state)
{
    (void)state; /* 100 of 200 KiB can be compressed: about 2 to 1 on average */
    unsigned char *data = zeros(200 * KIB);
    fill_with_noise(data, 100 * KIB);
    assert_int_equal(with_ratio(data, 200 * KIB, 2), SESSION_MORE);
    assert_int_equal(with_ratio(data, 200 * KIB, 1), SESSION_ERR_RATIO);
    /* but it is counted while inflating, and what would make up for it may never come */
    memmove(data + 100 * KIB, data, 100 * KIB);
    memset(data, 0, 100 * KIB);
    assert_int_equal(with_ratio(data, 200 * KIB, 3), SESSION_ERR_RATIO);
    assert_int_equal(with_ratio(data, 200 * KIB, 1000), SESSION_MORE);
    /* judged at each multiple of 16 KiB: over 2 to 1 at 80 KiB, and not so any more at 128 KiB */
    fill_with_noise(data, 200 * KIB);
    memset(data + 30 * KIB, 0, 60 * KIB);
    assert_int_equal(with_ratio(data, 200 * KIB, 2), SESSION_ERR_RATIO);
    free(data);
}

/* --- bombs -------------------------------------------------------------------------------- */

/* Packed zeros as frames of `part` compressed bytes. */
static void write_bomb(struct buf *wire, size_t n, size_t part)
{
    struct buf whole = {0};
    struct frame_header h;
    unsigned char *data = zeros(n);
    pack(&whole, FRAME_BINARY, data, n);
    free(data);
    size_t at = (size_t)frame_parse(whole.data, whole.len, &h);
    for (bool first = true; at < whole.len; first = false) {
        unsigned char head[FRAME_HEADER_MAX];
        size_t size = part < whole.len - at ? part : whole.len - at;
        size_t head_size =
            frame_write_header(head, at + size == whole.len, first ? FRAME_RSV1 : 0,
                               first ? FRAME_BINARY : FRAME_CONTINUATION, size, NULL);
        assert_true(buf_append(wire, head, head_size) && buf_append(wire, whole.data + at, size));
        at += size;
    }
    buf_free(&whole);
}

static void test_bombs_stay_within_the_limit(void **state)
{
    (void)state;
    static const size_t limits[] = {1000, 64 * KIB, 300 * KIB, MIB - 1};
    static const size_t parts[] = {1, 2, 100, SIZE_MAX / 2};
    for (size_t l = 0; l < COUNT(limits); l++)
        for (size_t p = 0; p < COUNT(parts); p++)
            for (size_t step = 1; step < 2000; step = step * 3 + 1) {
                struct reader r;
                struct buf wire = {0}, log = {0};
                size_t held = 0, before;
                write_bomb(&wire, MIB, parts[p]);
                assert_true(parts[p] < 100 || wire.len < 1200);
                before = heap_in_use();
                reader_init(&r, p % 2,
                            (struct session_limits){.message = limits[l], .fragments = 2000});
                assert_int_equal(feed_steps(&r.s, &wire, step, &log, &held), SESSION_ERR_TOO_BIG);
                assert_true(held > 0 || step > 1);
                if (held > limits[l] + 64 * KIB)
                    fail_msg("limit %zu, step %zu: %zu bytes held", limits[l], step, held);
                assert_true(heap_in_use() - before <= 64 * KIB); /* inflaters at most */
                reader_free(&r);
                assert_true(heap_in_use() == before);
                buf_free(&wire);
            }
}

static void test_a_bomb_ends_at_the_ratio(void **state)
{
    (void)state;
    struct reader r;
    struct buf wire = {0}, log = {0};
    size_t held = 0;
    struct session_limits limits = ROOMY;
    limits.inflate_ratio = 100;
    write_bomb(&wire, 8 * MIB, SIZE_MAX / 2);
    reader_init(&r, false, limits);
    assert_int_equal(feed_steps(&r.s, &wire, 10, &log, &held), SESSION_ERR_RATIO);
    assert_true(held <= 256 * KIB); /* a buffer of twice 64 KiB, and the inflater */
    reader_free(&r);
    buf_free(&wire);
}

static void test_blocks_without_content_come_to_an_end(void **state)
{
    (void)state; /* empty blocks: five bytes each, or two with BFINAL; nothing comes out of them */
    static const char *const blocks[] = {"\x00\x00\x00\xFF\xFF", "\x03\x00"};
    static const size_t sizes[] = {5, 2};
    for (size_t b = 0; b < 2; b++) {
        struct reader r;
        struct buf log = {0};
        size_t fed = 0;
        int rc = SESSION_MORE;
        reader_init(&r, b, (struct session_limits){.message = 1000, .fragments = UINT32_MAX});
        while (rc == SESSION_MORE) {
            unsigned char frame[2 + 100];
            frame[0] = fed ? FRAME_CONTINUATION : FRAME_BINARY | FRAME_RSV1;
            frame[1] = 100;
            for (size_t i = 0; i < 100; i += sizes[b])
                memcpy(frame + 2 + i, blocks[b], sizes[b]);
            rc = feed(&r.s, frame, sizeof frame, &log);
            fed += 100;
            assert_true(session_held(&r.s) < 64 * KIB && fed <= 64 * KIB + 2200);
        }
        assert_int_equal(rc, SESSION_ERR_TOO_BIG);
        assert_true(fed > 64 * KIB + 1900);
        reader_free(&r);
    }
}

/* --- text --------------------------------------------------------------------------------- */

static void test_a_fault_is_found_anywhere_in_a_long_compressed_text(void **state)
{
    (void)state;
    static const size_t places[] = {0,     1,     1023,  1024,  8191,  8192, 16382,
                                    16383, 16384, 16385, 32768, 39999, 40000};
    static unsigned char text[40000];
    for (size_t i = 0; i < COUNT(places); i++)
        for (size_t step = 5; step < 50000; step *= 100) {
            struct reader r;
            struct buf wire = {0}, log = {0};
            for (size_t at = 0; at < sizeof text; at++) /* of three bytes, so over each boundary */
                text[at] = (unsigned char)"\xE2\x82\xAC"[at % 3];
            text[sizeof text - 1] = 'e';
            if (places[i] < sizeof text) /* the last place stands for no fault at all */
                text[places[i]] = 0xFF;
            pack(&wire, FRAME_TEXT, text, sizeof text);
            reader_init(&r, false, ROOMY);
            assert_int_equal(feed_steps(&r.s, &wire, step, &log, NULL),
                             places[i] < sizeof text ? SESSION_ERR_UTF8 : SESSION_MORE);
            reader_free(&r);
            buf_free(&wire);
            buf_free(&log);
        }
}

/* --- memory ------------------------------------------------------------------------------- */

static void test_held_follows_the_message(void **state)
{
    (void)state;
    static unsigned char data[100000];
    for (unsigned takeover = 0; takeover < 2; takeover++) {
        struct reader r;
        struct session_event e;
        struct buf wire = {0}, log = {0};
        size_t before = heap_in_use(), half;
        fill_with_noise(data, sizeof data);
        reader_init(&r, takeover, ROOMY);
        struct deflate *d = r.s.deflate;
        assert_int_equal(session_held(&r.s), 0);
        assert_true(!before || heap_in_use() - before == deflate_held(d));
        size_t idle = heap_in_use();
        pack(&wire, FRAME_BINARY, data, sizeof data);
        size_t packed = heap_in_use() - idle;
        half = wire.len / 2;
        assert_int_equal(feed(&r.s, wire.data, half, &log), SESSION_MORE);
        size_t held = session_held(&r.s), own = deflate_held(d);
        assert_true(held > 40000 && held < 200000);
        assert_int_equal(own > 30000, takeover);
        assert_int_equal(deflate_borrowed(d) > 30000, !takeover);
        assert_true(!before || heap_in_use() - before == held + own + packed);
        session_feed(&r.s, wire.data + half, wire.len - half);
        assert_int_equal(session_next(&r.s, &e), SESSION_EVENT);
        assert_int_equal(e.len, sizeof data);
        assert_true(session_held(&r.s) >= sizeof data); /* until the event is dealt with */
        assert_int_equal(session_next(&r.s, &e), SESSION_MORE);
        assert_int_equal(session_held(&r.s), 0);
        assert_int_equal(r.pool.idle_count, !takeover);
        assert_int_equal(deflate_held(d), own);
        buf_free(&wire);
        reader_free(&r);
        assert_true(heap_in_use() == before);
    }
}

static void test_plain_pieces_are_held_too(void **state)
{
    (void)state;
    struct session s;
    struct session_limits limits = ROOMY;
    struct buf log = {0};
    session_init(&s, SESSION_CLIENT, &limits);
    assert_int_equal(session_held(&s), 0);
    assert_int_equal(feed_copy(&s, "\x82\x7E\x10\x00tide", 8, &log), SESSION_MORE);
    size_t held = session_held(&s);
    assert_true(held >= 4 && held < 400);
    session_free(&s);
    assert_int_equal(session_held(&s), 0);
}

static void test_what_was_borrowed_comes_back_at_every_end(void **state)
{
    (void)state;
    static const char half[] = "\xC2\x07\xF2\x48\xCD";
    static const char *const ends[] = {
        "\xC9\xC9\x07\x00", /* the message's */
        "\xFF\xFF\xFF\xFF", /* no DEFLATE data, or too far back */
        NULL,               /* session_free */
    };
    struct buf log = {0};
    for (size_t i = 0; i < COUNT(ends); i++) {
        struct reader r;
        reader_init(&r, false, ROOMY);
        assert_int_equal(feed_copy(&r.s, half, 5, &log), SESSION_MORE);
        assert_int_equal(r.pool.idle_count, 0);
        if (ends[i])
            feed_copy(&r.s, ends[i], 4, &log);
        else
            session_free(&r.s);
        assert_int_equal(r.pool.idle_count, 1);
        reader_free(&r);
    }
    struct reader r; /* a Close in the middle */
    reader_init(&r, false, ROOMY);
    assert_int_equal(feed_copy(&r.s, "\x42\x03\xF2\x48\xCD\x88\x00", 7, &log), SESSION_MORE);
    assert_int_equal(r.pool.idle_count, 1);
    assert_int_equal(session_held(&r.s), 0);
    reader_free(&r);
    assert_log(&log, "binary(Hello) close 1005() ", 27, "ends");
}

/* A conversation that needs memory at many places. */
static int talk(struct session *s, const struct buf *wire, struct buf *log)
{
    int rc = feed_copy(s, "\x41\x03\xF2\x48\xCD\x89\x04pi", 9, log);
    if (rc == SESSION_MORE)
        rc = feed_copy(s, "ng\x80\x04\xC9\xC9\x07\x00", 8, log);
    for (size_t at = 0; at < wire->len && rc == SESSION_MORE; at += 500)
        rc = feed_copy(s, wire->data + at, wire->len - at < 500 ? wire->len - at : 500, log);
    return rc;
}

static void test_each_allocation_may_fail(void **state)
{
    (void)state;
    static unsigned char data[5000];
    struct buf wire = {0};
    fill_with_noise(data, sizeof data / 2);
    pack(&wire, FRAME_BINARY, data, sizeof data);
    for (unsigned takeover = 0; takeover < 2; takeover++) {
        size_t failing = 0;
        for (bool failed = true; failed; failing++) {
            struct reader r;
            struct buf log = {0};
            size_t before = heap_in_use();
            assert_true(buf_reserve(&log, 1000));
            reader_init(&r, takeover, ROOMY);
            allocations_fail_after(failing);
            int rc = talk(&r.s, &wire, &log);
            failed = allocations_failed() > 0;
            allocations_succeed();
            assert_int_equal(rc, failed ? SESSION_ERR_MEMORY : SESSION_MORE);
            assert_int_equal(session_held(&r.s), 0);
            assert_int_equal(feed_copy(&r.s, "\x81\x01x", 3, &log), SESSION_MORE);
            if (failed)
                assert_true(!log.len || log.data[log.len - 2] != 'x');
            reader_free(&r);
            buf_free(&log);
            assert_true(heap_in_use() == before);
        }
        assert_true(failing > 7); /* assembly, inflater, its parts and window, growth */
    }
    buf_free(&wire);
}

/* --- writing ------------------------------------------------------------------------------ */

static void test_frames_are_written_as_the_rfc_shows(void **state)
{
    (void)state;
    struct buf out = {0};
    struct deflater *d = deflater_new(15, 6, true);
    assert_true(session_write_compressed(&out, d, FRAME_TEXT, "Hello", 5, NULL));
    assert_true(session_write_compressed(&out, d, FRAME_BINARY, "Hello", 5, NULL));
    assert_true(session_write_compressed(&out, d, FRAME_TEXT, "", 0, NULL));
    assert_true(session_write_compressed(&out, d, FRAME_TEXT, NULL, 0, key));
    static const unsigned char expected[] = {
        0xC1, 0x07, 0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00,       /* RFC 7692 7.2.3.1 */
        0xC2, 0x05, 0xF2, 0x00, 0x11, 0x00, 0x00, 0xC1, 0x01, 0x00, /* 7.2.3.2, 7.2.3.6 */
        0xC1, 0x81, 0x37, 0xFA, 0x21, 0x3D, 0x37};
    assert_int_equal(out.len, sizeof expected);
    assert_memory_equal(out.data, expected, out.len);
    buf_free(&out);
    deflater_free(d);
}

/* Written by one role behind other bytes, read by the other: each form of the length. */
static void write_and_read(enum session_role writer, size_t n)
{
    struct deflate_pool pool = {0};
    struct deflate_params agreed = {false, false, 15, 15};
    struct session_limits limits = ROOMY;
    struct session_event e;
    struct session s;
    struct buf out = {0};
    unsigned char *data = zeros(n + 1);
    bool server = writer == SESSION_CLIENT; /* the reader */
    struct deflate *d = deflate_new(&pool, &agreed, server, &settings);
    fill_with_noise(data, n);
    session_init(&s, server ? SESSION_SERVER : SESSION_CLIENT, &limits);
    session_use_deflate(&s, d);
    assert_true(buf_append_str(&out, "before"));
    assert_true(session_write_compressed(&out, deflate_deflater(d), FRAME_BINARY, data, n,
                                         server ? key : NULL));
    assert_memory_equal(out.data, "before", 6);
    session_feed(&s, out.data + 6, out.len - 6);
    assert_int_equal(session_next(&s, &e), SESSION_EVENT);
    assert_true(e.kind == FRAME_BINARY && e.len == n && memcmp(e.data, data, n) == 0);
    assert_int_equal(session_next(&s, &e), SESSION_MORE);
    session_free(&s);
    deflate_pool_free(&pool);
    buf_free(&out);
    free(data);
}

static void test_what_one_role_writes_the_other_reads(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 50, 110, 120, 125, 126, 1000, 65500, 65530, 70000, MIB};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        write_and_read(SESSION_SERVER, sizes[i]);
        write_and_read(SESSION_CLIENT, sizes[i]);
    }
}

static void test_writing_fails_without_a_trace(void **state)
{
    (void)state;
    static unsigned char data[3000];
    size_t failing = 0;
    fill_with_noise(data, sizeof data);
    for (bool failed = true; failed; failing++) {
        struct buf out = {0};
        struct deflater *d = deflater_new(15, 6, true);
        allocations_fail_after(failing);
        bool ok = session_write_compressed(&out, d, FRAME_BINARY, data, sizeof data, key);
        failed = allocations_failed() > 0;
        allocations_succeed();
        assert_int_equal(ok, !failed);
        assert_int_equal(out.len > 0, ok);
        out.len = 0;
        assert_true(session_write_compressed(&out, d, FRAME_BINARY, data, sizeof data, NULL));
        assert_int_equal(out.len > sizeof data, failed); /* nothing refers to what was not sent */
        buf_free(&out);
        deflater_free(d);
    }
    assert_true(failing > 3);
}

/* A test that fails half-way must not take its neighbours with it. */
static int let_allocations_succeed(void **state)
{
    (void)state;
    allocations_succeed();
    return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, let_allocations_succeed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_limit_is_exact_for_each_size),
        TEST(test_a_limit_lowered_in_a_message_holds_at_once),
        TEST(test_declared_lengths_of_compressed_messages_do_not_overflow),
        TEST(test_the_ratio_counts_from_64_KiB_on),
        TEST(test_the_ratio_is_that_of_the_whole_message),
        TEST(test_bombs_stay_within_the_limit),
        TEST(test_a_bomb_ends_at_the_ratio),
        TEST(test_blocks_without_content_come_to_an_end),
        TEST(test_a_fault_is_found_anywhere_in_a_long_compressed_text),
        TEST(test_held_follows_the_message),
        TEST(test_plain_pieces_are_held_too),
        TEST(test_what_was_borrowed_comes_back_at_every_end),
        TEST(test_each_allocation_may_fail),
        TEST(test_frames_are_written_as_the_rfc_shows),
        TEST(test_what_one_role_writes_the_other_reads),
        TEST(test_writing_fails_without_a_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
