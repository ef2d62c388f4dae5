/* A connected byte stream: TCP and Unix sockets here, TLS in tls.h, behind one small table. */
#ifndef TIDEWIRE_NET_STREAM_H
#define TIDEWIRE_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

enum stream_status {
    STREAM_OK,
    STREAM_RETRY, /* would block: wait until readable, or writable when `wants_write` is set */
    STREAM_EOF,   /* the peer has ended its half */
    STREAM_ERROR, /* lost; errno tells why where there is one */
};

struct stream;

struct stream_ops {
    enum stream_status (*handshake)(struct stream *s);
    /* *got > 0 with STREAM_OK. Reads as much as there is, up to n. */
    enum stream_status (*read)(struct stream *s, void *bytes, size_t n, size_t *got);
    /* *sent > 0 with STREAM_OK; it may be less than asked for. Never waits for reading. */
    enum stream_status (*write)(struct stream *s, const struct iovec *parts, int count,
                                size_t *sent);
    void (*shutdown)(struct stream *s); /* ends our half; reading goes on */
    void (*close)(struct stream *s);    /* closes and releases everything; once */
    /* is there more to read that readiness does not show? */
    bool (*pending)(const struct stream *s);
};

struct stream {
    const struct stream_ops *ops;
    void *state; /* of TLS */
    int fd;
    bool wants_write; /* why the last call answered STREAM_RETRY */
};

/* A stream over a connected, non-blocking socket, which it owns from then on. */
void stream_init(struct stream *s, int fd);

/* Bytes that the system has taken and the peer has not acknowledged. */
unsigned stream_unacknowledged(const struct stream *s);

#endif
