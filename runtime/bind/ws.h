/* A WebSocket connection as the app sees it: the userdata "tidewire.ws".
 *
 *   ws.c            the Lua type: methods and fields
 *   ws_ids.c        ws.id
 *   ws_handshake.c  from a request to the first handlers
 *   ws_events.c     from events of net to handler calls, one at a time and in order
 *   ws_receive.c    ws:receive and ws:messages
 *   ws_follow.c     what becomes of it when another generation of the app serves
 *   ws_state.c      ws.state, brought into the form of that generation
 *   ws_timer.c      ws:every and ws:after
 *   client.c        connections that we make: tidewire.connect
 *
 * The struct comes with the handshake; the userdata only when the app first sees the connection. */
#ifndef TIDEWIRE_BIND_WS_H
#define TIDEWIRE_BIND_WS_H

#include "bind/app.h"
#include "bind/vm.h"

/* What belongs to the userdata: ws.state; ws.request, which is a table { url =, response =,
 * address =, reconnects = } for a connection that we have made; the state before a migration. */
#define WS_STATE 1
#define WS_REQUEST 2
#define WS_KEPT 3
#define WS_VALUES 3

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
    struct list node; /* in vm->live */
    struct slot *slot;
    struct binding *accepted; /* whose options hold */
    int self;                 /* registry reference of the userdata; LUA_NOREF: not seen yet */
    int ended;                /* of what is called after `close`, or LUA_NOREF: see client.c */
    uint32_t id_slot;         /* in vm->ids */
    uint64_t serial;
    uint64_t began;  /* loop_now() */
    uint32_t seen;   /* the binding's serial at the last event */
    uint32_t failed; /* of that for which the state could not be migrated: events wait; or 0 */
    uint32_t state_version, kept_version;
    struct held held;
    struct slice protocol; /* of accepted's list; len 0: none */
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
    uint8_t share;      /* vm_share_of(serial) */
    bool client;        /* we have made the connection */
    bool pull;          /* it has no handler: messages wait for receive, also beyond the end */
    bool told_to_close; /* by the app: the end is meant */
    bool opened;        /* the handshake is done: the app knows of it */
    bool begin_due;     /* its first handlers are to be called: a barrier came between */
    bool running;       /* a coroutine of handler.run is there */
    bool restart;       /* it was ended to be begun anew */
    bool resumed;       /* it was begun anew, in another generation */
    bool run_due;       /* it may be lacking: see ws_follow_run */
    bool kept;          /* there is a state from before a migration */
    bool migrating;
    bool pumping;
    bool drain_due;
    bool receive_due; /* the receiver has waited long enough */
    bool peer_close;  /* the peer's Close has come */
    bool closed;      /* the connection has ended; its `close` is due or done */
    bool close_told;
    bool gone;
    bool paused; /* by the inbox */
};

/* What its next event goes to. NULL: there is nothing any more. */
static inline struct binding *ws_binding(const struct ws *w)
{
    return w->slot->bindings[w->share < w->vm->share];
}

const struct conn_events *ws_events(void);

void ws_open(lua_State *L); /* the type */
void ws_push(lua_State *L, struct ws *w);

/* The userdata, at `arg`, lasts as long as the connection does, from ws_push on. One without a
 * handler is let go, unless something is due on it that it has not been asked for: then it lasts as
 * long as the app refers to it, and the connection no longer. */
void ws_hold(lua_State *L, int arg, struct ws *w);
void ws_let_go(lua_State *L, struct ws *w);

struct ws *ws_check(lua_State *L, int arg);

/* With the options of `accepted`. NULL: memory short. */
struct ws *ws_new(struct vm *vm, struct conn *c, struct slot *slot, struct binding *accepted);
void ws_ref(struct ws *w);
void ws_unref(struct ws *w);
void ws_release(struct ws *w); /* after the end: gives back all but the struct */
void ws_free_all(struct vm *vm);

/* ws_ids.c */
bool ws_take_id(struct vm *vm, struct ws *w); /* false: memory short */
void ws_give_id_back(struct vm *vm, const struct ws *w);
void ws_push_id(lua_State *L, const struct ws *w);
struct ws *ws_by_id(struct vm *vm, struct slice id); /* NULL: no such connection here */

/* ws_events.c */
void ws_pump(struct ws *w); /* calls handlers for what is due, unless one is active */
void ws_run(struct ws *w, const char *what, lua_CFunction body);
void ws_run_as(struct ws *w, struct generation *g, const char *what, lua_CFunction body);
int ws_call_handler(lua_State *L, int args);    /* for bodies: return ws_call_handler(...) */
struct ws *ws_of_task(lua_State *L);            /* for bodies: their connection */
struct ws *ws_of_handler(const struct task *t); /* NULL: it is no handler of a connection */
int ws_push_incoming(lua_State *L, struct vm *vm);
void ws_wake_receiver(struct ws *w);                             /* there is one */
void ws_close(struct ws *w, uint16_t code, struct slice reason); /* there is a connection */
enum conn_sent ws_sent(struct ws *w,
                       enum conn_sent sent);  /* around each conn_send: an overflow closes */
struct message *ws_inbox_shift(struct ws *w); /* the caller's; the inbox is not empty */

/* ws_handshake.c */
void ws_begin(struct ws *w);     /* open and run */
void ws_begin_run(struct ws *w); /* run alone */
void ws_on_request(struct conn *c, const struct http_head *head, bool upgrade, struct slice body);
void ws_on_refused(struct conn *c, const char *why);

/* ws_follow.c: the binding is not what it was at the last event. false: events wait. */
bool ws_follow(struct ws *w, const struct binding *b);
/* Begins `run` of a binding that it has come to, behind a handler that waits in receive. */
bool ws_follow_run(struct ws *w, const struct binding *b);
bool ws_is_stale(const struct ws *w, const struct task *t); /* to be begun anew, when it waits */
bool ws_visit(struct ws *w); /* by sweep.c; false: there was nothing to do */

/* ws_state.c */
int ws_get_state(lua_State *L);
int ws_set_state(lua_State *L);
bool ws_push_state(lua_State *L, struct ws *w); /* as it is; false: it has none, nothing pushed */
bool ws_migrate(struct ws *w, const struct binding *b); /* false: it has failed, and is told */
bool ws_is_newer(const struct ws *w, const struct binding *b); /* is its state? */
bool ws_drop_kept(struct ws *w); /* unless it is still wanted; false: nothing to do */

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
