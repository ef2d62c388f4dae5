/* fn runs in a coroutine of its own. When it fails, and be it for want of memory, its calls and
 * their local variables are still there to be told. */
#include "bind/limited.h"
#include "bind/bind.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EVERY 1000        /* instructions between two looks at the clock */
#define STUCK 10          /* as many times the limit, and at least */
#define STUCK_SECONDS 5.0 /* so long, until the process is ended */
#define FRAMES 16
#define LOCALS 100

struct limit {
    struct limit *outer;
    uint64_t ends;     /* of the thread's CPU clock, in ns */
    uint64_t earliest; /* of the coarse clock: before it there is no need to ask the other one */
    lua_Number seconds;
    size_t bytes;
    struct limit *tightest;      /* of memory: this one, or an outer one */
    struct heap before;          /* what held outside */
    char place[LUA_IDSIZE + 16]; /* "file:line: " where it was passed first, or "" */
};

/* --- clocks ----------------------------------------------------------------------------------- */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A thread uses no more CPU time than passes. */
static bool is_late(const struct limit *limit)
{
    return clock_ns(CLOCK_MONOTONIC_COARSE) >= limit->earliest &&
           clock_ns(CLOCK_THREAD_CPUTIME_ID) >= limit->ends;
}

/* The limit whose time is over, or NULL. */
static struct limit *late(const struct vm *vm)
{
    for (struct limit *l = vm->limit; l; l = l->outer)
        if (is_late(l))
            return l;
    return NULL;
}

/* --- what cannot be interrupted --------------------------------------------------------------- */

static void on_stuck(int number)
{
    static const char text[] =
        "tidewire: loading the app does not end, and cannot be interrupted: it is in a C function "
        "(such as string.find or string.rep) or in a finalizer (__gc)\n";
    (void)number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(1);
    _exit(1);
}

static void on_stuck_scout(int number)
{
    (void)number;
    _exit(VM_STUCK);
}

struct watchdog {
    struct sigaction action;
    struct itimerval timer;
};

static void watchdog_start(const struct vm *vm, struct watchdog *before, lua_Number seconds)
{
    struct sigaction action = {.sa_handler = vm->collecting ? on_stuck_scout : on_stuck};
    struct itimerval timer = {0};
    lua_Number stuck = fmin(fmax(seconds * STUCK, STUCK_SECONDS), 1e6);
    timer.it_value.tv_sec = (time_t)stuck;
    sigemptyset(&action.sa_mask);
    sigaction(SIGVTALRM, &action, &before->action);
    setitimer(ITIMER_VIRTUAL, &timer, &before->timer);
}

static void watchdog_stop(const struct watchdog *before)
{
    setitimer(ITIMER_VIRTUAL, &before->timer, NULL);
    sigaction(SIGVTALRM, &before->action, NULL);
}

/* --- interrupting ----------------------------------------------------------------------------- */

/* The runtime's own, which is there below the app and between its functions. */
static bool is_runtime(const lua_Debug *ar)
{
    const char *folder = getenv("TIDEWIRE_LUA_PATH"); /* see modules.c */
    if (folder && *folder && strncmp(ar->source + 1, folder, strlen(folder)) == 0)
        return true;
    return strncmp(ar->source, "@tidewire/", 10) == 0 || strcmp(ar->source, "=coroutine.wrap") == 0;
}

/* Where the app is: as "file:line: ". What catches the error is left as well, by the same one: the
 * first place counts. */
static const char *find_place(struct limit *limit, lua_State *co)
{
    lua_Debug ar;
    for (int level = 0; !*limit->place && lua_getstack(co, level, &ar); level++) {
        lua_getinfo(co, "Sl", &ar);
        if (ar.currentline > 0 && !is_runtime(&ar))
            snprintf(limit->place, sizeof limit->place, "%s:%d: ", ar.short_src, ar.currentline);
    }
    return limit->place;
}

/* Not lua_pushfstring, whose whole numbers end with ".0". */
static void push_late(lua_State *L, lua_State *co, struct limit *limit)
{
    char text[LUA_IDSIZE + 128];
    snprintf(text, sizeof text, "%sstill running after %.14g s of CPU time", find_place(limit, co),
             limit->seconds);
    lua_pushstring(L, text);
}

