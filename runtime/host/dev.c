#include "host/dev.h"
#include "host/code.h"
#include "host/master_impl.h"
#include "host/tell.h"
#include "host/terminal.h"
#include "net/file_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND_LOOK 1000 /* ms */

extern char **environ;

struct dev {
    struct master *m;
    struct file_watch *watch;
    struct terminal *terminal; /* NULL: nobody presses keys */
    struct tell tell;
    unsigned ticket; /* of our own request that is under way; 0: none */
    bool by_key;     /* a person has asked for it */
    bool is_look;    /* no file has changed: it may find what is known already */
    bool again;      /* something has changed meanwhile */
    bool has_waited; /* since the last event, for the second look */
    struct timer second_look;
    char *shown;     /* the failure that stands on the screen; NULL: none */
    int watch_error; /* that was told */
};

/* --- asking ----------------------------------------------------------------------------------- */

static void ask(struct dev *d, bool by_key, bool is_look)
{
    struct code_request request = {.watcher = !by_key};
    if (d->m->stopping)
        return;
    if (!d->ticket)
        d->ticket = code_reload(d->m, &request);
    else
        d->again = true;
    if (d->again)
        return;
    d->by_key = by_key;
    d->is_look = is_look;
    /* when too many wait already, the end of the next one is soon enough */
    d->again = d->ticket == 0;
}

static void on_changed(void *context, enum file_watch_cause cause)
{
    struct dev *d = context;
    if (cause == FILE_WATCH_CHANGED)
        loop_timer_cancel(d->m->loop, &d->second_look);
    d->has_waited = false;
    ask(d, false, cause == FILE_WATCH_NEW);
}

/* --- watching --------------------------------------------------------------------------------- */

static void tell_watch_error(struct dev *d, int why)
{
    if (why == d->watch_error)
        return;
    d->watch_error = why;
    log_warn(d->m->log, "not all folders of the app are watched: %s%s", strerror(why),
             why == ENOSPC ? " (fs.inotify.max_user_watches)" : "");
}

static size_t append_strings(const char **out, size_t n, const json_t *strings)
{
    size_t i;
    const json_t *s;
    json_array_foreach(strings, i, s) if (json_string_value(s)) out[n++] = json_string_value(s);
    return n;
}

/* The files of the version that serves count whatever they are called. */
static size_t list_files(const struct dev *d, const char ***list)
{
    const struct versions *all = code_versions(d->m);
    json_t *files = all->current ? all->current->files : NULL;
    size_t n = 0;
    const char *path;
    json_t *hash;
    *list = calloc(json_object_size(files) + 1, sizeof **list);
    if (!*list)
        return 0;
    json_object_foreach(files, path, hash)(*list)[n++] = path;
    return n;
}

static void set_watch(struct dev *d, const json_t *folders)
{
    const char **files, **list = calloc(json_array_size(folders) + 1, sizeof *list);
    size_t file_count = list_files(d, &files);
    bool whole = list && files;
    if (whole)
        whole = file_watch_set(d->watch, list, append_strings(list, 0, folders), files, file_count);
    else
        errno = ENOMEM;
    if (whole)
        d->watch_error = 0;
    else
        tell_watch_error(d, errno);
    free(files);
    free(list);
}

/* --- what came of it -------------------------------------------------------------------------- */

static void clear(struct dev *d)
{
    if (d->shown)
        terminal_page();
    free(d->shown);
    d->shown = NULL;
}

static void tell_failure(struct dev *d, const struct code_outcome *o, bool is_look)
{
    if (is_look && d->shown && strcmp(d->shown, o->text) == 0)
        return;
    terminal_page();
    tell_refused(&d->tell, o);
    free(d->shown);
    d->shown = strdup(o->text);
}

/* In the columns of the banner, which stands above it. */
static void tell_keys(const struct dev *d)
{
    if (d->terminal)
        tell_line(d->tell.out, "keys      r reload, o open the page, q quit");
}

static void tell_undo(struct dev *d, const struct code_outcome *o)
{
    const struct version *v = versions_find(code_versions(d->m), o->previous);
    terminal_page();
    tell_given_up(&d->tell, o, v ? v->reason : NULL);
    free(d->shown);
    d->shown = strdup("");
}

/* Also of what somebody else has asked for. */
static void tell_outcome(struct dev *d, const struct code_outcome *o, bool is_ours)
{
    if (o->dry_run || o->stopping || o->wish == CODE_RENEW)
        return;
    if (!o->ok) {
        tell_failure(d, o, is_ours && d->is_look);
    } else if (o->wish == CODE_UNDO) {
        tell_undo(d, o);
    } else if (o->unchanged) {
        bool was_shown = d->shown != NULL;
        clear(d);
        if (was_shown || (is_ours && d->by_key))
            tell_done(&d->tell, o);
    } else {
        clear(d);
        if (o->wish == CODE_START)
            tell_keys(d);
        else
            tell_done(&d->tell, o);
    }
}

