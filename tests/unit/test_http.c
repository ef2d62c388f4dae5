/* wire/http: what is a head, what is none, and that it makes no difference how it arrives. */
#include "support.h"
#include "wire/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "GET / HTTP/1.1\r\nHost: a\r\n"

struct vector {
    const char *name;
    const char *bytes;
    size_t n;
    int result;
    const char *dump; /* of an accepted head */
};

#define REFUSED(name, bytes, error)                                                                \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1, error, NULL                                                \
    }
#define TAKEN(name, bytes, dump)                                                                   \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1, 0, dump                                                    \
    }

/* The parsed head in one line, to compare. */
static void dump_head(const struct http_head *head, char *out, size_t size)
{
    int n;
    if (head->status)
        n = snprintf(out, size, "%s%u <%.*s>", head->minor ? "" : "1.0 ", head->status,
                     SLICE_ARG(head->reason));
    else
        n = snprintf(out, size, "<%.*s> <%.*s>", SLICE_ARG(head->method), SLICE_ARG(head->target));
    for (size_t i = 0; i < head->header_count; i++)
        n += snprintf(out + n, size - (size_t)n, " <%.*s|%.*s>", SLICE_ARG(head->headers[i].name),
                      SLICE_ARG(head->headers[i].value));
    assert_true((size_t)n < size);
}

typedef int parse_head(const char *head, size_t n, size_t max_headers, struct http_head *out);

struct expectation {
    const struct vector *v;
    parse_head *parse;
    size_t max_headers;
};

static void check_parsed(const struct expectation *e, const unsigned char *bytes, size_t n,
                         const char *how)
{
    struct http_head head;
    char dump[4096];
    unsigned char *copy = guard_copy(bytes, n);
    int rc = e->parse((const char *)copy, n, e->max_headers, &head);
    if (rc != e->v->result)
        fail_msg("%s, %s: %d instead of %d", e->v->name, how, rc, e->v->result);
    if (rc == 0) {
        dump_head(&head, dump, sizeof dump);
        if (strcmp(dump, e->v->dump) != 0)
            fail_msg("%s, %s: %s", e->v->name, how, dump);
    }
    guard_free(copy, n);
}

/* As a connection does it: look for the end in all that has come, then parse. What lies before
 * `scanned` is destroyed first (but for the last byte, which tells an empty line), so that
 * looking at it again would be an error. */
static void arrive(struct feed *f, void *context)
{
    const struct expectation *e = context;
    unsigned char *bytes;
    char how[32];
    size_t n, scanned = 0;
    long end = 0;
    feed_how(f, how);
    while (end == 0 && feed_next_prefix(f, &bytes, &n)) {
        if (scanned > 1)
            memset(bytes, 0, scanned - 1);
        end = http_head_end((const char *)bytes, n, &scanned);
    }
    if (end > 0) {
        check_parsed(e, f->bytes, (size_t)end, how);
        return;
    }
    if (end != e->v->result)
        fail_msg("%s, %s: end %ld instead of %d", e->v->name, how, end, e->v->result);
    /* once refused, always refused, whatever comes behind it, and without another look */
    size_t refused_at = scanned;
    assert_non_null(memchr("\r\n", f->bytes[refused_at], 3)); /* or NUL: it stays at the fault */
    while (feed_next_prefix(f, &bytes, &n)) {
        assert_int_equal(http_head_end((const char *)bytes, n, &scanned), end);
        assert_int_equal(scanned, refused_at);
    }
    /* the parser knows the same rules, should it be asked without the scanner */
    check_parsed(e, f->bytes, f->n, how);
}

static void check_vectors(const struct vector *vectors, size_t count, parse_head *parse)
{
    for (size_t i = 0; i < count; i++) {
        struct expectation e = {&vectors[i], parse, HTTP_HEADERS_MAX};
        feed_every_way(vectors[i].bytes, vectors[i].n, arrive, &e);
    }
}

#define CHECK(vectors, parse) check_vectors(vectors, sizeof(vectors) / sizeof(vectors)[0], parse)

