/* The message phase: RFC 6455 sections 5 to 7 over a stream, and its deadlines. */
#include "net/conn_impl.h"

#include <stdlib.h>
#include <string.h>

void conn_ws_start(struct conn *c, enum session_role role, const struct conn_limits *limits,
                   struct deflate *deflate)
{
    c->last_in = conn_now(c); /* what the handshake took is not the peer's silence */
    c->upgraded = true;
    c->limits = limits;
    session_init(&c->session, role, &limits->session);
    session_use_deflate(&c->session, deflate);
    c->compressed = deflate != NULL;
    conn_enter(c, PHASE_OPEN);
}

void conn_ws_free(struct conn *c)
{
    if (c->upgraded)
        session_free(&c->session);
    free(c->closing);
    if (c->pong)
        buf_free(c->pong);
    free(c->pong);
}

bool conn_is_compressed(const struct conn *c)
{
    return c->compressed;
}

enum conn_state conn_state(const struct conn *c)
{
    if (c->phase < PHASE_OPEN)
        return CONN_CONNECTING;
    if (c->phase > PHASE_OPEN)
        return CONN_CLOSED;
    return c->close_sent ? CONN_CLOSING : CONN_OPEN;
}

/* --- closing ---------------------------------------------------------------------------------- */

/* What `closed` will report. Without memory for it, it is 1006: the safe thing to say. */
static void remember_close(struct conn *c, uint16_t code, const void *reason, size_t n)
{
    if (!c->closing)
        c->closing = calloc(1, sizeof *c->closing);
    if (!c->closing)
        return;
    c->closing->code = code;
    c->closing->len = (uint8_t)(n < sizeof c->closing->reason ? n : sizeof c->closing->reason);
    memcpy(c->closing->reason, reason, c->closing->len);
}

void conn_ws_tell_closed(struct conn *c)
{
    const struct conn_closing *k = c->closing;
    struct slice reason = {k ? k->reason : "", k ? k->len : 0};
    c->set->events->closed(c, k ? k->code : 1006, reason, c->close_sent && c->close_received);
}

static void write_close(struct conn *c, uint16_t code, struct slice reason)
{
    unsigned char room[FRAME_KEY];
    struct out_mark out = conn_out_begin(c);
    c->close_sent = true;
    if (!out.buf ||
        !session_write_close(out.buf, code, reason.ptr, reason.len, conn_mask(c, room))) {
        conn_abort(c);
        return;
    }
    conn_out_end(c, out);
}

/* Both Close frames are exchanged: the server ends TCP, so that TIME_WAIT is its own, and a client
 * waits for that (section 7.1.1). */
static void end_clean(struct conn *c)
{
    conn_linger(c, conn_is_client(c) ? ENDING_WAIT : ENDING_HANG_UP);
}

void conn_close(struct conn *c, uint16_t code, struct slice reason)
{
    if (c->phase != PHASE_OPEN || c->close_sent)
        return;
    write_close(c, code, reason);
    if (c->phase == PHASE_DEAD)
        return;
    if (c->close_received) {
        end_clean(c);
        return;
    }
    c->since = conn_now(c);
    conn_arm(c);
    conn_later(c); /* input that was held by a pause may have the peer's Close */
}

unsigned conn_peer_closed(const struct conn *c, struct slice *reason)
{
    const struct conn_closing *k = c->close_received ? c->closing : NULL;
    *reason = (struct slice){k ? k->reason : "", k ? k->len : 0};
    return k ? k->code : 0;
}

void conn_reply_close(struct conn *c)
{
    if (c->phase != PHASE_OPEN || !c->close_received || c->close_sent)
        return;
    uint16_t code = c->closing && c->closing->code != 1005 ? c->closing->code : 0;
    conn_close(c, code, (struct slice){"", 0});
}

/* "Fail the WebSocket Connection" (section 7.1.7): a Close with the reason, then the end. */
void conn_ws_fail(struct conn *c, uint16_t code, struct slice reason)
{
    conn_note_close(c, code, reason);
    remember_close(c, code, reason.ptr, reason.len);
    if (!c->close_sent)
        write_close(c, code, reason);
    session_free(&c->session); /* nothing more is read into it; the peer may take its time */
    conn_set_holds(c, 0);
    conn_linger(c, ENDING_SHUT_DOWN);
}

static void fail(struct conn *c, int error)
{
    conn_ws_fail(c, session_error_close_code(error), slice_of(session_error_text(error)));
}

/* --- events of the session -------------------------------------------------------------------- */

static void write_pong(struct conn *c, const void *data, size_t n)
{
    unsigned char room[FRAME_KEY];
    struct out_mark out = conn_out_begin(c);
    if (!out.buf || !session_write_pong(out.buf, data, n, conn_mask(c, room))) {
        conn_abort(c);
        return;
    }
    conn_out_end(c, out);
}