static void push_short_of_memory(lua_State *L, lua_State *co, struct limit *limit)
{
    char text[LUA_IDSIZE + 128];
    snprintf(text, sizeof text, "%sit took more than %.14g MiB of memory", find_place(limit, co),
             (double)limit->bytes / (1 << 20));
    lua_pushstring(L, text);
}

static void on_count(lua_State *L, lua_Debug *ar);

/* Raises what has run out. Whoever catches it runs one more instruction: so it ends outside. */
static void raise_passed(lua_State *L, struct limit *passed)
{
    struct vm *vm = vm_of(L);
    lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
    if (passed) {
        push_late(L, L, passed);
    } else {
        vm->heap.most = vm->heap.used + (1 << 16); /* for the message */
        push_short_of_memory(L, L, vm->limit->tightest);
    }
    lua_error(L);
}

static void on_count(lua_State *L, lua_Debug *ar)
{
    struct vm *vm = vm_of(L);
    struct limit *passed = late(vm);
    (void)ar;
    if (!vm->limit) /* a coroutine that has outlived the call */
        lua_sethook(L, NULL, 0, 0);
    else if (passed || vm->heap.failed)
        raise_passed(L, passed);
    else if (lua_gethookcount(L) != EVERY) /* one that was over another limit */
        lua_sethook(L, on_count, LUA_MASKCOUNT, EVERY);
}

void limited_enter(const struct vm *vm, lua_State *co)
{
    if (vm->limit && lua_gethook(co) != on_count) /* one that it has made has got the hook */
        lua_sethook(co, on_count, LUA_MASKCOUNT, EVERY);
}

static bool is_memory_error(lua_State *co)
{
    return lua_type(co, -1) == LUA_TSTRING &&
           strcmp(lua_tostring(co, -1), "not enough memory") == 0;
}

bool limited_is_over(lua_State *L)
{
    const struct vm *vm = vm_of(L);
    if (!vm->limit || !(vm->heap.failed || late(vm)))
        return false;
    lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
    return true;
}

int limited_raise(lua_State *L, lua_State *co)
{
    if (is_memory_error(co))
        push_short_of_memory(L, co, vm_of(L)->limit->tightest);
    else
        lua_xmove(co, L, 1);
    return lua_error(L);
}

/* is_over(): for message handlers, which Lua calls where hooks are off */
int limited_over(lua_State *L)
{
    lua_pushboolean(L, limited_is_over(L));
    return 1;
}

/* --- what has failed -------------------------------------------------------------------------- */

/* Appends the local variables of a frame of `co` to the list on top of L. */
static void push_locals(lua_State *L, lua_State *co, const lua_Debug *ar)
{
    const char *name;
    lua_Integer count = 0;
    lua_newtable(L);
    if (!lua_checkstack(co, 1))
        return;
    for (int i = 1; i <= LOCALS && (name = lua_getlocal(co, ar, i)); i++) {
        if (*name == '(') { /* a temporary value */
            lua_pop(co, 1);
            continue;
        }
        lua_createtable(L, 2, 0);
        lua_pushstring(L, name);
        lua_rawseti(L, -2, 1);
        lua_xmove(co, L, 1);
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, ++count);
    }
}

void limited_push_frames(lua_State *L, lua_State *co)
{
    lua_Debug ar;
    lua_Integer count = 0;
    lua_newtable(L);
    for (int level = 0; count < FRAMES && lua_getstack(co, level, &ar); level++) {
        lua_getinfo(co, "Sl", &ar);
        if (ar.currentline <= 0)
            continue;
        lua_createtable(L, 0, 3);
        lua_pushstring(L, ar.short_src);
        lua_setfield(L, -2, "source");
        lua_pushinteger(L, ar.currentline);
        lua_setfield(L, -2, "line");
        push_locals(L, co, &ar);
        lua_setfield(L, -2, "locals");
        lua_rawseti(L, -2, ++count);
    }
}

struct failure {
    lua_State *co;
    struct limit *limit;
    bool memory; /* it was short of it because of the limit */
};

