#include "wire/route.h"

#include "base/map.h"

#include <stdlib.h>
#include <string.h>

/* What a matching path leads to. Names belong to the route, not to the nodes: "/:a/x" and "/:b/y"
 * share a node. */
struct endpoint {
    void *target;
    size_t name_count;
    struct slice names[]; /* their characters stand behind the array */
};

/* One place between two slashes. A tree of these holds all patterns. */
struct node {
    struct map *literals; /* segment -> struct node; NULL when there is none */
    struct node *capture;
    struct endpoint *exact; /* a path that ends here */
    struct endpoint *mount; /* a path that ends here or goes on */
};

struct route_table {
    struct node root;
};

/* The captures of a pattern that is being added. */
struct names {
    size_t count;
    struct slice list[ROUTE_CAPTURES_MAX];
};

struct route_table *route_table_new(void)
{
    return calloc(1, sizeof(struct route_table));
}

/* Recursion goes as deep as the longest pattern. */
static void node_clear(struct node *n)
{
    if (n->literals) {
        size_t at = 0;
        struct node *child;
        while ((child = map_next(n->literals, &at, NULL))) {
            node_clear(child);
            free(child);
        }
        map_free(n->literals);
    }
    if (n->capture) {
        node_clear(n->capture);
        free(n->capture);
    }
    free(n->exact);
    free(n->mount);
}

void route_table_free(struct route_table *t)
{
    if (!t)
        return;
    node_clear(&t->root);
    free(t);
}

/* Takes "/segment" off the front: "/a/" is the two segments "a" and "", "/" the one "". */
static bool next_segment(struct slice *rest, struct slice *segment)
{
    if (rest->len == 0)
        return false;
    const char *start = rest->ptr + 1;
    size_t left = rest->len - 1;
    const char *slash = left ? memchr(start, '/', left) : NULL;
    size_t n = slash ? (size_t)(slash - start) : left;
    *segment = (struct slice){start, n};
    *rest = (struct slice){start + n, left - n};
    return true;
}

