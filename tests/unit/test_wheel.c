/* The timer wheel: each rule of its header, then random use beside a naive model of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/wheel.h"
#include "support.h"

#define START 1000000
#define LEVELS 11 /* 6 bits of a time each */

/* A timer that notes when it fired and may then do something. */
struct probe {
    struct timer timer;
    struct wheel *wheel;
    unsigned fired, order; /* order: which of all, from 1 on */
    void (*then)(struct probe *);
    struct probe *other;
    uint64_t again; /* for `then` */
};

static unsigned fired_in_all;

static void on_fire(struct timer *t)
{
    struct probe *p = (struct probe *)t;
    assert_false(timer_is_set(t));
    p->fired++;
    p->order = ++fired_in_all;
    if (p->then)
        p->then(p);
}

static struct wheel *new_wheel(void)
{
    fired_in_all = 0;
    struct wheel *w = wheel_new(START);
    assert_non_null(w);
    return w;
}

static struct probe new_probe(struct wheel *w)
{
    return (struct probe){.timer.fire = on_fire, .wheel = w};
}

static void timer_is_small(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct timer), 32);
}

static void fires_at_its_time_and_once(void **state)
{
    struct wheel *w = new_wheel();
    struct probe p = new_probe(w);
    (void)state;
    assert_false(timer_is_set(&p.timer));
    wheel_set(w, &p.timer, START + 5000);
    assert_true(timer_is_set(&p.timer));
    wheel_advance(w, START + 4999);
    assert_int_equal(p.fired, 0);
    wheel_advance(w, START + 5000);
    assert_int_equal(p.fired, 1);
    assert_false(timer_is_set(&p.timer));
    wheel_advance(w, START + 100000);
    assert_int_equal(p.fired, 1);
    wheel_free(w);
}

static void fires_in_order_of_time(void **state)
{
    static const uint64_t after[] = {4097, 1, 300000, 64, 63, 65, 262144, 4096, 2, 4095, 262143};
    enum { COUNT = sizeof(after) / sizeof(*after) };
    struct wheel *w = new_wheel();
    struct probe p[COUNT];
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        p[i] = new_probe(w);
        wheel_set(w, &p[i].timer, START + after[i]);
    }
    wheel_advance(w, START + 1000000);
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < COUNT; k++)
            if (after[i] < after[k])
                assert_true(p[i].order < p[k].order);
    assert_int_equal(fired_in_all, COUNT);
    wheel_free(w);
}

static void set_again_moves(void **state)
{
    struct wheel *w = new_wheel();
    struct probe p = new_probe(w);
    (void)state;
    wheel_set(w, &p.timer, START + 10);
    wheel_set(w, &p.timer, START + 70000);
    wheel_advance(w, START + 69999);
    assert_int_equal(p.fired, 0);
    wheel_set(w, &p.timer, START + 80000);
    wheel_set(w, &p.timer, START + 70001);
    assert_true(wheel_next(w) <= START + 70001);
    wheel_advance(w, START + 70001);
    assert_int_equal(p.fired, 1);
    wheel_advance(w, START + 90000);
    assert_int_equal(p.fired, 1);
    wheel_free(w);
}

static void cancelled_does_not_fire(void **state)
{
    struct wheel *w = new_wheel();
    struct probe p = new_probe(w);
    (void)state;
    wheel_cancel(w, &p.timer); /* never set */
    wheel_set(w, &p.timer, START + 10);
    wheel_cancel(w, &p.timer);
    assert_false(timer_is_set(&p.timer));
    wheel_cancel(w, &p.timer);
    wheel_set(w, &p.timer, START - 10);
    wheel_cancel(w, &p.timer);
    wheel_advance(w, START + 100);
    assert_int_equal(p.fired, 0);
    wheel_cancel(w, &p.timer);
    wheel_set(w, &p.timer, START + 101);
    wheel_advance(w, START + 101);
    assert_int_equal(p.fired, 1);
    wheel_free(w);
}

static void cancel_leaves_the_rest_of_its_slot(void **state)
{
    (void)state;
    for (size_t gone = 0; gone < 3; gone++) {
        struct wheel *w = new_wheel();
        struct probe p[3];
        for (size_t i = 0; i < 3; i++) {
            p[i] = new_probe(w);
            wheel_set(w, &p[i].timer, START + 5000);
        }
        wheel_cancel(w, &p[gone].timer);
        wheel_advance(w, START + 5000);
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(p[i].fired, i != gone);
        wheel_free(w);
    }
}

