/* What the control socket understands: one JSON object a line, and one for an answer.
 *
 *     {"v":1,"command":"status"}      {"v":1,"ok":true,"pid":4711,...}
 *     {"v":1,"command":"stauts"}      {"v":1,"ok":false,"error":{"code":"command","message":"..."}}
 */
#include "host/code.h"
#include "host/master_impl.h"
#include "host/master_metrics.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum waits {
    WAITS_CERTIFICATES = 1,
    WAITS_CERTIFICATES_AGAIN, /* for the attempt after the one that is under way */
    WAITS_STATUS,
    WAITS_METRICS,
};

/* --- answers ---------------------------------------------------------------------------------- */

void commands_answer(struct control_peer *p, json_t *answer)
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

json_t *commands_text(const char *text)
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

void commands_refuse(struct control_peer *p, const char *code, const char *message)
{
    commands_answer(p, json_pack("{s:i, s:b, s:{s:s, s:o}}", "v", COMMANDS_VERSION, "ok", 0,
                                 "error", "code", code, "message", commands_text(message)));
}

/* --- status ----------------------------------------------------------------------------------- */

static json_int_t seconds_since(const struct master *m, uint64_t then)
{
    return (json_int_t)((loop_now(m->loop) - then) / 1000);
}

/* What it has said of itself, the last time when it has not answered now. */
static json_t *describe_worker(const struct master *m, const struct child *s)
{
    if (!s->pid)
        return json_pack("{s:i, s:s}", "index", (int)s->index, "state", "down");
    json_t *w = json_pack("{s:i, s:i, s:s, s:I, s:b, s:I}", "index", (int)s->index, "pid",
                          (int)s->pid, "state", s->ready ? "ready" : "starting", "uptime",
                          seconds_since(m, s->started), "answers", !s->asked, "connections",
                          json_integer_value(json_object_get(s->description, "connections")));
    json_t *generations = json_object_get(s->description, "generations"), *generation;
    size_t i;
    json_array_foreach(generations, i, generation)
    {
        const char *role = json_string_value(json_object_get(generation, "role"));
        if (w && role && strcmp(role, "current") == 0)
            json_object_set(w, "version", json_object_get(generation, "version"));
    }
    if (w && generations)
        json_object_set(w, "generations", generations);
    if (w && json_object_get(s->description, "held"))
        json_object_set(w, "held", json_object_get(s->description, "held"));
    return w;
}

static json_t *describe_workers(const struct master *m)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->plan->workers; i++)
        json_array_append_new(list, describe_worker(m, &m->children[i]));
    return list;
}

static json_t *describe_listeners(const struct master *m)
{
    json_t *list = json_array();
    for (const struct listen_point *p = m->points; p; p = p->next)
        json_array_append_new(
            list, json_pack("{s:o, s:b}", "url", commands_text(p->url), "secure", p->tls != NULL));
    return list;
}

static void add_certificate(void *context, const struct listen_point *point,
                            const struct tls_description *d)
{
    json_t *c =
        json_pack("{s:o, s:o, s:o, s:s}", "listener", commands_text(point->url), "file",
                  commands_text(d->file), "names", commands_text(d->names), "until", d->until);
    if (c && d->flaw)
        json_object_set_new(c, "warning", json_string(d->flaw));
    json_array_append_new(context, c);
}

json_t *commands_certificates(const struct master *m)
{
    json_t *list = json_array();
    listen_each_certificate(m->points, add_certificate, list);
    return list;
}

static void answer_status(void *context, struct control_peer *p)
{
    struct master *m = context;
    commands_answer(p, json_pack("{s:i, s:b, s:s, s:i, s:I, s:o, s:o, s:o, s:o, s:o}", "v",
                                 COMMANDS_VERSION, "ok", 1, "version", TIDEWIRE_VERSION, "pid",
                                 (int)getpid(), "uptime", seconds_since(m, m->started), "app",
                                 commands_text(m->plan->app), "code", code_describe(m), "workers",
                                 describe_workers(m), "listeners", describe_listeners(m),
                                 "certificates", commands_certificates(m)));
}

/* A worker that has not answered now is left out: what it said before is not so any more. */
static struct slice page_of(const struct child *s)
{
    const json_t *page = json_object_get(s->description, "metrics");
    if (!s->pid || s->asked || !page)
        return (struct slice){"", 0};
    return (struct slice){json_string_value(page), json_string_length(page)};
}

