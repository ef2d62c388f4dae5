/* "tidewire.generation", and how one is made: core.generation. */
#include "base/map.h"
#include "bind/generation.h"
#include "bind/task.h"

#define GENERATION "tidewire.generation"
#define SHARE_ALL 100
#define PINS 10 /* that gen:pins() lists, when it is not told how many */

static struct generation *check(lua_State *L, int arg)
{
    struct generation **self = luaL_checkudata(L, arg, GENERATION);
    if (!*self)
        luaL_error(L, "this generation was never finished");
    return *self;
}

static struct generation *check_living(lua_State *L, int arg)
{
    struct generation *g = check(L, arg);
    if (g->role == GENERATION_GONE)
        luaL_error(L, "this generation is gone");
    return g;
}

/* --- handlers of the connections that we make ------------------------------------------------- */

/* The module's handler in this generation, as a binding. NULL: it has none, or memory is short. */
struct binding *generation_module(lua_State *L, struct generation *g, struct slot *s)
{
    struct slice name;
    struct binding *b = generation_binding(g, s);
    if (b || !slot_is_module(s, &name))
        return b;
    lua_createtable(L, 0, 1);
    if (lua_rawgeti(L, LUA_REGISTRYINDEX, g->loaded) == LUA_TTABLE) {
        lua_pushlstring(L, name.ptr, name.len);
        lua_rawget(L, -2);
        bool is_handler = lua_istable(L, -1);
        lua_setfield(L, -3, "handler");
        lua_pop(L, 1);
        b = is_handler ? generation_add(g) : NULL;
        if (b) {
            app_read_callbacks(L, b);
            b->slot = slot_ref(s);
        }
    } else {
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return b;
}

/* The slot of the module whose value the handler is; NULL: of none, or memory is short. */
struct slot *generation_find_module(lua_State *L, struct generation *g, int handler)
{
    struct slot *found = NULL;
    struct slice name;
    if (!g || lua_rawgeti(L, LUA_REGISTRYINDEX, g->loaded) != LUA_TTABLE)
        return NULL;
    for (lua_pushnil(L); !found && lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !lua_rawequal(L, -1, handler))
            continue;
        name.ptr = lua_tolstring(L, -2, &name.len);
        found = slot_of_module(g->vm, name);
        lua_pop(L, 1);
        break;
    }
    return found;
}

/* Those that there are connections for already. */
static void add_modules(lua_State *L, struct generation *g)
{
    struct slot *s;
    for (size_t at = 0; (s = map_next(g->vm->slots, &at, NULL));)
        generation_module(L, g, s);
}

/* --- making one ------------------------------------------------------------------------------- */

static int ref_of(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    return luaL_ref(L, LUA_REGISTRYINDEX); /* LUA_REFNIL for nil */
}

static lua_Integer version_of(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    lua_Integer n = luaL_checkinteger(L, -1);
    luaL_argcheck(L, n > 0 && n <= UINT32_MAX, table, "versions from 1 expected");
    lua_pop(L, 1);
    return n;
}

/* The route's table is on top of the stack. Returns 0 or an enum route_error. */
static int add_route(lua_State *L, struct generation *g)
{
    struct binding *b = generation_add(g);
    if (!b)
        return ROUTE_ERR_MEMORY;
    app_read_binding(L, b, &g->limits);
    int error = route_add(g->routes, slice_of(b->pattern), b->mount, b);
    if (error)
        return error;
    b->slot = slot_of_route(g->vm, b);
    return b->slot ? 0 : ROUTE_ERR_MEMORY;
}

/* The table of routes is on top of the stack. Pushes what is returned, or nothing: all is well. */
static int add_routes(lua_State *L, struct generation *g)
{
    for (lua_Integer i = 1, n = luaL_len(L, -1); i <= n; i++) {
        lua_geti(L, -1, i);
        luaL_checktype(L, -1, LUA_TTABLE);
        int error = add_route(L, g);
        lua_pop(L, 1);
        if (!error)
            continue;
        lua_pushnil(L);
        lua_pushstring(L, route_error_text(error));
        lua_pushinteger(L, i);
        return 3;
    }
    return 0;
}

/* record.generation.loaded: the cache of modules (lua/tidewire/loader.lua) */
static void read_loaded(lua_State *L, struct generation *g)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, g->record);
    if (lua_getfield(L, -1, "generation") == LUA_TTABLE) {
        lua_getfield(L, -1, "loaded");
        g->loaded = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_pop(L, 2);
}

static struct generation *push_new(lua_State *L)
{
    struct generation **self = lua_newuserdatauv(L, sizeof *self, 0);
    *self = NULL;
    luaL_setmetatable(L, GENERATION);
    *self = generation_new(vm_of(L));
    if (!*self)
        luaL_error(L, "out of memory");
    return *self;
}

