/* Topics: what is valid, what matches, limits and memory; then random use beside a naive model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/topics.h"
#include "support.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#define PEOPLE 6
#define SEED 7

/* Who subscribes in the tests below, and how often each was found by the last match. */
struct person {
    struct subscriber subscriber;
    unsigned found;
};

static struct topics *topics;
static struct person people[PEOPLE];

static int prepare(void **state)
{
    (void)state;
    topics = topics_new(SEED);
    for (size_t i = 0; i < PEOPLE; i++)
        people[i] = (struct person){.subscriber.limit = 100};
    return topics ? 0 : -1;
}

static int clean_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < PEOPLE; i++)
        topics_leave(topics, &people[i].subscriber);
    size_t left = topics_count(topics);
    topics_free(topics);
    return left ? -1 : 0;
}

static struct subscriber *who(size_t i)
{
    return &people[i].subscriber;
}

static void subscribe(size_t i, const char *filter)
{
    assert_int_equal(topics_subscribe(topics, who(i), slice_of(filter)), 1);
}

static void unsubscribe(size_t i, const char *filter)
{
    assert_true(topics_unsubscribe(topics, who(i), slice_of(filter)));
}

static void note(struct subscriber *subscriber, void *context)
{
    assert_ptr_equal(context, people);
    ((struct person *)subscriber)->found++;
}

static long match(struct slice topic)
{
    for (size_t i = 0; i < PEOPLE; i++)
        people[i].found = 0;
    return topics_match(topics, topic, note, people);
}

/* Exactly those whose digits are in `numbers`, each once. */
static void reaches(const char *topic, const char *numbers)
{
    assert_int_equal(match(slice_of(topic)), strlen(numbers));
    for (size_t i = 0; i < PEOPLE; i++)
        assert_int_equal(people[i].found, strchr(numbers, (int)('0' + i)) != NULL);
}

/* Whether one filter matches one topic; leaves nothing behind. */
static bool matches(const char *filter, const char *topic)
{
    subscribe(0, filter);
    long found = match(slice_of(topic));
    unsubscribe(0, filter);
    assert_int_equal(topics_count(topics), 0);
    assert_int_equal(people[0].found, found);
    return found == 1;
}

/* In bytes with a guard behind them, so that looking too far is a fault. */
static bool valid(bool (*check)(struct slice), const char *bytes, size_t n)
{
    unsigned char *copy = guard_copy(bytes, n);
    bool ok = check((struct slice){(char *)copy, n});
    guard_free(copy, n);
    return ok;
}

static bool is_topic(const char *text)
{
    return valid(topics_topic_valid, text, strlen(text));
}

static bool is_filter(const char *text)
{
    return valid(topics_filter_valid, text, strlen(text));
}

static void what_is_a_topic(void **state)
{
    static const char *const good[] = {"a",    "room/1",  "a/b/c/d/e/f/g",         " ",    "a b/ c",
                                       "$sys", "a-b_c.d", "\xc3\xbc/\xe2\x82\xac", "\x01", "*"};
    static const char *const bad[] = {"",     "/",   "/a",   "a/",     "a//b",     "//",
                                      "+",    "#",   "a/+",  "a/#",    "a+b",      "a#b",
                                      "a/b+", "#/a", "\xff", "a/\xc3", "\xc0\xaf", "\xed\xa0\x80"};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_true(is_topic(good[i]));
        assert_true(is_filter(good[i]));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(is_topic(bad[i]));
    assert_false(valid(topics_topic_valid, "a\0b", 3));
    assert_false(valid(topics_topic_valid, "\0", 1));
    assert_false(valid(topics_topic_valid, "a/\0", 3));
}

