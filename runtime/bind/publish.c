/* publish and send: to many connections, framed once; or to one by its id. */
#include "bind/core.h"
#include "bind/ws.h"

#include <string.h>

struct delivery {
    struct broadcast message;
    const struct ws *sender;
};

static void deliver(struct subscriber *who, void *context)
{
    struct delivery *d = context;
    struct ws *w = list_entry(who, struct ws, subscriber);
    if (w != d->sender && w->conn)
        ws_sent(w, conn_broadcast(w->conn, &d->message));
}

static enum frame_opcode check_publish_options(lua_State *L, int arg)
{
    if (lua_isnoneornil(L, arg))
        return FRAME_TEXT;
    luaL_checktype(L, arg, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1))
        if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "kind") != 0)
            luaL_argerror(L, arg, "unknown option; known is kind = \"text\" | \"binary\"");
    lua_getfield(L, arg, "kind");
    enum frame_opcode kind = vm_check_kind(L, lua_gettop(L));
    lua_pop(L, 1);
    return kind;
}

int publish_from(lua_State *L, int arg, const struct ws *sender)
{
    struct vm *vm = vm_of(L);
    struct slice topic;
    topic.ptr = luaL_checklstring(L, arg, &topic.len);
    enum frame_opcode kind = check_publish_options(L, arg + 2);
    struct slice data = vm_check_message(L, arg + 1, kind);
    vm_check_acting(L, "publish");
    luaL_argcheck(L, topics_topic_valid(topic), arg,
                  "topic expected: levels separated by \"/\", none empty, without \"+\" and "
                  "\"#\", 255 bytes at most");
    struct delivery d = {.sender = sender};
    broadcast_init(&d.message, kind, data.ptr, data.len);
    topics_match(vm->topics, topic, deliver, &d); /* which raises nothing */
    broadcast_free(&d.message);
    lua_pushboolean(L, true);
    return 1;
}

int publish_all(lua_State *L)
{
    return publish_from(L, 1, NULL);
}

/* send(id, data [, kind]): as ws:send; nil, "unknown" when there is no such connection */
int publish_send(lua_State *L)
{
    struct slice id;
    id.ptr = luaL_checklstring(L, 1, &id.len);
    enum frame_opcode kind = vm_check_kind(L, 3);
    struct slice data = vm_check_message(L, 2, kind);
    vm_check_acting(L, "send");
    struct ws *w = ws_by_id(vm_of(L), id);
    if (w && w->conn)
        return vm_push_sent(L, ws_sent(w, conn_send(w->conn, kind, data.ptr, data.len)));
    lua_pushnil(L);
    lua_pushliteral(L, "unknown");
    return 2;
}
