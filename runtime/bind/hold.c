/* The barrier. While it is on, no new call of the app begins: connections, requests and timers for
 * which one is due wait in a list, and go on in their order when it ends. What is under way goes on
 * all the time, so that it can end: core.quiet waits for that. */
#include "bind/generation.h"
#include "bind/request.h"
#include "bind/task.h"
#include "bind/ws.h"

#include <stdlib.h>

#define BLOCKERS 10   /* that core.quiet names */
#define SLICE 1000000 /* ns of a turn */

/* --- what waits ------------------------------------------------------------------------------- */

void hold_add(struct vm *vm, struct held *h)
{
    if (!list_empty(&h->node))
        return;
    vm->hold.count++;
    list_push(&vm->hold.calls, &h->node);
}

struct held_request {
    struct held held;
    struct conn *conn;
    unsigned number; /* of conn's requests */
    bool upgrade;
    struct slice body;
};

static void free_request(struct held_request *r)
{
    conn_unref(r->conn);
    free(r);
}

static void go_request(struct held *h)
{
    struct held_request *r = list_entry(h, struct held_request, held);
    struct slice bytes = conn_head(r->conn);
    struct http_head head;
    if (conn_request_number(r->conn) == r->number) { /* nobody has given up meanwhile */
        http_parse_request(bytes.ptr, bytes.len, HTTP_HEADERS_MAX, &head); /* it did before */
        ws_on_request(r->conn, &head, r->upgrade, r->body);
    }
    free_request(r);
}

bool hold_request(struct vm *vm, struct conn *c, bool upgrade, struct slice body)
{
    struct held_request *r = malloc(sizeof *r);
    if (!r)
        return false;
    *r = (struct held_request){
        .held.go = go_request,
        .conn = conn_ref(c),
        .number = conn_request_number(c),
        .upgrade = upgrade,
        .body = body,
    };
    list_init(&r->held.node);
    hold_add(vm, &r->held);
    return true;
}

void hold_free_all(struct vm *vm)
{
    deferred_cancel(&vm->hold.next);
    while (!list_empty(&vm->hold.calls)) {
        struct held *h = list_entry(list_shift(&vm->hold.calls), struct held, node);
        if (h->go == go_request)
            free_request(list_entry(h, struct held_request, held));
    }
}

/* --- quiet ------------------------------------------------------------------------------------ */

/* Handlers, spawned tasks and runs of timers, but for what can be begun anew at its place. */
static size_t count_busy(const struct vm *vm)
{
    size_t busy = 0;
    for (const struct list *n = vm->generations.next; n != &vm->generations; n = n->next) {
        const struct generation *g = list_entry(n, struct generation, node);
        busy += g->tasks - g->parked;
    }
    return busy;
}

void hold_ended(struct vm *vm)
{
    loop_defer(vm->loop, &vm->hold.next);
}

static int push_quiet(lua_State *L)
{
    if (count_busy(vm_of(L)) == 0) {
        lua_pushboolean(L, true);
        return 1;
    }
    lua_pushnil(L);
    generation_push_busy(L, BLOCKERS);
    return 3;
}

static int waited(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return push_quiet(L);
}

/* quiet(seconds): true; or nil, a list of what is under way still, and how much that is */
int hold_quiet(lua_State *L)
{
    struct vm *vm = vm_of(L);
    uint64_t ms = vm_check_seconds(L, 1);
    if (vm->hold.quiet)
        return luaL_error(L, "another task waits for quiet already");
    if (count_busy(vm) == 0 || ms == 0)
        return push_quiet(L);
    task_await_timeout(L, ms, task_resume);
    return task_await(L, &vm->hold.quiet, 0, waited);
}

/* --- on and off ------------------------------------------------------------------------------- */

/* A part in each turn, so that others are served meanwhile. */
static void let_go(struct vm *vm)
{
    uint64_t until = vm_clock() + SLICE;
    while (!vm->hold.on && !list_empty(&vm->hold.calls)) {
        struct held *h = list_entry(list_shift(&vm->hold.calls), struct held, node);
        h->go(h);
        if (vm_clock() >= until)
            break;
    }
    if (!vm->hold.on && !list_empty(&vm->hold.calls))
        loop_defer(vm->loop, &vm->hold.next);
}

static void on_next(struct deferred *d)
{
    struct vm *vm = list_entry(d, struct vm, hold.next);
    if (vm->hold.quiet && count_busy(vm) == 0)
        task_resume(vm->hold.quiet);
    let_go(vm);
}

void hold_init(struct vm *vm)
{
    list_init(&vm->hold.calls);
    deferred_init(&vm->hold.next, on_next);
}

/* hold(on): how many calls have been held since it is on */
int hold_set(lua_State *L)
{
    struct vm *vm = vm_of(L);
    bool on = lua_toboolean(L, 1);
    if (on && !vm->hold.on)
        vm->hold.count = 0;
    vm->hold.on = on;
    if (!on && vm->loop) {
        loop_defer(vm->loop, &vm->hold.next);
        sweep_go_on(vm);
    }
    lua_pushinteger(L, (lua_Integer)vm->hold.count);
    return 1;
}
