/* wire/uri: URIs, request targets, authorities, and the one canonical form of a path. */
#include "support.h"
#include "wire/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define S(text)                                                                                    \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

/* Nothing here streams, so a vector arrives as in a buffer that fills up: each prefix has to be
 * judged without reading past it, and the whole has to give what is expected. */
typedef void judge(struct slice text, char out[512]);

struct expectation {
    judge *run;
    const char *result;
};

static void arrive(struct feed *f, void *context)
{
    const struct expectation *e = context;
    unsigned char *bytes;
    char result[512] = "nothing arrived", how[32];
    size_t n;
    while (feed_next_prefix(f, &bytes, &n))
        e->run((struct slice){(const char *)bytes, n}, result);
    if (strcmp(result, e->result) != 0)
        fail_msg("%.*s, %s: %s instead of %s", (int)f->n, (const char *)f->bytes, feed_how(f, how),
                 result, e->result);
}

struct vector {
    struct slice text;
    const char *result;
};

static void check_vectors(const struct vector *vectors, size_t count, judge *run)
{
    for (size_t i = 0; i < count; i++) {
        struct expectation e = {run, vectors[i].result};
        feed_every_way(vectors[i].text.ptr, vectors[i].text.len, arrive, &e);
    }
}

static const char *error_name(int rc)
{
    static const char *const names[] = {"ok",       "scheme", "host", "port", "path",
                                        "fragment", "escape", "dots", "utf8", "memory"};
    return names[-rc];
}

static void dump_uri(int rc, const struct uri *u, char out[512])
{
    if (rc != 0) {
        snprintf(out, 512, "%s", error_name(rc));
        return;
    }
    int n =
        snprintf(out, 512, "%s%s %.*s %u %.*s", u->secure ? "secure " : "",
                 u->host_is_ipv6 ? "v6" : "host", SLICE_ARG(u->host), u->port, SLICE_ARG(u->path));
    if (u->query.ptr)
        snprintf(out + n, 512 - (size_t)n, " ?%.*s", SLICE_ARG(u->query));
}

static void judge_uri(struct slice text, char out[512])
{
    struct uri u;
    int rc = uri_parse(text, &u);
    dump_uri(rc, &u, out);
}

static void parses_ws_uris(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        {S("ws://example.com"), "host example.com 80 /"},
        {S("wss://example.com"), "secure host example.com 443 /"},
        {S("ws://example.com/"), "host example.com 80 /"},
        {S("ws://example.com:8080/chat"), "host example.com 8080 /chat"},
        {S("WSS://Example.COM:1/A%2fb?C=%20"), "secure host Example.COM 1 /A%2fb ?C=%20"},
        {S("ws://a?b"), "host a 80 / ?b"},
        {S("ws://a?"), "host a 80 / ?"},
        {S("ws://a/?b?c/d"), "host a 80 / ?b?c/d"},
        {S("ws://a//b/../c"), "host a 80 //b/../c"},
        {S("ws://a/b;c=d:e@f!$&'()*+,~-._"), "host a 80 /b;c=d:e@f!$&'()*+,~-._"},
        {S("ws://127.0.0.1:65535/"), "host 127.0.0.1 65535 /"},
        {S("ws://[::1]"), "v6 ::1 80 /"},
        {S("wss://[2001:DB8::1]:8443/x"), "secure v6 2001:DB8::1 8443 /x"},
        {S("ws://[::ffff:1.2.3.4]/"), "v6 ::ffff:1.2.3.4 80 /"},
        {S("wss://[::]:8443?cert=/a/b.pem&key=c"), "secure v6 :: 8443 / ?cert=/a/b.pem&key=c"},
        {S(""), "scheme"},
        {S("ws"), "scheme"},
        {S("ws:"), "scheme"},
        {S("ws:/a"), "scheme"},
        {S("ws:a"), "scheme"},
        {S("wsx://a"), "scheme"},
        {S("http://a"), "scheme"},
        {S("https://a"), "scheme"},
        {S(" ws://a"), "scheme"},
        {S("//a/b"), "scheme"},
        {S("/a"), "scheme"},
        {S("w\0://a"), "scheme"},
        {S("ws://a#b"), "fragment"},
        {S("ws://a/#"), "fragment"},
        {S("ws://a/b#c"), "fragment"},
        {S("ws://a/?b#c"), "fragment"},
        {S("ws://a/%23"), "host a 80 /%23"},
        {S("ws://a/b c"), "path"},
        {S("ws://a/b\tc"), "path"},
        {S("ws://a/b\r\nc"), "path"},
        {S("ws://a/b\0c"), "path"},
        {S("ws://a/\xC3\xA9"), "path"},
        {S("ws://a/?\xC3\xA9"), "path"},
        {S("ws://a/<b>"), "path"},
        {S("ws://a/b\\c"), "path"},
        {S("ws://a/b|c"), "path"},
        {S("ws://a/?b[c]"), "path"},
        {S("ws://a/%"), "escape"},
        {S("ws://a/%2"), "escape"},
        {S("ws://a/%2g"), "escape"},
        {S("ws://a/%%20"), "escape"},
        {S("ws://a/?%x0"), "escape"},
    };
    check_vectors(vectors, COUNT(vectors), judge_uri);
}

