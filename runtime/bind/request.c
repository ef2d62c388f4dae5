#include "bind/request.h"
#include "bind/folder.h"
#include "bind/task.h"
#include "wire/http.h"
#include "wire/uri.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST "tidewire.request"
#define UV_CACHE 1 /* fields that were read */
#define UV_BODY 2

struct request {
    struct conn *conn; /* NULL: not to be answered, or answered already */
    struct slot *slot;
    struct slice protocol;
    unsigned port;
    bool secure;
    char address[INET6_ADDRSTRLEN];
    size_t head_len;
    char head[];
};

static struct request *check(lua_State *L)
{
    return luaL_checkudata(L, 1, REQUEST);
}

void request_push(lua_State *L, struct conn *c, struct slot *slot, struct slice protocol,
                  bool answerable)
{
    struct slice head = conn_head(c);
    struct request *r = lua_newuserdatauv(L, sizeof *r + head.len, 2);
    *r = (struct request){.slot = slot, .protocol = protocol, .head_len = head.len};
    memcpy(r->head, head.ptr, head.len);
    luaL_setmetatable(L, REQUEST);
    lua_newtable(L);
    lua_setiuservalue(L, -2, UV_CACHE);
    conn_peer(c, r->address, sizeof r->address, &r->port);
    r->secure = conn_is_secure(c);
    if (answerable)
        r->conn = conn_ref(c);
}

static void let_go(struct request *r)
{
    if (r->conn)
        conn_unref(r->conn);
    r->conn = NULL;
}

static int request_gc(lua_State *L)
{
    let_go(check(L));
    return 0;
}

/* The head was parsed when it arrived, so it parses. */
static void parse(const struct request *r, struct http_head *head, struct uri *target)
{
    http_parse_request(r->head, r->head_len, HTTP_HEADERS_MAX, head);
    if (target)
        uri_parse_target(head->target, target);
}

static int request_tostring(lua_State *L)
{
    struct http_head head;
    parse(check(L), &head, NULL);
    lua_pushliteral(L, "request ");
    lua_pushlstring(L, head.method.ptr, head.method.len);
    lua_pushliteral(L, " ");
    lua_pushlstring(L, head.target.ptr, head.target.len);
    lua_concat(L, 4);
    return 1;
}

/* --- fields ----------------------------------------------------------------------------------- */

static int push_slice(lua_State *L, struct slice s)
{
    if (s.ptr)
        lua_pushlstring(L, s.ptr, s.len);
    else
        lua_pushnil(L);
    return 1;
}

static int get_method(lua_State *L)
{
    struct http_head head;
    parse(check(L), &head, NULL);
    return push_slice(L, head.method);
}

static int get_protocol(lua_State *L)
{
    const struct request *r = check(L);
    return push_slice(L, r->protocol.len ? r->protocol : (struct slice){NULL, 0});
}

static int get_remote_address(lua_State *L)
{
    lua_pushstring(L, check(L)->address);
    return 1;
}

static int get_remote_port(lua_State *L)
{
    lua_pushinteger(L, check(L)->port);
    return 1;
}

static int get_secure(lua_State *L)
{
    lua_pushboolean(L, check(L)->secure);
    return 1;
}

static int get_origin(lua_State *L)
{
    struct http_head head;
    parse(check(L), &head, NULL);
    const struct http_header *origin = http_find(&head, "Origin");
    return push_slice(L, origin ? origin->value : (struct slice){NULL, 0});
}

static int get_raw_query(lua_State *L)
{
    struct http_head head;
    struct uri target;
    parse(check(L), &head, &target);
    return push_slice(L, target.query);
}

static int get_app(lua_State *L)
{
    check(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm_of(L)->app->object);
    return 1;
}

static int get_body(lua_State *L)
{
    check(L);
    lua_getiuservalue(L, 1, UV_BODY);
    return 1;
}

static int get_path(lua_State *L)
{
    struct http_head head;
    struct uri target;
    parse(check(L), &head, &target);
    if (uri_canonical_path(target.path, vm_scratch(L)))
        return luaL_error(L, "out of memory");
    vm_push_scratch(L);
    return 1;
}

/* --- fields that are tables: made at the first look, then kept -------------------------------- */

static void push_decoded(lua_State *L, struct slice raw)
{
    if (!uri_query_decode(raw, vm_scratch(L)))
        luaL_error(L, "out of memory");
    vm_push_scratch(L);
}

/* Of a name that comes several times, the first value counts. */
static void make_query(lua_State *L, const struct request *r)
{
    struct http_head head;
    struct uri target;
    struct slice rest, name, value;
    parse(r, &head, &target);
    lua_newtable(L);
    for (rest = target.query; rest.ptr && uri_query_next(&rest, &name, &value);) {
        push_decoded(L, name);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TNIL) {
            lua_pop(L, 1);
            push_decoded(L, value);
            lua_rawset(L, -3);
        } else {
            lua_pop(L, 2);
        }
    }
}

