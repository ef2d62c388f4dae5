/* What the workers answer to a change of the code, and what is told about it in the end. */
#include "host/code_impl.h"
#include "host/master_metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- a worker's answer ------------------------------------------------------------------------ */

static void keep_slowest(json_t *phases, const json_t *answer)
{
    const char *name;
    json_t *seconds;
    json_object_foreach(json_object_get(answer, "phases"), name, seconds)
    {
        double so_far = json_number_value(json_object_get(phases, name));
        if (json_is_number(seconds) && json_number_value(seconds) >= so_far)
            json_object_set(phases, name, seconds);
    }
}

static size_t count_in(const json_t *answer, const char *name, size_t otherwise)
{
    const json_t *n = json_object_get(answer, name);
    return json_is_integer(n) && json_integer_value(n) >= 0 ? (size_t)json_integer_value(n)
                                                            : otherwise;
}

static void keep_counts(struct code *c, struct code_worker *w, const json_t *answer)
{
    double pause = json_number_value(json_object_get(answer, "pause"));
    size_t held = count_in(answer, "held", 0);
    if (pause > c->attempt.pause)
        c->attempt.pause = pause;
    if (held > w->held)
        w->held = held;
    w->connections = count_in(answer, "connections", w->connections);
    if (c->change.phase == CHANGE_PREPARING)
        w->before = (struct watch_count){.handled = count_in(answer, "handled", 0),
                                         .failed = count_in(answer, "failed", 0)};
}

static const char *refusal_in(struct code *c, json_t *answer)
{
    struct attempt *a = &c->attempt;
    if (!a->refusal)
        a->refusal = json_incref(answer);
    const char *message = json_string_value(json_object_get(a->refusal, "message"));
    return message ? message : "it says no, and not why";
}

const char *code_answered(struct code *c, size_t worker, const char *text)
{
    json_t *answer = json_loads(text, 0, NULL);
    const char *wrong = NULL;
    if (!json_is_boolean(json_object_get(answer, "ok"))) {
        wrong = "its answer is no JSON object with \"ok\"";
    } else if (!c->attempt.wish) {
        wrong = "nobody has asked"; /* cannot be: the change is under way */
    } else {
        keep_slowest(c->attempt.phases, answer);
        keep_counts(c, &c->workers[worker], answer);
        if (json_is_false(json_object_get(answer, "ok")))
            wrong = refusal_in(c, answer);
    }
    json_decref(answer);
    return wrong;
}

/* --- the outcome ------------------------------------------------------------------------------ */

static void add_workers(const struct code *c, struct code_outcome *o)
{
    for (size_t i = 0; i < c->master->plan->workers; i++) {
        o->connections += c->workers[i].connections;
        o->held += c->workers[i].held;
    }
}

static void add_success(const struct code *c, struct code_outcome *o)
{
    const struct attempt *a = &c->attempt;
    const struct version *v = a->target;
    o->version = a->fresh ? versions_next(&c->versions) : v->number; /* fresh: a dry run */
    o->previous = a->previous;
    o->hash = v->hash;
    o->state = v == c->versions.canary ? VERSION_CANARY : VERSION_CURRENT;
    o->watched = c->watch.version == v;
    o->changed = a->changes.changed;
    o->added = a->changes.added;
    o->removed = a->changes.removed;
    o->warnings = *c->change.late ? c->change.late : NULL;
}

static const char *phase_of(const struct code *c)
{
    const struct attempt *a = &c->attempt;
    if (c->master->stopping)
        return "stopping";
    if (a->phase)
        return a->phase;
    if (a->first_failure || (!a->target && json_is_true(json_object_get(a->report, "ok"))))
        return "start";
    if (a->wish->what == CODE_ROLL || a->wish->what == CODE_UNDO)
        return a->backwards ? "prepare" : "rollback";
    if (!a->report || !a->target)
        return "read";
    return "prepare";
}

/* Where the error is: what the scout, or a worker, has said about it. */
static void add_failure(const struct code *c, struct code_outcome *o, const char *error,
                        struct buf *text)
{
    const struct attempt *a = &c->attempt;
    const json_t *said = a->refusal ? a->refusal : a->target ? NULL : a->report;
    const char *phase = json_string_value(json_object_get(said, "phase"));
    const char *whole = json_string_value(json_object_get(said, "text"));
    o->phase = phase ? phase : phase_of(c);
    o->message = error;
    o->file = json_string_value(json_object_get(said, "file"));
    o->line = (unsigned)json_integer_value(json_object_get(said, "line"));
    o->worker = c->change.worker;
    if (!whole && a->first_failure)
        whole = a->first_failure;
    if (!whole && buf_printf(text, "tidewire: %s\n", error) && buf_append(text, "", 1))
        whole = (const char *)text->data;
    o->text = whole ? whole : "tidewire: out of memory\n";
}