static void what_is_a_filter(void **state)
{
    static const char *const good[] = {"+",   "#",     "+/+",   "+/#",    "a/+",
                                       "a/#", "a/+/b", "+/b/+", "a/+/+/#"};
    static const char *const bad[] = {
        "",     "/",    "/+",   "+/", "#/",   "#/a", "a/#/b", "##",    "++",  "+a",     "a+",
        "a/+b", "a/b#", "a/#b", "+#", "a//#", "/#",  "a/#/",  "a/#/#", "#/#", "\xff/+", "+/\xff"};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(is_filter(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_false(is_filter(bad[i]));
        assert_int_equal(topics_subscribe(topics, who(0), slice_of(bad[i])), TOPIC_ERR_INVALID);
        assert_false(topics_unsubscribe(topics, who(0), slice_of(bad[i])));
        assert_int_equal(match(slice_of(bad[i])), TOPIC_ERR_INVALID);
    }
    assert_false(valid(topics_filter_valid, "+/\0", 3));
    assert_false(valid(topics_filter_valid, "+\0", 2));
    assert_int_equal(topics_count(topics), 0);
}

static void lengths(void **state)
{
    char text[TOPIC_MAX + 2];
    (void)state;
    memset(text, 'a', sizeof(text));
    for (size_t n = 1; n <= TOPIC_MAX; n++) {
        assert_true(valid(topics_topic_valid, text, n));
        assert_true(valid(topics_filter_valid, text, n));
    }
    assert_false(valid(topics_topic_valid, text, TOPIC_MAX + 1));
    assert_false(valid(topics_filter_valid, text, TOPIC_MAX + 1));
    assert_false(valid(topics_topic_valid, text, 0));
    assert_int_equal(match((struct slice){text, TOPIC_MAX + 1}), TOPIC_ERR_INVALID);
    assert_int_equal(topics_subscribe(topics, who(0), (struct slice){text, TOPIC_MAX + 1}),
                     TOPIC_ERR_INVALID);
}

static void an_exact_filter_matches_itself(void **state)
{
    (void)state;
    assert_true(matches("a", "a"));
    assert_true(matches("a/b/c", "a/b/c"));
    assert_false(matches("a", "b"));
    assert_false(matches("a", "A"));
    assert_false(matches("a", "a/b"));
    assert_false(matches("a/b", "a"));
    assert_false(matches("a/b", "a/c"));
    assert_false(matches("ab", "a"));
    assert_false(matches("a", "ab"));
}

static void plus_is_one_level(void **state)
{
    (void)state;
    assert_true(matches("+", "a"));
    assert_false(matches("+", "a/b"));
    assert_true(matches("a/+", "a/b"));
    assert_false(matches("a/+", "a"));
    assert_false(matches("a/+", "a/b/c"));
    assert_false(matches("a/+", "b/b"));
    assert_true(matches("+/b", "a/b"));
    assert_false(matches("+/b", "a/c"));
    assert_true(matches("a/+/c", "a/b/c"));
    assert_false(matches("a/+/c", "a/b/d"));
    assert_false(matches("a/+/c", "a/b/b/c"));
    assert_true(matches("+/+/+", "a/b/c"));
    assert_false(matches("+/+/+", "a/b"));
}

static void hash_is_at_least_one_level(void **state)
{
    (void)state;
    assert_true(matches("#", "a"));
    assert_true(matches("#", "a/b/c"));
    assert_true(matches("a/#", "a/b"));
    assert_true(matches("a/#", "a/b/c/d"));
    assert_false(matches("a/#", "a"));
    assert_false(matches("a/#", "b/c"));
    assert_false(matches("a/#", "ab/c"));
    assert_true(matches("+/#", "a/b"));
    assert_false(matches("+/#", "a"));
    assert_true(matches("a/+/#", "a/b/c"));
    assert_false(matches("a/+/#", "a/b"));
}

static void the_deepest_topics(void **state)
{
    char topic[TOPIC_MAX + 1] = {0}, filter[TOPIC_MAX + 1] = {0};
    (void)state;
    for (size_t i = 0; i < TOPIC_MAX; i++) {
        topic[i] = i % 2 ? '/' : 'a';
        filter[i] = i % 2 ? '/' : '+';
    }
    assert_true(matches(topic, topic));
    assert_true(matches(filter, topic));
    filter[TOPIC_MAX - 1] = '#';
    assert_true(matches(filter, topic));
    filter[TOPIC_MAX - 1] = 'b';
    assert_false(matches(filter, topic));
    memset(topic, 'a', TOPIC_MAX);
    assert_true(matches("+", topic));
    assert_true(matches("#", topic));
    assert_false(matches("+/#", topic));
    topic[TOPIC_MAX - 2] = '/';
    assert_true(matches("+/#", topic));
    topic[TOPIC_MAX - 2] = 'a';
    topic[1] = '/';
    assert_true(matches("a/+", topic));
}

static void reaches_all_and_only_those(void **state)
{
    (void)state;
    reaches("room/1", "");
    subscribe(0, "room/1");
    subscribe(1, "room/1");
    subscribe(2, "room/2");
    subscribe(3, "room/+");
    subscribe(4, "#");
    subscribe(5, "+/1");
    reaches("room/1", "01345");
    reaches("room/2", "234");
    reaches("room/3", "34");
    reaches("hall/1", "45");
    reaches("room", "4");
    unsubscribe(1, "room/1");
    unsubscribe(3, "room/+");
    reaches("room/1", "045");
    unsubscribe(4, "#");
    reaches("room", "");
    reaches("room/1", "05");
}

static void each_subscriber_once(void **state)
{
    static const char *const filters[] = {"a/b/c", "+/b/c", "a/+/c", "a/b/+", "+/+/+",
                                          "#",     "a/#",   "a/b/#", "+/#",   "a/+/#"};
    (void)state;
    for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++)
        subscribe(0, filters[i]);
    subscribe(1, "a/b/+");
    reaches("a/b/c", "01");
    reaches("a/b/c", "01"); /* of each publication anew */
    reaches("a/b/d", "01");
    reaches("x", "0");
}

