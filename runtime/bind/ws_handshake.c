/* From a request to the first handlers of a connection: routing, the checks before the 101,
 * upgrade, open and run. */
#include "bind/generation.h"
#include "bind/request.h"
#include "bind/task.h"
#include "bind/ws.h"
#include "wire/handshake.h"
#include "wire/uri.h"

#include <stdio.h>
#include <string.h>

/* --- the first handlers ----------------------------------------------------------------------- */

static int run_ended(lua_State *L, int status, lua_KContext context)
{
    struct ws *w = ws_of_task(L);
    (void)status;
    (void)context;
    if (w->conn) {
        w->told_to_close |= conn_state(w->conn) == CONN_OPEN && !w->peer_close;
        conn_close(w->conn, 1000, slice_of(""));
    }
    return 0;
}

/* What the task calls next is of the generation that serves now: another one may have come while
 * the handler before it was waiting. */
static const struct binding *enter(struct ws *w, const char *what)
{
    const struct binding *b = ws_binding(w);
    task_change(w->vm->current, b->generation);
    w->vm->current->what = what;
    return b;
}

/* handler.run(ws): the connection lasts as long as it does */
static int call_run(lua_State *L, int status, lua_KContext context)
{
    struct ws *w = ws_of_task(L);
    const struct binding *b = enter(w, "run");
    if (!binding_has(b, CB_RUN))
        return 0;
    w->running = w->vm->current->reloadable = true;
    lua_rawgeti(L, LUA_REGISTRYINDEX, b->callbacks[CB_RUN]);
    ws_push(L, w);
    lua_callk(L, 1, 0, context, run_ended);
    return run_ended(L, status, context);
}

/* handler.open(ws) */
static int open_body(lua_State *L)
{
    struct ws *w = ws_of_task(L);
    const struct binding *b = enter(w, "open"); /* it may have begun as upgrade */
    if (binding_has(b, CB_OPEN)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, b->callbacks[CB_OPEN]);
        ws_push(L, w);
        lua_callk(L, 1, 0, 0, call_run);
    }
    return call_run(L, LUA_OK, 0);
}

void ws_begin(struct ws *w)
{
    const struct binding *b = ws_binding(w);
    if (binding_has(b, CB_OPEN) || binding_has(b, CB_RUN))
        ws_run(w, "open", open_body);
}

static int run_body(lua_State *L)
{
    return call_run(L, LUA_OK, 0);
}

void ws_begin_run(struct ws *w)
{
    ws_run(w, "run", run_body);
}

static bool accept_upgrade(struct ws *w, struct slice fields)
{
    struct conn_acceptance a = {
        .protocol = w->protocol,
        .fields = fields,
        .limits = &w->accepted->limits,
        .compress = w->accepted->compressed ? &w->accepted->compression : NULL,
    };
    w->opened = conn_upgrade(w->conn, &a);
    return w->opened;
}

/* What handler.upgrade(req) returned is on top: nil or true accepts, a table becomes ws.state; then
 * the list of fields that the 101 has besides, or nil. */
static int after_upgrade(lua_State *L, int status, lua_KContext context)
{
    struct ws *w = ws_of_task(L);
    (void)status;
    (void)context;
    int result = lua_gettop(L) - 1;
    bool plain = lua_isnil(L, result) || (lua_isboolean(L, result) && lua_toboolean(L, result));
    if (w->gone || !conn_awaits_answer(w->conn))
        return 0;
    if (!plain && !lua_istable(L, result))
        return luaL_error(L,
                          "upgrade returned a %s; return nil to accept, a table that becomes "
                          "ws.state, or tidewire.refuse(status, body)",
                          luaL_typename(L, result));
    if (!accept_upgrade(w, request_check_fields(L, result + 1)))
        return 0;
    if (!plain) {
        ws_push(L, w);
        lua_pushvalue(L, result);
        lua_setfield(L, -2, "state");
    }
    lua_settop(L, 0);
    return open_body(L);
}

