/* Questions to all workers: answers, old answers, those who end, those who are silent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/round.h"

static struct {
    struct loop *loop;
    int ended;
    bool all;
} seen;

static void on_done(struct round *r, bool all)
{
    assert_false(r->open);
    seen.ended++;
    seen.all = all;
    loop_stop(seen.loop);
}

static int set_up(void **state)
{
    static struct round r;
    seen.loop = loop_new();
    seen.ended = 0;
    assert_non_null(seen.loop);
    assert_true(round_init(&r, seen.loop, 4));
    *state = &r;
    return 0;
}

static int tear_down(void **state)
{
    round_free(*state);
    loop_free(seen.loop);
    return 0;
}

static void ends_with_the_last_answer(void **state)
{
    struct round *r = *state;
    round_open(r, on_done);
    round_ask(r, 0);
    round_ask(r, 2);
    round_wait(r, 60000);
    assert_true(round_expects(r, 0, r->number) && round_expects(r, 2, r->number));
    assert_false(round_expects(r, 1, r->number));
    round_settle(r, 2);
    round_settle(r, 2); /* twice is once */
    round_settle(r, 1); /* was not asked */
    assert_int_equal(seen.ended, 0);
    round_settle(r, 0);
    assert_int_equal(seen.ended, 1);
    assert_true(seen.all);
}

static void nobody_to_ask_ends_in_the_loop(void **state)
{
    struct round *r = *state;
    round_open(r, on_done);
    round_wait(r, 60000);
    assert_int_equal(seen.ended, 0);
    loop_run(seen.loop);
    assert_int_equal(seen.ended, 1);
    assert_true(seen.all);
}

static void silence_ends_it_and_has_names(void **state)
{
    struct round *r = *state;
    char names[64];
    round_open(r, on_done);
    for (size_t i = 0; i < 4; i++)
        round_ask(r, i);
    round_wait(r, 1);
    assert_int_equal(r->asked_for, 1);
    round_settle(r, 1);
    loop_run(seen.loop);
    assert_int_equal(seen.ended, 1);
    assert_false(seen.all);
    round_debtors(r, names, sizeof names);
    assert_string_equal(names, "0, 2, 3");
}

static void old_answers_do_not_count(void **state)
{
    struct round *r = *state;
    round_open(r, on_done);
    round_ask(r, 0);
    round_wait(r, 60000);
    unsigned first = r->number;
    round_close(r);
    assert_false(round_expects(r, 0, first));
    round_open(r, on_done);
    round_ask(r, 0);
    round_wait(r, 60000);
    assert_false(round_expects(r, 0, first));
    assert_true(round_expects(r, 0, r->number));
}

static void closed_it_ends_for_nobody(void **state)
{
    struct round *r = *state;
    round_open(r, on_done);
    round_ask(r, 3);
    round_wait(r, 60000);
    round_close(r);
    round_close(r);
    round_settle(r, 3);
    assert_false(r->open);
    assert_int_equal(seen.ended, 0);
}

static void many_names_are_cut(void **state)
{
    struct round *r = *state;
    char names[6];
    round_open(r, on_done);
    for (size_t i = 0; i < 4; i++)
        round_ask(r, i);
    round_debtors(r, names, sizeof names);
    assert_string_equal(names, "0, 1,");
    round_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ends_with_the_last_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_to_ask_ends_in_the_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silence_ends_it_and_has_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_answers_do_not_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closed_it_ends_for_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_names_are_cut, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