/* Only the latest Ping has to be answered (section 5.5.3): while the socket takes nothing, one
 * Pong waits, however many Pings come. */
static void answer_ping(struct conn *c, const void *data, size_t n)
{
    if (c->close_sent)
        return;
    if (!c->blocked) {
        write_pong(c, data, n);
        return;
    }
    if (!c->pong)
        c->pong = calloc(1, sizeof *c->pong);
    if (!c->pong) {
        conn_abort(c);
        return;
    }
    c->pong->len = 0;
    if (!buf_append(c->pong, data, n))
        conn_abort(c);
}

void conn_ws_send_pong(struct conn *c)
{
    struct buf *pong = c->pong;
    if (!pong || c->close_sent)
        return;
    c->pong = NULL;
    write_pong(c, pong->data, pong->len);
    buf_free(pong);
    free(pong);
}

static void on_peer_close(struct conn *c, const struct session_event *e)
{
    c->close_received = true;
    remember_close(c, e->code, e->data, e->len);
    if (c->close_sent) {
        end_clean(c);
        return;
    }
    c->since = conn_now(c);
    conn_arm(c);
    c->set->events->peer_close(c);
}

static void on_message(struct conn *c, const struct session_event *e)
{
    if (c->close_sent) /* after our Close, data are discarded (section 1.4) */
        return;
    if (c->limits->rate && !pace_take(&c->pace, c->limits->rate, loop_now(c->set->loop)))
        conn_ws_fail(c, 1008, slice_of("too many messages a second"));
    else
        c->set->events->message(c, e->kind, e->data, e->len);
}

static void on_event(struct conn *c, const struct session_event *e)
{
    switch (e->type) {
    case SESSION_MESSAGE:
        on_message(c, e);
        break;
    case SESSION_PING:
        answer_ping(c, e->data, e->len);
        break;
    case SESSION_PONG:
        break; /* any byte of the peer is a sign of life: last_in */
    case SESSION_CLOSE:
        on_peer_close(c, e);
        break;
    }
}

/* The bound of all can only be passed when one of them holds more than before. */
static void count_held(struct conn *c)
{
    size_t held = session_held(&c->session);
    if (held == c->holds || c->phase == PHASE_DEAD)
        return;
    conn_set_holds(c, held);
    conn_set_bound_held(c->set);
}

size_t conn_ws_take(struct conn *c, unsigned char *bytes, size_t n)
{
    struct session_event e;
    size_t unread;
    int rc;
    session_feed(&c->session, bytes, n);
    while ((rc = session_next(&c->session, &e)) == SESSION_EVENT) {
        on_event(c, &e);
        c->set->budget--;
        if (c->phase != PHASE_OPEN || !conn_wants_input(c) || !c->set->budget)
            break;
    }
    if (rc < 0)
        fail(c, rc);
    session_take_unread(&c->session, &unread);
    count_held(c);
    return n - unread;
}

/* --- deadlines -------------------------------------------------------------------------------- */

static uint32_t ping_deadline(const struct conn *c)
{
    if (c->ping_out)
        return conn_left(c, c->pinged, c->limits->pong_wait);
    return c->limits->ping_interval ? conn_left(c, c->last_in, c->limits->ping_interval)
                                    : UINT32_MAX;
}

static uint32_t idle_deadline(const struct conn *c)
{
    return c->limits->idle ? conn_left(c, c->last_in, c->limits->idle) : UINT32_MAX;
}

uint32_t conn_ws_deadline(const struct conn *c)
{
    if (c->close_sent || c->close_received) /* the Close may be far back in the queue */
        return c->out.bytes ? UINT32_MAX : conn_left(c, c->since, c->limits->close);
    if (c->pauses)
        return UINT32_MAX; /* we do not listen, so the peer's silence says nothing */
    uint32_t ping = ping_deadline(c), idle = idle_deadline(c);
    return ping < idle ? ping : idle;
}

void conn_ws_timeout(struct conn *c)
{
    if (c->close_sent || c->close_received) {
        conn_note(c, "ended a connection",
                  "its closing handshake took longer than the limit `close`");
        conn_abort(c);
    } else if (idle_deadline(c) == 0) {
        conn_note_close(c, 1001, slice_of("idle for too long"));
        conn_close(c, 1001, slice_of("idle for too long"));
    } else if (c->ping_out) {
        conn_note(c, "ended a connection", "no sign of life within the limit `pong_wait`");
        conn_abort(c);
    } else {
        c->pinged = conn_now(c);
        c->ping_out = true;
        conn_ping(c, "", 0);
    }
}
