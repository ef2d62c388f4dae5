#include "wire/network.h"

#include <stdlib.h>
#include <string.h>

#define MAPPED_BITS 96 /* of an IPv4 address in its mapped form, before its own */

/* A decimal number from 0 to `most` without leading zeros. */
static bool parse_prefix(struct slice text, unsigned most, unsigned *bits)
{
    uint16_t value;
    if (!address_parse_port(text, &value) || value > most)
        return false;
    *bits = value;
    return true;
}

/* Is every bit behind the first `bits` zero? */
static bool ends_after(const unsigned char bytes[16], unsigned bits)
{
    for (unsigned i = bits; i < 128; i++)
        if (bytes[i / 8] & (0x80 >> i % 8))
            return false;
    return true;
}

int network_parse(struct slice text, struct network *out)
{
    struct network n = {.bits = 128};
    if (slice_is(text, "unix")) {
        n.address.family = ADDRESS_UNIX;
        *out = n;
        return 0;
    }
    const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
    struct slice address = {text.ptr, slash ? (size_t)(slash - text.ptr) : text.len};
    if (!address_parse(address, &n.address))
        return NETWORK_ERR_ADDRESS;
    if (slash) { /* of a mapped address, which is written as IPv6, all bits are counted */
        unsigned bits, before = memchr(address.ptr, ':', address.len) ? 0 : MAPPED_BITS;
        struct slice prefix = {slash + 1, text.len - address.len - 1};
        if (!parse_prefix(prefix, 128 - before, &bits))
            return NETWORK_ERR_PREFIX;
        n.bits = (uint8_t)(before + bits);
    }
    /* a mapped network of less than 96 bits ends here too: its ones are behind the prefix */
    if (!ends_after(n.address.bytes, n.bits))
        return NETWORK_ERR_BITS;
    *out = n;
    return 0;
}

const char *network_error_text(int error)
{
    switch (error) {
    case NETWORK_ERR_ADDRESS:
        return "not an address in numbers, a network like 10.0.0.0/8 or fd00::/8, or unix";
    case NETWORK_ERR_PREFIX:
        return "what follows the / is not a number of bits, 0 to 32 for IPv4 and 0 to 128 for IPv6";
    case NETWORK_ERR_BITS:
        return "the address has bits set behind the prefix; write those as zeros, or no prefix";
    default:
        return "memory is short";
    }
}

bool network_has(const struct network *n, const struct address *a)
{
    if (n->address.family != a->family || a->family == ADDRESS_NONE)
        return false;
    if (a->family == ADDRESS_UNIX)
        return true;
    size_t whole = n->bits / 8;
    if (memcmp(n->address.bytes, a->bytes, whole) != 0)
        return false;
    unsigned rest = n->bits % 8;
    return rest == 0 || (n->address.bytes[whole] ^ a->bytes[whole]) >> (8 - rest) == 0;
}

int network_list_add(struct network_list *l, struct slice text)
{
    struct network n;
    int rc = network_parse(text, &n);
    if (rc != 0)
        return rc;
    if (l->count == l->room) {
        /* twice the size of what is allocated already: that does not wrap around */
        size_t room = l->room ? l->room * 2 : 4;
        struct network *list = realloc(l->list, room * sizeof n);
        if (!list)
            return NETWORK_ERR_MEMORY;
        l->list = list;
        l->room = room;
    }
    l->list[l->count++] = n;
    return 0;
}

bool network_list_has(const struct network_list *l, const struct address *a)
{
    for (size_t i = 0; i < l->count; i++)
        if (network_has(&l->list[i], a))
            return true;
    return false;
}

void network_list_free(struct network_list *l)
{
    free(l->list);
    *l = (struct network_list){0};
}
