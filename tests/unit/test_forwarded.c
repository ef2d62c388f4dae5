/* wire/forwarded: whom a request is for, by the words of trusted proxies and by nobody else's. */
#include "support.h"
#include "wire/forwarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* 10/8, fd00::/8 and Unix sockets are proxies; the rest of the world is not. */
static struct network_list trusted;

static int trust(void **state)
{
    (void)state;
    static const char *const texts[] = {"10.0.0.0/8", "fd00::/8", "unix"};
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_int_equal(network_list_add(&trusted, slice_of(texts[i])), 0);
    return 0;
}

static int trust_nobody(void **state)
{
    (void)state;
    network_list_free(&trusted);
    return 0;
}

static struct address peer_of(const char *text)
{
    struct address a = {0};
    if (strcmp(text, "unix") == 0)
        a.family = ADDRESS_UNIX;
    else if (strcmp(text, "none") != 0)
        assert_true(address_parse(slice_of(text), &a));
    a.port = a.family == ADDRESS_UNIX ? 0 : 7;
    return a;
}

/* The answer in words: "192.0.2.1 80", and what else there is to say. */
static void ask(const char *peer, bool secure, const char *fields, char out[128])
{
    char text[2048], client[ADDRESS_TEXT];
    struct http_head head;
    struct address from = peer_of(peer);
    struct forwarded f;
    memset(&f, 0xA5, sizeof f);
    int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\n%sHost: a\r\n\r\n", fields);
    assert_true((size_t)n < sizeof text);
    unsigned char *copy = guard_copy(text, (size_t)n);
    int rc = http_parse_request((char *)copy, (size_t)n, HTTP_HEADERS_MAX, &head);
    if (rc != 0)
        fail_msg("%d for %s", rc, fields);
    enum forwarded_result result = forwarded_find(&head, &from, secure, &trusted, &f);
    guard_free(copy, (size_t)n);
    address_format(&f.client, client);
    snprintf(out, 128, "%s %u%s%s", client, f.client.port, f.secure ? " secure" : "",
             result == FORWARDED_LOST       ? " lost"
             : result == FORWARDED_CONFLICT ? " conflict"
                                            : "");
}

static void check(const char *peer, bool secure, const char *fields, const char *expected)
{
    char out[128];
    ask(peer, secure, fields, out);
    if (strcmp(out, expected) != 0)
        fail_msg("%s from %s: %s instead of %s", fields, peer, out, expected);
}

#define XFF(value) "X-Forwarded-For: " value "\r\n"
#define XFP(value) "X-Forwarded-Proto: " value "\r\n"
#define FWD(value) "Forwarded: " value "\r\n"

static void believes_nobody_else(void **state)
{
    (void)state;
    static const char *const strangers[] = {"192.0.2.9", "2001:db8::9", "::1", "127.0.0.1",
                                            "11.0.0.1"};
    static const char *const fields[] = {XFF("198.51.100.1"),
                                         XFP("https"),
                                         FWD("for=198.51.100.1;proto=https"),
                                         XFF("10.0.0.1") XFP("https") FWD("for=203.0.113.1"),
                                         FWD("for="),
                                         XFF("x"),
                                         ""};
    for (size_t i = 0; i < COUNT(strangers); i++) {
        for (size_t j = 0; j < COUNT(fields); j++) {
            char expected[64];
            snprintf(expected, sizeof expected, "%s 7", strangers[i]);
            check(strangers[i], false, fields[j], expected);
            strcat(expected, " secure");
            check(strangers[i], true, fields[j], expected);
        }
    }
    check("none", false, XFF("198.51.100.1"), "unknown 7");
}

