/* A question to all workers at once, with a time limit. */
#ifndef TIDEWIRE_HOST_ROUND_H
#define TIDEWIRE_HOST_ROUND_H

#include "net/loop.h"

#include <stdbool.h>
#include <stddef.h>

struct round {
    unsigned number; /* of this question: answers to older ones count no more */
    bool open;
    bool *owes; /* for each worker: it is asked, and has not answered */
    size_t workers, waiting;
    uint32_t asked_for; /* ms: the time limit */
    struct loop *loop;
    struct timer patience;
    /* Once for each round; never from within round_open, round_ask or round_wait. `all`: everybody
     * who lives has answered. */
    void (*done)(struct round *r, bool all);
};

bool round_init(struct round *r, struct loop *loop, size_t workers); /* false: memory short */
void round_free(struct round *r); /* without `done`; one that is zero is free */

/* Asks anew: round_ask for each who is asked, then round_wait for up to `ms`. */
void round_open(struct round *r, void (*done)(struct round *r, bool all));
void round_ask(struct round *r, size_t worker);
void round_wait(struct round *r, uint32_t ms);

/* Ends the question without `done`, if it is open. */
void round_close(struct round *r);

/* Is this question the one that is open, and the worker's answer still to come? */
bool round_expects(const struct round *r, size_t worker, unsigned number);

/* The worker has answered, or has ended; nothing if it owes nothing. May call `done`. */
void round_settle(struct round *r, size_t worker);

/* The numbers of those who have not answered: "0, 2". */
void round_debtors(const struct round *r, char *text, size_t size);

#endif
