#include "bind/core.h"
#include "bind/app.h"
#include "bind/folder.h"
#include "bind/request.h"
#include "bind/task.h"
#include "bind/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMER "tidewire.timer"

/* --- time and tasks --------------------------------------------------------------------------- */

static int l_now(lua_State *L)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
    return 1;
}

static int slept(lua_State *L, int status, lua_KContext context)
{
    (void)L;
    (void)status;
    (void)context;
    return 0;
}

static int l_sleep(lua_State *L)
{
    uint64_t ms = vm_check_seconds(L, 1);
    vm_check_acting(L, "sleep");
    task_await_timeout(L, ms, task_resume);
    return task_await(L, NULL, 0, slept);
}

/* The function at `first` and all above it, as a task of its own, at the end of the turn. */
static int l_spawn(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    vm_check_acting(L, "spawn");
    int args = lua_gettop(L) - 1;
    struct task *t = task_new(vm_of(L), "spawn");
    if (!t || !lua_checkstack(t->co, args + 1))
        return luaL_error(L, "out of memory");
    lua_xmove(L, t->co, args + 1);
    task_run_later(t, args);
    return 0;
}

/* --- timers of the app ------------------------------------------------------------------------ */

/* Lives in the registry while it is set. */
struct app_timer {
    struct timer timer;
    struct vm *vm;
    uint64_t repeat; /* ms; 0: once */
    int self;        /* registry reference of its userdata; LUA_NOREF: not set */
};

static void timer_end(struct app_timer *t)
{
    loop_timer_cancel(t->vm->loop, &t->timer);
    luaL_unref(t->vm->L, LUA_REGISTRYINDEX, t->self);
    t->self = LUA_NOREF;
}

static int timer_body(lua_State *L)
{
    struct app_timer *t = vm_of(L)->current->owner;
    vm_of(L)->current->owner = NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->self);
    lua_getiuservalue(L, -1, 1);
    if (t->repeat)
        loop_timer_set(t->vm->loop, &t->timer, t->repeat);
    else
        timer_end(t);
    lua_callk(L, 0, 0, 0, slept);
    return 0;
}

static void on_timer(struct timer *timer)
{
    struct app_timer *t = list_entry(timer, struct app_timer, timer);
    struct task *task = task_new(t->vm, t->repeat ? "every" : "after");
    if (!task) {
        loop_timer_set(t->vm->loop, &t->timer, t->repeat ? t->repeat : 1000);
        return;
    }
    task->owner = t;
    task_run(task, timer_body);
}

static int timer_start(lua_State *L, bool repeat)
{
    uint64_t ms = vm_check_seconds(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    luaL_argcheck(L, !repeat || ms > 0, 1, "an interval above 0 expected");
    vm_check_acting(L, repeat ? "every" : "after");
    struct app_timer *t = lua_newuserdatauv(L, sizeof *t, 1);
    *t = (struct app_timer){.vm = vm_of(L), .repeat = repeat ? ms : 0, .self = LUA_NOREF};
    t->timer.fire = on_timer;
    luaL_setmetatable(L, TIMER);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, -1);
    t->self = luaL_ref(L, LUA_REGISTRYINDEX);
    loop_timer_set(t->vm->loop, &t->timer, ms);
    return 1;
}

static int l_after(lua_State *L)
{
    return timer_start(L, false);
}

static int l_every(lua_State *L)
{
    return timer_start(L, true);
}

static int timer_cancel(lua_State *L)
{
    struct app_timer *t = luaL_checkudata(L, 1, TIMER);
    timer_end(t);
    return 0;
}

static int timer_tostring(lua_State *L)
{
    const struct app_timer *t = luaL_checkudata(L, 1, TIMER);
    lua_pushfstring(L, "timer (%s)", t->self == LUA_NOREF ? "ended" : "set");
    return 1;
}

/* --- sending ---------------------------------------------------------------------------------- */

struct delivery {
    struct shared *frame;
    const struct ws *sender;
};

