/* What an app declares, route by route, as it is read from Lua.
 *
 * A slot is a place that connections lead to, in all generations of the app; a binding is what one
 * generation has there. A connection holds its slot and looks up the binding at each event, so that
 * a reload is one assignment for each slot. */
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
    CB_MIGRATE,
    CB_DOWNGRADE,
    CB_COUNT,
};

enum origin_rule { ORIGIN_SAME, ORIGIN_ANY, ORIGIN_LISTED };

struct names {
    struct slice *list;
    size_t count;
};

/* Its functions last as long as its generation, its options as long as itself: a connection keeps
 * the binding whose options it was opened with. */
struct binding {
    unsigned refs;
    uint32_t serial;               /* of the generation; 0: it has none */
    struct generation *generation; /* NULL: none, or it is gone, and the functions with it */
    struct slot *slot;             /* NULL: these are options only */
    char *pattern;
    bool mount;
    int callbacks[CB_COUNT]; /* registry references, LUA_NOREF where there is none */
    int handler;             /* the handler table; LUA_NOREF: plain HTTP */
    int serve;               /* of plain HTTP */
    struct names protocols;
    enum origin_rule origin_rule;
    struct names origins;
    struct network_list proxies; /* those whose forwarding fields are believed */
    struct conn_limits limits;
    bool compressed; /* permessage-deflate is agreed to, with these settings */
    struct deflate_settings compression;
};

static inline bool binding_has(const struct binding *b, enum callback which)
{
    return b->callbacks[which] != LUA_NOREF;
}

struct binding *binding_new(void); /* NULL: memory short */
struct binding *binding_ref(struct binding *b);
void binding_unref(struct vm *vm, struct binding *b);
void binding_forget(struct vm *vm, struct binding *b); /* its functions, and its generation */

/* A route has one for as long as a generation or a connection uses it. One whose kind changes,
 * between plain HTTP and WebSocket, is another one. So is what a handler module of the app is for
 * the connections that we make. */
struct slot {
    unsigned refs;
    struct vm *vm;
    char *key;                   /* in vm->slots; NULL: it is one connection's own */
    struct route_table *alone;   /* this route only: to read captures of a path again; or NULL */
    struct binding *bindings[2]; /* for most connections; for the canary's share, else the same */
    size_t connections;          /* also those that we are just making */
};

/* The slot of this key, made if need be. NULL: memory short. */
struct slot *slot_of_route(struct vm *vm, const struct binding *b);
struct slot *slot_of_module(struct vm *vm, struct slice name);
struct slot *slot_new(struct vm *vm); /* one connection's own */
bool slot_is_module(const struct slot *s, struct slice *name);
struct slot *slot_ref(struct slot *s);
void slot_unref(struct slot *s);
void slot_turn(struct slot *s, int lane, struct binding *b); /* to this one, or to none: NULL */
void slot_leave(struct slot *s);                             /* one connection less */

/* Fills in a new binding from the table on top of the stack. May raise in the midst of it: unref it
 * then. */
void app_read_binding(lua_State *L, struct binding *b, const struct conn_limits *defaults);
void app_read_callbacks(lua_State *L, struct binding *b); /* of the table's field `handler` */
void app_read_limits(lua_State *L, struct conn_limits *l);

/* Appends the field `proxies` of the table on top of the stack, a list of networks or nil. */
void app_read_proxies(lua_State *L, struct network_list *out);

#endif
