/* The master's half of listener.h: URL to bound sockets. */
#include "net/listen_url.h"
#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096

struct opening {
    const char *url;
    const struct listen_options *options;
    struct listen_url asked;
    struct listen_point **points;
    char *error;
    size_t error_size;
};

#define FAIL(r, ...) (snprintf((r)->error, (r)->error_size, __VA_ARGS__), false)

static struct listen_point *add_point(struct opening *r)
{
    struct listen_point *p = calloc(1, sizeof *p);
    if (p)
        p->fds = malloc(r->options->workers * sizeof *p->fds);
    if (!p || !p->fds) {
        free(p);
        (void)FAIL(r, "out of memory");
        return NULL;
    }
    p->local.fd = -1;
    p->proxy_protocol = r->asked.proxy_protocol;
    struct listen_point **end = r->points;
    while (*end)
        end = &(*end)->next;
    *end = p;
    return p;
}

/* --- TCP -------------------------------------------------------------------------------------- */

static const char *advice(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "the port is in use; end the other program, or choose another with --listen";
    case EACCES:
        return "ports below 1024 need a privilege; choose a higher one, or grant "
               "CAP_NET_BIND_SERVICE";
    case EADDRNOTAVAIL:
        return "no interface of this machine has that address";
    default:
        return strerror(error);
    }
}

/* A second tidewire on the same port would be let in by SO_REUSEPORT and take half of the
 * connections. So the first socket is bound without it: that fails when the port is in use. */
static int open_tcp(const struct sockaddr *address, socklen_t size, bool share)
{
    int on = 1;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if ((share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on)) ||
        bind(fd, address, size)) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

static int probe_tcp(const struct sockaddr *address, socklen_t size)
{
    int fd = open_tcp(address, size, false);
    if (fd < 0)
        return -1;
    /* listening shows a conflict that SO_REUSEADDR hides from bind */
    int failed = listen(fd, 1);
    int why = errno;
    close(fd);
    errno = why;
    return failed;
}

static void name_point(struct listen_point *p, const struct sockaddr_storage *a)
{
    char host[INET6_ADDRSTRLEN] = "";
    const char *scheme = p->tls ? "wss" : "ws";
    if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)a;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(p->url, sizeof p->url, "%s://[%s]:%u", scheme, host, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const void *)a;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(p->url, sizeof p->url, "%s://%s:%u", scheme, host, ntohs(in->sin_port));
    }
}

/* A socket for each worker on one address. Port 0 is chosen by the first one. */
static bool open_point(struct opening *r, const struct addrinfo *a, struct tls_context *tls)
{
    struct sockaddr_storage address = {0};
    socklen_t size = a->ai_addrlen;
    memcpy(&address, a->ai_addr, size);
    if (probe_tcp((void *)&address, size) < 0)
        return FAIL(r, "cannot listen on %s: %s", r->url, advice(errno));
    struct listen_point *p = add_point(r);
    if (!p)
        return false;
    p->tls = tls;
    while (p->count < r->options->workers) {
        int fd = open_tcp((void *)&address, size, true);
        if (fd < 0 || listen(fd, BACKLOG) < 0) {
            int why = errno;
            if (fd >= 0)
                close(fd);
            return FAIL(r, "cannot listen on %s: %s", r->url, advice(why));
        }
        p->fds[p->count++] = fd;
        size = sizeof address;
        getsockname(fd, (void *)&address, &size);
    }
    name_point(p, &address);
    return true;
}

static bool open_host(struct opening *r, struct tls_context *tls)
{
    const struct uri *u = &r->asked.uri;
    char host[256], port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    if (u->host.len >= sizeof host)
        return FAIL(r, "cannot listen on %s: the host name is too long", r->url);
    snprintf(host, sizeof host, "%.*s", SLICE_ARG(u->host));
    snprintf(port, sizeof port, "%u", u->port);
    int failed = getaddrinfo(host, port, &hints, &found);
    if (failed)
        return FAIL(r, "cannot listen on %s: %s", r->url, gai_strerror(failed));
    bool ok = true;
    for (const struct addrinfo *a = found; a && ok; a = a->ai_next)
        ok = open_point(r, a, tls);
    freeaddrinfo(found);
    return ok;
}

/* --- wss -------------------------------------------------------------------------------------- */

/* What clients have to show: the URL's own rule, else that of the settings, also for a listener
 * with certificates of its own. A rule that did not count there would let in whom it is meant to
 * stop. */
static bool choose_clients(struct opening *r, struct tls_settings *out)
{
    const struct tls_settings *own = &r->asked.tls, *others = r->options->tls;
    const char *ca = own->client_ca ? own->client_ca : others ? others->client_ca : NULL;
    free(out->client_ca);
    out->client_ca = ca ? strdup(ca) : NULL;
    if (ca && !out->client_ca)
        return FAIL(r, "out of memory");
    out->client_optional =
        r->asked.client_given ? own->client_optional : others && others->client_optional;
    if (r->asked.client_given && !ca)
        return FAIL(r,
                    "cannot listen on %s: the option \"client\" needs the authorities of clients: "
                    "client_ca=FILE",
                    r->url);
    return true;
}

static bool choose_settings(struct opening *r, struct tls_settings *out)
{
    const struct tls_settings *own = &r->asked.tls, *others = r->options->tls;
    if (!own->count && (!others || !others->count))
        return FAIL(r,
                    "cannot listen on %s: wss needs a certificate and its key: "
                    "wss://HOST:PORT?cert=FILE&key=FILE",
                    r->url);
    if (!tls_settings_copy(out, own->count ? own : others))
        return FAIL(r, "out of memory");
    return choose_clients(r, out);
}

