#include "net/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/tidewire-unix-XXXXXX";
static unsigned mode_at_birth;

/* In the place of the C library's: looks at the file in the moment after it has come to be. */
int bind(int fd, const struct sockaddr *address, socklen_t size)
{
    struct stat st;
    const struct sockaddr_un *local = (const void *)address;
    int failed = (int)syscall(SYS_bind, fd, address, size);
    if (!failed && stat(local->sun_path, &st) == 0)
        mode_at_birth = st.st_mode & 07777;
    return failed;
}

static const char *at(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    umask(0);
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void rights(void **state)
{
    struct unix_socket s;
    (void)state;
    assert_true(unix_socket_listen(&s, at("a"), true, 1));
    assert_int_equal(mode_at_birth, 0600);
    assert_int_equal(umask(0), 0); /* as it was */
    unix_socket_close(&s);
    assert_int_equal(access(at("a"), F_OK), -1);
    assert_true(unix_socket_listen(&s, at("a"), false, 1));
    assert_int_equal(mode_at_birth, 0777);
    unix_socket_close(&s);
}

static void living_one_stays(void **state)
{
    struct unix_socket s, second;
    (void)state;
    assert_true(unix_socket_listen(&s, at("a"), true, 8));
    assert_false(unix_socket_listen(&second, at("a"), true, 8));
    assert_int_equal(errno, EADDRINUSE);
    unix_socket_close(&second);
    int fd = unix_socket_connect(at("a"));
    assert_true(fd >= 0);
    close(fd);
    unix_socket_close(&s);
}

static void stale_one_is_replaced(void **state)
{
    struct unix_socket s;
    (void)state;
    assert_true(unix_socket_listen(&s, at("a"), true, 1));
    unix_socket_drop(&s); /* as a killed process does */
    assert_int_equal(access(at("a"), F_OK), 0);
    assert_int_equal(unix_socket_connect(at("a")), -1);
    assert_true(unix_socket_listen(&s, at("a"), true, 1));
    assert_int_equal(mode_at_birth, 0600);
    unix_socket_close(&s);
}

static void file_stays(void **state)
{
    struct unix_socket s;
    (void)state;
    close(open(at("file"), O_CREAT | O_WRONLY, 0644));
    assert_false(unix_socket_listen(&s, at("file"), true, 1));
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(access(at("file"), F_OK), 0);
    assert_int_equal(symlink("nowhere", at("link")), 0);
    assert_false(unix_socket_listen(&s, at("link"), true, 1));
    assert_int_equal(errno, EADDRINUSE);
}

/* The end of one takes no socket of another away. */
static void end_of_a_replaced_one(void **state)
{
    struct unix_socket first, second;
    (void)state;
    assert_true(unix_socket_listen(&first, at("a"), true, 1));
    unlink(at("a"));
    assert_true(unix_socket_listen(&second, at("a"), true, 1));
    unix_socket_close(&first);
    assert_int_equal(access(at("a"), F_OK), 0);
    unix_socket_close(&second);
    assert_int_equal(access(at("a"), F_OK), -1);
}

static void long_paths(void **state)
{
    struct unix_socket s;
    char deep[256];
    (void)state;
    memset(deep, 'd', 120);
    deep[120] = '\0';
    assert_int_equal(mkdir(at(deep), 0755), 0);
    memcpy(deep + 120, "/socket", 8);
    assert_true(unix_socket_listen(&s, at(deep), true, 1));
    assert_int_equal(mode_at_birth, 0600);
    int fd = unix_socket_connect(at(deep));
    assert_true(fd >= 0);
    close(fd);
    unix_socket_close(&s);
    assert_int_equal(access(at(deep), F_OK), -1);
    memset(deep, 'd', 250);
    deep[250] = '\0';
    assert_false(unix_socket_listen(&s, at(deep), true, 1));
    assert_int_equal(errno, ENAMETOOLONG);
}

static void impossible_paths(void **state)
{
    struct unix_socket s;
    (void)state;
    assert_false(unix_socket_listen(&s, "", true, 1));
    assert_int_equal(errno, EINVAL);
    assert_false(unix_socket_listen(&s, at("none/x"), true, 1));
    assert_int_equal(errno, ENOENT);
    assert_int_equal(unix_socket_connect(at("none")), -1);
    assert_int_equal(errno, ENOENT);
}

/* A child that answers one connection with these bytes. */
static pid_t answering(const char *path, const char *bytes)
{
    struct unix_socket s;
    assert_true(unix_socket_listen(&s, path, true, 8));
    pid_t child = fork();
    if (child == 0) {
        char line[64];
        fcntl(s.fd, F_SETFL, 0);
        int fd = accept(s.fd, NULL, NULL);
        ssize_t n = read(fd, line, sizeof line);
        (void)!write(fd, bytes, strlen(bytes));
        _exit(n > 0 ? 0 : 1);
    }
    unix_socket_drop(&s);
    return child;
}

static void asks(void **state)
{
    struct buf answer = {0};
    int status;
    (void)state;
    pid_t child = answering(at("ask"), "hello\nrest");
    assert_true(unix_socket_ask(at("ask"), "hi\n", 3, 20000, &answer));
    assert_int_equal(answer.len, 5);
    assert_memory_equal(answer.data, "hello", 5);
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    buf_free(&answer);
    child = answering(at("ask"), "no line");
    assert_false(unix_socket_ask(at("ask"), "hi\n", 3, 20000, &answer));
    assert_int_equal(errno, EPIPE);
    waitpid(child, &status, 0);
    buf_free(&answer);
    assert_false(unix_socket_ask(at("ask"), "hi\n", 3, 20000, &answer));
    assert_int_equal(errno, ECONNREFUSED);
    struct unix_socket mute;
    assert_true(unix_socket_listen(&mute, at("mute"), true, 8));
    assert_false(unix_socket_ask(at("mute"), "hi\n", 3, 10, &answer));
    assert_int_equal(errno, ETIMEDOUT);
    unix_socket_close(&mute);
    buf_free(&answer);
}

/* A child that says something to whoever comes, and leaves at once, without listening. */
static pid_t turning_away(const char *path, const char *bytes)
{
    struct unix_socket s;
    assert_true(unix_socket_listen(&s, path, true, 8));
    pid_t child = fork();
    if (child == 0) {
        fcntl(s.fd, F_SETFL, 0);
        int fd = accept(s.fd, NULL, NULL);
        _exit(write(fd, bytes, strlen(bytes)) == (ssize_t)strlen(bytes) ? 0 : 1);
    }
    unix_socket_drop(&s);
    return child;
}

static void hears_why_it_is_turned_away(void **state)
{
    struct buf answer = {0};
    size_t n = 4 << 20; /* more than a socket takes: it is noticed while sending */
    char *line = calloc(1, n);
    int status;
    (void)state;
    assert_non_null(line);
    pid_t child = turning_away(at("ask"), "busy\n");
    assert_true(unix_socket_ask(at("ask"), line, n, 20000, &answer));
    assert_int_equal(answer.len, 4);
    assert_memory_equal(answer.data, "busy", 4);
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    buf_free(&answer);
    child = turning_away(at("ask"), "");
    assert_false(unix_socket_ask(at("ask"), line, n, 20000, &answer));
    assert_int_equal(errno, EPIPE);
    waitpid(child, &status, 0);
    buf_free(&answer);
    free(line);
}

/* A child that never stops talking. */
static void endless_answer(void **state)
{
    struct buf answer = {0};
    struct unix_socket s;
    static char block[65536];
    int status;
    (void)state;
    memset(block, 'x', sizeof block);
    assert_true(unix_socket_listen(&s, at("ask"), true, 8));
    pid_t child = fork();
    if (child == 0) {
        signal(SIGPIPE, SIG_IGN);
        fcntl(s.fd, F_SETFL, 0);
        int fd = accept(s.fd, NULL, NULL);
        while (write(fd, block, sizeof block) > 0)
            ;
        _exit(0);
    }
    unix_socket_drop(&s);
    assert_false(unix_socket_ask(at("ask"), "hi\n", 3, 20000, &answer));
    assert_int_equal(errno, EMSGSIZE);
    assert_true(answer.cap < 16 << 20);
    buf_free(&answer);
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rights),
        cmocka_unit_test(living_one_stays),
        cmocka_unit_test(stale_one_is_replaced),
        cmocka_unit_test(file_stays),
        cmocka_unit_test(end_of_a_replaced_one),
        cmocka_unit_test(long_paths),
        cmocka_unit_test(impossible_paths),
        cmocka_unit_test(asks),
        cmocka_unit_test(hears_why_it_is_turned_away),
        cmocka_unit_test(endless_answer),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
