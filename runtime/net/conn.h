/* A connection: first HTTP requests, then, once one of them is upgraded, WebSocket messages.
 *
 * Events reach the owner through struct conn_events, always from the loop, never from within a
 * call on a connection: whatever a handler does, no second event starts inside it. For each
 * connection:
 *
 *     request*  ( message* | peer_close | drain )*  closed  gone
 *
 * `closed` comes exactly once for each upgraded connection, `gone` once for each. A connection
 * that an event is about stays valid until `gone` has returned, or as long as it is referenced. */
#ifndef TIDEWIRE_NET_CONN_H
#define TIDEWIRE_NET_CONN_H

#include "base/log.h"
#include "base/slice.h"
#include "net/limits.h"
#include "net/loop.h"
#include "net/outq.h"
#include "net/stream.h"
#include "wire/deflate.h"
#include "wire/frame.h"
#include "wire/http.h"
#include "wire/network.h"

#include <sys/socket.h>

struct conn;
struct conn_set;

struct conn_events {
    /* A whole request has arrived; `upgrade` tells that it is a valid opening handshake. Answer,
     * now or later, with conn_upgrade, conn_respond or conn_respond_file. The slices live until
     * then; `body` is that of a plain request. */
    void (*request)(struct conn *c, const struct http_head *head, bool upgrade, struct slice body);
    /* A whole message; text is valid UTF-8. The bytes live until the event returns. */
    void (*message)(struct conn *c, enum frame_opcode kind, const unsigned char *data, size_t n);
    /* The peer has sent its Close frame. When the messages before it are dealt with, call
     * conn_reply_close; sending is possible until then. */
    void (*peer_close)(struct conn *c);
    /* The send queue has fallen below its low mark after a send had answered CONN_BUFFERED. */
    void (*drain)(struct conn *c);
    /* The connection has ended. `clean`: both Close frames were exchanged. code is the peer's,
     * 1005 when its Close had none, 1006 when there was no Close, or ours when we failed the
     * connection (RFC 6455 section 7.1.5 and 7.1.7). */
    void (*closed)(struct conn *c, unsigned code, struct slice reason, bool clean);
    void (*gone)(struct conn *c);
    /* A connection is ended before it has asked anything: why, in words for the log. */
    void (*refused)(struct conn *c, const char *why);
};

/* The connections of one loop: they share buffers, limits and the owner's events.
 * `limits` and `events` are borrowed; `seed` is random (map.h). NULL: memory short. */
struct conn_set *conn_set_new(struct loop *loop, const struct conn_events *events,
                              const struct conn_limits *limits, uint64_t seed, void *context);
void conn_set_free(struct conn_set *set); /* ends what is still connected, with `gone` */

size_t conn_set_count(const struct conn_set *set);
struct loop *conn_set_loop(const struct conn_set *set);
void *conn_set_context(const struct conn_set *set); /* as given to conn_set_new */

/* Where it is told, at debug, why a connection is refused or ended by the runtime itself. Borrowed;
 * NULL, and before: nowhere. */
void conn_set_log(struct conn_set *set, const struct log *log);
/* The same for a request that the owner refuses. */
void conn_note_refusal(const struct conn *c, unsigned status, const char *why);

/* What the connections of a set may take together; 0: no bound. */
struct conn_bounds {
    size_t connections; /* more are refused */
    /* Trusted; borrowed, NULL: none. Handshakes of their own addresses are not counted. */
    const struct network_list *proxies;
    unsigned handshakes_per_address; /* unfinished ones; more are refused */
    unsigned handshakes_per_second;  /* see conn_set_shed */
    uint32_t lag;                    /* ms of a turn of the loop; see conn_set_shed */
    size_t reassembly; /* bytes of unfinished messages; beyond, the largest is closed with 1013 */
};
void conn_set_bound(struct conn_set *set, const struct conn_bounds *bounds);

/* Ends all connections within `within` ms: answers under way are finished, idle ones ended, open
 * ones closed with `code`, spread over the time when there are many. What is left then is cut.
 * `done` is called when none is left, perhaps at once; new connections are refused. */
void conn_set_drain(struct conn_set *set, uint16_t code, uint32_t within,
                    void (*done)(void *context), void *context);

/* May a connection from this address be taken in now? */
enum conn_admission {
    CONN_ADMITTED,
    CONN_REFUSED_FULL,    /* as many as allowed are open */
    CONN_REFUSED_ADDRESS, /* its address has too many unfinished handshakes */
    CONN_REFUSED_DRAINING,
};
enum conn_admission conn_set_admit(const struct conn_set *set, const struct address *peer);

/* Is this one of the trusted proxies? */
bool conn_set_trusts(const struct conn_set *set, const struct address *peer);

/* Is an opening handshake to be answered with 503 now, so that the connections which are there stay
 * served? Asked once for each: it counts. *retry_after gets seconds, different for each client, so
 * that they do not all come back at once. */
enum conn_shedding {
    CONN_SHED_NONE,
    CONN_SHED_RATE, /* more handshakes a second than the bound */
    CONN_SHED_LAG,  /* the last turn of the loop took longer than the bound */
};
enum conn_shedding conn_set_shed(struct conn_set *set, unsigned *retry_after);

/* Takes over an accepted stream. `introduced`: a header of the PROXY protocol comes first, and
 * tells who the peer is. false: memory short; the stream is closed. */
bool conn_accept(struct conn_set *set, struct stream *stream, const struct address *peer,
                 bool secure, bool introduced);

/* As accept() and getpeername() tell it. */
struct address conn_address_of(const struct sockaddr_storage *peer);

