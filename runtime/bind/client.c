#include "bind/client.h"
#include "bind/generation.h"
#include "bind/request.h"
#include "bind/task.h"
#include "bind/ws.h"
#include "net/connect.h"

#include <netinet/in.h>
#include <stdlib.h>

#define ATTEMPT "tidewire.attempt"

struct attempt {
    struct list node; /* in vm->attempts, once it is started */
    struct vm *vm;
    struct connect *connect;
    struct task *task;       /* waits for it; NULL: nobody does any more */
    struct slot *slot;       /* or NULL, until it is known */
    struct binding *options; /* of its own slot the handler too */
    struct ws *ws;           /* the outcome */
    int known;   /* registry reference of the table that becomes the ws's: see WS_REQUEST */
    int again;   /* of the userdata that gets a new connection, or LUA_NOREF */
    int ended;   /* of what is called after the end, or LUA_NOREF */
    bool pinned; /* see pin */
    bool taken;  /* somebody has got the ws */
    bool lost;   /* memory was too short to make the ws known */
    struct tls_client *tls; /* while it is started */
    const struct connect_result *result;
};

/* --- slots ------------------------------------------------------------------------------------ */

static void forget(struct vm *vm, int *reference)
{
    luaL_unref(vm->L, LUA_REGISTRYINDEX, *reference);
    *reference = LUA_NOREF;
}

/* What the slot leads to has to be there when there is a connection. A handler that is no module's
 * stays, and its generation with it. */
static void pin(struct attempt *a)
{
    struct generation *g = generation_current(a->vm);
    a->slot->connections++;
    a->pinned = true;
    if (a->slot->key || !g || a->options->handler == LUA_NOREF)
        return;
    a->options->generation = g;
    a->options->serial = g->serial;
    g->clients++;
}

/* Its own: all of it is in the options. */
static struct slot *own_slot(struct vm *vm, struct binding *options)
{
    struct slot *slot = slot_new(vm);
    if (!slot)
        return NULL;
    slot_turn(slot, 0, options);
    slot_turn(slot, 1, options);
    return slot;
}

/* Those of a connection that goes on with this one, or of the module whose value the handler is;
 * NULL: of neither. */
static struct slot *shared_slot(lua_State *L, struct attempt *a, const struct ws *again,
                                int handler)
{
    struct generation *g = generation_current(a->vm);
    if (again && again->slot->key && again->slot->bindings[0])
        return slot_ref(again->slot);
    a->slot = generation_find_module(L, g, handler);
    if (!a->slot)
        return NULL;
    struct binding *b = generation_module(L, g, a->slot);
    if (!b)
        luaL_error(L, "out of memory");
    generation_place(b);
    return a->slot;
}

/* --- the life of an attempt ------------------------------------------------------------------- */

static void attempt_free(struct attempt *a)
{
    list_remove(&a->node);
    if (!a->ws && a->options)
        client_unpin(a->vm, a->options);
    binding_unref(a->vm, a->options);
    if (a->pinned)
        slot_leave(a->slot);
    if (a->slot)
        slot_unref(a->slot);
    if (a->tls)
        tls_client_unref(a->tls);
    forget(a->vm, &a->known);
    forget(a->vm, &a->again);
    forget(a->vm, &a->ended);
    free(a);
}

static struct attempt *attempt_new(struct vm *vm)
{
    struct attempt *a = calloc(1, sizeof *a);
    struct binding *options = a ? binding_new() : NULL;
    if (!options) {
        free(a);
        return NULL;
    }
    *a = (struct attempt){
        .vm = vm,
        .options = options,
        .known = LUA_NOREF,
        .again = LUA_NOREF,
        .ended = LUA_NOREF,
    };
    list_init(&a->node);
    return a;
}

void client_cancel_all(struct vm *vm)
{
    while (!list_empty(&vm->attempts)) {
        struct attempt *a = list_entry(vm->attempts.next, struct attempt, node);
        if (a->task)
            a->task->place = NULL;
        connect_cancel(a->connect);
        attempt_free(a);
    }
}

/* While its arguments are read, an attempt belongs to a userdata: an error on the way frees it. */
static struct attempt *push_attempt(lua_State *L)
{
    struct attempt **owner = lua_newuserdatauv(L, sizeof *owner, 0);
    *owner = NULL;
    luaL_setmetatable(L, ATTEMPT);
    *owner = attempt_new(vm_of(L));
    if (!*owner)
        luaL_error(L, "out of memory");
    return *owner;
}

