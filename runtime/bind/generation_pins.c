/* What keeps a generation alive, for those who have to decide what to do about it. */
#include "bind/generation.h"
#include "bind/task.h"
#include "bind/ws.h"

/* The list that is being made, on top of the stack. */
struct pins {
    lua_State *L;
    lua_Integer wanted, count; /* of those that were found, `wanted` are listed */
    uint64_t now;
};

/* Pushes a table for one more of them; false: it is counted only. */
static bool begin(struct pins *p, const char *kind, const char *what, uint64_t since)
{
    if (++p->count > p->wanted)
        return false;
    lua_createtable(p->L, 0, 5);
    lua_pushstring(p->L, kind);
    lua_setfield(p->L, -2, "kind");
    lua_pushstring(p->L, what);
    lua_setfield(p->L, -2, "what");
    lua_pushnumber(p->L, (lua_Number)(p->now - since) / 1000);
    lua_setfield(p->L, -2, "seconds");
    return true;
}

static void set_id(struct pins *p, const struct ws *w)
{
    ws_push_id(p->L, w);
    lua_setfield(p->L, -2, "id");
}

static void end(struct pins *p)
{
    lua_rawseti(p->L, -2, p->count);
}

/* "chat.lua:31": the innermost place in Lua where the coroutine is. */
static void set_place(struct pins *p, lua_State *co)
{
    lua_Debug at;
    for (int level = 0; lua_getstack(co, level, &at); level++) {
        lua_getinfo(co, "Sl", &at);
        if (at.currentline <= 0)
            continue;
        lua_pushfstring(p->L, "%s:%d", at.short_src, at.currentline);
        lua_setfield(p->L, -2, "where");
        return;
    }
}

/* Where the function on top of the stack, which is popped, begins. */
static void set_definition(struct pins *p)
{
    lua_Debug at;
    if (!lua_isfunction(p->L, -1)) {
        lua_pop(p->L, 1);
        return;
    }
    lua_getinfo(p->L, ">S", &at);
    lua_pushfstring(p->L, "%s:%d", at.short_src, at.linedefined);
    lua_setfield(p->L, -2, "where");
}

static void add_task(struct pins *p, const struct task *t)
{
    char what[TASK_PLACE];
    const struct ws *w = ws_of_handler(t);
    task_place(t, what);
    if (!begin(p, t->of ? "handler" : "task", what, t->began))
        return;
    if (w)
        set_id(p, w);
    set_place(p, t->co);
    end(p);
}

static void add_tasks(struct pins *p, const struct vm *vm, const struct generation *g, bool busy)
{
    for (const struct list *n = vm->tasks.next; n != &vm->tasks; n = n->next) {
        const struct task *t = list_entry(n, struct task, node);
        if (t->generation && (!g || t->generation == g) && !(busy && t->parked))
            add_task(p, t);
    }
}

static void add_timers(struct pins *p, const struct generation *g)
{
    for (struct list *n = g->timers.next; n != &g->timers; n = n->next) {
        struct pin *pin = list_entry(n, struct pin, node);
        if (!begin(p, "timer", pin->what, pin->since))
            continue;
        pin->push(p->L, pin);
        set_definition(p);
        end(p);
    }
}

static bool is_of(const struct ws *w, const struct generation *g)
{
    const struct binding *b = ws_binding(w);
    return b && b->generation == g;
}

static void add_connections(struct pins *p, const struct generation *g)
{
    for (const struct list *n = g->vm->live.next; n != &g->vm->live; n = n->next) {
        const struct ws *w = list_entry(n, struct ws, node);
        if (!is_of(w, g) ||
            !begin(p, w->client ? "client" : "connection", w->accepted->pattern, w->began))
            continue;
        set_id(p, w);
        end(p);
    }
}

static struct pins start(lua_State *L, lua_Integer n)
{
    const struct vm *vm = vm_of(L);
    luaL_checkstack(L, 10, NULL);
    lua_newtable(L);
    return (struct pins){L, n, 0, vm->loop ? loop_now(vm->loop) : 0};
}

void generation_push_pins(lua_State *L, const struct generation *g, lua_Integer n)
{
    struct pins p = start(L, n);
    add_tasks(&p, g->vm, g, false);
    add_timers(&p, g);
    if (!generation_serves(g)) /* these need not be there for it to live */
        add_connections(&p, g);
    lua_pushinteger(L, p.count);
}

void generation_push_busy(lua_State *L, lua_Integer n)
{
    struct pins p = start(L, n);
    add_tasks(&p, vm_of(L), NULL, true);
    lua_pushinteger(L, p.count);
}

/* Without a canary all connections of a slot have the same binding: then there is no need to look
 * at each of them, of which there may be many. */
void generation_push_connections(lua_State *L, const struct generation *g)
{
    const struct vm *vm = g->vm;
    size_t count = 0;
    for (size_t i = 0; i < g->count && !vm->share; i++) {
        const struct slot *s = g->bindings[i]->slot;
        if (s && s->bindings[0] == g->bindings[i])
            count += s->connections;
    }
    for (const struct list *n = vm->live.next; n != &vm->live && vm->share; n = n->next)
        count += is_of(list_entry(n, struct ws, node), g);
    lua_pushinteger(L, (lua_Integer)count);
}