/* What the opening handshake of a client has come to (connect.h). */
struct conn_opening {
    const struct sockaddr_storage *peer;
    bool secure;
    struct slice head;                       /* the server's answer */
    struct slice rest;                       /* what came behind it: the first frames */
    const struct conn_limits *limits;        /* borrowed, must outlive the connection */
    const struct deflate_settings *compress; /* as offered */
    const struct deflate_params *agreed;     /* by both sides; NULL: no compression */
};

/* A client's connection, open from the beginning; owns the stream. Its first event comes from the
 * loop. NULL: memory short; the stream is closed. */
struct conn *conn_adopt(struct conn_set *set, struct stream *stream,
                        const struct conn_opening *opening);

/* --- for the owner ------------------------------------------------------------------------ */

void conn_set_owner(struct conn *c, void *owner);
void *conn_owner(const struct conn *c);
struct conn_set *conn_get_set(const struct conn *c);

struct conn *conn_ref(struct conn *c);
void conn_unref(struct conn *c);

/* The peer's address in numbers ("127.0.0.1", "::1", "unix"), and its port (0 for "unix"). */
void conn_peer(const struct conn *c, char *text, size_t size, unsigned *port);
struct address conn_address(const struct conn *c);
bool conn_is_secure(const struct conn *c);

/* The certificate that the client has shown (tls_peer_certificate). false: none. */
struct tls_peer;
bool conn_certificate(const struct conn *c, struct tls_peer *out);

/* The head of the request being answered, or of the one that was upgraded. */
struct slice conn_head(const struct conn *c);

/* A request waits for its answer. */
bool conn_awaits_answer(const struct conn *c);

/* Which one, from 1; 0 when none waits. An answer that comes late must not become that of the
 * connection's next request. */
unsigned conn_request_number(const struct conn *c);

/* --- answering a request ------------------------------------------------------------------ */

/* `fields` are whole field lines, each ended with CRLF, already checked. Date, Content-Length and
 * Connection are added. A request is answered once; a later answer, or one to a connection that
 * has gone, answers false and does nothing. */
bool conn_respond(struct conn *c, unsigned status, struct slice fields, struct slice body);

/* The same with `length` bytes of the file at `offset` as its body. Owns `fd` from then on, also
 * when it answers false. */
bool conn_respond_file(struct conn *c, unsigned status, struct slice fields, int fd,
                       uint64_t offset, uint64_t length);

struct conn_acceptance {
    struct slice protocol; /* len 0: none */
    struct slice fields;   /* further whole field lines, each ended with CRLF, already checked */
    const struct conn_limits *limits;        /* borrowed, must outlive the connection */
    const struct deflate_settings *compress; /* agrees to permessage-deflate, when the client offers
                                                it; NULL: never */
};

/* Accepts the opening handshake. false: there is no handshake to accept any more. */
bool conn_upgrade(struct conn *c, const struct conn_acceptance *a);

/* Is permessage-deflate agreed on? */
bool conn_is_compressed(const struct conn *c);

/* --- messages ----------------------------------------------------------------------------- */

enum conn_state { CONN_CONNECTING, CONN_OPEN, CONN_CLOSING, CONN_CLOSED };
enum conn_state conn_state(const struct conn *c);

enum conn_sent {
    CONN_SENT,
    CONN_BUFFERED,  /* taken, and the queue is above its soft mark */
    CONN_NOT_OPEN,  /* not taken: closing or closed */
    CONN_OVERFLOW,  /* not taken: the queue is full; the connection is closed with 1013 */
    CONN_NO_MEMORY, /* not taken */
};

/* Text must be valid UTF-8. */
enum conn_sent conn_send(struct conn *c, enum frame_opcode kind, const void *data, size_t n);
enum conn_sent conn_ping(struct conn *c, const void *data, size_t n); /* n <= 125 */

/* One message to many connections: framed once for all of them, and compressed once for each sort
 * of window that they have agreed to. `data` is borrowed until broadcast_free. */
#define BROADCAST_SORTS 16 /* eight windows, of two routes that differ in level */
struct broadcast {
    enum frame_opcode kind;
    const void *data;
    size_t len;
    struct shared *plain; /* made when first needed, as these are */
    struct {
        struct shared *frame; /* NULL: no more of them */
        unsigned bits, level;
    } compressed[BROADCAST_SORTS];
};
void broadcast_init(struct broadcast *b, enum frame_opcode kind, const void *data, size_t n);
void broadcast_free(struct broadcast *b);
enum conn_sent conn_broadcast(struct conn *c, struct broadcast *b);

/* Starts the closing handshake; later calls do nothing. code 0: a Close without payload.
 * reason: at most 123 bytes of UTF-8. */
void conn_close(struct conn *c, uint16_t code, struct slice reason);
void conn_reply_close(struct conn *c); /* see conn_events.peer_close */

/* The peer's Close as `closed` will tell it; 0: none has come. The reason lives as long as c. */
unsigned conn_peer_closed(const struct conn *c, struct slice *reason);
void conn_abort(struct conn *c); /* ends TCP now; the events follow at the turn's end */

/* Reading stops while any reason holds; nothing is delivered meanwhile, nothing is lost. */
enum conn_pause { CONN_PAUSE_APP = 1, CONN_PAUSE_QUEUE = 2 };
void conn_pause(struct conn *c, enum conn_pause reason);
void conn_resume(struct conn *c, enum conn_pause reason);

/* Bytes queued and not yet taken by the system. */
size_t conn_buffered(const struct conn *c);

#endif
