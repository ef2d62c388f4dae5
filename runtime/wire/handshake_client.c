#include "wire/handshake_client.h"

#include "wire/uri.h"

#include <openssl/evp.h>
#include <string.h>

void handshake_make_key(const unsigned char nonce[HANDSHAKE_NONCE], char out[HANDSHAKE_KEY_LEN + 1])
{
    EVP_EncodeBlock((unsigned char *)out, nonce, HANDSHAKE_NONCE);
}

bool handshake_field_is_reserved(struct slice name)
{
    static const char *const names[] = {"Host", "Upgrade", "Connection",     "Trailer",
                                        "TE",   "Expect",  "Content-Length", "Transfer-Encoding"};
    struct slice prefix = slice_of("Sec-WebSocket-");
    if (name.len >= prefix.len && slice_equal_nocase((struct slice){name.ptr, prefix.len}, prefix))
        return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_is_nocase(name, names[i]))
            return true;
    return false;
}

/* `fields` are the last ones of the head. */
static bool fields_are_free(const struct http_head *head, struct slice fields)
{
    for (size_t i = 0; i < head->header_count; i++) {
        struct slice name = head->headers[i].name;
        bool is_own = name.ptr < fields.ptr;
        if (!is_own && handshake_field_is_reserved(name))
            return false;
    }
    return true;
}

/* What the server's half takes, and reads as it is meant: whatever a caller has put into one of the
 * parts, no line ends where it should not, and no field is there twice. `fields_len` bytes of
 * fields stand before the empty line. */
static bool is_request(const unsigned char *bytes, size_t n, const struct handshake_request *r)
{
    const char *text = (const char *)bytes;
    struct http_head head;
    struct slice fields = {text + n - 2 - r->fields.len, r->fields.len};
    return http_parse_request(text, n, HTTP_HEADERS_MAX, &head) == 0 &&
           handshake_check_request(&head) == HANDSHAKE_UPGRADE && fields_are_free(&head, fields);
}

static bool write_protocols(struct buf *out, const struct handshake_request *r)
{
    bool ok = buf_append_str(out, "Sec-WebSocket-Protocol: ");
    for (size_t i = 0; ok && i < r->protocol_count; i++)
        ok = (i == 0 || buf_append(out, ", ", 2)) &&
             buf_append(out, r->protocols[i].ptr, r->protocols[i].len);
    return ok && buf_append(out, "\r\n", 2);
}

static bool write_request(struct buf *out, const struct handshake_request *r)
{
    bool ok = buf_append(out, "GET ", 4) && buf_append(out, r->target.ptr, r->target.len) &&
              buf_append_str(out, " HTTP/1.1\r\n") &&
              http_write_header(out, "Host", r->authority) &&
              http_write_header(out, "Upgrade", slice_of("websocket")) &&
              http_write_header(out, "Connection", slice_of("Upgrade")) &&
              http_write_header(out, "Sec-WebSocket-Key", r->key) &&
              http_write_header(out, "Sec-WebSocket-Version", slice_of("13"));
    if (ok && r->protocol_count)
        ok = write_protocols(out, r);
    if (ok && r->extensions.len)
        ok = http_write_header(out, "Sec-WebSocket-Extensions", r->extensions);
    return ok && buf_append(out, r->fields.ptr, r->fields.len) && buf_append(out, "\r\n", 2);
}

bool handshake_write_request(struct buf *out, const struct handshake_request *r)
{
    struct uri uri;
    size_t before = out->len;
    bool ok = r->target.len && r->target.ptr[0] == '/' && uri_parse_target(r->target, &uri) == 0 &&
              handshake_protocols_are_valid(r->protocols, r->protocol_count) &&
              write_request(out, r) && is_request(out->data + before, out->len - before, r);
    if (!ok)
        out->len = before;
    return ok;
}

/* Section 4.1, the client's point 2: a field "that contains a value that is not an ASCII
 * case-insensitive match for the value websocket" fails the connection. So a list with another
 * protocol beside it fails, and so do two fields, which are a list as well (RFC 9110 section 5.3);
 * of Connection, point 3 only wants "a token". */
static bool is_upgraded(const struct http_head *answer)
{
    return http_count(answer, "Upgrade") == 1 &&
           slice_is_nocase(http_find(answer, "Upgrade")->value, "websocket");
}

static int check_accept(const struct http_head *answer, struct slice key)
{
    char expected[HANDSHAKE_ACCEPT_LEN + 1];
    if (http_count(answer, "Sec-WebSocket-Accept") != 1)
        return HANDSHAKE_BAD_ACCEPT;
    if (!handshake_accept(key, expected))
        return HANDSHAKE_BAD_MEMORY;
    bool same = slice_is(http_find(answer, "Sec-WebSocket-Accept")->value, expected);
    return same ? 0 : HANDSHAKE_BAD_ACCEPT;
}

/* Section 11.3.4: once in an answer. An empty value names a subprotocol too, one that nobody can
 * have offered. */
static int check_protocol(const struct http_head *answer, const struct handshake_request *r,
                          struct slice *protocol)
{
    size_t count = http_count(answer, "Sec-WebSocket-Protocol");
    if (count == 0)
        return 0;
    struct slice chosen = http_find(answer, "Sec-WebSocket-Protocol")->value;
    for (size_t i = 0; count == 1 && i < r->protocol_count; i++) {
        if (!slice_equal(r->protocols[i], chosen))
            continue;
        *protocol = r->protocols[i];
        return 0;
    }
    return HANDSHAKE_BAD_PROTOCOL;
}

int handshake_check_answer(const struct http_head *answer, const struct handshake_request *r,
                           struct slice *protocol)
{
    uint64_t body;
    *protocol = (struct slice){"", 0};
    if (answer->status != 101)
        return HANDSHAKE_BAD_STATUS;
    if (answer->minor != 1)
        return HANDSHAKE_BAD_VERSION;
    /* frames follow the head: whoever reads a body there reads another stream than we do */
    if (http_body_length(answer, &body) != 0 || body != 0)
        return HANDSHAKE_BAD_BODY;
    if (!is_upgraded(answer))
        return HANDSHAKE_BAD_UPGRADE;
    if (!http_has_token(answer, "Connection", "Upgrade"))
        return HANDSHAKE_BAD_CONNECTION;
    int rc = check_accept(answer, r->key);
    return rc == 0 ? check_protocol(answer, r, protocol) : rc;
}

const char *handshake_answer_error_text(int error)
{
    switch (error) {
    case HANDSHAKE_BAD_STATUS:
        return "the server does not switch to WebSocket: its status is not 101";
    case HANDSHAKE_BAD_UPGRADE:
        return "the answer's Upgrade is missing, given twice or not exactly websocket";
    case HANDSHAKE_BAD_CONNECTION:
        return "the answer's Connection does not name Upgrade";
    case HANDSHAKE_BAD_ACCEPT:
        return "the answer's Sec-WebSocket-Accept is missing, given twice or not for our key";
    case HANDSHAKE_BAD_PROTOCOL:
        return "the answer's Sec-WebSocket-Protocol was not offered, or is given twice";
    case HANDSHAKE_BAD_BODY:
        return "the answer is a 101 with a body (Content-Length or Transfer-Encoding)";
    case HANDSHAKE_BAD_VERSION:
        return "the answer is a 101 in HTTP/1.0";
    case HANDSHAKE_BAD_MEMORY:
        return "memory is short";
    default:
        return "malformed answer";
    }
}
