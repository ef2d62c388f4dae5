/* Attempts to connect that end at each step: by the clock, by a cancel, by a set that drains or is
 * freed. */
#include "connect_run.h"

/* --- steps: time and cancelling --------------------------------------------------------------- */

/* A place where an attempt stays for ever, for each step of it. */
struct stay {
    enum connect_step step;
    const char *words; /* of its timeout */
};

static const struct stay stays[] = {
    {STEP_NAME, "the name was not resolved within 60 ms"},
    {STEP_DIAL, "not connected within 60 ms: 127.0.0.1: no answer"},
    {STEP_PROXY, "the proxy did not answer CONNECT within 60 ms"},
    {STEP_TLS, "the TLS handshake was not done within 60 ms"},
    {STEP_HANDSHAKE, "the server did not answer the opening handshake within 60 ms"},
    {STEP_BODY, "400"},
};
#define STAYS (sizeof stays / sizeof *stays)

static struct hole hole;
static int silent_dns;
static struct tls_client *tls;

static int prepare_stays(void **state)
{
    char address[32], error[256];
    struct tls_client_settings settings = {.no_verify = true};
    uint16_t port;
    if (prepare(state))
        return -1;
    hole = hole_new();
    silent_dns = local_socket(SOCK_DGRAM, -1, &port);
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    set->resolver = resolve_new(loop, address);
    tls = tls_client_new(&settings, error, sizeof error);
    server.replies[0] = NULL;
    return set->resolver && tls ? 0 : -1;
}

static int clean_up_stays(void **state)
{
    hole_free(&hole);
    close(silent_dns);
    tls_client_unref(tls);
    return clean_up(state);
}

static struct connect_options that_stays_in(enum connect_step step)
{
    struct connect_options o = to(step == STEP_NAME  ? "ws://name.example/"
                                  : step == STEP_TLS ? "wss://127.0.0.1:%u/"
                                                     : "ws://127.0.0.1:%u/");
    server.replies[0] = step == STEP_BODY ? "HTTP/1.1 400 X\r\n\r\n" : NULL;
    o.tls = o.uri.secure ? tls : NULL;
    if (step == STEP_DIAL)
        o.uri.port = hole.port;
    if (step == STEP_PROXY) {
        o.proxy_host = slice_of("127.0.0.1");
        o.proxy_port = proxy.port;
    }
    return o;
}

static void timeout_names_the_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < STAYS; i++) {
        struct connect_options o = that_stays_in(stays[i].step);
        o.timeout = 60;
        attempt(&o);
        fails(stays[i].step == STEP_BODY ? CONNECT_ERR_STATUS : CONNECT_ERR_TIMEOUT,
              stays[i].words);
    }
    struct connect_options o = that_stays_in(STEP_PROXY);
    o.proxy_port = hole.port;
    o.timeout = 60;
    attempt(&o);
    fails(CONNECT_ERR_TIMEOUT, "to the proxy: not connected within 60 ms");
    o = that_stays_in(STEP_HANDSHAKE);
    o.timeout = 1000;
    attempt(&o);
    fails(CONNECT_ERR_TIMEOUT, "within 1 s");
}

static enum connect_step awaited;

static bool is_there(void *context)
{
    const struct connect *c = context;
    return c->step == awaited && (awaited != STEP_TLS || server.accepted);
}

/* Started, and at that step. */
static struct connect *come_to(enum connect_step step)
{
    struct connect_options o = that_stays_in(step);
    struct connect *c = start(&o);
    awaited = step;
    run_until_holds(loop, is_there, c);
    assert_false(end.done);
    return c;
}

static void cancelled_at_each_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < STAYS; i++) {
        connect_cancel(come_to(stays[i].step));
        assert_true(list_empty(&set->connects));
        run_turns(loop, 5);
        assert_false(end.done);
    }
    assert_true(server.ended); /* the last one had a connection */
    connect_cancel(NULL);
}

static void cancelled_at_once_and_at_the_last_moment(void **state)
{
    struct connect_options o = to("ws://127.0.0.1:%u/");
    (void)state;
    connect_cancel(start(&o));
    run_turns(loop, 5);
    assert_false(end.done);
    server.replies[0] = ACCEPT;
    struct connect *c = start(&o);
    connect_win(c); /* as when the answer has come in this turn */
    connect_cancel(c);
    run_turns(loop, 5);
    assert_false(end.done);
    assert_int_equal(conn_set_count(set), 0);
}

