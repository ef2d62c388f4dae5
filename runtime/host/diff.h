/* What differs between two texts, line by line, as `diff -u` writes it. */
#ifndef TIDEWIRE_HOST_DIFF_H
#define TIDEWIRE_HOST_DIFF_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>

#define DIFF_CONTEXT 3 /* lines around what differs */
/* So many lines may be deleted and inserted, in all, for the shortest way to be looked for; beyond
 * it all that lies between the first and the last difference is one change. */
#define DIFF_EDITS 1000

/* Appends the hunks, each with its head; nothing when the texts are the same. false: memory short.
 */
bool diff_append(struct buf *out, struct slice from, struct slice to);

#endif
