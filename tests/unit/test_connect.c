/* A client's way to a connection, with real sockets of this machine: what is sent, every way in
 * which it may fail and the words for it, cancelling at each step, memory. */
#include "net/connect.h"
#include "net/connect_impl.h"
#include "net_peer.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#define ACCEPTS                                                                                    \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "Sec-WebSocket-Accept: @\r\n"
#define ACCEPT ACCEPTS "\r\n"
#define HELLO "\x81\x05hello" /* a frame */

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

static void on_message(struct conn *c, enum frame_opcode kind, const unsigned char *data, size_t n)
{
    assert_ptr_equal(conn_owner(c), &end); /* not before `done` */
    assert_int_equal(kind, FRAME_TEXT);
    snprintf(end.message, sizeof end.message, "%.*s", (int)n, (const char *)data);
    end.got_message = true;
}

static void on_closed(struct conn *c, unsigned code, struct slice reason, bool clean)
{
    (void)c, (void)code, (void)reason, (void)clean;
    end.closed = true;
}

static void on_gone(struct conn *c)
{
    if (c == end.conn)
        end.conn = NULL;
    end.gone = true;
}

static void ignore(struct conn *c)
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

static void copy(char *out, size_t size, struct slice s)
{
    assert_true(s.len < size);
    if (s.len)
        memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
}

static void on_done(void *context, const struct connect_result *r)
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

static int prepare(void **state)
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

static int clean_up(void **state)
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
static struct connect_options to(const char *format)
{
    static char url[256];
    struct connect_options o = {.limits = &limits};
    snprintf(url, sizeof url, strstr(format, "%u") ? "%.*s%u%s" : "%.*s",
             (int)(strstr(format, "%u") ? strstr(format, "%u") - format : (long)strlen(format)),
             format, server.port, strstr(format, "%u") ? strstr(format, "%u") + 2 : "");
    assert_int_equal(uri_parse(slice_of(url), &o.uri), 0);
    return o;
}

static struct connect *start(const struct connect_options *o)
{
    end.done = end.got_message = end.closed = end.gone = false;
    end.conn = NULL;
    end.status = 0;
    struct connect *c = connect_start(set, o, on_done, &end);
    assert_non_null(c);
    assert_false(end.done);
    return c;
}

static void attempt(const struct connect_options *o)
{
    start(o);
    run_until(loop, &end.done);
}

static void attempt_url(const char *format)
{
    struct connect_options o = to(format);
    attempt(&o);
}

static void hang_up(void)
{
    if (end.conn) {
        conn_abort(end.conn);
        run_until(loop, &end.gone);
    }
}

static void succeeds(void)
{
    if (end.error)
        fail_msg("%s", end.text);
    assert_non_null(end.conn);
    assert_int_equal(conn_state(end.conn), CONN_OPEN);
}

/* The text tells where to and has these words. */
static void fails(enum connect_error error, const char *words)
{
    char host[64];
    snprintf(host, sizeof host, "cannot connect to ws");
    if (end.error != error || !strstr(end.text, words) || strncmp(end.text, host, strlen(host)))
        fail_msg("error %d, not %d: %s (looked for: %s)", end.error, error, end.text, words);
    assert_null(end.conn);
    assert_int_equal(conn_set_count(set), 0);
}

/* One answer, one verdict. */
static void answer_fails(const char *answer, enum connect_error error, const char *words)
{
    server.replies[0] = answer;
    attempt_url("ws://127.0.0.1:%u/");
    fails(error, words);
}

/* --- what is sent ----------------------------------------------------------------------------- */

static void sends_the_opening_handshake(void **state)
{
    static const char *const parts[] = {
        "GET /chat/a%20b?x=1&y HTTP/1.1\r\n",   "\r\nUpgrade: websocket\r\n",
        "\r\nConnection: Upgrade\r\n",          "\r\nSec-WebSocket-Version: 13\r\n",
        "\r\nSec-WebSocket-Protocol: b, a\r\n", "\r\nOrigin: https://x.example\r\n",
    };
    struct slice protocols[] = {slice_of("b"), slice_of("a")};
    struct connect_options o = to("ws://localhost:%u/chat/a%20b?x=1&y");
    char host[64];
    (void)state;
    server.replies[0] = ACCEPTS "Sec-WebSocket-Protocol: a\r\n\r\n";
    o.protocols = protocols;
    o.protocol_count = 2;
    o.fields = slice_of("Origin: https://x.example\r\n");
    attempt(&o);
    succeeds();
    assert_string_equal(end.protocol, "a");
    assert_int_equal(end.status, 101);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(server.in, parts[i]))
            fail_msg("no \"%s\" in %s", parts[i], server.in);
    snprintf(host, sizeof host, "\r\nHost: localhost:%u\r\n", server.port);
    assert_non_null(strstr(server.in, host));
    assert_null(strstr(server.in, "Sec-WebSocket-Extensions"));
}

