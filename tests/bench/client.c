#include "client.h"

#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define EVENTS 512
#define OPENING_MAX 256 /* handshakes under way at once */
#define PATIENCE_MS 10000
#define HEAD_MAX 4096

/* The example of RFC 6455 section 1.3: a fixed key spares the client random numbers and SHA-1. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static void resolve(struct client *cl, const char *name, const char *port)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    int rc = getaddrinfo(name, port, &hints, &found);
    if (rc)
        bench_die(2, "%s: %s", cl->host, gai_strerror(rc));
    memcpy(&cl->address, found->ai_addr, sizeof cl->address);
    freeaddrinfo(found);
}

void client_init(struct client *cl, const char *url, unsigned connections)
{
    char name[256], port[6];
    *cl = (struct client){.count = connections, .path = "/"};
    cl->raw = strncmp(url, "tcp://", 6) == 0;
    if ((!cl->raw && strncmp(url, "ws://", 5) != 0) ||
        sscanf(url + (cl->raw ? 6 : 5), "%255[^:/]:%5[0-9]%1023s", name, port, cl->path) < 2 ||
        cl->path[0] != '/')
        bench_die(2, "'%s' is no ws://HOST:PORT/PATH or tcp://HOST:PORT", url);
    snprintf(cl->host, sizeof cl->host, "%s:%s", name, port);
    resolve(cl, name, port);
}

static void raise_file_limit(unsigned connections)
{
    struct rlimit limit, wanted;
    rlim_t needed = connections + 32;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        bench_die(1, "getrlimit: %s", strerror(errno));
    if (limit.rlim_cur >= needed)
        return;
    wanted = limit;
    wanted.rlim_cur = needed;
    if (wanted.rlim_max < needed)
        wanted.rlim_max = needed; /* allowed to root only */
    if (setrlimit(RLIMIT_NOFILE, &wanted))
        bench_die(1, "%u connections need %lu open files, the limit is %lu", connections,
                  (unsigned long)needed, (unsigned long)limit.rlim_max);
}

static void watch(struct client *cl, int op, struct conn *c, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(cl->traffic.epoll, op, c->fd, &e))
        bench_die(1, "epoll_ctl: %s", strerror(errno));
}

static void bind_source(const struct client *cl, int fd, unsigned number)
{
    int one = 1;
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number / CLIENT_PER_ADDRESS);
    if ((ntohl(cl->address.sin_addr.s_addr) >> 24) != 127)
        return;
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) ||
        bind(fd, (struct sockaddr *)&source, sizeof source))
        bench_die(1, "cannot bind to %s: %s", inet_ntoa(source.sin_addr), strerror(errno));
}

static void begin_connect(struct client *cl, unsigned number)
{
    int one = 1;
    struct conn *c = &cl->conns[number];
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        bench_die(1, "socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    bind_source(cl, c->fd, number);
    if (connect(c->fd, (struct sockaddr *)&cl->address, sizeof cl->address) && errno != EINPROGRESS)
        bench_die(1, "cannot connect to %s: %s", cl->host, strerror(errno));
    c->state = CONN_CONNECTING;
    watch(cl, EPOLL_CTL_ADD, c, EPOLLOUT);
}

static void set_open(struct client *cl, struct conn *c)
{
    c->state = CONN_OPEN;
    cl->opened++;
}

/* The TCP connection is there, or has failed. */
static void on_connected(struct client *cl, struct conn *c)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error)
        bench_die(1, "cannot connect to %s: %s", cl->host, strerror(error ? error : errno));
    watch(cl, EPOLL_CTL_MOD, c, EPOLLIN);
    if (cl->raw) {
        set_open(cl, c);
        return;
    }
    char head[2048];
    int n = snprintf(head, sizeof head,
                     "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\n"
                     "Sec-WebSocket-Version: 13\r\n\r\n",
                     cl->path, cl->host);
    if (send(c->fd, head, (size_t)n, MSG_NOSIGNAL) != n)
        bench_die(1, "sending the opening handshake: %s", strerror(errno));
    c->state = CONN_HANDSHAKE;
}

