/* wire/http: heads of requests and responses. What is taken for a head is counted and put together
 * again by other means, so that nobody else can read another request in the same bytes. */
#include "wire/http.h"
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- where the head ends ---------------------------------------------------------------------- */

/* 0: no whole head yet. */
static long expected_end(const char *b, size_t n)
{
    size_t line = 0;
    for (size_t i = 0; i < n; i++) {
        if (b[i] == '\0' || b[i] == '\n')
            return HTTP_ERR_NEWLINE;
        if (b[i] != '\r')
            continue;
        if (i + 1 == n)
            return 0;
        if (b[i + 1] != '\n')
            return HTTP_ERR_NEWLINE;
        if (i == line)
            return (long)i + 2;
        line = ++i + 1;
    }
    return 0;
}

static void check_end(const char *bytes, size_t n, struct fuzz_chop chop)
{
    long rc = 0;
    size_t scanned = 0, at = 0;
    while (at < n && rc == 0) {
        at += fuzz_piece(&chop, n - at);
        char *prefix = (char *)fuzz_copy(bytes, at);
        rc = http_head_end(prefix, at, &scanned);
        CHECK(rc == expected_end(bytes, at) && scanned <= at);
        CHECK(http_head_end(prefix, at, &scanned) == rc);
        free(prefix);
    }
}

/* --- what is in a head ------------------------------------------------------------------------ */

static bool is_token_char(char c)
{
    char l = ascii_lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_char(s.ptr[i]))
            return false;
    return s.len > 0;
}

static bool is_value(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.ptr[i] < ' ' && s.ptr[i] != '\t') || s.ptr[i] == 0x7F)
            return false;
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_trimmed(struct slice s)
{
    return s.len == 0 || (!is_space(s.ptr[0]) && !is_space(s.ptr[s.len - 1]));
}

static void check_list(struct slice value)
{
    struct slice rest = value, element;
    size_t left = rest.len + 1;
    while (http_list_next(&rest, &element)) {
        CHECK(rest.len < left && element.len > 0);
        left = rest.len;
        CHECK(is_trimmed(element) && fuzz_within(element, value));
        if (!memchr(element.ptr, '"', element.len))
            CHECK(!memchr(element.ptr, ',', element.len));
    }
    CHECK(rest.len == 0);
}

static void check_fields(const struct http_head *h, struct slice head)
{
    for (size_t i = 0; i < h->header_count; i++) {
        const struct http_header *f = &h->headers[i];
        CHECK(fuzz_within(f->name, head) && fuzz_within(f->value, head));
        CHECK(is_token(f->name) && is_value(f->value) && is_trimmed(f->value));
        check_list(f->value);
        char name[64];
        if (f->name.len >= sizeof name)
            continue;
        memcpy(name, f->name.ptr, f->name.len);
        name[f->name.len] = '\0';
        const struct http_header *first = http_find(h, name);
        CHECK(first && first <= f && slice_equal_nocase(first->name, f->name));
        CHECK((http_count(h, name) == 1) <= (first == f) && http_count(h, name) >= 1);
    }
}

/* The lines of a head, counted by their ends. */
static size_t count_lines(struct slice head)
{
    size_t lines = 0;
    for (size_t i = 0; i < head.len; i++) {
        CHECK(head.ptr[i] != '\0' && (head.ptr[i] != '\r' || head.ptr[i + 1] == '\n'));
        CHECK(head.ptr[i] != '\n' || (i && head.ptr[i - 1] == '\r'));
        lines += head.ptr[i] == '\n';
    }
    return lines;
}

static void check_length(const struct http_head *h)
{
    uint64_t length = 1;
    int rc = http_body_length(h, &length);
    bool encoded = http_find(h, "transfer-encoding");
    size_t lengths = http_count(h, "content-length");
    CHECK(!encoded || rc == (lengths ? HTTP_ERR_LENGTH : HTTP_ERR_ENCODING));
    CHECK(lengths < 2 || rc == HTTP_ERR_LENGTH);
    CHECK(encoded || lengths || (rc == 0 && length == 0));
    if (rc != 0 || !lengths)
        return;
    /* the same number, written without its zeros */
    struct slice value = http_find(h, "Content-Length")->value;
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%ju", (uintmax_t)length);
    while (value.len > (size_t)n) {
        CHECK(value.ptr[0] == '0');
        value = (struct slice){value.ptr + 1, value.len - 1};
    }
    CHECK(slice_is(value, digits));
}

/* --- heads put together again ----------------------------------------------------------------- */

static bool same_head(const struct http_head *a, const struct http_head *b)
{
    if (!slice_equal(a->method, b->method) || !slice_equal(a->target, b->target) ||
        a->status != b->status || a->minor != b->minor || !slice_equal(a->reason, b->reason) ||
        a->header_count != b->header_count)
        return false;
    for (size_t i = 0; i < a->header_count; i++)
        if (!slice_equal(a->headers[i].name, b->headers[i].name) ||
            !slice_equal(a->headers[i].value, b->headers[i].value))
            return false;
    return true;
}

typedef int parse_head(const char *head, size_t n, size_t max_headers, struct http_head *out);