/* The caller's own may change or go as soon as the attempt has begun. */
static void options_are_copied(void **state)
{
    char protocol[] = "chat", fields[] = "X-Y: z\r\n", host[] = "127.0.0.1";
    struct slice protocols[] = {slice_of(protocol)};
    struct deflate_settings compression = DEFLATE_SETTINGS_DEFAULT;
    struct connect_options o = to("ws://127.0.0.1:%u/path?q");
    (void)state;
    o.uri.host = slice_of(host);
    o.protocols = protocols;
    o.protocol_count = 1;
    o.fields = slice_of(fields);
    o.compression = &compression;
    start(&o);
    memset(protocol, '!', sizeof protocol);
    memset(fields, '!', sizeof fields);
    memset(host, '!', sizeof host);
    memset(protocols, 0, sizeof protocols);
    memset(&compression, 0xFF, sizeof compression);
    memset(&o, 0, sizeof o);
    to("ws://elsewhere.example/another-target");
    run_until(loop, &end.done);
    succeeds();
    assert_non_null(strstr(server.in, "GET /path?q HTTP/1.1\r\n"));
    assert_non_null(strstr(server.in, "\r\nSec-WebSocket-Protocol: chat\r\n"));
    assert_non_null(strstr(server.in, "\r\nX-Y: z\r\n"));
    assert_non_null(strstr(server.in, "\r\nSec-WebSocket-Extensions: permessage-deflate"));
}

static void host_in_brackets_and_without_a_default_port(void **state)
{
    struct connect_options o = to("ws://[2001:db8::1]/");
    (void)state;
    o.proxy_host = slice_of("127.0.0.1");
    o.proxy_port = proxy.port;
    proxy.replies[0] = "HTTP/1.1 200 OK\r\n\r\n";
    proxy.replies[1] = ACCEPT;
    attempt(&o);
    succeeds();
    assert_non_null(strstr(proxy.in, "CONNECT [2001:db8::1]:80 HTTP/1.1\r\n"));
    assert_non_null(strstr(proxy.in, "\r\nHost: [2001:db8::1]\r\n"));
}

static void each_key_is_new(void **state)
{
    char keys[8][HANDSHAKE_KEY_LEN + 1];
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        attempt_url("ws://127.0.0.1:%u/");
        succeeds();
        const char *key = strstr(server.in, "Sec-WebSocket-Key: ");
        assert_non_null(key);
        snprintf(keys[i], sizeof keys[i], "%s", key + 19);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(keys[i], keys[j]);
        hang_up();
    }
}

/* --- answers that are accepted ---------------------------------------------------------------- */

static void frames_behind_the_answer_are_the_first_ones(void **state)
{
    (void)state;
    server.replies[0] = ACCEPT HELLO;
    attempt_url("ws://127.0.0.1:%u/");
    succeeds();
    assert_false(end.got_message);
    run_until(loop, &end.got_message);
    assert_string_equal(end.message, "hello");
}

static void answer_byte_by_byte(void **state)
{
    (void)state;
    server.replies[0] = "HTTP/1.1 100 Continue\r\n\r\n" ACCEPT HELLO;
    server.pieces = 1;
    attempt_url("ws://127.0.0.1:%u/");
    succeeds();
    run_until(loop, &end.got_message);
    assert_string_equal(end.message, "hello");
}

static void sends_and_closes_as_a_client(void **state)
{
    (void)state;
    server.replies[0] = ACCEPT;
    attempt_url("ws://127.0.0.1:%u/");
    succeeds();
    size_t before = server.in_len;
    assert_int_equal(conn_send(end.conn, FRAME_TEXT, "hi", 2), CONN_SENT);
    while (server.in_len < before + 8)
        ev_run(loop_ev(loop), EVRUN_ONCE);
    assert_int_equal((unsigned char)server.in[before], 0x81);
    assert_int_equal((unsigned char)server.in[before + 1], 0x82); /* masked */
}

