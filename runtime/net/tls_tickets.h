/* Keys of session tickets (RFC 5077, RFC 8446 section 4.6.1), in memory that all processes share:
 * one that is made before a fork is the same in all children. The newest key makes tickets; those
 * of the two keys before it are still taken, and renewed. */
#ifndef TIDEWIRE_NET_TLS_TICKETS_H
#define TIDEWIRE_NET_TLS_TICKETS_H

#include <stdbool.h>
#include <stddef.h>

#define TLS_TICKET_KEYS 3

struct tls_tickets;

struct tls_ticket_key {
    unsigned char name[16];
    unsigned char cipher[32]; /* AES-256 */
    unsigned char mac[32];    /* HMAC with SHA-256 */
};

struct tls_tickets *tls_tickets_new(void); /* with one key. NULL: memory or randomness are short */
void tls_tickets_free(struct tls_tickets *t); /* of this process: the last one's end frees it */

/* Overwrites all keys, for every process: the end of the one that rotates. */
void tls_tickets_wipe(struct tls_tickets *t);

/* A new key; the oldest is forgotten. By one process only, while others read. false: no randomness,
 * and the keys stay. */
bool tls_tickets_rotate(struct tls_tickets *t);

/* The key of a name, NULL for the newest. Its age: 0 for the newest; -1: no such key, or none can
 * be read. The copy is the caller's to wipe. */
int tls_tickets_find(const struct tls_tickets *t, const unsigned char *name,
                     struct tls_ticket_key *key);

#endif
