#include "net/stream.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static enum stream_status socket_handshake(struct stream *s)
{
    (void)s;
    return STREAM_OK;
}

static enum stream_status from_errno(struct stream *s, bool writing)
{
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        return STREAM_ERROR;
    s->wants_write = writing;
    return STREAM_RETRY;
}

static enum stream_status socket_read(struct stream *s, void *bytes, size_t n, size_t *got)
{
    ssize_t r = recv(s->fd, bytes, n, 0);
    if (r < 0)
        return from_errno(s, false);
    *got = (size_t)r;
    return r == 0 ? STREAM_EOF : STREAM_OK;
}

static enum stream_status socket_write(struct stream *s, const struct iovec *parts, int count,
                                       size_t *sent)
{
    ssize_t r;
    if (count == 1) {
        r = send(s->fd, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL);
    } else {
        struct msghdr m = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
        r = sendmsg(s->fd, &m, MSG_NOSIGNAL);
    }
    if (r < 0)
        return from_errno(s, true);
    *sent = (size_t)r;
    return STREAM_OK;
}

static void socket_shutdown(struct stream *s)
{
    shutdown(s->fd, SHUT_WR);
}

static void socket_close(struct stream *s)
{
    close(s->fd);
    s->fd = -1;
}

static bool socket_pending(const struct stream *s)
{
    (void)s;
    return false;
}

static const struct stream_ops socket_ops = {
    .handshake = socket_handshake,
    .read = socket_read,
    .write = socket_write,
    .shutdown = socket_shutdown,
    .close = socket_close,
    .pending = socket_pending,
};

void stream_init(struct stream *s, int fd)
{
    *s = (struct stream){.ops = &socket_ops, .fd = fd};
}

unsigned stream_unacknowledged(const struct stream *s)
{
    int n = 0;
    return ioctl(s->fd, SIOCOUTQ, &n) == 0 && n > 0 ? (unsigned)n : 0;
}