static void subscribing_twice_is_once(void **state)
{
    static const char *const filters[] = {"a/b", "a/+", "#"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        subscribe(1, filters[i]); /* so that either list is the shorter one */
        subscribe(0, filters[i]);
        assert_int_equal(topics_subscribe(topics, who(0), slice_of(filters[i])), 0);
        assert_int_equal(topics_subscribe(topics, who(1), slice_of(filters[i])), 0);
        assert_int_equal(who(0)->count, i + 1);
    }
    reaches("a/b", "01");
    unsubscribe(0, "a/b");
    assert_false(topics_unsubscribe(topics, who(0), slice_of("a/b")));
    assert_int_equal(who(0)->count, 2);
    subscribe(0, "a/b");
    reaches("a/b", "01");
}

/* With one of many subscriptions and as one of many subscribers. */
static void unsubscribing_ends_just_that(void **state)
{
    static const char *const filters[] = {"a", "a/b", "a/+", "a/+/c", "a/#", "+", "#"};
    enum { COUNT = sizeof(filters) / sizeof(*filters) };
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        subscribe(0, filters[i]);
    for (size_t i = 1; i < PEOPLE; i++)
        subscribe(i, "a/b");
    assert_false(topics_unsubscribe(topics, who(0), slice_of("b")));
    assert_false(topics_unsubscribe(topics, who(0), slice_of("+/+")));
    assert_false(topics_unsubscribe(topics, who(1), slice_of("a/#")));
    unsubscribe(3, "a/b");
    reaches("a/b", "01245");
    unsubscribe(0, "a/b");
    unsubscribe(0, "a/+");
    unsubscribe(0, "#");
    unsubscribe(0, "a");
    assert_int_equal(who(0)->count, 3);
    reaches("a", "0");
    unsubscribe(0, "+");
    reaches("a", "");
    reaches("a/b", "01245");
    unsubscribe(0, "a/#");
    reaches("a/b", "1245");
    reaches("a/x/c", "0");
    assert_int_equal(topics_count(topics), 2);
}

/* A beginning of other filters may be a filter itself, and outlive them or not. */
static void filters_below_filters(void **state)
{
    (void)state;
    subscribe(0, "a/+");
    subscribe(1, "a/+/b");
    subscribe(2, "a/+/b/#");
    subscribe(3, "a");
    assert_int_equal(topics_count(topics), 4);
    unsubscribe(1, "a/+/b");
    reaches("a/x", "0");
    reaches("a/x/b", "");
    reaches("a/x/b/y", "2");
    unsubscribe(0, "a/+");
    reaches("a/x/b/y", "2");
    unsubscribe(2, "a/+/b/#");
    reaches("a/x/b/y", "");
    reaches("a", "3");
    assert_int_equal(topics_count(topics), 1);
}

