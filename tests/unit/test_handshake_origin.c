/* wire/handshake: is the page that connects one that may? Nothing streams here: the head is whole,
 * and how it arrives is the matter of test_handshake.c. */
#include "support.h"
#include "wire/handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A parsed head over a guarded copy. */
struct request {
    unsigned char *bytes;
    size_t n;
    struct http_head head;
};

static void request_open(struct request *r, const char *target, const char *fields)
{
    char text[1024];
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n%s\r\n", target, fields);
    assert_true((size_t)n < sizeof text);
    r->n = (size_t)n;
    r->bytes = guard_copy(text, r->n);
    assert_int_equal(http_parse_request((char *)r->bytes, r->n, HTTP_HEADERS_MAX, &r->head), 0);
}

static void request_close(struct request *r)
{
    guard_free(r->bytes, r->n);
}

static void compares_origin_and_host(void **state)
{
    (void)state;
    static const struct {
        const char *host, *origin;
        bool plain, secure; /* equal over TCP, over TLS */
    } cases[] = {
        {"a.example", "http://a.example", true, false},
        {"a.example", "https://a.example", false, true},
        {"A.example", "HTTP://a.EXAMPLE", true, false},
        /* default ports, written or not, on either side */
        {"a.example:80", "http://a.example", true, false},
        {"a.example", "http://a.example:80", true, false},
        {"a.example:443", "https://a.example", false, true},
        {"a.example", "https://a.example:443", false, true},
        {"a.example:443", "http://a.example:443", true, false},
        {"a.example:8080", "http://a.example:8080", true, false},
        {"a.example:8080", "https://a.example:8080", false, true},
        {"a.example:8080", "http://a.example", false, false},
        {"a.example", "http://a.example:8080", false, false},
        {"a.example", "http://a.example:443", false, false},
        {"a.example:80", "https://a.example", false, false},
        {"a.example:443", "http://a.example", false, false},
        /* hosts that look alike */
        {"a.example", "http://b.example", false, false},
        {"a.example", "http://a.example.evil.example", false, false},
        {"a.example", "http://evila.example", false, false},
        {"a.example", "http://sub.a.example", false, false},
        {"sub.a.example", "http://a.example", false, false},
        {"a.example", "http://a.example.", false, false},
        {"a.example.", "http://a.example.", true, false},
        {"localhost", "http://127.0.0.1", false, false},
        {"127.0.0.1:8080", "http://127.0.0.1:8080", true, false},
        {"[::1]", "http://[::1]", true, false},
        {"[::1]:80", "http://[::1]", true, false},
        {"[FE80::1]:8443", "https://[fe80::1]:8443", false, true},
        {"[::1]:8080", "http://[::1]:8081", false, false},
        {"[::1]", "http://[::2]", false, false},
        {"[::1]", "http://::1", false, false},
        /* what is no origin of a page */
        {"a.example", "null", false, false},
        {"null", "null", false, false},
        {"null", "http://null", true, false},
        {"a.example", "", false, false},
        {"a.example", "a.example", false, false},
        {"a.example", "//a.example", false, false},
        {"a.example", "://a.example", false, false},
        {"a.example", "http:a.example", false, false},
        {"a.example", "http:/a.example", false, false},
        {"a.example", "http:///a.example", false, false},
        {"a.example", "http://", false, false},
        {"a.example", "ws://a.example", false, false},
        {"a.example", "wss://a.example", false, false},
        {"a.example", "ftp://a.example", false, false},
        {"a.example", "file://", false, false},
        {"a.example", "chrome-extension://a.example", false, false},
        {"a.example", "http://a.example/", false, false},
        {"a.example", "http://a.example/path", false, false},
        {"a.example", "http://a.example?q", false, false},
        {"a.example", "http://a.example#f", false, false},
        {"a.example", "http://me@a.example", false, false},
        {"a.example", "http://a.example:", false, false},
        {"a.example", "http://a.example:080", false, false},
        {"a.example", "http://a.example:0", false, false},
        {"a.example", "http://a.example:65616", false, false}, /* 80, if it wrapped around */
        {"a.example", "http://a.example http://a.example", false, false},
        {"a.example", "http://a.example, http://a.example", false, false},
        {"a.example", "http://b.example http://a.example", false, false},
        {"a.example", "http ://a.example", false, false},
        {"a.example", "http://a.ex\xC3\xA1mple", false, false},
        {"a.example", "\xEF\xBB\xBFhttp://a.example", false, false},
        {"a.example", "http://a%2Eexample", false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char fields[256];
        struct request r;
        snprintf(fields, sizeof fields, "Host: %s\r\nOrigin: %s\r\n", cases[i].host,
                 cases[i].origin);
        request_open(&r, "/", fields);
        if (handshake_origin_is_same(&r.head, false) != cases[i].plain ||
            handshake_origin_is_same(&r.head, true) != cases[i].secure)
            fail_msg("%s and %s", cases[i].host, cases[i].origin);
        request_close(&r);
    }
}

static void check_origin(const char *target, const char *fields, bool plain, bool secure)
{
    struct request r;
    request_open(&r, target, fields);
    assert_int_equal(handshake_origin_is_same(&r.head, false), plain);
    assert_int_equal(handshake_origin_is_same(&r.head, true), secure);
    request_close(&r);
}

static void counts_origins_and_heeds_the_target(void **state)
{
    (void)state;
    check_origin("/", "Host: a\r\n", true, true);
    check_origin("/", "Host: a\r\nOrigin: http://a\r\nOrigin: http://a\r\n", false, false);
    check_origin("/", "Host: a\r\nOrigin: http://a\r\norigin: http://b\r\n", false, false);
    check_origin("/", "Host: a\r\norigin: http://a\r\n", true, false);
    /* the host of the target counts, and Host does not */
    check_origin("http://a/", "Host: b\r\nOrigin: http://a\r\n", true, false);
    check_origin("http://a/", "Host: b\r\nOrigin: http://b\r\n", false, false);
    check_origin("wss://a/", "Host: b\r\nOrigin: https://a\r\n", false, true);
    check_origin("https://a:8443/", "Host: a\r\nOrigin: https://a:8443\r\n", false, true);
    check_origin("ftp://a/", "Host: a\r\nOrigin: http://a\r\n", false, false);
    check_origin("*", "Host: a\r\nOrigin: http://a\r\n", false, false);
    /* a head that names no host of ours, which no parser lets through, has no equal */
    struct http_head head = {.header_count = 1, .headers = {{{"Origin", 6}, {"http://a", 8}}}};
    assert_false(handshake_origin_is_same(&head, false));
    head.headers[head.header_count++] = (struct http_header){{"Host", 4}, {"a b", 3}};
    assert_false(handshake_origin_is_same(&head, false));
    head.headers[1].value = slice_of("a");
    assert_true(handshake_origin_is_same(&head, false));
    assert_false(handshake_origin_is_same(&head, true));
}

static void finds_origins_in_a_list(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "https://ops.example", "http://dev.example:3000", "null",
        "app://local",         "https://[::1]",           "no origin"};
    static const struct {
        const char *fields;
        bool listed;
    } cases[] = {
        {"Origin: https://ops.example\r\n", true},
        {"Origin: HTTPS://OPS.example:443\r\n", true},
        {"Origin: http://dev.example:3000\r\n", true},
        {"Origin: app://local\r\n", true},
        {"Origin: https://[::1]:443\r\n", true},
        {"", true},
        {"Origin: http://ops.example\r\n", false},
        {"Origin: https://ops.example:8443\r\n", false},
        {"Origin: https://ops.example/\r\n", false},
        {"Origin: https://x.ops.example\r\n", false},
        {"Origin: http://dev.example\r\n", false},
        {"Origin: app://local:80\r\n", false},
        {"Origin: null\r\n", false},
        {"Origin: no origin\r\n", false},
        {"Origin:\r\n", false},
        {"Origin: https://ops.example\r\nOrigin: https://ops.example\r\n", false},
    };
    struct slice allowed[COUNT(texts)];
    for (size_t i = 0; i < COUNT(texts); i++)
        allowed[i] = slice_of(texts[i]);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char fields[256];
        struct request r;
        snprintf(fields, sizeof fields, "Host: a\r\n%s", cases[i].fields);
        request_open(&r, "/", fields);
        if (handshake_origin_is_listed(&r.head, allowed, COUNT(allowed)) != cases[i].listed)
            fail_msg("%s", cases[i].fields);
        assert_int_equal(handshake_origin_is_listed(&r.head, NULL, 0),
                         http_count(&r.head, "Origin") == 0);
        request_close(&r);
    }
}

