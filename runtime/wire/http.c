#include "wire/http.h"

#include "wire/uri.h"

#include <string.h>

/* What a byte may be part of. Bytes from 0x80 are opaque, and only field values and reasons may
 * have them. */
enum byte_class {
    BYTE_TOKEN = 1,   /* methods and field names */
    BYTE_VISIBLE = 2, /* request targets */
    BYTE_VALUE = 4,   /* field values and reasons */
};

#define VISIBLE (BYTE_VISIBLE | BYTE_VALUE)
#define TOKEN (BYTE_TOKEN | VISIBLE)

static const unsigned char classes[256] = {
    ['\t'] = BYTE_VALUE,    [' '] = BYTE_VALUE,
    ['!'] = TOKEN,          ['"'] = VISIBLE,
    ['#' ... '\''] = TOKEN, ['(' ... ')'] = VISIBLE,
    ['*' ... '+'] = TOKEN,  [','] = VISIBLE,
    ['-' ... '.'] = TOKEN,  ['/'] = VISIBLE,
    ['0' ... '9'] = TOKEN,  [':' ... '@'] = VISIBLE,
    ['A' ... 'Z'] = TOKEN,  ['[' ... ']'] = VISIBLE,
    ['^' ... 'z'] = TOKEN,  ['{'] = VISIBLE,
    ['|'] = TOKEN,          ['}'] = VISIBLE,
    ['~'] = TOKEN,          [0x80 ... 0xFF] = BYTE_VALUE,
};

static bool consists_of(struct slice s, enum byte_class class)
{
    for (size_t i = 0; i < s.len; i++)
        if (!(classes[(unsigned char)s.ptr[i]] & class))
            return false;
    return true;
}

bool http_is_token(struct slice s)
{
    return s.len > 0 && consists_of(s, BYTE_TOKEN);
}

bool http_is_field_value(struct slice s)
{
    return consists_of(s, BYTE_VALUE);
}

long http_head_end(const char *bytes, size_t n, size_t *scanned)
{
    long result = 0;
    size_t at = *scanned;
    while (at < n) {
        char c = bytes[at];
        if (c != '\r' && c != '\n' && c != '\0') {
            at++;
            continue;
        }
        if (c == '\r' && at + 1 == n)
            break; /* judged when the byte behind it is there */
        if (c != '\r' || bytes[at + 1] != '\n') {
            result = HTTP_ERR_NEWLINE;
            break;
        }
        /* a LF that was let through stands behind a CR, so this line is empty */
        if (at == 0 || bytes[at - 1] == '\n') {
            result = (long)at + 2;
            break;
        }
        at += 2;
    }
    *scanned = at;
    return result;
}

struct cursor {
    const char *at, *end;
};

/* The next line, without its CRLF. */
static int take_line(struct cursor *c, struct slice *line)
{
    const char *p = c->at;
    while (p < c->end && *p != '\r' && *p != '\n' && *p != '\0')
        p++;
    if (c->end - p < 2 || p[0] != '\r' || p[1] != '\n')
        return HTTP_ERR_NEWLINE;
    *line = (struct slice){c->at, (size_t)(p - c->at)};
    c->at = p + 2;
    return 0;
}

