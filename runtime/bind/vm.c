#include "bind/vm.h"
#include "bind/app.h"
#include "bind/bind.h"
#include "bind/core.h"
#include "bind/task.h"
#include "bind/ws.h"
#include "wire/utf8.h"

#include <lualib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BUFFER "tidewire.buffer"

/* --- life ------------------------------------------------------------------------------------- */

static int on_panic(lua_State *L)
{
    /* every entry is protected, so this is a fault of ours; abort() follows */
    log_error(vm_of(L)->log, "panic in Lua: %s",
              lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?");
    return 0;
}

static void on_warning(void *context, const char *message, int to_continue)
{
    const struct vm *vm = context;
    (void)to_continue;
    if (*message != '@') /* control messages of warn() */
        log_warn(vm->log, "%s", message);
}

static int open_state(lua_State *L)
{
    luaL_openlibs(L);
    task_open_coroutines(L);
    core_open(L);
    return 0;
}

struct vm *vm_new(const struct log *log)
{
    struct vm *vm = calloc(1, sizeof *vm);
    if (!vm)
        return NULL;
    vm->log = log;
    vm->reporter = LUA_NOREF;
    vm->limits = (struct conn_limits)CONN_LIMITS_DEFAULT;
    list_init(&vm->idle);
    list_init(&vm->tasks);
    vm->L = luaL_newstate();
    if (vm->L) {
        *(struct vm **)lua_getextraspace(vm->L) = vm;
        lua_atpanic(vm->L, on_panic);
        lua_setwarnf(vm->L, on_warning, vm);
        if (vm_protected(vm, open_state, NULL))
            return vm;
    }
    log_error(log, "cannot set up Lua: out of memory");
    vm_free(vm);
    return NULL;
}

/* A connection's id is a handle for sending to it: it must not be guessed from another one's. */
static bool draw_random(struct vm *vm, uint64_t *seed)
{
    uint64_t random[2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return false;
    snprintf(vm->node, sizeof vm->node, "%016llx", (unsigned long long)random[0]);
    *seed = random[1];
    return true;
}

bool vm_attach(struct vm *vm, struct loop *loop)
{
    uint64_t seed;
    if (!draw_random(vm, &seed))
        return false;
    vm->loop = loop;
    vm->topics = topics_new(seed);
    vm->conns = conn_set_new(loop, ws_events(), &vm->limits, seed, vm);
    return vm->topics && vm->conns;
}

void vm_free(struct vm *vm)
{
    if (!vm)
        return;
    vm_stop_cancel(vm);
    if (vm->conns)
        conn_set_free(vm->conns); /* their last events still find the rest in place */
    if (vm->L) {
        task_free_all(vm);
        ws_free_all(vm);
        lua_close(vm->L);
    }
    app_free(vm->app);
    if (vm->topics)
        topics_free(vm->topics);
    free(vm->ids);
    free(vm);
}

struct conn_set *vm_conns(struct vm *vm)
{
    return vm->conns;
}

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
    lua_call(L, 3, 0);
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
    static const char *const names[] = {"text", "binary", NULL};
    return luaL_checkoption(L, arg, "text", names) == 0 ? FRAME_TEXT : FRAME_BINARY;
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

/* __index of all types: methods are values, getters are called. Upvalues: both tables. */
static int type_index(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TNIL)
        return 1;
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
    lua_pushcclosure(L, type_index, 2);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
