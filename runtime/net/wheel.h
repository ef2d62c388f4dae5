/* A hierarchical timing wheel: many timers, each set, moved and cancelled in constant time.
 * Pure: the time is an argument, in milliseconds, from a clock that never goes back. */
#ifndef TIDEWIRE_NET_WHEEL_H
#define TIDEWIRE_NET_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

/* Embedded in its owner; zero-initialised it is not set. 32 bytes. */
struct timer {
    struct timer *next, **link; /* link NULL: not set */
    uint64_t due;               /* ms */
    void (*fire)(struct timer *);
};

struct wheel;

struct wheel *wheel_new(uint64_t now); /* NULL when memory is short */
void wheel_free(struct wheel *w);      /* timers still set are forgotten, not fired */

/* Sets or moves a timer to fire at `due`. When that has passed, it is among the first that the
 * next advance fires, even one to the same time. */
void wheel_set(struct wheel *w, struct timer *t, uint64_t due);
void wheel_cancel(struct wheel *w, struct timer *t); /* harmless when not set */

static inline bool timer_is_set(const struct timer *t)
{
    return t->link != 0;
}

/* Fires everything due at or before `now`, earlier due times first (to the millisecond; equal
 * ones in any order). A timer is unset before it fires; what it fires may set, move or cancel any
 * timer, itself included, or free its owner, but not advance the wheel. A timer that is set while
 * firing for a time up to `now` waits for the next advance, so that no callback can keep the wheel
 * turning. */
void wheel_advance(struct wheel *w, uint64_t now);

/* When wheel_advance has to be called next: a time at or before the earliest due one and after
 * the wheel's own time (so for timers that are late already it is 1 ms from there); UINT64_MAX
 * when nothing is set. Some such times only rearrange the wheel, at most ten before one fires. */
uint64_t wheel_next(const struct wheel *w);

#endif
