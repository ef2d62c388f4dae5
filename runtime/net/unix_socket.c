#include "net/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX (4 * 1024 * 1024)
#define CONNECT_PATIENCE 5 /* s */
#define LOCK_TRIES 20
#define LOCK_PAUSE 50000000 /* ns */

/* The folder of a path is open as `folder`; -1: the path is short enough to go without. */
struct place {
    struct sockaddr_un address;
    int folder;
};

static bool place_open(struct place *p, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char parent[4096];
    *p = (struct place){.address = {.sun_family = AF_UNIX}, .folder = -1};
    if (!*name || strlen(path) >= sizeof parent) {
        errno = *name ? ENAMETOOLONG : EINVAL;
        return false;
    }
    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    p->folder = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (strlen(path) < sizeof p->address.sun_path) {
        snprintf(p->address.sun_path, sizeof p->address.sun_path, "%s", path);
        return true;
    }
    if (p->folder < 0)
        return false;
    int n = snprintf(p->address.sun_path, sizeof p->address.sun_path, "/proc/self/fd/%d/%s",
                     p->folder, name);
    if (n < (int)sizeof p->address.sun_path)
        return true;
    close(p->folder);
    errno = ENAMETOOLONG;
    return false;
}

static void place_close(struct place *p)
{
    int why = errno;
    if (p->folder >= 0)
        close(p->folder);
    errno = why;
}

/* Two that start at once must not take each other's new socket for a stale one. Who cannot get the
 * lock goes on without: others may hold it for whatever they like. */
static void lock(const struct place *p)
{
    struct timespec pause = {.tv_nsec = LOCK_PAUSE};
    for (int i = 0; p->folder >= 0 && i < LOCK_TRIES; i++) {
        if (flock(p->folder, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
            return;
        nanosleep(&pause, NULL);
    }
}

static int new_socket(int flags)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
}

static bool remove_stale(const struct place *p)
{
    struct stat st;
    if (lstat(p->address.sun_path, &st) || !S_ISSOCK(st.st_mode))
        return false;
    int fd = new_socket(SOCK_NONBLOCK);
    if (fd < 0)
        return false;
    bool alive =
        connect(fd, (const void *)&p->address, sizeof p->address) == 0 || errno != ECONNREFUSED;
    close(fd);
    return !alive && unlink(p->address.sun_path) == 0;
}

/* The rights are given with the name: there is no moment with others. */
static int bind_with(int fd, const struct place *p, bool secret)
{
    mode_t before = secret ? umask(0177) : 0;
    int failed = bind(fd, (const void *)&p->address, sizeof p->address);
    int why = errno;
    if (secret)
        umask(before);
    errno = why;
    return failed;
}

static bool bind_and_listen(struct unix_socket *s, const struct place *p, bool secret, int backlog)
{
    struct stat st;
    int failed = bind_with(s->fd, p, secret);
    if (failed && errno == EADDRINUSE) {
        if (!remove_stale(p)) {
            errno = EADDRINUSE;
            return false;
        }
        failed = bind_with(s->fd, p, secret);
    }
    if (failed)
        return false;
    if (listen(s->fd, backlog) || lstat(p->address.sun_path, &st)) {
        int why = errno;
        unlink(p->address.sun_path);
        errno = why;
        return false;
    }
    s->device = st.st_dev;
    s->inode = st.st_ino;
    return true;
}

bool unix_socket_listen(struct unix_socket *s, const char *path, bool secret, int backlog)
{
    struct place p;
    *s = (struct unix_socket){.fd = -1};
    if (!place_open(&p, path))
        return false;
    lock(&p);
    s->path = strdup(path);
    s->fd = s->path ? new_socket(SOCK_NONBLOCK) : -1;
    bool ok = s->fd >= 0 && bind_and_listen(s, &p, secret, backlog);
    place_close(&p);
    if (!ok) {
        int why = errno;
        unix_socket_drop(s);
        errno = why;
    }
    return ok;
}

void unix_socket_drop(struct unix_socket *s)
{
    if (s->fd >= 0)
        close(s->fd);
    free(s->path);
    *s = (struct unix_socket){.fd = -1};
}

void unix_socket_close(struct unix_socket *s)
{
    struct stat st;
    if (s->path && lstat(s->path, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode)
        unlink(s->path);
    unix_socket_drop(s);
}

/* --- the other side --------------------------------------------------------------------------- */

int unix_socket_connect(const char *path)
{
    struct place p;
    if (!place_open(&p, path))
        return -1;
    int fd = new_socket(0);
    struct timeval patience = {.tv_sec = CONNECT_PATIENCE}; /* with one whose backlog is full */
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (fd >= 0 && connect(fd, (const void *)&p.address, sizeof p.address)) {
        int why = errno;
        close(fd);
        fd = -1;
        errno = why;
    }
    place_close(&p);
    return fd;
}

static bool wait_for(int fd, short events, uint32_t ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n;
    do
        n = poll(&p, 1, (int)ms);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        errno = ETIMEDOUT;
    return n > 0;
}

static bool send_all(int fd, const char *bytes, size_t n, uint32_t ms)
{
    while (n) {
        if (!wait_for(fd, POLLOUT, ms))
            return false;
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (sent > 0) {
            bytes += sent;
            n -= (size_t)sent;
        }
    }
    return true;
}

static bool receive_line(int fd, struct buf *answer, uint32_t ms)
{
    for (;;) {
        if (!wait_for(fd, POLLIN, ms))
            return false;
        if (answer->len > ANSWER_MAX || !buf_reserve(answer, 4096)) {
            errno = answer->len > ANSWER_MAX ? EMSGSIZE : ENOMEM;
            return false;
        }
        ssize_t n = recv(fd, answer->data + answer->len, 4096, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            errno = EPIPE;
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        if (n < 0)
            continue;
        unsigned char *end = memchr(answer->data + answer->len, '\n', (size_t)n);
        answer->len += (size_t)n;
        if (end) {
            answer->len = (size_t)(end - answer->data);
            return true;
        }
    }
}

bool unix_socket_ask(const char *path, const char *line, size_t n, uint32_t ms, struct buf *answer)
{
    int fd = unix_socket_connect(path);
    if (fd < 0)
        return false;
    /* who does not listen may have said why */
    bool ok = (send_all(fd, line, n, ms) || errno == EPIPE) && receive_line(fd, answer, ms);
    int why = errno;
    close(fd);
    errno = why;
    return ok;
}
