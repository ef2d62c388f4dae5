/* One message compressed, or decompressed: RFC 7692 section 7.2. The only home of zlib. Which of
 * these a connection uses, and when, is deflate.h's matter. */
#ifndef TIDEWIRE_WIRE_DEFLATER_H
#define TIDEWIRE_WIRE_DEFLATER_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define DEFLATE_BITS_MIN 8 /* windows are of 2^8 to 2^15 bytes */
#define DEFLATE_BITS_MAX 15
#define DEFLATE_LEVEL_MIN 1
#define DEFLATE_LEVEL_MAX 9

struct deflater;

/* With `takeover` a message may refer to those before it. NULL: memory short. */
struct deflater *deflater_new(unsigned bits, unsigned level, bool takeover);
void deflater_free(struct deflater *d); /* NULL is fine */

/* Appends one compressed message: section 7.2.1, without the 00 00 ff ff of its end. false: memory
 * short; `out` then has the content it had, and the deflater is as after deflater_reset. The data
 * must not lie in `out`. */
bool deflater_message(struct deflater *d, struct buf *out, const void *data, size_t n);

/* Empties the window. Due when a message that was compressed is not sent after all, or one is sent
 * that another deflater has compressed: the peer's window is then no longer the same as ours. */
void deflater_reset(struct deflater *d);

size_t deflater_held(const struct deflater *d); /* bytes allocated */

struct inflater;

enum inflate_result {
    INFLATE_DONE = 0,        /* the input is consumed, and all that it gives is written */
    INFLATE_AGAIN = 1,       /* there may be more: call again, also with no input left */
    INFLATE_ERR_DATA = -1,   /* no valid DEFLATE data */
    INFLATE_ERR_MEMORY = -2, /* as after an error in the data, go on with inflater_reset */
};

/* A peer that exceeds the window it agreed to is either understood or answered with
 * INFLATE_ERR_DATA. NULL: memory short. */
struct inflater *inflater_new(unsigned bits);
void inflater_free(struct inflater *i); /* NULL is fine */

/* Empties the window; a message that was under way is forgotten. */
void inflater_reset(struct inflater *i);

/* Inflates some of the *n bytes at *in, which are moved on, into at most `room` bytes (1 or more)
 * at `out`. Blocks with BFINAL are like others: what follows belongs to the same message, and the
 * window is kept. */
enum inflate_result inflater_step(struct inflater *i, const unsigned char **in, size_t *n,
                                  unsigned char *out, size_t room, size_t *written);

/* At a message's end: the bytes to feed before it is whole (section 7.2.2), and their number. None
 * when the data end with a block already, as in a message of no bytes: there is no doubt about
 * what they say, and some senders leave them that way. */
const unsigned char *inflater_tail(const struct inflater *i, size_t *n);

/* Then: does a block end here? Otherwise the message was cut. */
bool inflater_is_whole(const struct inflater *i);

size_t inflater_held(const struct inflater *i); /* bytes allocated */

#endif
