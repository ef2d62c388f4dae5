/* tidewire: argv to role. The commands themselves are in lua/tidewire/cli. */
#include "base/log.h"
#include "bind/bind.h"
#include "host/exec.h"
#include "host/master.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    struct log log;
    struct plan plan;
    int status;
    log_init(&log, STDERR_FILENO);
    struct vm *vm = vm_new(&log);
    if (!vm)
        return 1;
    if (vm_command(vm, argc, argv, &status, &plan)) {
        log.least = plan.log;
        /* which free the vm */
        status = plan.exec ? exec_run(vm, &log) : master_run(vm, &plan, &log);
    } else {
        vm_free(vm);
    }
    plan_free(&plan);
    return status;
}
