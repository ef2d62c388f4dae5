/* wire/route: which pattern takes which path, against a plain list of patterns; and the costs. */
#include "support.h"
#include "wire/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A pattern that ends in a slash and a star is added as a mount of what stands before them. The
 * target is the pattern's text. */
static int add(struct route_table *t, const char *text)
{
    struct slice pattern = slice_of(text);
    bool mount = pattern.len >= 2 && strcmp(text + pattern.len - 2, "/*") == 0;
    if (mount)
        pattern.len--;
    unsigned char *copy = guard_copy(pattern.ptr, pattern.len);
    int rc = route_add(t, (struct slice){(char *)copy, pattern.len}, mount, (void *)text);
    guard_free(copy, pattern.len);
    return rc;
}

/* What a path leads to: "pattern name=value ... [rest]", or "none". */
static void find(const struct route_table *t, struct slice path, char out[512])
{
    struct route_match m;
    if (!route_find(t, path, &m)) {
        snprintf(out, 512, "none");
        return;
    }
    int n = snprintf(out, 512, "%s", (const char *)m.target);
    for (size_t i = 0; i < m.capture_count; i++)
        n += snprintf(out + n, 512 - (size_t)n, " %.*s=%.*s", SLICE_ARG(m.captures[i].name),
                      SLICE_ARG(m.captures[i].value));
    snprintf(out + n, 512 - (size_t)n, " [%.*s]", SLICE_ARG(m.rest));
}

struct expectation {
    const struct route_table *table;
    const char *result;
};

/* Paths do not stream: every prefix is looked up at a guard page, the whole is compared. */
static void arrive(struct feed *f, void *context)
{
    const struct expectation *e = context;
    unsigned char *bytes;
    char result[512] = "";
    size_t n;
    while (feed_next_prefix(f, &bytes, &n))
        find(e->table, (struct slice){(char *)bytes, n}, result);
    if (strcmp(result, e->result) != 0)
        fail_msg("%.*s: %s instead of %s", (int)f->n, (const char *)f->bytes, result, e->result);
}

static void check(const char *const *patterns, const char *const (*cases)[2], size_t count)
{
    struct route_table *t = route_table_new();
    for (; *patterns; patterns++)
        assert_int_equal(add(t, *patterns), 0);
    for (size_t i = 0; i < count; i++) {
        struct expectation e = {t, cases[i][1]};
        feed_every_way(cases[i][0], strlen(cases[i][0]), arrive, &e);
    }
    route_table_free(t);
}

static void matches_literals_and_captures(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "/",         "/chat",   "/chat/", "/rooms/:room", "/rooms/:room/users/:user", "/a/b/c",
        "/\xC3\xA9", "/a b%20", NULL};
    static const char *const cases[][2] = {
        {"/", "/ []"},
        {"/chat", "/chat []"},
        {"/chat/", "/chat/ []"},
        {"/rooms/lobby", "/rooms/:room room=lobby []"},
        {"/rooms/:room", "/rooms/:room room=:room []"},
        {"/rooms/\xC3\xA9 ;x=1", "/rooms/:room room=\xC3\xA9 ;x=1 []"},
        {"/rooms/a/users/b", "/rooms/:room/users/:user room=a user=b []"},
        {"/a/b/c", "/a/b/c []"},
        {"/\xC3\xA9", "/\xC3\xA9 []"},
        {"/a b%20", "/a b%20 []"},
        {"", "none"},
        {"chat", "none"},
        {"/Chat", "none"},
        {"/chat//", "none"},
        {"//chat", "none"},
        {"//", "none"},
        {"/cha", "none"},
        {"/chatt", "none"},
        {"/chat/x", "none"},
        {"/rooms", "none"},
        {"/rooms/", "none"},
        {"/rooms/a/", "none"},
        {"/rooms//users/b", "none"},
        {"/rooms/a/users", "none"},
        {"/rooms/a/users/", "none"},
        {"/a/b", "none"},
        {"/a/b/c/d", "none"},
    };
    check(patterns, cases, COUNT(cases));
}

