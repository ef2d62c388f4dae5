#include "host/master.h"
#include "host/channel.h"
#include "host/worker.h"
#include "net/listener.h"
#include "net/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CRASH_LOOP 1000 /* ms: a worker that lived less is not restarted at once */
#define BACKOFF_MIN 500
#define STOP_GRACE 10000 /* ms beyond the drain, for stop(app) */
#define BACKOFF_MAX 30000

struct child {
    struct master *master;
    size_t index;
    pid_t pid;   /* 0: not running */
    int channel; /* -1: closed */
    struct watch *watch;
    struct timer restart;
    uint64_t started;
    uint32_t backoff; /* ms */
    bool ready;
};

struct master {
    struct vm *vm;
    const struct plan *plan;
    const struct log *log;
    struct loop *loop;
    struct listen_point *points;
    struct tls_tickets *tickets;
    struct child *children;
    size_t running;
    struct timer patience; /* with workers that do not end */
    struct watch *child, *term, *hang_up, *interrupt;
    bool up;       /* the first worker has been ready: the command has succeeded */
    bool stopping; /* no worker is restarted any more */
    int status;
};

static bool start_worker(struct child *s);
static void restart_later(struct child *s);

/* --- the end ---------------------------------------------------------------------------------- */

static void close_channel(struct child *s)
{
    loop_unwatch(s->master->loop, s->watch);
    s->watch = NULL;
    if (s->channel >= 0)
        close(s->channel);
    s->channel = -1;
}

static void stop_all(struct master *m)
{
    m->stopping = true;
    for (size_t i = 0; i < m->plan->workers; i++) {
        struct child *s = &m->children[i];
        loop_timer_cancel(m->loop, &s->restart);
        if (s->pid && s->channel >= 0)
            channel_send(s->channel, CHANNEL_DRAIN, "");
    }
    if (!m->running)
        loop_stop(m->loop);
    else
        loop_timer_set(m->loop, &m->patience, m->plan->drain + STOP_GRACE);
}

static void kill_all(struct master *m)
{
    for (size_t i = 0; i < m->plan->workers; i++)
        if (m->children[i].pid)
            kill(m->children[i].pid, SIGKILL);
}

/* A handler that never returns, or a stop(app) that never ends, must not keep the service up. */
static void on_patience(struct timer *t)
{
    struct master *m = list_entry(t, struct master, patience);
    log_error(m->log, "%zu workers have not ended in time; ending them by force", m->running);
    kill_all(m);
}

static void fail(struct master *m)
{
    m->status = 1;
    stop_all(m);
}

static void on_term(void *context)
{
    struct master *m = context;
    if (m->stopping)
        return;
    log_info(m->log, "stopping");
    stop_all(m);
}

static void on_interrupt(void *context)
{
    struct master *m = context;
    if (!m->stopping) {
        log_info(m->log, "stopping; interrupt again to stop at once");
        stop_all(m);
        return;
    }
    kill_all(m);
}

/* --- workers ---------------------------------------------------------------------------------- */

/* In the child: what is the master's alone must not act here. */
static void leave_master(struct master *m)
{
    for (size_t i = 0; i < m->plan->workers; i++)
        if (m->children[i].channel >= 0)
            close_channel(&m->children[i]);
    loop_unwatch(m->loop, m->child);
    loop_unwatch(m->loop, m->term);
    loop_unwatch(m->loop, m->hang_up);
    loop_unwatch(m->loop, m->interrupt);
    loop_free(m->loop);
    free(m->children);
}

static int be_worker(struct master *m, size_t index, int channel)
{
    struct worker_setup setup = {.index = index,
                                 .channel = channel,
                                 .vm = m->vm,
                                 .plan = m->plan,
                                 .points = m->points,
                                 .log = m->log};
    leave_master(m);
    return worker_run(&setup);
}

static void on_ready(struct child *s, const char *banner)
{
    struct master *m = s->master;
    s->ready = true;
    if (m->up) {
        log_info(m->log, "worker %zu is ready (pid %d)", s->index, (int)s->pid);
        return;
    }
    m->up = true;
    fputs(banner, stdout);
    fflush(stdout);
    /* the app comes up: now the others, which need not find the same mistakes again */
    for (size_t i = 1; i < m->plan->workers && !m->stopping; i++)
        if (!start_worker(&m->children[i]))
            restart_later(&m->children[i]);
}

static void on_failed(struct child *s, const char *why)
{
    fputs(why, stderr);
    if (!s->master->up)
        fail(s->master);
}

/* false: there is nothing more to read now. */
static bool read_channel(struct child *s)
{
    char text[CHANNEL_TEXT_MAX + 1];
    switch (channel_receive(s->channel, text)) {
    case CHANNEL_READY:
        on_ready(s, text);
        return true;
    case CHANNEL_FAILED:
        on_failed(s, text);
        return true;
    case CHANNEL_END:
        close_channel(s);
        return false;
    default:
        return false;
    }
}

static void on_channel(void *context)
{
    read_channel(context);
}

