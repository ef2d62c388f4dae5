/* IP addresses as text and as bytes. An IPv4 address has one form here, whether it came as such or
 * mapped into IPv6 (RFC 4291 section 2.5.5.2), so that what is the same compares as the same. */
#ifndef TIDEWIRE_WIRE_ADDRESS_H
#define TIDEWIRE_WIRE_ADDRESS_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_TEXT 46 /* room for the longest text, with its NUL */

enum address_family {
    ADDRESS_NONE = 0, /* not known */
    ADDRESS_IPV4,
    ADDRESS_IPV6,
    ADDRESS_UNIX, /* the other side of a Unix socket, which has no numbers */
};

struct address {
    enum address_family family;
    unsigned char bytes[16]; /* IPv4: the mapped form, ::ffff:a.b.c.d; none and Unix: zeros */
    uint16_t port;           /* in the machine's byte order; 0: none or not known */
};

/* From bytes in network order. The 16 bytes of a mapped address give ADDRESS_IPV4. */
struct address address_of_ipv4(const unsigned char bytes[4], uint16_t port);
struct address address_of_ipv6(const unsigned char bytes[16], uint16_t port);

/* The whole text is an address and nothing else: no brackets, no port, no zone ("%eth0"). IPv4 is
 * four decimal numbers without leading zeros; IPv6 is RFC 4291 section 2.2, a mapped one gives
 * ADDRESS_IPV4. The port is 0. false: *out is as it was. */
bool address_parse_ipv4(struct slice text, struct address *out);
bool address_parse_ipv6(struct slice text, struct address *out);
bool address_parse(struct slice text, struct address *out); /* either */

/* A decimal number from 0 to 65535 without sign or leading zeros. */
bool address_parse_port(struct slice text, uint16_t *port);

/* The same machine? Ports do not count; nothing equals ADDRESS_NONE. */
bool address_equal(const struct address *a, const struct address *b);

/* "192.0.2.1", "2001:db8::1", "unix" or "unknown", NUL-terminated. */
void address_format(const struct address *a, char out[ADDRESS_TEXT]);

#endif
