#include "bind/bind.h"
#include "bind/vm.h"

struct collect {
    struct buf *bundle, *report;
    bool made;
};

static void append(lua_State *L, int arg, struct buf *b)
{
    size_t size;
    const char *bytes = luaL_checklstring(L, arg, &size);
    if (!buf_append(b, bytes, size))
        luaL_error(L, "out of memory");
}

/* collect.report(plan): the bytes or nil, and the report */
static int body(lua_State *L)
{
    struct collect *c = lua_touserdata(L, 1);
    lua_settop(L, 0);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tidewire.bundle.collect");
    lua_call(L, 1, 1);
    lua_getfield(L, 1, "report");
    lua_getfield(L, LUA_REGISTRYINDEX, VM_PLAN);
    lua_call(L, 1, 2);
    append(L, 3, c->report);
    c->made = !lua_isnil(L, 2);
    if (c->made)
        append(L, 2, c->bundle);
    return 0;
}

bool vm_collect(struct vm *vm, struct buf *bundle, struct buf *report)
{
    static const char failed[] =
        "{\"ok\":false,\"phase\":\"load\",\"message\":\"the app could not be "
        "loaded; the log tells why\",\"watch\":[]}";
    struct collect c = {bundle, report, false};
    size_t bundled = bundle->len, reported = report->len;
    vm->collecting = true;
    bool ended = vm_protected(vm, body, &c);
    vm->collecting = false;
    if (ended)
        return c.made;
    bundle->len = bundled;
    report->len = reported;
    buf_append_str(report, failed);
    return false;
}
