/* Certificates while the service runs: read by the master, built by all workers. */
#include "host/master_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE 5000        /* ms: with a worker that is busy */
#define ROTATION 3600 * 1000 /* ms between new keys of tickets */

/* --- new ones --------------------------------------------------------------------------------- */

static bool read_and_prepare(const struct master *m, struct buf *bytes, char *error, size_t size)
{
    if (!listen_has_certificates(m->points)) {
        snprintf(error, size, "no listener has any: none is wss");
        return false;
    }
    if (!listen_read_certificates(m->points, bytes, error, size))
        return false;
    struct slice all = {(const char *)bytes->data, bytes->len};
    return listen_prepare_certificates(m->points, all, error, size);
}

static void begin(struct change *c)
{
    struct master *m = c->master;
    struct buf bytes = {0};
    char error[CHANGE_ERROR];
    int file = -1;
    if (read_and_prepare(m, &bytes, error, sizeof error)) {
        file = channel_file_new(bytes.data, bytes.len);
        if (file < 0) {
            snprintf(error, sizeof error, "out of memory or descriptors");
            listen_abandon_certificates(m->points);
        }
    }
    tls_wipe_bytes(&bytes);
    if (file >= 0)
        change_go(c, file, NULL);
    else
        change_fail(c, error);
}

static void commit(struct change *c)
{
    listen_commit_certificates(c->master->points);
}

static void abandon(struct change *c)
{
    listen_abandon_certificates(c->master->points);
}

static void log_flaw(void *log, const struct listen_point *point, const struct tls_description *d)
{
    if (d->flaw)
        log_warn(log, "%s: the certificate \"%s\" %s", point->url, d->file, d->flaw);
}

/* Refusing these at a reload could leave one in use that is worse. */
static void warn_of_flaws(const struct master *m)
{
    listen_each_certificate(m->points, log_flaw, (void *)m->log);
}

static void done(struct change *c, const char *error)
{
    struct master *m = c->master;
    free(m->certificates_wrong);
    m->certificates_wrong = error ? strdup(error) : NULL;
    if (error) {
        log_error(m->log, "the certificates stay as they are: %s", error);
    } else {
        log_info(m->log, "new certificates are in use");
        warn_of_flaws(m);
    }
    commands_certificates_done(m, error);
}

static const struct change_kind kind = {
    .letter = CHANGE_CERTIFICATES,
    .name = "new certificates",
    .patience = PATIENCE,
    .begin = begin,
    .commit = commit,
    .abandon = abandon,
    .done = done,
};

/* --- keys of tickets -------------------------------------------------------------------------- */

bool certificates_rotate(struct master *m)
{
    loop_timer_set(m->loop, &m->rotation, ROTATION);
    return tls_tickets_rotate(m->tickets);
}

static void on_rotation(struct timer *t)
{
    struct master *m = list_entry(t, struct master, rotation);
    if (!certificates_rotate(m))
        log_warn(m->log, "no new key for session tickets: no random numbers; the old one stays");
}

bool certificates_init(struct master *m)
{
    m->rotation.fire = on_rotation;
    loop_timer_set(m->loop, &m->rotation, ROTATION);
    warn_of_flaws(m);
    return change_init(&m->certificates, &kind, m);
}

void certificates_free(struct master *m)
{
    change_free(&m->certificates);
    free(m->certificates_wrong);
    m->certificates_wrong = NULL;
    if (m->loop)
        loop_timer_cancel(m->loop, &m->rotation);
}
