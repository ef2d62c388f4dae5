/* Names to addresses, with a name server of the test's own. */
#include "net/resolve.h"
#include "net_run.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

#define PORT 8080

static struct loop *loop;
static struct resolver *resolver;
static char found[1024]; /* of the last answer: "[::1] 127.0.0.1" */
static char text[256];
static unsigned answers;
static bool done;

/* --- a name server ---------------------------------------------------------------------------- */

enum rcode { NOERROR = 0, SERVFAIL = 2, NXDOMAIN = 3, REFUSED = 5 };

/* What it says to every question. */
static struct {
    int fd;
    ev_io io;
    enum rcode rcode, rcode_aaaa;
    unsigned a, aaaa; /* addresses: 192.0.2.1 and up, 2001:db8::1 and up */
    bool silent, garbage;
    unsigned asked;
    uint16_t port;
} dns;

#define TYPE_A 1
#define TYPE_AAAA 28

static size_t add_record(unsigned char *out, unsigned type, unsigned number)
{
    size_t size = type == TYPE_A ? 4 : 16;
    const unsigned char head[] = {0xC0, 12, 0, (unsigned char)type, 0, 1, 0, 0,
                                  0,    60, 0, (unsigned char)size};
    static const unsigned char v4[] = {192, 0, 2, 0}, v6[16] = {0x20, 0x01, 0x0d, 0xb8};
    memcpy(out, head, sizeof head);
    memcpy(out + sizeof head, type == TYPE_A ? v4 : v6, size);
    out[sizeof head + size - 1] = (unsigned char)number;
    return sizeof head + size;
}

/* The question comes back, with flags, counts and records. */
static size_t answer_to(unsigned char *m, size_t n)
{
    size_t name = 12;
    while (name < n && m[name])
        name += m[name] + 1u;
    size_t end = name + 5;
    assert_true(end <= n);
    unsigned type = m[name + 2];
    unsigned count = type == TYPE_A ? dns.a : type == TYPE_AAAA ? dns.aaaa : 0;
    enum rcode rcode = type == TYPE_AAAA && dns.rcode_aaaa ? dns.rcode_aaaa : dns.rcode;
    m[2] = 0x81;
    m[3] = (unsigned char)(0x80 | rcode);
    memset(m + 6, 0, 6);
    m[7] = (unsigned char)(rcode ? 0 : count);
    for (unsigned i = 1; !rcode && i <= count; i++)
        end += add_record(m + end, type, i);
    return dns.garbage ? 14 : end;
}

static void on_question(struct ev_loop *ev, ev_io *w, int events)
{
    unsigned char m[2048];
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    (void)ev, (void)events;
    ssize_t n = recvfrom(w->fd, m, 512, 0, (void *)&from, &size);
    if (n < 17)
        return;
    dns.asked++;
    if (!dns.silent)
        (void)!sendto(w->fd, m, answer_to(m, (size_t)n), 0, (void *)&from, size);
}

static int prepare(void **state)
{
    char address[32];
    (void)state;
    memset(&dns, 0, sizeof dns);
    answers = 0;
    dns.fd = local_socket(SOCK_DGRAM, -1, &dns.port);
    snprintf(address, sizeof address, "127.0.0.1:%u", dns.port);
    loop = loop_new();
    resolver = loop ? resolve_new(loop, address) : NULL;
    if (!resolver)
        return -1;
    ev_io_init(&dns.io, on_question, dns.fd, EV_READ);
    ev_io_start(loop_ev(loop), &dns.io);
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    resolve_free(resolver);
    ev_io_stop(loop_ev(loop), &dns.io);
    close(dns.fd);
    loop_free(loop);
    return 0;
}

/* --- asking ----------------------------------------------------------------------------------- */

static void on_done(void *context, const struct resolve_result *r)
{
    char one[INET6_ADDRSTRLEN];
    assert_ptr_equal(context, &dns);
    done = true;
    answers++;
    found[0] = '\0';
    assert_int_equal(r->text == NULL, r->count > 0);
    snprintf(text, sizeof text, "%s", r->text ? r->text : "");
    for (size_t i = 0; i < r->count; i++) {
        bool six = r->addresses[i].ss_family == AF_INET6;
        const struct sockaddr_in *in = (const void *)&r->addresses[i];
        const struct sockaddr_in6 *in6 = (const void *)&r->addresses[i];
        inet_ntop(six ? AF_INET6 : AF_INET, six ? (const void *)&in6->sin6_addr : &in->sin_addr,
                  one, sizeof one);
        assert_int_equal(ntohs(six ? in6->sin6_port : in->sin_port), PORT);
        assert_true(strlen(found) + sizeof one < sizeof found);
        strcat(strcat(found, i ? " " : ""), one);
    }
}

