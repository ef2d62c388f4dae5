#include "host/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define LONG 0x80 /* with a message's type: its text is in the file */

/* Room for one descriptor beside a message. */
union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

bool channel_open(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0;
}

/* --- messages --------------------------------------------------------------------------------- */

static bool send_packet(int fd, unsigned char kind, struct slice text, int file)
{
    struct iovec parts[2] = {{&kind, 1}, {(void *)text.ptr, text.len}};
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

static bool send_long(int fd, enum channel_message type, struct slice text)
{
    if (text.len > CHANNEL_LONG_MAX)
        text.len = CHANNEL_LONG_MAX;
    int file = channel_file_new(text.ptr, text.len);
    bool sent =
        file >= 0 && send_packet(fd, (unsigned char)type | LONG, (struct slice){"", 0}, file);
    if (file >= 0)
        close(file);
    return sent;
}

bool channel_send(int fd, enum channel_message type, const char *text)
{
    struct slice whole = slice_of(text);
    return whole.len > CHANNEL_TEXT_MAX ? send_long(fd, type, whole)
                                        : send_packet(fd, (unsigned char)type, whole, -1);
}

bool channel_send_file(int fd, enum channel_message type, const char *text, int file)
{
    struct slice whole = slice_of(text);
    if (whole.len > CHANNEL_TEXT_MAX)
        return false;
    return send_packet(fd, (unsigned char)type, whole, file);
}

/* The text that is in the file; without memory for it there is none. */
static void read_long(struct channel_packet *p)
{
    if (channel_file_read(p->file, &p->whole)) {
        p->whole.data[p->whole.len] = '\0'; /* there is room: see channel_file_read */
        p->text = (const char *)p->whole.data;
    }
    if (p->file >= 0)
        close(p->file);
    p->file = -1;
}

enum channel_message channel_receive(int fd, struct channel_packet *p)
{
    unsigned char kind = 0;
    struct iovec parts[2] = {{&kind, 1}, {p->room, CHANNEL_TEXT_MAX}};
    union control control = {0};
    struct msghdr m = {.msg_iov = parts,
                       .msg_iovlen = 2,
                       .msg_control = &control,
                       .msg_controllen = sizeof control.room};
    p->file = -1;
    p->text = p->room;
    p->whole = (struct buf){0};
    *p->room = '\0';
    ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    if (n < 0)
        return p->type = errno == EAGAIN || errno == EINTR ? CHANNEL_NONE : CHANNEL_END;
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
        memcpy(&p->file, CMSG_DATA(h), sizeof p->file);
    if (n == 0)
        return p->type = CHANNEL_END;
    p->room[n - 1] = '\0';
    if (kind & LONG)
        read_long(p);
    return p->type = (enum channel_message)(kind & ~LONG);
}

void channel_packet_free(struct channel_packet *p)
{
    if (p->file >= 0)
        close(p->file);
    p->file = -1;
    buf_free(&p->whole);
    p->text = "";
}

/* --- files in memory -------------------------------------------------------------------------- */

void channel_file_seal(int file)
{
    fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
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
        channel_file_seal(file);
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
