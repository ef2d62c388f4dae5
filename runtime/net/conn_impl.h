/* What the files of a connection share. Nobody else includes this.
 *
 *   conn.c       life: accept, adopt, end
 *   conn_phase.c phase by phase: readiness, input, timers
 *   conn_proxy.c the PROXY protocol, before anything else
 *   conn_out.c   output: cork, queue, flush
 *   conn_send.c  messages out, compressed or not, to one or to many
 *   conn_http.c  the request phase
 *   conn_ws.c    the message phase
 *   conn_set.c   what the connections of a loop share; drain
 *   conn_note.c  why the runtime ends something by itself, for the log */
#ifndef TIDEWIRE_NET_CONN_IMPL_H
#define TIDEWIRE_NET_CONN_IMPL_H

#include "base/map.h"
#include "net/conn.h"
#include "net/pace.h"
#include "net/random.h"

#include <ev.h>
#include <netinet/in.h>

#define CONN_RX_SIZE (512 * 1024) /* read at once, into the set's one buffer */
#define CONN_HELD_MAX (64 * 1024) /* read ahead while a request is being answered */
#define CONN_BUDGET 512 /* requests or messages of one connection in one turn of the loop */
#define CONN_FLUSH_AT (64 * 1024) /* corked bytes that are worth a system call of their own */

#define CONN_TLS_STEPS 16 /* of TLS handshakes in one turn: each is dear */

enum conn_phase {
    PHASE_PROXY,      /* reading a header of the PROXY protocol */
    PHASE_TLS,        /* handshake of the transport */
    PHASE_HEAD,       /* reading a request's head */
    PHASE_BODY,       /* reading its body */
    PHASE_ANSWERING,  /* the owner has the request */
    PHASE_RESPONDING, /* the answer is given, not all of it is queued or taken */
    PHASE_OPEN,       /* WebSocket, closing handshake included */
    PHASE_LINGER,     /* all is said: write it out, end our half, wait for the peer's */
    PHASE_DEAD,       /* the descriptor is closed; `closed` and `gone` are due or done */
};

/* What follows the last byte that is written. */
enum ending {
    ENDING_HANG_UP,   /* the end */
    ENDING_SHUT_DOWN, /* the end of our half, then the peer's end is awaited */
    ENDING_WAIT,      /* the peer's end is awaited */
};

struct conn_set {
    struct loop *loop;
    const struct conn_events *events;
    const struct conn_limits *limits;
    const struct log *log; /* of conn_note.c; NULL: none */
    void *context;
    unsigned char *rx;   /* CONN_RX_SIZE bytes: no idle connection owns a buffer */
    struct buf cork;     /* output of the connection whose input is being handled */
    struct conn *corked; /* that connection */
    unsigned budget;     /* events that it may still cause in this turn */
    uint64_t tls_turn;   /* turn that `tls_steps` is for */
    unsigned tls_steps;  /* that TLS handshakes may still take in it */
    struct list all;
    size_t count;
    struct conn_bounds bounds;
    struct map *handshakes; /* address -> unfinished ones */
    struct pace pace;       /* of opening handshakes */
    size_t reassembly;      /* bytes that unfinished messages hold */
    int64_t date_at;        /* second that `date` was made for */
    char date[32];
    struct conn_drain *drain;  /* while draining */
    struct list connects;      /* attempts under way (connect_impl.h) */
    struct resolver *resolver; /* of their names; made when first needed */
    bool freeing;
    struct random random; /* of masking keys */
    struct deflate_pool deflate_pool;
};

/* Only while HTTP is spoken; an open connection has none. */
struct conn_http {
    struct buf head; /* a head in pieces */
    size_t scanned;  /* of it */
    struct buf body;
    uint64_t body_left;
    bool upgrade; /* the request under way is an opening handshake */
    bool no_body; /* the request was HEAD */
    bool keep_alive;
    bool reused;     /* not the connection's first request */
    unsigned number; /* of the request, from 1 */
    int file;        /* body of the answer, -1: none */
    uint64_t file_at, file_left;
};

/* The peer's Close, or ours when we failed the connection. */
struct conn_closing {
    uint16_t code;
    uint8_t len;
    char reason[FRAME_CONTROL_MAX];
};

struct conn {
    ev_io io;
    struct stream stream;
    struct conn_set *set;
    void *owner;
    struct list all;       /* in set->all */
    struct deferred later; /* end of turn: input that was held, output, the end */
    struct timer timer;    /* the nearest of all deadlines */
    const struct conn_limits *limits;
    struct session session;
    struct outq out;
    struct buf held; /* input that nobody wants yet, from held_at on */
    size_t held_at;
    char *head; /* of the request being answered or upgraded */
    struct conn_http *http;
    struct conn_closing *closing;
    struct buf *pong; /* payload of the one Pong that waits for the socket */
    uint32_t head_len;
    uint32_t last_in;  /* times: ms, truncated; only differences count */
    uint32_t since;    /* of this phase, or of the closing handshake */
    uint32_t pinged;   /* when `ping_out` */
    uint32_t progress; /* when bytes were last taken, or began to wait */
    struct pace pace;  /* of messages */
    size_t holds;      /* bytes of an unfinished message; counted in set->reassembly */
    unsigned refs;
    unsigned unacknowledged; /* bytes, at the last look at a queue that does not move */
    struct address peer;
    uint8_t phase;
    uint8_t pauses; /* enum conn_pause bits */
    uint8_t ending; /* enum ending */
    bool secure : 1;
    bool eof : 1;         /* the peer has ended its half */
    bool blocked : 1;     /* the socket takes nothing now */
    bool read_again : 1;  /* the stream has read ahead */
    bool half_closed : 1; /* our half is ended */
    bool upgraded : 1;
    bool compressed : 1; /* permessage-deflate is agreed */
    bool close_sent : 1;
    bool close_received : 1;
    bool ping_out : 1; /* and nothing has come from the peer since */
    bool told_buffered : 1;
    bool drain_due : 1;
    bool unfinished : 1; /* its handshake counts for its address */
    bool finished : 1;   /* `gone` was told */
};