static void mounts_take_what_lies_below(void **state)
{
    (void)state;
    static const char *const patterns[] = {"/files/*", "/u/:name/pics/*", "/files/special/",
                                           "/files/deep/er/*", NULL};
    static const char *const cases[][2] = {
        {"/files", "/files/* []"},
        {"/files/", "/files/* []"},
        {"/files/a", "/files/* [a]"},
        {"/files/a/b/", "/files/* [a/b/]"},
        {"/files/special/", "/files/special/ []"},
        {"/files/special", "/files/* [special]"},
        {"/files/special/a", "/files/* [special/a]"},
        {"/files/deep", "/files/* [deep]"},
        {"/files/deep/er", "/files/deep/er/* []"},
        {"/files/deep/er/x", "/files/deep/er/* [x]"},
        {"/files/deep/e", "/files/* [deep/e]"},
        {"/u/me/pics", "/u/:name/pics/* name=me []"},
        {"/u/me/pics/1.png", "/u/:name/pics/* name=me [1.png]"},
        {"/u//pics/1.png", "none"},
        {"/u/me", "none"},
        {"/filesystem", "none"},
        {"/files//etc/passwd", "none"},
        {"/files/a//b", "none"},
        {"/", "none"},
    };
    check(patterns, cases, COUNT(cases));
    static const char *const root[] = {"/*", "/ws", NULL};
    static const char *const root_cases[][2] = {
        {"/", "/* []"},       {"/a", "/* [a]"}, {"/a/", "/* [a/]"},       {"/ws", "/ws []"},
        {"/ws/", "/* [ws/]"}, {"//", "none"},   {"//etc/passwd", "none"},
    };
    check(root, root_cases, COUNT(root_cases));
}

static void the_more_literal_one_wins(void **state)
{
    (void)state;
    static const char *const patterns[] = {"/*",       "/:a",     "/x",       "/:a/y",
                                           "/x/:b",    "/x/y/z",  "/:a/y/:c", "/x/*",
                                           "/:a/:b/q", "/:a/y/*", NULL};
    static const char *const cases[][2] = {
        {"/x", "/x []"},
        {"/w", "/:a a=w []"},
        {"/x/y", "/x/:b b=y []"},
        {"/w/y", "/:a/y a=w []"},
        {"/x/y/z", "/x/y/z []"},
        /* the first differing segment decides, not the number of literals */
        {"/x/y/w", "/x/* [y/w]"},
        {"/x/w/q", "/x/* [w/q]"},
        {"/w/y/z", "/:a/y/:c a=w c=z []"},
        {"/w/y/q", "/:a/y/:c a=w c=q []"},
        {"/w/v/q", "/:a/:b/q a=w b=v []"},
        {"/w/y/q/r", "/:a/y/* a=w [q/r]"},
        {"/w/v/u", "/* [w/v/u]"},
        {"/", "/* []"},
    };
    check(patterns, cases, COUNT(cases));
    /* the way back out of a literal that leads nowhere leaves no captures behind */
    static const char *const back[] = {"/x/:b/:c/end", "/:a/y/other", "/:z/*", NULL};
    static const char *const back_cases[][2] = {
        {"/x/y/other", "/:a/y/other a=x []"},
        {"/x/y/z/end", "/x/:b/:c/end b=y c=z []"},
        {"/x/y/z/no", "/:z/* z=x [y/z/no]"},
    };
    check(back, back_cases, COUNT(back_cases));
}

static void refuses_bad_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        int result;
    } cases[] = {
        {"", ROUTE_ERR_SLASH},
        {"a", ROUTE_ERR_SLASH},
        {":a", ROUTE_ERR_SLASH},
        {"//", ROUTE_ERR_EMPTY},
        {"//a", ROUTE_ERR_EMPTY},
        {"/a//b", ROUTE_ERR_EMPTY},
        {"/a//", ROUTE_ERR_EMPTY},
        {"/:", ROUTE_ERR_NAME},
        {"/:/a", ROUTE_ERR_NAME},
        {"/:1a", ROUTE_ERR_NAME},
        {"/:a-b", ROUTE_ERR_NAME},
        {"/:a@", ROUTE_ERR_NAME},
        {"/:a{", ROUTE_ERR_NAME},
        {"/:{", ROUTE_ERR_NAME},
        {"/::a", ROUTE_ERR_NAME},
        {"/:\xC3\xA9", ROUTE_ERR_NAME},
        {"/:a/:a", ROUTE_ERR_NAME},
        {"/:a/b/:a", ROUTE_ERR_NAME},
        {"/.", ROUTE_ERR_DOTS},
        {"/..", ROUTE_ERR_DOTS},
        {"/a/../b", ROUTE_ERR_DOTS},
        {"/a/.", ROUTE_ERR_DOTS},
        {"/:_a1/:A/.../:a", 0},
        {"/a:b", 0},
        {"/:a/:b/:c/:d/:e/:f/:g/:h/:i/:j/:k/:l/:m/:n/:o/:p", 0},
        {"/:a/:b/:c/:d/:e/:f/:g/:h/:i/:j/:k/:l/:m/:n/:o/:p/:q", ROUTE_ERR_CAPTURES},
    };
    struct route_table *t = route_table_new();
    for (size_t i = 0; i < COUNT(cases); i++) {
        int rc = add(t, cases[i].pattern);
        if (rc != cases[i].result)
            fail_msg("%s: %d instead of %d", cases[i].pattern, rc, cases[i].result);
        if (rc != 0)
            assert_true(strlen(route_error_text(rc)) > 0);
    }
    char out[512];
    find(t, slice_of("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16"), out);
    assert_non_null(strstr(out, " a=1 b=2 "));
    assert_non_null(strstr(out, " o=15 p=16 []"));
    route_table_free(t);
    for (int a = ROUTE_ERR_MEMORY; a <= 0; a++)
        for (int b = ROUTE_ERR_MEMORY; b < a; b++)
            assert_string_not_equal(route_error_text(a), route_error_text(b));
}