/* May another one be made? `force`: one more than may live, because its commit will end one. */
static bool has_room(lua_State *L, const struct vm *vm)
{
    lua_getfield(L, 1, "force");
    bool force = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return force || !generation_is_full(vm);
}

/* generation{ number =, state_version =, app =, routes =, limits =, record =, loaded =, force = }:
 * it; or nil, message, and the index of the route that is wrong. */
int generation_make(lua_State *L)
{
    struct vm *vm = vm_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (!has_room(L, vm)) {
        lua_pushnil(L);
        lua_pushliteral(L, "too many generations live already");
        return 2;
    }
    struct generation *g = push_new(L); /* at 2 */
    g->number = version_of(L, 1, "number");
    g->state_version = version_of(L, 1, "state_version");
    g->limits = (struct conn_limits)CONN_LIMITS_DEFAULT;
    if (lua_getfield(L, 1, "limits") == LUA_TTABLE)
        app_read_limits(L, &g->limits);
    lua_settop(L, 2);
    g->object = ref_of(L, 1, "app");
    lua_getfield(L, 1, "record");
    luaL_checktype(L, -1, LUA_TTABLE);
    g->record = luaL_ref(L, LUA_REGISTRYINDEX);
    read_loaded(L, g);
    lua_getfield(L, 1, "routes");
    luaL_checktype(L, -1, LUA_TTABLE);
    int wrong = add_routes(L, g);
    if (wrong)
        return wrong;
    lua_settop(L, 2);
    add_modules(L, g);
    lua_pushvalue(L, 2);
    g->self = luaL_ref(L, LUA_REGISTRYINDEX);
    g->refs++;
    list_push(&vm->generations, &g->node);
    return 1;
}

/* generations(): all that live, oldest first */
int generation_list(lua_State *L)
{
    struct vm *vm = vm_of(L);
    lua_Integer i = 0;
    lua_newtable(L);
    for (struct list *n = vm->generations.next; n != &vm->generations; n = n->next) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, list_entry(n, struct generation, node)->self);
        lua_rawseti(L, -2, ++i);
    }
    return 1;
}

/* on_generation(fn): fn(record) is called before code of another generation runs while there is a
 * canary */
int generation_on_switch(lua_State *L)
{
    struct vm *vm = vm_of(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    luaL_unref(L, LUA_REGISTRYINDEX, vm->switcher);
    vm->switcher = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* --- methods ---------------------------------------------------------------------------------- */

static int catch_modules(lua_State *L)
{
    add_modules(L, lua_touserdata(L, 1));
    return 0;
}

/* gen:commit([share]): current for all; with 1 to 99 for that share beside the current one */
static int l_commit(lua_State *L)
{
    struct generation *g = check_living(L, 1);
    lua_Integer share = luaL_optinteger(L, 2, SHARE_ALL);
    luaL_argcheck(L, share > 0 && share <= SHARE_ALL, 2, "a share from 1 to 100 expected");
    /* modules that have come since: one that memory is too short for stays with its old code */
    lua_pushcfunction(L, catch_modules);
    lua_pushlightuserdata(L, g);
    lua_pcall(L, 1, 0, 0);
    generation_commit(g, share == SHARE_ALL ? 0 : (unsigned)share);
    return 0;
}

/* gen:drop(): frees one that was prepared; a canary serves no more */
static int l_drop(lua_State *L)
{
    struct generation *g = check(L, 1);
    if (g->role == GENERATION_CURRENT)
        return luaL_error(L, "the current generation cannot be dropped");
    generation_drop(g);
    return 0;
}

/* gen:keep(on): it, and the states that were replaced, are kept to come back to */
static int l_keep(lua_State *L)
{
    generation_keep(check(L, 1), lua_toboolean(L, 2));
    return 0;
}

/* gen:force(): ends what keeps it alive */
static int l_force(lua_State *L)
{
    struct generation *g = check(L, 1);
    if (generation_serves(g) || g == generation_current(g->vm))
        return luaL_error(L, "a generation that serves cannot be ended");
    if (g->role == GENERATION_OLD)
        generation_force(g);
    return 0;
}

/* gen:pins([n]): what keeps it alive, a list of at most n; and how much that is */
static int l_pins(lua_State *L)
{
    struct generation *g = check(L, 1);
    generation_push_pins(L, g, luaL_optinteger(L, 2, PINS));
    return 2;
}

/* --- gen:call --------------------------------------------------------------------------------- */

#define FUNCTION 4 /* its place: above it, what is called, and what explains errors */

/* Of an error: itself and a traceback, as one value. */
static int explain(lua_State *L)
{
    lua_createtable(L, 2, 0);
    lua_insert(L, 1);
    lua_rawseti(L, 1, 1);
    luaL_traceback(L, L, NULL, 1);
    lua_rawseti(L, 1, 2);
    return 1;
}

static int push_raised(lua_State *L)
{
    lua_pushboolean(L, false);
    if (lua_istable(L, -2)) {
        lua_rawgeti(L, -2, 1);
        lua_rawgeti(L, -3, 2);
    } else { /* memory was too short to explain it */
        lua_pushvalue(L, -2);
        lua_pushliteral(L, "");
    }
    return 3;
}

static int called(lua_State *L, int status, lua_KContext before)
{
    struct generation *g = check(L, 1);
    struct task *t = vm_of(L)->current;
    t->what = (const char *)before;
    g->handled++;
    if (status != LUA_OK && status != LUA_YIELD)
        generation_failed(g, false);
    task_change(t, NULL);
    if (status != LUA_OK && status != LUA_YIELD)
        return push_raised(L);
    lua_pushboolean(L, true);
    lua_insert(L, FUNCTION);
    return lua_gettop(L) - FUNCTION + 1;
}

/* gen:call(what, fn, ...): calls fn(...) in this task as code of the generation; it may await.
 * `what` is what `status` shows. true and its results; or false, the error and a traceback. */
static int l_call(lua_State *L)
{
    struct generation *g = check_living(L, 1);
    struct task *t = g->vm->current;
    const char *what = luaL_checkstring(L, 2);
    luaL_checkany(L, 3);
    if (!t || t->generation)
        return luaL_error(L, "gen:call is for tasks of the runtime");
    lua_pushcfunction(L, explain);
    lua_insert(L, FUNCTION - 1);
    lua_KContext before = (lua_KContext)t->what;
    t->what = what; /* the stack keeps it */
    task_change(t, g);
    int status = lua_pcallk(L, lua_gettop(L) - FUNCTION, LUA_MULTRET, FUNCTION - 1, before, called);
    return called(L, status, before);
}

/* --- fields ----------------------------------------------------------------------------------- */

static int get_number(lua_State *L)
{
    lua_pushinteger(L, check(L, 1)->number);
    return 1;
}

static int get_state_version(lua_State *L)
{
    lua_pushinteger(L, check(L, 1)->state_version);
    return 1;
}

static int get_handled(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check(L, 1)->handled);
    return 1;
}

static int get_failed(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check(L, 1)->failed);
    return 1;
}

