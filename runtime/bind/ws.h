/* A WebSocket connection as the app sees it: the userdata "tidewire.ws".
 *
 *   ws.c            the Lua type: methods and fields
 *   ws_handshake.c  from a request to the first handlers
 *   ws_events.c     from events of net to handler calls, one at a time and in order
 *   ws_receive.c    ws:receive and ws:messages
 *   ws_timer.c      ws:every and ws:after
 *   client.c        connections that we make: tidewire.connect
 *
 * The struct comes with the handshake; the userdata only when the app first sees the connection. */
#ifndef TIDEWIRE_BIND_WS_H
#define TIDEWIRE_BIND_WS_H

#include "bind/app.h"
#include "bind/vm.h"

/* What belongs to the userdata: ws.state; ws.request, which is a table { url =, response =,
 * address =, reconnects = } for a connection that we have made. */
#define WS_STATE 1
#define WS_REQUEST 2

/* Messages that wait while a handler is suspended; past either bound reading pauses. */
#define INBOX_COUNT_MAX 64
#define INBOX_BYTES_MAX (256 * 1024)

struct message {
    struct message *next;
    enum frame_opcode kind;
    size_t len;
    unsigned char data[];
};

struct inbox {
    struct message *head, **tail;
    size_t count, bytes;
};

struct ws {
    unsigned refs;
    struct conn *conn; /* NULL after the release */
    struct vm *vm;
    struct slot *slot;
    int self;         /* registry reference of the userdata; LUA_NOREF: not seen yet */
    uint32_t id_slot; /* in vm->ids */
    uint64_t serial;
    struct slice protocol; /* of the slot's list; len 0: none */
    struct subscriber subscriber;
    struct task *active;   /* a handler that runs, or is suspended in something but receive */
    struct task *receiver; /* suspended in receive */
    struct inbox inbox;
    struct list timers;
    struct ws_timer *firing; /* whose turn it is, until its body has begun */
    struct {
        uint16_t code;
        bool clean;
        uint8_t len;
        char *reason;
    } end;
    bool client;        /* we have made the connection; the slot is its own */
    bool pull;          /* it has no handler: messages wait for receive, also beyond the end */
    bool told_to_close; /* by the app: the end is meant */
    bool opened;        /* the handshake is done: the app knows of it */
    bool pumping;
    bool drain_due;
    bool receive_due; /* the receiver has waited long enough */
    bool peer_close;  /* the peer's Close has come */
    bool closed;      /* the connection has ended; its `close` is due or done */
    bool close_told;
    bool gone;
    bool paused; /* by the inbox */
};

const struct conn_events *ws_events(void);

void ws_open(lua_State *L); /* the type */
void ws_push(lua_State *L, struct ws *w);

/* The userdata, at `arg`, lasts as long as the connection does, from ws_push on. One without a
 * handler is let go, unless something is due on it that it has not been asked for: then it lasts as
 * long as the app refers to it, and the connection no longer. */
void ws_hold(lua_State *L, int arg, struct ws *w);
void ws_let_go(lua_State *L, struct ws *w);

struct ws *ws_check(lua_State *L, int arg);

struct ws *ws_new(struct vm *vm, struct conn *c, struct slot *slot); /* NULL: memory short */
void ws_ref(struct ws *w);
void ws_unref(struct ws *w);
void ws_release(struct ws *w); /* after the end: gives back all but the struct */
void ws_free_all(struct vm *vm);
struct ws *ws_by_id(struct vm *vm, struct slice id); /* NULL: no such connection here */

/* ws_events.c */
void ws_pump(struct ws *w); /* calls handlers for what is due, unless one is active */
void ws_run(struct ws *w, const char *what, lua_CFunction body);
int ws_call_handler(lua_State *L, int args); /* for bodies: return ws_call_handler(...) */
struct ws *ws_of_task(lua_State *L);         /* for bodies: their connection */
int ws_push_incoming(lua_State *L, struct vm *vm);
void ws_wake_receiver(struct ws *w);                             /* there is one */
void ws_close(struct ws *w, uint16_t code, struct slice reason); /* there is a connection */
enum conn_sent ws_sent(struct ws *w,
                       enum conn_sent sent);  /* around each conn_send: an overflow closes */
struct message *ws_inbox_shift(struct ws *w); /* the caller's; the inbox is not empty */

/* ws_handshake.c */
void ws_begin(struct ws *w); /* open and run */
void ws_on_request(struct conn *c, const struct http_head *head, bool upgrade, struct slice body);
void ws_on_refused(struct conn *c, const char *why);

/* ws_receive.c */
int ws_receive(lua_State *L);
int ws_messages(lua_State *L);

/* ws_timer.c */
int ws_every(lua_State *L);
int ws_after(lua_State *L);
bool ws_timer_run_due(struct ws *w); /* false: none was due */
void ws_timers_cancel(struct ws *w);
void ws_timer_open(lua_State *L);

#endif
