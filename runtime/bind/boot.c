/* From the command line to a running app: the calls of bind.h that host makes. */
#include "bind/app.h"
#include "bind/bind.h"
#include "bind/core.h"
#include "bind/task.h"
#include "bind/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- commands --------------------------------------------------------------------------------- */

struct command {
    int argc;
    char **argv;
    int status;
    bool is_run;
    struct plan *plan;
};

static char *copy_string(lua_State *L, int index)
{
    const char *text = luaL_checkstring(L, index);
    char *copy = strdup(text);
    if (!copy)
        luaL_error(L, "out of memory");
    return copy;
}

/* plan.listen = { { url =, text = (where it comes from) }, ... } */
static void read_listen(lua_State *L, struct plan *plan)
{
    lua_getfield(L, -1, "listen");
    lua_Integer n = luaL_len(L, -1);
    plan->listen = calloc((size_t)n + 1, sizeof *plan->listen);
    if (!plan->listen)
        luaL_error(L, "out of memory");
    for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, -1, i);
        lua_getfield(L, -1, "url");
        plan->listen[plan->listen_count++] = copy_string(L, -1);
        lua_getfield(L, -2, "text");
        plan->listen_is_default = strcmp(luaL_optstring(L, -1, ""), "default") == 0;
        lua_pop(L, 3);
    }
    lua_pop(L, 1);
}

/* The field on top, popped; NULL when it is nil. */
static char *take_string(lua_State *L)
{
    char *copy = lua_isnil(L, -1) ? NULL : copy_string(L, -1);
    lua_pop(L, 1);
    return copy;
}

