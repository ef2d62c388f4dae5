/* What all workers change together, or none: this test is the workers, at the other ends of their
 * channels, and the rest of the master. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/change.h"
#include "host/master_impl.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 4

static struct {
    struct master m;
    struct plan plan;
    struct log log;
    struct child children[WORKERS];
    int ends[WORKERS]; /* the workers' */
    struct change code, certificates;
    struct timer turn;
    uint32_t halt;
    bool trial, insists;
    char told[256];  /* what the kinds were called for: "begin commit done" */
    char error[128]; /* the last attempt's */
    size_t ended;    /* by force */
    size_t resumed;
} t;

static void tell(const char *word)
{
    size_t n = strlen(t.told);
    snprintf(t.told + n, sizeof t.told - n, "%s%s", n ? " " : "", word);
}

static void assert_told(const char *words)
{
    assert_string_equal(t.told, words);
    *t.told = '\0';
}

/* --- the rest of the master ------------------------------------------------------------------- */

void children_resume(struct master *m)
{
    (void)m;
    t.resumed++;
}

void child_end(struct child *s)
{
    t.ended++;
    close(s->channel);
    s->channel = -1;
}

void master_tell_ready(const struct master *m)
{
    (void)m;
}

/* --- two kinds -------------------------------------------------------------------------------- */

static void begin(struct change *c)
{
    tell("begin");
    c->trial = t.trial;
    c->insists = t.insists;
    change_go(c, channel_file_new("bytes", 5), strdup("{}"));
}

static uint32_t halt(struct change *c)
{
    (void)c;
    return t.halt;
}

static void commit(struct change *c)
{
    (void)c;
    tell("commit");
}

static void abandon(struct change *c)
{
    (void)c;
    tell("abandon");
}

static void done(struct change *c, const char *error)
{
    (void)c;
    tell(error ? "failed" : "done");
    snprintf(t.error, sizeof t.error, "%s", error ? error : "");
}

static const struct change_kind code = {.letter = CHANGE_CODE,
                                        .name = "new code",
                                        .patience = 60000,
                                        .judged = true,
                                        .begin = begin,
                                        .halt = halt,
                                        .commit = commit,
                                        .abandon = abandon,
                                        .done = done};

static void begin_other(struct change *c)
{
    tell("other");
    change_end(c);
}

static const struct change_kind certificates = {.letter = CHANGE_CERTIFICATES,
                                                .name = "new certificates",
                                                .patience = 60000,
                                                .begin = begin_other,
                                                .commit = commit,
                                                .abandon = abandon,
                                                .done = done};

/* `code`, but for what a test makes different. */
static struct change_kind other;

/* --- the loop --------------------------------------------------------------------------------- */

static void on_turn(struct timer *timer)
{
    (void)timer;
    loop_stop(t.m.loop);
}

/* Until `ms` have passed; what was deferred, and is due, has happened. */
static void run(uint64_t ms)
{
    loop_timer_set(t.m.loop, &t.turn, ms);
    loop_run(t.m.loop);
}

/* --- the workers ------------------------------------------------------------------------------ */

/* What a worker was told: "P v1 {}", with its file's bytes behind, or "" for nothing. */
static const char *heard(size_t worker)
{
    static char text[128];
    static struct channel_packet p;
    struct buf bytes = {0};
    char type = (char)channel_receive(t.ends[worker], &p);
    if (p.file >= 0)
        assert_true(channel_file_read(p.file, &bytes));
    snprintf(text, sizeof text, "%c %s%s%.*s", type, p.text, bytes.len ? " " : "", (int)bytes.len,
             (char *)bytes.data);
    channel_packet_free(&p);
    buf_free(&bytes);
    return type > 0 ? text : "";
}

static void assert_all_hear(const char *expected)
{
    for (size_t i = 0; i < WORKERS; i++)
        assert_string_equal(heard(i), expected);
}

