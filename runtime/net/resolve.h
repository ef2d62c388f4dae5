/* Host name to addresses, without blocking the loop: numbers as they are, localhost (RFC 6761
 * section 6.3), /etc/hosts (or the file that CARES_HOSTS names), then DNS (c-ares), both families
 * at once.
 *
 * The system's settings (nsswitch.conf, resolv.conf with its search domains) are kept, and read
 * again when resolv.conf has changed. */
#ifndef TIDEWIRE_NET_RESOLVE_H
#define TIDEWIRE_NET_RESOLVE_H

#include "base/slice.h"
#include "net/loop.h"

#include <stdint.h>
#include <sys/socket.h>

#define RESOLVE_MAX 16 /* addresses; a name with more has its first ones */

struct resolver; /* one for a loop */
struct lookup;

struct resolve_result {
    const struct sockaddr_storage *addresses; /* with the port; until `done` returns */
    size_t count;
    const char *text;  /* of count 0: why, for people, to stand behind the name */
    bool memory_short; /* that was the reason */
};

/* Reads nothing yet. `servers` asks these instead of the system's: "192.0.2.1:53,[2001:db8::1]:53";
 * NULL: the system's. NULL: memory short. */
struct resolver *resolve_new(struct loop *loop, const char *servers);
void resolve_free(struct resolver *r); /* every lookup has ended or is cancelled; NULL is ignored */

/* `done` is called once, from the loop at the end of a turn, never from within resolve_start; not
 * after resolve_cancel. NULL: memory short. */
struct lookup *resolve_start(struct resolver *r, struct slice name, uint16_t port,
                             void (*done)(void *context, const struct resolve_result *result),
                             void *context);
void resolve_cancel(struct lookup *l);

#endif
