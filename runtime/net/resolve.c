#include "net/resolve.h"

#include <ares.h>
#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_MAX_LEN 255
#define RESOLV_CONF "/etc/resolv.conf"

/* Doubled for the second try: 4.5 s for a server that is away, where c-ares would take 75 s. */
#define TRY_MS 1500
#define TRIES 2

/* At once: one of UDP and one of TCP for each server. One that finds no room is not watched, and
 * its questions go to the next server when they are due. */
#define SOCKETS 16

struct resolver {
    struct loop *loop;
    char *servers;
    ares_channel channel; /* NULL: not needed yet */
    bool library;         /* ares_library_init was called */
    size_t waiting;       /* lookups that c-ares has */
    ev_io sockets[SOCKETS];
    struct timer retry;
    struct timespec settings; /* resolv.conf as of the channel's making */
};

struct lookup {
    struct resolver *resolver;
    struct deferred later;
    void (*done)(void *context, const struct resolve_result *result); /* NULL: cancelled */
    void *context;
    bool waiting; /* c-ares has it, and cannot be made to forget a single one */
    in_port_t port;
    const char *text;
    bool memory_short;
    size_t count;
    struct sockaddr_storage addresses[RESOLVE_MAX];
};

/* --- c-ares on our loop ----------------------------------------------------------------------- */

static void set_retry(struct resolver *r)
{
    struct timeval room, *left = ares_timeout(r->channel, NULL, &room);
    if (!left)
        loop_timer_cancel(r->loop, &r->retry);
    else /* rounded up: a moment too early would be a turn for nothing */
        loop_timer_set(r->loop, &r->retry,
                       (uint64_t)left->tv_sec * 1000 + (uint64_t)left->tv_usec / 1000 + 1);
}

static void on_retry(struct timer *t)
{
    struct resolver *r = list_entry(t, struct resolver, retry);
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_retry(r);
}

static void on_io(struct ev_loop *ev, ev_io *w, int events)
{
    struct resolver *r = w->data;
    int fd = w->fd;
    (void)ev;
    /* this may end the watcher, and give it to another socket */
    ares_process_fd(r->channel, events & EV_READ ? fd : ARES_SOCKET_BAD,
                    events & EV_WRITE ? fd : ARES_SOCKET_BAD);
    set_retry(r);
}

/* The watcher of a socket, else a free one; NULL: there is none. */
static ev_io *find_watcher(struct resolver *r, int fd)
{
    ev_io *unused = NULL;
    for (size_t i = 0; i < SOCKETS; i++) {
        if (!ev_is_active(&r->sockets[i]))
            unused = &r->sockets[i];
        else if (r->sockets[i].fd == fd)
            return &r->sockets[i];
    }
    return unused;
}

static void on_socket_state(void *context, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = context;
    ev_io *w = find_watcher(r, fd);
    int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);
    if (!w)
        return;
    ev_io_stop(loop_ev(r->loop), w);
    if (!events)
        return;
    ev_io_set(w, fd, events);
    ev_io_start(loop_ev(r->loop), w);
}

static struct timespec settings_time(void)
{
    struct stat st;
    return stat(RESOLV_CONF, &st) ? (struct timespec){0} : st.st_mtim;
}

/* A resolver lives as long as its process, and a machine may change its network: take new settings
 * when nobody waits for an answer. */
static void drop_if_outdated(struct resolver *r)
{
    struct timespec now = settings_time();
    if (!r->channel || r->waiting || r->servers ||
        (now.tv_sec == r->settings.tv_sec && now.tv_nsec == r->settings.tv_nsec))
        return;
    ares_destroy(r->channel);
    r->channel = NULL;
    loop_timer_cancel(r->loop, &r->retry);
}

static int make_channel(struct resolver *r)
{
    struct ares_options o = {
        .timeout = TRY_MS,
        .tries = TRIES,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = r,
    };
    drop_if_outdated(r);
    if (r->channel)
        return ARES_SUCCESS;
    int failed = r->library ? ARES_SUCCESS : ares_library_init(ARES_LIB_INIT_ALL);
    r->library = !failed;
    r->settings = settings_time();
    if (!failed)
        failed = ares_init_options(&r->channel, &o,
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (failed) {
        r->channel = NULL;
        return failed;
    }
    if (r->servers && (failed = ares_set_servers_ports_csv(r->channel, r->servers))) {
        ares_destroy(r->channel);
        r->channel = NULL;
    }
    return failed;
}

struct resolver *resolve_new(struct loop *loop, const char *servers)
{
    struct resolver *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->loop = loop;
    for (size_t i = 0; i < SOCKETS; i++) {
        ev_init(&r->sockets[i], on_io);
        r->sockets[i].data = r;
    }
    r->retry.fire = on_retry;
    if (servers && !(r->servers = strdup(servers))) {
        free(r);
        return NULL;
    }
    return r;
}

void resolve_free(struct resolver *r)
{
    if (!r)
        return;
    if (r->channel)
        ares_destroy(r->channel); /* answers what was cancelled, and ends the watchers */
    loop_timer_cancel(r->loop, &r->retry);
    if (r->library)
        ares_library_cleanup();
    free(r->servers);
    free(r);
}

/* --- addresses -------------------------------------------------------------------------------- */

static void add_ipv4(struct lookup *l, const struct in_addr *address)
{
    if (l->count == RESOLVE_MAX)
        return;
    struct sockaddr_in *in = (void *)&l->addresses[l->count++];
    in->sin_family = AF_INET;
    in->sin_port = l->port;
    in->sin_addr = *address;
}

static void add_ipv6(struct lookup *l, const struct in6_addr *address, uint32_t scope)
{
    if (l->count == RESOLVE_MAX)
        return;
    struct sockaddr_in6 *in6 = (void *)&l->addresses[l->count++];
    in6->sin6_family = AF_INET6;
    in6->sin6_port = l->port;
    in6->sin6_addr = *address;
    in6->sin6_scope_id = scope;
}

static bool add_numeric(struct lookup *l, const char *name)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, name, &v4) == 1)
        add_ipv4(l, &v4);
    else if (inet_pton(AF_INET6, name, &v6) == 1)
        add_ipv6(l, &v6, 0);
    return l->count > 0;
}

