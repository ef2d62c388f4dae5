/* The race of addresses, with real sockets of this machine. */
#include "net/dial.h"
#include "net_run.h"
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

static struct loop *loop;

/* How the last attempt ended. */
static struct {
    bool done;
    int fd;
    struct sockaddr_storage peer;
    char text[1024];
} end;

static int prepare(void **state)
{
    (void)state;
    loop = loop_new();
    memset(&end, 0, sizeof end);
    end.fd = -1;
    return loop ? 0 : -1;
}

static int clean_up(void **state)
{
    (void)state;
    if (end.fd >= 0)
        close(end.fd);
    loop_free(loop);
    return 0;
}

static void on_done(void *context, const struct dial_result *result)
{
    assert_ptr_equal(context, &end);
    assert_false(end.done);
    end.done = true;
    end.fd = result->fd;
    end.peer = result->peer;
    snprintf(end.text, sizeof end.text, "%s", result->text ? result->text : "");
}

static struct dial *start(const struct sockaddr_storage *addresses, size_t count)
{
    struct dial *d = dial_start(loop, addresses, count, on_done, &end);
    assert_non_null(d);
    assert_false(end.done);
    return d;
}

static void dial_all(const struct sockaddr_storage *addresses, size_t count)
{
    start(addresses, count);
    run_until(loop, &end.done);
}

static uint16_t peer_port(void)
{
    return ntohs(((struct sockaddr_in *)(void *)&end.peer)->sin_port);
}

