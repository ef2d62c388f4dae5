#include "host/change.h"
#include "host/master_impl.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct change *change_of(struct round *r)
{
    return list_entry(r, struct change, round);
}

static void set_error(struct change *c, int worker, const char *error)
{
    if (*c->error)
        return; /* the first one tells the most */
    c->worker = worker;
    snprintf(c->error, sizeof c->error, "%s", *error ? error : "it says no, and not why");
}

/* --- the end of an attempt -------------------------------------------------------------------- */

/* Those that wait will not have their turn. */
static void drop_queue(struct master *m)
{
    while (!list_empty(&m->changes)) {
        struct change *c = list_entry(m->changes.next, struct change, node);
        list_remove(&c->node);
        c->queued = false;
        c->kind->done(c, "it is stopping");
    }
}

static void finish(struct change *c)
{
    struct master *m = c->master;
    c->phase = CHANGE_IDLE;
    m->changing = NULL;
    free(c->order);
    c->order = NULL;
    if (m->up && !m->stopping)
        master_tell_ready(m);
    c->kind->done(c, *c->error ? c->error : NULL);
    if (m->stopping)
        drop_queue(m);
    children_resume(m);
    change_next(m);
}

void change_fail(struct change *c, const char *error)
{
    set_error(c, -1, error);
    finish(c);
}

void change_end(struct change *c)
{
    finish(c);
}

/* --- the workers ------------------------------------------------------------------------------ */

static bool tell(struct change *c, const struct child *s, enum channel_message type, int file)
{
    char number[16];
    size_t n = (size_t)snprintf(number, sizeof number, "%c%u", c->kind->letter, c->round.number);
    struct buf text = {0};
    bool told = buf_append(&text, number, n) &&
                (!c->order || (buf_append(&text, " ", 1) && buf_append_str(&text, c->order))) &&
                buf_append(&text, "", 1) &&
                channel_send_file(s->channel, type, (const char *)text.data, file);
    buf_free(&text);
    return told;
}

static void ask_all(struct change *c, enum change_phase phase, enum channel_message type, int file,
                    uint32_t patience, void (*done)(struct round *r, bool all))
{
    const struct master *m = c->master;
    c->phase = phase;
    c->agreed = c->lost = 0;
    round_open(&c->round, done);
    for (size_t i = 0; i < m->plan->workers; i++) {
        struct child *s = &m->children[i];
        if (s->channel < 0)
            continue;
        round_ask(&c->round, i);
        /* Who cannot be asked is dying, or takes nothing any more, which the round's end shows. Who
         * cannot be told that it is committed is replaced by one that has it. */
        if (!tell(c, s, type, file) && phase == CHANGE_COMMITTING)
            kill(s->pid, SIGTERM);
    }
    round_wait(&c->round, patience);
}

/* Who takes no notice of it for so long is stuck, most likely in what is to be replaced. */
static void replace_silent(struct change *c, const char *names)
{
    const struct master *m = c->master;
    log_error(m->log, "%s: worker %s has not answered in %u s, and is replaced", c->kind->name,
              names, c->round.asked_for / 1000);
    for (size_t i = 0; i < m->plan->workers; i++)
        if (c->round.owes[i])
            child_end(&m->children[i]);
}

static void on_committed(struct round *r, bool all)
{
    struct change *c = change_of(r);
    char names[64];
    round_debtors(r, names, sizeof names);
    if (!all && c->insists) {
        replace_silent(c, names);
    } else if (!all) {
        snprintf(c->late, sizeof c->late, "worker %s is busy, and will have them later", names);
        log_warn(c->master->log, "%s: %s", c->kind->name, c->late);
    }
    finish(c);
}

static void abandon(struct change *c)
{
    const struct master *m = c->master;
    c->kind->abandon(c);
    for (size_t i = 0; i < m->plan->workers; i++)
        if (c->phase != CHANGE_BEGUN && m->children[i].channel >= 0)
            (void)tell(c, &m->children[i], CHANNEL_ABANDON, -1); /* the next one does it too */
    finish(c);
}

static void commit(struct change *c)
{
    c->kind->commit(c);
    ask_all(c, CHANGE_COMMITTING, CHANNEL_COMMIT, -1, c->kind->patience, on_committed);
}

/* The end of a round before the commit: is anything against it? */
static bool may_go_on(struct change *c, bool all)
{
    char names[64], why[128];
    round_debtors(&c->round, names, sizeof names);
    if (!all && c->insists) {
        replace_silent(c, names);
    } else if (!all) {
        snprintf(why, sizeof why, "worker %s has not answered in %u s", names,
                 c->round.asked_for / 1000);
        set_error(c, atoi(names), why);
    } else if (c->kind->judged && c->lost && !c->agreed) {
        set_error(c, -1, "no worker has lived to say that it can");
    }
    return !*c->error;
}