static void late_fires_at_the_next_advance(void **state)
{
    struct wheel *w = new_wheel();
    struct probe p = new_probe(w);
    (void)state;
    wheel_set(w, &p.timer, START);
    assert_int_equal(p.fired, 0);
    assert_true(wheel_next(w) == START + 1);
    wheel_advance(w, START);
    assert_int_equal(p.fired, 1);
    wheel_set(w, &p.timer, 0);
    assert_true(wheel_next(w) == START + 1);
    wheel_advance(w, START + 1000);
    assert_int_equal(p.fired, 2);
    assert_true(wheel_next(w) == UINT64_MAX);
    wheel_free(w);
}

static void late_ones_fire_in_order_and_first(void **state)
{
    enum { COUNT = 100 };
    struct wheel *w = new_wheel();
    struct probe p[COUNT], due = new_probe(w);
    (void)state;
    wheel_set(w, &due.timer, START + 1);
    for (size_t i = 0; i < COUNT; i++) {
        p[i] = new_probe(w);
        wheel_set(w, &p[i].timer, START - i * 37 % COUNT); /* every time once */
    }
    wheel_advance(w, START + 1);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(p[i].order, COUNT - i * 37 % COUNT);
    assert_int_equal(due.order, COUNT + 1);
    wheel_free(w);
}

static void set_again(struct probe *p)
{
    wheel_set(p->wheel, &p->timer, p->again);
}

static void set_while_firing_for_the_past_waits(void **state)
{
    static const uint64_t times[] = {0, START + 10, START + 11, START + 500};
    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        struct wheel *w = new_wheel();
        struct probe p = new_probe(w);
        p.then = set_again;
        p.again = times[i];
        wheel_set(w, &p.timer, START + 10);
        wheel_advance(w, START + 500);
        assert_int_equal(p.fired, 1);
        assert_true(wheel_next(w) == START + 501);
        wheel_advance(w, START + 500);
        assert_int_equal(p.fired, 2); /* and from the list of late ones, too, just once */
        wheel_advance(w, START + 500);
        assert_int_equal(p.fired, 3);
        wheel_free(w);
    }
}

static void set_while_firing_for_later_keeps_its_time(void **state)
{
    struct wheel *w = new_wheel();
    struct probe p = new_probe(w);
    (void)state;
    p.then = set_again;
    p.again = START + 501;
    wheel_set(w, &p.timer, START + 10);
    wheel_advance(w, START + 500);
    assert_int_equal(p.fired, 1);
    wheel_advance(w, START + 500);
    assert_int_equal(p.fired, 1);
    wheel_advance(w, START + 501);
    assert_int_equal(p.fired, 2);
    wheel_free(w);
}

static void cancel_other(struct probe *p)
{
    wheel_cancel(p->wheel, &p->other->timer);
}

static void move_other(struct probe *p)
{
    wheel_set(p->wheel, &p->other->timer, p->again);
}

/* Two timers that are after each other; whichever fires first wins. */
static void duel(uint64_t first_due, uint64_t second_due)
{
    struct wheel *w = new_wheel();
    struct probe a = new_probe(w), b = new_probe(w);
    a.other = &b;
    b.other = &a;
    a.then = b.then = cancel_other;
    wheel_set(w, &a.timer, first_due);
    wheel_set(w, &b.timer, second_due);
    wheel_advance(w, START + 10000);
    assert_int_equal(a.fired + b.fired, 1);
    assert_true(wheel_next(w) == UINT64_MAX);
    wheel_free(w);
}

static void cancels_another_while_firing(void **state)
{
    (void)state;
    duel(START + 7, START + 7);
    duel(START + 7, START + 8);
    duel(START + 7, START + 9000);
    duel(START + 4096, START + 4096);
    duel(START - 7, START - 7);
    duel(START - 7, START - 6);
    duel(START - 7, START + 1);
}

static void moves_another_while_firing(void **state)
{
    (void)state;
    for (int same = 0; same < 2; same++) {
        struct wheel *w = new_wheel();
        struct probe a = new_probe(w), b = new_probe(w);
        a.other = &b;
        b.other = &a;
        a.then = b.then = move_other;
        a.again = b.again = START + 20000;
        wheel_set(w, &a.timer, START + 70);
        wheel_set(w, &b.timer, START + (same ? 70 : 5000));
        wheel_advance(w, START + 10000);
        assert_int_equal(a.fired + b.fired, 1);
        a.then = b.then = NULL;
        wheel_advance(w, START + 19999);
        assert_int_equal(a.fired + b.fired, 1);
        wheel_advance(w, START + 20000);
        assert_int_equal(a.fired, 1);
        assert_int_equal(b.fired, 1);
        wheel_free(w);
    }
}

static void free_owner(struct timer *t)
{
    free((struct probe *)t);
    fired_in_all++;
}

