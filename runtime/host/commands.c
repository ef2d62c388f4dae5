/* What the control socket understands: one JSON object a line, and one for an answer.
 *
 *     {"v":1,"command":"status"}      {"v":1,"ok":true,"pid":4711,...}
 *     {"v":1,"command":"stauts"}      {"v":1,"ok":false,"error":{"code":"command","message":"..."}}
 */
#include "host/master_impl.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSION 1
#define COUNT_PATIENCE 1000 /* ms: a worker that is busy is counted as it was */

enum waits {
    WAITS_CERTIFICATES = 1,
    WAITS_CERTIFICATES_AGAIN, /* for the attempt after the one that is under way */
    WAITS_STATUS,
};

/* --- answers ---------------------------------------------------------------------------------- */

/* Takes `answer`; NULL: memory was short while it was made. */
static void send_answer(struct control_peer *p, json_t *answer)
{
    static const char short_of_memory[] =
        "{\"v\":1,\"ok\":false,\"error\":{\"code\":\"memory\",\"message\":\"out of memory\"}}";
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    if (text)
        control_answer(p, text, strlen(text));
    else
        control_answer(p, short_of_memory, sizeof short_of_memory - 1);
    free(text);
    json_decref(answer);
}

/* Text from outside may be no UTF-8. */
static json_t *text_of(const char *text)
{
    json_t *t = json_string(text);
    char *copy = t ? NULL : strdup(text);
    if (!copy)
        return t;
    for (char *at = copy; *at; at++)
        if (*at & 0x80)
            *at = '?';
    t = json_string(copy);
    free(copy);
    return t;
}

static void refuse(struct control_peer *p, const char *code, const char *message)
{
    send_answer(p, json_pack("{s:i, s:b, s:{s:s, s:o}}", "v", VERSION, "ok", 0, "error", "code",
                             code, "message", text_of(message)));
}

/* --- status ----------------------------------------------------------------------------------- */

static double seconds_since(const struct master *m, uint64_t then)
{
    return (double)(loop_now(m->loop) - then) / 1000;
}

static json_t *describe_workers(const struct master *m)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->plan->workers; i++) {
        const struct child *s = &m->children[i];
        json_t *w = s->pid ? json_pack("{s:i, s:i, s:s, s:f, s:I}", "index", (int)i, "pid",
                                       (int)s->pid, "state", s->ready ? "ready" : "starting",
                                       "uptime", seconds_since(m, s->started), "connections",
                                       (json_int_t)s->connections)
                           : json_pack("{s:i, s:s}", "index", (int)i, "state", "down");
        json_array_append_new(list, w);
    }
    return list;
}

static json_t *describe_listeners(const struct master *m)
{
    json_t *list = json_array();
    for (const struct listen_point *p = m->points; p; p = p->next)
        json_array_append_new(
            list, json_pack("{s:o, s:b}", "url", text_of(p->url), "secure", p->tls != NULL));
    return list;
}

static void add_certificate(void *context, const struct listen_point *point,
                            const struct tls_description *d)
{
    json_t *c = json_pack("{s:o, s:o, s:o, s:s}", "listener", text_of(point->url), "file",
                          text_of(d->file), "names", text_of(d->names), "until", d->until);
    if (c && d->flaw)
        json_object_set_new(c, "warning", json_string(d->flaw));
    json_array_append_new(context, c);
}

static json_t *describe_certificates(const struct master *m)
{
    json_t *list = json_array();
    listen_each_certificate(m->points, add_certificate, list);
    return list;
}

static void answer_status(void *context, struct control_peer *p)
{
    struct master *m = context;
    send_answer(p,
                json_pack("{s:i, s:b, s:s, s:i, s:f, s:o, s:o, s:o}", "v", VERSION, "ok", 1,
                          "version", TIDEWIRE_VERSION, "pid", (int)getpid(), "uptime",
                          seconds_since(m, m->started), "workers", describe_workers(m), "listeners",
                          describe_listeners(m), "certificates", describe_certificates(m)));
}

