/* Watching of source files: every way to save is one change, whatever happens on the way to a
 * folder is seen, and what is no source is not. */
#include "net/file_watch.h"
#include "net_run.h"
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define QUIET 10
#define PATIENT 100 /* where the test itself must be faster than a span */

struct fixture {
    struct loop *loop;
    struct file_watch *watch;
    uint32_t quiet;
    unsigned told;
    enum file_watch_cause cause;
    bool over, silent; /* silent: nothing was told when the span was over */
    char folder[64];
};

struct span {
    struct timer timer;
    struct fixture *f;
};

static void on_changed(void *context, enum file_watch_cause cause)
{
    struct fixture *f = context;
    f->told++;
    f->cause = cause;
}

static void on_span(struct timer *t)
{
    struct fixture *f = list_entry(t, struct span, timer)->f;
    f->over = true;
    f->silent = !f->told;
}

static bool is_told(void *context)
{
    return ((struct fixture *)context)->told > 0;
}

/* Long enough for whatever is on its way. */
static void let_pass(struct fixture *f, unsigned quiets)
{
    struct span s = {.timer = {.fire = on_span}, .f = f};
    f->over = false;
    loop_timer_set(f->loop, &s.timer, f->quiet * quiets);
    run_until(f->loop, &f->over);
}

static void assert_silent(struct fixture *f)
{
    let_pass(f, 4);
    assert_true(f->silent);
    assert_int_equal(f->told, 0);
}

/* Exactly one change is told. */
static void assert_one(struct fixture *f)
{
    run_until_holds(f->loop, is_told, f);
    let_pass(f, 4);
    assert_int_equal(f->told, 1);
    assert_int_equal(f->cause, FILE_WATCH_CHANGED);
    f->told = 0;
}

/* A shell command in the folder. */
static void run(const struct fixture *f, const char *command)
{
    char line[4096];
    snprintf(line, sizeof line, "cd %s && { %s; }", f->folder, command);
    if (system(line) != 0)
        fail_msg("it fails: %s", command);
}

/* Watches folders below the fixture's ("" is itself), a list that ends with NULL, and the file. */
static bool set(struct fixture *f, const char *const *folders, const char *file)
{
    char paths[8][256], file_path[256];
    const char *list[8], *files[1] = {file_path};
    size_t n = 0;
    for (; folders[n]; n++) {
        snprintf(paths[n], sizeof paths[n], "%s/%s", f->folder, folders[n]);
        list[n] = paths[n];
    }
    snprintf(file_path, sizeof file_path, "%s/%s", f->folder, file ? file : "");
    return file_watch_set(f->watch, list, n, files, file ? 1 : 0);
}

/* The same, and waits until it is told that there are new folders. */
static void set_new(struct fixture *f, const char *const *folders, const char *file)
{
    assert_true(set(f, folders, file));
    run_until_holds(f->loop, is_told, f);
    assert_int_equal(f->cause, FILE_WATCH_NEW);
    f->told = 0;
}

static const char *const root_only[] = {"", NULL};
static const char *const app[] = {"app", NULL};
static const char *const app_and_lib[] = {"app", "app/lib/deep", NULL};

static int set_up_with(void **state, uint32_t quiet)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->quiet = quiet;
    strcpy(f->folder, "/tmp/tidewire-watch-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->loop = loop_new();
    assert_non_null(f->loop);
    f->watch = file_watch_new(f->loop, quiet, on_changed, f);
    assert_non_null(f->watch);
    *state = f;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, QUIET);
}

static int set_up_patient(void **state)
{
    return set_up_with(state, PATIENT);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    file_watch_free(f->watch);
    loop_free(f->loop);
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    int failed = system(command);
    free(f);
    return failed;
}

/* --- ways to save ----------------------------------------------------------------------------- */

static const char *const ways[] = {
    "echo 1 > a.lua",
    "echo 2 >> a.lua",
    "touch a.lua",
    "chmod 600 a.lua",
    "sed -i s/1/2/ a.lua",
    "cp b a.lua",
    "mv b a.lua; cp a.lua b",
    "rm a.lua",
    "ln b a.lua",
    "ln -sf b a.lua",
    "rm a.lua; cp b a.lua",
    "echo 3 > a.lua.tmp && mv a.lua.tmp a.lua",
    /* vim, with backupcopy=no: a probe, the old one aside, a new one, the backup goes */
    "touch .a.lua.swp; touch 4913; rm 4913; mv a.lua a.lua~; echo 4 > a.lua; chmod 644 a.lua; rm "
    "a.lua~ .a.lua.swp",
    /* emacs: a lock, and the old one aside */
    "ln -s me@here.1 .#a.lua; mv a.lua a.lua~; echo 5 > a.lua; rm .#a.lua",
    "for i in 1 2 3 4 5 6 7 8 9; do echo $i > a.lua; echo $i > m$i.lua; done",
    "rm m*.lua",
    "mv a.lua c.lua",
    "mv c.lua a.lua",
    "mkdir new",
    "rmdir new",
    "truncate -s 0 a.lua",
};

