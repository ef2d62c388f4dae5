/* base/map: against a plain list of pairs, and what it costs. */
#include "base/map.h"
#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int values[4096]; /* only their addresses matter */

static void starts_empty(void **state)
{
    (void)state;
    struct map *m = map_new(1);
    size_t at = 0;
    assert_null(map_get(m, slice_of("a")));
    assert_null(map_remove(m, slice_of("a")));
    assert_null(map_next(m, &at, NULL));
    assert_int_equal(map_count(m), 0);
    map_free(m);
    map_free(NULL);
}

static void sets_replaces_and_removes(void **state)
{
    (void)state;
    struct map *m = map_new(1);
    assert_true(map_set(m, slice_of("a"), &values[0]));
    assert_true(map_set(m, slice_of("b"), &values[1]));
    assert_ptr_equal(map_get(m, slice_of("a")), &values[0]);
    assert_ptr_equal(map_get(m, slice_of("b")), &values[1]);
    assert_true(map_set(m, slice_of("a"), &values[2]));
    assert_ptr_equal(map_get(m, slice_of("a")), &values[2]);
    assert_int_equal(map_count(m), 2);
    assert_ptr_equal(map_remove(m, slice_of("a")), &values[2]);
    assert_null(map_get(m, slice_of("a")));
    assert_null(map_remove(m, slice_of("a")));
    assert_int_equal(map_count(m), 1);
    map_free(m);
}

/* Keys are bytes, are copied, and are not read past their end. */
static void keys_are_bytes(void **state)
{
    (void)state;
    static const struct slice keys[] = {
        {NULL, 0},        {"\0", 1},       {"\0\0", 2},    {"a", 1},
        {"a\0", 2},       {"A", 1},        {"abcdefg", 7}, {"abcdefgh", 8},
        {"abcdefghi", 9}, {"\xFF\xFE", 2}, {"\xFF", 1},    {"abcdefghijklmnop", 16},
    };
    size_t count = sizeof keys / sizeof keys[0];
    struct map *m = map_new(7);
    for (size_t i = 0; i < count; i++) {
        unsigned char *copy = guard_copy(keys[i].ptr, keys[i].len);
        assert_true(map_set(m, (struct slice){(char *)copy, keys[i].len}, &values[i]));
        guard_free(copy, keys[i].len);
    }
    assert_int_equal(map_count(m), count);
    for (size_t i = 0; i < count; i++) {
        unsigned char *copy = guard_copy(keys[i].ptr, keys[i].len);
        assert_ptr_equal(map_get(m, (struct slice){(char *)copy, keys[i].len}), &values[i]);
        guard_free(copy, keys[i].len);
    }
    map_free(m);
}

static struct slice name_key(char out[16], size_t i)
{
    return (struct slice){out, (size_t)snprintf(out, 16, "key %zu", i)};
}

/* Each entry is walked once, with its own key. */
static void check_walk(const struct map *m, int *const model[], size_t keys)
{
    size_t at = 0, seen = 0, number;
    struct slice key;
    void *value;
    while ((value = map_next(m, &at, &key))) {
        char text[16] = {0};
        memcpy(text, key.ptr, key.len);
        assert_int_equal(sscanf(text, "key %zu", &number), 1);
        assert_true(number < keys);
        assert_ptr_equal(value, model[number]);
        seen++;
    }
    assert_int_equal(seen, map_count(m));
}

/* 60,000 random operations on 400 keys, in waves of filling and emptying, so that the table grows,
 * shrinks and has runs of neighbours to close up. */
static void agrees_with_a_list(void **state)
{
    (void)state;
    enum { KEYS = 400 };
    int *model[KEYS] = {0};
    size_t count = 0;
    uint64_t random = 11;
    struct map *m = map_new(99);
    for (int round = 0; round < 60000; round++) {
        char text[16];
        size_t i = random_next(&random) % KEYS;
        struct slice key = name_key(text, i);
        bool filling = (round / 3000) % 2 == 0;
        assert_ptr_equal(map_get(m, key), model[i]);
        if (random_next(&random) % 4 == 0 ? !filling : filling) {
            int *value = &values[random_next(&random) % 4096];
            assert_true(map_set(m, key, value));
            count += !model[i];
            model[i] = value;
        } else {
            assert_ptr_equal(map_remove(m, key), model[i]);
            count -= model[i] != NULL;
            model[i] = NULL;
        }
        assert_int_equal(map_count(m), count);
        if (round % 500 == 0)
            check_walk(m, model, KEYS);
    }
    map_free(m);
}

