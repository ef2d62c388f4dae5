/* The end of a connection that we have made. */
#include "bind/client.h"
#include "bind/generation.h"
#include "bind/task.h"
#include "bind/ws.h"

static void forget(struct vm *vm, int *reference)
{
    luaL_unref(vm->L, LUA_REGISTRYINDEX, *reference);
    *reference = LUA_NOREF;
}

void client_unpin(struct vm *vm, struct binding *options)
{
    struct generation *g = options->generation;
    binding_forget(vm, options);
    if (!g)
        return;
    g->clients--;
    generation_touch(g);
}

void client_forget_handler(struct ws *w)
{
    forget(w->vm, &w->ended);
    client_unpin(w->vm, w->accepted);
}

/* ended(ws, code, reason) */
static int ended_body(lua_State *L)
{
    struct ws *w = ws_of_task(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, w->ended);
    forget(w->vm, &w->ended);
    ws_push(L, w);
    lua_pushinteger(L, w->end.code);
    lua_pushlstring(L, w->end.reason ? w->end.reason : "", w->end.len);
    return ws_call_handler(L, 3);
}

static void after_ended(struct task *t, enum task_outcome outcome)
{
    char place[TASK_PLACE];
    if (outcome == TASK_WAITING)
        return;
    task_place(t, place);
    if (outcome == TASK_FAILED)
        vm_report(t->co, place, 1, 2);
    ws_unref(t->owner);
}

/* It may take long, and make another connection: only a handler that stays as it is keeps its
 * generation for that. */
bool client_tell_end(struct ws *w)
{
    struct generation *g = w->slot->key ? NULL : ws_binding(w)->generation;
    struct task *t = w->ended == LUA_NOREF ? NULL : task_new(w->vm, g, "the end");
    if (!t) {
        forget(w->vm, &w->ended);
        return false;
    }
    ws_ref(w);
    t->of = w->accepted->pattern;
    t->owner = w;
    t->after = after_ended;
    task_run(t, ended_body);
    return true;
}
