/* So many a second: bursts, the time between, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/pace.h"

static unsigned taken(struct pace *p, uint32_t rate, uint64_t now)
{
    unsigned n = 0;
    while (n < 10000 && pace_take(p, rate, now))
        n++;
    return n;
}

static void burst_is_what_a_second_allows(void **state)
{
    static const uint32_t rates[] = {1, 2, 3, 7, 10, 999, 1000, 7000};
    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct pace p = {0};
        assert_int_equal(taken(&p, rates[i], 5), rates[i]);
        assert_int_equal(taken(&p, rates[i], 5), 0);
    }
}

static void fills_with_time(void **state)
{
    struct pace p = {0};
    (void)state;
    assert_int_equal(taken(&p, 10, 1000), 10);
    assert_int_equal(taken(&p, 10, 1099), 0);
    assert_int_equal(taken(&p, 10, 1100), 1);
    assert_int_equal(taken(&p, 10, 1350), 2);
    assert_int_equal(taken(&p, 10, 1400), 1); /* the half that was left counts */
    assert_int_equal(taken(&p, 10, 2399), 9);
}

static void never_holds_more_than_a_second(void **state)
{
    struct pace p = {0};
    (void)state;
    assert_int_equal(taken(&p, 5, 0), 5);
    assert_int_equal(taken(&p, 5, 3600 * 1000), 5);
    assert_int_equal(taken(&p, 5, 3600 * 1000 + 1), 0);
}

static void what_is_refused_costs_nothing(void **state)
{
    struct pace p = {0};
    (void)state;
    assert_int_equal(taken(&p, 2, 0), 2);
    for (int i = 0; i < 1000; i++)
        assert_false(pace_take(&p, 2, 499));
    assert_true(pace_take(&p, 2, 500));
}

static void highest_rate(void **state)
{
    struct pace p = {0};
    (void)state;
    for (int i = 0; i < 100000; i++)
        assert_true(pace_take(&p, PACE_SECOND, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_is_what_a_second_allows),
        cmocka_unit_test(fills_with_time),
        cmocka_unit_test(never_holds_more_than_a_second),
        cmocka_unit_test(what_is_refused_costs_nothing),
        cmocka_unit_test(highest_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
