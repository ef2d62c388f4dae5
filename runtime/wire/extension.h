/* Negotiation of extensions: the Sec-WebSocket-Extensions field (RFC 6455 section 9.1) and the
 * parameters of permessage-deflate (RFC 7692 section 7.1), both roles. */
#ifndef TIDEWIRE_WIRE_EXTENSION_H
#define TIDEWIRE_WIRE_EXTENSION_H

#include "base/buf.h"
#include "wire/http.h"

#include <stdbool.h>
#include <stdint.h>

#define DEFLATE_BITS_MIN 8
#define DEFLATE_BITS_MAX 15

/* What this side wants of permessage-deflate. */
struct deflate_settings {
    bool takeover;       /* keep the window from message to message, where the peer agrees */
    uint8_t window_bits; /* of the windows, 8 to 15: at most this for what we send; with less than 15
                            the peer is asked for the same */
    int8_t level;        /* 1 to 9 */
    uint32_t min_size;   /* shorter messages are sent plain */
};

#define DEFLATE_SETTINGS_DEFAULT                                                                   \
    {                                                                                              \
        .takeover = false, .window_bits = 15, .level = 6, .min_size = 64                           \
    }

/* What is agreed. */
struct deflate_params {
    bool server_takeover, client_takeover; /* false: that side's window starts empty each message */
    uint8_t server_bits, client_bits;      /* window of what that side sends */
};

/* Server: judges the offers of a request, in their order, and takes the first that is legal and
 * that `want` can keep; the illegal ones are skipped. 1: *agreed is filled in, and *answer gets the
 * value of the answer's Sec-WebSocket-Extensions (appended). 0: no compression. -1: memory short. -2:
 * the field is no list of extensions at all (400). */
int extension_accept(const struct http_head *request, const struct deflate_settings *want,
                     struct deflate_params *agreed, struct buf *answer);

/* Client: appends the value of the offer. */
bool extension_write_offer(struct buf *out, const struct deflate_settings *want);

/* Client: judges the server's answer to that offer (`offered` NULL: there was none). 1: compression
 * is agreed; 0: none; negative: the answer is not acceptable, the connection must be failed
 * (an enum, with text). */
int extension_check_answer(const struct http_head *answer, const struct deflate_settings *offered,
                           struct deflate_params *agreed);
const char *extension_error_text(int error);

#endif
