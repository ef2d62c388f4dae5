/* What `tidewire check` asks of C: would `run` be able to make use of these listeners? */
#include "bind/core.h"
#include "net/listener.h"

struct check {
    struct tls_settings tls;
    bool ok;
    char error[1024];
};

/* judge(check, urls, tls): an error here leaves nothing behind that is not the caller's. */
static int judge(lua_State *L)
{
    struct check *c = lua_touserdata(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, 3);
    lua_setfield(L, -2, "tls");
    boot_read_tls(L, &c->tls);
    for (lua_Integer i = 1, n = luaL_len(L, 2); c->ok && i <= n; i++) {
        lua_geti(L, 2, i);
        c->ok = listen_check(luaL_checkstring(L, -1), &c->tls, c->error, sizeof c->error);
        lua_pop(L, 1);
    }
    return 0;
}

/* check_listen(urls, tls): true; or nil and what is wrong. `tls` as in a plan, or nil. */
int check_listen(lua_State *L)
{
    struct check c = {.ok = true};
    lua_settop(L, 2);
    lua_pushcfunction(L, judge);
    lua_insert(L, 1);
    lua_pushlightuserdata(L, &c);
    lua_insert(L, 2);
    int failed = lua_pcall(L, 3, 0, 0);
    tls_settings_free(&c.tls);
    if (failed)
        return lua_error(L);
    if (c.ok) {
        lua_pushboolean(L, true);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, c.error);
    return 2;
}
