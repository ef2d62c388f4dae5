/* The Lua side of the runtime as the floors above see it; lua.h stays below. */
#ifndef TIDEWIRE_BIND_BIND_H
#define TIDEWIRE_BIND_BIND_H

#include "base/buf.h"
#include "base/log.h"
#include "base/slice.h"
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
    uint32_t reload_grace, reload_watch; /* ms */
    enum log_level log;                  /* the least that is logged */
    char *log_file;                      /* NULL: the log goes to stderr */
    struct tls_settings tls;             /* of wss URLs that name no certificates; count 0: none */
    char *app, *root;                    /* as it was named; the folder of its entry script */
    bool dev;           /* somebody develops here: watch, and reload at each save */
    char *control;      /* path of the control socket; NULL: none */
    bool control_asked; /* somebody has named it: without it nothing starts */
};

/* Runs a command (lua/tidewire/cli). *status is its exit status; true: it is `run` or `exec`, and
 * *plan is filled in, to be freed with plan_free. */
bool vm_command(struct vm *vm, int argc, char **argv, int *status, struct plan *plan);
void plan_free(struct plan *plan);

/* Loads and starts the app of the command that vm_command has read, in a task: `done` is called
 * once, with the banner to print when `ok`, else with the whole error message. `urls` are the
 * addresses that are listened on. `order` tells in JSON which version it is, and `bundle` has its
 * sources (lua/tidewire/reload.lua); both empty: the app is read from the disk. */
void vm_boot(struct vm *vm, const char *const *urls, size_t count, struct slice order,
             struct slice bundle, void (*done)(void *context, bool ok, const char *text),
             void *context);

/* --- another version of the app, while this one serves (lua/tidewire/reload.lua) --------------
 *
 * prepare, barrier if the states have another form, commit: one after the other. `order` and the
 * answer are JSON; an answer has ok, and phase and message when that is false. `done` is called
 * once, now or later, unless the vm is freed before. Slices are read before these return. */
typedef void vm_answered(void *context, struct slice answer);

void vm_prepare(struct vm *vm, struct slice order, struct slice bundle, vm_answered *done,
                void *context);
void vm_barrier(struct vm *vm, struct slice order, vm_answered *done, void *context);
void vm_commit(struct vm *vm, struct slice order, vm_answered *done, void *context);
void vm_abandon(struct vm *vm, struct slice order); /* as if nothing had been asked */

/* Appends what serves, as JSON: { "connections", "held", "handled", "failed" (calls of the app in
 * all), "generations": [...] }. false: memory short, or an error, which is logged; the buffer is as
 * it was. */
bool vm_describe(struct vm *vm, struct buf *json);

/* How the version that serves does, or the canary beside it, since it serves. */
struct vm_tally {
    unsigned version;
    uint64_t handled, failed;   /* calls of the app; `failed` are among them */
    uint64_t migrations_failed; /* of connections' states: their events wait until another commit */
};

/* Calls `changed` when one of these has failed again, at most once a turn for each. NULL: no more
 * of it. */
void vm_watch(struct vm *vm, void (*changed)(void *context, const struct vm_tally *t),
              void *context);

/* --- bundles (lua/tidewire/bundle) ------------------------------------------------------------ */

/* Loads the app of the command that vm_command has read from the disk, as a worker would, and
 * appends its sources to `bundle`, and to `report` in JSON what has come of it
 * (lua/tidewire/bundle/collect.lua). false: the report tells why there is no bundle. For a child
 * process of its own, without a loop: the app may not end, or end the process.
 *
 * The process ends with the status VM_STUCK when the app neither ends nor can be interrupted: it is
 * in a C function, or in a finalizer. */
#define VM_STUCK 3
bool vm_collect(struct vm *vm, struct buf *bundle, struct buf *report);

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
