/* base/metrics: what is counted where, what may be declared, and the page to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double bounds[] = {0.001, 0.01, 2.5};

static struct metrics_family *declare(struct metrics *m, enum metrics_kind kind, const char *name,
                                      const char *label)
{
    struct metrics_spec spec = {.kind = kind, .name = name, .help = "Help.", .labels = {label}};
    if (kind == METRICS_HISTOGRAM) {
        spec.bounds = bounds;
        spec.bound_count = 3;
    }
    return metrics_declare(m, &spec);
}

static struct metrics_series *with(struct metrics_family *f, const char *value)
{
    struct slice values[] = {slice_of(value)};
    return metrics_with(f, values);
}

static struct metrics_series *alone(struct metrics_family *f)
{
    return metrics_with(f, NULL);
}

static void assert_text(struct buf *b, const char *text)
{
    assert_true(buf_append(b, "", 1));
    assert_string_equal((char *)b->data, text);
    buf_free(b);
}

static void assert_page(const struct metrics *m, const char *text)
{
    struct buf page = {0};
    assert_true(metrics_write(m, &page));
    assert_text(&page, text);
}

static void writes_counters_and_gauges(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    assert_page(m, "");
    struct metrics_family *calls = declare(m, METRICS_COUNTER, "tide_calls_total", "result");
    struct metrics_series *depth = alone(declare(m, METRICS_GAUGE, "tide_depth", NULL));
    assert_page(m, "# HELP tide_depth Help.\n# TYPE tide_depth gauge\ntide_depth 0\n");
    struct metrics_series *ok = with(calls, "ok"), *failed = with(calls, "failed");
    for (int i = 0; i < 3; i++)
        metrics_add(ok, 1);
    metrics_add(failed, 0.5);
    metrics_set(depth, 12);
    metrics_add(depth, -16);
    assert_page(m, "# HELP tide_calls_total Help.\n# TYPE tide_calls_total counter\n"
                   "tide_calls_total{result=\"ok\"} 3\ntide_calls_total{result=\"failed\"} 0.5\n"
                   "# HELP tide_depth Help.\n# TYPE tide_depth gauge\ntide_depth -4\n");
    metrics_free(m);
    metrics_free(NULL);
}

/* A value at a bound is in its bucket; the buckets are cumulative; what is above all is in +Inf. */
static void writes_histograms(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metrics_series *pause = alone(declare(m, METRICS_HISTOGRAM, "tide_seconds", NULL));
    static const double values[] = {0.0005, 0.001, 0.002, 2.5, 2.75, 100};
    for (size_t i = 0; i < 6; i++)
        metrics_observe(pause, values[i]);
    assert_page(m, "# HELP tide_seconds Help.\n# TYPE tide_seconds histogram\n"
                   "tide_seconds_bucket{le=\"0.001\"} 2\ntide_seconds_bucket{le=\"0.01\"} 3\n"
                   "tide_seconds_bucket{le=\"2.5\"} 4\ntide_seconds_bucket{le=\"+Inf\"} 6\n"
                   "tide_seconds_sum 105.2535\ntide_seconds_count 6\n");
    metrics_free(m);
}

static void labels_stand_before_the_bound(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metrics_family *f = declare(m, METRICS_HISTOGRAM, "tide_seconds", "phase");
    metrics_observe(with(f, "load"), 1);
    assert_page(m, "# HELP tide_seconds Help.\n# TYPE tide_seconds histogram\n"
                   "tide_seconds_bucket{phase=\"load\",le=\"0.001\"} 0\n"
                   "tide_seconds_bucket{phase=\"load\",le=\"0.01\"} 0\n"
                   "tide_seconds_bucket{phase=\"load\",le=\"2.5\"} 1\n"
                   "tide_seconds_bucket{phase=\"load\",le=\"+Inf\"} 1\n"
                   "tide_seconds_sum{phase=\"load\"} 1\ntide_seconds_count{phase=\"load\"} 1\n");
    metrics_free(m);
}

