/* From events of net to calls of handlers.
 *
 * For one connection, one handler is active at a time. What happens meanwhile waits: messages in
 * the inbox, everything else as a flag of struct ws. ws_pump calls what is due as soon as no
 * handler is active, messages in their order, the close last. A handler that is suspended in
 * receive is not active: the next message is its own, and timers may run. */
#include "bind/request.h"
#include "bind/task.h"
#include "bind/ws.h"
#include "wire/handshake.h"
#include "wire/uri.h"

#include <stdlib.h>
#include <string.h>

/* --- tasks of a connection -------------------------------------------------------------------- */

static int finished(lua_State *L, int status, lua_KContext context)
{
    (void)L;
    (void)status;
    (void)context;
    return 0;
}

/* Calls a handler that may await: with a continuation, since Lua cannot yield across a call that
 * has none. Ends the body it is returned from. */
int ws_call_handler(lua_State *L, int args)
{
    lua_callk(L, args, 0, 0, finished);
    return 0;
}

static void after_step(struct task *t, enum task_outcome outcome);

void ws_run(struct ws *w, const char *what, lua_CFunction body)
{
    struct task *t = task_new(w->vm, what);
    if (!t) {
        conn_abort(w->conn);
        return;
    }
    t->owner = w;
    t->after = after_step;
    w->active = t;
    ws_ref(w);
    task_run(t, body);
}

/* ws_run's bodies find their connection here. */
static struct ws *owner_of(lua_State *L)
{
    return vm_of(L)->current->owner;
}

/* handler.error(ws, err, traceback): at 1 and 2 are the error and the traceback */
static int error_body(lua_State *L)
{
    struct ws *w = owner_of(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, w->slot->callbacks[CB_ERROR]);
    ws_push(L, w);
    lua_rotate(L, 1, 2);
    return ws_call_handler(L, 3);
}

static void report(struct ws *w, struct task *t)
{
    char where[256];
    snprintf(where, sizeof where, "%s of %s", t->what, w->slot->pattern);
    vm_report(t->co, where, 1, 2);
}

/* A handler has raised: the app's own `error` decides, or the connection is closed. */
static void on_failure(struct ws *w, struct task *t)
{
    static const struct slice body = {"internal error\n", 15}, reason = {"internal error", 14};
    bool handles = slot_has(w->slot, CB_ERROR) && strcmp(t->what, "error") != 0 && !w->gone &&
                   conn_state(w->conn) != CONN_CONNECTING;
    struct task *e = handles ? task_new(w->vm, "error") : NULL;
    if (e) {
        e->owner = w;
        e->after = after_step;
        w->active = e;
        ws_ref(w);
        task_run_with(e, error_body, t->co, 2);
        return;
    }
    report(w, t);
    if (!w->conn)
        return;
    conn_respond(w->conn, 500, slice_of(""), body); /* when it was still the handshake */
    conn_close(w->conn, 1011, reason);
}

static void after_step(struct task *t, enum task_outcome outcome)
{
    struct ws *w = t->owner;
    bool parked = outcome == TASK_WAITING && t->place == &w->receiver;
    if (w->active == t && (parked || outcome != TASK_WAITING))
        w->active = NULL;
    if (outcome == TASK_FAILED)
        on_failure(w, t);
    ws_pump(w);
    if (outcome != TASK_WAITING)
        ws_unref(w);
}

/* --- the handshake and the first handlers ----------------------------------------------------- */

static int run_ended(lua_State *L, int status, lua_KContext context)
{
    struct ws *w = owner_of(L);
    (void)status;
    (void)context;
    if (w->conn)
        conn_close(w->conn, 1000, slice_of(""));
    return 0;
}

/* handler.run(ws): the connection lasts as long as it does */
static int call_run(lua_State *L, int status, lua_KContext context)
{
    struct ws *w = owner_of(L);
    if (!slot_has(w->slot, CB_RUN))
        return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, w->slot->callbacks[CB_RUN]);
    ws_push(L, w);
    lua_callk(L, 1, 0, context, run_ended);
    return run_ended(L, status, context);
}

