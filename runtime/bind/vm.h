/* One Lua state and what belongs to it: the runtime's Lua half, the app, its tasks and its
 * connections. Shared by the files of this floor; the floors above see bind.h. */
#ifndef TIDEWIRE_BIND_VM_H
#define TIDEWIRE_BIND_VM_H

#include "base/log.h"
#include "bind/heap.h"
#include "bind/hold.h"
#include "bind/sweep.h"
#include "net/conn.h"
#include "net/loop.h"
#include "net/topics.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <time.h>

struct generation;
struct limit;
struct map;
struct script;
struct stop;
struct task;
struct tls_client;
struct ws;

/* A message on its way from the receive buffer into Lua: lives during one event. */
struct incoming {
    const unsigned char *data;
    size_t len;
    enum frame_opcode kind;
};

struct vm_tally;
struct watching { /* vm_watch */
    void (*changed)(void *context, const struct vm_tally *t);
    void *context;
    struct deferred told;
};

struct vm {
    lua_State *L;        /* main thread: holds the registry, never runs the app */
    struct heap heap;    /* its memory */
    struct limit *limit; /* of the limited call that runs now (limited.c), or NULL */
    bool collecting;     /* within vm_collect */
    struct loop *loop;
    const struct log *log;
    struct conn_set *conns;
    struct topics *topics;
    struct generation *generation; /* the current one; NULL before */
    struct generation *canary;     /* beside it, or NULL */
    unsigned share;                /* of the canary, in percent; 0: there is none */
    uint32_t pointed;              /* see generation_point */
    uint32_t generation_serial;    /* given last */
    uint64_t handled, failed;      /* calls of those that are gone */
    struct list generations;       /* all that live, oldest first */
    struct deferred reap;          /* those that are not used any more */
    struct map *slots;             /* by their keys */
    int switcher;                  /* registry reference of what is called by generation_switch */
    struct hold hold;
    struct sweep sweep;
    struct watching watch;
    struct task *current; /* running now; NULL: we are in C */
    struct list idle;     /* tasks ready for reuse */
    unsigned idle_count;
    struct list tasks; /* all others, running or suspended */
    struct incoming incoming;
    struct conn_limits limits;  /* before a route is known */
    int reporter;               /* registry reference of what reports errors, or LUA_NOREF */
    bool reports_locals;        /* it wants the frames of what has failed, too */
    struct generation *failing; /* whose failure is reported just now; NULL: the runtime's own */
    struct buf warning;         /* what warn() has said so far */
    struct log_limit refusals;  /* of handshakes: one line a second */
    bool loading;               /* an app is being loaded: it must not act yet */
    bool ended;                 /* nothing of a script runs any more: see script.c */
    bool freeing;               /* vm_free: what waits now waits for good */
    char node[17];              /* of ws.id: this process, in hexadecimal */
    struct ws **ids;            /* slot of ws.id -> connection */
    size_t ids_cap, ids_free;
    uint64_t serial;
    uint64_t request_serial; /* of plain HTTP */
    struct list live;        /* connections, oldest first */
    struct ws *states_at;    /* where core.states has come to, or NULL */
    unsigned migrating;      /* migrations of states that run inside one another */
    size_t ws_count;         /* connections whose handlers have not all ended */
    struct stop *stop;       /* waits for them, or NULL */
    struct list attempts;    /* connections that are being made (client.c) */
    struct tls_client *tls;  /* of connections without settings of their own, or NULL */
    struct script *script;   /* of `exec` (script.c), or NULL */
};

/* Key of the registry for the plan of vm_command: host passes it to no one else. */
#define VM_PLAN "tidewire.plan"

/* The vm of any of its threads. */
static inline struct vm *vm_of(lua_State *L)
{
    return *(struct vm **)lua_getextraspace(L);
}

/* ns of a clock that never goes back, as of now. */
static inline uint64_t vm_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Which of 100 shares a connection or a request with this serial is in. */
static inline uint8_t vm_share_of(uint64_t serial)
{
    serial = (serial ^ serial >> 31) * 0x9E3779B97F4A7C15;
    return (uint8_t)((serial >> 32) % 100);
}

void vm_push_app(lua_State *L); /* the app object, or nil */

/* Raises unless the app may act: it is loaded, and there is a loop to act in. */
void vm_check_acting(lua_State *L, const char *what);

/* The last connection's last handler has ended: see vm_stop. */
void vm_handlers_ended(struct vm *vm);
void vm_stop_cancel(struct vm *vm);

/* Runs `body(context)` as a protected call on the main thread, for what may raise although
 * nothing of the app runs. false: it raised; the message is logged. */
bool vm_protected(struct vm *vm, lua_CFunction body, void *context);

/* Key of the registry: the frames of the task whose failure is reported just now (task.c), when the
 * reporter wants them. */
extern const char vm_frames;

/* Reports an error of the app: where it happened, and the error object and a traceback at the
 * given places of L's stack. Never raises. */
void vm_report(lua_State *L, const char *where, int error, int traceback);

/* Pushes a userdata that owns a buffer, for bytes on their way into a Lua string: an error of Lua
 * leaks nothing. */
struct buf *vm_push_buffer(lua_State *L);
/* The buffer on top of the stack is replaced by its bytes as a string. */
void vm_buffer_to_string(lua_State *L);
void vm_buffer_open(lua_State *L); /* the type */

/* Arguments that come up in several types. */
enum frame_opcode vm_check_kind(lua_State *L, int arg); /* "text" (default) | "binary" */
struct slice vm_check_message(lua_State *L, int arg, enum frame_opcode kind); /* text: UTF-8 */
uint64_t vm_check_seconds(lua_State *L, int arg);                             /* in ms */
int vm_push_sent(lua_State *L, enum conn_sent sent); /* results of a send */

/* Opens a userdata type: its metatable with methods, and getters for its fields. */
void vm_new_type(lua_State *L, const char *name, const luaL_Reg *meta, const luaL_Reg *methods,
                 const luaL_Reg *getters);

#endif
