/* ws.state: plain data of the app, in the form of one state_version. When the connection's handler
 * is of a generation with another one, the state is brought into its form at the connection's next
 * event, or when that code looks at it. */
#include "bind/generation.h"
#include "bind/task.h"
#include "bind/ws.h"

#define DEPTH_MAX 50 /* migrations that read other connections' states, which migrate ... */

/* --- the value -------------------------------------------------------------------------------- */

bool ws_push_state(lua_State *L, struct ws *w)
{
    if (w->self == LUA_NOREF)
        return false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, w->self);
    if (lua_getiuservalue(L, -1, WS_STATE) == LUA_TNIL) {
        lua_pop(L, 2);
        return false;
    }
    lua_remove(L, -2);
    return true;
}

static bool has_state(struct ws *w)
{
    if (!ws_push_state(w->vm->L, w))
        return false;
    lua_pop(w->vm->L, 1);
    return true;
}

/* The value on top of the stack is written by code that runs now: it is of that code's form. */
static void set(lua_State *L, struct ws *w)
{
    const struct generation *g = generation_current(w->vm);
    lua_setiuservalue(L, 1, WS_STATE);
    if (g)
        w->state_version = (uint32_t)g->state_version;
}

int ws_set_state(lua_State *L)
{
    struct ws *w = ws_check(L, 1);
    if (!lua_isnil(L, 3) && !lua_istable(L, 3))
        return luaL_error(L, "ws.state takes a table, got a %s", luaL_typename(L, 3));
    lua_settop(L, 3);
    set(L, w);
    return 0;
}

/* Does the code that runs now expect another form? */
static bool is_due(const struct ws *w)
{
    const struct generation *g = generation_current(w->vm);
    const struct binding *b = w->conn ? ws_binding(w) : NULL;
    return g && b && b->generation == g && g->state_version != w->state_version && !w->migrating;
}

/* ws.state: a table from the first look on, so that handlers need not make it */
int ws_get_state(lua_State *L)
{
    struct ws *w = ws_check(L, 1);
    if (is_due(w)) {
        if (w->vm->migrating >= DEPTH_MAX)
            return luaL_error(L, "migrations of states go too deep: each looks at the next one's");
        if (!ws_migrate(w, ws_binding(w)))
            return luaL_error(L, "the state of this connection could not be migrated");
    }
    if (lua_getiuservalue(L, 1, WS_STATE) != LUA_TNIL)
        return 1;
    lua_newtable(L);
    lua_pushvalue(L, -1);
    set(L, w);
    return 1;
}

/* --- what was replaced ------------------------------------------------------------------------ */

/* Is there an older form to come back to, or is that on its way? */
static bool may_come_back(const struct ws *w)
{
    const struct vm *vm = w->vm;
    for (const struct list *n = vm->generations.next; n != &vm->generations; n = n->next) {
        const struct generation *g = list_entry(n, struct generation, node);
        if ((g->kept || generation_serves(g)) && g->state_version < w->state_version)
            return true;
    }
    return false;
}

static void forget_kept(struct ws *w)
{
    lua_State *L = w->vm->L;
    w->kept = false;
    if (w->self == LUA_NOREF)
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, w->self);
    lua_pushnil(L);
    lua_setiuservalue(L, -2, WS_KEPT);
    lua_pop(L, 1);
}

bool ws_drop_kept(struct ws *w)
{
    if (!w->kept || may_come_back(w))
        return false;
    forget_kept(w);
    return true;
}

static void put_back(struct ws *w)
{
    lua_State *L = w->vm->L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, w->self);
    lua_getiuservalue(L, -1, WS_KEPT);
    lua_setiuservalue(L, -2, WS_STATE);
    lua_pop(L, 1);
    w->state_version = w->kept_version;
    forget_kept(w);
}

/* --- functions of the app --------------------------------------------------------------------- */

struct migration {
    struct ws *ws;
    const struct binding *binding;
    enum callback which;
    uint32_t from, to;
    bool ok;
};

