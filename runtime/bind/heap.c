#include "bind/heap.h"

#include <stdlib.h>

#define SLACK ((size_t)1 << 20)

/* Whoever looks at `failed` comes a little later. Until then small things are given, so that Lua
 * does not collect all garbage for each. */
static void fail(struct heap *h)
{
    if (!h->failed)
        h->most += SLACK;
    h->failed = true;
}

static void *refuse(struct heap *h, const void *block, size_t size)
{
    if (h->refused)
        fail(h);
    h->refused = true;
    h->block = block;
    h->size = size;
    return NULL;
}

/* What comes after a refusal is either the same request once more, behind a collection of garbage,
 * or something else: then nobody has asked again, and the refusal counts. */
static void settle(struct heap *h, const void *block, size_t size)
{
    if (h->refused && (h->block != block || h->size != size))
        fail(h);
    h->refused = false;
}

void *heap_allocate(void *heap, void *block, size_t old, size_t size)
{
    struct heap *h = heap;
    size_t had = block ? old : 0; /* for a new block `old` is the kind of object */
    if (size == 0) {
        free(block);
        h->used -= had;
        return NULL;
    }
    if (size > had) {
        if (h->used - had > h->most || size > h->most - (h->used - had))
            return refuse(h, block, size);
        settle(h, block, size);
    }
    void *moved = realloc(block, size);
    if (moved)
        h->used = h->used - had + size;
    return moved;
}
