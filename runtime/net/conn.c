#include "net/conn_impl.h"
#include "net/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_io(struct ev_loop *ev, ev_io *w, int events);
static void on_later(struct deferred *d);
static void on_timer(struct timer *t);

uint32_t conn_now(const struct conn *c)
{
    return (uint32_t)loop_now(c->set->loop);
}

/* --- life ------------------------------------------------------------------------------------- */

struct conn *conn_ref(struct conn *c)
{
    c->refs++;
    return c;
}

void conn_unref(struct conn *c)
{
    if (--c->refs)
        return;
    conn_http_free(c);
    conn_ws_free(c);
    buf_free(&c->held);
    free(c->head);
    free(c);
}

struct address conn_address_of(const struct sockaddr_storage *peer)
{
    if (peer->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)peer;
        return address_of_ipv4((const void *)&in->sin_addr, ntohs(in->sin_port));
    }
    if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)peer;
        return address_of_ipv6((const void *)&in6->sin6_addr, ntohs(in6->sin6_port));
    }
    return (struct address){.family = ADDRESS_UNIX};
}

struct address conn_address(const struct conn *c)
{
    return c->peer;
}

void conn_peer(const struct conn *c, char *text, size_t size, unsigned *port)
{
    char room[ADDRESS_TEXT];
    address_format(&c->peer, room);
    snprintf(text, size, "%s", room);
    *port = c->peer.port;
}

/* A connection without a phase yet, known to its set. NULL: memory short; the stream is closed. */
static struct conn *conn_new(struct conn_set *set, struct stream *stream,
                             const struct address *peer, bool secure)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c) {
        stream->ops->close(stream);
        return NULL;
    }
    c->stream = *stream;
    c->set = set;
    c->limits = set->limits;
    c->refs = 1; /* the loop's own, until `gone` */
    c->secure = secure;
    c->peer = *peer;
    deferred_init(&c->later, on_later);
    c->timer.fire = on_timer;
    ev_io_init(&c->io, on_io, c->stream.fd, 0);
    c->io.data = c;
    list_push(&set->all, &c->all);
    set->count++;
    c->last_in = conn_now(c);
    return c;
}

bool conn_accept(struct conn_set *set, struct stream *stream, const struct address *peer,
                 bool secure, bool introduced)
{
    struct conn *c = conn_new(set, stream, peer, secure);
    if (!c)
        return false;
    if (!introduced) /* else when it is known for whom */
        conn_set_began(c);
    if (!conn_http_start(c)) {
        conn_abort(c);
        return false;
    }
    conn_enter(c, introduced ? PHASE_PROXY : secure ? PHASE_TLS : PHASE_HEAD);
    conn_update_io(c);
    return true;
}

struct conn *conn_adopt(struct conn_set *set, struct stream *stream,
                        const struct conn_opening *opening)
{
    struct address peer = conn_address_of(opening->peer);
    struct conn *c = conn_new(set, stream, &peer, opening->secure);
    if (!c)
        return NULL;
    struct deflate *deflate = NULL;
    if (opening->agreed)
        deflate = deflate_new(&set->deflate_pool, opening->agreed, false, opening->compress);
    c->head = malloc(opening->head.len + 1);
    if ((opening->agreed && !deflate) || !c->head ||
        !buf_append(&c->held, opening->rest.ptr, opening->rest.len)) {
        deflate_free(deflate);
        conn_abort(c);
        return NULL;
    }
    memcpy(c->head, opening->head.ptr, opening->head.len);
    c->head_len = (uint32_t)opening->head.len;
    c->read_again = opening->secure; /* TLS may have read ahead */
    conn_ws_start(c, SESSION_CLIENT, opening->limits, deflate);
    conn_update_io(c);
    conn_later(c); /* frames may have come with the answer */
    return c;
}

void conn_enter(struct conn *c, enum conn_phase phase)
{
    c->phase = (uint8_t)phase;
    c->since = conn_now(c);
    conn_arm(c);
}

void conn_later(struct conn *c)
{
    loop_defer(c->set->loop, &c->later);
}