static struct tls_context *open_tls(struct opening *r)
{
    struct tls_settings settings = {0};
    struct tls_context *t = NULL;
    struct buf bytes = {0};
    char why[768] = "out of memory";
    if (!choose_settings(r, &settings)) {
        tls_settings_free(&settings);
        return NULL;
    }
    t = tls_context_new(&settings, r->url, r->options->tickets);
    tls_settings_free(&settings);
    bool ok = t && tls_context_read(t, &bytes, why, sizeof why);
    struct slice left = {(const char *)bytes.data, bytes.len};
    ok = ok && tls_context_prepare(t, &left, why, sizeof why);
    tls_wipe_bytes(&bytes);
    if (ok) {
        tls_context_commit(t);
        return t;
    }
    tls_context_free(t);
    (void)FAIL(r, "cannot listen on %s: %s", r->url, why);
    return NULL;
}

/* Opens with `open` what the URL names, with TLS if it asks for that. */
static bool open_secured(struct opening *r, bool (*open)(struct opening *, struct tls_context *))
{
    struct tls_context *tls = NULL;
    if (r->asked.uri.secure && !(tls = open_tls(r)))
        return false;
    struct listen_point *last = *r->points;
    while (last && last->next)
        last = last->next;
    if (open(r, tls))
        return true;
    /* when no point has taken it over, nobody else will free it */
    struct listen_point *first_new = last ? last->next : *r->points;
    if (!first_new || first_new->tls != tls)
        tls_context_free(tls);
    return false;
}

/* --- Unix sockets ----------------------------------------------------------------------------- */

static const char *unix_advice(const char *path, int error)
{
    struct stat st;
    if (error != EADDRINUSE)
        return strerror(error);
    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return "there is a file of that name that is no socket; choose another path";
    return "another program listens there";
}

static bool check_path(struct opening *r)
{
    size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1; /* for those who connect */
    size_t n = strlen(r->asked.unix_path);
    return (n && n <= most) ||
           FAIL(r, "cannot listen on %s: a socket's path has 1 to %zu bytes", r->url, most);
}

static bool open_unix(struct opening *r)
{
    const char *path = r->asked.unix_path;
    struct listen_point *p = check_path(r) ? add_point(r) : NULL;
    if (!p)
        return false;
    if (!unix_socket_listen(&p->local, path, false, BACKLOG))
        return FAIL(r, "cannot listen on %s: %s", r->url, unix_advice(path, errno));
    p->fds[p->count++] = p->local.fd;
    snprintf(p->url, sizeof p->url, "unix:%s", path);
    return true;
}

/* --- inherited sockets ------------------------------------------------------------------------ */

static void name_inherited(struct listen_point *p, const struct sockaddr_storage *address,
                           const char *asked)
{
    const struct sockaddr_un *local = (const void *)address;
    if (address->ss_family != AF_UNIX)
        name_point(p, address);
    else if (local->sun_path[0])
        snprintf(p->url, sizeof p->url, "unix:%s", local->sun_path);
    else
        snprintf(p->url, sizeof p->url, "unix:@%s", local->sun_path + 1);
    size_t len = strlen(p->url);
    snprintf(p->url + len, sizeof p->url - len, " (systemd:%s)", asked);
}

/* Everything of that name. Each is one socket for all workers, and its file is not ours to remove.
 */
static bool open_inherited(struct opening *r, struct tls_context *tls)
{
    struct inherit *inherited = r->options->inherited;
    const char *name = r->asked.systemd;
    struct sockaddr_storage address;
    char why[512];
    do {
        int fd = inherit_take(inherited, name, &address, why, sizeof why);
        if (fd < 0)
            return FAIL(r, "cannot listen on %s: %s", r->url, why);
        struct listen_point *p = add_point(r);
        if (!p) {
            close(fd);
            return false;
        }
        p->tls = tls;
        p->fds[p->count++] = fd;
        name_inherited(p, &address, name);
    } while (inherit_has(inherited, name));
    return true;
}

/* ---------------------------------------------------------------------------------------------- */

bool listen_open(const char *url, const struct listen_options *options,
                 struct listen_point **points, char *error, size_t error_size)
{
    struct opening r = {
        .url = url, .options = options, .points = points, .error = error, .error_size = error_size};
    bool ok = listen_url_read(url, &r.asked, error, error_size) &&
              (r.asked.unix_path ? open_unix(&r)
               : r.asked.systemd ? open_secured(&r, open_inherited)
                                 : open_secured(&r, open_host));
    listen_url_free(&r.asked);
    return ok;
}

static bool check_tls(struct opening *r)
{
    struct tls_context *tls = r->asked.uri.secure ? open_tls(r) : NULL;
    tls_context_free(tls);
    return tls || !r->asked.uri.secure;
}

bool listen_check(const char *url, const struct tls_settings *tls, char *error, size_t error_size)
{
    struct listen_options options = {.tls = tls};
    struct opening r = {.url = url, .options = &options, .error = error, .error_size = error_size};
    bool ok = listen_url_read(url, &r.asked, error, error_size) &&
              (r.asked.unix_path ? check_path(&r) : check_tls(&r));
    listen_url_free(&r.asked);
    return ok;
}

void listen_close(struct listen_point *points)
{
    struct tls_context *freed = NULL;
    while (points) {
        struct listen_point *p = points;
        points = p->next;
        for (size_t i = 0; i < p->count; i++)
            if (p->fds[i] != p->local.fd)
                close(p->fds[i]);
        unix_socket_close(&p->local);
        /* the addresses of one URL, neighbours in the list, share a context */
        if (p->tls != freed)
            tls_context_free(p->tls);
        freed = p->tls;
        free(p->fds);
        free(p);
    }
}
