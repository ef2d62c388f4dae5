/* The script of `exec`: its main coroutine, os.exit, and the end of everything else with it. */
#include "bind/bind.h"
#include "bind/client.h"
#include "bind/core.h"
#include "bind/task.h"

#include <stdio.h>
#include <stdlib.h>

struct script {
    void (*done)(void *context, int status);
    void *context;
    int status;
    bool over;
    struct deferred end;
};

static void on_end(struct deferred *d)
{
    struct script *s = list_entry(d, struct script, end);
    s->done(s->context, s->status);
}

/* The first word counts. The rest follows when no task is running. */
static void end_with(struct vm *vm, int status)
{
    struct script *s = vm->script;
    if (s->over)
        return;
    s->over = true;
    s->status = status;
    vm->ended = true; /* what is due in this turn does not run any more */
    loop_defer(vm->loop, &s->end);
}

int script_exit(lua_State *L)
{
    struct vm *vm = vm_of(L);
    lua_Integer status = luaL_checkinteger(L, 1);
    if (!vm->script)
        return luaL_error(L, "exit is for scripts of `exec`");
    if (vm->current && lua_isyieldable(L)) {
        end_with(vm, (int)(status & 0xFF));
        return task_await(L, NULL, 0, task_nothing); /* for good */
    }
    /* in a metamethod or a comparison of table.sort nothing can wait for the closing handshakes */
    exit((int)(status & 0xFF));
}

static int run_ended(lua_State *L, int status, lua_KContext context)
{
    (void)L;
    (void)status;
    (void)context;
    return 1;
}

/* script.run(plan): the exit status */
static int run_body(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tidewire.script");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "run");
    lua_getfield(L, LUA_REGISTRYINDEX, VM_PLAN);
    lua_callk(L, 1, 1, 0, run_ended);
    return 1;
}

static void after_run(struct task *t, enum task_outcome outcome)
{
    if (outcome == TASK_WAITING || outcome == TASK_DROPPED)
        return;
    if (outcome == TASK_FAILED)
        vm_report(t->co, "the script", 1, 2);
    end_with(t->vm, outcome == TASK_DONE ? (int)lua_tointeger(t->co, -1) : 1);
}

void vm_exec(struct vm *vm, void (*done)(void *context, int status), void *context)
{
    struct script *s = calloc(1, sizeof *s);
    struct task *t = s ? task_new(vm, NULL, "the script") : NULL;
    if (!t) {
        free(s);
        done(context, 1);
        return;
    }
    *s = (struct script){.done = done, .context = context};
    deferred_init(&s->end, on_end);
    vm->script = s;
    t->after = after_run;
    task_run(t, run_body);
}

void script_free(struct vm *vm)
{
    if (vm->script)
        deferred_cancel(&vm->script->end);
    free(vm->script);
    vm->script = NULL;
}

void vm_end(struct vm *vm)
{
    vm->ended = true;
    client_cancel_all(vm);
    task_free_all(vm);
}
