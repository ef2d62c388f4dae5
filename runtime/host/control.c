#include "host/control.h"
#include "base/buf.h"
#include "base/list.h"
#include "net/unix_socket.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 128
#define BACK_OFF 1000 /* ms without accepting when descriptors or memory are short */

/* What this file answers by itself: as commands.c does. */
#define REFUSAL(code, message)                                                                     \
    "{\"v\":1,\"ok\":false,\"error\":{\"code\":\"" code "\",\"message\":\"" message "\"}}"
static const char too_long[] = REFUSAL("too_long", "a line has up to 65536 bytes");
static const char busy[] = REFUSAL("busy", "too many are asking; try again later") "\n";

struct control_peer {
    struct list node; /* silent the longest first */
    struct control *control;
    int fd;
    struct watch *watch; /* until it can be read from or written to; NULL: it waits for long */
    struct buf in;
    struct buf out; /* of its answer, what it has not taken yet: it is not read from meanwhile */
    int waits;      /* for what; 0: nothing */
    bool busy;      /* its lines are being read */
    bool gone;      /* to be dropped after that */
    struct timer idle;
    struct deferred more; /* lines that came behind the one that is answered now */
};

struct control {
    struct loop *loop;
    const struct log *log;
    struct unix_socket socket;
    struct watch *watch; /* NULL: it backs off */
    struct timer retry;
    struct list peers;
    size_t count;
    struct log_limit refused, failed;
    void (*line)(void *context, struct control_peer *p, struct slice line);
    void *context;
};

/* --- a peer ----------------------------------------------------------------------------------- */

static void drop(struct control_peer *p)
{
    struct control *c = p->control;
    if (p->busy) {
        p->gone = true;
        return;
    }
    loop_timer_cancel(c->loop, &p->idle);
    deferred_cancel(&p->more);
    loop_unwatch(c->loop, p->watch);
    list_remove(&p->node);
    c->count--;
    close(p->fd);
    buf_free(&p->in);
    buf_free(&p->out);
    free(p);
}

static void on_idle(struct timer *t)
{
    drop(list_entry(t, struct control_peer, idle));
}

static void be_active(struct control_peer *p)
{
    list_remove(&p->node);
    list_push(&p->control->peers, &p->node);
    loop_timer_set(p->control->loop, &p->idle, CONTROL_IDLE);
}

static void on_readable(void *context);
static void on_writable(void *context);

/* It waits, and is not read from; but when it leaves, its place is free. One that has said more, or
 * has only said all, stays readable, so its leaving is not noticed before it gets its answer. */
static void on_sign(void *context)
{
    struct control_peer *p = context;
    struct pollfd state = {.fd = p->fd};
    if (poll(&state, 1, 0) == 1 && state.revents & (POLLHUP | POLLERR)) {
        drop(p);
        return;
    }
    loop_unwatch(p->control->loop, p->watch);
    p->watch = NULL;
}

static void attend(struct control_peer *p)
{
    struct loop *l = p->control->loop;
    loop_unwatch(l, p->watch);
    p->watch = p->out.len ? loop_watch_writable(l, p->fd, on_writable, p)
                          : loop_watch_readable(l, p->fd, p->waits ? on_sign : on_readable, p);
    if (!p->watch && !p->waits)
        p->gone = true;
}

