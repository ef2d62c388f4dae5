/* The PROXY protocol, versions 1 and 2: what a proxy says about the client before the client's own
 * first byte (HAProxy's proxy-protocol.txt, edition of 2020-03-05; sections are of that).
 *
 * Whether a header comes is a matter of configuration and never guessed: where it is expected, a
 * connection without one is refused, and it is read from trusted addresses only (section 5). */
#ifndef TIDEWIRE_WIRE_PROXY_HEADER_H
#define TIDEWIRE_WIRE_PROXY_HEADER_H

#include "wire/address.h"

/* The longest line of version 1, and of both versions what fits the smallest TCP segment that every
 * host takes (section 2). */
#define PROXY_HEADER_LINE_MAX 107
#define PROXY_HEADER_MAX 536

enum proxy_header_error {
    PROXY_HEADER_ERR_NONE = -1,    /* the first bytes are those of no header */
    PROXY_HEADER_ERR_LONG = -2,    /* longer than the bounds above */
    PROXY_HEADER_ERR_LINE = -3,    /* version 1: not exactly of the form of section 2.1 */
    PROXY_HEADER_ERR_COMMAND = -4, /* version 2: another version, or neither LOCAL nor PROXY */
    PROXY_HEADER_ERR_FAMILY = -5,  /* version 2: neither a stream of IPv4, IPv6, Unix, nor UNSPEC */
    PROXY_HEADER_ERR_BLOCK = -6,   /* version 2: too short for its addresses, or malformed TLVs */
    PROXY_HEADER_ERR_CHECKSUM = -7, /* version 2: PP2_TYPE_CRC32C does not match */
};

struct proxy_header {
    /* The header tells of no client (LOCAL, as health checks send it; UNKNOWN; UNSPEC): the
     * connection's own peer is the client, and `source` is ADDRESS_NONE. */
    bool local;
    bool secure; /* the client speaks TLS to the proxy: PP2_TYPE_SSL with PP2_CLIENT_SSL */
    struct address source;
};

/* Looks at the first n bytes of a connection. Returns the header's size when it is whole and valid;
 * 0 when more is needed, which is never so with PROXY_HEADER_MAX bytes; or an enum
 * proxy_header_error, as soon as the bytes tell, and again when asked with more. *out is filled in
 * with a size only. */
int proxy_header_parse(const void *bytes, size_t n, struct proxy_header *out);
const char *proxy_header_error_text(int error);

#endif
