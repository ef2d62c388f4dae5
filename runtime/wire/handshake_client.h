/* The client's half of the opening handshake: RFC 6455 sections 4.1 and 11.3. */
#ifndef TIDEWIRE_WIRE_HANDSHAKE_CLIENT_H
#define TIDEWIRE_WIRE_HANDSHAKE_CLIENT_H

#include "base/buf.h"
#include "base/slice.h"
#include "wire/handshake.h"
#include "wire/http.h"

#include <stdbool.h>

#define HANDSHAKE_NONCE 16 /* random bytes of a key, fresh for each connection (4.1 point 7) */

struct handshake_request {
    struct slice authority; /* of the Host field: host, [IPv6], and port unless the default */
    struct slice target;    /* path and query; "/" at least */
    struct slice key;       /* of handshake_make_key */
    const struct slice *protocols; /* in order of preference; tokens, none twice */
    size_t protocol_count;         /* at most HANDSHAKE_PROTOCOLS_MAX */
    struct slice extensions;       /* value of Sec-WebSocket-Extensions; len 0: none is offered */
    struct slice fields;           /* further whole field lines, each ended with CRLF */
};

/* base64 of the nonce, NUL-terminated. */
void handshake_make_key(const unsigned char nonce[HANDSHAKE_NONCE],
                        char out[HANDSHAKE_KEY_LEN + 1]);

/* Fields of a request that are the handshake's own or would change what it says: Host, Upgrade,
 * Connection, Content-Length, Transfer-Encoding, Trailer, TE, Expect, and Sec-WebSocket-* (any
 * case). None of them may be among `fields`. */
bool handshake_field_is_reserved(struct slice name);

/* Appends the whole request. false, and nothing appended: memory short, or something that has no
 * place in it: a malformed authority, target ("#" and white space too), key, subprotocol list or
 * field, a reserved field, more than HTTP_HEADERS_MAX fields. */
bool handshake_write_request(struct buf *out, const struct handshake_request *r);

enum handshake_answer_error {
    HANDSHAKE_BAD_STATUS = -32,     /* not 101 */
    HANDSHAKE_BAD_UPGRADE = -33,    /* Upgrade is missing, twice or not exactly websocket */
    HANDSHAKE_BAD_CONNECTION = -34, /* Connection does not name Upgrade */
    HANDSHAKE_BAD_ACCEPT = -35,     /* Sec-WebSocket-Accept is missing, twice or not the key's */
    HANDSHAKE_BAD_PROTOCOL = -36,   /* a subprotocol that was not offered, or two */
    HANDSHAKE_BAD_BODY = -37,       /* a 101 with Transfer-Encoding or a Content-Length over 0 */
    HANDSHAKE_BAD_VERSION = -38,    /* a 101 in HTTP/1.0, which knows no Upgrade */
    HANDSHAKE_BAD_MEMORY = -39,     /* the expected value could not be computed */
};

/* Judges a server's answer to the request, interim ones left out (http_is_interim). 0: it is
 * accepted, and *protocol is the subprotocol (len 0: none), a slice of the request's own list; else
 * an enum handshake_answer_error, the first in the order of status, version, body, upgrade,
 * connection, accept, protocol. Extensions are judged by extension.h. */
int handshake_check_answer(const struct http_head *answer, const struct handshake_request *r,
                           struct slice *protocol);

const char *handshake_answer_error_text(int error);

#endif
