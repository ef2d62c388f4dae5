#include "host/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Room for one descriptor beside a message. */
union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

bool channel_open(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0;
}

bool channel_send(int fd, enum channel_message type, const char *text)
{
    return channel_send_file(fd, type, text, -1);
}

bool channel_send_file(int fd, enum channel_message type, const char *text, int file)
{
    char kind = (char)type;
    size_t n = strlen(text);
    struct iovec parts[2] = {{&kind, 1},
                             {(void *)text, n < CHANNEL_TEXT_MAX ? n : CHANNEL_TEXT_MAX}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    union control control = {0};
    if (file >= 0) {
        m.msg_control = &control;
        m.msg_controllen = sizeof control.room;
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof file);
        memcpy(CMSG_DATA(&control.header), &file, sizeof file);
    }
    return sendmsg(fd, &m, MSG_NOSIGNAL) >= 0;
}

enum channel_message channel_receive(int fd, char text[CHANNEL_TEXT_MAX + 1], int *file)
{
    char kind = 0;
    struct iovec parts[2] = {{&kind, 1}, {text, CHANNEL_TEXT_MAX}};
    union control control = {0};
    struct msghdr m = {.msg_iov = parts,
                       .msg_iovlen = 2,
                       .msg_control = &control,
                       .msg_controllen = sizeof control.room};
    *file = -1;
    ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? CHANNEL_NONE : CHANNEL_END;
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
        memcpy(file, CMSG_DATA(h), sizeof *file);
    if (n == 0)
        return CHANNEL_END;
    text[n - 1] = '\0';
    return (enum channel_message)kind;
}

int channel_file_new(const void *bytes, size_t n)
{
    int file = memfd_create("tidewire", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    const char *at = bytes;
    while (file >= 0 && n) {
        ssize_t done = write(file, at, n);
        if (done < 0 && errno != EINTR) {
            close(file);
            return -1;
        }
        at += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    if (file >= 0)
        fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    return file;
}

bool channel_file_read(int file, struct buf *out)
{
    struct stat st;
    if (file < 0 || fstat(file, &st) || !buf_reserve(out, (size_t)st.st_size + 1))
        return false;
    /* at its place: all who have the file share one position */
    for (off_t at = 0; at < st.st_size;) {
        ssize_t n = pread(file, out->data + out->len, (size_t)(st.st_size - at), at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        out->len += (size_t)n;
        at += n;
    }
    return true;
}