/* The slots of the table, which the walk passes all. */
static size_t slots(const struct map *m)
{
    size_t at = 0;
    while (map_next(m, &at, NULL))
        ;
    return at;
}

static void gives_memory_back(void **state)
{
    (void)state;
    char text[16];
    struct map *m = map_new(3);
    for (size_t i = 0; i < 4096; i++)
        assert_true(map_set(m, name_key(text, i), &values[i]));
    assert_in_range(slots(m), 4096, 4 * 4096);
    for (size_t i = 0; i < 4090; i++)
        assert_ptr_equal(map_remove(m, name_key(text, i)), &values[i]);
    assert_true(slots(m) <= 64);
    for (size_t i = 4090; i < 4096; i++)
        assert_ptr_equal(map_get(m, name_key(text, i)), &values[i]);
    map_free(m);
}

/* With another seed the same keys stand in another order, so that nobody can choose keys that
 * meet in one place. */
static void the_seed_decides_the_order(void **state)
{
    (void)state;
    char text[16];
    struct map *a = map_new(1), *b = map_new(2);
    for (size_t i = 0; i < 64; i++) {
        assert_true(map_set(a, name_key(text, i), &values[i]));
        assert_true(map_set(b, name_key(text, i), &values[i]));
    }
    size_t at = 0, bt = 0, same = 0;
    for (size_t i = 0; i < 64; i++)
        same += map_next(a, &at, NULL) == map_next(b, &bt, NULL);
    assert_true(same < 16);
    map_free(a);
    map_free(b);
}

/* One run with the n-th allocation failing; false when none failed. What was there stays there. */
static bool works_with_failures(size_t successes)
{
    char text[16];
    size_t done = 0;
    allocations_fail_after(successes);
    struct map *m = map_new(5);
    while (m && done < 30 && map_set(m, name_key(text, done), &values[done]))
        done++;
    bool failed = allocations_failed() > 0;
    if (m) {
        assert_int_equal(map_count(m), done);
        for (size_t i = 0; i < 30; i++)
            assert_ptr_equal(map_get(m, name_key(text, i)), i < done ? &values[i] : NULL);
        if (done)
            assert_true(map_set(m, name_key(text, 0), &values[99]));
        /* a table that cannot shrink goes on serving */
        for (size_t i = 1; i < done; i++)
            assert_ptr_equal(map_remove(m, name_key(text, i)), &values[i]);
        if (done)
            assert_ptr_equal(map_get(m, name_key(text, 0)), &values[99]);
    }
    map_free(m);
    allocations_succeed();
    return failed || done < 30;
}

static void survives_every_failing_allocation(void **state)
{
    (void)state;
    size_t n = 0;
    while (works_with_failures(n))
        n++;
    /* the map, its tables, and thirty entries */
    assert_true(n >= 32);
}

struct load {
    struct map *m;
    size_t n;
};

static void fill_and_empty(void *context)
{
    struct load *load = context;
    char text[16];
    for (size_t i = 0; i < load->n; i++)
        assert_true(map_set(load->m, name_key(text, i), &values[0]));
    for (size_t i = 0; i < load->n; i++)
        assert_ptr_equal(map_get(load->m, name_key(text, i)), &values[0]);
    for (size_t i = 0; i < load->n; i++)
        assert_ptr_equal(map_remove(load->m, name_key(text, i)), &values[0]);
}

static void costs_are_linear_in_the_entries(void **state)
{
    (void)state;
    uint64_t cost[3];
    for (int i = 0; i < 3; i++) {
        struct load load = {map_new(13), (size_t)2000 << i};
        cost[i] = count_comparisons(fill_and_empty, &load);
        map_free(load.m);
    }
    assert_true(costs_are_linear(cost[0], cost[1], cost[2]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty),
        cmocka_unit_test(sets_replaces_and_removes),
        cmocka_unit_test(keys_are_bytes),
        cmocka_unit_test(agrees_with_a_list),
        cmocka_unit_test(gives_memory_back),
        cmocka_unit_test(the_seed_decides_the_order),
        cmocka_unit_test(survives_every_failing_allocation),
        cmocka_unit_test(costs_are_linear_in_the_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
