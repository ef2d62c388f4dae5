/* Tells the service manager how it goes: the protocol of sd_notify(3), datagrams to $NOTIFY_SOCKET,
 * without its library. Started otherwise, nothing is told to nobody. */
#ifndef TIDEWIRE_HOST_NOTIFY_H
#define TIDEWIRE_HOST_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
    int fd; /* -1: nobody listens */
    struct sockaddr_un address;
    socklen_t size;
    uint32_t watchdog; /* ms within which the manager wants a sign of life; 0: it wants none */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and takes them out of the environment: they
 * are this process's own, not those of the programs it starts. Returns NULL, or what is wrong with
 * them; then nothing will be told. */
const char *notify_open(struct notify *n);
void notify_close(struct notify *n); /* also in a child: it has nothing to tell */

void notify_ready(const struct notify *n, const char *status); /* `status`: one line */
void notify_stopping(const struct notify *n);

/* Around a change of configuration: reloading, then ready again. */
void notify_reloading(const struct notify *n);

/* A sign of life. Due twice in n->watchdog. */
void notify_alive(const struct notify *n);

#endif