/* Does it match itself? */
static bool is_origin(const char *text)
{
    char field[256];
    struct request r;
    struct slice itself = slice_of(text);
    snprintf(field, sizeof field, "Host: a\r\nOrigin: %s\r\n", text);
    request_open(&r, "/", field);
    bool matches = handshake_origin_is_listed(&r.head, &itself, 1);
    request_close(&r);
    return matches;
}

static void matches_nothing_with_what_is_no_origin(void **state)
{
    (void)state;
    assert_true(is_origin("https://a.example") && is_origin("https://a.example:8443"));
    assert_false(is_origin("https://a.example/"));
    /* RFC 3986 section 3.1: a scheme is a letter, then letters, digits, "+", "-" and "." */
    assert_true(is_origin("a1+b-C.9://b"));
    static const char *const bad[] = {
        "null",   "",       "1a://b", "+a://b",    "-a://b", ".a://b", "a_://b",
        "a{://b", "a@://b", "a ://b", "a\x80://b", "a/://b", "://b",   "a",
        "a:",     "a:/",    "a:/b",   "a::/b",     "a:b//"};
    for (size_t i = 0; i < COUNT(bad); i++)
        if (is_origin(bad[i]))
            fail_msg("%s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares_origin_and_host),
        cmocka_unit_test(counts_origins_and_heeds_the_target),
        cmocka_unit_test(finds_origins_in_a_list),
        cmocka_unit_test(matches_nothing_with_what_is_no_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