/* handler.open(ws) */
static int open_body(lua_State *L)
{
    struct ws *w = owner_of(L);
    if (slot_has(w->slot, CB_OPEN)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, w->slot->callbacks[CB_OPEN]);
        ws_push(L, w);
        lua_callk(L, 1, 0, 0, call_run);
    }
    return call_run(L, LUA_OK, 0);
}

static bool accept_upgrade(struct ws *w)
{
    return conn_upgrade(w->conn, w->protocol, slice_of(""), &w->slot->limits);
}

/* What handler.upgrade(req) returned is on top: nil or true accepts, a table becomes ws.state. */
static int after_upgrade(lua_State *L, int status, lua_KContext context)
{
    struct ws *w = owner_of(L);
    (void)status;
    (void)context;
    bool plain = lua_isnil(L, -1) || (lua_isboolean(L, -1) && lua_toboolean(L, -1));
    if (w->gone || !conn_awaits_answer(w->conn))
        return 0;
    if (!plain && !lua_istable(L, -1))
        return luaL_error(L,
                          "upgrade returned a %s; return nil to accept, a table that becomes "
                          "ws.state, or tidewire.refuse(status, body)",
                          luaL_typename(L, -1));
    if (!accept_upgrade(w))
        return 0;
    if (!plain) {
        ws_push(L, w);
        lua_insert(L, -2);
        lua_setfield(L, -2, "state");
    }
    lua_settop(L, 0);
    return open_body(L);
}

/* handler.upgrade(req) */
static int upgrade_body(lua_State *L)
{
    struct ws *w = owner_of(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, w->slot->callbacks[CB_UPGRADE]);
    request_push(L, w->conn, w->slot, w->protocol, true);
    lua_callk(L, 1, 1, 0, after_upgrade);
    return after_upgrade(L, LUA_OK, 0);
}

static void begin(struct ws *w)
{
    if (slot_has(w->slot, CB_UPGRADE)) {
        ws_run(w, "upgrade", upgrade_body);
        return;
    }
    if (!accept_upgrade(w))
        return;
    if (slot_has(w->slot, CB_OPEN) || slot_has(w->slot, CB_RUN))
        ws_run(w, slot_has(w->slot, CB_OPEN) ? "open" : "run", open_body);
}

static bool is_listed(const struct names *names, struct slice s)
{
    for (size_t i = 0; i < names->count; i++)
        if (slice_equal(names->list[i], s))
            return true;
    return false;
}

static bool origin_allowed(const struct slot *s, const struct http_head *head, bool secure)
{
    const struct http_header *origin = http_find(head, "Origin");
    switch (s->origin_rule) {
    case ORIGIN_ANY:
        return true;
    case ORIGIN_LISTED:
        return !origin ||
               (http_count(head, "Origin") == 1 && is_listed(&s->origins, origin->value));
    default:
        return handshake_origin_is_same(head, secure);
    }
}

#define TEXT "Content-Type: text/plain; charset=utf-8\r\n"

static void refuse(struct conn *c, unsigned status, const char *fields, const char *text)
{
    conn_respond(c, status, slice_of(fields), slice_of(text));
}

static void on_handshake(struct vm *vm, struct conn *c, const struct http_head *head,
                         struct slot *slot)
{
    if (slot->handler == LUA_NOREF) {
        refuse(c, 404, TEXT, "this path is no WebSocket endpoint\n");
        return;
    }
    if (!origin_allowed(slot, head, conn_is_secure(c))) {
        refuse(c, 403, TEXT, "this origin is not allowed; see the route's `origins`\n");
        return;
    }
    struct ws *w = ws_new(vm, c, slot);
    if (!w) {
        conn_abort(c);
        return;
    }
    if (!handshake_choose_protocol(head, slot->protocols.list, slot->protocols.count, &w->protocol))
        w->protocol = (struct slice){"", 0};
    conn_set_owner(c, w);
    w->pumping = true;
    begin(w);
    w->pumping = false;
    ws_pump(w);
}

static struct vm *vm_of_conn(const struct conn *c)
{
    return conn_set_context(conn_get_set(c));
}