static void leaves_what_is_not_told(void **state)
{
    (void)state;
    check("10.0.0.1", false, "", "10.0.0.1 7");
    check("10.0.0.1", true, "", "10.0.0.1 7 secure");
    check("unix", false, "", "unix 0");
    check("10.0.0.1", false, XFF("") FWD(""), "10.0.0.1 7");
    check("10.0.0.1", false, XFF(" , ,,"), "10.0.0.1 7");
    check("10.0.0.1", false, FWD(" , ,,"), "10.0.0.1 7");
    check("10.0.0.1", false, "X-Forwarded-Fo: 192.0.2.1\r\nX-Forwarded-Forr: 192.0.2.1\r\n",
          "10.0.0.1 7");
    check("10.0.0.1", false, "X-Real-IP: 192.0.2.1\r\nVia: 1.1 a\r\n", "10.0.0.1 7");
}

static void walks_from_the_right(void **state)
{
    (void)state;
    check("10.0.0.1", false, XFF("192.0.2.1"), "192.0.2.1 0");
    check("unix", false, XFF("192.0.2.1"), "192.0.2.1 0");
    check("fd00::1", false, XFF("2001:DB8::1"), "2001:db8::1 0");
    check("::ffff:10.0.0.1", false, "x-forwarded-FOR: 192.0.2.1\r\n", "192.0.2.1 0");
    /* what the client itself has sent stands left of what the proxy has added */
    check("10.0.0.1", false, XFF("198.51.100.1, 192.0.2.1"), "192.0.2.1 0");
    check("10.0.0.1", false, XFF("10.0.0.5, 192.0.2.1"), "192.0.2.1 0");
    check("10.0.0.1", false, XFF("rubbish\", \\,,192.0.2.1"), "192.0.2.1 0");
    /* through several proxies */
    check("10.0.0.1", false, XFF("198.51.100.1, 192.0.2.1, 10.0.0.2"), "192.0.2.1 0");
    check("10.0.0.1", false, XFF("198.51.100.1,192.0.2.1,10.0.0.3 ,\tfd00::2,"), "192.0.2.1 0");
    check("10.0.0.1", false, XFF("192.0.2.1, ::ffff:10.0.0.2"), "192.0.2.1 0");
    /* in several fields, which are one list */
    check("10.0.0.1", false, XFF("198.51.100.1") XFF("192.0.2.1"), "192.0.2.1 0");
    check("10.0.0.1", false, XFF("192.0.2.1") "A: b\r\n" XFF("10.0.0.3") XFF("") XFF("10.0.0.2"),
          "192.0.2.1 0");
    /* when all are proxies, the first of them asks */
    check("10.0.0.1", false, XFF("10.0.0.3, 10.0.0.2"), "10.0.0.3 0");
    check("10.0.0.1", false, XFF("10.0.0.1"), "10.0.0.1 0");
}

