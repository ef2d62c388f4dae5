#include "net/loop.h"

#include <ev.h>
#include <stdlib.h>
#include <time.h>

struct loop {
    struct ev_loop *ev;
    struct wheel *wheel;
    uint64_t now, turn;
    uint32_t lag;
    struct list deferred;
    bool stopped;      /* also when that came before loop_run, which libev would forget */
    ev_timer alarm;    /* the one libev timer: wakes the loop for the wheel */
    uint64_t alarm_at; /* what it is set to; UINT64_MAX: not set */
    ev_prepare before_wait;
    ev_check after_wait;
};

struct watch {
    ev_io io;
    ev_signal signal;
    bool is_signal;
    void (*ready)(void *context);
    void *context;
};

static uint64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void run_deferred(struct loop *l)
{
    struct list round;
    if (list_empty(&l->deferred))
        return;
    /* Take the whole list over: what is deferred from now on belongs to the next turn. */
    round = l->deferred;
    round.next->prev = &round;
    round.prev->next = &round;
    list_init(&l->deferred);
    for (struct list *node; (node = list_shift(&round));) {
        struct deferred *d = list_entry(node, struct deferred, node);
        d->run(d);
    }
}

/* The wheel is advanced before the next wait; the alarm only ends this one. */
static void on_alarm(struct ev_loop *ev, ev_timer *w, int events)
{
    struct loop *l = w->data;
    (void)ev;
    (void)events;
    l->alarm_at = UINT64_MAX;
}

static void set_alarm(struct loop *l)
{
    uint64_t next = list_empty(&l->deferred) ? wheel_next(l->wheel) : l->now;
    if (next == l->alarm_at)
        return;
    ev_timer_stop(l->ev, &l->alarm);
    l->alarm_at = next;
    if (next == UINT64_MAX)
        return;
    uint64_t now = clock_ms();
    ev_now_update(l->ev);
    ev_timer_set(&l->alarm, next > now ? (double)(next - now) / 1000.0 : 0.0, 0.0);
    ev_timer_start(l->ev, &l->alarm);
}

static void on_before_wait(struct ev_loop *ev, ev_prepare *w, int events)
{
    struct loop *l = w->data;
    (void)ev;
    (void)events;
    /* Timers come after the input of the turn: a process that was held up for long must see that
     * its peers are alive before their time-outs judge them. */
    wheel_advance(l->wheel, l->now);
    run_deferred(l);
    uint64_t took = clock_ms() - l->now;
    l->lag = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
    set_alarm(l);
}

static void on_after_wait(struct ev_loop *ev, ev_check *w, int events)
{
    struct loop *l = w->data;
    (void)ev;
    (void)events;
    l->now = clock_ms();
    l->turn++;
}

struct loop *loop_new(void)
{
    struct loop *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->now = clock_ms();
    l->ev = ev_loop_new(EVFLAG_NOENV);
    l->wheel = wheel_new(l->now);
    if (!l->ev || !l->wheel) {
        loop_free(l);
        return NULL;
    }
    list_init(&l->deferred);
    l->alarm_at = UINT64_MAX;
    ev_init(&l->alarm, on_alarm);
    l->alarm.data = l;
    ev_prepare_init(&l->before_wait, on_before_wait);
    l->before_wait.data = l;
    ev_prepare_start(l->ev, &l->before_wait);
    ev_check_init(&l->after_wait, on_after_wait);
    l->after_wait.data = l;
    /* first of all that is ready, so that everybody sees this turn's time */
    ev_set_priority(&l->after_wait, EV_MAXPRI);
    ev_check_start(l->ev, &l->after_wait);
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    if (l->ev)
        ev_loop_destroy(l->ev);
    wheel_free(l->wheel);
    free(l);
}

void loop_run(struct loop *l)
{
    if (!l->stopped)
        ev_run(l->ev, 0);
    l->stopped = false;
}

void loop_stop(struct loop *l)
{
    l->stopped = true;
    ev_break(l->ev, EVBREAK_ALL);
}

uint64_t loop_now(const struct loop *l)
{
    return l->now;
}

uint64_t loop_turn(const struct loop *l)
{
    return l->turn;
}

uint32_t loop_lag(const struct loop *l)
{
    return l->lag;
}

/* From this moment on: the time of the turn may be long ago when a handler computes. */
void loop_timer_set(struct loop *l, struct timer *t, uint64_t ms)
{
    wheel_set(l->wheel, t, clock_ms() + ms);
}

void loop_timer_cancel(struct loop *l, struct timer *t)
{
    wheel_cancel(l->wheel, t);
}

void deferred_init(struct deferred *d, void (*run)(struct deferred *))
{
    list_init(&d->node);
    d->run = run;
}

void loop_defer(struct loop *l, struct deferred *d)
{
    if (list_empty(&d->node))
        list_push(&l->deferred, &d->node);
}

void deferred_cancel(struct deferred *d)
{
    list_remove(&d->node);
}

static void on_io(struct ev_loop *ev, ev_io *w, int events)
{
    struct watch *watch = w->data;
    (void)ev;
    (void)events;
    watch->ready(watch->context);
}

static void on_signal(struct ev_loop *ev, ev_signal *w, int events)
{
    struct watch *watch = w->data;
    (void)ev;
    (void)events;
    watch->ready(watch->context);
}

static struct watch *watch_new(void (*ready)(void *), void *context)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->ready = ready;
    w->context = context;
    w->io.data = w->signal.data = w;
    return w;
}

static struct watch *watch_io(struct loop *l, int fd, int events, void (*ready)(void *),
                              void *context)
{
    struct watch *w = watch_new(ready, context);
    if (!w)
        return NULL;
    ev_io_init(&w->io, on_io, fd, events);
    ev_io_start(l->ev, &w->io);
    return w;
}

struct watch *loop_watch_readable(struct loop *l, int fd, void (*ready)(void *), void *context)
{
    return watch_io(l, fd, EV_READ, ready, context);
}

struct watch *loop_watch_writable(struct loop *l, int fd, void (*ready)(void *), void *context)
{
    return watch_io(l, fd, EV_WRITE, ready, context);
}

struct watch *loop_watch_signal(struct loop *l, int signal, void (*ready)(void *), void *context)
{
    struct watch *w = watch_new(ready, context);
    if (!w)
        return NULL;
    w->is_signal = true;
    ev_signal_init(&w->signal, on_signal, signal);
    ev_signal_start(l->ev, &w->signal);
    return w;
}

void loop_unwatch(struct loop *l, struct watch *w)
{
    if (!w)
        return;
    if (w->is_signal)
        ev_signal_stop(l->ev, &w->signal);
    else
        ev_io_stop(l->ev, &w->io);
    free(w);
}

struct ev_loop *loop_ev(struct loop *l)
{
    return l->ev;
}
