/* What a worker counts, and its page of it (base/metrics.h). The calls of the app's functions are
 * counted where they happen (bind); here are the reloads, and what serves. */
#ifndef TIDEWIRE_HOST_WORKER_METRICS_H
#define TIDEWIRE_HOST_WORKER_METRICS_H

#include "bind/bind.h"

struct worker_metrics;

struct worker_metrics *worker_metrics_new(struct vm *vm); /* NULL: memory short */
void worker_metrics_free(struct worker_metrics *w);       /* before the vm; NULL is ignored */

/* The answers of vm_prepare, vm_barrier and vm_commit, in JSON: the phases that are new since the
 * last call, how long the loop stood still, how many calls were held. */
void worker_metrics_answered(struct worker_metrics *w, struct slice answer);

/* The attempt that the answers were about is over, committed or not. */
void worker_metrics_ended(struct worker_metrics *w);

/* Appends the page. false: memory short; the buffer is as it was. */
bool worker_metrics_write(struct worker_metrics *w, struct buf *out);

#endif
