/* What the files of an attempt to connect share. Nobody else includes this.
 *
 *   connect.c       life: options, name, race, deadline, the end
 *   connect_talk.c  what is said over the socket: proxy, TLS, opening handshake */
#ifndef TIDEWIRE_NET_CONNECT_IMPL_H
#define TIDEWIRE_NET_CONNECT_IMPL_H

#include "net/conn_impl.h"
#include "net/connect.h"
#include "net/dial.h"
#include "net/resolve.h"
#include "wire/handshake_client.h"

enum connect_step {
    STEP_NAME,      /* of the host, or of the proxy */
    STEP_DIAL,      /* which address answers first */
    STEP_PROXY,     /* CONNECT is sent, or being sent */
    STEP_TLS,       /* handshake of the transport */
    STEP_HANDSHAKE, /* the request is sent, or being sent */
    STEP_BODY,      /* the answer was no 101: the rest of it, for the curious */
    STEP_REFUSED,   /* the set is draining: told after a while, for who asks again and again */
};

struct connect {
    struct list all; /* in set->connects */
    struct conn_set *set;
    void (*done)(void *context, const struct connect_result *result); /* NULL: it has been told */
    void *context;
    struct connect_options options; /* its slices and arrays are in `store` */
    struct deflate_settings compression;
    char *store;
    enum connect_step step;
    bool ended;       /* `later` tells it */
    bool streaming;   /* there is a stream to close */
    struct timer due; /* of all, then of the body */
    struct deferred later;
    struct lookup *lookup;
    struct dial *dial;
    struct stream stream;
    struct sockaddr_storage peer;
    ev_io io;
    bool blocked; /* reading waits for writing: TLS has something of its own to say */
    struct buf out;
    size_t out_at;
    struct buf in; /* the answer's head and what came with it; the head's slices are of this */
    size_t scanned, head_len;
    unsigned interim; /* 1xx answers so far */
    bool answered;    /* `head` is the server's */
    struct http_head head;
    struct buf body;
    uint64_t body_len; /* as announced, or HTTP_UNTIL_CLOSE */
    bool chunked;
    char key[HANDSHAKE_KEY_LEN + 1];
    struct buf offer; /* value of Sec-WebSocket-Extensions */
    struct slice protocol;
    struct deflate_params agreed;
    bool compressed;
    enum connect_error error;
    struct buf text;
};

/* connect.c */
bool connect_has_proxy(const struct connect *c);
/* Ends the attempt; the owner hears of it at the end of the turn. The format tells what follows
 * "cannot connect to ws://host:port: ". */
void connect_fail(struct connect *c, enum connect_error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void connect_win(struct connect *c);

/* connect_talk.c */
void connect_talk(struct connect *c, int fd);
void connect_end_body(struct connect *c); /* with what has come of it */

#endif
