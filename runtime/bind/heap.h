/* The memory of a Lua state: counted, and bounded while code runs that nobody has tried yet. */
#ifndef TIDEWIRE_BIND_HEAP_H
#define TIDEWIRE_BIND_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct heap {
    size_t used; /* bytes */
    size_t most; /* no more than this is given */
    bool failed; /* something was refused for good */

    /* What was refused just now: Lua collects garbage and asks once more. */
    bool refused;
    const void *block;
    size_t size;
};

#define HEAP_UNBOUNDED ((struct heap){.most = (size_t)-1})

/* A lua_Alloc; `heap` is a struct heap. */
void *heap_allocate(void *heap, void *block, size_t old, size_t size);

#endif