static void refuses_a_second_route_to_the_same_paths(void **state)
{
    (void)state;
    static const char *const first[] = {"/", "/a", "/a/", "/a/*", "/:x/b", "/:x/*", "/*"};
    static const char *const again[] = {"/", "/a", "/a/", "/a/*", "/:y/b", "/:y/*", "/*"};
    struct route_table *t = route_table_new();
    char out[512];
    for (size_t i = 0; i < COUNT(first); i++)
        assert_int_equal(add(t, first[i]), 0);
    for (size_t i = 0; i < COUNT(again); i++)
        assert_int_equal(add(t, again[i]), ROUTE_ERR_DUPLICATE);
    /* a mount with and without the slash is one */
    assert_int_equal(route_add(t, slice_of("/a"), true, t), ROUTE_ERR_DUPLICATE);
    find(t, slice_of("/q/b"), out);
    assert_string_equal(out, "/:x/b x=q []");
    find(t, slice_of("/a"), out);
    assert_string_equal(out, "/a []");
    route_table_free(t);
    route_table_free(NULL);
}

/* --- a second matcher, which looks at every pattern ---------------------------------------- */

/* Segment i of a path or pattern, with its slash; false behind the last. */
static bool segment_at(const char *text, size_t i, struct slice *out)
{
    do {
        if (*text != '/')
            return false;
        size_t n = 1 + strcspn(text + 1, "/");
        *out = (struct slice){text, n};
        text += n;
    } while (i--);
    return true;
}

/* How literal segment i of a pattern is: 3 literal, 2 capture, 1 mount, 0 end; -1 where it does
 * not fit the path. */
static int fit(const char *pattern, const char *path, size_t i)
{
    struct slice p, s;
    bool has_p = segment_at(pattern, i, &p), has_s = segment_at(path, i, &s);
    if (has_p && slice_is(p, "/*"))
        return 1;
    if (!has_p || !has_s)
        return has_p == has_s ? 0 : -1;
    if (p.ptr[1] == ':')
        return s.len > 1 ? 2 : -1;
    return slice_equal(p, s) ? 3 : -1;
}

/* Is a the better of two patterns for this path? Both match it. */
static bool is_better(const char *a, const char *b, const char *path)
{
    for (size_t i = 0;; i++) {
        int fit_a = fit(a, path, i), fit_b = fit(b, path, i);
        struct slice ignored;
        /* a path that ends here is taken by the exact route before the mount */
        bool at_end = !segment_at(path, i, &ignored);
        if (fit_a != fit_b)
            return at_end ? fit_a < fit_b : fit_a > fit_b;
        if (fit_a < 2)
            return false;
    }
}

static bool matches(const char *pattern, const char *path)
{
    for (size_t i = 0;; i++) {
        int how = fit(pattern, path, i);
        if (how < 2)
            return how >= 0;
    }
}

static const char *best_of(char (*patterns)[32], size_t count, const char *path)
{
    const char *best = NULL;
    if (path[0] != '/' || strstr(path, "//"))
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (matches(patterns[i], path) && (!best || is_better(patterns[i], best, path)))
            best = patterns[i];
    return best;
}

static void random_text(char out[32], const char *const *units, size_t count, uint64_t *random)
{
    out[0] = '\0';
    for (uint64_t n = random_next(random) % 4 + 1; n; n--)
        strcat(out, units[random_next(random) % count]);
}

static void agrees_with_looking_at_every_pattern(void **state)
{
    (void)state;
    static const char *const in_patterns[] = {"/a", "/b", "/:p", "/:q", "/:r", "/c"};
    static const char *const in_paths[] = {"/a", "/b", "/a", "/b", "/d", "/c", "/"};
    static const char *const ends[] = {"", "", "/", "/*"};
    uint64_t random = 5;
    size_t found = 0;
    for (int round = 0; round < 300; round++) {
        char patterns[40][32], path[32];
        size_t count = 0;
        struct route_table *t = route_table_new();
        while (count < 40 && random_next(&random) % 40) {
            random_text(patterns[count], in_patterns, COUNT(in_patterns), &random);
            strcat(patterns[count], ends[random_next(&random) % 4]);
            count += add(t, patterns[count]) == 0;
        }
        for (int i = 0; i < 200; i++) {
            struct route_match m;
            random_text(path, in_paths, COUNT(in_paths), &random);
            const char *best = best_of(patterns, count, path);
            bool ok = route_find(t, slice_of(path), &m);
            if (ok != (best != NULL) || (ok && m.target != best))
                fail_msg("%s: %s instead of %s", path, ok ? (char *)m.target : "none",
                         best ? best : "none");
            found += ok;
        }
        route_table_free(t);
    }
    assert_true(found > 6000 && found < 54000);
}

