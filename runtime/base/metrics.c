#include "base/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct metrics_family {
    struct metrics_family *next;
    enum metrics_kind kind;
    char *name, *help;
    char *labels[METRICS_LABELS];
    size_t label_count;
    double *bounds;
    size_t bound_count;
    size_t series_max, series_count;
    struct metrics_series *series, **series_end; /* in the order of their making */
};

struct metrics {
    struct metrics_family *families, **end;
};

struct metrics *metrics_new(void)
{
    struct metrics *m = calloc(1, sizeof *m);
    if (m)
        m->end = &m->families;
    return m;
}

/* --- series ----------------------------------------------------------------------------------- */

static void free_series(struct metrics_series *s)
{
    free(s->counts);
    free(s->labels);
    free(s);
}

/* Takes `labels`. */
static struct metrics_series *new_series(const struct metrics_family *f, char *labels)
{
    struct metrics_series *s = calloc(1, sizeof *s);
    if (!s) {
        free(labels);
        return NULL;
    }
    s->labels = labels;
    s->bounds = f->bounds;
    s->bound_count = f->bound_count;
    if (f->kind == METRICS_HISTOGRAM &&
        !(s->counts = calloc(f->bound_count + 1, sizeof(uint64_t)))) {
        free_series(s);
        return NULL;
    }
    return s;
}

/* Backslashes, newlines and, in a value, quotes (which in a help text stand for themselves). */
static bool append_escaped(struct buf *out, struct slice text, bool quoted)
{
    bool ok = true;
    for (size_t i = 0; i < text.len && ok; i++) {
        char c = text.ptr[i];
        if (c == '\n')
            ok = buf_append(out, "\\n", 2);
        else if (c == '\\' || (c == '"' && quoted))
            ok = buf_append(out, (char[]){'\\', c}, 2);
        else
            ok = buf_append(out, &c, 1);
    }
    return ok;
}

/* `a="x",b="y"` with its NUL. NULL: memory short. */
static char *write_labels(const struct metrics_family *f, const struct slice *values)
{
    struct buf text = {0};
    bool ok = true;
    for (size_t i = 0; i < f->label_count && ok; i++)
        ok = buf_printf(&text, "%s%s=\"", i ? "," : "", f->labels[i]) &&
             append_escaped(&text, values[i], true) && buf_append(&text, "\"", 1);
    if (!ok || !buf_append(&text, "", 1))
        buf_free(&text);
    return (char *)text.data;
}

static struct metrics_series *find_series(const struct metrics_family *f, const char *labels)
{
    for (struct metrics_series *s = f->series; s; s = s->next)
        if (strcmp(s->labels, labels) == 0)
            return s;
    return NULL;
}

/* Takes `labels`. */
static struct metrics_series *series_of(struct metrics_family *f, char *labels)
{
    struct metrics_series *s = find_series(f, labels);
    if (s) {
        free(labels);
        return s;
    }
    s = new_series(f, labels);
    if (s) {
        *f->series_end = s;
        f->series_end = &s->next;
        f->series_count++;
    }
    return s;
}

static struct metrics_series *other_series(struct metrics_family *f)
{
    struct slice values[METRICS_LABELS];
    for (size_t i = 0; i < METRICS_LABELS; i++)
        values[i] = slice_of("other");
    char *labels = write_labels(f, values);
    return labels ? series_of(f, labels) : NULL;
}

struct metrics_series *metrics_with(struct metrics_family *f, const struct slice *values)
{
    char *labels = f ? write_labels(f, values) : NULL;
    if (!labels)
        return NULL;
    if (f->series_count < f->series_max || find_series(f, labels))
        return series_of(f, labels);
    free(labels);
    return other_series(f);
}

static void drop_series(struct metrics_family *f)
{
    for (struct metrics_series *s = f->series, *next; s; s = next) {
        next = s->next;
        free_series(s);
    }
    f->series = NULL;
    f->series_end = &f->series;
    f->series_count = 0;
}

void metrics_clear(struct metrics_family *f)
{
    if (f && f->label_count)
        drop_series(f);
}

void metrics_observe(struct metrics_series *s, double value)
{
    if (!s)
        return;
    size_t bucket = 0;
    while (bucket < s->bound_count && !(value <= s->bounds[bucket])) /* NaN: above them all */
        bucket++;
    s->counts[bucket]++;
    s->value += value;
}

/* --- families --------------------------------------------------------------------------------- */

static void free_family(struct metrics_family *f)
{
    drop_series(f);
    for (size_t i = 0; i < f->label_count; i++)
        free(f->labels[i]);
    free(f->bounds);
    free(f->help);
    free(f->name);
    free(f);
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    for (struct metrics_family *f = m->families, *next; f; f = next) {
        next = f->next;
        free_family(f);
    }
    free(m);
}

static bool is_name(const char *text, bool colons)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789:";
    size_t n = strspn(text, letters);
    return *text && !text[n] && !(*text >= '0' && *text <= '9') && (colons || !strchr(text, ':'));
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static size_t count_labels(const struct metrics_spec *spec)
{
    size_t n = 0;
    while (n < METRICS_LABELS && spec->labels[n])
        n++;
    return n;
}

/* "le" is a bucket's bound, "__" is Prometheus' own. */
static bool has_good_labels(const struct metrics_spec *spec)
{
    for (size_t i = 0; i < count_labels(spec); i++) {
        const char *label = spec->labels[i];
        if (!is_name(label, false) || strncmp(label, "__", 2) == 0 || strcmp(label, "le") == 0)
            return false;
        for (size_t j = 0; j < i; j++)
            if (strcmp(label, spec->labels[j]) == 0)
                return false;
    }
    return true;
}

