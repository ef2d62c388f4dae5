/* Counters, gauges and histograms, and their page in the text format of Prometheus (0.0.4).
 *
 * A family is all that has one name; a series is one of it, with values for the family's labels.
 * Who counts keeps the series' pointer: an update is an addition, never a search. Names follow the
 * convention: "tidewire_", the unit (seconds, bytes), and "_total" for counters. */
#ifndef TIDEWIRE_BASE_METRICS_H
#define TIDEWIRE_BASE_METRICS_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define METRICS_LABELS 4  /* of a family, at most */
#define METRICS_SERIES 64 /* of a family, when it does not say how many */

enum metrics_kind { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics; /* a registry, made with metrics_new */
struct metrics_family;

struct metrics_series {
    struct metrics_series *next;
    double value;         /* of a histogram the sum of what was observed */
    const double *bounds; /* of a histogram's buckets; the family's */
    size_t bound_count;
    uint64_t *counts; /* of each bucket, and of what lies above them all; not cumulative */
    char *labels;     /* as they are written: `result="ok"`; empty without any */
};

/* What a family is. All of it is copied. */
struct metrics_spec {
    enum metrics_kind kind;
    const char *name;                   /* [a-zA-Z_:][a-zA-Z0-9_:]*; a counter's ends in _total */
    const char *help;                   /* UTF-8, one sentence */
    const char *labels[METRICS_LABELS]; /* names: [a-zA-Z_][a-zA-Z0-9_]*; NULL ends them */
    const double *bounds; /* of a histogram: rising and finite; each is in its bucket */
    size_t bound_count;
    size_t series; /* how many there may be, 0: METRICS_SERIES */
};

struct metrics *metrics_new(void); /* NULL: memory short */
void metrics_free(struct metrics *m);

/* Adds a family. One that is there with the same kind, labels and bounds is given as it is; NULL:
 * the name is taken by another one, the spec breaks a rule above, or memory is short. A family
 * without labels has its series from the start. */
struct metrics_family *metrics_declare(struct metrics *m, const struct metrics_spec *spec);

/* The series with these values, one for each of the family's labels, in UTF-8; made at the first
 * call. What comes above the family's number of series is counted together, in one whose values
 * are all "other". NULL: memory short, or no family (`f` is NULL); see below. */
struct metrics_series *metrics_with(struct metrics_family *f, const struct slice *values);

/* Forgets all series of a family with labels, for one that is filled anew for each page. Pointers
 * to them end here. */
void metrics_clear(struct metrics_family *f);

/* Updates. A series that could not be made is NULL, and is not counted: what does its work shall
 * not fail for its being counted. */
static inline void metrics_add(struct metrics_series *s, double n) /* counter: n >= 0 */
{
    if (s)
        s->value += n;
}

/* A gauge; or a counter of what is counted elsewhere, and never falls. */
static inline void metrics_set(struct metrics_series *s, double n)
{
    if (s)
        s->value = n;
}

void metrics_observe(struct metrics_series *s, double value); /* histogram */

/* Appends the page: families in the order of their declaration, those without series left out.
 * false: memory short, and the buffer is as it was. */
bool metrics_write(const struct metrics *m, struct buf *out);

/* A page of one process, and the label that tells its samples from those of the others. */
struct metrics_part {
    struct slice text;
    struct slice label; /* as written: `worker="0"`, put in front of the others; empty: none */
};

/* Appends one page made of several: each family once, with the HELP and TYPE of the part that has
 * it first, and the samples of all. Samples whose type is another one than the first part's are
 * left out, and so are lines that are no part of a page. false: memory short, and the buffer is as
 * it was. */
bool metrics_join(struct buf *out, const struct metrics_part *parts, size_t count);

#endif
