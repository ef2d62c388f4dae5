/* wire/deflater and wire/deflate: messages compressed and decompressed in every way, windows that
 * are kept, emptied and never exceeded, what is lent and given back, memory that is short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"
#include "wire/deflate.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text) (const unsigned char *)(text), sizeof(text) - 1
#define MIB ((size_t)1 << 20)

/* Bytes allocated and not freed; without AddressSanitizer, 0. */
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

/* --- a message through an inflater -------------------------------------------------------- */

/* Feeds bytes, and takes what they give in steps of `room`. */
static int inflate_some(struct inflater *i, const unsigned char *bytes, size_t n, size_t room,
                        struct buf *out)
{
    int rc;
    do {
        size_t written;
        assert_true(buf_reserve(out, room));
        rc = inflater_step(i, &bytes, &n, out->data + out->len, room, &written);
        assert_true(written <= room);
        out->len += written;
    } while (rc == INFLATE_AGAIN);
    assert_true(rc < 0 || n == 0);
    return rc;
}

/* Behind the last bytes. 0: the message is whole. */
static int inflate_rest(struct inflater *i, size_t room, struct buf *out)
{
    size_t n;
    const unsigned char *tail = inflater_tail(i, &n);
    int rc = n ? inflate_some(i, tail, n, room, out) : 0;
    return rc == 0 && !inflater_is_whole(i) ? INFLATE_ERR_DATA : rc;
}

static int inflate_message(struct inflater *i, const unsigned char *bytes, size_t n, size_t room,
                           struct buf *out)
{
    int rc = inflate_some(i, bytes, n, room, out);
    return rc == 0 ? inflate_rest(i, room, out) : rc;
}

static void expect_message(struct inflater *i, const unsigned char *bytes, size_t n,
                           const void *expected, size_t expected_len)
{
    struct buf out = {0};
    assert_int_equal(inflate_message(i, bytes, n, 16384, &out), 0);
    assert_int_equal(out.len, expected_len);
    assert_memory_equal(out.data ? out.data : bytes, expected, out.len);
    buf_free(&out);
}

/* --- vectors ------------------------------------------------------------------------------ */

#define HELLO "\xF2\x48\xCD\xC9\xC9\x07\x00"
#define HELLO_FINAL "\xF3\x48\xCD\xC9\xC9\x07\x00"
#define HELLO_AGAIN "\xF2\x00\x11\x00\x00" /* H, and four bytes from five bytes before */

static const struct vector {
    const char *name;
    const unsigned char *bytes;
    size_t n;
    const char *text; /* NULL: not valid */
} vectors[] = {
    /* RFC 7692 section 7.2.3, in its order */
    {"7.2.3.1, one block", BYTES(HELLO), "Hello"},
    {"7.2.3.3, a block without compression", BYTES("\x00\x05\x00\xFA\xFF\x48\x65\x6C\x6C\x6F\x00"),
     "Hello"},
    {"7.2.3.4, a block with BFINAL", BYTES(HELLO_FINAL "\x00"), "Hello"},
    {"7.2.3.5, two blocks", BYTES("\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00"), "Hello"},
    {"7.2.3.6, nothing", BYTES("\x00"), ""},
    {"the three bits of a block's kind in two bytes", BYTES("\xFA\xFF\xEF\xEF\x1F\x00\x00"),
     "\xFF\xFE\xFD\xFC"},
    /* several blocks with BFINAL: still one message, and what was before can be referred to */
    {"two with BFINAL", BYTES(HELLO_FINAL HELLO_FINAL "\x00"), "HelloHello"},
    {"BFINAL, then a reference over it", BYTES(HELLO_FINAL HELLO_AGAIN), "HelloHello"},
    {"BFINAL of nothing, first and last", BYTES("\x03\x00" HELLO_FINAL "\x03\x00\x03\x00\x00"),
     "Hello"},
    {"the last block is the one with BFINAL", BYTES("\x01"), ""},
    /* data that end with a block already */
    {"no byte", BYTES(""), ""},
    {"BFINAL and nothing behind it", BYTES(HELLO_FINAL), "Hello"},
    {"the tail was left", BYTES(HELLO "\x00\x00\xFF\xFF"), "Hello"},
    /* not valid */
    {"cut in a block", BYTES("\xF2\x48\xCD"), NULL},
    {"cut in the header of a dynamic block", BYTES("\x04"), NULL},
    {"cut behind BFINAL", BYTES(HELLO_FINAL "\xF2\x48"), NULL},
    {"cut in the three bits of a block's kind", BYTES("\xFA\xFF\xEF\xEF\x1F\x00"), NULL},
    {"stored bytes missing", BYTES("\x00\x05\x00\xFA\xFFHel"), NULL},
    {"reserved kind of block", BYTES("\x06\x00"), NULL},
    {"reserved kind of block behind BFINAL", BYTES(HELLO_FINAL "\x07\x00"), NULL},
    {"lengths of a stored block that differ", BYTES("\x00\x05\x00\x05\x00Hello\x00"), NULL},
    {"reference to what never was", BYTES(HELLO_AGAIN), NULL},
    {"reference far beyond the beginning", BYTES("\x4A\x04\xF2\x8F\x00"), NULL},
    {"byte behind the tail", BYTES(HELLO "\x00\x00\xFF\xFF\xFF"), NULL},
};

