/* A hash map from byte strings to pointers. Keys are copied. Memory follows the number of entries
 * both ways: it grows with them and shrinks when most are gone. */
#ifndef TIDEWIRE_BASE_MAP_H
#define TIDEWIRE_BASE_MAP_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map; /* made with map_new */

/* `seed` makes collisions unpredictable to a peer that chooses the keys. NULL: memory short. */
struct map *map_new(uint64_t seed);
void map_free(struct map *m); /* values are the caller's; NULL is ignored */

void *map_get(const struct map *m, struct slice key); /* NULL: not there */

/* Adds or replaces. `value` is not NULL. false: memory short, and the map is as it was. */
bool map_set(struct map *m, struct slice key, void *value);

void *map_remove(struct map *m, struct slice key); /* the value it had, or NULL */
size_t map_count(const struct map *m);

/* Walks all entries in any order: start with *at = 0; NULL at the end. The map must not be
 * changed meanwhile. `key` (may be NULL) is the map's own copy: it lives as long as the entry. */
void *map_next(const struct map *m, size_t *at, struct slice *key);

#endif