/* What stands before the first SP; `*rest` is what stands behind it. false: there is none. */
static bool take_word(struct slice *rest, struct slice *word)
{
    for (size_t i = 0; i < rest->len; i++) {
        if (rest->ptr[i] != ' ')
            continue;
        *word = (struct slice){rest->ptr, i};
        *rest = (struct slice){rest->ptr + i + 1, rest->len - i - 1};
        return true;
    }
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Another version than ours is told apart from what is no version at all. */
static int check_version(struct slice s)
{
    if (slice_is(s, "HTTP/1.1"))
        return 0;
    if (s.len == 8 && memcmp(s.ptr, "HTTP/", 5) == 0 && is_digit(s.ptr[5]) && s.ptr[6] == '.' &&
        is_digit(s.ptr[7]))
        return HTTP_ERR_VERSION;
    return HTTP_ERR_LINE;
}

/* method SP target SP HTTP/1.1: a second space is part of the target or of the version, and no
 * valid part of either. */
static int parse_request_line(struct slice line, struct http_head *out)
{
    if (!take_word(&line, &out->method) || !take_word(&line, &out->target))
        return HTTP_ERR_LINE;
    if (!http_is_token(out->method) || out->target.len == 0 ||
        !consists_of(out->target, BYTE_VISIBLE))
        return HTTP_ERR_LINE;
    return check_version(line);
}

static int parse_status_line(struct slice line, struct http_head *out)
{
    struct slice version;
    if (!take_word(&line, &version))
        return HTTP_ERR_LINE;
    out->minor = !slice_is(version, "HTTP/1.0");
    int rc = out->minor ? check_version(version) : 0;
    if (rc != 0)
        return rc;
    if (line.len < 3 || line.ptr[0] == '0')
        return HTTP_ERR_LINE;
    for (size_t i = 0; i < 3; i++) {
        if (!is_digit(line.ptr[i]))
            return HTTP_ERR_LINE;
        out->status = out->status * 10 + (unsigned)(line.ptr[i] - '0');
    }
    if (line.len == 3)
        return 0;
    if (line.ptr[3] != ' ')
        return HTTP_ERR_LINE;
    out->reason = (struct slice){line.ptr + 4, line.len - 4};
    return http_is_field_value(out->reason) ? 0 : HTTP_ERR_LINE;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

struct slice http_trim(struct slice s)
{
    while (s.len && is_space(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* A folded line starts with a space and a space before the colon follows the name: neither is part
 * of a token, so both fail here. */
static bool parse_field(struct slice line, struct http_header *out)
{
    size_t colon = 0;
    while (colon < line.len && line.ptr[colon] != ':')
        colon++;
    if (colon == line.len)
        return false;
    out->name = (struct slice){line.ptr, colon};
    out->value = http_trim((struct slice){line.ptr + colon + 1, line.len - colon - 1});
    return http_is_token(out->name) && http_is_field_value(out->value);
}

/* All field lines and the empty line, behind which nothing may stand. */
static int parse_fields(struct cursor *c, size_t max_headers, struct http_head *out)
{
    if (max_headers > HTTP_HEADERS_MAX)
        max_headers = HTTP_HEADERS_MAX;
    for (;;) {
        struct slice line;
        int rc = take_line(c, &line);
        if (rc != 0)
            return rc;
        if (line.len == 0)
            return c->at == c->end ? 0 : HTTP_ERR_NEWLINE;
        if (out->header_count == max_headers)
            return HTTP_ERR_HEADERS;
        if (!parse_field(line, &out->headers[out->header_count]))
            return HTTP_ERR_HEADER;
        out->header_count++;
    }
}

static int parse_head(const char *head, size_t n, size_t max_headers, struct http_head *out,
                      int (*parse_first_line)(struct slice line, struct http_head *out))
{
    struct cursor c = {head, head + n};
    struct slice line;
    /* not the headers: clearing the room for them would cost more than a small head's parsing */
    out->method = out->target = out->reason = (struct slice){"", 0};
    out->status = 0;
    out->minor = 1;
    out->header_count = 0;
    int rc = take_line(&c, &line);
    if (rc == 0)
        rc = parse_first_line(line, out);
    if (rc == 0)
        rc = parse_fields(&c, max_headers, out);
    return rc;
}

int http_parse_request(const char *head, size_t n, size_t max_headers, struct http_head *out)
{
    int rc = parse_head(head, n, max_headers, out, parse_request_line);
    if (rc != 0)
        return rc;
    struct slice host;
    uint16_t port;
    if (http_count(out, "Host") != 1 ||
        !uri_parse_authority(http_find(out, "Host")->value, &host, &port))
        return HTTP_ERR_HOST;
    return 0;
}

int http_parse_response(const char *head, size_t n, size_t max_headers, struct http_head *out)
{
    return parse_head(head, n, max_headers, out, parse_status_line);
}

bool http_is_interim(const struct http_head *response)
{
    return response->status < 200 && response->status != 101;
}

const struct http_header *http_find(const struct http_head *head, const char *name)
{
    struct slice wanted = slice_of(name);
    for (size_t i = 0; i < head->header_count; i++)
        if (slice_equal_nocase(head->headers[i].name, wanted))
            return &head->headers[i];
    return NULL;
}

size_t http_count(const struct http_head *head, const char *name)
{
    struct slice wanted = slice_of(name);
    size_t count = 0;
    for (size_t i = 0; i < head->header_count; i++)
        count += slice_equal_nocase(head->headers[i].name, wanted);
    return count;
}

/* 1*DIGIT, checked before it is multiplied: no sign, no list, no wrap. */
static bool parse_length(struct slice s, uint64_t *length)
{
    uint64_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.ptr[i]))
            return false;
        unsigned digit = (unsigned)(s.ptr[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *length = value;
    return s.len > 0;
}

int http_body_length(const struct http_head *head, uint64_t *length)
{
    *length = 0;
    size_t lengths = http_count(head, "Content-Length");
    /* both at once is how requests are smuggled: RFC 9112 section 6.1 */
    if (http_find(head, "Transfer-Encoding"))
        return lengths ? HTTP_ERR_LENGTH : HTTP_ERR_ENCODING;
    if (lengths == 0)
        return 0;
    uint64_t value;
    if (lengths > 1 || !parse_length(http_find(head, "Content-Length")->value, &value))
        return HTTP_ERR_LENGTH;
    *length = value;
    return 0;
}

int http_response_length(const struct http_head *response, uint64_t *length)
{
    *length = 0;
    if (response->status < 200 || response->status == 204 || response->status == 304)
        return 0;
    int rc = http_body_length(response, length);
    if (rc == 0 && !http_find(response, "Content-Length"))
        *length = HTTP_UNTIL_CLOSE;
    return rc;
}

/* Bytes up to the comma that ends the first element, or all. */
static size_t element_length(struct slice list)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < list.len; i++) {
        char c = list.ptr[i];
        if (quoted && c == '\\')
            i++; /* the escaped character neither ends the string nor the list */
        else if (c == '"')
            quoted = !quoted;
        else if (c == ',' && !quoted)
            break;
    }
    return i < list.len ? i : list.len;
}

bool http_list_next(struct slice *rest, struct slice *element)
{
    while (rest->len) {
        size_t n = element_length(*rest);
        *element = http_trim((struct slice){rest->ptr, n});
        if (n < rest->len)
            n++;
        *rest = (struct slice){rest->ptr + n, rest->len - n};
        if (element->len)
            return true;
    }
    return false;
}

bool http_has_token(const struct http_head *head, const char *name, const char *token)
{
    struct slice wanted = slice_of(name), element;
    for (size_t i = 0; i < head->header_count; i++) {
        if (!slice_equal_nocase(head->headers[i].name, wanted))
            continue;
        struct slice rest = head->headers[i].value;
        while (http_list_next(&rest, &element))
            if (slice_is_nocase(element, token))
                return true;
    }
    return false;
}
