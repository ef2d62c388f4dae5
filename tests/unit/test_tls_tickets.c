#include "net/tls_tickets.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct tls_ticket_key newest(const struct tls_tickets *t)
{
    struct tls_ticket_key key;
    assert_int_equal(tls_tickets_find(t, NULL, &key), 0);
    return key;
}

static int age_of(const struct tls_tickets *t, const struct tls_ticket_key *key)
{
    struct tls_ticket_key found;
    int age = tls_tickets_find(t, key->name, &found);
    if (age >= 0)
        assert_memory_equal(&found, key, sizeof found);
    return age;
}

static void keys_get_old(void **state)
{
    struct tls_tickets *t = tls_tickets_new();
    struct tls_ticket_key keys[5], zero = {0};
    (void)state;
    assert_non_null(t);
    for (int i = 0; i < 5; i++) {
        keys[i] = newest(t);
        assert_memory_not_equal(keys[i].name, zero.name, sizeof zero.name);
        assert_memory_not_equal(keys[i].cipher, zero.cipher, sizeof zero.cipher);
        assert_memory_not_equal(keys[i].mac, zero.mac, sizeof zero.mac);
        for (int k = 0; k <= i; k++)
            assert_int_equal(age_of(t, &keys[k]), i - k < TLS_TICKET_KEYS ? i - k : -1);
        assert_true(tls_tickets_rotate(t));
    }
    assert_int_equal(age_of(t, &zero), -1); /* places that are empty have no name */
    tls_tickets_free(t);
    tls_tickets_free(NULL);
}

static void no_key_before_the_first_rotation(void **state)
{
    struct tls_tickets *t = tls_tickets_new();
    struct tls_ticket_key zero = {0}, found;
    (void)state;
    assert_int_equal(tls_tickets_find(t, zero.name, &found), -1);
    tls_tickets_free(t);
}

static void wiped(void **state)
{
    struct tls_tickets *t = tls_tickets_new();
    struct tls_ticket_key key = newest(t), found;
    (void)state;
    tls_tickets_wipe(t);
    assert_int_equal(tls_tickets_find(t, NULL, &found), -1);
    assert_int_equal(tls_tickets_find(t, key.name, &found), -1);
    tls_tickets_wipe(NULL);
    tls_tickets_free(t);
}

/* A child reads while the parent rotates as fast as it can: of one name there is one key, so a torn
 * one shows when it is read again. */
static void read_while_it_changes(void **state)
{
    struct tls_tickets *t = tls_tickets_new();
    int status;
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct tls_ticket_key before = newest(t), key, again;
        size_t changes = 0;
        while (changes < 200) {
            if (tls_tickets_find(t, NULL, &key) < 0)
                continue;
            /* the same name is always the same key */
            int age = tls_tickets_find(t, key.name, &again);
            if (age >= 0 && memcmp(&key, &again, sizeof key) != 0)
                _exit(1);
            changes += memcmp(key.name, before.name, sizeof key.name) != 0;
            before = key;
        }
        _exit(0);
    }
    while (waitpid(child, &status, WNOHANG) == 0)
        assert_true(tls_tickets_rotate(t));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    tls_tickets_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_get_old),
        cmocka_unit_test(no_key_before_the_first_rotation),
        cmocka_unit_test(wiped),
        cmocka_unit_test(read_while_it_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