static void every_way_to_save_is_one_change(void **state)
{
    struct fixture *f = *state;
    run(f, "echo 0 > a.lua; echo 9 > b");
    set_new(f, root_only, NULL);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        run(f, ways[i]);
        assert_one(f);
    }
}

static void checkout_of_many_files_is_one_change(void **state)
{
    struct fixture *f = *state;
    run(f, "git init -q . && git config user.email a@b && git config user.name a && git config "
           "gc.auto 0"
           " && for i in $(seq 50); do echo 1 > m$i.lua; done && git add . && git commit -qm 1"
           " && git tag one && for i in $(seq 50); do echo 2 > m$i.lua; done && git commit -qam 2");
    set_new(f, root_only, NULL);
    run(f, "git checkout -q one");
    assert_one(f);
}

static void what_is_no_source_does_not_count(void **state)
{
    struct fixture *f = *state;
    run(f, "mkdir sub; echo 1 > a.lua; touch log");
    set_new(f, root_only, NULL);
    run(f, "echo 1 > log; echo 2 >> log; touch .hidden.lua; mkdir .git; echo 1 > .a.lua.swp; ln -s "
           "x .#a.lua;"
           " echo 1 > a.lua~; touch 4913; cat a.lua >/dev/null; ls >/dev/null; echo 1 > sub/x.lua; "
           "rm log");
    assert_silent(f);
}

static void names_that_were_read_count(void **state)
{
    struct fixture *f = *state;
    run(f, "touch words.txt .secret other.txt");
    set_new(f, root_only, "words.txt");
    run(f, "echo 1 > other.txt");
    assert_silent(f);
    run(f, "echo 1 > words.txt");
    assert_one(f);
    assert_true(set(f, root_only, ".secret"));
    run(f, "echo 2 > words.txt");
    assert_silent(f);
    run(f, "rm .secret");
    assert_one(f);
}

/* --- half-written ----------------------------------------------------------------------------- */

static int open_below(const struct fixture *f, const char *name, int flags)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

/* Who waits longer than `quiet` between emptying a file and filling it. */
static void half_written_files_are_waited_for(void **state)
{
    struct fixture *f = *state;
    run(f, "echo 1 > a.lua");
    set_new(f, root_only, NULL);
    for (int i = 0; i < 2; i++) {
        int fd = open_below(f, i ? "b.lua" : "a.lua", O_WRONLY | O_CREAT | O_TRUNC);
        let_pass(f, 3);
        assert_true(f->silent);
        assert_int_equal(write(fd, "x", 1), 1);
        close(fd);
        assert_one(f);
    }
}

static void half_written_files_are_not_waited_for_without_end(void **state)
{
    struct fixture *f = *state;
    set_new(f, root_only, NULL);
    int fd = open_below(f, "a.lua", O_WRONLY | O_CREAT);
    assert_one(f);
    close(fd);
    assert_one(f);
    fd = open_below(f, "a.lua", O_WRONLY | O_TRUNC);
    run(f, "rm a.lua"); /* nobody will miss what is written to it */
    assert_one(f);
    close(fd);
}

static void what_is_not_told_yet_is_due(void **state)
{
    struct fixture *f = *state;
    run(f, "echo 1 > a.lua");
    set_new(f, root_only, NULL);
    assert_false(file_watch_is_due(f->watch));
    run(f, "touch log");
    assert_false(file_watch_is_due(f->watch));
    run(f, "echo 2 > a.lua"); /* no turn of the loop between */
    assert_true(file_watch_is_due(f->watch));
    assert_one(f);
    assert_false(file_watch_is_due(f->watch));
}

struct writer {
    struct timer timer;
    struct fixture *f;
};

static void on_writer(struct timer *t)
{
    struct writer *w = list_entry(t, struct writer, timer);
    close(open_below(w->f, "a.lua", O_WRONLY | O_CREAT | O_TRUNC));
    loop_timer_set(w->f->loop, t, 1);
}

static void changes_that_never_pause_are_told(void **state)
{
    struct fixture *f = *state;
    struct writer w = {.timer = {.fire = on_writer}, .f = f};
    set_new(f, root_only, NULL);
    loop_timer_set(f->loop, &w.timer, 1);
    run_until_holds(f->loop, is_told, f);
    loop_timer_cancel(f->loop, &w.timer);
}

/* --- the way to a folder ---------------------------------------------------------------------- */

