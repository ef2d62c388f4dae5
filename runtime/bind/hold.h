/* The barrier: while it is on, no new call of the app begins, and what is under way can be waited
 * for: a state changes its form only when nobody is in the midst of it. */
#ifndef TIDEWIRE_BIND_HOLD_H
#define TIDEWIRE_BIND_HOLD_H

#include "net/loop.h"

#include <lua.h>
#include <stdbool.h>

struct conn;
struct slice;
struct task;
struct vm;

/* A call that waits for its end. */
struct held {
    struct list node; /* in vm->hold.calls, or in no list */
    void (*go)(struct held *h);
};

struct hold {
    bool on;
    struct list calls;
    size_t count;         /* since it is on */
    struct deferred next; /* they go on, or what waits for quiet */
    struct task *quiet;   /* waits until nothing of the app is under way, or NULL */
};

void hold_init(struct vm *vm);
void hold_free_all(struct vm *vm);

int hold_set(lua_State *L);   /* core.hold */
int hold_quiet(lua_State *L); /* core.quiet */

void hold_add(struct vm *vm, struct held *h); /* unless it waits already; h->go later */
/* `body` lives until the request is answered. false: memory short. */
bool hold_request(struct vm *vm, struct conn *c, bool upgrade, struct slice body);

/* Somebody waits for quiet, and a task has ended, or is parked. */
void hold_ended(struct vm *vm);

#endif
