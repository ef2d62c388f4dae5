/* wire/http_connect: the request for a tunnel, and the answers that open one. */
#include "support.h"
#include "wire/http_connect.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void check(struct slice host, uint16_t port, struct slice credentials, const char *expected)
{
    struct buf out = {0};
    unsigned char *host_copy = guard_copy(host.ptr, host.len);
    unsigned char *copy = guard_copy(credentials.ptr, credentials.len);
    assert_true(buf_append_str(&out, "before"));
    bool ok = http_connect_write(&out, (struct slice){(char *)host_copy, host.len}, port,
                                 (struct slice){(char *)copy, credentials.len});
    if (ok != (expected != NULL))
        fail_msg("%.*s: %d", SLICE_ARG(host), ok);
    if (!expected)
        expected = "";
    assert_int_equal(out.len, 6 + strlen(expected));
    assert_memory_equal(out.data, "before", 6);
    assert_memory_equal(out.data + 6, expected, strlen(expected));
    guard_free(copy, credentials.len);
    guard_free(host_copy, host.len);
    buf_free(&out);
}

static void writes_requests(void **state)
{
    (void)state;
    check(slice_of("server.example"), 443, slice_of(""),
          "CONNECT server.example:443 HTTP/1.1\r\nHost: server.example:443\r\n\r\n");
    check(slice_of("192.0.2.1"), 1, slice_of(""),
          "CONNECT 192.0.2.1:1 HTTP/1.1\r\nHost: 192.0.2.1:1\r\n\r\n");
    check(slice_of("2001:db8::1"), 65535, slice_of(""),
          "CONNECT [2001:db8::1]:65535 HTTP/1.1\r\nHost: [2001:db8::1]:65535\r\n\r\n");
    /* RFC 7617 section 2 */
    check(slice_of("a"), 80, slice_of("Aladdin:open sesame"),
          "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n"
          "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
    check(slice_of("a"), 80, slice_of("test:123\xC2\xA3"),
          "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n"
          "Proxy-Authorization: Basic dGVzdDoxMjPCow==\r\n\r\n");
    check(slice_of("a"), 80, slice_of("u:p:q"),
          "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nProxy-Authorization: Basic dTpwOnE=\r\n\r\n");
    check(slice_of("a"), 80, slice_of(":"),
          "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nProxy-Authorization: Basic Og==\r\n\r\n");
    check(slice_of("a"), 80, slice_of("us:"),
          "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nProxy-Authorization: Basic dXM6\r\n\r\n");
}

static void refuses_what_has_no_place(void **state)
{
    (void)state;
    static const char *const hosts[] = {"",       " ",        "a b",      "a:80",      "[::1]",
                                        "::1]",   "a/b",      "me@a",     "a\r\nX: y", "..",
                                        "::1%lo", "a,b",      "\xC3\xA9", "a\t",       "a#",
                                        "a?",     "http://a", "1::2::3",  "%s"};
    for (size_t i = 0; i < COUNT(hosts); i++)
        check(slice_of(hosts[i]), 80, slice_of(""), NULL);
    check((struct slice){"a\0", 2}, 80, slice_of(""), NULL);
    check((struct slice){"a\0.b", 4}, 80, slice_of(""), NULL);
    check((struct slice){"::1\0", 4}, 80, slice_of(""), NULL);
    check(slice_of("a"), 0, slice_of(""), NULL);
    static const char *const credentials[] = {
        "user", " ", "user\r\n:password", "user:pass\nword", "user:\t", "user:\x7F", "\x01:"};
    for (size_t i = 0; i < COUNT(credentials); i++)
        check(slice_of("a"), 80, slice_of(credentials[i]), NULL);
    check(slice_of("a"), 80, (struct slice){"user:\0", 6}, NULL);
    /* more than the encoder could take is refused before it is read */
    struct buf much = {0};
    assert_false(
        http_connect_write(&much, slice_of("a"), 80, (struct slice){"u:p", (size_t)INT_MAX + 1}));
    assert_int_equal(much.len, 0);
    buf_free(&much);
    /* names of every length: as many characters as a name may have, and no overflow */
    char host[1024];
    for (size_t n = 1; n < sizeof host; n++) {
        struct buf out = {0};
        memset(host, 'a', n);
        bool ok = http_connect_write(&out, (struct slice){host, n}, 65535, slice_of(""));
        assert_int_equal(ok, n <= 255);
        buf_free(&out);
    }
}

static void writes_nothing_when_memory_is_short(void **state)
{
    (void)state;
    struct buf whole = {0};
    char secret[600];
    memset(secret, 'x', sizeof secret);
    secret[5] = ':';
    struct slice credentials = {secret, sizeof secret};
    assert_true(http_connect_write(&whole, slice_of("server.example"), 443, credentials));
    for (size_t room = 1; room < whole.len; room++) {
        struct buf out = {0};
        assert_true(buf_reserve(&out, room));
        size_t before = out.cap > room ? out.cap - room : 0;
        memset(out.data, 'x', out.cap);
        out.len = before;
        allocations_fail_after(0);
        assert_false(http_connect_write(&out, slice_of("server.example"), 443, credentials));
        allocations_succeed();
        assert_int_equal(out.len, before);
        buf_free(&out);
    }
    buf_free(&whole);
}

/* RFC 9110 section 9.3.6: any 2xx; and what proxies in use write. */
static void knows_an_open_tunnel(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        bool open;
    } cases[] = {
        {"HTTP/1.0 200 Connection established\r\nProxy-agent: tinyproxy/1.11.1\r\n\r\n", true},
        {"HTTP/1.1 200 Connection established\r\n\r\n", true},
        {"HTTP/1.1 200\r\n\r\n", true},
        {"HTTP/1.1 204 \r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", true},
        {"HTTP/1.1 299 x\r\n\r\n", true},
        {"HTTP/1.1 100 Continue\r\n\r\n", false},
        {"HTTP/1.1 101 Switching Protocols\r\n\r\n", false},
        {"HTTP/1.1 199 x\r\n\r\n", false},
        {"HTTP/1.1 300 x\r\n\r\n", false},
        {"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", false},
        {"HTTP/1.0 502 Bad Gateway\r\n\r\n", false},
        {"HTTP/1.1 999 x\r\n\r\n", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_head head;
        size_t n = strlen(cases[i].head);
        assert_int_equal(http_parse_response(cases[i].head, n, HTTP_HEADERS_MAX, &head), 0);
        if (http_connect_is_open(&head) != cases[i].open)
            fail_msg("%s", cases[i].head);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_requests),
        cmocka_unit_test(refuses_what_has_no_place),
        cmocka_unit_test(writes_nothing_when_memory_is_short),
        cmocka_unit_test(knows_an_open_tunnel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
