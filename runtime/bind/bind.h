/* The Lua side of the runtime as the floors above see it; lua.h stays below. */
#ifndef TIDEWIRE_BIND_BIND_H
#define TIDEWIRE_BIND_BIND_H

#include "base/log.h"
#include "net/conn.h"
#include "net/tls.h"

#include <stdbool.h>
#include <stddef.h>

#define TIDEWIRE_VERSION "0.1.0"

struct vm;

/* A Lua state with the runtime's own modules: enough for a command that serves nothing. `log` is
 * borrowed. NULL: memory short (logged). */
struct vm *vm_new(const struct log *log);

/* Gives it the loop to serve with, in the worker process: a vm made before a fork carries the
 * command's plan into the worker. false: memory short. */
bool vm_attach(struct vm *vm, struct loop *loop);
void vm_free(struct vm *vm);

/* What the command line asks for. */
struct plan {
    bool exec;     /* a script, without listeners and workers: see vm_exec */
    char **listen; /* URLs, `listen_count` of them */
    size_t listen_count;
    bool listen_is_default; /* nobody has asked for these */
    size_t workers;
    struct network_list proxies; /* trusted */
    struct conn_bounds bounds;   /* of a worker; no connections: as many as descriptors allow */
    uint32_t drain;              /* ms */
    enum log_level log;          /* the least that is logged */
    struct tls_settings tls;     /* of wss URLs that name no certificates; count 0: none */
    char *control;               /* path of the control socket; NULL: none */
    bool control_asked;          /* somebody has named it: without it nothing starts */
};

/* Runs a command (lua/tidewire/cli). *status is its exit status; true: it is `run` or `exec`, and
 * *plan is filled in, to be freed with plan_free. */
bool vm_command(struct vm *vm, int argc, char **argv, int *status, struct plan *plan);
void plan_free(struct plan *plan);

/* Loads and starts the app of the command that vm_command has read, in a task: `done` is called
 * once, with the banner to print when `ok`, else with the whole error message. `urls` are the
 * addresses that are listened on. */
void vm_boot(struct vm *vm, const char *const *urls, size_t count,
             void (*done)(void *context, bool ok, const char *text), void *context);

/* When no connection is left: waits up to `within` ms for handlers that are suspended, such as a
 * `close` that saves something, then runs the app's stop() in a task. `done` is called once. */
void vm_stop(struct vm *vm, uint64_t within, void (*done)(void *context), void *context);

/* Runs the script of the command that vm_command has read, in a task. `done` is called once, from
 * the loop, when its main coroutine has ended or it has called os.exit: since then nothing of it
 * has run. */
void vm_exec(struct vm *vm, void (*done)(void *context, int status), void *context);

/* Nothing of the script runs any more: its tasks, timers and handlers are dropped. Its connections
 * are still there, to be drained. Not from within a task. */
void vm_end(struct vm *vm);

/* The connections that the app serves; after vm_attach. */
struct conn_set *vm_conns(struct vm *vm);

#endif
