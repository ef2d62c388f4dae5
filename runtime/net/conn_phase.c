/* What a connection does in each phase: with input, with the end of input, with time. */
#include "net/conn_impl.h"
#include "net/tls.h"

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

static void proxy_timeout(struct conn *c)
{
    conn_note(c, "refused a connection", "no PROXY header within the limit `handshake`");
    conn_abort(c);
}

static void tls_timeout(struct conn *c)
{
    conn_note(c, "refused a connection",
              "the TLS handshake took longer than the limit `handshake`");
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
    [PHASE_PROXY] = {NULL, conn_abort, handshake_deadline, proxy_timeout},
    [PHASE_TLS] = {NULL, conn_abort, handshake_deadline, tls_timeout},
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

/* What comes while a request is being answered has to be kept: no more of it than there is room
 * for. */
static size_t room_to_read(const struct conn *c)
{
    return c->phase == PHASE_ANSWERING ? CONN_HELD_MAX - (c->held.len - c->held_at) : CONN_RX_SIZE;
}

static void on_readable(struct conn *c)
{
    size_t got = 0, room = room_to_read(c);
    c->read_again = false;
    switch (c->stream.ops->read(&c->stream, c->set->rx, room, &got)) {
    case STREAM_OK:
        heard(c);
        input(c, c->set->rx, got);
        if (c->phase != PHASE_DEAD && (got == room || c->stream.ops->pending(&c->stream))) {
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

static void note_tls(struct conn *c)
{
    char why[512];
    if (!conn_notes(c))
        return;
    tls_explain(&c->stream, why, sizeof why);
    conn_note(c, "refused a connection", why);
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
        note_tls(c);
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
        conn_finish(c);
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
    if (c->phase == PHASE_DEAD)
        return; /* it is freed without looking for a timer */
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
        conn_note(c, "ended a connection", "it took nothing for longer than the limit `stall`");
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

void conn_phase_init(struct conn *c)
{
    deferred_init(&c->later, on_later);
    c->timer.fire = on_timer;
    ev_io_init(&c->io, on_io, c->stream.fd, 0);
    c->io.data = c;
}
