#include "net/tls_tickets.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WORDS (TLS_TICKET_KEYS * sizeof(struct tls_ticket_key) / sizeof(uint64_t))
#define TRIES 1000 /* a writer takes less than a microsecond, unless it has died in the middle */

/* A sequence lock: odd while the keys change. The words are atomic so that reading them meanwhile
 * is no data race; what was read then is thrown away. */
struct page {
    _Atomic uint64_t sequence;
    _Atomic uint64_t words[WORDS];
};

struct tls_tickets {
    struct page *page;
};

_Static_assert(sizeof(struct tls_ticket_key) % sizeof(uint64_t) == 0, "keys are whole words");

/* Newest first; the name of a key that is not there yet is zero. */
struct keys {
    struct tls_ticket_key key[TLS_TICKET_KEYS];
};

static bool read_keys(const struct page *page, struct keys *out)
{
    uint64_t words[WORDS];
    bool whole = false;
    for (int i = 0; i < TRIES && !whole; i++) {
        uint64_t before = atomic_load_explicit(&page->sequence, memory_order_acquire);
        for (size_t k = 0; k < WORDS; k++)
            words[k] = atomic_load_explicit(&page->words[k], memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        uint64_t after = atomic_load_explicit(&page->sequence, memory_order_relaxed);
        whole = before == after && before % 2 == 0;
    }
    memcpy(out, words, sizeof words);
    OPENSSL_cleanse(words, sizeof words);
    return whole;
}

static void write_keys(struct page *page, const struct keys *keys)
{
    uint64_t words[WORDS];
    uint64_t sequence = atomic_load_explicit(&page->sequence, memory_order_relaxed);
    memcpy(words, keys, sizeof words);
    atomic_store_explicit(&page->sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (size_t k = 0; k < WORDS; k++)
        atomic_store_explicit(&page->words[k], words[k], memory_order_relaxed);
    atomic_store_explicit(&page->sequence, sequence + 2, memory_order_release);
    OPENSSL_cleanse(words, sizeof words);
}

struct tls_tickets *tls_tickets_new(void)
{
    struct tls_tickets *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->page =
        mmap(NULL, sizeof *t->page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t->page == MAP_FAILED) {
        free(t);
        return NULL;
    }
    /* Neither in a core dump nor, if the system lets us, in swap. */
    madvise(t->page, sizeof *t->page, MADV_DONTDUMP);
    (void)!mlock(t->page, sizeof *t->page);
    if (!tls_tickets_rotate(t)) {
        tls_tickets_free(t);
        return NULL;
    }
    return t;
}

void tls_tickets_free(struct tls_tickets *t)
{
    if (!t)
        return;
    munmap(t->page, sizeof *t->page);
    free(t);
}

void tls_tickets_wipe(struct tls_tickets *t)
{
    struct keys none = {0};
    if (t)
        write_keys(t->page, &none);
}

bool tls_tickets_rotate(struct tls_tickets *t)
{
    struct keys keys;
    bool ok = read_keys(t->page, &keys); /* nobody else writes: it is whole */
    memmove(&keys.key[1], &keys.key[0], sizeof keys.key - sizeof keys.key[0]);
    ok = ok && RAND_priv_bytes((void *)&keys.key[0], sizeof keys.key[0]) == 1;
    if (ok)
        write_keys(t->page, &keys);
    OPENSSL_cleanse(&keys, sizeof keys);
    return ok;
}

int tls_tickets_find(const struct tls_tickets *t, const unsigned char *name,
                     struct tls_ticket_key *key)
{
    static const unsigned char none[sizeof key->name];
    struct keys keys;
    int age = -1;
    bool ok = read_keys(t->page, &keys);
    for (int i = 0; ok && i < TLS_TICKET_KEYS && age < 0; i++) {
        const struct tls_ticket_key *k = &keys.key[i];
        if (memcmp(k->name, none, sizeof none) != 0 &&
            (!name || memcmp(k->name, name, sizeof k->name) == 0))
            age = i;
    }
    if (age >= 0)
        *key = keys.key[age];
    OPENSSL_cleanse(&keys, sizeof keys);
    return age;
}
