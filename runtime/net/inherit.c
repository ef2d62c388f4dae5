#include "net/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_FD 3        /* SD_LISTEN_FDS_START */
#define COUNT_MAX 1024    /* more is a mistake */
#define UNNAMED "unknown" /* what the manager calls a socket without a name */

#define FAIL(...) (snprintf(error, error_size, __VA_ARGS__), -1)

static long read_number(const char *text)
{
    char *end;
    errno = 0;
    long n = text && *text >= '0' && *text <= '9' ? strtol(text, &end, 10) : -1;
    return n >= 0 && !errno && !*end ? n : -1;
}

/* The names are joined by colons; the manager lets no colon into one. NULL: memory short. */
static char *next_name(const char **names)
{
    size_t len = strcspn(*names, ":");
    char *name = len ? strndup(*names, len) : strdup(UNNAMED);
    *names += len + ((*names)[len] == ':');
    return name;
}

static bool read_names(struct inherit *h, size_t count, const char *names)
{
    h->list = calloc(count, sizeof *h->list);
    if (!h->list)
        return false;
    for (size_t i = 0; i < count; i++) {
        int fd = FIRST_FD + (int)i;
        /* what is not open now would later be a descriptor of our own */
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
            h->none = "LISTEN_FDS tells of more descriptors than are open";
            return true;
        }
        h->list[i] = (struct inherited){.fd = fd, .name = next_name(&names)};
        if (!h->list[i].name)
            return false;
        h->count++;
    }
    return true;
}

static bool read_environment(struct inherit *h)
{
    const char *names = getenv("LISTEN_FDNAMES");
    long pid = read_number(getenv("LISTEN_PID")), count = read_number(getenv("LISTEN_FDS"));
    if (!getenv("LISTEN_FDS") || !getenv("LISTEN_PID"))
        h->none = "LISTEN_PID and LISTEN_FDS are not set: the service has no socket unit";
    else if (pid < 0 || count < 0 || count > COUNT_MAX)
        h->none = "LISTEN_PID and LISTEN_FDS are no numbers";
    else if (pid != (long)getpid())
        h->none = "LISTEN_PID names another process: start tidewire directly, without a shell";
    else if (!count)
        h->none = "LISTEN_FDS is 0";
    else
        return read_names(h, (size_t)count, names ? names : "");
    return true;
}

bool inherit_read(struct inherit *h)
{
    *h = (struct inherit){0};
    bool ok = read_environment(h);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return ok;
}

void inherit_free(struct inherit *h)
{
    for (size_t i = 0; i < h->count; i++) {
        if (h->list[i].fd >= 0)
            close(h->list[i].fd);
        free(h->list[i].name);
    }
    free(h->list);
    *h = (struct inherit){0};
}

static struct inherited *find(const struct inherit *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->list[i].fd >= 0 && (!*name || strcmp(h->list[i].name, name) == 0))
            return &h->list[i];
    return NULL;
}

bool inherit_has(const struct inherit *h, const char *name)
{
    return find(h, name) != NULL;
}

const char *inherit_left(const struct inherit *h)
{
    const struct inherited *left = find(h, "");
    return left ? left->name : NULL;
}

/* What keeps a descriptor from being one to accept from; NULL: nothing. */
static const char *fault_of(int fd, struct sockaddr_storage *address)
{
    struct stat st;
    int type = 0, listens = 0;
    socklen_t size = sizeof type;
    if (fstat(fd, &st) || !S_ISSOCK(st.st_mode))
        return "it is no socket";
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) || type != SOCK_STREAM)
        return "it is no stream socket: the socket unit needs ListenStream=";
    size = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) || !listens)
        return "it does not listen: the socket unit needs Accept=no";
    size = sizeof *address;
    *address = (struct sockaddr_storage){0};
    if (getsockname(fd, (void *)address, &size) ||
        (address->ss_family != AF_INET && address->ss_family != AF_INET6 &&
         address->ss_family != AF_UNIX))
        return "it is neither a TCP nor a Unix socket";
    return NULL;
}

static int set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* "web", "api" */
static void list_names(const struct inherit *h, char *out, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < h->count && at < size; i++) {
        int n = snprintf(out + at, size - at, "%s\"%s\"", i ? ", " : "", h->list[i].name);
        at += n > 0 ? (size_t)n : 0;
    }
}

int inherit_take(struct inherit *h, const char *name, struct sockaddr_storage *address, char *error,
                 size_t error_size)
{
    struct inherited *found = find(h, name);
    char names[256] = "";
    if (h->none)
        return FAIL("%s", h->none);
    if (!found) {
        list_names(h, names, sizeof names);
        return *name ? FAIL("no inherited socket of that name is left; there are %s", names)
                     : FAIL("all inherited sockets are used by other URLs");
    }
    const char *fault = fault_of(found->fd, address);
    if (fault)
        return FAIL("descriptor %d (\"%s\"): %s", found->fd, found->name, fault);
    if (set_nonblocking(found->fd))
        return FAIL("descriptor %d (\"%s\"): %s", found->fd, found->name, strerror(errno));
    int fd = found->fd;
    found->fd = -1;
    return fd;
}
