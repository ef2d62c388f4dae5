#include "host/exec.h"
#include "net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CODE_GOING_AWAY 1001
#define CLOSING 1000 /* ms for the connections that the script leaves open */

struct exec {
    struct vm *vm;
    struct loop *loop;
    struct watch *interrupt, *term;
    bool ending;
    int status;
};

/* --- signals ---------------------------------------------------------------------------------- */

/* A script whose reader has left (`exec script.lua | head -1`) ends as other filters do. Writing to
 * a connection that is gone, which OpenSSL does without MSG_NOSIGNAL, is nothing special. */
static void on_broken_pipe(int number)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    int kept = errno;
    if (poll(&out, 1, 0) == 1 && out.revents & POLLERR) {
        signal(number, SIG_DFL);
        raise(number);
    }
    errno = kept;
}

/* The second one ends the process at once, whatever the script does: the loop's handler is for the
 * first one only. */
static void only_once(int number)
{
    struct sigaction action;
    if (sigaction(number, NULL, &action))
        return;
    action.sa_flags |= (int)SA_RESETHAND;
    sigaction(number, &action, NULL);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void on_closed(void *context)
{
    struct exec *e = context;
    loop_stop(e->loop);
}

static void end(struct exec *e, int status)
{
    if (e->ending)
        return;
    e->ending = true;
    e->status = status;
    vm_end(e->vm);
    conn_set_drain(vm_conns(e->vm), CODE_GOING_AWAY, CLOSING, on_closed, e);
}

static void on_script_ended(void *context, int status)
{
    end(context, status);
}

static void on_interrupt(void *context)
{
    end(context, 128 + SIGINT);
}

static void on_term(void *context)
{
    end(context, 128 + SIGTERM);
}

/* --- the start -------------------------------------------------------------------------------- */

/* Started with stdin, stdout or stderr closed, a socket would take their place, and print would
 * write to a server. What takes it instead cannot be read, or written to, as before. */
static bool fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    return true;
}

static bool set_up(struct exec *e)
{
    struct sigaction broken = {.sa_handler = on_broken_pipe, .sa_flags = SA_RESTART};
    sigemptyset(&broken.sa_mask);
    e->loop = fill_standard_descriptors() ? loop_new() : NULL;
    if (!e->loop || !vm_attach(e->vm, e->loop))
        return false;
    e->interrupt = loop_watch_signal(e->loop, SIGINT, on_interrupt, e);
    e->term = loop_watch_signal(e->loop, SIGTERM, on_term, e);
    if (!e->interrupt || !e->term)
        return false;
    only_once(SIGINT);
    only_once(SIGTERM);
    sigaction(SIGPIPE, &broken, NULL);
    return true;
}

/* What print has left in the buffer is the script's work too: to lose it is a failure. */
static void flush_output(struct exec *e, const struct log *log)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) /* print flushes by itself, and tells nobody */
        return;
    log_error(log, "cannot write to stdout%s%s", errno ? ": " : "", errno ? strerror(errno) : "");
    if (!e->status)
        e->status = 1;
}

int exec_run(struct vm *vm, const struct log *log)
{
    struct exec e = {.vm = vm, .status = 1};
    bool ready = set_up(&e);
    if (ready) {
        vm_exec(vm, on_script_ended, &e);
        loop_run(e.loop);
    } else {
        log_error(log, "cannot start: out of memory or descriptors");
    }
    vm_free(vm);
    if (e.loop) {
        loop_unwatch(e.loop, e.interrupt);
        loop_unwatch(e.loop, e.term);
        loop_free(e.loop);
    }
    flush_output(&e, log);
    return e.status;
}