static void new_folders_are_told_as_such(void **state)
{
    struct fixture *f = *state;
    run(f, "mkdir -p app/lib");
    set_new(f, app, NULL);
    assert_true(set(f, app, NULL));
    assert_silent(f);
    set_new(f, app_and_lib, NULL); /* of app/lib only the way was watched */
    assert_true(set(f, app, NULL));
    assert_silent(f);
}

static void folders_may_appear_later(void **state)
{
    struct fixture *f = *state;
    assert_true(set(f, app_and_lib, NULL));
    let_pass(f, 4);
    f->told = 0;
    run(f, "mkdir app");
    assert_one(f);
    run(f, "echo 1 > app/a.lua");
    assert_one(f);
    run(f, "mkdir -p app/lib/deep; echo 1 > app/lib/deep/x.lua");
    assert_one(f);
    run(f, "echo 2 > app/lib/deep/x.lua");
    assert_one(f);
}

static void folders_may_go_and_come_back(void **state)
{
    struct fixture *f = *state;
    run(f, "mkdir -p app/lib/deep; echo 1 > app/a.lua");
    set_new(f, app_and_lib, NULL);
    run(f, "rm -r app");
    assert_one(f);
    run(f, "mkdir -p app/lib/deep; echo 2 > app/lib/deep/x.lua");
    assert_one(f);
    run(f, "echo 3 > app/a.lua");
    assert_one(f);
    run(f, "rm -r app; mkdir -p app/lib/deep; echo 1 > app/a.lua");
    assert_one(f);
    run(f, "echo 4 > app/lib/deep/x.lua");
    assert_one(f);
}

static void folders_may_be_renamed(void **state)
{
    struct fixture *f = *state;
    run(f, "mkdir -p app/lib/deep other/lib/deep");
    set_new(f, app_and_lib, NULL);
    run(f, "mv app away");
    assert_one(f);
    run(f, "echo 1 > away/a.lua; echo 1 > away/lib/deep/a.lua");
    assert_silent(f);
    run(f, "mv other app");
    assert_one(f);
    run(f, "echo 1 > app/lib/deep/a.lua");
    assert_one(f);
    /* two that change places */
    run(f, "mv app third; mv away app; mv third away");
    assert_one(f);
    run(f, "echo 2 > app/lib/deep/a.lua");
    assert_one(f);
    run(f, "echo 2 > away/lib/deep/a.lua");
    assert_silent(f);
}

static void symlinks_may_be_turned(void **state)
{
    struct fixture *f = *state;
    run(f, "mkdir -p releases/1/lib/deep releases/2/lib/deep; ln -s releases/1 current; ln -s "
           "$PWD/current app");
    set_new(f, app_and_lib, NULL);
    run(f, "echo 1 > releases/1/lib/deep/a.lua");
    assert_one(f);
    run(f, "echo 1 > releases/2/lib/deep/a.lua");
    assert_silent(f);
    run(f, "ln -sfn releases/2 current");
    assert_one(f);
    run(f, "echo 2 > releases/1/lib/deep/a.lua");
    assert_silent(f);
    run(f, "echo 2 > releases/2/lib/deep/a.lua");
    assert_one(f);
    run(f, "ln -s ./releases/../releases/1 next; mv -T next current");
    assert_one(f);
    run(f, "echo 3 > releases/1/a.lua");
    assert_one(f);
    run(f, "mv releases/1 releases/3");
    assert_one(f);
    run(f, "mv releases/3 releases/1");
    assert_one(f);
    run(f, "echo 4 > releases/1/a.lua");
    assert_one(f);
}

static void symlinks_in_a_circle_lead_nowhere(void **state)
{
    struct fixture *f = *state;
    run(f, "ln -s b a; ln -s a b; ln -s a app");
    assert_true(set(f, app, NULL));
    let_pass(f, 4);
    f->told = 0;
    run(f, "rm a; mkdir a; echo 1 > a/x.lua");
    assert_one(f);
    run(f, "echo 2 > a/x.lua");
    assert_one(f);
}

static void files_that_are_symlinks_are_watched_where_they_are(void **state)
{
    struct fixture *f = *state;
    run(f, "mkdir app shared; echo 1 > shared/real; ln -s ../shared/real app/a.lua");
    set_new(f, app, "app/a.lua");
    run(f, "echo 2 > shared/real");
    assert_one(f);
    run(f, "touch shared/x");
    assert_silent(f);
    run(f, "echo 3 > shared/new; mv shared/new shared/real");
    assert_one(f);
}

static void relative_folders_are_below_the_working_directory(void **state)
{
    struct fixture *f = *state;
    static const char *const here[] = {"."};
    int before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    run(f, "mkdir app");
    char path[128];
    snprintf(path, sizeof path, "%s/app", f->folder);
    assert_int_equal(chdir(path), 0);
    assert_true(file_watch_set(f->watch, here, 1, NULL, 0));
    run_until_holds(f->loop, is_told, f);
    f->told = 0;
    run(f, "echo 1 > app/a.lua");
    assert_one(f);
    run(f, "mv app moved"); /* which is the working directory still */
    assert_one(f);
    run(f, "echo 1 > moved/a.lua");
    assert_one(f);
    assert_int_equal(fchdir(before), 0);
    close(before);
}

