#include "bind/generation.h"
#include "base/map.h"
#include "bind/task.h"
#include "bind/ws.h"

#include <stdlib.h>

#define CODE_SERVICE_RESTART 1012

/* --- making one ------------------------------------------------------------------------------- */

struct generation *generation_new(struct vm *vm)
{
    struct generation *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    *g = (struct generation){
        .refs = 1,
        .vm = vm,
        .serial = ++vm->generation_serial,
        .routes = route_table_new(),
        .self = LUA_NOREF,
        .object = LUA_NOREF,
        .record = LUA_NOREF,
        .loaded = LUA_NOREF,
    };
    list_init(&g->node);
    list_init(&g->timers);
    if (g->routes)
        return g;
    free(g);
    return NULL;
}

struct binding *generation_add(struct generation *g)
{
    struct binding **bindings = realloc(g->bindings, (g->count + 1) * sizeof *bindings);
    struct binding *b = bindings ? binding_new() : NULL;
    if (bindings)
        g->bindings = bindings;
    if (!b)
        return NULL;
    b->generation = g;
    b->serial = g->serial;
    g->bindings[g->count++] = b;
    return b;
}

struct binding *generation_binding(const struct generation *g, const struct slot *s)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->bindings[i]->slot == s)
            return g->bindings[i];
    return NULL;
}

bool generation_is_full(const struct vm *vm)
{
    size_t count = 0;
    for (const struct list *n = vm->generations.next; n != &vm->generations; n = n->next)
        count += !list_entry(n, struct generation, node)->ended;
    return count >= GENERATIONS_MAX;
}

/* --- the end of one --------------------------------------------------------------------------- */

static void forget(struct generation *g, int *reference)
{
    luaL_unref(g->vm->L, LUA_REGISTRYINDEX, *reference);
    *reference = LUA_NOREF;
}

/* What else the slot leads to: one that leads anywhere does so for all. */
static struct binding *another(const struct binding *b)
{
    struct binding *const *lanes = b->slot->bindings;
    return lanes[0] != b ? lanes[0] : lanes[1] != b ? lanes[1] : NULL;
}

/* All but the struct, which the userdata may still show. */
static void release(struct generation *g)
{
    g->role = GENERATION_GONE;
    g->vm->handled += g->handled;
    g->vm->failed += g->failed;
    list_remove(&g->node);
    while (!list_empty(&g->timers)) {
        struct pin *pin = list_entry(g->timers.next, struct pin, node);
        pin->drop(pin);
    }
    route_table_free(g->routes);
    g->routes = NULL;
    for (size_t i = 0; i < g->count; i++) {
        struct binding *b = g->bindings[i];
        for (int lane = 0; b->slot && lane < 2; lane++)
            if (b->slot->bindings[lane] == b)
                slot_turn(b->slot, lane, another(b));
        binding_forget(g->vm, b);
        binding_unref(g->vm, b);
    }
    free(g->bindings);
    g->bindings = NULL;
    g->count = 0;
    forget(g, &g->object);
    forget(g, &g->record);
    forget(g, &g->loaded);
}

void generation_unref(struct generation *g)
{
    if (--g->refs)
        return;
    if (g->role != GENERATION_GONE)
        release(g); /* it has never been finished */
    free(g);
}

static void end(struct generation *g)
{
    release(g);
    forget(g, &g->self);
    generation_unref(g);
}

/* Is there a connection whose next event goes to it? */
static bool is_used(const struct generation *g)
{
    for (size_t i = 0; i < g->count; i++) {
        const struct binding *b = g->bindings[i];
        const struct slot *s = b->slot;
        if (s && s->connections && (s->bindings[0] == b || s->bindings[1] == b))
            return true;
    }
    return false;
}

static bool is_needed(const struct generation *g)
{
    return g->role != GENERATION_OLD || g->kept || g->tasks || g->clients ||
           !list_empty(&g->timers) || is_used(g);
}

/* At the end of a turn, when nobody is in the midst of something of theirs. */
static void on_reap(struct deferred *d)
{
    struct vm *vm = list_entry(d, struct vm, reap);
    for (struct list *n = vm->generations.next, *next; n != &vm->generations; n = next) {
        struct generation *g = list_entry(n, struct generation, node);
        next = n->next;
        if (!vm->sweep.on && !is_needed(g)) /* a sweep may need what turns states back */
            end(g);
    }
}

void generation_init(struct vm *vm)
{
    list_init(&vm->generations);
    deferred_init(&vm->reap, on_reap);
}

void generation_touch(struct generation *g)
{
    if (g->role == GENERATION_OLD && !g->kept && !g->vm->freeing)
        loop_defer(g->vm->loop, &g->vm->reap);
}

void generation_free_all(struct vm *vm)
{
    deferred_cancel(&vm->reap);
    vm->generation = vm->canary = NULL;
    while (!list_empty(&vm->generations))
        end(list_entry(vm->generations.next, struct generation, node));
}

/* --- what serves ------------------------------------------------------------------------------ */

void generation_place(struct binding *b)
{
    const struct generation *g = b->generation;
    struct slot *s = b->slot;
    if (!s)
        return;
    if (g->role == GENERATION_CURRENT || !s->bindings[0])
        slot_turn(s, 0, b);
    if (g->role == GENERATION_CANARY || !s->bindings[1] ||
        (g->role == GENERATION_CURRENT && !g->vm->share))
        slot_turn(s, 1, b);
}

