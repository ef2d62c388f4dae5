/* A client's way to a server: refusals, Unix sockets, proxies, and memory on that way. */
#include "connect_run.h"
#include "support.h"

#include <sys/un.h>

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
    struct connect_options o = to("ws://a.example/");
    (void)state;
    o.uri.host = slice_of("a..b");
    attempt(&o);
    fails(CONNECT_ERR_NAME, "ws://a..b:80: that is no host name");
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
    fails(CONNECT_ERR_REFUSED, ".sock: no such file");
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
    fails(CONNECT_ERR_NAME, "xxx: a socket's path");
}

/* --- through a proxy -------------------------------------------------------------------------- */

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
    static const char request[] = "CONNECT nowhere.invalid:8000 HTTP/1.1\r\n"
                                  "Host: nowhere.invalid:8000\r\n"
                                  "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
                                  "GET /x HTTP/1.1\r\n";
    struct connect_options o = through_proxy("ws://nowhere.invalid:8000/x");
    (void)state;
    o.proxy_credentials = slice_of("Aladdin:open sesame");
    proxy.replies[0] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Connection established\r\n"
                       "Content-Length: 10\r\n\r\n";
    proxy.replies[1] = "HTTP/1.1 103 X\r\n\r\n" ACCEPT HELLO;
    attempt(&o);
    succeeds();
    assert_int_equal(strncmp(proxy.in, request, sizeof request - 1), 0);
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
    /* of tinyproxy, when the credentials are wrong */
    proxy_fails("HTTP/1.1 401 X\r\n\r\n", "401 Unauthorized: it wants credentials");
    o.proxy_credentials = slice_of("user:secret");
    attempt(&o);
    fails(CONNECT_ERR_PROXY, "401 Unauthorized: it does not take the credentials");
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
    const struct CMUnitTest tests[] = {
        TEST(refused),       TEST(no_such_name),  TEST(unix_socket),  TEST(proxy_lets_through),
        TEST(proxy_refuses), TEST(proxy_is_away), TEST(memory_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
