/* A growable byte buffer. Zero-initialised ({0}) is empty and owns nothing.
 *
 * Growth at least doubles, so appending n bytes one at a time costs O(n). Functions that may
 * allocate answer false when memory is short (or the size would overflow) and then leave the
 * buffer as it was. */
#ifndef TIDEWIRE_BASE_BUF_H
#define TIDEWIRE_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
    unsigned char *data;
    size_t len; /* bytes in use */
    size_t cap; /* bytes allocated */
};

/* Room for at least `extra` bytes behind `len`. */
bool buf_reserve(struct buf *b, size_t extra);

bool buf_append(struct buf *b, const void *bytes, size_t n);
bool buf_append_str(struct buf *b, const char *text);

/* printf into the buffer; no NUL is counted in `len`. */
bool buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Drops the first n bytes (n <= len) by moving the rest down. */
void buf_consume(struct buf *b, size_t n);

/* Releases the memory and leaves the buffer empty; may be called again. */
void buf_free(struct buf *b);

#endif
