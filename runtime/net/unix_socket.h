/* Unix sockets by path. A path may be longer than the 107 bytes of an address. */
#ifndef TIDEWIRE_NET_UNIX_SOCKET_H
#define TIDEWIRE_NET_UNIX_SOCKET_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct unix_socket {
    int fd;
    char *path;
    dev_t device; /* of the file, to know it again */
    ino_t inode;
};

/* Listens at a path, non-blocking. A socket file that nobody answers at is what a killed process
 * has left, and is replaced; one that is answered at stays, and EADDRINUSE is the error. `secret`:
 * with the rights 0600 from birth, else as the umask says. false: errno tells why. */
bool unix_socket_listen(struct unix_socket *s, const char *path, bool secret, int backlog);

/* Closes it and removes the file, if that is still the one that was made. */
void unix_socket_close(struct unix_socket *s);
void unix_socket_drop(struct unix_socket *s); /* of a child: the file stays */

/* A connected, blocking socket; -1: errno tells why. */
int unix_socket_connect(const char *path);

/* Sends a line and waits for a line, each up to `ms`. `line` has its line feed; the answer has
 * none. false: errno tells why; EPIPE: the other side has ended. */
bool unix_socket_ask(const char *path, const char *line, size_t n, uint32_t ms, struct buf *answer);

#endif