static int attempt_gc(lua_State *L)
{
    struct attempt **owner = luaL_checkudata(L, 1, ATTEMPT);
    if (*owner)
        attempt_free(*owner);
    *owner = NULL;
    return 0;
}

void client_open(lua_State *L)
{
    luaL_newmetatable(L, ATTEMPT);
    lua_pushcfunction(L, attempt_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}

/* --- what the server answered ----------------------------------------------------------------- */

static void push_answer(lua_State *L, const struct connect_result *r)
{
    if (!r->answer) {
        lua_pushnil(L);
        return;
    }
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, r->answer->status);
    lua_setfield(L, -2, "status");
    request_push_headers(L, r->answer);
    lua_setfield(L, -2, "headers");
    if (r->conn)
        return;
    lua_pushlstring(L, r->body.len ? r->body.ptr : "", r->body.len);
    lua_setfield(L, -2, "body");
}

static const char *const codes[] = {
    [CONNECT_ERR_NAME] = "name",     [CONNECT_ERR_REFUSED] = "refused",
    [CONNECT_ERR_PROXY] = "proxy",   [CONNECT_ERR_TLS] = "tls",
    [CONNECT_ERR_STATUS] = "status", [CONNECT_ERR_HANDSHAKE] = "handshake",
    [CONNECT_ERR_LOST] = "lost",     [CONNECT_ERR_TIMEOUT] = "timeout",
    [CONNECT_ERR_MEMORY] = "memory", [CONNECT_ERR_CANCELLED] = "cancelled",
};

static int push_failure(lua_State *L, const char *text, enum connect_error error)
{
    lua_pushnil(L);
    lua_pushstring(L, text);
    lua_pushstring(L, codes[error]);
    return 3;
}

/* In the task that waited. */
static int outcome(lua_State *L, int status, lua_KContext context)
{
    struct attempt *a = (struct attempt *)context; /* `done` is running: it is still there */
    (void)status;
    if (a->ws && !a->lost) {
        ws_push(L, a->ws);
        a->taken = true;
        if (a->ws->pull)
            ws_let_go(L, a->ws);
        return 1;
    }
    if (a->result->conn) /* see on_done */
        return push_failure(L, "out of memory", CONNECT_ERR_MEMORY);
    push_failure(L, a->result->text, a->result->error);
    push_answer(L, a->result);
    return 4;
}

/* --- a new ws --------------------------------------------------------------------------------- */

/* The userdata of an earlier connection goes on with this one: whoever holds it need not notice. */
static void push_userdata(lua_State *L, struct attempt *a)
{
    if (a->again == LUA_NOREF) {
        ws_push(L, a->ws);
        return;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, a->again);
    lua_pushvalue(L, -1);
    a->ws->self = luaL_ref(L, LUA_REGISTRYINDEX);
    struct ws **self = lua_touserdata(L, -1), *before = *self;
    a->ws->told_to_close = before->told_to_close;
    a->ws->kept = before->kept;
    a->ws->kept_version = before->kept_version;
    if (a->ws->state_version != before->state_version)
        a->ws->seen = 0; /* the state, which goes on too, is to be migrated */
    a->ws->state_version = before->state_version;
    ws_ref(a->ws);
    *self = a->ws;
    ws_unref(before);
}

/* Protected, on the main thread: what the ws knows of its connection. */
static int complete(lua_State *L)
{
    struct attempt *a = lua_touserdata(L, 1);
    char address[ADDRESS_TEXT];
    unsigned port;
    push_userdata(L, a);
    lua_rawgeti(L, LUA_REGISTRYINDEX, a->known);
    conn_peer(a->result->conn, address, sizeof address, &port);
    lua_pushstring(L, address);
    lua_setfield(L, -2, "address");
    push_answer(L, a->result);
    lua_setfield(L, -2, "response");
    lua_setiuservalue(L, -2, WS_REQUEST);
    return 0;
}

/* One of the options' own list: the result's lives no longer than `done`. */
static struct slice own_protocol(const struct binding *options, struct slice protocol)
{
    for (size_t i = 0; i < options->protocols.count; i++)
        if (slice_equal(options->protocols.list[i], protocol))
            return options->protocols.list[i];
    return (struct slice){"", 0};
}

static struct ws *adopt(struct attempt *a, struct conn *c)
{
    struct ws *w = ws_new(a->vm, c, a->slot, a->options);
    if (!w)
        return NULL;
    conn_set_owner(c, w);
    w->client = true;
    w->pull = ws_binding(w)->handler == LUA_NOREF;
    w->protocol = own_protocol(a->options, a->result->protocol);
    w->opened = true;
    w->ended = a->ended;
    a->ended = LUA_NOREF;
    a->ws = w;
    if (vm_protected(a->vm, complete, a))
        return w;
    w->close_told = true; /* the app will never know of it */
    forget(a->vm, &w->ended);
    a->lost = true;
    return NULL;
}

