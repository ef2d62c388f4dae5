/* load echo URL | load paced URL | load idle URL: a load generator for WebSocket servers, on one
 * core.
 *
 * echo: a closed loop. Each connection keeps `--depth` messages in flight: every answer is
 * followed by the next message. All that one readable event calls for leaves in one send. After
 * the warm-up it counts for `--seconds`, then waits for the last answers.
 *
 * paced: an open loop. Messages leave at a rate, whether or not answers have come (paced.h), until
 * it is ended as idle is; then it waits for the last answers.
 *
 * idle: opens connections, says so, and holds them until its standard input (a pipe or terminal)
 * ends or INT or TERM arrives.
 *
 * tcp:// in place of ws:// is a peer that echoes bytes without handshake and frames. */
#include "batch.h"
#include "bench.h"
#include "client.h"
#include "hold.h"
#include "paced.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_MAX 64

static const char usage[] =
    "usage: load echo|paced|idle URL [OPTION]...\n"
    "  URL               ws://HOST:PORT/PATH, or tcp://HOST:PORT for an echo of plain bytes\n"
    "  --connections N   connections (100)\n"
    "  --json            result as one JSON object on standard output, the text on stderr\n"
    "echo and paced:\n"
    "  --size N          payload bytes of each message (20)\n"
    "echo:\n"
    "  --depth N         messages in flight on each connection (1)\n"
    "  --binary          binary messages instead of text\n"
    "  --seconds S       time that is measured (1)\n"
    "  --warmup S        time before it (0.2)\n"
    "  --watch PID       tell this process's CPU time too; may be repeated\n"
    "paced:\n"
    "  --rate N          messages a second, of all connections together (1000)\n"
    "  --log FILE        a list of all answers (answers.h)\n";

struct options {
    const char *mode, *url, *log;
    unsigned connections, depth, rate;
    size_t size;
    bool binary, json;
    double seconds, warmup;
    unsigned watch_count;
    pid_t watch[WATCH_MAX];
};

/* All counters at one moment. */
struct reading {
    uint64_t time, messages, own_cpu, watched_cpu;
};

struct result {
    double seconds, own_cpu, watched_cpu; /* CPU time in shares of one core */
    uint64_t messages, compared, answered;
    double watched_ns; /* CPU time of the watched processes for one message */
    struct histogram latency;
};

static void read_option(struct options *o, int option)
{
    if (option == 'c')
        o->connections = (unsigned)bench_integer("--connections", optarg, 1, CLIENT_MAX);
    else if (option == 'd')
        o->depth = (unsigned)bench_integer("--depth", optarg, 1, 4096);
    else if (option == 's')
        o->size = (size_t)bench_integer("--size", optarg, 0, 64 << 20);
    else if (option == 'b')
        o->binary = true;
    else if (option == 't')
        o->seconds = bench_seconds("--seconds", optarg);
    else if (option == 'u')
        o->warmup = bench_seconds("--warmup", optarg);
    else if (option == 'j')
        o->json = true;
    else if (option == 'r')
        o->rate = (unsigned)bench_integer("--rate", optarg, 1, 10000000);
    else if (option == 'l')
        o->log = optarg;
    else if (option == 'w' && o->watch_count == WATCH_MAX)
        bench_die(2, "--watch: at most %d processes", WATCH_MAX);
    else if (option == 'w')
        o->watch[o->watch_count++] = (pid_t)bench_integer("--watch", optarg, 1, 1 << 30);
}

static void read_options(struct options *o, int argc, char **argv)
{
    static const struct option names[] = {
        {"connections", required_argument, NULL, 'c'},
        {"depth", required_argument, NULL, 'd'},
        {"size", required_argument, NULL, 's'},
        {"binary", no_argument, NULL, 'b'},
        {"seconds", required_argument, NULL, 't'},
        {"warmup", required_argument, NULL, 'u'},
        {"watch", required_argument, NULL, 'w'},
        {"rate", required_argument, NULL, 'r'},
        {"log", required_argument, NULL, 'l'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *o = (struct options){
        .connections = 100, .depth = 1, .size = 20, .seconds = 1, .warmup = 0.2, .rate = 1000};
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            exit(0);
        }
        if (option == '?')
            exit(2);
        read_option(o, option);
    }
    o->mode = argc - optind == 2 ? argv[optind] : "";
    if (strcmp(o->mode, "echo") != 0 && strcmp(o->mode, "paced") != 0 &&
        strcmp(o->mode, "idle") != 0) {
        fputs(usage, stderr);
        exit(2);
    }
    o->url = argv[optind + 1];
}

static struct reading take_reading(const struct options *o, const struct client *cl)
{
    struct reading r = {.time = bench_now(), .messages = cl->traffic.messages};
    r.own_cpu = bench_cpu(0);
    for (unsigned i = 0; i < o->watch_count; i++)
        r.watched_cpu += bench_cpu(o->watch[i]);
    return r;
}

