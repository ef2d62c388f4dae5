#include "host/worker_metrics.h"
#include "base/metrics.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* Phases of an attempt, of which each is counted once. */
#define PHASES_MAX 32

struct worker_metrics {
    struct metrics *registry;
    struct metrics_family *phases, *connections;
    struct metrics_series *pause, *held, *generations, *good, *failed;
    bool answers;        /* there were some of the attempt that is under way */
    json_t *seen;        /* its phases that are counted: names */
    double longest;      /* of its pauses */
    json_int_t held_yet; /* of its calls */
};

/* From a tenth of a millisecond to ten seconds. */
static const double seconds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                 0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};
#define SECONDS (sizeof seconds / sizeof *seconds)

static bool declare(struct worker_metrics *w, struct metrics *m)
{
    const struct metrics_spec phases = {METRICS_HISTOGRAM,
                                        "tidewire_reload_phase_seconds",
                                        "Time that a phase of a reload took in this worker.",
                                        {"phase"},
                                        seconds,
                                        SECONDS,
                                        PHASES_MAX};
    const struct metrics_spec pause = {
        METRICS_HISTOGRAM,
        "tidewire_reload_pause_seconds",
        "The longest time that the loop stood still during a reload.",
        {NULL},
        seconds,
        SECONDS,
        0};
    const struct metrics_spec held = {METRICS_COUNTER,
                                      "tidewire_reload_held_total",
                                      "Calls of the app that waited while states were migrated.",
                                      {NULL},
                                      NULL,
                                      0,
                                      0};
    const struct metrics_spec connections = {
        METRICS_GAUGE,
        "tidewire_connections",
        "Connections, by the version of the app that serves them.",
        {"version"},
        NULL,
        0,
        0};
    const struct metrics_spec generations = {
        METRICS_GAUGE,
        "tidewire_generations",
        "Versions of the app that are in this worker's memory.",
        {NULL},
        NULL,
        0,
        0};
    const struct metrics_spec calls = {METRICS_COUNTER,
                                       "tidewire_handler_calls_total",
                                       "Calls of the app's functions, by their result.",
                                       {"result"},
                                       NULL,
                                       0,
                                       0};
    struct metrics_family *results = metrics_declare(m, &calls);
    w->good = metrics_with(results, (struct slice[]){slice_of("ok")});
    w->failed = metrics_with(results, (struct slice[]){slice_of("failed")});
    w->phases = metrics_declare(m, &phases);
    w->connections = metrics_declare(m, &connections);
    w->pause = metrics_with(metrics_declare(m, &pause), NULL);
    w->held = metrics_with(metrics_declare(m, &held), NULL);
    w->generations = metrics_with(metrics_declare(m, &generations), NULL);
    return w->phases && w->connections && w->pause && w->held && w->generations && w->good &&
           w->failed;
}

struct worker_metrics *worker_metrics_new(void)
{
    struct worker_metrics *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->seen = json_object();
    w->registry = metrics_new();
    if (!w->seen || !w->registry || !declare(w, w->registry)) {
        worker_metrics_free(w);
        return NULL;
    }
    return w;
}

void worker_metrics_free(struct worker_metrics *w)
{
    if (!w)
        return;
    json_decref(w->seen);
    metrics_free(w->registry);
    free(w);
}

/* --- reloads ---------------------------------------------------------------------------------- */

static void count_phases(struct worker_metrics *w, json_t *phases)
{
    const char *name;
    json_t *took;
    json_object_foreach(phases, name, took)
    {
        struct slice values[] = {slice_of(name)};
        if (json_object_get(w->seen, name) || !json_is_number(took))
            continue;
        metrics_observe(metrics_with(w->phases, values), json_number_value(took));
        json_object_set_new(w->seen, name, json_true());
    }
}

void worker_metrics_answered(struct worker_metrics *w, struct slice answer)
{
    if (!w)
        return;
    json_t *told = json_loadb(answer.ptr, answer.len, 0, NULL);
    double pause = json_number_value(json_object_get(told, "pause"));
    json_int_t held = json_integer_value(json_object_get(told, "held"));
    count_phases(w, json_object_get(told, "phases"));
    w->answers = true;
    w->longest = pause > w->longest ? pause : w->longest;
    w->held_yet = held > w->held_yet ? held : w->held_yet;
    json_decref(told);
}

void worker_metrics_ended(struct worker_metrics *w)
{
    if (!w || !w->answers)
        return;
    metrics_observe(w->pause, w->longest);
    metrics_add(w->held, (double)w->held_yet);
    json_object_clear(w->seen);
    w->answers = false;
    w->longest = 0;
    w->held_yet = 0;
}

/* --- the page --------------------------------------------------------------------------------- */

static void read_generation(struct worker_metrics *w, const json_t *generation)
{
    char version[24];
    snprintf(version, sizeof version, "%lld",
             (long long)json_integer_value(json_object_get(generation, "version")));
    metrics_set(metrics_with(w->connections, (struct slice[]){slice_of(version)}),
                json_number_value(json_object_get(generation, "connections")));
}

static void read_description(struct worker_metrics *w, const json_t *told)
{
    const json_t *list = json_object_get(told, "generations");
    double handled = json_number_value(json_object_get(told, "handled"));
    double failed = json_number_value(json_object_get(told, "failed"));
    metrics_set(w->good, handled - failed);
    metrics_set(w->failed, failed);
    metrics_set(w->generations, (double)json_array_size(list));
    metrics_clear(w->connections);
    for (size_t i = 0; i < json_array_size(list); i++)
        read_generation(w, json_array_get(list, i));
}

char *worker_metrics_describe(struct worker_metrics *w, struct slice description)
{
    json_t *told = w ? json_loadb(description.ptr, description.len, 0, NULL) : NULL;
    struct buf page = {0};
    char *text = NULL;
    if (!told)
        return NULL;
    read_description(w, told);
    if (metrics_write(w->registry, &page) &&
        json_object_set_new(told, "metrics", json_stringn((const char *)page.data, page.len)) == 0)
        text = json_dumps(told, JSON_COMPACT);
    json_decref(told);
    buf_free(&page);
    return text;
}
