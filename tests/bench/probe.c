/* probe A B: the round trip of one cache line between cores A and B, in ns, on stdout.
 *
 * Two threads, one pinned to each core, pass a counter back and forth. On a virtual machine whose
 * host moves the cores between core complexes, this number jumps (110 to 640 ns where it was
 * found), and every server on two cores becomes slower with it. A runner that compares servers
 * keeps only the runs that had the same number before and after. Takes 2 to 20 ms. */
#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCHES 31
#define TRIPS 500

struct line {
    _Alignas(128) atomic_uint turn; /* alone: pairs of lines are fetched together on x86 */
    char rest[124];
};

struct probe {
    struct line line;
    int far_core;
};

static void pin_to(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    int rc = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    if (rc)
        bench_die(1, "cannot run on core %d: %s", core, strerror(rc));
}

/* Answers each odd number with the next even one. */
static void *answer(void *arg)
{
    struct probe *probe = arg;
    pin_to(probe->far_core);
    for (unsigned i = 0; i < BATCHES * TRIPS; i++) {
        while (atomic_load_explicit(&probe->line.turn, memory_order_acquire) != 2 * i + 1)
            ;
        atomic_store_explicit(&probe->line.turn, 2 * i + 2, memory_order_release);
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        bench_die(2, "usage: probe CORE CORE");
    int near_core = (int)bench_integer("core", argv[1], 0, CPU_SETSIZE - 1);
    struct probe probe = {.far_core = (int)bench_integer("core", argv[2], 0, CPU_SETSIZE - 1)};
    if (near_core == probe.far_core)
        bench_die(2, "two different cores are needed");
    pin_to(near_core);
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, answer, &probe);
    if (rc)
        bench_die(1, "starting a thread: %s", strerror(rc));

    double trips[BATCHES];
    for (unsigned batch = 0, i = 0; batch < BATCHES; batch++) {
        uint64_t start = bench_now();
        for (unsigned end = i + TRIPS; i < end; i++) {
            atomic_store_explicit(&probe.line.turn, 2 * i + 1, memory_order_release);
            while (atomic_load_explicit(&probe.line.turn, memory_order_acquire) != 2 * i + 2)
                ;
        }
        trips[batch] = (double)(bench_now() - start) / TRIPS;
    }
    pthread_join(thread, NULL);
    qsort(trips, BATCHES, sizeof trips[0], compare);
    printf("%.1f\n", trips[BATCHES / 2]);
    return 0;
}
