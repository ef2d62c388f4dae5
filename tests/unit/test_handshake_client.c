/* wire/handshake_client: the request that a client writes, and which answers it takes. */
#include "support.h"
#include "wire/handshake_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* RFC 6455 section 1.2 and 1.3 */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define STATUS "HTTP/1.1 101 Switching Protocols\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define GOOD STATUS UPGRADE CONNECTION ACCEPT

static const struct slice offered[] = {{"chat", 4}, {"superchat", 9}, {"Chat", 4}};

static struct handshake_request request(void)
{
    return (struct handshake_request){
        .authority = slice_of("server.example.com"),
        .target = slice_of("/chat"),
        .key = slice_of(KEY),
        .protocols = offered,
        .protocol_count = COUNT(offered),
    };
}

static void makes_keys(void **state)
{
    (void)state;
    static const unsigned char zeros[HANDSHAKE_NONCE];
    unsigned char ones[HANDSHAKE_NONCE];
    char key[HANDSHAKE_KEY_LEN + 1];
    unsigned char *nonce = guard_copy("the sample nonce", HANDSHAKE_NONCE);
    handshake_make_key(nonce, key);
    assert_string_equal(key, KEY);
    guard_free(nonce, HANDSHAKE_NONCE);
    handshake_make_key(zeros, key);
    assert_string_equal(key, "AAAAAAAAAAAAAAAAAAAAAA==");
    memset(ones, 0xFF, sizeof ones);
    handshake_make_key(ones, key);
    assert_string_equal(key, "/////////////////////w==");
}

static void check_written(const struct handshake_request *r, const char *expected)
{
    struct buf out = {0};
    assert_true(buf_append_str(&out, "before"));
    bool ok = handshake_write_request(&out, r);
    assert_int_equal(ok, expected != NULL);
    if (!expected)
        expected = "";
    assert_int_equal(out.len, strlen("before") + strlen(expected));
    assert_memory_equal(out.data, "before", 6);
    assert_memory_equal(out.data + 6, expected, strlen(expected));
    buf_free(&out);
}

#define HEAD(target, host)                                                                         \
    "GET " target " HTTP/1.1\r\nHost: " host                                                       \
    "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " KEY                     \
    "\r\nSec-WebSocket-Version: 13\r\n"

static void writes_requests(void **state)
{
    (void)state;
    struct handshake_request r = request();
    check_written(
        &r, HEAD("/chat",
                 "server.example.com") "Sec-WebSocket-Protocol: chat, superchat, Chat\r\n\r\n");
    r.protocol_count = 1;
    r.extensions = slice_of("permessage-deflate; client_max_window_bits");
    r.fields = slice_of("Origin: http://a\r\nCookie: b=c\r\nSec-WebSocket: x\r\n");
    check_written(
        &r,
        HEAD("/chat",
             "server.example.com") "Sec-WebSocket-Protocol: chat\r\n"
                                   "Sec-WebSocket-Extensions: permessage-deflate; "
                                   "client_max_window_bits\r\n"
                                   "Origin: http://a\r\nCookie: b=c\r\nSec-WebSocket: x\r\n\r\n");
    r = (struct handshake_request){.authority = slice_of("[::1]:8080"),
                                   .target = slice_of("/?a=%23&b=c"),
                                   .key = slice_of(KEY)};
    check_written(&r, HEAD("/?a=%23&b=c", "[::1]:8080") "\r\n");
}

