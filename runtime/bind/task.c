#include "bind/task.h"
#include "bind/generation.h"
#include "bind/limited.h"

#include <stdio.h>
#include <stdlib.h>

#define IDLE_MAX 256 /* coroutines kept for reuse */

/* What an await yields, to be told from what the app yields itself: the address is the value. */
static const char AWAIT = 0;

/* Key of the registry for a message that is made beforehand: no string can be made unprotected. */
static const char STRAY_YIELD = 0;

/* --- pool ------------------------------------------------------------------------------------- */

static int new_thread(lua_State *L)
{
    struct task *t = lua_touserdata(L, 1);
    t->co = lua_newthread(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, t->co); /* anchored, and known as a task's: is_tasks_own */
    return 0;
}

static void on_timer(struct timer *timer)
{
    struct task *t = list_entry(timer, struct task, timer);
    t->timed_out(t);
}

static void on_start(struct deferred *d);

static struct task *make(struct vm *vm)
{
    struct task *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->vm = vm;
    list_init(&t->node);
    t->timer.fire = on_timer;
    deferred_init(&t->start, on_start);
    if (vm_protected(vm, new_thread, t))
        return t;
    free(t);
    return NULL;
}

struct task *task_new(struct vm *vm, struct generation *g, const char *what)
{
    struct list *node = list_pop(&vm->idle); /* the one that is still in the cache */
    struct task *t = node ? list_entry(node, struct task, node) : make(vm);
    if (!t) {
        log_error(vm->log, "out of memory: no task for %s", what);
        return NULL;
    }
    if (node)
        vm->idle_count--;
    list_push(&vm->tasks, &t->node);
    t->what = what;
    t->of = NULL;
    t->after = NULL;
    t->owner = NULL;
    t->generation = g;
    t->began = loop_now(vm->loop);
    t->timed = t->reloadable = false;
    t->counted = true;
    generation_enter(g);
    return t;
}

void task_change(struct task *t, struct generation *g)
{
    if (g == t->generation)
        return;
    generation_enter(g);
    generation_leave(t->generation);
    t->generation = g;
    generation_point(t->vm, g);
}

void task_place(const struct task *t, char text[TASK_PLACE])
{
    snprintf(text, TASK_PLACE, "%s%s%s", t->what, t->of ? " of " : "", t->of ? t->of : "");
}

static void end_wait(struct task *t)
{
    if (t->place)
        *t->place = NULL;
    t->place = NULL;
    if (t->parked)
        generation_park(t->generation, false);
    t->parked = false;
    loop_timer_cancel(t->vm->loop, &t->timer);
}

static void discard(struct task *t)
{
    end_wait(t);
    deferred_cancel(&t->start);
    list_remove(&t->node);
    lua_pushnil(t->vm->L);
    lua_rawsetp(t->vm->L, LUA_REGISTRYINDEX, t->co);
    free(t);
}

static void recycle(struct task *t)
{
    lua_settop(t->co, 0);
    end_wait(t);
    generation_leave(t->generation);
    t->generation = NULL;
    if (t->spoilt || t->vm->idle_count >= IDLE_MAX) {
        discard(t);
        return;
    }
    list_remove(&t->node);
    list_push(&t->vm->idle, &t->node);
    t->vm->idle_count++;
}

void task_free_all(struct vm *vm)
{
    while (!list_empty(&vm->tasks)) {
        struct task *t = list_entry(vm->tasks.next, struct task, node);
        end_wait(t);
        if (t->after)
            t->after(t, TASK_DROPPED);
        generation_leave(t->generation);
        discard(t);
    }
    while (!list_empty(&vm->idle))
        discard(list_entry(vm->idle.next, struct task, node));
}

/* --- running ---------------------------------------------------------------------------------- */

/* Does it wait within something like xpcall? */
static bool is_in_protected_call(lua_State *co)
{
    lua_Debug at;
    if (lua_status(co) != LUA_YIELD)
        return false;
    for (int level = 1; lua_getstack(co, level, &at); level++) {
        lua_getinfo(co, "S", &at);
        if (*at.what == 'C' && lua_getstack(co, level + 1, &at)) /* it is not the task's body */
            return true;
    }
    return false;
}

/* Ends the coroutine where it is: its variables are closed, by code of the task. Lua 5.4.4 does not
 * forget the message handler of a call that is cut off: it would call whatever lies at its place,
 * with the next task's error. */
static int reset(struct task *t)
{
    struct vm *vm = t->vm;
    struct task *outer = vm->current;
    t->spoilt = is_in_protected_call(t->co);
    vm->current = t;
    generation_point(vm, t->generation);
    int status = lua_resetthread(t->co);
    vm->current = outer;
    if (outer)
        generation_point(vm, outer->generation);
    return status;
}

/* On the main thread, protected: leaves error and traceback at 1 and 2 of the ended coroutine. */
static int explain(lua_State *L)
{
    struct task *t = lua_touserdata(L, 1);
    luaL_traceback(L, t->co, NULL, 0);
    if (t->vm->reports_locals) {
        limited_push_frames(L, t->co);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &vm_frames);
    }
    lua_xmove(t->co, L, 1); /* the error object: the top of a failed coroutine */
    reset(t);               /* which empties the stack */
    lua_settop(t->co, 0);
    lua_xmove(L, t->co, 1);
    lua_xmove(L, t->co, 1);
    return 0;
}

static void tell_failure(struct task *t)
{
    struct vm *vm = t->vm;
    struct generation *outer = vm->failing;
    vm->failing = t->generation;
    if (t->after)
        t->after(t, TASK_FAILED);
    else
        vm_report(t->co, t->what, 1, 2);
    vm->failing = outer;
    lua_pushnil(vm->L);
    lua_rawsetp(vm->L, LUA_REGISTRYINDEX, &vm_frames);
}