struct vector_run {
    const struct vector *vector;
    unsigned bits;
    size_t room;
};

static void run_vector(struct feed *f, void *context)
{
    const struct vector_run *run = context;
    const struct vector *v = run->vector;
    struct inflater *i = inflater_new(run->bits);
    struct buf out = {0};
    unsigned char *piece;
    size_t n;
    int rc = 0;
    char how[32];
    while (rc == 0 && feed_next(f, &piece, &n))
        rc = inflate_some(i, piece, n, run->room, &out);
    if (rc == 0)
        rc = inflate_rest(i, run->room, &out);
    if (rc != (v->text ? 0 : INFLATE_ERR_DATA))
        fail_msg("%s, %s, room for %zu: %d", v->name, feed_how(f, how), run->room, rc);
    if (v->text && (out.len != strlen(v->text) || memcmp(out.data, v->text, out.len) != 0))
        fail_msg("%s, %s: %.*s", v->name, feed_how(f, how), (int)out.len, (char *)out.data);
    /* whatever it was, a new message can follow */
    inflater_reset(i);
    expect_message(i, BYTES(HELLO), "Hello", 5);
    inflater_free(i);
    buf_free(&out);
}

static void test_vectors_in_every_way(void **state)
{
    (void)state;
    static const size_t rooms[] = {1, 2, 3, 5, 6, 16384};
    for (size_t i = 0; i < COUNT(vectors); i++)
        for (size_t r = 0; r < COUNT(rooms); r++)
            for (unsigned bits = DEFLATE_BITS_MIN; bits <= DEFLATE_BITS_MAX; bits += 7) {
                struct vector_run run = {&vectors[i], bits, rooms[r]};
                feed_every_way(vectors[i].bytes, vectors[i].n, run_vector, &run);
            }
}

static void test_windows_of_messages_before(void **state)
{
    (void)state; /* 7.2.3.2: the same bytes twice, and a reference to the first message */
    for (int reset = 0; reset < 2; reset++) {
        struct inflater *i = inflater_new(DEFLATE_BITS_MIN);
        struct buf out = {0};
        expect_message(i, BYTES(HELLO), "Hello", 5);
        expect_message(i, BYTES(HELLO_FINAL), "Hello", 5);
        expect_message(i, BYTES(HELLO_FINAL "\x00"), "Hello", 5);
        expect_message(i, BYTES(""), "", 0);
        expect_message(i, BYTES("\x00"), "", 0);
        expect_message(i, BYTES(HELLO_AGAIN), "Hello", 5);
        if (reset)
            inflater_reset(i);
        assert_int_equal(inflate_message(i, BYTES(HELLO_AGAIN), 100, &out),
                         reset ? INFLATE_ERR_DATA : 0);
        assert_int_equal(out.len, reset ? 1 : 5);
        inflater_free(i);
        buf_free(&out);
    }
}

static void expect_compressed(struct deflater *d, const char *text, const unsigned char *expected,
                              size_t n)
{
    struct buf out = {0};
    assert_true(buf_append_str(&out, "before"));
    assert_true(deflater_message(d, &out, text, strlen(text)));
    assert_int_equal(out.len, 6 + n);
    assert_memory_equal(out.data, "before", 6);
    assert_memory_equal(out.data + 6, expected, n);
    buf_free(&out);
}

