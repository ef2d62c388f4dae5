/* E. W. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986): furthest points reached
 * with d edits, for d = 0, 1, ...; the points of all d are kept, and the way is read backwards. */
#include "host/diff.h"

#include <stdint.h>
#include <stdlib.h>

struct lines {
    struct slice *line; /* each without its line feed */
    size_t count;
    bool ends; /* the last one has a line feed */
};

struct diff {
    struct lines from, to;
    size_t skip;              /* lines that are the same in front */
    size_t from_n, to_n;      /* lines between what is the same in front and behind */
    bool *deleted, *inserted; /* of all lines of `from`, and of `to` */
};

/* --- lines ------------------------------------------------------------------------------------ */

static bool split(struct lines *l, struct slice text)
{
    const char *end = text.ptr + text.len;
    size_t n = 0;
    for (const char *at = text.ptr; at && at < end; n++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : end;
    }
    l->line = calloc(n + 1, sizeof *l->line);
    l->ends = text.len == 0 || end[-1] == '\n';
    if (!l->line)
        return false;
    for (const char *at = text.ptr; l->count < n;) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        const char *stop = feed ? feed : end;
        l->line[l->count++] = (struct slice){at, (size_t)(stop - at)};
        at = stop + 1;
    }
    return true;
}

/* The last line with a line feed is not the last line without one. */
static bool same(const struct diff *d, size_t from, size_t to)
{
    bool from_fed = from + 1 < d->from.count || d->from.ends;
    bool to_fed = to + 1 < d->to.count || d->to.ends;
    return from_fed == to_fed && slice_equal(d->from.line[from], d->to.line[to]);
}

static void trim(struct diff *d)
{
    size_t n = d->from.count, m = d->to.count;
    while (d->skip < n && d->skip < m && same(d, d->skip, d->skip))
        d->skip++;
    while (n > d->skip && m > d->skip && same(d, n - 1, m - 1)) {
        n--;
        m--;
    }
    d->from_n = n - d->skip;
    d->to_n = m - d->skip;
}

/* --- the shortest way ------------------------------------------------------------------------- */

static void mark_all(struct diff *d)
{
    memset(d->deleted + d->skip, true, d->from_n);
    memset(d->inserted + d->skip, true, d->to_n);
}

/* How far down diagonal k (x - y) one comes with `edits`, given the points for one less. */
static int32_t reach(const struct diff *d, const int32_t *before, int32_t k, int32_t edits)
{
    bool down = k == -edits || (k != edits && before[k - 1] < before[k + 1]);
    int32_t x = edits == 0 ? 0 : down ? before[k + 1] : before[k - 1] + 1;
    int32_t y = x - k;
    while (x >= 0 && y >= 0 && (size_t)x < d->from_n && (size_t)y < d->to_n &&
           same(d, d->skip + (size_t)x, d->skip + (size_t)y)) {
        x++;
        y++;
    }
    return x;
}

/* `points[e]` are those of e edits, around its diagonal 0. */
static void read_back(struct diff *d, int32_t **points, int32_t edits)
{
    int32_t x = (int32_t)d->from_n, y = (int32_t)d->to_n;
    for (; edits > 0; edits--) {
        const int32_t *before = points[edits - 1];
        int32_t k = x - y;
        bool down = k == -edits || (k != edits && before[k - 1] < before[k + 1]);
        int32_t from_k = down ? k + 1 : k - 1;
        x = before[from_k];
        y = x - from_k;
        if (down && y >= 0 && (size_t)y < d->to_n)
            d->inserted[d->skip + (size_t)y] = true;
        else if (!down && x >= 0 && (size_t)x < d->from_n)
            d->deleted[d->skip + (size_t)x] = true;
    }
}