static void leaving_ends_all(void **state)
{
    (void)state;
    topics_leave(topics, who(0)); /* never came */
    subscribe(0, "a");
    subscribe(0, "a/+");
    subscribe(0, "b/#");
    subscribe(1, "a");
    subscribe(1, "a/+/c");
    topics_leave(topics, who(0));
    assert_int_equal(who(0)->count, 0);
    assert_null(who(0)->first);
    assert_int_equal(topics_count(topics), 2);
    reaches("a", "1");
    reaches("a/b", "");
    reaches("b/c", "");
    reaches("a/b/c", "1");
    topics_leave(topics, who(0));
    subscribe(0, "a");
    reaches("a", "01");
}

static void counts_filters(void **state)
{
    (void)state;
    assert_int_equal(topics_count(topics), 0);
    subscribe(0, "a/b");
    subscribe(1, "a/b");
    assert_int_equal(topics_count(topics), 1);
    subscribe(0, "a/+/c/d"); /* its beginnings do not count */
    assert_int_equal(topics_count(topics), 2);
    subscribe(2, "a/+");
    assert_int_equal(topics_count(topics), 3);
    unsubscribe(0, "a/b");
    assert_int_equal(topics_count(topics), 3);
    unsubscribe(1, "a/b");
    assert_int_equal(topics_count(topics), 2);
    unsubscribe(2, "a/+");
    assert_int_equal(topics_count(topics), 1);
    topics_leave(topics, who(0));
    assert_int_equal(topics_count(topics), 0);
}

static void limit_of_a_subscriber(void **state)
{
    (void)state;
    who(0)->limit = 2;
    subscribe(0, "a");
    subscribe(0, "b/+");
    assert_int_equal(topics_subscribe(topics, who(0), slice_of("c")), TOPIC_ERR_LIMIT);
    assert_int_equal(topics_subscribe(topics, who(0), slice_of("c/+/#")), TOPIC_ERR_LIMIT);
    assert_int_equal(topics_subscribe(topics, who(0), slice_of("c//")), TOPIC_ERR_INVALID);
    assert_int_equal(topics_subscribe(topics, who(0), slice_of("a")), 0);
    assert_int_equal(topics_count(topics), 2);
    assert_int_equal(who(0)->count, 2);
    reaches("c", "");
    unsubscribe(0, "a");
    subscribe(0, "c");
    topics_leave(topics, who(0));
    subscribe(0, "d");
    who(1)->limit = 0;
    assert_int_equal(topics_subscribe(topics, who(1), slice_of("d")), TOPIC_ERR_LIMIT);
    reaches("d", "0");
}

/* Bytes in use; always 0 under ASan, where LeakSanitizer looks after the rest. */
static size_t memory_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* With an instance for each failure, so that what one leaves behind is not used by the next. */
static void subscribe_with_memory_short(const char *other, const char *filter, const char *topic)
{
    size_t before = memory_in_use();
    for (size_t n = 0;; n++) {
        assert_int_equal(prepare(NULL), 0);
        if (other)
            subscribe(0, other);
        allocations_fail_after(n);
        int result = topics_subscribe(topics, who(5), slice_of(filter));
        allocations_succeed();
        size_t failed = allocations_failed();
        assert_int_equal(result, failed ? TOPIC_ERR_MEMORY : 1);
        assert_int_equal(who(5)->count, failed ? 0 : 1);
        assert_int_equal(topics_count(topics), who(5)->count + (other ? 1 : 0));
        match(slice_of(topic));
        assert_int_equal(people[5].found, who(5)->count);
        assert_int_equal(clean_up(NULL), 0);
        assert_int_equal(memory_in_use(), before);
        if (failed)
            continue;
        assert_true(n >= 2); /* or nothing failed before */
        return;
    }
}

static void memory_short(void **state)
{
    (void)state;
    subscribe_with_memory_short(NULL, "a/b/c", "a/b/c");
    subscribe_with_memory_short(NULL, "a/b/+/c/#", "a/b/x/c/d");
    subscribe_with_memory_short("a/b/+", "a/b/+/c/#", "a/b/x/c/d");
    subscribe_with_memory_short("a/b/+/c", "a/b/+/d", "a/b/x/d");
}

