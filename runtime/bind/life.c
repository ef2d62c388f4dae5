/* A vm's life: made for a command, given a loop in a worker, freed. */
#include "base/map.h"
#include "bind/bind.h"
#include "bind/client.h"
#include "bind/core.h"
#include "bind/generation.h"
#include "bind/task.h"
#include "bind/ws.h"
#include "net/tls_client.h"

#include <lualib.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* By default Lua collects after each 8 KiB, with 100 units of work (slots and objects) for each 16
 * bytes: with 10,000 connections a step takes 5 ms and more, and a string of 100 KiB, such as a
 * bundle, causes a whole cycle at once. So: a step after each KiB, of a tenth of the work. A cycle
 * then ends while memory grows by a fifth, instead of almost at once. */
#define GC_WORK 8
#define GC_STEP 10 /* 2^10 bytes */

static int on_panic(lua_State *L)
{
    /* every entry is protected, so this is a fault of ours; abort() follows */
    log_error(vm_of(L)->log, "panic in Lua: %s",
              lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?");
    return 0;
}

/* warn("a", "b") comes in pieces */
static void on_warning(void *context, const char *message, int to_continue)
{
    struct vm *vm = context;
    struct log_record record = {.level = LOG_WARN};
    if (!vm->warning.len && !to_continue && *message == '@')
        return; /* a control message */
    if (!buf_append_str(&vm->warning, message) || to_continue)
        return;
    record.message = (struct slice){(const char *)vm->warning.data, vm->warning.len};
    log_write(vm->log, &record);
    buf_free(&vm->warning);
}

static int open_state(lua_State *L)
{
    luaL_openlibs(L);
    task_open(L);
    coroutine_open(L);
    core_open(L);
    return 0;
}

struct vm *vm_new(const struct log *log)
{
    struct vm *vm = calloc(1, sizeof *vm);
    if (!vm)
        return NULL;
    vm->log = log;
    vm->reporter = LUA_NOREF;
    vm->limits = (struct conn_limits)CONN_LIMITS_DEFAULT;
    list_init(&vm->idle);
    list_init(&vm->tasks);
    list_init(&vm->attempts);
    vm->switcher = LUA_NOREF;
    generation_init(vm);
    hold_init(vm);
    sweep_init(vm);
    reload_init(vm);
    vm->slots = map_new(0); /* its keys come from the app's author, who is trusted */
    vm->heap = HEAP_UNBOUNDED;
    /* without glibc's lists of small free blocks, which it merges all at once, every now and then:
     * after a reload with 10,000 connections that took 10 ms */
    mallopt(M_MXFAST, 0);
    vm->L = vm->slots ? lua_newstate(heap_allocate, &vm->heap) : NULL;
    if (vm->L) {
        *(struct vm **)lua_getextraspace(vm->L) = vm;
        lua_atpanic(vm->L, on_panic);
        lua_setwarnf(vm->L, on_warning, vm);
        lua_gc(vm->L, LUA_GCINC, 0, GC_WORK, GC_STEP);
        if (vm_protected(vm, open_state, NULL))
            return vm;
    }
    log_error(log, "cannot set up Lua: out of memory");
    vm_free(vm);
    return NULL;
}

/* A connection's id is a handle for sending to it: it must not be guessed from another one's. */
static bool draw_random(struct vm *vm, uint64_t *seed)
{
    uint64_t random[2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return false;
    snprintf(vm->node, sizeof vm->node, "%016llx", (unsigned long long)random[0]);
    *seed = random[1];
    return true;
}

bool vm_attach(struct vm *vm, struct loop *loop)
{
    uint64_t seed;
    if (!draw_random(vm, &seed))
        return false;
    vm->loop = loop;
    vm->topics = topics_new(seed);
    vm->conns = conn_set_new(loop, ws_events(), &vm->limits, seed, vm);
    if (vm->conns)
        conn_set_log(vm->conns, vm->log);
    return vm->topics && vm->conns;
}

void vm_free(struct vm *vm)
{
    if (!vm)
        return;
    vm_stop_cancel(vm);
    vm->freeing = true;
    client_cancel_all(vm);
    script_free(vm);
    if (vm->conns)
        conn_set_free(vm->conns); /* their last events still find the rest in place */
    if (vm->L) {
        vm->loading = true; /* finalizers that lua_close runs may not act any more */
        task_free_all(vm);
        ws_free_all(vm);
        hold_free_all(vm);
        generation_free_all(vm);
        lua_close(vm->L);
    }
    deferred_cancel(&vm->sweep.next);
    deferred_cancel(&vm->watch.told);
    map_free(vm->slots);
    if (vm->tls)
        tls_client_unref(vm->tls);
    if (vm->topics)
        topics_free(vm->topics);
    buf_free(&vm->warning);
    free(vm->ids);
    free(vm);
}

void vm_push_app(lua_State *L)
{
    const struct generation *g = vm_of(L)->generation;
    if (g)
        lua_rawgeti(L, LUA_REGISTRYINDEX, g->object);
    else /* of a script that is no app */
        lua_pushnil(L);
}

struct conn_set *vm_conns(struct vm *vm)
{
    return vm->conns;
}