static void judge_host(struct slice text, char out[512])
{
    char uri[512] = "ws://";
    memcpy(uri + 5, text.ptr, text.len);
    unsigned char *copy = guard_copy(uri, text.len + 5);
    judge_uri((struct slice){(char *)copy, text.len + 5}, out);
    guard_free(copy, text.len + 5);
}

static void judge_authority(struct slice text, char out[512])
{
    struct slice host;
    uint16_t port;
    if (!uri_parse_authority(text, &host, &port))
        snprintf(out, 512, "no");
    else
        snprintf(out, 512, "%.*s %u", SLICE_ARG(host), port);
}

/* The same authorities in a Host field and in a URI. */
static void judges_authorities(void **state)
{
    (void)state;
    static const struct {
        struct slice text;
        const char *as_host, *in_uri;
    } cases[] = {
        {S("a"), "a 0", "host a 80 /"},
        {S("a.b-c_d.9"), "a.b-c_d.9 0", "host a.b-c_d.9 80 /"},
        {S("a."), "a. 0", "host a. 80 /"},
        {S("a:1"), "a 1", "host a 1 /"},
        {S("a:65535"), "a 65535", "host a 65535 /"},
        {S("[::1]:80"), "::1 80", "v6 ::1 80 /"},
        {S("[1:2:3:4:5:6:7:8]"), "1:2:3:4:5:6:7:8 0", "v6 1:2:3:4:5:6:7:8 80 /"},
        {S(""), "no", "host"},
        {S("."), "no", "host"},
        {S(".."), "no", "host"},
        {S(".a"), "no", "host"},
        {S("a..b"), "no", "host"},
        {S("a.."), "no", "host"},
        {S("a b"), "no", "host"},
        {S(" a"), "no", "host"},
        {S("a\0b"), "no", "host"},
        {S("\xC3\xA9"), "no", "host"},
        {S("%61"), "no", "host"},
        {S("a,b"), "no", "host"},
        {S("a'b"), "no", "host"},
        {S("a\"b"), "no", "host"},
        {S("a\\b"), "no", "host"},
        {S("me@a"), "no", "host"},
        {S("me:secret@a"), "no", "port"},
        {S("a:"), "no", "port"},
        {S("a:0"), "no", "port"},
        {S("a:65536"), "no", "port"},
        {S("a:99999"), "no", "port"},
        {S("a:4294967376"), "no", "port"},
        {S("a:080"), "no", "port"},
        {S("a:+80"), "no", "port"},
        {S("a:-1"), "no", "port"},
        {S("a:80 "), "no", "port"},
        {S("a:8a"), "no", "port"},
        {S("a:80:80"), "no", "port"},
        {S(":80"), "no", "host"},
        {S("::1"), "no", "host"},
        {S("1::"), "no", "port"},
        {S("[]"), "no", "host"},
        {S("["), "no", "host"},
        {S("[::1"), "no", "host"},
        {S("::1]"), "no", "host"},
        {S("[::1]80"), "no", "host"},
        {S("[::1]a"), "no", "host"},
        {S("[::1]:"), "no", "port"},
        {S("[::1]:0"), "no", "port"},
        {S("[[::1]]"), "no", "host"},
        {S("[a]"), "no", "host"},
        {S("[1.2.3.4]"), "no", "host"},
        {S("[::g]"), "no", "host"},
        {S("[1::2::3]"), "no", "host"},
        {S("[1:2:3:4:5:6:7:8:9]"), "no", "host"},
        {S("[12345::]"), "no", "host"},
        {S("[::1%25eth0]"), "no", "host"},
        {S("[::1\0]"), "no", "host"},
        {S("[v1.a]"), "no", "host"},
        {S("[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"), "no", "host"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct vector as_host = {cases[i].text, cases[i].as_host};
        struct vector in_uri = {cases[i].text, cases[i].in_uri};
        check_vectors(&as_host, 1, judge_authority);
        check_vectors(&in_uri, 1, judge_host);
    }
}

static void bounds_the_length_of_a_host(void **state)
{
    (void)state;
    char name[256];
    struct slice host;
    uint16_t port;
    memset(name, 'a', sizeof name);
    assert_true(uri_parse_authority((struct slice){name, 255}, &host, &port));
    assert_false(uri_parse_authority((struct slice){name, 256}, &host, &port));
}

static void judge_target(struct slice text, char out[512])
{
    struct uri u;
    int rc = uri_parse_target(text, &u);
    dump_uri(rc, &u, out);
}

static void parses_request_targets(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        {S("/"), "host  0 /"},
        {S("/chat?room=1"), "host  0 /chat ?room=1"},
        {S("/?"), "host  0 / ?"},
        {S("//evil.example/a"), "host  0 //evil.example/a"},
        {S("/a|b[c]^d"), "host  0 /a|b[c]^d"},
        {S("/?filter[a]=100%&b={\"c\":`|\\^<>}"), "host  0 / ?filter[a]=100%&b={\"c\":`|\\^<>}"},
        {S("http://a/b?c"), "host a 80 /b ?c"},
        {S("https://a:444"), "secure host a 444 /"},
        {S("ws://[::1]/b"), "v6 ::1 80 /b"},
        {S("WSS://a"), "secure host a 443 /"},
        {S(""), "scheme"},
        {S("*"), "scheme"},
        {S("a"), "scheme"},
        {S("a:443"), "scheme"},
        {S("ftp://a/"), "scheme"},
        {S("?a"), "scheme"},
        {S("http://"), "host"},
        {S("http:///a"), "host"},
        {S("http://me@a/"), "host"},
        {S("http://a:x/"), "port"},
        {S("/#"), "fragment"},
        {S("/a?b#c"), "fragment"},
        {S("/a b"), "path"},
        {S("/a?b c"), "path"},
        {S("/\x7F"), "path"},
        {S("/\x80"), "path"},
        {S("/?\xFF"), "path"},
        {S("/a\\b"), "path"},
        {S("/a\"b"), "path"},
        {S("/<a>"), "path"},
        {S("/{a}"), "path"},
        {S("/a`b"), "path"},
        {S("/a%"), "escape"},
        {S("/a%zz"), "escape"},
    };
    check_vectors(vectors, COUNT(vectors), judge_target);
}

