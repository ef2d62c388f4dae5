/* A client's way to a connection over TLS: what is said about a server that is not the right one,
 * or goes away. The certificates themselves are judged in test_tls_client.c. */
#include "connect_run.h"
#include "tls_peer.h"

static struct folder folder;
static struct identity authority, certificate;
static struct tls_client *client;

static int prepare_tls(void **state)
{
    char error[512];
    if (prepare(state))
        return -1;
    folder = folder_new();
    authority = identity_new((struct wanted){.name = "Root", .authority = true});
    certificate =
        identity_new((struct wanted){.name = "server",
                                     .alternative = "DNS:localhost,DNS:app.example,IP:127.0.0.1",
                                     .issuer = &authority});
    struct path ca = write_cert(&folder, "ca.pem", &authority);
    struct tls_client_settings settings = {.ca_file = ca.text};
    client = tls_client_new(&settings, error, sizeof error);
    server.tls = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_cert_and_key(server.tls, certificate.cert, certificate.key, NULL, 1);
    return client ? 0 : -1;
}

static int clean_up_tls(void **state)
{
    tls_client_unref(client);
    identity_free(&authority);
    identity_free(&certificate);
    folder_remove(&folder);
    return clean_up(state);
}

static struct connect_options secure(const char *url)
{
    struct connect_options o = to(url);
    o.tls = client;
    return o;
}

static void opens(void **state)
{
    struct connect_options o = secure("wss://localhost:%u/x");
    (void)state;
    server.replies[0] = ACCEPT HELLO;
    attempt(&o);
    succeeds();
    assert_true(conn_is_secure(end.conn));
    assert_non_null(strstr(server.in, "GET /x HTTP/1.1\r\n"));
    assert_string_equal(SSL_get_servername(server.ssl, TLSEXT_NAMETYPE_host_name), "localhost");
    run_until(loop, &end.got_message);
    assert_string_equal(end.message, "hello");
}

static void answer_record_by_record(void **state)
{
    struct connect_options o = secure("wss://127.0.0.1:%u/");
    (void)state;
    server.replies[0] = ACCEPT HELLO;
    server.pieces = 1;
    attempt(&o);
    succeeds();
    run_until(loop, &end.got_message);
}

/* All that the server says is in the stream's own buffers when the connection begins. */
static void frames_that_tls_has_read_ahead_are_not_left_there(void **state)
{
    static char many[PEER_ROOM];
    struct connect_options o = secure("wss://127.0.0.1:%u/");
    (void)state;
    strcpy(many, ACCEPT);
    size_t at = strlen(many);
    /* one frame of 60,000 bytes: several records, sent at once */
    memcpy(many + at, "\x81\x7e\xea\x60", 4);
    memset(many + at + 4, 'm', 60000);
    server.replies[0] = many;
    attempt(&o);
    succeeds();
    run_until(loop, &end.got_message);
}

static void another_name_to_verify(void **state)
{
    struct connect_options o = secure("wss://127.0.0.1:%u/");
    (void)state;
    o.server_name = slice_of("app.example");
    attempt(&o);
    succeeds();
    assert_string_equal(SSL_get_servername(server.ssl, TLSEXT_NAMETYPE_host_name), "app.example");
    hang_up();
    o.server_name = slice_of("other.example");
    attempt(&o);
    fails(CONNECT_ERR_TLS, "not other.example");
    assert_null(strstr(server.in, "GET")); /* nothing is said to the wrong one */
}

static void through_a_proxy(void **state)
{
    struct connect_options o = through_proxy("wss://app.example/x");
    (void)state;
    o.tls = client;
    proxy.tls = server.tls;
    proxy.tls_from = 1;
    proxy.replies[0] = "HTTP/1.1 200 OK\r\n\r\n";
    proxy.replies[1] = ACCEPT HELLO;
    attempt(&o);
    succeeds();
    assert_int_equal(strncmp(proxy.in, "CONNECT app.example:443 HTTP/1.1\r\n", 34), 0);
    assert_non_null(strstr(proxy.in, "\r\nHost: app.example\r\n"));
    run_until(loop, &end.got_message);
    hang_up();
    /* what comes before TLS has begun is in the clear: anybody's */
    proxy.replies[0] = "HTTP/1.1 200 OK\r\n\r\n" ACCEPT;
    attempt(&o);
    fails(CONNECT_ERR_PROXY, "before we said anything");
}

static void not_trusted(void **state)
{
    struct identity other =
        identity_new((struct wanted){.name = "x", .alternative = "IP:127.0.0.1"});
    struct connect_options o = secure("wss://127.0.0.1:%u/");
    (void)state;
    SSL_CTX_use_cert_and_key(server.tls, other.cert, other.key, NULL, 1);
    attempt(&o);
    fails(CONNECT_ERR_TLS, "self-signed");
    identity_free(&other);
}

static void no_tls_at_the_other_end(void **state)
{
    struct connect_options o = secure("wss://127.0.0.1:%u/");
    SSL_CTX *kept = server.tls;
    (void)state;
    server.tls = NULL;
    server.ends = true; /* at once */
    attempt(&o);
    server.tls = kept;
    fails(CONNECT_ERR_TLS, "in the TLS handshake");
    o.tls = NULL;
    attempt(&o);
    fails(CONNECT_ERR_TLS, "no settings for TLS");
}

static void ends_in_the_answer(void **state)
{
    struct connect_options o = secure("wss://127.0.0.1:%u/");
    (void)state;
    server.ends = true; /* without a word of TLS: its close_notify */
    for (server.end_after = 1; server.end_after < 20; server.end_after++) {
        attempt(&o);
        fails(CONNECT_ERR_LOST, "in the middle of its answer");
    }
}

/* With TLS 1.3 the client's handshake is done before the server looks at its certificate. */
static void wants_a_certificate(void **state)
{
    struct connect_options o = secure("wss://127.0.0.1:%u/");
    (void)state;
    SSL_CTX_set_verify(server.tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    attempt(&o);
    fails(CONNECT_ERR_TLS, "wants a client certificate");
}

/* The attempt has its own reference. */
static void settings_may_go(void **state)
{
    struct connect_options o = secure("wss://127.0.0.1:%u/");
    (void)state;
    start(&o);
    tls_client_unref(client);
    client = NULL;
    run_until(loop, &end.done);
    succeeds();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, prepare_tls, clean_up_tls)
    const struct CMUnitTest tests[] = {
        TEST(opens),
        TEST(answer_record_by_record),
        TEST(frames_that_tls_has_read_ahead_are_not_left_there),
        TEST(another_name_to_verify),
        TEST(through_a_proxy),
        TEST(not_trusted),
        TEST(no_tls_at_the_other_end),
        TEST(ends_in_the_answer),
        TEST(wants_a_certificate),
        TEST(settings_may_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