/* Whatever goes into a part, no request comes out that reads as something else. */
static void writes_no_forged_request(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "",      "chat",      "*",      "http://a/", "/a b",
        "/a#b",  "/a\tb",     "/a\r\n", "/a\nb",     "/ HTTP/1.1\r\nA: b",
        "/\x7F", "/\xC3\xA9", "/%",     "/%0",       "/a%zz"};
    static const char *const authorities[] = {"",     " ",        "a b",     "a/b",       "me@a",
                                              "a:0",  "a:b",      "a, b",    "a\r\nX: y", "::1",
                                              "[::1", "\xC3\xA9", "a:65536", "http://a"};
    static const char *const keys[] = {"",
                                       "x",
                                       KEY "=",
                                       "dGhlIHNhbXBsZSBub25jZQ=\n",
                                       "dGhlIHNhbXBsZSBub25jZQ",
                                       "dGhlIHNhbXBsZSBub25jZ!=="};
    static const char *const extensions[] = {"a\r\nb: c", "a\nb", "a\x01", "\r\n", "\x7F"};
    static const char *const fields[] = {
        "A",
        "A: b",
        "A: b\n",
        "A: b\r",
        "\r\n",
        "A: b\r\n\r\n",
        "A: b\r\n\r\nGET / HTTP/1.1\r\n",
        "A : b\r\n",
        " A: b\r\n",
        ": b\r\n",
        "A: b\rc\r\n",
        "A: \x01\r\n",
        "A: b\r\nB\r\n",
        "Host: a\r\n",
        "hOST: b\r\n",
        "Upgrade: h2c\r\n",
        "Connection: close\r\n",
        "Sec-WebSocket-Key: " KEY "\r\n",
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Version: 8\r\n",
        "sec-websocket-protocol: x\r\n",
        "Sec-WebSocket-Extensions: x\r\n",
        "Sec-WebSocket-Accept: x\r\n",
        "Sec-WebSocket-: x\r\n",
        "Sec-WebSocket-New: x\r\n",
        "Content-Length: 0\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Trailer: a\r\n",
        "TE: trailers\r\n",
        "Expect: 100-continue\r\n",
        "A: b\r\nExpect: 100-continue\r\n",
    };
    struct handshake_request r;
    for (size_t i = 0; i < COUNT(targets); i++) {
        r = request();
        r.target = slice_of(targets[i]);
        check_written(&r, NULL);
    }
    for (size_t i = 0; i < COUNT(authorities); i++) {
        r = request();
        r.authority = slice_of(authorities[i]);
        check_written(&r, NULL);
    }
    for (size_t i = 0; i < COUNT(keys); i++) {
        r = request();
        r.key = slice_of(keys[i]);
        check_written(&r, NULL);
    }
    for (size_t i = 0; i < COUNT(extensions); i++) {
        r = request();
        r.extensions = slice_of(extensions[i]);
        check_written(&r, NULL);
    }
    for (size_t i = 0; i < COUNT(fields); i++) {
        r = request();
        r.fields = slice_of(fields[i]);
        check_written(&r, NULL);
    }
    r = request();
    r.target = (struct slice){"/\0", 2};
    check_written(&r, NULL);
    r = request();
    r.fields = (struct slice){"A: b\0\r\n", 7};
    check_written(&r, NULL);
}

static void judges_the_offer(void **state)
{
    (void)state;
    static const struct slice bad[] = {{"", 0},      {" ", 1},        {"a b", 3},
                                       {"a,b", 3},   {"a\r\nb", 4},   {"a\0", 2},
                                       {"\"a\"", 3}, {"\xC3\xA9", 2}, {"chat", 4}};
    struct handshake_request r = request();
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct slice list[] = {{"chat", 4}, bad[i]};
        r.protocols = list;
        r.protocol_count = 2;
        assert_false(handshake_protocols_are_valid(list, 2));
        check_written(&r, NULL);
    }
    char names[HANDSHAKE_PROTOCOLS_MAX + 1][8];
    struct slice list[HANDSHAKE_PROTOCOLS_MAX + 1];
    for (size_t i = 0; i < COUNT(list); i++) {
        snprintf(names[i], sizeof names[i], "p%zu", i);
        list[i] = slice_of(names[i]);
    }
    assert_true(handshake_protocols_are_valid(NULL, 0));
    assert_true(handshake_protocols_are_valid(list, HANDSHAKE_PROTOCOLS_MAX));
    assert_false(handshake_protocols_are_valid(list, HANDSHAKE_PROTOCOLS_MAX + 1));
}

static void knows_reserved_fields(void **state)
{
    (void)state;
    static const char *const reserved[] = {"Host",
                                           "HOST",
                                           "upgrade",
                                           "Connection",
                                           "TE",
                                           "trailer",
                                           "Content-Length",
                                           "transfer-encoding",
                                           "Expect",
                                           "Sec-WebSocket-Key",
                                           "SEC-WEBSOCKET-X",
                                           "sec-websocket-"};
    static const char *const free[] = {"",    "Origin", "Cookie", "Authorization", "User-Agent",
                                       "Hos", "Hosts",  "X-Host", "Sec-WebSocket", "Sec-Fetch-Mode",
                                       "TEA"};
    for (size_t i = 0; i < COUNT(reserved); i++)
        assert_true(handshake_field_is_reserved(slice_of(reserved[i])));
    for (size_t i = 0; i < COUNT(free); i++)
        assert_false(handshake_field_is_reserved(slice_of(free[i])));
}