/* These names never leave the machine, whatever the hosts file says. */
static bool add_localhost(struct lookup *l, struct slice name)
{
    static const char suffix[] = ".localhost";
    size_t n = sizeof suffix - 1;
    if (name.len && name.ptr[name.len - 1] == '.')
        name.len--;
    if (!slice_is_nocase(name, suffix + 1) &&
        (name.len <= n || !slice_is_nocase((struct slice){name.ptr + name.len - n, n}, suffix)))
        return false;
    add_ipv6(l, &in6addr_loopback, 0);
    add_ipv4(l, &(struct in_addr){htonl(INADDR_LOOPBACK)});
    return true;
}

static void add_found(struct lookup *l, const struct ares_addrinfo_node *node)
{
    for (; node; node = node->ai_next) {
        if (node->ai_family == AF_INET)
            add_ipv4(l, &((const struct sockaddr_in *)(const void *)node->ai_addr)->sin_addr);
        if (node->ai_family == AF_INET6) {
            const struct sockaddr_in6 *in6 = (const void *)node->ai_addr;
            add_ipv6(l, &in6->sin6_addr, in6->sin6_scope_id);
        }
    }
}

/* --- lookups ---------------------------------------------------------------------------------- */

static const char *reason_text(int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENONAME:
        return "there is no such name";
    case ARES_SUCCESS:
    case ARES_ENODATA:
        return "the name has no address";
    case ARES_ETIMEOUT:
        return "the name server does not answer";
    case ARES_ECONNREFUSED: /* c-ares says so of SERVFAIL and REFUSED too */
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
        return "the name server is not reachable, or answers with a failure";
    case ARES_EBADRESP:
        return "the name server's answer is malformed";
    case ARES_EBADNAME:
        return "that is no host name";
    case ARES_EFILE:
        return "the system's settings for names cannot be read";
    case ARES_ENOMEM:
        return "out of memory";
    default:
        return ares_strerror(status);
    }
}

static void fail(struct lookup *l, int status)
{
    l->text = reason_text(status);
    l->memory_short = status == ARES_ENOMEM;
}

static void on_later(struct deferred *d)
{
    struct lookup *l = list_entry(d, struct lookup, later);
    struct resolve_result result = {
        .addresses = l->addresses,
        .count = l->count,
        .text = l->count ? NULL : l->text,
        .memory_short = l->memory_short,
    };
    void (*done)(void *, const struct resolve_result *) = l->done;
    l->done = NULL; /* a cancel from within comes too late */
    done(l->context, &result);
    free(l);
}

static void on_answer(void *context, int status, int timeouts, struct ares_addrinfo *found)
{
    struct lookup *l = context;
    (void)timeouts;
    l->waiting = false;
    l->resolver->waiting--;
    if (found) {
        add_found(l, found->nodes);
        ares_freeaddrinfo(found);
    }
    if (!l->done) {
        free(l);
        return;
    }
    fail(l, status);
    loop_defer(l->resolver->loop, &l->later);
}

static void ask(struct lookup *l, const char *name)
{
    static const struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_ENVHOSTS,
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
    };
    struct resolver *r = l->resolver;
    int failed = make_channel(r);
    if (failed) {
        fail(l, failed);
        loop_defer(r->loop, &l->later);
        return;
    }
    l->waiting = true;
    r->waiting++;
    ares_getaddrinfo(r->channel, name, NULL, &hints, on_answer, l);
    set_retry(r);
}

struct lookup *resolve_start(struct resolver *r, struct slice name, uint16_t port,
                             void (*done)(void *context, const struct resolve_result *result),
                             void *context)
{
    char text[NAME_MAX_LEN + 1];
    struct lookup *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->resolver = r;
    l->done = done;
    l->context = context;
    l->port = htons(port);
    deferred_init(&l->later, on_later);
    if (!name.len || name.len >= sizeof text || memchr(name.ptr, 0, name.len)) {
        fail(l, ARES_EBADNAME);
        loop_defer(r->loop, &l->later);
        return l;
    }
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    if (add_numeric(l, text) || add_localhost(l, name))
        loop_defer(r->loop, &l->later);
    else
        ask(l, text);
    return l;
}

void resolve_cancel(struct lookup *l)
{
    if (!l || !l->done)
        return;
    l->done = NULL;
    if (l->waiting)
        return; /* freed when c-ares has done with it */
    deferred_cancel(&l->later);
    free(l);
}
