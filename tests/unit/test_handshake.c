/* wire/handshake: which requests are upgrades, which are refused and why, and the answer. Origins
 * are in test_handshake_origin.c. */
#include "support.h"
#include "wire/handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The fields of a good request, so that a vector can leave one out or write it otherwise. */
#define START "GET /chat HTTP/1.1\r\nHost: server.example.com\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define GOOD UPGRADE CONNECTION KEY VERSION

struct vector {
    const char *name;
    const char *fields; /* behind START */
    int result;
};

static void parse(const unsigned char *bytes, size_t n, struct http_head *head)
{
    int rc = http_parse_request((const char *)bytes, n, HTTP_HEADERS_MAX, head);
    if (rc != 0)
        fail_msg("%d for %.*s", rc, (int)n, (const char *)bytes);
}

/* The whole way from bytes that trickle in to the verdict. */
static void arrive(struct feed *f, void *context)
{
    const struct vector *v = context;
    unsigned char *bytes;
    struct http_head head;
    char how[32];
    size_t n, scanned = 0;
    while (feed_next_prefix(f, &bytes, &n)) {
        long end = http_head_end((const char *)bytes, n, &scanned);
        if (end == 0)
            continue;
        assert_int_equal(end, f->n);
        parse(bytes, n, &head);
        int rc = handshake_check_request(&head);
        if (rc != v->result)
            fail_msg("%s, %s: %d instead of %d", v->name, feed_how(f, how), rc, v->result);
        return;
    }
    fail_msg("%s: no end", v->name);
}

static void check_vectors(const struct vector *vectors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[1024];
        struct vector v = vectors[i];
        int n = snprintf(text, sizeof text, START "%s\r\n", v.fields);
        assert_true((size_t)n < sizeof text);
        feed_every_way(text, (size_t)n, arrive, &v);
    }
}

static void takes_good_requests(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        {"RFC 6455 section 1.2",
         GOOD "Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n", 0},
        {"no more than is needed", GOOD, 0},
        {"as Firefox writes it",
         "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" KEY VERSION
         "Sec-WebSocket-Extensions: permessage-deflate\r\nPragma: no-cache\r\n",
         0},
        {"any case of names and tokens",
         "upgrade: WebSocket\r\nCONNECTION: uPGRADE\r\nsec-websocket-KEY: "
         "dGhlIHNhbXBsZSBub25jZQ==\r\nSEC-websocket-version: 13\r\n",
         0},
        {"among others in the lists, in several fields",
         "Upgrade: h2c\r\nUpgrade: IRC/6.9 , websocket\r\nConnection: close\r\n"
         "Connection: TE,Upgrade\r\n" KEY VERSION,
         0},
        {"a body of no bytes", GOOD "Content-Length: 0\r\n", 0},
        {"a key with all kinds of characters",
         UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: +/azAZ09abcdefghijklmg==\r\n", 0},
        {"a key whose spare bits are set",
         UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: abcdefghijklmnopqrstuv==\r\n", 0},
        {"protocols in several fields",
         GOOD "Sec-WebSocket-Protocol: a ,b\r\nSec-WebSocket-Protocol: A\r\n", 0},
    };
    check_vectors(vectors, COUNT(vectors));
}

static void lets_plain_requests_pass(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        {"no field at all", "", HANDSHAKE_PLAIN},
        {"another upgrade", "Upgrade: h2c\r\nConnection: Upgrade\r\n", HANDSHAKE_PLAIN},
        {"a name that only starts so", "Upgrade: websockets\r\n" CONNECTION, HANDSHAKE_PLAIN},
        {"a version of it", "Upgrade: websocket/13\r\n" CONNECTION, HANDSHAKE_PLAIN},
        {"inside a quoted string", "Upgrade: \"x, websocket\"\r\n" CONNECTION, HANDSHAKE_PLAIN},
        {"a body", "Content-Length: 5\r\n", HANDSHAKE_PLAIN},
        {"nothing but the version", VERSION, HANDSHAKE_PLAIN},
    };
    check_vectors(vectors, COUNT(vectors));
}