static void memory_short_at_the_start(void **state)
{
    (void)state;
    for (size_t n = 0;; n++) {
        allocations_fail_after(n);
        struct topics *more = topics_new(SEED);
        allocations_succeed();
        topics_free(more);
        if (!allocations_failed()) {
            assert_non_null(more);
            assert_true(n >= 3);
            return;
        }
        assert_null(more);
    }
}

static void memory_goes_with_the_last_subscriber(void **state)
{
    static const char *const filters[] = {"a/b/c", "a/+/c", "x/y/z/#", "x/+/z/#", "a/+"};
    enum { COUNT = sizeof(filters) / sizeof(*filters) };
    size_t before = 0;
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++)
            for (size_t person = 0; person < 3; person++)
                subscribe(person, filters[i]);
        topics_leave(topics, who(0));
        topics_leave(topics, who(1));
        for (size_t i = 0; i < COUNT; i++)
            unsubscribe(2, filters[i]);
        if (round == 0) /* by now, the maps have what they keep while empty */
            before = memory_in_use();
        assert_int_equal(memory_in_use(), before);
    }
}

static struct slice numbered(char text[32], const char *before, unsigned number, const char *after)
{
    return (struct slice){text, (size_t)snprintf(text, 32, "%s%u%s", before, number, after)};
}

/* 20 bytes */
static struct slice room(char text[32], unsigned number)
{
    return numbered(text, "room/number-", 10000000 + number, "");
}

/* As of many rooms with one guest each. Prints what a filter and its subscription take. */
static void hundred_thousand_topics(void **state)
{
    enum { MANY = 100000 };
    static struct person guests[MANY];
    char text[32];
    (void)state;
    subscribe(0, "x/+");
    size_t before = memory_in_use();
    for (unsigned i = 0; i < MANY; i++) {
        guests[i] = (struct person){.subscriber.limit = 1};
        assert_int_equal(topics_subscribe(topics, &guests[i].subscriber, room(text, i)), 1);
    }
    assert_int_equal(topics_count(topics), MANY + 1);
    size_t each = (memory_in_use() - before) / MANY;
    print_message("             %zu bytes for each\n", each);
    assert_true(each <= 64 + 112 + 2 * 20); /* subscription, filter, text of 20 bytes twice */
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(match(room(text, i)), 1);
        assert_int_equal(guests[i].found, 1);
    }
    for (unsigned i = 0; i < MANY; i++)
        topics_leave(topics, &guests[i].subscriber);
    assert_int_equal(topics_count(topics), 1);
    assert_true(memory_in_use() - before < 4096);
}

static void many_filters_of_one_subscriber(void **state)
{
    static const char *const parts[][2] = {{"user/", "/inbox"}, {"user/", "/#"}, {"user/+/", ""}};
    enum { MANY = 20000 };
    char text[32];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        who(0)->limit = MANY;
        for (unsigned k = 0; k < MANY; k++) {
            assert_int_equal(
                topics_subscribe(topics, who(0), numbered(text, parts[i][0], k, parts[i][1])), 1);
            assert_int_equal(
                topics_subscribe(topics, who(0), numbered(text, parts[i][0], k, parts[i][1])), 0);
        }
        assert_int_equal(topics_count(topics), MANY);
        assert_int_equal(match(slice_of(i < 2 ? "user/17/inbox" : "user/x/17")), 1);
        for (unsigned k = 0; k < MANY; k++)
            assert_true(
                topics_unsubscribe(topics, who(0), numbered(text, parts[i][0], k, parts[i][1])));
        assert_int_equal(topics_count(topics), 0);
    }
}

/* The model: each person has a list of filters, and each is looked at. */
#define HAS 12

struct model {
    uint64_t random;
    char filters[PEOPLE][HAS][16]; /* "": none */
};

static uint64_t below(struct model *m, uint64_t n)
{
    return random_next(&m->random) % n;
}

