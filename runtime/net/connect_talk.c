/* What is said over the socket: CONNECT, TLS, the opening handshake and the answers to them. */
#include "net/connect_impl.h"
#include "wire/http_connect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define READ_SIZE (16 * 1024) /* a TLS record; what is no answer need not be read in bulk */
#define INTERIM_MAX 8         /* 1xx answers before the final one */
#define BODY_WAIT 1000        /* ms, of an answer that is not 101 */
#define BODY_RAW_MAX (2 * CONNECT_BODY_MAX) /* with the framing of chunks */

static void on_io(struct ev_loop *ev, ev_io *w, int events);

static struct slice proxy_name(const struct connect *c)
{
    return c->options.proxy_host;
}

/* A failure that is the proxy's when we are still talking to it. */
static void fail_peer(struct connect *c, enum connect_error error, const char *what)
{
    if (c->step == STEP_PROXY)
        connect_fail(c, CONNECT_ERR_PROXY, "the proxy %.*s:%u %s", SLICE_ARG(proxy_name(c)),
                     c->options.proxy_port, what);
    else
        connect_fail(c, error, "the server %s", what);
}

/* --- readiness -------------------------------------------------------------------------------- */

static void watch(struct connect *c)
{
    struct ev_loop *ev = loop_ev(c->set->loop);
    int events = EV_READ;
    if (c->ended)
        return;
    if (c->step == STEP_TLS)
        events = c->stream.wants_write ? EV_WRITE : EV_READ;
    else if (c->blocked || c->out_at < c->out.len)
        events |= EV_WRITE;
    if (ev_is_active(&c->io) && events == (c->io.events & (EV_READ | EV_WRITE)))
        return;
    ev_io_stop(ev, &c->io);
    ev_io_set(&c->io, c->stream.fd, events);
    ev_io_start(ev, &c->io);
}

/* A server that does not like us may answer before it has read everything, and end: so a failed
 * write is no end. Reading tells what there is. */
static void write_out(struct connect *c)
{
    while (c->out_at < c->out.len) {
        struct iovec part = {c->out.data + c->out_at, c->out.len - c->out_at};
        size_t sent = 0;
        switch (c->stream.ops->write(&c->stream, &part, 1, &sent)) {
        case STREAM_OK:
            c->out_at += sent;
            break;
        case STREAM_RETRY:
            return;
        default:
            c->out_at = c->out.len;
        }
    }
}

/* --- the opening handshake -------------------------------------------------------------------- */

static void authority(const struct uri *u, char *out, size_t size)
{
    int n = snprintf(out, size, u->host_is_ipv6 ? "[%.*s]" : "%.*s", SLICE_ARG(u->host));
    if (u->port != (u->secure ? 443 : 80) && n > 0 && (size_t)n < size)
        snprintf(out + n, size - (size_t)n, ":%u", u->port);
}

/* What the answer is judged by; the request's other parts are needed only to write it. */
static struct handshake_request request_of(const struct connect *c)
{
    return (struct handshake_request){
        .key = {c->key, HANDSHAKE_KEY_LEN},
        .protocols = c->options.protocols,
        .protocol_count = c->options.protocol_count,
        .extensions = {(const char *)c->offer.data, c->offer.len},
        .fields = c->options.fields,
    };
}

static bool write_target(const struct uri *u, struct buf *out)
{
    return buf_append(out, u->path.ptr, u->path.len) &&
           (!u->query.ptr ||
            (buf_append(out, "?", 1) && buf_append(out, u->query.ptr, u->query.len)));
}

static bool write_request(struct connect *c)
{
    char host[300];
    unsigned char nonce[HANDSHAKE_NONCE];
    struct buf target = {0};
    random_bytes(&c->set->random, nonce, sizeof nonce);
    handshake_make_key(nonce, c->key);
    authority(&c->options.uri, host, sizeof host);
    bool ok = write_target(&c->options.uri, &target) &&
              (!c->options.compression || extension_write_offer(&c->offer, &c->compression));
    if (ok) {
        struct handshake_request r = request_of(c);
        r.authority = slice_of(host);
        r.target = (struct slice){(const char *)target.data, target.len};
        ok = handshake_write_request(&c->out, &r);
    }
    buf_free(&target);
    return ok;
}

