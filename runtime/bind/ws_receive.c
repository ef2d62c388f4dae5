/* ws:receive and ws:messages: a handler asks for the next message itself. */
#include "bind/generation.h"
#include "bind/task.h"
#include "bind/ws.h"

#include <stdlib.h>

/* A loop that receives is one call for ever: each message counts as one. */
static void count(const struct vm *vm)
{
    struct generation *g = generation_current(vm);
    if (g)
        g->handled++;
}

static int push_queued(lua_State *L, struct ws *w)
{
    struct message *m = w->inbox.head;
    count(w->vm);
    /* pushed before it is taken out: when memory is short, it is not lost */
    lua_pushlstring(L, (const char *)m->data, m->len);
    lua_pushstring(L, m->kind == FRAME_TEXT ? "text" : "binary");
    free(ws_inbox_shift(w));
    return 2;
}

static bool at_end(const struct ws *w)
{
    return !w->conn || w->closed || w->peer_close || conn_state(w->conn) != CONN_OPEN;
}

static int push_timeout(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "timeout");
    return 2;
}

/* With code and reason as `close` gets them: known once the peer's Close came, or after the end. */
static int push_closed(lua_State *L, const struct ws *w)
{
    struct slice reason = {w->end.reason ? w->end.reason : "", w->end.len};
    unsigned code = w->end.code;
    if (!w->closed)
        code = w->conn ? conn_peer_closed(w->conn, &reason) : 0;
    lua_pushnil(L);
    lua_pushliteral(L, "closed");
    if (!code)
        return 2;
    lua_pushinteger(L, (lua_Integer)code);
    lua_pushlstring(L, reason.ptr, reason.len);
    return 4;
}

static int received(lua_State *L, int status, lua_KContext context)
{
    struct ws *w = ws_check(L, 1); /* as it was called: the stack keeps it alive */
    struct vm *vm = vm_of(L);
    (void)status;
    (void)context;
    if (vm->incoming.data) {
        count(vm);
        return ws_push_incoming(L, vm);
    }
    return at_end(w) ? push_closed(L, w) : push_timeout(L);
}

static void receive_timed_out(struct task *t)
{
    struct ws *w = list_entry(t->place, struct ws, receiver);
    w->receive_due = true;
    ws_pump(w);
}

/* ws:receive([seconds]): data, kind; or nil, "timeout"; or nil, "closed" [, code, reason] */
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
        return push_closed(L, w);
    }
    w->receive_due = false;
    if (bounded)
        task_await_timeout(L, ms, receive_timed_out);
    return task_await(L, &w->receiver, 0, received);
}

/* Where the coroutine of handler.run waits here, it can be closed, and `run` begun anew in another
 * generation. For that nothing may lie between: no coroutine of the app's own. */
static bool may_restart(lua_State *L, const struct ws *w)
{
    const struct task *t = vm_of(L)->current;
    return t && t->reloadable && t->co == L && t->generation && ws_of_handler(t) == w &&
           !w->receiver && lua_isyieldable(L);
}

/* A message that waits is for the code that serves now, and during a barrier for what comes then.
 */
static bool must_wait(const struct ws *w)
{
    bool elsewhere = w->vm->hold.on || ws_is_stale(w, w->vm->current);
    return w->inbox.head ? elsewhere : !at_end(w);
}

/* One step of the loop: nil, with the reason behind it, ends it. Lua passes the data of the step
 * before as a second argument, which is no time-out. */
static int next_message(lua_State *L)
{
    struct ws *w = ws_check(L, 1);
    lua_settop(L, 1);
    if (!may_restart(L, w) || !must_wait(w))
        return ws_receive(L);
    struct task *t = w->vm->current;
    if (ws_is_stale(w, t))
        w->seen = 0; /* it is to follow, even if it has seen that code already */
    w->receive_due = false;
    t->parked = true;
    generation_park(t->generation, true);
    return task_await(L, &w->receiver, 0, received);
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
