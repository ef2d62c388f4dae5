/* The module "tidewire.core": what the Lua half of the runtime is built on. */
#ifndef TIDEWIRE_BIND_CORE_H
#define TIDEWIRE_BIND_CORE_H

#include "bind/vm.h"

#define TIDEWIRE_VERSION "0.1.0"

struct ws;

/* Opens the types and the module, and puts the embedded modules before all others. */
void core_open(lua_State *L);

/* publish(topic, data [, options]) with the arguments from `arg` on: to all subscribers but
 * `sender`, which may be NULL. */
int core_publish(lua_State *L, int arg, const struct ws *sender);

/* A file of lua/tidewire, or the embedded argparse. */
struct embedded {
    const char *module; /* as for require */
    const char *source; /* its name in error messages */
    const char *text;
    size_t size;
};

extern const struct embedded embedded_modules[]; /* generated; ends with a NULL module */

/* json.c */
int json_encode(lua_State *L);
int json_decode(lua_State *L);
void json_open(lua_State *L); /* adds json_null and json_array to the module on top */

#endif