static void on_counted(struct round *r, bool all)
{
    struct master *m = list_entry(r, struct master, count);
    (void)all;
    control_each(m->control, WAITS_STATUS, answer_status, m);
}

void commands_counted(struct child *s, const char *text)
{
    s->counting = false;
    s->connections = strtoul(text, NULL, 10);
    round_settle(&s->master->count, s->index);
}

/* A worker that has not answered the last time is waited for, but not asked again: what piles up in
 * the channel of one that is stuck would leave no room for what has to be said. */
static void run_status(struct master *m, struct control_peer *p)
{
    struct round *r = &m->count;
    control_wait(p, WAITS_STATUS);
    if (r->open)
        return; /* the answers that are on their way are for this one too */
    round_open(r, on_counted);
    for (size_t i = 0; i < m->plan->workers; i++) {
        struct child *s = &m->children[i];
        if (s->channel < 0)
            continue;
        s->counting = s->counting || channel_send(s->channel, CHANNEL_COUNT, "");
        if (s->counting)
            round_ask(r, i);
    }
    round_wait(r, COUNT_PATIENCE);
}

/* --- certificates ----------------------------------------------------------------------------- */

struct outcome {
    struct master *m;
    const char *error; /* NULL: done */
};

static void answer_certificates(void *context, struct control_peer *p)
{
    const struct outcome *o = context;
    if (o->error)
        refuse(p, "certificates", o->error);
    else
        send_answer(p, json_pack("{s:i, s:b, s:o}", "v", VERSION, "ok", 1, "certificates",
                                 describe_certificates(o->m)));
}

static void wait_on(void *context, struct control_peer *p)
{
    (void)context;
    control_wait(p, WAITS_CERTIFICATES);
}

void commands_certificates_done(struct master *m, const char *error)
{
    struct outcome o = {m, error};
    control_each(m->control, WAITS_CERTIFICATES, answer_certificates, &o);
    control_each(m->control, WAITS_CERTIFICATES_AGAIN, wait_on, NULL);
}

static void run_certificates(struct master *m, struct control_peer *p)
{
    control_wait(p,
                 change_is_busy(&m->certificates) ? WAITS_CERTIFICATES_AGAIN : WAITS_CERTIFICATES);
    log_info(m->log, "reading the certificates anew (control socket)");
    change_start(&m->certificates);
}

static void run_tickets(struct master *m, struct control_peer *p)
{
    if (certificates_rotate(m))
        send_answer(p, json_pack("{s:i, s:b}", "v", VERSION, "ok", 1));
    else
        refuse(p, "random", "there are no random numbers; the keys stay");
}

/* --- requests --------------------------------------------------------------------------------- */

static const struct command {
    const char *name;
    void (*run)(struct master *m, struct control_peer *p);
} commands[] = {
    {"certificates", run_certificates}, /* reads them anew */
    {"status", run_status},
    {"ticket-key", run_tickets}, /* a new key for session tickets */
};

static void run_command(struct master *m, struct control_peer *p, const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            commands[i].run(m, p);
            return;
        }
    }
    refuse(p, "command", "unknown command; known are certificates, status and ticket-key");
}

void commands_line(void *master, struct control_peer *p, struct slice line)
{
    struct master *m = master;
    json_error_t error;
    json_t *request = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES, &error);
    json_t *version = json_object_get(request, "v");
    const char *name = json_string_value(json_object_get(request, "command"));
    if (!json_is_object(request))
        refuse(p, "request", "a line is one JSON object, as {\"v\":1,\"command\":\"status\"}");
    else if (!json_is_integer(version) || json_integer_value(version) != VERSION)
        refuse(p, "version", "this is version 1 of the protocol: \"v\":1");
    else if (!name)
        refuse(p, "request", "\"command\" is missing, or no string");
    else if (m->stopping)
        refuse(p, "stopping", "it is stopping");
    else
        run_command(m, p, name);
    json_decref(request);
}
