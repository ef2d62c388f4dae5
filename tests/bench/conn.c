#include "conn.h"

#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

void conn_begin(const struct batch *b, struct conn *c, double share)
{
    c->next = c->expected = (uint32_t)(share * b->count) % b->count;
    c->since = bench_alloc(b->depth, sizeof *c->since);
}

void conn_end(struct conn *c)
{
    free(c->since);
}

static uint32_t after(uint32_t place, uint32_t size)
{
    return place + 1 == size ? 0 : place + 1;
}

void conn_owe(struct traffic *t, struct conn *c, unsigned count, uint64_t now)
{
    for (unsigned i = 0; i < count; i++) {
        c->since[c->newest] = now;
        c->newest = after(c->newest, t->batch->depth);
    }
    c->owed += count;
    c->unanswered += count;
    t->in_flight += count;
}

static void set_blocked(struct traffic *t, struct conn *c, bool blocked)
{
    struct epoll_event e = {.events = EPOLLIN | (blocked ? EPOLLOUT : 0), .data.ptr = c};
    c->blocked = blocked;
    if (epoll_ctl(t->epoll, EPOLL_CTL_MOD, c->fd, &e))
        bench_die(1, "epoll_ctl: %s", strerror(errno));
}

/* Only between two messages, where the socket has just taken everything and so has room. */
static void send_pong(struct conn *c)
{
    unsigned char frame[6 + sizeof c->pong] = {0x8a, (unsigned char)(0x80 | c->pong_len)};
    memcpy(frame + 6, c->pong, c->pong_len); /* masked with a key of zeros */
    size_t n = 6u + c->pong_len;
    if (send(c->fd, frame, n, MSG_NOSIGNAL) != (ssize_t)n)
        bench_die(1, "a pong could not be sent");
    c->pong_due = false;
}

