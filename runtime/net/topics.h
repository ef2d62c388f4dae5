/* Who is subscribed to what, in this process. Pure data: delivery is the caller's.
 *
 * A topic is levels separated by "/", UTF-8, 1 to 255 bytes, no level empty, no NUL, "+" or "#".
 * A filter is a topic in which a whole level may be "+" (any one level) and the last one "#" (the
 * rest, at least one level). */
#ifndef TIDEWIRE_NET_TOPICS_H
#define TIDEWIRE_NET_TOPICS_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOPIC_MAX 255

enum topic_error {
    TOPIC_ERR_INVALID = -1, /* no topic or filter as above */
    TOPIC_ERR_LIMIT = -2,   /* subscriber->limit reached */
    TOPIC_ERR_MEMORY = -3,
};

struct subscription;
struct topics;

/* Embedded in whoever subscribes; zero-initialised, but for `limit`, it has no subscriptions. */
struct subscriber {
    struct subscription *first;
    uint64_t stamp; /* of the last publication it was found for */
    unsigned count, limit;
};

struct topics *topics_new(uint64_t seed); /* NULL when memory is short */
void topics_free(struct topics *t);       /* no subscriber may be left */

bool topics_topic_valid(struct slice topic);
bool topics_filter_valid(struct slice filter);

/* 1: subscribed now; 0: was already; or an enum topic_error. */
int topics_subscribe(struct topics *t, struct subscriber *who, struct slice filter);
/* true when it was subscribed to exactly this filter. */
bool topics_unsubscribe(struct topics *t, struct subscriber *who, struct slice filter);
/* Ends all its subscriptions. */
void topics_leave(struct topics *t, struct subscriber *who);

/* Calls `deliver` once for each subscriber with at least one filter that matches `topic`, however
 * many do. `deliver` must not subscribe or unsubscribe. Returns how many there were, or
 * TOPIC_ERR_INVALID. */
long topics_match(struct topics *t, struct slice topic,
                  void (*deliver)(struct subscriber *who, void *context), void *context);

/* Filters that have at least one subscriber. */
size_t topics_count(const struct topics *t);

#endif