static void on_request(struct conn *c, const struct http_head *head, bool upgrade,
                       struct slice body)
{
    struct vm *vm = vm_of_conn(c);
    struct route_match match;
    struct buf path = {0};
    struct uri target;
    int error = uri_parse_target(head->target, &target);
    if (!error)
        error = uri_canonical_path(target.path, &path);
    if (error) {
        refuse(c, 400, TEXT, uri_error_text(error));
    } else if (!route_find(vm->app->routes, (struct slice){(char *)path.data, path.len}, &match)) {
        refuse(c, 404, TEXT, "not found\n");
    } else {
        struct slot *slot = match.target;
        if (upgrade)
            on_handshake(vm, c, head, slot);
        else if (slot->serve == LUA_NOREF)
            refuse(c, 426, "Upgrade: websocket\r\nConnection: Upgrade\r\n" TEXT,
                   "this path is a WebSocket endpoint\n");
        else
            request_serve(vm, c, slot, body);
    }
    buf_free(&path);
}

/* --- messages --------------------------------------------------------------------------------- */

/* vm->incoming is only set while its event lasts: the body takes it before it can wait. */
static int push_incoming(lua_State *L, struct vm *vm)
{
    lua_pushlstring(L, (const char *)vm->incoming.data, vm->incoming.len);
    lua_pushstring(L, vm->incoming.kind == FRAME_TEXT ? "text" : "binary");
    vm->incoming.data = NULL;
    return 2;
}

/* handler.message(ws, data, kind) */
static int message_body(lua_State *L)
{
    struct ws *w = owner_of(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, w->slot->callbacks[CB_MESSAGE]);
    ws_push(L, w);
    push_incoming(L, w->vm);
    return ws_call_handler(L, 3);
}

static void wake_receiver(struct ws *w)
{
    struct task *t = w->receiver;
    if (t->after == after_step && t->owner == w)
        w->active = t;
    task_resume(t);
}

/* To whoever waits in receive, else to `message`. vm->incoming is the message. */
static void dispatch_message(struct ws *w)
{
    if (w->receiver) {
        wake_receiver(w);
    } else if (slot_has(w->slot, CB_MESSAGE)) {
        ws_run(w, "message", message_body);
    }
    w->vm->incoming.data = NULL;
}

