/* Another version of the app: the calls of bind.h that host makes, each a task that runs a function
 * of lua/tidewire/reload.lua. */
#include "bind/bind.h"
#include "bind/core.h"
#include "bind/generation.h"
#include "bind/task.h"

#include <stdlib.h>

/* --- questions -------------------------------------------------------------------------------- */

void reload_push_order(lua_State *L, struct slice order)
{
    lua_pushcfunction(L, json_decode);
    lua_pushlstring(L, order.ptr, order.len);
    lua_call(L, 1, 2);
    if (!lua_istable(L, -2))
        luaL_error(L, "an order is no JSON object: %s", luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
}

static void push_function(lua_State *L, const char *name)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tidewire.reload");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

struct question {
    const char *name;           /* of the function, and of the phase when it raises */
    struct slice order, bundle; /* not to be used after its first step */
    vm_answered *done;          /* NULL: nobody wants an answer */
    void *context;
};

static int answered(lua_State *L, int status, lua_KContext context)
{
    const struct question *q = vm_of(L)->current->owner;
    (void)status;
    (void)context;
    if (!q->done)
        return 0;
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_pushnumber(L, (lua_Number)task_pause(vm_of(L)->current) / 1e9);
    lua_setfield(L, -2, "pause");
    lua_pushcfunction(L, json_tell);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    return 1;
}

/* reload.<name>(order [, bundle]) */
static int ask_body(lua_State *L)
{
    const struct question *q = vm_of(L)->current->owner;
    push_function(L, q->name);
    reload_push_order(L, q->order);
    lua_pushlstring(L, q->bundle.len ? q->bundle.ptr : "", q->bundle.len);
    lua_callk(L, 2, 1, 0, answered);
    return answered(L, LUA_OK, 0);
}

/* --- answers ---------------------------------------------------------------------------------- */

#define NO_ANSWER "{\"ok\":false,\"phase\":\"internal\",\"message\":\"out of memory\"}"
static const struct slice no_answer = {NO_ANSWER, sizeof NO_ANSWER - 1};

struct failure {
    const struct task *task;
    struct buf text;
};

/* Protected, on the main thread: what is told of a task that has raised. */
static int describe_failure(lua_State *L)
{
    struct failure *f = lua_touserdata(L, 1);
    const struct question *q = f->task->owner;
    struct slice text;
    lua_createtable(L, 0, 3);
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "ok");
    lua_pushstring(L, q->name);
    lua_setfield(L, -2, "phase");
    lua_pushvalue(f->task->co, 1);
    lua_xmove(f->task->co, L, 1);
    luaL_tolstring(L, -1, NULL);
    lua_setfield(L, -3, "message");
    lua_pop(L, 1);
    lua_pushcfunction(L, json_tell);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    text.ptr = lua_tolstring(L, -1, &text.len);
    if (!buf_append(&f->text, text.ptr, text.len))
        luaL_error(L, "out of memory");
    return 0;
}

static void tell(const struct question *q, struct slice answer)
{
    if (q->done)
        q->done(q->context, answer);
}

static void tell_failure(struct task *t)
{
    struct failure f = {.task = t};
    vm_report(t->co, t->what, 1, 2);
    bool told = lua_checkstack(t->co, 1) && vm_protected(t->vm, describe_failure, &f);
    tell(t->owner, told ? (struct slice){(char *)f.text.data, f.text.len} : no_answer);
    buf_free(&f.text);
}

static void after_ask(struct task *t, enum task_outcome outcome)
{
    struct question *q = t->owner;
    if (outcome == TASK_WAITING)
        return;
    if (outcome == TASK_FAILED) {
        tell_failure(t);
    } else if (outcome == TASK_DONE && q->done) {
        struct slice answer = {NULL, 0};
        answer.ptr = lua_tolstring(t->co, -1, &answer.len); /* co's stack keeps it meanwhile */
        tell(q, answer);
    }
    free(q);
}

static void ask(struct vm *vm, struct question question)
{
    struct question *q = malloc(sizeof *q);
    struct task *t = q ? task_new(vm, NULL, question.name) : NULL;
    if (!t) {
        free(q);
        tell(&question, no_answer);
        return;
    }
    *q = question;
    t->owner = q;
    t->after = after_ask;
    task_time(t);
    task_run(t, ask_body);
}

void vm_prepare(struct vm *vm, struct slice order, struct slice bundle, vm_answered *done,
                void *context)
{
    ask(vm, (struct question){"prepare", order, bundle, done, context});
}

void vm_barrier(struct vm *vm, struct slice order, vm_answered *done, void *context)
{
    ask(vm, (struct question){"barrier", order, {"", 0}, done, context});
}

void vm_commit(struct vm *vm, struct slice order, vm_answered *done, void *context)
{
    ask(vm, (struct question){"commit", order, {"", 0}, done, context});
}

void vm_abandon(struct vm *vm, struct slice order)
{
    ask(vm, (struct question){"abandon", order, {"", 0}, NULL, NULL});
}

/* --- what serves ------------------------------------------------------------------------------ */

/* Of the app's calls since the worker has begun: also those of generations that are gone. */
static void add_totals(lua_State *L)
{
    struct vm *vm = vm_of(L);
    uint64_t handled = vm->handled, failed = vm->failed;
    for (struct list *n = vm->generations.next; n != &vm->generations; n = n->next) {
        const struct generation *g = list_entry(n, struct generation, node);
        handled += g->handled;
        failed += g->failed;
    }
    lua_pushinteger(L, (lua_Integer)handled);
    lua_setfield(L, -2, "handled");
    lua_pushinteger(L, (lua_Integer)failed);
    lua_setfield(L, -2, "failed");
}

static int describe(lua_State *L)
{
    struct buf *json = lua_touserdata(L, 1);
    struct slice text;
    lua_pushcfunction(L, json_tell);
    push_function(L, "describe");
    lua_call(L, 0, 1);
    add_totals(L);
    lua_call(L, 1, 1);
    text.ptr = lua_tolstring(L, -1, &text.len);
    if (!buf_append(json, text.ptr, text.len))
        luaL_error(L, "out of memory");
    return 0;
}

bool vm_describe(struct vm *vm, struct buf *json)
{
    return vm_protected(vm, describe, json);
}

static void tell_tally(struct vm *vm, struct generation *g)
{
    if (!g || !g->unwatched || !vm->watch.changed)
        return;
    g->unwatched = false;
    const struct vm_tally tally = {(unsigned)g->number, g->handled, g->failed,
                                   g->migrations_failed};
    vm->watch.changed(vm->watch.context, &tally);
}

static void on_tally(struct deferred *d)
{
    struct vm *vm = list_entry(d, struct vm, watch.told);
    tell_tally(vm, vm->generation);
    tell_tally(vm, vm->canary);
}

void reload_init(struct vm *vm)
{
    deferred_init(&vm->watch.told, on_tally);
}

void vm_watch(struct vm *vm, void (*changed)(void *context, const struct vm_tally *t),
              void *context)
{
    vm->watch.changed = changed;
    vm->watch.context = context;
}
