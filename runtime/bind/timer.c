/* sleep, spawn, and the timers of the app: "tidewire.timer". */
#include "bind/core.h"
#include "bind/generation.h"
#include "bind/task.h"

#define TIMER "tidewire.timer"

/* --- time and tasks --------------------------------------------------------------------------- */

int timer_sleep(lua_State *L)
{
    uint64_t ms = vm_check_seconds(L, 1);
    vm_check_acting(L, "sleep");
    task_await_timeout(L, ms, task_resume);
    return task_await(L, NULL, 0, task_nothing);
}

/* The function at `first` and all above it, as a task of its own, at the end of the turn. */
int timer_spawn(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    vm_check_acting(L, "spawn");
    int args = lua_gettop(L) - 1;
    struct vm *vm = vm_of(L);
    struct task *t = task_new(vm, generation_current(vm), "spawn");
    if (!t || !lua_checkstack(t->co, args + 1))
        return luaL_error(L, "out of memory");
    lua_xmove(L, t->co, args + 1);
    task_run_later(t, args);
    return 0;
}

/* --- timers of the app ------------------------------------------------------------------------ */

/* Lives in the registry while it is set. */
struct app_timer {
    struct timer timer;
    struct pin pin;
    struct held held;
    bool holds; /* it waits for the end of a barrier */
    struct vm *vm;
    uint64_t repeat; /* ms; 0: once */
    int self;        /* registry reference of its userdata; LUA_NOREF: not set */
};

static void timer_end(struct app_timer *t)
{
    loop_timer_cancel(t->vm->loop, &t->timer);
    list_remove(&t->held.node);
    pin_remove(&t->pin);
    luaL_unref(t->vm->L, LUA_REGISTRYINDEX, t->self);
    t->self = LUA_NOREF;
}

static int timer_body(lua_State *L)
{
    struct app_timer *t = vm_of(L)->current->owner;
    vm_of(L)->current->owner = NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->self);
    lua_getiuservalue(L, -1, 1);
    if (t->repeat)
        loop_timer_set(t->vm->loop, &t->timer, t->repeat);
    else
        timer_end(t);
    lua_callk(L, 0, 0, 0, task_nothing);
    return 0;
}

static void on_timer(struct timer *timer)
{
    struct app_timer *t = list_entry(timer, struct app_timer, timer);
    if (t->vm->ended)
        return;
    if (t->vm->hold.on && t->holds) {
        hold_add(t->vm, &t->held);
        return;
    }
    struct task *task = task_new(t->vm, t->pin.generation, t->repeat ? "every" : "after");
    if (!task) {
        loop_timer_set(t->vm->loop, &t->timer, t->repeat ? t->repeat : 1000);
        return;
    }
    task->owner = t;
    task_run(task, timer_body);
}

static void go(struct held *h)
{
    on_timer(&list_entry(h, struct app_timer, held)->timer);
}

static void push_pinned(lua_State *L, struct pin *pin)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, list_entry(pin, struct app_timer, pin)->self);
    lua_getiuservalue(L, -1, 1);
    lua_remove(L, -2);
}

static void drop(struct pin *pin)
{
    timer_end(list_entry(pin, struct app_timer, pin));
}

/* after(s, fn [, holds]), every(s, fn [, holds]): those of the app wait while calls are held, and
 * those of the runtime that are to */
static int timer_start(lua_State *L, bool repeat)
{
    uint64_t ms = vm_check_seconds(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    luaL_argcheck(L, !repeat || ms > 0, 1, "an interval above 0 expected");
    vm_check_acting(L, repeat ? "every" : "after");
    bool holds = lua_toboolean(L, 3);
    struct vm *vm = vm_of(L);
    struct generation *g = generation_current(vm);
    struct app_timer *t = lua_newuserdatauv(L, sizeof *t, 1);
    *t = (struct app_timer){.vm = vm, .repeat = repeat ? ms : 0, .self = LUA_NOREF};
    t->timer.fire = on_timer;
    t->held.go = go;
    t->holds = holds || g;
    t->pin.what = repeat ? "every" : "after";
    t->pin.push = push_pinned;
    t->pin.drop = drop;
    list_init(&t->held.node);
    list_init(&t->pin.node);
    luaL_setmetatable(L, TIMER);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, -1);
    t->self = luaL_ref(L, LUA_REGISTRYINDEX);
    pin_add(&t->pin, g);
    loop_timer_set(t->vm->loop, &t->timer, ms);
    return 1;
}

int timer_after(lua_State *L)
{
    return timer_start(L, false);
}

int timer_every(lua_State *L)
{
    return timer_start(L, true);
}

static int timer_cancel(lua_State *L)
{
    struct app_timer *t = luaL_checkudata(L, 1, TIMER);
    timer_end(t);
    return 0;
}

static int timer_tostring(lua_State *L)
{
    const struct app_timer *t = luaL_checkudata(L, 1, TIMER);
    lua_pushfstring(L, "timer (%s)", t->self == LUA_NOREF ? "ended" : "set");
    return 1;
}

void timer_open(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__tostring", timer_tostring}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"cancel", timer_cancel}, {NULL, NULL}};
    static const luaL_Reg getters[] = {{NULL, NULL}};
    vm_new_type(L, TIMER, meta, methods, getters);
}
