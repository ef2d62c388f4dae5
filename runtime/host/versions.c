#include "host/versions.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- one -------------------------------------------------------------------------------------- */

static json_t *read_files(const json_t *report)
{
    json_t *files = json_object(), *entry;
    size_t i;
    json_array_foreach(json_object_get(report, "files"), i, entry)
    {
        const char *path = json_string_value(json_object_get(entry, "path"));
        json_t *hash = json_object_get(entry, "hash");
        if (path && json_object_set(files, path, hash)) {
            json_decref(files);
            return NULL;
        }
    }
    return files;
}

static double wall_clock(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct version *version_new(const json_t *report, int bundle, size_t bytes)
{
    struct version *v = calloc(1, sizeof *v);
    const char *hash = json_string_value(json_object_get(report, "hash"));
    if (!v) {
        close(bundle);
        return NULL;
    }
    *v = (struct version){.bundle = bundle, .bytes = bytes, .time = wall_clock()};
    list_init(&v->node);
    strncpy(v->hash, hash ? hash : "", VERSIONS_HASH);
    v->state_version = json_integer_value(json_object_get(report, "state_version"));
    v->files = read_files(report);
    if (!v->files) {
        version_free(v);
        return NULL;
    }
    return v;
}

static void drop_bundle(struct version *v)
{
    if (v->bundle >= 0)
        close(v->bundle);
    v->bundle = -1;
}

void version_free(struct version *v)
{
    if (!v)
        return;
    list_remove(&v->node);
    drop_bundle(v);
    json_decref(v->files);
    free(v->reason);
    free(v);
}

void version_serves(struct version *v)
{
    v->since = wall_clock();
    v->rolled_back = false;
}

void versions_give_up(struct version *v, const char *reason)
{
    free(v->reason);
    v->reason = reason ? strdup(reason) : NULL; /* without memory it goes untold */
    v->rolled_back = true;
}

/* --- all -------------------------------------------------------------------------------------- */

static struct version *version_of(struct list *node)
{
    return list_entry(node, struct version, node);
}

void versions_init(struct versions *all)
{
    *all = (struct versions){0};
    list_init(&all->all);
}

void versions_free(struct versions *all)
{
    while (!list_empty(&all->all))
        version_free(version_of(all->all.next));
    all->current = all->canary = NULL;
}

unsigned versions_next(const struct versions *all)
{
    return list_empty(&all->all) ? 1 : version_of(all->all.prev)->number + 1;
}

void versions_add(struct versions *all, struct version *v)
{
    v->number = versions_next(all);
    list_push(&all->all, &v->node);
}

struct version *versions_find(const struct versions *all, unsigned number)
{
    for (struct list *node = all->all.next; node != &all->all; node = node->next)
        if (version_of(node)->number == number)
            return version_of(node);
    return NULL;
}

struct version *versions_previous(const struct versions *all)
{
    if (!all->current)
        return NULL;
    for (struct list *node = all->current->node.prev; node != &all->all; node = node->prev)
        if (!version_of(node)->rolled_back && version_of(node)->bundle >= 0)
            return version_of(node);
    return NULL;
}

void versions_go_back(struct versions *all, const struct version *v, const char *reason)
{
    for (struct list *node = all->all.next; node != &all->all; node = node->next) {
        struct version *other = version_of(node);
        bool is_left = other->number > v->number || (other == all->current && other != v);
        if (is_left && !other->rolled_back)
            versions_give_up(other, reason);
    }
}

void versions_prune(struct versions *all)
{
    const struct version *previous = versions_previous(all);
    size_t bundles = 0, bytes = 0, told = 0;
    struct list *older;
    for (struct list *node = all->all.prev; node != &all->all; node = older) {
        struct version *v = version_of(node);
        older = node->prev;
        bool needed = v == all->current || v == all->canary || v == previous;
        if (v->bundle >= 0) {
            bundles++;
            bytes += v->bytes;
            if (!needed && (bundles > VERSIONS_BUNDLES || bytes > VERSIONS_BYTES)) {
                bundles--;
                bytes -= v->bytes;
                drop_bundle(v);
            }
        }
        if (++told > VERSIONS_TOLD && !needed)
            version_free(v);
    }
}

enum version_state versions_state(const struct versions *all, const struct version *v)
{
    if (v == all->current)
        return VERSION_CURRENT;
    if (v == all->canary)
        return VERSION_CANARY;
    if (v->bundle < 0)
        return VERSION_OLD;
    if (v->rolled_back)
        return VERSION_ROLLED_BACK;
    return v == versions_previous(all) ? VERSION_PREVIOUS : VERSION_KEPT;
}

const char *version_state_name(enum version_state state)
{
    static const char *const names[] = {"current",     "canary", "previous",
                                        "rolled back", "kept",   "old"};
    return names[state];
}

/* --- what differs ----------------------------------------------------------------------------- */

const char *version_path(const char *path, const char *root)
{
    size_t n = root ? strlen(root) : 0;
    while (n && root[n - 1] == '/')
        n--;
    return n && strncmp(path, root, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool sort_into(json_t *list, const char **names, size_t n)
{
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(list, json_string(names[i])))
            return false;
    return true;
}

/* The paths of `these` that are not in `others`, or, if `changed`, are there with another hash. */
static json_t *difference(json_t *these, json_t *others, bool changed, const char *root)
{
    json_t *list = json_array(), *hash;
    const char *path, **names = calloc(json_object_size(these) + 1, sizeof *names);
    size_t n = 0;
    json_object_foreach(these, path, hash)
    {
        json_t *other = json_object_get(others, path);
        if (names && (changed ? other && !json_equal(hash, other) : !other))
            names[n++] = version_path(path, root);
    }
    if (!names || !list || !sort_into(list, names, n)) {
        json_decref(list);
        list = NULL;
    }
    free(names);
    return list;
}

bool version_compare(const struct version *from, const struct version *to, const char *root,
                     struct version_changes *changes)
{
    json_t *before = from ? from->files : NULL;
    changes->changed = difference(to->files, before, true, root);
    changes->added = difference(to->files, before, false, root);
    changes->removed = difference(before, to->files, false, root);
    if (changes->changed && changes->added && changes->removed)
        return true;
    version_changes_free(changes);
    return false;
}

void version_changes_free(struct version_changes *changes)
{
    json_decref(changes->changed);
    json_decref(changes->added);
    json_decref(changes->removed);
    *changes = (struct version_changes){0};
}
