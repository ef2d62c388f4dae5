/* rawecho [PORT]: echoes bytes over TCP on 127.0.0.1, with no protocol at all. Prints
 * "listening tcp://127.0.0.1:PORT" when ready; ends by a signal.
 *
 * It makes the system calls that an echo cannot do without (epoll_wait, recv, send) and touches no
 * byte: what it reaches is what the kernel leaves to any server on one core. */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_SIZE (512 * 1024)
#define EVENTS 512

struct peer {
    int fd;
    unsigned char *rest; /* what the socket did not take; nothing is read meanwhile */
    size_t at, len;
};

struct server {
    int epoll, listener;
    unsigned char *buffer;
};

static void watch(const struct server *s, int op, int fd, uint32_t events, struct peer *peer)
{
    struct epoll_event e = {.events = events, .data.ptr = peer};
    if (epoll_ctl(s->epoll, op, fd, &e))
        bench_die(1, "epoll_ctl: %s", strerror(errno));
}

static int open_listener(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof a;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        bind(fd, (struct sockaddr *)&a, len) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&a, &len))
        bench_die(1, "cannot listen on 127.0.0.1:%u: %s", port, strerror(errno));
    printf("listening tcp://127.0.0.1:%u\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

static void accept_all(const struct server *s)
{
    int fd, one = 1;
    while ((fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct peer *peer = bench_alloc(1, sizeof *peer);
        peer->fd = fd;
        watch(s, EPOLL_CTL_ADD, fd, EPOLLIN, peer);
    }
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        bench_die(1, "accept: %s", strerror(errno));
}

static void drop(struct peer *peer)
{
    close(peer->fd); /* takes it out of the epoll set too */
    free(peer->rest);
    free(peer);
}

/* The bytes that the socket took, or -1 when the connection is gone. */
static ssize_t write_some(int fd, const unsigned char *bytes, size_t n)
{
    ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
    return sent >= 0 ? sent : errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static void on_readable(const struct server *s, struct peer *peer)
{
    ssize_t n = recv(peer->fd, s->buffer, BUFFER_SIZE, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    ssize_t sent = n <= 0 ? -1 : write_some(peer->fd, s->buffer, (size_t)n);
    if (sent < 0) {
        drop(peer);
    } else if (sent < n) {
        peer->at = 0;
        peer->len = (size_t)(n - sent);
        peer->rest = bench_alloc(peer->len, 1);
        memcpy(peer->rest, s->buffer + sent, peer->len);
        watch(s, EPOLL_CTL_MOD, peer->fd, EPOLLOUT, peer);
    }
}

static void on_writable(const struct server *s, struct peer *peer)
{
    ssize_t sent = write_some(peer->fd, peer->rest + peer->at, peer->len - peer->at);
    if (sent < 0) {
        drop(peer);
        return;
    }
    peer->at += (size_t)sent;
    if (peer->at == peer->len) {
        free(peer->rest);
        peer->rest = NULL;
        watch(s, EPOLL_CTL_MOD, peer->fd, EPOLLIN, peer);
    }
}

int main(int argc, char **argv)
{
    uint16_t port = (uint16_t)(argc > 1 ? bench_integer("port", argv[1], 0, 65535) : 0);
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    struct server s = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
    if (s.epoll < 0)
        bench_die(1, "epoll_create1: %s", strerror(errno));
    s.buffer = bench_alloc(BUFFER_SIZE, 1);
    s.listener = open_listener(port);
    watch(&s, EPOLL_CTL_ADD, s.listener, EPOLLIN, NULL);
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(s.epoll, events, EVENTS, -1);
        if (n < 0 && errno != EINTR)
            bench_die(1, "epoll_wait: %s", strerror(errno));
        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;
            if (!peer)
                accept_all(&s);
            else if (peer->rest)
                on_writable(&s, peer);
            else
                on_readable(&s, peer);
        }
    }
}
