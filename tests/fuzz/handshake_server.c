/* wire/handshake, the server's half: no request is accepted that lacks what RFC 6455 section 4.2.1
 * asks for, and the answer is one that a strict client takes. */
#include "fuzz.h"
#include "wire/handshake.h"
#include "wire/uri.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const supported_names[] = {"chat", "superchat", "v12.stomp", "mqtt"};
#define SUPPORTED 4

static size_t count(const struct http_head *h, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < h->header_count; i++)
        n += slice_is_nocase(h->headers[i].name, name);
    return n;
}

static struct slice value(const struct http_head *h, const char *name)
{
    for (size_t i = 0; i < h->header_count; i++)
        if (slice_is_nocase(h->headers[i].name, name))
            return h->headers[i].value;
    return (struct slice){"", 0};
}

/* Does the text occur somewhere in the values of that name? Less than a list asks for. */
static bool mentions(const struct http_head *h, const char *name, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < h->header_count; i++) {
        struct slice v = h->headers[i].value;
        if (!slice_is_nocase(h->headers[i].name, name))
            continue;
        for (size_t at = 0; at + n <= v.len; at++)
            if (slice_is_nocase((struct slice){v.ptr + at, n}, text))
                return true;
    }
    return false;
}

static void check_upgrade(const struct http_head *h)
{
    struct slice key = value(h, "Sec-WebSocket-Key");
    CHECK(slice_is(h->method, "GET"));
    CHECK(count(h, "Host") == 1);
    CHECK(mentions(h, "Upgrade", "websocket") && mentions(h, "Connection", "upgrade"));
    CHECK(count(h, "Sec-WebSocket-Version") == 1);
    CHECK(slice_is(value(h, "Sec-WebSocket-Version"), "13"));
    CHECK(count(h, "Sec-WebSocket-Key") == 1 && key.len == 24);
    CHECK(key.ptr[22] == '=' && key.ptr[23] == '=' && !memchr(key.ptr, '=', 22));
    CHECK(count(h, "Transfer-Encoding") == 0 && count(h, "Content-Length") <= 1);
    struct slice length = value(h, "Content-Length");
    for (size_t i = 0; i < length.len; i++)
        CHECK(length.ptr[i] == '0');
    for (size_t i = 0; i < h->header_count; i++) {
        struct slice v = h->headers[i].value;
        if (!slice_is_nocase(h->headers[i].name, "Sec-WebSocket-Protocol"))
            continue;
        CHECK(v.len > 0 && !memmem(v.ptr, v.len, ",,", 2));
        for (size_t at = 0; at < v.len; at++)
            CHECK(v.ptr[at] == '\t' || (v.ptr[at] >= ' ' && v.ptr[at] < 0x7F));
    }
}

static void check_answer(const struct http_head *request, struct slice protocol)
{
    struct slice extensions = slice_of(protocol.len % 2 ? "permessage-deflate" : "");
    struct buf out = {0};
    struct http_head h;
    size_t scanned = 0;
    struct slice key = value(request, "Sec-WebSocket-Key");
    struct slice extra = slice_of("Server: t\r\nX: y\r\n");
    char accept[HANDSHAKE_ACCEPT_LEN + 1];
    CHECK(handshake_accept(key, accept) && strlen(accept) == HANDSHAKE_ACCEPT_LEN);
    CHECK(handshake_write_accept(&out, key, protocol, extensions, extra));
    CHECK(http_head_end((char *)out.data, out.len, &scanned) == (long)out.len);
    CHECK(http_parse_response((char *)out.data, out.len, HTTP_HEADERS_MAX, &h) == 0);
    CHECK(h.status == 101 && h.header_count == 5u + (protocol.len > 0) + (extensions.len > 0));
    CHECK(slice_is(value(&h, "Upgrade"), "websocket") && slice_is(value(&h, "X"), "y"));
    CHECK(slice_is(value(&h, "Connection"), "Upgrade"));
    CHECK(slice_is(value(&h, "Sec-WebSocket-Accept"), accept));
    CHECK(slice_equal(value(&h, "Sec-WebSocket-Protocol"), protocol));
    CHECK(slice_equal(value(&h, "Sec-WebSocket-Extensions"), extensions));
    buf_free(&out);
}

/* In the server's order, and nothing that was not offered. `order` turns the list around. */
static struct slice check_protocol(const struct http_head *h, uint8_t order)
{
    struct slice supported[SUPPORTED], chosen = {"", 0};
    for (size_t i = 0; i < SUPPORTED; i++)
        supported[i] = slice_of(supported_names[(i + order) % SUPPORTED]);
    size_t n = order % (SUPPORTED + 1);
    if (!handshake_choose_protocol(h, supported, n, &chosen)) {
        return (struct slice){"", 0};
    }
    bool listed = false;
    for (size_t i = 0; i < n && !listed; i++) {
        listed = slice_equal(supported[i], chosen);
        /* none that is preferred was offered */
        struct slice earlier;
        CHECK(listed || !handshake_choose_protocol(h, &supported[i], 1, &earlier));
    }
    CHECK(listed);
    char *name = strndup(chosen.ptr, chosen.len);
    CHECK(name && mentions(h, "Sec-WebSocket-Protocol", name));
    free(name);
    return chosen;
}