/* error, traceback, frames of the coroutine that has failed */
static int explain(lua_State *L)
{
    const struct failure *f = lua_touserdata(L, 1);
    if (f->memory) {
        push_short_of_memory(L, f->co, f->limit->tightest);
    } else {
        lua_pushvalue(f->co, -1);
        lua_xmove(f->co, L, 1);
    }
    luaL_traceback(L, f->co, NULL, 0);
    limited_push_frames(L, f->co);
    return 3;
}

/* Pushes what explain returns. */
static void push_failure(lua_State *L, struct failure *f)
{
    lua_pushcfunction(L, explain);
    lua_pushlightuserdata(L, f);
    if (lua_pcall(L, 1, 3, 0) == LUA_OK)
        return;
    lua_pushnil(L); /* beside the error of explain */
    lua_pushnil(L);
}

/* --- the call --------------------------------------------------------------------------------- */

/* In the coroutine: what it calls cannot yield out of it. */
static int body(lua_State *L)
{
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

/* The coroutine takes the place of the seconds at 2, and gets fn and its arguments. */
static lua_State *make_coroutine(lua_State *L, int args)
{
    lua_State *co = lua_newthread(L);
    lua_replace(L, 2);
    if (!lua_checkstack(co, args + 3))
        luaL_error(L, "too many arguments");
    lua_pushcfunction(co, body);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_xmove(L, co, args);
    return co;
}

static void bound_heap(struct vm *vm, struct limit *limit)
{
    struct heap *h = &vm->heap;
    limit->before = *h;
    limit->tightest = limit->outer ? limit->outer->tightest : limit;
    if (h->used <= h->most && limit->bytes < h->most - h->used) {
        h->most = h->used + limit->bytes;
        limit->tightest = limit;
    }
    h->failed = h->refused = false;
}

static void unbound_heap(struct vm *vm, const struct limit *limit)
{
    struct heap *h = &vm->heap;
    bool outer_failed =
        limit->before.failed || (limit->tightest != limit && (h->failed || h->refused));
    h->most = limit->before.most;
    h->failed = outer_failed;
    h->refused = false;
}

/* Results or failure are left on the coroutine's stack, and what is to be told of a failure on L's.
 */
static int run(lua_State *L, lua_State *co, int args, struct limit *limit)
{
    struct vm *vm = vm_of(L);
    int results = 0;
    limit->outer = vm->limit;
    bound_heap(vm, limit);
    limit->ends = clock_ns(CLOCK_THREAD_CPUTIME_ID) + (uint64_t)(limit->seconds * 1e9);
    limit->earliest = clock_ns(CLOCK_MONOTONIC_COARSE) + (uint64_t)(limit->seconds * 1e9);
    vm->limit = limit;
    lua_sethook(co, on_count, LUA_MASKCOUNT, EVERY);
    int status = lua_resume(co, L, args, &results);
    bool short_of = vm->heap.failed || vm->heap.refused;
    unbound_heap(vm, limit);
    if (status != LUA_OK) {
        struct failure f = {co, limit, short_of && is_memory_error(co)};
        push_failure(L, &f);
        lua_resetthread(co); /* runs what is to be closed, in the same time */
        results = -1;
    }
    vm->limit = limit->outer;
    lua_sethook(co, NULL, 0, 0);
    return results;
}

int limited_call(lua_State *L)
{
    struct limit limit = {0};
    struct watchdog before;
    luaL_checkany(L, 1);
    limit.seconds = luaL_checknumber(L, 2);
    luaL_argcheck(L, limit.seconds > 0 && limit.seconds <= 1e9, 2, "seconds expected");
    lua_Integer bytes = luaL_checkinteger(L, 3);
    luaL_argcheck(L, bytes > 0, 3, "a number of bytes expected");
    limit.bytes = (size_t)bytes;
    int args = lua_gettop(L) - 3;
    lua_State *co = make_coroutine(L, args);
    luaL_checkstack(L, 8, NULL);
    watchdog_start(vm_of(L), &before, limit.seconds);
    int results = run(L, co, args + 1, &limit);
    watchdog_stop(&before);
    if (results < 0) {
        lua_pushboolean(L, false);
        lua_insert(L, -4);
        return 4;
    }
    luaL_checkstack(L, results + 1, "too many results");
    lua_pushboolean(L, true);
    lua_xmove(co, L, results);
    return results + 1;
}
