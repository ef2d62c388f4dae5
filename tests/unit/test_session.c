/* wire/session in both roles: the vectors of session_vectors.h cut in every way, all lengths and
 * limits, memory, and what is written. test_session_talk.c lets the two roles talk at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session_log.h"
#include "session_vectors.h"
#include "wire/deflate.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MIB ((size_t)1 << 20)

static const unsigned char key[4] = {0x37, 0xFA, 0x21, 0x3D};
static const struct session_limits roomy = {.message = 16 * MIB, .fragments = 1024};

/* Bytes allocated and not freed. Only AddressSanitizer counts them exactly; without it, 0. (The
 * function is its own; gcc has no header for it.) */
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

/* --- vectors ------------------------------------------------------------------------------ */

static void write_part(struct buf *wire, const struct part *p, const unsigned char *mask)
{
    unsigned char head[16] = {p->first};
    size_t size = 2;
    size_t form = p->form != AUTO ? (size_t)p->form : p->n < 126 ? p->n : 126;
    head[1] = (unsigned char)(form | (mask ? 0x80 : 0));
    if (p->form == AUTO && form == 126) {
        head[size++] = (unsigned char)(p->n >> 8);
        head[size++] = (unsigned char)p->n;
    }
    memcpy(head + size, p->extended, p->extended_len);
    size += p->extended_len;
    assert_true(buf_append(wire, head, size));
    if (mask)
        assert_true(buf_append(wire, mask, 4));
    for (size_t i = 0; i < p->n; i++) {
        unsigned char byte = (unsigned char)(p->payload[i] ^ (mask ? mask[i % 4] : 0));
        assert_true(buf_append(wire, &byte, 1));
    }
}

/* After an error or a Close, whatever comes is ignored and nothing is held. */
static void assert_over(struct session *s)
{
    static const char *const later[] = {"",          "\x81\x81\x37\xFA\x21", "\x3D\x76",
                                        "\x81\x01x", "\xFF\xFF\xFF\xFF",     "\x88"};
    struct buf log = {0};
    for (size_t i = 0; i < COUNT(later); i++)
        assert_int_equal(feed_copy(s, later[i], strlen(later[i]), &log), SESSION_MORE);
    assert_int_equal(log.len, 0);
    assert_true(is_idle(s));
    assert_null(s->assembly);
}

struct vector_run {
    const struct vector *vector;
    enum session_role role;
    enum mode mode;
    struct deflate_pool *pool;
};

/* Windows of 8 bits are enough for the vectors. */
static void use_deflate(struct session *s, const struct vector_run *run)
{
    static const struct deflate_settings settings = DEFLATE_SETTINGS_DEFAULT;
    bool takeover = run->mode == MODE_TAKEOVER;
    struct deflate_params agreed = {takeover, takeover, 8, 8};
    struct deflate *d = deflate_new(run->pool, &agreed, run->role == SESSION_SERVER, &settings);
    assert_non_null(d);
    session_use_deflate(s, d);
}

static void run_vector(struct feed *f, void *context)
{
    const struct vector_run *run = context;
    const struct vector *v = run->vector;
    char how[32], where[120];
    snprintf(where, sizeof where, "%s to a %s, mode %d, %s", v->name,
             run->role == SESSION_SERVER ? "server" : "client", run->mode, feed_how(f, how));
    struct session_limits limits = {
        .message = v->limits.message ? v->limits.message : roomy.message,
        .fragments = v->limits.fragments ? v->limits.fragments : roomy.fragments,
    };
    struct session s;
    session_init(&s, run->role, &limits);
    if (run->mode != MODE_PLAIN)
        use_deflate(&s, run);
    struct buf log = {0};
    unsigned char *piece;
    size_t n;
    int rc = SESSION_MORE, error = 0;
    while (feed_next(f, &piece, &n)) {
        rc = feed(&s, piece, n, &log);
        if (rc < 0 && error)
            fail_msg("%s: error %d after error %d", where, rc, error);
        error = rc < 0 ? rc : error;
    }
    if (error != v->error)
        fail_msg("%s: error %d instead of %d", where, error, v->error);
    assert_log(&log, v->events, strlen(v->events), where);
    if (is_idle(&s) == v->unfinished)
        fail_msg("%s: idle is %d", where, !v->unfinished);
    if (!v->unfinished && session_held(&s))
        fail_msg("%s: holds memory between messages", where);
    if (v->error || strstr(v->events, "close "))
        assert_over(&s);
    session_free(&s);
}

