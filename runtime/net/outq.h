/* What waits to be written to one connection: its own bytes, and frames shared with others.
 * An empty queue holds no memory. */
#ifndef TIDEWIRE_NET_OUTQ_H
#define TIDEWIRE_NET_OUTQ_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* A whole frame that many connections send: built once, counted. */
struct shared {
    unsigned refs;
    struct buf frame;
};

struct shared *shared_new(void); /* one reference, the caller's; NULL: memory short */
void shared_unref(struct shared *s);

struct outq_chunk;

struct outq {
    struct outq_chunk *head, *tail;
    size_t bytes; /* in all */
};

/* Where own bytes go next: append to it, then call outq_grew with their number. NULL: memory
 * short. Valid until the next call on this queue. */
struct buf *outq_tail(struct outq *q);
void outq_grew(struct outq *q, size_t n);

bool outq_append(struct outq *q, const void *bytes, size_t n);
bool outq_share(struct outq *q, struct shared *s); /* takes a reference of its own */

/* The first parts, at most `max`; returns how many. */
int outq_parts(const struct outq *q, struct iovec *parts, int max);
void outq_sent(struct outq *q, size_t n); /* drops the first n bytes */
void outq_clear(struct outq *q);

#endif
