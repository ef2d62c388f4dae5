#include "answers.h"

#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void answers_add(struct answers *a, uint64_t sent, uint64_t now, uint32_t connection)
{
    if (a->count == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 65536;
        a->list = realloc(a->list, a->cap * sizeof *a->list);
        if (!a->list)
            bench_die(1, "out of memory");
    }
    uint64_t us = (now - sent) / 1000;
    a->list[a->count++] =
        (struct answer){sent, us < UINT32_MAX ? (uint32_t)us : UINT32_MAX, connection};
}

void answers_write(const struct answers *a, const char *path)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(a->list, sizeof *a->list, a->count, file) != a->count || fclose(file))
        bench_die(1, "%s: %s", path, strerror(errno));
}

void answers_free(struct answers *a)
{
    free(a->list);
}
