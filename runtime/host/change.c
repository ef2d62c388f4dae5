#include "host/change.h"
#include "host/master_impl.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void begin(struct change *c);

static struct change *change_of(struct round *r)
{
    return list_entry(r, struct change, round);
}

/* --- the end of an attempt -------------------------------------------------------------------- */

static void finish(struct change *c)
{
    struct master *m = c->master;
    if (m->up && !m->stopping)
        master_tell_ready(m);
    c->kind->done(m, *c->error ? c->error : NULL);
    if (!c->again)
        return;
    if (!m->stopping) {
        begin(c);
        return;
    }
    c->again = false;
    c->kind->done(m, "it is stopping");
}

/* --- the workers ------------------------------------------------------------------------------ */

static bool tell(struct change *c, const struct child *s, enum channel_message type, int file)
{
    char text[16];
    snprintf(text, sizeof text, "%c%u", c->kind->letter, c->round.number);
    return channel_send_file(s->channel, type, text, file);
}

static void ask_all(struct change *c, enum channel_message type, int file,
                    void (*done)(struct round *r, bool all))
{
    const struct master *m = c->master;
    c->committing = type == CHANNEL_COMMIT;
    round_open(&c->round, done);
    for (size_t i = 0; i < m->plan->workers; i++) {
        struct child *s = &m->children[i];
        if (s->channel < 0)
            continue;
        round_ask(&c->round, i);
        /* Who cannot be asked is dying, or takes nothing any more, which the round's end shows. Who
         * cannot be told that it is committed is replaced by one that has it. */
        if (!tell(c, s, type, file) && c->committing)
            kill(s->pid, SIGTERM);
    }
    round_wait(&c->round, c->kind->patience);
}

static void on_committed(struct round *r, bool all)
{
    struct change *c = change_of(r);
    char names[256];
    round_debtors(r, names, sizeof names);
    if (!all)
        log_warn(c->master->log, "%s: worker %s is busy, and will have them later", c->kind->name,
                 names);
    finish(c);
}

static void abandon(struct change *c)
{
    const struct master *m = c->master;
    c->kind->abandon(c->master);
    for (size_t i = 0; i < m->plan->workers; i++)
        if (m->children[i].channel >= 0)
            (void)tell(c, &m->children[i], CHANNEL_ABANDON, -1); /* the next one does it too */
    finish(c);
}

static void on_prepared(struct round *r, bool all)
{
    struct change *c = change_of(r);
    char names[256];
    round_debtors(r, names, sizeof names);
    if (!all && !*c->error)
        snprintf(c->error, sizeof c->error, "worker %s has not answered in %u s", names,
                 c->kind->patience / 1000);
    if (*c->error) {
        abandon(c);
        return;
    }
    c->kind->commit(c->master);
    ask_all(c, CHANNEL_COMMIT, -1, on_committed);
}

void change_answered(struct change *c, size_t worker, enum channel_message type, const char *text)
{
    char *rest;
    unsigned long number = strtoul(text + 1, &rest, 10);
    if (*text != (char)c->kind->letter || number > UINT_MAX ||
        c->committing != (type == CHANNEL_COMMITTED) ||
        !round_expects(&c->round, worker, (unsigned)number))
        return;
    if (*rest == ' ' && !*c->error)
        snprintf(c->error, sizeof c->error, "worker %zu: %s", worker, rest + 1);
    round_settle(&c->round, worker);
}

void change_died(struct change *c, size_t worker)
{
    round_settle(&c->round, worker);
}

/* --- an attempt ------------------------------------------------------------------------------- */

static void begin(struct change *c)
{
    struct master *m = c->master;
    c->again = false;
    *c->error = '\0';
    if (m->up)
        notify_reloading(&m->notify);
    int file = c->kind->prepare(m, c->error, sizeof c->error);
    if (file < 0) {
        finish(c);
        return;
    }
    *c->error = '\0';
    ask_all(c, CHANNEL_PREPARE, file, on_prepared);
    close(file); /* the workers have their own */
}

void change_start(struct change *c)
{
    if (change_is_busy(c))
        c->again = true;
    else
        begin(c);
}

bool change_is_busy(const struct change *c)
{
    return c->round.open;
}

bool change_init(struct change *c, const struct change_kind *kind, struct master *m)
{
    *c = (struct change){.kind = kind, .master = m};
    return round_init(&c->round, m->loop, m->plan->workers);
}

void change_free(struct change *c)
{
    round_free(&c->round);
}