/* plan.tls = { certificates = { { cert =, key = }, ... }, client_ca =, client = }, or nil */
void boot_read_tls(lua_State *L, struct tls_settings *tls)
{
    if (lua_getfield(L, -1, "tls") == LUA_TTABLE) {
        lua_getfield(L, -1, "certificates");
        for (lua_Integer i = 1, n = luaL_len(L, -1); i <= n; i++) {
            lua_geti(L, -1, i);
            lua_getfield(L, -1, "cert");
            lua_getfield(L, -2, "key");
            if (!tls_settings_add(tls, luaL_checkstring(L, -2), luaL_checkstring(L, -1)))
                luaL_error(L, "out of memory");
            lua_pop(L, 3);
        }
        lua_pop(L, 1);
        lua_getfield(L, -1, "client_ca");
        tls->client_ca = take_string(L);
        lua_getfield(L, -1, "client");
        tls->client_optional = strcmp(luaL_optstring(L, -1, "required"), "optional") == 0;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* plan.control = path or nil, plan.control_asked = is it no default? */
static void read_control(lua_State *L, struct plan *plan)
{
    lua_getfield(L, -1, "control");
    plan->control = take_string(L);
    lua_getfield(L, -1, "control_asked");
    plan->control_asked = lua_toboolean(L, -1);
    lua_pop(L, 1);
}

static lua_Number number_field(lua_State *L, const char *name, lua_Number otherwise)
{
    lua_getfield(L, -1, name);
    lua_Number n = luaL_optnumber(L, -1, otherwise);
    lua_pop(L, 1);
    return n;
}

static uint32_t bounded_field(lua_State *L, const char *name, lua_Number scale)
{
    lua_Number n = number_field(L, name, 0) * scale;
    return n >= UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static void read_log(lua_State *L, struct plan *plan)
{
    struct slice name;
    plan->log = LOG_INFO;
    lua_getfield(L, -1, "log");
    name.ptr = luaL_optlstring(L, -1, "info", &name.len);
    if (!log_level_parse(name, &plan->log))
        luaL_error(L, "log: unknown level");
    lua_pop(L, 1);
    lua_getfield(L, -1, "log_file");
    plan->log_file = take_string(L);
}

static void read_plan(lua_State *L, struct plan *plan)
{
    lua_getfield(L, -1, "command");
    plan->exec = strcmp(luaL_optstring(L, -1, "run"), "exec") == 0;
    lua_pop(L, 1);
    read_log(L, plan);
    read_listen(L, plan);
    boot_read_tls(L, &plan->tls);
    read_control(L, plan);
    lua_getfield(L, -1, "app");
    plan->app = take_string(L);
    lua_getfield(L, -1, "root");
    plan->root = take_string(L);
    lua_getfield(L, -1, "dev");
    plan->dev = lua_toboolean(L, -1);
    lua_pop(L, 1);
    plan->workers = (size_t)number_field(L, "workers", 1);
    app_read_proxies(L, &plan->proxies);
    lua_getfield(L, -1, "limits");
    plan->bounds = (struct conn_bounds){
        .connections = (size_t)number_field(L, "connections", 0),
        .handshakes_per_address = bounded_field(L, "handshakes_per_address", 1),
        .handshakes_per_second = bounded_field(L, "handshakes_per_second", 1),
        .lag = bounded_field(L, "lag", 1000),
        .reassembly = (size_t)number_field(L, "reassembly", 0),
    };
    plan->drain = (uint32_t)(number_field(L, "drain", 30) * 1000);
    plan->reload_grace = bounded_field(L, "reload_grace", 1000);
    plan->reload_watch = bounded_field(L, "reload_watch", 1000);
    lua_pop(L, 1);
}

static int call_main(lua_State *L)
{
    struct command *c = lua_touserdata(L, 1);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tidewire.cli");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "main");
    lua_newtable(L);
    for (int i = 1; i < c->argc; i++) {
        lua_pushstring(L, c->argv[i]);
        lua_rawseti(L, -2, i);
    }
    lua_call(L, 1, 1);
    c->is_run = lua_istable(L, -1);
    if (!c->is_run) {
        c->status = (int)luaL_checkinteger(L, -1);
        return 0;
    }
    read_plan(L, c->plan);
    lua_setfield(L, LUA_REGISTRYINDEX, VM_PLAN);
    return 0;
}

bool vm_command(struct vm *vm, int argc, char **argv, int *status, struct plan *plan)
{
    struct command c = {argc, argv, 1, false, plan};
    *plan = (struct plan){0};
    if (!vm_protected(vm, call_main, &c))
        c.is_run = false;
    *status = c.status;
    return c.is_run;
}

void plan_free(struct plan *plan)
{
    for (size_t i = 0; i < plan->listen_count; i++)
        free(plan->listen[i]);
    free(plan->listen);
    tls_settings_free(&plan->tls);
    free(plan->control);
    free(plan->app);
    free(plan->root);
    free(plan->log_file);
    network_list_free(&plan->proxies);
    *plan = (struct plan){0};
}

/* --- boot and stop ---------------------------------------------------------------------------- */

struct boot {
    const char *const *urls;
    size_t count;
    struct slice order, bundle; /* not to be used after the first step */
    void (*done)(void *context, bool ok, const char *text);
    void *context;
};

static int call_ended(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return lua_gettop(L);
}

static void push_worker(lua_State *L, const char *function)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tidewire.worker");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, function);
    lua_remove(L, -2);
}

/* worker.boot(plan, urls [, order, bundle]): the banner, or nil and the whole message */
static int boot_body(lua_State *L)
{
    const struct boot *b = vm_of(L)->current->owner;
    int args = 2;
    push_worker(L, "boot");
    lua_getfield(L, LUA_REGISTRYINDEX, VM_PLAN);
    lua_newtable(L);
    for (size_t i = 0; i < b->count; i++) {
        lua_pushstring(L, b->urls[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    if (b->order.len) {
        reload_push_order(L, b->order);
        lua_pushlstring(L, b->bundle.len ? b->bundle.ptr : "", b->bundle.len);
        args = 4;
    }
    lua_callk(L, args, 2, 0, call_ended);
    return 2;
}

static void after_boot(struct task *t, enum task_outcome outcome)
{
    struct boot *b = t->owner;
    if (outcome == TASK_WAITING)
        return;
    if (outcome == TASK_DROPPED) {
        free(b);
        return;
    }
    if (outcome == TASK_FAILED)
        vm_report(t->co, "the start of the app", 1, 2);
    bool ok = outcome == TASK_DONE && lua_type(t->co, -2) == LUA_TSTRING;
    bool told = outcome == TASK_DONE && lua_type(t->co, ok ? -2 : -1) == LUA_TSTRING;
    b->done(b->context, ok, told ? lua_tostring(t->co, ok ? -2 : -1) : "");
    free(b);
}

void vm_boot(struct vm *vm, const char *const *urls, size_t count, struct slice order,
             struct slice bundle, void (*done)(void *context, bool ok, const char *text),
             void *context)
{
    struct boot *b = malloc(sizeof *b);
    struct task *t = b ? task_new(vm, NULL, "boot") : NULL;
    if (!t) {
        free(b);
        done(context, false, "tidewire: out of memory\n");
        return;
    }
    *b = (struct boot){urls, count, order, bundle, done, context};
    t->owner = b;
    t->after = after_boot;
    task_run(t, boot_body);
}

struct stop {
    struct vm *vm;
    void (*done)(void *context);
    void *context;
    struct timer wait; /* for handlers to end */
};

static int stop_body(lua_State *L)
{
    push_worker(L, "stop");
    lua_callk(L, 0, 0, 0, call_ended);
    return 0;
}

static void after_stop(struct task *t, enum task_outcome outcome)
{
    struct stop *s = t->owner;
    if (outcome == TASK_WAITING)
        return;
    if (outcome == TASK_FAILED)
        vm_report(t->co, "the stop of the app", 1, 2);
    if (outcome != TASK_DROPPED)
        s->done(s->context);
    free(s);
}

static void start_stop(struct timer *wait)
{
    struct stop *s = list_entry(wait, struct stop, wait);
    struct task *t = task_new(s->vm, NULL, "stop");
    s->vm->stop = NULL;
    if (!t) {
        s->done(s->context);
        free(s);
        return;
    }
    t->owner = s;
    t->after = after_stop;
    task_run(t, stop_body);
}

void vm_handlers_ended(struct vm *vm)
{
    if (vm->stop)
        loop_timer_set(vm->loop, &vm->stop->wait, 0);
}

void vm_stop_cancel(struct vm *vm)
{
    if (vm->stop)
        loop_timer_cancel(vm->loop, &vm->stop->wait);
    free(vm->stop);
    vm->stop = NULL;
}

/* No other version will come that could bring its state into form. */
static void give_up(struct ws *w, void *context)
{
    (void)context;
    if (w->failed)
        ws_pump(w);
}

void vm_stop(struct vm *vm, uint64_t within, void (*done)(void *context), void *context)
{
    struct stop *s = calloc(1, sizeof *s);
    if (!s) {
        done(context);
        return;
    }
    *s = (struct stop){.vm = vm, .done = done, .context = context, .wait = {.fire = start_stop}};
    vm->stop = s;
    sweep_each(vm, give_up, NULL);
    loop_timer_set(vm->loop, &s->wait, vm->ws_count ? within : 0);
}