static struct lookup *start(const char *name)
{
    done = false;
    struct lookup *l = resolve_start(resolver, slice_of(name), PORT, on_done, &dns);
    assert_non_null(l);
    assert_false(done); /* never from within */
    return l;
}

static void resolve(const char *name)
{
    start(name);
    run_until(loop, &done);
}

static void is(const char *name, const char *addresses)
{
    resolve(name);
    assert_string_equal(text, "");
    assert_string_equal(found, addresses);
}

static void fails(const char *name, const char *words)
{
    resolve(name);
    assert_string_equal(found, "");
    assert_string_equal(text, words);
}

/* All of these, in any order: the system's rules sort them (RFC 6724). */
static void has(const char *name, const char *const *addresses, size_t count)
{
    size_t n = 0;
    resolve(name);
    for (size_t i = 0; i < count; i++) {
        if (!strstr(found, addresses[i]))
            fail_msg("no %s in %s", addresses[i], found);
        n += strlen(addresses[i]) + 1;
    }
    assert_int_equal(strlen(found), n - 1);
}

/* --- without a question ----------------------------------------------------------------------- */

static void numbers(void **state)
{
    (void)state;
    is("127.0.0.1", "127.0.0.1");
    is("::1", "::1");
    is("2001:db8::7", "2001:db8::7");
    assert_int_equal(dns.asked, 0);
}

static void localhost(void **state)
{
    (void)state;
    is("localhost", "::1 127.0.0.1");
    is("LocalHost.", "::1 127.0.0.1");
    is("app.localhost", "::1 127.0.0.1");
    assert_int_equal(dns.asked, 0);
}

static void names_of_the_hosts_file(void **state)
{
    static const char *const both[] = {"10.1.2.3", "fd00::1"};
    char path[64];
    (void)state;
    snprintf(path, sizeof path, "/tmp/tidewire-hosts-%ld", (long)getpid());
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("10.1.2.3 both.example\nfd00::1 both.example\n10.9.9.9 one.example\n", f);
    fclose(f);
    setenv("CARES_HOSTS", path, 1);
    has("both.example", both, 2);
    dns.aaaa = 1;
    is("one.example", "10.9.9.9"); /* what the file says is all there is */
    assert_int_equal(dns.asked, 0);
    unsetenv("CARES_HOSTS");
    unlink(path);
}