static void push_lower(lua_State *L, struct slice s)
{
    luaL_Buffer b;
    char *to = luaL_buffinitsize(L, &b, s.len);
    for (size_t i = 0; i < s.len; i++)
        to[i] = ascii_lower(s.ptr[i]);
    luaL_pushresultsize(&b, s.len);
}

/* headers[name]: any case finds it */
static int headers_index(lua_State *L)
{
    struct slice name;
    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    name.ptr = lua_tolstring(L, 2, &name.len);
    push_lower(L, name);
    lua_rawget(L, 1);
    return 1;
}

/* By lower-case name; fields of the same name are joined by ", " (RFC 9110 section 5.3). */
static void make_headers(lua_State *L, const struct request *r)
{
    struct http_head head;
    parse(r, &head, NULL);
    lua_newtable(L);
    for (size_t i = 0; i < head.header_count; i++) {
        push_lower(L, head.headers[i].name);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TNIL) {
            lua_pop(L, 1);
            push_slice(L, head.headers[i].value);
        } else {
            lua_pushliteral(L, ", ");
            push_slice(L, head.headers[i].value);
            lua_concat(L, 3);
        }
        lua_rawset(L, -3);
    }
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, headers_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

static struct slice trim(struct slice s)
{
    while (s.len && (*s.ptr == ' ' || *s.ptr == '\t'))
        s.ptr++, s.len--;
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static struct slice unquote(struct slice s)
{
    if (s.len >= 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"')
        return (struct slice){s.ptr + 1, s.len - 2};
    return s;
}

/* "a=1; b=2" (RFC 6265 section 4.2.1); of a name that comes twice, the first counts. */
static void read_cookies(lua_State *L, struct slice list)
{
    while (list.len) {
        const char *end = memchr(list.ptr, ';', list.len);
        struct slice pair = {list.ptr, end ? (size_t)(end - list.ptr) : list.len};
        size_t used = pair.len + (end ? 1 : 0);
        list.ptr += used;
        list.len -= used;
        const char *equal = memchr(pair.ptr, '=', pair.len);
        if (!equal)
            continue;
        size_t name_len = (size_t)(equal - pair.ptr);
        struct slice value = {equal + 1, pair.len - name_len - 1};
        push_slice(L, trim((struct slice){pair.ptr, name_len}));
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TNIL) {
            lua_pop(L, 1);
            push_slice(L, unquote(trim(value)));
            lua_rawset(L, -3);
        } else {
            lua_pop(L, 2);
        }
    }
}

static void make_cookies(lua_State *L, const struct request *r)
{
    struct http_head head;
    parse(r, &head, NULL);
    lua_newtable(L);
    for (size_t i = 0; i < head.header_count; i++)
        if (slice_is_nocase(head.headers[i].name, "Cookie"))
            read_cookies(L, head.headers[i].value);
}

/* The subprotocols that the client offers, in its order. */
static void make_protocols(lua_State *L, const struct request *r)
{
    struct http_head head;
    lua_Integer n = 0;
    parse(r, &head, NULL);
    lua_newtable(L);
    for (size_t i = 0; i < head.header_count; i++) {
        struct slice rest = head.headers[i].value, element;
        if (!slice_is_nocase(head.headers[i].name, "Sec-WebSocket-Protocol"))
            continue;
        while (http_list_next(&rest, &element)) {
            push_slice(L, element);
            lua_rawseti(L, -2, ++n);
        }
    }
}

/* The path is matched again, against the one pattern that it is known to match. */
static void push_match(lua_State *L, const struct request *r, bool rest)
{
    struct route_match match;
    struct http_head head;
    struct uri target;
    struct buf *path = vm_scratch(L);
    parse(r, &head, &target);
    if (uri_canonical_path(target.path, path))
        luaL_error(L, "out of memory");
    struct slice s = {(const char *)path->data, path->len};
    if (!route_find(r->slot->alone, s, &match))
        match = (struct route_match){0};
    if (rest) {
        push_slice(L, match.rest);
        return;
    }
    lua_newtable(L);
    for (size_t i = 0; i < match.capture_count; i++) {
        push_slice(L, match.captures[i].name);
        push_slice(L, match.captures[i].value);
        lua_rawset(L, -3);
    }
}

static void make_params(lua_State *L, const struct request *r)
{
    push_match(L, r, false);
}

static int get_rest(lua_State *L)
{
    push_match(L, check(L), true);
    return 1;
}

static int cached(lua_State *L, const char *name, void (*make)(lua_State *, const struct request *))
{
    const struct request *r = check(L);
    lua_getiuservalue(L, 1, UV_CACHE);
    if (lua_getfield(L, -1, name) != LUA_TNIL)
        return 1;
    lua_pop(L, 1);
    make(L, r);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, name);
    return 1;
}

