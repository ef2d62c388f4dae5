/* One message to many connections: framed once for all that can have the same bytes, and compressed
 * once for each sort of window, so that no peer makes it dear for the others. */
#include "conn_run.h"

#include "wire/deflate.h"

#include <stdio.h>

#define MANY 24

static int peers[MANY];
static struct conn *conns[MANY];
static size_t count;

static char text[5000];

/* One more connection, with what it offers behind "permessage-deflate"; NULL: no compression. */
static struct conn *add(const char *parameters)
{
    char head[512];
    seen.accepted = false;
    assert_true(join());
    int n = snprintf(head, sizeof head, "%.*sSec-WebSocket-Extensions: %s%s\r\n\r\n",
                     (int)(strstr(UPGRADE, "Sec-WebSocket-Ext") - UPGRADE), UPGRADE,
                     parameters ? "permessage-deflate" : "other", parameters ? parameters : "");
    say(head, (size_t)n);
    run_turns(loop, 3);
    assert_true(seen.accepted);
    listen_all();
    peers[count] = peer;
    peer = -1;
    return conns[count++] = list_entry(set->all.prev, struct conn, all);
}

static int begin(void **state)
{
    count = 0;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "some words "[i % 11];
    return prepare(state);
}

static int end(void **state)
{
    for (size_t i = 0; i < count; i++)
        close(peers[i]);
    return clean_up(state);
}

static void publish_to_all(struct broadcast *b)
{
    broadcast_init(b, FRAME_TEXT, text, sizeof text);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(conn_broadcast(conns[i], b), CONN_SENT);
}

/* The next message that the i-th peer gets is the text. */
static void assert_has_come(size_t i, unsigned bits)
{
    struct deflate_pool pool = {0};
    struct deflate_params agreed = {.server_bits = (uint8_t)bits, .client_bits = 15};
    struct deflate_settings settings = DEFLATE_SETTINGS_DEFAULT;
    struct session_limits all = {.message = 1 << 20, .fragments = 10};
    struct session s;
    struct session_event e;
    static unsigned char bytes[64 * KIB];
    ssize_t n = recv(peers[i], bytes, sizeof bytes, 0);
    session_init(&s, SESSION_CLIENT, &all);
    session_use_deflate(&s, bits ? deflate_new(&pool, &agreed, false, &settings) : NULL);
    assert_true(n > 0);
    assert_true(bits ? n < 500 : n > (ssize_t)sizeof text);
    session_feed(&s, bytes, (size_t)n);
    assert_int_equal(session_next(&s, &e), SESSION_EVENT);
    assert_int_equal(e.len, sizeof text);
    assert_memory_equal(e.data, text, sizeof text);
    assert_int_equal(session_next(&s, &e), SESSION_MORE);
    session_free(&s);
    deflate_pool_free(&pool);
}

/* A peer that has asked for a small window comes first, and the others have it none the dearer. */
static void compresses_once_for_each_window(void **state)
{
    static const unsigned bits[] = {10, 15, 15, 10, 8, 15, 12, 8, 9, 15, 11, 13, 14, 15};
    struct broadcast b;
    (void)state;
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        char parameters[64];
        snprintf(parameters, sizeof parameters, "; server_max_window_bits=%u", bits[i]);
        add(parameters);
    }
    for (int plain = 0; plain < 3; plain++)
        add(NULL);
    publish_to_all(&b);
    size_t frames = 0, users = 0;
    for (size_t i = 0; i < BROADCAST_SORTS; i++) {
        frames += b.compressed[i].frame != NULL;
        users += b.compressed[i].frame ? b.compressed[i].frame->refs - 1 : 0;
    }
    assert_int_equal(frames, 8);
    assert_int_equal(users, sizeof bits / sizeof *bits);
    assert_int_equal(b.plain->refs, 1 + 3);
    broadcast_free(&b);
    run_turns(loop, 2);
    for (size_t i = 0; i < count; i++)
        assert_has_come(i, i < sizeof bits / sizeof *bits ? bits[i] : 0);
}

/* Routes may differ in level as well: with more sorts than there are places, the message comes too.
 */
static void more_sorts_than_places(void **state)
{
    struct broadcast b;
    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        char parameters[64];
        compression.level = (uint8_t)(i % 9 + 1);
        snprintf(parameters, sizeof parameters, "; server_max_window_bits=%u", 8 + i / 9);
        add(parameters);
    }
    publish_to_all(&b);
    broadcast_free(&b);
    run_turns(loop, 2);
    for (unsigned i = 0; i < MANY; i++)
        assert_has_come(i, 8 + i / 9);
}

/* What another message has left in it is its own. */
static void window_that_is_kept_has_no_frame_in_common(void **state)
{
    struct broadcast b;
    (void)state;
    compression.takeover = true;
    add("");
    compression.takeover = false;
    add("");
    publish_to_all(&b);
    assert_null(b.plain);
    assert_int_equal(b.compressed[0].frame->refs, 1 + 1);
    broadcast_free(&b);
    run_turns(loop, 2);
    assert_has_come(0, 15);
    assert_has_come(1, 15);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(compresses_once_for_each_window),
        TEST(more_sorts_than_places),
        TEST(window_that_is_kept_has_no_frame_in_common),
    };
    return cmocka_run_group_tests_name("broadcast", tests, NULL, NULL);
}
