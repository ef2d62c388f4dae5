/* Differences of texts: what is written, that it turns the one into the other, and that it is
 * short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/diff.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NUL-terminated; the caller's to free. */
static char *diff_of(const char *from, const char *to)
{
    struct buf out = {0};
    assert_true(diff_append(&out, slice_of(from), slice_of(to)));
    assert_true(buf_append(&out, "", 1));
    return (char *)out.data;
}

static void check(const char *from, const char *to, const char *expected)
{
    char *diff = diff_of(from, to);
    assert_string_equal(diff, expected);
    free(diff);
}

static void nothing_for_the_same(void **state)
{
    (void)state;
    check("", "", "");
    check("a\nb\n", "a\nb\n", "");
    check("a", "a", "");
}

static void one_line(void **state)
{
    (void)state;
    check("a\nb\nc\n", "a\nB\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
    check("a\nb\n", "a\n", "@@ -1,2 +1,1 @@\n a\n-b\n");
    check("b\n", "a\nb\n", "@@ -1,1 +1,2 @@\n+a\n b\n");
    check("a\n\nb\n", "a\nb\n", "@@ -1,3 +1,2 @@\n a\n-\n b\n");
}

static void from_nothing_and_to_nothing(void **state)
{
    (void)state;
    check("", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b\n");
    check("a\nb\n", "", "@@ -1,2 +0,0 @@\n-a\n-b\n");
}

static void last_line_without_line_feed(void **state)
{
    (void)state;
    check("a\nb", "a\nb\n", "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n");
    check("a\n", "a", "@@ -1,1 +1,1 @@\n-a\n+a\n\\ No newline at end of file\n");
    check("a\nb", "A\nb", "@@ -1,2 +1,2 @@\n-a\n+A\n b\n\\ No newline at end of file\n");
}

static void three_lines_around(void **state)
{
    (void)state;
    check("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nX\n6\n7\n8\n9\n",
          "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+X\n 6\n 7\n 8\n");
}

static void near_ones_are_one_hunk_and_far_ones_two(void **state)
{
    (void)state;
    check("a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n",
          "@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n");
    check("a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
          "@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n"
          "@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n");
}

/* --- turned back into the text ---------------------------------------------------------------- */

static const char *line_end(const char *at)
{
    const char *feed = strchr(at, '\n');
    return feed ? feed + 1 : at + strlen(at);
}

static void put(char **out, const char *from, const char *to)
{
    memcpy(*out, from, (size_t)(to - from));
    *out += to - from;
    **out = '\0';
}

/* `from` with the diff done to it. Each line that is kept, or deleted, has to be what is there. */
static char *patch(const char *from, const char *diff)
{
    char *result = calloc(1, strlen(from) + strlen(diff) + 1), *out = result;
    size_t line = 1;
    assert_non_null(result);
    for (const char *end; *diff; diff = end) {
        unsigned first, n;
        end = line_end(diff);
        if (*diff == '@') {
            assert_int_equal(sscanf(diff, "@@ -%u,%u", &first, &n), 2);
            for (first += n == 0; line < first; line++) {
                put(&out, from, line_end(from));
                from = line_end(from);
            }
            continue;
        }
        assert_int_not_equal(*diff, '\\'); /* the texts here end with a line feed */
        if (*diff != '+') {
            assert_memory_equal(from, diff + 1, (size_t)(end - diff - 1));
            from = line_end(from);
            line++;
        }
        if (*diff != '-')
            put(&out, diff + 1, end);
    }
    put(&out, from, from + strlen(from));
    return result;
}

static size_t count_edits(const char *diff)
{
    size_t n = 0;
    for (; *diff; diff = line_end(diff))
        n += *diff == '+' || *diff == '-';
    return n;
}

/* Of lines of one letter: deletions and insertions of the shortest way, by the plain table. */
static size_t fewest_edits(const char *from, const char *to)
{
    size_t n = strlen(from) / 2, m = strlen(to) / 2, common[64][64] = {{0}};
    for (size_t i = 1; i <= n; i++)
        for (size_t j = 1; j <= m; j++) {
            size_t up = common[i - 1][j], left = common[i][j - 1];
            common[i][j] = from[2 * i - 2] == to[2 * j - 2] ? common[i - 1][j - 1] + 1
                           : up > left                      ? up
                                                            : left;
        }
    return n + m - 2 * common[n][m];
}

static void random_text(char *text, uint64_t *seed, unsigned lines)
{
    for (unsigned n = (unsigned)(random_next(seed) % lines); n; n--) {
        *text++ = (char)('a' + random_next(seed) % 4);
        *text++ = '\n';
    }
    *text = '\0';
}

static void makes_the_one_of_the_other_in_the_fewest_edits(void **state)
{
    uint64_t seed = 7;
    char from[128], to[128];
    (void)state;
    for (int i = 0; i < 20000; i++) {
        random_text(from, &seed, 60);
        random_text(to, &seed, 60);
        char *diff = diff_of(from, to), *made = patch(from, diff);
        assert_string_equal(made, to);
        assert_int_equal(count_edits(diff), fewest_edits(from, to));
        free(made);
        free(diff);
    }
}

/* Beyond DIFF_EDITS it is no longer the shortest, but it is still right. */
static void very_different_texts(void **state)
{
    struct buf from = {0}, to = {0};
    (void)state;
    for (int i = 0; i < 4000; i++)
        assert_true(buf_printf(&from, "%d\n", i) && buf_printf(&to, "%d\n", i % 2 ? i : -i));
    assert_true(buf_append(&from, "", 1) && buf_append(&to, "", 1));
    char *diff = diff_of((char *)from.data, (char *)to.data);
    char *made = patch((char *)from.data, diff);
    assert_string_equal(made, (char *)to.data);
    assert_true(strncmp(diff, "@@ -1,4000 +1,4000 @@\n 0\n", 25) == 0);
    free(made);
    free(diff);
    buf_free(&from);
    buf_free(&to);
}

static void memory_short(void **state)
{
    (void)state;
    for (size_t n = 0;; n++) {
        struct buf out = {0};
        allocations_fail_after(n);
        bool ok = diff_append(&out, slice_of("a\nb\nc\n"), slice_of("a\nB\nc\nd\n"));
        size_t failed = allocations_failed();
        allocations_succeed();
        buf_free(&out);
        assert_int_equal(ok, failed == 0);
        if (ok)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_for_the_same),
        cmocka_unit_test(one_line),
        cmocka_unit_test(from_nothing_and_to_nothing),
        cmocka_unit_test(last_line_without_line_feed),
        cmocka_unit_test(three_lines_around),
        cmocka_unit_test(near_ones_are_one_hunk_and_far_ones_two),
        cmocka_unit_test(makes_the_one_of_the_other_in_the_fewest_edits),
        cmocka_unit_test(very_different_texts),
        cmocka_unit_test(memory_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
