#include "bind/ws.h"
#include "bind/client.h"
#include "bind/core.h"
#include "bind/generation.h"
#include "bind/request.h"
#include "wire/utf8.h"

#include <stdlib.h>
#include <string.h>

#define WS "tidewire.ws"

/* --- life ------------------------------------------------------------------------------------- */

static void go(struct held *h)
{
    ws_pump(list_entry(h, struct ws, held));
}

struct ws *ws_new(struct vm *vm, struct conn *c, struct slot *slot, struct binding *accepted)
{
    struct ws *w = calloc(1, sizeof *w);
    if (!w || !ws_take_id(vm, w)) {
        free(w);
        return NULL;
    }
    w->refs = 1;
    w->vm = vm;
    w->slot = slot_ref(slot);
    w->accepted = binding_ref(accepted);
    w->self = w->ended = LUA_NOREF;
    w->conn = conn_ref(c);
    w->began = loop_now(vm->loop);
    w->share = vm_share_of(w->serial);
    w->subscriber.limit = accepted->limits.subscriptions;
    w->inbox.tail = &w->inbox.head;
    w->held.go = go;
    list_init(&w->held.node);
    list_init(&w->timers);
    list_push(&vm->live, &w->node);
    slot->connections++;
    vm->ws_count++;
    const struct binding *b = ws_binding(w);
    w->seen = b->serial;
    w->state_version = b->generation ? (uint32_t)b->generation->state_version : 0;
    return w;
}

void ws_ref(struct ws *w)
{
    w->refs++;
}

static void clear_inbox(struct ws *w)
{
    for (struct message *m = w->inbox.head, *next; m; m = next) {
        next = m->next;
        free(m);
    }
    w->inbox.head = NULL;
}

void ws_unref(struct ws *w)
{
    if (--w->refs)
        return;
    clear_inbox(w);
    slot_unref(w->slot);
    binding_unref(w->vm, w->accepted);
    free(w->end.reason);
    free(w);
}

void ws_release(struct ws *w)
{
    struct vm *vm = w->vm;
    if (!w->conn)
        return;
    topics_leave(vm->topics, &w->subscriber);
    ws_timers_cancel(w);
    if (!w->pull)
        clear_inbox(w);
    if (w->client)
        client_forget_handler(w);
    sweep_forget(w);
    list_remove(&w->node);
    list_remove(&w->held.node);
    slot_leave(w->slot);
    ws_give_id_back(vm, w);
    ws_let_go(vm->L, w);
    conn_set_owner(w->conn, NULL);
    conn_unref(w->conn);
    w->conn = NULL;
    ws_unref(w);
    if (--vm->ws_count == 0)
        vm_handlers_ended(vm);
}

void ws_free_all(struct vm *vm)
{
    while (!list_empty(&vm->live))
        ws_release(list_entry(vm->live.next, struct ws, node));
}

/* --- userdata --------------------------------------------------------------------------------- */

void ws_push(lua_State *L, struct ws *w)
{
    if (w->self != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, w->self);
        return;
    }
    struct ws **self = lua_newuserdatauv(L, sizeof *self, WS_VALUES);
    *self = NULL;
    luaL_setmetatable(L, WS);
    *self = w;
    ws_ref(w);
    ws_hold(L, -1, w); /* after the release nothing keeps it but the app */
}

void ws_hold(lua_State *L, int arg, struct ws *w)
{
    if (!w->conn || w->self != LUA_NOREF)
        return;
    lua_pushvalue(L, arg);
    w->self = luaL_ref(L, LUA_REGISTRYINDEX);
}

void ws_let_go(lua_State *L, struct ws *w)
{
    luaL_unref(L, LUA_REGISTRYINDEX, w->self);
    w->self = LUA_NOREF;
}

struct ws *ws_check(lua_State *L, int arg)
{
    struct ws **self = luaL_testudata(L, arg, WS);
    if (!self)
        luaL_argerror(L, arg,
                      lua_pushfstring(L, "a ws expected, got %s; call with a colon, ws:send(...)",
                                      luaL_typename(L, arg)));
    struct ws *w = *self;
    if (!w) /* collected: only a finalizer of the app can still see it */
        luaL_error(L, "this connection is gone");
    return w;
}

/* Of an open connection only when it has no handler, and then nobody can ask for its messages any
 * more: it ends, as one of a browser does. */
static int ws_gc(lua_State *L)
{
    struct ws **self = luaL_checkudata(L, 1, WS);
    struct ws *w = *self;
    *self = NULL;
    if (!w)
        return 0;
    if (w->conn)
        ws_close(w, 1001, slice_of("going away"));
    ws_unref(w);
    return 0;
}

