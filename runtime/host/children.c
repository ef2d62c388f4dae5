/* The master's workers: started, heard, restarted when they die. */
#include "host/code.h"
#include "host/master_impl.h"
#include "host/master_metrics.h"
#include "host/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CRASH_LOOP 1000 /* ms: a worker that lived less is not restarted at once */
#define BACKOFF_MIN 500
#define BACKOFF_MAX 30000

#define DESCRIBE_PATIENCE 1000 /* ms: of one that is busy is told what it said the last time */

static void restart_later(struct child *s);

static void close_channel(struct child *s)
{
    loop_unwatch(s->master->loop, s->watch);
    s->watch = NULL;
    if (s->channel >= 0)
        close(s->channel);
    s->channel = -1;
}

/* --- what they say ---------------------------------------------------------------------------- */

static void on_ready(struct child *s, const char *banner)
{
    struct master *m = s->master;
    s->ready = true;
    if (m->up) {
        log_info(m->log, "worker %zu is ready (pid %d)", s->index, (int)s->pid);
        code_worker_ready(m);
        return;
    }
    m->up = true;
    fputs(banner, stdout);
    fflush(stdout);
    /* the app comes up: now the others, which need not find the same mistakes again */
    for (size_t i = 1; i < m->plan->workers && !m->stopping; i++)
        if (!child_start(&m->children[i]))
            restart_later(&m->children[i]);
    code_first_ready(m);
}

static void on_failed(struct child *s, const char *why)
{
    struct master *m = s->master;
    char message[64];
    if (!m->up) {
        code_first_failed(m, why);
        return;
    }
    snprintf(message, sizeof message, "worker %zu cannot start", s->index);
    log_write(m->log, &(struct log_record){.level = LOG_ERROR,
                                           .message = slice_of(message),
                                           .detail = slice_of(why)});
    code_worker_failed(m, s->index, why);
}

static void on_described(struct child *s, const char *text)
{
    json_t *description = json_loads(text, 0, NULL);
    s->asked = false;
    if (json_is_object(description)) {
        json_decref(s->description);
        s->description = description;
    } else {
        json_decref(description);
    }
    round_settle(&s->master->description, s->index);
}

static void on_message(struct child *s, const struct channel_packet *p)
{
    switch (p->type) {
    case CHANNEL_READY:
        on_ready(s, p->text);
        break;
    case CHANNEL_FAILED:
        on_failed(s, p->text);
        break;
    case CHANNEL_PREPARED:
    case CHANNEL_STANDS:
    case CHANNEL_COMMITTED:
        change_answered(s->master, s->index, p->type, p->text);
        break;
    case CHANNEL_DESCRIBED:
        on_described(s, p->text);
        break;
    case CHANNEL_TALLY:
        code_tally(s->master, s->index, p->text);
        break;
    case CHANNEL_END:
        close_channel(s);
        break;
    default:
        break;
    }
}

/* false: there is nothing more to read now. */
static bool read_channel(struct child *s)
{
    struct channel_packet packet;
    enum channel_message type = channel_receive(s->channel, &packet);
    on_message(s, &packet);
    channel_packet_free(&packet);
    return type != CHANNEL_NONE && type != CHANNEL_END;
}

static void on_channel(void *context)
{
    read_channel(context);
}

/* --- start and restart ------------------------------------------------------------------------ */

static int be_worker(struct master *m, size_t index, int channel, const sigset_t *signals)
{
    int file;
    struct buf bundle = {0};
    json_t *order = code_boot_order(m, &file);
    char *text = order ? json_dumps(order, JSON_COMPACT) : NULL;
    json_decref(order);
    struct worker_setup setup = {.index = index,
                                 .channel = channel,
                                 .signals = signals,
                                 .vm = m->vm,
                                 .plan = m->plan,
                                 .points = m->points,
                                 .log = m->log,
                                 .order = slice_of(text ? text : ""),
                                 .bundle = &bundle};
    bool has_code = text && channel_file_read(file, &bundle);
    master_leave(m);
    int status = 1;
    if (has_code)
        status = worker_run(&setup);
    else
        channel_send(channel, CHANNEL_FAILED, "tidewire: cannot start: out of memory\n");
    buf_free(&bundle);
    free(text);
    return status;
}

/* Signals wait until the child has handlers of its own: those of the master are not meant for it,
 * and without any it would die of what a terminal, or a service manager, sends to all. */
static pid_t fork_worker(struct child *s, const int ends[2])
{
    sigset_t all, before;
    sigfillset(&all);
    fflush(NULL);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        exit(be_worker(s->master, s->index, ends[1], &before));
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}

