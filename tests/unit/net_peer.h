/* For tests of a client: the server or proxy it talks to, on the same loop. It answers the n-th
 * head that has come with the n-th of its replies, in pieces if asked for, and may end at any byte.
 * With a certificate it speaks TLS, by OpenSSL alone. Nothing here allocates, but OpenSSL. */
#ifndef TIDEWIRE_TESTS_UNIT_NET_PEER_H
#define TIDEWIRE_TESTS_UNIT_NET_PEER_H

#include "net_run.h"
#include "wire/handshake.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>

#define PEER_ROOM 65536

struct peer {
    /* what it does */
    const char *replies[4]; /* "@" stands for the value of Sec-WebSocket-Accept */
    size_t pieces;          /* bytes of a reply a turn; 0: as many as there are */
    size_t end_after;       /* bytes of all replies; the connection ends behind them */
    bool ends, resets;      /* and how: after end_after bytes, or a reset instead of an end */
    SSL_CTX *tls;           /* NULL: plain */
    size_t tls_from;        /* TLS begins behind so many heads */
    /* what it is */
    struct loop *loop;
    uint16_t port;
    int fd;
    SSL *ssl;
    ev_io accepting, reading;
    struct deferred writes;
    unsigned accepted;  /* connections so far */
    unsigned heads;     /* of the last connection */
    bool ended;         /* the client has ended the last connection */
    char in[PEER_ROOM]; /* all that the last client has sent, NUL-terminated */
    size_t in_len, seen;
    char out[PEER_ROOM];
    size_t out_len, out_at;
};

static inline void peer_hang_up(struct peer *p)
{
    struct linger reset = {1, 0};
    if (p->fd < 0)
        return;
    ev_io_stop(loop_ev(p->loop), &p->reading);
    deferred_cancel(&p->writes);
    if (p->resets)
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    SSL_free(p->ssl);
    ERR_clear_error();
    p->ssl = NULL;
    close(p->fd);
    p->fd = -1;
}

static inline bool peer_is_tls(const struct peer *p)
{
    return p->tls && p->heads >= p->tls_from;
}

static inline void peer_on_writes(struct deferred *d)
{
    struct peer *p = list_entry(d, struct peer, writes);
    size_t n = p->out_len - p->out_at;
    if (p->fd < 0)
        return;
    if (p->pieces && n > p->pieces)
        n = p->pieces;
    if (p->ends && p->out_at + n > p->end_after)
        n = p->end_after - p->out_at;
    if (n && p->ssl)
        assert_int_equal(SSL_write(p->ssl, p->out + p->out_at, (int)n), (int)n);
    else if (n)
        (void)!send(p->fd, p->out + p->out_at, n, MSG_NOSIGNAL);
    p->out_at += n;
    if (p->ends && p->out_at == p->end_after)
        peer_hang_up(p);
    else if (p->out_at < p->out_len)
        loop_defer(p->loop, &p->writes);
}

static inline void peer_reply(struct peer *p, const char *head)
{
    static const char field[] = "\r\nSec-WebSocket-Key: ";
    char accept[HANDSHAKE_ACCEPT_LEN + 1] = "";
    const char *key = strstr(head, field), *reply = p->replies[p->heads - 1];
    if (key)
        handshake_accept((struct slice){key + sizeof field - 1, HANDSHAKE_KEY_LEN}, accept);
    for (; reply && *reply; reply++) {
        if (*reply != '@')
            p->out[p->out_len++] = *reply;
        else
            for (const char *a = accept; *a; a++)
                p->out[p->out_len++] = *a;
        assert_true(p->out_len < sizeof p->out - 64);
    }
    if (p->out_at < p->out_len)
        loop_defer(p->loop, &p->writes);
}

static inline void peer_take(struct peer *p)
{
    const char *end;
    p->in[p->in_len] = '\0';
    while ((end = strstr(p->in + p->seen, "\r\n\r\n"))) {
        const char *head = p->in + p->seen;
        p->seen = (size_t)(end - p->in) + 4;
        if (++p->heads <= 4)
            peer_reply(p, head);
    }
}

static inline void peer_begin_tls(struct peer *p)
{
    p->ssl = SSL_new(p->tls);
    SSL_set_fd(p->ssl, p->fd);
    SSL_set_accept_state(p->ssl);
}

static inline void peer_on_reading(struct ev_loop *ev, ev_io *w, int events)
{
    struct peer *p = w->data;
    (void)ev;
    (void)events;
    if (peer_is_tls(p) && !p->ssl)
        peer_begin_tls(p);
    ssize_t n = p->ssl ? SSL_read(p->ssl, p->in + p->in_len, (int)(sizeof p->in - 1 - p->in_len))
                       : recv(p->fd, p->in + p->in_len, sizeof p->in - 1 - p->in_len, 0);
    if (n > 0) {
        p->in_len += (size_t)n;
        peer_take(p);
        return;
    }
    if (p->ssl && SSL_get_error(p->ssl, (int)n) == SSL_ERROR_WANT_READ)
        return;
    p->ended = true;
    peer_hang_up(p);
}

static inline void peer_on_accepting(struct ev_loop *ev, ev_io *w, int events)
{
    struct peer *p = w->data;
    (void)events;
    peer_hang_up(p);
    p->fd = accept4(p->accepting.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (p->fd < 0)
        return;
    p->accepted++;
    p->heads = 0;
    p->in[0] = '\0';
    p->in_len = p->seen = p->out_len = p->out_at = 0;
    p->ended = false;
    ev_io_init(&p->reading, peer_on_reading, p->fd, EV_READ);
    p->reading.data = p;
    ev_io_start(ev, &p->reading);
    if (p->ends && !p->end_after)
        loop_defer(p->loop, &p->writes); /* ends without a word */
}

/* Listens at `listener`, and owns it. The fields of the first part are the test's to set. */
static inline void peer_start_at(struct peer *p, struct loop *loop, int listener)
{
    memset(p, 0, offsetof(struct peer, in));
    p->in[0] = '\0';
    p->in_len = p->seen = p->out_len = p->out_at = 0;
    p->loop = loop;
    p->fd = -1;
    deferred_init(&p->writes, peer_on_writes);
    ev_io_init(&p->accepting, peer_on_accepting, listener, EV_READ);
    p->accepting.data = p;
    ev_io_start(loop_ev(loop), &p->accepting);
}

static inline void peer_start(struct peer *p, struct loop *loop)
{
    uint16_t port;
    peer_start_at(p, loop, local_socket(SOCK_STREAM, 16, &port));
    p->port = port;
}

static inline void peer_stop(struct peer *p)
{
    peer_hang_up(p);
    ev_io_stop(loop_ev(p->loop), &p->accepting);
    close(p->accepting.fd);
}

#endif