static int get_migrations_failed(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check(L, 1)->migrations_failed);
    return 1;
}

static int get_tasks(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check(L, 1)->tasks);
    return 1;
}

static int get_connections(lua_State *L)
{
    generation_push_connections(L, check(L, 1));
    return 1;
}

static int get_record(lua_State *L)
{
    struct generation *g = check(L, 1);
    if (g->role == GENERATION_GONE)
        lua_pushnil(L);
    else
        lua_rawgeti(L, LUA_REGISTRYINDEX, g->record);
    return 1;
}

static const char *role_of(const struct generation *g)
{
    static const char *const names[] = {
        [GENERATION_PREPARED] = "prepared", [GENERATION_CURRENT] = "current",
        [GENERATION_CANARY] = "canary",     [GENERATION_OLD] = "old",
        [GENERATION_GONE] = "gone",
    };
    return g->kept && g->role == GENERATION_OLD ? "kept" : names[g->role];
}

static int get_role(lua_State *L)
{
    lua_pushstring(L, role_of(check(L, 1)));
    return 1;
}

static int generation_tostring(lua_State *L)
{
    const struct generation *g = *(struct generation **)luaL_checkudata(L, 1, GENERATION);
    if (g)
        lua_pushfstring(L, "generation of version %I (%s)", (LUAI_UACINT)g->number, role_of(g));
    else
        lua_pushliteral(L, "generation (unfinished)");
    return 1;
}

static int generation_gc(lua_State *L)
{
    struct generation **self = luaL_checkudata(L, 1, GENERATION);
    if (*self)
        generation_unref(*self);
    *self = NULL;
    return 0;
}

void generation_open(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__gc", generation_gc}, {"__tostring", generation_tostring}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"commit", l_commit}, {"drop", l_drop}, {"keep", l_keep},
                                       {"pins", l_pins},     {"call", l_call}, {"force", l_force},
                                       {NULL, NULL}};
    static const luaL_Reg getters[] = {{"number", get_number},
                                       {"state_version", get_state_version},
                                       {"handled", get_handled},
                                       {"failed", get_failed},
                                       {"migrations_failed", get_migrations_failed},
                                       {"tasks", get_tasks},
                                       {"connections", get_connections},
                                       {"record", get_record},
                                       {"role", get_role},
                                       {NULL, NULL}};
    vm_new_type(L, GENERATION, meta, methods, getters);
}