static bool is_good(const struct metrics_spec *spec)
{
    bool ok = is_name(spec->name, true) && has_good_labels(spec) &&
              (spec->kind == METRICS_COUNTER) == ends_with(spec->name, "_total") &&
              (spec->kind == METRICS_HISTOGRAM) == (spec->bound_count > 0);
    for (size_t i = 0; i < spec->bound_count && ok; i++)
        ok = isfinite(spec->bounds[i]) && (i == 0 || spec->bounds[i - 1] < spec->bounds[i]);
    return ok;
}

static bool is_same(const struct metrics_family *f, const struct metrics_spec *spec)
{
    bool same = f->kind == spec->kind && f->label_count == count_labels(spec) &&
                f->bound_count == spec->bound_count;
    for (size_t i = 0; i < f->label_count && same; i++)
        same = strcmp(f->labels[i], spec->labels[i]) == 0;
    for (size_t i = 0; i < f->bound_count && same; i++)
        same = !(f->bounds[i] < spec->bounds[i]) && !(f->bounds[i] > spec->bounds[i]);
    return same;
}

/* Would the samples of a histogram have this name? */
static bool is_part_of(const char *name, const char *histogram)
{
    size_t n = strlen(histogram);
    return strncmp(name, histogram, n) == 0 &&
           (strcmp(name + n, "_bucket") == 0 || strcmp(name + n, "_sum") == 0 ||
            strcmp(name + n, "_count") == 0);
}

static bool collides(const struct metrics_family *f, const struct metrics_spec *spec)
{
    return strcmp(f->name, spec->name) == 0 ||
           (f->kind == METRICS_HISTOGRAM && is_part_of(spec->name, f->name)) ||
           (spec->kind == METRICS_HISTOGRAM && is_part_of(f->name, spec->name));
}

static bool fill_family(struct metrics_family *f, const struct metrics_spec *spec)
{
    f->kind = spec->kind;
    f->series_end = &f->series;
    f->series_max = spec->series ? spec->series : METRICS_SERIES;
    f->name = strdup(spec->name);
    f->help = strdup(spec->help);
    while (f->label_count < count_labels(spec)) {
        if (!(f->labels[f->label_count] = strdup(spec->labels[f->label_count])))
            return false;
        f->label_count++;
    }
    f->bound_count = spec->bound_count;
    f->bounds = calloc(spec->bound_count + 1, sizeof *f->bounds);
    if (!f->name || !f->help || !f->bounds)
        return false;
    if (spec->bound_count)
        memcpy(f->bounds, spec->bounds, spec->bound_count * sizeof *f->bounds);
    return f->label_count > 0 || metrics_with(f, NULL);
}

struct metrics_family *metrics_declare(struct metrics *m, const struct metrics_spec *spec)
{
    if (!is_good(spec))
        return NULL;
    for (struct metrics_family *f = m->families; f; f = f->next)
        if (collides(f, spec))
            return strcmp(f->name, spec->name) == 0 && is_same(f, spec) ? f : NULL;
    struct metrics_family *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    if (!fill_family(f, spec)) {
        free_family(f);
        return NULL;
    }
    *m->end = f;
    m->end = &f->next;
    return f;
}

/* --- the page --------------------------------------------------------------------------------- */

/* The shortest decimal that reads back as the same number, whatever the app's locale. */
static const char *number(double n, char text[32])
{
    if (!isfinite(n))
        return isnan(n) ? "NaN" : n > 0 ? "+Inf" : "-Inf";
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, 32, "%.*g", precision, n);
        double back = strtod(text, NULL);
        if (!(back < n) && !(back > n))
            break;
    }
    char *comma = strchr(text, ',');
    if (comma)
        *comma = '.';
    return text;
}

static bool write_sample(struct buf *out, const struct metrics_family *f, const char *suffix,
                         const struct metrics_series *s, const char *value)
{
    const char *open = *s->labels ? "{" : "", *close = *s->labels ? "}" : "";
    return buf_printf(out, "%s%s%s%s%s %s\n", f->name, suffix, open, s->labels, close, value);
}

static bool write_histogram(struct buf *out, const struct metrics_family *f,
                            const struct metrics_series *s)
{
    char text[32];
    uint64_t total = 0;
    for (size_t i = 0; i <= s->bound_count; i++) {
        total += s->counts[i];
        if (!buf_printf(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", f->name, s->labels,
                        *s->labels ? "," : "",
                        number(i < s->bound_count ? s->bounds[i] : (double)INFINITY, text), total))
            return false;
    }
    if (!write_sample(out, f, "_sum", s, number(s->value, text)))
        return false;
    snprintf(text, sizeof text, "%" PRIu64, total);
    return write_sample(out, f, "_count", s, text);
}

static bool write_series(struct buf *out, const struct metrics_family *f,
                         const struct metrics_series *s)
{
    char text[32];
    if (f->kind == METRICS_HISTOGRAM)
        return write_histogram(out, f, s);
    return write_sample(out, f, "", s, number(s->value, text));
}

static bool write_family(struct buf *out, const struct metrics_family *f)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    if (!f->series)
        return true;
    bool ok = buf_printf(out, "# HELP %s ", f->name) &&
              append_escaped(out, slice_of(f->help), false) &&
              buf_printf(out, "\n# TYPE %s %s\n", f->name, kinds[f->kind]);
    for (const struct metrics_series *s = f->series; s && ok; s = s->next)
        ok = write_series(out, f, s);
    return ok;
}

bool metrics_write(const struct metrics *m, struct buf *out)
{
    size_t before = out->len;
    for (const struct metrics_family *f = m->families; f; f = f->next) {
        if (write_family(out, f))
            continue;
        out->len = before;
        return false;
    }
    return true;
}