static void test_what_is_written_is_what_the_rfc_shows(void **state)
{
    (void)state;
    struct deflater *d = deflater_new(15, 6, true), *alone = deflater_new(15, 6, false);
    expect_compressed(d, "Hello", BYTES(HELLO));
    expect_compressed(d, "Hello", BYTES(HELLO_AGAIN));
    expect_compressed(d, "", BYTES("\x00"));
    deflater_reset(d);
    expect_compressed(d, "Hello", BYTES(HELLO));
    for (int i = 0; i < 3; i++) {
        expect_compressed(alone, "Hello", BYTES(HELLO));
        expect_compressed(alone, "", BYTES("\x00"));
    }
    deflater_free(d);
    deflater_free(alone);
}

/* --- round trips, and windows that are never exceeded ------------------------------------- */

enum sort { OF_ZEROS, OF_TEXT, OF_REPEATS, OF_NOISE, OF_SORTS };

/* Bytes of different kinds; OF_REPEATS repeats a piece of noise at distances around each window's
 * size. */
static void make_data(enum sort sort, unsigned char *out, size_t n, uint64_t *random)
{
    static const char words[] = "the tide comes in on the wire and the wire hums in the tide, ";
    for (size_t i = 0; i < n; i++) {
        uint64_t r = random_next(random);
        out[i] = (unsigned char)r;
        if (sort == OF_ZEROS)
            out[i] = 0;
        else if (sort == OF_TEXT && r % 50)
            out[i] = (unsigned char)words[i % (sizeof words - 1)];
    }
    if (sort != OF_REPEATS)
        return;
    static const size_t distances[] = {240, 250, 251, 256, 257, 300, 511, 512, 1024, 4096, 32768};
    for (size_t at = 40; at < n; at += 40) {
        size_t back = distances[random_next(random) % COUNT(distances)];
        for (size_t i = at; back <= at && i < at + 30 && i < n; i++)
            out[i] = out[i - back];
    }
}

/* An inflater that cannot see further back than its window: zlib judges distances by the window
 * alone when it has room for one byte only. false: a distance was too far. */
static bool decodes_strictly(z_stream *z, const struct buf *message, const unsigned char *expected,
                             size_t n)
{
    struct buf whole = {0};
    assert_true(buf_append(&whole, message->data, message->len) &&
                buf_append(&whole, "\x00\x00\xFF\xFF", 4));
    z->next_in = whole.data;
    z->avail_in = (uInt)whole.len;
    size_t got = 0;
    int rc = Z_OK;
    while (rc == Z_OK) {
        unsigned char byte;
        z->next_out = &byte;
        z->avail_out = 1;
        rc = inflate(z, Z_SYNC_FLUSH);
        if (z->avail_out)
            break;
        assert_true(got < n && byte == expected[got]);
        got++;
    }
    buf_free(&whole);
    return rc != Z_DATA_ERROR && got == n && z->avail_in == 0;
}

static void round_trip(unsigned bits, unsigned level, bool takeover, enum sort sort, size_t n)
{
    uint64_t random = bits * 100 + level;
    struct deflater *d = deflater_new(bits, level, takeover);
    struct inflater *i = inflater_new(bits);
    z_stream strict = {0};
    assert_int_equal(inflateInit2(&strict, -(int)bits), Z_OK);
    unsigned char *data = malloc(n);
    assert_non_null(data);
    for (int message = 0; message < 4; message++) {
        make_data(sort, data, n, &random);
        struct buf packed = {0}, out = {0};
        assert_true(deflater_message(d, &packed, data, n));
        if (!decodes_strictly(&strict, &packed, data, n))
            fail_msg("bits %u, level %u, sort %d: the window is exceeded", bits, level, sort);
        for (size_t at = 0; at < packed.len;) {
            size_t piece = 1 + random_next(&random) % 700, room = 1 + random_next(&random) % 9000;
            piece = piece < packed.len - at ? piece : packed.len - at;
            assert_int_equal(inflate_some(i, packed.data + at, piece, room, &out), 0);
            at += piece;
        }
        assert_int_equal(inflate_rest(i, 1, &out), 0);
        assert_true(out.len == n && memcmp(out.data, data, n) == 0);
        if (!takeover) { /* the reader may empty its window, for nothing refers to it */
            inflater_reset(i);
            inflateReset(&strict);
        }
        buf_free(&packed);
        buf_free(&out);
    }
    free(data);
    inflateEnd(&strict);
    deflater_free(d);
    inflater_free(i);
}

