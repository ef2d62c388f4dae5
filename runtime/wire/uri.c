#include "wire/uri.h"

#include "wire/address.h"
#include "wire/utf8.h"

/* Where a character may stand as it is, without being percent-encoded. '%' and '#' are in no class
 * but the one where a lone % is let through. */
enum uri_class {
    URI_HOST = 1,
    URI_PATH = 2,          /* RFC 3986: pchar and "/" */
    URI_QUERY = 4,         /* and "?" */
    URI_TARGET_PATH = 8,   /* what browsers leave in a path */
    URI_TARGET_QUERY = 16, /* what they leave in a query */
};

#define SENT (URI_TARGET_PATH | URI_TARGET_QUERY)
#define PCHAR (URI_PATH | URI_QUERY | SENT)

static const unsigned char classes[256] = {
    ['!'] = PCHAR,
    ['"'] = URI_TARGET_QUERY,
    ['$'] = PCHAR,
    ['%'] = URI_TARGET_QUERY,
    ['&' ... ','] = PCHAR,
    ['-' ... '.'] = PCHAR | URI_HOST,
    ['/'] = PCHAR,
    ['0' ... '9'] = PCHAR | URI_HOST,
    [':' ... ';'] = PCHAR,
    ['<'] = URI_TARGET_QUERY,
    ['='] = PCHAR,
    ['>'] = URI_TARGET_QUERY,
    ['?'] = URI_QUERY | URI_TARGET_QUERY,
    ['@'] = PCHAR,
    ['A' ... 'Z'] = PCHAR | URI_HOST,
    ['['] = SENT,
    ['\\'] = URI_TARGET_QUERY,
    [']' ... '^'] = SENT,
    ['_'] = PCHAR | URI_HOST,
    ['`'] = URI_TARGET_QUERY,
    ['a' ... 'z'] = PCHAR | URI_HOST,
    ['{'] = URI_TARGET_QUERY,
    ['|'] = SENT,
    ['}'] = URI_TARGET_QUERY,
    ['~'] = PCHAR,
};

#define HOST_MAX 255 /* a name in the DNS has 253 characters and perhaps a dot */

static bool is_class(char c, enum uri_class class)
{
    return classes[(unsigned char)c] & class;
}

static struct slice slice_from(struct slice s, size_t start)
{
    return (struct slice){s.ptr + start, s.len - start};
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the escape at s.ptr[at] stands for, or -1 when it is none. */
static int escaped_byte(struct slice s, size_t at)
{
    if (s.len - at < 3 || s.ptr[at] != '%')
        return -1;
    int high = hex_value(s.ptr[at + 1]), low = hex_value(s.ptr[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static int check_characters(struct slice s, enum uri_class class)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (is_class(c, class))
            continue;
        if (c == '#')
            return URI_ERR_FRAGMENT;
        if (c != '%')
            return URI_ERR_PATH;
        if (escaped_byte(s, i) < 0)
            return URI_ERR_ESCAPE;
        i += 2;
    }
    return 0;
}

/* Dots separate labels, and labels are not empty: ".." must never reach code that makes a file
 * name of a host. */
static bool is_name(struct slice s)
{
    if (s.len == 0 || s.len > HOST_MAX || s.ptr[0] == '.')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_class(s.ptr[i], URI_HOST))
            return false;
        if (s.ptr[i] == '.' && i + 1 < s.len && s.ptr[i + 1] == '.')
            return false;
    }
    return true;
}

static bool is_ipv6(struct slice s)
{
    struct address unused;
    return address_parse_ipv6(s, &unused);
}

static bool parse_port(struct slice s, uint16_t *port)
{
    return address_parse_port(s, port) && *port != 0;
}