static void takes_the_one_that_listens(void **state)
{
    uint16_t port;
    int server = local_socket(SOCK_STREAM, 1, &port);
    struct sockaddr_storage a = ipv4("127.0.0.1", port);
    (void)state;
    dial_all(&a, 1);
    assert_true(end.fd >= 0);
    assert_int_equal(peer_port(), port);
    assert_int_equal(end.peer.ss_family, AF_INET);
    int there = accept(server, NULL, NULL);
    char byte = 0;
    assert_int_equal(send(end.fd, "x", 1, 0), 1);
    assert_int_equal(recv(there, &byte, 1, 0), 1);
    /* a read that finds nothing does not wait */
    assert_int_equal(recv(end.fd, &byte, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    close(there);
    close(server);
}

static void refused_goes_on_to_the_next(void **state)
{
    uint16_t closed, open;
    int taken = local_socket(SOCK_STREAM, -1, &closed),
        server = local_socket(SOCK_STREAM, 1, &open);
    struct sockaddr_storage a[] = {ipv4("127.0.0.1", closed), ipv4("127.0.0.1", closed),
                                   ipv4("127.0.0.1", open)};
    (void)state;
    dial_all(a, 3);
    assert_true(end.fd >= 0);
    assert_int_equal(peer_port(), open);
    close(taken);
    close(server);
}

static void silence_does_not_hold_up_the_next(void **state)
{
    uint16_t open;
    struct hole hole = hole_new();
    int server = local_socket(SOCK_STREAM, 1, &open);
    struct sockaddr_storage a[] = {ipv4("127.0.0.1", hole.port), ipv4("127.0.0.1", open)};
    (void)state;
    dial_all(a, 2);
    assert_true(end.fd >= 0);
    assert_int_equal(peer_port(), open);
    hole_free(&hole);
    close(server);
}

static bool knows_of_a_refusal(void *d)
{
    struct buf text = {0};
    assert_true(dial_explain(d, &text) && buf_append(&text, "", 1));
    bool yes = strstr((char *)text.data, "refused") != NULL;
    buf_free(&text);
    return yes;
}

static bool makes_room(void *hole)
{
    for (int fd; (fd = accept(((struct hole *)hole)->listener, NULL, NULL)) >= 0;)
        close(fd);
    return end.done;
}

/* None is given up for being slow. */
static void the_first_may_win_after_the_second_failed(void **state)
{
    uint16_t closed;
    struct hole hole = hole_new();
    int taken = local_socket(SOCK_STREAM, -1, &closed);
    struct sockaddr_storage a[] = {ipv4("127.0.0.1", hole.port), ipv4("127.0.0.1", closed)};
    (void)state;
    run_until_holds(loop, knows_of_a_refusal, start(a, 2));
    assert_false(end.done);
    run_until_holds(loop, makes_room, &hole); /* the system tries again by itself */
    assert_true(end.fd >= 0);
    assert_int_equal(peer_port(), hole.port);
    hole_free(&hole);
    close(taken);
}

static void all_failed_names_each(void **state)
{
    uint16_t port;
    int taken = local_socket(SOCK_STREAM, -1, &port);
    struct sockaddr_storage a[] = {ipv4("127.0.0.1", port), ipv4("127.0.0.2", port)};
    (void)state;
    dial_all(a, 2);
    assert_int_equal(end.fd, -1);
    assert_string_equal(end.text, "127.0.0.1: connection refused; 127.0.0.2: connection refused");
    close(taken);
}

static void families_alternate_from_ipv6_on(void **state)
{
    static const char *const order[] = {
        "::1: ", "127.0.0.1: ", "::1: ", "127.0.0.2: ", "127.0.0.3: "};
    uint16_t port;
    int taken = local_socket(SOCK_STREAM, -1, &port);
    struct sockaddr_storage a[] = {ipv4("127.0.0.1", port), ipv4("127.0.0.2", port),
                                   ipv4("127.0.0.3", port), ipv6("::1", port), ipv6("::1", port)};
    (void)state;
    dial_all(a, 5);
    assert_int_equal(end.fd, -1);
    const char *at = end.text;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(strncmp(at, order[i], strlen(order[i])), 0);
        at = strstr(at, "; ");
        assert_int_equal(at == NULL, i == 4);
        at += at ? 2 : 0;
    }
    close(taken);
}

/* --- cancelling ------------------------------------------------------------------------------- */

static void nothing_after_cancel(void **state)
{
    uint16_t port;
    struct hole hole = hole_new();
    int server = local_socket(SOCK_STREAM, 1, &port);
    struct sockaddr_storage silent = ipv4("127.0.0.1", hole.port), open = ipv4("127.0.0.1", port);
    (void)state;
    dial_cancel(start(&silent, 1)); /* at once */
    struct dial *d = start(&silent, 1);
    run_turns(loop, 3);
    dial_cancel(d);
    dial_cancel(start(&open, 1)); /* perhaps connected, but not told yet */
    run_turns(loop, 5);
    assert_false(end.done);
    dial_cancel(NULL);
    hole_free(&hole);
    close(server);
}

static struct dial *within;

static void on_done_cancels(void *context, const struct dial_result *result)
{
    dial_cancel(within);
    on_done(context, result);
}

static void cancel_within_done_has_no_effect(void **state)
{
    uint16_t port;
    int server = local_socket(SOCK_STREAM, 1, &port);
    struct sockaddr_storage a = ipv4("127.0.0.1", port);
    (void)state;
    within = dial_start(loop, &a, 1, on_done_cancels, &end);
    run_until(loop, &end.done);
    assert_true(end.fd >= 0);
    close(server);
}

/* --- Unix sockets ----------------------------------------------------------------------------- */

static void a_path(char *path, size_t size)
{
    snprintf(path, size, "/tmp/tidewire-dial-%ld.sock", (long)getpid());
    unlink(path);
}

static int unix_listener(const char *path, int backlog)
{
    struct sockaddr_storage a;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(dial_unix_address(path, &a));
    assert_int_equal(bind(fd, (void *)&a, sizeof(struct sockaddr_un)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static void unix_socket(void **state)
{
    char path[64];
    struct sockaddr_storage a;
    (void)state;
    a_path(path, sizeof path);
    assert_true(dial_unix_address(path, &a));
    dial_all(&a, 1);
    assert_int_equal(end.fd, -1);
    assert_string_equal(end.text, "no such file or directory"); /* the path is the caller's */
    int server = unix_listener(path, 1);
    end.done = false;
    dial_all(&a, 1);
    assert_true(end.fd >= 0);
    assert_int_equal(end.peer.ss_family, AF_UNIX);
    close(server);
    unlink(path);
}

static void unix_socket_that_is_busy_is_asked_again(void **state)
{
    char path[64];
    struct sockaddr_storage a;
    int fillers[HOLE_FILLERS];
    (void)state;
    a_path(path, sizeof path);
    int server = unix_listener(path, 1);
    assert_true(dial_unix_address(path, &a));
    bool full = false;
    for (size_t i = 0; i < HOLE_FILLERS; i++) {
        fillers[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        full = connect(fillers[i], (void *)&a, sizeof(struct sockaddr_un)) && errno == EAGAIN;
    }
    assert_true(full);
    struct dial *d = start(&a, 1);
    struct buf text = {0};
    assert_true(dial_explain(d, &text) && buf_append(&text, "", 1));
    assert_non_null(strstr((char *)text.data, "it accepts no more connections"));
    buf_free(&text);
    run_turns(loop, 3);
    assert_false(end.done);
    for (int fd; (fd = accept(server, NULL, NULL)) >= 0;)
        close(fd);
    run_until(loop, &end.done);
    assert_true(end.fd >= 0);
    for (size_t i = 0; i < HOLE_FILLERS; i++)
        close(fillers[i]);
    close(server);
    unlink(path);
}

static void unix_paths(void **state)
{
    struct sockaddr_storage a;
    char path[109];
    (void)state;
    memset(path, 'a', sizeof path);
    path[108] = '\0';
    assert_false(dial_unix_address("", &a));
    assert_false(dial_unix_address(path, &a));
    path[107] = '\0';
    assert_true(dial_unix_address(path, &a));
}

/* --- memory ----------------------------------------------------------------------------------- */

static void memory_short(void **state)
{
    uint16_t port;
    int taken = local_socket(SOCK_STREAM, -1, &port);
    struct sockaddr_storage a = ipv4("127.0.0.1", port);
    (void)state;
    allocations_fail_after(0);
    assert_null(dial_start(loop, &a, 1, on_done, &end));
    allocations_fail_after(1);
    assert_non_null(dial_start(loop, &a, 1, on_done, &end));
    run_until(loop, &end.done);
    allocations_succeed();
    assert_string_equal(end.text, "out of memory");
    close(taken);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, prepare, clean_up)
    const struct CMUnitTest tests[] = {
        TEST(takes_the_one_that_listens),
        TEST(refused_goes_on_to_the_next),
        TEST(silence_does_not_hold_up_the_next),
        TEST(the_first_may_win_after_the_second_failed),
        TEST(all_failed_names_each),
        TEST(families_alternate_from_ipv6_on),
        TEST(nothing_after_cancel),
        TEST(cancel_within_done_has_no_effect),
        TEST(unix_socket),
        TEST(unix_socket_that_is_busy_is_asked_again),
        TEST(unix_paths),
        TEST(memory_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