static void fail(struct task *t)
{
    char what[TASK_PLACE];
    snprintf(what, sizeof what, "%s", t->what); /* which may be a string of its stack */
    t->what = what;
    if (!vm_protected(t->vm, explain, t)) {
        reset(t);
        lua_settop(t->co, 0);
        lua_pushnil(t->co); /* there was not even the memory to tell it */
        lua_pushnil(t->co);
    }
    if (t->generation && t->counted) {
        t->generation->handled++;
        generation_failed(t->generation, false);
    }
    tell_failure(t);
    recycle(t);
}

/* The app yielded in a task's own coroutine: nobody would ever resume it. */
static void fail_stray_yield(struct task *t, int results)
{
    lua_pop(t->co, results);
    lua_rawgetp(t->co, LUA_REGISTRYINDEX, &STRAY_YIELD);
    fail(t);
}

bool task_is_await(lua_State *co, int results)
{
    return results == 1 && lua_touserdata(co, -1) == (void *)&AWAIT;
}

void task_time(struct task *t)
{
    t->timed = true;
    t->longest = 0;
}

uint64_t task_pause(const struct task *t)
{
    uint64_t now = t->step ? vm_clock() - t->step : 0;
    return now > t->longest ? now : t->longest;
}

static int resume(struct task *t, int args, int *results)
{
    struct vm *vm = t->vm;
    struct task *outer = vm->current;
    vm->current = t;
    generation_point(vm, t->generation);
    t->step = t->timed ? vm_clock() : 0;
    int status = lua_resume(t->co, NULL, args, results);
    if (t->timed)
        t->longest = task_pause(t);
    t->step = 0;
    vm->current = outer;
    if (outer)
        generation_point(vm, outer->generation);
    return status;
}

/* The one place where the app's code is entered. */
static void step(struct task *t, int args)
{
    int results = 0;
    if (t->vm->ended) /* it will be dropped with all the others: see vm_end */
        return;
    switch (resume(t, args, &results)) {
    case LUA_OK:
        if (t->generation && t->counted)
            t->generation->handled++;
        if (t->after)
            t->after(t, TASK_DONE);
        recycle(t);
        break;
    case LUA_YIELD:
        if (!task_is_await(t->co, results)) {
            fail_stray_yield(t, results);
            break;
        }
        lua_pop(t->co, results);
        if (t->after)
            t->after(t, TASK_WAITING);
        break;
    default:
        fail(t);
    }
}

void task_run(struct task *t, lua_CFunction body)
{
    lua_pushcfunction(t->co, body);
    step(t, 0);
}

void task_run_with(struct task *t, lua_CFunction body, lua_State *from, int args)
{
    lua_pushcfunction(t->co, body);
    lua_xmove(from, t->co, args);
    step(t, args);
}

static void on_start(struct deferred *d)
{
    struct task *t = list_entry(d, struct task, start);
    step(t, t->start_args);
}

void task_run_later(struct task *t, int args)
{
    t->start_args = args;
    loop_defer(t->vm->loop, &t->start);
}

struct task *task_current(lua_State *L)
{
    struct vm *vm = vm_of(L);
    if (vm->loading || !vm->current)
        luaL_error(L, "waiting is not possible while the app loads; do it in start(app)");
    return vm->current;
}

static int refuse_await(lua_State *L)
{
    return luaL_error(L, "cannot wait here: a C function or a metamethod lies between");
}

int task_await(lua_State *L, struct task **place, lua_KContext context, lua_KFunction k)
{
    struct task *t = task_current(L);
    if (!lua_isyieldable(L))
        return refuse_await(L);
    t->place = place;
    if (place)
        *place = t;
    lua_pushlightuserdata(L, (void *)&AWAIT);
    return lua_yieldk(L, 1, context, k);
}

int task_await_inner(lua_State *L, lua_KFunction k)
{
    if (!lua_isyieldable(L)) {
        end_wait(task_current(L));
        return refuse_await(L);
    }
    lua_pushlightuserdata(L, (void *)&AWAIT);
    return lua_yieldk(L, 1, 0, k);
}

void task_await_timeout(lua_State *L, uint64_t ms, void (*timed_out)(struct task *))
{
    struct task *t = task_current(L);
    if (!lua_isyieldable(L))
        refuse_await(L);
    t->timed_out = timed_out;
    loop_timer_set(t->vm->loop, &t->timer, ms);
}

void task_resume(struct task *t)
{
    end_wait(t);
    step(t, 0);
}

bool task_is_suspended(const struct task *t)
{
    return lua_status(t->co) == LUA_YIELD || !list_empty(&t->start.node);
}

void task_close(struct task *t)
{
    struct generation *outer = t->vm->failing;
    char place[TASK_PLACE];
    end_wait(t);
    deferred_cancel(&t->start);
    task_place(t, place); /* of strings that may be on its stack */
    if (reset(t) != LUA_OK && lua_checkstack(t->co, 1)) {
        lua_pushnil(t->co); /* there is no traceback */
        generation_failed(t->generation, false);
        t->vm->failing = t->generation;
        vm_report(t->co, place, 1, 2);
        t->vm->failing = outer;
    }
    if (t->after)
        t->after(t, TASK_DROPPED);
    recycle(t);
}

int task_nothing(lua_State *L, int status, lua_KContext context)
{
    (void)L;
    (void)status;
    (void)context;
    return 0;
}

void task_open(lua_State *L)
{
    lua_pushliteral(L, "coroutine.yield outside of a coroutine of yours; to wait, use "
                       "tidewire.sleep or ws:receive");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &STRAY_YIELD);
}
