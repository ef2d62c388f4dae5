#include "base/map.h"

#include <stdlib.h>
#include <string.h>

/* Open addressing with linear probing; a removal moves the entries behind it up, so there are no
 * tombstones that would make a busy map slow. */
#define MAP_SLOTS_MIN 8 /* a power of two, as every number of slots */

struct map_entry {
    uint64_t hash;
    void *value;
    size_t len;
    char key[];
};

struct map {
    uint64_t seed;
    size_t count;
    size_t slot_count;        /* 0 until the first entry */
    struct map_entry **slots; /* NULL: free */
};

static uint64_t rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* n (at most 8) bytes as a little-endian number, on any machine. */
static uint64_t load(const char *bytes, size_t n)
{
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    return word;
}

/* SipHash-1-3: keyed, so that a peer who knows this source still cannot make keys collide. The
 * second half of its 128-bit key is derived from the seed. */
static uint64_t hash_of(uint64_t seed, struct slice key)
{
    uint64_t other = rotate(seed, 29) * 0x9E3779B97F4A7C15U;
    uint64_t v[4] = {seed ^ 0x736F6D6570736575U, other ^ 0x646F72616E646F6DU,
                     seed ^ 0x6C7967656E657261U, other ^ 0x7465646279746573U};
    size_t at = 0;
    for (; key.len - at >= 8; at += 8) {
        uint64_t word = load(key.ptr + at, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)key.len << 56;
    if (at < key.len)
        last |= load(key.ptr + at, key.len - at);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xFF;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct map *map_new(uint64_t seed)
{
    struct map *m = calloc(1, sizeof *m);
    if (m)
        m->seed = seed;
    return m;
}

void map_free(struct map *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->slot_count; i++)
        free(m->slots[i]);
    free(m->slots);
    free(m);
}

/* The slot that holds the key, or the free one where it belongs. There must be slots. */
static size_t find_slot(const struct map *m, struct slice key, uint64_t hash)
{
    size_t mask = m->slot_count - 1, at = (size_t)hash & mask;
    while (m->slots[at]) {
        const struct map_entry *e = m->slots[at];
        if (e->hash == hash && slice_equal((struct slice){e->key, e->len}, key))
            break;
        at = (at + 1) & mask;
    }
    return at;
}

void *map_get(const struct map *m, struct slice key)
{
    if (m->count == 0)
        return NULL;
    const struct map_entry *e = m->slots[find_slot(m, key, hash_of(m->seed, key))];
    return e ? e->value : NULL;
}

static bool resize(struct map *m, size_t slot_count)
{
    struct map_entry **slots = calloc(slot_count, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < m->slot_count; i++) {
        if (!m->slots[i])
            continue;
        size_t at = (size_t)m->slots[i]->hash & (slot_count - 1);
        while (slots[at])
            at = (at + 1) & (slot_count - 1);
        slots[at] = m->slots[i];
    }
    free(m->slots);
    m->slots = slots;
    m->slot_count = slot_count;
    return true;
}

/* At most three quarters of the slots are in use, so that a probe is short and always ends. */
static bool make_room(struct map *m)
{
    if (m->slot_count == 0)
        return resize(m, MAP_SLOTS_MIN);
    if (m->count < m->slot_count / 4 * 3)
        return true;
    return m->slot_count <= SIZE_MAX / 2 && resize(m, m->slot_count * 2);
}

static struct map_entry *entry_new(struct slice key, uint64_t hash, void *value)
{
    if (key.len > SIZE_MAX - sizeof(struct map_entry))
        return NULL;
    struct map_entry *e = malloc(sizeof *e + key.len);
    if (!e)
        return NULL;
    e->hash = hash;
    e->value = value;
    e->len = key.len;
    if (key.len)
        memcpy(e->key, key.ptr, key.len);
    return e;
}

bool map_set(struct map *m, struct slice key, void *value)
{
    uint64_t hash = hash_of(m->seed, key);
    if (m->slot_count) {
        struct map_entry *there = m->slots[find_slot(m, key, hash)];
        if (there) {
            there->value = value;
            return true;
        }
    }
    if (!make_room(m))
        return false;
    struct map_entry *e = entry_new(key, hash, value);
    if (!e)
        return false;
    m->slots[find_slot(m, key, hash)] = e;
    m->count++;
    return true;
}

/* Fills the hole with the next entry of the run that may stand there, and so on with its hole. */
static void close_hole(struct map *m, size_t hole)
{
    size_t mask = m->slot_count - 1;
    for (size_t at = (hole + 1) & mask; m->slots[at]; at = (at + 1) & mask) {
        size_t home = (size_t)m->slots[at]->hash & mask;
        /* it may move when its home is not behind the hole */
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            m->slots[hole] = m->slots[at];
            hole = at;
        }
    }
    m->slots[hole] = NULL;
}

void *map_remove(struct map *m, struct slice key)
{
    if (m->count == 0)
        return NULL;
    size_t at = find_slot(m, key, hash_of(m->seed, key));
    struct map_entry *e = m->slots[at];
    if (!e)
        return NULL;
    void *value = e->value;
    free(e);
    close_hole(m, at);
    m->count--;
    /* when memory is short for the smaller table, the larger one goes on serving */
    if (m->slot_count > MAP_SLOTS_MIN && m->count < m->slot_count / 8)
        (void)resize(m, m->slot_count / 2);
    return value;
}

size_t map_count(const struct map *m)
{
    return m->count;
}

void *map_next(const struct map *m, size_t *at, struct slice *key)
{
    while (*at < m->slot_count) {
        const struct map_entry *e = m->slots[(*at)++];
        if (!e)
            continue;
        if (key)
            *key = (struct slice){e->key, e->len};
        return e->value;
    }
    return NULL;
}
