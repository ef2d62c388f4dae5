#include "net/conn_impl.h"

#include <assert.h>

#define PARTS_MAX 64
#define CORK_KEEP (2 * 1024 * 1024)

void conn_cork(struct conn *c)
{
    assert(!c->set->corked && !c->set->cork.len);
    c->set->corked = c;
    c->set->budget = CONN_BUDGET;
}

static struct buf *cork_of(const struct conn *c)
{
    return c->set->corked == c ? &c->set->cork : NULL;
}

size_t conn_buffered(const struct conn *c)
{
    return conn_out_bytes(c);
}

struct out_mark conn_out_begin(struct conn *c)
{
    /* the cork comes behind the queue, so it is only for a connection whose queue is empty */
    struct buf *cork = cork_of(c);
    struct buf *buf = cork && !c->out.bytes ? cork : outq_tail(&c->out);
    return (struct out_mark){buf, buf ? buf->len : 0};
}

const unsigned char *conn_mask(struct conn *c, unsigned char room[FRAME_KEY])
{
    if (!conn_is_client(c))
        return NULL;
    random_bytes(&c->set->random, room, FRAME_KEY);
    return room;
}

/* Bytes begin to wait for the socket: from now on the stall limit counts. */
static void queue_grew(struct conn *c, size_t n)
{
    bool was_empty = c->out.bytes == n;
    if (!was_empty)
        return;
    c->progress = conn_now(c);
    conn_arm(c);
}

void conn_out_queued(struct conn *c, size_t n)
{
    outq_grew(&c->out, n);
    queue_grew(c, n);
    conn_later(c);
}

void conn_out_end(struct conn *c, struct out_mark out)
{
    if (out.buf != &c->set->cork)
        conn_out_queued(c, out.buf->len - out.before);
    if (conn_out_bytes(c) >= CONN_FLUSH_AT)
        conn_flush(c);
}

/* Writes parts until all is taken or the socket is full. Returns the bytes taken; on an error the
 * connection is dead. */
static size_t write_parts(struct conn *c, struct iovec *parts, int count)
{
    size_t total = 0;
    while (count && !c->blocked) {
        size_t sent = 0;
        enum stream_status status = c->stream.ops->write(&c->stream, parts, count, &sent);
        if (status == STREAM_RETRY) {
            c->blocked = true;
            break;
        }
        if (status != STREAM_OK) {
            conn_abort(c);
            return 0;
        }
        total += sent;
        while (count && sent >= parts->iov_len) {
            sent -= parts->iov_len;
            parts++;
            count--;
        }
        if (count) {
            parts->iov_base = (char *)parts->iov_base + sent;
            parts->iov_len -= sent;
        }
    }
    if (total)
        c->progress = conn_now(c);
    return total;
}

static bool append_rest(struct conn *c, const struct iovec *parts, int count, size_t taken)
{
    size_t before = c->out.bytes;
    for (int i = 0; i < count; i++) {
        size_t skip = taken < parts[i].iov_len ? taken : parts[i].iov_len;
        taken -= skip;
        if (skip < parts[i].iov_len &&
            !outq_append(&c->out, (char *)parts[i].iov_base + skip, parts[i].iov_len - skip))
            return false;
    }
    if (c->out.bytes > before)
        queue_grew(c, c->out.bytes - before);
    return true;
}

/* Writes parts that come behind an empty queue; what the socket does not take is queued. */
static void write_or_queue(struct conn *c, const struct iovec *parts, int count)
{
    struct iovec copy[3];
    for (int i = 0; i < count; i++)
        copy[i] = parts[i];
    size_t taken = write_parts(c, copy, count);
    /* A frame that is half sent cannot be taken back: short of memory, the connection ends. */
    if (c->phase != PHASE_DEAD && !append_rest(c, parts, count, taken))
        conn_abort(c);
}

void conn_out_direct(struct conn *c, enum frame_opcode kind, const void *data, size_t n)
{
    unsigned char header[FRAME_HEADER_MAX];
    size_t header_len = frame_write_header(header, true, 0, kind, n, NULL);
    struct buf *cork = cork_of(c);
    struct iovec parts[3];
    int count = 0;
    if (cork && cork->len)
        parts[count++] = (struct iovec){cork->data, cork->len};
    parts[count++] = (struct iovec){header, header_len};
    parts[count++] = (struct iovec){(void *)data, n};
    write_or_queue(c, parts, count);
    if (cork)
        cork->len = 0;
    if (c->phase != PHASE_DEAD)
        conn_update_io(c);
}

static void flush_cork(struct conn *c)
{
    struct buf *cork = cork_of(c);
    if (!cork || !cork->len)
        return;
    struct iovec part = {cork->data, cork->len};
    if (c->phase != PHASE_DEAD)
        write_or_queue(c, &part, 1);
    cork->len = 0;
    if (cork->cap > CORK_KEEP)
        buf_free(cork);
}

bool conn_out_share(struct conn *c, struct shared *frame)
{
    /* the publisher's own connection: keep the order behind what it has corked */
    flush_cork(c);
    if (c->phase == PHASE_DEAD || !outq_share(&c->out, frame))
        return false;
    queue_grew(c, frame->frame.len);
    conn_later(c);
    return true;
}

/* The time for what comes next, the peer's Close or its end of TCP, begins when all is written. */
static void queue_emptied(struct conn *c)
{
    if (c->phase != PHASE_LINGER && !c->close_sent && !c->close_received)
        return;
    c->since = conn_now(c);
    conn_arm(c);
}

static void flush_queue(struct conn *c)
{
    while (c->out.bytes && !c->blocked && c->phase != PHASE_DEAD) {
        struct iovec parts[PARTS_MAX];
        int count = outq_parts(&c->out, parts, PARTS_MAX);
        size_t sent = write_parts(c, parts, count);
        if (c->phase == PHASE_DEAD)
            return;
        outq_sent(&c->out, sent);
        if (!c->out.bytes)
            queue_emptied(c);
    }
}

/* Some or all is written: what was waiting for that? */
static void after_flush(struct conn *c)
{
    if (c->phase == PHASE_LINGER && !c->out.bytes) {
        if (c->ending == ENDING_HANG_UP || c->eof) {
            conn_abort(c);
        } else if (c->ending == ENDING_SHUT_DOWN && !c->half_closed) {
            c->half_closed = true;
            c->stream.ops->shutdown(&c->stream);
        }
    }
    if (c->told_buffered && conn_out_bytes(c) <= c->limits->send_soft / 2) {
        c->told_buffered = false;
        c->drain_due = true;
        conn_later(c);
    }
}

void conn_flush(struct conn *c)
{
    flush_cork(c);
    flush_queue(c);
    if (c->phase == PHASE_RESPONDING) {
        conn_http_refill(c);
        conn_http_answer_queued(c);
    }
    if (c->phase == PHASE_OPEN && !c->blocked)
        conn_ws_send_pong(c);
    if (c->phase != PHASE_DEAD)
        after_flush(c);
    if (c->phase != PHASE_DEAD)
        conn_update_io(c);
}

void conn_uncork(struct conn *c)
{
    flush_cork(c);
    c->set->corked = NULL; /* what flushing itself causes to be written goes to the queue */
    conn_flush(c);
}