void conn_flush(struct traffic *t, struct conn *c)
{
    if (c->owed) {
        const struct batch *b = t->batch;
        size_t n = c->owed * b->frame_len - c->sent;
        const unsigned char *from = b->frames + c->next * b->frame_len + c->sent;
        ssize_t sent = send(c->fd, from, n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            bench_die(1, "send: %s", strerror(errno));
        size_t total = c->sent + (sent > 0 ? (size_t)sent : 0);
        unsigned whole = sent == (ssize_t)n ? c->owed : (unsigned)(total / b->frame_len);
        c->sent = total - whole * b->frame_len;
        c->owed -= whole;
        c->next += whole;
        if (c->next >= b->count)
            c->next -= b->count;
    }
    if (c->pong_due && !c->owed)
        send_pong(c);
    if (c->blocked != (c->owed > 0))
        set_blocked(t, c, c->owed > 0);
}

static void count_answer(struct traffic *t, struct conn *c, uint64_t now)
{
    if (t->latency)
        histogram_add(t->latency, now - c->since[c->oldest]);
    if (t->answers)
        answers_add(t->answers, c->since[c->oldest], now, (uint32_t)(c - t->first));
    c->oldest = after(c->oldest, t->batch->depth);
    c->expected = after(c->expected, t->batch->count);
    c->answers++;
    t->messages++;
    c->unanswered--;
    t->in_flight--;
    if (!t->stopping)
        conn_owe(t, c, 1, now);
}

/* Is there a message that was sent as a whole and not answered? */
static bool awaits_answer(const struct conn *c)
{
    return c->unanswered > c->owed;
}

static bool is_sampled(const struct traffic *t, const struct conn *c)
{
    return t->answers || c->answers % CONN_SAMPLE == 0;
}

static const unsigned char *expected_answer(const struct traffic *t, const struct conn *c)
{
    return t->batch->answers + c->expected * t->batch->answer_len;
}

__attribute__((noreturn)) static void wrong_payload(const struct conn *c)
{
    bench_die(1, "answer %llu of a connection has the wrong payload",
              (unsigned long long)c->answers + 1);
}

/* Size of a header, of which at least two bytes are there. */
static size_t header_len(const unsigned char *head)
{
    unsigned length = head[1] & 0x7f;
    return 2u + (length == 126 ? 2u : length == 127 ? 8u : 0u);
}

static uint64_t payload_len(const unsigned char *head, size_t n)
{
    uint64_t length = head[1] & 0x7f;
    for (size_t i = 2; i < n; i++)
        length = (i == 2 ? 0 : length << 8) | head[i];
    return length;
}

static void begin_frame(struct traffic *t, struct conn *c)
{
    size_t n = c->head_len;
    unsigned opcode = c->head[0] & 0x0f;
    c->head_len = 0;
    c->left = payload_len(c->head, n);
    if (awaits_answer(c) && n == t->batch->header_len &&
        memcmp(c->head, expected_answer(t, c), n) == 0) {
        c->frame = CONN_ANSWER;
        c->sampled = is_sampled(t, c);
    } else if (opcode == 0x9 && c->left <= sizeof c->pong) {
        c->frame = CONN_PING;
        c->pong_len = 0;
    } else if (opcode == 0xa || !t->batch) {
        c->frame = CONN_OTHER;
    } else {
        bench_die(1, "in place of answer %llu of a connection: a frame %02x %02x of %llu bytes",
                  (unsigned long long)c->answers + 1, c->head[0], c->head[1],
                  (unsigned long long)c->left);
    }
}

static void end_frame(struct traffic *t, struct conn *c, uint64_t now)
{
    if (c->frame == CONN_PING) {
        c->pong_due = true;
    } else if (c->frame == CONN_ANSWER) {
        t->compared += c->sampled;
        count_answer(t, c, now);
    }
}

/* A header that did not come together with its whole payload. Returns the bytes it took. */
static size_t receive_head(struct traffic *t, struct conn *c, const unsigned char *bytes, size_t n,
                           uint64_t now)
{
    size_t taken = 0;
    while (taken < n && (c->head_len < 2 || c->head_len < header_len(c->head)))
        c->head[c->head_len++] = bytes[taken++];
    if (c->head_len >= 2 && c->head_len == header_len(c->head)) {
        begin_frame(t, c);
        if (c->left == 0)
            end_frame(t, c, now);
    }
    return taken;
}

static size_t receive_payload(struct traffic *t, struct conn *c, const unsigned char *bytes,
                              size_t n, uint64_t now)
{
    size_t taken = n < c->left ? n : (size_t)c->left;
    if (c->frame == CONN_ANSWER && c->sampled) {
        const unsigned char *end = expected_answer(t, c) + t->batch->answer_len;
        if (memcmp(bytes, end - c->left, taken) != 0)
            wrong_payload(c);
    } else if (c->frame == CONN_PING) {
        memcpy(c->pong + c->pong_len, bytes, taken);
        c->pong_len = (uint8_t)(c->pong_len + taken);
    }
    c->left -= taken;
    if (c->left == 0)
        end_frame(t, c, now);
    return taken;
}

/* The usual case: the next bytes are a whole answer. Returns its size, or 0 when they are not. */
static size_t receive_answer(struct traffic *t, struct conn *c, const unsigned char *bytes,
                             size_t n, uint64_t now)
{
    const struct batch *b = t->batch;
    if (!awaits_answer(c) || n < b->answer_len || c->left || c->head_len)
        return 0;
    const unsigned char *answer = expected_answer(t, c);
    if (memcmp(bytes, answer, b->header_len) != 0)
        return 0;
    if (is_sampled(t, c)) {
        if (memcmp(bytes, answer, b->answer_len) != 0)
            wrong_payload(c);
        t->compared++;
    }
    count_answer(t, c, now);
    return b->answer_len;
}

void conn_receive(struct traffic *t, struct conn *c, const unsigned char *bytes, size_t n,
                  uint64_t now)
{
    while (n > 0) {
        size_t taken = receive_answer(t, c, bytes, n, now);
        if (taken == 0)
            taken =
                c->left ? receive_payload(t, c, bytes, n, now) : receive_head(t, c, bytes, n, now);
        bytes += taken;
        n -= taken;
    }
}

bool conn_on_readable(struct traffic *t, struct conn *c)
{
    ssize_t n = recv(c->fd, t->buffer, CONN_BUFFER, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0)
        return false;
    conn_receive(t, c, t->buffer, (size_t)n, bench_now());
    if ((c->owed || c->pong_due) && !c->blocked)
        conn_flush(t, c);
    return true;
}

void conn_on_writable(struct traffic *t, struct conn *c)
{
    if (c->blocked)
        conn_flush(t, c);
}
