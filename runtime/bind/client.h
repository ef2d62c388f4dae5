/* Connections that we make: core.connect, on which lua/tidewire/client.lua builds
 * tidewire.connect. One attempt, one answer; redirects and trying again are policy of the Lua half.
 *
 * What comes out is a ws as of a server (ws.h). Its slot is that of the module of the app which the
 * handler is, and follows it into the next generation; else its own, and keeps the handler's. */
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

/* The functions in its options are given back, and no longer keep their generation alive. */
void client_unpin(struct vm *vm, struct binding *options);

/* The connection has ended: its handler may refer to the ws, which could never be collected. */
void client_forget_handler(struct ws *w);

/* After the end, and after `close`: calls what was given as `ended`. false: there is nothing. */
bool client_tell_end(struct ws *w);

#endif
