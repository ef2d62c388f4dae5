/* Between the master and one worker: a socket pair that keeps messages whole. Its end tells each
 * side that the other has died. */
#ifndef TIDEWIRE_HOST_CHANNEL_H
#define TIDEWIRE_HOST_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#define CHANNEL_TEXT_MAX (64 * 1024)

enum channel_message {
    CHANNEL_READY = 'R',  /* worker: the app runs; the text is the banner */
    CHANNEL_FAILED = 'F', /* worker: it does not; the text says why, complete */
    CHANNEL_DRAIN = 'D',  /* master: end, with all connections closed in order */
    CHANNEL_NONE = 0,     /* channel_receive: nothing there yet */
    CHANNEL_END = -1,     /* channel_receive: the other side is gone */
};

bool channel_open(int ends[2]); /* ends[0] is the master's */

/* Longer texts are cut. false: the other side is gone. */
bool channel_send(int fd, enum channel_message type, const char *text);

/* text gets at most CHANNEL_TEXT_MAX bytes and a NUL. */
enum channel_message channel_receive(int fd, char text[CHANNEL_TEXT_MAX + 1]);

#endif
