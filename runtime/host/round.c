#include "host/round.h"

static void finish(struct round *r, bool all)
{
    round_close(r);
    r->done(r, all);
}

static void on_patience(struct timer *t)
{
    struct round *r = list_entry(t, struct round, patience);
    finish(r, r->waiting == 0);
}

void round_init(struct round *r, struct loop *loop)
{
    *r = (struct round){.loop = loop, .patience = {.fire = on_patience}};
}

void round_open(struct round *r, void (*done)(struct round *r, bool all))
{
    r->number++;
    r->waiting = 0;
    r->open = true;
    r->done = done;
}

void round_owed(struct round *r)
{
    r->waiting++;
}

void round_asked(struct round *r, uint32_t ms)
{
    loop_timer_set(r->loop, &r->patience, r->waiting ? ms : 0);
}

void round_answered(struct round *r)
{
    if (r->open && r->waiting && --r->waiting == 0)
        finish(r, true);
}

void round_close(struct round *r)
{
    r->open = false;
    loop_timer_cancel(r->loop, &r->patience);
}