static void refuses_bad_upgrades(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        {"no Connection", UPGRADE KEY VERSION, HANDSHAKE_ERR_CONNECTION},
        {"Connection without Upgrade", UPGRADE "Connection: keep-alive\r\n" KEY VERSION,
         HANDSHAKE_ERR_CONNECTION},
        {"no Upgrade, but a key", CONNECTION KEY VERSION, HANDSHAKE_ERR_CONNECTION},
        {"another Upgrade, and a key", "Upgrade: h2c\r\n" CONNECTION KEY VERSION,
         HANDSHAKE_ERR_CONNECTION},
        {"no version", UPGRADE CONNECTION KEY, HANDSHAKE_ERR_VERSION},
        {"empty version", UPGRADE CONNECTION KEY "Sec-WebSocket-Version:\r\n",
         HANDSHAKE_ERR_VERSION},
        {"version 8", UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 8\r\n", HANDSHAKE_ERR_VERSION},
        {"version 14", UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 14\r\n",
         HANDSHAKE_ERR_VERSION},
        {"version 013", UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 013\r\n",
         HANDSHAKE_ERR_VERSION},
        {"version +13", UPGRADE CONNECTION KEY "Sec-WebSocket-Version: +13\r\n",
         HANDSHAKE_ERR_VERSION},
        {"version 13.0", UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 13.0\r\n",
         HANDSHAKE_ERR_VERSION},
        {"a list of versions", UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 13, 8\r\n",
         HANDSHAKE_ERR_VERSION},
        {"two versions", GOOD "Sec-WebSocket-Version: 8\r\n", HANDSHAKE_ERR_VERSION_TWICE},
        {"version 13 twice", GOOD "sec-websocket-version: 13\r\n", HANDSHAKE_ERR_VERSION_TWICE},
        {"a version without a key", UPGRADE CONNECTION "Sec-WebSocket-Version: 7\r\n",
         HANDSHAKE_ERR_VERSION},
    };
    check_vectors(vectors, COUNT(vectors));
}

static void refuses_bad_keys(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "",
        "==",
        "dGhlIHNhbXBsZSBub25jZQ",         /* no padding */
        "dGhlIHNhbXBsZSBub25jZQ=",        /* half of it */
        "dGhlIHNhbXBsZSBub25jZQ===",      /* too much */
        "dGhlIHNhbXBsZSBub25jZQ==a",      /* something behind it */
        "dGhlIHNhbXBsZSBub25j",           /* 15 bytes */
        "dGhlIHNhbXBsZSBub25jZWE=",       /* 17 bytes */
        "dGhlIHNhbXBsZSBub25jZWVl",       /* 18 bytes, in 24 characters */
        "dGhlIHNhbXBsZSBub25jZ===",       /* padding in the place of a character */
        "dGhl=HNhbXBsZSBub25jZQ==",       /* padding in the middle */
        "dGhlIHNhbXBs ZSBub25jZ==",       /* a space */
        "dGhlIHNhbXBsZSBub25j\tQ==",      /* a tab */
        "dGhlIHNhbXBsZSBub25j-Q==",       /* base64url */
        "dGhlIHNhbXBsZSBub25j_Q==",       /* base64url */
        "dGhlIHNhbXBsZSBub25j\xC3\xA9==", /* no ASCII */
        "\"dGhlIHNhbXBsZSBub25Q==\"",     /* quoted */
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
    };
    for (size_t i = 0; i < COUNT(keys); i++) {
        char fields[256];
        struct vector v = {keys[i], fields, HANDSHAKE_ERR_KEY};
        snprintf(fields, sizeof fields, UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: %s\r\n",
                 keys[i]);
        check_vectors(&v, 1);
    }
    static const struct vector vectors[] = {
        {"no key", UPGRADE CONNECTION VERSION, HANDSHAKE_ERR_KEY},
        {"the key twice", GOOD KEY, HANDSHAKE_ERR_KEY},
        {"two keys", GOOD "Sec-WebSocket-KEY: abcdefghijklmnopqrstug==\r\n", HANDSHAKE_ERR_KEY},
    };
    check_vectors(vectors, COUNT(vectors));
}

