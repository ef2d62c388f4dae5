/* Generations of the app: what this worker has made of a version of its code. Each has its own
 * environment in the one Lua state; here are its routes, and what of it is under way.
 *
 *   generation.c        its life: made, committed, replaced, freed when nothing of it is left
 *   generation_type.c   the Lua type, and core.generation
 *   generation_pins.c   what keeps an old one alive
 *   hold.h              the barrier: calls wait, until nothing is under way
 *   sweep.h             what all connections are visited for
 *
 * A task belongs to the generation whose code it runs; the runtime's own belong to none. */
#ifndef TIDEWIRE_BIND_GENERATION_H
#define TIDEWIRE_BIND_GENERATION_H

#include "bind/app.h"
#include "bind/vm.h"

/* That live at a time, but for those that were told to end: four (lua/tidewire/reload/prepare.lua),
 * and one that is being prepared to end others by force. */
#define GENERATIONS_MAX 5

enum generation_role {
    GENERATION_PREPARED,
    GENERATION_CURRENT,
    GENERATION_CANARY, /* it serves a share, beside the current one */
    GENERATION_OLD,
    GENERATION_GONE, /* only the userdata is left */
};

/* Something that will call a function of a generation, such as a timer. */
struct pin {
    struct list node; /* in generation->timers */
    struct generation *generation;
    const char *what;                            /* for reports */
    uint64_t since;                              /* loop_now() */
    void (*push)(lua_State *L, struct pin *pin); /* that function */
    void (*drop)(struct pin *pin);               /* it will not */
};

struct generation {
    struct list node; /* in vm->generations, oldest first */
    unsigned refs;    /* the list's and the userdata's */
    struct vm *vm;
    lua_Integer number, state_version;
    uint32_t serial; /* each has its own, from 1 */
    enum generation_role role;
    bool kept;                  /* to come back to */
    bool ended;                 /* by force */
    bool unwatched;             /* something has failed that vm_watch has not been told yet */
    struct route_table *routes; /* to bindings */
    struct binding **bindings;  /* `count` of them; also those of modules (slot_of_module) */
    size_t count;
    struct conn_limits limits;        /* before a route is known */
    int self, object, record, loaded; /* registry references */
    size_t tasks, parked;             /* parked ones are among the tasks */
    size_t clients;                   /* connections that we make, with handlers of their own */
    struct list timers;               /* of pins */
    uint64_t handled, failed, migrations_failed;
};

static inline bool generation_serves(const struct generation *g)
{
    return g->role == GENERATION_CURRENT || g->role == GENERATION_CANARY;
}

/* generation_type.c */
int generation_make(lua_State *L);      /* core.generation */
int generation_list(lua_State *L);      /* core.generations */
int generation_on_switch(lua_State *L); /* core.on_generation */
void generation_open(lua_State *L);
/* Handlers of connections that we make, which are values of modules (app.h). Both may raise.
 * What the slot's module is in this generation; NULL: no handler, or memory is short. */
struct binding *generation_module(lua_State *L, struct generation *g, struct slot *s);
/* The slot of the module whose value lies at `handler`, the caller's; NULL: of none. */
struct slot *generation_find_module(lua_State *L, struct generation *g, int handler);

struct generation *generation_new(struct vm *vm); /* NULL: memory short */
/* A new binding of it, without a slot yet. NULL: memory short. */
struct binding *generation_add(struct generation *g);
void generation_place(struct binding *b); /* its slot leads to it, if it is its generation's turn */
void generation_unref(struct generation *g);
bool generation_is_full(const struct vm *vm); /* as many live as may */

/* Makes it the current one, or with a share of 1 to 99 the one beside it. Cannot fail. */
void generation_commit(struct generation *g, unsigned share);
void generation_drop(struct generation *g); /* prepared: frees it; canary: no longer that */
void generation_keep(struct generation *g, bool keep);
void generation_force(struct generation *g); /* ends what keeps it alive */
void generation_init(struct vm *vm);
void generation_free_all(struct vm *vm);

struct binding *generation_binding(const struct generation *g, const struct slot *s);

/* What the code that runs now belongs to; NULL: the runtime. */
struct generation *generation_current(const struct vm *vm);

void generation_park(struct generation *g, bool parked);
void generation_failed(struct generation *g, bool migration);
void generation_touch(struct generation *g); /* something of it has ended: is it to be freed? */

/* A task begins and ends, or changes its generation; NULLs are none. */
static inline void generation_enter(struct generation *g)
{
    if (g)
        g->tasks++;
}

static inline void generation_leave(struct generation *g)
{
    if (!g)
        return;
    g->tasks--;
    if (g->vm->hold.quiet)
        hold_ended(g->vm);
    if (g->role == GENERATION_OLD)
        generation_touch(g);
}

/* Before code of `g` runs while there is a canary: see core.on_generation. */
void generation_switch(struct vm *vm, struct generation *g);
static inline void generation_point(struct vm *vm, struct generation *g)
{
    if (vm->share && g && g->serial != vm->pointed)
        generation_switch(vm, g);
}

void pin_add(struct pin *pin, struct generation *g); /* NULL: nothing to pin */
void pin_remove(struct pin *pin);

/* generation_pins.c: push a list of at most `n` of what keeps it alive, or of what core.quiet waits
 * for in all generations; and how many there are. */
void generation_push_pins(lua_State *L, const struct generation *g, lua_Integer n);
void generation_push_busy(lua_State *L, lua_Integer n);
void generation_push_connections(lua_State *L, const struct generation *g); /* how many */

#endif
