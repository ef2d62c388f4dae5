#include "bind/control.h"
#include "bind/vm.h"
#include "net/unix_socket.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PREFIX ".tidewire"
#define SUFFIX ".sock"

static const char *reason(int error)
{
    switch (error) {
    case EPIPE:
        return "it has ended without an answer";
    case ETIMEDOUT:
    case EAGAIN: /* of connect */
        return "it does not answer in time";
    case EACCES:
        return "permission denied; only its own user, and root, may ask";
    default:
        return strerror(error);
    }
}

int control_ask(lua_State *L)
{
    size_t n;
    const char *path = luaL_checkstring(L, 1);
    const char *line = luaL_checklstring(L, 2, &n);
    uint64_t ms = vm_check_seconds(L, 3);
    struct buf *answer = vm_push_buffer(L);
    if (unix_socket_ask(path, line, n, (uint32_t)ms, answer)) {
        vm_buffer_to_string(L);
        return 1;
    }
    int why = errno;
    lua_pushnil(L);
    lua_pushstring(L, reason(why));
    lua_pushstring(L, why == ENOENT || why == ECONNREFUSED ? "gone" : "control");
    return 3;
}

static bool is_control(const char *name)
{
    size_t n = strlen(name), suffix = sizeof SUFFIX - 1;
    return n > suffix && strncmp(name, PREFIX, sizeof PREFIX - 1) == 0 &&
           strcmp(name + n - suffix, SUFFIX) == 0;
}

/* Appends the path on top of the stack to the list below it, or drops it when nobody is there. That
 * of another user is there. */
static void add_living(lua_State *L)
{
    int fd = unix_socket_connect(lua_tostring(L, -1));
    if (fd < 0 && errno != EACCES) {
        lua_pop(L, 1);
        return;
    }
    if (fd >= 0)
        close(fd);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

static int folder_gc(lua_State *L)
{
    DIR **folder = lua_touserdata(L, 1);
    if (*folder)
        closedir(*folder);
    *folder = NULL;
    return 0;
}

static void sort(lua_State *L)
{
    lua_getglobal(L, "table");
    lua_getfield(L, -1, "sort");
    lua_pushvalue(L, -3);
    lua_call(L, 1, 0);
    lua_pop(L, 1);
}

int control_find(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    DIR **folder = lua_newuserdatauv(L, sizeof *folder, 0);
    *folder = NULL;
    lua_newtable(L);
    lua_pushcfunction(L, folder_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    *folder = opendir(path);
    lua_newtable(L);
    for (struct dirent *e; *folder && (e = readdir(*folder));) {
        if (!is_control(e->d_name))
            continue;
        if (strcmp(path, ".") == 0)
            lua_pushstring(L, e->d_name);
        else
            lua_pushfstring(L, "%s/%s", path, e->d_name);
        add_living(L);
    }
    if (*folder)
        closedir(*folder);
    *folder = NULL;
    sort(L);
    return 1;
}