#define INTERIM "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
#define INTERIM4 INTERIM INTERIM INTERIM INTERIM

static void interim_answers_are_skipped_and_bounded(void **state)
{
    (void)state;
    server.replies[0] = INTERIM4 INTERIM4 ACCEPT;
    attempt_url("ws://127.0.0.1:%u/");
    succeeds();
    hang_up();
    answer_fails(INTERIM4 INTERIM4 INTERIM ACCEPT, CONNECT_ERR_HANDSHAKE, "interim");
}

/* --- answers that are not --------------------------------------------------------------------- */

static void answers_that_break_the_protocol(void **state)
{
    (void)state;
    answer_fails("HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: @\r\n\r\n",
                 CONNECT_ERR_HANDSHAKE, "Upgrade");
    assert_int_equal(end.status, 101);
    answer_fails("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: @\r\n\r\n",
                 CONNECT_ERR_HANDSHAKE, "Connection");
    answer_fails("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
                 CONNECT_ERR_HANDSHAKE, "Sec-WebSocket-Accept");
    answer_fails(ACCEPTS "Sec-WebSocket-Protocol: chat\r\n\r\n", CONNECT_ERR_HANDSHAKE,
                 "Sec-WebSocket-Protocol");
    answer_fails(ACCEPTS "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
                 CONNECT_ERR_HANDSHAKE, "");
    answer_fails("HTTP/1.1 101 X\r\nUpgrade : websocket\r\n\r\n", CONNECT_ERR_HANDSHAKE,
                 "malformed answer");
    answer_fails("HTTP/1.1 101 X\nUpgrade: websocket\n\n", CONNECT_ERR_HANDSHAKE,
                 "malformed answer");
    answer_fails("SSH-2.0-OpenSSH_9.2\r\n", CONNECT_ERR_HANDSHAKE, "does not speak HTTP");
    answer_fails("\x15\x03\x01", CONNECT_ERR_HANDSHAKE, "try wss://");
}

static void compression_is_judged(void **state)
{
    struct deflate_settings compression = DEFLATE_SETTINGS_DEFAULT;
    struct connect_options o = to("ws://127.0.0.1:%u/");
    (void)state;
    o.compression = &compression;
    server.replies[0] =
        ACCEPTS "Sec-WebSocket-Extensions: permessage-deflate; unheard_of=1\r\n\r\n";
    attempt(&o);
    fails(CONNECT_ERR_HANDSHAKE, "");
    /* "hello", compressed (RFC 7692 section 7.2.3.1, in lower case) */
    server.replies[0] = ACCEPTS "Sec-WebSocket-Extensions: permessage-deflate; "
                                "server_no_context_takeover; client_no_context_takeover\r\n\r\n"
                                "\xc1\x07\xcb\x48\xcd\xc9\xc9\x07";
    attempt(&o);
    succeeds();
    run_turns(loop, 3);
    assert_false(end.got_message); /* its last byte is a NUL, which ends a reply: sent by hand */
    assert_int_equal(send(server.fd, "", 1, 0), 1);
    run_until(loop, &end.got_message);
    assert_string_equal(end.message, "hello");
}

static char large[PEER_ROOM];

static void oversized_heads(void **state)
{
    size_t at = (size_t)snprintf(large, sizeof large, "HTTP/1.1 101 X\r\nX: ");
    (void)state;
    memset(large + at, 'a', limits.head);
    large[at + limits.head] = '\0';
    answer_fails(large, CONNECT_ERR_HANDSHAKE, "larger than 16384 bytes");
    server.pieces = 1000;
    answer_fails(large, CONNECT_ERR_HANDSHAKE, "larger than 16384 bytes");
    server.pieces = 0;
    /* complete, and one byte too large; then one less */
    large[limits.head - 3] = '\0';
    strcat(large, "\r\n\r\n");
    assert_int_equal(strlen(large), limits.head + 1);
    answer_fails(large, CONNECT_ERR_HANDSHAKE, "larger than 16384 bytes");
    large[at] = '\r';
    large[limits.head - 4] = '\0';
    large[at] = 'a';
    strcat(large, "\r\n\r\n");
    answer_fails(large, CONNECT_ERR_HANDSHAKE, "Upgrade");
}

