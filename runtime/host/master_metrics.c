#include "host/master_metrics.h"
#include "base/metrics.h"
#include "host/code.h"

#include <stdio.h>
#include <stdlib.h>

enum result { COMMITTED, UNCHANGED, REFUSED, ROLLED_BACK, RESULTS };
enum state { READY, STARTING, DOWN, STATES };

struct master_metrics {
    struct metrics *registry;
    struct metrics_series *reloads[RESULTS], *workers[STATES], *restarts, *uptime;
};

static struct metrics_series *declare(struct metrics *m, enum metrics_kind kind, const char *name,
                                      const char *help)
{
    const struct metrics_spec spec = {.kind = kind, .name = name, .help = help};
    return metrics_with(metrics_declare(m, &spec), NULL);
}

/* The series of a family with one label, with these values; false: memory short. */
static bool declare_each(struct metrics *m, const struct metrics_spec *spec,
                         const char *const *values, size_t count, struct metrics_series **series)
{
    struct metrics_family *f = metrics_declare(m, spec);
    for (size_t i = 0; i < count; i++) {
        struct slice value[] = {slice_of(values[i])};
        series[i] = metrics_with(f, value);
        if (!series[i])
            return false;
    }
    return true;
}

static bool fill(struct master_metrics *m)
{
    static const char *const results[] = {"committed", "unchanged", "refused", "rolled_back"};
    static const char *const states[] = {"ready", "starting", "down"};
    const struct metrics_spec reloads = {.kind = METRICS_COUNTER,
                                         .name = "tidewire_reloads_total",
                                         .help = "Reloads and rollbacks, by what came of them.",
                                         .labels = {"result"}};
    const struct metrics_spec workers = {.kind = METRICS_GAUGE,
                                         .name = "tidewire_workers",
                                         .help = "Worker processes, by their state.",
                                         .labels = {"state"}};
    m->uptime = declare(m->registry, METRICS_GAUGE, "tidewire_uptime_seconds",
                        "Time since the master was started.");
    m->restarts = declare(m->registry, METRICS_COUNTER, "tidewire_worker_restarts_total",
                          "Workers that were started in the place of one that had ended.");
    return m->uptime && m->restarts &&
           declare_each(m->registry, &workers, states, STATES, m->workers) &&
           declare_each(m->registry, &reloads, results, RESULTS, m->reloads);
}

struct master_metrics *master_metrics_new(void)
{
    struct master_metrics *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->registry = metrics_new();
    if (!m->registry || !fill(m)) {
        master_metrics_free(m);
        return NULL;
    }
    return m;
}

void master_metrics_free(struct master_metrics *m)
{
    if (!m)
        return;
    metrics_free(m->registry);
    free(m);
}

/* Not counted: the start, a dry run, and the later steps of a canary, whose reload was counted. */
void master_metrics_outcome(struct master_metrics *m, const struct code_outcome *outcome)
{
    bool reload = outcome->wish == CODE_RELOAD;
    if ((!reload && outcome->wish != CODE_ROLL && outcome->wish != CODE_UNDO) || outcome->stopping)
        return;
    if (!outcome->ok)
        metrics_add(m->reloads[REFUSED], 1);
    else if (outcome->unchanged)
        metrics_add(m->reloads[UNCHANGED], 1);
    else if (!outcome->dry_run)
        metrics_add(m->reloads[reload ? COMMITTED : ROLLED_BACK], 1);
}

void master_metrics_restarted(struct master_metrics *m)
{
    metrics_add(m->restarts, 1);
}

/* --- the page --------------------------------------------------------------------------------- */

struct label {
    char text[32];
};

static bool join(const struct buf *own, const struct master_reading *now, struct buf *out)
{
    struct metrics_part *parts = calloc(now->workers + 1, sizeof *parts);
    struct label *labels = calloc(now->workers + 1, sizeof *labels);
    bool ok = parts && labels;
    if (ok)
        parts[0] = (struct metrics_part){{(const char *)own->data, own->len}, {"", 0}};
    for (size_t i = 0; i < now->workers && ok; i++) {
        snprintf(labels[i].text, sizeof labels[i].text, "worker=\"%zu\"", i);
        parts[i + 1].text = now->pages[i];
        parts[i + 1].label = slice_of(labels[i].text);
    }
    ok = ok && metrics_join(out, parts, now->workers + 1);
    free(labels);
    free(parts);
    return ok;
}

bool master_metrics_write(struct master_metrics *m, const struct master_reading *now,
                          struct buf *out)
{
    struct buf own = {0};
    metrics_set(m->uptime, now->uptime);
    metrics_set(m->workers[READY], (double)now->ready);
    metrics_set(m->workers[STARTING], (double)now->starting);
    metrics_set(m->workers[DOWN], (double)now->down);
    bool ok = metrics_write(m->registry, &own) && join(&own, now, out);
    buf_free(&own);
    return ok;
}