static void refuses_bodies(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "Content-Length: 1\r\n",
        "Content-Length: 18446744073709551616\r\n", /* 0, if it wrapped around */
        "Content-Length: -0\r\n",
        "Content-Length: 0, 0\r\n",
        "Content-Length: 0\r\nContent-Length: 0\r\n",
        "Content-Length:\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
    };
    for (size_t i = 0; i < COUNT(bodies); i++) {
        char fields[512];
        struct vector v = {bodies[i], fields, HANDSHAKE_ERR_BODY};
        snprintf(fields, sizeof fields, GOOD "%s", bodies[i]);
        check_vectors(&v, 1);
        /* and whatever else is wrong */
        snprintf(fields, sizeof fields, UPGRADE "%s", bodies[i]);
        check_vectors(&v, 1);
    }
}

static void refuses_bad_protocol_lists(void **state)
{
    (void)state;
    static const char *const lists[] = {
        "",         ",",     "a,",   ",a",  "a,,b", "a, ,b", "a b", "a\tb", "a;b",
        "a/b",      "\"a\"", "(a)",  "a=b", "a@b",  "{a}",   "[a]", "a, a", "a,b,c,a",
        "\xC3\xA9", "a\x80", "\xFF", "a:b", "<a>",  "a\\b",  "a?b",
    };
    for (size_t i = 0; i < COUNT(lists); i++) {
        char fields[512];
        struct vector v = {lists[i], fields, HANDSHAKE_ERR_PROTOCOL};
        snprintf(fields, sizeof fields, GOOD "Sec-WebSocket-Protocol: %s\r\n", lists[i]);
        check_vectors(&v, 1);
    }
    static const struct vector vectors[] = {
        {"one twice in two fields",
         GOOD "Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c, b\r\n",
         HANDSHAKE_ERR_PROTOCOL},
        {"a bad one in the second field",
         GOOD "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b c\r\n",
         HANDSHAKE_ERR_PROTOCOL},
    };
    check_vectors(vectors, COUNT(vectors));
}

/* Whether an extension is taken is another matter: here only the grammar of the field is judged,
 * also of one that nobody knows. */
static void refuses_malformed_extensions(void **state)
{
    (void)state;
    static const char *const lists[] = {"",    ",",     "a;",       "a; b=", "a=b",
                                        "a b", "\"a\"", "a; b=\"c", "a; =c"};
    static const char *const fine[] = {"a", "a,,b", ", a; b; c=d; e=\"f\"",
                                       "permessage-deflate; x=9"};
    char fields[512];
    for (size_t i = 0; i < COUNT(lists); i++) {
        struct vector v = {lists[i], fields, HANDSHAKE_ERR_EXTENSION};
        snprintf(fields, sizeof fields, GOOD "Sec-WebSocket-Extensions: %s\r\n", lists[i]);
        check_vectors(&v, 1);
    }
    for (size_t i = 0; i < COUNT(fine); i++) {
        struct vector v = {fine[i], fields, HANDSHAKE_UPGRADE};
        snprintf(fields, sizeof fields, GOOD "Sec-WebSocket-Extensions: %s\r\n", fine[i]);
        check_vectors(&v, 1);
    }
}

/* Each byte in each field that the handshake reads. Such a request is judged, not misread: it is
 * refused or, where the byte happens to fit, an upgrade. */