/* handler.upgrade(req) */
static int upgrade_body(lua_State *L)
{
    struct ws *w = ws_of_task(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ws_binding(w)->callbacks[CB_UPGRADE]);
    request_push(L, w->conn, w->accepted, w->protocol, true);
    lua_callk(L, 1, 2, 0, after_upgrade);
    return after_upgrade(L, LUA_OK, 0);
}

static void begin(struct ws *w)
{
    if (binding_has(ws_binding(w), CB_UPGRADE)) {
        ws_run(w, "upgrade", upgrade_body);
        return;
    }
    if (accept_upgrade(w, slice_of("")))
        ws_begin(w);
}

static bool origin_allowed(const struct binding *b, const struct http_head *head, bool secure)
{
    if (b->origin_rule == ORIGIN_ANY)
        return true;
    if (b->origin_rule == ORIGIN_LISTED)
        return handshake_origin_is_listed(head, b->origins.list, b->origins.count);
    return handshake_origin_is_same(head, secure);
}

static struct vm *vm_of_conn(const struct conn *c)
{
    return conn_set_context(conn_get_set(c));
}

#define TEXT "Content-Type: text/plain; charset=utf-8\r\n"

static void refuse(struct conn *c, unsigned status, const char *fields, const char *text)
{
    conn_respond(c, status, slice_of(fields), slice_of(text));
}

/* A query may carry a token: it is nobody's who reads the log. */
static struct slice without_query(struct slice target)
{
    const char *mark = target.len ? memchr(target.ptr, '?', target.len) : NULL;
    return mark ? (struct slice){target.ptr, (size_t)(mark - target.ptr)} : target;
}

static size_t add_field(struct log_field *fields, size_t count, const char *name,
                        struct slice value)
{
    if (value.len)
        fields[count++] = (struct log_field){name, value};
    return count;
}

static struct slice field_of(const struct http_head *head, const char *name)
{
    const struct http_header *found = http_find(head, name);
    return found ? found->value : (struct slice){"", 0};
}

/* A browser shows its page nothing of a refusal, so the log has to tell. */
static void log_refusal(struct vm *vm, struct conn *c, const struct http_head *head,
                        const char *why)
{
    struct log_field fields[5];
    struct log_record record = {.level = LOG_INFO, .message = slice_of(why), .fields = fields};
    char peer[ADDRESS_TEXT], missed[16] = "";
    unsigned port;
    size_t n = 0;
    if (!log_allow(&vm->refusals, loop_now(vm->loop)))
        return;
    conn_peer(c, peer, sizeof peer, &port);
    if (vm->refusals.missed)
        snprintf(missed, sizeof missed, "%u", vm->refusals.missed);
    n = add_field(fields, n, "target", without_query(head->target));
    n = add_field(fields, n, "from", slice_of(peer));
    n = add_field(fields, n, "host", field_of(head, "Host"));
    n = add_field(fields, n, "origin", field_of(head, "Origin"));
    n = add_field(fields, n, "not_logged", slice_of(missed)); /* of these, within the last second */
    record.count = n;
    log_write(vm->log, &record);
}

void ws_on_refused(struct conn *c, const char *why)
{
    struct vm *vm = vm_of_conn(c);
    char text[ADDRESS_TEXT];
    unsigned port;
    conn_peer(c, text, sizeof text, &port);
    if (log_allow(&vm->refusals, loop_now(vm->loop)))
        log_warn(vm->log, "refused a connection from %s: %s", text, why);
}

static void refuse_target(struct conn *c, int error)
{
    char text[128];
    conn_note_refusal(c, 400, uri_error_text(error));
    snprintf(text, sizeof text, "%s\n", uri_error_text(error));
    refuse(c, 400, TEXT, text);
}

