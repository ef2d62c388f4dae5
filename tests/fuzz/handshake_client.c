/* wire/handshake_client and wire/http_connect: no answer is accepted that lacks what RFC 6455
 * section 4.1 asks for; a request that is written is one that our server takes, and says what it
 * was made of. An input is flags, then (with bit 0) five lines for a request, then an answer. */
#include "wire/handshake_client.h"
#include "fuzz.h"
#include "wire/http_connect.h"
#include "wire/uri.h"

#include <stdlib.h>
#include <string.h>

/* Of a nonce of zeros, so that an input can have the right answer. */
#define KEY "AAAAAAAAAAAAAAAAAAAAAA=="
#define ACCEPT "ICX+Yqv66kxgM0FcWaLWlFLwTAI="

#define PROTOCOLS_MAX 80

struct request {
    struct handshake_request r;
    struct slice protocols[PROTOCOLS_MAX];
};

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

/* --- requests --------------------------------------------------------------------------------- */

static void read_protocols(struct request *q, struct slice line)
{
    q->r.protocols = q->protocols;
    while (line.len && q->r.protocol_count < PROTOCOLS_MAX) {
        const char *comma = memchr(line.ptr, ',', line.len);
        size_t n = comma ? (size_t)(comma - line.ptr) : line.len;
        q->protocols[q->r.protocol_count++] = (struct slice){line.ptr, n};
        n += comma ? 1 : 0;
        line = (struct slice){line.ptr + n, line.len - n};
    }
}

/* The fields end at a NUL: they have lines of their own. */
static void read_request(struct fuzz_input *in, bool given, struct request *q)
{
    q->r = (struct handshake_request){
        .authority = slice_of("server.example"), .target = slice_of("/chat"), .key = slice_of(KEY)};
    if (!given) {
        read_protocols(q, slice_of("chat,superchat"));
        return;
    }
    q->r.authority = fuzz_until(in, '\n');
    q->r.target = fuzz_until(in, '\n');
    read_protocols(q, fuzz_until(in, '\n'));
    q->r.extensions = fuzz_until(in, '\n');
    q->r.fields = fuzz_until(in, '\0');
}

static void check_fields(const struct http_head *h, const struct handshake_request *r)
{
    size_t own = 5u + (r->protocol_count > 0) + (r->extensions.len > 0);
    CHECK(h->header_count >= own);
    CHECK(slice_equal(value(h, "Host"), http_trim(r->authority)) && count(h, "Host") == 1);
    CHECK(slice_is(value(h, "Upgrade"), "websocket") && count(h, "Upgrade") == 1);
    CHECK(slice_is(value(h, "Connection"), "Upgrade") && count(h, "Connection") == 1);
    CHECK(slice_is(value(h, "Sec-WebSocket-Key"), KEY) && count(h, "Sec-WebSocket-Key") == 1);
    CHECK(count(h, "Sec-WebSocket-Version") == 1);
    CHECK(count(h, "Sec-WebSocket-Extensions") == (r->extensions.len > 0));
    CHECK(slice_equal(value(h, "Sec-WebSocket-Extensions"), http_trim(r->extensions)));
    CHECK(count(h, "Content-Length") + count(h, "Transfer-Encoding") + count(h, "Expect") == 0);
    for (size_t i = own; i < h->header_count; i++)
        CHECK(!handshake_field_is_reserved(h->headers[i].name));
    for (size_t i = 0; i < own; i++)
        CHECK(handshake_field_is_reserved(h->headers[i].name));
}

/* The server that reads the request answers it, and we take that answer. */
static void check_answered(const struct http_head *request, const struct handshake_request *r)
{
    struct buf out = {0};
    struct http_head answer;
    struct slice chosen = {"", 0}, protocol;
    handshake_choose_protocol(request, r->protocols, r->protocol_count, &chosen);
    CHECK(r->protocol_count == 0 || slice_equal(chosen, r->protocols[0]));
    CHECK(handshake_write_accept(&out, value(request, "Sec-WebSocket-Key"), chosen,
                                 (struct slice){"", 0}, (struct slice){"", 0}));
    CHECK(http_parse_response((char *)out.data, out.len, HTTP_HEADERS_MAX, &answer) == 0);
    CHECK(handshake_check_answer(&answer, r, &protocol) == 0 && slice_equal(protocol, chosen));
    buf_free(&out);
}