/* Leaves an answer that is not whole in the socket, so that no connection needs memory for it. */
static void on_handshake(struct client *cl, struct conn *c)
{
    char head[HEAD_MAX + 1];
    ssize_t n = recv(c->fd, head, HEAD_MAX, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        bench_die(1, "the server closed a connection during the opening handshake");
    head[n] = '\0';
    const char *end = strstr(head, "\r\n\r\n");
    if (!end && n < HEAD_MAX)
        return;
    if (strncmp(head, "HTTP/1.1 101 ", 13) != 0 || !end || !strstr(head, ACCEPT))
        bench_die(1, "the opening handshake failed: '%.*s'", (int)strcspn(head, "\r"), head);
    if (recv(c->fd, head, (size_t)(end + 4 - head), 0) != end + 4 - head)
        bench_die(1, "recv: %s", strerror(errno));
    set_open(cl, c);
}

static void on_closed(struct client *cl, struct conn *c)
{
    if (cl->traffic.batch)
        bench_die(1, "the server closed a connection after %llu answers",
                  (unsigned long long)c->answers);
    close(c->fd);
    c->state = CONN_CLOSED;
    cl->closed++;
}

static void on_event(struct client *cl, struct conn *c, uint32_t events)
{
    if (c->state == CONN_OPEN) {
        if (events & EPOLLOUT)
            conn_on_writable(&cl->traffic, c);
        if (events & ~(uint32_t)EPOLLOUT && !conn_on_readable(&cl->traffic, c))
            on_closed(cl, c);
    } else if (c->state == CONN_CONNECTING) {
        on_connected(cl, c);
    } else if (c->state == CONN_HANDSHAKE) {
        on_handshake(cl, c);
    }
}

bool client_turn(struct client *cl, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(cl->traffic.epoll, events, EVENTS, timeout_ms);
    if (n < 0 && errno != EINTR)
        bench_die(1, "epoll_wait: %s", strerror(errno));
    for (int i = 0; i < n; i++)
        on_event(cl, events[i].data.ptr, events[i].events);
    return n > 0;
}

void client_open(struct client *cl, const struct batch *batch)
{
    struct traffic *t = &cl->traffic;
    raise_file_limit(cl->count);
    t->batch = batch;
    t->buffer = bench_alloc(CONN_BUFFER, 1);
    t->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (t->epoll < 0)
        bench_die(1, "epoll_create1: %s", strerror(errno));
    cl->conns = bench_alloc(cl->count, sizeof *cl->conns);
    for (unsigned i = 0; batch && i < cl->count; i++)
        conn_begin(batch, &cl->conns[i], (double)i / cl->count);
    unsigned begun = 0;
    while (cl->opened < cl->count) {
        while (begun < cl->count && begun - cl->opened < OPENING_MAX)
            begin_connect(cl, begun++);
        if (!client_turn(cl, PATIENCE_MS))
            bench_die(1, "opening: no progress after %u of %u connections", cl->opened, cl->count);
    }
}

void client_start(struct client *cl, unsigned depth)
{
    uint64_t now = bench_now();
    for (unsigned i = 0; i < cl->count; i++) {
        conn_owe(&cl->traffic, &cl->conns[i], depth, now);
        conn_flush(&cl->traffic, &cl->conns[i]);
    }
}

void client_drain(struct client *cl)
{
    cl->traffic.stopping = true;
    while (cl->traffic.in_flight)
        if (!client_turn(cl, PATIENCE_MS))
            bench_die(1, "%llu messages were not answered",
                      (unsigned long long)cl->traffic.in_flight);
}

void client_close(struct client *cl)
{
    static const unsigned char normal[] = {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8}; /* 1000 */
    for (unsigned i = 0; i < cl->count; i++) {
        struct conn *c = &cl->conns[i];
        if (c->state == CONN_OPEN && !cl->raw)
            send(c->fd, normal, sizeof normal, MSG_NOSIGNAL);
        if (c->state == CONN_OPEN)
            close(c->fd);
        conn_end(c);
    }
    close(cl->traffic.epoll);
    free(cl->traffic.buffer);
    free(cl->conns);
}
