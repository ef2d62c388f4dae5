/* wire/session: random conversations between the two roles, and random garbage, cut at random;
 * both with permessage-deflate too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session_log.h"
#include "wire/deflate.h"
#include "wire/mask.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define PAYLOAD 70000

static const struct session_limits limits = {.message = 1 << 20, .fragments = 1024};

struct talker {
    uint64_t random;
    struct deflate_params agreed;
    struct deflate_pool pool;
    struct deflate *deflate; /* of the writer; NULL: not agreed */
    enum session_role role;  /* of the reader */
    struct buf wire;         /* what the writer sent */
    struct buf log;          /* the events it has to cause */
    unsigned char *bytes;    /* some payload: "aé€..." again and again */
};

static size_t pick(struct talker *t, size_t below)
{
    return (size_t)(random_next(&t->random) % below);
}

static const unsigned char *fresh_key(struct talker *t, unsigned char out[4])
{
    uint64_t random = random_next(&t->random);
    memcpy(out, &random, 4);
    return t->role == SESSION_SERVER ? out : NULL;
}

static void say_control(struct talker *t)
{
    unsigned char mask[4];
    size_t n = pick(t, 126);
    bool ping = pick(t, 2);
    note(&t->log, ping ? "ping" : "pong", t->bytes, n);
    assert_true((ping ? session_write_ping : session_write_pong)(&t->wire, t->bytes, n,
                                                                 fresh_key(t, mask)));
}

static void say_fragments(struct talker *t, enum frame_opcode kind, uint8_t rsv,
                          const unsigned char *data, size_t n)
{
    for (bool fin = false, first = true; !fin; first = false) {
        unsigned char head[FRAME_HEADER_MAX], mask[4];
        const unsigned char *masking = fresh_key(t, mask);
        size_t part = pick(t, n + 1);
        fin = part == n || pick(t, 4) == 0;
        part = fin ? n : part;
        size_t size = frame_write_header(head, fin, first ? rsv : 0,
                                         first ? kind : FRAME_CONTINUATION, part, masking);
        assert_true(buf_append(&t->wire, head, size) && buf_append(&t->wire, data, part));
        if (masking)
            mask_apply(t->wire.data + t->wire.len - part, part, mask, 0);
        data += part;
        n -= part;
        if (!fin && pick(t, 2))
            say_control(t);
    }
}

static void say_plain(struct talker *t, enum frame_opcode kind, const unsigned char *data, size_t n)
{
    unsigned char mask[4];
    if (pick(t, 2))
        assert_true(session_write_message(&t->wire, kind, data, n, fresh_key(t, mask)));
    else
        say_fragments(t, kind, 0, data, n);
}

static void say_compressed(struct talker *t, enum frame_opcode kind, const unsigned char *data,
                           size_t n)
{
    unsigned char mask[4];
    struct deflater *d = deflate_deflater(t->deflate);
    assert_non_null(d);
    if (pick(t, 2)) {
        assert_true(session_write_compressed(&t->wire, d, kind, data, n, fresh_key(t, mask)));
        return;
    }
    struct buf packed = {0};
    assert_true(deflater_message(d, &packed, data, n));
    say_fragments(t, kind, FRAME_RSV1, packed.data, packed.len);
    buf_free(&packed);
}

static void say_message(struct talker *t)
{
    static const size_t sizes[] = {1, 20, 130, 300, 5000, 70000};
    static const char *const kinds[] = {"text", "binary"};
    bool binary = pick(t, 2);
    enum frame_opcode kind = binary ? FRAME_BINARY : FRAME_TEXT;
    size_t n = pick(t, sizes[pick(t, COUNT(sizes))]) / 10 * 10; /* whole code points */
    const unsigned char *data = t->bytes + pick(t, (PAYLOAD - n) / 10) * 10;
    struct buf message_log = {0};
    note(&message_log, kinds[binary], data, n);
    if (t->deflate && pick(t, 3))
        say_compressed(t, kind, data, n);
    else
        say_plain(t, kind, data, n);
    assert_true(buf_append(&t->log, message_log.data, message_log.len));
    buf_free(&message_log);
}