static void test_round_trips_keep_within_each_window(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 100, 5000, 70000};
    for (unsigned bits = DEFLATE_BITS_MIN; bits <= DEFLATE_BITS_MAX; bits++)
        for (unsigned level = DEFLATE_LEVEL_MIN; level <= DEFLATE_LEVEL_MAX; level++)
            for (size_t s = 0; s < COUNT(sizes); s++)
                for (unsigned sort = 0; sort < OF_SORTS; sort++)
                    if (sizes[s] < 10000 || level % 4 == 1)
                        round_trip(bits, level, (s + sort + level) % 2, (enum sort)sort, sizes[s]);
}

static void test_the_check_of_windows_finds_what_exceeds_them(void **state)
{
    (void)state; /* what 2^bits may use is too much for one bit less, in each sort of window but 9,
                    whose distances are within 256 */
    static unsigned char data[70000];
    uint64_t random = 1;
    make_data(OF_REPEATS, data, sizeof data, &random);
    for (unsigned bits = 9; bits <= DEFLATE_BITS_MAX; bits++) {
        struct deflater *d = deflater_new(bits, 9, false);
        struct buf packed = {0};
        z_stream strict = {0};
        assert_int_equal(inflateInit2(&strict, -(int)(bits - 1)), Z_OK);
        assert_true(deflater_message(d, &packed, data, sizeof data));
        assert_int_equal(decodes_strictly(&strict, &packed, data, sizeof data), bits == 9);
        inflateEnd(&strict);
        buf_free(&packed);
        deflater_free(d);
    }
}

static void test_messages_of_many_parts(void **state)
{
    (void)state;
    static const size_t sizes[] = {MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 7};
    uint64_t random = 7;
    unsigned char *data = malloc(3 * MIB + 7);
    assert_non_null(data);
    for (size_t s = 0; s < COUNT(sizes); s++) {
        struct deflater *d = deflater_new(15, 1, s % 2);
        struct inflater *i = inflater_new(15);
        struct buf packed = {0}, out = {0};
        make_data(s % 2 ? OF_NOISE : OF_TEXT, data, sizes[s], &random);
        assert_true(deflater_message(d, &packed, data, sizes[s]));
        assert_int_equal(inflate_message(i, packed.data, packed.len, 4 * MIB, &out), 0);
        assert_true(out.len == sizes[s] && memcmp(out.data, data, sizes[s]) == 0);
        buf_free(&packed);
        buf_free(&out);
        deflater_free(d);
        inflater_free(i);
    }
    free(data);
}

/* --- garbage ------------------------------------------------------------------------------ */

struct outcome {
    struct buf out;
    int rc;
    bool taken;
};

/* The first way is the model for the others. */
static void run_garbage(struct feed *f, void *context)
{
    struct outcome *o = context;
    struct inflater *i = inflater_new(DEFLATE_BITS_MAX);
    struct buf out = {0};
    unsigned char *piece;
    size_t n;
    int rc = 0;
    while (rc == 0 && feed_next(f, &piece, &n))
        rc = inflate_some(i, piece, n, 100, &out);
    if (rc == 0)
        rc = inflate_rest(i, 100, &out);
    inflater_free(i);
    if (o->taken) {
        assert_int_equal(rc, o->rc);
        assert_int_equal(out.len, o->out.len);
        assert_true(out.len == 0 || memcmp(out.data, o->out.data, out.len) == 0);
        buf_free(&out);
        return;
    }
    *o = (struct outcome){out, rc, true};
}

static void test_garbage_gives_the_same_in_every_way(void **state)
{
    (void)state;
    uint64_t random = 1951;
    size_t valid = 0, invalid = 0;
    for (int turn = 0; turn < 600; turn++) {
        unsigned char text[200];
        struct deflater *d = deflater_new(15, 9, false);
        struct buf packed = {0};
        struct outcome o = {0};
        make_data(turn % 2 ? OF_TEXT : OF_NOISE, text, sizeof text, &random);
        assert_true(deflater_message(d, &packed, text, 1 + random_next(&random) % 200));
        for (size_t faults = random_next(&random) % 3; faults; faults--)
            packed.data[random_next(&random) % packed.len] ^=
                (unsigned char)(1U << random_next(&random) % 8);
        if (turn % 5 == 0)
            packed.len -= random_next(&random) % packed.len;
        feed_every_way(packed.data, packed.len, run_garbage, &o);
        *(o.rc ? &invalid : &valid) += 1;
        buf_free(&o.out);
        buf_free(&packed);
        deflater_free(d);
    }
    assert_true(valid > 100 && invalid > 100);
}

