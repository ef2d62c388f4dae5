/* Which certificate is for a host name: the names of certificates, exact before wildcard. */
#ifndef TIDEWIRE_NET_SNI_H
#define TIDEWIRE_NET_SNI_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct sni_entry {
    char *name; /* in lower case; "*.example.org" is for one label in the place of the star */
    size_t certificate;
};

/* Zero-initialised it is empty. */
struct sni {
    struct sni_entry *entries;
    size_t count, room;
};

bool sni_add(struct sni *s, struct slice name, size_t certificate); /* false: memory short */
void sni_sort(struct sni *s);                                       /* after adding */
void sni_free(struct sni *s);

/* The entries for a host, in the order of their certificates: those of its own name, or else of the
 * wildcard that it falls under. Their number; 0: none. */
size_t sni_find(const struct sni *s, struct slice host, const struct sni_entry **first);

#endif
