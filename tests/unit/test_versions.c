/* Versions: their numbers and states, what a rollback goes to, what is kept, what differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/versions.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int open_file(void)
{
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    return file;
}

static bool is_open(int file)
{
    return fcntl(file, F_GETFD) >= 0;
}

/* Of files as { "a.lua": "1" }. */
static struct version *make(const char *files, size_t bytes)
{
    json_t *report = json_pack("{s:s, s:i, s:[]}", "hash", "abc", "state_version", 3, "files");
    json_t *list = json_loads(files, 0, NULL), *hash;
    const char *path;
    assert_non_null(list);
    json_object_foreach(list, path, hash) json_array_append_new(
        json_object_get(report, "files"), json_pack("{s:s, s:O}", "path", path, "hash", hash));
    struct version *v = version_new(report, open_file(), bytes);
    assert_non_null(v);
    json_decref(list);
    json_decref(report);
    return v;
}

static struct version *add(struct versions *all)
{
    struct version *v = make("{}", 100);
    versions_add(all, v);
    return v;
}

static struct version *serve(struct versions *all)
{
    all->current = add(all);
    return all->current;
}

static const char *state_in(const struct versions *all, unsigned number)
{
    const struct version *v = versions_find(all, number);
    assert_non_null(v);
    return version_state_name(versions_state(all, v));
}

static void numbers_rise_and_what_never_served_has_none(void **state)
{
    struct versions all;
    (void)state;
    versions_init(&all);
    assert_int_equal(versions_next(&all), 1);
    assert_null(versions_previous(&all));
    assert_int_equal(serve(&all)->number, 1);
    struct version *refused = make("{}", 1);
    assert_int_equal(refused->number, 0);
    version_free(refused);
    assert_int_equal(versions_next(&all), 2);
    assert_int_equal(serve(&all)->number, 2);
    assert_null(versions_find(&all, 3));
    assert_null(versions_find(&all, 0));
    versions_free(&all);
}

static void what_the_report_says(void **state)
{
    struct version *v = make("{\"a.lua\":\"1\"}", 77);
    (void)state;
    assert_string_equal(v->hash, "abc");
    assert_int_equal(v->state_version, 3);
    assert_int_equal(v->bytes, 77);
    assert_int_equal(json_object_size(v->files), 1);
    int file = v->bundle;
    assert_true(is_open(file));
    version_free(v);
    assert_false(is_open(file));
}

static void previous_is_the_newest_that_was_not_given_up(void **state)
{
    struct versions all;
    (void)state;
    versions_init(&all);
    serve(&all);
    assert_null(versions_previous(&all));
    serve(&all);
    struct version *bad = serve(&all);
    assert_int_equal(versions_previous(&all)->number, 2);
    versions_give_up(bad, "by hand");
    all.current = versions_find(&all, 2);
    assert_int_equal(versions_previous(&all)->number, 1);
    assert_string_equal(state_in(&all, 3), "rolled back");
    assert_string_equal(bad->reason, "by hand");
    serve(&all);
    assert_int_equal(versions_previous(&all)->number, 2);
    assert_string_equal(state_in(&all, 1), "kept");
    assert_string_equal(state_in(&all, 2), "previous");
    assert_string_equal(state_in(&all, 4), "current");
    all.canary = add(&all);
    assert_string_equal(state_in(&all, 5), "canary");
    versions_free(&all);
}

static void what_is_gone_back_beyond_is_not_gone_back_to(void **state)
{
    struct versions all;
    (void)state;
    versions_init(&all);
    for (int i = 0; i < 4; i++)
        serve(&all);
    versions_give_up(versions_find(&all, 3), "of itself");
    versions_go_back(&all, versions_find(&all, 1), "by hand");
    all.current = versions_find(&all, 1);
    assert_null(versions_previous(&all));
    serve(&all);
    assert_int_equal(versions_previous(&all)->number, 1);
    assert_string_equal(state_in(&all, 2), "rolled back");
    assert_string_equal(versions_find(&all, 2)->reason, "by hand");
    assert_string_equal(versions_find(&all, 3)->reason, "of itself");
    assert_string_equal(state_in(&all, 4), "rolled back");
    versions_free(&all);
}

static size_t bundles_of(const struct versions *all)
{
    size_t n = 0;
    for (unsigned i = 1; i < versions_next(all); i++) {
        const struct version *v = versions_find(all, i);
        n += v && v->bundle >= 0;
    }
    return n;
}

