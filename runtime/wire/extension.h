/* Negotiation of extensions: the Sec-WebSocket-Extensions field (RFC 6455 section 9.1) and the
 * parameters of permessage-deflate (RFC 7692 section 7.1), both roles. */
#ifndef TIDEWIRE_WIRE_EXTENSION_H
#define TIDEWIRE_WIRE_EXTENSION_H

#include "base/buf.h"
#include "wire/deflate.h"
#include "wire/http.h"

#include <stdbool.h>

/* Offers of permessage-deflate that a server looks at; those behind them are only read over. */
#define EXTENSION_OFFERS_MAX 16

/* Server: judges the offers of a request, in their order, and takes the first that is legal; the
 * illegal ones are skipped. 1: *agreed is filled in, and the value of the answer's
 * Sec-WebSocket-Extensions is appended to `answer`. 0: no compression. -1: memory short. -2: the
 * field does not conform to its grammar, and the handshake has to be refused (400). `want` NULL: no
 * compression is wanted; the field has to be well-formed nevertheless. */
int extension_accept(const struct http_head *request, const struct deflate_settings *want,
                     struct deflate_params *agreed, struct buf *answer);

/* Client: appends the value of the offer. false: memory short. */
bool extension_write_offer(struct buf *out, const struct deflate_settings *want);

/* A client must fail the connection for each of these. */
enum extension_error {
    EXTENSION_ERR_MALFORMED = -1,      /* the field does not conform to its grammar */
    EXTENSION_ERR_FIELD_TWICE = -2,    /* more than one field (RFC 6455 section 11.3.2) */
    EXTENSION_ERR_NOT_OFFERED = -3,    /* an extension that was not offered */
    EXTENSION_ERR_TWICE = -4,          /* permessage-deflate twice */
    EXTENSION_ERR_PARAMETER = -5,      /* a parameter that permessage-deflate does not have */
    EXTENSION_ERR_DUPLICATE = -6,      /* a parameter twice */
    EXTENSION_ERR_VALUE = -7,          /* a value missing, or where none is due, or no 8 to 15 */
    EXTENSION_ERR_SERVER_BITS = -8,    /* server_max_window_bits missing or above the offered */
    EXTENSION_ERR_SERVER_TAKEOVER = -9 /* server_no_context_takeover was offered, and is missing */
};

/* Client: judges the server's answer to the offer of these settings (NULL: there was none). 1:
 * *agreed is filled in; 0: no compression; negative: an enum extension_error. */
int extension_check_answer(const struct http_head *answer, const struct deflate_settings *offered,
                           struct deflate_params *agreed);
const char *extension_error_text(int error);

#endif
