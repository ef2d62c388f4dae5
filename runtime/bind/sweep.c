/* Walks over all connections, in the order in which they came: for what a commit leaves to be done
 * with those that have no event, and for core.states. */
#include "bind/generation.h"
#include "bind/task.h"
#include "bind/ws.h"

#define SLICE 1000000 /* ns of a turn */
#define STRIDE 64     /* connections between two looks at the clock, when there is nothing to do */

static struct ws *next_of(const struct vm *vm, const struct ws *w)
{
    const struct list *n = w ? w->node.next : vm->live.next;
    return n == &vm->live ? NULL : list_entry(n, struct ws, node);
}

static struct ws *previous_of(const struct vm *vm, const struct ws *w)
{
    const struct list *n = w->node.prev;
    return n == &vm->live ? NULL : list_entry(n, struct ws, node);
}

void sweep_forget(struct ws *w)
{
    struct vm *vm = w->vm;
    if (vm->sweep.at == w)
        vm->sweep.at = previous_of(vm, w);
    if (vm->states_at == w)
        vm->states_at = previous_of(vm, w);
}

void sweep_each(struct vm *vm, void (*visit)(struct ws *w, void *context), void *context)
{
    struct ws *w;
    vm->states_at = NULL;
    while ((w = next_of(vm, vm->states_at))) {
        vm->states_at = w;
        visit(w, context); /* which may free it, and others */
    }
}

static void finish(struct vm *vm)
{
    vm->sweep.on = false;
    vm->sweep.at = NULL;
    loop_defer(vm->loop, &vm->reap);
}

static void on_next(struct deferred *d)
{
    struct vm *vm = list_entry(d, struct vm, sweep.next);
    uint64_t until = vm_clock() + SLICE;
    for (unsigned idle = 0; !vm->hold.on;) {
        struct ws *w = next_of(vm, vm->sweep.at);
        if (!w) {
            finish(vm);
            return;
        }
        vm->sweep.at = w;
        idle = ws_visit(w) ? STRIDE : idle + 1; /* which may free it */
        if (idle < STRIDE)
            continue;
        idle = 0;
        if (vm_clock() >= until)
            break;
    }
    sweep_go_on(vm);
}

void sweep_init(struct vm *vm)
{
    list_init(&vm->live);
    deferred_init(&vm->sweep.next, on_next);
}

void sweep_go_on(struct vm *vm)
{
    if (vm->sweep.on && !vm->hold.on)
        loop_defer(vm->loop, &vm->sweep.next);
}

void sweep_start(struct vm *vm)
{
    if (!vm->loop)
        return;
    vm->sweep.on = true;
    vm->sweep.at = NULL;
    sweep_go_on(vm);
}

/* --- core.states ------------------------------------------------------------------------------ */

static void push_entry(lua_State *L, struct ws *w)
{
    const struct binding *b = ws_binding(w);
    struct slice module;
    lua_createtable(L, 0, 7);
    lua_insert(L, -2);
    lua_setfield(L, -2, "state");
    ws_push(L, w);
    lua_setfield(L, -2, "ws");
    lua_pushinteger(L, (lua_Integer)w->serial);
    lua_setfield(L, -2, "serial");
    lua_pushinteger(L, w->state_version);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, w->accepted->pattern);
    lua_setfield(L, -2, "pattern");
    if (b && b->handler != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, b->handler);
        lua_setfield(L, -2, "handler");
    }
    if (slot_is_module(w->slot, &module)) {
        lua_pushlstring(L, module.ptr, module.len);
        lua_setfield(L, -2, "module");
    }
}

/* states(after, n): at most n connections that have a state, with serials above `after`, in the
 * order of these: { ws =, serial =, state =, version =, pattern =, handler =, module = } */
int sweep_states(lua_State *L)
{
    struct vm *vm = vm_of(L);
    lua_Integer after = luaL_checkinteger(L, 1), n = luaL_checkinteger(L, 2), count = 0;
    struct ws *w = vm->states_at;
    lua_settop(L, 0);
    lua_newtable(L);
    if (w && w->serial > (uint64_t)after)
        w = NULL;
    while (count < n && (w = next_of(vm, w))) {
        vm->states_at = w;
        if (w->serial <= (uint64_t)after || !ws_push_state(L, w))
            continue;
        push_entry(L, w);
        lua_rawseti(L, 1, ++count);
    }
    return 1;
}
