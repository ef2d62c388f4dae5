/* Walks over all connections, a little in each turn. */
#ifndef TIDEWIRE_BIND_SWEEP_H
#define TIDEWIRE_BIND_SWEEP_H

#include "net/loop.h"

#include <lua.h>
#include <stdbool.h>

struct vm;
struct ws;

struct sweep {
    bool on;
    struct ws *at; /* visited last; NULL: none yet */
    struct deferred next;
};

void sweep_init(struct vm *vm);
void sweep_start(struct vm *vm); /* from the beginning: see ws_visit */
void sweep_go_on(struct vm *vm); /* after a barrier */
void sweep_forget(struct ws *w); /* it ends */

/* All of them at once; `visit` may free them. */
void sweep_each(struct vm *vm, void (*visit)(struct ws *w, void *context), void *context);

int sweep_states(lua_State *L); /* core.states */

#endif