static void too_many_fields(void **state)
{
    (void)state;
    strcpy(large, "HTTP/1.1 101 X\r\n");
    for (int i = 0; i < 101; i++)
        strcat(large, "X: y\r\n");
    strcat(large, "\r\n");
    answer_fails(large, CONNECT_ERR_HANDSHAKE, "malformed answer");
}

/* --- another status --------------------------------------------------------------------------- */

static void status_with_a_body(void **state)
{
    (void)state;
    answer_fails("HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!\nHTTP/1.1 101 X\r\n",
                 CONNECT_ERR_STATUS, "answered 403 Forbidden");
    assert_int_equal(end.status, 403);
    assert_string_equal(end.body, "no!\n");
    answer_fails("HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n",
                 CONNECT_ERR_STATUS, "302");
    assert_string_equal(end.location, "/there");
    assert_int_equal(end.body_len, 0);
    answer_fails("HTTP/1.1 204 X\r\n\r\n", CONNECT_ERR_STATUS, "204");
    answer_fails("HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "5;a=b\r\nabcde\r\n1\r\nf\r\n0\r\n\r\n",
                 CONNECT_ERR_STATUS, "500 Internal Server Error");
    assert_string_equal(end.body, "abcdef");
    server.pieces = 1;
    answer_fails("HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "5;a=b\r\nabcde\r\n1\r\nf\r\n0\r\n\r\n",
                 CONNECT_ERR_STATUS, "500 Internal Server Error");
    assert_string_equal(end.body, "abcdef");
    answer_fails("HTTP/1.1 404 X\r\nContent-Length: 9\r\n\r\nnot here\n", CONNECT_ERR_STATUS,
                 "404 Not Found");
    assert_string_equal(end.body, "not here\n");
}

static void status_with_a_body_that_ends_early_or_never(void **state)
{
    static const char until_end[] = "HTTP/1.0 502 Bad Gateway\r\n\r\nsorry";
    struct connect_options o;
    (void)state;
    server.ends = true;
    server.end_after = sizeof until_end - 1;
    answer_fails(until_end, CONNECT_ERR_STATUS, "502");
    assert_string_equal(end.body, "sorry");
    server.ends = false;
    server.replies[0] = "HTTP/1.1 400 X\r\nContent-Length: 100\r\n\r\nshort";
    o = to("ws://127.0.0.1:%u/");
    o.timeout = 100;
    attempt(&o);
    fails(CONNECT_ERR_STATUS, "400");
    assert_string_equal(end.body, "short");
    /* what is no body by the rules of HTTP is shown as far as it can be read */
    answer_fails("HTTP/1.1 400 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n0\r\n\r\n",
                 CONNECT_ERR_STATUS, "400");
    assert_int_equal(end.body_len, 0);
}

static void a_large_body_is_cut(void **state)
{
    (void)state;
    strcpy(large, "HTTP/1.1 400 X\r\nContent-Length: 1000000\r\n\r\n");
    size_t at = strlen(large);
    memset(large + at, 'b', 20000);
    large[at + 20000] = '\0';
    answer_fails(large, CONNECT_ERR_STATUS, "400");
    assert_int_equal(end.body_len, CONNECT_BODY_MAX);
    strcpy(large, "HTTP/1.1 400 X\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n");
    at = strlen(large);
    memset(large + at, 'b', 20000);
    large[at + 20000] = '\0';
    answer_fails(large, CONNECT_ERR_STATUS, "400");
    assert_int_equal(end.body_len, CONNECT_BODY_MAX);
}

/* --- the end of the connection ---------------------------------------------------------------- */

static void ends_at_each_byte_of_the_answer(void **state)
{
    size_t whole = strlen(ACCEPT) - 1 + HANDSHAKE_ACCEPT_LEN;
    (void)state;
    server.ends = true;
    for (server.end_after = 0; server.end_after < whole; server.end_after++) {
        attempt_url("ws://127.0.0.1:%u/");
        fails(CONNECT_ERR_LOST,
              server.end_after ? "in the middle of its answer" : "without an answer");
    }
    attempt_url("ws://127.0.0.1:%u/");
    succeeds();
    run_until(loop, &end.closed);
}