void conn_abort(struct conn *c)
{
    if (c->phase == PHASE_DEAD)
        return;
    c->phase = PHASE_DEAD;
    conn_set_arrived(c);
    conn_set_holds(c, 0);
    ev_io_stop(loop_ev(c->set->loop), &c->io);
    loop_timer_cancel(c->set->loop, &c->timer);
    c->stream.ops->close(&c->stream);
    outq_clear(&c->out);
    if (c->set->corked == c)
        c->set->cork.len = 0;
    conn_later(c);
}

/* The events that end a connection; once, from the loop. */
static void finish(struct conn *c)
{
    if (c->finished)
        return;
    c->finished = true;
    if (c->upgraded)
        conn_ws_tell_closed(c);
    c->set->events->gone(c);
    list_remove(&c->all);
    conn_set_removed(c->set);
    conn_unref(c);
}

void conn_linger(struct conn *c, enum ending how)
{
    if (c->phase == PHASE_DEAD || c->phase == PHASE_LINGER)
        return;
    c->ending = (uint8_t)how;
    conn_enter(c, PHASE_LINGER);
    conn_later(c);
}

/* --- phases ----------------------------------------------------------------------------------- */

static size_t ignore(struct conn *c, unsigned char *bytes, size_t n)
{
    (void)c;
    (void)bytes;
    return n;
}

/* A client may end its half and still read the answer. */
static void eof_wait(struct conn *c)
{
    (void)c;
}

/* The last answer may not be written out yet. */
static void eof_hang_up(struct conn *c)
{
    conn_linger(c, ENDING_HANG_UP);
}

/* Behind its Close the peer has nothing to say, and still reads what answers it. */
static void eof_open(struct conn *c)
{
    if (!c->close_received)
        conn_abort(c);
}

static void eof_linger(struct conn *c)
{
    if (!conn_buffered(c)) /* else when the rest is written */
        conn_abort(c);
}

static uint32_t no_deadline(const struct conn *c)
{
    (void)c;
    return UINT32_MAX;
}

static uint32_t handshake_deadline(const struct conn *c)
{
    return c->limits->handshake ? conn_left(c, c->since, c->limits->handshake) : UINT32_MAX;
}

/* While the peer takes bytes, only the stall limit counts. */
static uint32_t linger_deadline(const struct conn *c)
{
    return c->out.bytes ? UINT32_MAX : conn_left(c, c->since, c->limits->close);
}

/* What a connection does with input, with the end of input and with time, phase by phase. */
static const struct phase_rule {
    size_t (*take)(struct conn *c, unsigned char *bytes, size_t n); /* NULL: takes no input */
    void (*on_eof)(struct conn *c);
    uint32_t (*deadline)(const struct conn *c); /* ms from now; UINT32_MAX: none */
    void (*on_deadline)(struct conn *c);
} phase_rules[] = {
    [PHASE_PROXY] = {NULL, conn_abort, handshake_deadline, conn_abort},
    [PHASE_TLS] = {NULL, conn_abort, handshake_deadline, conn_abort},
    [PHASE_HEAD] = {conn_http_take_head, eof_hang_up, handshake_deadline, conn_http_timeout},
    [PHASE_BODY] = {conn_http_take_body, eof_hang_up, handshake_deadline, conn_http_timeout},
    [PHASE_ANSWERING] = {NULL, eof_wait, no_deadline, NULL},
    [PHASE_RESPONDING] = {NULL, eof_wait, no_deadline, NULL},
    [PHASE_OPEN] = {conn_ws_take, eof_open, conn_ws_deadline, conn_ws_timeout},
    [PHASE_LINGER] = {ignore, eof_linger, linger_deadline, conn_abort},
    [PHASE_DEAD] = {NULL, eof_wait, no_deadline, NULL},
};

static const struct phase_rule *rule_of(const struct conn *c)
{
    return &phase_rules[c->phase];
}

bool conn_wants_input(const struct conn *c)
{
    if (c->phase == PHASE_OPEN && c->pauses)
        return c->close_sent; /* for the peer's Close; data are discarded */
    return rule_of(c)->take != NULL;
}

static void on_eof(struct conn *c)
{
    c->eof = true;
    rule_of(c)->on_eof(c);
}

