/* From events of net to calls of handlers.
 *
 * For one connection, one handler is active at a time. What happens meanwhile waits: messages in
 * the inbox, everything else as a flag of struct ws. ws_pump calls what is due as soon as no
 * handler is active, messages in their order, the close last. A handler that is suspended in
 * receive is not active: the next message is its own, and timers may run. */
#include "bind/client.h"
#include "bind/generation.h"
#include "bind/task.h"
#include "bind/ws.h"

#include <stdlib.h>
#include <string.h>

/* --- tasks of a connection -------------------------------------------------------------------- */

/* Calls a handler that may await: with a continuation, since Lua cannot yield across a call that
 * has none. Ends the body it is returned from. */
int ws_call_handler(lua_State *L, int args)
{
    lua_callk(L, args, 0, 0, task_nothing);
    return 0;
}

static void after_step(struct task *t, enum task_outcome outcome);

/* A task that is the connection's active handler; NULL: memory short. */
static struct task *begin_handler(struct ws *w, struct generation *g, const char *what)
{
    struct task *t = task_new(w->vm, g, what);
    if (!t)
        return NULL;
    t->of = w->accepted->pattern;
    t->owner = w;
    t->after = after_step;
    w->active = t;
    ws_ref(w);
    return t;
}

void ws_run_as(struct ws *w, struct generation *g, const char *what, lua_CFunction body)
{
    struct task *t = begin_handler(w, g, what);
    if (t)
        task_run(t, body);
    else
        conn_abort(w->conn);
}

void ws_run(struct ws *w, const char *what, lua_CFunction body)
{
    ws_run_as(w, ws_binding(w)->generation, what, body);
}

struct ws *ws_of_task(lua_State *L)
{
    return vm_of(L)->current->owner;
}

struct ws *ws_of_handler(const struct task *t)
{
    return t->after == after_step ? t->owner : NULL;
}

/* What a generation has for the connection: what it is about is not always what serves it now. */
static const struct binding *binding_in(const struct ws *w, const struct generation *g)
{
    const struct binding *now = ws_binding(w);
    const struct binding *its = g && now->generation != g ? generation_binding(g, w->slot) : NULL;
    return its ? its : now;
}

/* handler.error(ws, err, traceback): at 1 and 2 are the error and the traceback */
static int error_body(lua_State *L)
{
    struct ws *w = ws_of_task(L);
    const struct binding *b = binding_in(w, generation_current(w->vm));
    lua_rawgeti(L, LUA_REGISTRYINDEX, b->callbacks[CB_ERROR]);
    ws_push(L, w);
    lua_rotate(L, 1, 2);
    return ws_call_handler(L, 3);
}

/* A handler has raised: the app's own `error` decides, that of the same generation, or the
 * connection is closed. */
static void on_failure(struct ws *w, struct task *t)
{
    static const struct slice body = {"internal error\n", 15}, reason = {"internal error", 14};
    char place[TASK_PLACE];
    const struct binding *b = w->conn ? binding_in(w, t->generation) : NULL;
    bool handles = b && binding_has(b, CB_ERROR) && strcmp(t->what, "error") != 0 && w->opened;
    struct task *e = handles ? begin_handler(w, b->generation, "error") : NULL;
    if (e) {
        task_run_with(e, error_body, t->co, 2);
        return;
    }
    task_place(t, place);
    vm_report(t->co, place, 1, 2);
    if (!w->conn)
        return;
    conn_respond(w->conn, 500, slice_of(""), body); /* when it was still the handshake */
    ws_close(w, 1011, reason);
}

static void after_step(struct task *t, enum task_outcome outcome)
{
    struct ws *w = t->owner;
    if (t->reloadable && outcome != TASK_WAITING)
        w->running = false;
    if (outcome == TASK_DROPPED) {
        if (w->active == t)
            w->active = NULL;
        ws_unref(w);
        return;
    }
    bool parked = outcome == TASK_WAITING && t->place == &w->receiver;
    if (w->active == t && (parked || outcome != TASK_WAITING))
        w->active = NULL;
    if (outcome == TASK_FAILED)
        on_failure(w, t);
    ws_pump(w);
    if (outcome != TASK_WAITING)
        ws_unref(w);
}

/* --- messages --------------------------------------------------------------------------------- */

/* vm->incoming is only set while its event lasts: the body takes it before it can wait. */
int ws_push_incoming(lua_State *L, struct vm *vm)
{
    lua_pushlstring(L, (const char *)vm->incoming.data, vm->incoming.len);
    lua_pushstring(L, vm->incoming.kind == FRAME_TEXT ? "text" : "binary");
    vm->incoming.data = NULL;
    return 2;
}

/* handler.message(ws, data, kind) */
static int message_body(lua_State *L)
{
    struct ws *w = ws_of_task(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ws_binding(w)->callbacks[CB_MESSAGE]);
    ws_push(L, w);
    ws_push_incoming(L, w->vm);
    return ws_call_handler(L, 3);
}

