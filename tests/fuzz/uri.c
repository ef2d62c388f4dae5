/* wire/uri: what is parsed can be put together again; canonical paths against a plain decoder;
 * encoding and decoding undo each other. */
#include "wire/uri.h"
#include "fuzz.h"
#include "wire/utf8.h"

#include <stdlib.h>
#include <string.h>

static struct slice slice_of_buf(const struct buf *b)
{
    return (struct slice){(const char *)b->data, b->len};
}

static bool has_char(struct slice s, char c)
{
    return s.len && memchr(s.ptr, c, s.len);
}

static bool is_error(int rc)
{
    return rc >= URI_ERR_MEMORY && rc < 0 && strlen(uri_error_text(rc)) > 0;
}

/* --- URIs and targets ------------------------------------------------------------------------- */

static void check_host(struct slice host, bool ipv6)
{
    CHECK(host.len > 0 && host.len <= 255);
    for (size_t i = 0; i < host.len; i++) {
        char c = ascii_lower(host.ptr[i]);
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        bool letter = c >= 'a' && c <= 'z';
        CHECK(ipv6 ? hex || c == ':' || c == '.' : hex || letter || (c && strchr("-_.", c)));
    }
    CHECK(ipv6 || (host.ptr[0] != '.' && !memmem(host.ptr, host.len, "..", 2)));
}

static bool same_uri(const struct uri *a, const struct uri *b)
{
    return a->secure == b->secure && slice_equal(a->host, b->host) &&
           a->host_is_ipv6 == b->host_is_ipv6 && a->port == b->port &&
           slice_equal(a->path, b->path) && slice_equal(a->query, b->query) &&
           !a->query.ptr == !b->query.ptr;
}

/* Writes what was parsed and parses that. */
static void check_again(const struct uri *u)
{
    struct uri again;
    struct buf text = {0};
    CHECK(buf_printf(&text, "%s://%s%.*s%s:%u%.*s", u->secure ? "wss" : "ws",
                     u->host_is_ipv6 ? "[" : "", SLICE_ARG(u->host), u->host_is_ipv6 ? "]" : "",
                     u->port, SLICE_ARG(u->path)));
    if (u->query.ptr)
        CHECK(buf_printf(&text, "?%.*s", SLICE_ARG(u->query)));
    CHECK(uri_parse(slice_of_buf(&text), &again) == 0 && same_uri(u, &again));
    buf_free(&text);
}

static void check_parts(const struct uri *u, struct slice text)
{
    CHECK(fuzz_within(u->host, text) && fuzz_within(u->query, text));
    CHECK(slice_is(u->path, "/") || fuzz_within(u->path, text));
    CHECK(u->path.ptr[0] == '/');
    CHECK(!has_char(u->path, '#') && !has_char(u->path, '?'));
    CHECK(!has_char(u->query, '#'));
    for (size_t i = 0; i < u->path.len; i++)
        CHECK(u->path.ptr[i] > ' ' && u->path.ptr[i] < 0x7F);
}

static void check_parse(struct slice text)
{
    struct uri u, target;
    int rc = uri_parse(text, &u);
    if (rc != 0) {
        CHECK(is_error(rc));
        return;
    }
    check_parts(&u, text);
    check_host(u.host, u.host_is_ipv6);
    CHECK(u.port != 0);
    check_again(&u);
    /* a target may be all that, and more */
    CHECK(uri_parse_target(text, &target) == 0 && same_uri(&u, &target));
}

static void check_target(struct slice text)
{
    struct uri u;
    struct buf path = {0};
    int rc = uri_parse_target(text, &u);
    if (rc != 0) {
        CHECK(is_error(rc));
        return;
    }
    check_parts(&u, text);
    CHECK((u.host.len == 0) == (u.port == 0) && (u.port == 0) == (text.ptr[0] == '/'));
    if (u.port)
        check_host(u.host, u.host_is_ipv6);
    /* the characters of a target's path are those of a canonical path: no URI_ERR_PATH behind it */
    rc = uri_canonical_path(u.path, &path);
    CHECK(rc == 0 || rc == URI_ERR_ESCAPE || rc == URI_ERR_DOTS || rc == URI_ERR_UTF8);
    buf_free(&path);
}

static void check_authority(struct slice text)
{
    struct slice host;
    uint16_t port;
    struct uri u;
    struct buf uri = {0};
    bool ok = uri_parse_authority(text, &host, &port);
    CHECK(buf_append_str(&uri, "ws://") && buf_append(&uri, text.ptr, text.len));
    bool path_follows = has_char(text, '/') || has_char(text, '?') || has_char(text, '#');
    if (ok) {
        CHECK(fuzz_within(host, text));
        check_host(host, text.ptr[0] == '[');
        CHECK(uri_parse(slice_of_buf(&uri), &u) == 0 && slice_equal(u.host, host));
        CHECK(u.port == (port ? port : 80));
    } else {
        CHECK(path_follows || uri_parse(slice_of_buf(&uri), &u) != 0);
    }
    buf_free(&uri);
}

