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
    list_init(&set->connects);
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
    set->freeing = true;
    connect_end_all(set);
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
    deflate_pool_free(&set->deflate_pool);
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

void conn_set_bound(struct conn_set *set, const struct conn_bounds *bounds)
{
    set->bounds = *bounds;
}

/* --- unfinished handshakes of each address ---------------------------------------------------- */

/* The key of an address; len 0: it is not counted. */
static struct slice key_of(const struct conn_set *set, const struct address *peer)
{
    const char *bytes = (const char *)peer->bytes;
    if (conn_set_trusts(set, peer))
        return (struct slice){"", 0}; /* all its clients come from there */
    switch (peer->family) {
    case ADDRESS_IPV4:
        return (struct slice){bytes + 12, 4};
    case ADDRESS_IPV6:
        return (struct slice){bytes, 8}; /* a network of 64 bits is what one subscriber has */
    default:
        return (struct slice){"", 0};
    }
}

static void count_handshake(struct conn_set *set, struct slice key, intptr_t step)
{
    intptr_t count = (intptr_t)map_get(set->handshakes, key) + step;
    if (count > 0)
        map_set(set->handshakes, key, (void *)count);
    else
        map_remove(set->handshakes, key);
}

bool conn_set_trusts(const struct conn_set *set, const struct address *peer)
{
    return set->bounds.proxies && network_list_has(set->bounds.proxies, peer);
}

enum conn_admission conn_set_admit(const struct conn_set *set, const struct address *peer)
{
    struct slice key = key_of(set, peer);
    if (set->drain)
        return CONN_REFUSED_DRAINING;
    if (set->bounds.handshakes_per_address && key.len &&
        (uintptr_t)map_get(set->handshakes, key) >= set->bounds.handshakes_per_address)
        return CONN_REFUSED_ADDRESS;
    return set->bounds.connections && set->count >= set->bounds.connections ? CONN_REFUSED_FULL
                                                                            : CONN_ADMITTED;
}

#define RETRY_MIN 1 /* s */
#define RETRY_SPAN 5

enum conn_shedding conn_set_shed(struct conn_set *set, unsigned *retry_after)
{
    const struct conn_bounds *b = &set->bounds;
    enum conn_shedding why = CONN_SHED_NONE;
    unsigned char spread;
    if (b->lag && loop_lag(set->loop) > b->lag)
        why = CONN_SHED_LAG;
    else if (b->handshakes_per_second &&
             !pace_take(&set->pace, b->handshakes_per_second, loop_now(set->loop)))
        why = CONN_SHED_RATE;
    if (why != CONN_SHED_NONE) {
        random_bytes(&set->random, &spread, 1);
        *retry_after = RETRY_MIN + spread % RETRY_SPAN;
    }
    return why;
}

bool conn_set_take_tls_step(struct conn_set *set)
{
    if (set->tls_turn != loop_turn(set->loop)) {
        set->tls_turn = loop_turn(set->loop);
        set->tls_steps = CONN_TLS_STEPS;
    }
    if (!set->tls_steps)
        return false;
    set->tls_steps--;
    return true;
}

void conn_set_began(struct conn *c)
{
    struct slice key = key_of(c->set, &c->peer);
    c->unfinished = c->set->bounds.handshakes_per_address && key.len;
    if (c->unfinished)
        count_handshake(c->set, key, 1);
}

void conn_set_arrived(struct conn *c)
{
    if (c->unfinished)
        count_handshake(c->set, key_of(c->set, &c->peer), -1);
    c->unfinished = false;
}

/* --- memory of unfinished messages ------------------------------------------------------------ */

void conn_set_holds(struct conn *c, size_t bytes)
{
    c->set->reassembly -= c->holds;
    c->set->reassembly += bytes;
    c->holds = bytes;
}

/* A walk, for it is rare: what it ends has held a large share of the memory. */
static struct conn *largest(const struct conn_set *set)
{
    struct conn *found = NULL;
    for (struct list *node = set->all.next; node != &set->all; node = node->next) {
        struct conn *c = list_entry(node, struct conn, all);
        if (c->holds && (!found || c->holds > found->holds))
            found = c;
    }
    return found;
}

void conn_set_bound_held(struct conn_set *set)
{
    size_t most = set->bounds.reassembly;
    while (most && set->reassembly > most)
        conn_ws_fail(largest(set), 1013, slice_of("too many messages are unfinished"));
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

/* Attempts to connect do not count: those of the drain's beginning are told of it first (they are
 * in front of this in the loop's list), and others come to nothing. */
static void tell_if_none_left(struct conn_set *set)
{
    if (set->drain && set->count == 0)
        loop_defer(set->loop, &set->drain->none_left);
}

void conn_set_removed(struct conn_set *set)
{
    set->count--;
    tell_if_none_left(set);
}

/* --- drain ------------------------------------------------------------------------------------ */

#define DRAIN_STEP 20  /* ms between two rounds */
#define DRAIN_CLOSES 1 /* connections closed a millisecond, unless the time is too short */

static void end_for_drain(struct conn *c, uint16_t code)
{
    switch (c->phase) {
    case PHASE_PROXY:
        conn_linger(c, ENDING_HANG_UP);
        break;
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
    connect_drain(set);
    tell_if_none_left(set);
}
