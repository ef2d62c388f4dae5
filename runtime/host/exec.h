/* `tidewire exec`: one process with a loop and no listener, which lasts as long as its script. */
#ifndef TIDEWIRE_HOST_EXEC_H
#define TIDEWIRE_HOST_EXEC_H

#include "base/log.h"
#include "bind/bind.h"

/* Runs the script of vm_command's plan. Frees `vm`. Returns the exit status. */
int exec_run(struct vm *vm, const struct log *log);

#endif