static struct message *inbox_shift(struct ws *w)
{
    struct message *m = w->inbox.head;
    w->inbox.head = m->next;
    if (!w->inbox.head)
        w->inbox.tail = &w->inbox.head;
    w->inbox.count--;
    w->inbox.bytes -= m->len;
    if (w->paused && w->inbox.count <= INBOX_COUNT_MAX / 2 &&
        w->inbox.bytes <= INBOX_BYTES_MAX / 2) {
        w->paused = false;
        conn_resume(w->conn, CONN_PAUSE_QUEUE);
    }
    return m;
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

static void on_message(struct conn *c, enum frame_opcode kind, const unsigned char *data, size_t n)
{
    struct ws *w = conn_owner(c);
    if (w->active || w->inbox.head) {
        inbox_push(w, kind, data, n);
        return;
    }
    w->pumping = true;
    w->vm->incoming = (struct incoming){data, n, kind};
    ws_ref(w);
    dispatch_message(w);
    w->pumping = false;
    ws_pump(w);
    ws_unref(w);
}

static void dispatch_queued(struct ws *w)
{
    struct message *m = inbox_shift(w);
    w->vm->incoming = (struct incoming){m->data, m->len, m->kind};
    dispatch_message(w);
    free(m);
}

/* --- receive ---------------------------------------------------------------------------------- */

static int push_queued(lua_State *L, struct ws *w)
{
    struct message *m = w->inbox.head;
    /* pushed before it is taken out: when memory is short, it is not lost */
    lua_pushlstring(L, (const char *)m->data, m->len);
    lua_pushstring(L, m->kind == FRAME_TEXT ? "text" : "binary");
    free(inbox_shift(w));
    return 2;
}

static bool at_end(const struct ws *w)
{
    return !w->conn || w->closed || w->peer_close || conn_state(w->conn) != CONN_OPEN;
}

static int push_nothing(lua_State *L, const char *why)
{
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

static int received(lua_State *L, int status, lua_KContext context)
{
    struct ws *w = (struct ws *)context;
    struct vm *vm = vm_of(L);
    (void)status;
    if (vm->incoming.data)
        return push_incoming(L, vm);
    return push_nothing(L, at_end(w) ? "closed" : "timeout");
}

/* ws:receive([seconds]): data, kind; or nil, "timeout" | "closed" */
int ws_receive(lua_State *L)
{
    struct ws *w = ws_check(L, 1);
    bool bounded = !lua_isnoneornil(L, 2);
    uint64_t ms = bounded ? vm_check_seconds(L, 2) : 0;
    if (w->receiver)
        return luaL_error(L, "another coroutine is waiting in receive on this connection");
    if (w->inbox.head)
        return push_queued(L, w);
    if (at_end(w)) {
        if (w->conn)
            conn_reply_close(w->conn);
        return push_nothing(L, "closed");
    }
    if (bounded)
        task_await_timeout(L, ms, task_resume);
    return task_await(L, &w->receiver, (lua_KContext)w, received);
}

static int messages_ended(lua_State *L, int status, lua_KContext context)
{
    int n = received(L, status, context);
    return lua_isnil(L, -n) ? 1 : n;
}

static int next_message(lua_State *L)
{
    struct ws *w = ws_check(L, 1);
    lua_settop(L, 1);
    if (w->receiver)
        return luaL_error(L, "another coroutine is waiting in receive on this connection");
    if (w->inbox.head)
        return push_queued(L, w);
    if (at_end(w)) {
        if (w->conn)
            conn_reply_close(w->conn);
        lua_pushnil(L);
        return 1;
    }
    return task_await(L, &w->receiver, (lua_KContext)w, messages_ended);
}

/* for data, kind in ws:messages() do ... end: ends with the connection */
int ws_messages(lua_State *L)
{
    ws_check(L, 1);
    lua_settop(L, 1);
    lua_pushcfunction(L, next_message);
    lua_insert(L, 1);
    return 2;
}

/* --- drain and close -------------------------------------------------------------------------- */

/* handler.drain(ws) */
static int drain_body(lua_State *L)
{
    struct ws *w = owner_of(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, w->slot->callbacks[CB_DRAIN]);
    ws_push(L, w);
    return ws_call_handler(L, 1);
}

/* handler.close(ws, code, reason, clean) */
static int close_body(lua_State *L)
{
    struct ws *w = owner_of(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, w->slot->callbacks[CB_CLOSE]);
    ws_push(L, w);
    lua_pushinteger(L, w->end.code);
    lua_pushlstring(L, w->end.reason ? w->end.reason : "", w->end.len);
    lua_pushboolean(L, w->end.clean);
    return ws_call_handler(L, 4);
}

static void on_drain(struct conn *c)
{
    struct ws *w = conn_owner(c);
    w->drain_due = slot_has(w->slot, CB_DRAIN);
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
    if (!w->peer_close && !w->closed)
        return false;
    conn_reply_close(w->conn);
    if (w->receiver) {
        wake_receiver(w);
        return true;
    }
    if (!w->closed || w->close_told)
        return false;
    w->close_told = true;
    if (slot_has(w->slot, CB_CLOSE))
        ws_run(w, "close", close_body);
    return true;
}

static bool pump_one(struct ws *w)
{
    if (w->active || !w->conn)
        return false;
    if (ws_timer_run_due(w))
        return true;
    if (w->drain_due && !w->closed) {
        w->drain_due = false;
        ws_run(w, "drain", drain_body);
        return true;
    }
    if (w->inbox.head) {
        dispatch_queued(w);
        return true;
    }
    return pump_end(w);
}

void ws_pump(struct ws *w)
{
    if (w->pumping)
        return;
    w->pumping = true;
    ws_ref(w);
    while (pump_one(w))
        ;
    w->pumping = false;
    if (w->gone && !w->active && !w->receiver)
        ws_release(w);
    ws_unref(w);
}

const struct conn_events *ws_events(void)
{
    static const struct conn_events events = {
        .request = on_request,
        .message = on_message,
        .peer_close = on_peer_close,
        .drain = on_drain,
        .closed = on_closed,
        .gone = on_gone,
    };
    return &events;
}
