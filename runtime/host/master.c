#include "host/master.h"
#include "host/code.h"
#include "host/dev.h"
#include "host/master_impl.h"
#include "host/master_metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define STOP_GRACE 10000 /* ms beyond the drain, for stop(app) */

/* --- the end ---------------------------------------------------------------------------------- */

void master_stop(struct master *m)
{
    m->stopping = true;
    notify_stopping(&m->notify);
    change_stop(m);
    code_stop(m);
    for (size_t i = 0; i < m->plan->workers; i++) {
        struct child *s = &m->children[i];
        loop_timer_cancel(m->loop, &s->restart);
        /* one that is stuck takes no more messages at some time; the signal waits for it */
        if (s->pid && !(s->channel >= 0 && channel_send(s->channel, CHANNEL_DRAIN, "")))
            kill(s->pid, SIGTERM);
    }
    if (!m->running)
        loop_stop(m->loop);
    else
        loop_timer_set(m->loop, &m->patience, m->plan->drain + STOP_GRACE);
}

/* A handler that never returns, or a stop(app) that never ends, must not keep the service up. */
static void on_patience(struct timer *t)
{
    struct master *m = list_entry(t, struct master, patience);
    log_error(m->log, "%zu workers have not ended in time; ending them by force", m->running);
    children_signal(m, SIGKILL);
}

void master_fail(struct master *m)
{
    m->status = 1;
    master_stop(m);
}

void master_tell_ready(const struct master *m)
{
    char status[512];
    const struct listen_point *first = m->points;
    snprintf(status, sizeof status, "%zu worker%s, listening on %s%s", m->plan->workers,
             m->plan->workers == 1 ? "" : "s", first ? first->url : "nothing",
             first && first->next ? " and others" : "");
    notify_ready(&m->notify, status);
}

/* --- signals ---------------------------------------------------------------------------------- */

static void on_child(void *context)
{
    children_reap(context);
}

static void on_term(void *context)
{
    struct master *m = context;
    if (m->stopping)
        return;
    log_info(m->log, "stopping");
    master_stop(m);
}

static void on_interrupt(void *context)
{
    struct master *m = context;
    if (!m->stopping) {
        log_info(m->log, "stopping; interrupt again to stop at once");
        master_stop(m);
        return;
    }
    children_signal(m, SIGKILL);
}

/* Somebody has renamed the log file. A worker that is just being forked gets the signal once it has
 * a handler. */
static void on_reopen(void *context)
{
    struct master *m = context;
    if (!m->log->file) {
        log_info(m->log, "there is no log file to open anew (USR1); --log-file names one");
        return;
    }
    if (log_reopen(m->log))
        log_info(m->log, "the log file is opened anew (USR1)");
    children_signal(m, SIGUSR1);
}

static int open_terminal(void)
{
    return open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
}

static bool is_in_foreground(void)
{
    int fd = open_terminal();
    bool is = fd >= 0 && tcgetpgrp(fd) == getpgrp();
    if (fd >= 0)
        close(fd);
    return is;
}

static bool terminal_is_gone(void)
{
    int fd = open_terminal();
    if (fd >= 0)
        close(fd);
    return fd < 0;
}

/* Somebody asks for what is on the disk now, or the terminal's window was closed: who began it
 * there, in the foreground, does not expect it to go on. */
static void on_hang_up(void *context)
{
    struct master *m = context;
    if (m->terminal && terminal_is_gone()) {
        on_term(m);
    } else if (!m->stopping) {
        log_info(m->log, "reloading (HUP)");
        code_reload(m, &(struct code_request){.certificates = listen_has_certificates(m->points),
                                              .merge = true});
    }
}

/* --- the start -------------------------------------------------------------------------------- */

static bool open_points(struct master *m)
{
    char error[1024];
    m->tickets = tls_tickets_new();
    struct listen_options options = {.workers = m->plan->workers,
                                     .tls = &m->plan->tls,
                                     .tickets = m->tickets,
                                     .inherited = &m->inherited};
    if (!m->tickets) {
        log_error(m->log, "cannot start: out of memory");
        return false;
    }
    /* who has given us sockets, and asked for no others, means these */
    bool inherits = m->plan->listen_is_default && inherit_has(&m->inherited, "");
    for (size_t i = 0; i < m->plan->listen_count; i++) {
        const char *url = inherits ? "systemd:" : m->plan->listen[i];
        if (!listen_open(url, &options, &m->points, error, sizeof error)) {
            fprintf(stderr, "tidewire: %s\n", error);
            return false;
        }
    }
    if (inherit_left(&m->inherited))
        log_warn(m->log, "the inherited socket \"%s\" is in no --listen: nobody will answer there",
                 inherit_left(&m->inherited));
    inherit_free(&m->inherited);
    return true;
}

/* A place that nobody has asked for is no reason not to start: the folder may not be ours to write
 * to, or the same app runs twice. */