static void judge_path(struct slice text, char out[512])
{
    struct buf path = {0};
    assert_true(buf_append_str(&path, "before "));
    int rc = uri_canonical_path(text, &path);
    if (rc != 0) {
        assert_int_equal(path.len, 7);
        snprintf(out, 512, "%s", error_name(rc));
    } else {
        snprintf(out, 512, "%.*s", (int)path.len - 7, (char *)path.data + 7);
    }
    buf_free(&path);
}

/* Tomcat CVE-2026-76183: routes and access rules must not see two forms of a path. */
static void makes_one_form_of_a_path(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        {S("/"), "/"},
        {S("/a/b"), "/a/b"},
        {S("/a/b/"), "/a/b/"},
        {S("//"), "//"},
        {S("/a//b"), "/a//b"},
        {S("/A/b"), "/A/b"},
        {S("/%41/%62"), "/A/b"},
        {S("/a%20b+c"), "/a b+c"},
        {S("/%2B"), "/+"},
        {S("/%252e%252e/a"), "/%2e%2e/a"},
        {S("/%25"), "/%"},
        {S("/a;x/b"), "/a;x/b"},
        {S("/..;x/b"), "/..;x/b"},
        {S("/%3Fa%23b"), "/?a#b"},
        {S("/%5C"), "/\\"},
        {S("/%C3%A9"), "/\xC3\xA9"},
        {S("/%c3%a9"), "/\xC3\xA9"},
        {S("/%F0%9F%8C%8A"), "/\xF0\x9F\x8C\x8A"},
        {S("/..."), "/..."},
        {S("/.a"), "/.a"},
        {S("/a."), "/a."},
        {S("/a..b"), "/a..b"},
        {S("/ws|[a]^"), "/ws|[a]^"},
        {S("/."), "dots"},
        {S("/.."), "dots"},
        {S("/./a"), "dots"},
        {S("/a/../b"), "dots"},
        {S("/a/.."), "dots"},
        {S("/../"), "dots"},
        {S("/%2e"), "dots"},
        {S("/%2E%2e/a"), "dots"},
        {S("/.%2e/a"), "dots"},
        {S("/a/%2e./b"), "dots"},
        {S("/%2F"), "escape"},
        {S("/a%2fb"), "escape"},
        {S("/..%2Fa"), "escape"},
        {S("/%00"), "escape"},
        {S("/a%00.html"), "escape"},
        {S("/%"), "escape"},
        {S("/%4"), "escape"},
        {S("/%4x"), "escape"},
        {S("/%u0041"), "escape"},
        {S("/%FF"), "utf8"},
        {S("/%C3"), "utf8"},
        {S("/%C3/%A9"), "utf8"},
        {S("/%C0%AF"), "utf8"},
        {S("/%C0%AE%C0%AE/a"), "utf8"},
        {S("/%ED%A0%80"), "utf8"},
        {S("/%F4%90%80%80"), "utf8"},
        {S(""), "path"},
        {S("a"), "path"},
        {S("../a"), "path"},
        {S("%2Fa"), "path"},
        {S("/a b"), "path"},
        {S("/a?b"), "path"},
        {S("/\\a"), "path"},
        {S("/\xC3\xA9"), "path"},
        {S("/a\0b"), "path"},
        {S("/a#b"), "fragment"},
    };
    check_vectors(vectors, COUNT(vectors), judge_path);
}

