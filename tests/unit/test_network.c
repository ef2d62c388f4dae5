/* wire/network: who is in a list of networks. */
#include "support.h"
#include "wire/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct address address(const char *text)
{
    struct address a = {0};
    if (strcmp(text, "unix") == 0)
        a.family = ADDRESS_UNIX;
    else if (strcmp(text, "none") != 0)
        assert_true(address_parse(slice_of(text), &a));
    return a;
}

static int parse(const char *bytes, size_t n, struct network *out)
{
    unsigned char *copy = guard_copy(bytes, n);
    int rc = network_parse((struct slice){(char *)copy, n}, out);
    guard_free(copy, n);
    return rc;
}

static void tells_who_is_in(void **state)
{
    (void)state;
    static const struct {
        const char *network, *in[4], *out[6];
    } cases[] = {
        {"10.0.0.0/8",
         {"10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"},
         {"9.255.255.255", "11.0.0.0", "::a00:1", "a00::", "unix", "none"}},
        {"127.0.0.1",
         {"127.0.0.1", "::ffff:127.0.0.1"},
         {"127.0.0.0", "127.0.0.2", "::1", "::7f00:1"}},
        {"127.0.0.1/32", {"127.0.0.1"}, {"127.0.0.0", "127.0.0.3"}},
        {"192.0.2.128/25", {"192.0.2.128", "192.0.2.255"}, {"192.0.2.127", "192.0.3.128"}},
        {"192.0.2.0/31", {"192.0.2.0", "192.0.2.1"}, {"192.0.2.2", "192.0.1.255"}},
        {"128.0.0.0/1", {"128.0.0.0", "255.255.255.255"}, {"127.255.255.255", "8000::"}},
        {"0.0.0.0/0",
         {"0.0.0.0", "255.1.2.3", "::ffff:1.2.3.4"},
         {"::", "::1", "2001:db8::1", "unix", "none"}},
        {"0.0.0.0", {"0.0.0.0"}, {"0.0.0.1", "::", "none"}},
        {"::1", {"::1"}, {"::", "::2", "0.0.0.1", "127.0.0.1", "::3"}},
        {"fd00::/8", {"fd00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, {"fc00::1", "fe00::"}},
        {"fe80::/10", {"fe80::1", "febf::"}, {"fec0::", "fe7f::1"}},
        {"2001:db8::/33", {"2001:db8::", "2001:db8:7fff::1"}, {"2001:db8:8000::", "2001:db9::"}},
        {"2001:db8::2/127", {"2001:db8::2", "2001:db8::3"}, {"2001:db8::1", "2001:db8::4"}},
        {"2001:db8::2/128", {"2001:db8::2"}, {"2001:db8::3"}},
        {"::/0",
         {"::", "::1", "ffff::"},
         {"0.0.0.0", "10.0.0.1", "::ffff:10.0.0.1", "unix", "none"}},
        {"::/1", {"::", "7fff::"}, {"8000::", "1.2.3.4"}},
        /* IPv4, written as IPv6 */
        {"::ffff:10.0.0.0/104", {"10.1.2.3"}, {"11.0.0.0", "::a00:0"}},
        {"::ffff:0:0/96", {"0.0.0.0", "255.255.255.255"}, {"::", "::1", "none"}},
        {"::ffff:127.0.0.1", {"127.0.0.1"}, {"127.0.0.2"}},
        {"unix", {"unix"}, {"127.0.0.1", "::1", "::", "0.0.0.0", "none"}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct network n;
        assert_int_equal(parse(cases[i].network, strlen(cases[i].network), &n), 0);
        for (size_t j = 0; j < 4 && cases[i].in[j]; j++) {
            struct address a = address(cases[i].in[j]);
            if (!network_has(&n, &a))
                fail_msg("%s is not in %s", cases[i].in[j], cases[i].network);
        }
        for (size_t j = 0; j < 6 && cases[i].out[j]; j++) {
            struct address a = address(cases[i].out[j]);
            if (network_has(&n, &a))
                fail_msg("%s is in %s", cases[i].out[j], cases[i].network);
        }
    }
    /* zero-initialised, it holds nobody */
    struct network nowhere = {0};
    struct address none = {0}, any = address("::");
    assert_false(network_has(&nowhere, &none));
    assert_false(network_has(&nowhere, &any));
}

/* Each prefix, against the rule written down a second time: the first bit that differs. */
static void counts_every_bit(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits <= 128; bits++) {
        char text[64], base[ADDRESS_TEXT];
        struct address a = {.family = ADDRESS_IPV6};
        for (unsigned i = 0; i < bits; i++)
            a.bytes[i / 8] |= (unsigned char)(0x80 >> i % 8);
        address_format(&a, base);
        snprintf(text, sizeof text, "%s/%u", base, bits);
        struct network n;
        assert_int_equal(network_parse(slice_of(text), &n), 0);
        for (unsigned i = 0; i < 128; i++) {
            struct address other = a;
            other.bytes[i / 8] ^= (unsigned char)(0x80 >> i % 8);
            if (network_has(&n, &other) != (i >= bits))
                fail_msg("%s, bit %u", text, i);
        }
        if (bits == 0)
            continue;
        /* one bit less, and a bit is set behind the prefix */
        snprintf(text, sizeof text, "%s/%u", base, bits - 1);
        assert_int_equal(network_parse(slice_of(text), &n), NETWORK_ERR_BITS);
    }
}

static void refuses_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int result;
    } cases[] = {
        {"", NETWORK_ERR_ADDRESS},
        {"/", NETWORK_ERR_ADDRESS},
        {"/8", NETWORK_ERR_ADDRESS},
        {"localhost", NETWORK_ERR_ADDRESS},
        {"10.0.0/8", NETWORK_ERR_ADDRESS},
        {"10/8", NETWORK_ERR_ADDRESS},
        {"10.0.0.0:80", NETWORK_ERR_ADDRESS},
        {"10.0.0.0-10.0.0.9", NETWORK_ERR_ADDRESS},
        {"10.0.0.*", NETWORK_ERR_ADDRESS},
        {"[::1]", NETWORK_ERR_ADDRESS},
        {"fe80::1%eth0", NETWORK_ERR_ADDRESS},
        {" ::1", NETWORK_ERR_ADDRESS},
        {"::1 ", NETWORK_ERR_ADDRESS},
        {"10.0.0.0/8,::1", NETWORK_ERR_PREFIX},
        {"Unix", NETWORK_ERR_ADDRESS},
        {"unix/8", NETWORK_ERR_ADDRESS},
        {"unix:", NETWORK_ERR_ADDRESS},
        {"*", NETWORK_ERR_ADDRESS},
        {"10.0.0.0/", NETWORK_ERR_PREFIX},
        {"10.0.0.0/33", NETWORK_ERR_PREFIX},
        {"10.0.0.0/104", NETWORK_ERR_PREFIX},
        {"10.0.0.0/256", NETWORK_ERR_PREFIX},
        {"10.0.0.0/65544", NETWORK_ERR_PREFIX}, /* 8, if it wrapped around */
        {"10.0.0.0/08", NETWORK_ERR_PREFIX},
        {"10.0.0.0/+8", NETWORK_ERR_PREFIX},
        {"10.0.0.0/-8", NETWORK_ERR_PREFIX},
        {"10.0.0.0/ 8", NETWORK_ERR_PREFIX},
        {"10.0.0.0/8 ", NETWORK_ERR_PREFIX},
        {"10.0.0.0/8/8", NETWORK_ERR_PREFIX},
        {"10.0.0.0/255.0.0.0", NETWORK_ERR_PREFIX},
        {"10.0.0.0/a", NETWORK_ERR_PREFIX},
        {"::/129", NETWORK_ERR_PREFIX},
        {"10.0.0.1/8", NETWORK_ERR_BITS},
        {"10.0.0.1/31", NETWORK_ERR_BITS},
        {"1.0.0.0/0", NETWORK_ERR_BITS},
        {"fd00::1/8", NETWORK_ERR_BITS},
        {"::1/127", NETWORK_ERR_BITS},
        {"::ffff:0:0/95", NETWORK_ERR_BITS},
        {"::ffff:10.0.0.0/102", NETWORK_ERR_BITS},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct network n = {.bits = 77};
        int rc = parse(cases[i].text, strlen(cases[i].text), &n);
        if (rc != cases[i].result || n.bits != 77)
            fail_msg("%s: %d", cases[i].text, rc);
    }
    struct network n;
    assert_int_equal(parse("::1\0", 4, &n), NETWORK_ERR_ADDRESS);
    assert_int_equal(parse("::/8\0", 5, &n), NETWORK_ERR_PREFIX);
    assert_int_equal(parse("unix\0", 5, &n), NETWORK_ERR_ADDRESS);
    for (int a = NETWORK_ERR_MEMORY; a < 0; a++)
        for (int b = NETWORK_ERR_MEMORY; b < a; b++)
            assert_string_not_equal(network_error_text(a), network_error_text(b));
}

