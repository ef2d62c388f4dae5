/* The life of slots and bindings (app.h). */
#include "base/map.h"
#include "bind/app.h"
#include "bind/generation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- bindings --------------------------------------------------------------------------------- */

struct binding *binding_new(void)
{
    struct binding *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->refs = 1;
    for (int i = 0; i < CB_COUNT; i++)
        b->callbacks[i] = LUA_NOREF;
    b->handler = b->serve = LUA_NOREF;
    return b;
}

struct binding *binding_ref(struct binding *b)
{
    b->refs++;
    return b;
}

static void names_free(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free((void *)n->list[i].ptr);
    free(n->list);
}

static void forget(struct vm *vm, int *reference)
{
    luaL_unref(vm->L, LUA_REGISTRYINDEX, *reference);
    *reference = LUA_NOREF;
}

void binding_forget(struct vm *vm, struct binding *b)
{
    for (int i = 0; i < CB_COUNT; i++)
        forget(vm, &b->callbacks[i]);
    forget(vm, &b->handler);
    forget(vm, &b->serve);
    b->generation = NULL;
}

void binding_unref(struct vm *vm, struct binding *b)
{
    if (!b || --b->refs)
        return;
    binding_forget(vm, b);
    if (b->slot)
        slot_unref(b->slot);
    names_free(&b->protocols);
    names_free(&b->origins);
    network_list_free(&b->proxies);
    free(b->pattern);
    free(b);
}

/* --- slots ------------------------------------------------------------------------------------ */

#define MODULE_PREFIX "module "

struct slot *slot_new(struct vm *vm)
{
    struct slot *s = calloc(1, sizeof *s);
    if (s) {
        s->refs = 1;
        s->vm = vm;
    }
    return s;
}

struct slot *slot_ref(struct slot *s)
{
    s->refs++;
    return s;
}

void slot_unref(struct slot *s)
{
    if (--s->refs)
        return;
    for (int lane = 0; lane < 2; lane++) /* only of a slot of its own are there any left */
        slot_turn(s, lane, NULL);
    if (s->key) /* also of one that has not come into the map: then there is none of its key */
        map_remove(s->vm->slots, slice_of(s->key));
    route_table_free(s->alone);
    free(s->key);
    free(s);
}

void slot_turn(struct slot *s, int lane, struct binding *b)
{
    struct binding *before = s->bindings[lane];
    s->bindings[lane] = b ? binding_ref(b) : NULL;
    binding_unref(s->vm, before);
}

void slot_leave(struct slot *s)
{
    s->connections--;
    for (int lane = 0; lane < 2; lane++)
        if (s->bindings[lane] && s->bindings[lane]->generation)
            generation_touch(s->bindings[lane]->generation);
}

static char *key_of_route(const struct binding *b)
{
    char *key;
    const char *kind = b->handler == LUA_NOREF ? "http" : "handler";
    return asprintf(&key, "%s%s %s", kind, b->mount ? " below" : "", b->pattern) < 0 ? NULL : key;
}

/* Takes the key over. */
static struct slot *slot_of(struct vm *vm, char *key)
{
    struct slot *s = key ? map_get(vm->slots, slice_of(key)) : NULL;
    if (s) {
        free(key);
        return slot_ref(s);
    }
    s = key ? slot_new(vm) : NULL;
    if (!s) {
        free(key);
        return NULL;
    }
    s->key = key;
    if (map_set(vm->slots, slice_of(key), s))
        return s;
    slot_unref(s);
    return NULL;
}

struct slot *slot_of_route(struct vm *vm, const struct binding *b)
{
    struct slot *s = slot_of(vm, key_of_route(b));
    if (!s || s->alone)
        return s;
    s->alone = route_table_new();
    if (s->alone && !route_add(s->alone, slice_of(b->pattern), b->mount, s))
        return s;
    slot_unref(s);
    return NULL;
}

struct slot *slot_of_module(struct vm *vm, struct slice name)
{
    char *key;
    if (asprintf(&key, MODULE_PREFIX "%.*s", SLICE_ARG(name)) < 0)
        return NULL;
    return slot_of(vm, key);
}

bool slot_is_module(const struct slot *s, struct slice *name)
{
    size_t n = sizeof MODULE_PREFIX - 1;
    if (!s->key || strncmp(s->key, MODULE_PREFIX, n) != 0)
        return false;
    *name = slice_of(s->key + n);
    return true;
}