static void reset_by_the_server(void **state)
{
    (void)state;
    server.ends = server.resets = true;
    attempt_url("ws://127.0.0.1:%u/");
    fails(CONNECT_ERR_LOST, "without an answer");
    server.end_after = 20;
    attempt_url("ws://127.0.0.1:%u/");
    fails(CONNECT_ERR_LOST, "reset");
}

/* --- no connection ---------------------------------------------------------------------------- */

static void refused(void **state)
{
    char words[128];
    uint16_t port;
    int taken = local_socket(SOCK_STREAM, -1, &port);
    struct connect_options o = to("ws://127.0.0.1/");
    (void)state;
    o.uri.port = port;
    attempt(&o);
    snprintf(words, sizeof words,
             "cannot connect to ws://127.0.0.1:%u: 127.0.0.1: connection refused", port);
    assert_int_equal(end.error, CONNECT_ERR_REFUSED);
    assert_string_equal(end.text, words);
    o = to("ws://localhost/secret?token=1");
    o.uri.port = port;
    attempt(&o);
    fails(CONNECT_ERR_REFUSED, "; 127.0.0.1: connection refused");
    assert_non_null(strstr(end.text, ": ::1: "));
    assert_null(strstr(end.text, "secret"));
    assert_null(strstr(end.text, "token"));
    close(taken);
}

static void no_such_name(void **state)
{
    struct connect_options o = to("ws://a..b.example/");
    (void)state;
    attempt(&o);
    fails(CONNECT_ERR_NAME, "ws://a..b.example:80: that is no host name");
}

static void unix_socket(void **state)
{
    char path[64], too_long[200];
    struct peer *p = &server;
    struct sockaddr_storage a;
    struct connect_options o = to("ws://app.example/");
    (void)state;
    snprintf(path, sizeof path, "/tmp/tidewire-connect-%ld.sock", (long)getpid());
    unlink(path);
    o.unix_path = path;
    o.proxy_host = slice_of("proxy.invalid"); /* not asked */
    o.proxy_port = 1;
    attempt(&o);
    fails(CONNECT_ERR_REFUSED, "no such file");
    peer_stop(p);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(dial_unix_address(path, &a));
    assert_int_equal(bind(fd, (void *)&a, sizeof(struct sockaddr_un)), 0);
    assert_int_equal(listen(fd, 4), 0);
    peer_start_at(p, loop, fd);
    p->replies[0] = ACCEPT;
    attempt(&o);
    succeeds();
    assert_non_null(strstr(p->in, "\r\nHost: app.example\r\n"));
    hang_up();
    unlink(path);
    memset(too_long, 'x', sizeof too_long);
    too_long[sizeof too_long - 1] = '\0';
    o.unix_path = too_long;
    attempt(&o);
    fails(CONNECT_ERR_NAME, "a socket's path");
}

/* --- through a proxy -------------------------------------------------------------------------- */

static struct connect_options through_proxy(const char *url)
{
    struct connect_options o = to(url);
    o.proxy_host = slice_of("localhost");
    o.proxy_port = proxy.port;
    return o;
}

static void proxy_fails(const char *answer, const char *words)
{
    struct connect_options o = through_proxy("ws://nowhere.invalid/");
    proxy.replies[0] = answer;
    attempt(&o);
    fails(CONNECT_ERR_PROXY, words);
    assert_non_null(strstr(end.text, "the proxy localhost:"));
    assert_int_equal(end.status, 0); /* the proxy's answer is not the server's */
}

static void proxy_lets_through(void **state)
{
    struct connect_options o = through_proxy("ws://nowhere.invalid:8000/x");
    (void)state;
    o.proxy_credentials = slice_of("Aladdin:open sesame");
    proxy.replies[0] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Connection established\r\n"
                       "Content-Length: 10\r\n\r\n";
    proxy.replies[1] = "HTTP/1.1 103 X\r\n\r\n" ACCEPT HELLO;
    attempt(&o);
    succeeds();
    assert_int_equal(strncmp(proxy.in,
                             "CONNECT nowhere.invalid:8000 HTTP/1.1\r\n"
                             "Host: nowhere.invalid:8000\r\n"
                             "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
                             "GET /x HTTP/1.1\r\n",
                             150),
                     0);
    const char *get = strstr(proxy.in, "GET /x");
    assert_non_null(get);
    assert_null(strstr(get, "Proxy-Authorization")); /* they are not the server's business */
    assert_null(strstr(get, "QWxh"));
    run_until(loop, &end.got_message);
    hang_up();
    proxy.pieces = 1;
    attempt(&o);
    succeeds();
}

