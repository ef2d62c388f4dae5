#include "host/code.h"
#include "host/code_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct code *code_of(struct change *change)
{
    return list_entry(change, struct code, change);
}

double code_clock(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- requests --------------------------------------------------------------------------------- */

static struct wish *wish_of(struct list *node)
{
    return list_entry(node, struct wish, node);
}

static const struct wish *find_like(struct code *c, enum code_wish what,
                                    const struct code_request *asked)
{
    for (struct list *node = c->wishes.next; node != &c->wishes; node = node->next) {
        const struct wish *w = wish_of(node);
        if (w->what == what && w->asked.merge && w->asked.watcher == asked->watcher &&
            w->asked.to == asked->to)
            return w;
    }
    return NULL;
}

unsigned code_wish(struct code *c, enum code_wish what, const struct code_request *asked,
                   const char *reason, bool first)
{
    const struct wish *like = asked->merge ? find_like(c, what, asked) : NULL;
    if (like)
        return like->ticket;
    struct wish *w = c->wish_count < CODE_REQUESTS || first ? calloc(1, sizeof *w) : NULL;
    if (!w)
        return 0;
    if (++c->tickets == 0)
        c->tickets = 1;
    *w = (struct wish){.what = what, .asked = *asked, .ticket = c->tickets};
    snprintf(w->reason, sizeof w->reason, "%s", reason ? reason : "");
    struct list *place = first ? c->wishes.next : &c->wishes;
    list_push(place, &w->node); /* in front of the first one, or behind the last */
    c->wish_count++;
    change_start(&c->change);
    return w->ticket;
}

unsigned code_reload(struct master *m, const struct code_request *request)
{
    if (request->certificates)
        change_start(&m->certificates);
    return code_wish(m->code, CODE_RELOAD, request, NULL, false);
}

unsigned code_rollback(struct master *m, const struct code_request *request)
{
    return code_wish(m->code, CODE_ROLL, request, NULL, false);
}

void code_begin(struct master *m)
{
    code_wish(m->code, CODE_START, &(struct code_request){0}, NULL, false);
}

void code_listen(struct master *m, void (*told)(void *context, const struct code_outcome *outcome),
                 void *context)
{
    m->code->told = told;
    m->code->told_context = context;
}

/* --- the workers ------------------------------------------------------------------------------ */

static uint32_t halt(struct change *change)
{
    struct code *c = code_of(change);
    const struct version *now = c->versions.current;
    if (!now || now->state_version == c->attempt.target->state_version)
        return 0;
    return c->master->plan->reload_grace + CODE_PATIENCE;
}

static const char *answered(struct change *change, size_t worker, const char *text)
{
    return code_answered(code_of(change), worker, text);
}

/* --- an attempt ------------------------------------------------------------------------------- */

static void begin(struct change *change)
{
    struct code *c = code_of(change);
    struct attempt *a = &c->attempt;
    *a = (struct attempt){
        .wish = wish_of(list_shift(&c->wishes)), .began = code_clock(), .phases = json_object()};
    c->wish_count--;
    for (size_t i = 0; i < c->master->plan->workers; i++) {
        c->workers[i].connections = c->workers[i].held = 0;
        c->workers[i].before = (struct watch_count){0};
    }
    if (!c->versions.current) {
        a->wish->what = CODE_START;
        a->wish->asked = (struct code_request){0};
    } else {
        a->previous = c->versions.current->number;
    }
    switch (a->wish->what) {
    case CODE_START:
    case CODE_RELOAD:
        code_send_scout(c);
        break;
    case CODE_ROLL:
        code_roll_back(c);
        break;
    case CODE_UNDO:
        code_undo(c);
        break;
    case CODE_PROMOTE:
    case CODE_RENEW:
        code_act_on_canary(c);
        break;
    }
}

static void abandon(struct change *change)
{
    scout_recall(&code_of(change)->scout);
}

/* Those that give way: the canary, if there is one, and on the way back all that came later. */
static void retire(struct code *c, bool for_all)
{
    struct attempt *a = &c->attempt;
    struct versions *all = &c->versions;
    char why[CODE_REASON];
    if (a->backwards)
        snprintf(why, sizeof why, "%s", *a->wish->reason ? a->wish->reason : "by hand");
    else
        snprintf(why, sizeof why, "version %u has replaced it", a->target->number);
    if (all->canary && all->canary != a->target)
        versions_give_up(all->canary, why);
    if (a->backwards && for_all)
        versions_go_back(all, a->target, why);
    if (all->canary != a->target || for_all)
        all->canary = NULL;
}

static void commit(struct change *change)
{
    struct code *c = code_of(change);
    struct attempt *a = &c->attempt;
    struct version *v = a->target;
    bool for_all = !a->wish->asked.canary;
    if (a->fresh)
        versions_add(&c->versions, v);
    a->fresh = false;
    a->committed = true;
    retire(c, for_all);
    if (for_all) {
        version_serves(v);
        c->versions.current = v;
        children_hasten(c->master);
    } else {
        c->versions.canary = v;
        c->share = a->wish->asked.canary;
    }
    versions_prune(&c->versions);
}

static void begin_watch(struct code *c)
{
    const struct attempt *a = &c->attempt;
    if (a->wish->what == CODE_RENEW || a->wish->what == CODE_START)
        return;
    if (a->backwards)
        code_watch_end(c, *a->wish->reason ? a->wish->reason : "rolled back by hand");
    else
        code_watch_begin(c, a->target, a->previous);
}

static void clear(struct code *c)
{
    struct attempt *a = &c->attempt;
    if (a->fresh)
        version_free(a->target);
    json_decref(a->report);
    json_decref(a->refusal);
    json_decref(a->phases);
    version_changes_free(&a->changes);
    free(a->first_failure);
    free(a->wish);
    *a = (struct attempt){0};
}

static void drop_wishes(struct code *c, bool told)
{
    while (!list_empty(&c->wishes)) {
        struct wish *w = wish_of(list_shift(&c->wishes));
        if (told)
            code_tell_stopping(c, w);
        free(w);
    }
    c->wish_count = 0;
}

static void done(struct change *change, const char *error)
{
    struct code *c = code_of(change);
    struct attempt *a = &c->attempt;
    if (a->wish && !a->moot) {
        if (a->committed)
            begin_watch(c);
        else if (a->wish->what == CODE_UNDO)
            code_watch_end(c, error);
        else if (a->wish->what == CODE_PROMOTE)
            code_watch_again(c);
        code_tell(c, a->wish, error);
    }
    clear(c);
    if (c->master->stopping)
        drop_wishes(c, true);
    else if (!list_empty(&c->wishes))
        change_start(&c->change);
}

static const struct change_kind kind = {
    .letter = CHANGE_CODE,
    .name = "new code",
    .patience = CODE_PATIENCE,
    .judged = true,
    .begin = begin,
    .halt = halt,
    .answered = answered,
    .commit = commit,
    .abandon = abandon,
    .done = done,
};

/* --- workers ---------------------------------------------------------------------------------- */

bool code_reap(struct master *m, pid_t pid, int status)
{
    struct scout *s = &m->code->scout;
    if (!s->pid || s->pid != pid)
        return false;
    scout_ended(s, status);
    return true;
}

static bool is_starting(const struct code *c)
{
    return c->attempt.starting;
}

void code_first_ready(struct master *m)
{
    struct code *c = m->code;
    if (!is_starting(c))
        return;
    c->attempt.starting = false;
    c->attempt.committed = true;
    version_serves(c->attempt.target);
    (void)version_compare(NULL, c->attempt.target, m->plan->root, &c->attempt.changes);
    change_end(&c->change);
}

void code_first_failed(struct master *m, const char *why)
{
    struct attempt *a = &m->code->attempt;
    free(a->first_failure);
    a->first_failure = strdup(why);
}

/* Of a text for a terminal: without the program's name. */
static const char *first_line(const char *text, char *line, size_t size)
{
    static const char name[] = "tidewire: ";
    if (!text || !*text)
        return "the first worker has ended before it was ready";
    text += strncmp(text, name, sizeof name - 1) == 0 ? sizeof name - 1 : 0;
    snprintf(line, size, "%.*s", (int)strcspn(text, "\n"), text);
    return line;
}

void code_first_ended(struct master *m)
{
    char line[CHANGE_ERROR];
    struct code *c = m->code;
    if (!is_starting(c))
        return;
    c->attempt.starting = false;
    c->versions.current = NULL; /* it is the only one */
    version_free(c->attempt.target);
    c->attempt.target = NULL;
    change_fail(&c->change, first_line(c->attempt.first_failure, line, sizeof line));
}

json_t *code_boot_order(const struct master *m, int *bundle)
{
    const struct version *v = m->code->versions.current;
    *bundle = v->bundle;
    return json_pack("{s:I, s:s, s:I}", "version", (json_int_t)v->number, "hash", v->hash,
                     "state_version", v->state_version);
}

/* --- life ------------------------------------------------------------------------------------- */

unsigned code_current(const struct master *m)
{
    return m->code->versions.current ? m->code->versions.current->number : 0;
}

const struct versions *code_versions(const struct master *m)
{
    return &m->code->versions;
}

bool code_init(struct master *m)
{
    struct code *c = m->code = calloc(1, sizeof *c);
    if (!c)
        return false;
    c->master = m;
    list_init(&c->wishes);
    versions_init(&c->versions);
    scout_init(&c->scout, m, code_on_scout);
    code_watch_init(c);
    c->workers = calloc(m->plan->workers, sizeof *c->workers);
    return c->workers && change_init(&c->change, &kind, m);
}

void code_stop(struct master *m)
{
    if (!m->code)
        return;
    drop_wishes(m->code, true);
    code_watch_end(m->code, "it is stopping");
}

void code_free(struct master *m)
{
    struct code *c = m->code;
    if (!c)
        return;
    m->code = NULL;
    drop_wishes(c, false);
    clear(c);
    code_watch_cancel(c);
    scout_leave(&c->scout);
    change_free(&c->change);
    versions_free(&c->versions);
    free(c->workers);
    free(c);
}
