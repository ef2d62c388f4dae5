#include "bind/vm.h"
#include "bind/generation.h"
#include "wire/utf8.h"

#include <math.h>
#include <string.h>

#define BUFFER "tidewire.buffer"

/* --- protected calls and reports -------------------------------------------------------------- */

bool vm_protected(struct vm *vm, lua_CFunction body, void *context)
{
    lua_State *L = vm->L;
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, context);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK)
        return true;
    const char *message = lua_tostring(L, -1);
    log_error(vm->log, "%s", message ? message : "error without a message");
    lua_pop(L, 1);
    return false;
}

const char vm_frames;

struct report {
    lua_State *L;
    const char *where;
    int error, traceback;
};

static int report(lua_State *L)
{
    const struct report *r = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm_of(L)->reporter);
    lua_pushstring(L, r->where);
    lua_pushvalue(r->L, r->error);
    lua_pushvalue(r->L, r->traceback);
    lua_xmove(r->L, L, 2);
    if (vm_of(L)->failing)
        lua_rawgeti(L, LUA_REGISTRYINDEX, vm_of(L)->failing->record);
    else
        lua_pushnil(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &vm_frames);
    lua_call(L, 5, 0);
    return 0;
}

void vm_report(lua_State *L, const char *where, int error, int traceback)
{
    struct vm *vm = vm_of(L);
    struct report r = {L, where, error, traceback};
    if (!lua_checkstack(L, 2))
        return;
    if (vm->reporter != LUA_NOREF && vm_protected(vm, report, &r))
        return;
    const char *text = lua_type(L, error) == LUA_TSTRING ? lua_tostring(L, error) : "error";
    const char *trace = lua_type(L, traceback) == LUA_TSTRING ? lua_tostring(L, traceback) : "";
    struct log_field field = {"where", slice_of(where)};
    struct log_record record = {LOG_ERROR, slice_of(text), &field, 1, slice_of(trace)};
    log_write(vm->log, &record);
}

/* --- buffers ---------------------------------------------------------------------------------- */

static int buffer_gc(lua_State *L)
{
    buf_free(lua_touserdata(L, 1));
    return 0;
}

struct buf *vm_push_buffer(lua_State *L)
{
    struct buf *b = lua_newuserdatauv(L, sizeof *b, 0);
    *b = (struct buf){0};
    luaL_setmetatable(L, BUFFER);
    return b;
}

void vm_buffer_to_string(lua_State *L)
{
    struct buf *b = lua_touserdata(L, -1);
    lua_pushlstring(L, b->data ? (const char *)b->data : "", b->len);
    buf_free(b);
    lua_remove(L, -2);
}

void vm_buffer_open(lua_State *L)
{
    luaL_newmetatable(L, BUFFER);
    lua_pushcfunction(L, buffer_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}

/* --- arguments -------------------------------------------------------------------------------- */

void vm_check_acting(lua_State *L, const char *what)
{
    struct vm *vm = vm_of(L);
    if (vm->loading || !vm->loop)
        luaL_error(L,
                   "%s is not allowed while the app loads; declare it in the manifest, or do it "
                   "in start(app)",
                   what);
}

enum frame_opcode vm_check_kind(lua_State *L, int arg)
{
    const char *kind = lua_isnoneornil(L, arg)           ? "text"
                       : lua_type(L, arg) == LUA_TSTRING ? lua_tostring(L, arg)
                                                         : "";
    if (strcmp(kind, "text") == 0)
        return FRAME_TEXT;
    if (strcmp(kind, "binary") != 0)
        luaL_argerror(L, arg,
                      lua_pushfstring(L, "\"text\" or \"binary\" expected, got %s",
                                      luaL_tolstring(L, arg, NULL)));
    return FRAME_BINARY;
}

struct slice vm_check_message(lua_State *L, int arg, enum frame_opcode kind)
{
    struct slice s;
    s.ptr = luaL_checklstring(L, arg, &s.len);
    if (kind == FRAME_TEXT && !utf8_valid((const unsigned char *)s.ptr, s.len))
        luaL_argerror(L, arg, "text must be valid UTF-8; send other bytes as \"binary\"");
    return s;
}

uint64_t vm_check_seconds(lua_State *L, int arg)
{
    lua_Number seconds = luaL_checknumber(L, arg);
    luaL_argcheck(L, seconds >= 0 && seconds <= 1e9, arg, "seconds from 0 to 1e9 expected");
    return (uint64_t)ceil(seconds * 1000);
}

int vm_push_sent(lua_State *L, enum conn_sent sent)
{
    static const char *const why[] = {[CONN_BUFFERED] = "buffered",
                                      [CONN_NOT_OPEN] = "closed",
                                      [CONN_OVERFLOW] = "overflow",
                                      [CONN_NO_MEMORY] = "memory"};
    if (sent == CONN_SENT || sent == CONN_BUFFERED)
        lua_pushboolean(L, true);
    else
        lua_pushnil(L);
    if (sent == CONN_SENT)
        return 1;
    lua_pushstring(L, why[sent]);
    return 2;
}

/* --- userdata types --------------------------------------------------------------------------- */

/* Appends the names of the table at `from` to the list on top of the stack. */
static void add_names(lua_State *L, int from)
{
    for (lua_pushnil(L); lua_next(L, from); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_rawseti(L, -4, (lua_Integer)lua_rawlen(L, -4) + 1);
    }
}

/* A name that is misspelt is told at once, with the nearest one, and not as a nil later on. */
static int unknown_name(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tidewire.nearest");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "hint");
    lua_pushvalue(L, 2);
    lua_newtable(L);
    add_names(L, lua_upvalueindex(1));
    add_names(L, lua_upvalueindex(2));
    lua_call(L, 2, 1);
    const char *hint = lua_tostring(L, -1);
    const char *name = luaL_tolstring(L, 2, NULL);
    return luaL_error(L, "a %s has no `%s`%s", lua_tostring(L, lua_upvalueindex(3)), name, hint);
}

/* __index of all types: methods are values, getters are called. Upvalues: both tables, and what the
 * type is called. */
static int type_index(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TNIL)
        return unknown_name(L);
    lua_CFunction getter = lua_tocfunction(L, -1);
    lua_settop(L, 1);
    return getter(L);
}

void vm_new_type(lua_State *L, const char *name, const luaL_Reg *meta, const luaL_Reg *methods,
                 const luaL_Reg *getters)
{
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, meta, 0);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_newtable(L);
    luaL_setfuncs(L, getters, 0);
    lua_pushstring(L, strrchr(name, '.') + 1);
    lua_pushcclosure(L, type_index, 3);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
