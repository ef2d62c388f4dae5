/* Between the master and one worker: a socket pair that keeps messages whole. Its end tells each
 * side that the other has died. */
#ifndef TIDEWIRE_HOST_CHANNEL_H
#define TIDEWIRE_HOST_CHANNEL_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define CHANNEL_TEXT_MAX (64 * 1024)

enum channel_message {
    CHANNEL_READY = 'R',  /* worker: the app runs; the text is the banner */
    CHANNEL_FAILED = 'F', /* worker: it does not; the text says why, complete */
    CHANNEL_DRAIN = 'D',  /* master: end, with all connections closed in order */

    /* What all workers change together, or none (change.h). The text is the letter of what is
     * changed, and a number that the answer repeats: "c17". */
    CHANNEL_PREPARE = 'P',  /* master: get this ready; the file has its bytes */
    CHANNEL_PREPARED = 'p', /* worker; behind a space, what went wrong, if it did */
    CHANNEL_COMMIT = 'C',   /* master: use it from now on */
    CHANNEL_COMMITTED = 'c',
    CHANNEL_ABANDON = 'A', /* master: forget it; nobody answers */

    CHANNEL_COUNT = 'N',   /* master: how many connections? */
    CHANNEL_COUNTED = 'n', /* worker: so many */

    CHANNEL_NONE = 0, /* channel_receive: nothing there yet */
    CHANNEL_END = -1, /* channel_receive: the other side is gone */
};

bool channel_open(int ends[2]); /* ends[0] is the master's */

/* Longer texts are cut. false: the other side is gone, or takes nothing any more. */
bool channel_send(int fd, enum channel_message type, const char *text);

/* The same with an open file, which the other side gets a descriptor of its own for. */
bool channel_send_file(int fd, enum channel_message type, const char *text, int file);

/* text gets at most CHANNEL_TEXT_MAX bytes and a NUL. *file is what came with it, the caller's to
 * close; -1: none. */
enum channel_message channel_receive(int fd, char text[CHANNEL_TEXT_MAX + 1], int *file);

/* Bytes as a file in memory that cannot be changed any more, for channel_send_file. -1: short of
 * memory or descriptors. */
int channel_file_new(const void *bytes, size_t n);
bool channel_file_read(int file, struct buf *out); /* all of it; false: memory short, or no such */

#endif
