/* What a worker answers to the master's questions about the code: this test is the master, at the
 * other end of the channel, and what Lua would answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/worker_code.h"
#include "support.h"

#include <string.h>
#include <unistd.h>

#define DONE "{\"ok\":true}"

static struct {
    struct worker_code code;
    int ends[2];
    char order[64]; /* the last one */
    size_t abandoned;
} t;

/* --- Lua, and what it serves ------------------------------------------------------------------ */

static void take(struct slice order, vm_answered *done, void *context)
{
    assert_true(order.len < sizeof t.order);
    memcpy(t.order, order.ptr, order.len);
    t.order[order.len] = '\0';
    done(context, slice_of(DONE));
}

void vm_prepare(struct vm *vm, struct slice order, struct slice bundle, vm_answered *done,
                void *context)
{
    (void)vm;
    (void)bundle;
    take(order, done, context);
}

void vm_barrier(struct vm *vm, struct slice order, vm_answered *done, void *context)
{
    (void)vm;
    take(order, done, context);
}

void vm_commit(struct vm *vm, struct slice order, vm_answered *done, void *context)
{
    (void)vm;
    take(order, done, context);
}

void vm_abandon(struct vm *vm, struct slice order)
{
    (void)vm;
    (void)order;
    t.abandoned++;
}

bool vm_describe(struct vm *vm, struct buf *json)
{
    (void)vm;
    return buf_append_str(json, "{}");
}

void vm_watch(struct vm *vm, void (*changed)(void *context, const struct vm_tally *tally),
              void *context)
{
    (void)vm;
    (void)changed;
    (void)context;
}

struct conn_set *vm_conns(struct vm *vm)
{
    (void)vm;
    return NULL;
}

size_t conn_set_count(const struct conn_set *s)
{
    (void)s;
    return 0;
}

/* --- the master ------------------------------------------------------------------------------- */

static int begin(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    assert_true(channel_open(t.ends));
    worker_code_init(&t.code, NULL, t.ends[1]);
    worker_code_serves(&t.code);
    return 0;
}

static int end(void **state)
{
    (void)state;
    worker_code_free(&t.code);
    close(t.ends[0]);
    close(t.ends[1]);
    return 0;
}

static void ask(enum channel_message question, const char *text)
{
    const struct channel_packet p = {.type = question, .text = text, .file = -1};
    worker_code_ask(&t.code, &p);
}

static void assert_answered(enum channel_message type, const char *text)
{
    struct channel_packet p;
    assert_int_equal(channel_receive(t.ends[0], &p), type);
    if (type != CHANNEL_NONE)
        assert_string_equal(p.text, text);
    channel_packet_free(&p);
}

/* --- the tests -------------------------------------------------------------------------------- */

static void questions_are_answered_by_their_number(void **state)
{
    (void)state;
    ask(CHANNEL_PREPARE, "v1 {\"version\":2}");
    assert_string_equal(t.order, "{\"version\":2}");
    assert_answered(CHANNEL_PREPARED, "v1 " DONE);
    ask(CHANNEL_BARRIER, "v2 {}");
    assert_answered(CHANNEL_STANDS, "v2 " DONE);
    ask(CHANNEL_COMMIT, "v3");
    assert_answered(CHANNEL_COMMITTED, "v3 " DONE);
    ask(CHANNEL_ABANDON, "v4");
    assert_int_equal(t.abandoned, 1);
    assert_answered(CHANNEL_NONE, NULL);
}

/* Else the master would wait in vain for a worker that serves another version than it believes. */
static void short_of_memory_there_is_an_answer_all_the_same(void **state)
{
    static const char refusal[] =
        "v3 {\"ok\":false,\"phase\":\"memory\",\"message\":\"out of memory or descriptors\"}";
    size_t n = 0, failed;
    (void)state;
    do {
        allocations_fail_after(n++);
        ask(CHANNEL_COMMIT, "v3 {}");
        failed = allocations_failed();
        allocations_succeed();
        assert_answered(CHANNEL_COMMITTED, failed ? refusal : "v3 " DONE);
    } while (failed);
    assert_true(n > 2); /* the question needs memory, and so does the answer */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(questions_are_answered_by_their_number, begin, end),
        cmocka_unit_test_setup_teardown(short_of_memory_there_is_an_answer_all_the_same, begin,
                                        end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