static void keeps_a_list(void **state)
{
    (void)state;
    static const char *const texts[] = {"10.0.0.0/8", "::1", "192.0.2.7", "unix", "fd00::/8"};
    struct network_list l = {0};
    struct address a = address("10.9.8.7");
    assert_false(network_list_has(&l, &a));
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_int_equal(network_list_add(&l, slice_of(texts[i])), 0);
    assert_int_equal(l.count, COUNT(texts));
    assert_int_equal(network_list_add(&l, slice_of("10.0.0.1/8")), NETWORK_ERR_BITS);
    assert_int_equal(network_list_add(&l, slice_of("")), NETWORK_ERR_ADDRESS);
    assert_int_equal(l.count, COUNT(texts));
    static const char *const in[] = {"10.9.8.7", "::1", "192.0.2.7", "unix", "fd01::"};
    static const char *const out[] = {"11.9.8.7", "::2", "192.0.2.8", "none", "fe01::"};
    for (size_t i = 0; i < COUNT(in); i++) {
        struct address yes = address(in[i]), no = address(out[i]);
        assert_true(network_list_has(&l, &yes));
        assert_false(network_list_has(&l, &no));
    }
    network_list_free(&l);
    assert_int_equal(l.count, 0);
    assert_false(network_list_has(&l, &a));
    network_list_free(&l);
}

