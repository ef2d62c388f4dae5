/* For the tests of a server's connection over a socketpair: its owner, what that was told, and the
 * peer's side. One test program includes this once. */
#ifndef TIDEWIRE_TESTS_UNIT_CONN_RUN_H
#define TIDEWIRE_TESTS_UNIT_CONN_RUN_H

#include "net/conn_impl.h"
#include "net_run.h"
#include "wire/session.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

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
    unsigned requests, messages, closed, gone, crowded_out; /* with 1013 */
    uint16_t code;
    bool clean, accepted, keeps; /* keeps: a reference, as a handler that waits does */
    struct conn *conn;
} seen;

static char page[PAGE_SIZE];

static inline void on_request(struct conn *c, const struct http_head *head, bool upgrade,
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

static inline void on_message(struct conn *c, enum frame_opcode kind, const unsigned char *data,
                              size_t n)
{
    seen.messages++;
    conn_send(c, kind, data, n);
}

static inline void on_closed(struct conn *c, unsigned code, struct slice reason, bool clean)
{
    (void)c, (void)reason;
    seen.closed++;
    seen.crowded_out += code == 1013;
    seen.code = (uint16_t)code;
    seen.clean = clean;
}

static inline void on_gone(struct conn *c)
{
    (void)c;
    seen.gone++;
}

static inline void on_refused(struct conn *c, const char *why)
{
    (void)c, (void)why;
}

static inline void on_drain(struct conn *c)
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

static inline int prepare(void **state)
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

static inline int clean_up(void **state)
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
static inline bool join(void)
{
    struct address unix_peer = {.family = ADDRESS_UNIX};
    struct stream stream;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    peer = pair[1];
    stream_init(&stream, pair[0]);
    return conn_accept(set, &stream, &unix_peer, false, false);
}

static inline void leave(void)
{
    close(peer);
    peer = -1;
}

/* When the server has ended the connection, nobody hears it. */
static inline void say(const void *bytes, size_t n)
{
    (void)!send(peer, bytes, n, MSG_NOSIGNAL);
}

#define SAY(text) say(text, sizeof(text) - 1)

/* A frame as a client sends it; the key is zero, so that the payload stays as it is. */
static inline void say_frame(unsigned char first, const void *payload, size_t n)
{
    static const unsigned char key[FRAME_KEY];
    struct buf out = {0};
    assert_true(session_write_message(&out, FRAME_BINARY, payload, n, key));
    out.data[0] = first;
    say(out.data, out.len);
    buf_free(&out);
}

/* All that has come from the server; the number of bytes. */
static inline size_t listen_all(void)
{
    static char bytes[64 * KIB];
    size_t all = 0;
    for (ssize_t n; (n = recv(peer, bytes, sizeof bytes, 0)) > 0;)
        all += (size_t)n;
    return all;
}

static inline void join_and_upgrade(void)
{
    assert_true(join());
    SAY(UPGRADE);
    run_turns(loop, 3);
    assert_true(seen.accepted);
    assert_true(listen_all() > 100);
}

/* The connection has ended, and nothing will come back to it. */
static inline void assert_over(void)
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

/* Of a compressed message: the beginning of a block with 64 KiB. */
static const unsigned char stored_block[] = {0x00, 0xFF, 0xFF, 0x00, 0x00};

#endif
