/* An intrusive, circular, doubly linked list. A node that is in no list points to itself, so
 * taking it out twice is harmless. */
#ifndef TIDEWIRE_BASE_LIST_H
#define TIDEWIRE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

#define list_entry(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_push(struct list *l, struct list *node)
{
    node->prev = l->prev;
    node->next = l;
    l->prev->next = node;
    l->prev = node;
}

static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* The last node, taken out; NULL when the list is empty. */
static inline struct list *list_pop(struct list *l)
{
    struct list *node = l->prev;
    if (node == l)
        return NULL;
    list_remove(node);
    return node;
}

/* The first node, taken out; NULL when the list is empty. */
static inline struct list *list_shift(struct list *l)
{
    struct list *node = l->next;
    if (node == l)
        return NULL;
    list_remove(node);
    return node;
}

#endif