static void turn_for(struct client *cl, double seconds)
{
    uint64_t end = bench_now() + (uint64_t)(seconds * 1e9);
    for (uint64_t now; (now = bench_now()) < end;)
        client_turn(cl, (int)((end - now) / 1000000) + 1);
}

static struct result *run_echo(const struct options *o)
{
    struct client cl;
    struct result *r = bench_alloc(1, sizeof *r);
    client_init(&cl, o->url, o->connections);
    struct batch *batch =
        batch_new(o->depth, o->size, o->binary ? BATCH_BINARY : BATCH_TEXT, cl.raw);
    client_open(&cl, batch);
    client_start(&cl, o->depth);
    turn_for(&cl, o->warmup);
    cl.traffic.latency = &r->latency;
    struct reading before = take_reading(o, &cl);
    turn_for(&cl, o->seconds);
    struct reading after = take_reading(o, &cl);
    cl.traffic.latency = NULL;
    client_drain(&cl);
    r->compared = cl.traffic.compared;
    r->answered = cl.traffic.messages;
    client_close(&cl);
    batch_free(batch);

    double ns = (double)(after.time - before.time);
    r->seconds = ns / 1e9;
    r->messages = after.messages - before.messages;
    r->own_cpu = (double)(after.own_cpu - before.own_cpu) / ns;
    r->watched_cpu = (double)(after.watched_cpu - before.watched_cpu) / ns;
    if (r->messages)
        r->watched_ns = (double)(after.watched_cpu - before.watched_cpu) / (double)r->messages;
    return r;
}

static double percentile_us(const struct result *r, double share)
{
    return (double)histogram_percentile(&r->latency, share) / 1000;
}

static void print_text(FILE *out, const struct options *o, const struct result *r)
{
    double rate = (double)r->messages / r->seconds;
    fprintf(out, "%.0f messages/s, %.1f MB/s of payload each way", rate,
            rate * (double)o->size / 1e6);
    fprintf(out, "  (%zu B, %u connections, %u in flight on each, %.2f s)\n", o->size,
            o->connections, o->depth, r->seconds);
    fprintf(out, "latency p50 %.1f us, p99 %.1f us, longest %.1f us\n", percentile_us(r, 0.5),
            percentile_us(r, 0.99), percentile_us(r, 1));
    if (o->watch_count)
        fprintf(out, "server's CPU %.0f %%, %.0f ns for a message\n", r->watched_cpu * 100,
                r->watched_ns);
    fprintf(out, "client's own CPU %.0f %%%s\n", r->own_cpu * 100,
            r->own_cpu < 0.97 ? ""
                              : ": the client is busy all the time, the server may be able to do "
                                "more than this");
    fprintf(out, "%llu answers checked, %llu of them byte for byte\n",
            (unsigned long long)r->answered, (unsigned long long)r->compared);
}

static void print_json(const struct options *o, const struct result *r)
{
    double rate = (double)r->messages / r->seconds;
    printf("{\"mode\": \"echo\", \"connections\": %u, \"depth\": %u, \"size\": %zu, "
           "\"seconds\": %.6f, \"messages\": %llu, ",
           o->connections, o->depth, o->size, r->seconds, (unsigned long long)r->messages);
    printf("\"messages_per_second\": %.1f, \"bytes_per_second\": %.1f, ", rate,
           rate * (double)o->size);
    printf("\"latency_us\": {\"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}, ", percentile_us(r, 0.5),
           percentile_us(r, 0.99), percentile_us(r, 1));
    printf("\"client_cpu\": %.4f, \"server_cpu\": %.4f, \"server_ns_per_message\": %.1f, ",
           r->own_cpu, r->watched_cpu, r->watched_ns);
    printf("\"answers\": %llu, \"compared\": %llu}\n", (unsigned long long)r->answered,
           (unsigned long long)r->compared);
}

static int run_idle(const struct options *o)
{
    struct client cl;
    struct hold hold;
    client_init(&cl, o->url, o->connections);
    client_open(&cl, NULL);
    hold_begin(&hold);
    printf(o->json ? "{\"mode\": \"idle\", \"connections\": %u}\n" : "holding %u connections\n",
           cl.opened);
    fflush(stdout);
    while (hold_turn(&hold, &cl, -1))
        ;
    hold_end(&hold);
    client_close(&cl);
    if (cl.closed)
        fprintf(stderr, "load: the server closed %u of %u connections\n", cl.closed, cl.count);
    return cl.closed ? 1 : 0;
}

static int run_paced(const struct options *o)
{
    const struct paced paced = {.url = o->url,
                                .connections = o->connections,
                                .rate = o->rate,
                                .size = o->size,
                                .log = o->log,
                                .json = o->json};
    paced_run(&paced);
    return 0;
}

int main(int argc, char **argv)
{
    struct options o;
    read_options(&o, argc, argv);
    if (strcmp(o.mode, "paced") == 0)
        return run_paced(&o);
    if (strcmp(o.mode, "idle") == 0)
        return run_idle(&o);
    struct result *r = run_echo(&o);
    print_text(o.json ? stderr : stdout, &o, r);
    if (o.json)
        print_json(&o, r);
    free(r);
    return 0;
}