static struct connect *within;
static struct connect_options again;
static int rounds;

static void on_done_starts_another(void *context, const struct connect_result *r)
{
    connect_cancel(within); /* without effect */
    if (rounds-- > 0) {
        within = connect_start(set, &again, on_done_starts_another, context);
        assert_non_null(within);
        return;
    }
    on_done(context, r);
}

static void another_attempt_within_done(void **state)
{
    (void)state;
    again = to("ws://127.0.0.1:%u/");
    server.replies[0] = "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n";
    rounds = 3;
    within = connect_start(set, &again, on_done_starts_another, &end);
    run_until(loop, &end.done);
    fails(CONNECT_ERR_STATUS, "503");
    assert_int_equal(server.accepted, 4);
}

/* --- a set that ends -------------------------------------------------------------------------- */

static bool drained;

static void on_drained(void *context)
{
    (void)context;
    assert_true(end.done); /* attempts end first */
    drained = true;
}

static void draining_ends_attempts(void **state)
{
    (void)state;
    drained = false;
    come_to(STEP_HANDSHAKE);
    conn_set_drain(set, 1001, 10000, on_drained, NULL);
    assert_false(end.done);
    run_until(loop, &drained);
    fails(CONNECT_ERR_CANCELLED, "going away");
    struct connect_options o = to("ws://127.0.0.1:%u/");
    attempt(&o);
    fails(CONNECT_ERR_CANCELLED, "going away");
}

static void draining_catches_one_that_has_just_succeeded(void **state)
{
    struct connect_options o = to("ws://127.0.0.1:%u/");
    (void)state;
    drained = false;
    server.replies[0] = ACCEPT;
    struct connect *c = start(&o);
    awaited = STEP_HANDSHAKE;
    run_until_holds(loop, is_there, c);
    connect_win(c);
    conn_set_drain(set, 1001, 10000, on_drained, NULL);
    run_until(loop, &drained);
    fails(CONNECT_ERR_CANCELLED, "going away");
}

static void drain_waits_for_one_that_is_cancelled(void **state)
{
    (void)state;
    drained = false;
    struct connect *c = come_to(STEP_HANDSHAKE);
    conn_set_drain(set, 1001, 10000, on_drained, NULL);
    connect_cancel(c);
    end.done = true;
    run_until(loop, &drained);
}

static void on_done_while_freeing(void *context, const struct connect_result *r)
{
    struct connect_options o = to("ws://127.0.0.1:%u/");
    assert_null(connect_start(set, &o, on_done, &end));
    on_done(context, r);
}

static void freeing_ends_attempts(void **state)
{
    (void)state;
    for (size_t i = 0; i < STAYS; i++) {
        memset(&end, 0, sizeof end);
        struct connect_options o = that_stays_in(stays[i].step);
        struct connect *c = connect_start(set, &o, on_done_while_freeing, &end);
        awaited = stays[i].step;
        run_until_holds(loop, is_there, c);
        conn_set_free(set);
        assert_true(end.done);
        assert_int_equal(end.error, CONNECT_ERR_CANCELLED);
        set = conn_set_new(loop, &events, &limits, 1, NULL);
        char address[32];
        struct sockaddr_in in;
        socklen_t size = sizeof in;
        getsockname(silent_dns, (void *)&in, &size);
        snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(in.sin_port));
        set->resolver = resolve_new(loop, address);
    }
}

int main(void)
{
#define STAY(f) cmocka_unit_test_setup_teardown(f, prepare_stays, clean_up_stays)
    const struct CMUnitTest tests[] = {
        STAY(timeout_names_the_step),
        STAY(cancelled_at_each_step),
        STAY(cancelled_at_once_and_at_the_last_moment),
        STAY(another_attempt_within_done),
        STAY(draining_ends_attempts),
        STAY(draining_catches_one_that_has_just_succeeded),
        STAY(drain_waits_for_one_that_is_cancelled),
        STAY(freeing_ends_attempts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
