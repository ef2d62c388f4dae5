#include "net/wheel.h"

#include <stdlib.h>

#define DIGIT 6 /* bits of a time that choose a slot in one level */
#define SLOTS (1u << DIGIT)
#define LEVELS 11 /* 66 bits: every time of 64 bits has its place, none is too far off */

/* Times are numbers of eleven 6-bit digits. A timer is kept in the level of the highest digit in
 * which its due time differs from `at`, in the slot of that digit's value. So whatever is in a
 * level is due before all that is in higher ones, slots of a level follow each other in time, and
 * none is used for two turns at once: the lowest bit of the lowest level in use is the next slot.
 * When `at` reaches a slot above level 0, its timers move to lower levels, at most ten times each.
 */
struct wheel {
    uint64_t at;           /* what the slots are arranged for */
    uint64_t now;          /* of the latest advance; ahead of `at` while that one fires */
    struct timer *late;    /* set when their time had passed */
    struct timer *firing;  /* taken out by the advance that is on */
    uint64_t used[LEVELS]; /* a bit for each slot that is not empty */
    struct timer *slots[LEVELS][SLOTS];
};

_Static_assert(sizeof(struct timer) <= 32, "there is one in each connection");

struct wheel *wheel_new(uint64_t now)
{
    struct wheel *w = calloc(1, sizeof(*w));
    if (w)
        w->at = w->now = now;
    return w;
}

void wheel_free(struct wheel *w)
{
    free(w);
}

static unsigned level_of(const struct wheel *w, uint64_t due)
{
    return (63u - (unsigned)__builtin_clzll((w->at ^ due) | 1)) / DIGIT;
}

static unsigned slot_of(uint64_t due, unsigned level)
{
    return (unsigned)(due >> (DIGIT * level)) % SLOTS;
}

static void attach(struct timer **head, struct timer *t)
{
    t->next = *head;
    t->link = head;
    if (t->next)
        t->next->link = &t->next;
    *head = t;
}

static void detach(struct timer *t)
{
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    t->next = NULL;
    t->link = NULL;
}

static void place(struct wheel *w, struct timer *t)
{
    unsigned level = level_of(w, t->due), slot = slot_of(t->due, level);
    attach(&w->slots[level][slot], t);
    w->used[level] |= (uint64_t)1 << slot;
}

void wheel_set(struct wheel *w, struct timer *t, uint64_t due)
{
    wheel_cancel(w, t);
    t->due = due;
    if (due <= w->now)
        attach(&w->late, t);
    else
        place(w, t);
}

void wheel_cancel(struct wheel *w, struct timer *t)
{
    if (!t->link)
        return;
    detach(t);
    /* It may as well have been in `late` or `firing`; then this slot's bit is right already. */
    unsigned level = level_of(w, t->due), slot = slot_of(t->due, level);
    if (!w->slots[level][slot])
        w->used[level] &= ~((uint64_t)1 << slot);
}

/* The next slot in use and the first time that belongs to it; false when all are empty. */
static bool next_slot(const struct wheel *w, unsigned *level, unsigned *slot, uint64_t *start)
{
    for (*level = 0; *level < LEVELS; ++*level) {
        if (!w->used[*level])
            continue;
        *slot = (unsigned)__builtin_ctzll(w->used[*level]);
        unsigned shift = DIGIT * *level;
        uint64_t above = w->at >> shift >> DIGIT; /* in two steps: 66 would be undefined */
        *start = (above << DIGIT | *slot) << shift;
        return true;
    }
    return false;
}

/* Two chains ordered by due time become one; uses and sets `next` alone. */
static struct timer *merge(struct timer *a, struct timer *b)
{
    struct timer *first = NULL, **end = &first;
    while (a && b) {
        struct timer **earlier = b->due < a->due ? &b : &a;
        *end = *earlier;
        end = &(*end)->next;
        *earlier = *end;
    }
    *end = a ? a : b;
    return first;
}

/* Takes all of `late` into `firing`, ordered: there are no slots for the past. */
static void take_late(struct wheel *w)
{
    struct timer *sorted[64] = {0}; /* sorted[i]: none or 2^i timers */
    struct timer *rest = w->late, *all = NULL;
    w->late = NULL;
    while (rest) {
        struct timer *run = rest;
        rest = rest->next;
        run->next = NULL;
        unsigned i = 0;
        for (; sorted[i]; i++) {
            run = merge(sorted[i], run);
            sorted[i] = NULL;
        }
        sorted[i] = run;
    }
    for (unsigned i = 0; i < 64; i++)
        all = merge(sorted[i], all);
    w->firing = all;
    for (struct timer **link = &w->firing; *link; link = &(*link)->next)
        (*link)->link = link;
}

static void take_slot(struct wheel *w, unsigned level, unsigned slot)
{
    w->firing = w->slots[level][slot];
    w->firing->link = &w->firing;
    w->slots[level][slot] = NULL;
    w->used[level] &= ~((uint64_t)1 << slot);
}

/* One by one from the head, since each may cancel or move those behind it. */
static void fire_all(struct wheel *w)
{
    while (w->firing) {
        struct timer *t = w->firing;
        detach(t);
        t->fire(t);
    }
}

static void spread(struct wheel *w)
{
    while (w->firing) {
        struct timer *t = w->firing;
        detach(t);
        place(w, t);
    }
}

void wheel_advance(struct wheel *w, uint64_t now)
{
    unsigned level, slot;
    uint64_t start;

    w->now = now;
    if (w->late) {
        take_late(w);
        fire_all(w);
    }
    while (next_slot(w, &level, &slot, &start) && start <= w->now) {
        w->at = start;
        take_slot(w, level, slot);
        if (level == 0)
            fire_all(w);
        else
            spread(w);
    }
    w->at = w->now;
}

uint64_t wheel_next(const struct wheel *w)
{
    unsigned level, slot;
    uint64_t start = UINT64_MAX;

    if (w->late || (next_slot(w, &level, &slot, &start) && start <= w->now))
        return w->now + 1;
    return start;
}