static void use_deflate(struct talker *t, unsigned windows)
{
    static const struct deflate_settings settings = DEFLATE_SETTINGS_DEFAULT;
    t->agreed = (struct deflate_params){windows & 1, windows & 2, (uint8_t)(8 + windows % 8),
                                        (uint8_t)(15 - windows % 8)};
    t->deflate = deflate_new(&t->pool, &t->agreed, t->role != SESSION_SERVER, &settings);
    assert_non_null(t->deflate);
}

static void agree(struct talker *t, struct session *s)
{
    static const struct deflate_settings settings = DEFLATE_SETTINGS_DEFAULT;
    struct deflate *d = deflate_new(&t->pool, &t->agreed, t->role == SESSION_SERVER, &settings);
    assert_non_null(d);
    session_use_deflate(s, d);
}

/* Reads all in random pieces; now and then stops behind an event, as an owner that is busy. */
static void listen_in_pieces(struct talker *t, struct buf *log)
{
    struct session s;
    session_init(&s, t->role, &limits);
    if (t->deflate)
        agree(t, &s);
    for (size_t at = 0; at < t->wire.len;) {
        struct session_event e;
        int rc;
        size_t n = 1 + pick(t, pick(t, 20) ? 200 : 100000), unread = 0;
        n = n < t->wire.len - at ? n : t->wire.len - at;
        unsigned char *piece = guard_copy(t->wire.data + at, n);
        session_feed(&s, piece, n);
        while ((rc = session_next(&s, &e)) == SESSION_EVENT) {
            note_event(log, &e);
            if (pick(t, 4) == 0) {
                session_take_unread(&s, &unread);
                break;
            }
        }
        assert_true(rc >= 0);
        guard_free(piece, n);
        at += n - unread;
    }
    assert_true(is_idle(&s));
    session_free(&s);
}

static void test_conversations_in_both_roles(void **state)
{
    (void)state;
    static const char *const some[] = {/* 10 bytes each */
                                       "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8C\x8A", "0123456789",
                                       "tide\xC3\xA9wire", "\xE2\x82\xAC\xE2\x82\xAC\xC3\xA9-\n"};
    static unsigned char bytes[PAYLOAD];
    uint64_t random = 1;
    for (size_t i = 0; i < sizeof bytes; i += 10)
        memcpy(bytes + i, some[random_next(&random) % COUNT(some)], 10);
    for (uint64_t seed = 0; seed < 36; seed++) {
        struct talker t = {
            .random = seed,
            .role = seed % 2 ? SESSION_CLIENT : SESSION_SERVER,
            .bytes = bytes,
        };
        unsigned char mask[4];
        if (seed >= 4)
            use_deflate(&t, (unsigned)(seed / 2));
        for (size_t turn = 0; turn < 60; turn++)
            pick(&t, 4) ? say_message(&t) : say_control(&t);
        assert_true(session_write_close(&t.wire, 1000, "bye", 3, fresh_key(&t, mask)));
        note(&t.log, "close 1000", (const unsigned char *)"bye", 3);
        struct buf log = {0};
        listen_in_pieces(&t, &log);
        assert_log(&log, (const char *)t.log.data, t.log.len, "conversation");
        deflate_free(t.deflate);
        deflate_pool_free(&t.pool);
        buf_free(&t.log);
        buf_free(&t.wire);
    }
}

/* DEFLATE data, whole and in parts. */
static const struct {
    const char *bytes;
    size_t n;
} packed[] = {
    {"\xF2\x48\xCD\xC9\xC9\x07\x00", 7}, /* Hello */
    {"\xF3\x48\xCD\xC9\xC9\x07\x00", 7}, /* with BFINAL */
    {"\xF2\x00\x11\x00\x00", 5},         /* refers to what was before */
    {"\x00\x01\x00\xFE\xFFx", 6},        /* as it is */
    {"\xF2\x48\xCD", 3},
    {"\xC9\xC9\x07\x00", 4},
    {"\x00", 1},
    {"", 0},
};

