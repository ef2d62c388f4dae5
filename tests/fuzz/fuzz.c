#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_fail(const char *file, int line, const char *property)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, property);
    abort();
}

uint64_t fuzz_number(struct fuzz_input *in, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | (in->at < in->end ? *in->at++ : 0);
    return value;
}

struct slice fuzz_until(struct fuzz_input *in, char end)
{
    struct slice all = {(const char *)in->at, fuzz_left(in)};
    const char *mark = all.len ? memchr(all.ptr, end, all.len) : NULL;
    if (!mark)
        return fuzz_rest(in);
    all.len = (size_t)(mark - all.ptr);
    in->at += all.len + 1;
    return all;
}

struct slice fuzz_rest(struct fuzz_input *in)
{
    struct slice all = {(const char *)in->at, fuzz_left(in)};
    in->at = in->end;
    return all;
}

unsigned char *fuzz_copy(const void *bytes, size_t n)
{
    /* malloc(0) may be NULL, which is no error and no end of memory */
    unsigned char *copy = malloc(n);
    if (!copy && n)
        abort();
    if (n)
        memcpy(copy, bytes, n);
    return copy;
}

bool fuzz_within(struct slice part, struct slice whole)
{
    if (part.len == 0)
        return true;
    uintptr_t p = (uintptr_t)part.ptr, w = (uintptr_t)whole.ptr;
    return p >= w && p - w <= whole.len && part.len <= whole.len - (p - w);
}

struct fuzz_chop fuzz_chop_of(uint8_t how)
{
    return (struct fuzz_chop){.how = how, .state = how};
}

size_t fuzz_piece(struct fuzz_chop *chop, size_t left)
{
    size_t n = left;
    if (chop->how >= 1 && chop->how < 64) {
        n = chop->how;
    } else if (chop->how >= 64) {
        /* the constants are those of MMIX; small pieces are as frequent as large ones */
        chop->state = chop->state * 6364136223846793005U + 1442695040888963407U;
        n = 1 + (size_t)(chop->state >> 33) % ((size_t)1 << (chop->state >> 60));
    }
    return n < left ? n : left;
}

/* --- the heap --------------------------------------------------------------------------------- */

/* Of the sanitizers' runtime; a build without them has none. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *))
    __attribute__((weak));
size_t __sanitizer_get_allocated_size(const volatile void *ptr) __attribute__((weak));

static _Thread_local size_t heap; /* libFuzzer has a thread of its own, which allocates as well */

static void on_malloc(const volatile void *ptr, size_t n)
{
    (void)ptr;
    heap += n;
}

static void on_free(const volatile void *ptr)
{
    if (ptr)
        heap -= __sanitizer_get_allocated_size(ptr);
}

__attribute__((constructor)) static void watch_heap(void)
{
    if (__sanitizer_install_malloc_and_free_hooks && __sanitizer_get_allocated_size)
        __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
}

size_t fuzz_heap(void)
{
    return heap;
}

size_t fuzz_heap_size(const void *ptr)
{
    return ptr && __sanitizer_get_allocated_size ? __sanitizer_get_allocated_size(ptr) : 0;
}
