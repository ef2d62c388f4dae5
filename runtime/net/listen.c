/* The master's half of listener.h: URL to bound sockets. */
#include "net/listener.h"
#include "wire/uri.h"

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
#define QUERY_MAX 512

struct opening {
    const char *url;
    size_t workers;
    struct listen_point **points;
    char *error;
    size_t error_size;
};

#define FAIL(r, ...) (snprintf((r)->error, (r)->error_size, __VA_ARGS__), false)

static struct listen_point *add_point(struct opening *r)
{
    struct listen_point *p = calloc(1, sizeof *p);
    if (p)
        p->fds = malloc(r->workers * sizeof *p->fds);
    if (!p || !p->fds) {
        free(p);
        (void)FAIL(r, "out of memory");
        return NULL;
    }
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
    while (p->count < r->workers) {
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

static bool open_host(struct opening *r, const struct uri *u, struct tls_context *tls)
{
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

/* --- wss: certificate and key of the query ---------------------------------------------------- */

static bool copy_query(struct opening *r, struct slice raw, char out[QUERY_MAX])
{
    struct buf decoded = {0};
    bool ok = uri_query_decode(raw, &decoded) && decoded.len < QUERY_MAX &&
              !memchr(decoded.data ? (void *)decoded.data : "", 0, decoded.len);
    if (ok)
        snprintf(out, QUERY_MAX, "%.*s", (int)decoded.len,
                 decoded.data ? (char *)decoded.data : "");
    buf_free(&decoded);
    return ok || FAIL(r, "cannot listen on %s: a file name in the query is too long", r->url);
}

static bool read_query(struct opening *r, const struct uri *u, char cert[QUERY_MAX],
                       char key[QUERY_MAX])
{
    struct slice rest = u->query, name, value;
    *cert = *key = '\0';
    while (u->query.ptr && uri_query_next(&rest, &name, &value)) {
        if (u->secure && slice_is(name, "cert")) {
            if (!copy_query(r, value, cert))
                return false;
        } else if (u->secure && slice_is(name, "key")) {
            if (!copy_query(r, value, key))
                return false;
        } else {
            return FAIL(r, "cannot listen on %s: unknown option \"%.*s\"%s", r->url,
                        SLICE_ARG(name), u->secure ? "; known are cert and key" : "");
        }
    }
    if (u->secure && (!*cert || !*key))
        return FAIL(r,
                    "cannot listen on %s: wss needs a certificate and its key: "
                    "wss://HOST:PORT?cert=FILE&key=FILE",
                    r->url);
    return true;
}

static bool open_uri(struct opening *r, const struct uri *u)
{
    char cert[QUERY_MAX], key[QUERY_MAX], why[512];
    struct tls_context *tls = NULL;
    if (u->path.len > 1)
        return FAIL(r, "cannot listen on %s: an address has no path; routes are the app's", r->url);
    if (!read_query(r, u, cert, key))
        return false;
    if (u->secure && !(tls = tls_context_new(cert, key, why, sizeof why)))
        return FAIL(r, "cannot listen on %s: %s", r->url, why);
    struct listen_point *last = *r->points;
    while (last && last->next)
        last = last->next;
    if (open_host(r, u, tls))
        return true;
    /* when no point has taken it over, nobody else will free it */
    struct listen_point *first_new = last ? last->next : *r->points;
    if (!first_new || first_new->tls != tls)
        tls_context_free(tls);
    return false;
}

/* --- Unix sockets ----------------------------------------------------------------------------- */

/* A socket file that nobody answers is what a killed process left: it may go. */
static bool remove_stale(const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(address->sun_path, &st) || !S_ISSOCK(st.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool alive = connect(fd, (const void *)address, sizeof *address) == 0 || errno != ECONNREFUSED;
    close(fd);
    return !alive && unlink(address->sun_path) == 0;
}

static const char *unix_advice(const char *path, int error)
{
    struct stat st;
    if (error != EADDRINUSE)
        return strerror(error);
    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return "there is a file of that name that is no socket; choose another path";
    return "another program listens there";
}

static bool open_unix(struct opening *r, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!*path || strlen(path) >= sizeof address.sun_path)
        return FAIL(r, "cannot listen on %s: a socket's path has 1 to %zu bytes", r->url,
                    sizeof address.sun_path - 1);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return FAIL(r, "cannot listen on %s: %s", r->url, strerror(errno));
    int failed = bind(fd, (void *)&address, sizeof address);
    int why = errno;
    if (failed && why == EADDRINUSE && remove_stale(&address)) {
        failed = bind(fd, (void *)&address, sizeof address);
        why = errno;
    }
    if (!failed && listen(fd, BACKLOG)) {
        failed = -1;
        why = errno;
        unlink(path);
    }
    if (failed) {
        close(fd);
        return FAIL(r, "cannot listen on %s: %s", r->url, unix_advice(path, why));
    }
    struct listen_point *p = add_point(r);
    if (!p) {
        close(fd);
        return false;
    }
    p->fds[p->count++] = fd;
    p->unix_path = strdup(path);
    snprintf(p->url, sizeof p->url, "unix:%s", path);
    return p->unix_path || FAIL(r, "out of memory");
}

/* ---------------------------------------------------------------------------------------------- */

/* Port 0, "any free one", is no port of a URI: copies the URL without it. false: there is none. */
static bool cut_port_zero(const char *url, char *out, size_t size)
{
    const char *authority = strstr(url, "://");
    if (!authority || strlen(url) >= size)
        return false;
    const char *end = authority + 3 + strcspn(authority + 3, "/?#");
    if (end - authority < 5 || end[-2] != ':' || end[-1] != '0')
        return false;
    snprintf(out, size, "%.*s%s", (int)(end - 2 - url), url, end);
    return true;
}

bool listen_open(const char *url, size_t workers, struct listen_point **points, char *error,
                 size_t error_size)
{
    struct opening r = {url, workers, points, error, error_size};
    struct uri u;
    if (strncmp(url, "unix:", 5) == 0)
        return open_unix(&r, url + 5);
    char without_port[QUERY_MAX * 3];
    bool any_port = cut_port_zero(url, without_port, sizeof without_port);
    int failed = uri_parse(slice_of(any_port ? without_port : url), &u);
    if (failed)
        return FAIL(&r,
                    "cannot listen on %s: %s; write ws://HOST:PORT, "
                    "wss://HOST:PORT?cert=FILE&key=FILE or unix:PATH",
                    url, uri_error_text(failed));
    if (any_port)
        u.port = 0;
    return open_uri(&r, &u);
}

void listen_close(struct listen_point *points)
{
    struct tls_context *freed = NULL;
    while (points) {
        struct listen_point *p = points;
        points = p->next;
        for (size_t i = 0; i < p->count; i++)
            close(p->fds[i]);
        if (p->unix_path)
            unlink(p->unix_path);
        /* the addresses of one URL, neighbours in the list, share a context */
        if (p->tls != freed)
            tls_context_free(p->tls);
        freed = p->tls;
        free(p->unix_path);
        free(p->fds);
        free(p);
    }
}