static json_t *write_metrics(const struct master *m)
{
    struct slice *pages = calloc(m->plan->workers, sizeof *pages);
    struct master_reading now = {.pages = pages, .workers = m->plan->workers};
    struct buf text = {0};
    now.uptime = (double)(loop_now(m->loop) - m->started) / 1000;
    for (size_t i = 0; i < now.workers && pages; i++) {
        const struct child *s = &m->children[i];
        size_t *count = !s->pid ? &now.down : s->ready ? &now.ready : &now.starting;
        ++*count;
        pages[i] = page_of(s);
    }
    bool ok = pages && master_metrics_write(m->metrics, &now, &text);
    json_t *written = ok ? json_stringn((const char *)text.data, text.len) : NULL;
    buf_free(&text);
    free(pages);
    return written;
}

static void answer_metrics(void *context, struct control_peer *p)
{
    commands_answer(p, json_pack("{s:i, s:b, s:o}", "v", COMMANDS_VERSION, "ok", 1, "metrics",
                                 write_metrics(context)));
}

void commands_described(struct master *m)
{
    control_each(m->control, WAITS_STATUS, answer_status, m);
    control_each(m->control, WAITS_METRICS, answer_metrics, m);
}

static void run_metrics(struct master *m, struct control_peer *p, const json_t *request)
{
    (void)request;
    control_wait(p, WAITS_METRICS);
    children_ask(m);
}

static void run_status(struct master *m, struct control_peer *p, const json_t *request)
{
    (void)request;
    control_wait(p, WAITS_STATUS);
    children_ask(m);
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
        commands_refuse(p, "certificates", o->error);
    else
        commands_answer(p, json_pack("{s:i, s:b, s:o}", "v", COMMANDS_VERSION, "ok", 1,
                                     "certificates", commands_certificates(o->m)));
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

static void run_certificates(struct master *m, struct control_peer *p, const json_t *request)
{
    (void)request;
    control_wait(p,
                 change_is_busy(&m->certificates) ? WAITS_CERTIFICATES_AGAIN : WAITS_CERTIFICATES);
    log_info(m->log, "reading the certificates anew (control socket)");
    change_start(&m->certificates);
}

static void run_tickets(struct master *m, struct control_peer *p, const json_t *request)
{
    (void)request;
    if (certificates_rotate(m))
        commands_answer(p, json_pack("{s:i, s:b}", "v", COMMANDS_VERSION, "ok", 1));
    else
        commands_refuse(p, "random", "there are no random numbers; the keys stay");
}

/* --- requests --------------------------------------------------------------------------------- */

static const struct command {
    const char *name;
    void (*run)(struct master *m, struct control_peer *p, const json_t *request);
} commands[] = {
    {"certificates", run_certificates}, /* reads them anew */
    {"metrics", run_metrics},           {"reload", commands_reload},
    {"rollback", commands_rollback},    {"status", run_status},
    {"ticket-key", run_tickets}, /* a new key for session tickets */
    {"versions", commands_versions},
};

static void run_command(struct master *m, struct control_peer *p, const json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "command"));
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            commands[i].run(m, p, request);
            return;
        }
    }
    commands_refuse(p, "command",
                    "unknown command; known are certificates, metrics, reload, rollback, status, "
                    "ticket-key and versions");
}

void commands_line(void *master, struct control_peer *p, struct slice line)
{
    struct master *m = master;
    json_error_t error;
    json_t *request = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES, &error);
    json_t *version = json_object_get(request, "v");
    if (!json_is_object(request))
        commands_refuse(p, "request",
                        "a line is one JSON object, as {\"v\":1,\"command\":\"status\"}");
    else if (!json_is_integer(version) || json_integer_value(version) != COMMANDS_VERSION)
        commands_refuse(p, "version", "this is version 1 of the protocol: \"v\":1");
    else if (!json_is_string(json_object_get(request, "command")))
        commands_refuse(p, "request", "\"command\" is missing, or no string");
    else if (m->stopping)
        commands_refuse(p, "stopping", "it is stopping");
    else
        run_command(m, p, request);
    json_decref(request);
}