static void judges_every_byte_in_its_fields(void **state)
{
    (void)state;
    static const struct {
        const char *text;    /* \1 is where the byte goes */
        const char *fitting; /* bytes with which it is still an upgrade */
        int otherwise;
    } fields[] = {
        {START CONNECTION KEY VERSION UPGRADE "Sec-WebSocket-Protocol: a\1b\r\n\r\n",
         ",!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
         HANDSHAKE_ERR_PROTOCOL},
        {START CONNECTION UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\1Q==\r\n\r\n",
         "+/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", HANDSHAKE_ERR_KEY},
        {START CONNECTION UPGRADE KEY "Sec-WebSocket-Version: 1\1\r\n\r\n", "3",
         HANDSHAKE_ERR_VERSION},
        {START UPGRADE KEY VERSION "Connection: \1Upgrade\r\n\r\n", ", \t",
         HANDSHAKE_ERR_CONNECTION},
        {START CONNECTION KEY VERSION "Upgrade: \1websocket\r\n\r\n", ", \t",
         HANDSHAKE_ERR_CONNECTION},
    };
    for (size_t i = 0; i < COUNT(fields); i++) {
        for (int c = 1; c < 256; c++) {
            char text[512];
            struct http_head head;
            size_t n = strlen(fields[i].text);
            memcpy(text, fields[i].text, n);
            *(char *)memchr(text, 1, n) = (char)c;
            unsigned char *copy = guard_copy(text, n);
            int rc = http_parse_request((char *)copy, n, HTTP_HEADERS_MAX, &head);
            if (rc == 0) {
                int expected = strchr(fields[i].fitting, c) ? 0 : fields[i].otherwise;
                assert_int_equal(handshake_check_request(&head), expected);
            } else {
                assert_true(c < 0x20 || c == 0x7F);
            }
            guard_free(copy, n);
        }
    }
}

static void wants_get(void **state)
{
    (void)state;
    static const char *const methods[] = {"POST", "HEAD", "OPTIONS", "get", "GETT", "CONNECT"};
    for (size_t i = 0; i < COUNT(methods); i++) {
        char text[512];
        struct http_head head;
        int n = snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: a\r\n" GOOD "\r\n", methods[i]);
        parse((unsigned char *)text, (size_t)n, &head);
        assert_int_equal(handshake_check_request(&head), HANDSHAKE_ERR_METHOD);
    }
}

static void has_words_for_errors(void **state)
{
    (void)state;
    for (int a = HANDSHAKE_ERR_EXTENSION; a <= 0; a++) {
        unsigned status = a == HANDSHAKE_ERR_METHOD ? 405 : a == HANDSHAKE_ERR_VERSION ? 426 : 400;
        assert_int_equal(handshake_error_status(a), status);
        for (int b = HANDSHAKE_ERR_EXTENSION; b < a; b++)
            assert_string_not_equal(handshake_error_text(a), handshake_error_text(b));
    }
}

static void computes_the_accept_value(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, /* RFC 6455 section 1.3 */
        {"x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="},
        {"AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="},
    };
    char out[HANDSHAKE_ACCEPT_LEN + 1];
    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned char *key = guard_copy(cases[i][0], HANDSHAKE_KEY_LEN);
        assert_true(handshake_accept((struct slice){(char *)key, HANDSHAKE_KEY_LEN}, out));
        assert_string_equal(out, cases[i][1]);
        guard_free(key, HANDSHAKE_KEY_LEN);
    }
    assert_false(handshake_accept(slice_of("dGhlIHNhbXBsZSBub25jZQ="), out));
    assert_false(handshake_accept(slice_of("dGhlIHNhbXBsZSBub25jZQ==="), out));
    assert_false(handshake_accept(slice_of(""), out));
}

static void chooses_by_the_servers_preference(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *supported[3], *chosen;
    } cases[] = {
        {"Sec-WebSocket-Protocol: chat, superchat\r\n", {"superchat", "chat"}, "superchat"},
        {"Sec-WebSocket-Protocol: chat, superchat\r\n", {"mqtt", "chat"}, "chat"},
        {"Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n", {"b", "a"}, "b"},
        {"Sec-WebSocket-Protocol: chat\r\n", {"Chat", "CHAT"}, NULL},
        {"Sec-WebSocket-Protocol: chat.v2\r\n", {"chat", "v2", "chat.v"}, NULL},
        {"Sec-WebSocket-Protocol: chat\r\n", {NULL}, NULL},
        {"A: chat\r\n", {"chat"}, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[256];
        struct http_head head;
        struct slice supported[3], chosen = slice_of("none");
        size_t count = 0;
        for (; count < 3 && cases[i].supported[count]; count++)
            supported[count] = slice_of(cases[i].supported[count]);
        int n = snprintf(text, sizeof text, START "%s\r\n", cases[i].fields);
        unsigned char *copy = guard_copy(text, (size_t)n);
        parse(copy, (size_t)n, &head);
        bool ok = handshake_choose_protocol(&head, supported, count, &chosen);
        assert_int_equal(ok, cases[i].chosen != NULL);
        if (ok)
            assert_true(slice_is(chosen, cases[i].chosen));
        guard_free(copy, (size_t)n);
    }
}

