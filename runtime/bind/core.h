/* The module "tidewire.core": what the Lua half of the runtime is built on. */
#ifndef TIDEWIRE_BIND_CORE_H
#define TIDEWIRE_BIND_CORE_H

#include "bind/vm.h"

struct ws;

/* Opens the types and the module, and makes the embedded modules known to require. */
void core_open(lua_State *L);

/* A file of lua/tidewire, or the embedded argparse. */
struct embedded {
    const char *module; /* as for require */
    const char *source; /* its name in error messages */
    const char *text;
    size_t size;
};

extern const struct embedded embedded_modules[]; /* generated; ends with a NULL module */

void modules_open(lua_State *L);

/* timer.c */
int timer_sleep(lua_State *L);
int timer_spawn(lua_State *L);
int timer_after(lua_State *L);
int timer_every(lua_State *L);
void timer_open(lua_State *L);

/* publish.c */
int publish_all(lua_State *L);
int publish_send(lua_State *L);
/* publish(topic, data [, options]) with the arguments from `arg` on: to all subscribers but
 * `sender`, which may be NULL. */
int publish_from(lua_State *L, int arg, const struct ws *sender);

/* script.c */
int script_exit(lua_State *L); /* exit(status): does not return */
void script_free(struct vm *vm);

/* boot.c: the field `tls` of the plan on top of the stack */
struct tls_settings;
void boot_read_tls(lua_State *L, struct tls_settings *tls);

/* check.c */
int check_listen(lua_State *L);

/* reload.c */
void reload_init(struct vm *vm);
void reload_push_order(lua_State *L, struct slice order); /* JSON, as a table */

/* digest.c */
int digest_sha256(lua_State *L);

/* json.c */
int json_encode(lua_State *L);
int json_tell(lua_State *L); /* the same for our own processes: any bytes have a form */
int json_decode(lua_State *L);
void json_open(lua_State *L); /* adds json_null and json_array to the module on top */

#endif
