#include "host/worker.h"
#include "host/change.h"
#include "host/worker_code.h"
#include "net/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define CODE_GOING_AWAY 1001

struct worker {
    const struct worker_setup *setup;
    struct loop *loop;
    struct watch *channel, *term, *reopen;
    struct worker_code code;
    struct listener **listeners;
    size_t listener_count;
    const char **urls; /* of the points; for the banner */
    bool serving, draining;
    uint64_t drain_until;
    int status;
};

/* --- the end ---------------------------------------------------------------------------------- */

static void on_stopped(void *context)
{
    struct worker *w = context;
    loop_stop(w->loop);
}

static void stop_listening(struct worker *w)
{
    for (size_t i = 0; i < w->listener_count; i++)
        listener_stop(w->listeners[i]);
    w->listener_count = 0;
}

/* Until here new clients were answered with 503: the sockets are the master's too, and would take
 * them in for nobody. */
static void on_drained(void *context)
{
    struct worker *w = context;
    uint64_t now = loop_now(w->loop);
    stop_listening(w);
    vm_stop(w->setup->vm, now < w->drain_until ? w->drain_until - now : 0, on_stopped, w);
}

static void drain(struct worker *w)
{
    if (w->draining)
        return;
    w->draining = true;
    if (!w->serving) { /* the app has not come up: there is nothing to end in order */
        loop_stop(w->loop);
        return;
    }
    w->drain_until = loop_now(w->loop) + w->setup->plan->drain;
    conn_set_drain(vm_conns(w->setup->vm), CODE_GOING_AWAY, w->setup->plan->drain, on_drained, w);
}

static void on_term(void *context)
{
    drain(context);
}

static void on_reopen(void *context)
{
    struct worker *w = context;
    log_reopen(w->setup->log);
}

/* --- what the master says --------------------------------------------------------------------- */

static void answer_certificates(struct worker *w, enum channel_message type, const char *question,
                                const char *error)
{
    char answer[CHANGE_ERROR + 32];
    snprintf(answer, sizeof answer, "%.16s%s%s", question, *error ? " " : "", error);
    channel_send(w->setup->channel, type, answer);
}

static void prepare_certificates(struct worker *w, const struct channel_packet *p)
{
    const struct listen_point *points = w->setup->points;
    char why[CHANGE_ERROR] = "out of memory or descriptors";
    struct buf bytes = {0};
    bool ok = channel_file_read(p->file, &bytes);
    struct slice all = {(const char *)bytes.data, bytes.len};
    ok = ok && listen_prepare_certificates(points, all, why, sizeof why);
    tls_wipe_bytes(&bytes); /* there may be keys in it */
    answer_certificates(w, CHANNEL_PREPARED, p->text, ok ? "" : why);
}

static void change_certificates(struct worker *w, const struct channel_packet *p)
{
    if (p->type == CHANNEL_PREPARE) {
        prepare_certificates(w, p);
    } else if (p->type == CHANNEL_COMMIT) {
        listen_commit_certificates(w->setup->points);
        answer_certificates(w, CHANNEL_COMMITTED, p->text, "");
    } else {
        listen_abandon_certificates(w->setup->points);
    }
}

/* What changes in all workers together (change.h): this one's part. */
static void change(struct worker *w, const struct channel_packet *p)
{
    switch ((enum change_letter) * p->text) {
    case CHANGE_CERTIFICATES:
        change_certificates(w, p);
        break;
    case CHANGE_CODE:
        worker_code_ask(&w->code, p);
        break;
    }
}

static void on_message(struct worker *w, const struct channel_packet *p)
{
    switch (p->type) {
    case CHANNEL_END:
        if (!w->draining)
            log_warn(w->setup->log, "the master process is gone; ending");
        loop_unwatch(w->loop, w->channel);
        w->channel = NULL;
        drain(w);
        break;
    case CHANNEL_DRAIN:
        drain(w);
        break;
    case CHANNEL_PREPARE:
    case CHANNEL_BARRIER:
    case CHANNEL_COMMIT:
    case CHANNEL_ABANDON:
        change(w, p);
        break;
    case CHANNEL_DESCRIBE:
        worker_code_describe(&w->code);
        break;
    default:
        break;
    }
}

