/* Answers to requests: req:respond, and the call of an endpoint. */
#include "bind/folder.h"
#include "bind/request.h"
#include "bind/task.h"

#include <stdio.h>
#include <stdlib.h>

void request_let_go(struct request *r)
{
    if (r->conn)
        conn_unref(r->conn);
    r->conn = NULL;
}

/* Fields that the runtime itself writes: a second one could contradict it. */
static bool is_reserved(struct slice name)
{
    static const char *const ours[] = {"Content-Length", "Transfer-Encoding", "Connection", "Date",
                                       "Upgrade"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (slice_is_nocase(name, ours[i]))
            return true;
    /* and the handshake's own */
    return name.len >= 14 && slice_is_nocase((struct slice){name.ptr, 14}, "Sec-WebSocket-");
}

static struct slice check_string_at(lua_State *L, int table, lua_Integer i)
{
    struct slice s;
    if (lua_rawgeti(L, table, i) != LUA_TSTRING)
        luaL_error(L, "headers: a list of {name, value} with strings expected");
    s.ptr = lua_tolstring(L, -1, &s.len);
    return s; /* stays anchored in its table */
}

struct slice request_check_fields(lua_State *L, int arg)
{
    struct buf *b = vm_push_buffer(L);
    if (!lua_isnoneornil(L, arg))
        luaL_checktype(L, arg, LUA_TTABLE);
    lua_Integer n = lua_isnoneornil(L, arg) ? 0 : (lua_Integer)lua_rawlen(L, arg);
    for (lua_Integer i = 1; i <= n; i++) {
        if (lua_rawgeti(L, arg, i) != LUA_TTABLE)
            luaL_error(L, "headers: a list of {name, value} expected");
        int pair = lua_gettop(L);
        struct slice name = check_string_at(L, pair, 1), value = check_string_at(L, pair, 2);
        if (!http_is_token(name) || is_reserved(name))
            luaL_error(L, "headers: \"%s\" cannot be set", name.ptr);
        if (!http_is_field_value(value))
            luaL_error(L, "headers: the value of %s has a character that is not allowed", name.ptr);
        if (!buf_append(b, name.ptr, name.len) || !buf_append_str(b, ": ") ||
            !buf_append(b, value.ptr, value.len) || !buf_append_str(b, "\r\n"))
            luaL_error(L, "out of memory");
        lua_settop(L, pair - 1);
    }
    return (struct slice){b->data ? (const char *)b->data : "", b->len};
}

static unsigned check_status(lua_State *L, int arg)
{
    lua_Integer status = luaL_checkinteger(L, arg);
    luaL_argcheck(L, status >= 200 && status <= 599, arg, "status from 200 to 599 expected");
    return (unsigned)status;
}

/* req:respond(status, headers, body [, offset, length]): body is a string, nil, or a file, which
 * belongs to the answer from then on. Answers whether the client is still there. */
int request_respond(lua_State *L)
{
    struct request *r = request_check(L);
    unsigned status = check_status(L, 2);
    bool is_file = lua_isuserdata(L, 4), sent;
    struct slice body = {"", 0};
    if (!is_file)
        body.ptr = luaL_optlstring(L, 4, "", &body.len);
    uint64_t size = is_file ? file_size(L, 4) : 0;
    lua_Integer offset = luaL_optinteger(L, 5, 0);
    luaL_argcheck(L, offset >= 0 && (uint64_t)offset <= size, 5, "an offset in the file expected");
    lua_Integer length = luaL_optinteger(L, 6, (lua_Integer)size - offset);
    luaL_argcheck(L, length >= 0 && (uint64_t)length <= size - (uint64_t)offset, 6,
                  "a length within the file expected");
    struct slice fields = request_check_fields(L, 3);
    if (!r->conn)
        return luaL_error(L, "this request is answered already");
    if (conn_request_number(r->conn) != r->number)
        sent = false;
    else if (is_file)
        sent = conn_respond_file(r->conn, status, fields, file_take(L, 4), (uint64_t)offset,
                                 (uint64_t)length);
    else
        sent = conn_respond(r->conn, status, fields, body);
    request_let_go(r);
    lua_pushboolean(L, sent);
    return 1;
}

/* --- serving plain HTTP ----------------------------------------------------------------------- */

struct exchange {
    struct conn *conn;
    unsigned number; /* of conn's requests */
    struct binding *binding;
    struct slice body; /* lives until the request is answered */
};

static int serve_body(lua_State *L)
{
    const struct exchange *x = vm_of(L)->current->owner;
    lua_rawgeti(L, LUA_REGISTRYINDEX, x->binding->serve);
    request_push(L, x->conn, x->binding, (struct slice){NULL, 0}, true);
    lua_pushlstring(L, x->body.ptr ? x->body.ptr : "", x->body.len);
    lua_setiuservalue(L, -2, REQUEST_BODY);
    lua_callk(L, 1, 0, 0, task_nothing);
    return 0;
}

static void after_serve(struct task *t, enum task_outcome outcome)
{
    static const struct slice body = {"internal error\n", 15};
    struct exchange *x = t->owner;
    char where[TASK_PLACE];
    if (outcome == TASK_WAITING)
        return;
    bool unanswered = conn_request_number(x->conn) == x->number;
    task_place(t, where);
    if (outcome == TASK_FAILED)
        vm_report(t->co, where, 1, 2);
    else if (outcome == TASK_DONE && unanswered)
        log_error(t->vm->log, "%s has ended without an answer", where);
    if (unanswered)
        conn_respond(x->conn, 500, slice_of(""), body);
    conn_unref(x->conn);
    binding_unref(t->vm, x->binding);
    free(x);
}

void request_serve(struct vm *vm, struct conn *c, struct binding *b, struct slice body)
{
    struct exchange *x = calloc(1, sizeof *x);
    struct task *t = x ? task_new(vm, b->generation, "request") : NULL;
    if (!t) {
        free(x);
        conn_abort(c);
        return;
    }
    *x = (struct exchange){conn_ref(c), conn_request_number(c), binding_ref(b), body};
    t->of = b->pattern;
    t->owner = x;
    t->after = after_serve;
    task_run(t, serve_body);
}