static void begin_handshake(struct connect *c)
{
    c->step = STEP_HANDSHAKE;
    if (write_request(c))
        write_out(c);
    else
        connect_fail(c, CONNECT_ERR_HANDSHAKE,
                     "the request cannot be written: a header field or a subprotocol is malformed, "
                     "reserved or given twice, or memory is short");
}

/* --- TLS -------------------------------------------------------------------------------------- */

static void fail_tls(struct connect *c)
{
    char why[400];
    tls_client_explain(&c->stream, why, sizeof why);
    connect_fail(c, CONNECT_ERR_TLS, "%s", why);
}

static void go_on_tls(struct connect *c)
{
    switch (c->stream.ops->handshake(&c->stream)) {
    case STREAM_OK:
        begin_handshake(c);
        break;
    case STREAM_RETRY:
        break;
    default:
        fail_tls(c);
    }
}

static void begin_tls(struct connect *c)
{
    const struct connect_options *o = &c->options;
    struct slice name = o->server_name.len ? o->server_name : o->uri.host;
    int fd = c->stream.fd;
    c->step = STEP_TLS;
    ev_io_stop(loop_ev(c->set->loop), &c->io);
    c->streaming = tls_connect(&c->stream, o->tls, name, fd);
    if (c->streaming)
        go_on_tls(c);
    else
        connect_fail(c, CONNECT_ERR_TLS,
                     "no TLS for the name \"%.*s\": it is none, or out of memory", SLICE_ARG(name));
}

static void begin_talk(struct connect *c)
{
    if (c->options.uri.secure)
        begin_tls(c);
    else
        begin_handshake(c);
}

/* --- the proxy -------------------------------------------------------------------------------- */

static void begin_proxy(struct connect *c)
{
    const struct connect_options *o = &c->options;
    c->step = STEP_PROXY;
    if (http_connect_write(&c->out, o->uri.host, o->uri.port, o->proxy_credentials))
        write_out(c);
    else
        connect_fail(c, CONNECT_ERR_PROXY,
                     "the proxy %.*s:%u cannot be asked: its credentials are not user:password, or "
                     "out of memory",
                     SLICE_ARG(proxy_name(c)), o->proxy_port);
}

static void judge_proxy(struct connect *c)
{
    char what[160];
    if (!http_connect_is_open(&c->head)) {
        unsigned status = c->head.status;
        bool is_about_credentials = status == 407 || status == 401; /* tinyproxy says the latter */
        const char *advice = !is_about_credentials ? ""
                             : c->options.proxy_credentials.len
                                 ? ": it does not take the credentials"
                                 : ": it wants credentials";
        snprintf(what, sizeof what, "answered %u %s%s", status, http_status_text(status), advice);
        fail_peer(c, CONNECT_ERR_PROXY, what);
        return;
    }
    /* The server speaks only when asked, in TLS as in HTTP: these bytes are not its own, and taken
     * for an answer they would be the proxy's words in the server's mouth. */
    if (c->in.len > c->head_len) {
        fail_peer(c, CONNECT_ERR_PROXY, "sent bytes behind its answer before we said anything");
        return;
    }
    c->in.len = c->out.len = 0;
    c->out_at = c->scanned = 0;
    c->interim = 0;
    begin_talk(c);
}

/* --- the answer's body: only to be shown ------------------------------------------------------ */

/* Drops the framing of chunks (RFC 9112 section 7.1), as far as they are there and well-formed. */
static size_t unchunk(char *bytes, size_t n)
{
    size_t at = 0, kept = 0;
    for (;;) {
        size_t size = 0, digits = 0;
        for (; at < n && digits < 5; at++, digits++) {
            char c = ascii_lower(bytes[at]);
            if (c >= '0' && c <= '9')
                size = size * 16 + (size_t)(c - '0');
            else if (c >= 'a' && c <= 'f')
                size = size * 16 + (size_t)(c - 'a' + 10);
            else
                break;
        }
        const char *line = at < n ? memchr(bytes + at, '\n', n - at) : NULL;
        if (!digits || !size || !line)
            return kept;
        at = (size_t)(line - bytes) + 1;
        size = size < n - at ? size : n - at;
        memmove(bytes + kept, bytes + at, size);
        kept += size;
        at += size;
        at += at + 2 <= n ? 2 : n - at;
    }
}

