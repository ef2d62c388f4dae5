#include "net/sni.h"

#include <stdlib.h>
#include <string.h>

#define HOST_MAX 253

bool sni_add(struct sni *s, struct slice name, size_t certificate)
{
    if (s->count == s->room) {
        size_t room = s->room ? s->room * 2 : 8;
        struct sni_entry *entries = realloc(s->entries, room * sizeof *entries);
        if (!entries)
            return false;
        s->entries = entries;
        s->room = room;
    }
    char *copy = malloc(name.len + 1);
    if (!copy)
        return false;
    for (size_t i = 0; i < name.len; i++)
        copy[i] = ascii_lower(name.ptr[i]);
    copy[name.len] = '\0';
    s->entries[s->count++] = (struct sni_entry){copy, certificate};
    return true;
}

static int compare(const void *a, const void *b)
{
    const struct sni_entry *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->certificate > y->certificate) - (x->certificate < y->certificate);
}

void sni_sort(struct sni *s)
{
    if (s->count)
        qsort(s->entries, s->count, sizeof *s->entries, compare);
}

void sni_free(struct sni *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->entries[i].name);
    free(s->entries);
    *s = (struct sni){0};
}

static size_t find(const struct sni *s, const char *name, const struct sni_entry **first)
{
    size_t low = 0, high = s->count;
    while (low < high) { /* the first entry that is not before the name */
        size_t middle = low + (high - low) / 2;
        if (strcmp(s->entries[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    size_t end = low;
    while (end < s->count && strcmp(s->entries[end].name, name) == 0)
        end++;
    *first = s->entries + low;
    return end - low;
}

size_t sni_find(const struct sni *s, struct slice host, const struct sni_entry **first)
{
    char name[HOST_MAX + 2];
    if (host.len && host.ptr[host.len - 1] == '.')
        host.len--;
    if (!host.len || host.len > HOST_MAX || memchr(host.ptr, 0, host.len) || *host.ptr == '*')
        return 0;
    for (size_t i = 0; i < host.len; i++)
        name[i] = ascii_lower(host.ptr[i]);
    name[host.len] = '\0';
    size_t found = find(s, name, first);
    char *dot = strchr(name, '.');
    if (found || !dot || dot == name)
        return found;
    dot[-1] = '*';
    return find(s, dot - 1, first);
}
