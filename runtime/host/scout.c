#include "host/scout.h"
#include "host/master_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- the child -------------------------------------------------------------------------------- */

static bool write_all(int file, const struct buf *bytes)
{
    for (size_t at = 0; at < bytes->len;) {
        ssize_t n = write(file, bytes->data + at, bytes->len - at);
        if (n < 0 && errno != EINTR)
            return false;
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* The terminal and what is piped in are the workers' and the master's. What the app prints is kept:
 * each worker prints it too, so it is shown only when no worker will. */
static void quiet_streams(int output)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing >= 0)
        dup2(nothing, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    setvbuf(stdout, NULL, _IOLBF, 0); /* else what it has printed goes with it when it crashes */
}

/* The first to go when memory is short, not a worker; and no file of it grows without end. */
static void be_modest(void)
{
    const struct rlimit bound = {SCOUT_BUNDLE_MAX * 2, SCOUT_BUNDLE_MAX * 2};
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0) {
        (void)!write(score, "1000", 4);
        close(score);
    }
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &bound);
}

static void be_alone(pid_t master, const sigset_t *signals)
{
    static const int none[] = {SIGINT, SIGHUP, SIGTTIN, SIGTTOU};
    setpgid(0, 0); /* what the app starts ends with it */
    prctl(PR_SET_NAME, "tidewire-scout");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != master)
        _exit(1);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        signal(none[i], SIG_IGN); /* the master decides */
    signal(SIGTERM, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_SETMASK, signals, NULL);
}

static int be_scout(struct scout *s, pid_t master, const sigset_t *signals)
{
    struct vm *vm = s->master->vm;
    struct buf bundle = {0}, report = {0};
    int files[] = {s->bundle, s->report};
    be_alone(master, signals);
    be_modest();
    quiet_streams(s->output);
    close(s->output);
    s->output = s->bundle = s->report = -1;
    master_leave(s->master);
    bool has_bundle = vm_collect(vm, &bundle, &report);
    bool told = write_all(files[1], &report) && (!has_bundle || write_all(files[0], &bundle));
    buf_free(&bundle);
    buf_free(&report);
    fflush(stdout);
    return told ? 0 : 1;
}

/* --- what it has brought ---------------------------------------------------------------------- */

static json_t *failure(const char *phase, const char *message)
{
    char text[1024];
    snprintf(text, sizeof text, "tidewire: %s\n", message);
    return json_pack("{s:b, s:s, s:s, s:s}", "ok", 0, "phase", phase, "message", message, "text",
                     text);
}

static json_t *failure_of(const struct scout *s, int status)
{
    char message[256];
    if (s->late)
        snprintf(message, sizeof message, "the app's load has not ended within %d s",
                 SCOUT_PATIENCE / 1000);
    else if (WIFSIGNALED(status))
        snprintf(message, sizeof message, "the app's load was ended by signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == VM_STUCK)
        snprintf(message, sizeof message,
                 "the app's load does not end, and cannot be interrupted: it is in a C function "
                 "(such as string.find) or in a finalizer (__gc)");
    else
        snprintf(message, sizeof message, "the app's load has ended the process with status %d",
                 WEXITSTATUS(status));
    return failure("load", message);
}

/* *size is valid without a size that is too large; false: it is. */
static bool size_of(int file, size_t most, size_t *size)
{
    struct stat st;
    *size = fstat(file, &st) ? 0 : (size_t)st.st_size;
    return *size <= most;
}

static json_t *read_report(const struct scout *s)
{
    struct buf text = {0};
    size_t size;
    json_t *report = NULL;
    if (size_of(s->report, SCOUT_REPORT_MAX, &size) && channel_file_read(s->report, &text))
        report = json_loadb((const char *)text.data, text.len, 0, NULL);
    buf_free(&text);
    if (json_is_boolean(json_object_get(report, "ok")))
        return report;
    json_decref(report);
    return failure("load", "the app's load has left no report, or one that is too large");
}

/* What the app has printed is not lost when it comes to nothing. */
static void show_output(const struct scout *s)
{
    char bytes[4096];
    off_t at = 0;
    for (ssize_t n;
         at < (off_t)SCOUT_OUTPUT_MAX && (n = pread(s->output, bytes, sizeof bytes, at)) > 0;
         at += n)
        fwrite(bytes, 1, (size_t)n, stdout);
    fflush(stdout);
}

static void close_files(struct scout *s)
{
    int *files[] = {&s->bundle, &s->report, &s->output};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (*files[i] >= 0)
            close(*files[i]);
        *files[i] = -1;
    }
}

void scout_ended(struct scout *s, int status)
{
    size_t bytes = 0;
    bool well = !s->late && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    loop_timer_cancel(s->master->loop, &s->patience);
    kill(-s->pid, SIGKILL); /* whom it has started, and left */
    s->pid = 0;
    json_t *report = well ? read_report(s) : failure_of(s, status);
    if (json_is_true(json_object_get(report, "ok")) &&
        (!size_of(s->bundle, SCOUT_BUNDLE_MAX, &bytes) || bytes == 0)) {
        json_decref(report);
        report =
            failure("read", bytes ? "the app has more than 64 MiB of source" : "out of memory");
    }
    int bundle = json_is_true(json_object_get(report, "ok")) ? s->bundle : -1;
    if (bundle >= 0) {
        channel_file_seal(bundle);
        s->bundle = -1; /* the receiver's now */
    } else {
        show_output(s);
    }
    close_files(s);
    s->done(s->master, report, bundle, bytes);
    json_decref(report);
}

/* --- sent out, and called back ---------------------------------------------------------------- */

static void on_patience(struct timer *t)
{
    struct scout *s = list_entry(t, struct scout, patience);
    s->late = true;
    kill(-s->pid, SIGKILL);
    kill(s->pid, SIGKILL);
}

void scout_init(struct scout *s, struct master *m,
                void (*done)(struct master *m, const json_t *report, int bundle, size_t bytes))
{
    *s = (struct scout){.master = m,
                        .bundle = -1,
                        .report = -1,
                        .output = -1,
                        .patience = {.fire = on_patience},
                        .done = done};
}

static bool open_files(struct scout *s)
{
    int *files[] = {&s->bundle, &s->report, &s->output};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        *files[i] = memfd_create("tidewire-scout", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (*files[i] < 0)
            return false;
    }
    return true;
}

bool scout_send(struct scout *s)
{
    sigset_t all, before;
    pid_t self = getpid();
    if (!open_files(s)) {
        int why = errno;
        close_files(s);
        errno = why;
        return false;
    }
    /* as of a worker (children.c): signals wait until the child has handlers of its own */
    sigfillset(&all);
    fflush(NULL);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        _exit(be_scout(s, self, &before)); /* finalizers of the app have nothing to finish here */
    int why = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        close_files(s);
        errno = why;
        return false;
    }
    s->pid = pid;
    s->late = false;
    loop_timer_set(s->master->loop, &s->patience, SCOUT_PATIENCE);
    return true;
}

void scout_leave(struct scout *s)
{
    loop_timer_cancel(s->master->loop, &s->patience);
    s->pid = 0;
    close_files(s);
}

void scout_recall(struct scout *s)
{
    if (s->pid) {
        kill(-s->pid, SIGKILL);
        kill(s->pid, SIGKILL);
    }
    scout_leave(s);
}
