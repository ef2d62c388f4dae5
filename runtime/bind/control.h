/* The control socket of a running app, from the command line's side. Functions of tidewire.core. */
#ifndef TIDEWIRE_BIND_CONTROL_H
#define TIDEWIRE_BIND_CONTROL_H

#include <lua.h>

/* control_ask(path, line, seconds): the line that is answered, without its line feed; or nil, a
 * message, and a code: "gone" when nobody answers there. Waits. */
int control_ask(lua_State *L);

/* control_find(folder): the paths of the control sockets in it, sorted, that somebody answers at,
 * even if not to us. */
int control_find(lua_State *L);

#endif