static bool is_letter(char c)
{
    return c == '_' || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

static bool is_identifier(struct slice s)
{
    if (s.len == 0 || !is_letter(s.ptr[0]))
        return false;
    for (size_t i = 1; i < s.len; i++)
        if (!is_letter(s.ptr[i]) && !(s.ptr[i] >= '0' && s.ptr[i] <= '9'))
            return false;
    return true;
}

static int add_name(struct names *names, struct slice name)
{
    if (!is_identifier(name))
        return ROUTE_ERR_NAME;
    for (size_t i = 0; i < names->count; i++)
        if (slice_equal(names->list[i], name))
            return ROUTE_ERR_NAME;
    if (names->count == ROUTE_CAPTURES_MAX)
        return ROUTE_ERR_CAPTURES;
    names->list[names->count++] = name;
    return 0;
}

static bool is_capture(struct slice segment)
{
    return segment.len && segment.ptr[0] == ':';
}

static int check_pattern(struct slice pattern, struct names *names)
{
    struct slice segment;
    names->count = 0;
    if (pattern.len == 0 || pattern.ptr[0] != '/')
        return ROUTE_ERR_SLASH;
    while (next_segment(&pattern, &segment)) {
        int rc = 0;
        if (segment.len == 0 && pattern.len)
            rc = ROUTE_ERR_EMPTY;
        else if (slice_is(segment, ".") || slice_is(segment, ".."))
            rc = ROUTE_ERR_DOTS;
        else if (is_capture(segment))
            rc = add_name(names, (struct slice){segment.ptr + 1, segment.len - 1});
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* The node below n for a segment of a pattern, made when it is not there. NULL: memory short. */
static struct node *node_below(struct node *n, struct slice segment)
{
    if (is_capture(segment)) {
        if (!n->capture)
            n->capture = calloc(1, sizeof *n->capture);
        return n->capture;
    }
    /* no seed: the keys are the developer's, and a peer can only ask for them */
    if (!n->literals && !(n->literals = map_new(0)))
        return NULL;
    struct node *child = map_get(n->literals, segment);
    if (child)
        return child;
    child = calloc(1, sizeof *child);
    if (child && !map_set(n->literals, segment, child)) {
        free(child);
        return NULL;
    }
    return child;
}

static struct endpoint *endpoint_new(const struct names *names, void *target)
{
    size_t size = sizeof(struct endpoint) + names->count * sizeof(struct slice);
    size_t text_size = 0;
    for (size_t i = 0; i < names->count; i++)
        text_size += names->list[i].len;
    struct endpoint *e = malloc(size + text_size);
    if (!e)
        return NULL;
    char *text = (char *)e + size;
    e->target = target;
    e->name_count = names->count;
    for (size_t i = 0; i < names->count; i++) {
        struct slice name = names->list[i];
        memcpy(text, name.ptr, name.len);
        e->names[i] = (struct slice){text, name.len};
        text += name.len;
    }
    return e;
}

int route_add(struct route_table *t, struct slice pattern, bool mount, void *target)
{
    struct names names;
    int rc = check_pattern(pattern, &names);
    if (rc != 0)
        return rc;
    struct node *n = &t->root;
    struct slice segment;
    while (next_segment(&pattern, &segment)) {
        if (mount && segment.len == 0)
            break; /* the slash at the end of a mount */
        n = node_below(n, segment);
        if (!n)
            return ROUTE_ERR_MEMORY; /* nodes made so far lead nowhere, and harm nobody */
    }
    struct endpoint **place = mount ? &n->mount : &n->exact;
    if (*place)
        return ROUTE_ERR_DUPLICATE;
    *place = endpoint_new(&names, target);
    return *place ? 0 : ROUTE_ERR_MEMORY;
}

/* Depth first, more literal first; recursion goes as deep as the longest pattern, whatever the
 * path. On success match->captures has the values. */
static const struct endpoint *find_below(const struct node *n, struct slice path,
                                         struct route_match *match)
{
    struct slice rest = path, segment;
    const struct endpoint *found = NULL;
    if (!next_segment(&rest, &segment)) {
        match->rest = (struct slice){"", 0};
        return n->exact ? n->exact : n->mount;
    }
    const struct node *literal = n->literals ? map_get(n->literals, segment) : NULL;
    if (literal)
        found = find_below(literal, rest, match);
    if (!found && n->capture && segment.len) {
        match->captures[match->capture_count++].value = segment;
        found = find_below(n->capture, rest, match);
        if (!found)
            match->capture_count--;
    }
    if (!found && n->mount) {
        match->rest = (struct slice){path.ptr + 1, path.len - 1};
        found = n->mount;
    }
    return found;
}

static bool has_inner_empty_segment(struct slice path)
{
    for (size_t i = 0; i + 1 < path.len; i++)
        if (path.ptr[i] == '/' && path.ptr[i + 1] == '/')
            return true;
    return false;
}

bool route_find(const struct route_table *t, struct slice path, struct route_match *match)
{
    match->capture_count = 0;
    if (path.len == 0 || path.ptr[0] != '/' || has_inner_empty_segment(path))
        return false;
    const struct endpoint *e = find_below(&t->root, path, match);
    if (!e)
        return false;
    match->target = e->target;
    for (size_t i = 0; i < e->name_count; i++)
        match->captures[i].name = e->names[i];
    return true;
}

const char *route_error_text(int error)
{
    switch (error) {
    case ROUTE_ERR_SLASH:
        return "a route starts with /";
    case ROUTE_ERR_EMPTY:
        return "a route has no empty segment (//)";
    case ROUTE_ERR_NAME:
        return "the name after : is a letter or _, then letters, digits or _, and is used once";
    case ROUTE_ERR_CAPTURES:
        return "a route has at most 16 captures";
    case ROUTE_ERR_DUPLICATE:
        return "another route matches the same paths";
    case ROUTE_ERR_DOTS:
        return "a segment . or .. never matches";
    case ROUTE_ERR_MEMORY:
        return "memory is short";
    default:
        return "malformed route";
    }
}
