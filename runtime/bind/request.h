/* A request as the app sees it: the userdata "tidewire.request", for plain HTTP, for
 * handler.upgrade and as ws.request. It has its own copy of the head, and reads it on demand. */
#ifndef TIDEWIRE_BIND_REQUEST_H
#define TIDEWIRE_BIND_REQUEST_H

#include "bind/app.h"

void request_open(lua_State *L); /* the type */

/* Pushes a request. `answerable`: req:respond may answer it. `protocol` is the chosen
 * subprotocol, len 0 for none. */
void request_push(lua_State *L, struct conn *c, struct slot *slot, struct slice protocol,
                  bool answerable);

/* Calls the slot's `serve` with a plain HTTP request, in a task. */
void request_serve(struct vm *vm, struct conn *c, struct slot *slot, struct slice body);

#endif
