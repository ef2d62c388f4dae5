#include "host/notify.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Seconds for a manager whose queue is full: it must not hold us up for long. */
#define PATIENCE 1

/* A number of the environment. false: it is none. */
static bool read_number(const char *text, uint64_t *out)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return !errno && !*end;
}

static const char *read_watchdog(struct notify *n)
{
    const char *every = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    uint64_t number;
    if (!every)
        return NULL;
    if (pid && !read_number(pid, &number))
        return "WATCHDOG_PID is no number";
    if (pid && number != (uint64_t)getpid())
        return NULL; /* it is another process that is watched */
    if (!read_number(every, &number) || !number)
        return "WATCHDOG_USEC is no number of microseconds";
    number = number < 2000 ? 2 : number / 1000; /* a timer has no less than a millisecond */
    n->watchdog = number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
    return NULL;
}

/* A path, or, after an "@", a name in the abstract namespace. */
static const char *read_address(struct notify *n, const char *name)
{
    size_t len = strlen(name);
    if (*name != '/' && *name != '@')
        return "NOTIFY_SOCKET is neither a path nor an @name";
    if (len < 2 || len >= sizeof n->address.sun_path)
        return "NOTIFY_SOCKET is too long, or empty";
    n->address.sun_family = AF_UNIX;
    memcpy(n->address.sun_path, name, len + 1);
    n->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    if (*name == '@') { /* every byte of such a name counts, so it has no NUL at its end */
        n->address.sun_path[0] = '\0';
        n->size--;
    }
    return NULL;
}

static const char *open_socket(struct notify *n)
{
    struct timeval patience = {.tv_sec = PATIENCE};
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (n->fd < 0)
        return "no descriptor is left for NOTIFY_SOCKET";
    setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return NULL;
}

const char *notify_open(struct notify *n)
{
    const char *name = getenv("NOTIFY_SOCKET"), *wrong = NULL;
    *n = (struct notify){.fd = -1};
    if (name && *name) {
        wrong = read_address(n, name);
        if (!wrong)
            wrong = read_watchdog(n);
        if (!wrong)
            wrong = open_socket(n);
        if (wrong)
            n->watchdog = 0;
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return wrong;
}

void notify_close(struct notify *n)
{
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
    n->watchdog = 0;
}

/* What does not arrive is the manager's loss: there is nobody to tell. */
static void tell(const struct notify *n, const char *text, int flags)
{
    if (n->fd < 0)
        return;
    (void)!sendto(n->fd, text, strlen(text), MSG_NOSIGNAL | flags, (const void *)&n->address,
                  n->size);
}

void notify_ready(const struct notify *n, const char *status)
{
    char text[1024];
    snprintf(text, sizeof text, "READY=1\nSTATUS=%s\n", status);
    tell(n, text, 0);
}

void notify_stopping(const struct notify *n)
{
    tell(n, "STOPPING=1\nSTATUS=ending the connections\n", 0);
}

void notify_reloading(const struct notify *n)
{
    struct timespec now;
    char text[128];
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu\n",
             (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000);
    tell(n, text, 0);
}

void notify_alive(const struct notify *n)
{
    tell(n, "WATCHDOG=1\n", MSG_DONTWAIT); /* a full queue holds signs of life already */
}