/* --- paths ------------------------------------------------------------------------------------ */

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, ascii_lower(c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The byte of an escape at `at`, or -1. */
static int escape(struct slice s, size_t at)
{
    if (s.ptr[at] != '%' || s.len - at < 3 || hex(s.ptr[at + 1]) < 0 || hex(s.ptr[at + 2]) < 0)
        return -1;
    return hex(s.ptr[at + 1]) * 16 + hex(s.ptr[at + 2]);
}

static void decode(struct slice raw, bool plus, struct buf *out)
{
    for (size_t i = 0; i < raw.len; i++) {
        int byte = escape(raw, i);
        unsigned char c = (unsigned char)(byte >= 0 ? byte : raw.ptr[i]);
        if (byte < 0 && plus && c == '+')
            c = ' ';
        i += byte >= 0 ? 2 : 0;
        CHECK(buf_append(out, &c, 1));
    }
}

static bool has_dot_segment(struct slice path)
{
    for (size_t i = 0, start = 0; i <= path.len; i++) {
        if (i < path.len && path.ptr[i] != '/')
            continue;
        struct slice segment = {path.ptr + start, i - start};
        if (slice_is(segment, ".") || slice_is(segment, ".."))
            return true;
        start = i + 1;
    }
    return false;
}

static size_t count_of(struct slice s, char c)
{
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++)
        count += s.ptr[i] == c;
    return count;
}

/* May these bytes be a canonical path? */
static bool is_canonical(struct slice path)
{
    return path.len && path.ptr[0] == '/' && !has_char(path, 0) && !has_dot_segment(path) &&
           utf8_valid((const unsigned char *)path.ptr, path.len);
}

static void encode(struct slice path, struct buf *out)
{
    for (size_t i = 0; i < path.len; i++)
        CHECK(path.ptr[i] == '/' ? buf_append(out, "/", 1)
                                 : buf_printf(out, "%%%02X", (unsigned char)path.ptr[i]));
}

/* Encoded and canonical again: the same. */
static void check_encoded(struct slice path)
{
    struct buf encoded = {0}, again = {0}, decoded = {0};
    encode(path, &encoded);
    int rc = uri_canonical_path(slice_of_buf(&encoded), &again);
    CHECK((rc == 0) == is_canonical(path));
    CHECK(rc != 0 || slice_equal(slice_of_buf(&again), path));
    decode(slice_of_buf(&encoded), false, &decoded);
    CHECK(slice_equal(slice_of_buf(&decoded), path));
    buf_free(&encoded);
    buf_free(&again);
    buf_free(&decoded);
}

static void check_canonical(struct slice raw)
{
    struct buf path = {0}, decoded = {0};
    CHECK(buf_append_str(&path, "kept"));
    int rc = uri_canonical_path(raw, &path);
    CHECK(path.len >= 4 && memcmp(path.data, "kept", 4) == 0);
    if (rc == 0) {
        struct slice made = {(const char *)path.data + 4, path.len - 4};
        decode(raw, false, &decoded);
        CHECK(slice_equal(made, slice_of_buf(&decoded)));
        CHECK(is_canonical(made) && count_of(made, '/') == count_of(raw, '/'));
        check_encoded(made);
    } else {
        CHECK(is_error(rc) && path.len == 4);
    }
    buf_free(&path);
    buf_free(&decoded);
}

/* --- queries ---------------------------------------------------------------------------------- */

/* The pieces, joined again, are the query without its empty pieces. */
static void check_query(struct slice query)
{
    struct slice rest = query, name, value;
    struct buf decoded = {0}, wanted = {0};
    size_t at = 0, before = rest.len + 1;
    while (uri_query_next(&rest, &name, &value)) {
        CHECK(rest.len < before);
        before = rest.len;
        while (query.ptr[at] == '&')
            at++;
        CHECK(name.ptr == query.ptr + at && !has_char(name, '='));
        at += name.len;
        if (value.len || (at < query.len && query.ptr[at] == '='))
            CHECK(query.ptr[at] == '=' && value.ptr == query.ptr + ++at);
        CHECK(!has_char(value, '&'));
        at += value.len;
        CHECK(at == query.len || query.ptr[at] == '&');
    }
    for (; at < query.len; at++)
        CHECK(query.ptr[at] == '&');
    CHECK(uri_query_decode(query, &decoded));
    decode(query, true, &wanted);
    CHECK(slice_equal(slice_of_buf(&decoded), slice_of_buf(&wanted)));
    buf_free(&decoded);
    buf_free(&wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = (char *)fuzz_copy(data, size);
    struct slice text = {copy, size};
    check_parse(text);
    check_target(text);
    check_authority(text);
    check_canonical(text);
    check_encoded(text);
    check_query(text);
    free(copy);
    return 0;
}
