/* A list of all answers of a run, for those who want to know what happened when. In a file it is an
 * array of struct answer in the machine's byte order. */
#ifndef TIDEWIRE_BENCH_ANSWERS_H
#define TIDEWIRE_BENCH_ANSWERS_H

#include <stddef.h>
#include <stdint.h>

struct answer {
    uint64_t sent;    /* when its message was: ns, monotonic */
    uint32_t latency; /* us; UINT32_MAX for more than it holds */
    uint32_t connection;
};

struct answers {
    struct answer *list;
    size_t count, cap;
};

void answers_add(struct answers *a, uint64_t sent, uint64_t now, uint32_t connection);
void answers_write(const struct answers *a, const char *path);
void answers_free(struct answers *a);

#endif
