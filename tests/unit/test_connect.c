/* A client's opening handshake over real sockets of this machine: what is sent, and every answer.
 */
#include "connect_run.h"

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

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, prepare, clean_up)
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
