/* A server's connection over a socketpair: a peer that is gone before what it asked for is written,
 * what a dead connection keeps, and each allocation of a whole conversation failing. */
#include "net/conn_impl.h"
#include "net_run.h"
#include "wire/session.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
size_t __sanitizer_get_current_allocated_bytes(void); /* its header comes with clang alone */
#endif

#include "support.h"

#define KIB 1024
#define FIELDS "Host: a.example\r\n"
#define UPGRADE                                                                                    \
    "GET /ws HTTP/1.1\r\n" FIELDS "Upgrade: websocket\r\nConnection: Upgrade\r\n"                  \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"                 \
    "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
/* its answer is corked, and just short of what is written at once */
#define PAGE "GET /page HTTP/1.1\r\n" FIELDS "\r\n"
#define PAGE_SIZE (64 * KIB - 90)

static struct conn_limits limits;
static struct conn_bounds bounds;
static struct deflate_settings compression;
static struct loop *loop;
static struct conn_set *set;
static int peer; /* the other side of the connection */

/* What the owner was told, and what it does. */
static struct {
    unsigned requests, messages, closed, gone;
    uint16_t code;
    bool clean, accepted, keeps; /* keeps: a reference, as a handler that waits does */
    struct conn *conn;
} seen;

static char page[PAGE_SIZE];

static void on_request(struct conn *c, const struct http_head *head, bool upgrade,
                       struct slice body)
{
    struct slice none = {"", 0};
    (void)body;
    seen.requests++;
    if (!seen.conn)
        seen.conn = seen.keeps ? conn_ref(c) : c;
    if (upgrade) {
        struct conn_acceptance a = {none, none, &limits, &compression};
        seen.accepted = conn_upgrade(c, &a);
    } else if (slice_is(head->target, "/page")) {
        conn_respond(c, 200, none, (struct slice){page, sizeof page});
    } else if (slice_is(head->target, "/file")) {
        int fd = memfd_create("file", MFD_CLOEXEC);
        assert_int_equal(ftruncate(fd, 300 * KIB), 0);
        conn_respond_file(c, 200, none, fd, 0, 300 * KIB);
    } else if (slice_is(head->target, "/")) {
        conn_respond(c, 200, none, none);
    } /* others wait */
}

static void on_message(struct conn *c, enum frame_opcode kind, const unsigned char *data, size_t n)
{
    seen.messages++;
    conn_send(c, kind, data, n);
}

static void on_closed(struct conn *c, unsigned code, struct slice reason, bool clean)
{
    (void)c, (void)reason;
    seen.closed++;
    seen.code = (uint16_t)code;
    seen.clean = clean;
}

static void on_gone(struct conn *c)
{
    (void)c;
    seen.gone++;
}

static void on_refused(struct conn *c, const char *why)
{
    (void)c, (void)why;
}

static void on_drain(struct conn *c)
{
    (void)c;
}

static const struct conn_events events = {
    .request = on_request,
    .message = on_message,
    .peer_close = conn_reply_close,
    .drain = on_drain,
    .closed = on_closed,
    .gone = on_gone,
    .refused = on_refused,
};

static int prepare(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    limits = (struct conn_limits)CONN_LIMITS_DEFAULT;
    bounds = (struct conn_bounds){.reassembly = 64 << 20};
    compression = (struct deflate_settings)DEFLATE_SETTINGS_DEFAULT;
    peer = -1;
    loop = loop_new();
    set = loop ? conn_set_new(loop, &events, &limits, 1, NULL) : NULL;
    if (!set)
        return -1;
    conn_set_bound(set, &bounds);
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    if (peer >= 0)
        close(peer);
    if (set)
        conn_set_free(set);
    loop_free(loop);
    return 0;
}

/* A connection whose other side is `peer`. false: memory short. */
static bool join(void)
{
    struct address unix_peer = {.family = ADDRESS_UNIX};
    struct stream stream;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    peer = pair[1];
    stream_init(&stream, pair[0]);
    return conn_accept(set, &stream, &unix_peer, false, false);
}

static void leave(void)
{
    close(peer);
    peer = -1;
}

/* When the server has ended the connection, nobody hears it. */
static void say(const void *bytes, size_t n)
{
    (void)!send(peer, bytes, n, MSG_NOSIGNAL);
}

#define SAY(text) say(text, sizeof(text) - 1)

/* A frame as a client sends it; the key is zero, so that the payload stays as it is. */
static void say_frame(unsigned char first, const void *payload, size_t n)
{
    static const unsigned char key[FRAME_KEY];
    struct buf out = {0};
    assert_true(session_write_message(&out, FRAME_BINARY, payload, n, key));
    out.data[0] = first;
    say(out.data, out.len);
    buf_free(&out);
}