/* host and what follows it, which is empty or starts with ":". */
static bool split_host(struct slice text, struct slice *host, bool *bracketed, struct slice *rest)
{
    if (text.len == 0)
        return false;
    *bracketed = text.ptr[0] == '[';
    const char *end = memchr(text.ptr, *bracketed ? ']' : ':', text.len);
    size_t n = end ? (size_t)(end - text.ptr) : text.len;
    if (!*bracketed) {
        *host = (struct slice){text.ptr, n};
        *rest = slice_from(text, n);
        return is_name(*host);
    }
    if (!end)
        return false;
    *host = (struct slice){text.ptr + 1, n - 1};
    *rest = slice_from(text, n + 1);
    return is_ipv6(*host) && (rest->len == 0 || rest->ptr[0] == ':');
}

/* 0, URI_ERR_HOST or URI_ERR_PORT. */
static int parse_authority(struct slice text, struct slice *host, bool *bracketed, uint16_t *port)
{
    struct slice rest;
    *port = 0;
    if (!split_host(text, host, bracketed, &rest))
        return URI_ERR_HOST;
    if (rest.len && !parse_port(slice_from(rest, 1), port))
        return URI_ERR_PORT;
    return 0;
}

bool uri_parse_authority(struct slice text, struct slice *host, uint16_t *port)
{
    bool bracketed;
    return parse_authority(text, host, &bracketed, port) == 0;
}

/* path [ "?" query ] */
static int parse_path_and_query(struct slice text, enum uri_class path_class,
                                enum uri_class query_class, struct uri *out)
{
    const char *mark = text.len ? memchr(text.ptr, '?', text.len) : NULL;
    size_t n = mark ? (size_t)(mark - text.ptr) : text.len;
    out->path = (struct slice){text.ptr, n};
    out->query = mark ? slice_from(text, n + 1) : (struct slice){NULL, 0};
    int rc = check_characters(out->path, path_class);
    if (rc == 0)
        rc = check_characters(out->query, query_class);
    if (out->path.len == 0)
        out->path = slice_of("/");
    return rc;
}

struct scheme {
    const char *text;
    bool secure;
};

/* Those of uri_parse first. */
static const struct scheme schemes[] = {
    {"ws://", false}, {"wss://", true}, {"http://", false}, {"https://", true}};
#define WS_SCHEMES 2
#define ALL_SCHEMES 4

/* The length of the scheme with its "://", or 0 when it is none of the first `count`. */
static size_t parse_scheme(struct slice text, size_t count, bool *secure)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(schemes[i].text);
        if (text.len >= n && slice_is_nocase((struct slice){text.ptr, n}, schemes[i].text)) {
            *secure = schemes[i].secure;
            return n;
        }
    }
    return 0;
}

static int parse_absolute(struct slice text, size_t scheme_count, enum uri_class path_class,
                          enum uri_class query_class, struct uri *out)
{
    size_t at = parse_scheme(text, scheme_count, &out->secure);
    if (at == 0)
        return URI_ERR_SCHEME;
    text = slice_from(text, at);
    size_t n = 0;
    while (n < text.len && text.ptr[n] != '/' && text.ptr[n] != '?' && text.ptr[n] != '#')
        n++;
    struct slice authority = {text.ptr, n};
    int rc = parse_authority(authority, &out->host, &out->host_is_ipv6, &out->port);
    if (rc != 0)
        return rc;
    if (out->port == 0)
        out->port = out->secure ? 443 : 80;
    return parse_path_and_query(slice_from(text, n), path_class, query_class, out);
}

int uri_parse(struct slice text, struct uri *out)
{
    return parse_absolute(text, WS_SCHEMES, URI_PATH, URI_QUERY, out);
}

int uri_parse_target(struct slice target, struct uri *out)
{
    if (target.len == 0 || target.ptr[0] != '/')
        return parse_absolute(target, ALL_SCHEMES, URI_TARGET_PATH, URI_TARGET_QUERY, out);
    out->secure = out->host_is_ipv6 = false;
    out->host = (struct slice){"", 0};
    out->port = 0;
    return parse_path_and_query(target, URI_TARGET_PATH, URI_TARGET_QUERY, out);
}