/* scheme "://" host [":" port], and nothing else. */
static bool is_origin(struct slice s)
{
    size_t n = 0;
    struct slice host;
    uint16_t port;
    while (n < s.len && (isalnum((unsigned char)s.ptr[n]) || (s.ptr[n] && strchr("+-.", s.ptr[n]))))
        n++;
    if (n == 0 || !isalpha((unsigned char)s.ptr[0]) || s.len - n < 3 ||
        memcmp(s.ptr + n, "://", 3) != 0)
        return false;
    return uri_parse_authority((struct slice){s.ptr + n + 3, s.len - n - 3}, &host, &port);
}

static void check_origin(const struct http_head *h, bool secure)
{
    bool same = handshake_origin_is_same(h, secure);
    struct slice origin = value(h, "Origin"), host, page;
    uint16_t port;
    CHECK(handshake_origin_is_listed(h, NULL, 0) == (count(h, "Origin") == 0));
    if (count(h, "Origin") != 1) {
        CHECK(same == (count(h, "Origin") == 0));
        return;
    }
    /* listed by its own name exactly when it is an origin */
    CHECK(handshake_origin_is_listed(h, &origin, 1) == is_origin(origin));
    if (!same)
        return;
    CHECK(is_origin(origin));
    CHECK(secure ? origin.len > 8 && slice_is_nocase((struct slice){origin.ptr, 8}, "https://")
                 : origin.len > 7 && slice_is_nocase((struct slice){origin.ptr, 7}, "http://"));
    size_t scheme = secure ? 8 : 7;
    uint16_t usual = secure ? 443 : 80, page_port;
    page = (struct slice){origin.ptr + scheme, origin.len - scheme};
    CHECK(uri_parse_authority(page, &page, &page_port));
    if (h->target.ptr[0] != '/')
        return;
    CHECK(uri_parse_authority(value(h, "Host"), &host, &port) && slice_equal_nocase(host, page));
    CHECK((port ? port : usual) == (page_port ? page_port : usual));
}

/* Names of fields in the other case, space around the values, a field in front: the same verdict.
 */
static void check_reworded(const struct http_head *h, int verdict)
{
    struct buf text = {0};
    struct http_head again;
    CHECK(buf_printf(&text, "%.*s %.*s HTTP/1.1\r\nAccept:*/*\r\n", SLICE_ARG(h->method),
                     SLICE_ARG(h->target)));
    if (h->header_count == HTTP_HEADERS_MAX) {
        buf_free(&text);
        return;
    }
    for (size_t i = 0; i < h->header_count; i++) {
        size_t at = text.len;
        CHECK(buf_append(&text, h->headers[i].name.ptr, h->headers[i].name.len));
        for (; at < text.len; at++)
            if (ascii_lower((char)(text.data[at] | 0x20)) >= 'a' && (text.data[at] & 0x5F) <= 'Z' &&
                (text.data[at] & 0x5F) >= 'A')
                text.data[at] ^= 0x20;
        CHECK(buf_printf(&text, ":\t %.*s \t\r\n", SLICE_ARG(h->headers[i].value)));
    }
    CHECK(buf_append_str(&text, "\r\n"));
    CHECK(http_parse_request((char *)text.data, text.len, HTTP_HEADERS_MAX, &again) == 0);
    CHECK(handshake_check_request(&again) == verdict);
    buf_free(&text);
}

static void check_request(const struct http_head *h, uint8_t order)
{
    int rc = handshake_check_request(h);
    struct slice protocol = check_protocol(h, order);
    check_origin(h, order & 0x80);
    check_reworded(h, rc);
    if (rc == HANDSHAKE_UPGRADE) {
        check_upgrade(h);
        check_answer(h, protocol);
    } else if (rc == HANDSHAKE_PLAIN) {
        CHECK(!http_has_token(h, "Upgrade", "websocket") && count(h, "Sec-WebSocket-Key") == 0);
    } else {
        unsigned status = handshake_error_status(rc);
        CHECK(rc >= HANDSHAKE_ERR_EXTENSION && rc < 0 && strlen(handshake_error_text(rc)) > 0);
        CHECK(status == (rc == HANDSHAKE_ERR_METHOD    ? 405u
                         : rc == HANDSHAKE_ERR_VERSION ? 426u
                                                       : 400u));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, data + size};
    uint8_t order = fuzz_byte(&in);
    struct http_head h;
    size_t n = fuzz_left(&in), scanned = 0;
    char *bytes = (char *)fuzz_copy(in.at, n);
    long end = http_head_end(bytes, n, &scanned);
    if (end > 0 && http_parse_request(bytes, (size_t)end, HTTP_HEADERS_MAX, &h) == 0)
        check_request(&h, order);
    free(bytes);
    return 0;
}
