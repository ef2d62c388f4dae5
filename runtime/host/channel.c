#include "host/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

bool channel_open(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0;
}

bool channel_send(int fd, enum channel_message type, const char *text)
{
    char kind = (char)type;
    size_t n = strlen(text);
    struct iovec parts[2] = {{&kind, 1},
                             {(void *)text, n < CHANNEL_TEXT_MAX ? n : CHANNEL_TEXT_MAX}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    return sendmsg(fd, &m, MSG_NOSIGNAL) >= 0;
}

enum channel_message channel_receive(int fd, char text[CHANNEL_TEXT_MAX + 1])
{
    char kind = 0;
    struct iovec parts[2] = {{&kind, 1}, {text, CHANNEL_TEXT_MAX}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n = recvmsg(fd, &m, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? CHANNEL_NONE : CHANNEL_END;
    if (n == 0)
        return CHANNEL_END;
    text[n - 1] = '\0';
    return (enum channel_message)kind;
}
