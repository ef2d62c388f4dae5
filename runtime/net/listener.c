/* A worker's half of listener.h: accepting. */
#include "net/listener.h"
#include "net/conn_impl.h"

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCEPTS_A_TURN 64 /* then the connections that are there have their turn */
#define BACKOFF_MIN 10    /* ms */
#define BACKOFF_MAX 1000

struct listener {
    ev_io io;
    struct conn_set *set;
    struct loop *loop; /* its loop */
    const struct listen_point *point;
    const struct log *log;
    struct timer retry;
    uint32_t backoff; /* ms; 0: accepting works */
    struct log_limit errors, refused;
};

static bool is_passing(int error)
{
    /* the connection was gone before it was accepted, or a signal came */
    return error == ECONNABORTED || error == EINTR || error == EPROTO || error == ENETDOWN ||
           error == EHOSTUNREACH || error == ENETUNREACH || error == EPERM;
}

/* Out of descriptors or memory: the connection stays in the backlog, so readiness would call us
 * again at once, for ever. Stop listening for a while instead. */
static void back_off(struct listener *l, int error)
{
    l->backoff = l->backoff ? l->backoff * 2 : BACKOFF_MIN;
    if (l->backoff > BACKOFF_MAX)
        l->backoff = BACKOFF_MAX;
    ev_io_stop(loop_ev(l->loop), &l->io);
    loop_timer_set(l->loop, &l->retry, l->backoff);
    if (log_allow(&l->errors, loop_now(l->loop)))
        log_warn(l->log, "cannot accept on %s: %s; trying again in %u ms", l->point->url,
                 strerror(error), l->backoff);
}

static void on_retry(struct timer *t)
{
    struct listener *l = list_entry(t, struct listener, retry);
    ev_io_start(loop_ev(l->loop), &l->io);
}

/* Cheapest first: before TLS. Who floods gets no word; others are told to come back. */
static void turn_away(struct listener *l, int fd, enum conn_admission why)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n"
                                 "Content-Length: 0\r\nConnection: close\r\n\r\n";
    if (!l->point->tls && why != CONN_REFUSED_ADDRESS)
        (void)!send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
    if (why != CONN_REFUSED_DRAINING && log_allow(&l->refused, loop_now(l->loop)))
        log_warn(l->log, "refused a connection: %s",
                 why == CONN_REFUSED_FULL
                     ? "as many are open as the limit `connections` allows"
                     : "its address has as many unfinished handshakes as the limit "
                       "`handshakes_per_address` allows");
}

/* What a PROXY header says is believed: from anybody else not a byte is read. */
static bool may_introduce(struct listener *l, const struct address *peer)
{
    char text[ADDRESS_TEXT];
    if (conn_set_trusts(l->set, peer))
        return true;
    address_format(peer, text);
    if (log_allow(&l->refused, loop_now(l->loop)))
        log_warn(l->log,
                 "refused a connection: %s is not among `proxies`, and %s takes the PROXY protocol "
                 "from these alone",
                 text, l->point->url);
    return false;
}

static void take_over(struct listener *l, int fd, const struct address *peer)
{
    struct stream stream;
    bool secure = l->point->tls != NULL, introduced = l->point->proxy_protocol;
    if (introduced && !may_introduce(l, peer)) {
        close(fd);
        return;
    }
    enum conn_admission admission = conn_set_admit(l->set, peer);
    if (admission != CONN_ADMITTED) {
        turn_away(l, fd, admission);
        return;
    }
    if (peer->family != ADDRESS_UNIX) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (!secure)
        stream_init(&stream, fd);
    else if (!tls_accept(&stream, l->point->tls, fd, l->log->least == LOG_DEBUG))
        return;
    conn_accept(l->set, &stream, peer, secure, introduced);
}

static void on_ready(struct ev_loop *ev, ev_io *w, int events)
{
    struct listener *l = w->data;
    (void)ev;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t size = sizeof peer;
        int fd = accept4(l->io.fd, (void *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK)
                return;
            if (is_passing(errno))
                continue;
            back_off(l, errno);
            return;
        }
        l->backoff = 0;
        struct address address = conn_address_of(&peer);
        take_over(l, fd, &address);
    }
}

struct listener *listener_start(struct conn_set *set, const struct listen_point *point,
                                size_t worker, const struct log *log)
{
    struct listener *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->set = set;
    l->loop = conn_set_loop(set);
    l->point = point;
    l->log = log;
    l->retry.fire = on_retry;
    ev_io_init(&l->io, on_ready, point->fds[point->count == 1 ? 0 : worker], EV_READ);
    l->io.data = l;
    ev_io_start(loop_ev(l->loop), &l->io);
    return l;
}

void listener_stop(struct listener *l)
{
    if (!l)
        return;
    ev_io_stop(loop_ev(l->loop), &l->io);
    loop_timer_cancel(l->loop, &l->retry);
    free(l);
}