/* All that has come from the server; the number of bytes. */
static size_t listen_all(void)
{
    static char bytes[64 * KIB];
    size_t all = 0;
    for (ssize_t n; (n = recv(peer, bytes, sizeof bytes, 0)) > 0;)
        all += (size_t)n;
    return all;
}

static void join_and_upgrade(void)
{
    assert_true(join());
    SAY(UPGRADE);
    run_turns(loop, 3);
    assert_true(seen.accepted);
    assert_true(listen_all() > 100);
}

/* The connection has ended, and nothing will come back to it. */
static void assert_over(void)
{
    run_turns(loop, 3);
    assert_int_equal(seen.gone, 1);
    assert_int_equal(conn_set_count(set), 0);
    assert_int_equal(set->reassembly, 0);
    if (seen.keeps && seen.conn) {
        assert_false(timer_is_set(&seen.conn->timer));
        assert_int_equal(seen.conn->phase, PHASE_DEAD);
        conn_unref(seen.conn);
        seen.conn = NULL;
    }
}

/* --- the peer has gone ------------------------------------------------------------------------ */

static void before_the_file_it_asked_for(void **state)
{
    (void)state;
    seen.keeps = true;
    assert_true(join());
    SAY(PAGE "GET /file HTTP/1.1\r\n" FIELDS "\r\n");
    leave();
    run_turns(loop, 1);
    assert_int_equal(seen.requests, 2);
    assert_over();
}

static void before_the_101(void **state)
{
    (void)state;
    seen.keeps = true;
    assert_true(join());
    SAY(PAGE UPGRADE);
    leave();
    run_turns(loop, 1);
    assert_int_equal(seen.requests, 2);
    assert_false(seen.accepted);
    assert_over();
    assert_int_equal(seen.closed, 0);
}

static void before_the_100(void **state)
{
    (void)state;
    seen.keeps = true;
    assert_true(join());
    SAY(PAGE "POST /body HTTP/1.1\r\n" FIELDS
             "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello");
    leave();
    run_turns(loop, 1);
    assert_int_equal(seen.requests, 1);
    assert_over();
}

/* With small ones the queue is full before it is first written. */
static void before_messages_to_it(void **state)
{
    static const size_t sizes[] = {100, 9000, 20000, 300 * KIB};
    char *data = calloc(1, 300 * KIB);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (unsigned compressed = 0; compressed < 2; compressed++) {
            clean_up(state);
            prepare(state);
            seen.keeps = true;
            compression.min_size = compressed ? 0 : UINT32_MAX;
            limits.send_queue = 50000;
            join_and_upgrade();
            leave();
            enum conn_sent sent;
            int turns = 0;
            do
                sent = conn_send(seen.conn, FRAME_TEXT, data, sizes[i]);
            while ((sent == CONN_SENT || sent == CONN_BUFFERED) && ++turns < 10000);
            assert_int_equal(sent, turns < 10000 ? CONN_NOT_OPEN : CONN_SENT);
            assert_over();
            assert_int_equal(seen.closed, 1);
        }
    }
    free(data);
}

/* Of a compressed message: the beginning of a block with 64 KiB. */
static const unsigned char stored_block[] = {0x00, 0xFF, 0xFF, 0x00, 0x00};

/* --- what is kept ----------------------------------------------------------------------------- */

static size_t heap_in_use(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return __sanitizer_get_current_allocated_bytes();
#else
    return 0;
#endif
}

/* A handler that waits holds its connection. What the peer had sent must not stay with it: neither
 * the beginning of a message, nor an inflater of it. */
static void dead_connection_keeps_little(void **state)
{
    char *half = calloc(1, 900 * KIB);
    size_t before;
    (void)state;
    seen.keeps = true;
    int room = 4 << 20;
    assert_true(join());
    setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    before = heap_in_use();
    SAY(UPGRADE);
    run_turns(loop, 3);
    say_frame(FRAME_TEXT | FRAME_RSV1, stored_block, sizeof stored_block);
    run_turns(loop, 2);
    for (int i = 0; i < 9; i++) {
        say_frame(FRAME_CONTINUATION, half, 100);
        run_turns(loop, 2);
    }
    assert_true(set->reassembly > 0);
    leave();
    run_turns(loop, 3);
    assert_int_equal(seen.closed, 1);
    assert_true(conn_is_compressed(seen.conn)); /* what was agreed stays told */
    assert_true(heap_in_use() - before < 100 * KIB + 4 * KIB || !before);
    deflate_pool_free(&set->deflate_pool);
    assert_true(heap_in_use() < before + 2 * KIB || !before);
    assert_over();
    free(half);
}

