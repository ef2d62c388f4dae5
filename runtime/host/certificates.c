/* Certificates while the service runs: read by the master, built by all workers, taken into use by
 * all or none. The master builds them first: what is wrong with a file is found there. */
#include "host/master_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE 10000       /* ms: with a worker that is busy */
#define ROTATION 3600 * 1000 /* ms between new keys of tickets */

static void begin(struct master *m);

static struct master *master_of(struct round *r)
{
    return list_entry(r, struct master, certificates.round);
}

/* --- the end of an attempt -------------------------------------------------------------------- */

static void forget(struct certificates *c)
{
    tls_wipe_bytes(&c->bytes);
    if (c->file >= 0)
        close(c->file);
    c->file = -1;
}

static void log_flaw(void *context, const char *line)
{
    const struct master *m = context;
    log_warn(m->log, "%s", line);
}

static void finish(struct master *m)
{
    struct certificates *c = &m->certificates;
    bool failed = *c->error;
    forget(c);
    if (m->up)
        master_tell_ready(m);
    if (failed) {
        log_error(m->log, "the certificates stay as they are: %s", c->error);
    } else {
        log_info(m->log, "new certificates are in use");
        certificates_flaws(m, log_flaw, m);
    }
    commands_certificates_done(m, failed ? c->error : NULL);
    if (c->again && !m->stopping)
        begin(m);
}

/* --- the workers ------------------------------------------------------------------------------ */

static void tell(struct child *s, enum channel_message type, int file)
{
    char number[16];
    snprintf(number, sizeof number, "%u", s->master->certificates.round.number);
    /* one that cannot be told is dying, or takes nothing any more, which the round's end shows */
    (void)channel_send_file(s->channel, type, number, file);
}

static void ask_all(struct master *m, enum channel_message type,
                    void (*done)(struct round *r, bool all))
{
    struct certificates *c = &m->certificates;
    round_open(&c->round, done);
    for (size_t i = 0; i < m->plan->workers; i++) {
        struct child *s = &m->children[i];
        s->owes_certificates = s->channel >= 0;
        if (!s->owes_certificates)
            continue;
        round_owed(&c->round);
        if (type == CHANNEL_PREPARE)
            s->prepared = false;
        else if (!s->prepared) /* it was started after the others had been asked */
            tell(s, CHANNEL_PREPARE, c->file);
        tell(s, type, type == CHANNEL_PREPARE ? c->file : -1);
    }
    round_asked(&c->round, PATIENCE);
}

/* The numbers of those who have not answered. */
static void name_debtors(const struct master *m, char *text, size_t size)
{
    *text = '\0';
    for (size_t i = 0; i < m->plan->workers; i++) {
        size_t used = strlen(text);
        if (m->children[i].owes_certificates)
            snprintf(text + used, size - used, "%s%zu", used ? ", " : "", i);
    }
}

static void on_committed(struct round *r, bool all)
{
    struct master *m = master_of(r);
    char names[256];
    name_debtors(m, names, sizeof names);
    if (!all)
        log_warn(m->log, "new certificates: worker %s is busy, and will have them later", names);
    finish(m);
}

static void abandon(struct master *m)
{
    listen_abandon_certificates(m->points);
    for (size_t i = 0; i < m->plan->workers; i++)
        if (m->children[i].channel >= 0)
            tell(&m->children[i], CHANNEL_ABANDON, -1);
    finish(m);
}

static void on_prepared(struct round *r, bool all)
{
    struct master *m = master_of(r);
    struct certificates *c = &m->certificates;
    char names[256];
    name_debtors(m, names, sizeof names);
    if (!all && !*c->error)
        snprintf(c->error, sizeof c->error, "worker %s has not answered in %d s", names,
                 PATIENCE / 1000);
    if (*c->error) {
        abandon(m);
        return;
    }
    listen_commit_certificates(m->points);
    ask_all(m, CHANNEL_COMMIT, on_committed);
}

/* What a worker answers to the question that is open: the text behind the number. NULL: it answers
 * an older one. */