static void proxy_refuses(void **state)
{
    struct connect_options o = through_proxy("ws://nowhere.invalid/");
    (void)state;
    proxy_fails("HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\n\r\n", "407 Proxy Authentication");
    assert_non_null(strstr(end.text, "it wants credentials"));
    o.proxy_credentials = slice_of("user:secret");
    attempt(&o);
    fails(CONNECT_ERR_PROXY, "it does not take the credentials");
    assert_null(strstr(end.text, "secret"));
    o.proxy_credentials = slice_of("no colon");
    attempt(&o);
    fails(CONNECT_ERR_PROXY, "user:password");
    proxy_fails("HTTP/1.1 403 X\r\n\r\n", "answered 403 Forbidden");
    proxy_fails("HTTP/1.1 302 X\r\nLocation: http://evil.example/\r\n\r\n", "answered 302 Found");
    proxy_fails(ACCEPT, "answered 101");
    proxy_fails("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 X\r\n", "before we said anything");
    proxy_fails("garbage", "does not speak HTTP");
    proxy_fails("\x15\x03\x01", "speaks TLS");
    proxy_fails("HTTP/1.1 200 OK\r\n bad\r\n\r\n", "malformed answer");
    proxy_fails(INTERIM4 INTERIM4 INTERIM, "interim");
    proxy.ends = true;
    proxy.end_after = 0;
    proxy_fails("", "without an answer");
    proxy.end_after = 9;
    proxy_fails("HTTP/1.1 200 OK\r\n\r\n", "in the middle of its answer");
}

static void proxy_is_away(void **state)
{
    uint16_t port;
    int taken = local_socket(SOCK_STREAM, -1, &port);
    struct connect_options o = through_proxy("ws://nowhere.invalid/");
    (void)state;
    o.proxy_port = port;
    attempt(&o);
    fails(CONNECT_ERR_REFUSED, "connection refused");
    assert_non_null(strstr(end.text, "the proxy localhost:"));
    o.proxy_host = slice_of("a..b");
    attempt(&o);
    fails(CONNECT_ERR_NAME, "the proxy's name a..b: that is no host name");
    close(taken);
}

/* --- steps: time and cancelling --------------------------------------------------------------- */

/* A place where an attempt stays for ever, for each step of it. */
struct stay {
    enum connect_step step;
    const char *words; /* of its timeout */
};

static const struct stay stays[] = {
    {STEP_NAME, "the name was not resolved within 60 ms"},
    {STEP_DIAL, "not connected within 60 ms: 127.0.0.1: no answer"},
    {STEP_PROXY, "the proxy did not answer CONNECT within 60 ms"},
    {STEP_TLS, "the TLS handshake was not done within 60 ms"},
    {STEP_HANDSHAKE, "the server did not answer the opening handshake within 60 ms"},
    {STEP_BODY, "400"},
};
#define STAYS (sizeof stays / sizeof *stays)

static struct hole hole;
static int silent_dns;
static struct tls_client *tls;

static int prepare_stays(void **state)
{
    char address[32], error[256];
    struct tls_client_settings settings = {.no_verify = true};
    uint16_t port;
    if (prepare(state))
        return -1;
    hole = hole_new();
    silent_dns = local_socket(SOCK_DGRAM, -1, &port);
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    set->resolver = resolve_new(loop, address);
    tls = tls_client_new(&settings, error, sizeof error);
    server.replies[0] = NULL;
    return set->resolver && tls ? 0 : -1;
}

static int clean_up_stays(void **state)
{
    hole_free(&hole);
    close(silent_dns);
    tls_client_unref(tls);
    return clean_up(state);
}

static struct connect_options that_stays_in(enum connect_step step)
{
    struct connect_options o = to(step == STEP_NAME  ? "ws://name.example/"
                                  : step == STEP_TLS ? "wss://127.0.0.1:%u/"
                                                     : "ws://127.0.0.1:%u/");
    server.replies[0] = step == STEP_BODY ? "HTTP/1.1 400 X\r\n\r\n" : NULL;
    o.tls = o.uri.secure ? tls : NULL;
    if (step == STEP_DIAL)
        o.uri.port = hole.port;
    if (step == STEP_PROXY) {
        o.proxy_host = slice_of("127.0.0.1");
        o.proxy_port = proxy.port;
    }
    return o;
}