/* --- when the kernel has no room -------------------------------------------------------------- */

static void lost_events_are_made_up_for(void **state)
{
    struct fixture *f = *state;
    char path[2][128];
    unsigned events = 0;
    FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    assert_non_null(limit);
    assert_int_equal(fscanf(limit, "%u", &events), 1);
    fclose(limit);
    run(f, "mkdir app; touch app/a app/b");
    set_new(f, app_and_lib, NULL);
    for (int i = 0; i < 2; i++)
        snprintf(path[i], sizeof path[i], "%s/app/%s", f->folder, i ? "a" : "b");
    for (unsigned i = 0; i < events + 10; i++)
        chmod(path[i & 1], 0600); /* of no interest; only that it is too much */
    run(f, "mkdir -p app/lib/deep");
    assert_one(f);
    run(f, "echo 1 > app/lib/deep/x.lua");
    assert_one(f);
}

/* How many watches this process has, of all its inotify descriptors. */
static unsigned watches(void)
{
    unsigned n = 0;
    char path[300], line[512];
    DIR *d = opendir("/proc/self/fdinfo");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(path, sizeof path, "/proc/self/fdinfo/%s", e->d_name);
        FILE *info = fopen(path, "r");
        while (info && fgets(line, sizeof line, info))
            n += strncmp(line, "inotify ", 8) == 0;
        if (info)
            fclose(info);
    }
    closedir(d);
    return n;
}

static void no_watch_is_left(void **state)
{
    struct fixture *f = *state;
    run(f, "mkdir -p app/lib/deep");
    set_new(f, app, NULL);
    unsigned before = watches();
    for (int i = 0; i < 5; i++) {
        set_new(f, app_and_lib, NULL);
        assert_int_equal(watches(), before + 2);
        assert_true(set(f, app, NULL));
        assert_int_equal(watches(), before);
        run(f, "mv app old; mkdir -p app/lib/deep; rm -r old");
        assert_one(f);
        assert_int_equal(watches(), before);
    }
    static const char *const nothing[] = {NULL};
    assert_true(set(f, nothing, NULL));
    assert_int_equal(watches(), 0);
}

static void short_memory_is_told(void **state)
{
    struct fixture *f = *state;
    bool done = false;
    run(f, "mkdir -p app/lib/deep; touch app/real; ln -s real app/a.lua");
    for (size_t n = 0; !done; n++) {
        allocations_fail_after(n);
        errno = 0;
        done = set(f, app_and_lib, "app/a.lua");
        int why = errno;
        allocations_succeed();
        if (!done)
            assert_int_equal(why, ENOMEM);
        assert_int_equal(allocations_failed() == 0, done);
    }
    for (size_t n = 0; n < 3; n++) {
        allocations_fail_after(n);
        struct file_watch *w = file_watch_new(f->loop, QUIET, on_changed, f);
        allocations_succeed();
        file_watch_free(w);
    }
    let_pass(f, 4);
    f->told = 0;
    run(f, "echo 1 > app/a.lua");
    assert_one(f);
}

static void paths_that_are_too_long_lead_nowhere(void **state)
{
    struct fixture *f = *state;
    static char path[8192], name[400];
    const char *folders[] = {path, name};
    memset(path, '/', sizeof path - 1);
    memcpy(path + sizeof path - 3, "x", 1);
    memset(name, 'n', sizeof name - 1);
    name[0] = '/';
    assert_true(file_watch_set(f->watch, folders, 2, folders, 2));
    run_turns(f->loop, 2);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(every_way_to_save_is_one_change),
        test(checkout_of_many_files_is_one_change),
        test(what_is_no_source_does_not_count),
        test(names_that_were_read_count),
        cmocka_unit_test_setup_teardown(half_written_files_are_waited_for, set_up_patient,
                                        tear_down),
        test(half_written_files_are_not_waited_for_without_end),
        test(what_is_not_told_yet_is_due),
        test(changes_that_never_pause_are_told),
        test(new_folders_are_told_as_such),
        test(folders_may_appear_later),
        test(folders_may_go_and_come_back),
        test(folders_may_be_renamed),
        test(symlinks_may_be_turned),
        test(symlinks_in_a_circle_lead_nowhere),
        test(files_that_are_symlinks_are_watched_where_they_are),
        test(relative_folders_are_below_the_working_directory),
        test(lost_events_are_made_up_for),
        test(no_watch_is_left),
        test(short_memory_is_told),
        test(paths_that_are_too_long_lead_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
