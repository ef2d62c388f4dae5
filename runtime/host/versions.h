/* The versions of the app's code that the master knows, and their bundles: what a rollback goes
 * back to. A bundle is a sealed file in memory (channel_file_new), so the disk is not asked again.
 */
#ifndef TIDEWIRE_HOST_VERSIONS_H
#define TIDEWIRE_HOST_VERSIONS_H

#include "base/list.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define VERSIONS_BUNDLES 10                        /* kept, at most */
#define VERSIONS_BYTES ((size_t)256 * 1024 * 1024) /* of all bundles together */
#define VERSIONS_TOLD 20                           /* told about, with a bundle or without */
#define VERSIONS_HASH 64                           /* SHA-256, in hexadecimal digits */

enum version_state {
    VERSION_CURRENT,
    VERSION_CANARY,      /* serves a share of the connections */
    VERSION_PREVIOUS,    /* what a rollback without a number goes to */
    VERSION_ROLLED_BACK, /* was given up for an older one */
    VERSION_KEPT,        /* an older one, to be rolled back to by its number */
    VERSION_OLD,         /* its bundle is gone */
};

struct version {
    struct list node;
    unsigned number; /* from 1; 0: it serves nobody yet */
    char hash[VERSIONS_HASH + 1];
    double time;  /* when it was read, seconds since 1970 */
    double since; /* when it began to serve, the last time */
    bool rolled_back;
    char *reason; /* of that; may be NULL */
    int bundle;   /* -1: gone */
    size_t bytes; /* of the bundle */
    json_int_t state_version;
    json_t *files; /* { path = hash } */
};

struct versions {
    struct list all;                  /* the oldest first */
    struct version *current, *canary; /* NULL: none */
};

/* One that no list has yet, from the scout's report; takes `bundle`, also when memory is short
 * (NULL). */
struct version *version_new(const json_t *report, int bundle, size_t bytes);
void version_free(struct version *v); /* NULL is ignored */

void versions_init(struct versions *all);
void versions_free(struct versions *all);

/* Becomes the newest, with the next number. */
void versions_add(struct versions *all, struct version *v);
unsigned versions_next(const struct versions *all); /* that number */

struct version *versions_find(const struct versions *all, unsigned number); /* NULL: none */

/* Where a rollback without a number goes: the newest before the current one that has not been given
 * up and whose bundle is there; NULL: there is none. */
struct version *versions_previous(const struct versions *all);

/* The canary is given up for another one. */
void versions_give_up(struct version *v, const char *reason);

/* The current one is given up for `v`, and whatever came after `v` too: who goes back beyond a
 * version does not mean to go back to that one later. */
void versions_go_back(struct versions *all, const struct version *v, const char *reason);

/* Forgets bundles, the oldest first, until the bounds above are kept; never that of the current
 * one, of the canary or of the previous one. */
void versions_prune(struct versions *all);

enum version_state versions_state(const struct versions *all, const struct version *v);
const char *version_state_name(enum version_state state); /* as `versions` tells it */

/* A path as it is told: relative to `root` when it is below it. */
const char *version_path(const char *path, const char *root);

void version_serves(struct version *v); /* it begins to serve now */

/* What differs between two versions: sorted paths, those below `root` relative to it. New
 * references; false: memory short, and none. `from` may be NULL. */
struct version_changes {
    json_t *changed, *added, *removed;
};
bool version_compare(const struct version *from, const struct version *to, const char *root,
                     struct version_changes *changes);
void version_changes_free(struct version_changes *changes);

#endif
