/* The memory of a server's connections: what unfinished messages hold, and each allocation of a
 * whole conversation failing. */
#include "conn_run.h"

static const unsigned char key[FRAME_KEY];

/* --- what unfinished messages hold ------------------------------------------------------------ */

#define PEERS 6

/* Bytes of a client, right or wrong, most often in the midst of a message. */
static size_t make_bytes(unsigned char *out, uint64_t *random)
{
    static const uint8_t opcodes[] = {FRAME_TEXT,         FRAME_BINARY,       FRAME_CONTINUATION,
                                      FRAME_CONTINUATION, FRAME_CONTINUATION, FRAME_PING};
    uint8_t opcode = opcodes[random_next(random) % sizeof opcodes];
    bool fin = opcode == FRAME_PING || random_next(random) % 8 == 0;
    bool compressed = opcode < FRAME_CLOSE && opcode && random_next(random) % 2;
    size_t n = opcode == FRAME_PING ? 9 : random_next(random) % 3000 + sizeof stored_block;
    if (random_next(random) % 60 == 0)
        opcode = random_next(random) % 2 ? FRAME_CLOSE : 0x7;
    unsigned char *end =
        out + frame_write_header(out, fin, compressed ? FRAME_RSV1 : 0, opcode, n, key);
    memset(end, 0, n);
    if (compressed)
        memcpy(end, stored_block, sizeof stored_block);
    end += n;
    return (size_t)(end - out) - (random_next(random) % 4 ? 0 : random_next(random) % n);
}

static void assert_counted(void)
{
    size_t sum = 0;
    for (struct list *node = set->all.next; node != &set->all; node = node->next) {
        const struct conn *c = list_entry(node, struct conn, all);
        assert_int_equal(c->holds, c->phase == PHASE_DEAD ? 0 : session_held(&c->session));
        sum += c->holds;
    }
    assert_int_equal(set->reassembly, sum);
    assert_true(sum <= bounds.reassembly);
}

/* One step of one peer, which may be a new one (-1) or its last. */
static int step(int which, uint64_t *random)
{
    static unsigned char bytes[4000];
    peer = which;
    if (peer < 0) {
        seen.accepted = false;
        join_and_upgrade();
    } else if (random_next(random) % 40 == 0) {
        leave();
    } else {
        say(bytes, make_bytes(bytes, random));
        run_turns(loop, 1);
        if (recv(peer, bytes, sizeof bytes, 0) == 0)
            leave();
    }
    run_turns(loop, 1);
    which = peer;
    peer = -1;
    return which;
}

/* Whatever the peers send and however they end, and when the largest is ended. */
static void held_bytes_are_counted_exactly(void **state)
{
    int peers[PEERS] = {-1, -1, -1, -1, -1, -1};
    uint64_t random = 5;
    (void)state;
    bounds.reassembly = 60 * KIB; /* an inflater alone has 40 */
    conn_set_bound(set, &bounds);
    for (int turn = 0; turn < 4000; turn++) {
        size_t i = random_next(&random) % PEERS;
        peers[i] = step(peers[i], &random);
        assert_counted();
    }
    for (size_t i = 0; i < PEERS; i++)
        close(peers[i]);
    run_turns(loop, 4);
    assert_int_equal(seen.closed, seen.requests);
    assert_int_equal(set->reassembly, 0);
    assert_true(seen.requests > 50 && seen.messages > 10 && seen.crowded_out > 10);
}

/* --- what comes while a request is answered ------------------------------------------------------
 */

static void little_is_read_ahead_while_a_request_is_answered(void **state)
{
    static char bytes[200 * KIB];
    (void)state;
    int room = 4 << 20;
    assert_true(join());
    setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    SAY("GET /wait HTTP/1.1\r\n" FIELDS "\r\n");
    run_turns(loop, 2);
    for (int i = 0; i < 4; i++) {
        say(bytes, sizeof bytes);
        run_turns(loop, 3);
        assert_true(seen.conn->held.len > 0 && seen.conn->held.len <= CONN_HELD_MAX);
    }
}

/* --- memory short ----------------------------------------------------------------------------- */

/* Two fragments of a compressed message, with a Ping in between and in pieces. */
static void say_message_and_ping(void)
{
    static const unsigned char abc[] = {0x4A, 0x4C, 0x4A, 0x06, 0x00};
    unsigned char frame[64], *end = frame;
    end += frame_write_header(end, false, FRAME_RSV1, FRAME_TEXT, 1, key);
    *end++ = abc[0];
    end += frame_write_header(end, true, 0, FRAME_PING, 2, key);
    *end++ = 'p';
    say(frame, (size_t)(end - frame));
    run_turns(loop, 2);
    end = frame;
    *end++ = 'q';
    end += frame_write_header(end, true, 0, FRAME_CONTINUATION, sizeof abc - 1, key);
    memcpy(end, abc + 1, sizeof abc - 1);
    end += sizeof abc - 1;
    say(frame, (size_t)(end - frame));
    run_turns(loop, 2);
}

static void send_all_sorts(void)
{
    struct broadcast b;
    broadcast_init(&b, FRAME_TEXT, page, 5000);
    conn_broadcast(seen.conn, &b);
    broadcast_free(&b);
    conn_send(seen.conn, FRAME_BINARY, page, sizeof page);
    conn_ping(seen.conn, "x", 1);
}

/* What the peer does allocates nothing. */
static void converse(void)
{
    static const char head[] = UPGRADE;
    unsigned char close_frame[FRAME_HEADER_MAX];
    if (!join())
        return;
    SAY("GET / HTTP/1.1\r\n" FIELDS "\r\n" PAGE);
    run_turns(loop, 2);
    SAY("POST / HTTP/1.1\r\n" FIELDS "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhe");
    run_turns(loop, 2);
    say("llo", 3);
    say(head, 40);
    run_turns(loop, 2);
    say(head + 40, sizeof head - 1 - 40);
    run_turns(loop, 2);
    say_message_and_ping();
    if (seen.accepted && !seen.closed)
        send_all_sorts();
    run_turns(loop, 2);
    say(close_frame, frame_write_header(close_frame, true, 0, FRAME_CLOSE, 0, key));
    run_turns(loop, 2);
    listen_all();
    run_turns(loop, 2);
}

/* The n-th allocation fails, for each n until none does: the connection ends, and nothing is lost
 * (the sanitizer looks). */
static void memory_short(void **state)
{
    size_t failed = 0;
    bool whole = false;
    for (size_t n = 0; !whole; n++) {
        clean_up(state);
        prepare(state);
        compression.min_size = 0;
        allocations_fail_after(n);
        converse();
        allocations_succeed();
        whole = !allocations_failed();
        failed += !whole;
        if (peer >= 0)
            leave();
        run_turns(loop, 4);
        assert_int_equal(conn_set_count(set), 0);
        assert_int_equal(set->reassembly, 0);
        assert_int_equal(seen.closed, seen.accepted);
    }
    assert_true(failed > 15);
    assert_true(seen.clean);
    assert_int_equal(seen.requests, 4);
    assert_int_equal(seen.messages, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, prepare, clean_up)
    const struct CMUnitTest tests[] = {
        TEST(held_bytes_are_counted_exactly),
        TEST(little_is_read_ahead_while_a_request_is_answered),
        TEST(memory_short),
    };
    return cmocka_run_group_tests_name("conn_memory", tests, NULL, NULL);
}