static bool is_handler_of(const struct task *t, const struct ws *w)
{
    return t->after == after_step && t->owner == w;
}

/* From here on it is the connection's active handler again. */
static void wake_receiver(struct ws *w)
{
    struct task *t = w->receiver;
    if (is_handler_of(t, w))
        w->active = t;
    w->receive_due = false;
    task_resume(t);
}

/* To whoever waits in receive, else to `message`. vm->incoming is the message. false: it is to be
 * kept, since the coroutine that waited without a handler had been closed. */
static bool dispatch_message(struct ws *w)
{
    if (w->receiver) {
        wake_receiver(w);
    } else if (binding_has(ws_binding(w), CB_MESSAGE)) {
        ws_run(w, "message", message_body);
    }
    bool taken = !w->vm->incoming.data;
    w->vm->incoming.data = NULL;
    return taken || !w->pull || w->told_to_close;
}

struct message *ws_inbox_shift(struct ws *w)
{
    struct message *m = w->inbox.head;
    w->inbox.head = m->next;
    if (!w->inbox.head)
        w->inbox.tail = &w->inbox.head;
    w->inbox.count--;
    w->inbox.bytes -= m->len;
    if (w->paused && w->conn && w->inbox.count <= INBOX_COUNT_MAX / 2 &&
        w->inbox.bytes <= INBOX_BYTES_MAX / 2) {
        w->paused = false;
        conn_resume(w->conn, CONN_PAUSE_QUEUE);
    }
    return m;
}

/* Once we have sent a Close, messages that wait are discarded, as those are that come after it. */
static void discard_inbox(struct ws *w)
{
    while (w->inbox.head)
        free(ws_inbox_shift(w));
}

void ws_close(struct ws *w, uint16_t code, struct slice reason)
{
    conn_close(w->conn, code, reason);
    discard_inbox(w);
}

enum conn_sent ws_sent(struct ws *w, enum conn_sent sent)
{
    if (sent == CONN_OVERFLOW)
        discard_inbox(w);
    return sent;
}

static void inbox_unshift(struct ws *w, struct message *m)
{
    m->next = w->inbox.head;
    if (!m->next)
        w->inbox.tail = &m->next;
    w->inbox.head = m;
    w->inbox.count++;
    w->inbox.bytes += m->len;
}

static void inbox_push(struct ws *w, enum frame_opcode kind, const unsigned char *data, size_t n)
{
    struct message *m = malloc(sizeof *m + n);
    if (!m) {
        conn_close(w->conn, 1011, slice_of("out of memory"));
        return;
    }
    m->next = NULL;
    m->kind = kind;
    m->len = n;
    memcpy(m->data, data, n);
    *w->inbox.tail = m;
    w->inbox.tail = &m->next;
    w->inbox.count++;
    w->inbox.bytes += n;
    if (w->inbox.count >= INBOX_COUNT_MAX || w->inbox.bytes >= INBOX_BYTES_MAX) {
        w->paused = true;
        conn_pause(w->conn, CONN_PAUSE_QUEUE);
    }
}

/* Without a handler, what nobody asks for yet is kept for the next receive. */
static bool is_wanted(const struct ws *w)
{
    return !w->pull || w->receiver;
}

/* May its handlers be called without further ado? */
static bool is_settled(const struct ws *w)
{
    return !w->vm->hold.on && ws_binding(w)->serial == w->seen;
}

static void on_message(struct conn *c, enum frame_opcode kind, const unsigned char *data, size_t n)
{
    struct ws *w = conn_owner(c);
    if (w->vm->ended)
        return;
    if (w->active || w->inbox.head || !is_wanted(w) || !is_settled(w)) {
        w->vm->hold.count += !list_empty(&w->held.node); /* the first one is counted by hold_add */
        inbox_push(w, kind, data, n);
        ws_pump(w); /* a guest may be waiting for it */
        return;
    }
    w->pumping = true;
    w->vm->incoming = (struct incoming){data, n, kind};
    ws_ref(w);
    if (!dispatch_message(w))
        inbox_push(w, kind, data, n);
    w->pumping = false;
    ws_pump(w);
    ws_unref(w);
}

static void dispatch_queued(struct ws *w)
{
    struct message *m = ws_inbox_shift(w);
    w->vm->incoming = (struct incoming){m->data, m->len, m->kind};
    if (dispatch_message(w))
        free(m);
    else
        inbox_unshift(w, m);
}

/* --- drain and close -------------------------------------------------------------------------- */

/* handler.drain(ws) */
static int drain_body(lua_State *L)
{
    struct ws *w = ws_of_task(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ws_binding(w)->callbacks[CB_DRAIN]);
    ws_push(L, w);
    return ws_call_handler(L, 1);
}

