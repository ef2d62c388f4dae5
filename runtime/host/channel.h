/* Between the master and one worker: a socket pair that keeps messages whole. Its end tells each
 * side that the other has died. */
#ifndef TIDEWIRE_HOST_CHANNEL_H
#define TIDEWIRE_HOST_CHANNEL_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

#define CHANNEL_TEXT_MAX (64 * 1024) /* in the message itself; longer ones are files */
#define CHANNEL_LONG_MAX (16 * 1024 * 1024)

enum channel_message {
    CHANNEL_READY = 'R',  /* worker: the app runs; the text is the banner */
    CHANNEL_FAILED = 'F', /* worker: it does not; the text says why, complete */
    CHANNEL_DRAIN = 'D',  /* master: end, with all connections closed in order */

    /* What all workers change together, or none (change.h). The text is the letter of what is
     * changed, and a number that the answer repeats: "c17"; behind a space, more about it. */
    CHANNEL_PREPARE = 'P',  /* master: get this ready; the file has its bytes */
    CHANNEL_PREPARED = 'p', /* worker; behind a space, what came of it */
    CHANNEL_BARRIER = 'B',  /* master: let nothing begin, and convert what there is */
    CHANNEL_STANDS = 'b',   /* worker: nothing runs, and it is converted; or why not */
    CHANNEL_COMMIT = 'C',   /* master: use it from now on */
    CHANNEL_COMMITTED = 'c',
    CHANNEL_ABANDON = 'A', /* master: forget it; nobody answers */

    CHANNEL_DESCRIBE = 'N',  /* master: what are you doing? */
    CHANNEL_DESCRIBED = 'n', /* worker: vm_describe, and its metrics */
    CHANNEL_TALLY = 't', /* worker: more has failed: "VERSION HANDLED FAILED MIGRATIONS_FAILED" */

    CHANNEL_NONE = 0, /* channel_receive: nothing there yet */
    CHANNEL_END = -1, /* channel_receive: the other side is gone */
};

bool channel_open(int ends[2]); /* ends[0] is the master's */

/* Beyond CHANNEL_LONG_MAX it is cut. false: the other side is gone, or takes nothing any more, or
 * memory or descriptors are short. */
bool channel_send(int fd, enum channel_message type, const char *text);

/* The same with an open file, which the other side gets a descriptor of its own for. The text has
 * up to CHANNEL_TEXT_MAX bytes. */
bool channel_send_file(int fd, enum channel_message type, const char *text, int file);

struct channel_packet {
    enum channel_message type;
    const char *text; /* ends with a NUL */
    int file;         /* what came with it; -1: none */
    struct buf whole; /* a text that is long */
    char room[CHANNEL_TEXT_MAX + 1];
};

/* Reads one message, to be freed with channel_packet_free whatever its type is. */
enum channel_message channel_receive(int fd, struct channel_packet *packet);
void channel_packet_free(struct channel_packet *packet); /* closes the file */

/* Bytes as a file in memory that cannot be changed any more, for channel_send_file. -1: short of
 * memory or descriptors. */
int channel_file_new(const void *bytes, size_t n);
void channel_file_seal(int file);                  /* one of memfd_create: as it is now */
bool channel_file_read(int file, struct buf *out); /* all of it; false: memory short, or no such */

#endif