/* The handler's `open` comes before whoever has asked for the connection, as it comes before
 * everything else. */
static void hand_over(struct attempt *a, struct ws *w)
{
    ws_ref(w);
    w->pumping = true;
    if (w->told_to_close) { /* while it was made */
        w->close_told = true;
        ws_close(w, 1000, slice_of(""));
    } else if (w->vm->hold.on && !(a->task && a->task->generation)) {
        w->begin_due = true; /* nobody that the barrier waits for has asked for it */
    } else {
        ws_begin(w);
    }
    w->pumping = false;
    if (a->task)
        task_resume(a->task);
    if (!a->taken && w->conn) { /* the coroutine that has asked for it was closed meanwhile */
        w->told_to_close = true;
        ws_close(w, 1001, slice_of("going away"));
    }
    ws_pump(w);
    ws_unref(w);
}

static void on_done(void *context, const struct connect_result *result)
{
    struct attempt *a = context;
    a->connect = NULL;
    a->result = result;
    list_remove(&a->node); /* it cannot be cancelled any more */
    list_init(&a->node);
    struct ws *w = result->conn ? adopt(a, result->conn) : NULL;
    if (w) {
        hand_over(a, w);
    } else {
        if (result->conn)
            conn_abort(result->conn);
        if (a->task)
            task_resume(a->task);
    }
    attempt_free(a);
}

/* --- arguments: a table that lua/tidewire/client.lua has checked, at 1 ------------------------ */

/* The string stays on the stack. */
static struct slice string_field(lua_State *L, int table, const char *name)
{
    struct slice s = {"", 0};
    if (lua_getfield(L, table, name) != LUA_TNIL)
        s.ptr = luaL_checklstring(L, -1, &s.len);
    return s;
}

static const char *text_field(lua_State *L, int table, const char *name)
{
    struct slice s = string_field(L, table, name);
    return lua_isnil(L, -1) ? NULL : s.ptr;
}

/* fields = { { name, value }, ... } as field lines, in a buffer that stays on the stack. */
static struct slice read_fields(lua_State *L)
{
    struct buf *out = vm_push_buffer(L);
    if (lua_getfield(L, 1, "fields") == LUA_TNIL)
        return (struct slice){"", 0};
    int list = lua_gettop(L);
    for (lua_Integer i = 1, n = luaL_len(L, list); i <= n; i++) {
        struct slice value;
        lua_geti(L, list, i);
        lua_geti(L, list + 1, 1);
        lua_geti(L, list + 1, 2);
        const char *name = luaL_checkstring(L, -2);
        value.ptr = luaL_checklstring(L, -1, &value.len);
        if (!http_write_header(out, name, value))
            luaL_error(L, "out of memory"); /* a field that cannot be sent was refused before */
        lua_settop(L, list);
    }
    return (struct slice){out->data ? (const char *)out->data : "", out->len};
}

/* proxy = { host =, port =, credentials = } */
static void read_proxy(lua_State *L, struct connect_options *o)
{
    if (lua_getfield(L, 1, "proxy") != LUA_TTABLE)
        return;
    int proxy = lua_gettop(L);
    o->proxy_host = string_field(L, proxy, "host");
    o->proxy_credentials = string_field(L, proxy, "credentials");
    lua_getfield(L, proxy, "port");
    o->proxy_port = (uint16_t)luaL_checkinteger(L, -1);
}

/* tls = { ca =, cert =, key =, verify =, name = }. The authorities of the system take long to read:
 * those without settings of their own share them. false: *error tells why. */
static bool read_tls(lua_State *L, struct attempt *a, struct connect_options *o, char *error,
                     size_t size)
{
    struct tls_client_settings settings = {0};
    if (lua_getfield(L, 1, "tls") == LUA_TTABLE) {
        int tls = lua_gettop(L);
        settings.ca_file = text_field(L, tls, "ca");
        settings.cert_file = text_field(L, tls, "cert");
        settings.key_file = text_field(L, tls, "key");
        o->server_name = string_field(L, tls, "name");
        lua_getfield(L, tls, "verify");
        settings.no_verify = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
    }
    if (settings.ca_file || settings.cert_file || settings.no_verify) {
        a->tls = tls_client_new(&settings, error, size);
    } else {
        if (!a->vm->tls)
            a->vm->tls = tls_client_new(&settings, error, size);
        a->tls = a->vm->tls ? tls_client_ref(a->vm->tls) : NULL;
    }
    o->tls = a->tls;
    return o->tls != NULL;
}

