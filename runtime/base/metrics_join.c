/* One page out of those of several processes: see metrics_join. */
#include "base/map.h"
#include "base/metrics.h"

#include <stdlib.h>

/* A family of the joint page; its parts point into the pages. */
struct joint {
    struct joint *next;
    struct slice name;
    struct slice help, type; /* the whole lines, with their line feeds; `help` may be empty */
    struct buf samples;
};

struct join {
    struct map *names; /* of families -> struct joint */
    struct joint *first, **end;
    struct slice label;
    struct joint *current; /* whose samples are read; NULL: those that follow are left out */
    struct slice name;     /* of the last HELP or TYPE ... */
    struct slice help;     /* ... and its HELP */
};

static struct slice take_line(struct slice *text)
{
    const char *end = text->len ? memchr(text->ptr, '\n', text->len) : NULL;
    size_t n = end ? (size_t)(end - text->ptr) + 1 : text->len;
    struct slice line = {text->ptr, n};
    text->ptr += n;
    text->len -= n;
    return line;
}

/* The bytes up to one of `ends`, or all. */
static struct slice word_of(struct slice text, const char *ends)
{
    size_t n = 0;
    while (n < text.len && !memchr(ends, text.ptr[n], strlen(ends)))
        n++;
    return (struct slice){text.ptr, n};
}

static struct slice behind(struct slice text, size_t n)
{
    return n < text.len ? (struct slice){text.ptr + n, text.len - n} : (struct slice){"", 0};
}

/* "# HELP name ..." and "# TYPE name ...": what follows the keyword. */
static bool is_comment(struct slice line, const char *keyword, struct slice *name)
{
    size_t n = strlen(keyword);
    if (line.len <= n || memcmp(line.ptr, keyword, n) != 0)
        return false;
    *name = word_of(behind(line, n), " \n");
    return name->len > 0;
}

static bool begin_family(struct join *j, struct slice name, struct slice line)
{
    struct joint *family = map_get(j->names, name);
    if (family) { /* in a page before this one */
        j->current = slice_equal(family->type, line) ? family : NULL;
        return true;
    }
    family = calloc(1, sizeof *family);
    if (!family)
        return false;
    if (!map_set(j->names, name, family)) {
        free(family);
        return false;
    }
    family->name = name;
    family->type = line;
    if (slice_equal(j->name, name))
        family->help = j->help;
    *j->end = j->current = family;
    j->end = &family->next;
    return true;
}

static bool is_sample(const struct joint *family, struct slice name, struct slice rest)
{
    return name.len >= family->name.len && rest.len >= 3 &&
           memcmp(name.ptr, family->name.ptr, family->name.len) == 0;
}

/* `name{labels} value` or `name value`, with the part's label in front of its own. */
static bool add_sample(struct join *j, struct slice line)
{
    struct buf *out = &j->current->samples;
    struct slice name = word_of(line, "{ \n"), rest = behind(line, name.len);
    bool labelled = rest.ptr[0] == '{';
    if (!is_sample(j->current, name, rest))
        return true;
    if (j->label.len == 0)
        return buf_append(out, line.ptr, line.len);
    if (!buf_append(out, name.ptr, name.len) || !buf_append(out, "{", 1) ||
        !buf_append(out, j->label.ptr, j->label.len))
        return false;
    if (labelled)
        return (rest.ptr[1] == '}' || buf_append(out, ",", 1)) &&
               buf_append(out, rest.ptr + 1, rest.len - 1);
    return buf_append(out, "}", 1) && buf_append(out, rest.ptr, rest.len);
}

static bool read_line(struct join *j, struct slice line)
{
    struct slice name;
    if (line.ptr[line.len - 1] != '\n')
        return true; /* the page is cut off here */
    if (is_comment(line, "# HELP ", &name)) {
        j->name = name;
        j->help = line;
        j->current = NULL;
        return true;
    }
    if (is_comment(line, "# TYPE ", &name))
        return begin_family(j, name, line);
    return !j->current || add_sample(j, line);
}

static bool read_part(struct join *j, const struct metrics_part *part)
{
    struct slice text = part->text;
    j->label = part->label;
    j->current = NULL;
    j->name = j->help = (struct slice){"", 0};
    while (text.len > 0)
        if (!read_line(j, take_line(&text)))
            return false;
    return true;
}

static bool write_joint(struct buf *out, const struct joint *family)
{
    return family->samples.len == 0 || (buf_append(out, family->help.ptr, family->help.len) &&
                                        buf_append(out, family->type.ptr, family->type.len) &&
                                        buf_append(out, family->samples.data, family->samples.len));
}

bool metrics_join(struct buf *out, const struct metrics_part *parts, size_t count)
{
    size_t before = out->len;
    /* the names are those of our own processes: no seed is needed against chosen ones */
    struct join j = {.names = map_new(1), .end = &j.first};
    bool ok = j.names != NULL;
    for (size_t i = 0; i < count && ok; i++)
        ok = read_part(&j, &parts[i]);
    for (const struct joint *f = j.first; f && ok; f = f->next)
        ok = write_joint(out, f);
    if (!ok)
        out->len = before;
    for (struct joint *f = j.first, *next; f; f = next) {
        next = f->next;
        buf_free(&f->samples);
        free(f);
    }
    map_free(j.names);
    return ok;
}
