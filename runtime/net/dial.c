#include "net/dial.h"
#include "base/slice.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define NEXT_AFTER 250 /* ms, RFC 8305 section 5 */
#define BUSY_RETRY 50  /* ms; see EAGAIN in begin() */

enum progress {
    NOT_BEGUN,
    UNDER_WAY,
    BUSY, /* a Unix socket whose backlog is full: to be asked again */
    FAILED,
};

struct attempt {
    struct dial *dial;
    ev_io io; /* active while UNDER_WAY */
    int fd;   /* -1: none */
    enum progress progress;
    int error; /* errno of FAILED */
    struct sockaddr_storage address;
};

struct dial {
    struct loop *loop;
    void (*done)(void *context, const struct dial_result *result); /* NULL: it has been told */
    void *context;
    struct timer next; /* the next address's turn */
    struct deferred later;
    struct dial_result result;
    struct buf text;
    size_t begun; /* attempts that are not NOT_BEGUN: the first ones */
    size_t count;
    struct attempt attempts[];
};

static void on_next(struct timer *t);
static void on_later(struct deferred *d);
static void on_io(struct ev_loop *ev, ev_io *w, int events);

/* --- the order -------------------------------------------------------------------------------- */

static const struct sockaddr_storage *nth_of_kind(const struct sockaddr_storage *addresses,
                                                  size_t count, bool ipv6, size_t n)
{
    for (size_t i = 0; i < count; i++)
        if ((addresses[i].ss_family == AF_INET6) == ipv6 && n-- == 0)
            return &addresses[i];
    return NULL;
}

static void interleave(struct dial *d, const struct sockaddr_storage *addresses)
{
    size_t filled = 0;
    for (size_t n = 0; filled < d->count; n++) {
        for (int ipv6 = 1; ipv6 >= 0; ipv6--) {
            const struct sockaddr_storage *a = nth_of_kind(addresses, d->count, ipv6, n);
            if (!a)
                continue;
            d->attempts[filled] = (struct attempt){.dial = d, .fd = -1, .address = *a};
            ev_init(&d->attempts[filled].io, on_io);
            d->attempts[filled].io.data = &d->attempts[filled];
            filled++;
        }
    }
}

/* --- attempts --------------------------------------------------------------------------------- */

static socklen_t address_size(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET    ? sizeof(struct sockaddr_in)
           : a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                      : sizeof(struct sockaddr_un);
}

static void close_attempt(struct attempt *a)
{
    ev_io_stop(loop_ev(a->dial->loop), &a->io);
    if (a->fd >= 0)
        close(a->fd);
    a->fd = -1;
}

static void fail_attempt(struct attempt *a, int error)
{
    close_attempt(a);
    a->progress = FAILED;
    a->error = error;
}

/* A port of the range that the kernel gives to clients may be chosen for our own end, and then the
 * socket is connected to itself. Nobody listens there. */
static bool is_own_echo(int fd)
{
    struct sockaddr_storage here = {0}, there = {0};
    socklen_t here_size = sizeof here, there_size = sizeof there;
    return getsockname(fd, (void *)&here, &here_size) == 0 && here.ss_family != AF_UNIX &&
           getpeername(fd, (void *)&there, &there_size) == 0 && here_size == there_size &&
           memcmp(&here, &there, here_size) == 0;
}

static void connected(struct attempt *a)
{
    struct dial *d = a->dial;
    int on = 1;
    if (is_own_echo(a->fd)) {
        fail_attempt(a, ECONNREFUSED);
        return;
    }
    if (a->address.ss_family != AF_UNIX)
        setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    d->result.fd = a->fd;
    d->result.peer = a->address;
    a->fd = -1;
    for (size_t i = 0; i < d->begun; i++)
        close_attempt(&d->attempts[i]);
    loop_timer_cancel(d->loop, &d->next);
    loop_defer(d->loop, &d->later);
}

static void begin(struct attempt *a)
{
    a->fd = socket(a->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->fd < 0) {
        fail_attempt(a, errno);
        return;
    }
    a->progress = UNDER_WAY;
    if (connect(a->fd, (void *)&a->address, address_size(&a->address)) == 0) {
        connected(a);
    } else if (errno == EINPROGRESS || errno == EINTR) {
        ev_io_set(&a->io, a->fd, EV_WRITE);
        ev_io_start(loop_ev(a->dial->loop), &a->io);
    } else if (errno == EAGAIN && a->address.ss_family == AF_UNIX) {
        /* its backlog is full, and no readiness tells when it is not */
        close_attempt(a);
        a->progress = BUSY;
    } else {
        fail_attempt(a, errno);
    }
}

