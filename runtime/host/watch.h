/* Is a version that has just been taken worse than the one before? The decision, apart from clocks
 * and processes. */
#ifndef TIDEWIRE_HOST_WATCH_H
#define TIDEWIRE_HOST_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WATCH_ERRORS 5   /* so many are needed, at least ... */
#define WATCH_SHARE 0.02 /* ... and more than this share of the calls ... */
#define WATCH_FACTOR 5   /* ... and so many times the rate of before */

/* Calls of the app, of all workers. */
struct watch_count {
    uint64_t handled, failed; /* `failed` are among them */
    uint64_t migrations_failed;
};

void watch_add(struct watch_count *sum, const struct watch_count *more);

/* true: it has to go; `why` says it in words for people. */
bool watch_is_bad(const struct watch_count *now, const struct watch_count *before, char *why,
                  size_t size);

/* Are there errors enough to ask all workers? Until then no other count matters. */
bool watch_is_suspect(const struct watch_count *now);

#endif