static size_t write_payload(uint64_t *random, unsigned char *out, bool compressed)
{
    size_t n = random_next(random) % 9;
    if (compressed) {
        size_t i = random_next(random) % COUNT(packed);
        memcpy(out, packed[i].bytes, packed[i].n);
        return packed[i].n;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)(random_next(random) % 8 ? 'a' : random_next(random));
    return n;
}

/* Frames that are wrong now and then, in every respect. */
static size_t write_garbage(uint64_t *random, unsigned char *out, size_t frames, bool deflate)
{
    /* text and binary, whole and begun; continuations more often, so that messages end; controls */
    static const unsigned char firsts[] = {0x81, 0x01, 0x82, 0x02, 0x00,
                                           0x00, 0x80, 0x80, 0x89, 0x8A};
    bool compressed = false; /* the message under way */
    size_t n = 0;
    for (size_t i = 0; i < frames; i++) {
        unsigned char first = firsts[random_next(random) % sizeof firsts];
        bool control = first >= 0x88, begins = !control && first & 3;
        if (begins)
            compressed = deflate && random_next(random) % 4;
        out[n] = (unsigned char)(first | (begins && compressed ? FRAME_RSV1 : 0));
        size_t payload = write_payload(random, out + n + 2, compressed && !control);
        out[n + 1] = (unsigned char)payload;
        n += 2 + payload;
    }
    for (size_t faults = n && random_next(random) % 2; faults; faults--)
        out[random_next(random) % n] = (unsigned char)random_next(random);
    return n;
}

struct transcript {
    struct talker *deflate; /* what is agreed; NULL: nothing */
    struct buf log;
    bool taken;
};

/* The first way is the model for the others. */
static void run_garbage(struct feed *f, void *context)
{
    struct transcript *t = context;
    struct session s;
    struct buf log = {0};
    unsigned char *piece;
    size_t n;
    session_init(&s, SESSION_CLIENT, &limits);
    if (t->deflate)
        agree(t->deflate, &s);
    while (feed_next(f, &piece, &n)) {
        int rc = feed(&s, piece, n, &log);
        if (rc < 0)
            assert_true(buf_printf(&log, "error %d", rc));
    }
    assert_true(buf_printf(&log, is_idle(&s) ? ", idle" : ", under way"));
    session_free(&s);
    if (t->taken) {
        assert_log(&log, (char *)t->log.data, t->log.len, "garbage in pieces");
    } else {
        t->log = log;
        t->taken = true;
    }
}

static void test_garbage_gives_the_same_events_in_every_way(void **state)
{
    (void)state;
    uint64_t random = 6455;
    for (size_t turn = 0; turn < 500; turn++) {
        unsigned char bytes[200];
        struct transcript t = {0};
        size_t n = write_garbage(&random, bytes, 1 + random_next(&random) % 10, false);
        feed_every_way(bytes, n, run_garbage, &t);
        buf_free(&t.log);
    }
}

static void test_compressed_garbage_does_too(void **state)
{
    (void)state;
    uint64_t random = 7692;
    struct talker talker = {0};
    size_t inflated = 0, in_error = 0;
    for (size_t turn = 0; turn < 1000; turn++) {
        unsigned char bytes[200];
        struct transcript t = {.deflate = &talker};
        talker.agreed = (struct deflate_params){turn % 2, turn % 2, 15, 15};
        size_t n = write_garbage(&random, bytes, 1 + random_next(&random) % 10, true);
        feed_every_way(bytes, n, run_garbage, &t);
        inflated += memmem(t.log.data, t.log.len, "Hello", 5) != NULL;
        in_error += memmem(t.log.data, t.log.len, "error -33", 9) != NULL;
        buf_free(&t.log);
    }
    assert_true(inflated > 40 && in_error > 100);
    deflate_pool_free(&talker.pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversations_in_both_roles),
        cmocka_unit_test(test_garbage_gives_the_same_events_in_every_way),
        cmocka_unit_test(test_compressed_garbage_does_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