static bool any_in(const struct dial *d, enum progress progress)
{
    for (size_t i = 0; i < d->begun; i++)
        if (d->attempts[i].progress == progress)
            return true;
    return false;
}

static bool has_won(const struct dial *d)
{
    return d->result.fd >= 0;
}

static void fail(struct dial *d)
{
    if (!dial_explain(d, &d->text) || !buf_append(&d->text, "", 1))
        buf_free(&d->text);
    d->result.text = d->text.len ? (const char *)d->text.data : "out of memory";
    loop_defer(d->loop, &d->later);
}

/* Begins the next attempt, and those after it while they fail at once. */
static void go_on(struct dial *d)
{
    while (!has_won(d) && d->begun < d->count) {
        struct attempt *a = &d->attempts[d->begun++];
        begin(a);
        if (a->progress != FAILED)
            break;
    }
    if (has_won(d))
        return;
    if (d->begun < d->count)
        loop_timer_set(d->loop, &d->next, NEXT_AFTER);
    else if (any_in(d, BUSY))
        loop_timer_set(d->loop, &d->next, BUSY_RETRY);
    else if (!any_in(d, UNDER_WAY))
        fail(d);
}

static void on_next(struct timer *t)
{
    struct dial *d = list_entry(t, struct dial, next);
    for (size_t i = 0; i < d->begun && !has_won(d); i++)
        if (d->attempts[i].progress == BUSY)
            begin(&d->attempts[i]);
    go_on(d);
}

static void on_io(struct ev_loop *ev, ev_io *w, int events)
{
    struct attempt *a = w->data;
    struct dial *d = a->dial;
    int error = 0;
    socklen_t size = sizeof error;
    (void)events;
    ev_io_stop(ev, w);
    if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &size))
        error = errno;
    if (error)
        fail_attempt(a, error);
    else
        connected(a);
    if (a->progress == FAILED)
        go_on(d);
}

/* --- life ------------------------------------------------------------------------------------- */

struct dial *dial_start(struct loop *loop, const struct sockaddr_storage *addresses, size_t count,
                        void (*done)(void *context, const struct dial_result *result),
                        void *context)
{
    struct dial *d = calloc(1, sizeof *d + count * sizeof d->attempts[0]);
    if (!d)
        return NULL;
    d->loop = loop;
    d->done = done;
    d->context = context;
    d->next.fire = on_next;
    d->result.fd = -1;
    d->count = count;
    deferred_init(&d->later, on_later);
    interleave(d, addresses);
    go_on(d);
    return d;
}

static void release(struct dial *d)
{
    for (size_t i = 0; i < d->begun; i++)
        close_attempt(&d->attempts[i]);
    loop_timer_cancel(d->loop, &d->next);
    deferred_cancel(&d->later);
    buf_free(&d->text);
    free(d);
}

static void on_later(struct deferred *deferred)
{
    struct dial *d = list_entry(deferred, struct dial, later);
    void (*done)(void *, const struct dial_result *) = d->done;
    d->done = NULL; /* a cancel from within comes too late */
    done(d->context, &d->result);
    release(d);
}

void dial_cancel(struct dial *d)
{
    if (!d || !d->done)
        return;
    if (has_won(d))
        close(d->result.fd);
    release(d);
}

/* --- words ------------------------------------------------------------------------------------ */

/* A Unix socket's path is left to whoever has asked for it. */
static bool append_address(const struct sockaddr_storage *a, struct buf *out)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (a->ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, text,
                  sizeof text);
    else if (a->ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, text,
                  sizeof text);
    else
        return true;
    return buf_append_str(out, text) && buf_append_str(out, ": ");
}

/* "connection refused": the system's words begin with a capital. */
static bool append_reason(const struct attempt *a, struct buf *out)
{
    if (a->progress == UNDER_WAY)
        return buf_append_str(out, "no answer");
    if (a->progress == BUSY)
        return buf_append_str(out, "it accepts no more connections");
    size_t at = out->len;
    if (!buf_append_str(out, strerror(a->error)))
        return false;
    if (at < out->len)
        out->data[at] = (unsigned char)ascii_lower((char)out->data[at]);
    return true;
}

bool dial_explain(const struct dial *d, struct buf *out)
{
    for (size_t i = 0; i < d->begun; i++) {
        const struct attempt *a = &d->attempts[i];
        if ((i && !buf_append_str(out, "; ")) || !append_address(&a->address, out) ||
            !append_reason(a, out))
            return false;
    }
    return true;
}

bool dial_unix_address(const char *path, struct sockaddr_storage *out)
{
    struct sockaddr_un *un = (void *)out;
    size_t n = strlen(path);
    if (!n || n >= sizeof un->sun_path)
        return false;
    memset(out, 0, sizeof *out);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, n);
    return true;
}