/* In each phase there is something else to give back; a connection may outlive its set. */
static void set_ends_before_what_it_lent(void **state)
{
    (void)state;
    seen.keeps = true;
    join_and_upgrade();
    say_frame(FRAME_TEXT | FRAME_RSV1, stored_block, sizeof stored_block);
    run_turns(loop, 2);
    assert_true(set->reassembly > 0);
    conn_set_free(set);
    set = NULL;
    assert_int_equal(seen.closed, 1);
    assert_int_equal(seen.gone, 1);
    assert_int_equal(conn_send(seen.conn, FRAME_TEXT, "a", 1), CONN_NOT_OPEN);
    conn_unref(seen.conn);
}

/* A Close in the midst of a message gives its memory back, also while the answer waits for a peer
 * that does not read. */
static void close_gives_back_an_unfinished_message(void **state)
{
    static char filler[200 * KIB];
    (void)state;
    seen.keeps = true;
    compression.min_size = UINT32_MAX;
    join_and_upgrade();
    for (int i = 0; i < 4; i++)
        conn_send(seen.conn, FRAME_BINARY, filler, sizeof filler);
    say_frame(FRAME_BINARY, filler, 1000);
    run_turns(loop, 2);
    assert_true(set->reassembly >= 1000);
    say_frame(0x80 | FRAME_CLOSE, "\x0F\xA0", 2);
    run_turns(loop, 2);
    assert_int_equal(seen.conn->phase, PHASE_LINGER);
    assert_int_equal(set->reassembly, 0);
    for (int i = 0; i < 100 && !seen.gone; i++) {
        listen_all();
        run_turns(loop, 2);
    }
    assert_over();
    assert_int_equal(seen.code, 4000);
    assert_true(seen.clean);
}

/* --- memory ----------------------------------------------------------------------------------- */

/* What is said does not allocate. */
static void converse(void)
{
    static const unsigned char key[FRAME_KEY],
        deflated[] = {0x4A, 0x4C, 0x4A, 0x06, 0x00}; /* abc */
    static const char head[] = UPGRADE;
    unsigned char frame[64], *end = frame;
    if (!join())
        return;
    SAY("GET / HTTP/1.1\r\n" FIELDS "\r\n" PAGE);
    run_turns(loop, 2);
    SAY("POST / HTTP/1.1\r\n" FIELDS "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhe");
    run_turns(loop, 2);
    say("llo", 3);
    say(head, 40);
    run_turns(loop, 2);
    say(head + 40, sizeof head - 41);
    run_turns(loop, 2);
    /* two fragments of a compressed message, and a Ping in between and in pieces */
    end += frame_write_header(end, false, FRAME_RSV1, FRAME_TEXT, 1, key);
    *end++ = deflated[0];
    end += frame_write_header(end, true, 0, FRAME_PING, 2, key);
    *end++ = 'p';
    say(frame, (size_t)(end - frame));
    run_turns(loop, 2);
    end = frame;
    *end++ = 'q';
    end += frame_write_header(end, true, 0, FRAME_CONTINUATION, sizeof deflated - 1, key);
    memcpy(end, deflated + 1, sizeof deflated - 1);
    end += sizeof deflated - 1;
    say(frame, (size_t)(end - frame));
    run_turns(loop, 2);
    if (seen.accepted && !seen.closed) {
        struct broadcast b;
        broadcast_init(&b, FRAME_TEXT, page, 5000);
        conn_broadcast(seen.conn, &b);
        broadcast_free(&b);
        conn_send(seen.conn, FRAME_BINARY, page, sizeof page);
        conn_ping(seen.conn, "x", 1);
    }
    run_turns(loop, 2);
    end = frame + frame_write_header(frame, true, 0, FRAME_CLOSE, 0, key);
    say(frame, (size_t)(end - frame));
    run_turns(loop, 2);
    listen_all();
    run_turns(loop, 2);
}

static void memory_short(void **state)
{
    size_t failed = 0;
    compression.min_size = 0;
    for (size_t n = 0;; n++) {
        clean_up(state);
        prepare(state);
        compression.min_size = 0;
        allocations_fail_after(n);
        converse();
        allocations_succeed();
        bool whole = !allocations_failed();
        failed += !whole;
        if (peer >= 0)
            leave();
        run_turns(loop, 4);
        assert_int_equal(conn_set_count(set), 0);
        assert_int_equal(set->reassembly, 0);
        assert_int_equal(seen.closed, seen.accepted);
        if (whole)
            break;
    }
    assert_true(failed > 15);
    assert_true(seen.clean);
    assert_int_equal(seen.requests, 4);
    assert_int_equal(seen.messages, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, prepare, clean_up)
    const struct CMUnitTest tests[] = {
        TEST(before_the_file_it_asked_for),
        TEST(before_the_101),
        TEST(before_the_100),
        TEST(before_messages_to_it),
        TEST(dead_connection_keeps_little),
        TEST(set_ends_before_what_it_lent),
        TEST(close_gives_back_an_unfinished_message),
        TEST(memory_short),
    };
    return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
