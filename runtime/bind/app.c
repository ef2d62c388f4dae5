#include "bind/app.h"

#include <stdlib.h>
#include <string.h>

#define BUILDER "tidewire.install"

static const char *const callback_names[CB_COUNT] = {
    [CB_UPGRADE] = "upgrade", [CB_OPEN] = "open",   [CB_MESSAGE] = "message", [CB_DRAIN] = "drain",
    [CB_CLOSE] = "close",     [CB_ERROR] = "error", [CB_RUN] = "run",
};

/* --- memory ----------------------------------------------------------------------------------- */

static void names_free(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free((void *)n->list[i].ptr);
    free(n->list);
}

void app_clear_slot(struct slot *s)
{
    names_free(&s->protocols);
    names_free(&s->origins);
    network_list_free(&s->proxies);
    route_table_free(s->alone);
    free(s->pattern);
}

static void slot_free(struct slot *s)
{
    app_clear_slot(s);
    free(s);
}

/* Registry references go with the state. */
void app_free(struct app *app)
{
    if (!app)
        return;
    route_table_free(app->routes);
    for (size_t i = 0; i < app->count; i++)
        slot_free(app->slots[i]);
    free(app->slots);
    free(app);
}

/* --- limits ----------------------------------------------------------------------------------- */

static uint64_t number_of(lua_State *L, const char *name, uint64_t otherwise, double scale)
{
    lua_getfield(L, -1, name);
    lua_Number n = lua_isnil(L, -1) ? -1 : luaL_checknumber(L, -1);
    lua_pop(L, 1);
    return n < 0 ? otherwise : (uint64_t)(n * scale);
}