static void check_request(const struct handshake_request *r)
{
    struct buf out = {0};
    struct http_head h;
    size_t scanned = 0;
    CHECK(buf_append_str(&out, "kept"));
    bool ok = handshake_write_request(&out, r);
    CHECK(out.len >= 4 && memcmp(out.data, "kept", 4) == 0 && (ok || out.len == 4));
    if (ok) {
        char *head = (char *)out.data + 4;
        size_t n = out.len - 4;
        CHECK(http_head_end(head, n, &scanned) == (long)n);
        CHECK(http_parse_request(head, n, HTTP_HEADERS_MAX, &h) == 0);
        CHECK(handshake_check_request(&h) == HANDSHAKE_UPGRADE);
        CHECK(slice_equal(h.target, r->target) && slice_is(h.method, "GET"));
        check_fields(&h, r);
        check_answered(&h, r);
    }
    buf_free(&out);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* What RFC 6455 asks for, each by itself. Of Connection no more than that the word is there. */
static bool may_be_accepted(const struct http_head *h, const struct handshake_request *r)
{
    struct slice connection = {"", 0};
    bool upgrades = false, offered = count(h, "Sec-WebSocket-Protocol") == 0;
    for (size_t i = 0; i < h->header_count; i++) {
        connection = h->headers[i].value;
        for (size_t at = 0;
             slice_is_nocase(h->headers[i].name, "Connection") && at + 7 <= connection.len; at++)
            upgrades |= slice_is_nocase((struct slice){connection.ptr + at, 7}, "upgrade");
    }
    for (size_t i = 0; i < r->protocol_count; i++)
        offered |= count(h, "Sec-WebSocket-Protocol") == 1 &&
                   slice_equal(value(h, "Sec-WebSocket-Protocol"), r->protocols[i]);
    return h->status == 101 && h->minor == 1 && upgrades && offered && count(h, "Upgrade") == 1 &&
           slice_is_nocase(value(h, "Upgrade"), "websocket") &&
           count(h, "Sec-WebSocket-Accept") == 1 &&
           slice_is(value(h, "Sec-WebSocket-Accept"), ACCEPT) && count(h, "Transfer-Encoding") == 0;
}

static void check_answer(const struct http_head *h, const struct handshake_request *r)
{
    struct slice protocol = {NULL, 1};
    int rc = handshake_check_answer(h, r, &protocol);
    CHECK(rc == 0 ? may_be_accepted(h, r) : strlen(handshake_answer_error_text(rc)) > 0);
    CHECK(rc <= 0 && rc > HANDSHAKE_BAD_MEMORY && rc != HANDSHAKE_ERR_KEY);
    if (rc == 0)
        CHECK(slice_equal(protocol, value(h, "Sec-WebSocket-Protocol")));
    /* and not refused without a reason */
    bool has_length = count(h, "Content-Length") > 0;
    const struct slice exact = value(h, "Connection");
    if (may_be_accepted(h, r) && !has_length && slice_is_nocase(exact, "upgrade"))
        CHECK(rc == 0);
    CHECK(http_connect_is_open(h) == (h->status >= 200 && h->status <= 299));
}

/* --- CONNECT ---------------------------------------------------------------------------------- */

static void check_connect(struct slice host, uint16_t port, struct slice credentials)
{
    struct buf out = {0};
    struct http_head h;
    struct slice told;
    uint16_t told_port;
    size_t scanned = 0;
    CHECK(buf_append_str(&out, "kept"));
    bool ok = http_connect_write(&out, host, port, credentials);
    CHECK(memcmp(out.data, "kept", 4) == 0 && (ok || out.len == 4));
    if (ok) {
        char *head = (char *)out.data + 4;
        size_t n = out.len - 4;
        CHECK(http_head_end(head, n, &scanned) == (long)n);
        CHECK(http_parse_request(head, n, HTTP_HEADERS_MAX, &h) == 0);
        CHECK(slice_is(h.method, "CONNECT") && slice_equal(h.target, value(&h, "Host")));
        CHECK(uri_parse_authority(h.target, &told, &told_port) && told_port == port);
        CHECK(slice_equal(told, host) && h.header_count == 1u + (credentials.len > 0));
        struct slice basic = value(&h, "Proxy-Authorization");
        CHECK(basic.len == (credentials.len ? 6 + (credentials.len + 2) / 3 * 4 : 0));
        CHECK(credentials.len == 0 || memchr(credentials.ptr, ':', credentials.len));
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, data + size};
    uint8_t flags = fuzz_byte(&in);
    struct request q;
    struct http_head h;
    size_t scanned = 0;
    read_request(&in, flags & 1, &q);
    check_request(&q.r);
    check_connect(q.r.authority, (uint16_t)(flags * 257u), q.r.extensions);

    size_t n = fuzz_left(&in);
    char *answer = (char *)fuzz_copy(in.at, n);
    long end = http_head_end(answer, n, &scanned);
    if (end > 0 && http_parse_response(answer, (size_t)end, HTTP_HEADERS_MAX, &h) == 0)
        check_answer(&h, &q.r);
    free(answer);
    return 0;
}