static const char *const answer =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

static bool write_answer(struct buf *out, struct slice protocol, const char *extensions,
                         const char *extra)
{
    return handshake_write_accept(out, slice_of("dGhlIHNhbXBsZSBub25jZQ=="), protocol,
                                  slice_of(extensions), slice_of(extra));
}

static void writes_the_answer(void **state)
{
    (void)state;
    static const struct {
        const char *protocol, *extensions, *extra, *rest;
    } cases[] = {
        {"", "", "", "\r\n"},
        {"chat", "", "", "Sec-WebSocket-Protocol: chat\r\n\r\n"},
        {"", "a; b=1", "", "Sec-WebSocket-Extensions: a; b=1\r\n\r\n"},
        {"", "", "A: b\r\n", "A: b\r\n\r\n"},
        {"c", "e", "A: b\r\nC: d\r\n",
         "Sec-WebSocket-Protocol: c\r\nSec-WebSocket-Extensions: e\r\nA: b\r\nC: d\r\n\r\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf out = {0};
        char expected[512];
        struct http_head head;
        assert_true(buf_append_str(&out, "before"));
        assert_true(
            write_answer(&out, slice_of(cases[i].protocol), cases[i].extensions, cases[i].extra));
        snprintf(expected, sizeof expected, "before%s%s", answer, cases[i].rest);
        assert_int_equal(out.len, strlen(expected));
        assert_memory_equal(out.data, expected, out.len);
        /* and a client can read it */
        assert_int_equal(
            http_parse_response((char *)out.data + 6, out.len - 6, HTTP_HEADERS_MAX, &head), 0);
        assert_int_equal(head.status, 101);
        buf_free(&out);
    }
}

/* CR, LF or NUL from a script into a subprotocol. */
static void writes_no_forged_answer(void **state)
{
    (void)state;
    static const struct slice protocols[] = {
        {"a\r\nSet-Cookie: b", 16},
        {"a\r\n", 3},
        {"a\n", 2},
        {"a\0b", 3},
        {"a b", 3},
        {"a,b", 3},
        {" ", 1},
        {"\xC3\xA9", 2},
    };
    struct buf out = {0};
    assert_true(buf_append_str(&out, "before"));
    for (size_t i = 0; i < COUNT(protocols); i++)
        assert_false(write_answer(&out, protocols[i], "", ""));
    assert_false(
        handshake_write_accept(&out, slice_of("short"), slice_of(""), slice_of(""), slice_of("")));
    assert_int_equal(out.len, 6);
    buf_free(&out);
}

static void writes_nothing_when_memory_is_short(void **state)
{
    (void)state;
    size_t n = 0;
    for (;; n++) {
        struct buf out = {0};
        allocations_fail_after(n);
        bool ok = write_answer(&out, slice_of("chat"), "", "A: b\r\n");
        assert_int_equal(ok, allocations_failed() == 0);
        allocations_succeed();
        assert_true(ok || out.len == 0);
        buf_free(&out);
        if (ok)
            break;
    }
    assert_true(n >= 2);
    /* and wherever in the text it happens: a buffer with that much room */
    struct buf whole = {0};
    assert_true(write_answer(&whole, slice_of("chat"), "e", "A: b\r\n"));
    for (size_t room = 0; room < whole.len; room++) {
        struct buf out = {0};
        assert_true(buf_reserve(&out, 1024));
        size_t before = out.cap - room;
        memset(out.data, 'x', out.cap);
        out.len = before;
        allocations_fail_after(0);
        assert_false(write_answer(&out, slice_of("chat"), "e", "A: b\r\n"));
        allocations_succeed();
        assert_int_equal(out.len, before);
        buf_free(&out);
    }
    buf_free(&whole);
}

/* tungstenite CVE-2023-43669, ws CVE-2021-32640: a head of the largest size that is allowed, made
 * to be expensive. */
struct load {
    struct buf text;
    struct http_head head;
    int result;
};

static void judge(void *context)
{
    struct load *l = context;
    struct slice supported[] = {slice_of("zzz"), slice_of("yyy")}, chosen;
    l->result = handshake_check_request(&l->head);
    (void)handshake_choose_protocol(&l->head, supported, COUNT(supported), &chosen);
    (void)handshake_origin_is_same(&l->head, true);
}

static uint64_t cost_of(int shape, size_t n)
{
    static const char *const fields[] = {
        "Sec-WebSocket-Protocol: ", "Connection: ", "Upgrade: ", "Origin: https://", "X: "};
    struct load l = {{0}, {.header_count = 0}, 0};
    assert_true(buf_append_str(&l.text, START GOOD));
    assert_true(buf_append_str(&l.text, fields[shape % 5]));
    for (size_t i = 0; l.text.len < n; i++) {
        if (shape < 5) /* names that are all different, as short as can be */
            assert_true(buf_printf(&l.text, "%zx,", i));
        else if (shape < 10)
            assert_true(buf_append_str(&l.text, ","));
        else
            assert_true(buf_append_str(&l.text, "a"));
    }
    assert_true(buf_append_str(&l.text, "x\r\n\r\n"));
    parse(l.text.data, l.text.len, &l.head);
    uint64_t cost = count_comparisons(judge, &l);
    buf_free(&l.text);
    return cost;
}

static void costs_are_linear_in_the_head(void **state)
{
    (void)state;
    for (int shape = 0; shape < 15; shape++) {
        uint64_t cost[3];
        for (int i = 0; i < 3; i++)
            cost[i] = cost_of(shape, (size_t)4096 << i);
        if (!costs_are_linear(cost[0], cost[1], cost[2]))
            fail_msg("shape %d: %llu %llu %llu", shape, (unsigned long long)cost[0],
                     (unsigned long long)cost[1], (unsigned long long)cost[2]);
        /* nor is there a shape that is linear with an absurd factor */
        if (cost[2] > 16384 * 40)
            fail_msg("shape %d: %llu", shape, (unsigned long long)cost[2]);
    }
}

static int check_offer(size_t count)
{
    struct load l = {{0}, {.header_count = 0}, 0};
    assert_true(buf_append_str(&l.text, START GOOD "Sec-WebSocket-Protocol: p"));
    for (size_t i = 1; i < count; i++)
        assert_true(buf_printf(&l.text, ", p%zu", i));
    assert_true(buf_append_str(&l.text, "\r\n\r\n"));
    parse(l.text.data, l.text.len, &l.head);
    judge(&l);
    buf_free(&l.text);
    return l.result;
}

static void bounds_the_number_of_protocols(void **state)
{
    (void)state;
    assert_int_equal(check_offer(HANDSHAKE_PROTOCOLS_MAX), HANDSHAKE_UPGRADE);
    assert_int_equal(check_offer(HANDSHAKE_PROTOCOLS_MAX + 1), HANDSHAKE_ERR_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_good_requests),
        cmocka_unit_test(lets_plain_requests_pass),
        cmocka_unit_test(refuses_bad_upgrades),
        cmocka_unit_test(refuses_bad_keys),
        cmocka_unit_test(refuses_bodies),
        cmocka_unit_test(refuses_bad_protocol_lists),
        cmocka_unit_test(refuses_malformed_extensions),
        cmocka_unit_test(judges_every_byte_in_its_fields),
        cmocka_unit_test(wants_get),
        cmocka_unit_test(has_words_for_errors),
        cmocka_unit_test(computes_the_accept_value),
        cmocka_unit_test(chooses_by_the_servers_preference),
        cmocka_unit_test(writes_the_answer),
        cmocka_unit_test(writes_no_forged_answer),
        cmocka_unit_test(writes_nothing_when_memory_is_short),
        cmocka_unit_test(costs_are_linear_in_the_head),
        cmocka_unit_test(bounds_the_number_of_protocols),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
