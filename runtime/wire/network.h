/* Lists of networks, for telling who is trusted: "10.0.0.0/8", "::1", "fd00::/8", "unix". */
#ifndef TIDEWIRE_WIRE_NETWORK_H
#define TIDEWIRE_WIRE_NETWORK_H

#include "wire/address.h"

enum network_error {
    NETWORK_ERR_ADDRESS = -1, /* no IPv4 address, no IPv6 address and not "unix" */
    NETWORK_ERR_PREFIX = -2,  /* what follows the "/" is no number, or more than there are bits */
    NETWORK_ERR_BITS = -3,    /* bits are set behind the prefix, as in 10.0.0.1/8 */
    NETWORK_ERR_MEMORY = -4,
};

/* The first `bits` bits of the address count. IPv4 is in its mapped form, so that 10.0.0.0/8 has
 * 104 bits. */
struct network {
    struct address address;
    uint8_t bits;
};

/* Zero-initialised it is empty and owns nothing. */
struct network_list {
    struct network *list;
    size_t count, room;
};

/* Reads one network. Without a prefix it is one address. 0 or enum network_error, and then *out is
 * as it was. */
int network_parse(struct slice text, struct network *out);
const char *network_error_text(int error);

/* IPv4 networks hold IPv4 addresses, mapped ones too; IPv6 networks never do, so that "::/0" is all
 * of IPv6 and nothing of IPv4. "unix" holds every peer of a Unix socket; ADDRESS_NONE is nowhere.
 */
bool network_has(const struct network *n, const struct address *a);

/* Appends one network to a list. 0 or enum network_error, and then the list is as it was. */
int network_list_add(struct network_list *l, struct slice text);
bool network_list_has(const struct network_list *l, const struct address *a);
void network_list_free(struct network_list *l); /* leaves it empty; may be called again */

#endif