/* Every byte but "/" as an escape, in digits of either case. */
static void encode(const char *text, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++)
        assert_true(text[i] == '/'
                        ? buf_append(out, "/", 1)
                        : buf_printf(out, i % 2 ? "%%%02X" : "%%%02x", (unsigned char)text[i]));
}

/* Decoding takes back what encoding did, for any path that has a canonical form; and no result has
 * a dot segment, whatever was put in. */
static void decodes_what_it_encodes(void **state)
{
    (void)state;
    static const char letters[] = "//..%2eEfFa;\xC3\xA9\x80 ?#&\n\x7F";
    uint64_t random = 3;
    size_t ok = 0;
    for (int round = 0; round < 20000; round++) {
        char text[16];
        size_t n = random_next(&random) % sizeof text + 1;
        text[0] = '/';
        for (size_t i = 1; i < n; i++)
            text[i] = letters[random_next(&random) % (sizeof letters - 1)];
        struct buf encoded = {0}, decoded = {0};
        encode(text, n, &encoded);
        struct slice written = {(char *)encoded.data, encoded.len};
        int rc = uri_canonical_path(written, &decoded);
        if (rc == 0) {
            assert_int_equal(decoded.len, n);
            assert_memory_equal(decoded.data, text, n);
            assert_true(buf_append(&decoded, "/\0", 2));
            assert_null(strstr((char *)decoded.data, "/./"));
            assert_null(strstr((char *)decoded.data, "/../"));
            ok++;
        } else {
            assert_true(rc == URI_ERR_DOTS || rc == URI_ERR_UTF8);
        }
        buf_free(&encoded);
        buf_free(&decoded);
    }
    assert_true(ok > 1000 && ok < 19000);
}

static void judge_query(struct slice text, char out[512])
{
    struct slice rest = text, name, value;
    int n = 0;
    out[0] = '\0';
    while (uri_query_next(&rest, &name, &value)) {
        struct buf decoded = {0};
        assert_true(uri_query_decode(name, &decoded));
        assert_true(buf_append_str(&decoded, "="));
        assert_true(uri_query_decode(value, &decoded));
        n += snprintf(out + n, 512 - (size_t)n, "<%.*s>", (int)decoded.len, (char *)decoded.data);
        buf_free(&decoded);
    }
    assert_int_equal(rest.len, 0);
}

