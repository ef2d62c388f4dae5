/* Connections that we make: core.connect, on which lua/tidewire/client.lua builds
 * tidewire.connect. One attempt, one answer; redirects and trying again are policy of the Lua half.
 *
 * What comes out is a ws as of a server (ws.h), with a slot of its own. */
#ifndef TIDEWIRE_BIND_CLIENT_H
#define TIDEWIRE_BIND_CLIENT_H

#include "bind/app.h"
#include "bind/vm.h"

/* connect{...}: waits for the outcome. ws; or nil, message, a word of what it is ("refused"), and
 * { status =, headers =, body = } when the server has answered. */
int client_connect(lua_State *L);

/* cannot_wait(name): why the function of this name cannot wait now, or nil. For the Lua half, which
 * tells it where the app has called. */
int client_cannot_wait(lua_State *L);

/* told_to_close(ws): has the app ended this connection, and not the peer or an accident? */
int client_told_to_close(lua_State *L);

void client_open(lua_State *L); /* the type that owns an attempt while it is being made */

/* Ends what is under way without a word; its tasks are not resumed. */
void client_cancel_all(struct vm *vm);

/* A client's slot: its handler may refer to the ws, so it is given back when the connection has
 * ended, the rest with the ws. */
void client_forget_handler(struct vm *vm, struct slot *slot);
void client_free_slot(struct vm *vm, struct slot *slot);

#endif
