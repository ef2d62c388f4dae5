/* The request phase: heads in, answers out (RFC 9112), until one request is upgraded. */
#include "net/conn_impl.h"
#include "wire/extension.h"
#include "wire/handshake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_PIECE (64 * 1024)

bool conn_http_start(struct conn *c)
{
    c->http = calloc(1, sizeof *c->http);
    if (c->http)
        c->http->file = -1;
    return c->http != NULL;
}

static void close_file(struct conn_http *h)
{
    if (h->file >= 0)
        close(h->file);
    h->file = -1;
    h->file_left = 0;
}

void conn_http_free(struct conn *c)
{
    if (!c->http)
        return;
    close_file(c->http);
    buf_free(&c->http->head);
    buf_free(&c->http->body);
    free(c->http);
    c->http = NULL;
}

/* --- requests --------------------------------------------------------------------------------- */

/* Answers what is no acceptable request; `head` is what there is of it. Nothing after it is read as
 * HTTP: where the next request would begin is in doubt, and doubt is what request smuggling lives
 * on. */
static void refuse(struct conn *c, unsigned status, const char *field, const char *why,
                   struct slice head)
{
    char body[160], fields[128];
    conn_note_request(c, status, head, why);
    size_t n = (size_t)snprintf(body, sizeof body, "%s\n", why);
    snprintf(fields, sizeof fields, "%sContent-Type: text/plain; charset=utf-8\r\n", field);
    c->http->keep_alive = false;
    c->phase = PHASE_ANSWERING;
    conn_respond(c, status, slice_of(fields), (struct slice){body, n});
}

static void refuse_http(struct conn *c, int error, struct slice head)
{
    refuse(c, http_error_status(error), "", http_error_text(error), head);
}

static void refuse_handshake(struct conn *c, int error)
{
    const char *field = error == HANDSHAKE_ERR_METHOD    ? "Allow: GET\r\n"
                        : error == HANDSHAKE_ERR_VERSION ? "Sec-WebSocket-Version: 13\r\n"
                                                         : "";
    refuse(c, handshake_error_status(error), field, handshake_error_text(error), conn_head(c));
}

void conn_http_timeout(struct conn *c)
{
    const struct buf *so_far = &c->http->head;
    struct slice head = {(const char *)so_far->data, so_far->len};
    bool nothing_asked = c->http->reused && c->phase == PHASE_HEAD && !head.len;
    if (nothing_asked)
        conn_linger(c, ENDING_HANG_UP);
    else
        refuse(c, 408, "", "the request took too long",
               c->phase == PHASE_HEAD ? head : conn_head(c));
}

static void deliver(struct conn *c, const struct http_head *head)
{
    struct slice body = {(const char *)c->http->body.data, c->http->body.len};
    conn_enter(c, PHASE_ANSWERING);
    c->http->number++;
    c->set->budget -= c->set->budget > 0;
    c->set->events->request(c, head, c->http->upgrade, body);
}

static bool will_keep_alive(const struct conn *c, const struct http_head *head)
{
    return !c->set->drain && !http_has_token(head, "Connection", "close");
}

static void send_continue(struct conn *c)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct out_mark out = conn_out_begin(c);
    if (out.buf && buf_append(out.buf, line, sizeof line - 1))
        conn_out_end(c, out);
}

/* A request with a body: read it first. */
static void expect_body(struct conn *c, const struct http_head *head, uint64_t length)
{
    if (length > c->limits->body) {
        refuse(c, 413, "", "the request's body is too large", conn_head(c));
        return;
    }
    c->http->body_left = length;
    c->phase = PHASE_BODY; /* before it writes, which may end the connection */
    if (http_has_token(head, "Expect", "100-continue"))
        send_continue(c);
}

/* A whole head has arrived and is in c->head. */
static void handle_head(struct conn *c)
{
    struct http_head head;
    uint64_t length = 0;
    conn_set_arrived(c);
    int error = http_parse_request(c->head, c->head_len, c->limits->headers, &head);
    if (error) {
        refuse_http(c, error, conn_head(c));
        return;
    }
    c->http->no_body = slice_is(head.method, "HEAD");
    int verdict = handshake_check_request(&head);
    if (verdict < 0) {
        refuse_handshake(c, verdict);
        return;
    }
    c->http->upgrade = verdict == HANDSHAKE_UPGRADE;
    if (c->http->upgrade && c->set->drain) {
        refuse(c, 503, "Retry-After: 1\r\n", "the server is going away", conn_head(c));
        return;
    }
    error = http_body_length(&head, &length);
    if (error) {
        refuse_http(c, error, conn_head(c));
        return;
    }
    c->http->keep_alive = !c->http->upgrade && will_keep_alive(c, &head);
    if (length)
        expect_body(c, &head, length);
    else
        deliver(c, &head);
}

