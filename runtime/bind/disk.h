/* Files and folders as the Lua half reads an app's sources from them. */
#ifndef TIDEWIRE_BIND_DISK_H
#define TIDEWIRE_BIND_DISK_H

#include "bind/vm.h"

/* read(path, most): text, stamp. Only regular files of up to `most` bytes. The stamp is another one
 * after every change. EAGAIN: it changed while it was read. */
int disk_read(lua_State *L);

/* stat(path [, link]): { kind = "file" | "folder" | "link" | "other", id =, stamp =, target = (of a
 * link) }. The id is that of the file itself, by whatever path. link: a symbolic link is not
 * followed. */
int disk_stat(lua_State *L);

/* list(path): the names in a folder, sorted, without "." and "..". */
int disk_list(lua_State *L);

/* All return nil, message, errno when it cannot be done; the message is without the path. */

#endif
