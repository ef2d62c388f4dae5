/* What the fuzz targets share. Each target is one file with LLVMFuzzerTestOneInput: libFuzzer calls
 * it with inputs of its own, replay.c with files. An input decides everything that happens: a
 * target has no state, no clock and no random numbers, so an input that fails always fails. */
#ifndef TIDEWIRE_TESTS_FUZZ_FUZZ_H
#define TIDEWIRE_TESTS_FUZZ_FUZZ_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that holds for every input. When it does not, the program says which and aborts. */
#define CHECK(property) ((property) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #property))
_Noreturn void fuzz_fail(const char *file, int line, const char *property);

/* Reads an input from its front: first what chooses settings, then the bytes for the code under
 * test. Past the end there are zeros. */
struct fuzz_input {
    const unsigned char *at, *end;
};

static inline size_t fuzz_left(const struct fuzz_input *in)
{
    return (size_t)(in->end - in->at);
}

uint64_t fuzz_number(struct fuzz_input *in, size_t bytes); /* big-endian; 1 to 8 bytes */
static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
    return (uint8_t)fuzz_number(in, 1);
}

/* The next n bytes or fewer, up to and without `end` (which is taken too). */
struct slice fuzz_until(struct fuzz_input *in, char end);
struct slice fuzz_rest(struct fuzz_input *in);

/* A copy in an allocation of exactly n bytes: under ASan one byte further is an error. Free it. */
unsigned char *fuzz_copy(const void *bytes, size_t n);

/* Is `part` within `whole`? Empty slices may point anywhere. */
bool fuzz_within(struct slice part, struct slice whole);

/* How bytes arrive: whole, one by one, in pieces of one size or of sizes that differ. */
struct fuzz_chop {
    uint8_t how;
    uint64_t state;
};

struct fuzz_chop fuzz_chop_of(uint8_t how);
/* The next piece's size: 1 to `left`, which is not 0. */
size_t fuzz_piece(struct fuzz_chop *chop, size_t left);

/* Bytes that are allocated, altogether and at one place. Under ASan alone; else 0. */
size_t fuzz_heap(void);
size_t fuzz_heap_size(const void *ptr);

#endif
