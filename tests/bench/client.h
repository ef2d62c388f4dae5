/* Many connections to one server: opens them, turns their loop, closes them. Whatever goes wrong
 * ends the program with a message: a benchmark with failures in it measures nothing. */
#ifndef TIDEWIRE_BENCH_CLIENT_H
#define TIDEWIRE_BENCH_CLIENT_H

#include "conn.h"

#include <netinet/in.h>
#include <stdbool.h>

/* Connections from one source address. The kernel has 28,000 ports for a pair of addresses, and
 * keeps one for a minute after its connection: few from each address leave room for the next
 * runs. More are spread over 127.0.0.1, 127.0.0.2 ... */
#define CLIENT_PER_ADDRESS 5000
#define CLIENT_MAX (254 * CLIENT_PER_ADDRESS)

struct client {
    struct sockaddr_in address;
    bool raw;        /* tcp://: no handshake */
    char host[300];  /* as in the URL, with the port */
    char path[1024]; /* and query */
    unsigned count, opened, closed;
    struct conn *conns;
    struct traffic traffic;
};

/* `url`: ws://HOST:PORT/PATH or tcp://HOST:PORT, IPv4. Ends with a usage error when malformed. */
void client_init(struct client *cl, const char *url, unsigned connections);

/* Opens all connections, handshakes done. `batch` may be NULL; it is borrowed. */
void client_open(struct client *cl, const struct batch *batch);

/* Waits up to `timeout_ms` (-1: for ever) and handles what happened. false: nothing did. A
 * connection that the peer closes is counted in `closed`; with a batch it ends the program. */
bool client_turn(struct client *cl, int timeout_ms);

/* Puts `depth` messages in flight on each connection. */
void client_start(struct client *cl, unsigned depth);

/* Waits for the outstanding answers; ends the program when they do not come. */
void client_drain(struct client *cl);

/* Sends a Close frame (not to a raw peer), closes all and frees what client_open made. */
void client_close(struct client *cl);

#endif
