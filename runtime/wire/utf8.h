/* Streaming UTF-8 validation (RFC 3629; RFC 6455 section 8.1): no overlong forms, no surrogates,
 * nothing above U+10FFFF. Fails at the first byte that cannot continue valid text. */
#ifndef TIDEWIRE_WIRE_UTF8_H
#define TIDEWIRE_WIRE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Between code points; also the state to start from. */
#define UTF8_START 0

/* Feeds n bytes. false: not UTF-8, and no continuation can mend it (`*state` is then undefined).
 * true: valid so far; the text may end here exactly when `*state == UTF8_START`. */
bool utf8_feed(uint32_t *state, const unsigned char *bytes, size_t n);

/* A whole text at once. */
bool utf8_valid(const unsigned char *bytes, size_t n);

#endif