static void on_halted(struct round *r, bool all)
{
    struct change *c = change_of(r);
    if (may_go_on(c, all))
        commit(c);
    else
        abandon(c);
}

static void on_prepared(struct round *r, bool all)
{
    struct change *c = change_of(r);
    if (!may_go_on(c, all) || c->trial) {
        abandon(c);
        return;
    }
    uint32_t halt = c->kind->halt ? c->kind->halt(c) : 0;
    if (halt)
        ask_all(c, CHANGE_BARRIER, CHANNEL_BARRIER, -1, halt, on_halted);
    else
        commit(c);
}

static enum channel_message answer_to(enum change_phase phase)
{
    return phase == CHANGE_PREPARING ? CHANNEL_PREPARED
           : phase == CHANGE_BARRIER ? CHANNEL_STANDS
                                     : CHANNEL_COMMITTED;
}

static void judge(struct change *c, size_t worker, const char *text)
{
    const struct master *m = c->master;
    const char *wrong = c->kind->answered ? c->kind->answered(c, worker, text)
                        : *text           ? text
                                          : NULL;
    if (!wrong) {
        c->agreed++;
    } else if (c->phase == CHANGE_COMMITTING) {
        log_error(m->log, "%s: worker %zu cannot take them, and is replaced: %s", c->kind->name,
                  worker, wrong);
        kill(m->children[worker].pid, SIGTERM);
    } else {
        set_error(c, (int)worker, wrong);
    }
}

void change_answered(struct master *m, size_t worker, enum channel_message type, const char *text)
{
    struct change *c = m->changing;
    char *rest = NULL;
    unsigned long number = *text ? strtoul(text + 1, &rest, 10) : 0;
    if (!c || *text != (char)c->kind->letter || number > UINT_MAX || type != answer_to(c->phase) ||
        !round_expects(&c->round, worker, (unsigned)number))
        return;
    judge(c, worker, *rest == ' ' ? rest + 1 : rest);
    round_settle(&c->round, worker);
}

void change_died(struct master *m, size_t worker)
{
    struct change *c = m->changing;
    if (!c || !c->round.open)
        return;
    if (m->children[worker].ready && round_expects(&c->round, worker, c->round.number))
        c->lost++;
    round_settle(&c->round, worker);
}

/* --- an attempt ------------------------------------------------------------------------------- */

static void begin(struct change *c)
{
    struct master *m = c->master;
    list_remove(&c->node);
    c->queued = c->trial = c->insists = false;
    c->phase = CHANGE_BEGUN;
    c->worker = -1;
    *c->error = *c->late = '\0';
    m->changing = c;
    if (m->up)
        notify_reloading(&m->notify);
    c->kind->begin(c);
}

void change_go(struct change *c, int file, char *order)
{
    c->order = order;
    ask_all(c, CHANGE_PREPARING, CHANNEL_PREPARE, file, c->kind->patience, on_prepared);
    if (file >= 0)
        close(file); /* the workers have their own */
}

static void on_next(struct deferred *d)
{
    struct master *m = list_entry(d, struct master, next_change);
    if (!m->changing && !m->stopping && !list_empty(&m->changes))
        begin(list_entry(m->changes.next, struct change, node));
}

void change_next(struct master *m)
{
    if (!m->changing && !m->stopping && !list_empty(&m->changes))
        loop_defer(m->loop, &m->next_change);
}

void change_start(struct change *c)
{
    if (c->queued)
        return;
    c->queued = true;
    list_push(&c->master->changes, &c->node);
    change_next(c->master);
}

bool change_is_busy(const struct change *c)
{
    return c->phase != CHANGE_IDLE;
}

const char *change_phase_name(const struct change *c)
{
    static const char *const names[] = {"idle", "read", "prepare", "barrier", "commit"};
    return names[c->phase];
}

void change_stop(struct master *m)
{
    struct change *c = m->changing;
    if (c && c->phase != CHANGE_COMMITTING) {
        set_error(c, -1, "it is stopping");
        round_close(&c->round);
        abandon(c);
    }
    if (!m->changing) /* one that is being committed may wait for another turn itself */
        drop_queue(m);
}

void changes_init(struct master *m)
{
    list_init(&m->changes);
    deferred_init(&m->next_change, on_next);
}

bool change_init(struct change *c, const struct change_kind *kind, struct master *m)
{
    *c = (struct change){.kind = kind, .master = m};
    list_init(&c->node);
    return round_init(&c->round, m->loop, m->plan->workers);
}

void change_free(struct change *c)
{
    round_free(&c->round);
    free(c->order);
    c->order = NULL;
}