static bool model_matches(const char *filter, const char *topic)
{
    size_t f = strcspn(filter, "/"), t = strcspn(topic, "/");
    if (strcmp(filter, "#") == 0)
        return true;
    if (strncmp(filter, "+/", 2) != 0 && strcmp(filter, "+") != 0 &&
        (f != t || strncmp(filter, topic, f) != 0))
        return false;
    if (!filter[f] || !topic[t])
        return !filter[f] && !topic[t];
    return model_matches(filter + f + 1, topic + t + 1);
}

static void random_text(struct model *m, char text[16], bool wildcards)
{
    static const char *const levels[] = {"a", "b", "aa", "+", "#"};
    size_t depth = 1 + below(m, 4);
    *text = '\0';
    for (size_t i = 1; i <= depth; i++) {
        strcat(text, levels[below(m, !wildcards ? 3 : i == depth ? 5 : 4)]);
        if (i < depth)
            strcat(text, "/");
    }
}

static char *model_find(struct model *m, size_t person, const char *filter)
{
    for (size_t i = 0; i < HAS; i++)
        if (strcmp(m->filters[person][i], filter) == 0)
            return m->filters[person][i];
    return NULL;
}

static size_t model_count(struct model *m)
{
    size_t count = 0;
    for (size_t person = 0; person < PEOPLE; person++) {
        for (size_t i = 0; i < HAS; i++) {
            const char *filter = m->filters[person][i];
            bool seen = !*filter;
            for (size_t before = 0; before < person && !seen; before++)
                seen = model_find(m, before, filter) != NULL;
            count += !seen;
        }
    }
    return count;
}

static void random_step(struct model *m)
{
    size_t person = below(m, PEOPLE);
    char filter[16];
    random_text(m, filter, below(m, 4) > 0);
    char *has = model_find(m, person, filter), *room = model_find(m, person, "");
    if (below(m, 100) == 0) {
        topics_leave(topics, who(person));
        memset(m->filters[person], 0, sizeof(m->filters[person]));
    } else if (below(m, 3) > 0) {
        assert_int_equal(topics_subscribe(topics, who(person), slice_of(filter)),
                         has    ? 0
                         : room ? 1
                                : TOPIC_ERR_LIMIT);
        if (!has && room)
            strcpy(room, filter);
    } else {
        if (!has && below(m, 2)) /* rather one that there is */
            strcpy(filter, m->filters[person][below(m, HAS)]);
        has = *filter ? model_find(m, person, filter) : NULL;
        assert_int_equal(topics_unsubscribe(topics, who(person), slice_of(filter)), has != NULL);
        if (has)
            *has = '\0';
    }
}

static void random_use_agrees_with_the_model(void **state)
{
    struct model m = {.random = 1};
    long found = 0;
    (void)state;
    for (size_t i = 0; i < PEOPLE; i++)
        who(i)->limit = HAS;
    for (int step = 0; step < 20000; step++) {
        char topic[16];
        random_step(&m);
        assert_int_equal(topics_count(topics), model_count(&m));
        random_text(&m, topic, false);
        found += match(slice_of(topic));
        for (size_t i = 0; i < PEOPLE; i++) {
            bool expected = false;
            for (size_t k = 0; k < HAS && !expected; k++)
                expected = *m.filters[i][k] && model_matches(m.filters[i][k], topic);
            assert_int_equal(people[i].found, expected);
        }
    }
    assert_true(found > 20000); /* or little was compared */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_a_topic),
        TEST(what_is_a_filter),
        TEST(lengths),
        TEST(an_exact_filter_matches_itself),
        TEST(plus_is_one_level),
        TEST(hash_is_at_least_one_level),
        TEST(the_deepest_topics),
        TEST(reaches_all_and_only_those),
        TEST(each_subscriber_once),
        TEST(subscribing_twice_is_once),
        TEST(unsubscribing_ends_just_that),
        TEST(filters_below_filters),
        TEST(leaving_ends_all),
        TEST(counts_filters),
        TEST(limit_of_a_subscriber),
        cmocka_unit_test(memory_short),
        TEST(memory_short_at_the_start),
        TEST(memory_goes_with_the_last_subscriber),
        TEST(hundred_thousand_topics),
        TEST(many_filters_of_one_subscriber),
        TEST(random_use_agrees_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