/* --- memory ------------------------------------------------------------------------------- */

static void test_held_is_what_is_allocated(void **state)
{
    (void)state;
    for (unsigned bits = DEFLATE_BITS_MIN; bits <= DEFLATE_BITS_MAX; bits++) {
        size_t before = heap_in_use();
        struct deflater *d = deflater_new(bits, 6, true);
        assert_true(!before || heap_in_use() - before == deflater_held(d));
        assert_true(deflater_held(d) <= ((size_t)1 << bits) * 6 + 160000);
        deflater_free(d);
        struct inflater *i = inflater_new(bits);
        assert_true(!before || heap_in_use() - before == inflater_held(i));
        size_t empty = inflater_held(i);
        expect_message(i, BYTES(HELLO), "Hello", 5);
        assert_true(!before || heap_in_use() - before == inflater_held(i));
        assert_int_equal(inflater_held(i) - empty, (size_t)1 << bits); /* the window, when used */
        inflater_free(i);
        assert_true(heap_in_use() == before);
    }
    deflater_free(NULL);
    inflater_free(NULL);
}

static void test_making_one_may_fail(void **state)
{
    (void)state;
    size_t before = heap_in_use(), failing = 0;
    for (bool failed = true; failed; failing++) {
        allocations_fail_after(failing);
        struct deflater *d = deflater_new(15, 6, true);
        failed = allocations_failed() > 0;
        allocations_succeed();
        assert_int_equal(d == NULL, failed);
        deflater_free(d);
        assert_true(heap_in_use() == before);
    }
    assert_true(failing > 4);
    failing = 0;
    for (bool failed = true; failed; failing++) {
        allocations_fail_after(failing);
        struct inflater *i = inflater_new(15);
        failed = allocations_failed() > 0;
        allocations_succeed();
        assert_int_equal(i == NULL, failed);
        inflater_free(i);
        assert_true(heap_in_use() == before);
    }
    assert_true(failing > 2);
}

static void test_a_message_that_failed_leaves_no_trace(void **state)
{
    (void)state; /* the reader never sees it, and understands what comes after it */
    static unsigned char data[3 * 1024 * 1024];
    uint64_t random = 3;
    size_t failing = 0;
    make_data(OF_NOISE, data, sizeof data, &random);
    for (bool failed = true; failed; failing++) {
        struct deflater *d = deflater_new(15, 1, true);
        struct inflater *i = inflater_new(15);
        struct buf out = {0};
        assert_true(deflater_message(d, &out, "Hello", 5));
        expect_message(i, out.data, out.len, "Hello", 5);
        size_t before = out.len;
        allocations_fail_after(failing);
        bool ok = deflater_message(d, &out, data, sizeof data);
        failed = allocations_failed() > 0;
        allocations_succeed();
        assert_int_equal(ok, !failed);
        assert_true(ok || out.len == before);
        if (ok)
            expect_message(i, out.data + before, out.len - before, data, sizeof data);
        out.len = 0;
        const unsigned char *end = data + sizeof data - 1000;
        assert_true(deflater_message(d, &out, end, 1000));
        assert_int_equal(out.len > 1000, failed); /* or it refers to the one before */
        expect_message(i, out.data, out.len, end, 1000);
        buf_free(&out);
        deflater_free(d);
        inflater_free(i);
    }
    assert_true(failing > 5);
    struct deflater *d = deflater_new(15, 1, true);
    struct buf out = {0};
    allocations_fail_after(0);
    assert_false(deflater_message(d, &out, "", 0));
    allocations_succeed();
    assert_int_equal(out.len, 0);
    deflater_free(d);
}

static void test_memory_for_the_window_may_be_missing(void **state)
{
    (void)state;
    struct inflater *i = inflater_new(15);
    struct buf out = {0};
    assert_true(buf_reserve(&out, 100));
    allocations_fail_after(0);
    assert_int_equal(inflate_some(i, BYTES(HELLO), 10, &out), INFLATE_ERR_MEMORY);
    assert_true(allocations_failed() > 0);
    allocations_succeed();
    inflater_reset(i);
    expect_message(i, BYTES(HELLO), "Hello", 5);
    inflater_free(i);
    buf_free(&out);
}

/* --- connections -------------------------------------------------------------------------- */