/* Without a canary both ways lead to the same. */
static void join_lanes(struct vm *vm)
{
    struct slot *s;
    for (size_t at = 0; (s = map_next(vm->slots, &at, NULL));) {
        if (s->bindings[0])
            slot_turn(s, 1, s->bindings[0]);
        else
            slot_turn(s, 0, s->bindings[1]);
    }
}

static void end_canary(struct vm *vm)
{
    if (!vm->canary)
        return;
    vm->canary->role = GENERATION_OLD;
    vm->canary = NULL;
    vm->share = 0;
    join_lanes(vm);
}

static void make_current(struct generation *g)
{
    struct vm *vm = g->vm;
    if (vm->generation)
        vm->generation->role = GENERATION_OLD;
    g->role = GENERATION_CURRENT;
    vm->generation = g;
    vm->limits = g->limits;
}

void generation_commit(struct generation *g, unsigned share)
{
    struct vm *vm = g->vm;
    if (vm->canary == g && share) { /* a larger share, or a smaller one */
        vm->share = share;
    } else {
        end_canary(vm);
        if (share && vm->generation && g != vm->generation) {
            g->role = GENERATION_CANARY;
            vm->canary = g;
            vm->share = share;
            vm->pointed = vm->generation->serial;
        } else {
            make_current(g);
        }
        for (size_t i = 0; i < g->count; i++)
            generation_place(g->bindings[i]);
    }
    sweep_start(vm);
    if (vm->loop)
        loop_defer(vm->loop, &vm->reap);
}

void generation_drop(struct generation *g)
{
    struct vm *vm = g->vm;
    if (g->role == GENERATION_PREPARED) {
        g->role = GENERATION_OLD; /* until what of it is under way has ended */
        if (!is_needed(g))
            end(g);
    } else if (g->role == GENERATION_CANARY) {
        end_canary(vm);
        sweep_start(vm);
        generation_touch(g);
    }
}

void generation_keep(struct generation *g, bool keep)
{
    bool given_up = g->kept && !keep;
    g->kept = keep;
    if (!given_up)
        return;
    sweep_start(g->vm); /* the states that were kept for it */
    generation_touch(g);
}

/* --- force ------------------------------------------------------------------------------------ */

static void cut(struct ws *w)
{
    ws_ref(w);
    if (w->conn)
        ws_close(w, CODE_SERVICE_RESTART, slice_of("service restart"));
    ws_pump(w);
    ws_unref(w);
}

static struct task *find_task(const struct generation *g)
{
    for (struct list *n = g->vm->tasks.next; n != &g->vm->tasks; n = n->next) {
        struct task *t = list_entry(n, struct task, node);
        if (t->generation == g && task_is_suspended(t))
            return t;
    }
    return NULL;
}

static void end_tasks(struct generation *g)
{
    for (struct task *t; (t = find_task(g));) {
        struct ws *w = ws_of_handler(t);
        if (w)
            ws_ref(w);
        task_close(t);
        if (!w)
            continue;
        cut(w);
        ws_unref(w);
    }
}

static void cut_if_its(struct ws *w, void *context)
{
    const struct binding *b = ws_binding(w);
    if (b && b->generation == context && w->conn && conn_state(w->conn) < CONN_CLOSING)
        cut(w);
}

void generation_force(struct generation *g)
{
    g->ended = true;
    generation_keep(g, false);
    end_tasks(g);
    while (!list_empty(&g->timers)) {
        struct pin *pin = list_entry(g->timers.next, struct pin, node);
        pin->drop(pin);
    }
    sweep_each(g->vm, cut_if_its, g);
    generation_touch(g);
}

/* --- what is under way ------------------------------------------------------------------------ */

struct generation *generation_current(const struct vm *vm)
{
    return vm->current ? vm->current->generation : NULL;
}

void generation_park(struct generation *g, bool parked)
{
    g->parked += parked ? 1 : (size_t)-1;
    if (parked && g->vm->hold.quiet)
        hold_ended(g->vm);
}

void generation_failed(struct generation *g, bool migration)
{
    if (!g)
        return;
    *(migration ? &g->migrations_failed : &g->failed) += 1;
    g->unwatched = true;
    if (generation_serves(g) && g->vm->watch.changed)
        loop_defer(g->vm->loop, &g->vm->watch.told);
}

struct switching {
    struct vm *vm;
    struct generation *to;
};

static int call_switcher(lua_State *L)
{
    const struct switching *s = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->vm->switcher);
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->to->record);
    lua_call(L, 1, 0);
    return 0;
}

void generation_switch(struct vm *vm, struct generation *g)
{
    struct switching s = {vm, g};
    vm->pointed = g->serial;
    if (vm->switcher != LUA_NOREF)
        vm_protected(vm, call_switcher, &s);
}

void pin_add(struct pin *pin, struct generation *g)
{
    list_init(&pin->node);
    pin->generation = g;
    if (!g)
        return;
    pin->since = loop_now(g->vm->loop);
    list_push(&g->timers, &pin->node);
}

void pin_remove(struct pin *pin)
{
    struct generation *g = pin->generation;
    if (!g)
        return;
    pin->generation = NULL;
    list_remove(&pin->node);
    generation_touch(g);
}