static bool open_control(struct master *m)
{
    const char *path = m->plan->control;
    if (!path)
        return true;
    m->control = control_open(m->loop, path, m->log, commands_line, m);
    if (m->control)
        return true;
    const char *why = errno == EADDRINUSE ? "another tidewire answers there, or it is no socket"
                                          : strerror(errno);
    if (m->plan->control_asked)
        fprintf(stderr, "tidewire: cannot open the control socket %s: %s\n", path, why);
    else
        log_warn(
            m->log,
            "no control socket %s: %s. `tidewire reload` and `tidewire status` cannot find this "
            "app; --control gives it another place, --control off none",
            path, why);
    return !m->plan->control_asked;
}

static void on_watchdog(struct timer *t)
{
    struct master *m = list_entry(t, struct master, watchdog);
    notify_alive(&m->notify);
    loop_timer_set(m->loop, &m->watchdog, m->notify.watchdog / 2);
}

/* What the service manager has put into our environment. */
static bool meet_manager(struct master *m)
{
    const char *wrong = notify_open(&m->notify);
    if (wrong)
        log_warn(m->log, "the service manager will not be told how it goes: %s", wrong);
    return inherit_read(&m->inherited);
}

/* Started with stdin, stdout or stderr closed, a socket would take their place, and the log would
 * be written to a client. */
static bool fill_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    return fd >= 0 && close(fd) == 0;
}

/* Each connection takes a descriptor: use what the system grants. */
static void raise_descriptor_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files))
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

/* The workers write to the same file. */
static bool open_log(struct log *log, const char *path)
{
    if (!path || log_open(log, path))
        return true;
    fprintf(stderr, "tidewire: cannot open the log file %s: %s\n", path, strerror(errno));
    return false;
}

static bool set_up(struct master *m)
{
    m->loop = loop_new();
    m->patience.fire = on_patience;
    if (!m->loop)
        return false;
    m->started = loop_now(m->loop);
    m->terminal = is_in_foreground();
    changes_init(m);
    list_init(&m->waiters);
    m->metrics = master_metrics_new();
    if (!m->metrics || !round_init(&m->description, m->loop, m->plan->workers) ||
        !certificates_init(m) || !code_init(m) || !children_init(m))
        return false;
    m->dev = m->plan->dev ? dev_open(m) : NULL;
    if (m->plan->dev && !m->dev)
        return false;
    m->watchdog.fire = on_watchdog;
    if (m->notify.watchdog)
        loop_timer_set(m->loop, &m->watchdog, 0);
    m->child = loop_watch_signal(m->loop, SIGCHLD, on_child, m);
    m->term = loop_watch_signal(m->loop, SIGTERM, on_term, m);
    struct sigaction hang_up;
    if (sigaction(SIGHUP, NULL, &hang_up) || hang_up.sa_handler != SIG_IGN) /* not under nohup */
        m->hang_up = loop_watch_signal(m->loop, SIGHUP, on_hang_up, m);
    m->interrupt = loop_watch_signal(m->loop, SIGINT, on_interrupt, m);
    m->reopen = loop_watch_signal(m->loop, SIGUSR1, on_reopen, m);
    return m->child && m->term && m->interrupt && m->reopen;
}

static void leave_loop(struct master *m)
{
    if (!m->loop)
        return;
    children_free(m);
    certificates_free(m);
    code_free(m);
    commands_code_free(m);
    round_free(&m->description);
    master_metrics_free(m->metrics);
    m->metrics = NULL;
    deferred_cancel(&m->next_change);
    loop_unwatch(m->loop, m->child);
    loop_unwatch(m->loop, m->term);
    loop_unwatch(m->loop, m->hang_up);
    loop_unwatch(m->loop, m->interrupt);
    loop_unwatch(m->loop, m->reopen);
    loop_free(m->loop);
    m->loop = NULL;
}

void master_leave(struct master *m)
{
    notify_close(&m->notify);
    control_leave(m->control);
    dev_leave(m->dev);
    leave_loop(m);
}

static void tear_down(struct master *m)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL); /* the files of its sockets are removed in any case */
    control_close(m->control);
    dev_close(m->dev);
    leave_loop(m);
    notify_close(&m->notify);
    inherit_free(&m->inherited);
    listen_close(m->points);
    tls_tickets_wipe(m->tickets);
    tls_tickets_free(m->tickets);
    vm_free(m->vm);
}

static void serve(struct master *m)
{
    m->status = 0;
    code_begin(m);
    loop_run(m->loop);
}

int master_run(struct vm *vm, const struct plan *plan, struct log *log)
{
    struct master m = {.vm = vm, .plan = plan, .log = log, .status = 1};
    raise_descriptor_limit();
    signal(SIGUSR1, SIG_IGN);    /* until there is a handler: it ends nothing */
    signal(SIGPIPE, SIG_IGN);    /* a closed connection shows in write(2), and in OpenSSL's */
    bool met = meet_manager(&m); /* first of all: it knows its sockets by their numbers */
    if (!met || !fill_standard_descriptors()) {
        log_error(log, "cannot start: out of %s", met ? "descriptors" : "memory");
    } else if (open_log(log, plan->log_file) && open_points(&m)) {
        if (!set_up(&m))
            log_error(log, "cannot start: out of memory or descriptors");
        else if (open_control(&m))
            serve(&m);
    }
    tear_down(&m);
    return m.status;
}