static void takes_good_requests(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        TAKEN("smallest", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "<GET> </> <Host|a>"),
        TAKEN("RFC 6455 section 1.2",
              "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n"
              "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
              "Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n"
              "Sec-WebSocket-Version: 13\r\n\r\n",
              "<GET> </chat> <Host|server.example.com> <Upgrade|websocket> <Connection|Upgrade> "
              "<Sec-WebSocket-Key|dGhlIHNhbXBsZSBub25jZQ==> <Origin|http://example.com> "
              "<Sec-WebSocket-Protocol|chat, superchat> <Sec-WebSocket-Version|13>"),
        TAKEN("bytes behind the head are not its own", HEAD "\r\n\x81\x05hello\r\n\r\n",
              "<GET> </> <Host|a>"),
        TAKEN("no space around a value, much space, tabs", HEAD "A:b\r\nC: \t d e \t\r\n\r\n",
              "<GET> </> <Host|a> <A|b> <C|d e>"),
        TAKEN("empty values", HEAD "A:\r\nB: \t \r\n\r\n", "<GET> </> <Host|a> <A|> <B|>"),
        TAKEN("colons in a value", HEAD "A: b:c: d\r\n\r\n", "<GET> </> <Host|a> <A|b:c: d>"),
        TAKEN("a tab in a value", HEAD "A: b\tc\r\n\r\n", "<GET> </> <Host|a> <A|b\tc>"),
        TAKEN("bytes from 0x80 in a value are opaque", HEAD "A: \x80\xFF\xC3\xA9\r\n\r\n",
              "<GET> </> <Host|a> <A|\x80\xFF\xC3\xA9>"),
        TAKEN("any method that is a token", "M-SEARCH! /a?b HTTP/1.1\r\nHost: a\r\n\r\n",
              "<M-SEARCH!> </a?b> <Host|a>"),
        TAKEN("a target is any visible text", "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
              "<OPTIONS> <*> <Host|[::1]:80>"),
        TAKEN("the name of Host in any case", "GET / HTTP/1.1\r\nhOST: a\r\n\r\n",
              "<GET> </> <hOST|a>"),
    };
    CHECK(vectors, http_parse_request);
}