/* What is written is an upgrade for the server's half, and offers what it should. */
static void is_understood_by_the_server(void **state)
{
    (void)state;
    struct handshake_request r = request();
    struct buf out = {0};
    struct http_head head;
    struct slice supported = {"superchat", 9}, chosen, key;
    char accept[HANDSHAKE_ACCEPT_LEN + 1];
    assert_true(handshake_write_request(&out, &r));
    size_t scanned = 0;
    assert_int_equal(http_head_end((char *)out.data, out.len, &scanned), out.len);
    assert_int_equal(http_parse_request((char *)out.data, out.len, 8, &head), 0);
    assert_int_equal(handshake_check_request(&head), HANDSHAKE_UPGRADE);
    assert_true(handshake_choose_protocol(&head, &supported, 1, &chosen));
    /* and the server's answer is one for the client's */
    struct buf answer = {0};
    key = http_find(&head, "Sec-WebSocket-Key")->value;
    assert_true(handshake_accept(key, accept));
    assert_true(handshake_write_accept(&answer, key, chosen, slice_of(""), slice_of("")));
    assert_int_equal(http_parse_response((char *)answer.data, answer.len, 100, &head), 0);
    assert_int_equal(handshake_check_answer(&head, &r, &chosen), 0);
    assert_true(chosen.ptr == offered[1].ptr && chosen.len == 9);
    buf_free(&answer);
    buf_free(&out);
}

static void writes_nothing_when_memory_is_short(void **state)
{
    (void)state;
    struct handshake_request r = request();
    char fields[4096] = "A: ";
    memset(fields + 3, 'b', sizeof fields - 6);
    memcpy(fields + sizeof fields - 3, "\r\n", 3);
    r.extensions = slice_of("permessage-deflate");
    r.fields = slice_of(fields);
    size_t n = 0;
    for (;; n++) {
        struct buf out = {0};
        allocations_fail_after(n);
        bool ok = handshake_write_request(&out, &r);
        assert_int_equal(ok, allocations_failed() == 0);
        allocations_succeed();
        assert_true(ok || out.len == 0);
        buf_free(&out);
        if (ok)
            break;
    }
    assert_true(n >= 3);
    /* and wherever in the text it happens: a buffer that is full at each length */
    struct buf whole = {0};
    r.fields = slice_of("A: b\r\n");
    assert_true(handshake_write_request(&whole, &r));
    for (size_t room = 1; room < whole.len; room++) {
        struct buf out = {0};
        assert_true(buf_reserve(&out, room));
        size_t before = out.cap > room ? out.cap - room : 0;
        memset(out.data, 'x', out.cap);
        out.len = before;
        allocations_fail_after(0);
        assert_false(handshake_write_request(&out, &r));
        allocations_succeed();
        assert_int_equal(out.len, before);
        buf_free(&out);
    }
    buf_free(&whole);
}

struct vector {
    const char *name;
    const char *head; /* without the empty line */
    int result;
    const char *protocol; /* of an accepted one */
};

static void arrive(struct feed *f, void *context)
{
    const struct vector *v = context;
    struct handshake_request r = request();
    struct http_head head;
    struct slice protocol = slice_of("untouched");
    unsigned char *bytes;
    char how[32];
    size_t n, scanned = 0;
    while (feed_next_prefix(f, &bytes, &n)) {
        long end = http_head_end((const char *)bytes, n, &scanned);
        if (end == 0)
            continue;
        assert_int_equal(end, f->n);
        int rc = http_parse_response((const char *)bytes, n, HTTP_HEADERS_MAX, &head);
        if (rc != 0)
            fail_msg("%s: %d", v->name, rc);
        rc = handshake_check_answer(&head, &r, &protocol);
        if (rc != v->result)
            fail_msg("%s, %s: %d instead of %d", v->name, feed_how(f, how), rc, v->result);
        if (!slice_is(protocol, v->protocol ? v->protocol : ""))
            fail_msg("%s: %.*s", v->name, SLICE_ARG(protocol));
        return;
    }
    fail_msg("%s: no end", v->name);
}

static void check_vectors(const struct vector *vectors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[1024];
        struct vector v = vectors[i];
        int n = snprintf(text, sizeof text, "%s\r\n", v.head);
        assert_true((size_t)n < sizeof text);
        feed_every_way(text, (size_t)n, arrive, &v);
    }
}

