#include "net/conn_impl.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct conn_drain {
    uint16_t code;
    uint64_t spread_until; /* by then the last open connection is told to close */
    struct timer step, cut;
    struct deferred none_left;
    struct conn_set *set;
    void (*done)(void *context);
    void *context;
};

struct conn_set *conn_set_new(struct loop *loop, const struct conn_events *events,
                              const struct conn_limits *limits, uint64_t seed, void *context)
{
    struct conn_set *set = calloc(1, sizeof *set);
    if (!set)
        return NULL;
    set->loop = loop;
    set->events = events;
    set->limits = limits;
    set->context = context;
    list_init(&set->all);
    set->rx = malloc(CONN_RX_SIZE);
    set->handshakes = map_new(seed);
    if (!set->rx || !set->handshakes) {
        map_free(set->handshakes);
        free(set->rx);
        free(set);
        return NULL;
    }
    return set;
}

/* The deferred ends do not run any more: do here what they would. */
void conn_set_free(struct conn_set *set)
{
    while (!list_empty(&set->all)) {
        struct conn *c = list_entry(set->all.next, struct conn, all);
        conn_abort(c);
        deferred_cancel(&c->later);
        c->later.run(&c->later);
    }
    if (set->drain) {
        loop_timer_cancel(set->loop, &set->drain->step);
        loop_timer_cancel(set->loop, &set->drain->cut);
        deferred_cancel(&set->drain->none_left);
        free(set->drain);
    }
    map_free(set->handshakes);
    buf_free(&set->cork);
    free(set->rx);
    free(set);
}

size_t conn_set_count(const struct conn_set *set)
{
    return set->count;
}

struct loop *conn_set_loop(const struct conn_set *set)
{
    return set->loop;
}

void *conn_set_context(const struct conn_set *set)
{
    return set->context;
}

void conn_set_bound(struct conn_set *set, size_t max, unsigned handshakes)
{
    set->max = max;
    set->max_handshakes = handshakes;
}

/* --- unfinished handshakes of each address -----------------------------------------------------
 */

/* The key of an address; len 0 for a Unix socket, which is not counted. */
static struct slice address_key(const struct sockaddr_storage *peer, struct in6_addr *room)
{
    if (peer->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)peer;
        memcpy(room, &in->sin_addr, sizeof in->sin_addr);
        return (struct slice){(const char *)room, sizeof in->sin_addr};
    }
    if (peer->ss_family == AF_INET6) {
        /* a network of 64 bits is what one subscriber has */
        *room = ((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
        return (struct slice){(const char *)room, sizeof *room / 2};
    }
    return (struct slice){"", 0};
}

static void count_handshake(struct conn_set *set, struct slice key, intptr_t step)
{
    intptr_t count = (intptr_t)map_get(set->handshakes, key) + step;
    if (count > 0)
        map_set(set->handshakes, key, (void *)count);
    else
        map_remove(set->handshakes, key);
}

enum conn_admission conn_set_admit(const struct conn_set *set, const struct sockaddr_storage *peer)
{
    struct in6_addr room;
    struct slice key = address_key(peer, &room);
    if (set->drain)
        return CONN_REFUSED_DRAINING;
    if (set->max_handshakes && key.len &&
        (uintptr_t)map_get(set->handshakes, key) >= set->max_handshakes)
        return CONN_REFUSED_ADDRESS;
    return set->max && set->count >= set->max ? CONN_REFUSED_FULL : CONN_ADMITTED;
}

static struct slice key_of(const struct conn *c)
{
    size_t len = c->peer_family == AF_INET    ? sizeof(struct in_addr)
                 : c->peer_family == AF_INET6 ? sizeof c->peer / 2
                                              : 0;
    return (struct slice){(const char *)&c->peer, len};
}

void conn_set_began(struct conn *c)
{
    c->unfinished = c->set->max_handshakes && key_of(c).len;
    if (c->unfinished)
        count_handshake(c->set, key_of(c), 1);
}

void conn_set_arrived(struct conn *c)
{
    if (c->unfinished)
        count_handshake(c->set, key_of(c), -1);
    c->unfinished = false;
}

const char *conn_set_date(struct conn_set *set)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != set->date_at) {
        struct tm utc;
        gmtime_r(&now.tv_sec, &utc);
        strftime(set->date, sizeof set->date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
        set->date_at = now.tv_sec;
    }
    return set->date;
}

