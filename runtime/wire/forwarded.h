/* For whom does a trusted proxy forward? X-Forwarded-For with X-Forwarded-Proto, and Forwarded (RFC
 * 7239).
 *
 * Each proxy appends the address that it was connected from, so the entries are believed from the
 * right and only as long as a trusted one has written them: an entry is written by the hop to its
 * right, the last one by the peer. The first address that is no trusted proxy's is the client; what
 * stands left of it may be the client's own invention (section 8.1) and is not even read. When all
 * are trusted, the leftmost is the client. */
#ifndef TIDEWIRE_WIRE_FORWARDED_H
#define TIDEWIRE_WIRE_FORWARDED_H

#include "wire/http.h"
#include "wire/network.h"

enum forwarded_result {
    FORWARDED_OK = 0, /* or nothing is forwarded: the peer is not trusted, or has said nothing */
    /* An entry is malformed, "unknown" or obfuscated ("_x"): the trail ends, and the trusted hop
     * that has written it stands for the client. */
    FORWARDED_LOST = 1,
    /* Both kinds of fields are there and tell of different clients, or one of https and the other
     * of http. A proxy writes one kind and often passes on the other as it came, and which one that
     * is cannot be seen here: believing either may be believing the client. The peer stands for the
     * client; refusing the request is better still. */
    FORWARDED_CONFLICT = 2,
};

struct forwarded {
    struct address client; /* with its port where that is told, else 0 */
    bool secure;           /* the client's own connection, not that between proxies */
};

/* `peer` is who is connected, `secure` whether over TLS; `trusted` are the proxies. *out is always
 * filled in, and never with what somebody has written who is not trusted.
 *
 * `secure` is that of the entry which names the client: https or wss (any case) is true, any other
 * word false; when nothing is told, or by one of the two kinds of fields only, it is the peer's
 * own. X-Forwarded-Proto may be such a list too; with fewer entries than X-Forwarded-For, as most
 * write it, its leftmost counts for the rest. */
enum forwarded_result forwarded_find(const struct http_head *request, const struct address *peer,
                                     bool secure, const struct network_list *trusted,
                                     struct forwarded *out);

#endif
