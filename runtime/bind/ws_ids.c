/* ws.id: <process>-<place>-<serial>, and the table in which a connection is found by it. */
#include "bind/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_MAX 64

/* Free places of vm->ids hold the next free place, shifted, with the low bit set. */
static struct ws *free_place(size_t next)
{
    return (struct ws *)(next << 1 | 1);
}

static bool ids_grow(struct vm *vm)
{
    size_t cap = vm->ids_cap ? vm->ids_cap * 2 : 64;
    struct ws **ids = realloc(vm->ids, cap * sizeof *ids);
    if (!ids)
        return false;
    for (size_t i = vm->ids_cap; i < cap; i++)
        ids[i] = free_place(i + 1);
    vm->ids_free = vm->ids_cap;
    vm->ids = ids;
    vm->ids_cap = cap;
    return true;
}

bool ws_take_id(struct vm *vm, struct ws *w)
{
    if (vm->ids_free == vm->ids_cap && !ids_grow(vm))
        return false;
    w->id_slot = (uint32_t)vm->ids_free;
    w->serial = ++vm->serial;
    vm->ids_free = (size_t)vm->ids[w->id_slot] >> 1;
    vm->ids[w->id_slot] = w;
    return true;
}

void ws_give_id_back(struct vm *vm, const struct ws *w)
{
    vm->ids[w->id_slot] = free_place(vm->ids_free);
    vm->ids_free = w->id_slot;
}

void ws_push_id(lua_State *L, const struct ws *w)
{
    lua_pushfstring(L, "%s-%I-%I", w->vm->node, (LUAI_UACINT)w->id_slot, (LUAI_UACINT)w->serial);
}

struct ws *ws_by_id(struct vm *vm, struct slice id)
{
    char text[ID_MAX];
    char node[sizeof vm->node];
    unsigned long long slot, serial;
    int used = 0;
    if (id.len >= sizeof text)
        return NULL;
    memcpy(text, id.ptr, id.len);
    text[id.len] = '\0';
    if (sscanf(text, "%16[0-9a-f]-%llu-%llu%n", node, &slot, &serial, &used) != 3 ||
        (size_t)used != id.len || strcmp(node, vm->node) != 0 || slot >= vm->ids_cap)
        return NULL;
    struct ws *w = vm->ids[slot];
    return (size_t)w & 1 || w->serial != serial ? NULL : w;
}