/* To the question that is open. */
static void answer(size_t worker, enum channel_message type, const char *more)
{
    char text[128];
    snprintf(text, sizeof text, "v%u%s%s", t.code.round.number, *more ? " " : "", more);
    change_answered(&t.m, worker, type, text);
}

static void all_answer(enum channel_message type)
{
    for (size_t i = 0; i < WORKERS; i++)
        answer(i, type, "");
}

static void die(size_t worker)
{
    if (t.children[worker].channel >= 0)
        close(t.children[worker].channel);
    t.children[worker].channel = -1;
    change_died(&t.m, worker);
}

/* --- each test -------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    t.plan.workers = WORKERS;
    t.log.fd = -1;
    t.m = (struct master){.plan = &t.plan,
                          .log = &t.log,
                          .loop = loop_new(),
                          .children = t.children,
                          .notify.fd = -1};
    t.turn.fire = on_turn;
    assert_non_null(t.m.loop);
    for (size_t i = 0; i < WORKERS; i++) {
        int ends[2];
        assert_true(channel_open(ends));
        t.children[i] =
            (struct child){.master = &t.m, .index = i, .channel = ends[0], .ready = true};
        t.ends[i] = ends[1];
    }
    changes_init(&t.m);
    assert_true(change_init(&t.code, &code, &t.m));
    assert_true(change_init(&t.certificates, &certificates, &t.m));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < WORKERS; i++) {
        close(t.ends[i]);
        if (t.children[i].channel >= 0)
            close(t.children[i].channel);
    }
    change_free(&t.code);
    change_free(&t.certificates);
    loop_timer_cancel(t.m.loop, &t.turn);
    deferred_cancel(&t.m.next_change);
    loop_free(t.m.loop);
    return 0;
}

static void start(void)
{
    change_start(&t.code);
    assert_told(""); /* never from within */
    run(0);
    assert_told("begin");
    assert_string_equal(change_phase_name(&t.code), "prepare");
    assert_all_hear("P v1 {} bytes");
}

static void is_prepared_by_all_and_then_committed_by_all(void **state)
{
    (void)state;
    start();
    answer(0, CHANNEL_PREPARED, "");
    answer(1, CHANNEL_PREPARED, "");
    answer(2, CHANNEL_PREPARED, "");
    assert_told("");
    assert_all_hear("");
    answer(3, CHANNEL_PREPARED, "");
    assert_told("commit");
    assert_all_hear("C v2 {}");
    all_answer(CHANNEL_COMMITTED);
    assert_told("done");
    assert_all_hear("");
    assert_false(change_is_busy(&t.code));
    assert_int_equal(t.resumed, 1);
}

static void stops_before_the_commit_when_it_has_to(void **state)
{
    (void)state;
    t.halt = 60000;
    start();
    all_answer(CHANNEL_PREPARED);
    assert_told("");
    assert_all_hear("B v2 {}");
    all_answer(CHANNEL_STANDS);
    assert_told("commit");
    assert_all_hear("C v3 {}");
}

static void one_that_says_no_is_enough(void **state)
{
    (void)state;
    t.halt = 60000;
    start();
    answer(3, CHANNEL_PREPARED, "");
    answer(2, CHANNEL_PREPARED, "not with me");
    answer(1, CHANNEL_PREPARED, "nor me");
    assert_told(""); /* the others are busy with it */
    answer(0, CHANNEL_PREPARED, "");
    assert_told("abandon failed");
    assert_string_equal(t.error, "not with me");
    assert_int_equal(t.code.worker, 2);
    assert_all_hear("A v1 {}");
    change_start(&t.code);
    run(0);
    assert_all_hear("P v2 {} bytes");
    all_answer(CHANNEL_PREPARED);
    assert_all_hear("B v3 {}");
    answer(0, CHANNEL_STANDS, "too late for me");
    for (size_t i = 1; i < WORKERS; i++)
        answer(i, CHANNEL_STANDS, "");
    assert_told("begin abandon failed");
    assert_string_equal(t.error, "too late for me");
    assert_int_equal(t.code.worker, 0);
    assert_all_hear("A v3 {}");
}