static void frees_its_owner_while_firing(void **state)
{
    struct wheel *w = new_wheel();
    (void)state;
    for (uint64_t i = 0; i < 6; i++) {
        struct probe *p = malloc(sizeof(*p));
        assert_non_null(p);
        *p = new_probe(w);
        p->timer.fire = free_owner;
        wheel_set(w, &p->timer, START - 2 + i / 2 * 2); /* in pairs */
    }
    wheel_advance(w, START + 100);
    assert_int_equal(fired_in_all, 6);
    wheel_free(w);
}

static void next_is_never_when_nothing_is_set(void **state)
{
    struct wheel *w = new_wheel();
    (void)state;
    assert_true(wheel_next(w) == UINT64_MAX);
    for (unsigned bit = 0; bit < 64; bit++) {
        struct probe p[2] = {new_probe(w), new_probe(w)};
        uint64_t due = (uint64_t)1 << bit;
        wheel_set(w, &p[0].timer, START + due);
        wheel_set(w, &p[1].timer, START + due);
        wheel_cancel(w, &p[1].timer);
        assert_true(wheel_next(w) <= START + due);
        wheel_cancel(w, &p[0].timer);
        assert_true(wheel_next(w) == UINT64_MAX);
    }
    wheel_free(w);
}

/* Times around each power of 64, seen from times that are, too. */
static uint64_t edge(unsigned level, unsigned digit, uint64_t around)
{
    return ((uint64_t)digit << (6 * level)) + around - 1;
}

static void reaches(uint64_t start, uint64_t due)
{
    struct wheel *w = wheel_new(start);
    struct probe p = new_probe(w);
    unsigned steps = 0;
    uint64_t now = start;
    wheel_set(w, &p.timer, due);
    while (!p.fired) {
        uint64_t next = wheel_next(w);
        assert_true(next > now && next <= due);
        now = next;
        wheel_advance(w, now);
        assert_true(++steps <= LEVELS);
    }
    assert_true(now == due);
    wheel_free(w);

    w = wheel_new(start);
    wheel_set(w, &p.timer, due);
    wheel_advance(w, due - 1);
    assert_int_equal(p.fired, 1);
    wheel_advance(w, due);
    assert_int_equal(p.fired, 2);
    wheel_free(w);
}

static void reaches_any_time_in_few_steps(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LEVELS * 3; i++) {
        for (unsigned k = 0; k < LEVELS * 9; k++) {
            uint64_t start = edge(i / 3, 1, i % 3);
            uint64_t due = edge(k / 9, k / 3 % 3 * 7 + 1, k % 3);
            if (due > start && due != UINT64_MAX)
                reaches(start, due);
        }
        reaches(edge(i / 3, 1, i % 3), UINT64_MAX - 1);
    }
}

static void memory_short(void **state)
{
    (void)state;
    allocations_fail_after(0);
    struct wheel *w = wheel_new(START);
    allocations_succeed();
    assert_null(w);
    assert_int_equal(allocations_failed(), 1);
    wheel_free(NULL);
}

/* Random use beside a model that looks at every timer for every question. */
#define MODELLED 40

struct modelled {
    struct timer timer;
    struct world *world;
    uint64_t due;
    bool set, waits; /* waits: set by this advance for a time it has reached */
};

struct world {
    struct wheel *wheel;
    uint64_t now, random;
    bool advancing;
    unsigned fired;
    struct modelled timers[MODELLED];
};

static uint64_t below(struct world *world, uint64_t n)
{
    return random_next(&world->random) % n;
}

/* Of every size: 0 to 2^40, small ones often, and some that end at an edge. */
static uint64_t random_span(struct world *world)
{
    uint64_t span = random_next(&world->random) >> (24 + below(world, 40));
    if (below(world, 4) == 0)
        return ((uint64_t)1 << 6 * below(world, 7)) - 1 + below(world, 3);
    return span;
}

static void random_set(struct world *world, struct modelled *m)
{
    uint64_t span = random_span(world), due = world->now + span;
    unsigned how = (unsigned)below(world, 8);
    if (how == 0)
        due = span < world->now ? world->now - span : 0;
    else if (how < 3)
        due = world->timers[below(world, MODELLED)].due; /* the same as another */
    m->due = due;
    m->set = true;
    m->waits = world->advancing && due <= world->now;
    wheel_set(world->wheel, &m->timer, due);
}

static void random_change(struct world *world)
{
    struct modelled *m = &world->timers[below(world, MODELLED)];
    if (below(world, 3)) {
        random_set(world, m);
        return;
    }
    m->set = false;
    wheel_cancel(world->wheel, &m->timer);
}

static bool fires_now(const struct world *world, const struct modelled *m)
{
    return m->set && !m->waits && m->due <= world->now;
}

