/* Listening sockets: opened once by the master, accepted from by the workers. */
#ifndef TIDEWIRE_NET_LISTENER_H
#define TIDEWIRE_NET_LISTENER_H

#include "base/log.h"
#include "net/conn.h"
#include "net/tls.h"

#include <stdbool.h>
#include <stddef.h>

/* One address to listen on, and a socket of its own for each worker: with SO_REUSEPORT the kernel
 * spreads connections over them, and since the master keeps them open, what waits in the backlog
 * of a worker that died is there for the next one. A Unix socket is one socket for all. */
struct listen_point {
    char url[256];           /* as bound: the real port, the real address */
    char *unix_path;         /* NULL: TCP */
    struct tls_context *tls; /* NULL: plain */
    int *fds;                /* `count` of them, one a worker */
    size_t count;
    struct listen_point *next;
};

/* Opens what a URL names, appended to *points (several when a host name has several addresses):
 *
 *     ws://127.0.0.1:8080   ws://[::1]:8080   wss://0.0.0.0:8443?cert=FILE&key=FILE
 *     unix:/run/app.sock
 *
 * false: `error` says what is wrong and what to do. */
bool listen_open(const char *url, size_t workers, struct listen_point **points, char *error,
                 size_t error_size);

/* Closes everything and removes Unix sockets from the file system. */
void listen_close(struct listen_point *points);

/* A worker's side. NULL: memory short. */
struct listener;
struct listener *listener_start(struct conn_set *set, const struct listen_point *point,
                                size_t worker, const struct log *log);
void listener_stop(struct listener *l); /* ends accepting; the socket stays the master's */

#endif