static void read_options(lua_State *L, struct attempt *a, struct connect_options *o)
{
    struct conn_limits defaults = CONN_LIMITS_DEFAULT;
    lua_pushvalue(L, 1);
    app_read_binding(L, a->options, &defaults);
    lua_pop(L, 1);
    o->protocols = a->options->protocols.list;
    o->protocol_count = a->options->protocols.count;
    o->limits = &a->options->limits;
    o->compression = a->options->compressed ? &a->options->compression : NULL;
}

/* What the ws will know, and the userdata that an earlier connection has. */
static const struct ws *read_known(lua_State *L, struct attempt *a)
{
    lua_createtable(L, 0, 4);
    lua_getfield(L, 1, "shown_url");
    lua_setfield(L, -2, "url");
    lua_getfield(L, 1, "reconnects");
    lua_setfield(L, -2, "reconnects");
    a->known = luaL_ref(L, LUA_REGISTRYINDEX);
    if (lua_getfield(L, 1, "ended") == LUA_TFUNCTION)
        a->ended = luaL_ref(L, LUA_REGISTRYINDEX);
    if (lua_getfield(L, 1, "again") == LUA_TNIL)
        return NULL;
    const struct ws *again = ws_check(L, lua_gettop(L));
    a->again = luaL_ref(L, LUA_REGISTRYINDEX);
    return again;
}

static void choose_slot(lua_State *L, struct attempt *a, const struct ws *again)
{
    if (lua_getfield(L, 1, "handler") == LUA_TTABLE)
        a->slot = shared_slot(L, a, again, lua_gettop(L));
    if (a->slot)
        binding_forget(a->vm, a->options); /* the functions are the slot's */
    else
        a->slot = own_slot(a->vm, a->options);
    if (!a->slot)
        luaL_error(L, "out of memory");
}

/* nil, message, "url" for a URL that is none; nil, message, "tls" for files that cannot be used. */
int client_connect(lua_State *L)
{
    struct connect_options o = {0};
    char error[512];
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    vm_check_acting(L, "connect");
    struct vm *vm = task_current(L)->vm;
    if (!lua_isyieldable(L))
        return task_await(L, NULL, 0, outcome); /* which tells so */
    if (vm->freeing) /* a script that tries again and again must not keep the process */
        return task_await(L, NULL, 0, outcome);
    luaL_checkstack(L, 40, NULL);
    int bad = uri_parse(string_field(L, 1, "url"), &o.uri);
    if (bad) {
        lua_pushnil(L);
        lua_pushstring(L, uri_error_text(bad));
        lua_pushliteral(L, "url");
        return 3;
    }
    struct attempt *a = push_attempt(L);
    struct attempt **owner = lua_touserdata(L, -1);
    read_options(L, a, &o);
    choose_slot(L, a, read_known(L, a));
    o.unix_path = text_field(L, 1, "unix");
    o.fields = read_fields(L);
    read_proxy(L, &o);
    lua_getfield(L, 1, "timeout");
    o.timeout = (uint32_t)(luaL_checknumber(L, -1) * 1000);
    if (o.uri.secure && !read_tls(L, a, &o, error, sizeof error))
        return push_failure(L, error, CONNECT_ERR_TLS);
    a->connect = connect_start(vm->conns, &o, on_done, a);
    if (!a->connect)
        return push_failure(L, "out of memory", CONNECT_ERR_MEMORY);
    *owner = NULL; /* on_done frees it, or client_cancel_all */
    pin(a);
    list_push(&vm->attempts, &a->node);
    return task_await(L, &a->task, (lua_KContext)a, outcome);
}

/* --- what the Lua half asks ------------------------------------------------------------------ */

int client_cannot_wait(lua_State *L)
{
    struct vm *vm = vm_of(L);
    const char *what = luaL_checkstring(L, 1);
    if (vm->loading || !vm->current)
        lua_pushfstring(L, "%s is not allowed while the app loads; do it in start(app)", what);
    else if (!lua_isyieldable(L))
        lua_pushfstring(L, "%s cannot wait here: a C function or a metamethod lies between", what);
    else
        lua_pushnil(L);
    return 1;
}

int client_told_to_close(lua_State *L)
{
    lua_pushboolean(L, ws_check(L, 1)->told_to_close);
    return 1;
}