static void deliver(struct subscriber *who, void *context)
{
    const struct delivery *d = context;
    struct ws *w = list_entry(who, struct ws, subscriber);
    if (w != d->sender && w->conn)
        conn_send_shared(w->conn, d->frame);
}

static enum frame_opcode check_publish_options(lua_State *L, int arg)
{
    if (lua_isnoneornil(L, arg))
        return FRAME_TEXT;
    luaL_checktype(L, arg, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1))
        if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "kind") != 0)
            luaL_argerror(L, arg, "unknown option; known is kind = \"text\" | \"binary\"");
    lua_getfield(L, arg, "kind");
    enum frame_opcode kind = vm_check_kind(L, lua_gettop(L));
    lua_pop(L, 1);
    return kind;
}

int core_publish(lua_State *L, int arg, const struct ws *sender)
{
    struct vm *vm = vm_of(L);
    struct slice topic;
    topic.ptr = luaL_checklstring(L, arg, &topic.len);
    enum frame_opcode kind = check_publish_options(L, arg + 2);
    struct slice data = vm_check_message(L, arg + 1, kind);
    vm_check_acting(L, "publish");
    luaL_argcheck(L, topics_topic_valid(topic), arg,
                  "topic expected: levels separated by \"/\", none empty, without \"+\" and "
                  "\"#\", 255 bytes at most");
    /* framed once, whoever it goes to; nothing below raises */
    struct delivery d = {shared_new(), sender};
    if (!d.frame || !session_write_message(&d.frame->frame, kind, data.ptr, data.len, NULL)) {
        if (d.frame)
            shared_unref(d.frame);
        return luaL_error(L, "out of memory");
    }
    topics_match(vm->topics, topic, deliver, &d);
    shared_unref(d.frame);
    lua_pushboolean(L, true);
    return 1;
}

static int l_publish(lua_State *L)
{
    return core_publish(L, 1, NULL);
}

/* send(id, data [, kind]): as ws:send; nil, "unknown" when there is no such connection */
static int l_send(lua_State *L)
{
    struct slice id;
    id.ptr = luaL_checklstring(L, 1, &id.len);
    enum frame_opcode kind = vm_check_kind(L, 3);
    struct slice data = vm_check_message(L, 2, kind);
    vm_check_acting(L, "send");
    struct ws *w = ws_by_id(vm_of(L), id);
    if (w && w->conn)
        return vm_push_sent(L, conn_send(w->conn, kind, data.ptr, data.len));
    lua_pushnil(L);
    lua_pushliteral(L, "unknown");
    return 2;
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
    lua_settop(L, 1);
    int old = vm->reporter;
    vm->reporter = luaL_ref(L, LUA_REGISTRYINDEX);
    luaL_unref(L, LUA_REGISTRYINDEX, old);
    return 0;
}

/* --- embedded modules ------------------------------------------------------------------------- */

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
static void add_searcher(lua_State *L)
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

static int open_module(lua_State *L)
{
    static const luaL_Reg functions[] = {{"now", l_now},
                                         {"sleep", l_sleep},
                                         {"spawn", l_spawn},
                                         {"after", l_after},
                                         {"every", l_every},
                                         {"publish", l_publish},
                                         {"send", l_send},
                                         {"log", l_log},
                                         {"loading", l_loading},
                                         {"reporter", l_reporter},
                                         {"install", app_install},
                                         {"folder", folder_new},
                                         {"json_encode", json_encode},
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
    static const luaL_Reg timer_meta[] = {{"__tostring", timer_tostring}, {NULL, NULL}};
    static const luaL_Reg timer_methods[] = {{"cancel", timer_cancel}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    app_open(L);
    request_open(L);
    folder_open(L);
    ws_open(L);
    ws_timer_open(L);
    vm_new_type(L, TIMER, timer_meta, timer_methods, none);
    add_searcher(L);
    luaL_requiref(L, "tidewire.core", open_module, 0);
    lua_pop(L, 1);
}