static void takes_good_answers(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        {"RFC 6455 section 1.2", GOOD "Sec-WebSocket-Protocol: chat\r\n", 0, "chat"},
        {"no subprotocol", GOOD, 0, NULL},
        {"the case of a subprotocol counts", GOOD "Sec-WebSocket-Protocol: Chat\r\n", 0, "Chat"},
        {"any case",
         "HTTP/1.1 101\r\nUPGRADE: WebSocket\r\nconnection: uPGRADE\r\nsec-websocket-ACCEPT:\t"
         "s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n",
         0, NULL},
        {"Upgrade among others of Connection",
         STATUS UPGRADE ACCEPT "Connection: keep-alive, , Upgrade,x\r\n", 0, NULL},
        {"in the second field",
         STATUS UPGRADE ACCEPT "Connection: keep-alive\r\nConnection: upgrade\r\n", 0, NULL},
        {"a length of nothing", GOOD "Content-Length: 0\r\n", 0, NULL},
        {"fields that are nobody's matter",
         GOOD "Date: now\r\nSet-Cookie: a=b\r\nSec-WebSocket-Version: 13\r\nServer: x\r\n", 0,
         NULL},
        {"another reason",
         "HTTP/1.1 101 Web Socket Protocol Handshake\r\n" UPGRADE CONNECTION ACCEPT, 0, NULL},
    };
    check_vectors(vectors, COUNT(vectors));
}

static void refuses_bad_answers(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        {"200", "HTTP/1.1 200 OK\r\n" UPGRADE CONNECTION ACCEPT, HANDSHAKE_BAD_STATUS, NULL},
        {"100", "HTTP/1.1 100 Continue\r\n" UPGRADE CONNECTION ACCEPT, HANDSHAKE_BAD_STATUS, NULL},
        {"102", "HTTP/1.1 102 Processing\r\n" UPGRADE CONNECTION ACCEPT, HANDSHAKE_BAD_STATUS,
         NULL},
        {"301", "HTTP/1.1 301 Moved\r\nLocation: /\r\n", HANDSHAKE_BAD_STATUS, NULL},
        {"404 in HTTP/1.0", "HTTP/1.0 404 Not Found\r\n", HANDSHAKE_BAD_STATUS, NULL},
        {"101 in HTTP/1.0", "HTTP/1.0 101 OK\r\n" UPGRADE CONNECTION ACCEPT, HANDSHAKE_BAD_VERSION,
         NULL},
        {"a body", GOOD "Content-Length: 1\r\n", HANDSHAKE_BAD_BODY, NULL},
        {"a body of 2^64 bytes", GOOD "Content-Length: 18446744073709551616\r\n",
         HANDSHAKE_BAD_BODY, NULL},
        {"two lengths", GOOD "Content-Length: 0\r\nContent-Length: 0\r\n", HANDSHAKE_BAD_BODY,
         NULL},
        {"chunked", GOOD "Transfer-Encoding: chunked\r\n", HANDSHAKE_BAD_BODY, NULL},
        {"identity", GOOD "Transfer-Encoding: identity\r\n", HANDSHAKE_BAD_BODY, NULL},
        {"no Upgrade", STATUS CONNECTION ACCEPT, HANDSHAKE_BAD_UPGRADE, NULL},
        {"empty Upgrade", STATUS "Upgrade:\r\n" CONNECTION ACCEPT, HANDSHAKE_BAD_UPGRADE, NULL},
        {"another Upgrade", STATUS "Upgrade: h2c\r\n" CONNECTION ACCEPT, HANDSHAKE_BAD_UPGRADE,
         NULL},
        {"websocket with a version", STATUS "Upgrade: websocket/13\r\n" CONNECTION ACCEPT,
         HANDSHAKE_BAD_UPGRADE, NULL},
        {"quoted", STATUS "Upgrade: \"websocket\"\r\n" CONNECTION ACCEPT, HANDSHAKE_BAD_UPGRADE,
         NULL},
        {"a list", STATUS "Upgrade: websocket, h2c\r\n" CONNECTION ACCEPT, HANDSHAKE_BAD_UPGRADE,
         NULL},
        {"a list of one", STATUS "Upgrade: websocket,\r\n" CONNECTION ACCEPT, HANDSHAKE_BAD_UPGRADE,
         NULL},
        {"Upgrade twice", GOOD UPGRADE, HANDSHAKE_BAD_UPGRADE, NULL},
        {"two Upgrades", GOOD "Upgrade: h2c\r\n", HANDSHAKE_BAD_UPGRADE, NULL},
        {"no Connection", STATUS UPGRADE ACCEPT, HANDSHAKE_BAD_CONNECTION, NULL},
        {"empty Connection", STATUS UPGRADE ACCEPT "Connection:\r\n", HANDSHAKE_BAD_CONNECTION,
         NULL},
        {"another Connection", STATUS UPGRADE ACCEPT "Connection: keep-alive\r\n",
         HANDSHAKE_BAD_CONNECTION, NULL},
        {"a longer token", STATUS UPGRADE ACCEPT "Connection: Upgrades, xUpgrade\r\n",
         HANDSHAKE_BAD_CONNECTION, NULL},
        {"in a quoted string", STATUS UPGRADE ACCEPT "Connection: \"x, Upgrade\"\r\n",
         HANDSHAKE_BAD_CONNECTION, NULL},
        {"two tokens without a comma", STATUS UPGRADE ACCEPT "Connection: keep-alive Upgrade\r\n",
         HANDSHAKE_BAD_CONNECTION, NULL},
        {"no Accept", STATUS UPGRADE CONNECTION, HANDSHAKE_BAD_ACCEPT, NULL},
        {"Accept twice", GOOD ACCEPT, HANDSHAKE_BAD_ACCEPT, NULL},
        {"a good one and a bad one", GOOD "Sec-WebSocket-Accept: x\r\n", HANDSHAKE_BAD_ACCEPT,
         NULL},
    };
    check_vectors(vectors, COUNT(vectors));
    static const char *const accepts[] = {
        "",
        KEY,
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo==",
        "S3PPLMBITXAQ9KYGZZHZRBK+XOO=",
        "s3pPLMBiTxaQ9kYGzzhZRbK xOo=",
        "s3pPLMBiTxaQ9kYGzzhZRbK-xOo=",
        "\"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\"",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=, s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOp=", /* the same 20 bytes, with a spare bit set */
        "ICX+Yqv66kxgM0FcWaLWlFLwTAI=", /* of another key */
    };
    for (size_t i = 0; i < COUNT(accepts); i++) {
        char head[256];
        struct vector v = {accepts[i], head, HANDSHAKE_BAD_ACCEPT, NULL};
        snprintf(head, sizeof head, STATUS UPGRADE CONNECTION "Sec-WebSocket-Accept: %s\r\n",
                 accepts[i]);
        check_vectors(&v, 1);
    }
}

