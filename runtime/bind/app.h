/* The installed app in C: its routes, and for each a slot with what connections need of it. */
#ifndef TIDEWIRE_BIND_APP_H
#define TIDEWIRE_BIND_APP_H

#include "bind/vm.h"
#include "wire/route.h"

enum callback {
    CB_UPGRADE,
    CB_OPEN,
    CB_MESSAGE,
    CB_DRAIN,
    CB_CLOSE,
    CB_ERROR,
    CB_RUN,
    CB_COUNT,
};

enum origin_rule { ORIGIN_SAME, ORIGIN_ANY, ORIGIN_LISTED };

struct names {
    struct slice *list;
    size_t count;
};

/* What a route leads to. A connection holds its slot, never functions. Lives as long as the vm;
 * that of a connection which we made (client.h), as long as it. */
struct slot {
    char *pattern;
    bool mount;
    struct route_table *alone; /* this route only: to read captures of a path again */
    int callbacks[CB_COUNT];   /* registry references, LUA_NOREF where there is none */
    int handler;               /* the handler table; LUA_NOREF: plain HTTP */
    int serve;                 /* of plain HTTP */
    struct names protocols;
    enum origin_rule origin_rule;
    struct names origins;
    struct network_list proxies; /* those whose forwarding fields are believed */
    struct conn_limits limits;
    bool compressed; /* permessage-deflate is agreed to, with these settings */
    struct deflate_settings compression;
};

struct app {
    struct route_table *routes;
    struct slot **slots;
    size_t count;
    int object; /* registry reference of the app object */
};

static inline bool slot_has(const struct slot *s, enum callback which)
{
    return s->callbacks[which] != LUA_NOREF;
}

/* core.install{ app =, limits =, routes = } (lua/tidewire/worker.lua). */
int app_install(lua_State *L);

/* Fills in a slot from the table on top of the stack; what it owns is given back with the other.
 * The registry references in it are the caller's. May raise in the midst of it: clear it then. */
void app_read_slot(lua_State *L, struct slot *s, const struct conn_limits *defaults);
void app_clear_slot(struct slot *s);

/* Appends the field `proxies` of the table on top of the stack, a list of networks or nil. */
void app_read_proxies(lua_State *L, struct network_list *out);

/* Opens the type that owns an app while it is being built. */
void app_open(lua_State *L);
void app_free(struct app *app);

#endif
