/* The limits of a connection: times in milliseconds, sizes in bytes, 0 turns a time off. They are
 * a route's; before a route is known the process's own are in force. */
#ifndef TIDEWIRE_NET_LIMITS_H
#define TIDEWIRE_NET_LIMITS_H

#include "wire/session.h"

#include <stddef.h>
#include <stdint.h>

struct conn_limits {
    struct session_limits session; /* message, fragments, inflate_ratio */
    uint32_t handshake;            /* from accept to the end of the head, TLS included */
    uint32_t head;                 /* bytes of a request's head */
    uint32_t headers;              /* its fields; at most HTTP_HEADERS_MAX */
    uint32_t body;                 /* bytes of a plain request's body */
    uint32_t ping_interval;        /* silence after which the peer is pinged */
    uint32_t pong_wait;            /* from the ping to any sign of life */
    uint32_t idle;                 /* without inbound traffic */
    uint32_t close;                /* closing handshake */
    uint32_t stall;                /* bytes wait and none is taken */
    size_t send_soft;              /* queued: the sender is told "buffered" */
    size_t send_queue;             /* queued: nothing more is taken */
    uint32_t subscriptions;
    uint32_t rate; /* messages a second, and at once; 0: any */
};

#define CONN_LIMITS_DEFAULT                                                                        \
    {                                                                                              \
        .session = {.message = 1 << 20, .fragments = 1024, .inflate_ratio = 100},                  \
        .handshake = 10000, .head = 16384, .headers = 100, .body = 1 << 20,                        \
        .ping_interval = 25000, .pong_wait = 20000, .idle = 120000, .close = 10000,                \
        .stall = 10000, .send_soft = 256 << 10, .send_queue = 1 << 20, .subscriptions = 128        \
    }

#endif