static void stays_as_it_was_when_memory_is_short(void **state)
{
    (void)state;
    struct network_list l = {0};
    struct address a = address("10.0.0.0");
    allocations_fail_after(0);
    assert_int_equal(network_list_add(&l, slice_of("10.0.0.0")), NETWORK_ERR_MEMORY);
    allocations_succeed();
    assert_int_equal(l.count, 0);
    size_t failures = 0;
    for (int i = 0; i < 100; i++) {
        char text[32];
        snprintf(text, sizeof text, "10.0.0.%d", i);
        size_t before = l.count;
        allocations_fail_after(0);
        int rc = network_list_add(&l, slice_of(text));
        bool failed = allocations_failed() > 0;
        allocations_succeed();
        assert_int_equal(rc, failed ? NETWORK_ERR_MEMORY : 0);
        assert_int_equal(l.count, before + !failed);
        failures += failed;
        if (failed)
            assert_int_equal(network_list_add(&l, slice_of(text)), 0);
        assert_true(network_list_has(&l, &a));
    }
    /* it grows by doubling: 4, 8, 16, 32, 64, 128 */
    assert_int_equal(failures, 6);
    network_list_free(&l);
}

struct search {
    struct network_list list;
    struct address wanted;
};

static void look(void *context)
{
    struct search *s = context;
    assert_false(network_list_has(&s->list, &s->wanted));
}

static void costs_are_linear_in_the_list(void **state)
{
    (void)state;
    uint64_t cost[3];
    for (int i = 0; i < 3; i++) {
        struct search s = {{0}, address("11.0.0.0")};
        for (int n = 0; n < 256 << i; n++) {
            char text[32];
            snprintf(text, sizeof text, "10.0.%d.%d/32", n / 256, n % 256);
            assert_int_equal(network_list_add(&s.list, slice_of(text)), 0);
        }
        cost[i] = count_comparisons(look, &s);
        network_list_free(&s.list);
    }
    assert_true(costs_are_linear(cost[0], cost[1], cost[2]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_who_is_in),
        cmocka_unit_test(counts_every_bit),
        cmocka_unit_test(refuses_with_a_reason),
        cmocka_unit_test(keeps_a_list),
        cmocka_unit_test(stays_as_it_was_when_memory_is_short),
        cmocka_unit_test(costs_are_linear_in_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
