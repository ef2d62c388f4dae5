#include "net/sni.h"
#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* "a.example b.example;*.b.example" is the names of certificate 0, then of certificate 1. */
static void fill(struct sni *s, const char *names)
{
    size_t certificate = 0;
    while (*names) {
        size_t n = strcspn(names, " ;");
        assert_true(sni_add(s, (struct slice){names, n}, certificate));
        certificate += names[n] == ';';
        names += n + (names[n] != '\0');
    }
    sni_sort(s);
}

/* The certificates for a host, as "0 2". */
static void finds(const struct sni *s, const char *host, const char *wanted)
{
    const struct sni_entry *first;
    char found[64] = "";
    size_t n = sni_find(s, slice_of(host), &first);
    for (size_t i = 0; i < n; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%zu", i ? " " : "",
                 first[i].certificate);
    assert_string_equal(found, wanted);
}

static void nothing_in_it(void **state)
{
    struct sni s = {0};
    (void)state;
    sni_sort(&s);
    finds(&s, "a.example", "");
    sni_free(&s);
    sni_free(&s);
}

static void names(void **state)
{
    struct sni s = {0};
    (void)state;
    fill(&s, "a.example WWW.A.example;b.example;a.b;c");
    finds(&s, "a.example", "0");
    finds(&s, "www.a.example", "0");
    finds(&s, "B.EXAMPLE", "1");
    finds(&s, "b.example.", "1");
    finds(&s, "a.b", "2");
    finds(&s, "c", "3");
    finds(&s, "c.", "3");
    finds(&s, "x.example", "");
    finds(&s, "example", "");
    finds(&s, ".a.example", "");
    finds(&s, "a.examplee", "");
    finds(&s, "a.exampl", "");
    finds(&s, "", "");
    finds(&s, ".", "");
    sni_free(&s);
}

static void wildcards(void **state)
{
    struct sni s = {0};
    (void)state;
    fill(&s, "*.example;x.example;*.a.example *.B.example");
    finds(&s, "y.example", "0");
    finds(&s, "x.example", "1");
    finds(&s, "x.a.example", "2");
    finds(&s, "X.b.Example.", "2");
    finds(&s, "a.example", "0");
    finds(&s, "example", "");
    finds(&s, "x.y.example", "");
    finds(&s, "x.y.a.example", "");
    finds(&s, ".example", "");
    finds(&s, ".a.example", "");
    /* what a client may say, but nobody is called */
    finds(&s, "*.example", "");
    finds(&s, "*.a.example", "");
    sni_free(&s);
}

static void several_certificates(void **state)
{
    struct sni s = {0};
    (void)state;
    fill(&s, "b.example;a.example *.example;a.example;*.example;a.example");
    finds(&s, "a.example", "1 2 4");
    finds(&s, "x.example", "1 3");
    finds(&s, "b.example", "0");
    sni_free(&s);
}

static void long_names(void **state)
{
    struct sni s = {0};
    char name[300];
    (void)state;
    memset(name, 'a', sizeof name);
    name[1] = '.';
    name[253] = '\0';
    fill(&s, name);
    finds(&s, name, "0");
    name[253] = '.';
    name[254] = '\0';
    finds(&s, name, "0");
    name[253] = 'a';
    finds(&s, name, "");
    sni_free(&s);
    name[253] = '\0';
    name[0] = '*';
    fill(&s, name);
    name[0] = 'x';
    finds(&s, name, "0");
    assert_int_equal(
        sni_find(&s, (struct slice){"a\0b.example", 11}, &(const struct sni_entry *){0}), 0);
    sni_free(&s);
}

static void memory_is_short(void **state)
{
    (void)state;
    for (size_t successes = 0;; successes++) {
        struct sni s = {0};
        allocations_fail_after(successes);
        bool ok = true;
        for (size_t i = 0; ok && i < 20; i++)
            ok = sni_add(&s, slice_of("a.example"), i);
        allocations_succeed();
        sni_sort(&s);
        sni_free(&s);
        if (ok)
            return;
        assert_true(successes < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_in_it), cmocka_unit_test(names),
        cmocka_unit_test(wildcards),     cmocka_unit_test(several_certificates),
        cmocka_unit_test(long_names),    cmocka_unit_test(memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
