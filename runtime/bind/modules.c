/* The modules of the runtime's Lua half: embedded, or of TIDEWIRE_LUA_PATH while developing. */
#include "bind/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int load_embedded(lua_State *L, const struct embedded *m)
{
    if (luaL_loadbufferx(L, m->text, m->size, m->source, "t") != LUA_OK)
        return lua_error(L);
    lua_pushstring(L, m->source);
    return 2;
}

/* TIDEWIRE_LUA_PATH names a folder that holds tidewire/init.lua and the rest. */
static int load_overriding(lua_State *L, const char *folder)
{
    const char *name = luaL_gsub(L, luaL_checkstring(L, 1), ".", "/");
    const char *path = lua_pushfstring(L, "%s/%s.lua", folder, name);
    FILE *f = fopen(path, "r");
    if (!f) {
        path = lua_pushfstring(L, "%s/%s/init.lua", folder, name);
        f = fopen(path, "r");
    }
    if (!f)
        return 0;
    fclose(f);
    if (luaL_loadfilex(L, path, "t") != LUA_OK)
        return lua_error(L);
    lua_pushstring(L, path);
    return 2;
}

static int search_embedded(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const char *folder = getenv("TIDEWIRE_LUA_PATH");
    bool ours = strcmp(name, "tidewire") == 0 || strncmp(name, "tidewire.", 9) == 0;
    if (ours && folder && *folder)
        return load_overriding(L, folder);
    for (const struct embedded *m = embedded_modules; m->module; m++)
        if (strcmp(m->module, name) == 0)
            return load_embedded(L, m);
    lua_pushfstring(L, "no module '%s' in the runtime", name);
    return 1;
}

/* Before package.searchers[2], which looks into the file system. */
void modules_open(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    for (lua_Integer i = luaL_len(L, -1); i >= 2; i--) {
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushcfunction(L, search_embedded);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
}
