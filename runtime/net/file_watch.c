#include "net/file_watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40 /* symlinks on one way, as the kernel has it */

/* On the way to a folder only names come and go; writing is of interest in the folder itself. */
#define ON_WAY                                                                                     \
    (IN_ATTRIB | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_MOVED_FROM |           \
     IN_MOVED_TO)
#define CONTENT (ON_WAY | IN_MODIFY | IN_CLOSE_WRITE)

struct name {
    struct name *next;
    char text[];
};

/* A watched folder, by a path without symlinks. */
struct spot {
    struct list node;
    int wd; /* -1: none, it could not be watched */
    bool seen;
    bool content;         /* not only on the way to another one */
    struct name *way;     /* what in it is on the way to others */
    struct name *writing; /* files that somebody has begun to write */
    char path[];
};

struct file_watch {
    struct loop *loop;
    int fd;
    struct watch *watch;
    struct list spots;
    struct name *folders, *files; /* as they were given */
    struct name *names;           /* what the files are called, where they really are too */
    struct timer timer;
    uint32_t quiet;
    uint64_t first, last; /* ms of the first and the last event that is not told; 0: none */
    bool is_new;          /* only folders have come: no event */
    int error;
    void (*changed)(void *context, enum file_watch_cause cause);
    void *context;
};

/* --- names ------------------------------------------------------------------------------------ */

static bool names_have(const struct name *list, const char *text)
{
    for (; list; list = list->next)
        if (strcmp(list->text, text) == 0)
            return true;
    return false;
}

static bool names_add(struct name **list, const char *text)
{
    if (names_have(*list, text))
        return true;
    size_t n = strlen(text) + 1;
    struct name *name = malloc(sizeof *name + n);
    if (!name)
        return false;
    memcpy(name->text, text, n);
    name->next = *list;
    *list = name;
    return true;
}

static void names_remove(struct name **list, const char *text)
{
    for (; *list; list = &(*list)->next) {
        if (strcmp((*list)->text, text) == 0) {
            struct name *gone = *list;
            *list = gone->next;
            free(gone);
            return;
        }
    }
}

static void names_free(struct name **list)
{
    for (struct name *next; *list; *list = next) {
        next = (*list)->next;
        free(*list);
    }
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* --- spots ------------------------------------------------------------------------------------ */

static void spot_free(struct spot *s)
{
    list_remove(&s->node);
    names_free(&s->way);
    names_free(&s->writing);
    free(s);
}

static struct spot *spot_of(struct file_watch *w, const char *path)
{
    for (struct list *n = w->spots.next; n != &w->spots; n = n->next) {
        struct spot *s = list_entry(n, struct spot, node);
        if (strcmp(s->path, path) == 0)
            return s;
    }
    size_t n = strlen(path) + 1;
    struct spot *s = calloc(1, sizeof *s + n);
    if (!s)
        return NULL;
    memcpy(s->path, path, n);
    s->wd = -1;
    list_push(&w->spots, &s->node);
    return s;
}

/* Two paths may lead to one inode (a bind mount): it has one descriptor then. */
static void drop(struct file_watch *w, int wd)
{
    for (struct list *n = w->spots.next; n != &w->spots; n = n->next) {
        const struct spot *s = list_entry(n, struct spot, node);
        if (s->seen && s->wd == wd)
            return;
    }
    if (wd >= 0)
        inotify_rm_watch(w->fd, wd);
}

/* Watches the folder of a path; the path may have another one behind it than the last time. NULL:
 * there is none. */
static struct spot *visit(struct file_watch *w, const char *path, bool content)
{
    struct spot *s = spot_of(w, path);
    if (!s) {
        w->error = ENOMEM;
        return NULL;
    }
    if (s->seen && s->content >= content)
        return s;
    int wd = inotify_add_watch(
        w->fd, path, (content ? CONTENT : ON_WAY) | IN_ONLYDIR | IN_DONT_FOLLOW | IN_MASK_ADD);
    bool is_gone = wd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP);
    /* who may enter a folder but not read it cannot watch it either, and may still go on from it */
    if (wd < 0 && !is_gone && (content || errno != EACCES))
        w->error = errno;
    int before = s->wd;
    s->wd = wd;
    s->seen = !is_gone;
    s->content = content || s->content;
    if (wd == before)
        return is_gone ? NULL : s;
    names_free(&s->writing);
    w->is_new = w->is_new || wd >= 0;
    drop(w, before);
    return is_gone ? NULL : s;
}

/* --- the way to a folder ---------------------------------------------------------------------- */

struct way {
    char real[PATH_MAX]; /* so far, without symlinks */
    char rest[PATH_MAX];
    unsigned links;
};

static bool enter(struct way *p, const char *name)
{
    size_t n = strlen(p->real);
    const char *slash = p->real[n - 1] == '/' ? "" : "/";
    return (size_t)snprintf(p->real + n, sizeof p->real - n, "%s%s", slash, name) <
           sizeof p->real - n;
}

static void leave(struct way *p)
{
    char *slash = strrchr(p->real, '/');
    slash[slash == p->real] = '\0';
}