static void reads_addresses_with_ports(void **state)
{
    (void)state;
    check("10.0.0.1", false, XFF("192.0.2.1:4711"), "192.0.2.1 4711");
    check("10.0.0.1", false, XFF("[2001:db8::1]"), "2001:db8::1 0");
    check("10.0.0.1", false, XFF("[2001:db8::1]:65535"), "2001:db8::1 65535");
    check("10.0.0.1", false, XFF("192.0.2.1, 10.0.0.2:80"), "192.0.2.1 0");
    check("10.0.0.1", false, FWD("for=\"192.0.2.1:4711\""), "192.0.2.1 4711");
    check("10.0.0.1", false, FWD("for=\"[2001:db8::1]\""), "2001:db8::1 0");
    check("10.0.0.1", false, FWD("For=\"[2001:DB8:cafe::17]:4711\""), "2001:db8:cafe::17 4711");
    check("10.0.0.1", false, FWD("for=\"192.0.2.1:_azAZ09.-_\""), "192.0.2.1 0");
    check("10.0.0.1", false, FWD("for=\"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535\""),
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535");
}

/* Where the trail ends, the trusted hop that has written the entry stands for the client. */
static void ends_where_it_is_lost(void **state)
{
    (void)state;
    static const char *const nodes[] = {
        "unknown",
        "_hidden",
        "_",
        "_x:80",
        "x",
        "localhost",
        "192.0.2",
        "192.0.2.256",
        "192.0.02.1",
        "192.0.2.1:",
        "192.0.2.1:x",
        "192.0.2.1:080",
        "192.0.2.1:65536",
        "192.0.2.1:_",
        "192.0.2.1:_a b",
        "192.0.2.1:-1",
        "192.0.2.1:80:80",
        "192.0.2.1 80",
        "192.0.2.1/32",
        "[",
        "]",
        "[]",
        "[192.0.2.1]",
        "[2001:db8::1",
        "[2001:db8::1]x",
        "[2001:db8::1]80",
        "[2001:db8::1]:",
        "[fe80::1%lo]",
        "[[::1]]",
        ":80",
        "::1::",
        "for=192.0.2.1",
        "192.0.2.1;",
        "'192.0.2.1'",
        "http://192.0.2.1",
        "192.0.2.1:_\x80",
        "192.0.2.1:_@",
        "192.0.2.1:_[",
        "192.0.2.1:_{",
        "192.0.2.1:_/",
        "192.0.2.1::",
    };
    for (size_t i = 0; i < COUNT(nodes); i++) {
        char fields[256];
        snprintf(fields, sizeof fields, XFF("198.51.100.1, %s"), nodes[i]);
        check("10.0.0.1", false, fields, "10.0.0.1 7 lost");
        snprintf(fields, sizeof fields, XFF("198.51.100.1, %s, 10.0.0.3, 10.0.0.2"), nodes[i]);
        check("10.0.0.1", false, fields, "10.0.0.3 0 lost");
        snprintf(fields, sizeof fields, FWD("for=198.51.100.1, for=\"%s\", for=10.0.0.2"),
                 nodes[i]);
        check("10.0.0.1", false, fields, "10.0.0.2 0 lost");
        /* left of the client nothing is read */
        snprintf(fields, sizeof fields, XFF("%s, 192.0.2.1"), nodes[i]);
        check("10.0.0.1", false, fields, "192.0.2.1 0");
    }
    check("unix", false, XFF("unknown"), "unix 0 lost");
    check("unix", false, XFF("\"192.0.2.1\""), "unix 0 lost");
    check("10.0.0.1", false, FWD("for=unknown"), "10.0.0.1 7 lost");
    check("10.0.0.1", false, FWD("for=_gazonk"), "10.0.0.1 7 lost");
    /* a bare IPv6 address is for X-Forwarded-For alone */
    check("10.0.0.1", false, FWD("for=\"2001:db8::1\""), "10.0.0.1 7 lost");
}

static void reads_forwarded(void **state)
{
    (void)state;
    /* RFC 7239 sections 4 and 7.1 */
    check("10.0.0.1", false, FWD("for=192.0.2.60;proto=http;by=203.0.113.43"), "192.0.2.60 0");
    check("10.0.0.1", false, FWD("for=192.0.2.43, for=198.51.100.17"), "198.51.100.17 0");
    check("10.0.0.1", false,
          FWD("for=192.0.2.43, for=10.9.9.9;by=203.0.113.60;proto=http;host=example.com"),
          "192.0.2.43 0");
    check("10.0.0.1", false, FWD("for=192.0.2.43") FWD("for=10.0.0.2"), "192.0.2.43 0");
    /* order, case, spaces around ";", empty pairs, unknown parameters */
    check("10.0.0.1", false, FWD("proto=HTTPS;FOR=192.0.2.1"), "192.0.2.1 0 secure");
    check("10.0.0.1", false, FWD("for=192.0.2.1 ; proto=https ;"), "192.0.2.1 0 secure");
    check("10.0.0.1", false, FWD(";;for=192.0.2.1;; ;proto=wss"), "192.0.2.1 0 secure");
    check("10.0.0.1", false, FWD("a=b;for=192.0.2.1;x=\"; for=10.0.0.9, \\\"\""), "192.0.2.1 0");
    check("10.0.0.1", false, FWD("for=\"\\1\\92.0.2.\\1\""), "192.0.2.1 0");
    check("10.0.0.1", false, FWD("for=192.0.2.1;x=a"), "192.0.2.1 0");
    check("10.0.0.1", false, FWD("host=\"a,b\";for=192.0.2.1, by=\"x,\\\\\";for=10.0.0.2"),
          "192.0.2.1 0");
    check("10.0.0.1", false,
          FWD("for=192.0.2.1;ext=\"0123456789012345678901234567890123456789012345678901234567890123"
              "456789\""),
          "192.0.2.1 0");
    /* nothing is cut to fit */
    check(
        "10.0.0.1", false,
        FWD("for=\"192.0.2.1:_34567890123456789012345678901234567890123456789012345678901234567\""),
        "192.0.2.1 0");
}

static void refuses_malformed_elements(void **state)
{
    (void)state;
    static const char *const elements[] = {
        "for",
        "for=",
        "=",
        "=192.0.2.1",
        "192.0.2.1",
        "for 192.0.2.1",
        "for =192.0.2.1",
        "for= 192.0.2.1",
        "for=192.0.2.1 proto=https",
        "for=192.0.2.1:80",
        "for=[2001:db8::1]",
        "for=\"192.0.2.1",
        "for=192.0.2.1\"",
        "for=\"192.0.2.1\\\"",
        "for=\"192.0.2.1\"x",
        "for=\"192.0.2.1\" x",
        "for=\"\"",
        "for=192.0.2.1;for=192.0.2.1",
        "for=unknown;for=192.0.2.1",
        "for=192.0.2.1;FOR=192.0.2.2",
        "for=192.0.2.1;proto=http;proto=https",
        "for=192.0.2.1;proto",
        "for=192.0.2.1;proto=",
        "for=192.0.2.1;p@=x",
        "for=192.0.2.1;x=a/b",
        "for=192.0.2.1;proto=ht\xC3\xA9",
        "for=(192.0.2.1)",
        "\"for=192.0.2.1\"",
        "for='192.0.2.1'",
        "proto=https",
        "by=192.0.2.1",
        ";",
        "for=\\192.0.2.1",
        "f\"or=192.0.2.1\"",
        "for=\"\\",
        "for=192.0.2.1;=",
        "for=192.0.2.1;host=\"a\"x",
        "for=192.0.2.1;host=\"a",
    };
    for (size_t i = 0; i < COUNT(elements); i++) {
        char fields[256], out[128];
        bool told = strcmp(elements[i], "proto=https") == 0;
        snprintf(fields, sizeof fields, FWD("%s"), elements[i]);
        check("10.0.0.1", false, fields, told ? "10.0.0.1 7 secure lost" : "10.0.0.1 7 lost");
        snprintf(fields, sizeof fields, FWD("%s, for=192.0.2.7"), elements[i]);
        check("10.0.0.1", false, fields, "192.0.2.7 0");
        snprintf(fields, sizeof fields, FWD("for=198.51.100.1, %s") FWD("for=10.0.0.2"),
                 elements[i]);
        ask("10.0.0.1", false, fields, out);
        assert_string_equal(out, told ? "10.0.0.2 0 secure lost" : "10.0.0.2 0 lost");
    }
}

/* An odd quote of the client's swallows nothing of what the proxy has appended, wherever it puts
 * backslashes. */
static void an_odd_quote_hides_nothing(void **state)
{
    (void)state;
    static const char *const begins[] = {
        "\"",          "for=\"", "for=\"\\",    "\\\"", "\"\\\\",
        "for=\"x\\\"", "\"\"\"", "a=\"b\", \"", "\\",   "for=\"198.51.100.1"};
    static const char *const ends[] = {"for=192.0.2.1", "for=\"192.0.2.1\"",
                                       "by=\"a,b\";for=192.0.2.1", "for=192.0.2.1;host=\"a\\\"b\"",
                                       "for=192.0.2.1;host=\"a\\\\\""};
    for (size_t i = 0; i < COUNT(begins); i++) {
        for (size_t j = 0; j < COUNT(ends); j++) {
            char fields[256];
            snprintf(fields, sizeof fields, FWD("%s, %s"), begins[i], ends[j]);
            check("10.0.0.1", false, fields, "192.0.2.1 0");
            snprintf(fields, sizeof fields, FWD("%s") FWD("%s"), begins[i], ends[j]);
            check("10.0.0.1", false, fields, "192.0.2.1 0");
        }
    }
}

static void tells_the_clients_scheme(void **state)
{
    (void)state;
    check("10.0.0.1", false, XFF("192.0.2.1") XFP("https"), "192.0.2.1 0 secure");
    check("10.0.0.1", false, XFF("192.0.2.1") XFP("WSS"), "192.0.2.1 0 secure");
    check("10.0.0.1", true, XFF("192.0.2.1") XFP("http"), "192.0.2.1 0");
    check("10.0.0.1", true, XFF("192.0.2.1") XFP("ws"), "192.0.2.1 0");
    check("10.0.0.1", true, XFF("192.0.2.1") XFP("httpss"), "192.0.2.1 0");
    check("10.0.0.1", true, FWD("for=192.0.2.1;proto=http"), "192.0.2.1 0");
    check("10.0.0.1", true, FWD("for=192.0.2.1;proto=\"\""), "192.0.2.1 0");
    check("10.0.0.1", false, FWD("for=192.0.2.1;proto=\"https\""), "192.0.2.1 0 secure");
    /* not told: as the peer's */
    check("10.0.0.1", true, XFF("192.0.2.1"), "192.0.2.1 0 secure");
    check("10.0.0.1", false, XFF("192.0.2.1") XFP(""), "192.0.2.1 0");
    check("10.0.0.1", true, FWD("for=192.0.2.1"), "192.0.2.1 0 secure");
    /* of the client's own connection, not of those between the proxies */
    check("10.0.0.1", false, FWD("for=192.0.2.1;proto=https, for=10.0.0.2;proto=http"),
          "192.0.2.1 0 secure");
    check("10.0.0.1", true, FWD("for=192.0.2.1, for=10.0.0.2;proto=http"), "192.0.2.1 0 secure");
    check("10.0.0.1", false, FWD("for=198.51.100.1;proto=https, for=192.0.2.1;proto=http"),
          "192.0.2.1 0");
    check("10.0.0.1", false, FWD("for=unknown;proto=https"), "10.0.0.1 7 secure lost");
    check("10.0.0.1", false, FWD("for=unknown;proto=https;x"), "10.0.0.1 7 lost");
    check("10.0.0.1", false, FWD("for=x, for=10.0.0.2;proto=https"), "10.0.0.2 0 lost");
    /* a list of schemes goes with the list of addresses; one alone is for all */
    check("10.0.0.1", false, XFF("192.0.2.1, 10.0.0.2") XFP("https, http"), "192.0.2.1 0 secure");
    check("10.0.0.1", false, XFF("192.0.2.1, 10.0.0.2") XFP("https") XFP("http"),
          "192.0.2.1 0 secure");
    check("10.0.0.1", false, XFF("192.0.2.1, 10.0.0.2") XFP("https"), "192.0.2.1 0 secure");
    check("10.0.0.1", false, XFF("192.0.2.1, 10.0.0.3, 10.0.0.2") XFP("https, http"),
          "192.0.2.1 0 secure");
    /* what the client has sent itself stands left of that */
    check("10.0.0.1", false, XFF("192.0.2.1") XFP("https, http"), "192.0.2.1 0");
    check("10.0.0.1", false, XFF("198.51.100.1, 192.0.2.1") XFP("https, http"), "192.0.2.1 0");
    check("10.0.0.1", false, XFP("https, http"), "10.0.0.1 7");
    check("10.0.0.1", false, XFP("https"), "10.0.0.1 7 secure");
    check("10.0.0.1", false, XFF("unknown") XFP("https"), "10.0.0.1 7 secure lost");
}

static void wants_both_kinds_to_agree(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *expected;
    } cases[] = {
        {XFF("192.0.2.1") FWD("for=192.0.2.1"), "192.0.2.1 0"},
        {XFF("192.0.2.1:80") FWD("for=192.0.2.1"), "192.0.2.1 0"},
        {XFF("198.51.100.1, 192.0.2.1") FWD("for=203.0.113.1, for=192.0.2.1"), "192.0.2.1 0"},
        {XFF("192.0.2.1, 10.0.0.2") FWD("for=192.0.2.1"), "192.0.2.1 0"},
        /* one is from the client, and nobody can tell which */
        {XFF("192.0.2.1") FWD("for=198.51.100.1"), "10.0.0.1 7 conflict"},
        {XFF("192.0.2.1, 10.0.0.2") FWD("for=192.0.2.1, for=198.51.100.1"), "10.0.0.1 7 conflict"},
        {XFF("192.0.2.1") FWD("for=unknown"), "10.0.0.1 7 conflict"},
        {XFF("192.0.2.1") FWD("rubbish"), "10.0.0.1 7 conflict"},
        {XFF("192.0.2.1") FWD(""), "10.0.0.1 7 conflict"},
        {XFF("") FWD("for=192.0.2.1"), "10.0.0.1 7 conflict"},
        {XFF("x") FWD("for=192.0.2.1"), "10.0.0.1 7 conflict"},
        {XFF("10.0.0.1") FWD("for=x"), "10.0.0.1 7 conflict"},
        {XFF("x") FWD("for=_y"), "10.0.0.1 7 lost"},
        {XFF("192.0.2.1") XFP("https") FWD("for=198.51.100.1;proto=https"), "10.0.0.1 7 conflict"},
        /* schemes */
        {XFF("192.0.2.1") XFP("https") FWD("for=192.0.2.1;proto=https"), "192.0.2.1 0 secure"},
        {XFF("192.0.2.1") XFP("wss") FWD("for=192.0.2.1;proto=https"), "192.0.2.1 0 secure"},
        {XFF("192.0.2.1") XFP("https") FWD("for=192.0.2.1;proto=http"), "10.0.0.1 7 conflict"},
        {XFP("https") FWD("for=192.0.2.1;proto=http"), "10.0.0.1 7 conflict"},
        {XFP("http") FWD("for=192.0.2.1;proto=https"), "10.0.0.1 7 conflict"},
        {XFP("https") FWD("for=192.0.2.1;proto=https"), "192.0.2.1 0 secure"},
        {XFP("https, http") FWD("for=192.0.2.1;proto=https, for=10.0.0.2"), "192.0.2.1 0 secure"},
        /* one kind alone that tells a scheme may be the one that the client has sent */
        {XFF("192.0.2.1") XFP("https") FWD("for=192.0.2.1"), "192.0.2.1 0"},
        {XFF("192.0.2.1") FWD("for=192.0.2.1;proto=https"), "192.0.2.1 0"},
        {XFP("https") FWD("for=192.0.2.1"), "192.0.2.1 0"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check("10.0.0.1", false, cases[i].fields, cases[i].expected);
    check("10.0.0.1", true, XFF("192.0.2.1") FWD("for=198.51.100.1;proto=http"),
          "10.0.0.1 7 secure conflict");
}

/* Whatever comes: nobody is believed but the trusted, so with one entry of a proxy's at the right
 * the client is the one that it names. */
static void survives_random_fields(void **state)
{
    (void)state;
    static const char likely[] = ",;=\"\\ []:._forprotby1029\t\x80";
    uint64_t random = 4;
    for (int round = 0; round < 20000; round++) {
        char rubbish[64], fields[256];
        size_t n = random_next(&random) % (sizeof rubbish - 1);
        for (size_t i = 0; i < n; i++)
            rubbish[i] = likely[random_next(&random) % (sizeof likely - 1)];
        rubbish[n] = '\0';
        snprintf(fields, sizeof fields, FWD("%s, for=\"192.0.2.1:80\""), rubbish);
        check("10.0.0.1", false, fields, "192.0.2.1 80");
        snprintf(fields, sizeof fields, XFF("%s, 192.0.2.1"), rubbish);
        check("10.0.0.1", false, fields, "192.0.2.1 0");
        snprintf(fields, sizeof fields, FWD("%s") XFF("%s"), rubbish, rubbish);
        char out[128];
        ask("10.0.0.1", false, fields, out);
    }
}

struct load {
    struct buf text;
    struct http_head head;
};

static void judge(void *context)
{
    struct load *l = context;
    struct address peer = peer_of("10.0.0.1");
    struct forwarded f;
    (void)forwarded_find(&l->head, &peer, false, &trusted, &f);
}

static uint64_t cost_of(int shape, size_t n)
{
    static const struct {
        const char *name, *unit, *last;
    } shapes[] = {
        {"X-Forwarded-For: ", "10.0.0.1,", ""},
        {"X-Forwarded-For: ", ",", "10.0.0.1"},
        {"X-Forwarded-For: ", "x", ""},
        {"X-Forwarded-Proto: ", "https,", "http"},
        {"Forwarded: ", "for=10.0.0.1,", ""},
        {"Forwarded: ", "for=10.0.0.1;", ""},
        {"Forwarded: ", ",", ""},
        {"Forwarded: ", ";", ""},
        {"Forwarded: ", "\"", ""},
        {"Forwarded: ", "\\", "\""},
        {"Forwarded: ", "\\\"", "\""},
        {"Forwarded: ", "a=\"\\\\\\\\\\\\\";", "for=10.0.0.1"},
        {"Forwarded: for=\"", "\\\\", "\""},
        {"Forwarded: ", "a=\"b,\",", "for=10.0.0.1"},
    };
    struct load l = {{0}, {.header_count = 0}};
    if ((size_t)shape == COUNT(shapes))
        return 0;
    assert_true(buf_append_str(&l.text, "GET / HTTP/1.1\r\nHost: a\r\n"));
    assert_true(buf_append_str(&l.text, shapes[shape].name));
    while (l.text.len < n)
        assert_true(buf_append_str(&l.text, shapes[shape].unit));
    assert_true(buf_append_str(&l.text, shapes[shape].last));
    assert_true(buf_append_str(&l.text, "\r\n\r\n"));
    assert_int_equal(http_parse_request((char *)l.text.data, l.text.len, HTTP_HEADERS_MAX, &l.head),
                     0);
    uint64_t cost = count_comparisons(judge, &l);
    buf_free(&l.text);
    return cost;
}

static void costs_are_linear_in_the_head(void **state)
{
    (void)state;
    for (int shape = 0; cost_of(shape, 1); shape++) {
        uint64_t cost[3];
        for (int i = 0; i < 3; i++)
            cost[i] = cost_of(shape, (size_t)4096 << i);
        if (!costs_are_linear(cost[0], cost[1], cost[2]) || cost[2] > 16384 * 40)
            fail_msg("shape %d: %llu %llu %llu", shape, (unsigned long long)cost[0],
                     (unsigned long long)cost[1], (unsigned long long)cost[2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(believes_nobody_else),
        cmocka_unit_test(leaves_what_is_not_told),
        cmocka_unit_test(walks_from_the_right),
        cmocka_unit_test(reads_addresses_with_ports),
        cmocka_unit_test(ends_where_it_is_lost),
        cmocka_unit_test(reads_forwarded),
        cmocka_unit_test(refuses_malformed_elements),
        cmocka_unit_test(an_odd_quote_hides_nothing),
        cmocka_unit_test(tells_the_clients_scheme),
        cmocka_unit_test(wants_both_kinds_to_agree),
        cmocka_unit_test(survives_random_fields),
        cmocka_unit_test(costs_are_linear_in_the_head),
    };
    return cmocka_run_group_tests(tests, trust, trust_nobody);
}