/* false: memory short. */
static bool search(struct diff *d)
{
    int32_t *rows[DIFF_EDITS + 1] = {0}, *points[DIFF_EDITS + 1] = {0};
    int32_t goal = (int32_t)d->from_n - (int32_t)d->to_n, edits = 0;
    bool found = false, memory = true;
    for (; !found && edits <= DIFF_EDITS; edits++) {
        /* room for the diagonals from -(edits + 1) to edits + 1, which are looked at and not set */
        rows[edits] = calloc(2 * (size_t)edits + 3, sizeof **rows);
        memory = rows[edits];
        if (!memory)
            break;
        points[edits] = rows[edits] + edits + 1;
        points[edits][-edits - 1] = points[edits][edits + 1] = -1;
        for (int32_t k = -edits; k <= edits; k += 2) {
            points[edits][k] = reach(d, edits ? points[edits - 1] : NULL, k, edits);
            found = found || (k == goal && (size_t)points[edits][k] >= d->from_n);
        }
    }
    if (found)
        read_back(d, points, edits - 1);
    else
        mark_all(d);
    for (int32_t i = 0; i < edits || (i <= DIFF_EDITS && rows[i]); i++)
        free(rows[i]);
    return memory;
}

/* --- hunks ------------------------------------------------------------------------------------ */

static bool put_line(struct buf *out, char mark, const struct lines *l, size_t i)
{
    static const char unfed[] = "\n\\ No newline at end of file\n";
    bool fed = i + 1 < l->count || l->ends;
    return buf_append(out, &mark, 1) && buf_append(out, l->line[i].ptr, l->line[i].len) &&
           buf_append_str(out, fed ? "\n" : unfed);
}

/* The lines [from, from_end) and [to, to_end), which end together. */
static bool put_hunk(struct buf *out, const struct diff *d, size_t from, size_t from_end, size_t to,
                     size_t to_end)
{
    size_t n = from_end - from, m = to_end - to;
    bool ok =
        buf_printf(out, "@@ -%zu,%zu +%zu,%zu @@\n", n ? from + 1 : from, n, m ? to + 1 : to, m);
    while (ok && (from < from_end || to < to_end)) {
        if (from < from_end && d->deleted[from])
            ok = put_line(out, '-', &d->from, from++);
        else if (to < to_end && d->inserted[to])
            ok = put_line(out, '+', &d->to, to++);
        else
            ok = put_line(out, ' ', &d->from, from++), to++;
    }
    return ok;
}

static bool differs_at(const struct diff *d, size_t from, size_t to)
{
    return (from < d->from.count && d->deleted[from]) || (to < d->to.count && d->inserted[to]);
}

/* The end of the hunk that begins with the difference at (*from, *to): where more lines are the
 * same than two hunks have around them. */
static void find_end(const struct diff *d, size_t *from, size_t *to)
{
    size_t x = *from, y = *to, quiet = 0;
    while (x < d->from.count || y < d->to.count) {
        if (x < d->from.count && d->deleted[x]) {
            x++;
        } else if (y < d->to.count && d->inserted[y]) {
            y++;
        } else {
            if (++quiet > 2 * DIFF_CONTEXT)
                break;
            x++;
            y++;
            continue;
        }
        quiet = 0;
        *from = x;
        *to = y;
    }
}

static bool put_hunks(struct buf *out, const struct diff *d)
{
    size_t from = 0, to = 0;
    while (from < d->from.count || to < d->to.count) {
        if (!differs_at(d, from, to)) {
            from++;
            to++;
            continue;
        }
        size_t before = from < DIFF_CONTEXT ? from : DIFF_CONTEXT;
        before = to < before ? to : before;
        size_t first = from - before, first_to = to - before;
        find_end(d, &from, &to);
        size_t after = d->from.count - from < DIFF_CONTEXT ? d->from.count - from : DIFF_CONTEXT;
        if (!put_hunk(out, d, first, from + after, first_to, to + after))
            return false;
    }
    return true;
}

bool diff_append(struct buf *out, struct slice from, struct slice to)
{
    struct diff d = {0};
    bool ok = split(&d.from, from) && split(&d.to, to);
    d.deleted = calloc(d.from.count + 1, sizeof *d.deleted);
    d.inserted = calloc(d.to.count + 1, sizeof *d.inserted);
    ok = ok && d.deleted && d.inserted;
    if (ok) {
        trim(&d);
        ok = search(&d) && put_hunks(out, &d);
    }
    free(d.from.line);
    free(d.to.line);
    free(d.deleted);
    free(d.inserted);
    return ok;
}