static void refuses_bad_request_lines(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        REFUSED("empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("nothing but the end", "\r\n", HTTP_ERR_LINE),
        REFUSED("no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("empty target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("no version (HTTP/0.9)", "GET /\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("empty version", "GET / \r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("no method", " / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("two spaces before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
                HTTP_ERR_LINE),
        REFUSED("two spaces behind the target", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
                HTTP_ERR_LINE),
        REFUSED("space at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("space in front", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("tab for space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("tab for the second space", "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("method with a separator", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("non-ASCII target", "GET /\xC3\xA9 HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("DEL in the target", "GET /\x7F HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("version in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("version of two digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("version without a minor", "GET / HTTP/1\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("version with a comma", "GET / HTTP/1,1\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("another protocol", "GET / HTTPS/1.1\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", HTTP_ERR_VERSION),
        REFUSED("HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", HTTP_ERR_VERSION),
        REFUSED("HTTP/0.9 in full", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", HTTP_ERR_VERSION),
        REFUSED("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP_ERR_VERSION),
        REFUSED("a response", "HTTP/1.1 200 OK\r\nHost: a\r\n\r\n", HTTP_ERR_LINE),
    };
    CHECK(vectors, http_parse_request);
}

static void refuses_bare_newlines_and_nul(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        REFUSED("bare LF behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n",
                HTTP_ERR_NEWLINE),
        REFUSED("bare LF behind a field", "GET / HTTP/1.1\r\nHost: a\nB: c\r\n\r\n",
                HTTP_ERR_NEWLINE),
        REFUSED("bare LF for the empty line", HEAD "\n", HTTP_ERR_NEWLINE),
        REFUSED("nothing but bare LF", "GET / HTTP/1.1\nHost: a\n\n", HTTP_ERR_NEWLINE),
        REFUSED("bare CR in a value", HEAD "A: b\rc\r\n\r\n", HTTP_ERR_NEWLINE),
        REFUSED("bare CR that hides a field", HEAD "A: b\rContent-Length: 5\r\n\r\n",
                HTTP_ERR_NEWLINE),
        REFUSED("bare CR behind the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n",
                HTTP_ERR_NEWLINE),
        REFUSED("CR CR LF", HEAD "A: b\r\r\n\r\n", HTTP_ERR_NEWLINE),
        REFUSED("CR CR LF for the empty line", HEAD "\r\r\n", HTTP_ERR_NEWLINE),
        REFUSED("LF CR", HEAD "A: b\n\r\r\n", HTTP_ERR_NEWLINE),
        REFUSED("LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ERR_NEWLINE),
        REFUSED("NUL first", "\0GET / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ERR_NEWLINE),
        REFUSED("NUL in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ERR_NEWLINE),
        REFUSED("NUL in a name", HEAD "A\0: b\r\n\r\n", HTTP_ERR_NEWLINE),
        REFUSED("NUL in a value", HEAD "A: b\0c\r\n\r\n", HTTP_ERR_NEWLINE),
        REFUSED("NUL between CR and LF", HEAD "A: b\r\0\n\r\n", HTTP_ERR_NEWLINE),
    };
    CHECK(vectors, http_parse_request);
}

static void refuses_bad_fields(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        REFUSED("obs-fold with a space", HEAD "A: b\r\n c\r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("obs-fold with a tab", HEAD "A: b\r\n\tc\r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("obs-fold that looks like a field", HEAD "A: b\r\n C: d\r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
                HTTP_ERR_HEADER),
        REFUSED("line of spaces", HEAD " \r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("space before the colon", HEAD "A : b\r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("tab before the colon", HEAD "A\t: b\r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("space in a name", HEAD "A B: c\r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("no colon", HEAD "A\r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("empty name", HEAD ": b\r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("nothing but a colon", HEAD ":\r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("separator in a name", HEAD "A(b): c\r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("quoted name", HEAD "\"A\": c\r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("non-ASCII name", HEAD "\xC3\xA9: c\r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("control in a value", HEAD "A: b\x01\r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("escape in a value", HEAD "A: \x1B[31m\r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("DEL in a value", HEAD "A: b\x7F\r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("vertical tab around a value", HEAD "A: \vb\r\n\r\n", HTTP_ERR_HEADER),
        REFUSED("form feed around a value", HEAD "A: b\f\r\n\r\n", HTTP_ERR_HEADER),
    };
    CHECK(vectors, http_parse_request);
}

static void wants_one_valid_host(void **state)
{
    (void)state;
#define HOST(value) "GET / HTTP/1.1\r\nHost: " value "\r\n\r\n"
    static const struct vector vectors[] = {
        REFUSED("none", "GET / HTTP/1.1\r\nA: b\r\n\r\n", HTTP_ERR_HOST),
        REFUSED("no field at all", "GET / HTTP/1.1\r\n\r\n", HTTP_ERR_HOST),
        REFUSED("twice", HEAD "Host: b\r\n\r\n", HTTP_ERR_HOST),
        REFUSED("twice the same", HEAD "Host: a\r\n\r\n", HTTP_ERR_HOST),
        REFUSED("twice in two cases", HEAD "hOsT: a\r\n\r\n", HTTP_ERR_HOST),
        REFUSED("empty", HOST(""), HTTP_ERR_HOST),
        REFUSED("two in a list", HOST("a, b"), HTTP_ERR_HOST),
        REFUSED("space", HOST("a b"), HTTP_ERR_HOST),
        REFUSED("user information", HOST("me@a"), HTTP_ERR_HOST),
        REFUSED("path", HOST("a/b"), HTTP_ERR_HOST),
        REFUSED("scheme", HOST("http://a"), HTTP_ERR_HOST),
        REFUSED("parent folder", HOST(".."), HTTP_ERR_HOST),
        REFUSED("bad port", HOST("a:b"), HTTP_ERR_HOST),
        REFUSED("non-ASCII", HOST("\xC3\xA9"), HTTP_ERR_HOST),
        TAKEN("name and port", HOST("a-b_c.example.:65535"),
              "<GET> </> <Host|a-b_c.example.:65535>"),
    };
#undef HOST
    CHECK(vectors, http_parse_request);
}

static void takes_and_refuses_responses(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        TAKEN("RFC 6455 section 1.2",
              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
              "101 <Switching Protocols> <Upgrade|websocket> <Connection|Upgrade> "
              "<Sec-WebSocket-Accept|s3pPLMBiTxaQ9kYGzzhZRbK+xOo=>"),
        TAKEN("no fields", "HTTP/1.1 200 OK\r\n\r\n", "200 <OK>"),
        TAKEN("empty reason", "HTTP/1.1 204 \r\n\r\n", "204 <>"),
        TAKEN("no reason and no space", "HTTP/1.1 999\r\n\r\n", "999 <>"),
        TAKEN("reason in another language", "HTTP/1.1 404 \xC3\xA9\r\n\r\n", "404 <\xC3\xA9>"),
        TAKEN("HTTP/1.0", "HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n",
              "1.0 200 <Connection established> <Via|x>"),
        TAKEN("HTTP/1.0 without a reason", "HTTP/1.0 407\r\n\r\n", "1.0 407 <>"),
        REFUSED("HTTP/1.2", "HTTP/1.2 101 OK\r\n\r\n", HTTP_ERR_VERSION),
        REFUSED("HTTP/0.9", "HTTP/0.9 101 OK\r\n\r\n", HTTP_ERR_VERSION),
        REFUSED("HTTP/1.00", "HTTP/1.00 200 OK\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("HTTP/1.0 in small letters", "http/1.0 200 OK\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("another protocol", "ICY 200 OK\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("HTTP/1.0 without a status", "HTTP/1.0\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("HTTP/1.0 with a short status", "HTTP/1.0 20\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("letters in the status", "HTTP/1.1 1a1 OK\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("HTTP/2.0", "HTTP/2.0 101 OK\r\n\r\n", HTTP_ERR_VERSION),
        REFUSED("no status", "HTTP/1.1\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("empty status", "HTTP/1.1 \r\n\r\n", HTTP_ERR_LINE),
        REFUSED("two digits", "HTTP/1.1 20 OK\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("four digits", "HTTP/1.1 1010 OK\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("sign", "HTTP/1.1 +10 OK\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("leading zero", "HTTP/1.1 010 OK\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("two spaces", "HTTP/1.1  101 OK\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("tab before the reason", "HTTP/1.1 101\tOK\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("control in the reason", "HTTP/1.1 101 O\x01K\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("a request", "GET / HTTP/1.1\r\n\r\n", HTTP_ERR_LINE),
        REFUSED("bare LF", "HTTP/1.1 101 OK\n\r\n", HTTP_ERR_NEWLINE),
        REFUSED("obs-fold", "HTTP/1.1 101 OK\r\nA: b\r\n c\r\n\r\n", HTTP_ERR_HEADER),
    };
    CHECK(vectors, http_parse_response);
}

/* RFC 9110 section 5.6.2, written down a second time. */
static bool is_token_byte(unsigned char c)
{
    return c && (strchr("!#$%&'*+-.^_`|~", c) || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                 (c >= 'a' && c <= 'z'));
}

static bool is_value_byte(unsigned char c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7F);
}

static bool is_target_byte(unsigned char c)
{
    return c > 0x20 && c < 0x7F;
}

/* A colon in a name ends it, and the rest is a value. */
static bool is_name_byte(unsigned char c)
{
    return is_token_byte(c) || c == ':';
}

/* Every byte in the middle of every part of a head. */
static void judges_every_byte_everywhere(void **state)
{
    (void)state;
    static const char pattern[] = "GmT /atb HTTP/1.1\r\nHost: a\r\nxnx: yvy\r\n\r\n";
    static const struct {
        char mark;
        bool (*may_be)(unsigned char c);
        int error;
    } parts[] = {
        {'m', is_token_byte, HTTP_ERR_LINE},
        {'t', is_target_byte, HTTP_ERR_LINE},
        {'n', is_name_byte, HTTP_ERR_HEADER},
        {'v', is_value_byte, HTTP_ERR_HEADER},
    };
    for (size_t i = 0; i < 4 * 256; i++) {
        unsigned char c = (unsigned char)i;
        char head[sizeof pattern], name[32], dump[256] = "";
        struct http_head parsed;
        memcpy(head, pattern, sizeof head);
        *strchr(head, parts[i / 256].mark) = (char)c;
        snprintf(name, sizeof name, "%02X for %c", c, parts[i / 256].mark);
        struct vector v = {name, head, sizeof head - 1, parts[i / 256].error, dump};
        if (c == '\r' || c == '\n' || c == '\0')
            v.result = HTTP_ERR_NEWLINE;
        else if (parts[i / 256].may_be(c))
            v.result = 0;
        if (http_parse_request(head, v.n, HTTP_HEADERS_MAX, &parsed) == 0)
            dump_head(&parsed, dump, sizeof dump);
        struct expectation e = {&v, http_parse_request, HTTP_HEADERS_MAX};
        feed_every_way(head, v.n, arrive, &e);
    }
}

/* No strict prefix of a head is a head, for the scanner and for the parser on its own. */
static void wants_the_whole_head(void **state)
{
    (void)state;
    static const char head[] = HEAD "Upgrade: websocket\r\nA:\r\n\r\n";
    for (size_t n = 0; n < sizeof head - 1; n++) {
        struct http_head parsed;
        size_t scanned = 0;
        unsigned char *copy = guard_copy(head, n);
        assert_int_equal(http_head_end((const char *)copy, n, &scanned), 0);
        assert_true(http_parse_request((const char *)copy, n, HTTP_HEADERS_MAX, &parsed) < 0);
        assert_true(http_parse_response((const char *)copy, n, HTTP_HEADERS_MAX, &parsed) < 0);
        guard_free(copy, n);
    }
    struct http_head parsed;
    assert_int_equal(http_parse_request(HEAD "\r\nx", sizeof HEAD "\r\nx" - 1, 10, &parsed),
                     HTTP_ERR_NEWLINE);
}

static void bounds_the_number_of_fields(void **state)
{
    (void)state;
    struct http_head head;
    struct buf text = {0};
    for (size_t count = 1; count <= HTTP_HEADERS_MAX + 1; count++) {
        text.len = 0;
        assert_true(buf_append_str(&text, HEAD));
        for (size_t i = 1; i < count; i++)
            assert_true(buf_printf(&text, "X-%zu: %zu\r\n", i, i));
        assert_true(buf_append_str(&text, "\r\n"));
        unsigned char *copy = guard_copy(text.data, text.len);
        const char *bytes = (const char *)copy;
        int rc = http_parse_request(bytes, text.len, HTTP_HEADERS_MAX, &head);
        assert_int_equal(rc, count <= HTTP_HEADERS_MAX ? 0 : HTTP_ERR_HEADERS);
        /* more than there is room for is no more than there is room for */
        assert_int_equal(http_parse_request(bytes, text.len, SIZE_MAX, &head), rc);
        if (rc == 0)
            assert_int_equal(head.header_count, count);
        assert_int_equal(http_parse_request(bytes, text.len, count - 1, &head), HTTP_ERR_HEADERS);
        guard_free(copy, text.len);
    }
    buf_free(&text);
    assert_int_equal(http_parse_request(HEAD "\r\n", sizeof HEAD "\r\n" - 1, 0, &head),
                     HTTP_ERR_HEADERS);
}

/* What holds for whatever is accepted: the parts lie in the head, have only bytes that may be
 * there, and there are as many fields as lines. */
static void check_accepted(const struct http_head *head, const char *bytes, size_t n)
{
    size_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += bytes[i] == '\n';
    assert_int_equal(lines, head->header_count + 2);
    assert_true(http_is_token(head->method));
    for (size_t i = 0; i < head->target.len; i++)
        assert_true(head->target.ptr[i] > 0x20 && head->target.ptr[i] < 0x7F);
    const char *at = head->target.ptr + head->target.len;
    for (size_t i = 0; i < head->header_count; i++) {
        struct slice name = head->headers[i].name, value = head->headers[i].value;
        assert_true(name.ptr > at && value.ptr > name.ptr + name.len);
        assert_true(http_is_token(name) && http_is_field_value(value));
        at = value.ptr + value.len;
        assert_true(at <= bytes + n - 4);
    }
}

static void survives_random_damage(void **state)
{
    (void)state;
    static const char good[] = HEAD "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
                                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    static const char likely[] = "\r\n\0 \t:,;/\"\\%?HTP1.\x80\xFF\x7F";
    uint64_t random = 2;
    size_t accepted = 0;
    for (int round = 0; round < 20000; round++) {
        unsigned char *copy = guard_copy(good, sizeof good - 1);
        char *bytes = (char *)copy;
        for (uint64_t times = random_next(&random) % 3 + 1; times; times--) {
            size_t at = random_next(&random) % (sizeof good - 1);
            bytes[at] = likely[random_next(&random) % sizeof likely];
        }
        struct http_head head;
        size_t scanned = 0;
        long end = http_head_end(bytes, sizeof good - 1, &scanned);
        int rc = http_parse_request(bytes, sizeof good - 1, HTTP_HEADERS_MAX, &head);
        /* two independent readers of the same rules about lines */
        if (rc == 0 || rc == HTTP_ERR_HOST)
            assert_int_equal(end, sizeof good - 1);
        if (end < 0)
            assert_true(rc < 0);
        if (rc == 0) {
            accepted++;
            check_accepted(&head, bytes, sizeof good - 1);
        }
        guard_free(copy, sizeof good - 1);
    }
    assert_true(accepted > 1000 && accepted < 19000);
}

/* Shapes of heads that cost other parsers more than their size, each of about n bytes. */
static void grow(struct buf *out, int shape, size_t n)
{
    static const char *const units[] = {
        "a",       /* a long target */
        "a",       /* a long name */
        "a",       /* a long value */
        ",",       /* empty elements */
        "a,",      /* many elements */
        "\"",      /* quotes that open and close */
        "\\\",\"", /* escapes */
        " ",       /* spaces before a value, and behind it */
        "\t",
    };
    out->len = 0;
    assert_true(buf_append_str(out, shape == 0 ? "GET /" : HEAD));
    if (shape > 1)
        assert_true(buf_append_str(out, "Connection: "));
    if (shape > 6)
        assert_true(buf_append_str(out, shape == 7 ? "" : "x"));
    while (out->len < n)
        assert_true(buf_append_str(out, units[shape]));
    if (shape == 7)
        assert_true(buf_append_str(out, "x"));
    assert_true(buf_append_str(out, shape == 0 ? " HTTP/1.1\r\nHost: a" : shape == 1 ? ": b" : ""));
    assert_true(buf_append_str(out, "\r\n\r\n"));
}

static void read_head(void *context)
{
    const struct buf *text = context;
    struct http_head head;
    size_t scanned = 0;
    uint64_t length;
    long end = http_head_end((const char *)text->data, text->len, &scanned);
    assert_int_equal(end, text->len);
    assert_int_equal(http_parse_request((const char *)text->data, text->len, 100, &head), 0);
    assert_false(http_has_token(&head, "Connection", "Upgrade"));
    assert_int_equal(http_body_length(&head, &length), 0);
}

static void costs_are_linear_in_the_head(void **state)
{
    (void)state;
    struct buf text = {0};
    for (int shape = 0; shape < 9; shape++) {
        uint64_t cost[3];
        for (int i = 0; i < 3; i++) {
            grow(&text, shape, (size_t)4096 << i);
            cost[i] = count_comparisons(read_head, &text);
        }
        if (!costs_are_linear(cost[0], cost[1], cost[2]))
            fail_msg("shape %d: %llu %llu %llu", shape, (unsigned long long)cost[0],
                     (unsigned long long)cost[1], (unsigned long long)cost[2]);
    }
    buf_free(&text);
}

static void scan_byte_by_byte(void *context)
{
    const struct buf *text = context;
    size_t scanned = 0;
    for (size_t n = 1; n < text->len; n++)
        assert_int_equal(http_head_end((const char *)text->data, n, &scanned), 0);
}

/* A peer that sends one byte at a time, each with its own read. */
static void costs_are_linear_byte_by_byte(void **state)
{
    (void)state;
    struct buf text = {0};
    uint64_t cost[3];
    for (int i = 0; i < 3; i++) {
        grow(&text, 2, (size_t)4096 << i);
        cost[i] = count_comparisons(scan_byte_by_byte, &text);
    }
    assert_true(costs_are_linear(cost[0], cost[1], cost[2]));
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_good_requests),
        cmocka_unit_test(refuses_bad_request_lines),
        cmocka_unit_test(refuses_bare_newlines_and_nul),
        cmocka_unit_test(refuses_bad_fields),
        cmocka_unit_test(wants_one_valid_host),
        cmocka_unit_test(takes_and_refuses_responses),
        cmocka_unit_test(judges_every_byte_everywhere),
        cmocka_unit_test(wants_the_whole_head),
        cmocka_unit_test(bounds_the_number_of_fields),
        cmocka_unit_test(survives_random_damage),
        cmocka_unit_test(costs_are_linear_in_the_head),
        cmocka_unit_test(costs_are_linear_byte_by_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