static const char *state_name(const struct ws *w)
{
    static const char *const names[] = {"connecting", "open", "closing", "closed"};
    return w->conn ? names[conn_state(w->conn)] : "closed";
}

static int ws_tostring(lua_State *L)
{
    const struct ws *w = *(struct ws **)luaL_checkudata(L, 1, WS);
    if (!w) {
        lua_pushliteral(L, "ws (gone)");
        return 1;
    }
    lua_pushfstring(L, "ws %s-%I-%I (%s)", w->vm->node, (LUAI_UACINT)w->id_slot,
                    (LUAI_UACINT)w->serial, state_name(w));
    return 1;
}

/* --- methods ---------------------------------------------------------------------------------- */

/* ws:send(data [, kind]) */
static int l_send(lua_State *L)
{
    struct ws *w = ws_check(L, 1);
    enum frame_opcode kind = vm_check_kind(L, 3);
    struct slice data = vm_check_message(L, 2, kind);
    if (!w->conn)
        return vm_push_sent(L, CONN_NOT_OPEN);
    return vm_push_sent(L, ws_sent(w, conn_send(w->conn, kind, data.ptr, data.len)));
}

/* ws:close([code [, reason]]) */
static int l_close(lua_State *L)
{
    struct ws *w = ws_check(L, 1);
    lua_Integer code = luaL_optinteger(L, 2, 1000);
    struct slice reason = {"", 0};
    reason.ptr = luaL_optlstring(L, 3, "", &reason.len);
    luaL_argcheck(L, code >= 0 && code <= 4999 && session_close_code_valid((unsigned)code), 2,
                  "close code 1000-1003, 1007-1014 or 3000-4999 expected");
    luaL_argcheck(L, reason.len <= FRAME_CONTROL_MAX - 2, 3,
                  "reason of at most 123 bytes expected");
    luaL_argcheck(L, utf8_valid((const unsigned char *)reason.ptr, reason.len), 3,
                  "reason must be valid UTF-8");
    w->told_to_close = true;
    if (w->conn)
        ws_close(w, (uint16_t)code, reason);
    return 0;
}

/* ws:ping([data]) */
static int l_ping(lua_State *L)
{
    struct ws *w = ws_check(L, 1);
    struct slice data = {"", 0};
    data.ptr = luaL_optlstring(L, 2, "", &data.len);
    luaL_argcheck(L, data.len <= FRAME_CONTROL_MAX, 2, "at most 125 bytes expected");
    return vm_push_sent(L, w->conn ? conn_ping(w->conn, data.ptr, data.len) : CONN_NOT_OPEN);
}

static int l_pause(lua_State *L)
{
    struct ws *w = ws_check(L, 1);
    if (w->conn)
        conn_pause(w->conn, CONN_PAUSE_APP);
    return 0;
}

static int l_resume(lua_State *L)
{
    struct ws *w = ws_check(L, 1);
    if (w->conn)
        conn_resume(w->conn, CONN_PAUSE_APP);
    return 0;
}

static struct slice check_slice(lua_State *L, int arg)
{
    struct slice s;
    s.ptr = luaL_checklstring(L, arg, &s.len);
    return s;
}

/* ws:subscribe(filter): true; nil, "closed" | "limit" */
static int l_subscribe(lua_State *L)
{
    struct ws *w = ws_check(L, 1);
    struct slice filter = check_slice(L, 2);
    if (!lua_isnoneornil(L, 3))
        return luaL_argerror(L, 3, "this version of subscribe takes no options");
    int error = w->conn && !w->closed ? topics_subscribe(w->vm->topics, &w->subscriber, filter) : 1;
    if (error == TOPIC_ERR_INVALID)
        return luaL_argerror(L, 2,
                             "topic filter expected: levels separated by \"/\", none empty, "
                             "\"+\" for any level, a last \"#\" for the rest, 255 bytes at most");
    if (w->conn && !w->closed && error >= 0) {
        ws_hold(L, 1, w);
        lua_pushboolean(L, true);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, error == TOPIC_ERR_LIMIT    ? "limit"
                      : error == TOPIC_ERR_MEMORY ? "memory"
                                                  : "closed");
    return 2;
}

/* ws:unsubscribe(filter): was it subscribed? */
static int l_unsubscribe(lua_State *L)
{
    struct ws *w = ws_check(L, 1);
    lua_pushboolean(L, topics_unsubscribe(w->vm->topics, &w->subscriber, check_slice(L, 2)));
    return 1;
}

