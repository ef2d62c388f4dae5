/* After a commit: is the new version worse than the one before? If so, it goes by itself. */
#include "host/code_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOOK 50 /* ms: errors that come together are looked at together */

/* --- quarantine ------------------------------------------------------------------------------- */

bool code_is_quarantined(const struct code *c, const char *hash)
{
    size_t n = c->quarantined < CODE_QUARANTINE ? c->quarantined : CODE_QUARANTINE;
    for (size_t i = 0; i < n; i++)
        if (strcmp(c->quarantine[i], hash) == 0)
            return true;
    return false;
}

static void quarantine(struct code *c, const char *hash)
{
    if (!code_is_quarantined(c, hash))
        memcpy(c->quarantine[c->quarantined++ % CODE_QUARANTINE], hash, VERSIONS_HASH + 1);
}

/* --- the counts ------------------------------------------------------------------------------- */

static struct watch_count count_all(const struct code *c)
{
    struct watch_count sum = {0};
    for (size_t i = 0; i < c->master->plan->workers; i++) {
        watch_add(&sum, &c->workers[i].ended);
        watch_add(&sum, &c->workers[i].now);
    }
    return sum;
}

static void leave(struct code *c, const char *why)
{
    struct code_watch *w = &c->watch;
    struct code_request back = {.to = w->previous};
    w->leaving = true;
    loop_timer_cancel(c->master->loop, &w->end);
    quarantine(c, w->version->hash);
    log_error(c->master->log, "version %u is rolled back by itself: %s", w->version->number, why);
    if (!code_wish(c, CODE_UNDO, &back, why, true))
        log_error(c->master->log, "out of memory; version %u stays", w->version->number);
}

static void judge(struct code *c)
{
    struct code_watch *w = &c->watch;
    struct watch_count sum = count_all(c);
    char why[CODE_REASON];
    if (w->version && !w->leaving && watch_is_bad(&sum, &w->before, why, sizeof why))
        leave(c, why);
}

/* Those that have no errors have not told of their calls: ask them all. */
static void on_look(struct timer *t)
{
    struct code *c = list_entry(t, struct code, watch.look);
    if (c->watch.version && !c->watch.leaving)
        children_ask(c->master);
    else
        c->watch.looking = false;
}

static void look(struct code *c)
{
    struct watch_count sum = count_all(c);
    if (c->watch.leaving || c->watch.looking || !watch_is_suspect(&sum))
        return;
    if (sum.migrations_failed) {
        judge(c);
        return;
    }
    c->watch.looking = true;
    loop_timer_set(c->master->loop, &c->watch.look, LOOK);
}

void code_tally(struct master *m, size_t worker, const char *text)
{
    struct code *c = m->code;
    struct watch_count n;
    unsigned version;
    if (!c->watch.version ||
        sscanf(text, "%u %" SCNu64 " %" SCNu64 " %" SCNu64, &version, &n.handled, &n.failed,
               &n.migrations_failed) != 4 ||
        version != c->watch.version->number)
        return;
    c->workers[worker].now = n;
    look(c);
}

/* The part of the watched version in what a worker has told of itself. */
static void read_description(struct code *c, size_t worker)
{
    struct watch_count *now = &c->workers[worker].now;
    json_t *generation;
    size_t i;
    json_array_foreach(json_object_get(c->master->children[worker].description, "generations"), i,
                       generation)
    {
        json_int_t handled = json_integer_value(json_object_get(generation, "handled"));
        json_int_t failed = json_integer_value(json_object_get(generation, "failed"));
        if (json_integer_value(json_object_get(generation, "version")) !=
            (json_int_t)c->watch.version->number)
            continue;
        now->handled = (uint64_t)handled;
        if ((uint64_t)failed > now->failed)
            now->failed = (uint64_t)failed;
    }
}

void code_described(struct master *m)
{
    struct code *c = m->code;
    if (!c->watch.looking || timer_is_set(&c->watch.look))
        return;
    c->watch.looking = false;
    for (size_t i = 0; c->watch.version && i < m->plan->workers; i++)
        if (m->children[i].pid)
            read_description(c, i);
    judge(c);
}

/* --- workers ---------------------------------------------------------------------------------- */

void code_worker_ended(struct master *m, size_t worker)
{
    struct code_worker *w = &m->code->workers[worker];
    watch_add(&w->ended, &w->now);
    w->now = (struct watch_count){0};
}

void code_worker_failed(struct master *m, size_t worker, const char *text)
{
    struct code *c = m->code;
    const struct code_watch *w = &c->watch;
    char why[CODE_REASON];
    (void)text; /* it is in the log */
    if (!w->version || w->leaving || w->version != c->versions.current)
        return;
    snprintf(why, sizeof why, "worker %zu cannot start with it", worker);
    leave(c, why);
}

/* It has begun with the current version: the canary is still to come. */
void code_worker_ready(struct master *m)
{
    struct code *c = m->code;
    const struct version *canary = c->versions.canary;
    struct code_request again = {.merge = true};
    if (!canary)
        return;
    again.to = canary->number;
    code_wish(c, CODE_RENEW, &again, NULL, false);
}

/* --- the window ------------------------------------------------------------------------------- */

static void on_end(struct timer *t)
{
    struct code *c = list_entry(t, struct code, watch.end);
    struct code_request all = {.to = c->watch.version->number};
    if (c->watch.version != c->versions.canary)
        code_watch_end(c, NULL);
    else if (!code_wish(c, CODE_PROMOTE, &all, NULL, false))
        code_watch_again(c); /* too many wait */
}

void code_watch_again(struct code *c)
{
    if (c->watch.version && !c->watch.leaving)
        loop_timer_set(c->master->loop, &c->watch.end, c->master->plan->reload_watch);
}

void code_watch_cancel(struct code *c)
{
    loop_timer_cancel(c->master->loop, &c->watch.end);
    loop_timer_cancel(c->master->loop, &c->watch.look);
    c->watch.version = NULL;
    c->watch.leaving = c->watch.looking = false;
}

void code_watch_end(struct code *c, const char *reason)
{
    const struct version *v = c->watch.version;
    if (!v)
        return;
    code_watch_cancel(c);
    if (!reason)
        log_info(c->master->log, "version %u is stable", v->number);
    commands_code_settled(c->master, v->number, reason);
}

void code_watch_begin(struct code *c, struct version *v, unsigned previous)
{
    struct code_watch *w = &c->watch;
    char why[64];
    snprintf(why, sizeof why, "version %u has replaced it", v->number);
    if (w->version != v)
        code_watch_end(c, why);
    else
        code_watch_cancel(c);
    w->version = v;
    w->previous = previous;
    w->before = (struct watch_count){0};
    for (size_t i = 0; i < c->master->plan->workers; i++) {
        watch_add(&w->before, &c->workers[i].before);
        c->workers[i].ended = c->workers[i].now = (struct watch_count){0};
    }
    loop_timer_set(c->master->loop, &w->end, c->master->plan->reload_watch);
}

void code_watch_init(struct code *c)
{
    c->watch = (struct code_watch){.end = {.fire = on_end}, .look = {.fire = on_look}};
}