static void escapes(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metrics_spec spec = {.kind = METRICS_GAUGE,
                                .name = "tide_depth",
                                .help = "a \"b\" \\ c\nd",
                                .labels = {"a", "b"}};
    struct metrics_family *f = metrics_declare(m, &spec);
    struct slice values[] = {slice_of("\"q\"\\\n"), {NULL, 0}};
    metrics_set(metrics_with(f, values), 1);
    assert_page(m, "# HELP tide_depth a \"b\" \\\\ c\\nd\n# TYPE tide_depth gauge\n"
                   "tide_depth{a=\"\\\"q\\\"\\\\\\n\",b=\"\"} 1\n");
    metrics_free(m);
}

static void numbers_read_back(void **state)
{
    (void)state;
    static const struct {
        double n;
        const char *text;
    } cases[] = {
        {0, "0"},
        {1e15, "1e+15"},
        {999999999999999, "999999999999999"},
        {9007199254740991, "9007199254740991"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e-7, "1e-07"},
        {-2.5, "-2.5"},
        {(double)INFINITY, "+Inf"},
        {-(double)INFINITY, "-Inf"},
        {(double)NAN, "NaN"},
    };
    struct metrics *m = metrics_new();
    struct metrics_series *depth = alone(declare(m, METRICS_GAUGE, "d", NULL));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128];
        snprintf(text, sizeof text, "# HELP d Help.\n# TYPE d gauge\nd %s\n", cases[i].text);
        metrics_set(depth, cases[i].n);
        assert_page(m, text);
    }
    metrics_free(m);
}

static void what_is_no_number_is_observed_above_all(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metrics_series *s = alone(declare(m, METRICS_HISTOGRAM, "tide_seconds", NULL));
    metrics_observe(s, (double)NAN);
    assert_int_equal(s->counts[3], 1);
    metrics_free(m);
}

static void the_same_values_are_one_series(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metrics_family *f = declare(m, METRICS_GAUGE, "tide_depth", "a");
    struct metrics_series *one = with(f, "1");
    assert_ptr_equal(with(f, "1"), one);
    assert_ptr_not_equal(with(f, "2"), one);
    /* values that would look alike without escapes */
    struct metrics_spec spec = {
        .kind = METRICS_GAUGE, .name = "tide_two", .help = "", .labels = {"a", "b"}};
    struct metrics_family *two = metrics_declare(m, &spec);
    struct slice left[] = {slice_of("x\",b=\"y"), slice_of("z")};
    struct slice right[] = {slice_of("x"), slice_of("y\",b=\"z")};
    assert_ptr_not_equal(metrics_with(two, left), metrics_with(two, right));
    metrics_free(m);
}

/* However many values come, the page and the memory stay bounded. */
static void series_above_the_bound_are_one(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metrics_spec spec = {
        .kind = METRICS_COUNTER, .name = "t_total", .help = "H", .labels = {"a"}, .series = 2};
    struct metrics_family *f = metrics_declare(m, &spec);
    char text[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "%d", i);
        metrics_add(with(f, text), 1);
    }
    metrics_add(with(f, "1"), 1);
    metrics_add(with(f, "other"), 1);
    assert_page(m, "# HELP t_total H\n# TYPE t_total counter\nt_total{a=\"0\"} 1\n"
                   "t_total{a=\"1\"} 2\nt_total{a=\"other\"} 999\n");
    metrics_free(m);
}

/* A value that is called as the rest is called is no second line of the same name. */
static void other_is_one_series_too(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metrics_spec spec = {
        .kind = METRICS_COUNTER, .name = "t_total", .help = "H", .labels = {"a"}, .series = 1};
    struct metrics_family *f = metrics_declare(m, &spec);
    struct metrics_series *other = with(f, "other");
    assert_ptr_equal(with(f, "more"), other);
    metrics_free(m);
}

