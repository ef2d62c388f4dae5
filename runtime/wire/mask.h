/* Masking of frame payloads (RFC 6455 section 5.3). */
#ifndef TIDEWIRE_WIRE_MASK_H
#define TIDEWIRE_WIRE_MASK_H

#include <stddef.h>
#include <stdint.h>

/* XORs n bytes in place with the masking key. `offset` is the place of bytes[0] within the
 * frame's payload, so that a payload may be unmasked in pieces. Applying it twice restores the
 * bytes. */
void mask_apply(unsigned char *bytes, size_t n, const unsigned char key[4], size_t offset);

#endif
