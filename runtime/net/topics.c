#include "net/topics.h"

#include "base/list.h"
#include "base/map.h"
#include "wire/utf8.h"

#include <stdlib.h>
#include <string.h>

/* A filter without wildcards is found in one look-up, whatever its levels. Filters with wildcards
 * are in a map of their own together with their beginnings ("a/+/b/#" with "a/+/b", "a/+" and
 * "a"), so that a search goes down level by level and follows only what exists. */
struct topics {
    struct map *exact, *wild; /* text -> struct filter */
    uint64_t publications;
    size_t filters; /* with subscribers */
};

/* Lives while it has subscribers or is the beginning of one that has. */
struct filter {
    struct list subscriptions;
    struct filter *above; /* one level less; NULL at the first level and for exact filters */
    unsigned count;       /* of subscriptions */
    unsigned below;       /* filters that have this one above them */
    bool exact;
    uint8_t len;
    char text[]; /* the maps keep copies of their own, but do not tell where */
};

struct subscription {
    struct list node;                  /* in filter->subscriptions */
    struct subscription *next, **link; /* in who's */
    struct subscriber *who;
    struct filter *filter;
};

struct topics *topics_new(uint64_t seed)
{
    struct topics *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->exact = map_new(seed);
    t->wild = map_new(seed);
    if (t->exact && t->wild)
        return t;
    topics_free(t);
    return NULL;
}

void topics_free(struct topics *t)
{
    if (!t)
        return;
    map_free(t->exact);
    map_free(t->wild);
    free(t);
}

size_t topics_count(const struct topics *t)
{
    return t->filters;
}

/* The level that begins at text.ptr[at]; empty at the end. */
static struct slice level_at(struct slice text, size_t at)
{
    const char *start = text.ptr + at, *slash = memchr(start, '/', text.len - at);
    return (struct slice){start, slash ? (size_t)(slash - start) : text.len - at};
}

static bool level_valid(struct slice level, bool last, bool wildcards)
{
    if (wildcards && (slice_is(level, "+") || (last && slice_is(level, "#"))))
        return true;
    for (size_t i = 0; i < level.len; i++)
        if (level.ptr[i] == '+' || level.ptr[i] == '#' || level.ptr[i] == '\0')
            return false;
    return level.len > 0;
}

static bool text_valid(struct slice text, bool wildcards)
{
    if (text.len == 0 || text.len > TOPIC_MAX ||
        !utf8_valid((const unsigned char *)text.ptr, text.len))
        return false;
    for (size_t at = 0;; at++) { /* from behind one slash to the next */
        struct slice level = level_at(text, at);
        at += level.len;
        if (!level_valid(level, at == text.len, wildcards))
            return false;
        if (at == text.len)
            return true;
    }
}

bool topics_topic_valid(struct slice topic)
{
    return text_valid(topic, false);
}

bool topics_filter_valid(struct slice filter)
{
    return text_valid(filter, true);
}

static bool is_wild(struct slice filter)
{
    return memchr(filter.ptr, '+', filter.len) || memchr(filter.ptr, '#', filter.len);
}

/* Without the last level; empty when there is only one. */
static struct slice text_above(struct slice text)
{
    while (text.len && text.ptr[text.len - 1] != '/')
        text.len--;
    if (text.len)
        text.len--;
    return text;
}

/* Frees a filter that is no longer needed, and then those above it. */
static void filter_prune(struct topics *t, struct filter *f)
{
    while (f && !f->count && !f->below) {
        struct filter *above = f->above;
        map_remove(f->exact ? t->exact : t->wild, (struct slice){f->text, f->len});
        free(f);
        if (above)
            above->below--;
        f = above;
    }
}

static struct filter *filter_new(struct map *where, struct slice text)
{
    struct filter *f = calloc(1, offsetof(struct filter, text) + text.len);
    if (!f)
        return NULL;
    if (!map_set(where, text, f)) {
        free(f);
        return NULL;
    }
    f->len = (uint8_t)text.len;
    memcpy(f->text, text.ptr, text.len);
    list_init(&f->subscriptions);
    return f;
}

/* The filter in the map of those with wildcards, made with all those above it when it is new. As
 * deep as there are levels: half of TOPIC_MAX. */
static struct filter *filter_plant(struct topics *t, struct slice text)
{
    struct slice shorter = text_above(text);
    struct filter *above = NULL, *f = map_get(t->wild, text);
    if (f)
        return f;
    if (shorter.len && !(above = filter_plant(t, shorter)))
        return NULL;
    f = filter_new(t->wild, text);
    if (!f) {
        filter_prune(t, above);
        return NULL;
    }
    f->above = above;
    if (above)
        above->below++;
    return f;
}

static struct filter *filter_find(const struct topics *t, struct slice text)
{
    return map_get(is_wild(text) ? t->wild : t->exact, text);
}