static void so_many_are_kept(void **state)
{
    struct versions all;
    (void)state;
    versions_init(&all);
    for (int i = 0; i < 50; i++) {
        serve(&all);
        versions_prune(&all);
    }
    assert_int_equal(bundles_of(&all), VERSIONS_BUNDLES);
    assert_string_equal(state_in(&all, 50 - VERSIONS_BUNDLES), "old");
    assert_string_equal(state_in(&all, 50 - VERSIONS_BUNDLES + 1), "kept");
    assert_null(versions_find(&all, 50 - VERSIONS_TOLD));
    assert_non_null(versions_find(&all, 50 - VERSIONS_TOLD + 1));
    versions_free(&all);
}

static void so_many_bytes_are_kept_but_the_way_back_in_any_case(void **state)
{
    struct versions all;
    (void)state;
    versions_init(&all);
    for (int i = 0; i < 5; i++) {
        serve(&all)->bytes = VERSIONS_BYTES / 3;
        versions_prune(&all);
    }
    assert_int_equal(bundles_of(&all), 3);
    for (int i = 0; i < 5; i++) {
        serve(&all)->bytes = VERSIONS_BYTES * 2;
        versions_prune(&all);
    }
    assert_int_equal(bundles_of(&all), 2);
    assert_non_null(versions_previous(&all));
    versions_free(&all);
}

/* Back to the first of many, and then on from there. */
static void old_ones_that_serve_stay(void **state)
{
    struct versions all;
    (void)state;
    versions_init(&all);
    struct version *first = serve(&all);
    for (int i = 0; i < 9; i++)
        serve(&all);
    all.current = first;
    for (int i = 0; i < 30; i++) {
        add(&all);
        versions_prune(&all);
    }
    assert_ptr_equal(versions_find(&all, 1), first);
    assert_true(first->bundle >= 0);
    versions_free(&all);
}

static void check(const json_t *list, const char *expected)
{
    json_t *want = json_loads(expected, 0, NULL);
    assert_non_null(want);
    assert_true(json_equal(list, want));
    json_decref(want);
}

static void what_differs(void **state)
{
    struct version *a = make("{\"app/x.lua\":\"1\",\"app/b/y.lua\":\"1\",\"app/z.lua\":\"1\"}", 1);
    struct version *b = make(
        "{\"app/x.lua\":\"2\",\"app/z.lua\":\"1\",\"/usr/l.lua\":\"1\",\"app/a.lua\":\"1\"}", 1);
    struct version_changes c;
    (void)state;
    assert_true(version_compare(a, b, "app/", &c));
    check(c.changed, "[\"x.lua\"]");
    check(c.added, "[\"/usr/l.lua\",\"a.lua\"]");
    check(c.removed, "[\"b/y.lua\"]");
    version_changes_free(&c);
    assert_true(version_compare(NULL, a, NULL, &c));
    check(c.added, "[\"app/b/y.lua\",\"app/x.lua\",\"app/z.lua\"]");
    check(c.changed, "[]");
    version_changes_free(&c);
    version_free(a);
    version_free(b);
}

static void paths_below_the_root(void **state)
{
    (void)state;
    assert_string_equal(version_path("app/x.lua", "app"), "x.lua");
    assert_string_equal(version_path("app/x.lua", "app//"), "x.lua");
    assert_string_equal(version_path("apple/x.lua", "app"), "apple/x.lua");
    assert_string_equal(version_path("app", "app"), "app");
    assert_string_equal(version_path("/x.lua", "/"), "/x.lua");
    assert_string_equal(version_path("x.lua", NULL), "x.lua");
    assert_string_equal(version_path("./x.lua", "."), "x.lua");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_rise_and_what_never_served_has_none),
        cmocka_unit_test(what_the_report_says),
        cmocka_unit_test(previous_is_the_newest_that_was_not_given_up),
        cmocka_unit_test(what_is_gone_back_beyond_is_not_gone_back_to),
        cmocka_unit_test(so_many_are_kept),
        cmocka_unit_test(so_many_bytes_are_kept_but_the_way_back_in_any_case),
        cmocka_unit_test(old_ones_that_serve_stay),
        cmocka_unit_test(what_differs),
        cmocka_unit_test(paths_below_the_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
