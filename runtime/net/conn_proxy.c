/* The PROXY protocol: what a trusted proxy says of its client before the client's first byte. */
#include "net/conn_impl.h"
#include "wire/proxy_header.h"

#include <errno.h>
#include <sys/socket.h>

static void refuse(struct conn *c, const char *why)
{
    c->set->events->refused(c, why);
    conn_abort(c);
}

/* The handshake goes on in the client's name, with what is left of its time. */
static void introduce(struct conn *c, const struct proxy_header *header)
{
    bool tls = c->secure;
    if (!header->local && header->source.family != ADDRESS_NONE) {
        c->peer = header->source;
        c->secure = tls || header->secure;
    }
    if (conn_set_admit(c->set, &c->peer) == CONN_REFUSED_ADDRESS) {
        refuse(c, "its address has as many unfinished handshakes as the limit "
                  "`handshakes_per_address` allows");
        return;
    }
    buf_free(&c->http->head);
    conn_set_began(c);
    c->phase = tls ? PHASE_TLS : PHASE_HEAD;
}

/* Not a byte behind the header may be taken from the socket: it is TLS's, or HTTP's. So the bytes
 * are looked at first; as long as the header is not whole, they are all its own. */
void conn_proxy_read(struct conn *c)
{
    struct buf *so_far = &c->http->head;
    struct proxy_header header;
    unsigned char bytes[PROXY_HEADER_MAX];
    size_t before = so_far->len;
    ssize_t n = recv(c->stream.fd, bytes, sizeof bytes - before, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n == 0)
        conn_note(c, "refused a connection", "it ended before its PROXY header did");
    if (n <= 0 || !buf_append(so_far, bytes, (size_t)n)) {
        conn_abort(c);
        return;
    }
    int size = proxy_header_parse(so_far->data, so_far->len, &header);
    if (size < 0) {
        refuse(c, proxy_header_error_text(size));
        return;
    }
    size_t take = size ? (size_t)size - before : (size_t)n;
    if (recv(c->stream.fd, bytes, take, 0) != (ssize_t)take)
        conn_abort(c);
    else if (size)
        introduce(c, &header);
}