static void log_phases(const struct code *c, const struct code_outcome *o)
{
    const char *name;
    json_t *seconds;
    json_object_foreach(c->attempt.phases, name, seconds) log_debug(
        c->master->log, "version %u: %s took %.4f s", o->version, name, json_number_value(seconds));
}

static const char *verb_of(const struct code_outcome *o)
{
    if (o->dry_run)
        return "could be taken (dry run)";
    switch (o->wish) {
    case CODE_ROLL:
    case CODE_UNDO:
        return "serves again";
    case CODE_PROMOTE:
        return "has been healthy as a canary, and serves all";
    default:
        return o->state == VERSION_CANARY ? "serves as a canary" : "serves";
    }
}

static void log_success(const struct code *c, const struct code_outcome *o)
{
    const struct log *log = c->master->log;
    char sentence[128], values[6][32];
    if (!o->unchanged)
        log_phases(c, o);
    if (c->told || o->wish == CODE_START || o->wish == CODE_RENEW)
        return; /* a person is told, or nobody has to be */
    if (o->unchanged) {
        log_info(log, "the code is unchanged: version %u serves", o->serving);
        return;
    }
    snprintf(sentence, sizeof sentence, "version %u %s", o->version, verb_of(o));
    snprintf(values[0], sizeof values[0], "%u", o->previous);
    snprintf(values[1], sizeof values[1], "%zu", o->connections);
    snprintf(values[2], sizeof values[2], "%zu", o->held);
    snprintf(values[3], sizeof values[3], "%.4f", o->pause);
    snprintf(values[4], sizeof values[4], "%.4f", o->seconds);
    const struct log_field fields[] = {
        {"previous", slice_of(values[0])},    {"hash", {o->hash, 12}},
        {"connections", slice_of(values[1])}, {"held", slice_of(values[2])},
        {"pause", slice_of(values[3])},       {"seconds", slice_of(values[4])}};
    log_write(log, &(struct log_record){.level = LOG_INFO,
                                        .message = slice_of(sentence),
                                        .fields = fields,
                                        .count = sizeof fields / sizeof *fields});
}

/* At the start the text is the command's own answer, on stderr: see code_tell. */
static void log_failure(const struct code *c, const struct code_outcome *o)
{
    char sentence[512], worker[16];
    if (c->told || o->stopping || !o->serving)
        return;
    snprintf(sentence, sizeof sentence, "the code stays as it is: %.300s; version %u serves",
             o->message, o->serving);
    snprintf(worker, sizeof worker, "%d", o->worker);
    const struct log_field fields[] = {{"phase", slice_of(o->phase)}, {"worker", slice_of(worker)}};
    log_write(c->master->log, &(struct log_record){.level = LOG_ERROR,
                                                   .message = slice_of(sentence),
                                                   .fields = fields,
                                                   .count = o->worker >= 0 ? 2 : 1,
                                                   .detail = slice_of(o->text)});
}

static void tell(const struct code *c, const struct code_outcome *o)
{
    if (o->ok)
        log_success(c, o);
    else
        log_failure(c, o);
    master_metrics_outcome(c->master->metrics, o);
    if (c->told)
        c->told(c->told_context, o);
    commands_code_done(c->master, o);
}

static struct code_outcome outcome_of(const struct code *c, const struct wish *w)
{
    struct code_outcome o = {.wish = w->what, .worker = -1};
    o.ticket = w->what < CODE_UNDO ? w->ticket : 0; /* nobody knows the others' */
    o.serving = code_current(c->master);
    o.dry_run = w->asked.dry_run;
    o.certificates = w->asked.certificates;
    o.stopping = c->master->stopping;
    return o;
}

void code_tell_stopping(struct code *c, const struct wish *w)
{
    struct code_outcome o = outcome_of(c, w);
    o.phase = "stopping";
    o.message = "it is stopping";
    o.text = "tidewire: it is stopping\n";
    tell(c, &o);
}

void code_tell(struct code *c, const struct wish *w, const char *error)
{
    const struct attempt *a = &c->attempt;
    struct master *m = c->master;
    struct code_outcome o = outcome_of(c, w);
    struct buf text = {0};
    o.ok = !error;
    o.unchanged = a->unchanged;
    o.watch = json_object_get(a->report, "watch");
    o.seconds = code_clock() - a->began;
    o.pause = a->pause;
    o.phases = a->phases;
    add_workers(c, &o);
    if (o.ok)
        add_success(c, &o);
    else
        add_failure(c, &o, error, &text);
    tell(c, &o);
    if (!o.ok && !m->up && !m->stopping && !m->plan->dev) {
        fputs(o.text, stderr);
        master_fail(m);
    }
    buf_free(&text);
}