/* --- readiness -------------------------------------------------------------------------------- */

static bool wants_read(const struct conn *c)
{
    if (c->eof)
        return false;
    if (c->phase == PHASE_ANSWERING)
        return c->held.len - c->held_at < CONN_HELD_MAX;
    return conn_wants_input(c) && c->held.len == c->held_at;
}

void conn_update_io(struct conn *c)
{
    int events = 0;
    if (c->phase == PHASE_DEAD)
        return;
    if (c->phase == PHASE_PROXY)
        events = EV_READ;
    else if (c->phase == PHASE_TLS)
        events = c->stream.wants_write ? EV_WRITE : EV_READ;
    else
        events = (wants_read(c) ? EV_READ : 0) | (c->blocked ? EV_WRITE : 0);
    if (events == (c->io.events & (EV_READ | EV_WRITE)) && ev_is_active(&c->io) == (events != 0))
        return;
    ev_io_stop(loop_ev(c->set->loop), &c->io);
    ev_io_set(&c->io, c->stream.fd, events);
    if (events)
        ev_io_start(loop_ev(c->set->loop), &c->io);
}

/* --- input ------------------------------------------------------------------------------------ */

static size_t take_all(struct conn *c, unsigned char *bytes, size_t n)
{
    size_t used = 0;
    while (used < n && conn_wants_input(c) && c->set->budget)
        used += rule_of(c)->take(c, bytes + used, n - used);
    if (used < n && !c->set->budget)
        conn_later(c); /* the others have their turn first */
    return used;
}

static void take_held(struct conn *c)
{
    c->held_at += take_all(c, c->held.data + c->held_at, c->held.len - c->held_at);
    if (c->held_at == c->held.len) {
        buf_free(&c->held);
        c->held_at = 0;
    }
}

static void input(struct conn *c, unsigned char *bytes, size_t n)
{
    bool behind = c->held.len > 0;
    if (c->held_at) { /* what was taken makes room, else a busy client's buffer only grows */
        buf_consume(&c->held, c->held_at);
        c->held_at = 0;
    }
    size_t used = behind ? 0 : take_all(c, bytes, n);
    if (used < n && c->phase != PHASE_DEAD && !buf_append(&c->held, bytes + used, n - used))
        conn_abort(c);
    if (behind)
        take_held(c);
}

/* Any byte is a sign of life, not only a Pong. */
static void heard(struct conn *c)
{
    c->last_in = conn_now(c);
    if (!c->ping_out)
        return;
    c->ping_out = false;
    conn_arm(c); /* from waiting for the Pong to the next Ping, which may be due sooner */
}

static void on_readable(struct conn *c)
{
    size_t got = 0;
    c->read_again = false;
    switch (c->stream.ops->read(&c->stream, c->set->rx, CONN_RX_SIZE, &got)) {
    case STREAM_OK:
        heard(c);
        input(c, c->set->rx, got);
        if (c->phase != PHASE_DEAD && (got == CONN_RX_SIZE || c->stream.ops->pending(&c->stream))) {
            c->read_again = true;
            conn_later(c);
        }
        break;
    case STREAM_RETRY:
        if (c->stream.wants_write) /* TLS has an answer of its own to send first */
            c->blocked = c->read_again = true;
        break;
    case STREAM_EOF:
        on_eof(c);
        break;
    case STREAM_ERROR:
        conn_abort(c);
    }
}

/* A crowd that comes at once would hold up those who are there for seconds: it has to wait for the
 * next turns, in which the socket is ready again. */
static void on_tls_ready(struct conn *c)
{
    if (!conn_set_take_tls_step(c->set))
        return;
    switch (c->stream.ops->handshake(&c->stream)) {
    case STREAM_OK:
        /* the deadline goes on: the head has what is left of it */
        c->phase = PHASE_HEAD;
        on_readable(c);
        break;
    case STREAM_RETRY:
        break;
    default:
        conn_abort(c);
    }
}