/* handler.close(ws, code, reason, clean) */
static int close_body(lua_State *L)
{
    struct ws *w = ws_of_task(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ws_binding(w)->callbacks[CB_CLOSE]);
    ws_push(L, w);
    lua_pushinteger(L, w->end.code);
    lua_pushlstring(L, w->end.reason ? w->end.reason : "", w->end.len);
    lua_pushboolean(L, w->end.clean);
    return ws_call_handler(L, 4);
}

static void on_drain(struct conn *c)
{
    struct ws *w = conn_owner(c);
    w->drain_due = binding_has(ws_binding(w), CB_DRAIN);
    ws_pump(w);
}

static void on_peer_close(struct conn *c)
{
    struct ws *w = conn_owner(c);
    w->peer_close = true;
    ws_pump(w);
}

static void on_closed(struct conn *c, unsigned code, struct slice reason, bool clean)
{
    struct ws *w = conn_owner(c);
    if (!w) /* of a client, when there was no memory for it */
        return;
    w->closed = true;
    w->end.code = (uint16_t)code;
    w->end.clean = clean;
    w->end.reason = malloc(reason.len + 1);
    w->end.len = w->end.reason ? (uint8_t)reason.len : 0;
    if (w->end.len)
        memcpy(w->end.reason, reason.ptr, reason.len);
    topics_leave(w->vm->topics, &w->subscriber);
    ws_timers_cancel(w);
}

static void on_gone(struct conn *c)
{
    struct ws *w = conn_owner(c);
    if (!w)
        return;
    w->gone = true;
    ws_pump(w);
}

/* --- what is due ------------------------------------------------------------------------------ */

/* The end, once all that came before it is done. */
static bool pump_end(struct ws *w)
{
    if ((!w->peer_close && !w->closed) || w->inbox.head)
        return false;
    conn_reply_close(w->conn);
    if (w->receiver) {
        wake_receiver(w);
        return true;
    }
    if (!w->closed)
        return false;
    if (w->close_told)
        return client_tell_end(w);
    w->close_told = true;
    if (binding_has(ws_binding(w), CB_CLOSE))
        ws_run(w, "close", close_body);
    return true;
}

/* There is one. What it waits for goes to it before anything else. */
static bool serve_receiver(struct ws *w)
{
    if (w->inbox.head)
        dispatch_queued(w);
    else if (w->receive_due || w->peer_close || w->closed)
        wake_receiver(w);
    else
        return false;
    return true;
}

/* A task that waits in receive without being a handler of this connection, such as a spawned one,
 * need not wait for the handler that is active: that one may wait for it. */
static bool serve_guest(struct ws *w)
{
    return w->receiver && !is_handler_of(w->receiver, w) && serve_receiver(w);
}

/* During a barrier no handler is begun, but one that waits for a message itself gets it. */
static bool pump_held(struct ws *w)
{
    if (w->receiver && !w->receiver->parked) {
        if ((w->peer_close || w->closed) && !w->inbox.head)
            conn_reply_close(w->conn);
        return serve_receiver(w);
    }
    hold_add(w->vm, &w->held);
    return false;
}

static bool pump_one(struct ws *w)
{
    if (!w->conn)
        return false;
    if (w->active)
        return serve_guest(w);
    if (w->vm->hold.on)
        return pump_held(w);
    const struct binding *b = ws_binding(w);
    if (b->serial != w->seen)
        return ws_follow(w, b);
    if (w->begin_due) {
        w->begin_due = false;
        ws_begin(w);
        return true;
    }
    if (ws_follow_run(w, b) || ws_timer_run_due(w))
        return true;
    if (w->drain_due && !w->closed) {
        w->drain_due = false;
        ws_run(w, "drain", drain_body);
        return true;
    }
    if (w->inbox.head && is_wanted(w)) {
        dispatch_queued(w);
        return true;
    }
    if (w->receiver && w->receive_due) {
        wake_receiver(w);
        return true;
    }
    return pump_end(w);
}

/* Its end is still to be told, when a barrier is over, or another generation has come. */
static bool waits(const struct ws *w)
{
    bool told = w->close_told && w->ended == LUA_NOREF;
    return w->opened && !w->pull && !told && (w->vm->hold.on || (w->failed && !w->vm->stop));
}

void ws_pump(struct ws *w)
{
    if (w->pumping)
        return;
    w->pumping = true;
    ws_ref(w);
    if (w->vm->ended && w->conn) /* no handler runs any more; the peer still gets its answer */
        conn_reply_close(w->conn);
    while (!w->vm->ended && pump_one(w))
        ;
    w->pumping = false;
    if (w->gone && !w->active && !w->receiver && !waits(w))
        ws_release(w);
    ws_unref(w);
}

const struct conn_events *ws_events(void)
{
    static const struct conn_events events = {
        .request = ws_on_request,
        .message = on_message,
        .peer_close = on_peer_close,
        .drain = on_drain,
        .closed = on_closed,
        .gone = on_gone,
        .refused = ws_on_refused,
    };
    return &events;
}
