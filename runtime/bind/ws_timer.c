/* ws:every and ws:after: timers of one connection, run in turn with its other handlers. */
#include "bind/generation.h"
#include "bind/task.h"
#include "bind/ws.h"

#include <stdlib.h>

#define TIMER "tidewire.ws.timer"

/* Owned by the connection while it is set, and by the Lua handle, if there is one. */
struct ws_timer {
    struct list node; /* in ws->timers */
    struct timer timer;
    struct pin pin;  /* of a function, not of a name */
    struct ws *ws;   /* NULL: cancelled, or the connection has ended */
    uint64_t repeat; /* ms; 0: once */
    int what;        /* registry reference of a function or of a handler's name */
    bool due;
    unsigned refs;
};

static void timer_unref(struct ws_timer *t)
{
    if (--t->refs == 0)
        free(t);
}

static void cancel(struct ws_timer *t)
{
    struct ws *w = t->ws;
    if (!w)
        return;
    t->ws = NULL;
    pin_remove(&t->pin);
    loop_timer_cancel(w->vm->loop, &t->timer);
    luaL_unref(w->vm->L, LUA_REGISTRYINDEX, t->what);
    list_remove(&t->node);
    timer_unref(t);
}

void ws_timers_cancel(struct ws *w)
{
    while (!list_empty(&w->timers))
        cancel(list_entry(w->timers.next, struct ws_timer, node));
}

static void push_pinned(lua_State *L, struct pin *pin)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, list_entry(pin, struct ws_timer, pin)->what);
}

static void drop(struct pin *pin)
{
    cancel(list_entry(pin, struct ws_timer, pin));
}

static void on_fire(struct timer *timer)
{
    struct ws_timer *t = list_entry(timer, struct ws_timer, timer);
    t->due = true;
    ws_pump(t->ws);
}

static struct ws_timer *due_timer(struct ws *w)
{
    for (struct list *node = w->timers.next; node != &w->timers; node = node->next) {
        struct ws_timer *t = list_entry(node, struct ws_timer, node);
        if (t->due)
            return t;
    }
    return NULL;
}

/* The function to call, on top of the stack: a name is looked up now, so that it is new code that
 * runs after a reload. */
static void push_function(lua_State *L, const struct ws *w, int what)
{
    if (lua_rawgeti(L, LUA_REGISTRYINDEX, what) == LUA_TFUNCTION)
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, ws_binding(w)->handler);
    lua_pushvalue(L, -2);
    if (lua_gettable(L, -2) != LUA_TFUNCTION)
        luaL_error(L, "timer: the handler has no function \"%s\"", lua_tostring(L, -3));
}

static int timer_body(lua_State *L)
{
    struct ws *w = ws_of_task(L);
    struct ws_timer *t = w->firing;
    int what = t->what;
    if (t->repeat)
        loop_timer_set(w->vm->loop, &t->timer, t->repeat);
    push_function(L, w, what);
    ws_push(L, w);
    if (!t->repeat)
        cancel(t);
    return ws_call_handler(L, 1);
}

bool ws_timer_run_due(struct ws *w)
{
    struct ws_timer *t = list_empty(&w->timers) ? NULL : due_timer(w);
    if (!t)
        return false;
    t->due = false;
    w->firing = t;
    struct generation *g = t->pin.generation;
    ws_run_as(w, g ? g : ws_binding(w)->generation, t->repeat ? "every" : "after", timer_body);
    return true;
}

/* --- Lua -------------------------------------------------------------------------------------- */

/* timer:cancel(): harmless when it has fired or was cancelled */
static int l_cancel(lua_State *L)
{
    struct ws_timer **self = luaL_checkudata(L, 1, TIMER);
    if (*self)
        cancel(*self);
    return 0;
}

static int timer_gc(lua_State *L)
{
    struct ws_timer **self = luaL_checkudata(L, 1, TIMER);
    if (*self)
        timer_unref(*self);
    *self = NULL;
    return 0;
}

static int timer_tostring(lua_State *L)
{
    struct ws_timer **self = luaL_checkudata(L, 1, TIMER);
    lua_pushfstring(L, "timer (%s)", *self && (*self)->ws ? "set" : "ended");
    return 1;
}

/* A name that the handler has not is an error now, not when it fires. */
static void check_what(lua_State *L, const struct ws *w, int arg, bool name_only)
{
    if (!name_only && lua_isfunction(L, arg))
        return;
    if (lua_type(L, arg) != LUA_TSTRING)
        luaL_typeerror(L, arg,
                       name_only ? "the name of a function of the handler"
                                 : "function or the name of a function of the handler");
    if (ws_binding(w)->handler == LUA_NOREF)
        luaL_argerror(L, arg, "this connection has no handler with functions to name");
    lua_rawgeti(L, LUA_REGISTRYINDEX, ws_binding(w)->handler);
    lua_pushvalue(L, arg);
    if (lua_gettable(L, -2) != LUA_TFUNCTION)
        luaL_argerror(
            L, arg, lua_pushfstring(L, "the handler has no function \"%s\"", lua_tostring(L, arg)));
    lua_pop(L, 2);
}

static int start(lua_State *L, bool repeat)
{
    struct ws *w = ws_check(L, 1);
    uint64_t ms = vm_check_seconds(L, 2);
    luaL_argcheck(L, !repeat || ms > 0, 2, "an interval above 0 expected");
    if (!w->conn || w->closed) { /* a client's handler is forgotten by then */
        lua_pushnil(L);
        lua_pushliteral(L, "closed");
        return 2;
    }
    check_what(L, w, 3, repeat);
    ws_hold(L, 1, w);
    struct ws_timer **self = lua_newuserdatauv(L, sizeof *self, 0);
    *self = NULL;
    luaL_setmetatable(L, TIMER);
    lua_pushvalue(L, 3);
    int what = luaL_ref(L, LUA_REGISTRYINDEX);
    struct ws_timer *t = calloc(1, sizeof *t);
    if (!t) {
        luaL_unref(L, LUA_REGISTRYINDEX, what);
        return luaL_error(L, "out of memory");
    }
    *t = (struct ws_timer){.ws = w, .repeat = repeat ? ms : 0, .what = what, .refs = 2};
    t->timer.fire = on_fire;
    t->pin.what = "after";
    t->pin.push = push_pinned;
    t->pin.drop = drop;
    pin_add(&t->pin, lua_isfunction(L, 3) ? generation_current(w->vm) : NULL);
    list_push(&w->timers, &t->node);
    loop_timer_set(w->vm->loop, &t->timer, ms);
    *self = t;
    return 1;
}

/* ws:every(seconds, "name"): calls handler.name(ws) until the connection ends */
int ws_every(lua_State *L)
{
    return start(L, true);
}

/* ws:after(seconds, "name" or function): calls it once with ws */
int ws_after(lua_State *L)
{
    return start(L, false);
}

void ws_timer_open(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__gc", timer_gc}, {"__tostring", timer_tostring}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"cancel", l_cancel}, {NULL, NULL}};
    static const luaL_Reg getters[] = {{NULL, NULL}};
    vm_new_type(L, TIMER, meta, methods, getters);
}