static void timeout_names_the_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < STAYS; i++) {
        struct connect_options o = that_stays_in(stays[i].step);
        o.timeout = 60;
        attempt(&o);
        fails(stays[i].step == STEP_BODY ? CONNECT_ERR_STATUS : CONNECT_ERR_TIMEOUT,
              stays[i].words);
    }
    struct connect_options o = that_stays_in(STEP_PROXY);
    o.proxy_port = hole.port;
    o.timeout = 60;
    attempt(&o);
    fails(CONNECT_ERR_TIMEOUT, "to the proxy: not connected within 60 ms");
    o = that_stays_in(STEP_HANDSHAKE);
    o.timeout = 1000;
    attempt(&o);
    fails(CONNECT_ERR_TIMEOUT, "within 1 s");
}

static enum connect_step awaited;

static bool is_there(void *context)
{
    const struct connect *c = context;
    return c->step == awaited && (awaited != STEP_TLS || server.accepted);
}

/* Started, and at that step. */
static struct connect *come_to(enum connect_step step)
{
    struct connect_options o = that_stays_in(step);
    struct connect *c = start(&o);
    awaited = step;
    run_until_holds(loop, is_there, c);
    assert_false(end.done);
    return c;
}

static void cancelled_at_each_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < STAYS; i++) {
        connect_cancel(come_to(stays[i].step));
        assert_true(list_empty(&set->connects));
        run_turns(loop, 5);
        assert_false(end.done);
    }
    assert_true(server.ended); /* the last one had a connection */
    connect_cancel(NULL);
}

static void cancelled_at_once_and_at_the_last_moment(void **state)
{
    struct connect_options o = to("ws://127.0.0.1:%u/");
    (void)state;
    connect_cancel(start(&o));
    run_turns(loop, 5);
    assert_false(end.done);
    server.replies[0] = ACCEPT;
    struct connect *c = start(&o);
    connect_win(c); /* as when the answer has come in this turn */
    connect_cancel(c);
    run_turns(loop, 5);
    assert_false(end.done);
    assert_int_equal(conn_set_count(set), 0);
}

static struct connect *within;
static struct connect_options again;
static int rounds;

static void on_done_starts_another(void *context, const struct connect_result *r)
{
    connect_cancel(within); /* without effect */
    if (rounds-- > 0) {
        within = connect_start(set, &again, on_done_starts_another, context);
        assert_non_null(within);
        return;
    }
    on_done(context, r);
}

static void another_attempt_within_done(void **state)
{
    (void)state;
    again = to("ws://127.0.0.1:%u/");
    server.replies[0] = "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n";
    rounds = 3;
    within = connect_start(set, &again, on_done_starts_another, &end);
    run_until(loop, &end.done);
    fails(CONNECT_ERR_STATUS, "503");
    assert_int_equal(server.accepted, 4);
}

/* --- a set that ends -------------------------------------------------------------------------- */

static bool drained;

static void on_drained(void *context)
{
    (void)context;
    assert_true(end.done); /* attempts end first */
    drained = true;
}

static void draining_ends_attempts(void **state)
{
    (void)state;
    drained = false;
    come_to(STEP_HANDSHAKE);
    conn_set_drain(set, 1001, 10000, on_drained, NULL);
    assert_false(end.done);
    run_until(loop, &drained);
    fails(CONNECT_ERR_CANCELLED, "going away");
    struct connect_options o = to("ws://127.0.0.1:%u/");
    attempt(&o);
    fails(CONNECT_ERR_CANCELLED, "going away");
}

static void draining_catches_one_that_has_just_succeeded(void **state)
{
    struct connect_options o = to("ws://127.0.0.1:%u/");
    (void)state;
    drained = false;
    server.replies[0] = ACCEPT;
    struct connect *c = start(&o);
    awaited = STEP_HANDSHAKE;
    run_until_holds(loop, is_there, c);
    connect_win(c);
    conn_set_drain(set, 1001, 10000, on_drained, NULL);
    run_until(loop, &drained);
    fails(CONNECT_ERR_CANCELLED, "going away");
}