static struct filter *filter_make(struct topics *t, struct slice text)
{
    struct filter *f = filter_find(t, text);
    if (f)
        return f;
    if (is_wild(text))
        return filter_plant(t, text);
    f = filter_new(t->exact, text);
    if (f)
        f->exact = true;
    return f;
}

/* Looks where there is less to look through: either list may be long, seldom both. */
static struct subscription *subscription_find(const struct subscriber *who, const struct filter *f)
{
    if (who->count < f->count) {
        struct subscription *s = who->first;
        while (s && s->filter != f)
            s = s->next;
        return s;
    }
    for (struct list *l = f->subscriptions.next; l != &f->subscriptions; l = l->next) {
        struct subscription *s = list_entry(l, struct subscription, node);
        if (s->who == who)
            return s;
    }
    return NULL;
}

static void subscription_begin(struct topics *t, struct subscription *s, struct subscriber *who,
                               struct filter *f)
{
    *s = (struct subscription){.next = who->first, .link = &who->first, .who = who, .filter = f};
    if (s->next)
        s->next->link = &s->next;
    who->first = s;
    who->count++;
    list_push(&f->subscriptions, &s->node);
    if (f->count++ == 0)
        t->filters++;
}

static void subscription_end(struct topics *t, struct subscription *s)
{
    struct filter *f = s->filter;
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    s->who->count--;
    list_remove(&s->node);
    free(s);
    if (--f->count == 0)
        t->filters--;
    filter_prune(t, f);
}

int topics_subscribe(struct topics *t, struct subscriber *who, struct slice filter)
{
    if (!topics_filter_valid(filter))
        return TOPIC_ERR_INVALID;
    struct filter *f = filter_find(t, filter);
    if (f && subscription_find(who, f))
        return 0;
    if (who->count >= who->limit)
        return TOPIC_ERR_LIMIT;
    struct subscription *s = malloc(sizeof(*s));
    if (!s)
        return TOPIC_ERR_MEMORY;
    f = filter_make(t, filter);
    if (!f) {
        free(s);
        return TOPIC_ERR_MEMORY;
    }
    subscription_begin(t, s, who, f);
    return 1;
}

bool topics_unsubscribe(struct topics *t, struct subscriber *who, struct slice filter)
{
    if (!topics_filter_valid(filter))
        return false;
    struct filter *f = filter_find(t, filter);
    struct subscription *s = f ? subscription_find(who, f) : NULL;
    if (s)
        subscription_end(t, s);
    return s != NULL;
}

void topics_leave(struct topics *t, struct subscriber *who)
{
    while (who->first)
        subscription_end(t, who->first);
}

struct search {
    const struct topics *topics;
    struct slice topic;
    uint64_t stamp;
    void (*deliver)(struct subscriber *who, void *context);
    void *context;
    long found;
    char path[TOPIC_MAX]; /* never longer than the topic: a wildcard stands for at least a byte */
};

static void search_deliver(struct search *s, const struct filter *f)
{
    for (struct list *l = f->subscriptions.next; l != &f->subscriptions; l = l->next) {
        struct subscriber *who = list_entry(l, struct subscription, node)->who;
        if (who->stamp == s->stamp)
            continue;
        who->stamp = s->stamp;
        s->found++;
        s->deliver(who, s->context);
    }
}

/* The filter one level further down than the first `used` bytes of the path. */
static struct filter *search_step(struct search *s, size_t used, struct slice level, size_t *now)
{
    if (used)
        s->path[used++] = '/';
    memcpy(s->path + used, level.ptr, level.len);
    *now = used + level.len;
    return map_get(s->topics->wild, (struct slice){s->path, *now});
}

/* Goes on below a filter (or beginning) that matches the topic's first `at` bytes. Those without
 * wildcards have no subscriptions in this map. */
static void search_below(struct search *s, size_t used, size_t at)
{
    struct slice level = level_at(s->topic, at);
    const struct slice steps[] = {level, slice_of("+")};
    size_t now;
    struct filter *f = search_step(s, used, slice_of("#"), &now);
    if (f)
        search_deliver(s, f);
    at += level.len;
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        f = search_step(s, used, steps[i], &now);
        if (f && at == s->topic.len)
            search_deliver(s, f);
        else if (f && f->below)
            search_below(s, now, at + 1);
    }
}

long topics_match(struct topics *t, struct slice topic,
                  void (*deliver)(struct subscriber *who, void *context), void *context)
{
    if (!topics_topic_valid(topic))
        return TOPIC_ERR_INVALID;
    struct search s = {.topics = t, .topic = topic, .deliver = deliver, .context = context};
    s.stamp = ++t->publications;
    const struct filter *exact = map_get(t->exact, topic);
    if (exact)
        search_deliver(&s, exact);
    if (map_count(t->wild))
        search_below(&s, 0, 0);
    return s.found;
}
