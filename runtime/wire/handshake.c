#include "wire/handshake.h"

#include "wire/extension.h"
#include "wire/uri.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

/* RFC 6455 section 1.3 */
#define HANDSHAKE_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static bool is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

/* 22 characters and "==" are 16 bytes. The four bits that the last character has to spare may be
 * set: some clients write 22 random characters, and no harm comes of it. */
static bool is_key(struct slice s)
{
    if (s.len != HANDSHAKE_KEY_LEN || memcmp(s.ptr + s.len - 2, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < s.len - 2; i++)
        if (!is_base64(s.ptr[i]))
            return false;
    return true;
}

static int check_version(const struct http_head *head)
{
    size_t count = http_count(head, "Sec-WebSocket-Version");
    if (count > 1)
        return HANDSHAKE_ERR_VERSION_TWICE;
    if (count == 0 || !slice_is(http_find(head, "Sec-WebSocket-Version")->value, "13"))
        return HANDSHAKE_ERR_VERSION;
    return 0;
}

static int check_key(const struct http_head *head)
{
    if (http_count(head, "Sec-WebSocket-Key") != 1 ||
        !is_key(http_find(head, "Sec-WebSocket-Key")->value))
        return HANDSHAKE_ERR_KEY;
    return 0;
}

bool handshake_protocols_are_valid(const struct slice *list, size_t count)
{
    if (count > HANDSHAKE_PROTOCOLS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!http_is_token(list[i]))
            return false;
        for (size_t j = 0; j < i; j++)
            if (slice_equal(list[i], list[j]))
                return false;
    }
    return true;
}

/* The subprotocols in all fields of that name. */
struct offer {
    size_t count;
    struct slice list[HANDSHAKE_PROTOCOLS_MAX];
};

/* Not http_list_next: that skips empty elements, as lists in general want it, and section 4.1
 * allows none here. A token has no quotes, so each comma separates. false: too many. */
static bool offer_add(struct offer *offer, struct slice value)
{
    while (offer->count < HANDSHAKE_PROTOCOLS_MAX) {
        const char *comma = value.len ? memchr(value.ptr, ',', value.len) : NULL;
        size_t n = comma ? (size_t)(comma - value.ptr) : value.len;
        offer->list[offer->count++] = http_trim((struct slice){value.ptr, n});
        if (!comma)
            return true;
        value = (struct slice){comma + 1, value.len - n - 1};
    }
    return false;
}

static int check_protocols(const struct http_head *head)
{
    struct offer offer;
    struct slice name = slice_of("Sec-WebSocket-Protocol");
    offer.count = 0;
    for (size_t i = 0; i < head->header_count; i++) {
        const struct http_header *field = &head->headers[i];
        if (slice_equal_nocase(field->name, name) && !offer_add(&offer, field->value))
            return HANDSHAKE_ERR_PROTOCOL;
    }
    bool ok = handshake_protocols_are_valid(offer.list, offer.count);
    return ok ? 0 : HANDSHAKE_ERR_PROTOCOL;
}

int handshake_check_request(const struct http_head *head)
{
    bool names_websocket = http_has_token(head, "Upgrade", "websocket");
    if (!names_websocket && !http_find(head, "Sec-WebSocket-Key"))
        return HANDSHAKE_PLAIN;
    if (!slice_is(head->method, "GET"))
        return HANDSHAKE_ERR_METHOD;
    uint64_t body;
    if (http_body_length(head, &body) != 0 || body != 0)
        return HANDSHAKE_ERR_BODY;
    if (!names_websocket || !http_has_token(head, "Connection", "Upgrade"))
        return HANDSHAKE_ERR_CONNECTION;
    int rc = check_version(head);
    if (rc == 0)
        rc = check_key(head);
    if (rc == 0)
        rc = check_protocols(head);
    /* no compression wanted: whether it is, only the route knows */
    if (rc == 0 && extension_accept(head, NULL, NULL, NULL) < 0)
        rc = HANDSHAKE_ERR_EXTENSION;
    return rc;
}

unsigned handshake_error_status(int error)
{
    switch (error) {
    case HANDSHAKE_ERR_METHOD:
        return 405;
    case HANDSHAKE_ERR_VERSION:
        return 426;
    default:
        return 400;
    }
}

const char *handshake_error_text(int error)
{
    switch (error) {
    case HANDSHAKE_ERR_METHOD:
        return "The opening handshake is a GET request.";
    case HANDSHAKE_ERR_CONNECTION:
        return "The opening handshake needs both Upgrade: websocket and Connection: Upgrade.";
    case HANDSHAKE_ERR_KEY:
        return "Sec-WebSocket-Key is missing, given twice or not 16 bytes in base64.";
    case HANDSHAKE_ERR_VERSION:
        return "Sec-WebSocket-Version has to be 13.";
    case HANDSHAKE_ERR_VERSION_TWICE:
        return "Sec-WebSocket-Version is given twice.";
    case HANDSHAKE_ERR_BODY:
        return "The opening handshake has no body.";
    case HANDSHAKE_ERR_EXTENSION:
        return "Sec-WebSocket-Extensions is malformed.";
    case HANDSHAKE_ERR_PROTOCOL:
        return "Sec-WebSocket-Protocol is malformed, has a name twice or too many names.";
    default:
        return "Malformed opening handshake.";
    }
}