static void drain_waits_for_one_that_is_cancelled(void **state)
{
    (void)state;
    drained = false;
    struct connect *c = come_to(STEP_HANDSHAKE);
    conn_set_drain(set, 1001, 10000, on_drained, NULL);
    connect_cancel(c);
    end.done = true;
    run_until(loop, &drained);
}

static void on_done_while_freeing(void *context, const struct connect_result *r)
{
    struct connect_options o = to("ws://127.0.0.1:%u/");
    assert_null(connect_start(set, &o, on_done, &end));
    on_done(context, r);
}

static void freeing_ends_attempts(void **state)
{
    (void)state;
    for (size_t i = 0; i < STAYS; i++) {
        memset(&end, 0, sizeof end);
        struct connect_options o = that_stays_in(stays[i].step);
        struct connect *c = connect_start(set, &o, on_done_while_freeing, &end);
        awaited = stays[i].step;
        run_until_holds(loop, is_there, c);
        conn_set_free(set);
        assert_true(end.done);
        assert_int_equal(end.error, CONNECT_ERR_CANCELLED);
        set = conn_set_new(loop, &events, &limits, 1, NULL);
        char address[32];
        struct sockaddr_in in;
        socklen_t size = sizeof in;
        getsockname(silent_dns, (void *)&in, &size);
        snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(in.sin_port));
        set->resolver = resolve_new(loop, address);
    }
}

/* --- memory ----------------------------------------------------------------------------------- */

/* The n-th allocation fails, for each n until none does: an error each time, and nothing is lost
 * (the sanitizer looks). */
static void memory_short(void **state)
{
    struct slice protocols[] = {slice_of("a")};
    struct deflate_settings compression = DEFLATE_SETTINGS_DEFAULT;
    size_t failed = 0;
    (void)state;
    proxy.replies[0] = "HTTP/1.1 200 OK\r\n\r\n";
    proxy.replies[1] = ACCEPTS "Sec-WebSocket-Protocol: a\r\n\r\n" HELLO;
    for (size_t n = 0;; n++) {
        struct connect_options o = through_proxy("ws://nowhere.invalid/a?b");
        o.protocols = protocols;
        o.protocol_count = 1;
        o.compression = &compression;
        memset(&end, 0, sizeof end);
        allocations_fail_after(n);
        if (connect_start(set, &o, on_done, &end))
            run_until(loop, &end.done);
        else
            end.error = CONNECT_ERR_MEMORY;
        allocations_succeed();
        if (!end.error && !allocations_failed())
            break;
        failed += end.error != 0;
        if (end.conn)
            hang_up();
        run_turns(loop, 2);
        assert_int_equal(conn_set_count(set), 0);
    }
    succeeds();
    assert_true(failed > 5);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, prepare, clean_up)
#define STAY(f) cmocka_unit_test_setup_teardown(f, prepare_stays, clean_up_stays)
    const struct CMUnitTest tests[] = {
        TEST(sends_the_opening_handshake),
        TEST(options_are_copied),
        TEST(host_in_brackets_and_without_a_default_port),
        TEST(each_key_is_new),
        TEST(frames_behind_the_answer_are_the_first_ones),
        TEST(answer_byte_by_byte),
        TEST(sends_and_closes_as_a_client),
        TEST(interim_answers_are_skipped_and_bounded),
        TEST(answers_that_break_the_protocol),
        TEST(compression_is_judged),
        TEST(oversized_heads),
        TEST(too_many_fields),
        TEST(status_with_a_body),
        TEST(status_with_a_body_that_ends_early_or_never),
        TEST(a_large_body_is_cut),
        TEST(ends_at_each_byte_of_the_answer),
        TEST(reset_by_the_server),
        TEST(refused),
        TEST(no_such_name),
        TEST(unix_socket),
        TEST(proxy_lets_through),
        TEST(proxy_refuses),
        TEST(proxy_is_away),
        STAY(timeout_names_the_step),
        STAY(cancelled_at_each_step),
        STAY(cancelled_at_once_and_at_the_last_moment),
        STAY(another_attempt_within_done),
        STAY(draining_ends_attempts),
        STAY(draining_catches_one_that_has_just_succeeded),
        STAY(drain_waits_for_one_that_is_cancelled),
        STAY(freeing_ends_attempts),
        TEST(memory_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
