#include "host/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define LOOK 500 /* ms: nobody tells who comes from the background to the foreground */
#define ROWS_MAX 1000

struct terminal {
    struct loop *loop;
    struct termios before;
    bool taken; /* its modes are ours now */
    struct watch *input, *stop, *go_on, *quit;
    struct timer look;
    void (*key)(void *context, char key);
    void *context;
};

/* --- modes ------------------------------------------------------------------------------------ */

static bool is_in_front(void)
{
    return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

/* In the background, this stops the process unless the signal is blocked; then it is done. */
static void set_modes(const struct termios *modes)
{
    sigset_t out, before;
    sigemptyset(&out);
    sigaddset(&out, SIGTTOU);
    sigprocmask(SIG_BLOCK, &out, &before);
    tcsetattr(STDIN_FILENO, TCSADRAIN, modes);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void take(struct terminal *t)
{
    struct termios modes;
    if (t->taken || !is_in_front() || tcgetattr(STDIN_FILENO, &modes))
        return;
    if (modes.c_lflag & ICANON)
        t->before = modes; /* else somebody has put ours back already, as some shells do */
    modes.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    modes.c_cc[VMIN] = 1;
    modes.c_cc[VTIME] = 0;
    set_modes(&modes);
    t->taken = true;
}

/* In the background it belongs to others already, who have seen to it. */
static void give_back(struct terminal *t)
{
    if (t->taken && is_in_front())
        set_modes(&t->before);
    t->taken = false;
}

/* --- keys ------------------------------------------------------------------------------------- */

static void on_input(void *context);

static void listen_to(struct terminal *t, bool on)
{
    if (on == !!t->input)
        return;
    if (!on)
        loop_unwatch(t->loop, t->input);
    t->input = on ? loop_watch_readable(t->loop, STDIN_FILENO, on_input, t) : NULL;
}

/* What is typed while others are in front is not for us. */
static void look(struct terminal *t)
{
    take(t);
    listen_to(t, t->taken);
    if (!t->taken)
        loop_timer_set(t->loop, &t->look, LOOK);
}

static void on_look(struct timer *timer)
{
    look(list_entry(timer, struct terminal, look));
}

/* As tcsetattr: blocked, the signal of the background becomes an error. */
static ssize_t read_keys(char *keys, size_t n)
{
    sigset_t in, before;
    sigemptyset(&in);
    sigaddset(&in, SIGTTIN);
    sigprocmask(SIG_BLOCK, &in, &before);
    ssize_t got = read(STDIN_FILENO, keys, n);
    int why = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = why;
    return got;
}

static void on_input(void *context)
{
    struct terminal *t = context;
    char keys[64];
    if (!is_in_front()) {
        t->taken = false;
        look(t);
        return;
    }
    ssize_t n = read_keys(keys, sizeof keys);
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        listen_to(t, false); /* the terminal is gone */
    for (ssize_t i = 0; i < n; i++)
        t->key(t->context, keys[i]);
}

/* --- signals ---------------------------------------------------------------------------------- */

/* Stops here and goes on here, when the shell lets it. Where nobody could let it go on, the system
 * does not stop it either: that is why it is the signal itself, without our handler. */
static void on_stop(void *context)
{
    struct terminal *t = context;
    struct sigaction ours, plain = {.sa_handler = SIG_DFL};
    sigemptyset(&plain.sa_mask);
    give_back(t);
    fflush(stdout);
    sigaction(SIGTSTP, &plain, &ours);
    raise(SIGTSTP);
    sigaction(SIGTSTP, &ours, NULL);
    look(t);
}

static void on_go_on(void *context)
{
    struct terminal *t = context;
    t->taken = false;
    look(t);
}

static void on_quit(void *context)
{
    give_back(context);
    signal(SIGQUIT, SIG_DFL);
    raise(SIGQUIT);
}

static struct watch *watch_signal(struct terminal *t, int number, void (*ready)(void *context))
{
    struct sigaction now;
    if (sigaction(number, NULL, &now) || now.sa_handler == SIG_IGN)
        return NULL;
    return loop_watch_signal(t->loop, number, ready, t);
}

/* --- the terminal ----------------------------------------------------------------------------- */

struct terminal *terminal_open(struct loop *loop, void (*key)(void *context, char key),
                               void *context)
{
    struct terminal *t;
    if (!isatty(STDIN_FILENO) || !(t = calloc(1, sizeof *t)))
        return NULL;
    *t = (struct terminal){.loop = loop, .key = key, .context = context, .look.fire = on_look};
    t->stop = watch_signal(t, SIGTSTP, on_stop);
    t->go_on = loop_watch_signal(loop, SIGCONT, on_go_on, t);
    t->quit = watch_signal(t, SIGQUIT, on_quit);
    look(t);
    return t;
}

void terminal_leave(struct terminal *t)
{
    if (!t)
        return;
    loop_timer_cancel(t->loop, &t->look);
    loop_unwatch(t->loop, t->input);
    loop_unwatch(t->loop, t->stop);
    loop_unwatch(t->loop, t->go_on);
    loop_unwatch(t->loop, t->quit);
    free(t);
}

void terminal_close(struct terminal *t)
{
    if (t)
        give_back(t);
    terminal_leave(t);
}

void terminal_page(void)
{
    const char *term = getenv("TERM");
    struct winsize size = {0};
    /* in the background, what it shows are others' pages */
    if (tcgetpgrp(STDOUT_FILENO) != getpgrp() || (term && strcmp(term, "dumb") == 0))
        return;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row || size.ws_row > ROWS_MAX)
        size.ws_row = 24;
    for (unsigned i = 1; i < size.ws_row; i++)
        putchar('\n');
    fputs("\033[H\033[J", stdout);
    fflush(stdout);
}