bool handshake_accept(struct slice key, char out[HANDSHAKE_ACCEPT_LEN + 1])
{
    unsigned char text[HANDSHAKE_KEY_LEN + sizeof HANDSHAKE_GUID - 1];
    unsigned char hash[SHA_DIGEST_LENGTH];
    if (key.len != HANDSHAKE_KEY_LEN)
        return false;
    memcpy(text, key.ptr, HANDSHAKE_KEY_LEN);
    memcpy(text + HANDSHAKE_KEY_LEN, HANDSHAKE_GUID, sizeof HANDSHAKE_GUID - 1);
    if (!SHA1(text, sizeof text, hash))
        return false;
    EVP_EncodeBlock((unsigned char *)out, hash, sizeof hash);
    return true;
}

static bool offers(const struct http_head *head, struct slice protocol)
{
    struct slice name = slice_of("Sec-WebSocket-Protocol"), element;
    for (size_t i = 0; i < head->header_count; i++) {
        if (!slice_equal_nocase(head->headers[i].name, name))
            continue;
        struct slice rest = head->headers[i].value;
        while (http_list_next(&rest, &element))
            if (slice_equal(element, protocol))
                return true;
    }
    return false;
}

bool handshake_choose_protocol(const struct http_head *head, const struct slice *supported,
                               size_t count, struct slice *chosen)
{
    for (size_t i = 0; i < count; i++) {
        if (offers(head, supported[i])) {
            *chosen = supported[i];
            return true;
        }
    }
    return false;
}

/* RFC 6454 section 4: the triple that two origins must have in common. */
struct origin {
    struct slice scheme, host;
    uint16_t port; /* 0: not written, and the scheme has no default that is known here */
};

static uint16_t default_port(struct slice scheme)
{
    if (slice_is_nocase(scheme, "https"))
        return 443;
    return slice_is_nocase(scheme, "http") ? 80 : 0;
}

/* RFC 3986 section 3.1. So "null" has none, for it has no "://". */
static bool is_scheme(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = ascii_lower(s.ptr[i]);
        bool letter = c >= 'a' && c <= 'z';
        bool other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
        if (!letter && (i == 0 || !other))
            return false;
    }
    return s.len > 0;
}

static bool parse_origin(struct slice text, struct origin *out)
{
    const char *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;
    if (!colon)
        return false;
    size_t n = (size_t)(colon - text.ptr);
    if (text.len - n < 3 || memcmp(colon, "://", 3) != 0)
        return false;
    out->scheme = (struct slice){text.ptr, n};
    if (!is_scheme(out->scheme))
        return false;
    /* takes a host and a port to the end: a path, a slash, a second origin fail there */
    struct slice authority = {colon + 3, text.len - n - 3};
    if (!uri_parse_authority(authority, &out->host, &out->port))
        return false;
    if (out->port == 0)
        out->port = default_port(out->scheme);
    return true;
}

static bool same_origin(const struct origin *a, const struct origin *b)
{
    return a->port == b->port && slice_equal_nocase(a->scheme, b->scheme) &&
           slice_equal_nocase(a->host, b->host);
}

/* The server's own, as the request names it. */
static bool requested_origin(const struct http_head *head, bool secure, struct origin *out)
{
    out->scheme = slice_of(secure ? "https" : "http");
    if (head->target.len && head->target.ptr[0] != '/') {
        struct uri uri;
        if (uri_parse_target(head->target, &uri) != 0)
            return false;
        out->host = uri.host;
        out->port = uri.port;
        return true;
    }
    const struct http_header *host = http_find(head, "Host");
    if (!host || !uri_parse_authority(host->value, &out->host, &out->port))
        return false;
    if (out->port == 0)
        out->port = default_port(out->scheme);
    return true;
}

bool handshake_origin_is_same(const struct http_head *head, bool secure)
{
    struct origin page, own;
    size_t count = http_count(head, "Origin");
    if (count == 0)
        return true;
    return count == 1 && parse_origin(http_find(head, "Origin")->value, &page) &&
           requested_origin(head, secure, &own) && same_origin(&page, &own);
}

bool handshake_origin_is_listed(const struct http_head *head, const struct slice *allowed,
                                size_t count)
{
    struct origin page, one;
    if (http_count(head, "Origin") != 1 || !parse_origin(http_find(head, "Origin")->value, &page))
        return http_count(head, "Origin") == 0;
    for (size_t i = 0; i < count; i++)
        if (parse_origin(allowed[i], &one) && same_origin(&page, &one))
            return true;
    return false;
}

bool handshake_write_accept(struct buf *out, struct slice key, struct slice protocol,
                            struct slice extensions, struct slice extra)
{
    char accept[HANDSHAKE_ACCEPT_LEN + 1];
    size_t before = out->len;
    if (!handshake_accept(key, accept))
        return false;
    bool ok = http_write_status(out, 101) &&
              http_write_header(out, "Upgrade", slice_of("websocket")) &&
              http_write_header(out, "Connection", slice_of("Upgrade")) &&
              http_write_header(out, "Sec-WebSocket-Accept", slice_of(accept));
    if (ok && protocol.len)
        ok = http_is_token(protocol) && http_write_header(out, "Sec-WebSocket-Protocol", protocol);
    if (ok && extensions.len)
        ok = http_write_header(out, "Sec-WebSocket-Extensions", extensions);
    ok = ok && buf_append(out, extra.ptr, extra.len) && buf_append_str(out, "\r\n");
    if (!ok)
        out->len = before;
    return ok;
}