static void give_vector(const struct vector *v, enum session_role role, enum mode mode,
                        struct deflate_pool *pool)
{
    struct vector_run run = {v, role, mode, pool};
    struct buf wire = {0};
    if (v->modes && !(v->modes & mode))
        return;
    for (const struct part *p = v->parts; p->payload; p++)
        write_part(&wire, p, role == SESSION_SERVER ? key : NULL);
    feed_every_way(wire.data, wire.len, run_vector, &run);
    buf_free(&wire);
}

static void test_vectors_in_every_way(void **state)
{
    (void)state;
    struct deflate_pool pool = {0};
    for (size_t i = 0; i < COUNT(vectors); i++)
        for (unsigned mode = MODE_PLAIN; mode <= MODE_TAKEOVER; mode *= 2) {
            give_vector(&vectors[i], SESSION_SERVER, (enum mode)mode, &pool);
            give_vector(&vectors[i], SESSION_CLIENT, (enum mode)mode, &pool);
        }
    deflate_pool_free(&pool);
}

/* --- lengths, masking and close codes: told from the header ------------------------------- */

static const uint64_t lengths[] = {
    0,
    1,
    125,
    126,
    65535,
    65536,
    (UINT64_C(1) << 31) - 1,
    UINT64_C(1) << 31,
    (UINT64_C(1) << 31) + 1,
    (UINT64_C(1) << 32) - 1,
    UINT64_C(1) << 32,
    (UINT64_C(1) << 32) + 1,
    (UINT64_C(1) << 63) - 1,
    UINT64_C(1) << 63,
    UINT64_MAX,
};

/* What a first frame of this header has to answer while its payload is still to come. */
static int expect_of_header(unsigned opcode, uint64_t length, bool mask_is_right, uint64_t limit)
{
    bool control = opcode >= 8;
    if (opcode > 10 || (opcode > 2 && opcode < 8))
        return FRAME_ERR_OPCODE;
    if (control && length > 125)
        return FRAME_ERR_CONTROL_LENGTH;
    if (length > INT64_MAX)
        return FRAME_ERR_LENGTH_SIGN;
    if (!mask_is_right)
        return SESSION_ERR_MASK;
    if (opcode == 0)
        return SESSION_ERR_CONTINUATION;
    return !control && length > limit ? SESSION_ERR_TOO_BIG : SESSION_MORE;
}

static void check_header(enum session_role role, unsigned opcode, bool masked, uint64_t length,
                         uint64_t limit)
{
    unsigned char head[FRAME_HEADER_MAX];
    size_t n =
        frame_write_header(head, true, 0, (enum frame_opcode)opcode, length, masked ? key : NULL);
    int expected = expect_of_header(opcode, length, masked == (role == SESSION_SERVER), limit);
    struct session_limits limits = {.message = limit, .fragments = 1};
    struct session s;
    struct buf log = {0};
    session_init(&s, role, &limits);
    if (length ==
        0) /* its event would allocate in the log; here it counts that there is no error */
        assert_true(buf_reserve(&log, 100));
    allocations_fail_after(0);
    int rc = feed_copy(&s, head, n, &log);
    allocations_succeed();
    if (rc != expected || allocations_failed())
        fail_msg("role %d, opcode %u, masked %d, length %#jx, limit %#jx: %d instead of %d, "
                 "%zu allocations",
                 role, opcode, masked, (uintmax_t)length, (uintmax_t)limit, rc, expected,
                 allocations_failed());
    session_free(&s);
    buf_free(&log);
}

static void test_every_length_opcode_and_masking(void **state)
{
    (void)state;
    static const uint64_t limits[] = {0,         125,       65535, 65536, UINT64_C(1) << 32,
                                      INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < COUNT(lengths); i++)
        for (unsigned opcode = 0; opcode < 16; opcode++)
            for (size_t l = 0; l < COUNT(limits); l++)
                for (unsigned way = 0; way < 4; way++)
                    check_header(way & 1 ? SESSION_SERVER : SESSION_CLIENT, opcode, way & 2,
                                 lengths[i], limits[l]);
}