static void a_trial_changes_nothing(void **state)
{
    (void)state;
    t.trial = true;
    start();
    all_answer(CHANNEL_PREPARED);
    assert_told("abandon done");
    assert_all_hear("A v1 {}");
}

static void what_nobody_has_asked_is_no_answer(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "v", "c1", "v0", "v2", "v4294967297", "1"};
    change_answered(&t.m, 0, CHANNEL_PREPARED, "v0");
    start();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        change_answered(&t.m, 0, CHANNEL_PREPARED, texts[i]);
    answer(0, CHANNEL_COMMITTED, "");
    answer(0, CHANNEL_STANDS, "");
    assert_int_equal(t.code.round.waiting, WORKERS);
    answer(0, CHANNEL_PREPARED, "");
    answer(0, CHANNEL_PREPARED, "twice");
    for (size_t i = 1; i < WORKERS; i++)
        answer(i, CHANNEL_PREPARED, "");
    assert_told("commit");
    change_answered(&t.m, 1, CHANNEL_PREPARED, "v1 late");
    assert_int_equal(t.code.round.waiting, WORKERS);
}

static void silence_is_no(void **state)
{
    (void)state;
    other = code;
    other.patience = 1;
    t.code.kind = &other;
    start();
    answer(0, CHANNEL_PREPARED, "");
    answer(2, CHANNEL_PREPARED, "");
    run(20);
    assert_told("abandon failed");
    assert_string_equal(t.error, "worker 1, 3 has not answered in 0 s");
    assert_int_equal(t.code.worker, 1);
    assert_int_equal(t.ended, 0);
    assert_all_hear("A v1 {}");
}

static void who_is_silent_does_not_stop_one_that_insists(void **state)
{
    (void)state;
    other = code;
    other.patience = 1;
    t.code.kind = &other;
    t.insists = true;
    start();
    answer(0, CHANNEL_PREPARED, "");
    other.patience = 60000;
    run(20);
    assert_told("commit");
    assert_int_equal(t.ended, 3);
    for (size_t i = 1; i < WORKERS; i++) {
        assert_int_equal(t.children[i].channel, -1);
        die(i);
    }
    assert_string_equal(heard(0), "C v2 {}");
    answer(0, CHANNEL_COMMITTED, "");
    assert_told("done");
}

static void who_falls_silent_at_the_commit_is_replaced_when_it_insists(void **state)
{
    (void)state;
    other = code;
    t.code.kind = &other;
    t.insists = true;
    start();
    other.patience = 1;
    all_answer(CHANNEL_PREPARED);
    answer(0, CHANNEL_COMMITTED, "");
    run(20);
    assert_told("commit done");
    assert_int_equal(t.ended, 3);
    assert_string_equal(t.code.late, "");
}

static void who_falls_silent_at_the_commit_will_have_it_later(void **state)
{
    (void)state;
    other = code;
    t.code.kind = &other;
    start();
    other.patience = 1;
    all_answer(CHANNEL_PREPARED);
    answer(0, CHANNEL_COMMITTED, "");
    run(20);
    assert_told("commit done");
    assert_int_equal(t.ended, 0);
    assert_string_equal(t.code.late, "worker 1, 2, 3 is busy, and will have them later");
}

static void all_may_be_silent_when_it_insists(void **state)
{
    (void)state;
    other = code;
    other.patience = 1;
    t.code.kind = &other;
    t.insists = true;
    start();
    run(20);
    assert_told("commit done");
    assert_int_equal(t.ended, WORKERS);
}

static void the_dead_are_not_waited_for(void **state)
{
    (void)state;
    start();
    die(1);
    answer(0, CHANNEL_PREPARED, "");
    answer(2, CHANNEL_PREPARED, "");
    die(3);
    assert_told("commit");
    assert_string_equal(heard(0), "C v2 {}");
    die(2);
    assert_told("");
    answer(0, CHANNEL_COMMITTED, "");
    assert_told("done");
}