static void the_default_bound(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metrics_family *f = declare(m, METRICS_GAUGE, "tide_depth", "a");
    struct metrics_series *last = NULL, *s = NULL;
    char text[16];
    for (int i = 0; i < METRICS_SERIES + 1; i++) {
        snprintf(text, sizeof text, "%d", i);
        last = s;
        s = with(f, text);
        assert_ptr_not_equal(s, last);
    }
    assert_ptr_equal(with(f, "more"), s);
    metrics_free(m);
}

static void clear_forgets(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metrics_spec spec = {
        .kind = METRICS_GAUGE, .name = "t", .help = "H", .labels = {"a"}, .series = 1};
    struct metrics_family *f = metrics_declare(m, &spec);
    metrics_set(with(f, "1"), 1);
    metrics_set(with(f, "2"), 2);
    metrics_clear(f);
    assert_page(m, "");
    metrics_set(with(f, "3"), 3);
    assert_page(m, "# HELP t H\n# TYPE t gauge\nt{a=\"3\"} 3\n");
    metrics_clear(NULL);
    /* the series of a family without labels stays: its pointer is kept */
    struct metrics_family *plain = declare(m, METRICS_GAUGE, "plain", NULL);
    struct metrics_series *s = alone(plain);
    metrics_clear(plain);
    assert_ptr_equal(alone(plain), s);
    metrics_free(m);
}

static void what_does_not_exist_is_not_counted(void **state)
{
    (void)state;
    metrics_add(NULL, 1);
    metrics_set(NULL, 1);
    metrics_observe(NULL, 1);
    assert_null(metrics_with(NULL, NULL));
}

static void declares_once(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metrics_family *f = declare(m, METRICS_GAUGE, "tide_depth", "a");
    assert_ptr_equal(declare(m, METRICS_GAUGE, "tide_depth", "a"), f);
    assert_null(declare(m, METRICS_GAUGE, "tide_depth", "b"));
    assert_null(declare(m, METRICS_GAUGE, "tide_depth", NULL));
    assert_null(declare(m, METRICS_HISTOGRAM, "tide_depth", "a"));
    struct metrics_spec spec = {.kind = METRICS_HISTOGRAM,
                                .name = "tide_seconds",
                                .help = "",
                                .bounds = bounds,
                                .bound_count = 3};
    f = metrics_declare(m, &spec);
    assert_ptr_equal(metrics_declare(m, &spec), f);
    spec.bounds = (const double[]){0.001, 0.01, 3};
    assert_null(metrics_declare(m, &spec));
    metrics_free(m);
}

static void refuses_bad_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "1a", "a-b", "a b", "\xc3\xa4", "a\n"};
    struct metrics *m = metrics_new();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(declare(m, METRICS_GAUGE, bad[i], NULL));
        assert_null(declare(m, METRICS_GAUGE, "tide_depth", bad[i]));
    }
    assert_null(declare(m, METRICS_GAUGE, "tide_depth", "a:b"));
    assert_null(declare(m, METRICS_GAUGE, "tide_depth", "__a"));
    assert_null(declare(m, METRICS_GAUGE, "tide_depth", "le"));
    assert_null(declare(m, METRICS_COUNTER, "tide_calls", NULL));
    assert_null(declare(m, METRICS_COUNTER, "_total", NULL));
    assert_null(declare(m, METRICS_GAUGE, "tide_total", NULL));
    struct metrics_spec twice = {
        .kind = METRICS_GAUGE, .name = "tide_depth", .help = "", .labels = {"a", "a"}};
    assert_null(metrics_declare(m, &twice));
    assert_non_null(declare(m, METRICS_GAUGE, "tide:Depth_9", "_a9"));
    metrics_free(m);
}

static void refuses_bad_bounds(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metrics_spec spec = {.kind = METRICS_HISTOGRAM, .name = "t_seconds", .help = ""};
    assert_null(metrics_declare(m, &spec));
    spec.bound_count = 2;
    spec.bounds = (const double[]){1, 1};
    assert_null(metrics_declare(m, &spec));
    spec.bounds = (const double[]){2, 1};
    assert_null(metrics_declare(m, &spec));
    spec.bounds = (const double[]){1, (double)INFINITY};
    assert_null(metrics_declare(m, &spec));
    spec.kind = METRICS_GAUGE;
    spec.bounds = (const double[]){1, 2};
    assert_null(metrics_declare(m, &spec));
    metrics_free(m);
}

