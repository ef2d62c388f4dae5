/* Listening sockets that the service manager has opened: the protocol of sd_listen_fds(3), without
 * its library. Descriptors from 3 on, told by LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES. */
#ifndef TIDEWIRE_NET_INHERIT_H
#define TIDEWIRE_NET_INHERIT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct inherited {
    int fd; /* -1: taken */
    char *name;
};

struct inherit {
    struct inherited *list;
    size_t count;
    const char *none; /* why there are none, in words for people; NULL: there are some */
};

/* Reads the environment and takes the variables out of it: the sockets are this process's own, not
 * those of programs it starts. None is no failure; false: memory short. */
bool inherit_read(struct inherit *h);
void inherit_free(struct inherit *h); /* closes what was not taken */

/* Is there a socket of this name that was not taken yet? "" is any. */
bool inherit_has(const struct inherit *h, const char *name);

/* Takes the next socket of this name, "" for any: it is checked (a stream socket that listens),
 * made non-blocking and closed on exec, and belongs to the caller from then on; *address is where
 * it listens. -1: `error` says what is wrong. */
int inherit_take(struct inherit *h, const char *name, struct sockaddr_storage *address, char *error,
                 size_t error_size);

/* The name of one that nobody has taken, or NULL. */
const char *inherit_left(const struct inherit *h);

#endif
