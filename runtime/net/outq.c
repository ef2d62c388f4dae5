#include "net/outq.h"

#include <stdlib.h>

/* A chunk stops taking small frames at this size, so that what was sent is released early. */
#define CHUNK_FULL (64 * 1024)

struct outq_chunk {
    struct outq_chunk *next;
    struct shared *shared; /* NULL: the bytes are `own` */
    struct buf own;
    size_t sent; /* of this chunk, already written */
};

struct shared *shared_new(void)
{
    struct shared *s = calloc(1, sizeof *s);
    if (s)
        s->refs = 1;
    return s;
}

void shared_unref(struct shared *s)
{
    if (--s->refs)
        return;
    buf_free(&s->frame);
    free(s);
}

static const struct buf *chunk_bytes(const struct outq_chunk *c)
{
    return c->shared ? &c->shared->frame : &c->own;
}

static struct outq_chunk *add_chunk(struct outq *q)
{
    struct outq_chunk *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    if (q->tail)
        q->tail->next = c;
    else
        q->head = c;
    q->tail = c;
    return c;
}

static void drop_head(struct outq *q)
{
    struct outq_chunk *c = q->head;
    q->head = c->next;
    if (!q->head)
        q->tail = NULL;
    if (c->shared)
        shared_unref(c->shared);
    buf_free(&c->own);
    free(c);
}

struct buf *outq_tail(struct outq *q)
{
    struct outq_chunk *c = q->tail;
    if (!c || c->shared || c->own.len >= CHUNK_FULL)
        c = add_chunk(q);
    return c ? &c->own : NULL;
}

void outq_grew(struct outq *q, size_t n)
{
    q->bytes += n;
}

bool outq_append(struct outq *q, const void *bytes, size_t n)
{
    struct buf *b = outq_tail(q);
    if (!b || !buf_append(b, bytes, n))
        return false;
    q->bytes += n;
    return true;
}

bool outq_share(struct outq *q, struct shared *s)
{
    struct outq_chunk *c = add_chunk(q);
    if (!c)
        return false;
    c->shared = s;
    s->refs++;
    q->bytes += s->frame.len;
    return true;
}

int outq_parts(const struct outq *q, struct iovec *parts, int max)
{
    int count = 0;
    for (const struct outq_chunk *c = q->head; c && count < max; c = c->next) {
        const struct buf *b = chunk_bytes(c);
        if (b->len > c->sent) {
            parts[count].iov_base = b->data + c->sent;
            parts[count++].iov_len = b->len - c->sent;
        }
    }
    return count;
}

void outq_sent(struct outq *q, size_t n)
{
    q->bytes -= n;
    while (q->head) {
        size_t left = chunk_bytes(q->head)->len - q->head->sent;
        if (left > n) {
            q->head->sent += n;
            return;
        }
        n -= left;
        drop_head(q);
    }
}

void outq_clear(struct outq *q)
{
    while (q->head)
        drop_head(q);
    q->bytes = 0;
}