static bool start_worker(struct child *s)
{
    struct master *m = s->master;
    int ends[2];
    if (!channel_open(ends)) {
        log_error(m->log, "cannot start worker %zu: out of descriptors", s->index);
        return false;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        exit(be_worker(m, s->index, ends[1]));
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        log_error(m->log, "cannot start worker %zu: fork failed", s->index);
        return false;
    }
    s->pid = pid;
    s->channel = ends[0];
    s->ready = false;
    s->started = loop_now(m->loop);
    s->watch = loop_watch_readable(m->loop, s->channel, on_channel, s);
    m->running++;
    return true;
}

static void restart_later(struct child *s)
{
    struct master *m = s->master;
    bool crash_loop = !s->ready || loop_now(m->loop) - s->started < CRASH_LOOP;
    if (!crash_loop)
        s->backoff = 0;
    else if (!s->backoff)
        s->backoff = BACKOFF_MIN;
    else
        s->backoff = s->backoff < BACKOFF_MAX / 2 ? s->backoff * 2 : BACKOFF_MAX;
    loop_timer_set(m->loop, &s->restart, s->backoff);
}

static void on_restart(struct timer *t)
{
    struct child *s = list_entry(t, struct child, restart);
    if (!start_worker(s))
        restart_later(s);
}

static void log_death(const struct child *s, int status)
{
    const struct log *log = s->master->log;
    if (WIFSIGNALED(status))
        log_error(log, "worker %zu (pid %d) was ended by signal %d (%s)", s->index, (int)s->pid,
                  WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        log_error(log, "worker %zu (pid %d) has ended with status %d", s->index, (int)s->pid,
                  WEXITSTATUS(status));
}

static void on_death(struct child *s, int status)
{
    struct master *m = s->master;
    /* what it has said before it died is still to be read */
    while (s->channel >= 0 && read_channel(s))
        ;
    close_channel(s);
    m->running--;
    if (!m->stopping)
        log_death(s, status);
    else if (WIFSIGNALED(status) || WEXITSTATUS(status))
        m->status = 1;
    s->pid = 0;
    if (m->stopping) {
        if (!m->running)
            loop_stop(m->loop);
    } else if (!m->up) {
        fail(m);
    } else {
        restart_later(s);
    }
}

static void on_child(void *context)
{
    struct master *m = context;
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (size_t i = 0; i < m->plan->workers; i++)
            if (m->children[i].pid == pid)
                on_death(&m->children[i], status);
}

/* --- the start -------------------------------------------------------------------------------- */

static bool open_points(struct master *m)
{
    char error[1024];
    m->tickets = tls_tickets_new();
    struct listen_options options = {.workers = m->plan->workers, .tickets = m->tickets};
    if (!m->tickets) {
        log_error(m->log, "cannot start: out of memory");
        return false;
    }
    for (size_t i = 0; i < m->plan->listen_count; i++) {
        if (!listen_open(m->plan->listen[i], &options, &m->points, error, sizeof error)) {
            fprintf(stderr, "tidewire: %s\n", error);
            return false;
        }
    }
    return true;
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

static bool set_up(struct master *m)
{
    m->loop = loop_new();
    m->patience.fire = on_patience;
    m->children = calloc(m->plan->workers, sizeof *m->children);
    if (!m->loop || !m->children)
        return false;
    for (size_t i = 0; i < m->plan->workers; i++) {
        m->children[i] = (struct child){.master = m, .index = i, .channel = -1};
        m->children[i].restart.fire = on_restart;
    }
    m->child = loop_watch_signal(m->loop, SIGCHLD, on_child, m);
    m->term = loop_watch_signal(m->loop, SIGTERM, on_term, m);
    struct sigaction hang_up;
    if (sigaction(SIGHUP, NULL, &hang_up) || hang_up.sa_handler != SIG_IGN) /* not under nohup */
        m->hang_up = loop_watch_signal(m->loop, SIGHUP, on_term, m);
    m->interrupt = loop_watch_signal(m->loop, SIGINT, on_interrupt, m);
    return m->child && m->term && m->interrupt;
}

static void tear_down(struct master *m)
{
    for (size_t i = 0; m->children && i < m->plan->workers; i++)
        close_channel(&m->children[i]);
    if (m->loop) {
        loop_unwatch(m->loop, m->child);
        loop_unwatch(m->loop, m->term);
        loop_unwatch(m->loop, m->hang_up);
        loop_unwatch(m->loop, m->interrupt);
        loop_free(m->loop);
    }
    free(m->children);
    listen_close(m->points);
    tls_tickets_wipe(m->tickets);
    tls_tickets_free(m->tickets);
    vm_free(m->vm);
}

int master_run(struct vm *vm, const struct plan *plan, const struct log *log)
{
    struct master m = {.vm = vm, .plan = plan, .log = log};
    raise_descriptor_limit();
    signal(SIGPIPE, SIG_IGN); /* a closed connection shows in write(2), and in OpenSSL's */
    if (!fill_standard_descriptors()) {
        log_error(log, "cannot start: out of descriptors");
        m.status = 1;
    } else if (!open_points(&m)) {
        m.status = 1;
    } else if (!set_up(&m) || !start_worker(&m.children[0])) {
        log_error(log, "cannot start: out of memory or descriptors");
        m.status = 1;
    } else {
        loop_run(m.loop);
    }
    tear_down(&m);
    return m.status;
}
