/* The opening handshake: RFC 6455 section 4, the server's half and what the client's (in
 * handshake_client.h) has in common with it. Works on parsed heads, writes bytes. */
#ifndef TIDEWIRE_WIRE_HANDSHAKE_H
#define TIDEWIRE_WIRE_HANDSHAKE_H

#include "base/buf.h"
#include "base/slice.h"
#include "wire/http.h"

#include <stdbool.h>

#define HANDSHAKE_KEY_LEN 24    /* base64 of 16 bytes */
#define HANDSHAKE_ACCEPT_LEN 28 /* base64 of 20 bytes */

/* Each subprotocol of a request is compared with those before it, so their number is bounded: a
 * head of 16 KiB has room for thousands, and that would be millions of comparisons. */
#define HANDSHAKE_PROTOCOLS_MAX 64

enum handshake_result {
    HANDSHAKE_UPGRADE = 0,         /* a valid request for WebSocket */
    HANDSHAKE_PLAIN = 1,           /* an ordinary HTTP request: asks for no upgrade to websocket */
    HANDSHAKE_ERR_METHOD = -1,     /* 405: not GET */
    HANDSHAKE_ERR_CONNECTION = -2, /* 400: one of Upgrade: websocket, Connection: Upgrade missing */
    HANDSHAKE_ERR_KEY = -3, /* 400: Sec-WebSocket-Key missing, twice or not 16 bytes in base64 */
    HANDSHAKE_ERR_VERSION = -4,       /* 426: Sec-WebSocket-Version missing or not exactly 13 */
    HANDSHAKE_ERR_VERSION_TWICE = -5, /* 400 */
    HANDSHAKE_ERR_BODY = -6,     /* 400: Transfer-Encoding, or Content-Length malformed or over 0 */
    HANDSHAKE_ERR_PROTOCOL = -7, /* 400: Sec-WebSocket-Protocol has a non-token, an empty element,
                                    one twice, or more than HANDSHAKE_PROTOCOLS_MAX */
    HANDSHAKE_ERR_EXTENSION = -8, /* 400: Sec-WebSocket-Extensions does not conform to its grammar,
                                     so the connection has to be failed (section 9.1) */
};

/* Judges a request. A request is an upgrade when its Upgrade list names websocket (any case), or
 * it carries a Sec-WebSocket-Key. With several faults the answer is the first of: method, body,
 * connection, version, key, protocol, extension. After an error nothing more may be read from the
 * connection: what follows may be a body, and no request. */
int handshake_check_request(const struct http_head *head);

/* A 426 answer has to carry "Sec-WebSocket-Version: 13", a 405 "Allow: GET". */
unsigned handshake_error_status(int error);
const char *handshake_error_text(int error);

/* Are these subprotocols as a request may offer them (section 4.1): tokens, none twice, at most
 * HANDSHAKE_PROTOCOLS_MAX? */
bool handshake_protocols_are_valid(const struct slice *list, size_t count);

/* The value of Sec-WebSocket-Accept for a key, NUL-terminated. false: hashing failed (memory), or
 * the key has not HANDSHAKE_KEY_LEN bytes. */
bool handshake_accept(struct slice key, char out[HANDSHAKE_ACCEPT_LEN + 1]);

/* The first of the server's `supported` names, in its order of preference, that the request
 * offers (exact case, RFC 6455 section 11.3.4). false: no common one. */
bool handshake_choose_protocol(const struct http_head *head, const struct slice *supported,
                               size_t count, struct slice *chosen);

/* Is a browser's Origin the same as the host it connects to, compared exactly by scheme, host (any
 * case) and port? `secure` tells whether the connection came over TLS. The host is that of the
 * target when it is in absolute-form, as RFC 9112 section 3.2.2 wants, else that of Host. A request
 * without Origin answers true: it comes from no browser. Two Origin fields answer false, and so
 * does "null" and what is no origin. */
bool handshake_origin_is_same(const struct http_head *head, bool secure);

/* The same for a list of allowed origins like "https://a.example:8443": is the request's Origin
 * one of them? http and https have their default ports; other schemes match with the same port
 * written, or none in both. What is not scheme "://" host [":" port] matches nothing. */
bool handshake_origin_is_listed(const struct http_head *head, const struct slice *allowed,
                                size_t count);

/* Appends the 101 answer up to and including the empty line. `protocol` and `extensions` are values
 * of their fields, len 0: none. `extra` is further whole field lines, each ended with CRLF, already
 * checked; may be empty. false, and nothing appended: memory short, a key of another length, or a
 * protocol that is no token. */
bool handshake_write_accept(struct buf *out, struct slice key, struct slice protocol,
                            struct slice extensions, struct slice extra);

#endif