static void on_handshake(struct vm *vm, struct conn *c, const struct http_head *head,
                         struct binding *b, bool secure)
{
    if (b->handler == LUA_NOREF) {
        log_refusal(vm, c, head, "refused a handshake: the path is no WebSocket endpoint");
        refuse(c, 404, TEXT, "this path is no WebSocket endpoint\n");
        return;
    }
    if (!origin_allowed(b, head, secure)) {
        log_refusal(vm, c, head,
                    "refused a handshake: the origin is not allowed, see `origins`, and behind a "
                    "proxy `proxies`");
        refuse(c, 403, TEXT, "this origin is not allowed; see the route's `origins`\n");
        return;
    }
    struct ws *w = ws_new(vm, c, b->slot, b);
    if (!w) {
        conn_abort(c);
        return;
    }
    if (!handshake_choose_protocol(head, b->protocols.list, b->protocols.count, &w->protocol))
        w->protocol = (struct slice){"", 0};
    conn_set_owner(c, w);
    w->pumping = true;
    begin(w);
    w->pumping = false;
    ws_pump(w);
}

/* Too much to do for one more: the connections that are there have precedence. */
static bool shed(struct vm *vm, struct conn *c, const struct http_head *head)
{
    unsigned seconds;
    char fields[128];
    enum conn_shedding why = conn_set_shed(vm->conns, &seconds);
    if (why == CONN_SHED_NONE)
        return false;
    log_refusal(vm, c, head,
                why == CONN_SHED_LAG
                    ? "refused a handshake: the worker is late, see the limit `lag`"
                    : "refused a handshake: too many a second, see `handshakes_per_second`");
    snprintf(fields, sizeof fields, "Retry-After: %u\r\n" TEXT, seconds);
    refuse(c, 503, fields, "the server is busy\n");
    return true;
}

static void on_route(struct vm *vm, struct conn *c, const struct http_head *head, struct binding *b,
                     bool upgrade, struct slice body)
{
    struct request_sender sender;
    if (!request_sender(c, b, &sender)) {
        log_refusal(vm, c, head, "refused a request: Forwarded and X-Forwarded-For differ");
        refuse(c, 400, TEXT, "the forwarding headers contradict each other\n");
    } else if (upgrade) {
        on_handshake(vm, c, head, b, sender.secure);
    } else if (b->serve == LUA_NOREF) {
        conn_note_refusal(c, 426,
                          "this path is a WebSocket endpoint, and this no opening handshake");
        refuse(c, 426, "Upgrade: websocket\r\nConnection: Upgrade\r\n" TEXT,
               "this path is a WebSocket endpoint\n");
    } else {
        request_serve(vm, c, b, body);
    }
}

/* A handshake gets the generation that the connection it makes will have. */
static const struct generation *choose_generation(struct vm *vm, bool upgrade)
{
    uint64_t serial = upgrade ? vm->serial + 1 : ++vm->request_serial;
    return vm_share_of(serial) < vm->share ? vm->canary : vm->generation;
}

void ws_on_request(struct conn *c, const struct http_head *head, bool upgrade, struct slice body)
{
    struct vm *vm = vm_of_conn(c);
    struct route_match match;
    struct buf path = {0};
    struct uri target;
    if (vm->hold.on) {
        if (!hold_request(vm, c, upgrade, body))
            conn_abort(c);
        return;
    }
    if (upgrade && shed(vm, c, head))
        return;
    const struct generation *g = choose_generation(vm, upgrade);
    int error = uri_parse_target(head->target, &target);
    if (!error)
        error = uri_canonical_path(target.path, &path);
    if (error) {
        refuse_target(c, error);
    } else if (!route_find(g->routes, (struct slice){(char *)path.data, path.len}, &match)) {
        if (upgrade)
            log_refusal(vm, c, head, "refused a handshake: there is no route");
        else
            conn_note_refusal(c, 404, "there is no route");
        refuse(c, 404, TEXT, "Not Found\n");
    } else {
        on_route(vm, c, head, match.target, upgrade, body);
    }
    buf_free(&path);
}