void conn_set_removed(struct conn_set *set)
{
    set->count--;
    if (set->drain && set->count == 0)
        loop_defer(set->loop, &set->drain->none_left);
}

/* --- drain ------------------------------------------------------------------------------------ */

#define DRAIN_STEP 20  /* ms between two rounds */
#define DRAIN_CLOSES 1 /* connections closed a millisecond, unless the time is too short */

static void end_for_drain(struct conn *c, uint16_t code)
{
    switch (c->phase) {
    case PHASE_TLS:
    case PHASE_HEAD:
        if (!c->http->head.len)
            conn_linger(c, ENDING_HANG_UP);
        break;
    case PHASE_OPEN:
        conn_close(c, code, slice_of("going away"));
        break;
    default:
        break; /* answers under way end by themselves, and are not followed by another request */
    }
}

static bool is_open(const struct conn *c)
{
    return c->phase == PHASE_OPEN && !c->close_sent;
}

/* Closes a share of what is open, oldest first; those told move to the end of the list, out of the
 * way of the next round. */
static void on_step(struct timer *t)
{
    struct conn_drain *d = list_entry(t, struct conn_drain, step);
    struct conn_set *set = d->set;
    uint64_t now = loop_now(set->loop);
    uint64_t left = d->spread_until > now ? d->spread_until - now : 0;
    uint64_t rounds = left / DRAIN_STEP + 1;
    size_t quota = set->count / rounds + 1;
    for (size_t left_to_see = set->count; left_to_see && quota; left_to_see--) {
        struct list *node = list_shift(&set->all);
        struct conn *c = list_entry(node, struct conn, all);
        list_push(&set->all, node);
        if (is_open(c)) {
            end_for_drain(c, d->code);
            quota--;
        }
    }
    if (!quota)
        loop_timer_set(set->loop, &d->step, DRAIN_STEP);
}

static void on_cut(struct timer *t)
{
    struct conn_drain *d = list_entry(t, struct conn_drain, cut);
    struct list *all = &d->set->all;
    for (struct list *node = all->next; node != all; node = node->next)
        conn_abort(list_entry(node, struct conn, all));
}

static void on_none_left(struct deferred *deferred)
{
    struct conn_drain *d = list_entry(deferred, struct conn_drain, none_left);
    d->done(d->context);
}

void conn_set_drain(struct conn_set *set, uint16_t code, uint32_t within,
                    void (*done)(void *context), void *context)
{
    if (set->drain)
        return;
    struct conn_drain *d = calloc(1, sizeof *d);
    if (!d) {
        done(context);
        return;
    }
    *d = (struct conn_drain){.code = code, .set = set, .done = done, .context = context};
    uint64_t spread = set->count / DRAIN_CLOSES;
    d->spread_until = loop_now(set->loop) + (spread < within / 2 ? spread : within / 2);
    d->step.fire = on_step;
    d->cut.fire = on_cut;
    deferred_init(&d->none_left, on_none_left);
    set->drain = d;
    for (struct list *node = set->all.next; node != &set->all; node = node->next) {
        struct conn *c = list_entry(node, struct conn, all);
        if (!is_open(c))
            end_for_drain(c, code);
    }
    loop_timer_set(set->loop, &d->step, 0);
    loop_timer_set(set->loop, &d->cut, within);
    if (set->count == 0)
        loop_defer(set->loop, &d->none_left);
}