static bool follow(struct way *p)
{
    char target[PATH_MAX], rest[PATH_MAX];
    ssize_t n = readlink(p->real, target, sizeof target - 1);
    if (n <= 0 || ++p->links > LINKS_MAX)
        return false;
    target[n] = '\0';
    memcpy(rest, p->rest, sizeof rest);
    if (target[0] == '/')
        strcpy(p->real, "/");
    else
        leave(p);
    return (size_t)snprintf(p->rest, sizeof p->rest, "%s/%s", target, rest) < sizeof p->rest;
}

/* The next part of the rest, into `name`. false: there is none. */
static bool next_part(struct way *p, char name[NAME_MAX + 1])
{
    char *at = p->rest + strspn(p->rest, "/");
    size_t n = strcspn(at, "/");
    if (n == 0 || n > NAME_MAX)
        return false;
    memcpy(name, at, n);
    name[n] = '\0';
    memmove(p->rest, at + n, strlen(at + n) + 1);
    return true;
}

/* A symlink to a file has led here: it is written in the folder that it really is in. */
static void end_at_file(struct file_watch *w, struct way *p, const char *name)
{
    leave(p);
    visit(w, p->real, true);
    if (!names_add(&w->names, name))
        w->error = ENOMEM;
}

/* One part further, as the kernel goes. Whatever comes and goes by this name is of interest; it is
 * watched before it is looked at, so that nothing happens in between unseen. */
static bool step(struct file_watch *w, struct way *p, const char *name)
{
    struct stat st;
    if (strcmp(name, ".") == 0)
        return true;
    if (strcmp(name, "..") == 0) {
        leave(p);
        return true;
    }
    struct spot *s = visit(w, p->real, false);
    if (!s)
        return false;
    if (!names_add(&s->way, name))
        w->error = ENOMEM;
    if (!enter(p, name) || lstat(p->real, &st))
        return false;
    if (S_ISREG(st.st_mode))
        end_at_file(w, p, name);
    return S_ISLNK(st.st_mode) ? follow(p) : S_ISDIR(st.st_mode);
}

static void walk(struct file_watch *w, const char *folder)
{
    struct way p = {.real = "/"};
    char name[NAME_MAX + 1], here[PATH_MAX] = "";
    /* a working directory that was renamed has another path now */
    if (folder[0] != '/' && !getcwd(here, sizeof here))
        return;
    if ((size_t)snprintf(p.rest, sizeof p.rest, "%s/%s", here, folder) >= sizeof p.rest)
        return;
    while (next_part(&p, name))
        if (!step(w, &p, name))
            return;
    visit(w, p.real, true);
}

/* Finds all folders anew. */
static void look(struct file_watch *w)
{
    w->error = 0;
    for (struct list *n = w->spots.next; n != &w->spots; n = n->next) {
        struct spot *s = list_entry(n, struct spot, node);
        s->seen = s->content = false;
        names_free(&s->way);
    }
    names_free(&w->names);
    for (const struct name *f = w->folders; f; f = f->next)
        walk(w, f->text);
    for (const struct name *f = w->files; f; f = f->next) {
        struct stat st;
        if (!names_add(&w->names, last_part(f->text)))
            w->error = ENOMEM;
        if (lstat(f->text, &st) == 0 && S_ISLNK(st.st_mode))
            walk(w, f->text);
    }
    for (struct list *n = w->spots.next, *next; n != &w->spots; n = next) {
        struct spot *s = list_entry(n, struct spot, node);
        next = n->next;
        if (s->seen)
            continue;
        drop(w, s->wd);
        spot_free(s);
    }
}

/* --- what happens ----------------------------------------------------------------------------- */

static bool somebody_writes(const struct file_watch *w)
{
    for (const struct list *n = w->spots.next; n != &w->spots; n = n->next)
        if (list_entry(n, struct spot, node)->writing)
            return true;
    return false;
}

/* ms until what has happened is told; 0: now. */
static uint64_t delay(const struct file_watch *w)
{
    uint64_t now = loop_now(w->loop), latest = w->first + w->quiet * FILE_WATCH_LONGEST;
    uint64_t due = w->last + w->quiet * (somebody_writes(w) ? FILE_WATCH_WRITING : 1);
    due = due < latest ? due : latest;
    return due > now ? due - now : 0;
}

static void arm(struct file_watch *w)
{
    w->last = loop_now(w->loop);
    if (!w->first)
        w->first = w->last;
    loop_timer_set(w->loop, &w->timer, delay(w));
}

static bool counts(const struct file_watch *w, const char *name)
{
    size_t n = strlen(name);
    if (names_have(w->names, name))
        return true;
    return name[0] != '.' && n > 4 && strcmp(name + n - 4, ".lua") == 0;
}

/* Of another name, a symlink or a folder may still lead to sources. */
static bool leads_on(const struct inotify_event *e, const struct stat *st)
{
    return e->name[0] != '.' && (e->mask & IN_ISDIR || S_ISLNK(st->st_mode));
}

