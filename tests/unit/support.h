/* What the unit tests share: bytes against a guard page, a vector fed in every way, allocations
 * that fail on demand, and costs counted in comparisons instead of time. Everything here ends the
 * test program at once when it cannot do its own work. */
#ifndef TIDEWIRE_TESTS_UNIT_SUPPORT_H
#define TIDEWIRE_TESTS_UNIT_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A writable copy of n bytes that ends exactly at an inaccessible page: reading or writing one
 * byte past it is a fault. The bytes in front of it have a pattern that guard_free checks; under
 * ASan the whole units of 8 among them are poisoned. n may be 0. */
unsigned char *guard_copy(const void *bytes, size_t n);
void guard_free(unsigned char *ptr, size_t n);

/* A vector on its way to the code under test, piece by piece. Each piece is a guard_copy of its
 * own; taking the next one unmaps the one before, so that a stale pointer is a fault too. */
struct feed {
    const unsigned char *bytes; /* the whole vector, for comparison; not guarded */
    size_t n;
    size_t first; /* size of the first piece ... */
    size_t then;  /* ... and of those that follow */
    size_t at;    /* bytes handed out so far */
    bool started;
    unsigned char *copy; /* the guard copy that is out */
    size_t copy_len;
};

/* The next piece; false at the end. An empty vector is one empty piece. */
bool feed_next(struct feed *f, unsigned char **piece, size_t *n);

/* The same for code that wants all that has arrived: each call adds a piece and hands out the
 * whole prefix. Not to be mixed with feed_next in one run. */
bool feed_next_prefix(struct feed *f, unsigned char **prefix, size_t *n);

/* Ready for asserting in words: "whole", "byte by byte" or "split at 7". */
const char *feed_how(const struct feed *f, char out[32]);

/* Called once for each way of cutting the vector; starts with fresh state each time. */
typedef void feed_run(struct feed *f, void *context);

/* Whole, byte by byte, and at every split in two: n + 1 runs (one for n below 2), so about n * n
 * bytes of copies. For long vectors use the two below. */
void feed_every_way(const void *bytes, size_t n, feed_run *run, void *context);

/* In pieces of `piece` bytes (1 or more); the last may be shorter. */
void feed_in_pieces(const void *bytes, size_t n, size_t piece, feed_run *run, void *context);

/* In two: the first `at` bytes (0 to n), then the rest. */
void feed_split_at(const void *bytes, size_t n, size_t at, feed_run *run, void *context);

/* The allocation after the next `successes` ones fails, and so do all that follow, until
 * allocations_succeed. Needs the link flags -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc;
 * without them it ends the program. Does not reach allocations inside shared libraries. */
void allocations_fail_after(size_t successes);
void allocations_succeed(void);
/* How many allocations failed since allocations_fail_after. */
size_t allocations_failed(void);

/* What run(context) costs in the code under test, counted in comparisons instead of time: the same
 * number on a loaded machine and on an idle one, and every turn of a loop makes one. The code under
 * test has to be compiled with -fsanitize-coverage=trace-cmp, or the program ends. A call into the
 * C library costs nothing. */
uint64_t count_comparisons(void (*run)(void *context), void *context);

/* Are these the costs of work on n, 2n and 4n bytes, and is the work linear? A factor of 2.2 for
 * each doubling leaves room for rounding, and none for a second pass over the rest. */
static inline bool costs_are_linear(uint64_t n, uint64_t n2, uint64_t n4)
{
    return n2 * 10 <= n * 22 && n4 * 10 <= n2 * 22;
}

/* The same small generator on every machine (splitmix64), for random tests with a fixed seed. */
uint64_t random_next(uint64_t *state);

#endif
