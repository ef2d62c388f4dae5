/* What the master counts, and the page of all processes (base/metrics.h). */
#ifndef TIDEWIRE_HOST_MASTER_METRICS_H
#define TIDEWIRE_HOST_MASTER_METRICS_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct code_outcome;
struct master_metrics;

struct master_metrics *master_metrics_new(void); /* NULL: memory short */
void master_metrics_free(struct master_metrics *m);

void master_metrics_outcome(struct master_metrics *m, const struct code_outcome *outcome);
void master_metrics_restarted(struct master_metrics *m); /* a worker, in place of one that ended */

/* What is so at the moment the page is made. */
struct master_reading {
    double uptime;                /* seconds */
    size_t ready, starting, down; /* workers */
    const struct slice *pages;    /* the workers'; an empty one: it has not answered */
    size_t workers;
};

/* Appends the page, the samples of worker i with the label worker="i". false: memory short. */
bool master_metrics_write(struct master_metrics *m, const struct master_reading *now,
                          struct buf *out);

#endif
