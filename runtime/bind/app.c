#include "bind/app.h"

#include <stdlib.h>
#include <string.h>

static const char *const callback_names[CB_COUNT] = {
    [CB_UPGRADE] = "upgrade", [CB_OPEN] = "open",       [CB_MESSAGE] = "message",
    [CB_DRAIN] = "drain",     [CB_CLOSE] = "close",     [CB_ERROR] = "error",
    [CB_RUN] = "run",         [CB_MIGRATE] = "migrate", [CB_DOWNGRADE] = "downgrade",
};

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
void app_read_limits(lua_State *L, struct conn_limits *l)
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

static void read_protocols(lua_State *L, struct binding *b)
{
    if (lua_getfield(L, -1, "protocols") == LUA_TTABLE)
        read_names(L, &b->protocols);
    lua_pop(L, 1);
}

static void read_origins(lua_State *L, struct binding *b)
{
    switch (lua_getfield(L, -1, "origins")) {
    case LUA_TTABLE:
        b->origin_rule = ORIGIN_LISTED;
        read_names(L, &b->origins);
        break;
    case LUA_TSTRING:
        b->origin_rule = ORIGIN_ANY;
        break;
    default:
        b->origin_rule = ORIGIN_SAME;
    }
    lua_pop(L, 1);
}

/* false or nil: off; else all four fields (lua/tidewire/compression.lua). */
static void read_compression(lua_State *L, struct binding *b)
{
    b->compressed = lua_getfield(L, -1, "compression") == LUA_TTABLE;
    if (b->compressed)
        b->compression = (struct deflate_settings){
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

void app_read_callbacks(lua_State *L, struct binding *b)
{
    lua_getfield(L, -1, "handler");
    for (int i = 0; i < CB_COUNT; i++)
        b->callbacks[i] =
            lua_istable(L, -1) ? ref_field(L, callback_names[i], LUA_TFUNCTION) : LUA_NOREF;
    lua_pop(L, 1);
    b->handler = ref_field(L, "handler", LUA_TTABLE);
    b->serve = ref_field(L, "serve", LUA_TFUNCTION);
}

void app_read_binding(lua_State *L, struct binding *b, const struct conn_limits *defaults)
{
    b->limits = *defaults;
    b->pattern = copy_field(L, "pattern");
    b->mount = flag_field(L, "mount");
    app_read_callbacks(L, b);
    read_protocols(L, b);
    read_origins(L, b);
    app_read_proxies(L, &b->proxies);
    read_compression(L, b);
    if (lua_getfield(L, -1, "limits") == LUA_TTABLE)
        app_read_limits(L, &b->limits);
    lua_pop(L, 1);
}