/* Names of which a page would hold two kinds of samples. */
static void refuses_names_of_a_histograms_samples(void **state)
{
    (void)state;
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    struct metrics *m = metrics_new();
    assert_non_null(declare(m, METRICS_HISTOGRAM, "a", NULL));
    for (size_t i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "a%s", suffixes[i]);
        assert_null(declare(m, METRICS_GAUGE, name, NULL));
        snprintf(name, sizeof name, "b%s", suffixes[i]);
        assert_non_null(declare(m, METRICS_GAUGE, name, NULL));
        assert_null(declare(m, METRICS_HISTOGRAM, "b", NULL));
    }
    metrics_free(m);
}

/* --- several pages ---------------------------------------------------------------------------- */

static struct metrics_part part(const char *text, const char *label)
{
    return (struct metrics_part){slice_of(text), slice_of(label)};
}

static void assert_joined(const struct metrics_part *parts, size_t count, const char *text)
{
    struct buf page = {0};
    assert_true(metrics_join(&page, parts, count));
    assert_text(&page, text);
}

static void joins(void **state)
{
    (void)state;
    const struct metrics_part parts[] = {
        part("# HELP up Up.\n# TYPE up gauge\nup 1\n", ""),
        part("# HELP c_total C.\n# TYPE c_total counter\nc_total{r=\"ok\"} 1\n"
             "# HELP g G.\n# TYPE g gauge\ng 2\n",
             "worker=\"0\""),
        part("# HELP g G.\n# TYPE g gauge\ng 3\n"
             "# HELP c_total C, newer.\n# TYPE c_total counter\nc_total{r=\"ok\"} 4\n"
             "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 5\nh_sum 6\nh_count 5\n",
             "worker=\"1\""),
    };
    assert_joined(parts, 3,
                  "# HELP up Up.\n# TYPE up gauge\nup 1\n"
                  "# HELP c_total C.\n# TYPE c_total counter\n"
                  "c_total{worker=\"0\",r=\"ok\"} 1\nc_total{worker=\"1\",r=\"ok\"} 4\n"
                  "# HELP g G.\n# TYPE g gauge\ng{worker=\"0\"} 2\ng{worker=\"1\"} 3\n"
                  "# HELP h H.\n# TYPE h histogram\nh_bucket{worker=\"1\",le=\"+Inf\"} 5\n"
                  "h_sum{worker=\"1\"} 6\nh_count{worker=\"1\"} 5\n");
    assert_joined(parts, 0, "");
}

/* What one registry writes comes through unchanged but for the label. */
static void joins_what_is_written(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct buf page = {0}, once = {0}, twice = {0};
    metrics_observe(with(declare(m, METRICS_HISTOGRAM, "t_seconds", "a"), "}{ \"\\\n"), 1);
    metrics_add(alone(declare(m, METRICS_COUNTER, "c_total", NULL)), 1);
    assert_true(metrics_write(m, &page));
    struct metrics_part whole = {{(char *)page.data, page.len}, {"", 0}};
    assert_true(metrics_join(&once, &whole, 1));
    assert_int_equal(once.len, page.len);
    assert_memory_equal(once.data, page.data, page.len);
    const struct metrics_part both[] = {whole, whole};
    assert_true(metrics_join(&twice, both, 2));
    assert_true(twice.len < 2 * page.len);
    buf_free(&page);
    buf_free(&once);
    buf_free(&twice);
    metrics_free(m);
}