static void walks_and_decodes_queries(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        {S(""), ""},
        {S("a=1&b=2"), "<a=1><b=2>"},
        {S("a"), "<a=>"},
        {S("a="), "<a=>"},
        {S("=a"), "<=a>"},
        {S("="), "<=>"},
        {S("a=b=c"), "<a=b=c>"},
        {S("&&a&&b&"), "<a=><b=>"},
        {S("&"), ""},
        {S("a;b=c"), "<a;b=c>"},
        {S("a+b=c+%2B"), "<a b=c +>"},
        {S("a%26b=c%3Dd"), "<a&b=c=d>"},
        {S("%C3%A9=%80"), "<\xC3\xA9=\x80>"},
        {S("a=100%"), "<a=100%>"},
        {S("a=%4"), "<a=%4>"},
        {S("a=%zz%41"), "<a=%zzA>"},
        {S("a=%%41"), "<a=%A>"},
        {S("a=%2541"), "<a=%41>"},
    };
    check_vectors(vectors, COUNT(vectors), judge_query);
}

static void appends_nothing_when_memory_is_short(void **state)
{
    (void)state;
    struct buf out = {0};
    allocations_fail_after(0);
    assert_int_equal(uri_canonical_path(slice_of("/a"), &out), URI_ERR_MEMORY);
    assert_false(uri_query_decode(slice_of("a"), &out));
    allocations_succeed();
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

static void has_words_for_errors(void **state)
{
    (void)state;
    for (int a = URI_ERR_MEMORY; a <= 0; a++)
        for (int b = URI_ERR_MEMORY; b < a; b++)
            assert_string_not_equal(uri_error_text(a), uri_error_text(b));
}

struct work {
    struct slice text;
    struct buf out;
};

static void work_through(void *context)
{
    struct work *w = context;
    struct uri u;
    struct slice rest, name, value;
    assert_int_equal(uri_parse_target(w->text, &u), 0);
    w->out.len = 0;
    (void)uri_canonical_path(u.path, &w->out);
    for (rest = u.query; uri_query_next(&rest, &name, &value);)
        assert_true(uri_query_decode(value, &w->out));
}

static void costs_are_linear_in_the_target(void **state)
{
    (void)state;
    static const char *const units[][2] = {
        {"/", "a"},  {"/", "/"},   {"/", "..a/"}, {"/", "%41"}, {"/", "%C3"},
        {"/?", "&"}, {"/?", "a&"}, {"/?", "="},   {"/?", "%"},  {"/?", "a=%41+&"},
    };
    for (size_t u = 0; u < COUNT(units); u++) {
        uint64_t cost[3];
        for (int i = 0; i < 3; i++) {
            struct buf text = {0};
            struct work w = {{NULL, 0}, {0}};
            assert_true(buf_append_str(&text, units[u][0]));
            while (text.len < (size_t)4096 << i)
                assert_true(buf_append_str(&text, units[u][1]));
            w.text = (struct slice){(char *)text.data, text.len};
            assert_true(buf_reserve(&w.out, text.len)); /* the heap's cost is not counted */
            cost[i] = count_comparisons(work_through, &w);
            buf_free(&w.out);
            buf_free(&text);
        }
        if (!costs_are_linear(cost[0], cost[1], cost[2]))
            fail_msg("%s: %llu %llu %llu", units[u][1], (unsigned long long)cost[0],
                     (unsigned long long)cost[1], (unsigned long long)cost[2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_ws_uris),
        cmocka_unit_test(judges_authorities),
        cmocka_unit_test(bounds_the_length_of_a_host),
        cmocka_unit_test(parses_request_targets),
        cmocka_unit_test(makes_one_form_of_a_path),
        cmocka_unit_test(decodes_what_it_encodes),
        cmocka_unit_test(walks_and_decodes_queries),
        cmocka_unit_test(appends_nothing_when_memory_is_short),
        cmocka_unit_test(has_words_for_errors),
        cmocka_unit_test(costs_are_linear_in_the_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