static const char *take_answer(struct child *s, const char *text, bool committing)
{
    struct round *r = &s->master->certificates.round;
    char *rest;
    unsigned long number = strtoul(text, &rest, 10);
    if (!r->open || (r->done == on_committed) != committing || number != r->number ||
        !s->owes_certificates)
        return NULL;
    s->owes_certificates = false;
    return *rest == ' ' ? rest + 1 : rest;
}

void certificates_prepared(struct child *s, const char *text)
{
    struct certificates *c = &s->master->certificates;
    const char *wrong = take_answer(s, text, false);
    if (!wrong)
        return;
    s->prepared = !*wrong;
    if (*wrong && !*c->error)
        snprintf(c->error, sizeof c->error, "worker %zu: %s", s->index, wrong);
    round_answered(&c->round);
}

void certificates_committed(struct child *s, const char *text)
{
    if (take_answer(s, text, true))
        round_answered(&s->master->certificates.round);
}

void certificates_died(struct child *s)
{
    bool owed = s->owes_certificates;
    s->owes_certificates = false;
    s->prepared = false;
    if (owed)
        round_answered(&s->master->certificates.round);
}

/* --- an attempt ------------------------------------------------------------------------------- */

static bool build(struct master *m)
{
    struct certificates *c = &m->certificates;
    if (!listen_has_certificates(m->points)) {
        snprintf(c->error, sizeof c->error, "no listener has any: none is wss");
        return false;
    }
    if (!listen_read_certificates(m->points, &c->bytes, c->error, sizeof c->error))
        return false;
    struct slice bytes = {(const char *)c->bytes.data, c->bytes.len};
    if (!listen_prepare_certificates(m->points, bytes, c->error, sizeof c->error))
        return false;
    c->file = channel_file_new(c->bytes.data, c->bytes.len);
    if (c->file >= 0) {
        *c->error = '\0';
        return true;
    }
    snprintf(c->error, sizeof c->error, "out of memory or descriptors");
    listen_abandon_certificates(m->points);
    return false;
}

static void begin(struct master *m)
{
    m->certificates.again = false;
    if (m->up)
        notify_reloading(&m->notify);
    if (build(m))
        ask_all(m, CHANNEL_PREPARE, on_prepared);
    else
        finish(m);
}

bool certificates_busy(const struct master *m)
{
    return m->certificates.round.open;
}

void certificates_reload(struct master *m)
{
    if (certificates_busy(m))
        m->certificates.again = true;
    else
        begin(m);
}

/* --- what is in use --------------------------------------------------------------------------- */

struct telling {
    void (*each)(void *context, const char *line);
    void *context;
};

static void tell_flaw(void *context, const struct listen_point *point,
                      const struct tls_description *d)
{
    const struct telling *t = context;
    char line[1024];
    if (!d->flaw)
        return;
    snprintf(line, sizeof line, "%s: the certificate \"%s\" %s", point->url, d->file, d->flaw);
    t->each(t->context, line);
}

void certificates_flaws(const struct master *m, void (*each)(void *context, const char *line),
                        void *context)
{
    struct telling t = {each, context};
    listen_each_certificate(m->points, tell_flaw, &t);
}

/* --- keys of tickets -------------------------------------------------------------------------- */

bool certificates_rotate(struct master *m)
{
    loop_timer_set(m->loop, &m->certificates.rotation, ROTATION);
    return tls_tickets_rotate(m->tickets);
}

static void on_rotation(struct timer *t)
{
    struct master *m = list_entry(t, struct master, certificates.rotation);
    if (!certificates_rotate(m))
        log_warn(m->log, "no new key for session tickets: no random numbers; the old one stays");
}

void certificates_init(struct master *m)
{
    struct certificates *c = &m->certificates;
    *c = (struct certificates){.file = -1, .rotation = {.fire = on_rotation}};
    round_init(&c->round, m->loop);
    loop_timer_set(m->loop, &c->rotation, ROTATION);
    certificates_flaws(m, log_flaw, m);
}

void certificates_free(struct master *m)
{
    if (!m->loop)
        return;
    round_close(&m->certificates.round);
    loop_timer_cancel(m->loop, &m->certificates.rotation);
    forget(&m->certificates);
}
