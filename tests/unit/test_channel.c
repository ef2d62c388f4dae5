/* The channel between master and worker: messages, long ones, files, and no descriptor lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/channel.h"
#include "support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int next_descriptor(void)
{
    int fd = dup(STDERR_FILENO);
    assert_true(fd >= 0);
    close(fd);
    return fd;
}

static void messages_stay_whole(void **state)
{
    int ends[2];
    struct channel_packet p;
    (void)state;
    assert_true(channel_open(ends));
    assert_int_equal(channel_receive(ends[0], &p), CHANNEL_NONE);
    channel_packet_free(&p);
    assert_true(channel_send(ends[1], CHANNEL_READY, "banner\n"));
    assert_true(channel_send(ends[1], CHANNEL_COMMITTED, ""));
    assert_int_equal(channel_receive(ends[0], &p), CHANNEL_READY);
    assert_string_equal(p.text, "banner\n");
    assert_int_equal(p.file, -1);
    channel_packet_free(&p);
    assert_int_equal(channel_receive(ends[0], &p), CHANNEL_COMMITTED);
    assert_string_equal(p.text, "");
    channel_packet_free(&p);
    close(ends[1]);
    assert_int_equal(channel_receive(ends[0], &p), CHANNEL_END);
    channel_packet_free(&p);
    close(ends[0]);
}

static void long_texts_arrive(void **state)
{
    static const size_t sizes[] = {CHANNEL_TEXT_MAX - 1, CHANNEL_TEXT_MAX,
                                   CHANNEL_TEXT_MAX + 1, 1000000,
                                   CHANNEL_LONG_MAX,     CHANNEL_LONG_MAX + 1};
    int ends[2], before = next_descriptor();
    struct channel_packet p;
    (void)state;
    assert_true(channel_open(ends));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = sizes[i];
        char *text = malloc(n + 1);
        assert_non_null(text);
        memset(text, 'a' + (int)i, n);
        text[n] = '\0';
        assert_true(channel_send(ends[0], CHANNEL_PREPARED, text));
        assert_int_equal(channel_receive(ends[1], &p), CHANNEL_PREPARED);
        assert_int_equal(strlen(p.text), n > CHANNEL_LONG_MAX ? CHANNEL_LONG_MAX : n);
        assert_memory_equal(p.text, text, strlen(p.text));
        assert_int_equal(p.file, -1);
        channel_packet_free(&p);
        free(text);
    }
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(next_descriptor(), before);
}

static void files_come_along(void **state)
{
    int ends[2], before = next_descriptor();
    struct channel_packet p;
    struct buf bytes = {0};
    (void)state;
    assert_true(channel_open(ends));
    int file = channel_file_new("sources", 7);
    assert_true(file >= 0);
    assert_true(channel_send_file(ends[0], CHANNEL_PREPARE, "v1 {}", file));
    close(file);
    assert_int_equal(channel_receive(ends[1], &p), CHANNEL_PREPARE);
    assert_string_equal(p.text, "v1 {}");
    assert_true(fcntl(p.file, F_GETFD) & FD_CLOEXEC);
    assert_true(channel_file_read(p.file, &bytes));
    assert_true(channel_file_read(p.file, &bytes)); /* from its start, whoever has read it */
    assert_int_equal(bytes.len, 14);
    assert_memory_equal(bytes.data, "sourcessources", 14);
    assert_int_equal(write(p.file, "x", 1), -1); /* nobody can change it */
    buf_free(&bytes);
    channel_packet_free(&p);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(next_descriptor(), before);
}

/* A file that nobody asked for is closed with its message. */
static void file_of_a_message_that_is_not_read_further(void **state)
{
    int ends[2], before = next_descriptor();
    struct channel_packet p;
    (void)state;
    assert_true(channel_open(ends));
    int file = channel_file_new("", 0);
    for (int i = 0; i < 100; i++) {
        assert_true(channel_send_file(ends[0], CHANNEL_COMMIT, "", file));
        assert_int_equal(channel_receive(ends[1], &p), CHANNEL_COMMIT);
        channel_packet_free(&p);
    }
    close(file);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(next_descriptor(), before);
}

static void full_or_gone_it_says_so(void **state)
{
    int ends[2], before = next_descriptor();
    static char text[CHANNEL_TEXT_MAX + 2];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    assert_true(channel_open(ends));
    size_t sent = 0;
    while (sent < 10000 && channel_send(ends[0], CHANNEL_PREPARE, "c1"))
        sent++;
    assert_true(sent > 0 && sent < 10000);
    assert_false(channel_send(ends[0], CHANNEL_PREPARE, text)); /* the file of it is closed too */
    assert_false(channel_send_file(ends[1], CHANNEL_PREPARE, text, -1)); /* too long for it */
    close(ends[1]);
    assert_false(channel_send(ends[0], CHANNEL_PREPARE, "c1"));
    close(ends[0]);
    assert_int_equal(next_descriptor(), before);
}

static void without_memory_a_long_text_is_none(void **state)
{
    int ends[2], before = next_descriptor();
    static char text[CHANNEL_TEXT_MAX + 2];
    struct channel_packet p;
    (void)state;
    memset(text, 'x', sizeof text - 1);
    assert_true(channel_open(ends));
    assert_true(channel_send(ends[0], CHANNEL_PREPARED, text));
    allocations_fail_after(0);
    enum channel_message type = channel_receive(ends[1], &p);
    allocations_succeed();
    assert_int_equal(type, CHANNEL_PREPARED);
    assert_string_equal(p.text, "");
    channel_packet_free(&p);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(next_descriptor(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_stay_whole),
        cmocka_unit_test(long_texts_arrive),
        cmocka_unit_test(files_come_along),
        cmocka_unit_test(file_of_a_message_that_is_not_read_further),
        cmocka_unit_test(full_or_gone_it_says_so),
        cmocka_unit_test(without_memory_a_long_text_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
