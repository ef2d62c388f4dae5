/* Route patterns: "/", "/rooms/:room", "/files/" ... matched against canonical paths (uri.h).
 *
 * A pattern is a list of segments, taken literally (nothing is percent-decoded); ":name" captures
 * one non-empty segment. A route added as a mount also takes every path below it. Of several that
 * match, the one whose first differing segment is more literal wins: literal before capture before
 * mount. Matching costs the number of segments, not the number of routes; only where a literal and
 * a capture both fit a segment, both ways are gone, the literal one first. */
#ifndef TIDEWIRE_WIRE_ROUTE_H
#define TIDEWIRE_WIRE_ROUTE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

#define ROUTE_CAPTURES_MAX 16

enum route_error {
    ROUTE_ERR_SLASH = -1,     /* does not start with "/" */
    ROUTE_ERR_EMPTY = -2,     /* "//" */
    ROUTE_ERR_NAME = -3,      /* a capture's name is no identifier, or twice in the pattern */
    ROUTE_ERR_CAPTURES = -4,  /* more than ROUTE_CAPTURES_MAX */
    ROUTE_ERR_DUPLICATE = -5, /* another route matches exactly the same paths */
    ROUTE_ERR_DOTS = -6,      /* a segment "." or ".." can never match */
    ROUTE_ERR_MEMORY = -7,
};

struct route_capture {
    struct slice name;  /* lives as long as the table */
    struct slice value; /* slice of the matched path */
};

struct route_match {
    void *target;
    size_t capture_count;
    struct route_capture captures[ROUTE_CAPTURES_MAX];
    struct slice rest; /* of a mount: what lies below it, without a leading "/"; may be empty */
};

struct route_table *route_table_new(void);    /* NULL when memory is short */
void route_table_free(struct route_table *t); /* NULL is ignored */

/* The pattern is copied; `target` is the caller's. 0 or an enum route_error, and then the table
 * matches what it matched before. A mount's pattern may end in "/" or not: both mean the folder,
 * with and without the slash. For other routes "/a" and "/a/" are two paths. */
int route_add(struct route_table *t, struct slice pattern, bool mount, void *target);

/* `path` is canonical. One with an empty segment before its last matches nothing, so that `rest`
 * never starts with a slash. false: no route; `*match` is then not to be read. */
bool route_find(const struct route_table *t, struct slice path, struct route_match *match);

const char *route_error_text(int error);

#endif