/* ws:publish(topic, data [, opts]): to every subscriber but this connection */
static int l_publish(lua_State *L)
{
    struct ws *w = ws_check(L, 1);
    return publish_from(L, 2, w);
}

static int refuse_field(lua_State *L)
{
    return luaL_error(L, "field \"%s\" of a ws cannot be set; keep your own data in ws.state",
                      lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?");
}

/* --- fields ----------------------------------------------------------------------------------- */

static int l_newindex(lua_State *L)
{
    ws_check(L, 1);
    if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "state") != 0)
        return refuse_field(L);
    return ws_set_state(L);
}

static int get_request(lua_State *L)
{
    struct ws *w = ws_check(L, 1);
    if (w->client) {
        lua_pushnil(L);
        return 1;
    }
    if (lua_getiuservalue(L, 1, WS_REQUEST) != LUA_TNIL || !w->conn)
        return 1;
    request_push(L, w->conn, w->accepted, w->protocol, false);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, WS_REQUEST);
    return 1;
}

static int get_params(lua_State *L)
{
    get_request(L);
    if (!lua_isnil(L, -1))
        lua_getfield(L, -1, "params");
    return 1;
}

/* What is known of a connection that we have made; nil for others. */
static int get_client_field(lua_State *L, const char *name)
{
    if (!ws_check(L, 1)->client)
        lua_pushnil(L);
    else if (lua_getiuservalue(L, 1, WS_REQUEST) == LUA_TTABLE)
        lua_getfield(L, -1, name);
    return 1;
}

static int get_response(lua_State *L)
{
    return get_client_field(L, "response");
}

static int get_url(lua_State *L)
{
    return get_client_field(L, "url");
}

static int get_reconnects(lua_State *L)
{
    return get_client_field(L, "reconnects");
}

static int get_remote_address(lua_State *L)
{
    if (ws_check(L, 1)->client)
        return get_client_field(L, "address");
    get_request(L);
    if (!lua_isnil(L, -1))
        lua_getfield(L, -1, "remote_address");
    return 1;
}

static int get_id(lua_State *L)
{
    ws_push_id(L, ws_check(L, 1));
    return 1;
}

static int get_protocol(lua_State *L)
{
    const struct ws *w = ws_check(L, 1);
    if (w->protocol.len)
        lua_pushlstring(L, w->protocol.ptr, w->protocol.len);
    else
        lua_pushnil(L);
    return 1;
}

static int get_ready_state(lua_State *L)
{
    lua_pushstring(L, state_name(ws_check(L, 1)));
    return 1;
}

static int get_buffered_amount(lua_State *L)
{
    const struct ws *w = ws_check(L, 1);
    lua_pushinteger(L, w->conn ? (lua_Integer)conn_buffered(w->conn) : 0);
    return 1;
}

static int get_compressed(lua_State *L)
{
    const struct ws *w = ws_check(L, 1);
    lua_pushboolean(L, w->conn && conn_is_compressed(w->conn));
    return 1;
}

/* Of the coroutine of handler.run: was it begun anew for code that has replaced its own? */
static int get_resumed(lua_State *L)
{
    lua_pushboolean(L, ws_check(L, 1)->resumed);
    return 1;
}

static int get_app(lua_State *L)
{
    ws_check(L, 1);
    vm_push_app(L);
    return 1;
}

void ws_open(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__gc", ws_gc}, {"__tostring", ws_tostring}, {"__newindex", l_newindex}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"send", l_send},
                                       {"close", l_close},
                                       {"ping", l_ping},
                                       {"pause", l_pause},
                                       {"resume", l_resume},
                                       {"subscribe", l_subscribe},
                                       {"unsubscribe", l_unsubscribe},
                                       {"publish", l_publish},
                                       {"receive", ws_receive},
                                       {"messages", ws_messages},
                                       {"every", ws_every},
                                       {"after", ws_after},
                                       {NULL, NULL}};
    static const luaL_Reg getters[] = {{"id", get_id},
                                       {"state", ws_get_state},
                                       {"request", get_request},
                                       {"params", get_params},
                                       {"protocol", get_protocol},
                                       {"ready_state", get_ready_state},
                                       {"buffered_amount", get_buffered_amount},
                                       {"remote_address", get_remote_address},
                                       {"compressed", get_compressed},
                                       {"response", get_response},
                                       {"url", get_url},
                                       {"reconnects", get_reconnects},
                                       {"resumed", get_resumed},
                                       {"app", get_app},
                                       {NULL, NULL}};
    vm_new_type(L, WS, meta, methods, getters);
}
