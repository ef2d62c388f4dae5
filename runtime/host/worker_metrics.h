/* What a worker counts (base/metrics.h): the reloads, from what Lua answers to the master's
 * questions about the code; and what serves, and the app's calls, from its own description. */
#ifndef TIDEWIRE_HOST_WORKER_METRICS_H
#define TIDEWIRE_HOST_WORKER_METRICS_H

#include "base/slice.h"

struct worker_metrics;

struct worker_metrics *worker_metrics_new(void); /* NULL: memory short, and nothing is counted */
void worker_metrics_free(struct worker_metrics *w);

/* The answers of vm_prepare, vm_barrier and vm_commit, in JSON: the phases that are new since the
 * last call, how long the loop stood still, how many calls were held. `w` may be NULL here and
 * below. */
void worker_metrics_answered(struct worker_metrics *w, struct slice answer);

/* The attempt that the answers were about is over, committed or not. */
void worker_metrics_ended(struct worker_metrics *w);

/* The description (vm_describe) with the worker's page in it, as "metrics"; to be freed. NULL: `w`
 * is NULL, or memory is short. */
char *worker_metrics_describe(struct worker_metrics *w, struct slice description);

#endif
