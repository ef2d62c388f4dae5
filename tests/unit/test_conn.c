/* The end of a server's connection: a peer that has gone before what it asked for is written, and
 * what is kept of a connection that has ended. */
#include "conn_run.h"

/* --- the peer has gone ------------------------------------------------------------------------ */

static void before_the_file_it_asked_for(void **state)
{
    (void)state;
    seen.keeps = true;
    assert_true(join());
    SAY(PAGE "GET /file HTTP/1.1\r\n" FIELDS "\r\n");
    leave();
    run_turns(loop, 1);
    assert_int_equal(seen.requests, 2);
    assert_over();
}

static void before_the_101(void **state)
{
    (void)state;
    seen.keeps = true;
    assert_true(join());
    SAY(PAGE UPGRADE);
    leave();
    run_turns(loop, 1);
    assert_int_equal(seen.requests, 2);
    assert_false(seen.accepted);
    assert_over();
    assert_int_equal(seen.closed, 0);
}

static void before_the_100(void **state)
{
    (void)state;
    seen.keeps = true;
    assert_true(join());
    SAY(PAGE "POST /body HTTP/1.1\r\n" FIELDS
             "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello");
    leave();
    run_turns(loop, 1);
    assert_int_equal(seen.requests, 1);
    assert_over();
}

/* With small ones the queue is full before it is first written. */
static void before_messages_to_it(void **state)
{
    static const size_t sizes[] = {100, 9000, 20000, 300 * KIB};
    char *data = calloc(1, 300 * KIB);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (unsigned compressed = 0; compressed < 2; compressed++) {
            clean_up(state);
            prepare(state);
            seen.keeps = true;
            compression.min_size = compressed ? 0 : UINT32_MAX;
            limits.send_queue = 50000;
            join_and_upgrade();
            leave();
            enum conn_sent sent;
            int turns = 0;
            do
                sent = conn_send(seen.conn, FRAME_TEXT, data, sizes[i]);
            while ((sent == CONN_SENT || sent == CONN_BUFFERED) && ++turns < 10000);
            assert_int_equal(sent, turns < 10000 ? CONN_NOT_OPEN : CONN_SENT);
            assert_over();
            assert_int_equal(seen.closed, 1);
        }
    }
    free(data);
}

/* --- what is kept ----------------------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__)
size_t __sanitizer_get_current_allocated_bytes(void); /* its header comes with clang alone */
#endif

static size_t heap_in_use(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return __sanitizer_get_current_allocated_bytes();
#else
    return 0;
#endif
}

/* A handler that waits holds its connection. What the peer had sent must not stay with it: neither
 * the beginning of a message, nor an inflater of it. */
static void dead_connection_keeps_little(void **state)
{
    static const char more[100];
    size_t before;
    (void)state;
    seen.keeps = true;
    assert_true(join());
    before = heap_in_use();
    SAY(UPGRADE);
    run_turns(loop, 3);
    say_frame(FRAME_TEXT | FRAME_RSV1, stored_block, sizeof stored_block);
    run_turns(loop, 2);
    for (int i = 0; i < 9; i++) {
        say_frame(FRAME_CONTINUATION, more, sizeof more);
        run_turns(loop, 2);
    }
    assert_true(set->reassembly > 0);
    leave();
    run_turns(loop, 3);
    assert_int_equal(seen.closed, 1);
    assert_true(conn_is_compressed(seen.conn)); /* what was agreed stays told */
    deflate_pool_free(&set->deflate_pool);      /* where the inflater went back to */
    assert_true(heap_in_use() < before + 2 * KIB || !before);
    assert_over();
}

/* In each phase there is something else to give back; a connection may outlive its set. */
static void set_ends_before_what_it_lent(void **state)
{
    (void)state;
    seen.keeps = true;
    join_and_upgrade();
    say_frame(FRAME_TEXT | FRAME_RSV1, stored_block, sizeof stored_block);
    run_turns(loop, 2);
    assert_true(set->reassembly > 0);
    conn_set_free(set);
    set = NULL;
    assert_int_equal(seen.closed, 1);
    assert_int_equal(seen.gone, 1);
    assert_int_equal(conn_send(seen.conn, FRAME_TEXT, "a", 1), CONN_NOT_OPEN);
    conn_unref(seen.conn);
}

/* A Close in the midst of a message gives its memory back, also while the answer waits for a peer
 * that does not read. */
static void close_gives_back_an_unfinished_message(void **state)
{
    static char filler[200 * KIB];
    (void)state;
    seen.keeps = true;
    compression.min_size = UINT32_MAX;
    join_and_upgrade();
    for (int i = 0; i < 4; i++)
        conn_send(seen.conn, FRAME_BINARY, filler, sizeof filler);
    say_frame(FRAME_BINARY, filler, 1000);
    run_turns(loop, 2);
    assert_true(set->reassembly >= 1000);
    say_frame(0x80 | FRAME_CLOSE, "\x0F\xA0", 2);
    run_turns(loop, 2);
    assert_int_equal(seen.conn->phase, PHASE_LINGER);
    assert_int_equal(set->reassembly, 0);
    for (int i = 0; i < 100 && !seen.gone; i++) {
        listen_all();
        run_turns(loop, 2);
    }
    assert_over();
    assert_int_equal(seen.code, 4000);
    assert_true(seen.clean);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, prepare, clean_up)
    const struct CMUnitTest tests[] = {
        TEST(before_the_file_it_asked_for),
        TEST(before_the_101),
        TEST(before_the_100),
        TEST(before_messages_to_it),
        TEST(dead_connection_keeps_little),
        TEST(set_ends_before_what_it_lent),
        TEST(close_gives_back_an_unfinished_message),
    };
    return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
