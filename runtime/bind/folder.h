/* A folder that files are served from, and a file in it: "tidewire.folder", "tidewire.file".
 * Nothing outside the folder can be opened through it, whatever the path or the links in it. */
#ifndef TIDEWIRE_BIND_FOLDER_H
#define TIDEWIRE_BIND_FOLDER_H

#include "bind/vm.h"

void folder_open(lua_State *L); /* the types */

/* core.folder(path): folder, or nil, message */
int folder_new(lua_State *L);

/* For req:respond: raise when the argument is no open file. */
uint64_t file_size(lua_State *L, int arg);
int file_take(lua_State *L, int arg); /* its descriptor, which is the caller's from then on */

#endif