static void no_names(void **state)
{
    char long_name[400];
    (void)state;
    memset(long_name, 'a', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    fails("", "that is no host name");
    fails("a..b", "that is no host name");
    fails(long_name, "that is no host name");
    done = false;
    assert_non_null(
        resolve_start(resolver, (struct slice){"a\0b.example", 11}, PORT, on_done, &dns));
    run_until(loop, &done);
    assert_string_equal(text, "that is no host name");
    assert_int_equal(dns.asked, 0);
}

/* --- DNS -------------------------------------------------------------------------------------- */

static void both_families(void **state)
{
    static const char *const all[] = {"192.0.2.1", "192.0.2.2", "2001:db8::1"};
    (void)state;
    dns.a = 2;
    dns.aaaa = 1;
    has("a.example", all, 3);
}

static void one_family(void **state)
{
    (void)state;
    dns.a = 1;
    is("a.example", "192.0.2.1");
    dns.rcode_aaaa = SERVFAIL; /* some servers cannot cope with the question */
    is("b.example", "192.0.2.1");
    dns.a = 0;
    dns.rcode_aaaa = NOERROR;
    dns.aaaa = 1;
    is("c.example", "2001:db8::1");
}

static void many_addresses_are_cut(void **state)
{
    (void)state;
    dns.a = 25;
    resolve("a.example");
    size_t count = 1;
    for (const char *p = found; *p; p++)
        count += *p == ' ';
    assert_int_equal(count, RESOLVE_MAX);
}

static void failures_have_words(void **state)
{
    (void)state;
    fails("nothing.example", "the name has no address");
    dns.rcode = NXDOMAIN;
    fails("nobody.example.", "there is no such name");
    dns.rcode = REFUSED;
    fails("a.example.", "the name server is not reachable, or answers with a failure");
    dns.rcode = SERVFAIL;
    fails("a.example.", "the name server is not reachable, or answers with a failure");
}

static void no_server(void **state)
{
    (void)state;
    ev_io_stop(loop_ev(loop), &dns.io);
    close(dns.fd);
    resolve("a.example.");
    assert_non_null(strstr(text, "name server"));
    dns.fd = local_socket(SOCK_DGRAM, -1, &dns.port);
}

static void silence_ends_by_itself(void **state)
{
    (void)state;
    dns.silent = true;
    start("a.example.");
    start("b.example.");
    for (; answers < 2; done = false) {
        run_until(loop, &done);
        assert_string_equal(text, "the name server does not answer");
    }
    assert_true(dns.asked >= 8); /* both families, twice */
}

static void garbage_is_no_answer(void **state)
{
    (void)state;
    dns.garbage = true;
    resolve("a.example.");
    assert_non_null(strstr(text, "name server"));
    assert_string_equal(found, "");
}

static void many_at_once(void **state)
{
    char name[32];
    (void)state;
    dns.a = 1;
    for (unsigned i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "n%u.example", i);
        start(name);
    }
    while (answers < 50) {
        done = false;
        run_until(loop, &done);
        assert_string_equal(found, "192.0.2.1");
    }
}

/* --- cancelling ------------------------------------------------------------------------------- */

static void nothing_after_cancel(void **state)
{
    (void)state;
    dns.silent = true;
    resolve_cancel(start("::1"));
    resolve_cancel(start("a.example"));
    struct lookup *l = start("b.example");
    while (!dns.asked)
        ev_run(loop_ev(loop), EVRUN_ONCE);
    resolve_cancel(l);
    run_turns(loop, 5);
    assert_false(done);
    resolve_cancel(NULL);
    dns.silent = false; /* the others go on, beside what is forgotten */
    dns.a = 1;
    is("c.example", "192.0.2.1");
    dns.silent = true;
    resolve_cancel(start("d.example")); /* and one is left when the resolver goes */
}

static struct lookup *within;

static void on_done_cancels(void *context, const struct resolve_result *r)
{
    resolve_cancel(within);
    on_done(context, r);
}

static void cancel_within_done_has_no_effect(void **state)
{
    (void)state;
    done = false;
    within = resolve_start(resolver, slice_of("::1"), PORT, on_done_cancels, &dns);
    run_until(loop, &done);
    assert_string_equal(found, "::1");
}

/* --- the rest --------------------------------------------------------------------------------- */

/* What the machine's own settings are, nobody knows here: only that they are read, and that an end
 * comes of it without a question to anybody. */
static void with_the_systems_settings(void **state)
{
    (void)state;
    resolve_free(resolver);
    resolver = resolve_new(loop, NULL);
    assert_non_null(resolver);
    fails("hidden.onion", "there is no such name"); /* RFC 7686: never asked for */
    fails("hidden.onion", "there is no such name");
}

static void memory_short(void **state)
{
    (void)state;
    allocations_fail_after(0);
    assert_null(resolve_start(resolver, slice_of("a.example"), PORT, on_done, &dns));
    assert_null(resolve_new(loop, NULL));
    allocations_succeed();
    dns.a = 1;
    allocations_fail_after(1); /* that one is all there is to allocate here */
    start("a.example");
    run_until(loop, &done);
    allocations_succeed();
    assert_string_equal(found, "192.0.2.1");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, prepare, clean_up)
    const struct CMUnitTest tests[] = {
        TEST(numbers),
        TEST(localhost),
        TEST(names_of_the_hosts_file),
        TEST(no_names),
        TEST(both_families),
        TEST(one_family),
        TEST(many_addresses_are_cut),
        TEST(failures_have_words),
        TEST(no_server),
        TEST(silence_ends_by_itself),
        TEST(garbage_is_no_answer),
        TEST(many_at_once),
        TEST(nothing_after_cancel),
        TEST(cancel_within_done_has_no_effect),
        TEST(with_the_systems_settings),
        TEST(memory_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