/* conn.c */
void conn_enter(struct conn *c, enum conn_phase phase); /* and arms its deadline */
void conn_later(struct conn *c);
void conn_linger(struct conn *c, enum ending how);
void conn_finish(struct conn *c); /* a dead one, from the loop */
uint32_t conn_now(const struct conn *c);
static inline uint32_t conn_elapsed(const struct conn *c, uint32_t since)
{
    return conn_now(c) - since;
}

static inline bool conn_is_client(const struct conn *c)
{
    return c->session.role == SESSION_CLIENT;
}

/* What is left of a limit that began at `since`, ms. */
static inline uint32_t conn_left(const struct conn *c, uint32_t since, uint32_t limit)
{
    uint32_t gone = conn_elapsed(c, since);
    return gone >= limit ? 0 : limit - gone;
}

/* conn_phase.c */
void conn_phase_init(struct conn *c); /* of a new one: where its events go */
void conn_update_io(struct conn *c);
void conn_arm(struct conn *c);
bool conn_wants_input(const struct conn *c);

/* conn_out.c: output is appended to `buf` between begin and end. */
struct out_mark {
    struct buf *buf; /* NULL: memory short */
    size_t before;
};
struct out_mark conn_out_begin(struct conn *c);
void conn_out_end(struct conn *c, struct out_mark out);
/* A whole frame of a server straight from where its payload is; the queue is empty. */
void conn_out_direct(struct conn *c, enum frame_opcode kind, const void *data, size_t n);
bool conn_out_share(struct conn *c, struct shared *frame); /* false: dead, or memory short */
/* A fresh masking key for a client's frame, in `room`; a server's frames have none: NULL. */
const unsigned char *conn_mask(struct conn *c, unsigned char room[FRAME_KEY]);
void conn_out_queued(struct conn *c, size_t n); /* n bytes more are queued: write them later */
/* conn_buffered, for each message */
static inline size_t conn_out_bytes(const struct conn *c)
{
    return c->out.bytes + (c->set->corked == c ? c->set->cork.len : 0);
}
void conn_cork(struct conn *c);
void conn_uncork(struct conn *c); /* writes what was corked */
void conn_flush(struct conn *c);

/* conn_proxy.c */
void conn_proxy_read(struct conn *c);

/* conn_http.c */
size_t conn_http_take_head(struct conn *c, unsigned char *bytes, size_t n);
size_t conn_http_take_body(struct conn *c, unsigned char *bytes, size_t n);
void conn_http_refill(struct conn *c);        /* more of a file's body, when there is room */
void conn_http_answer_queued(struct conn *c); /* the answer may be complete */
void conn_http_timeout(struct conn *c);
bool conn_http_start(struct conn *c);
void conn_http_free(struct conn *c);

/* conn_ws.c */
void conn_ws_start(struct conn *c, enum session_role role, const struct conn_limits *limits,
                   struct deflate *deflate);
size_t conn_ws_take(struct conn *c, unsigned char *bytes, size_t n);
void conn_ws_timeout(struct conn *c);
void conn_ws_fail(struct conn *c, uint16_t code, struct slice reason);
uint32_t conn_ws_deadline(const struct conn *c); /* ms from now; UINT32_MAX: none */
void conn_ws_send_pong(struct conn *c);
void conn_ws_tell_closed(struct conn *c);
void conn_ws_free(struct conn *c);

/* conn_set.c */
const char *conn_set_date(struct conn_set *set); /* for the Date field */
void conn_set_removed(struct conn_set *set);
void conn_set_began(struct conn *c);               /* its handshake counts from now on */
bool conn_set_take_tls_step(struct conn_set *set); /* false: not in this turn any more */
void conn_set_arrived(struct conn *c); /* and no longer: its head is here, or it has ended */
void conn_set_holds(struct conn *c, size_t bytes); /* of an unfinished message */
void conn_set_bound_held(struct conn_set *set);    /* ends the largest ones, if that is too much */

/* conn_note.c: each writes one line, at debug; nothing is done when these are not logged */
bool conn_notes(const struct conn *c); /* are they? */
void conn_note(const struct conn *c, const char *what, const char *why);
void conn_note_close(const struct conn *c, unsigned code, struct slice reason);
/* `head`: what there is of it */
void conn_note_request(const struct conn *c, unsigned status, struct slice head, const char *why);

/* connect.c */
void connect_drain(struct conn_set *set);   /* all attempts end at the turn's end */
void connect_end_all(struct conn_set *set); /* now, and the resolver too */

#endif
