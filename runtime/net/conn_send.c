/* Messages out: framed, masked by a client, compressed where that is agreed; to one or to many. */
#include "net/conn_impl.h"

#define DIRECT_MIN (16 * 1024) /* from here a gather write beats copying into the cork */

static bool may_send(const struct conn *c)
{
    return c->phase == PHASE_OPEN && !c->close_sent;
}

/* One message is always taken by an empty queue, however large. */
static bool has_room(const struct conn *c, size_t n)
{
    size_t queued = conn_out_bytes(c);
    return !queued || queued + n <= c->limits->send_queue;
}

/* CONN_SENT: there is room for n bytes. Otherwise the peer reads too slowly, or not at all, or it
 * is found to have gone. */
static enum conn_sent make_room(struct conn *c, size_t n)
{
    if (!may_send(c))
        return CONN_NOT_OPEN;
    if (has_room(c, n))
        return CONN_SENT;
    conn_flush(c);
    if (!may_send(c))
        return CONN_NOT_OPEN;
    if (has_room(c, n))
        return CONN_SENT;
    conn_note_close(c, 1013, slice_of("reads too slowly"));
    conn_close(c, 1013, slice_of("reads too slowly"));
    return CONN_OVERFLOW;
}

static enum conn_sent sent_result(struct conn *c)
{
    if (c->phase == PHASE_DEAD)
        return CONN_NOT_OPEN;
    if (conn_out_bytes(c) <= c->limits->send_soft)
        return CONN_SENT;
    c->told_buffered = true;
    return CONN_BUFFERED;
}

/* --- to one ----------------------------------------------------------------------------------- */

static bool write_message(struct conn *c, struct buf *out, enum frame_opcode kind, const void *data,
                          size_t n)
{
    unsigned char room[FRAME_KEY];
    const unsigned char *key = conn_mask(c, room);
    struct deflate *deflate = c->session.deflate;
    if (!deflate_wants(deflate, n))
        return session_write_message(out, kind, data, n, key);
    struct deflater *deflater = deflate_deflater(deflate);
    return deflater && session_write_compressed(out, deflater, kind, data, n, key);
}

enum conn_sent conn_send(struct conn *c, enum frame_opcode kind, const void *data, size_t n)
{
    enum conn_sent room = make_room(c, n);
    if (room != CONN_SENT)
        return room;
    /* only bytes that go out as they are: not masked, not compressed */
    if (n >= DIRECT_MIN && !conn_is_client(c) && !conn_is_compressed(c) && !c->blocked &&
        !c->out.bytes) {
        conn_out_direct(c, kind, data, n);
        return sent_result(c);
    }
    struct out_mark out = conn_out_begin(c);
    if (!out.buf || !write_message(c, out.buf, kind, data, n))
        return CONN_NO_MEMORY;
    conn_out_end(c, out);
    return sent_result(c);
}

enum conn_sent conn_ping(struct conn *c, const void *data, size_t n)
{
    unsigned char room[FRAME_KEY];
    if (!may_send(c))
        return CONN_NOT_OPEN;
    struct out_mark out = conn_out_begin(c);
    if (!out.buf || !session_write_ping(out.buf, data, n, conn_mask(c, room)))
        return CONN_NO_MEMORY;
    conn_out_end(c, out);
    return sent_result(c);
}

/* --- to many ---------------------------------------------------------------------------------- */

void broadcast_init(struct broadcast *b, enum frame_opcode kind, const void *data, size_t n)
{
    *b = (struct broadcast){.kind = kind, .data = data, .len = n};
}

void broadcast_free(struct broadcast *b)
{
    if (b->plain)
        shared_unref(b->plain);
    for (size_t i = 0; i < BROADCAST_SORTS && b->compressed[i].frame; i++)
        shared_unref(b->compressed[i].frame);
}

static struct shared *plain_frame(struct broadcast *b)
{
    if (b->plain)
        return b->plain;
    b->plain = shared_new();
    if (b->plain && !session_write_message(&b->plain->frame, b->kind, b->data, b->len, NULL)) {
        shared_unref(b->plain);
        b->plain = NULL;
    }
    return b->plain;
}

static struct shared *compress(const struct broadcast *b, struct deflater *deflater)
{
    struct shared *s = deflater ? shared_new() : NULL;
    if (s && !session_write_compressed(&s->frame, deflater, b->kind, b->data, b->len, NULL)) {
        shared_unref(s);
        return NULL;
    }
    return s;
}

/* A client chooses its window, so there is a frame for each that one of them has: compressing for
 * each connection what does not fit the first one would let that one slow down all others. */
static struct shared *compressed_frame(struct conn *c, struct broadcast *b, unsigned bits,
                                       unsigned level)
{
    size_t i = 0;
    while (i < BROADCAST_SORTS && b->compressed[i].frame) {
        if (b->compressed[i].bits == bits && b->compressed[i].level == level)
            return b->compressed[i].frame;
        i++;
    }
    if (i == BROADCAST_SORTS)
        return NULL;
    b->compressed[i].bits = bits;
    b->compressed[i].level = level;
    b->compressed[i].frame = compress(b, deflate_pool_deflater(&c->set->deflate_pool, bits, level));
    return b->compressed[i].frame;
}

/* The frame that this connection may have in common with others, or NULL: a client masks its own,
 * and a window that is kept from message to message is its own too. */
static struct shared *frame_for(struct conn *c, struct broadcast *b)
{
    struct deflate *deflate = c->session.deflate;
    unsigned bits, level;
    if (conn_is_client(c))
        return NULL;
    if (!deflate_wants(deflate, b->len))
        return plain_frame(b);
    return deflate_is_shared(deflate, &bits, &level) ? compressed_frame(c, b, bits, level) : NULL;
}

enum conn_sent conn_broadcast(struct conn *c, struct broadcast *b)
{
    if (!may_send(c))
        return CONN_NOT_OPEN;
    struct shared *frame = frame_for(c, b);
    if (!frame)
        return conn_send(c, b->kind, b->data, b->len);
    enum conn_sent room = make_room(c, frame->frame.len);
    if (room != CONN_SENT)
        return room;
    if (!conn_out_share(c, frame))
        return c->phase == PHASE_DEAD ? CONN_NOT_OPEN : CONN_NO_MEMORY;
    return sent_result(c);
}