/* A file that is being written is no change yet: the writer closes it. */
static void note_writing(struct spot *s, const struct inotify_event *e, const struct stat *st)
{
    bool begins = e->mask & IN_MODIFY || (e->mask & IN_CREATE && S_ISREG(st->st_mode) &&
                                          st->st_nlink == 1); /* a hard link is whole */
    if (begins)
        names_add(&s->writing, e->name); /* short of memory it is told earlier */
    else if (e->mask & (IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO))
        names_remove(&s->writing, e->name);
}

/* In a folder that is watched. Returns whether folders have to be found anew. */
static bool on_name(struct file_watch *w, struct spot *s, const struct inotify_event *e)
{
    struct stat st = {0};
    char path[PATH_MAX];
    bool is_way = names_have(s->way, e->name) && !(e->mask & (IN_MODIFY | IN_CLOSE_WRITE));
    if (is_way)
        arm(w);
    if (!s->content)
        return is_way;
    if (e->mask & (IN_CREATE | IN_MOVED_TO) &&
        (size_t)snprintf(path, sizeof path, "%s/%s", s->path, e->name) < sizeof path)
        lstat(path, &st); /* what is gone already leaves zeros */
    if (counts(w, e->name) && !(e->mask & IN_ISDIR)) {
        note_writing(s, e, &st);
        arm(w);
    } else if (leads_on(e, &st)) {
        arm(w);
    }
    return is_way;
}

static bool on_event(struct file_watch *w, const struct inotify_event *e)
{
    bool lost = false;
    if (e->mask & IN_Q_OVERFLOW) {
        arm(w);
        return true;
    }
    for (struct list *n = w->spots.next; n != &w->spots; n = n->next) {
        struct spot *s = list_entry(n, struct spot, node);
        if (s->wd != e->wd)
            continue;
        if (e->len) {
            lost = on_name(w, s, e) || lost;
            continue;
        }
        if (e->mask & IN_IGNORED)
            s->wd = -1; /* the kernel has dropped it, with its folder */
        arm(w);
        lost = true;
    }
    return lost;
}

static void on_readable(void *context)
{
    struct file_watch *w = context;
    _Alignas(struct inotify_event) char events[16 * 1024];
    ssize_t n = read(w->fd, events, sizeof events);
    bool lost = false;
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *e = (const void *)(events + at);
        lost = on_event(w, e) || lost;
        at += (ssize_t)(sizeof *e + e->len);
    }
    if (!lost)
        return;
    look(w);
    w->is_new = false; /* the change itself will be told */
}

static void on_timer(struct timer *t)
{
    struct file_watch *w = list_entry(t, struct file_watch, timer);
    bool is_event = w->first > 0;
    uint64_t more = is_event ? delay(w) : 0;
    if (more) {
        loop_timer_set(w->loop, &w->timer, more);
        return;
    }
    for (struct list *n = w->spots.next; n != &w->spots; n = n->next)
        names_free(&list_entry(n, struct spot, node)->writing);
    w->first = 0;
    w->changed(w->context, is_event ? FILE_WATCH_CHANGED : FILE_WATCH_NEW);
}

/* --- the watch -------------------------------------------------------------------------------- */

struct file_watch *file_watch_new(struct loop *loop, uint32_t quiet,
                                  void (*changed)(void *context, enum file_watch_cause cause),
                                  void *context)
{
    struct file_watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    *w = (struct file_watch){
        .loop = loop, .quiet = quiet, .changed = changed, .context = context, .fd = -1};
    w->timer.fire = on_timer;
    list_init(&w->spots);
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    w->watch = w->fd >= 0 ? loop_watch_readable(loop, w->fd, on_readable, w) : NULL;
    if (w->watch)
        return w;
    int why = w->fd < 0 ? errno : ENOMEM;
    file_watch_free(w);
    errno = why;
    return NULL;
}

void file_watch_free(struct file_watch *w)
{
    if (!w)
        return;
    loop_timer_cancel(w->loop, &w->timer);
    loop_unwatch(w->loop, w->watch);
    while (!list_empty(&w->spots))
        spot_free(list_entry(w->spots.next, struct spot, node));
    names_free(&w->folders);
    names_free(&w->files);
    names_free(&w->names);
    if (w->fd >= 0)
        close(w->fd);
    free(w);
}

bool file_watch_set(struct file_watch *w, const char *const *folders, size_t folder_count,
                    const char *const *files, size_t file_count)
{
    bool kept = true;
    names_free(&w->folders);
    names_free(&w->files);
    for (size_t i = 0; i < folder_count; i++)
        kept = names_add(&w->folders, folders[i]) && kept;
    for (size_t i = 0; i < file_count; i++)
        kept = names_add(&w->files, files[i]) && kept;
    w->is_new = false;
    look(w);
    if (w->is_new && !w->first)
        loop_timer_set(w->loop, &w->timer, w->quiet);
    errno = kept ? w->error : ENOMEM;
    return errno == 0;
}

bool file_watch_is_due(struct file_watch *w)
{
    on_readable(w); /* also what has just come */
    return w->first > 0;
}
