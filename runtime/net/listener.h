/* Listening sockets: opened once by the master, accepted from by the workers. */
#ifndef TIDEWIRE_NET_LISTENER_H
#define TIDEWIRE_NET_LISTENER_H

#include "base/log.h"
#include "net/conn.h"
#include "net/inherit.h"
#include "net/tls.h"
#include "net/unix_socket.h"

#include <stdbool.h>
#include <stddef.h>

/* One address to listen on, and a socket of its own for each worker: with SO_REUSEPORT the kernel
 * spreads connections over them, and since the master keeps them open, what waits in the backlog
 * of a worker that died is there for the next one. A Unix socket, and one that was inherited, is
 * one socket for all. */
struct listen_point {
    char url[256];            /* as bound: the real port, the real address */
    struct unix_socket local; /* path NULL: TCP */
    struct tls_context *tls;  /* NULL: plain */
    bool proxy_protocol;      /* connections begin with a header of the PROXY protocol */
    int *fds;                 /* `count` of them, one a worker */
    size_t count;
    struct listen_point *next;
};

/* What all listeners share. */
struct listen_options {
    size_t workers;
    const struct tls_settings *tls; /* of wss URLs that name no certificates; count 0: none */
    struct tls_tickets *tickets;
    struct inherit *inherited; /* for systemd: URLs; what they name is taken out of it */
};

/* Opens what a URL names, appended to *points (several when a host name has several addresses):
 *
 *     ws://127.0.0.1:8080   ws://[::1]:8080   wss://0.0.0.0:8443?cert=FILE&key=FILE
 *     unix:/run/app.sock   systemd:   systemd:web?cert=FILE&key=FILE
 *
 * The options behind the `?` are those of listen_url.h. false: `error` says what is wrong and what
 * to do. */
bool listen_open(const char *url, const struct listen_options *options,
                 struct listen_point **points, char *error, size_t error_size);

/* Would listen_open be able to make use of this URL, and of the certificates that it asks for? No
 * socket is opened, no name resolved. `tls` as in the options. false: `error` as above. */
bool listen_check(const char *url, const struct tls_settings *tls, char *error, size_t error_size);

/* Closes everything and removes Unix sockets from the file system. */
void listen_close(struct listen_point *points);

/* --- certificates of all listeners, changed together or not at all (see tls.h) ---------------- */

/* Whether there are any. */
bool listen_has_certificates(const struct listen_point *points);

/* The content of all files, keys too: release it with tls_wipe_bytes. */
bool listen_read_certificates(const struct listen_point *points, struct buf *out, char *error,
                              size_t size);
bool listen_prepare_certificates(const struct listen_point *points, struct slice bytes, char *error,
                                 size_t size);
void listen_commit_certificates(const struct listen_point *points);
void listen_abandon_certificates(const struct listen_point *points);

/* Each certificate that is in use, with its listener. */
void listen_each_certificate(const struct listen_point *points,
                             void (*each)(void *context, const struct listen_point *point,
                                          const struct tls_description *certificate),
                             void *context);

/* --- a worker's side -------------------------------------------------------------------------- */

/* NULL: memory short. */
struct listener;
struct listener *listener_start(struct conn_set *set, const struct listen_point *point,
                                size_t worker, const struct log *log);
void listener_stop(struct listener *l); /* ends accepting; the socket stays the master's */

#endif