static const struct deflate_settings settings = DEFLATE_SETTINGS_DEFAULT;

static struct deflate *make(struct deflate_pool *pool, bool server, bool server_takeover,
                            bool client_takeover)
{
    struct deflate_params agreed = {server_takeover, client_takeover, 12, 10};
    struct deflate *d = deflate_new(pool, &agreed, server, &settings);
    assert_non_null(d);
    return d;
}

static void test_short_messages_are_sent_plain(void **state)
{
    (void)state;
    struct deflate_pool pool = {0};
    struct deflate *d = make(&pool, true, false, false);
    assert_false(deflate_wants(d, 0));
    assert_false(deflate_wants(d, settings.min_size - 1));
    assert_true(deflate_wants(d, settings.min_size));
    assert_true(deflate_wants(d, SIZE_MAX));
    assert_false(deflate_wants(NULL, 1000));
    deflate_free(d);
    deflate_free(NULL);
    deflate_pool_free(&pool);
}

static void test_roles_use_their_own_windows(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 8; way++) {
        bool server = way & 1, server_takeover = way & 2, client_takeover = way & 4;
        struct deflate_pool pool = {0};
        struct deflate *d = make(&pool, server, server_takeover, client_takeover);
        unsigned bits = 0, level = 0;
        assert_int_equal(deflate_is_shared(d, &bits, &level),
                         !(server ? server_takeover : client_takeover));
        assert_int_equal(bits, server ? 12 : 10);
        assert_int_equal(level, settings.level);
        /* ours to the peer's, once with a window from before */
        struct deflate *peer = make(&pool, !server, server_takeover, client_takeover);
        for (int i = 0; i < 2; i++) {
            struct buf out = {0};
            bool kept = server ? server_takeover : client_takeover;
            assert_true(deflater_message(deflate_deflater(d), &out, "Hello", 5));
            assert_int_equal(out.len, i && kept ? 5 : 7);
            expect_message(deflate_inflater(peer), out.data, out.len, "Hello", 5);
            assert_ptr_equal(deflate_inflater(peer), deflate_inflater(peer));
            deflate_release(peer);
            assert_int_equal(deflate_borrowed(peer), 0);
            buf_free(&out);
        }
        deflate_free(d);
        deflate_free(peer);
        deflate_pool_free(&pool);
    }
}

static void test_without_takeover_nothing_is_held_between_messages(void **state)
{
    (void)state;
    size_t before = heap_in_use();
    struct deflate_pool pool = {0};
    struct deflate *one = make(&pool, true, false, false), *two = make(&pool, true, false, false);
    assert_ptr_equal(deflate_deflater(one), deflate_deflater(two));
    assert_ptr_equal(deflate_deflater(one), deflate_pool_deflater(&pool, 12, settings.level));
    assert_ptr_not_equal(deflate_pool_deflater(&pool, 12, 1), deflate_pool_deflater(&pool, 8, 1));
    assert_true(deflate_held(one) <= 48);
    assert_int_equal(deflate_borrowed(one), 0);
    struct inflater *i = deflate_inflater(one);
    assert_true(deflate_borrowed(one) == inflater_held(i) && inflater_held(i) > 1000);
    assert_ptr_not_equal(deflate_inflater(two), i); /* two messages at once */
    deflate_release(one);
    deflate_release(one);
    deflate_release(two);
    assert_int_equal(pool.idle_count, 2);
    assert_int_equal(deflate_borrowed(one) + deflate_borrowed(two), 0);
    assert_true(deflate_held(one) <= 48);
    size_t own = deflate_held(one) + deflate_held(two), pooled = deflate_pool_held(&pool);
    assert_true(pooled > 2 * inflater_held(i));
    assert_true(!before || heap_in_use() - before == own + pooled);
    deflate_free(one);
    deflate_free(two);
    assert_true(!before || heap_in_use() - before == pooled);
    deflate_pool_free(&pool);
    assert_true(heap_in_use() == before);
    assert_int_equal(deflate_pool_held(&pool), 0);
}

