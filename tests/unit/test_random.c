/* Random bytes: nobody gets any twice, and none is kept. That they are unpredictable is the
 * kernel's business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/random.h"

#include <stdlib.h>
#include <string.h>

#define KEYS 4096

static int by_value(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

static void none_is_given_twice(void **state)
{
    static unsigned char keys[KEYS][16];
    struct random r = {.left = 0};
    (void)state;
    for (size_t i = 0; i < KEYS; i++)
        random_bytes(&r, keys[i], 16);
    qsort(keys, KEYS, 16, by_value);
    for (size_t i = 1; i < KEYS; i++)
        assert_memory_not_equal(keys[i - 1], keys[i], 16);
}

static void what_was_given_is_wiped(void **state)
{
    static const unsigned char nothing[RANDOM_ROOM];
    unsigned char out[RANDOM_ROOM];
    struct random r = {.left = 0};
    (void)state;
    for (size_t given = 4; given <= RANDOM_ROOM; given += 4) {
        random_bytes(&r, out, 4);
        assert_memory_equal(r.bytes, nothing, given);
        assert_int_equal(r.left, RANDOM_ROOM - given);
    }
    random_bytes(&r, out, 1);
    assert_int_equal(r.left, RANDOM_ROOM - 1);
}

/* A piece is never of two fillings, so each is as random as any. */
static void any_size_up_to_the_whole(void **state)
{
    unsigned char out[RANDOM_ROOM], all_or[RANDOM_ROOM] = {0};
    struct random r = {.left = 0};
    (void)state;
    random_bytes(&r, out, 0);
    for (int i = 0; i < 64; i++) {
        random_bytes(&r, out, RANDOM_ROOM);
        for (size_t j = 0; j < RANDOM_ROOM; j++)
            all_or[j] |= out[j];
        random_bytes(&r, out, 100);
    }
    for (size_t j = 0; j < RANDOM_ROOM; j++)
        assert_int_equal(all_or[j], 0xFF); /* no byte stays as it was: 1 in 2^53 by chance */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_given_twice),
        cmocka_unit_test(what_was_given_is_wiped),
        cmocka_unit_test(any_size_up_to_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
