#include "paced.h"

#include "answers.h"
#include "batch.h"
#include "bench.h"
#include "client.h"
#include "hold.h"

#include <stdio.h>
#include <stdlib.h>

#define UNANSWERED_MAX 64 /* of a connection */

/* Messages go to the connections in turn, evenly over time. */
struct schedule {
    uint64_t start;
    double gap;   /* ns between two messages */
    uint64_t due; /* messages sent so far */
};

static uint64_t due_at(const struct schedule *s)
{
    return s->start + (uint64_t)((double)s->due * s->gap);
}

static void send_due(struct schedule *s, struct client *cl)
{
    for (uint64_t now = bench_now(); due_at(s) <= now; s->due++) {
        struct conn *c = &cl->conns[s->due % cl->count];
        if (c->unanswered == UNANSWERED_MAX)
            bench_die(1, "%d messages of a connection are not answered", UNANSWERED_MAX);
        conn_owe(&cl->traffic, c, 1, bench_now());
        if (!c->blocked)
            conn_flush(&cl->traffic, c);
    }
}

/* In whole ms, which is what poll waits for: the messages of one leave together. */
static int until_due(const struct schedule *s)
{
    uint64_t now = bench_now(), due = due_at(s);
    return due <= now ? 0 : (int)((due - now) / 1000000) + 1;
}

static void print_result(const struct paced *p, const struct client *cl,
                         const struct histogram *latency, double seconds)
{
    unsigned long long messages = cl->traffic.messages;
    double p50 = (double)histogram_percentile(latency, 0.5) / 1000;
    double p99 = (double)histogram_percentile(latency, 0.99) / 1000;
    double longest = (double)histogram_percentile(latency, 1) / 1000;
    if (p->json) {
        printf("{\"messages\": %llu, \"seconds\": %.6f, ", messages, seconds);
        printf("\"latency_us\": {\"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}}\n", p50, p99,
               longest);
        return;
    }
    printf("%llu messages in %.2f s, all of them answered, each answer compared as a whole\n",
           messages, seconds);
    printf("latency p50 %.1f us, p99 %.1f us, longest %.1f us\n", p50, p99, longest);
}

void paced_run(const struct paced *p)
{
    struct client cl;
    struct hold hold;
    struct answers answers = {0};
    struct histogram *latency = bench_alloc(1, sizeof *latency);
    client_init(&cl, p->url, p->connections);
    struct batch *batch = batch_new(UNANSWERED_MAX, p->size, BATCH_TEXT, cl.raw);
    client_open(&cl, batch);
    cl.traffic.latency = latency;
    cl.traffic.answers = &answers;
    cl.traffic.first = cl.conns;
    cl.traffic.stopping = true; /* an answer causes no message: time does */
    hold_begin(&hold);
    printf(p->json ? "{\"mode\": \"paced\", \"connections\": %u}\n" : "sending on %u connections\n",
           cl.count);
    fflush(stdout);
    struct schedule s = {.start = bench_now(), .gap = 1e9 / p->rate};
    while (hold_turn(&hold, &cl, until_due(&s)))
        send_due(&s, &cl);
    double seconds = (double)(bench_now() - s.start) / 1e9;
    client_drain(&cl);
    hold_end(&hold);
    if (p->log)
        answers_write(&answers, p->log);
    print_result(p, &cl, latency, seconds);
    client_close(&cl);
    batch_free(batch);
    answers_free(&answers);
    free(latency);
}