static void check_again(parse_head *parse, const struct http_head *h)
{
    struct buf text = {0};
    struct http_head again;
    if (h->status)
        CHECK(
            buf_printf(&text, "HTTP/1.%u %u %.*s\r\n", h->minor, h->status, SLICE_ARG(h->reason)));
    else
        CHECK(buf_printf(&text, "%.*s %.*s HTTP/1.1\r\n", SLICE_ARG(h->method),
                         SLICE_ARG(h->target)));
    for (size_t i = 0; i < h->header_count; i++) {
        char *name = strndup(h->headers[i].name.ptr, h->headers[i].name.len);
        CHECK(name && http_write_header(&text, name, h->headers[i].value));
        free(name);
    }
    CHECK(buf_append_str(&text, "\r\n"));
    CHECK(parse((char *)text.data, text.len, HTTP_HEADERS_MAX, &again) == 0);
    CHECK(same_head(h, &again));
    buf_free(&text);
}

/* A head without its last byte is none, and one with a byte more is none. */
static void check_edges(parse_head *parse, struct slice head)
{
    struct http_head out;
    char *more = (char *)malloc(head.len + 1);
    if (!more)
        abort();
    memcpy(more, head.ptr, head.len);
    more[head.len] = '\n';
    CHECK(parse(more, head.len - 1, HTTP_HEADERS_MAX, &out) < 0);
    CHECK(parse(more, head.len + 1, HTTP_HEADERS_MAX, &out) < 0);
    free(more);
}

static void check_parsed(parse_head *parse, const struct http_head *h, struct slice head)
{
    CHECK(count_lines(head) == h->header_count + 2);
    CHECK(expected_end(head.ptr, head.len) == (long)head.len);
    check_fields(h, head);
    check_length(h);
    check_again(parse, h);
    check_edges(parse, head);
}

static void check_error(int rc)
{
    unsigned status = http_error_status(rc);
    CHECK(rc >= HTTP_ERR_HOST && rc < 0 && strlen(http_error_text(rc)) > 0);
    CHECK(status == 400 || status == 431 || status == 501 || status == 505);
}

static void check_request(struct slice head, size_t max_headers)
{
    struct http_head h;
    int rc = http_parse_request(head.ptr, head.len, max_headers, &h);
    if (rc != 0) {
        check_error(rc);
        return;
    }
    CHECK(h.header_count <= max_headers && h.header_count <= HTTP_HEADERS_MAX);
    CHECK(is_token(h.method) && h.target.len > 0 && h.status == 0);
    for (size_t i = 0; i < h.target.len; i++)
        CHECK(h.target.ptr[i] > ' ' && h.target.ptr[i] < 0x7F);
    CHECK(http_count(&h, "host") == 1);
    check_parsed(http_parse_request, &h, head);
}

static void check_response(struct slice head, size_t max_headers)
{
    struct http_head h;
    int rc = http_parse_response(head.ptr, head.len, max_headers, &h);
    if (rc != 0) {
        check_error(rc);
        return;
    }
    CHECK(h.header_count <= max_headers && h.header_count <= HTTP_HEADERS_MAX);
    CHECK(h.status >= 100 && h.status <= 999 && h.minor <= 1 && is_value(h.reason));
    CHECK(http_is_interim(&h) == (h.status < 200 && h.status != 101));
    uint64_t length, told;
    if (http_response_length(&h, &length) == 0) {
        bool none = h.status < 200 || h.status == 204 || h.status == 304;
        bool is_told = http_count(&h, "Content-Length") == 1;
        CHECK(none ? length == 0 : is_told || length == HTTP_UNTIL_CLOSE);
        CHECK(none || !is_told || (http_body_length(&h, &told) == 0 && told == length));
    }
    check_parsed(http_parse_response, &h, head);
}

/* --- single fields ---------------------------------------------------------------------------- */

static void check_written(struct slice name, struct slice value)
{
    struct buf out = {0};
    char *text = strndup(name.ptr, name.len);
    CHECK(text != NULL);
    name.len = strlen(text); /* a name is a C string: it ends at a NUL */
    CHECK(http_is_token(name) == is_token(name) && http_is_field_value(value) == is_value(value));
    bool ok = http_write_header(&out, text, value);
    CHECK(ok == (is_token(name) && is_value(value)) && (ok || out.len == 0));
    CHECK(!ok || out.len == name.len + value.len + 4);
    buf_free(&out);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, data + size};
    struct fuzz_chop chop = fuzz_chop_of(fuzz_byte(&in));
    size_t max_headers = fuzz_byte(&in) % 128;
    size_t n = fuzz_left(&in);
    char *bytes = (char *)fuzz_copy(in.at, n);
    check_end(bytes, n, chop);

    struct slice all = {bytes, n};
    check_request(all, max_headers);
    check_response(all, max_headers);
    long end = expected_end(bytes, n);
    if (end > 0 && (size_t)end < n) {
        check_request((struct slice){bytes, (size_t)end}, max_headers);
        check_response((struct slice){bytes, (size_t)end}, max_headers);
    }
    check_list(all);
    struct slice name = fuzz_until(&in, ':');
    check_written(name, fuzz_rest(&in));
    free(bytes);
    return 0;
}
