/* A connection's life: how it comes and how it ends, and what its owner may ask of it. */
#include "net/conn_impl.h"
#include "net/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t conn_now(const struct conn *c)
{
    return (uint32_t)loop_now(c->set->loop);
}

/* --- life ------------------------------------------------------------------------------------- */

struct conn *conn_ref(struct conn *c)
{
    c->refs++;
    return c;
}

void conn_unref(struct conn *c)
{
    if (--c->refs)
        return;
    free(c->head);
    free(c);
}

struct address conn_address_of(const struct sockaddr_storage *peer)
{
    if (peer->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)peer;
        return address_of_ipv4((const void *)&in->sin_addr, ntohs(in->sin_port));
    }
    if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)peer;
        return address_of_ipv6((const void *)&in6->sin6_addr, ntohs(in6->sin6_port));
    }
    return (struct address){.family = ADDRESS_UNIX};
}

struct address conn_address(const struct conn *c)
{
    return c->peer;
}

void conn_peer(const struct conn *c, char *text, size_t size, unsigned *port)
{
    char room[ADDRESS_TEXT];
    address_format(&c->peer, room);
    snprintf(text, size, "%s", room);
    *port = c->peer.port;
}

/* A connection without a phase yet, known to its set. NULL: memory short; the stream is closed. */
static struct conn *conn_new(struct conn_set *set, struct stream *stream,
                             const struct address *peer, bool secure)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c) {
        stream->ops->close(stream);
        return NULL;
    }
    c->stream = *stream;
    c->set = set;
    c->limits = set->limits;
    c->refs = 1; /* the loop's own, until `gone` */
    c->secure = secure;
    c->peer = *peer;
    conn_phase_init(c);
    list_push(&set->all, &c->all);
    set->count++;
    c->last_in = conn_now(c);
    return c;
}

bool conn_accept(struct conn_set *set, struct stream *stream, const struct address *peer,
                 bool secure, bool introduced)
{
    struct conn *c = conn_new(set, stream, peer, secure);
    if (!c)
        return false;
    if (!introduced) /* else when it is known for whom */
        conn_set_began(c);
    if (!conn_http_start(c)) {
        conn_abort(c);
        return false;
    }
    conn_enter(c, introduced ? PHASE_PROXY : secure ? PHASE_TLS : PHASE_HEAD);
    conn_update_io(c);
    return true;
}

struct conn *conn_adopt(struct conn_set *set, struct stream *stream,
                        const struct conn_opening *opening)
{
    struct address peer = conn_address_of(opening->peer);
    struct conn *c = conn_new(set, stream, &peer, opening->secure);
    if (!c)
        return NULL;
    struct deflate *deflate = NULL;
    if (opening->agreed)
        deflate = deflate_new(&set->deflate_pool, opening->agreed, false, opening->compress);
    c->head = malloc(opening->head.len + 1);
    if ((opening->agreed && !deflate) || !c->head ||
        !buf_append(&c->held, opening->rest.ptr, opening->rest.len)) {
        deflate_free(deflate);
        conn_abort(c);
        return NULL;
    }
    memcpy(c->head, opening->head.ptr, opening->head.len);
    c->head_len = (uint32_t)opening->head.len;
    c->read_again = opening->secure; /* TLS may have read ahead */
    conn_ws_start(c, SESSION_CLIENT, opening->limits, deflate);
    conn_update_io(c);
    conn_later(c); /* frames may have come with the answer */
    return c;
}

void conn_enter(struct conn *c, enum conn_phase phase)
{
    c->phase = (uint8_t)phase;
    c->since = conn_now(c);
    conn_arm(c);
}

void conn_later(struct conn *c)
{
    loop_defer(c->set->loop, &c->later);
}

void conn_abort(struct conn *c)
{
    if (c->phase == PHASE_DEAD)
        return;
    c->phase = PHASE_DEAD;
    conn_set_arrived(c);
    conn_set_holds(c, 0);
    ev_io_stop(loop_ev(c->set->loop), &c->io);
    loop_timer_cancel(c->set->loop, &c->timer);
    c->stream.ops->close(&c->stream);
    outq_clear(&c->out);
    if (c->set->corked == c)
        c->set->cork.len = 0;
    conn_later(c);
}

/* The events that end a connection; once, from the loop. A handler that waits may keep it for as
 * long as it likes: of what the peer has sent nothing is kept with it but the head. */
void conn_finish(struct conn *c)
{
    if (c->finished)
        return;
    c->finished = true;
    if (c->upgraded)
        conn_ws_tell_closed(c);
    conn_http_free(c);
    conn_ws_free(c);
    buf_free(&c->held);
    c->set->events->gone(c);
    list_remove(&c->all);
    conn_set_removed(c->set);
    conn_unref(c);
}

void conn_linger(struct conn *c, enum ending how)
{
    if (c->phase == PHASE_DEAD || c->phase == PHASE_LINGER)
        return;
    c->ending = (uint8_t)how;
    conn_enter(c, PHASE_LINGER);
    conn_later(c);
}

/* --- for the owner ---------------------------------------------------------------------------- */

void conn_set_owner(struct conn *c, void *owner)
{
    c->owner = owner;
}

void *conn_owner(const struct conn *c)
{
    return c->owner;
}

struct conn_set *conn_get_set(const struct conn *c)
{
    return c->set;
}

unsigned conn_request_number(const struct conn *c)
{
    return c->phase == PHASE_ANSWERING ? c->http->number : 0;
}

bool conn_awaits_answer(const struct conn *c)
{
    return c->phase == PHASE_ANSWERING;
}

bool conn_certificate(const struct conn *c, struct tls_peer *out)
{
    return c->stream.fd >= 0 && tls_peer_certificate(&c->stream, out);
}

bool conn_is_secure(const struct conn *c)
{
    return c->secure;
}

struct slice conn_head(const struct conn *c)
{
    return (struct slice){c->head, c->head_len};
}