static void refuses_subprotocols_that_were_not_offered(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "Sec-WebSocket-Protocol:\r\n",
        "Sec-WebSocket-Protocol: mqtt\r\n",
        "Sec-WebSocket-Protocol: CHAT\r\n",
        "Sec-WebSocket-Protocol: chat.v2\r\n",
        "Sec-WebSocket-Protocol: cha\r\n",
        "Sec-WebSocket-Protocol: chat, superchat\r\n",
        "Sec-WebSocket-Protocol: chat,\r\n",
        "Sec-WebSocket-Protocol: \"chat\"\r\n",
        "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: superchat\r\n",
        "Sec-WebSocket-Protocol: chat\r\nsec-websocket-protocol: chat\r\n",
        "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Protocol: chat\r\n",
    };
    for (size_t i = 0; i < COUNT(fields); i++) {
        char head[512];
        struct vector v = {fields[i], head, HANDSHAKE_BAD_PROTOCOL, NULL};
        snprintf(head, sizeof head, GOOD "%s", fields[i]);
        check_vectors(&v, 1);
    }
    /* nothing was offered */
    static const char text[] = GOOD "Sec-WebSocket-Protocol: chat\r\n\r\n";
    struct handshake_request r = request();
    struct http_head head;
    struct slice protocol;
    r.protocols = NULL;
    r.protocol_count = 0;
    assert_int_equal(http_parse_response(text, sizeof text - 1, HTTP_HEADERS_MAX, &head), 0);
    assert_int_equal(handshake_check_answer(&head, &r, &protocol), HANDSHAKE_BAD_PROTOCOL);
    /* an answer to another key, and to what is no key */
    r.key = slice_of("AAAAAAAAAAAAAAAAAAAAAA==");
    assert_int_equal(handshake_check_answer(&head, &r, &protocol), HANDSHAKE_BAD_ACCEPT);
    r.key = slice_of("short");
    assert_int_equal(handshake_check_answer(&head, &r, &protocol), HANDSHAKE_BAD_MEMORY);
}