/* A mistake in a file that is being saved just now: the next attempt will tell. Who had begun to
 * save before the file was watched may not be seen, and has a second more. */
static bool is_half(struct dev *d, const struct code_outcome *o, bool is_ours)
{
    if (!is_ours || o->ok || d->by_key)
        return false;
    if (d->again || file_watch_is_due(d->watch))
        return true;
    if (!d->is_look || d->has_waited)
        return false;
    loop_timer_set(d->m->loop, &d->second_look, SECOND_LOOK);
    d->has_waited = true;
    return true;
}

static void on_second_look(struct timer *t)
{
    ask(list_entry(t, struct dev, second_look), false, true);
}

static void on_outcome(void *context, const struct code_outcome *o)
{
    struct dev *d = context;
    bool is_ours = d->ticket && o->ticket == d->ticket;
    if (!is_half(d, o, is_ours))
        tell_outcome(d, o, is_ours);
    if (is_ours)
        d->ticket = 0;
    if (o->watch)
        set_watch(d, o->watch);
    if (d->again && !d->ticket) {
        d->again = false;
        ask(d, false, false);
    }
}

/* --- keys ------------------------------------------------------------------------------------- */

/* What a browser on this machine takes; false: no listener is for one. */
static bool page_of(const struct listen_point *p, char *out, size_t size)
{
    for (; p; p = p->next) {
        bool secure = strncmp(p->url, "wss://", 6) == 0;
        if (!secure && strncmp(p->url, "ws://", 5) != 0)
            continue;
        const char *host = p->url + (secure ? 6 : 5), *rest = host;
        const char *shown = "";
        if (strncmp(host, "0.0.0.0:", 8) == 0) {
            shown = "127.0.0.1";
            rest = host + 7;
        } else if (strncmp(host, "[::]:", 5) == 0) {
            shown = "[::1]";
            rest = host + 4;
        }
        int n = (int)strcspn(rest, "/?");
        snprintf(out, size, "http%s://%s%.*s/", secure ? "s" : "", shown, n, rest);
        return true;
    }
    return false;
}

static void spawn_quietly(posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setpgroup(attributes, 0); /* Ctrl-C is not meant for it */
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
}

/* With $BROWSER, which may have arguments, else with what the desktop has. When it ends is no
 * matter of ours. */
static bool start_browser(char *page)
{
    char shell[] = "sh", flag[] = "-c", script[] = "exec $BROWSER \"$1\"", opener[] = "xdg-open";
    char *own[] = {shell, flag, script, shell, page, NULL}, *desktop[] = {opener, page, NULL};
    const char *browser = getenv("BROWSER");
    char **command = browser && *browser ? own : desktop;
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    pid_t pid;
    if (posix_spawn_file_actions_init(&files))
        return false;
    posix_spawnattr_init(&attributes); /* which cannot fail here */
    spawn_quietly(&files, &attributes);
    bool started = posix_spawnp(&pid, command[0], &files, &attributes, command, environ) == 0;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return started;
}

static void open_page(struct dev *d)
{
    char page[1024];
    if (!page_of(d->m->points, page, sizeof page))
        tell_line(d->tell.out, "no listener is for browsers");
    else if (start_browser(page))
        tell_line(d->tell.out, "opening %s", page);
    else
        tell_line(d->tell.out, "there is no browser to start; the page is %s", page);
}

static void on_key(void *context, char key)
{
    struct dev *d = context;
    switch (key) {
    case 'r':
        ask(d, true, false);
        break;
    case 'o':
        open_page(d);
        break;
    case 'q':
        kill(getpid(), SIGINT); /* and once more: at once */
        break;
    case '\n':
        putchar('\n'); /* a person who wants to see what is new from here on */
        fflush(stdout);
        break;
    default:
        break;
    }
}

/* --- the life of it --------------------------------------------------------------------------- */

struct dev *dev_open(struct master *m)
{
    struct dev *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->m = m;
    d->second_look.fire = on_second_look;
    tell_init(&d->tell);
    d->watch = file_watch_new(m->loop, FILE_WATCH_QUIET, on_changed, d);
    if (!d->watch) {
        log_error(m->log, "cannot watch files: %s%s", strerror(errno),
                  errno == EMFILE ? " (or fs.inotify.max_user_instances)" : "");
        free(d);
        return NULL;
    }
    d->terminal = terminal_open(m->loop, on_key, d);
    code_listen(m, on_outcome, d);
    return d;
}

void dev_leave(struct dev *d)
{
    if (!d)
        return;
    loop_timer_cancel(d->m->loop, &d->second_look);
    terminal_leave(d->terminal);
    file_watch_free(d->watch);
    free(d->shown);
    free(d);
}

void dev_close(struct dev *d)
{
    if (!d)
        return;
    code_listen(d->m, NULL, NULL);
    terminal_close(d->terminal);
    d->terminal = NULL;
    dev_leave(d);
}