static void on_io(struct ev_loop *ev, ev_io *w, int events)
{
    struct conn *c = w->data;
    (void)ev;
    conn_ref(c);
    conn_cork(c);
    if (events & EV_WRITE)
        c->blocked = false;
    if (c->phase == PHASE_PROXY)
        conn_proxy_read(c);
    else if (c->phase == PHASE_TLS)
        on_tls_ready(c);
    else if (events & EV_READ || (c->read_again && wants_read(c)))
        on_readable(c);
    conn_uncork(c);
    conn_update_io(c);
    conn_unref(c);
}

static void on_later(struct deferred *d)
{
    struct conn *c = list_entry(d, struct conn, later);
    if (c->phase == PHASE_DEAD) {
        finish(c);
        return;
    }
    conn_ref(c);
    conn_cork(c);
    if (c->held.len && conn_wants_input(c))
        take_held(c);
    if (c->read_again && !c->blocked && wants_read(c))
        on_readable(c);
    conn_uncork(c);
    /* the peer has ended its half while it was answered, and now all it said is taken */
    if (c->eof && !c->held.len && conn_wants_input(c))
        on_eof(c);
    if (c->drain_due && c->phase == PHASE_OPEN) {
        c->drain_due = false;
        c->set->events->drain(c);
    }
    conn_update_io(c);
    conn_unref(c);
}

void conn_pause(struct conn *c, enum conn_pause reason)
{
    c->pauses |= (uint8_t)reason;
    conn_update_io(c);
}

void conn_resume(struct conn *c, enum conn_pause reason)
{
    if (!(c->pauses & reason))
        return;
    c->pauses &= (uint8_t)~reason;
    if (c->pauses || c->phase == PHASE_DEAD)
        return;
    /* silence during the pause was ours */
    c->last_in = conn_now(c);
    c->ping_out = false;
    conn_arm(c);
    c->read_again |= c->stream.ops->pending(&c->stream);
    conn_later(c);
}

/* --- deadlines -------------------------------------------------------------------------------- */

/* The system's own buffer may be so large that a slow reader makes no room in it for long: what the
 * peer has acknowledged since the last look is progress too. */
static bool is_stalled(struct conn *c)
{
    if (!c->out.bytes || !c->limits->stall || conn_left(c, c->progress, c->limits->stall))
        return false;
    unsigned unacknowledged = stream_unacknowledged(&c->stream);
    if (unacknowledged == c->unacknowledged)
        return true;
    c->unacknowledged = unacknowledged;
    c->progress = conn_now(c);
    return false;
}

void conn_arm(struct conn *c)
{
    uint32_t due = rule_of(c)->deadline(c);
    if (c->out.bytes && c->limits->stall) {
        uint32_t stall = conn_left(c, c->progress, c->limits->stall);
        due = stall < due ? stall : due;
    }
    if (due == UINT32_MAX)
        loop_timer_cancel(c->set->loop, &c->timer);
    else
        loop_timer_set(c->set->loop, &c->timer, due);
}

static void on_deadline(struct conn *c)
{
    if (is_stalled(c)) {
        conn_abort(c);
        return;
    }
    if (rule_of(c)->deadline(c) == 0)
        rule_of(c)->on_deadline(c);
    if (c->phase != PHASE_DEAD)
        conn_arm(c);
}

static void on_timer(struct timer *t)
{
    struct conn *c = list_entry(t, struct conn, timer);
    conn_ref(c);
    on_deadline(c);
    conn_unref(c);
}

/* --- for the owner ---------------------------------------------------------------------------- */

void conn_set_owner(struct conn *c, void *owner)
{
    c->owner = owner;
}

void *conn_owner(const struct conn *c)
{
    return c->owner;
}

struct conn_set *conn_get_set(const struct conn *c)
{
    return c->set;
}

unsigned conn_request_number(const struct conn *c)
{
    return c->phase == PHASE_ANSWERING ? c->http->number : 0;
}

bool conn_awaits_answer(const struct conn *c)
{
    return c->phase == PHASE_ANSWERING;
}

bool conn_certificate(const struct conn *c, struct tls_peer *out)
{
    return c->stream.fd >= 0 && tls_peer_certificate(&c->stream, out);
}

bool conn_is_secure(const struct conn *c)
{
    return c->secure;
}

struct slice conn_head(const struct conn *c)
{
    return (struct slice){c->head, c->head_len};
}
