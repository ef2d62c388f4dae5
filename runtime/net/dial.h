/* A connected socket to one of several addresses, the first that answers ("Happy Eyeballs", RFC
 * 8305): tried in turn, the families alternating and IPv6 first, the next one when the one before
 * has failed or has not answered for 250 ms; none is given up for being slow. Unix sockets too. */
#ifndef TIDEWIRE_NET_DIAL_H
#define TIDEWIRE_NET_DIAL_H

#include "base/buf.h"
#include "net/loop.h"

#include <sys/socket.h>

struct dial;

struct dial_result {
    int fd; /* connected, non-blocking, the callee's from now on; -1: no address took us */
    struct sockaddr_storage peer;
    const char *text; /* of fd -1: each address and why; until `done` returns */
};

/* At least one address; they are copied. `done` is called once, from the loop at the end of a turn,
 * never from within dial_start; not after dial_cancel. There is no time limit but the system's own
 * (minutes). NULL: memory short. */
struct dial *dial_start(struct loop *loop, const struct sockaddr_storage *addresses, size_t count,
                        void (*done)(void *context, const struct dial_result *result),
                        void *context);
void dial_cancel(struct dial *d);

/* Appends what is known so far: "127.0.0.1: connection refused; ::1: no answer"; of a Unix socket
 * the reason alone. false: memory short. */
bool dial_explain(const struct dial *d, struct buf *out);

/* The address of a Unix socket. false: the path is empty or too long for one. */
bool dial_unix_address(const char *path, struct sockaddr_storage *out);

#endif