static void on_modelled(struct timer *t)
{
    struct modelled *m = (struct modelled *)t;
    struct world *world = m->world;
    assert_false(timer_is_set(t));
    assert_true(world->advancing);
    assert_true(fires_now(world, m));
    for (size_t i = 0; i < MODELLED; i++)
        if (fires_now(world, &world->timers[i]))
            assert_true(m->due <= world->timers[i].due);
    m->set = false;
    world->fired++;
    for (uint64_t n = below(world, 4); n > 0; n--)
        random_change(world);
    if (below(world, 4) == 0)
        random_set(world, m);
}

static void advance_both(struct world *world, uint64_t now)
{
    world->now = now;
    for (size_t i = 0; i < MODELLED; i++)
        world->timers[i].waits = false;
    world->advancing = true;
    wheel_advance(world->wheel, now);
    world->advancing = false;
    for (size_t i = 0; i < MODELLED; i++)
        assert_false(fires_now(world, &world->timers[i]));
}

static uint64_t earliest(const struct world *world)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < MODELLED; i++)
        if (world->timers[i].set && world->timers[i].due < least)
            least = world->timers[i].due;
    return least;
}

static void compare(const struct world *world)
{
    uint64_t least = earliest(world), next = wheel_next(world->wheel);
    for (size_t i = 0; i < MODELLED; i++)
        assert_int_equal(timer_is_set(&world->timers[i].timer), world->timers[i].set);
    if (least == UINT64_MAX) {
        assert_true(next == UINT64_MAX);
        return;
    }
    assert_true(next > world->now);
    assert_true(next <= (least > world->now ? least : world->now + 1));
}

static void random_advance(struct world *world)
{
    uint64_t least = earliest(world);
    switch (below(world, 6)) {
    case 0:
        advance_both(world, world->now + random_span(world));
        break;
    case 1:
        if (least != UINT64_MAX)
            advance_both(world, wheel_next(world->wheel));
        break;
    case 2:
        if (least != UINT64_MAX && least > world->now)
            advance_both(world, least - below(world, 2)); /* to it, or just not */
        break;
    default:
        advance_both(world, world->now + below(world, 100));
    }
}

static void random_use_agrees_with_the_model(void **state)
{
    static struct world world;
    unsigned fired = 0;
    (void)state;
    for (uint64_t round = 0; round < 300; round++) {
        world = (struct world){.random = round};
        world.now = random_span(&world);
        world.wheel = wheel_new(world.now);
        assert_non_null(world.wheel);
        for (size_t i = 0; i < MODELLED; i++) {
            world.timers[i].timer.fire = on_modelled;
            world.timers[i].world = &world;
        }
        for (int step = 0; step < 400; step++) {
            if (below(&world, 3))
                random_change(&world);
            else
                random_advance(&world);
            compare(&world);
        }
        fired += world.fired;
        wheel_free(world.wheel);
    }
    assert_true(fired > 10000); /* or the numbers above test little */
}

/* As the loop uses it: woken only at wheel_next, every timer fires at its very millisecond. */
static void driven_by_next_alone(void **state)
{
    enum { COUNT = 200 };
    struct world random = {.random = 1};
    struct wheel *w = new_wheel();
    static struct probe p[COUNT];
    uint64_t now = START;
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        p[i] = new_probe(w);
        wheel_set(w, &p[i].timer, START + 1 + random_span(&random));
    }
    while (wheel_next(w) != UINT64_MAX) {
        now = wheel_next(w);
        wheel_advance(w, now);
        for (size_t i = 0; i < COUNT; i++)
            assert_int_equal(p[i].fired, p[i].timer.due <= now);
    }
    assert_int_equal(fired_in_all, COUNT);
    wheel_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timer_is_small),
        cmocka_unit_test(fires_at_its_time_and_once),
        cmocka_unit_test(fires_in_order_of_time),
        cmocka_unit_test(set_again_moves),
        cmocka_unit_test(cancelled_does_not_fire),
        cmocka_unit_test(cancel_leaves_the_rest_of_its_slot),
        cmocka_unit_test(late_fires_at_the_next_advance),
        cmocka_unit_test(late_ones_fire_in_order_and_first),
        cmocka_unit_test(set_while_firing_for_the_past_waits),
        cmocka_unit_test(set_while_firing_for_later_keeps_its_time),
        cmocka_unit_test(cancels_another_while_firing),
        cmocka_unit_test(moves_another_while_firing),
        cmocka_unit_test(frees_its_owner_while_firing),
        cmocka_unit_test(next_is_never_when_nothing_is_set),
        cmocka_unit_test(reaches_any_time_in_few_steps),
        cmocka_unit_test(memory_short),
        cmocka_unit_test(random_use_agrees_with_the_model),
        cmocka_unit_test(driven_by_next_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
