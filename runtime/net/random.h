/* Unpredictable bytes for masking keys and nonces (RFC 6455 section 10.3), straight from the
 * kernel's generator, fetched in pieces because a system call for each frame would cost more than
 * the frame. */
#ifndef TIDEWIRE_NET_RANDOM_H
#define TIDEWIRE_NET_RANDOM_H

#include <stddef.h>

#define RANDOM_ROOM 256 /* the kernel gives this many at once without being interrupted */

/* Zero-initialised it is ready. Belongs to one process: made after the fork, since parent and child
 * would otherwise hand out the same bytes. */
struct random {
    unsigned char bytes[RANDOM_ROOM];
    size_t left; /* at the end of `bytes`; what is in front has been handed out and wiped */
};

/* n bytes, n up to RANDOM_ROOM, which nobody else gets: they are not kept here. Cannot fail: a
 * kernel without a working generator ends the process, with a line on stderr that says so. */
void random_bytes(struct random *r, void *out, size_t n);

#endif