/* Sends of its answer what it takes now. */
static void flush(struct control_peer *p)
{
    ssize_t n = send(p->fd, p->out.data, p->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        p->gone = true;
    else if (n == (ssize_t)p->out.len)
        buf_free(&p->out);
    else if (n > 0)
        buf_consume(&p->out, (size_t)n);
}

static void send_line(struct control_peer *p, const char *line, size_t n)
{
    if (buf_append(&p->out, line, n) && buf_append(&p->out, "\n", 1))
        flush(p);
    else
        p->gone = true;
}

/* One line after the other, until it waits, has an answer to take, is gone, or has said no more. */
static void read_lines(struct control_peer *p)
{
    struct control *c = p->control;
    p->busy = true;
    while (!p->waits && !p->out.len && !p->gone) {
        unsigned char *end = p->in.len ? memchr(p->in.data, '\n', p->in.len) : NULL;
        size_t n = end ? (size_t)(end - p->in.data) : p->in.len;
        if (n > CONTROL_LINE_MAX) {
            send_line(p, too_long, sizeof too_long - 1);
            p->gone = true;
        }
        if (!end || p->gone)
            break;
        be_active(p);
        c->line(c->context, p, (struct slice){(const char *)p->in.data, n});
        buf_consume(&p->in, n + 1);
    }
    p->busy = false;
    if (p->gone)
        drop(p);
}

static void on_more(struct deferred *d)
{
    read_lines(list_entry(d, struct control_peer, more));
}

static void on_readable(void *context)
{
    struct control_peer *p = context;
    ssize_t n = -1;
    errno = ENOMEM;
    if (buf_reserve(&p->in, 4096))
        n = recv(p->fd, p->in.data + p->in.len, 4096, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(p);
        return;
    }
    p->in.len += (size_t)n;
    read_lines(p);
}

static void on_writable(void *context)
{
    struct control_peer *p = context;
    flush(p);
    if (!p->out.len)
        attend(p);
    read_lines(p);
}

void control_wait(struct control_peer *p, int what)
{
    p->waits = what;
    attend(p);
    loop_timer_cancel(p->control->loop, &p->idle);
}

void control_answer(struct control_peer *p, const char *line, size_t n)
{
    p->waits = 0;
    be_active(p);
    send_line(p, line, n);
    attend(p);
    if (!p->busy)
        loop_defer(p->control->loop, &p->more);
}

/* --- the socket ------------------------------------------------------------------------------- */

static bool may_ask(int fd)
{
    struct ucred who = {0};
    socklen_t size = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
           (who.uid == geteuid() || who.uid == 0);
}

/* Room for one more: the first that waits for nothing. */
static void make_room(struct control *c)
{
    struct list *node = c->peers.next;
    while (c->count >= CONTROL_PEERS && node != &c->peers) {
        struct control_peer *p = list_entry(node, struct control_peer, node);
        node = node->next;
        if (!p->waits)
            drop(p);
    }
}

static void add_peer(struct control *c, int fd)
{
    struct control_peer *p = calloc(1, sizeof *p);
    if (!p) {
        close(fd);
        return;
    }
    *p = (struct control_peer){.control = c, .fd = fd, .idle = {.fire = on_idle}};
    deferred_init(&p->more, on_more);
    list_push(&c->peers, &p->node);
    c->count++;
    be_active(p);
    attend(p);
    if (p->gone)
        drop(p);
}

static void turn_away(struct control *c, int fd, const char *why)
{
    close(fd);
    if (log_allow(&c->refused, loop_now(c->loop)))
        log_warn(c->log, "control socket: refused %s", why);
}

/* The connection stays in the backlog, so readiness would call us again at once, for ever. */
static void back_off(struct control *c, int error)
{
    loop_unwatch(c->loop, c->watch);
    c->watch = NULL;
    loop_timer_set(c->loop, &c->retry, BACK_OFF);
    if (log_allow(&c->failed, loop_now(c->loop)))
        log_warn(c->log, "control socket: cannot accept: %s; trying again in %d ms",
                 strerror(error), BACK_OFF);
}

static void on_connection(void *context)
{
    struct control *c = context;
    int fd = accept4(c->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            back_off(c, errno);
        return;
    }
    if (!may_ask(fd)) {
        turn_away(c, fd, "a connection of another user");
        return;
    }
    make_room(c);
    if (c->count < CONTROL_PEERS) {
        add_peer(c, fd);
        return;
    }
    (void)!send(fd, busy, sizeof busy - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    turn_away(c, fd, "a connection: all others wait for answers");
}

static bool listen_on(struct control *c)
{
    c->watch = loop_watch_readable(c->loop, c->socket.fd, on_connection, c);
    return c->watch;
}

static void on_retry(struct timer *t)
{
    struct control *c = list_entry(t, struct control, retry);
    if (!listen_on(c))
        loop_timer_set(c->loop, &c->retry, BACK_OFF);
}

struct control *control_open(struct loop *loop, const char *path, const struct log *log,
                             void (*line)(void *context, struct control_peer *p, struct slice line),
                             void *context)
{
    struct control *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    *c = (struct control){.loop = loop, .log = log, .line = line, .context = context};
    c->retry.fire = on_retry;
    list_init(&c->peers);
    if (!unix_socket_listen(&c->socket, path, true, BACKLOG)) {
        free(c);
        return NULL;
    }
    if (!listen_on(c)) {
        control_close(c);
        errno = ENOMEM;
        return NULL;
    }
    return c;
}

void control_leave(struct control *c)
{
    if (!c)
        return;
    while (!list_empty(&c->peers))
        drop(list_entry(c->peers.next, struct control_peer, node));
    loop_timer_cancel(c->loop, &c->retry);
    loop_unwatch(c->loop, c->watch);
    unix_socket_drop(&c->socket);
    free(c);
}

void control_close(struct control *c)
{
    if (!c)
        return;
    unix_socket_close(&c->socket);
    control_leave(c);
}

void control_each(struct control *c, int what, void (*each)(void *context, struct control_peer *p),
                  void *context)
{
    struct list *node = c ? c->peers.next : NULL;
    while (node && node != &c->peers) {
        struct control_peer *p = list_entry(node, struct control_peer, node);
        node = node->next; /* an answer moves its peer to the end */
        if (p->waits == what)
            each(context, p);
    }
}