static bool keep_head(struct conn *c, const void *bytes, size_t n)
{
    free(c->head);
    c->head = malloc(n);
    c->head_len = (uint32_t)n;
    if (c->head)
        memcpy(c->head, bytes, n);
    return c->head != NULL;
}

/* A head that came in one piece is taken from the receive buffer at once; only one in pieces is
 * collected. */
size_t conn_http_take_head(struct conn *c, unsigned char *bytes, size_t n)
{
    struct conn_http *h = c->http;
    size_t before = h->head.len, limit = c->limits->head;
    const unsigned char *head = bytes;
    size_t have = n;
    if (before) {
        size_t room = limit + 1 - before; /* one more shows that it is too long */
        if (!buf_append(&h->head, bytes, n < room ? n : room)) {
            conn_abort(c);
            return n;
        }
        head = h->head.data;
        have = h->head.len;
    }
    long end = http_head_end((const char *)head, have, &h->scanned);
    if (end < 0 || (end ? (size_t)end > limit : have > limit)) {
        refuse_http(c, end < 0 ? (int)end : HTTP_ERR_HEADERS,
                    (struct slice){(const char *)head, have});
        return n;
    }
    if (!end) {
        if (!before && !buf_append(&h->head, bytes, n))
            conn_abort(c);
        return n;
    }
    if (!keep_head(c, head, (size_t)end)) {
        conn_abort(c);
        return n;
    }
    buf_free(&h->head);
    h->scanned = 0;
    handle_head(c);
    return (size_t)end - before;
}

size_t conn_http_take_body(struct conn *c, unsigned char *bytes, size_t n)
{
    struct conn_http *h = c->http;
    struct http_head head;
    size_t piece = n < h->body_left ? n : (size_t)h->body_left;
    if (!buf_append(&h->body, bytes, piece)) {
        conn_abort(c);
        return n;
    }
    h->body_left -= piece;
    if (h->body_left == 0) {
        http_parse_request(c->head, c->head_len, c->limits->headers, &head); /* it did before */
        deliver(c, &head);
    }
    return piece;
}

/* --- answers ---------------------------------------------------------------------------------- */

static bool has_length(unsigned status)
{
    return status >= 200 && status != 204 && status != 304;
}

static bool write_answer_head(struct conn *c, struct buf *out, unsigned status, struct slice fields,
                              uint64_t length)
{
    return http_write_status(out, status) &&
           http_write_header(out, "Date", slice_of(conn_set_date(c->set))) &&
           (!has_length(status) ||
            buf_printf(out, "Content-Length: %llu\r\n", (unsigned long long)length)) &&
           (c->http->keep_alive || buf_append_str(out, "Connection: close\r\n")) &&
           buf_append(out, fields.ptr, fields.len) && buf_append_str(out, "\r\n");
}

static bool begin_answer(struct conn *c, unsigned status, struct slice fields, struct slice body,
                         uint64_t length)
{
    if (c->phase != PHASE_ANSWERING)
        return false;
    /* a refused handshake is the last that is read from this connection */
    if (c->http->upgrade)
        c->http->keep_alive = false;
    struct out_mark out = conn_out_begin(c);
    if (!out.buf || !write_answer_head(c, out.buf, status, fields, length) ||
        !buf_append(out.buf, body.ptr, c->http->no_body || !has_length(status) ? 0 : body.len)) {
        conn_abort(c);
        return false;
    }
    conn_enter(c, PHASE_RESPONDING);
    conn_out_end(c, out);
    return c->phase != PHASE_DEAD;
}

bool conn_respond(struct conn *c, unsigned status, struct slice fields, struct slice body)
{
    if (!begin_answer(c, status, fields, body, body.len))
        return false;
    conn_http_answer_queued(c);
    return true;
}

