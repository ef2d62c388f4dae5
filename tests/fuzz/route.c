/* wire/route against a matcher that tries all patterns. An input is lines of patterns ("*" in front
 * makes a mount), an empty line, and lines of paths. */
#include "wire/route.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#define PATTERNS_MAX 32
#define SEGMENTS_MAX 64

/* Split at slashes: "/a/" has the segments "a" and "". */
struct segments {
    size_t count;
    struct slice list[SEGMENTS_MAX];
};

struct pattern {
    bool mount;
    struct slice text;
    struct segments segments;
};

struct patterns {
    size_t count;
    struct pattern list[PATTERNS_MAX];
};

/* false: no slash in front, or too long for this test. */
static bool split(struct slice text, struct segments *out)
{
    out->count = 0;
    if (text.len == 0 || text.ptr[0] != '/')
        return false;
    for (size_t i = 1, start = 1; i <= text.len; i++) {
        if (i < text.len && text.ptr[i] != '/')
            continue;
        if (out->count == SEGMENTS_MAX)
            return false;
        out->list[out->count++] = (struct slice){text.ptr + start, i - start};
        start = i + 1;
    }
    return true;
}

static bool is_capture(struct slice segment)
{
    return segment.len && segment.ptr[0] == ':';
}

static bool is_identifier(struct slice s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    for (size_t i = 0; i < s.len; i++) {
        const char *at = s.ptr[i] ? strchr(letters, s.ptr[i]) : NULL;
        if (!at || (i == 0 && *at >= '0' && *at <= '9'))
            return false;
    }
    return s.len > 0;
}

/* The verdict on one pattern by itself, with the first fault from the left. */
static int expected_error(const struct segments *s)
{
    size_t captures = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct slice segment = s->list[i];
        if (segment.len == 0 && i + 1 < s->count)
            return ROUTE_ERR_EMPTY;
        if (slice_is(segment, ".") || slice_is(segment, ".."))
            return ROUTE_ERR_DOTS;
        if (!is_capture(segment))
            continue;
        if (!is_identifier((struct slice){segment.ptr + 1, segment.len - 1}))
            return ROUTE_ERR_NAME;
        for (size_t j = 0; j < i; j++)
            if (slice_equal(s->list[j], segment))
                return ROUTE_ERR_NAME;
        if (++captures > ROUTE_CAPTURES_MAX)
            return ROUTE_ERR_CAPTURES;
    }
    return 0;
}

static bool same_paths(const struct pattern *a, const struct pattern *b)
{
    if (a->mount != b->mount || a->segments.count != b->segments.count)
        return false;
    for (size_t i = 0; i < a->segments.count; i++) {
        struct slice x = a->segments.list[i], y = b->segments.list[i];
        if (is_capture(x) != is_capture(y) || (!is_capture(x) && !slice_equal(x, y)))
            return false;
    }
    return true;
}

static void add(struct route_table *t, struct patterns *all, struct slice line)
{
    struct pattern *p = &all->list[all->count];
    p->mount = line.len && line.ptr[0] == '*';
    p->text = p->mount ? (struct slice){line.ptr + 1, line.len - 1} : line;
    int wanted = ROUTE_ERR_SLASH;
    if (split(p->text, &p->segments))
        wanted = expected_error(&p->segments);
    else if (p->text.len && p->text.ptr[0] == '/')
        return;
    if (p->mount && wanted == 0 && p->segments.list[p->segments.count - 1].len == 0)
        p->segments.count--; /* the slash at its end */
    for (size_t i = 0; i < all->count && wanted == 0; i++)
        if (same_paths(p, &all->list[i]))
            wanted = ROUTE_ERR_DUPLICATE;
    /* from a copy that goes away: the table keeps its own */
    unsigned char *copy = fuzz_copy(p->text.ptr, p->text.len);
    int rc = route_add(t, (struct slice){(char *)copy, p->text.len}, p->mount, p);
    memset(copy, 'x', p->text.len);
    free(copy);
    CHECK(rc == wanted && (rc == 0 || strlen(route_error_text(rc)) > 0));
    if (rc == 0)
        all->count++;
}

static bool matches(const struct pattern *p, const struct segments *path)
{
    size_t n = p->segments.count;
    if (p->mount ? path->count < n : path->count != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        struct slice wanted = p->segments.list[i], is = path->list[i];
        if (is_capture(wanted) ? is.len == 0 : !slice_equal(wanted, is))
            return false;
    }
    return true;
}

/* Of two patterns that match: is the first the better one? */
static bool is_better(const struct pattern *a, const struct pattern *b)
{
    for (size_t i = 0;; i++) {
        bool a_ends = i == a->segments.count, b_ends = i == b->segments.count;
        if (a_ends || b_ends)
            return a_ends && b_ends ? !a->mount : b_ends;
        bool a_captures = is_capture(a->segments.list[i]),
             b_captures = is_capture(b->segments.list[i]);
        if (a_captures != b_captures)
            return b_captures;
    }
}

static void check_captures(const struct pattern *p, const struct segments *path,
                           const struct route_match *match)
{
    size_t count = 0;
    for (size_t i = 0; i < p->segments.count; i++) {
        struct slice segment = p->segments.list[i];
        if (!is_capture(segment))
            continue;
        CHECK(count < match->capture_count);
        const struct route_capture *capture = &match->captures[count++];
        CHECK(slice_equal(capture->name, (struct slice){segment.ptr + 1, segment.len - 1}));
        CHECK(slice_equal(capture->value, path->list[i]) &&
              capture->value.ptr == path->list[i].ptr);
    }
    CHECK(count == match->capture_count);
}

static void check_rest(const struct pattern *p, const struct segments *path,
                       const struct route_match *match, struct slice text)
{
    struct slice wanted = {"", 0};
    if (path->count > p->segments.count) {
        wanted.ptr = path->list[p->segments.count].ptr;
        wanted.len = (size_t)(text.ptr + text.len - wanted.ptr);
    }
    CHECK(slice_equal(match->rest, wanted));
    CHECK(match->rest.len == 0 || match->rest.ptr[0] != '/');
}

static void find(const struct route_table *t, const struct patterns *all, struct slice text)
{
    struct segments path;
    struct route_match match;
    const struct pattern *best = NULL;
    bool found = route_find(t, text, &match);
    if (!split(text, &path)) {
        CHECK(!found || text.ptr[0] == '/'); /* too long to tell */
        return;
    }
    bool empty = false;
    for (size_t i = 0; i + 1 < path.count; i++)
        empty = empty || path.list[i].len == 0;
    for (size_t i = 0; i < all->count && !empty; i++)
        if (matches(&all->list[i], &path) && (!best || is_better(&all->list[i], best)))
            best = &all->list[i];
    CHECK(found == (best != NULL));
    if (!best)
        return;
    CHECK(match.target == best);
    check_captures(best, &path, &match);
    if (best->mount)
        check_rest(best, &path, &match, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct patterns all;
    struct fuzz_input in = {data, data + size};
    struct route_table *t = route_table_new();
    CHECK(t != NULL);
    all.count = 0;
    for (struct slice line; all.count < PATTERNS_MAX && (line = fuzz_until(&in, '\n')).len;)
        add(t, &all, line);
    while (fuzz_left(&in))
        find(t, &all, fuzz_until(&in, '\n'));
    route_table_free(t);
    return 0;
}