static void test_with_takeover_windows_are_held(void **state)
{
    (void)state;
    size_t before = heap_in_use();
    struct deflate_pool pool = {0};
    struct deflate *d = make(&pool, true, true, true);
    assert_true(deflate_held(d) <= 48); /* from the first message on */
    size_t least = deflate_held(d);
    struct deflater *deflater = deflate_deflater(d);
    assert_ptr_equal(deflate_deflater(d), deflater);
    assert_int_equal(deflate_held(d), least + deflater_held(deflater));
    struct inflater *i = deflate_inflater(d);
    expect_message(i, BYTES(HELLO), "Hello", 5);
    deflate_release(d);
    assert_ptr_equal(deflate_inflater(d), i);
    expect_message(i, BYTES(HELLO_AGAIN), "Hello", 5);
    assert_int_equal(deflate_held(d), least + deflater_held(deflater) + inflater_held(i));
    assert_int_equal(deflate_borrowed(d), 0);
    assert_int_equal(deflate_pool_held(&pool), 0);
    deflate_free(d);
    assert_true(heap_in_use() == before);
}

static void test_nothing_of_a_message_is_seen_by_the_next_borrower(void **state)
{
    (void)state;
    struct deflate_pool pool = {0};
    struct deflate *one = make(&pool, true, false, false), *two = make(&pool, true, false, false);
    /* whole, cut in the middle, and in error */
    static const char *const messages[] = {HELLO, "\xF2\x48\xCD", HELLO_FINAL "\x07"};
    for (size_t m = 0; m < COUNT(messages); m++) {
        struct buf out = {0};
        struct inflater *i = deflate_inflater(one);
        inflate_some(i, (const unsigned char *)messages[m], strlen(messages[m]), 100, &out);
        deflate_release(one);
        assert_ptr_equal(deflate_inflater(two), i);
        out.len = 0;
        assert_int_equal(inflate_message(i, BYTES(HELLO_AGAIN), 100, &out), INFLATE_ERR_DATA);
        assert_int_equal(out.len, 1); /* the one that is no reference */
        deflate_release(two);
        expect_message(deflate_inflater(two), BYTES(HELLO), "Hello", 5);
        deflate_release(two);
        buf_free(&out);
    }
    deflate_free(one);
    deflate_free(two);
    deflate_pool_free(&pool);
}

static void test_few_idle_inflaters_are_kept(void **state)
{
    (void)state;
    struct deflate_pool pool = {0};
    struct deflate *d[3 * DEFLATE_POOL_IDLE];
    for (size_t i = 0; i < COUNT(d); i++) {
        d[i] = make(&pool, true, false, false);
        assert_non_null(deflate_inflater(d[i]));
    }
    for (size_t i = 0; i < COUNT(d); i++)
        deflate_free(d[i]); /* in the middle of a message */
    assert_int_equal(pool.idle_count, DEFLATE_POOL_IDLE);
    deflate_pool_free(&pool);
    assert_int_equal(pool.idle_count, 0);
}

static void test_a_connection_may_lack_memory(void **state)
{
    (void)state;
    for (unsigned takeover = 0; takeover < 2; takeover++) {
        struct deflate_pool pool = {0};
        struct deflate_params agreed = {takeover, takeover, 15, 15};
        allocations_fail_after(0);
        assert_null(deflate_new(&pool, &agreed, true, &settings));
        allocations_succeed();
        struct deflate *d = make(&pool, true, takeover, takeover);
        allocations_fail_after(0);
        assert_null(deflate_deflater(d));
        assert_null(deflate_inflater(d));
        deflate_release(d);
        allocations_succeed();
        assert_non_null(deflate_deflater(d));
        assert_non_null(deflate_inflater(d));
        deflate_free(d);
        deflate_pool_free(&pool);
    }
}

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
        TEST(test_vectors_in_every_way),
        TEST(test_windows_of_messages_before),
        TEST(test_what_is_written_is_what_the_rfc_shows),
        TEST(test_round_trips_keep_within_each_window),
        TEST(test_the_check_of_windows_finds_what_exceeds_them),
        TEST(test_messages_of_many_parts),
        TEST(test_garbage_gives_the_same_in_every_way),
        TEST(test_held_is_what_is_allocated),
        TEST(test_making_one_may_fail),
        TEST(test_a_message_that_failed_leaves_no_trace),
        TEST(test_memory_for_the_window_may_be_missing),
        TEST(test_short_messages_are_sent_plain),
        TEST(test_roles_use_their_own_windows),
        TEST(test_without_takeover_nothing_is_held_between_messages),
        TEST(test_with_takeover_windows_are_held),
        TEST(test_nothing_of_a_message_is_seen_by_the_next_borrower),
        TEST(test_few_idle_inflaters_are_kept),
        TEST(test_a_connection_may_lack_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