/* Each byte within each of the values that decide. */
static void judges_every_byte_in_its_fields(void **state)
{
    (void)state;
    static const struct {
        const char *text;    /* \1 is where the byte goes */
        const char *fitting; /* bytes with which it is still accepted */
        int otherwise;
    } fields[] = {
        {STATUS CONNECTION ACCEPT "Upgrade: web\1ocket\r\n\r\n", "sS", HANDSHAKE_BAD_UPGRADE},
        {STATUS CONNECTION ACCEPT "Upgrade: websocket\1\r\n\r\n", " \t", HANDSHAKE_BAD_UPGRADE},
        {STATUS UPGRADE ACCEPT "Connection: \1Upgrade\r\n\r\n", ", \t", HANDSHAKE_BAD_CONNECTION},
        {STATUS UPGRADE CONNECTION "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\1xOo=\r\n\r\n",
         "+", HANDSHAKE_BAD_ACCEPT},
        {GOOD "Sec-WebSocket-Protocol: \1hat\r\n\r\n", "cC", HANDSHAKE_BAD_PROTOCOL},
    };
    struct handshake_request r = request();
    for (size_t i = 0; i < COUNT(fields); i++) {
        for (int c = 1; c < 256; c++) {
            char text[512];
            struct http_head head;
            struct slice protocol;
            size_t n = strlen(fields[i].text);
            memcpy(text, fields[i].text, n);
            *(char *)memchr(text, 1, n) = (char)c;
            unsigned char *copy = guard_copy(text, n);
            int rc = http_parse_response((char *)copy, n, HTTP_HEADERS_MAX, &head);
            if (rc == 0) {
                int expected = strchr(fields[i].fitting, c) ? 0 : fields[i].otherwise;
                assert_int_equal(handshake_check_answer(&head, &r, &protocol), expected);
            } else {
                assert_true(c < 0x20 || c == 0x7F);
            }
            guard_free(copy, n);
        }
    }
}

static void has_words_for_errors(void **state)
{
    (void)state;
    for (int a = HANDSHAKE_BAD_MEMORY; a <= HANDSHAKE_BAD_STATUS + 1; a++)
        for (int b = HANDSHAKE_BAD_MEMORY; b < a; b++)
            assert_string_not_equal(handshake_answer_error_text(a), handshake_answer_error_text(b));
}

struct load {
    struct buf text;
    struct http_head head;
};

static void judge(void *context)
{
    struct load *l = context;
    struct handshake_request r = request();
    struct slice protocol;
    (void)handshake_check_answer(&l->head, &r, &protocol);
}

static void costs_are_linear_in_the_answer(void **state)
{
    (void)state;
    static const char *const fields[] = {"Connection: ", "X: ", "Sec-WebSocket-Protocol: "};
    for (size_t shape = 0; shape < 2 * COUNT(fields); shape++) {
        uint64_t cost[3];
        for (int i = 0; i < 3; i++) {
            struct load l = {{0}, {.header_count = 0}};
            assert_true(buf_append_str(&l.text, STATUS UPGRADE ACCEPT));
            assert_true(buf_append_str(&l.text, fields[shape / 2]));
            while (l.text.len < (size_t)4096 << i)
                assert_true(buf_append_str(&l.text, shape % 2 ? "a," : "chat"));
            assert_true(buf_append_str(&l.text, "\r\n" CONNECTION "\r\n"));
            assert_int_equal(http_parse_response((char *)l.text.data, l.text.len, 100, &l.head), 0);
            cost[i] = count_comparisons(judge, &l);
            buf_free(&l.text);
        }
        assert_true(costs_are_linear(cost[0], cost[1], cost[2]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_keys),
        cmocka_unit_test(writes_requests),
        cmocka_unit_test(writes_no_forged_request),
        cmocka_unit_test(judges_the_offer),
        cmocka_unit_test(knows_reserved_fields),
        cmocka_unit_test(is_understood_by_the_server),
        cmocka_unit_test(writes_nothing_when_memory_is_short),
        cmocka_unit_test(takes_good_answers),
        cmocka_unit_test(refuses_bad_answers),
        cmocka_unit_test(refuses_subprotocols_that_were_not_offered),
        cmocka_unit_test(judges_every_byte_in_its_fields),
        cmocka_unit_test(has_words_for_errors),
        cmocka_unit_test(costs_are_linear_in_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