static int get_query(lua_State *L)
{
    return cached(L, "query", make_query);
}

static int get_headers(lua_State *L)
{
    return cached(L, "headers", make_headers);
}

static int get_cookies(lua_State *L)
{
    return cached(L, "cookies", make_cookies);
}

static int get_protocols(lua_State *L)
{
    return cached(L, "protocols", make_protocols);
}

static int get_params(lua_State *L)
{
    return cached(L, "params", make_params);
}

/* --- answering -------------------------------------------------------------------------------- */

/* Fields that the runtime itself writes: a second one could contradict it. */
static bool is_reserved(struct slice name)
{
    static const char *const ours[] = {"Content-Length", "Transfer-Encoding", "Connection", "Date",
                                       "Upgrade"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (slice_is_nocase(name, ours[i]))
            return true;
    return false;
}

static struct slice check_string_at(lua_State *L, int table, lua_Integer i)
{
    struct slice s;
    if (lua_rawgeti(L, table, i) != LUA_TSTRING)
        luaL_error(L, "headers: a list of {name, value} with strings expected");
    s.ptr = lua_tolstring(L, -1, &s.len);
    return s; /* stays anchored in its table */
}

/* The list of {name, value} at `arg` as field lines, in the scratch buffer. */
static struct slice check_fields(lua_State *L, int arg)
{
    struct buf *b = vm_scratch(L);
    lua_Integer n = lua_isnoneornil(L, arg) ? 0 : luaL_len(L, arg);
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
static int l_respond(lua_State *L)
{
    struct request *r = check(L);
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
    struct slice fields = check_fields(L, 3);
    if (!r->conn)
        return luaL_error(L, "this request is answered already");
    if (is_file)
        sent = conn_respond_file(r->conn, status, fields, file_take(L, 4), (uint64_t)offset,
                                 (uint64_t)length);
    else
        sent = conn_respond(r->conn, status, fields, body);
    let_go(r);
    lua_pushboolean(L, sent);
    return 1;
}

/* --- serving plain HTTP ----------------------------------------------------------------------- */

struct exchange {
    struct conn *conn;
    struct slot *slot;
    struct slice body; /* lives until the request is answered */
};

static int serve_ended(lua_State *L, int status, lua_KContext context)
{
    (void)L;
    (void)status;
    (void)context;
    return 0;
}

static int serve_body(lua_State *L)
{
    const struct exchange *x = vm_of(L)->current->owner;
    lua_rawgeti(L, LUA_REGISTRYINDEX, x->slot->serve);
    request_push(L, x->conn, x->slot, (struct slice){NULL, 0}, true);
    lua_pushlstring(L, x->body.ptr ? x->body.ptr : "", x->body.len);
    lua_setiuservalue(L, -2, UV_BODY);
    lua_callk(L, 1, 0, 0, serve_ended);
    return 0;
}

static void after_serve(struct task *t, enum task_outcome outcome)
{
    static const struct slice body = {"internal error\n", 15};
    struct exchange *x = t->owner;
    char where[256];
    if (outcome == TASK_WAITING)
        return;
    snprintf(where, sizeof where, "%s of %s", t->what, x->slot->pattern);
    if (outcome == TASK_FAILED)
        vm_report(t->co, where, 1, 2);
    else if (conn_awaits_answer(x->conn))
        log_error(t->vm->log, "%s has ended without an answer", where);
    if (conn_awaits_answer(x->conn))
        conn_respond(x->conn, 500, slice_of(""), body);
    conn_unref(x->conn);
    free(x);
}

void request_serve(struct vm *vm, struct conn *c, struct slot *slot, struct slice body)
{
    struct exchange *x = calloc(1, sizeof *x);
    struct task *t = x ? task_new(vm, "request") : NULL;
    if (!t) {
        free(x);
        conn_abort(c);
        return;
    }
    *x = (struct exchange){conn_ref(c), slot, body};
    t->owner = x;
    t->after = after_serve;
    task_run(t, serve_body);
}

void request_open(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__gc", request_gc}, {"__tostring", request_tostring}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"respond", l_respond}, {NULL, NULL}};
    static const luaL_Reg getters[] = {{"method", get_method},
                                       {"path", get_path},
                                       {"raw_query", get_raw_query},
                                       {"query", get_query},
                                       {"params", get_params},
                                       {"rest", get_rest},
                                       {"headers", get_headers},
                                       {"cookies", get_cookies},
                                       {"origin", get_origin},
                                       {"protocols", get_protocols},
                                       {"protocol", get_protocol},
                                       {"remote_address", get_remote_address},
                                       {"remote_port", get_remote_port},
                                       {"secure", get_secure},
                                       {"body", get_body},
                                       {"app", get_app},
                                       {NULL, NULL}};
    vm_new_type(L, REQUEST, meta, methods, getters);
}
