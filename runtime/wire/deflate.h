/* What connections have of permessage-deflate (RFC 7692) once the handshake has agreed to it.
 *
 * One connection has a struct deflate, made of what was agreed (extension.h) and given to its
 * session, which inflates with it and frees it. Sending:
 *
 *     if (deflate_wants(d, n))
 *         ok = (z = deflate_deflater(d)) && session_write_compressed(out, z, kind, data, n, key);
 *
 * Without context takeover a connection borrows: one deflater of the pool for the time of a call,
 * an inflater for the time of a message. Only a direction with takeover has memory of its own, from
 * its first message on. */
#ifndef TIDEWIRE_WIRE_DEFLATE_H
#define TIDEWIRE_WIRE_DEFLATE_H

#include "wire/deflater.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What this side wants of permessage-deflate. */
struct deflate_settings {
    bool takeover;       /* keep the window from message to message, where the peer agrees */
    uint8_t window_bits; /* 8 to 15: at most this for what we send; with less than 15 the peer is
                            asked for the same, and keeps to it if it can be asked */
    uint8_t level;       /* 1 to 9 */
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

/* --- shared by connections ---------------------------------------------------------------- */

#define DEFLATE_POOL_IDLE 4 /* inflaters that are kept while nobody needs them */

/* Zero-initialised ({0}) is empty. Must outlive the connections that use it. */
struct deflate_pool {
    struct deflater *deflaters[DEFLATE_BITS_MAX - DEFLATE_BITS_MIN + 1][DEFLATE_LEVEL_MAX];
    struct inflater *idle[DEFLATE_POOL_IDLE];
    unsigned idle_count;
};

void deflate_pool_free(struct deflate_pool *pool); /* leaves it empty */

/* The one without takeover for these bits and this level. It is the pool's; good for one message at
 * once, such as one that is published to many. NULL: memory short. */
struct deflater *deflate_pool_deflater(struct deflate_pool *pool, unsigned bits, unsigned level);

size_t deflate_pool_held(const struct deflate_pool *pool); /* bytes; not what is lent */

/* --- one connection ----------------------------------------------------------------------- */

struct deflate;

/* `server`: our role. Of the settings, level and min_size count. NULL: memory short. */
struct deflate *deflate_new(struct deflate_pool *pool, const struct deflate_params *agreed,
                            bool server, const struct deflate_settings *settings);
void deflate_free(struct deflate *d); /* NULL is fine */

/* Is a message of n bytes to be sent compressed? d NULL: nothing is agreed, so no. */
bool deflate_wants(const struct deflate *d, size_t n);

/* What compresses the next message. With takeover each of its messages has to be sent, in this
 * order; see deflater_reset. NULL: memory short. */
struct deflater *deflate_deflater(struct deflate *d);

/* May a frame be compressed once for this connection and others? Then *bits and *level tell with
 * which of the pool's deflaters. false: our window is kept from message to message. */
bool deflate_is_shared(const struct deflate *d, unsigned *bits, unsigned *level);

/* For the session: what inflates the message under way (NULL: memory short), to be released when
 * the message has ended or is given up. */
struct inflater *deflate_inflater(struct deflate *d);
void deflate_release(struct deflate *d);

/* Bytes of this connection's own windows, and those that are borrowed for a message under way. */
size_t deflate_held(const struct deflate *d);
size_t deflate_borrowed(const struct deflate *d);

#endif
