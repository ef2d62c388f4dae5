#include "bind/heap.h"

#include <stdlib.h>

static void *refuse(struct heap *h, const void *block, size_t size)
{
    if (h->refused)
        h->failed = true;
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
        h->failed = true;
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
