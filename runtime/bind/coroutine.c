/* The library `coroutine` as the app has it. When a coroutine that the app made awaits, the
 * coroutine that resumed it awaits with it, up to the task; and when the task is resumed, each
 * resumes the one below it. So the app can await inside its own generators, and they see nothing of
 * it. */
#include "bind/limited.h"
#include "bind/task.h"

static int resume_inner(lua_State *L, int args);

/* While it waits, a coroutine has what its await yields on top of its stack. */
static bool is_waiting(lua_State *co)
{
    return lua_status(co) == LUA_YIELD && lua_gettop(co) > 0 && task_is_await(co, 1);
}

static int resume_inner_again(lua_State *L, int status, lua_KContext context)
{
    lua_State *co = lua_tothread(L, 1);
    (void)status;
    (void)context;
    if (is_waiting(co)) /* else the app has closed it meanwhile */
        lua_pop(co, 1);
    return resume_inner(L, 0);
}

/* The coroutine to resume is at 1 of L, its arguments on its own stack. Pushes what
 * coroutine.resume returns. */
static int resume_inner(lua_State *L, int args)
{
    lua_State *co = lua_tothread(L, 1);
    int results = 0;
    limited_enter(vm_of(L), co);
    int status = lua_resume(co, L, args, &results);
    if (status == LUA_YIELD && task_is_await(co, results))
        return task_await_inner(L, resume_inner_again);
    if (status != LUA_OK && status != LUA_YIELD) {
        if (limited_is_over(L))
            return limited_raise(L, co);
        lua_settop(L, 1);
        lua_pushboolean(L, false);
        lua_xmove(co, L, 1);
        return 2;
    }
    luaL_checkstack(L, results + 1, "too many results to resume");
    lua_settop(L, 1);
    lua_pushboolean(L, true);
    lua_xmove(co, L, results);
    return results + 1;
}

/* A handler may get hold of its own coroutine by coroutine.running. Only what it waits for may
 * resume it. */
static bool is_tasks_own(lua_State *L, lua_State *co)
{
    bool is = lua_rawgetp(L, LUA_REGISTRYINDEX, co) != LUA_TNIL;
    lua_pop(L, 1);
    return is;
}

/* Why a coroutine cannot be resumed by the app, or NULL. */
static const char *refusal(lua_State *L, lua_State *co)
{
    if (co == L)
        return "cannot resume non-suspended coroutine";
    if (is_tasks_own(L, co))
        return "cannot resume the coroutine of a handler: what it waits for resumes it";
    return is_waiting(co) ? "cannot resume a coroutine that waits: what it waits for resumes it"
                          : NULL;
}

/* coroutine.resume(co, ...) */
static int l_resume(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co, 1, "coroutine");
    const char *why = refusal(L, co);
    if (why) {
        lua_pushboolean(L, false);
        lua_pushstring(L, why);
        return 2;
    }
    int args = lua_gettop(L) - 1;
    if (!lua_checkstack(co, args)) {
        lua_pushboolean(L, false);
        lua_pushliteral(L, "too many arguments to resume");
        return 2;
    }
    lua_xmove(L, co, args);
    return resume_inner(L, args);
}

/* coroutine.close(co); the upvalue is Lua's own */
static int l_close(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    if (co && is_tasks_own(L, co))
        return luaL_argerror(L, 1, "the coroutine of a handler cannot be closed");
    if (co)
        limited_enter(vm_of(L), co);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    limited_is_over(L); /* if so, this one cannot go on either */
    return lua_gettop(L);
}

/* coroutine.wrap is written in Lua on top of it: it has to raise from where it was called. */
static const char WRAP[] = "local create, resume, close, status, error = ...\n"
                           "local function unwrap(co, ok, ...)\n"
                           "    if ok then return ... end\n"
                           "    if status(co) ~= 'suspended' then close(co) end\n"
                           "    error((...), 0)\n"
                           "end\n"
                           "return function(f)\n"
                           "    local co = create(f)\n"
                           "    return function(...) return unwrap(co, resume(co, ...)) end\n"
                           "end\n";

void coroutine_open(lua_State *L)
{
    lua_getglobal(L, "coroutine");
    lua_pushcfunction(L, l_resume);
    lua_setfield(L, -2, "resume");
    lua_getfield(L, -1, "close");
    lua_pushcclosure(L, l_close, 1);
    lua_setfield(L, -2, "close");
    if (luaL_loadbufferx(L, WRAP, sizeof WRAP - 1, "=coroutine.wrap", "t") != LUA_OK)
        lua_error(L);
    lua_getfield(L, -2, "create");
    lua_getfield(L, -3, "resume");
    lua_getfield(L, -4, "close");
    lua_getfield(L, -5, "status");
    lua_getglobal(L, "error");
    lua_call(L, 5, 1);
    lua_setfield(L, -2, "wrap");
    lua_pop(L, 1);
}
