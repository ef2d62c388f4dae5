#include "host/watch.h"

#include <inttypes.h>
#include <stdio.h>

void watch_add(struct watch_count *sum, const struct watch_count *more)
{
    sum->handled += more->handled;
    sum->failed += more->failed;
    sum->migrations_failed += more->migrations_failed;
}

static double rate_of(const struct watch_count *c)
{
    uint64_t calls = c->handled > c->failed ? c->handled : c->failed;
    return calls ? (double)c->failed / (double)calls : 0;
}

bool watch_is_suspect(const struct watch_count *now)
{
    return now->migrations_failed || now->failed >= WATCH_ERRORS;
}

bool watch_is_bad(const struct watch_count *now, const struct watch_count *before, char *why,
                  size_t size)
{
    double rate = rate_of(now), then = rate_of(before);
    if (now->migrations_failed) {
        snprintf(why, size, "%" PRIu64 " connection%s could not be migrated",
                 now->migrations_failed, now->migrations_failed == 1 ? "" : "s");
        return true;
    }
    if (now->failed < WATCH_ERRORS || rate <= WATCH_SHARE || rate < WATCH_FACTOR * then)
        return false;
    snprintf(why, size, "%" PRIu64 " of %" PRIu64 " calls have failed (%.1f %%, before it %.1f %%)",
             now->failed, now->handled > now->failed ? now->handled : now->failed, rate * 100,
             then * 100);
    return true;
}
