/* One event loop: readiness (libev), timers (wheel.h), and what runs at the end of a turn.
 *
 * A turn is: wait, then call whoever is ready, then the timers, then the deferred calls. Time is
 * taken once a turn. Everything here belongs to the thread that runs the loop. */
#ifndef TIDEWIRE_NET_LOOP_H
#define TIDEWIRE_NET_LOOP_H

#include "base/list.h"
#include "net/wheel.h"

#include <stdbool.h>
#include <stdint.h>

struct ev_loop;
struct loop;

struct loop *loop_new(void); /* NULL: memory or descriptors are short */
void loop_free(struct loop *l);

void loop_run(struct loop *l); /* until loop_stop */
void loop_stop(struct loop *l);

/* Milliseconds of a clock that never goes back, as of the start of this turn. */
uint64_t loop_now(const struct loop *l);

/* The number of this turn. */
uint64_t loop_turn(const struct loop *l);

/* Milliseconds that the last whole turn took, from the end of its wait. */
uint32_t loop_lag(const struct loop *l);

/* Fires `ms` from this very moment, not from the turn's; moves the timer when it is set already. */
void loop_timer_set(struct loop *l, struct timer *t, uint64_t ms);
void loop_timer_cancel(struct loop *l, struct timer *t);

/* A call at the end of the turn. Embedded in its owner; deferring it twice is one call. What is
 * deferred while the deferred calls run waits for the next turn, which then does not sleep. */
struct deferred {
    struct list node;
    void (*run)(struct deferred *);
};

void deferred_init(struct deferred *d, void (*run)(struct deferred *));
void loop_defer(struct loop *l, struct deferred *d);
void deferred_cancel(struct deferred *d);

/* For the rare descriptor that is no connection (a pipe between processes), and for signals.
 * NULL: memory short. loop_unwatch ends and frees it. */
struct watch;
struct watch *loop_watch_readable(struct loop *l, int fd, void (*ready)(void *context),
                                  void *context);
struct watch *loop_watch_writable(struct loop *l, int fd, void (*ready)(void *context),
                                  void *context);
struct watch *loop_watch_signal(struct loop *l, int signal, void (*ready)(void *context),
                                void *context);
void loop_unwatch(struct loop *l, struct watch *w);

/* For the other files of this floor, which embed libev's watchers. */
struct ev_loop *loop_ev(struct loop *l);

#endif
