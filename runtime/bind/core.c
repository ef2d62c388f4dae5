#include "bind/core.h"
#include "bind/bind.h"
#include "bind/client.h"
#include "bind/control.h"
#include "bind/disk.h"
#include "bind/folder.h"
#include "bind/generation.h"
#include "bind/limited.h"
#include "bind/request.h"
#include "bind/ws.h"
#include "wire/network.h"

#include <string.h>
#include <time.h>

/* --- time ------------------------------------------------------------------------------------- */

static int l_now(lua_State *L)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
    return 1;
}

/* --- log -------------------------------------------------------------------------------------- */

#define LOG_FIELDS_MAX 32

/* Lines as one text with line feeds. */
static struct slice join_lines(lua_State *L, int arg)
{
    struct slice s = {"", 0};
    luaL_Buffer b;
    if (lua_isnoneornil(L, arg))
        return s;
    luaL_buffinit(L, &b);
    for (lua_Integer i = 1, n = luaL_len(L, arg); i <= n; i++) {
        lua_geti(L, arg, i);
        luaL_addvalue(&b);
        luaL_addchar(&b, '\n');
    }
    luaL_pushresult(&b);
    s.ptr = lua_tolstring(L, -1, &s.len);
    s.len -= s.len ? 1 : 0;
    return s;
}

/* Fields in the order of their names, so that lines of one kind look alike. */
static void sort_fields(struct log_field *fields, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t k = i; k > 0 && strcmp(fields[k].name, fields[k - 1].name) < 0; k--) {
            struct log_field f = fields[k];
            fields[k] = fields[k - 1];
            fields[k - 1] = f;
        }
}

static size_t read_fields(lua_State *L, int arg, struct log_field *fields)
{
    size_t count = 0;
    if (lua_isnoneornil(L, arg))
        return 0;
    luaL_checkstack(L, LOG_FIELDS_MAX + 8, NULL);
    for (lua_pushnil(L); lua_next(L, arg) && count < LOG_FIELDS_MAX;) {
        struct log_field *f = &fields[count++];
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "log: names of fields must be strings");
        f->name = lua_tostring(L, -2);
        f->value.ptr = luaL_tolstring(L, -1, &f->value.len); /* stays on the stack */
        lua_insert(L, -3);
        lua_pop(L, 1);
    }
    sort_fields(fields, count);
    return count;
}

/* log(level, message [, fields [, lines]]) */
static int l_log(lua_State *L)
{
    static const char *const names[] = {"debug", "info", "warn", "error", NULL};
    static const enum log_level levels[] = {LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR};
    struct log_field fields[LOG_FIELDS_MAX];
    struct log_record record = {.level = levels[luaL_checkoption(L, 1, NULL, names)]};
    record.message.ptr = luaL_checklstring(L, 2, &record.message.len);
    lua_settop(L, 4);
    record.detail = join_lines(L, 4);
    record.fields = fields;
    record.count = read_fields(L, 3, fields);
    log_write(vm_of(L)->log, &record);
    return 0;
}

/* --- the state of the vm ---------------------------------------------------------------------- */

static int l_loading(lua_State *L)
{
    vm_of(L)->loading = lua_toboolean(L, 1);
    return 0;
}

static int l_reporter(lua_State *L)
{
    struct vm *vm = vm_of(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    vm->reports_locals = lua_toboolean(L, 2);
    lua_settop(L, 1);
    int old = vm->reporter;
    vm->reporter = luaL_ref(L, LUA_REGISTRYINDEX);
    luaL_unref(L, LUA_REGISTRYINDEX, old);
    return 0;
}

/* core.network(text): true, or nil and what is wrong with it as an address or a network */
static int l_network(lua_State *L)
{
    struct network network;
    struct slice text;
    text.ptr = luaL_checklstring(L, 1, &text.len);
    int error = network_parse(text, &network);
    if (error) {
        lua_pushnil(L);
        lua_pushstring(L, network_error_text(error));
        return 2;
    }
    lua_pushboolean(L, true);
    return 1;
}

static int open_module(lua_State *L)
{
    static const luaL_Reg functions[] = {{"now", l_now},
                                         {"sleep", timer_sleep},
                                         {"spawn", timer_spawn},
                                         {"after", timer_after},
                                         {"every", timer_every},
                                         {"publish", publish_all},
                                         {"send", publish_send},
                                         {"log", l_log},
                                         {"loading", l_loading},
                                         {"reporter", l_reporter},
                                         {"generation", generation_make},
                                         {"generations", generation_list},
                                         {"on_generation", generation_on_switch},
                                         {"hold", hold_set},
                                         {"quiet", hold_quiet},
                                         {"states", sweep_states},
                                         {"network", l_network},
                                         {"check_listen", check_listen},
                                         {"connect", client_connect},
                                         {"cannot_wait", client_cannot_wait},
                                         {"told_to_close", client_told_to_close},
                                         {"exit", script_exit},
                                         {"folder", folder_new},
                                         {"read", disk_read},
                                         {"stat", disk_stat},
                                         {"list", disk_list},
                                         {"is_over", limited_over},
                                         {"limited", limited_call},
                                         {"sha256", digest_sha256},
                                         {"control_ask", control_ask},
                                         {"control_find", control_find},
                                         {"json_encode", json_encode},
                                         {"json_tell", json_tell},
                                         {"json_decode", json_decode},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_pushliteral(L, TIDEWIRE_VERSION);
    lua_setfield(L, -2, "version");
    json_open(L);
    return 1;
}

void core_open(lua_State *L)
{
    vm_buffer_open(L);
    generation_open(L);
    client_open(L);
    request_open(L);
    folder_open(L);
    ws_open(L);
    ws_timer_open(L);
    timer_open(L);
    modules_open(L);
    luaL_requiref(L, "tidewire.core", open_module, 0);
    lua_pop(L, 1);
}