static uint32_t bounded(uint64_t n)
{
    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

/* The table of limits is on top of the stack: sizes in bytes, times in seconds. */
static void read_limits(lua_State *L, struct conn_limits *l)
{
#define SIZE(field, name) l->field = number_of(L, name, l->field, 1)
#define COUNT(field) l->field = bounded(number_of(L, #field, l->field, 1))
#define TIME(field) l->field = bounded(number_of(L, #field, l->field, 1000))
    SIZE(session.message, "message");
    l->session.fragments = bounded(number_of(L, "fragments", l->session.fragments, 1));
    l->session.inflate_ratio = bounded(number_of(L, "inflate_ratio", l->session.inflate_ratio, 1));
    SIZE(send_soft, "send_soft");
    SIZE(send_queue, "send_queue");
    COUNT(head);
    COUNT(headers);
    COUNT(body);
    COUNT(subscriptions);
    COUNT(rate);
    TIME(handshake);
    TIME(ping_interval);
    TIME(pong_wait);
    TIME(idle);
    TIME(close);
    TIME(stall);
#undef SIZE
#undef COUNT
#undef TIME
    if (l->headers > HTTP_HEADERS_MAX)
        l->headers = HTTP_HEADERS_MAX;
    /* a queue that cannot hold one message of the route would be of no use */
    if (l->send_queue < l->session.message)
        l->send_queue = l->session.message;
}

/* --- routes ----------------------------------------------------------------------------------- */

static char *copy_field(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    char *copy = strdup(luaL_checkstring(L, -1));
    lua_pop(L, 1);
    if (!copy)
        luaL_error(L, "out of memory");
    return copy;
}

static bool flag_field(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    bool is = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is;
}

static int ref_field(lua_State *L, const char *name, int type)
{
    if (lua_getfield(L, -1, name) != type) {
        lua_pop(L, 1);
        return LUA_NOREF;
    }
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* A list of strings on top of the stack. */
static void read_names(lua_State *L, struct names *out)
{
    lua_Integer n = luaL_len(L, -1);
    out->list = calloc((size_t)n + 1, sizeof *out->list);
    if (!out->list)
        luaL_error(L, "out of memory");
    for (lua_Integer i = 1; i <= n; i++) {
        size_t len;
        lua_geti(L, -1, i);
        const char *text = luaL_checklstring(L, -1, &len);
        char *copy = strdup(text);
        if (!copy)
            luaL_error(L, "out of memory");
        out->list[out->count++] = (struct slice){copy, len};
        lua_pop(L, 1);
    }
}

static void read_protocols(lua_State *L, struct slot *s)
{
    if (lua_getfield(L, -1, "protocols") == LUA_TTABLE)
        read_names(L, &s->protocols);
    lua_pop(L, 1);
}

static void read_origins(lua_State *L, struct slot *s)
{
    switch (lua_getfield(L, -1, "origins")) {
    case LUA_TTABLE:
        s->origin_rule = ORIGIN_LISTED;
        read_names(L, &s->origins);
        break;
    case LUA_TSTRING:
        s->origin_rule = ORIGIN_ANY;
        break;
    default:
        s->origin_rule = ORIGIN_SAME;
    }
    lua_pop(L, 1);
}

/* false or nil: off; else all four fields (lua/tidewire/compression.lua). */
static void read_compression(lua_State *L, struct slot *s)
{
    s->compressed = lua_getfield(L, -1, "compression") == LUA_TTABLE;
    if (s->compressed)
        s->compression = (struct deflate_settings){
            .takeover = flag_field(L, "takeover"),
            .window_bits = (uint8_t)number_of(L, "window_bits", DEFLATE_BITS_MAX, 1),
            .level = (uint8_t)number_of(L, "level", 6, 1),
            .min_size = bounded(number_of(L, "min_size", 64, 1)),
        };
    lua_pop(L, 1);
}

void app_read_proxies(lua_State *L, struct network_list *out)
{
    struct slice text;
    if (lua_getfield(L, -1, "proxies") == LUA_TTABLE) {
        for (lua_Integer i = 1, n = luaL_len(L, -1); i <= n; i++) {
            lua_geti(L, -1, i);
            text.ptr = luaL_checklstring(L, -1, &text.len);
            int error = network_list_add(out, text);
            if (error)
                luaL_error(L, "proxies: %s", network_error_text(error));
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

static void read_callbacks(lua_State *L, struct slot *s)
{
    lua_getfield(L, -1, "handler");
    for (int i = 0; i < CB_COUNT; i++)
        s->callbacks[i] =
            lua_istable(L, -1) ? ref_field(L, callback_names[i], LUA_TFUNCTION) : LUA_NOREF;
    lua_pop(L, 1);
    s->handler = ref_field(L, "handler", LUA_TTABLE);
    s->serve = ref_field(L, "serve", LUA_TFUNCTION);
}

static struct slot *add_slot(lua_State *L, struct app *app)
{
    struct slot **slots = realloc(app->slots, (app->count + 1) * sizeof *slots);
    struct slot *s = slots ? calloc(1, sizeof *s) : NULL;
    if (slots)
        app->slots = slots;
    if (!s)
        luaL_error(L, "out of memory");
    app->slots[app->count++] = s;
    return s;
}

void app_read_slot(lua_State *L, struct slot *s, const struct conn_limits *defaults)
{
    s->limits = *defaults;
    s->pattern = copy_field(L, "pattern");
    s->mount = flag_field(L, "mount");
    read_callbacks(L, s);
    read_protocols(L, s);
    read_origins(L, s);
    app_read_proxies(L, &s->proxies);
    read_compression(L, s);
    if (lua_getfield(L, -1, "limits") == LUA_TTABLE)
        read_limits(L, &s->limits);
    lua_pop(L, 1);
}

/* The route's table is on top of the stack. Returns 0 or an enum route_error. */
static int read_route(lua_State *L, struct app *app, const struct conn_limits *defaults)
{
    struct slot *s = add_slot(L, app);
    app_read_slot(L, s, defaults);
    s->alone = route_table_new();
    int error =
        s->alone ? route_add(s->alone, slice_of(s->pattern), s->mount, s) : ROUTE_ERR_MEMORY;
    return error ? error : route_add(app->routes, slice_of(s->pattern), s->mount, s);
}

/* --- install ---------------------------------------------------------------------------------- */

/* The app under construction belongs to a userdata, so that an error on the way frees it. */
static struct app *builder_new(lua_State *L)
{
    struct app **builder = lua_newuserdatauv(L, sizeof *builder, 0);
    *builder = NULL;
    luaL_setmetatable(L, BUILDER);
    *builder = calloc(1, sizeof **builder);
    if (*builder)
        (*builder)->routes = route_table_new();
    if (!*builder || !(*builder)->routes)
        luaL_error(L, "out of memory");
    return *builder;
}

static int builder_gc(lua_State *L)
{
    struct app **builder = luaL_checkudata(L, 1, BUILDER);
    app_free(*builder);
    *builder = NULL;
    return 0;
}

void app_open(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__gc", builder_gc}, {NULL, NULL}};
    luaL_newmetatable(L, BUILDER);
    luaL_setfuncs(L, meta, 0);
    lua_pop(L, 1);
}

/* core.install(app): true, or nil, message, index of the route that is wrong. */
int app_install(lua_State *L)
{
    struct vm *vm = vm_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    if (vm->app)
        return luaL_error(L, "an app is installed already");
    struct conn_limits limits = CONN_LIMITS_DEFAULT;
    lua_settop(L, 1);
    struct app *app = builder_new(L); /* at 2 */
    if (lua_getfield(L, 1, "limits") == LUA_TTABLE)
        read_limits(L, &limits);
    lua_settop(L, 2);
    lua_getfield(L, 1, "routes");
    luaL_checktype(L, -1, LUA_TTABLE);
    for (lua_Integer i = 1, n = luaL_len(L, -1); i <= n; i++) {
        lua_geti(L, 3, i);
        luaL_checktype(L, -1, LUA_TTABLE);
        int error = read_route(L, app, &limits);
        if (error) {
            lua_pushnil(L);
            lua_pushstring(L, route_error_text(error));
            lua_pushinteger(L, i);
            return 3;
        }
        lua_pop(L, 1);
    }
    lua_getfield(L, 1, "app");
    app->object = luaL_ref(L, LUA_REGISTRYINDEX);
    vm->limits = limits;
    vm->app = app;
    *(struct app **)lua_touserdata(L, 2) = NULL;
    lua_pushboolean(L, true);
    return 1;
}