static void leaves_out_what_is_no_page(void **state)
{
    (void)state;
    const struct metrics_part parts[] = {
        part("stray 1\n# HELP a A.\nstray 2\n# TYPE a gauge\n\nb 3\na\na \na 4\na{} 5\n# x\na 6",
             "w=\"0\""),
        part("# TYPE a counter\na 7\n# TYPE b gauge\nb 8\n", "w=\"1\""),
        part("", "w=\"2\""),
        part("# TYPE a gauge\na 9\n# TYPE c gauge\n# HELP \n# TYPE \nc 10\n", "w=\"3\""),
    };
    assert_joined(parts, 4,
                  "# HELP a A.\n# TYPE a gauge\na{w=\"0\"} 4\na{w=\"0\"} 5\na{w=\"3\"} 9\n"
                  "# TYPE b gauge\nb{w=\"1\"} 8\n# TYPE c gauge\nc{w=\"3\"} 10\n");
}

/* Cut off at any byte, and at a guard page: nothing is read behind it, and what comes out ends with
 * whole lines. */
static void reads_no_byte_too_many(void **state)
{
    (void)state;
    static const char text[] = "# HELP a A.\n# TYPE a gauge\na{x=\"y\"} 1\na 2\n";
    for (size_t n = 0; n < sizeof text; n++) {
        unsigned char *copy = guard_copy(text, n);
        struct metrics_part p = {{(char *)copy, n}, slice_of("w=\"0\"")};
        struct buf page = {0};
        assert_true(metrics_join(&page, &p, 1));
        if (page.len)
            assert_int_equal(page.data[page.len - 1], '\n');
        buf_free(&page);
        guard_free(copy, n);
    }
}

/* --- memory ----------------------------------------------------------------------------------- */

/* All of it with the n-th allocation failing; false when none failed. */
static bool works_with_failures(size_t successes)
{
    struct buf page = {0};
    allocations_fail_after(successes);
    struct metrics *m = metrics_new();
    struct metrics_family *h = m ? declare(m, METRICS_HISTOGRAM, "t_seconds", "a") : NULL;
    metrics_observe(with(h, "1"), 1);
    metrics_add(m ? alone(declare(m, METRICS_COUNTER, "c_total", NULL)) : NULL, 1);
    bool written = m && metrics_write(m, &page);
    bool failed = allocations_failed() > 0;
    assert_true(written || failed);
    if (!written)
        assert_int_equal(page.len, 0);
    size_t before = page.len;
    struct metrics_part p = {{"# TYPE a gauge\na 1\n", 19}, {"w=\"0\"", 5}};
    bool joined = metrics_join(&page, &p, 1);
    failed = allocations_failed() > 0;
    assert_true(joined || failed);
    assert_int_equal(page.len, joined ? before + 26 : before);
    allocations_succeed();
    buf_free(&page);
    metrics_free(m);
    return failed;
}

static void survives_every_failing_allocation(void **state)
{
    (void)state;
    size_t n = 0;
    while (works_with_failures(n))
        n++;
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_counters_and_gauges),
        cmocka_unit_test(writes_histograms),
        cmocka_unit_test(labels_stand_before_the_bound),
        cmocka_unit_test(escapes),
        cmocka_unit_test(numbers_read_back),
        cmocka_unit_test(what_is_no_number_is_observed_above_all),
        cmocka_unit_test(the_same_values_are_one_series),
        cmocka_unit_test(series_above_the_bound_are_one),
        cmocka_unit_test(other_is_one_series_too),
        cmocka_unit_test(the_default_bound),
        cmocka_unit_test(clear_forgets),
        cmocka_unit_test(what_does_not_exist_is_not_counted),
        cmocka_unit_test(declares_once),
        cmocka_unit_test(refuses_bad_names),
        cmocka_unit_test(refuses_bad_bounds),
        cmocka_unit_test(refuses_names_of_a_histograms_samples),
        cmocka_unit_test(joins),
        cmocka_unit_test(joins_what_is_written),
        cmocka_unit_test(leaves_out_what_is_no_page),
        cmocka_unit_test(reads_no_byte_too_many),
        cmocka_unit_test(survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
