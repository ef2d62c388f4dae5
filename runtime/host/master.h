/* The master process: owns listeners and signals, keeps the workers running. Runs no app code. */
#ifndef TIDEWIRE_HOST_MASTER_H
#define TIDEWIRE_HOST_MASTER_H

#include "base/log.h"
#include "bind/bind.h"

/* Serves the plan of vm_command until TERM or INT. `vm` carries the plan; it is freed here, in
 * the master and in each worker. Returns the exit status. */
int master_run(struct vm *vm, const struct plan *plan, struct log *log);

#endif
