/* wire/mask against a byte-wise reference: every length, offset and alignment that matters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"
#include "wire/mask.h"

#include <string.h>

#define LONGEST 300

static const unsigned char key[4] = {0x37, 0xFA, 0x21, 0x3D};

static void fill(unsigned char *bytes, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)random_next(&seed);
}

/* RFC 6455 section 5.3: octet i is XORed with octet i modulo 4 of the key. */
static void mask_slowly(unsigned char *bytes, size_t n, size_t offset)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] ^= key[(offset + i) % 4];
}

static void test_example_of_the_rfc(void **state)
{
    (void)state;
    unsigned char text[] = {'H', 'e', 'l', 'l', 'o'};
    mask_apply(text, 5, key, 0);
    assert_memory_equal(text, "\x7f\x9f\x4d\x51\x58", 5); /* section 5.7 */
    mask_apply(text, 5, key, 0);
    assert_memory_equal(text, "Hello", 5);
}

/* Masks bytes[before .. n - after] of a guarded copy; the bytes around must stay. */
static void check(size_t n, size_t before, size_t after, size_t offset)
{
    unsigned char plain[LONGEST] = {0}, expected[LONGEST];
    fill(plain, n, n);
    memcpy(expected, plain, n);
    mask_slowly(expected + before, n - before - after, offset);
    unsigned char *copy = guard_copy(plain, n);
    mask_apply(copy + before, n - before - after, key, offset);
    if (memcmp(copy, expected, n) != 0)
        fail_msg("%zu bytes, masked but for %zu and %zu, offset %zu", n, before, after, offset);
    guard_free(copy, n);
}

static void test_every_length_against_a_guard_page(void **state)
{
    (void)state;
    for (size_t n = 0; n <= LONGEST; n++)
        for (size_t offset = 0; offset < 4; offset++)
            check(n, 0, 0, offset);
}

static void test_every_alignment_leaves_its_surroundings(void **state)
{
    (void)state;
    for (size_t before = 0; before < 16; before++)
        for (size_t after = 0; after < 9; after++)
            for (size_t n = 0; n <= 80; n++)
                check(before + n + after, before, after, before % 4);
}

static void test_large_offsets(void **state)
{
    (void)state;
    check(100, 0, 0, SIZE_MAX - 2);
    check(100, 0, 0, (size_t)1 << 31);
    check(100, 0, 0, ((size_t)1 << 32) + 3);
}

static void test_every_split_equals_the_whole(void **state)
{
    (void)state;
    unsigned char whole[LONGEST], pieces[LONGEST];
    fill(whole, LONGEST, 1);
    mask_slowly(whole, LONGEST, 0);
    for (size_t at = 0; at <= LONGEST; at++) {
        fill(pieces, LONGEST, 1);
        mask_apply(pieces, at, key, 0);
        mask_apply(pieces + at, LONGEST - at, key, at);
        assert_memory_equal(pieces, whole, LONGEST);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example_of_the_rfc),
        cmocka_unit_test(test_every_length_against_a_guard_page),
        cmocka_unit_test(test_every_alignment_leaves_its_surroundings),
        cmocka_unit_test(test_large_offsets),
        cmocka_unit_test(test_every_split_equals_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
