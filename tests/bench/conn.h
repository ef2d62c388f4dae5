/* One open connection of the load generator: sends messages of a batch, checks the answers.
 *
 * Every answer's header is compared with the one expected (so its opcode, its FIN bit and its
 * length), and the whole payload of one answer in CONN_SAMPLE, or of all that are listed. An answer
 * must be one frame. Pings are answered, other control frames passed over. */
#ifndef TIDEWIRE_BENCH_CONN_H
#define TIDEWIRE_BENCH_CONN_H

#include "answers.h"
#include "batch.h"
#include "histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONN_SAMPLE 32
#define CONN_BUFFER (256 * 1024)

/* What all connections of a run share. */
struct traffic {
    const struct batch *batch; /* NULL: nothing is sent, and whatever arrives is passed over */
    int epoll;
    bool stopping;             /* answers are awaited, but cause no further message */
    uint64_t in_flight;        /* unanswered messages of all connections */
    uint64_t messages;         /* answered */
    uint64_t compared;         /* answers compared as a whole */
    struct histogram *latency; /* ns; NULL while nothing is recorded */
    struct answers *answers;   /* all of them, each compared as a whole; NULL: none is listed */
    const struct conn *first;  /* connection 0 of that list */
    unsigned char *buffer;     /* CONN_BUFFER bytes to receive into */
};

enum conn_state { CONN_CONNECTING, CONN_HANDSHAKE, CONN_OPEN, CONN_CLOSED };
enum conn_frame { CONN_ANSWER, CONN_PING, CONN_OTHER };

struct conn {
    int fd;
    uint8_t state; /* enum conn_state */
    uint8_t frame; /* enum conn_frame: what is being received */
    bool blocked;  /* the socket took no more; waiting for EPOLLOUT */
    bool sampled;  /* the answer being received is compared as a whole */

    uint32_t next; /* message of the batch that is sent next, or being sent */
    uint32_t owed; /* messages to send, the one being sent included */
    size_t sent;   /* bytes of `next` that were sent */

    uint32_t unanswered; /* messages, those still owed included */
    uint32_t expected;   /* message of the batch whose answer comes next */
    uint8_t head_len;
    unsigned char head[10]; /* header that came in pieces */
    uint64_t left;          /* payload bytes of the current frame still to come */
    uint64_t answers;       /* received */

    uint64_t *since;         /* a ring: for each unanswered message, when it was due to be sent */
    uint32_t newest, oldest; /* places in it: of the next message to be due, to be answered */

    uint8_t pong_len; /* payload of a pong to send, with ... */
    bool pong_due;
    unsigned char pong[125];
};

/* Gives a connection its place in the batch: `share` (0 to 1) of the way through. */
void conn_begin(const struct batch *b, struct conn *c, double share);
void conn_end(struct conn *c); /* frees what conn_begin made */

/* Owes the peer `count` more messages, so that at most `depth` are unanswered. conn_flush sends
 * them. */
void conn_owe(struct traffic *t, struct conn *c, unsigned count, uint64_t now);
void conn_flush(struct traffic *t, struct conn *c);

/* Takes received bytes; owes a message for each answer. Ends the program at a wrong answer. */
void conn_receive(struct traffic *t, struct conn *c, const unsigned char *bytes, size_t n,
                  uint64_t now);

/* Handles a readable socket: one recv, then whatever became due. false: the peer has closed. */
bool conn_on_readable(struct traffic *t, struct conn *c);
void conn_on_writable(struct traffic *t, struct conn *c);

#endif
