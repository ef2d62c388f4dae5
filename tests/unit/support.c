#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(ptr, n) ASAN_POISON_MEMORY_REGION(ptr, n)
#define UNPOISON(ptr, n) ASAN_UNPOISON_MEMORY_REGION(ptr, n)
#else
#define POISON(ptr, n) ((void)(ptr), (void)(n))
#define UNPOISON(ptr, n) ((void)(ptr), (void)(n))
#endif

#define FRONT_PATTERN 0xA5

static void give_up(const char *what)
{
    fprintf(stderr, "test support: %s: %s\n", what, strerror(errno));
    abort();
}

static void give_up_unless(bool ok, const char *what)
{
    if (!ok)
        give_up(what);
}

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* Bytes in front of the guard page: whole pages, with at least one byte of pattern. */
static size_t guarded_size(size_t n)
{
    size_t page = page_size();
    return (n / page + 1) * page;
}

unsigned char *guard_copy(const void *bytes, size_t n)
{
    size_t size = guarded_size(n), page = page_size();
    unsigned char *base =
        mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    give_up_unless(base != MAP_FAILED, "mmap");
    give_up_unless(mprotect(base + size, page, PROT_NONE) == 0, "mprotect");
    /* a mapping may come back at an address that was poisoned */
    UNPOISON(base, size);
    memset(base, FRONT_PATTERN, size - n);
    if (n)
        memcpy(base + size - n, bytes, n);
    POISON(base, size - n);
    return base + size - n;
}

void guard_free(unsigned char *ptr, size_t n)
{
    size_t size = guarded_size(n);
    unsigned char *base = ptr - (size - n);
    UNPOISON(base, size);
    for (unsigned char *p = base; p < ptr; p++) {
        if (*p != FRONT_PATTERN) {
            fprintf(stderr, "test support: written %td bytes in front of a buffer\n", ptr - p);
            abort();
        }
    }
    give_up_unless(munmap(base, size + page_size()) == 0, "munmap");
}

/* The old copy goes only when the new one is there, so that the two never share an address. */
static void replace_copy(struct feed *f, const unsigned char *bytes, size_t n)
{
    unsigned char *copy = guard_copy(bytes, n);
    if (f->copy)
        guard_free(f->copy, f->copy_len);
    f->copy = copy;
    f->copy_len = n;
}

static bool next_piece(struct feed *f, size_t *start)
{
    if (f->started && f->at == f->n)
        return false;
    size_t size = f->started ? f->then : f->first;
    if (size > f->n - f->at)
        size = f->n - f->at;
    *start = f->at;
    f->at += size;
    f->started = true;
    return true;
}

bool feed_next(struct feed *f, unsigned char **piece, size_t *n)
{
    size_t start;
    if (!next_piece(f, &start))
        return false;
    replace_copy(f, f->bytes + start, f->at - start);
    *piece = f->copy;
    *n = f->copy_len;
    return true;
}

bool feed_next_prefix(struct feed *f, unsigned char **prefix, size_t *n)
{
    size_t start;
    if (!next_piece(f, &start))
        return false;
    replace_copy(f, f->bytes, f->at);
    *prefix = f->copy;
    *n = f->copy_len;
    return true;
}

const char *feed_how(const struct feed *f, char out[32])
{
    if (f->first >= f->n)
        snprintf(out, 32, "whole");
    else if (f->first == 1 && f->then == 1)
        snprintf(out, 32, "byte by byte");
    else if (f->first == f->then)
        snprintf(out, 32, "pieces of %zu", f->first);
    else
        snprintf(out, 32, "split at %zu", f->first);
    return out;
}

static void feed_cut(const void *bytes, size_t n, size_t first, size_t then, feed_run *run,
                     void *context)
{
    struct feed f = {.bytes = bytes, .n = n, .first = first, .then = then};
    run(&f, context);
    if (f.copy)
        guard_free(f.copy, f.copy_len);
}

void feed_in_pieces(const void *bytes, size_t n, size_t piece, feed_run *run, void *context)
{
    feed_cut(bytes, n, piece, piece, run, context);
}

void feed_split_at(const void *bytes, size_t n, size_t at, feed_run *run, void *context)
{
    feed_cut(bytes, n, at, SIZE_MAX, run, context);
}

void feed_every_way(const void *bytes, size_t n, feed_run *run, void *context)
{
    feed_in_pieces(bytes, n, n ? n : 1, run, context);
    if (n > 1)
        feed_in_pieces(bytes, n, 1, run, context);
    for (size_t at = 1; at < n; at++)
        feed_split_at(bytes, n, at, run, context);
}

/* The linker's --wrap turns the calls of the code under test into these. The real ones are weak,
 * because a program linked without --wrap has none. */
void *__real_malloc(size_t n) __attribute__((weak));
void *__real_calloc(size_t count, size_t n) __attribute__((weak));
void *__real_realloc(void *ptr, size_t n) __attribute__((weak));
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *ptr, size_t n);

static struct {
    bool failing;
    size_t successes;
    size_t failed;
} allocations;

static bool allocation_fails(void)
{
    if (!allocations.failing)
        return false;
    if (allocations.successes) {
        allocations.successes--;
        return false;
    }
    allocations.failed++;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return allocation_fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return allocation_fails() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *ptr, size_t n)
{
    return allocation_fails() ? NULL : __real_realloc(ptr, n);
}

void allocations_fail_after(size_t successes)
{
    if (!__real_malloc || !__real_calloc || !__real_realloc) {
        fprintf(stderr, "test support: link with -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc\n");
        abort();
    }
    allocations.failing = true;
    allocations.successes = successes;
    allocations.failed = 0;
}

void allocations_succeed(void)
{
    allocations.failing = false;
}

size_t allocations_failed(void)
{
    return allocations.failed;
}

static uint64_t comparisons;

/* The compiler puts a call of one of these before each comparison. Where no test defines them, the
 * sanitizers' runtime has empty ones. */
#define COUNTS(name, type)                                                                         \
    void __sanitizer_cov_trace_##name(type a, type b);                                             \
    void __sanitizer_cov_trace_##name(type a, type b)                                              \
    {                                                                                              \
        (void)a, (void)b;                                                                          \
        comparisons++;                                                                             \
    }

COUNTS(cmp1, uint8_t)
COUNTS(cmp2, uint16_t)
COUNTS(cmp4, uint32_t)
COUNTS(cmp8, uint64_t)
COUNTS(const_cmp1, uint8_t)
COUNTS(const_cmp2, uint16_t)
COUNTS(const_cmp4, uint32_t)
COUNTS(const_cmp8, uint64_t)
COUNTS(cmpf, float)
COUNTS(cmpd, double)

void __sanitizer_cov_trace_switch(uint64_t value, void *cases);
void __sanitizer_cov_trace_switch(uint64_t value, void *cases)
{
    (void)value, (void)cases;
    comparisons++;
}

uint64_t count_comparisons(void (*run)(void *context), void *context)
{
    uint64_t before = comparisons;
    run(context);
    if (comparisons == before) {
        fprintf(stderr,
                "test support: compile with -fsanitize-coverage=trace-cmp to count costs\n");
        abort();
    }
    return comparisons - before;
}

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}
