/* Reading bundles: whole ones, and damaged ones of any kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/bundle.h"
#include "support.h"

static const char whole[] = "TWB1"
                            "\7\0\0\0app.lua"
                            "\1\0\0\0."
                            "\5\0\0\0"
                            "\2\0\0\0"
                            "\7\0\0\0app.lua\1\3\0\0\0abc"
                            "\1\0\0\0b\0\0\0\0\0";
#define WHOLE (sizeof whole - 1)

static void reads_what_is_there(void **state)
{
    struct bundle b;
    struct slice path, text;
    unsigned char *bytes = guard_copy(whole, WHOLE);
    (void)state;
    assert_true(bundle_open(&b, (struct slice){(char *)bytes, WHOLE}));
    assert_true(slice_is(b.entry, "app.lua"));
    assert_true(slice_is(b.root, "."));
    assert_int_equal(b.state_version, 5);
    assert_int_equal(b.left, 2);
    assert_true(bundle_next(&b, &path, &text));
    assert_true(slice_is(path, "app.lua") && slice_is(text, "abc"));
    assert_true(bundle_next(&b, &path, &text));
    assert_true(slice_is(path, "b") && slice_is(text, ""));
    assert_false(bundle_next(&b, &path, &text));
    assert_int_equal(b.rest.len, 0);
    guard_free(bytes, WHOLE);
}

static unsigned files_in(const char *bytes, size_t n)
{
    struct bundle b;
    struct slice path, text;
    unsigned count = 0;
    if (!bundle_open(&b, (struct slice){bytes, n}))
        return 0;
    while (bundle_next(&b, &path, &text))
        count++;
    return count;
}

static void cut_anywhere_it_has_fewer_files(void **state)
{
    (void)state;
    for (size_t n = 0; n < WHOLE; n++) {
        unsigned char *bytes = guard_copy(whole, n);
        assert_true(files_in((char *)bytes, n) < 2);
        guard_free(bytes, n);
    }
}

/* Lengths and counts that promise more than there is. */
static void damaged_anywhere_nothing_is_read_beyond_it(void **state)
{
    (void)state;
    for (size_t at = 0; at < WHOLE; at++) {
        unsigned char *bytes = guard_copy(whole, WHOLE);
        bytes[at] = 0xff;
        files_in((char *)bytes, WHOLE);
        guard_free(bytes, WHOLE);
    }
}

static void other_files_are_no_bundles(void **state)
{
    struct bundle b;
    (void)state;
    assert_false(bundle_open(&b, (struct slice){NULL, 0}));
    assert_false(bundle_open(&b, slice_of("TWB2")));
    assert_false(bundle_open(&b, slice_of("return {}")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_there),
        cmocka_unit_test(cut_anywhere_it_has_fewer_files),
        cmocka_unit_test(damaged_anywhere_nothing_is_read_beyond_it),
        cmocka_unit_test(other_files_are_no_bundles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
