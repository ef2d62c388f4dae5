#include "bind/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FOLDER "tidewire.folder"
#define FILE_TYPE "tidewire.file"

struct folder {
    int fd; /* -1: closed */
};

struct file {
    int fd;
    struct stat st;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* --- file ------------------------------------------------------------------------------------- */

static struct file *check_file(lua_State *L, int arg)
{
    struct file *f = luaL_checkudata(L, arg, FILE_TYPE);
    if (f->fd < 0)
        luaL_error(L, "the file is closed, or sent already");
    return f;
}

uint64_t file_size(lua_State *L, int arg)
{
    return (uint64_t)check_file(L, arg)->st.st_size;
}

int file_take(lua_State *L, int arg)
{
    struct file *f = check_file(L, arg);
    int fd = f->fd;
    f->fd = -1;
    return fd;
}

static int file_close(lua_State *L)
{
    struct file *f = luaL_checkudata(L, 1, FILE_TYPE);
    close_fd(&f->fd);
    return 0;
}

static int file_tostring(lua_State *L)
{
    const struct file *f = luaL_checkudata(L, 1, FILE_TYPE);
    lua_pushfstring(L, "file (%s)", f->fd < 0 ? "closed" : "open");
    return 1;
}

static int get_size(lua_State *L)
{
    const struct file *f = luaL_checkudata(L, 1, FILE_TYPE);
    lua_pushinteger(L, f->st.st_size);
    return 1;
}

static int get_mtime(lua_State *L)
{
    const struct file *f = luaL_checkudata(L, 1, FILE_TYPE);
    lua_pushnumber(L, (lua_Number)f->st.st_mtim.tv_sec + (lua_Number)f->st.st_mtim.tv_nsec / 1e9);
    return 1;
}

/* Another one for another file of the same name. */
static int get_id(lua_State *L)
{
    const struct file *f = luaL_checkudata(L, 1, FILE_TYPE);
    lua_pushfstring(L, "%I", (LUAI_UACINT)f->st.st_ino);
    return 1;
}

/* --- folder ----------------------------------------------------------------------------------- */

static const char *code_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
        return "not_found";
    case EISDIR:
        return "directory";
    case EACCES:
    case EPERM:
    case EXDEV: /* it leads out of the folder */
    case ELOOP:
        return "forbidden";
    default:
        return NULL; /* no fault of the request: out of descriptors, a broken disk */
    }
}

static int push_error(lua_State *L, const char *path, int error)
{
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path, strerror(error));
    lua_pushstring(L, code_of(error));
    return 3;
}

static int open_beneath(int folder, const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
}

static int check_regular(int fd, struct stat *st)
{
    if (fstat(fd, st))
        return errno;
    return S_ISREG(st->st_mode) ? 0 : S_ISDIR(st->st_mode) ? EISDIR : EACCES;
}

/* folder:open(path): file; or nil, message, "not_found" | "forbidden" | "directory" | nil */
static int l_open(lua_State *L)
{
    const struct folder *folder = luaL_checkudata(L, 1, FOLDER);
    size_t len;
    const char *path = luaL_checklstring(L, 2, &len);
    if (strlen(path) != len)
        return push_error(L, path, ENOENT);
    struct file *f = lua_newuserdatauv(L, sizeof *f, 0);
    f->fd = -1;
    luaL_setmetatable(L, FILE_TYPE);
    f->fd = open_beneath(folder->fd, len ? path : ".");
    if (f->fd < 0)
        return push_error(L, path, errno);
    int error = check_regular(f->fd, &f->st);
    if (!error)
        return 1;
    close_fd(&f->fd);
    return push_error(L, path, error);
}

static int folder_gc(lua_State *L)
{
    struct folder *folder = luaL_checkudata(L, 1, FOLDER);
    close_fd(&folder->fd);
    return 0;
}

int folder_new(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct folder *folder = lua_newuserdatauv(L, sizeof *folder, 0);
    folder->fd = -1;
    luaL_setmetatable(L, FOLDER);
    folder->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder->fd < 0 ? push_error(L, path, errno) : 1;
}

void folder_open(lua_State *L)
{
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg folder_meta[] = {{"__gc", folder_gc}, {NULL, NULL}};
    static const luaL_Reg folder_methods[] = {{"open", l_open}, {NULL, NULL}};
    static const luaL_Reg file_meta[] = {
        {"__gc", file_close}, {"__close", file_close}, {"__tostring", file_tostring}, {NULL, NULL}};
    static const luaL_Reg file_methods[] = {{"close", file_close}, {NULL, NULL}};
    static const luaL_Reg file_getters[] = {
        {"size", get_size}, {"mtime", get_mtime}, {"id", get_id}, {NULL, NULL}};
    vm_new_type(L, FOLDER, folder_meta, folder_methods, none);
    vm_new_type(L, FILE_TYPE, file_meta, file_methods, file_getters);
}