static void when_none_has_lived_it_is_refused(void **state)
{
    (void)state;
    start();
    t.children[0].ready = false; /* one that boots says nothing about it by its end */
    for (size_t i = 0; i < WORKERS; i++)
        die(i);
    assert_told("abandon failed");
    assert_string_equal(t.error, "no worker has lived to say that it can");
    assert_int_equal(t.code.worker, -1);
}

static void who_dies_while_it_boots_has_not_judged_it(void **state)
{
    (void)state;
    start();
    for (size_t i = 0; i < WORKERS; i++) {
        t.children[i].ready = false;
        die(i);
    }
    assert_told("commit");
}

static void what_the_master_has_judged_needs_no_worker(void **state)
{
    (void)state;
    other = code;
    other.judged = false;
    t.code.kind = &other;
    start();
    for (size_t i = 0; i < WORKERS; i++)
        die(i);
    assert_told("commit");
}

static void when_there_is_none_it_is_committed(void **state)
{
    (void)state;
    for (size_t i = 0; i < WORKERS; i++)
        die(i);
    change_start(&t.code);
    run(20);
    assert_told("begin commit done");
}

static void who_cannot_commit_is_replaced(void **state)
{
    (void)state;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        for (;;)
            pause();
    }
    assert_true(pid > 0);
    start();
    t.children[2].pid = pid;
    all_answer(CHANNEL_PREPARED);
    for (size_t i = 0; i < WORKERS; i++)
        answer(i, CHANNEL_COMMITTED, i == 2 ? "I cannot" : "");
    assert_told("commit done");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void one_after_the_other(void **state)
{
    (void)state;
    start();
    change_start(&t.certificates);
    change_start(&t.code);
    change_start(&t.code); /* once is enough */
    run(0);
    assert_told("");
    all_answer(CHANNEL_PREPARED);
    all_answer(CHANNEL_COMMITTED);
    assert_told("commit done");
    run(20);
    assert_told("other done begin");
    all_answer(CHANNEL_PREPARED);
    all_answer(CHANNEL_COMMITTED);
    run(20);
    assert_told("commit done");
}

static void the_end_abandons_it_before_its_commit(void **state)
{
    (void)state;
    start();
    change_start(&t.certificates);
    answer(0, CHANNEL_PREPARED, "");
    t.m.stopping = true;
    change_stop(&t.m);
    assert_told("abandon failed failed");
    assert_string_equal(t.error, "it is stopping");
    assert_all_hear("A v1 {}");
    run(20);
    assert_told("");
}

static void the_end_waits_for_its_commit(void **state)
{
    (void)state;
    start();
    all_answer(CHANNEL_PREPARED);
    assert_told("commit");
    change_start(&t.code);
    t.m.stopping = true;
    change_stop(&t.m);
    assert_told("");
    all_answer(CHANNEL_COMMITTED);
    assert_told("done failed"); /* this one, and then the one that has waited */
    run(20);
    assert_told("");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(is_prepared_by_all_and_then_committed_by_all),
        TEST(stops_before_the_commit_when_it_has_to),
        TEST(one_that_says_no_is_enough),
        TEST(a_trial_changes_nothing),
        TEST(what_nobody_has_asked_is_no_answer),
        TEST(silence_is_no),
        TEST(who_is_silent_does_not_stop_one_that_insists),
        TEST(who_falls_silent_at_the_commit_is_replaced_when_it_insists),
        TEST(who_falls_silent_at_the_commit_will_have_it_later),
        TEST(all_may_be_silent_when_it_insists),
        TEST(the_dead_are_not_waited_for),
        TEST(when_none_has_lived_it_is_refused),
        TEST(who_dies_while_it_boots_has_not_judged_it),
        TEST(what_the_master_has_judged_needs_no_worker),
        TEST(when_there_is_none_it_is_committed),
        TEST(who_cannot_commit_is_replaced),
        TEST(one_after_the_other),
        TEST(the_end_abandons_it_before_its_commit),
        TEST(the_end_waits_for_its_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
