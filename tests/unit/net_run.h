/* For tests of what works on a loop: turns of it until something holds, and sockets of this machine
 * to talk to. Nothing here allocates, so that it may run while allocations fail. */
#ifndef TIDEWIRE_TESTS_UNIT_NET_RUN_H
#define TIDEWIRE_TESTS_UNIT_NET_RUN_H

#include "net/loop.h"

#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define GUARD_MS 30000 /* of a test that waits for what does not come */

static inline void on_guard(struct timer *t)
{
    (void)t;
    fail_msg("the loop waits for something that does not come");
}

struct condition {
    ev_prepare looks;
    bool (*holds)(void *context);
    void *context;
};

static inline void on_look(struct ev_loop *ev, ev_prepare *w, int events)
{
    struct condition *c = w->data;
    (void)events;
    if (c->holds(c->context))
        ev_break(ev, EVBREAK_ONE);
}

/* Turns until it holds; it is asked before each wait, when the deferred calls have run. */
static inline void run_until_holds(struct loop *loop, bool (*holds)(void *context), void *context)
{
    struct timer guard = {.fire = on_guard};
    struct condition c = {.holds = holds, .context = context};
    ev_prepare_init(&c.looks, on_look);
    ev_set_priority(&c.looks, EV_MINPRI);
    c.looks.data = &c;
    ev_prepare_start(loop_ev(loop), &c.looks);
    loop_timer_set(loop, &guard, GUARD_MS);
    ev_run(loop_ev(loop), 0);
    loop_timer_cancel(loop, &guard);
    ev_prepare_stop(loop_ev(loop), &c.looks);
}

static inline bool is_true(void *flag)
{
    return *(const bool *)flag;
}

static inline void run_until(struct loop *loop, bool *flag)
{
    run_until_holds(loop, is_true, flag);
}

/* As many turns as there are, without waiting. */
static inline void run_turns(struct loop *loop, int turns)
{
    while (turns--)
        ev_run(loop_ev(loop), EVRUN_NOWAIT);
}

static inline struct sockaddr_storage ipv4(const char *host, uint16_t port)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in *in = (void *)&a;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    assert_int_equal(inet_pton(AF_INET, host, &in->sin_addr), 1);
    return a;
}

static inline struct sockaddr_storage ipv6(const char *host, uint16_t port)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in6 *in6 = (void *)&a;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    assert_int_equal(inet_pton(AF_INET6, host, &in6->sin6_addr), 1);
    return a;
}

/* A socket on a free port of 127.0.0.1. A TCP one listens with a backlog above -1; otherwise the
 * port is only taken, and a connection to it refused. */
static inline int local_socket(int type, int backlog, uint16_t *port)
{
    struct sockaddr_storage a = ipv4("127.0.0.1", 0);
    socklen_t size = sizeof(struct sockaddr_in);
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (void *)&a, size), 0);
    assert_int_equal(getsockname(fd, (void *)&a, &size), 0);
    *port = ntohs(((struct sockaddr_in *)(void *)&a)->sin_port);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

/* A TCP port that neither takes a connection nor refuses one: its backlog is full. */
#define HOLE_FILLERS 64
struct hole {
    int listener, fillers[HOLE_FILLERS];
    uint16_t port;
};

static inline struct hole hole_new(void)
{
    struct hole h;
    h.listener = local_socket(SOCK_STREAM, 0, &h.port);
    struct sockaddr_storage a = ipv4("127.0.0.1", h.port);
    for (size_t i = 0; i < HOLE_FILLERS; i++) {
        h.fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_true(h.fillers[i] >= 0);
        (void)!connect(h.fillers[i], (void *)&a, sizeof(struct sockaddr_in));
    }
    return h;
}

static inline void hole_free(struct hole *h)
{
    for (size_t i = 0; i < HOLE_FILLERS; i++)
        close(h->fillers[i]);
    close(h->listener);
}

#endif