/* One run with the n-th allocation failing; false when none failed. */
static bool works_with_failures(size_t successes)
{
    static const char *const patterns[] = {"/a/:b/c", "/a/:b/*", "/x", "/x/y", "/", "/a/:d/c/:e"};
    char out[512];
    bool added[COUNT(patterns)] = {0};
    allocations_fail_after(successes);
    struct route_table *t = route_table_new();
    for (size_t i = 0; t && i < COUNT(patterns); i++) {
        int rc = add(t, patterns[i]);
        assert_true(rc == 0 || rc == ROUTE_ERR_MEMORY);
        added[i] = rc == 0;
    }
    size_t failed = allocations_failed();
    allocations_succeed();
    if (t) {
        find(t, slice_of("/x/y"), out);
        assert_string_equal(out, added[3] ? "/x/y []" : "none");
        find(t, slice_of("/a/1/c"), out);
        assert_string_equal(out, added[0]   ? "/a/:b/c b=1 []"
                                 : added[1] ? "/a/:b/* b=1 [c]"
                                            : "none");
        /* what failed can be added now */
        for (size_t i = 0; i < COUNT(patterns); i++)
            assert_int_equal(add(t, patterns[i]), added[i] ? ROUTE_ERR_DUPLICATE : 0);
        find(t, slice_of("/a/1/c/2"), out);
        assert_string_equal(out, "/a/:d/c/:e d=1 e=2 []");
    }
    route_table_free(t);
    return failed > 0;
}

static void survives_every_failing_allocation(void **state)
{
    (void)state;
    size_t n = 0;
    while (works_with_failures(n))
        n++;
    assert_true(n > 15);
}

struct lookup {
    struct route_table *t;
    struct slice path;
};

static void look_up(void *context)
{
    const struct lookup *l = context;
    struct route_match m;
    assert_true(route_find(l->t, l->path, &m));
}

static void more_routes_cost_nothing(void **state)
{
    (void)state;
    uint64_t cost[2];
    for (int i = 0; i < 2; i++) {
        struct lookup l = {route_table_new(), slice_of("/api/r7/x/y")};
        for (int r = 0; r < (i ? 10000 : 10); r++) {
            char pattern[32];
            snprintf(pattern, sizeof pattern, "/api/r%d/:id/y", r);
            assert_int_equal(route_add(l.t, slice_of(pattern), false, l.t), 0);
        }
        cost[i] = count_comparisons(look_up, &l);
        route_table_free(l.t);
    }
    /* a probe or two more or less in the hash map */
    assert_true(cost[1] < cost[0] * 2);
}

static void costs_are_linear_in_the_path(void **state)
{
    (void)state;
    static const char *const units[] = {"a", "a/", "aaaaaaaa/", "b/c/"};
    for (size_t u = 0; u < COUNT(units); u++) {
        uint64_t cost[3];
        for (int i = 0; i < 3; i++) {
            char text[1 << 15] = "/";
            size_t n = 1;
            while (n < (size_t)4096 << i)
                n += (size_t)snprintf(text + n, sizeof text - n, "%s", units[u]);
            struct lookup l = {route_table_new(), {text, n}};
            assert_int_equal(add(l.t, "/*"), 0);
            assert_int_equal(add(l.t, "/a/:b/a/:c/a"), 0);
            assert_int_equal(add(l.t, "/:a/c/:b/c/:d/c"), 0);
            cost[i] = count_comparisons(look_up, &l);
            route_table_free(l.t);
        }
        if (!costs_are_linear(cost[0], cost[1], cost[2]))
            fail_msg("%s: %llu %llu %llu", units[u], (unsigned long long)cost[0],
                     (unsigned long long)cost[1], (unsigned long long)cost[2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_literals_and_captures),
        cmocka_unit_test(mounts_take_what_lies_below),
        cmocka_unit_test(the_more_literal_one_wins),
        cmocka_unit_test(refuses_bad_patterns),
        cmocka_unit_test(refuses_a_second_route_to_the_same_paths),
        cmocka_unit_test(agrees_with_looking_at_every_pattern),
        cmocka_unit_test(survives_every_failing_allocation),
        cmocka_unit_test(more_routes_cost_nothing),
        cmocka_unit_test(costs_are_linear_in_the_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
