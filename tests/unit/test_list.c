/* The intrusive list: order, taking out, and what "in no list" means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int before; /* so that the node is not where the item begins */
    struct list node;
    int number;
};

static struct item items[4];
static struct list all;

static int prepare(void **state)
{
    (void)state;
    list_init(&all);
    for (int i = 0; i < 4; i++) {
        list_init(&items[i].node);
        items[i].number = i;
    }
    return 0;
}

static void push(int number)
{
    list_push(&all, &items[number].node);
}

static void is_item(struct list *node, int number)
{
    assert_non_null(node);
    assert_int_equal(list_entry(node, struct item, node)->number, number);
}

/* In both directions, since each is kept on its own. */
static void holds(size_t count, const int *numbers)
{
    struct list *node = all.next;
    for (size_t i = 0; i < count; i++, node = node->next)
        is_item(node, numbers[i]);
    assert_ptr_equal(node, &all);
    node = all.prev;
    for (size_t i = count; i > 0; i--, node = node->prev)
        is_item(node, numbers[i - 1]);
    assert_ptr_equal(node, &all);
}

#define HOLDS(...) holds(sizeof((int[]){__VA_ARGS__}) / sizeof(int), (const int[]){__VA_ARGS__})

static void new_list_is_empty(void **state)
{
    (void)state;
    assert_true(list_empty(&all));
    assert_null(list_shift(&all));
    holds(0, NULL);
}

static void push_appends(void **state)
{
    (void)state;
    push(0);
    assert_false(list_empty(&all));
    HOLDS(0);
    push(1);
    push(2);
    HOLDS(0, 1, 2);
}

static void shift_takes_the_oldest(void **state)
{
    (void)state;
    push(2);
    push(0);
    push(1);
    is_item(list_shift(&all), 2);
    HOLDS(0, 1);
    is_item(list_shift(&all), 0);
    is_item(list_shift(&all), 1);
    assert_null(list_shift(&all));
    assert_true(list_empty(&all));
}

static void shifted_node_is_in_no_list(void **state)
{
    (void)state;
    push(0);
    push(1);
    struct list *node = list_shift(&all);
    assert_true(list_empty(node));
    list_push(&all, node);
    HOLDS(1, 0);
}

static void remove_at_each_place(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        push(i);
    list_remove(&items[1].node);
    HOLDS(0, 2, 3);
    list_remove(&items[0].node);
    HOLDS(2, 3);
    list_remove(&items[3].node);
    HOLDS(2);
    list_remove(&items[2].node);
    holds(0, NULL);
}

static void remove_twice_is_harmless(void **state)
{
    (void)state;
    push(0);
    push(1);
    push(2);
    list_remove(&items[1].node);
    list_remove(&items[1].node);
    HOLDS(0, 2);
    assert_true(list_empty(&items[1].node));
    list_remove(&items[3].node); /* never was in one */
    HOLDS(0, 2);
}

static void node_moves_between_lists(void **state)
{
    struct list other;
    (void)state;
    list_init(&other);
    push(0);
    push(1);
    list_push(&other, list_shift(&all));
    HOLDS(1);
    is_item(other.next, 0);
    is_item(other.prev, 0);
    assert_ptr_equal(list_shift(&other), &items[0].node);
    assert_true(list_empty(&other));
}

static void walk_that_takes_out_as_it_goes(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        push(i);
    for (struct list *node = all.next, *next; node != &all; node = next) {
        next = node->next;
        if (list_entry(node, struct item, node)->number % 2)
            list_remove(node);
    }
    HOLDS(0, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(new_list_is_empty, prepare),
        cmocka_unit_test_setup(push_appends, prepare),
        cmocka_unit_test_setup(shift_takes_the_oldest, prepare),
        cmocka_unit_test_setup(shifted_node_is_in_no_list, prepare),
        cmocka_unit_test_setup(remove_at_each_place, prepare),
        cmocka_unit_test_setup(remove_twice_is_harmless, prepare),
        cmocka_unit_test_setup(node_moves_between_lists, prepare),
        cmocka_unit_test_setup(walk_that_takes_out_as_it_goes, prepare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
