#include "net/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Up to 256 bytes come whole once the generator is seeded, and before that, early at boot, the call
 * waits; a signal can end only that waiting. Whatever else happens, there is no safe way on. */
static void fill(struct random *r)
{
    ssize_t got;
    do
        got = getrandom(r->bytes, sizeof r->bytes, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof r->bytes) {
        fprintf(stderr, "the kernel gives no random bytes: %s\n",
                got < 0 ? strerror(errno) : "fewer than asked for");
        abort();
    }
    r->left = sizeof r->bytes;
}

void random_bytes(struct random *r, void *out, size_t n)
{
    if (n > sizeof r->bytes)
        abort(); /* a mistake of the caller's */
    if (r->left < n)
        fill(r);
    unsigned char *from = r->bytes + sizeof r->bytes - r->left;
    memcpy(out, from, n);
    explicit_bzero(from, n);
    r->left -= n;
}
