#include "host/worker_code.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct question {
    struct list node;
    struct worker_code *code;
    enum channel_message type;
    char *text; /* "v17 ORDER" */
    struct buf bundle;
};

#define SHORT_OF_MEMORY                                                                            \
    "{\"ok\":false,\"phase\":\"memory\",\"message\":\"out of memory or descriptors\"}"

static void question_free(struct question *q)
{
    list_remove(&q->node);
    buf_free(&q->bundle);
    free(q->text);
    free(q);
}

static struct slice order_of(const char *text)
{
    const char *space = strchr(text, ' ');
    return slice_of(space ? space + 1 : "{}");
}

/* --- answers ---------------------------------------------------------------------------------- */

static enum channel_message answer_to(enum channel_message question)
{
    return question == CHANNEL_PREPARE   ? CHANNEL_PREPARED
           : question == CHANNEL_BARRIER ? CHANNEL_STANDS
                                         : CHANNEL_COMMITTED;
}

static bool send_whole(const struct worker_code *w, enum channel_message type, struct slice number,
                       struct slice what)
{
    struct buf line = {0};
    bool sent = buf_append(&line, number.ptr, number.len) && buf_append(&line, " ", 1) &&
                buf_append(&line, what.ptr, what.len) && buf_append(&line, "", 1) &&
                channel_send(w->channel, type, (const char *)line.data);
    buf_free(&line);
    return sent;
}

/* The master has to know of a worker that could not commit, to replace it: where memory is short,
 * also for the answer, there is one that needs none. */
static void answer(const struct worker_code *w, enum channel_message question, const char *text,
                   struct slice what)
{
    struct slice number = {text, strcspn(text, " ")};
    char brief[64 + sizeof SHORT_OF_MEMORY];
    if (question == CHANNEL_ABANDON || send_whole(w, answer_to(question), number, what))
        return;
    snprintf(brief, sizeof brief, "%.*s " SHORT_OF_MEMORY, SLICE_ARG(number));
    channel_send(w->channel, answer_to(question), brief);
}

static void on_answered(void *context, struct slice what)
{
    struct question *q = context;
    worker_metrics_answered(q->code->metrics, what);
    if (q->type == CHANNEL_COMMIT)
        worker_metrics_ended(q->code->metrics);
    answer(q->code, q->type, q->text, what);
    question_free(q);
}

/* --- questions -------------------------------------------------------------------------------- */

static void ask(struct question *q)
{
    struct worker_code *w = q->code;
    struct slice order = order_of(q->text), bundle = {(const char *)q->bundle.data, q->bundle.len};
    list_remove(&q->node);
    list_push(&w->asked, &q->node);
    if (q->type == CHANNEL_PREPARE || q->type == CHANNEL_ABANDON)
        worker_metrics_ended(w->metrics); /* what was under way has failed */
    switch (q->type) {
    case CHANNEL_PREPARE:
        vm_prepare(w->vm, order, bundle, on_answered, q);
        break;
    case CHANNEL_BARRIER:
        vm_barrier(w->vm, order, on_answered, q);
        break;
    case CHANNEL_COMMIT:
        vm_commit(w->vm, order, on_answered, q);
        break;
    default:
        vm_abandon(w->vm, order);
        question_free(q);
        break;
    }
}

static struct question *question_new(struct worker_code *w, const struct channel_packet *packet)
{
    struct question *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    *q = (struct question){.code = w, .type = packet->type, .text = strdup(packet->text)};
    list_init(&q->node);
    if (q->text && (packet->file < 0 || channel_file_read(packet->file, &q->bundle)))
        return q;
    question_free(q);
    return NULL;
}

void worker_code_ask(struct worker_code *w, const struct channel_packet *packet)
{
    struct question *q = question_new(w, packet);
    if (!q)
        answer(w, packet->type, packet->text, slice_of(SHORT_OF_MEMORY));
    else if (w->serving)
        ask(q);
    else
        list_push(&w->early, &q->node);
}

void worker_code_serves(struct worker_code *w)
{
    w->serving = true;
    while (!list_empty(&w->early))
        ask(list_entry(w->early.next, struct question, node));
}

/* --- how it does ------------------------------------------------------------------------------ */

void worker_code_describe(struct worker_code *w)
{
    struct buf json = {0};
    bool told = w->serving && vm_describe(w->vm, &json);
    told = told || buf_printf(&json, "{\"connections\":%zu}", conn_set_count(vm_conns(w->vm)));
    char *more = told ? worker_metrics_describe(w->metrics,
                                                (struct slice){(const char *)json.data, json.len})
                      : NULL;
    if (told && buf_append(&json, "", 1))
        channel_send(w->channel, CHANNEL_DESCRIBED, more ? more : (const char *)json.data);
    free(more);
    buf_free(&json);
}

static void on_tally(void *context, const struct vm_tally *t)
{
    const struct worker_code *w = context;
    char text[128];
    snprintf(text, sizeof text, "%u %" PRIu64 " %" PRIu64 " %" PRIu64, t->version, t->handled,
             t->failed, t->migrations_failed);
    channel_send(w->channel, CHANNEL_TALLY, text);
}

/* --- life ------------------------------------------------------------------------------------- */

void worker_code_init(struct worker_code *w, struct vm *vm, int channel)
{
    *w = (struct worker_code){.vm = vm, .channel = channel};
    list_init(&w->early);
    list_init(&w->asked);
    w->metrics = worker_metrics_new();
    vm_watch(vm, on_tally, w);
}

void worker_code_free(struct worker_code *w)
{
    struct list *both[] = {&w->early, &w->asked};
    for (size_t i = 0; i < sizeof both / sizeof *both; i++)
        while (!list_empty(both[i]))
            question_free(list_entry(both[i]->next, struct question, node));
    worker_metrics_free(w->metrics);
}