static void on_channel(void *context)
{
    struct worker *w = context;
    struct channel_packet packet;
    channel_receive(w->setup->channel, &packet);
    on_message(w, &packet);
    channel_packet_free(&packet);
}

/* --- the start -------------------------------------------------------------------------------- */

static bool start_listening(struct worker *w)
{
    const struct worker_setup *s = w->setup;
    for (const struct listen_point *p = s->points; p; p = p->next) {
        struct listener *l = listener_start(vm_conns(s->vm), p, s->index, s->log);
        if (!l)
            return false;
        w->listeners[w->listener_count++] = l;
    }
    return true;
}

static void fail(struct worker *w, const char *why)
{
    channel_send(w->setup->channel, CHANNEL_FAILED, why);
    w->status = 1;
    loop_stop(w->loop);
}

static void on_booted(void *context, bool ok, const char *text)
{
    struct worker *w = context;
    if (!ok)
        fail(w, text);
    else if (!start_listening(w))
        fail(w, "tidewire: out of memory\n");
    else {
        w->serving = true;
        channel_send(w->setup->channel, CHANNEL_READY, text);
        worker_code_serves(&w->code);
    }
}

/* Nine tenths of the descriptors for connections, the rest for files and whatever the app opens. */
static size_t connection_bound(const struct plan *plan)
{
    struct rlimit files;
    if (plan->bounds.connections)
        return plan->bounds.connections;
    if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur == RLIM_INFINITY)
        return 0;
    return (size_t)files.rlim_cur / 10 * 9;
}

static bool set_up(struct worker *w)
{
    const struct worker_setup *s = w->setup;
    size_t count = 0;
    for (const struct listen_point *p = s->points; p; p = p->next)
        count++;
    w->listeners = calloc(count + 1, sizeof *w->listeners);
    w->urls = calloc(count + 1, sizeof *w->urls);
    w->loop = loop_new();
    if (!w->listeners || !w->urls || !w->loop || !vm_attach(s->vm, w->loop))
        return false;
    count = 0;
    for (const struct listen_point *p = s->points; p; p = p->next)
        w->urls[count++] = p->url;
    struct conn_bounds bounds = s->plan->bounds;
    bounds.connections = connection_bound(s->plan);
    bounds.proxies = &s->plan->proxies;
    conn_set_bound(vm_conns(s->vm), &bounds);
    w->channel = loop_watch_readable(w->loop, s->channel, on_channel, w);
    w->term = loop_watch_signal(w->loop, SIGTERM, on_term, w);
    w->reopen = loop_watch_signal(w->loop, SIGUSR1, on_reopen, w);
    if (!w->channel || !w->term || !w->reopen)
        return false;
    struct slice bundle = {(const char *)s->bundle->data, s->bundle->len};
    worker_code_init(&w->code, s->vm, s->channel);
    sigprocmask(SIG_SETMASK, s->signals, NULL);
    vm_boot(s->vm, w->urls, count, s->order, bundle, on_booted, w);
    buf_free(s->bundle);
    return true;
}

static void tear_down(struct worker *w)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL); /* who tells it to end once more does not make it a crash */
    stop_listening(w);
    vm_free(w->setup->vm);
    worker_code_free(&w->code);
    loop_unwatch(w->loop, w->channel);
    loop_unwatch(w->loop, w->term);
    loop_unwatch(w->loop, w->reopen);
    loop_free(w->loop);
    free(w->listeners);
    free(w->urls);
}

int worker_run(const struct worker_setup *setup)
{
    struct worker w = {.setup = setup};
    char name[16];
    snprintf(name, sizeof name, "tidewire-w%zu", setup->index);
    prctl(PR_SET_NAME, name);
    signal(SIGINT, SIG_IGN); /* a terminal sends these to all; the master decides */
    signal(SIGHUP, SIG_IGN);
    if (!set_up(&w)) {
        channel_send(setup->channel, CHANNEL_FAILED, "tidewire: cannot start: out of memory\n");
        return 1;
    }
    loop_run(w.loop);
    tear_down(&w);
    return w.status;
}