/* Ten bytes have arrived; what may a further fragment declare? */
static int continue_with(uint64_t length, uint64_t limit)
{
    unsigned char head[FRAME_HEADER_MAX];
    struct session_limits limits = roomy;
    struct session s;
    struct buf log = {0};
    session_init(&s, SESSION_CLIENT, &limits);
    assert_int_equal(feed_copy(&s,
                               "\x02\x0A"
                               "0123456789",
                               12, &log),
                     SESSION_MORE);
    limits.message = limit;
    size_t n = frame_write_header(head, false, 0, FRAME_CONTINUATION, length, NULL);
    int rc = feed_copy(&s, head, n, &log);
    session_free(&s);
    return rc;
}

static void test_sums_of_lengths_do_not_overflow(void **state)
{
    (void)state;
    assert_int_equal(continue_with(5, 15), SESSION_MORE);
    assert_int_equal(continue_with(6, 15), SESSION_ERR_TOO_BIG);
    assert_int_equal(continue_with(UINT32_MAX, UINT32_MAX), SESSION_ERR_TOO_BIG);
    assert_int_equal(continue_with(UINT32_MAX - 9, UINT32_MAX), SESSION_ERR_TOO_BIG);
    assert_int_equal(continue_with(UINT32_MAX - 10, UINT32_MAX), SESSION_MORE);
    assert_int_equal(continue_with(INT64_MAX, INT64_MAX), SESSION_ERR_TOO_BIG);
    assert_int_equal(continue_with(INT64_MAX, UINT64_MAX), SESSION_MORE);
}

static void test_limits_exchanged_in_a_message_hold_at_once(void **state)
{
    (void)state;
    assert_int_equal(continue_with(0, 10), SESSION_MORE);
    assert_int_equal(continue_with(0, 9), SESSION_ERR_TOO_BIG);
    assert_int_equal(continue_with(1, 0), SESSION_ERR_TOO_BIG);
}

/* RFC 6455 section 7.4 and the IANA registry. */
static bool code_is_allowed(unsigned code)
{
    static const unsigned registered[] = {1000, 1001, 1002, 1003, 1007, 1008,
                                          1009, 1010, 1011, 1012, 1013, 1014};
    for (size_t i = 0; i < COUNT(registered); i++)
        if (code == registered[i])
            return true;
    return code / 1000 == 3 || code / 1000 == 4;
}

static void test_all_close_codes(void **state)
{
    (void)state;
    for (unsigned code = 0; code <= 0xFFFF; code++) {
        unsigned char bytes[] = {CLOSE, 2, (unsigned char)(code >> 8), (unsigned char)code};
        struct session s;
        struct session_event e;
        session_init(&s, SESSION_CLIENT, &roomy);
        session_feed(&s, bytes, sizeof bytes);
        int rc = session_next(&s, &e);
        if (rc != (code_is_allowed(code) ? SESSION_EVENT : SESSION_ERR_CLOSE_CODE))
            fail_msg("code %u: %d", code, rc);
        if (session_close_code_valid(code) != code_is_allowed(code))
            fail_msg("code %u", code);
        session_free(&s);
    }
    assert_false(session_close_code_valid(0x10000 + 1000));
}

static void test_a_fault_is_found_anywhere_in_a_long_text(void **state)
{
    (void)state;
    static const size_t places[] = {0, 1, 4095, 4096, 8191, 8192, 8193, 16384, 19998, 19999, 20000};
    char text[20000];
    for (size_t i = 0; i < COUNT(places); i++) {
        struct session s;
        struct buf wire = {0}, log = {0};
        memset(text, 'a', sizeof text);
        if (places[i] < sizeof text) /* the last place stands for no fault at all */
            text[places[i]] = '\x80';
        assert_true(session_write_message(&wire, FRAME_TEXT, text, sizeof text, key));
        session_init(&s, SESSION_SERVER, &roomy);
        int rc = feed_copy(&s, wire.data, wire.len, &log);
        assert_int_equal(rc, places[i] < sizeof text ? SESSION_ERR_UTF8 : SESSION_MORE);
        assert_int_equal(log.len > 0, rc == SESSION_MORE);
        session_free(&s);
        buf_free(&wire);
        buf_free(&log);
    }
}

/* --- memory ------------------------------------------------------------------------------- */

static void test_an_idle_session_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct session) <= 96);
}

/* Feeds one piece that completes one event; nothing may be allocated, the payload stays where it
 * is: `offset` bytes from the piece's beginning. */
