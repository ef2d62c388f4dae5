/* wire/address: addresses and ports in numbers, and nothing but these. */
#include "support.h"
#include "wire/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A parser's answer for a guarded text, in words: "none" or what address_format makes of it. */
static const char *read_with(bool (*parse)(struct slice, struct address *), const char *bytes,
                             size_t n, char out[ADDRESS_TEXT])
{
    struct address a, untouched;
    memset(&a, 0xA5, sizeof a);
    untouched = a;
    unsigned char *copy = guard_copy(bytes, n);
    bool ok = parse((struct slice){(char *)copy, n}, &a);
    guard_free(copy, n);
    if (!ok) {
        assert_memory_equal(&a, &untouched, sizeof a);
        return "none";
    }
    assert_int_equal(a.port, 0);
    address_format(&a, out);
    return out;
}

static void check(const char *text, const char *as_ipv4, const char *as_ipv6)
{
    char out[ADDRESS_TEXT];
    size_t n = strlen(text);
    const char *either = strcmp(as_ipv4, "none") == 0 ? as_ipv6 : as_ipv4;
    if (strcmp(read_with(address_parse_ipv4, text, n, out), as_ipv4) != 0)
        fail_msg("%s as IPv4: %s", text, out);
    if (strcmp(read_with(address_parse_ipv6, text, n, out), as_ipv6) != 0)
        fail_msg("%s as IPv6: %s", text, out);
    if (strcmp(read_with(address_parse, text, n, out), either) != 0)
        fail_msg("%s: %s", text, out);
}

static void reads_addresses(void **state)
{
    (void)state;
    check("0.0.0.0", "0.0.0.0", "none");
    check("192.0.2.1", "192.0.2.1", "none");
    check("255.255.255.255", "255.255.255.255", "none");
    check("::", "none", "::");
    check("::1", "none", "::1");
    check("2001:DB8::A:1", "none", "2001:db8::a:1");
    check("1:2:3:4:5:6:7:8", "none", "1:2:3:4:5:6:7:8");
    check("1::", "none", "1::");
    check("64:ff9b::192.0.2.1", "none", "64:ff9b::c000:201");
    check("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "none",
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    /* one form for what is one address */
    check("::ffff:192.0.2.1", "none", "192.0.2.1");
    check("::FFFF:c000:201", "none", "192.0.2.1");
    check("0:0:0:0:0:ffff:0:0", "none", "0.0.0.0");
    check("::fffe:192.0.2.1", "none", "::fffe:c000:201");
}

static void refuses_what_is_none(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        ".",
        ":",
        "1",
        "1.2.3",
        "1.2.3.",
        "1.2.3.4.",
        "1.2.3.4.5",
        ".1.2.3",
        "1..2.3",
        "256.0.0.1",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.04",
        "1.2.3.00",
        "0x1.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.4\n",
        "1.2.3.-4",
        "1.2.3.+4",
        "1,2,3,4",
        "a.b.c.d",
        "1.2.3.4:80",
        "1.2.3.4/8",
        "[1.2.3.4]",
        "16909060",
        "1.2.772",
        "localhost",
        "unix",
        ":::",
        "1:::2",
        "1::2::3",
        ":1",
        "1:",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:",
        ":1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7::8:9",
        "12345::",
        "g::",
        "::1%lo",
        "fe80::1%1",
        "[::1]",
        "[::1",
        "::1]",
        "::1/128",
        " ::1",
        "::1 ",
        "::1.2.3",
        "::1.2.3.256",
        "::1.2.3.4:5",
        "::01.2.3.4",
        "1.2.3.4::",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "ffff:ffff:ffff:ffff:ffff:ffff:0255.255.255.255",
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        check(texts[i], "none", "none");
    /* a NUL does not end it, and a long text is no overflow */
    char out[ADDRESS_TEXT], text[512];
    assert_string_equal(read_with(address_parse, "1.2.3.4\0", 8, out), "none");
    assert_string_equal(read_with(address_parse, "::1\0x", 5, out), "none");
    assert_string_equal(read_with(address_parse, "\0", 1, out), "none");
    for (size_t n = 40; n < sizeof text; n++) {
        memset(text, ':', n);
        assert_string_equal(read_with(address_parse, text, n, out), "none");
        memset(text, '1', n);
        assert_string_equal(read_with(address_parse, text, n, out), "none");
    }
    assert_false(address_parse((struct slice){NULL, 0}, &(struct address){0}));
}

static void reads_ports(void **state)
{
    (void)state;
    for (unsigned wanted = 0; wanted <= 65535; wanted++) {
        char text[8];
        uint16_t port = (uint16_t)~wanted;
        snprintf(text, sizeof text, "%u", wanted);
        assert_true(address_parse_port(slice_of(text), &port));
        assert_int_equal(port, wanted);
    }
    static const char *const bad[] = {
        "",   "00", "01",  "080", "65536", "99999",    "100000", "-1", "+1", " 1",        "1 ",
        "1a", "a",  "0x1", "1.0", "1e3",   "\xD9\xA1", ":1",     "1:", "/",  "4294967297"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint16_t port = 7;
        size_t n = strlen(bad[i]);
        unsigned char *copy = guard_copy(bad[i], n);
        if (address_parse_port((struct slice){(char *)copy, n}, &port) || port != 7)
            fail_msg("%s", bad[i]);
        guard_free(copy, n);
    }
}

static void takes_bytes(void **state)
{
    (void)state;
    static const unsigned char four[] = {192, 0, 2, 1};
    static const unsigned char mapped[16] = {[10] = 0xFF, 0xFF, 192, 0, 2, 1};
    static const unsigned char six[16] = {0x20, 1, 0x0D, 0xB8, [15] = 1};
    char out[ADDRESS_TEXT];
    struct address a = address_of_ipv4(four, 80), b = address_of_ipv6(mapped, 8080);
    assert_int_equal(a.family, ADDRESS_IPV4);
    assert_int_equal(b.family, ADDRESS_IPV4);
    assert_int_equal(a.port, 80);
    assert_int_equal(b.port, 8080);
    assert_memory_equal(a.bytes, mapped, 16);
    assert_true(address_equal(&a, &b)); /* whatever the ports */
    struct address c = address_of_ipv6(six, 1);
    assert_int_equal(c.family, ADDRESS_IPV6);
    assert_int_equal(c.port, 1);
    assert_memory_equal(c.bytes, six, 16);
    address_format(&c, out);
    assert_string_equal(out, "2001:db8::1");
    assert_false(address_equal(&a, &c));
    struct address d = c;
    d.bytes[15] = 2;
    assert_false(address_equal(&c, &d));
}

static void has_words_for_what_has_no_numbers(void **state)
{
    (void)state;
    struct address none = {0}, unix_peer = {.family = ADDRESS_UNIX};
    static const unsigned char zeros[16];
    struct address any = address_of_ipv6(zeros, 0);
    char out[ADDRESS_TEXT];
    address_format(&none, out);
    assert_string_equal(out, "unknown");
    address_format(&unix_peer, out);
    assert_string_equal(out, "unix");
    assert_true(address_equal(&unix_peer, &unix_peer));
    assert_false(address_equal(&none, &none));
    assert_false(address_equal(&unix_peer, &any));
    assert_false(address_equal(&any, &unix_peer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_addresses),
        cmocka_unit_test(refuses_what_is_none),
        cmocka_unit_test(reads_ports),
        cmocka_unit_test(takes_bytes),
        cmocka_unit_test(has_words_for_what_has_no_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
