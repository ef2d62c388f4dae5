#include "bind/request.h"
#include "net/tls.h"
#include "wire/http.h"
#include "wire/uri.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST "tidewire.request"

struct request *request_check(lua_State *L)
{
    return luaL_checkudata(L, 1, REQUEST);
}

/* The names, a line each, as a list. */
static void push_names(lua_State *L, const struct buf *names)
{
    const char *at = (const char *)names->data, *end = at + names->len;
    lua_newtable(L);
    for (lua_Integer i = 1; names->len && at < end; i++) {
        size_t n = (size_t)((const char *)memchr(at, '\n', (size_t)(end - at)) - at);
        lua_pushlstring(L, at, n);
        lua_rawseti(L, -2, i);
        at += n + 1;
    }
}

/* The request outlives its connection, so what the client has shown is kept with it: in the cache,
 * as `certificate`. The request is on top of the stack. */
static void keep_certificate(lua_State *L, const struct conn *c)
{
    if (!conn_certificate(c, NULL))
        return;
    struct tls_peer peer = {.subject = vm_push_buffer(L)};
    peer.names = vm_push_buffer(L);
    if (conn_certificate(c, &peer)) {
        lua_getiuservalue(L, -3, REQUEST_CACHE);
        lua_createtable(L, 0, 3);
        push_names(L, peer.names);
        lua_setfield(L, -2, "names");
        lua_pushlstring(L, (const char *)peer.subject->data, peer.subject->len);
        lua_setfield(L, -2, "subject");
        lua_pushstring(L, peer.fingerprint);
        lua_setfield(L, -2, "fingerprint");
        lua_setfield(L, -2, "certificate");
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
}

void request_push(lua_State *L, struct conn *c, struct binding *b, struct slice protocol,
                  bool answerable)
{
    struct slice head = conn_head(c);
    struct request *r = lua_newuserdatauv(L, sizeof *r + head.len, 2);
    *r = (struct request){.protocol = protocol, .head_len = head.len};
    memcpy(r->head, head.ptr, head.len);
    r->binding = binding_ref(b);
    luaL_setmetatable(L, REQUEST);
    lua_newtable(L);
    lua_setiuservalue(L, -2, REQUEST_CACHE);
    request_sender(c, b, &r->sender); /* a contradiction was refused */
    keep_certificate(L, c);
    if (answerable) {
        r->conn = conn_ref(c);
        r->number = conn_request_number(c);
    }
}

static int request_gc(lua_State *L)
{
    struct request *r = request_check(L);
    request_let_go(r);
    if (r->binding)
        binding_unref(vm_of(L), r->binding);
    r->binding = NULL;
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
    parse(request_check(L), &head, NULL);
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
    parse(request_check(L), &head, NULL);
    return push_slice(L, head.method);
}

static int get_protocol(lua_State *L)
{
    const struct request *r = request_check(L);
    return push_slice(L, r->protocol.len ? r->protocol : (struct slice){NULL, 0});
}

static int get_remote_address(lua_State *L)
{
    char text[ADDRESS_TEXT];
    address_format(&request_check(L)->sender.address, text);
    lua_pushstring(L, text);
    return 1;
}

static int get_remote_port(lua_State *L)
{
    lua_pushinteger(L, request_check(L)->sender.address.port);
    return 1;
}

static int get_secure(lua_State *L)
{
    lua_pushboolean(L, request_check(L)->sender.secure);
    return 1;
}

static int get_certificate(lua_State *L)
{
    request_check(L);
    lua_getiuservalue(L, 1, REQUEST_CACHE);
    lua_getfield(L, -1, "certificate");
    return 1;
}

static int get_origin(lua_State *L)
{
    struct http_head head;
    parse(request_check(L), &head, NULL);
    const struct http_header *origin = http_find(&head, "Origin");
    return push_slice(L, origin ? origin->value : (struct slice){NULL, 0});
}

static int get_raw_query(lua_State *L)
{
    struct http_head head;
    struct uri target;
    parse(request_check(L), &head, &target);
    return push_slice(L, target.query);
}

static int get_app(lua_State *L)
{
    request_check(L);
    vm_push_app(L);
    return 1;
}

static int get_body(lua_State *L)
{
    request_check(L);
    lua_getiuservalue(L, 1, REQUEST_BODY);
    return 1;
}

static int get_path(lua_State *L)
{
    struct http_head head;
    struct uri target;
    parse(request_check(L), &head, &target);
    if (uri_canonical_path(target.path, vm_push_buffer(L)))
        return luaL_error(L, "out of memory");
    vm_buffer_to_string(L);
    return 1;
}

/* --- fields that are tables: made at the first look, then kept -------------------------------- */

static void push_decoded(lua_State *L, struct slice raw)
{
    if (!uri_query_decode(raw, vm_push_buffer(L)))
        luaL_error(L, "out of memory");
    vm_buffer_to_string(L);
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
void request_push_headers(lua_State *L, const struct http_head *head)
{
    lua_newtable(L);
    for (size_t i = 0; i < head->header_count; i++) {
        push_lower(L, head->headers[i].name);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TNIL) {
            lua_pop(L, 1);
            push_slice(L, head->headers[i].value);
        } else {
            lua_pushliteral(L, ", ");
            push_slice(L, head->headers[i].value);
            lua_concat(L, 3);
        }
        lua_rawset(L, -3);
    }
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, headers_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

static void make_headers(lua_State *L, const struct request *r)
{
    struct http_head head;
    parse(r, &head, NULL);
    request_push_headers(L, &head);
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
        push_slice(L, http_trim((struct slice){pair.ptr, name_len}));
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TNIL) {
            lua_pop(L, 1);
            push_slice(L, unquote(http_trim(value)));
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

/* The path, on top of the stack, is matched again, against the one pattern that it is known to
 * match. */
static void match_again(lua_State *L, const struct request *r, struct route_match *match)
{
    struct slice path;
    path.ptr = lua_tolstring(L, -1, &path.len);
    if (!route_find(r->binding->slot->alone, path, match))
        *match = (struct route_match){0};
}

static void make_params(lua_State *L, const struct request *r)
{
    struct route_match match;
    get_path(L);
    match_again(L, r, &match);
    lua_newtable(L);
    for (size_t i = 0; i < match.capture_count; i++) {
        push_slice(L, match.captures[i].name);
        push_slice(L, match.captures[i].value);
        lua_rawset(L, -3);
    }
    lua_remove(L, -2); /* the path, whose slices the captures were */
}

static int get_rest(lua_State *L)
{
    struct route_match match;
    get_path(L);
    match_again(L, request_check(L), &match);
    return push_slice(L, match.rest);
}

static int cached(lua_State *L, const char *name, void (*make)(lua_State *, const struct request *))
{
    const struct request *r = request_check(L);
    lua_getiuservalue(L, 1, REQUEST_CACHE);
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

void request_open(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__gc", request_gc}, {"__tostring", request_tostring}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"respond", request_respond}, {NULL, NULL}};
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
                                       {"certificate", get_certificate},
                                       {"body", get_body},
                                       {"app", get_app},
                                       {NULL, NULL}};
    vm_new_type(L, REQUEST, meta, methods, getters);
}
