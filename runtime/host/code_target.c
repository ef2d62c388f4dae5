/* Which version is to serve: what is on the disk, or one that is kept. */
#include "host/code_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what the workers are asked --------------------------------------------------------------- */

static char *order_of(const struct code *c)
{
    const struct attempt *a = &c->attempt;
    const struct code_request *asked = &a->wish->asked;
    const struct version *v = a->target;
    json_t *order = json_pack("{s:I, s:s, s:I, s:i, s:f, s:f, s:b, s:b, s:b}", "version",
                              (json_int_t)(a->fresh ? versions_next(&c->versions) : v->number),
                              "hash", v->hash, "state_version", v->state_version, "share",
                              asked->canary ? (int)asked->canary : 100, "grace",
                              (double)c->master->plan->reload_grace / 1000, "watch",
                              (double)c->master->plan->reload_watch / 1000, "force", asked->force,
                              "dry_run", asked->dry_run, "rollback", a->backwards);
    char *text = order ? json_dumps(order, JSON_COMPACT) : NULL;
    json_decref(order);
    return text;
}

static void ask_workers(struct code *c)
{
    struct attempt *a = &c->attempt;
    char *order = order_of(c);
    int file = order ? fcntl(a->target->bundle, F_DUPFD_CLOEXEC, 0) : -1;
    if (file < 0) {
        free(order);
        change_fail(&c->change, "out of memory or descriptors");
        return;
    }
    (void)version_compare(c->versions.current, a->target, c->master->plan->root, &a->changes);
    c->change.trial = a->wish->asked.dry_run;
    c->change.insists = a->backwards; /* what is to be left may be what it is stuck in */
    change_go(&c->change, file, order);
}

/* --- what is on the disk ---------------------------------------------------------------------- */

static bool may_be_canary(struct code *c, const struct version *v)
{
    char why[256];
    json_int_t now = c->versions.current->state_version;
    if (!c->attempt.wish->asked.canary || v->state_version == now)
        return true;
    snprintf(
        why, sizeof why,
        "a canary shares the state: version %u has state_version %lld, what is on the disk has "
        "%lld",
        c->versions.current->number, (long long)now, (long long)v->state_version);
    c->attempt.phase = "canary";
    change_fail(&c->change, why);
    return false;
}

static bool is_in_quarantine(struct code *c, const struct version *v)
{
    if (!c->attempt.wish->asked.watcher || !code_is_quarantined(c, v->hash))
        return false;
    c->attempt.phase = "quarantine";
    change_fail(&c->change, "this was rolled back; only by hand it is taken again");
    return true;
}

/* The first version: its first worker shows whether the app can start at all. */
static void start_first(struct code *c)
{
    struct master *m = c->master;
    struct attempt *a = &c->attempt;
    versions_add(&c->versions, a->target);
    c->versions.current = a->target;
    a->fresh = false;
    a->starting = true;
    if (!child_start(&m->children[0]))
        code_first_ended(m);
}

/* What was read serves already, for all connections or for some. true: there is nothing to load. */
static bool is_known(struct code *c)
{
    struct attempt *a = &c->attempt;
    struct version *current = c->versions.current, *canary = c->versions.canary, *known = NULL;
    if (strcmp(a->target->hash, current->hash) == 0)
        known = current;
    else if (canary && strcmp(a->target->hash, canary->hash) == 0)
        known = canary;
    if (!known)
        return false;
    version_free(a->target);
    a->fresh = false;
    a->target = known;
    a->backwards = known == current; /* for all, whatever share was asked for */
    if (a->backwards)
        a->wish->asked.canary = 0;
    a->unchanged = known == current ? !canary : a->wish->asked.canary == c->share;
    a->unchanged |= a->wish->asked.dry_run;
    if (a->unchanged)
        change_end(&c->change);
    else
        ask_workers(c); /* the canary for all, or for none */
    return true;
}

void code_on_scout(struct master *m, const json_t *report, int bundle, size_t bytes)
{
    struct code *c = m->code;
    struct attempt *a = &c->attempt;
    const char *message = json_string_value(json_object_get(report, "message"));
    a->report = json_incref((json_t *)report);
    json_object_set_new(a->phases, "read", json_real(code_clock() - a->began));
    if (bundle < 0) {
        change_fail(&c->change, message ? message : "the app cannot be loaded");
        return;
    }
    a->target = version_new(report, bundle, bytes);
    a->fresh = a->target;
    if (!a->target)
        change_fail(&c->change, "out of memory");
    else if (!c->versions.current)
        start_first(c);
    else if (is_known(c))
        return;
    else if (is_in_quarantine(c, a->target))
        return;
    else if (may_be_canary(c, a->target))
        ask_workers(c);
}

void code_send_scout(struct code *c)
{
    char why[128];
    if (scout_send(&c->scout))
        return;
    snprintf(why, sizeof why, "cannot load the app: %s", strerror(errno));
    change_fail(&c->change, why);
}

/* --- what is kept ----------------------------------------------------------------------------- */

static struct version *choose(const struct code *c, const struct wish *w)
{
    if (w->asked.to)
        return versions_find(&c->versions, w->asked.to);
    return c->versions.canary ? c->versions.current : versions_previous(&c->versions);
}

/* NULL: it is possible. */
static const char *refusal_of(const struct code *c, const struct wish *w, const struct version *v,
                              char *why, size_t size)
{
    if (!v && w->asked.to)
        snprintf(why, size, "version %u is not known; `tidewire versions` lists them", w->asked.to);
    else if (!v)
        snprintf(why, size, "there is no version before %u to go back to",
                 c->versions.current->number);
    else if (v == c->versions.current && !c->versions.canary)
        snprintf(why, size, "version %u serves already", v->number);
    else if (v == c->versions.canary)
        snprintf(why, size,
                 "version %u is the canary; it goes on by itself, or `tidewire reload` "
                 "takes it for all",
                 v->number);
    else if (v->bundle < 0)
        snprintf(why, size, "version %u is no longer kept", v->number);
    else
        return NULL;
    return why;
}

void code_roll_back(struct code *c)
{
    struct attempt *a = &c->attempt;
    char why[160];
    struct version *v = choose(c, a->wish);
    if (refusal_of(c, a->wish, v, why, sizeof why)) {
        change_fail(&c->change, why);
        return;
    }
    a->target = v;
    a->backwards = true;
    ask_workers(c);
}

/* By itself: what it was about may have been replaced meanwhile. */
void code_act_on_canary(struct code *c)
{
    struct attempt *a = &c->attempt;
    struct version *canary = c->versions.canary;
    a->moot = !canary || canary->number != a->wish->asked.to;
    a->target = canary;
    if (a->wish->what == CODE_RENEW)
        a->wish->asked.canary = c->share; /* also when it was changed since */
    if (a->moot)
        change_end(&c->change);
    else
        ask_workers(c);
}

void code_undo(struct code *c)
{
    struct attempt *a = &c->attempt;
    a->moot = !c->watch.version || !c->watch.leaving;
    if (a->moot)
        change_end(&c->change);
    else
        code_roll_back(c);
}
