#include "bind/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int push_error(lua_State *L, int error)
{
    lua_pushnil(L);
    lua_pushstring(L, error == EINVAL ? "Not a regular file" : strerror(error));
    lua_pushinteger(L, error);
    return 3;
}

static void push_stamp(lua_State *L, const struct stat *st)
{
    char text[160];
    snprintf(text, sizeof text, "%llu:%llu:%lld:%lld.%09ld:%lld.%09ld",
             (unsigned long long)st->st_dev, (unsigned long long)st->st_ino, (long long)st->st_size,
             (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec,
             st->st_ctim.tv_nsec);
    lua_pushstring(L, text);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* --- read ------------------------------------------------------------------------------------- */

/* Until the end, or one byte more than was there: then it has grown. false: errno tells. */
static bool read_all(int fd, char *bytes, size_t size, size_t *length)
{
    *length = 0;
    while (*length < size) {
        ssize_t n = read(fd, bytes + *length, size - *length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0)
            break;
        *length += (size_t)n;
    }
    return true;
}

/* A file of `size` bytes into the room for one more. 0, or errno. */
static int read_file(const char *path, char *bytes, size_t size, struct stat *st)
{
    struct stat after;
    size_t length = 0;
    /* what is no file, such as a pipe without a writer, must not make it wait */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno;
    bool ok = !fstat(fd, st);
    bool same = ok && S_ISREG(st->st_mode) && (size_t)st->st_size == size;
    ok = ok && (!same || (read_all(fd, bytes, size + 1, &length) && !fstat(fd, &after)));
    int error = ok ? 0 : errno;
    close(fd);
    if (error)
        return error;
    return same && length == size && is_same(st, &after) ? 0 : EAGAIN;
}

static int why_not(const struct stat *st, lua_Integer most)
{
    if (S_ISDIR(st->st_mode))
        return EISDIR;
    if (!S_ISREG(st->st_mode))
        return EINVAL;
    return st->st_size > most ? EFBIG : 0;
}

int disk_read(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    lua_Integer most = luaL_checkinteger(L, 2);
    struct stat st;
    int error = stat(path, &st) ? errno : why_not(&st, most);
    if (error)
        return push_error(L, error);
    size_t size = (size_t)st.st_size;
    char *bytes = lua_newuserdatauv(L, size + 1, 0); /* while a file is open nothing may raise */
    error = read_file(path, bytes, size, &st);
    if (error)
        return push_error(L, error);
    lua_pushlstring(L, bytes, size);
    push_stamp(L, &st);
    return 2;
}

/* --- stat ------------------------------------------------------------------------------------- */

static const char *kind_of(const struct stat *st)
{
    return S_ISREG(st->st_mode)   ? "file"
           : S_ISDIR(st->st_mode) ? "folder"
           : S_ISLNK(st->st_mode) ? "link"
                                  : "other";
}

int disk_stat(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    char target[PATH_MAX];
    ssize_t length = 0;
    struct stat st;
    if (fstatat(AT_FDCWD, path, &st, lua_toboolean(L, 2) ? AT_SYMLINK_NOFOLLOW : 0))
        return push_error(L, errno);
    if (S_ISLNK(st.st_mode) && (length = readlink(path, target, sizeof target)) < 0)
        return push_error(L, errno);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, kind_of(&st));
    lua_setfield(L, -2, "kind");
    push_stamp(L, &st);
    lua_setfield(L, -2, "stamp");
    lua_pushfstring(L, "%I:%I", (LUAI_UACINT)st.st_dev, (LUAI_UACINT)st.st_ino);
    lua_setfield(L, -2, "id");
    if (length > 0) {
        lua_pushlstring(L, target, (size_t)length);
        lua_setfield(L, -2, "target");
    }
    return 1;
}

/* --- list ------------------------------------------------------------------------------------- */

static int is_name(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

struct names {
    struct dirent **entries;
    int count;
};

static int push_names(lua_State *L)
{
    const struct names *n = lua_touserdata(L, 1);
    lua_createtable(L, n->count, 0);
    for (int i = 0; i < n->count; i++) {
        lua_pushstring(L, n->entries[i]->d_name);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

int disk_list(lua_State *L)
{
    struct names n = {NULL, 0};
    n.count = scandir(luaL_checkstring(L, 1), &n.entries, is_name, by_bytes);
    if (n.count < 0)
        return push_error(L, errno);
    lua_pushcfunction(L, push_names);
    lua_pushlightuserdata(L, &n);
    int status = lua_pcall(L, 1, 1, 0);
    for (int i = 0; i < n.count; i++)
        free(n.entries[i]);
    free(n.entries);
    return status == LUA_OK ? 1 : lua_error(L);
}