/* handler.migrate(old, from), handler.downgrade(state, to): neither may wait */
static int migrate_body(lua_State *L)
{
    const struct migration *m = vm_of(L)->current->owner;
    bool up = m->which == CB_MIGRATE;
    lua_rawgeti(L, LUA_REGISTRYINDEX, m->ws->self);
    lua_rawgeti(L, LUA_REGISTRYINDEX, m->binding->callbacks[m->which]);
    lua_getiuservalue(L, 1, WS_STATE);
    lua_pushinteger(L, up ? m->from : m->to);
    lua_call(L, 2, 1);
    if (!lua_istable(L, -1) && !lua_isnil(L, -1))
        return luaL_error(L, "%s returned a %s; return the new state, a table, or nil",
                          up ? "migrate" : "downgrade", luaL_typename(L, -1));
    lua_getiuservalue(L, 1, WS_STATE);
    lua_setiuservalue(L, 1, WS_KEPT);
    lua_setiuservalue(L, 1, WS_STATE);
    return 0;
}

static void after_migrate(struct task *t, enum task_outcome outcome)
{
    struct migration *m = t->owner;
    char place[TASK_PLACE];
    m->ok = outcome == TASK_DONE;
    if (outcome != TASK_FAILED)
        return;
    task_place(t, place);
    vm_report(t->co, place, 1, 2);
}

static bool call(struct ws *w, const struct binding *b, enum callback which, uint32_t to)
{
    struct migration m = {w, b, which, w->state_version, to, false};
    const char *what = which == CB_MIGRATE ? "migrate" : "downgrade";
    struct task *t = task_new(w->vm, b->generation, what);
    if (!t)
        return false;
    t->owner = &m;
    t->after = after_migrate;
    t->of = w->accepted->pattern;
    t->counted = false;
    bool elsewhere = b->generation != w->vm->generation && !w->vm->share;
    w->migrating = true;
    w->vm->migrating++;
    if (elsewhere) /* code that serves no more sees its own classes */
        generation_switch(w->vm, b->generation);
    task_run(t, migrate_body);
    if (elsewhere)
        generation_switch(w->vm, w->vm->generation);
    w->vm->migrating--;
    w->migrating = false;
    return m.ok;
}

/* --- up and down ------------------------------------------------------------------------------ */

static bool go_up(struct ws *w, const struct binding *b, uint32_t to)
{
    uint32_t from = w->state_version;
    if (binding_has(b, CB_MIGRATE)) {
        if (!call(w, b, CB_MIGRATE, to)) {
            generation_failed(b->generation, true);
            return false;
        }
        w->kept = true;
        w->kept_version = from;
    }
    w->state_version = to;
    ws_drop_kept(w);
    return true;
}

/* What the state's own version has here, if it can turn it back. */
static const struct binding *find_downgrade(const struct ws *w)
{
    const struct vm *vm = w->vm;
    for (const struct list *n = vm->generations.prev; n != &vm->generations; n = n->prev) {
        const struct generation *g = list_entry(n, struct generation, node);
        const struct binding *b =
            g->state_version == w->state_version ? generation_binding(g, w->slot) : NULL;
        if (b && binding_has(b, CB_DOWNGRADE))
            return b;
    }
    return NULL;
}

/* Coming back always succeeds: what cannot be turned back or put back stays as it is. */
static void go_down(struct ws *w, uint32_t to)
{
    const struct binding *newer = find_downgrade(w);
    if (newer && call(w, newer, CB_DOWNGRADE, to)) {
        forget_kept(w);
        w->state_version = to;
    } else if (w->kept && w->kept_version <= to) {
        put_back(w);
    } else {
        w->state_version = to;
    }
}

bool ws_is_newer(const struct ws *w, const struct binding *b)
{
    return b->generation && w->state_version > b->generation->state_version;
}

bool ws_migrate(struct ws *w, const struct binding *b)
{
    if (!b->generation || b->generation->state_version == w->state_version)
        return true;
    uint32_t to = (uint32_t)b->generation->state_version;
    if (!has_state(w)) {
        w->state_version = to;
        return true;
    }
    if (w->state_version > to)
        go_down(w, to);
    return w->state_version == to || go_up(w, b, to);
}
