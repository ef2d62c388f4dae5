#include "host/round.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void finish(struct round *r)
{
    r->open = false;
    loop_timer_cancel(r->loop, &r->patience);
    r->done(r, r->waiting == 0);
}

static void on_patience(struct timer *t)
{
    finish(list_entry(t, struct round, patience));
}

bool round_init(struct round *r, struct loop *loop, size_t workers)
{
    *r = (struct round){.loop = loop, .workers = workers, .patience = {.fire = on_patience}};
    r->owes = calloc(workers, sizeof *r->owes);
    return r->owes;
}

void round_free(struct round *r)
{
    if (r->open)
        loop_timer_cancel(r->loop, &r->patience);
    free(r->owes);
    *r = (struct round){0};
}

void round_open(struct round *r, void (*done)(struct round *r, bool all))
{
    r->number++;
    r->waiting = 0;
    memset(r->owes, 0, r->workers * sizeof *r->owes);
    r->open = true;
    r->done = done;
}

void round_ask(struct round *r, size_t worker)
{
    r->owes[worker] = true;
    r->waiting++;
}

void round_wait(struct round *r, uint32_t ms)
{
    r->asked_for = ms;
    loop_timer_set(r->loop, &r->patience, r->waiting ? ms : 0);
}

void round_close(struct round *r)
{
    if (r->open)
        loop_timer_cancel(r->loop, &r->patience);
    r->open = false;
}

bool round_expects(const struct round *r, size_t worker, unsigned number)
{
    return r->open && r->owes[worker] && number == r->number;
}

void round_settle(struct round *r, size_t worker)
{
    if (!r->open || !r->owes[worker])
        return;
    r->owes[worker] = false;
    if (--r->waiting == 0)
        finish(r);
}

void round_debtors(const struct round *r, char *text, size_t size)
{
    *text = '\0';
    for (size_t i = 0; i < r->workers; i++) {
        size_t used = strlen(text);
        if (r->owes[i])
            snprintf(text + used, size - used, "%s%zu", used ? ", " : "", i);
    }
}
