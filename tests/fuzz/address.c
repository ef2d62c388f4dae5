/* wire/address and wire/network against the C library's reading of addresses, and bit by bit. */
#include "fuzz.h"
#include "wire/network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_mapped(const unsigned char bytes[16])
{
    static const unsigned char front[12] = {[10] = 0xFF, [11] = 0xFF};
    return memcmp(bytes, front, sizeof front) == 0;
}

static void check_address(struct slice text)
{
    struct address a, again;
    unsigned char four[4], sixteen[16];
    char formatted[ADDRESS_TEXT];
    char *copy = strndup(text.ptr ? text.ptr : "", text.len);
    CHECK(copy != NULL);
    bool cut = strlen(copy) != text.len;
    bool is_4 = !cut && inet_pton(AF_INET, copy, four) == 1;
    bool is_6 = !cut && inet_pton(AF_INET6, copy, sixteen) == 1;
    CHECK(address_parse_ipv4(text, &a) == is_4 && address_parse_ipv6(text, &a) == is_6);
    CHECK(address_parse(text, &a) == (is_4 || is_6));
    if (is_4 || is_6) {
        CHECK(a.family == (is_4 || is_mapped(sixteen) ? ADDRESS_IPV4 : ADDRESS_IPV6));
        CHECK(is_4 ? is_mapped(a.bytes) && memcmp(a.bytes + 12, four, 4) == 0
                   : memcmp(a.bytes, sixteen, 16) == 0);
        CHECK(a.port == 0);
        address_format(&a, formatted);
        CHECK(strlen(formatted) < ADDRESS_TEXT && address_parse(slice_of(formatted), &again));
        CHECK(address_equal(&a, &again));
    }
    free(copy);
}

static void check_port(struct slice text)
{
    uint16_t port = 12345;
    char again[8];
    bool ok = address_parse_port(text, &port);
    snprintf(again, sizeof again, "%u", port);
    CHECK(ok ? slice_is(text, again) : port == 12345);
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    for (unsigned i = 0; i < bits; i++)
        if ((a[i / 8] >> (7 - i % 8) & 1) != (b[i / 8] >> (7 - i % 8) & 1))
            return false;
    return true;
}

static void check_has(const struct network *n, const struct address *a)
{
    bool same_family = a->family != ADDRESS_NONE && n->address.family == a->family;
    CHECK(network_has(n, a) == (same_family && same_bits(n->address.bytes, a->bytes, n->bits)));
}

static void check_network(struct slice text, const struct address *some)
{
    struct network n;
    struct network_list list = {0};
    int rc = network_parse(text, &n);
    CHECK(network_list_add(&list, text) == rc && list.count == (rc == 0));
    if (rc == 0) {
        CHECK(n.bits <= 128 && network_has(&n, &n.address));
        CHECK(n.address.family != ADDRESS_IPV4 || n.bits >= 96);
        check_has(&n, some);
        for (unsigned i = n.bits; i < 128; i++)
            CHECK(!(n.address.bytes[i / 8] & 0x80 >> i % 8));
        /* at the edges: the last bit within, the first bit outside */
        unsigned first = n.address.family == ADDRESS_IPV4 ? 96 : 0;
        unsigned end = n.address.family == ADDRESS_UNIX ? 0 : 128;
        for (unsigned i = n.bits > first ? n.bits - 1u : first; i <= n.bits && i < end; i++) {
            struct address near = n.address;
            near.bytes[i / 8] ^= (unsigned char)(0x80 >> i % 8);
            check_has(&n, &near);
            CHECK(network_has(&n, &near) == (i >= n.bits));
        }
        CHECK(network_list_has(&list, some) == network_has(&n, some));
    } else {
        CHECK(rc >= NETWORK_ERR_MEMORY && strlen(network_error_text(rc)) > 0);
    }
    network_list_free(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, data + size};
    struct address some = {.family = ADDRESS_NONE};
    while (fuzz_left(&in)) {
        struct slice line = fuzz_until(&in, '\n');
        char *copy = (char *)fuzz_copy(line.ptr, line.len);
        struct slice text = {copy, line.len};
        check_address(text);
        check_port(text);
        check_network(text, &some);
        address_parse(text, &some); /* for the next line's network */
        free(copy);
    }
    return 0;
}