void connect_end_body(struct connect *c)
{
    unsigned status = c->head.status;
    if (c->chunked)
        c->body.len = unchunk((char *)c->body.data, c->body.len);
    if (c->body.len > c->body_len)
        c->body.len = (size_t)c->body_len;
    if (c->body.len > CONNECT_BODY_MAX)
        c->body.len = CONNECT_BODY_MAX;
    connect_fail(c, CONNECT_ERR_STATUS, "the server answered %u %s, not 101", status,
                 http_status_text(status));
}

/* The last chunk, of size 0, without trailers; it may be the only one. */
static bool chunks_end(const struct buf *b)
{
    static const char last[] = "\r\n0\r\n\r\n";
    size_t n = sizeof last - 1;
    if (b->len == n - 2)
        return memcmp(b->data, last + 2, n - 2) == 0;
    return b->len >= n && memcmp(b->data + b->len - n, last, n) == 0;
}

static void take_body(struct connect *c, const void *bytes, size_t n)
{
    size_t room = BODY_RAW_MAX - c->body.len;
    if (!buf_append(&c->body, bytes, n < room ? n : room))
        connect_fail(c, CONNECT_ERR_MEMORY, "out of memory");
    else if (c->body.len >= c->body_len ||
             c->body.len >= (c->chunked ? BODY_RAW_MAX : CONNECT_BODY_MAX) ||
             (c->chunked && chunks_end(&c->body)))
        connect_end_body(c);
}