static bool is_dots(const unsigned char *segment, size_t n)
{
    return (n == 1 && segment[0] == '.') || (n == 2 && segment[0] == '.' && segment[1] == '.');
}

/* Decodes into `out`, which has room for raw.len bytes, and tells how many it took. A slash is one
 * only when it was written as one. */
static int decode_path(struct slice raw, unsigned char *out, size_t *size)
{
    size_t n = 0, segment = 0;
    for (size_t i = 0; i < raw.len; i++) {
        int byte = (unsigned char)raw.ptr[i];
        if (byte == '/') {
            if (is_dots(out + segment, n - segment))
                return URI_ERR_DOTS;
            segment = n + 1;
        } else if (byte == '%') {
            byte = escaped_byte(raw, i);
            if (byte <= 0 || byte == '/')
                return URI_ERR_ESCAPE;
            i += 2;
        }
        out[n++] = (unsigned char)byte;
    }
    *size = n;
    return is_dots(out + segment, n - segment) ? URI_ERR_DOTS : 0;
}

int uri_canonical_path(struct slice raw, struct buf *out)
{
    if (raw.len == 0 || raw.ptr[0] != '/')
        return URI_ERR_PATH;
    int rc = check_characters(raw, URI_TARGET_PATH);
    if (rc != 0)
        return rc;
    if (!buf_reserve(out, raw.len))
        return URI_ERR_MEMORY;
    unsigned char *path = out->data + out->len;
    size_t n;
    rc = decode_path(raw, path, &n);
    if (rc != 0)
        return rc;
    if (!utf8_valid(path, n))
        return URI_ERR_UTF8;
    out->len += n;
    return 0;
}

bool uri_query_next(struct slice *rest, struct slice *name, struct slice *value)
{
    while (rest->len && rest->ptr[0] == '&')
        *rest = slice_from(*rest, 1);
    if (rest->len == 0)
        return false;
    const char *end = memchr(rest->ptr, '&', rest->len);
    size_t n = end ? (size_t)(end - rest->ptr) : rest->len;
    const char *equals = memchr(rest->ptr, '=', n);
    size_t name_len = equals ? (size_t)(equals - rest->ptr) : n;
    *name = (struct slice){rest->ptr, name_len};
    *value = equals ? (struct slice){equals + 1, n - name_len - 1} : (struct slice){"", 0};
    *rest = slice_from(*rest, n);
    return true;
}

bool uri_query_decode(struct slice raw, struct buf *out)
{
    if (!buf_reserve(out, raw.len))
        return false;
    for (size_t i = 0; i < raw.len; i++) {
        int byte = raw.ptr[i] == '+' ? ' ' : (unsigned char)raw.ptr[i];
        int escaped = escaped_byte(raw, i);
        if (escaped >= 0) {
            byte = escaped;
            i += 2;
        }
        out->data[out->len++] = (unsigned char)byte;
    }
    return true;
}

const char *uri_error_text(int error)
{
    switch (error) {
    case URI_ERR_SCHEME:
        return "the scheme is not one that is spoken here (ws or wss)";
    case URI_ERR_HOST:
        return "the host is missing or malformed";
    case URI_ERR_PORT:
        return "the port is not a number from 1 to 65535";
    case URI_ERR_PATH:
        return "a character in the path or the query must be percent-encoded";
    case URI_ERR_FRAGMENT:
        return "a fragment has no meaning here; write # as %23";
    case URI_ERR_ESCAPE:
        return "% is not followed by two hexadecimal digits, or stands for a slash or a NUL";
    case URI_ERR_DOTS:
        return "the path has a segment . or ..";
    case URI_ERR_UTF8:
        return "the path is not UTF-8";
    case URI_ERR_MEMORY:
        return "memory is short";
    default:
        return "malformed URI";
    }
}
