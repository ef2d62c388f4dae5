/* When a version goes by itself: the numbers of design chapter 04, from both sides of each bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/watch.h"

#include <string.h>

static bool bad(uint64_t failed, uint64_t handled, uint64_t failed_before, uint64_t handled_before)
{
    const struct watch_count now = {.handled = handled, .failed = failed};
    const struct watch_count before = {.handled = handled_before, .failed = failed_before};
    char why[256];
    return watch_is_bad(&now, &before, why, sizeof why);
}

static void five_errors_are_needed(void **state)
{
    (void)state;
    assert_false(bad(0, 0, 0, 0));
    assert_false(bad(4, 4, 0, 1000));
    assert_true(bad(5, 5, 0, 1000));
}

static void more_than_two_in_a_hundred(void **state)
{
    (void)state;
    assert_false(bad(20, 1000, 0, 1000));
    assert_true(bad(21, 1000, 0, 1000));
    assert_false(bad(5, 100000, 0, 0));
}

static void five_times_as_many_as_before(void **state)
{
    (void)state;
    assert_true(bad(50, 1000, 10, 1000));
    assert_false(bad(49, 1000, 10, 1000));
    assert_false(bad(1000, 1000, 300, 1000)); /* it was broken before: going back mends nothing */
    assert_true(bad(1000, 1000, 0, 0));       /* nothing was called before */
}

static void any_migration_that_fails(void **state)
{
    const struct watch_count now = {.handled = 100000, .migrations_failed = 1};
    const struct watch_count before = {.handled = 10, .failed = 10};
    char why[256];
    (void)state;
    assert_true(watch_is_suspect(&now));
    assert_true(watch_is_bad(&now, &before, why, sizeof why));
    assert_string_equal(why, "1 connection could not be migrated");
}

static void says_why_in_words(void **state)
{
    const struct watch_count now = {.handled = 120, .failed = 7},
                             before = {.handled = 1000, .failed = 1};
    char why[256];
    (void)state;
    assert_true(watch_is_bad(&now, &before, why, sizeof why));
    assert_string_equal(why, "7 of 120 calls have failed (5.8 %, before it 0.1 %)");
}

/* Counts that were read at different moments. */
static void more_errors_than_calls(void **state)
{
    (void)state;
    assert_true(bad(10, 3, 0, 0));
    assert_false(bad(10, 3, 5, 2));
}

static void suspicion_comes_before_the_judgement(void **state)
{
    struct watch_count n = {.handled = 1, .failed = 4};
    (void)state;
    assert_false(watch_is_suspect(&n));
    n.failed = 5;
    assert_true(watch_is_suspect(&n));
    n = (struct watch_count){.migrations_failed = 1};
    assert_true(watch_is_suspect(&n));
}

static void sums_of_all_workers(void **state)
{
    struct watch_count sum = {1, 2, 3};
    const struct watch_count more = {10, 20, 30};
    (void)state;
    watch_add(&sum, &more);
    assert_int_equal(sum.handled, 11);
    assert_int_equal(sum.failed, 22);
    assert_int_equal(sum.migrations_failed, 33);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_errors_are_needed),
        cmocka_unit_test(more_than_two_in_a_hundred),
        cmocka_unit_test(five_times_as_many_as_before),
        cmocka_unit_test(any_migration_that_fails),
        cmocka_unit_test(says_why_in_words),
        cmocka_unit_test(more_errors_than_calls),
        cmocka_unit_test(suspicion_comes_before_the_judgement),
        cmocka_unit_test(sums_of_all_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
