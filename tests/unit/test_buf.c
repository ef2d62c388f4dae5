/* base/buf: growth, contents, and what stays when memory is short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "support.h"

#include <string.h>

static void assert_content(const struct buf *b, const char *text)
{
    assert_int_equal(b->len, strlen(text));
    assert_memory_equal(b->data, text, b->len);
}

static void test_appends(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_true(buf_append(&b, NULL, 0));
    assert_null(b.data); /* nothing is allocated for nothing */
    assert_true(buf_append(&b, "ab\0c", 4));
    assert_true(buf_append_str(&b, "de"));
    assert_true(buf_append_str(&b, ""));
    assert_int_equal(b.len, 6);
    assert_memory_equal(b.data, "ab\0cde", 6);
    buf_free(&b);
}

static void test_reserve_keeps_len_and_gives_room(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_true(buf_reserve(&b, 0));
    assert_true(buf_append_str(&b, "tide"));
    assert_true(buf_reserve(&b, 1000));
    assert_content(&b, "tide");
    assert_true(b.cap - b.len >= 1000);
    unsigned char *data = b.data;
    memset(b.data + b.len, 'x', 1000); /* under ASan: the room is really there */
    assert_true(buf_reserve(&b, 1000));
    assert_ptr_equal(b.data, data); /* enough room: nothing moves */
    buf_free(&b);
}

static void test_a_mebibyte_in_single_bytes_takes_few_allocations(void **state)
{
    (void)state;
    struct buf b = {0};
    allocations_fail_after(20); /* 2^20 bytes, doubling */
    for (size_t i = 0; i < 1 << 20; i++) {
        unsigned char byte = (unsigned char)(i * 7);
        if (!buf_append(&b, &byte, 1))
            fail_msg("more than 20 allocations for %zu bytes", i);
    }
    allocations_succeed();
    for (size_t i = 0; i < 1 << 20; i++)
        if (b.data[i] != (unsigned char)(i * 7))
            fail_msg("byte %zu is damaged", i);
    buf_free(&b);
}

static void test_sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_true(buf_append_str(&b, "tide"));
    struct buf before = b;
    assert_false(buf_reserve(&b, SIZE_MAX));
    assert_false(buf_reserve(&b, SIZE_MAX - 3));
    assert_memory_equal(&b, &before, sizeof b);
    assert_content(&b, "tide");
    buf_free(&b);
}

static void test_memory_short_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    char much[4096];
    memset(much, 'm', sizeof much);
    struct buf empty = {0}, b = {0};
    assert_true(buf_append_str(&b, "tide"));
    struct buf before = b;
    allocations_fail_after(0);
    assert_false(buf_reserve(&empty, 1));
    assert_false(buf_append(&empty, "a", 1));
    assert_false(buf_append(&b, much, sizeof much));
    assert_false(buf_printf(&b, "%.*s", (int)sizeof much, much));
    assert_int_equal(allocations_failed(), 4);
    allocations_succeed();
    assert_null(empty.data);
    assert_int_equal(empty.len + empty.cap, 0);
    assert_memory_equal(&b, &before, sizeof b);
    assert_content(&b, "tide");
    buf_free(&b);
}

static void test_printf_counts_no_nul(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_true(buf_printf(&b, "%s", ""));
    assert_int_equal(b.len, 0);
    assert_true(buf_printf(&b, "%d-%s", 42, "tide"));
    assert_true(buf_printf(&b, "/%c", 'x'));
    assert_content(&b, "42-tide/x");
    buf_free(&b);
}

static void test_printf_of_every_length_around_the_capacity(void **state)
{
    (void)state;
    char text[200];
    memset(text, 'p', sizeof text);
    for (int n = 0; n < (int)sizeof text; n++) {
        struct buf b = {0};
        assert_true(buf_append_str(&b, "<"));
        assert_true(buf_printf(&b, "%.*s", n, text));
        assert_true(buf_append_str(&b, ">"));
        assert_int_equal(b.len, n + 2);
        assert_memory_equal(b.data + 1, text, (size_t)n);
        assert_int_equal(b.data[n + 1], '>');
        buf_free(&b);
    }
}

static void test_consume_moves_the_rest_down(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_consume(&b, 0);
    assert_true(buf_append_str(&b, "abcdef"));
    buf_consume(&b, 0);
    assert_content(&b, "abcdef");
    buf_consume(&b, 2);
    assert_content(&b, "cdef");
    buf_consume(&b, 4);
    assert_int_equal(b.len, 0);
    assert_true(buf_append_str(&b, "again"));
    assert_content(&b, "again");
    buf_free(&b);
}

static void test_free_empties_and_may_be_repeated(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_free(&b);
    assert_true(buf_append_str(&b, "tide"));
    buf_free(&b);
    assert_null(b.data);
    assert_int_equal(b.len + b.cap, 0);
    buf_free(&b);
    assert_true(buf_append_str(&b, "wire"));
    assert_content(&b, "wire");
    buf_free(&b);
}

/* A test that fails half-way must not take its neighbours with it. */
static int let_allocations_succeed(void **state)
{
    (void)state;
    allocations_succeed();
    return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, let_allocations_succeed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_appends),
        TEST(test_reserve_keeps_len_and_gives_room),
        TEST(test_a_mebibyte_in_single_bytes_takes_few_allocations),
        TEST(test_sizes_that_overflow_are_refused),
        TEST(test_memory_short_leaves_the_buffer_as_it_was),
        TEST(test_printf_counts_no_nul),
        TEST(test_printf_of_every_length_around_the_capacity),
        TEST(test_consume_moves_the_rest_down),
        TEST(test_free_empties_and_may_be_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
