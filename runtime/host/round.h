/* A question to all workers at once, with a time limit. */
#ifndef TIDEWIRE_HOST_ROUND_H
#define TIDEWIRE_HOST_ROUND_H

#include "net/loop.h"

#include <stdbool.h>
#include <stddef.h>

struct round {
    unsigned number; /* of this question: answers to older ones count no more */
    size_t waiting;  /* for so many workers */
    bool open;
    struct loop *loop;
    struct timer patience;
    /* Once for each round; never from within round_open. `all`: everybody who lives has answered.
     */
    void (*done)(struct round *r, bool all);
};

void round_init(struct round *r, struct loop *loop);

/* Asks anew; whoever is asked counts with round_owed, then round_asked waits for them. */
void round_open(struct round *r, void (*done)(struct round *r, bool all));
void round_owed(struct round *r);
void round_asked(struct round *r, uint32_t ms);

void round_answered(struct round *r); /* one of them, or its end */
void round_close(struct round *r);    /* without `done` */

#endif