bool conn_respond_file(struct conn *c, unsigned status, struct slice fields, int fd,
                       uint64_t offset, uint64_t length)
{
    struct slice none = {"", 0};
    if (c->phase != PHASE_ANSWERING) {
        close(fd);
        return false;
    }
    c->http->file = fd;
    c->http->file_at = offset;
    c->http->file_left = c->http->no_body || !has_length(status) ? 0 : length;
    if (!begin_answer(c, status, fields, none, length))
        return false;
    conn_http_refill(c);
    conn_http_answer_queued(c);
    return true;
}

/* One piece of the file to the queue. A file that has become shorter than its announced length
 * leaves nothing but to end the connection: the client sees that the body is incomplete. */
static bool queue_piece(struct conn *c)
{
    struct conn_http *h = c->http;
    size_t want = h->file_left < FILE_PIECE ? (size_t)h->file_left : FILE_PIECE;
    struct buf *out = outq_tail(&c->out);
    if (!out || !buf_reserve(out, want))
        return false;
    ssize_t n = pread(h->file, out->data + out->len, want, (off_t)h->file_at);
    if (n <= 0)
        return false;
    out->len += (size_t)n;
    h->file_at += (uint64_t)n;
    h->file_left -= (uint64_t)n;
    conn_out_queued(c, (size_t)n); /* one piece a turn: a download leaves room for others */
    return true;
}

void conn_http_refill(struct conn *c)
{
    struct conn_http *h = c->http;
    /* the head may still be corked, and must go first: uncorking comes back here */
    if (h->file_left && c->set->corked == c && c->set->cork.len)
        return;
    if (h->file_left && c->out.bytes < FILE_PIECE && !queue_piece(c))
        conn_abort(c);
}

/* The answer is complete when it is all queued; the next request is not read before the queue is
 * short, so that a client cannot pile up answers that it does not read. */
void conn_http_answer_queued(struct conn *c)
{
    struct conn_http *h = c->http;
    if (c->phase != PHASE_RESPONDING || h->file_left || conn_buffered(c) > c->limits->send_soft)
        return;
    close_file(h);
    buf_free(&h->body);
    if (!h->keep_alive || c->set->drain) {
        conn_linger(c, ENDING_SHUT_DOWN);
        return;
    }
    h->reused = true;
    h->upgrade = h->no_body = false;
    conn_enter(c, PHASE_HEAD);
    conn_later(c); /* the next request may be here already */
}

/* permessage-deflate, when both sides want it: *deflate, and the value of the answer's field.
 * false: memory short. */
static bool agree_deflate(struct conn *c, const struct http_head *head,
                          const struct deflate_settings *want, struct deflate **deflate,
                          struct buf *answer)
{
    struct deflate_params agreed;
    *deflate = NULL;
    int verdict = want ? extension_accept(head, want, &agreed, answer) : 0;
    if (verdict > 0)
        *deflate = deflate_new(&c->set->deflate_pool, &agreed, true, want);
    return verdict == 0 || *deflate;
}

static bool write_acceptance(struct conn *c, const struct http_head *head,
                             const struct conn_acceptance *a, struct slice extensions)
{
    struct slice key = http_find(head, "Sec-WebSocket-Key")->value;
    struct out_mark out = conn_out_begin(c);
    if (!out.buf || !handshake_write_accept(out.buf, key, a->protocol, extensions, a->fields))
        return false;
    conn_out_end(c, out);
    return true;
}

bool conn_upgrade(struct conn *c, const struct conn_acceptance *a)
{
    struct http_head head;
    struct deflate *deflate = NULL;
    struct buf extensions = {0};
    if (c->phase != PHASE_ANSWERING || !c->http->upgrade)
        return false;
    if (c->set->drain) { /* it has begun while the handler was asked */
        refuse(c, 503, "Retry-After: 1\r\n", "the server is going away", conn_head(c));
        return false;
    }
    http_parse_request(c->head, c->head_len, c->limits->headers, &head); /* it did before */
    bool ok =
        agree_deflate(c, &head, a->compress, &deflate, &extensions) &&
        write_acceptance(c, &head, a, (struct slice){(char *)extensions.data, extensions.len}) &&
        c->phase != PHASE_DEAD; /* what was queued before it may have found nobody */
    buf_free(&extensions);
    if (!ok) {
        deflate_free(deflate);
        conn_abort(c);
        return false;
    }
    conn_http_free(c);
    conn_ws_start(c, SESSION_SERVER, a->limits, deflate);
    conn_later(c); /* frames may have come with the handshake */
    return true;
}
