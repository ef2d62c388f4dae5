/* For the tests of connect.h: a client's owner, what it was told, and a server and a proxy to talk
 * to. One test program includes this once. */
#ifndef TIDEWIRE_TESTS_UNIT_CONNECT_RUN_H
#define TIDEWIRE_TESTS_UNIT_CONNECT_RUN_H

#include "net/connect.h"
#include "net/connect_impl.h"
#include "net_peer.h"

#include <stdio.h>
#include <stdlib.h>

#define ACCEPTS                                                                                    \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "Sec-WebSocket-Accept: @\r\n"
#define ACCEPT ACCEPTS "\r\n"
#define HELLO "\x81\x05hello" /* a frame */
#define INTERIM "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
#define INTERIM4 INTERIM INTERIM INTERIM INTERIM

static const struct conn_limits limits = CONN_LIMITS_DEFAULT;
static struct loop *loop;
static struct conn_set *set;
static struct peer server, proxy;

/* How the last attempt ended, and what its connection told. */
static struct {
    bool done;
    enum connect_error error;
    char text[2048];
    unsigned status; /* of the answer; 0: none */
    char location[64];
    char body[CONNECT_BODY_MAX + 1];
    size_t body_len;
    char protocol[32];
    struct conn *conn;
    char message[64];
    bool got_message, closed, gone;
} end;

/* --- the owner's side ------------------------------------------------------------------------- */

static inline void on_message(struct conn *c, enum frame_opcode kind, const unsigned char *data,
                              size_t n)
{
    assert_ptr_equal(conn_owner(c), &end); /* not before `done` */
    assert_int_equal(kind, FRAME_TEXT);
    snprintf(end.message, sizeof end.message, "%.*s", (int)n, (const char *)data);
    end.got_message = true;
}

static inline void on_closed(struct conn *c, unsigned code, struct slice reason, bool clean)
{
    (void)c, (void)code, (void)reason, (void)clean;
    end.closed = true;
}

static inline void on_gone(struct conn *c)
{
    if (c == end.conn)
        end.conn = NULL;
    end.gone = true;
}

static inline void ignore(struct conn *c)
{
    (void)c;
}

static const struct conn_events events = {
    .message = on_message,
    .peer_close = conn_reply_close,
    .drain = ignore,
    .closed = on_closed,
    .gone = on_gone,
};

static inline void copy(char *out, size_t size, struct slice s)
{
    assert_true(s.len < size);
    if (s.len)
        memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
}

static inline void on_done(void *context, const struct connect_result *r)
{
    assert_ptr_equal(context, &end);
    assert_false(end.done);
    assert_int_equal(r->conn == NULL, r->error != 0);
    assert_int_equal(r->text == NULL, r->error == 0);
    end.done = true;
    end.error = r->error;
    end.conn = r->conn;
    if (r->conn)
        conn_set_owner(r->conn, &end);
    snprintf(end.text, sizeof end.text, "%s", r->text ? r->text : "");
    if (r->answer) {
        const struct http_header *location = http_find(r->answer, "Location");
        end.status = r->answer->status;
        if (location)
            copy(end.location, sizeof end.location, location->value);
    }
    end.body_len = r->body.len;
    copy(end.body, sizeof end.body, r->body);
    copy(end.protocol, sizeof end.protocol, r->protocol);
}

static inline int prepare(void **state)
{
    (void)state;
    memset(&end, 0, sizeof end);
    loop = loop_new();
    set = loop ? conn_set_new(loop, &events, &limits, 1, NULL) : NULL;
    if (!set)
        return -1;
    peer_start(&server, loop);
    peer_start(&proxy, loop);
    server.replies[0] = ACCEPT;
    return 0;
}

static inline int clean_up(void **state)
{
    (void)state;
    conn_set_free(set);
    peer_stop(&server);
    peer_stop(&proxy);
    SSL_CTX_free(server.tls);
    loop_free(loop);
    return 0;
}

/* Options for a URL in which %u is the server's port. The text has to live until the attempt has
 * begun, so there is room for one. */
static inline struct connect_options to(const char *format)
{
    static char url[256];
    struct connect_options o = {.limits = &limits};
    snprintf(url, sizeof url, strstr(format, "%u") ? "%.*s%u%s" : "%.*s",
             (int)(strstr(format, "%u") ? strstr(format, "%u") - format : (long)strlen(format)),
             format, server.port, strstr(format, "%u") ? strstr(format, "%u") + 2 : "");
    assert_int_equal(uri_parse(slice_of(url), &o.uri), 0);
    return o;
}

static inline struct connect *start(const struct connect_options *o)
{
    end.done = end.got_message = end.closed = end.gone = false;
    end.conn = NULL;
    end.status = 0;
    struct connect *c = connect_start(set, o, on_done, &end);
    assert_non_null(c);
    assert_false(end.done);
    return c;
}

static inline void attempt(const struct connect_options *o)
{
    start(o);
    run_until(loop, &end.done);
}

static inline void attempt_url(const char *format)
{
    struct connect_options o = to(format);
    attempt(&o);
}

static inline void hang_up(void)
{
    if (end.conn) {
        conn_abort(end.conn);
        run_until(loop, &end.gone);
    }
}

static inline void succeeds(void)
{
    if (end.error)
        fail_msg("%s", end.text);
    assert_non_null(end.conn);
    assert_int_equal(conn_state(end.conn), CONN_OPEN);
}

/* The text tells where to and has these words. */
static inline void fails(enum connect_error error, const char *words)
{
    char host[64];
    snprintf(host, sizeof host, "cannot connect to ws");
    if (end.error != error || !strstr(end.text, words) || strncmp(end.text, host, strlen(host)))
        fail_msg("error %d, not %d: %s (looked for: %s)", end.error, error, end.text, words);
    assert_null(end.conn);
    assert_int_equal(conn_set_count(set), 0);
}

/* One answer, one verdict. */
static inline void answer_fails(const char *answer, enum connect_error error, const char *words)
{
    server.replies[0] = answer;
    attempt_url("ws://127.0.0.1:%u/");
    fails(error, words);
}

static inline struct connect_options through_proxy(const char *url)
{
    struct connect_options o = to(url);
    o.proxy_host = slice_of("localhost");
    o.proxy_port = proxy.port;
    return o;
}

#endif
