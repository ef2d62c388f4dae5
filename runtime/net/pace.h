/* So many a second, and in a burst no more than that: a token bucket whose one number is the time
 * at which it will be full again. */
#ifndef TIDEWIRE_NET_PACE_H
#define TIDEWIRE_NET_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_SECOND 1000000000u /* ns: one event of a high rate still takes some */

/* Zero-initialised it is full. */
struct pace {
    uint64_t full_at; /* ns of loop_now */
};

/* Takes one of `rate` a second, 1 to PACE_SECOND. false: none is left at this time, `now` in ms. */
static inline bool pace_take(struct pace *p, uint32_t rate, uint64_t now)
{
    uint64_t at = now * 1000000, one = PACE_SECOND / rate;
    uint64_t full_at = (p->full_at > at ? p->full_at : at) + one;
    if (full_at - at > PACE_SECOND)
        return false;
    p->full_at = full_at;
    return true;
}

#endif