bool child_start(struct child *s)
{
    struct master *m = s->master;
    int ends[2];
    if (!channel_open(ends)) {
        log_error(m->log, "cannot start worker %zu: out of descriptors", s->index);
        return false;
    }
    s->channel = ends[0];
    s->watch = loop_watch_readable(m->loop, s->channel, on_channel, s);
    pid_t pid = s->watch ? fork_worker(s, ends) : -1;
    close(ends[1]);
    if (pid < 0) {
        log_error(m->log, "cannot start worker %zu: %s", s->index,
                  s->watch ? strerror(errno) : "out of memory");
        close_channel(s);
        return false;
    }
    s->pid = pid;
    s->ready = false;
    s->asked = s->held = false;
    json_decref(s->description);
    s->description = NULL;
    s->started = loop_now(m->loop);
    m->running++;
    return true;
}

void child_end(struct child *s)
{
    close_channel(s);
    kill(s->pid, SIGKILL);
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
    if (s->backoff)
        log_warn(m->log, "worker %zu is started again in %.1f s", s->index,
                 (double)s->backoff / 1000);
    loop_timer_set(m->loop, &s->restart, s->backoff);
}

static void on_restart(struct timer *t)
{
    struct child *s = list_entry(t, struct child, restart);
    s->held = s->master->changing; /* what it is to begin with is being decided */
    if (s->held)
        return;
    if (child_start(s))
        master_metrics_restarted(s->master->metrics);
    else
        restart_later(s);
}

void children_resume(struct master *m)
{
    for (size_t i = 0; i < m->plan->workers && !m->stopping; i++)
        if (m->children[i].held)
            loop_timer_set(m->loop, &m->children[i].restart, 0);
}

void children_hasten(struct master *m)
{
    for (size_t i = 0; i < m->plan->workers && !m->stopping; i++) {
        struct child *s = &m->children[i];
        s->backoff = 0;
        if (timer_is_set(&s->restart))
            loop_timer_set(m->loop, &s->restart, 0);
    }
}

/* --- what they are doing ---------------------------------------------------------------------- */

static void on_all_described(struct round *r, bool all)
{
    struct master *m = list_entry(r, struct master, description);
    (void)all;
    commands_described(m);
    code_described(m);
}

/* One that has not answered the last time is waited for, but not asked again: what piles up in the
 * channel of one that is stuck would leave no room for what has to be said. */
void children_ask(struct master *m)
{
    struct round *r = &m->description;
    if (r->open)
        return; /* the answers that are on their way are for this one too */
    round_open(r, on_all_described);
    for (size_t i = 0; i < m->plan->workers; i++) {
        struct child *s = &m->children[i];
        if (s->channel < 0)
            continue;
        s->asked = s->asked || channel_send(s->channel, CHANNEL_DESCRIBE, "");
        if (s->asked)
            round_ask(r, i);
    }
    round_wait(r, DESCRIBE_PATIENCE);
}

/* --- the end ---------------------------------------------------------------------------------- */

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
    code_worker_ended(m, s->index);
    change_died(m, s->index);
    round_settle(&m->description, s->index);
    if (m->stopping) {
        if (!m->running)
            loop_stop(m->loop);
    } else if (!m->up) {
        code_first_ended(m);
    } else {
        restart_later(s);
    }
}

void children_reap(struct master *m)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        bool known = code_reap(m, pid, status);
        for (size_t i = 0; i < m->plan->workers && !known; i++) {
            known = m->children[i].pid == pid;
            if (known)
                on_death(&m->children[i], status);
        }
    }
}

void children_signal(const struct master *m, int signal)
{
    for (size_t i = 0; i < m->plan->workers; i++)
        if (m->children[i].pid)
            kill(m->children[i].pid, signal);
}

bool children_init(struct master *m)
{
    m->children = calloc(m->plan->workers, sizeof *m->children);
    if (!m->children)
        return false;
    for (size_t i = 0; i < m->plan->workers; i++) {
        m->children[i] = (struct child){.master = m, .index = i, .channel = -1};
        m->children[i].restart.fire = on_restart;
    }
    return true;
}

void children_free(struct master *m)
{
    for (size_t i = 0; m->children && i < m->plan->workers; i++) {
        loop_timer_cancel(m->loop, &m->children[i].restart);
        close_channel(&m->children[i]);
        json_decref(m->children[i].description);
    }
    free(m->children);
    m->children = NULL;
}