static void begin_body(struct connect *c)
{
    c->step = STEP_BODY;
    c->chunked = http_has_token(&c->head, "Transfer-Encoding", "chunked");
    if (http_response_length(&c->head, &c->body_len))
        c->body_len = HTTP_UNTIL_CLOSE;
    if (!timer_is_set(&c->due) || c->due.due > loop_now(c->set->loop) + BODY_WAIT)
        loop_timer_set(c->set->loop, &c->due, BODY_WAIT);
    take_body(c, c->in.data + c->head_len, c->in.len - c->head_len);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void judge_server(struct connect *c)
{
    struct handshake_request r = request_of(c);
    c->answered = true;
    int error = handshake_check_answer(&c->head, &r, &c->protocol);
    if (error == HANDSHAKE_BAD_STATUS) {
        begin_body(c);
        return;
    }
    if (error) {
        connect_fail(c, error == HANDSHAKE_BAD_MEMORY ? CONNECT_ERR_MEMORY : CONNECT_ERR_HANDSHAKE,
                     "%s", handshake_answer_error_text(error));
        return;
    }
    int extension = extension_check_answer(&c->head, c->options.compression, &c->agreed);
    c->compressed = extension > 0;
    if (extension < 0)
        connect_fail(c, CONNECT_ERR_HANDSHAKE, "%s", extension_error_text(extension));
    else
        connect_win(c);
}

/* Does what has come so far begin as an answer does? Else the end of a head is not worth waiting
 * for: a server of another protocol never sends one. */
static bool is_http(const struct connect *c)
{
    static const char start[] = "HTTP/";
    size_t n = sizeof start - 1;
    return memcmp(c->in.data, start, c->in.len < n ? c->in.len : n) == 0;
}

static void fail_other_protocol(struct connect *c)
{
    bool tls = c->in.data[0] == 0x15 || c->in.data[0] == 0x16; /* an alert, a handshake */
    bool plain = c->step == STEP_PROXY || !c->options.uri.secure;
    fail_peer(c, CONNECT_ERR_HANDSHAKE,
              !tls || !plain          ? "does not speak HTTP"
              : c->step == STEP_PROXY ? "speaks TLS; only plain proxies are known"
                                      : "speaks TLS; try wss://");
}

/* The head of an answer is at the front of `in`; true when it is final. */
static bool take_head(struct connect *c)
{
    const struct conn_limits *limits = c->options.limits;
    char what[160];
    const char *in = (const char *)c->in.data;
    long end = http_head_end(in, c->in.len, &c->scanned);
    size_t size = end > 0 ? (size_t)end : c->in.len;
    if (end >= 0 && size > limits->head) {
        snprintf(what, sizeof what, "sent an answer whose head is larger than %u bytes",
                 limits->head);
        fail_peer(c, CONNECT_ERR_HANDSHAKE, what);
        return false;
    }
    int error = end < 0 ? (int)end : 0;
    if (end > 0)
        error = http_parse_response(in, size, limits->headers, &c->head);
    if (error) {
        snprintf(what, sizeof what, "sent a malformed answer: %s", http_error_text(error));
        fail_peer(c, CONNECT_ERR_HANDSHAKE, what);
        return false;
    }
    c->head_len = size;
    return end > 0;
}

static void take_answer(struct connect *c)
{
    while (c->in.len) {
        if (!is_http(c)) {
            fail_other_protocol(c);
            return;
        }
        if (!take_head(c))
            return;
        if (!http_is_interim(&c->head)) {
            if (c->step == STEP_PROXY)
                judge_proxy(c);
            else
                judge_server(c);
            return;
        }
        if (++c->interim > INTERIM_MAX) {
            fail_peer(c, CONNECT_ERR_HANDSHAKE, "sends one interim answer after the other");
            return;
        }
        buf_consume(&c->in, c->head_len);
        c->scanned = 0;
    }
}

/* --- reading ---------------------------------------------------------------------------------- */

static void on_end(struct connect *c, enum stream_status status, int error)
{
    char what[160];
    bool secure = c->options.uri.secure && c->step != STEP_PROXY;
    bool in_answer = c->in.len || c->interim;
    if (c->step == STEP_BODY) {
        connect_end_body(c);
        return;
    }
    if (status == STREAM_ERROR && secure && !tls_client_lost(&c->stream)) {
        /* with TLS 1.3 a server says only now that it does not take our certificate */
        fail_tls(c);
        return;
    }
    snprintf(what, sizeof what, "ended the connection %s%s%s",
             in_answer ? "in the middle of its answer" : "without an answer", error ? ": " : "",
             error ? strerror(error) : "");
    fail_peer(c, CONNECT_ERR_LOST, what);
}

static void take(struct connect *c, const void *bytes, size_t n)
{
    if (c->step == STEP_BODY)
        take_body(c, bytes, n);
    else if (buf_append(&c->in, bytes, n))
        take_answer(c);
    else
        connect_fail(c, CONNECT_ERR_MEMORY, "out of memory");
}

/* Until there is nothing more to read: the set's buffer is only borrowed, and an answer is small.
 * The proxy's last word may be the beginning of TLS, which reads for itself. */
static void read_in(struct connect *c)
{
    while (!c->ended && c->step != STEP_TLS) {
        size_t got = 0;
        errno = 0;
        enum stream_status status = c->stream.ops->read(&c->stream, c->set->rx, READ_SIZE, &got);
        if (status == STREAM_OK) {
            take(c, c->set->rx, got);
            continue;
        }
        if (status == STREAM_RETRY)
            c->blocked = c->stream.wants_write;
        else
            on_end(c, status, status == STREAM_ERROR ? errno : 0);
        return;
    }
}

static void on_io(struct ev_loop *ev, ev_io *w, int events)
{
    struct connect *c = w->data;
    (void)ev;
    (void)events;
    c->blocked = false;
    if (c->step == STEP_TLS) {
        go_on_tls(c);
    } else {
        write_out(c);
        read_in(c);
    }
    watch(c);
}

void connect_talk(struct connect *c, int fd)
{
    stream_init(&c->stream, fd);
    c->streaming = true;
    ev_init(&c->io, on_io);
    c->io.data = c;
    if (connect_has_proxy(c))
        begin_proxy(c);
    else
        begin_talk(c);
    watch(c);
}
