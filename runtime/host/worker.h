/* A worker process: one loop, one Lua state, its sockets of the master's listeners. */
#ifndef TIDEWIRE_HOST_WORKER_H
#define TIDEWIRE_HOST_WORKER_H

#include "base/log.h"
#include "bind/bind.h"
#include "net/listener.h"

#include <signal.h>

struct worker_setup {
    size_t index;            /* 0 to workers - 1 */
    int channel;             /* to the master */
    const sigset_t *signals; /* those that are blocked; until then, it is all of them */
    struct vm *vm;
    const struct plan *plan;
    const struct listen_point *points;
    const struct log *log;
    struct slice order; /* the version to begin with, in JSON (bind.h) */
    struct buf *bundle; /* its sources; freed once they are read */
};

/* Serves until it is told to end, or the master has died. Returns the exit status. */
int worker_run(const struct worker_setup *setup);

#endif