static void expect_in_place(struct session *s, const void *bytes, size_t n, size_t offset,
                            const char *payload)
{
    struct session_event e;
    unsigned char *piece = guard_copy(bytes, n);
    allocations_fail_after(0);
    session_feed(s, piece, n);
    assert_int_equal(session_next(s, &e), SESSION_EVENT);
    assert_ptr_equal(e.data, piece + offset);
    assert_int_equal(e.len, strlen(payload));
    assert_memory_equal(e.data, payload, e.len);
    assert_int_equal(session_next(s, &e), SESSION_MORE);
    assert_int_equal(allocations_failed(), 0);
    allocations_succeed();
    assert_null(s->assembly);
    guard_free(piece, n);
}

static void test_what_arrives_whole_stays_in_place(void **state)
{
    (void)state;
    struct session s;
    struct buf log = {0};
    session_init(&s, SESSION_SERVER, &roomy);
    expect_in_place(&s, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11, 6, "Hello");
    expect_in_place(&s, "\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11, 6, "Hello");
    expect_in_place(&s, "\x82\x80\x37\xfa\x21\x3d", 6, 6, "");
    /* the header in an earlier feed, or only empty fragments before */
    assert_int_equal(feed_copy(&s, "\x81\x85\x37\xfa\x21\x3d", 6, &log), SESSION_MORE);
    expect_in_place(&s, "\x7f\x9f\x4d\x51\x58", 5, 0, "Hello");
    assert_int_equal(feed_copy(&s, "\x81\x85\x37", 3, &log), SESSION_MORE);
    expect_in_place(&s, "\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 8, 3, "Hello");
    assert_int_equal(feed_copy(&s, "\x01\x80\x37\xfa\x21\x3d", 6, &log), SESSION_MORE);
    expect_in_place(&s, "\x80\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11, 6, "Hello");
    session_free(&s);
    session_init(&s, SESSION_CLIENT, &roomy);
    expect_in_place(&s, "\x81\x05Hello", 7, 2, "Hello");
    session_free(&s);
}

static void test_memory_follows_what_arrived_not_what_was_declared(void **state)
{
    (void)state;
    static const struct session_limits endless = {.message = UINT64_MAX, .fragments = 1};
    unsigned char head[FRAME_HEADER_MAX], payload[1000];
    memset(payload, 'p', sizeof payload);
    struct session s;
    struct buf log = {0};
    size_t before = heap_in_use();
    session_init(&s, SESSION_CLIENT, &endless);
    size_t n = frame_write_header(head, true, 0, FRAME_BINARY, INT64_MAX, NULL);
    assert_int_equal(feed(&s, head, n, &log), SESSION_MORE);
    assert_true(heap_in_use() == before);
    for (size_t arrived = sizeof payload; arrived < 200 * sizeof payload;
         arrived += sizeof payload) {
        assert_int_equal(feed(&s, payload, sizeof payload, &log), SESSION_MORE);
        assert_true(heap_in_use() - before <= 2 * arrived + 1024);
    }
    session_free(&s);
    assert_true(heap_in_use() == before);
}

static void test_a_message_is_freed_by_the_next_call(void **state)
{
    (void)state;
    static unsigned char first[] = "\x02\x04tide", last[] = "\x80\x04wire";
    for (int way = 0; way < 4; way++) {
        struct session s;
        struct session_event e;
        size_t n, before = heap_in_use();
        session_init(&s, SESSION_CLIENT, &roomy);
        session_feed(&s, first, 6);
        assert_int_equal(session_next(&s, &e), SESSION_MORE);
        session_feed(&s, last, 6);
        assert_int_equal(session_next(&s, &e), SESSION_EVENT);
        assert_memory_equal(e.data, "tidewire", 8);
        assert_non_null(s.assembly);
        if (way == 0)
            assert_int_equal(session_next(&s, &e), SESSION_MORE);
        else if (way == 1)
            session_feed(&s, first, 6);
        else if (way == 2)
            session_take_unread(&s, &n);
        else
            session_free(&s);
        assert_null(s.assembly);
        assert_true(heap_in_use() == before);
        session_free(&s);
    }
}

/* A conversation that needs memory at many places: header, message and ping all in pieces. */
static int talk(struct session *s, struct buf *log)
{
    static const char *const pieces[] = {
        "\x02", "\x03tid", "\x89\x04pi", "ng",        "\x80\x7E\x01\x2C",
        X125,   X125,      X25 X25,      "\x81\x02o", "k",
    };
    int rc = SESSION_MORE;
    for (size_t i = 0; i < COUNT(pieces) && rc == SESSION_MORE; i++)
        rc = feed_copy(s, pieces[i], strlen(pieces[i]), log);
    return rc;
}

static void test_each_allocation_may_fail(void **state)
{
    (void)state;
    size_t before = heap_in_use(), failing = 0;
    for (bool failed = true; failed; failing++) {
        struct session s;
        struct buf log = {0};
        assert_true(buf_reserve(&log, 1000));
        session_init(&s, SESSION_CLIENT, &roomy);
        allocations_fail_after(failing);
        int rc = talk(&s, &log);
        failed = allocations_failed() > 0;
        allocations_succeed();
        assert_int_equal(rc, failed ? SESSION_ERR_MEMORY : SESSION_MORE);
        if (failed)
            assert_over(&s);
        session_free(&s);
        buf_free(&log);
        assert_true(heap_in_use() == before);
    }
    assert_true(failing > 4); /* it did allocate: assembly, control payload, growth */
}

static void test_a_ping_in_pieces_may_lack_memory(void **state)
{
    (void)state;
    struct session s;
    struct buf log = {0};
    session_init(&s, SESSION_CLIENT, &roomy);
    allocations_fail_after(0);
    assert_int_equal(feed_copy(&s, "\x89\x04ti", 4, &log), SESSION_ERR_MEMORY);
    allocations_succeed();
    assert_over(&s);
    session_free(&s);
}

/* --- the owner's side --------------------------------------------------------------------- */

static void test_unread_bytes_may_be_taken_back_and_fed_again(void **state)
{
    (void)state;
    unsigned char bytes[] = "\x81\x01"
                            "a\x01\x01"
                            "b\x89\x00\x80\x01"
                            "c\x81\x01"
                            "d";
    struct session s;
    struct session_event e;
    struct buf log = {0};
    size_t n = 0;
    session_init(&s, SESSION_CLIENT, &roomy);
    assert_int_equal(session_unread(&s), 0);
    session_feed(&s, bytes, sizeof bytes - 1);
    assert_int_equal(session_unread(&s), sizeof bytes - 1);
    for (unsigned char *rest = bytes; session_next(&s, &e) == SESSION_EVENT;) {
        note_event(&log, &e);
        size_t unread = session_unread(&s);
        rest = session_take_unread(&s, &n);
        assert_int_equal(n, unread);
        assert_ptr_equal(rest + n, bytes + sizeof bytes - 1);
        assert_int_equal(session_unread(&s), 0);
        assert_int_equal(session_next(&s, &e), SESSION_MORE);
        session_feed(&s, rest, n);
    }
    assert_log(&log, "text(a) ping() text(bc) text(d) ", 32, "fed again");
    session_free(&s);
}

static void test_idle_is_between_messages_and_headers(void **state)
{
    (void)state;
    static const char bytes[] = "\x01\x02hi\x89\x01p\x80\x00";
    struct session s;
    struct buf log = {0};
    session_init(&s, SESSION_CLIENT, &roomy);
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        assert_int_equal(is_idle(&s), i == 0);
        assert_int_equal(feed_copy(&s, bytes + i, 1, &log), SESSION_MORE);
    }
    assert_true(is_idle(&s));
    assert_int_equal(feed_copy(&s, "\x89", 1, &log), SESSION_MORE);
    assert_false(is_idle(&s)); /* half a header alone */
    assert_log(&log, "ping(p) text(hi) ", 17, "byte by byte");
    session_free(&s);
}

static void test_errors_have_codes_and_words(void **state)
{
    (void)state;
    static const struct {
        int error;
        unsigned code;
    } errors[] = {
        {FRAME_ERR_OPCODE, 1002},           {FRAME_ERR_CONTROL_LENGTH, 1002},
        {FRAME_ERR_CONTROL_FRAGMENT, 1002}, {FRAME_ERR_LENGTH_NOT_MINIMAL, 1002},
        {FRAME_ERR_LENGTH_SIGN, 1002},      {SESSION_ERR_RSV, 1002},
        {SESSION_ERR_MASK, 1002},           {SESSION_ERR_CONTINUATION, 1002},
        {SESSION_ERR_CLOSE_LENGTH, 1002},   {SESSION_ERR_CLOSE_CODE, 1002},
        {SESSION_ERR_UTF8, 1007},           {SESSION_ERR_DEFLATE, 1007},
        {SESSION_ERR_FRAGMENTS, 1008},      {SESSION_ERR_TOO_BIG, 1009},
        {SESSION_ERR_RATIO, 1009},          {SESSION_ERR_MEMORY, 1011},
    };
    for (size_t i = 0; i < COUNT(errors); i++) {
        const char *text = session_error_text(errors[i].error);
        assert_int_equal(session_error_close_code(errors[i].error), errors[i].code);
        assert_true(strlen(text) > 5 && strlen(text) <= FRAME_CONTROL_MAX - 2); /* fits a reason */
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(text, session_error_text(errors[j].error));
    }
    assert_int_equal(session_error_close_code(-1000), 1011);
    assert_non_null(session_error_text(-1000));
}

static void test_frames_are_written_as_the_rfc_shows(void **state)
{
    (void)state;
    struct buf out = {0};
    assert_true(session_write_message(&out, FRAME_TEXT, "Hello", 5, NULL));
    assert_true(session_write_message(&out, FRAME_TEXT, "Hello", 5, key));
    assert_true(session_write_ping(&out, "Hello", 5, NULL));
    assert_true(session_write_pong(&out, "Hello", 5, key));
    assert_true(session_write_message(&out, FRAME_BINARY, NULL, 0, NULL));
    assert_true(session_write_close(&out, 0, NULL, 0, NULL));
    assert_true(session_write_close(&out, 1000, NULL, 0, NULL));
    assert_true(session_write_close(&out, 4999, "bye", 3, NULL));
    static const char expected[] = "\x81\x05Hello"
                                   "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
                                   "\x89\x05Hello"
                                   "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
                                   "\x82\x00\x88\x00\x88\x02\x03\xE8\x88\x05\x13\x87"
                                   "bye";
    assert_int_equal(out.len, sizeof expected - 1);
    assert_memory_equal(out.data, expected, out.len);
    buf_free(&out);
}

static void test_writing_refuses_or_fails_without_a_trace(void **state)
{
    (void)state;
    struct buf out = {0};
    char long_text[200] = {0};
    assert_true(session_write_ping(&out, long_text, 125, NULL));
    assert_true(session_write_close(&out, 1000, long_text, 123, key));
    struct buf before = out;
    assert_false(session_write_ping(&out, long_text, 126, NULL));
    assert_false(session_write_pong(&out, long_text, 126, key));
    assert_false(session_write_close(&out, 1000, long_text, 124, NULL));
    assert_false(session_write_message(&out, FRAME_BINARY, long_text, SIZE_MAX, key));
    allocations_fail_after(0);
    assert_false(session_write_message(&out, FRAME_TEXT, long_text, 200, key));
    assert_false(session_write_ping(&out, long_text, 100, NULL));
    assert_false(session_write_close(&out, 1000, long_text, 100, NULL));
    assert_int_equal(allocations_failed(), 3);
    allocations_succeed();
    assert_memory_equal(&out, &before, sizeof out);
    buf_free(&out);
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
        TEST(test_vectors_in_every_way),
        TEST(test_every_length_opcode_and_masking),
        TEST(test_sums_of_lengths_do_not_overflow),
        TEST(test_limits_exchanged_in_a_message_hold_at_once),
        TEST(test_all_close_codes),
        TEST(test_a_fault_is_found_anywhere_in_a_long_text),
        TEST(test_an_idle_session_is_small),
        TEST(test_what_arrives_whole_stays_in_place),
        TEST(test_memory_follows_what_arrived_not_what_was_declared),
        TEST(test_a_message_is_freed_by_the_next_call),
        TEST(test_each_allocation_may_fail),
        TEST(test_a_ping_in_pieces_may_lack_memory),
        TEST(test_unread_bytes_may_be_taken_back_and_fed_again),
        TEST(test_idle_is_between_messages_and_headers),
        TEST(test_errors_have_codes_and_words),
        TEST(test_frames_are_written_as_the_rfc_shows),
        TEST(test_writing_refuses_or_fails_without_a_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
