/* The commands about the app's code: reload, rollback and versions. */
#include "host/bundle.h"
#include "host/code.h"
#include "host/diff.h"
#include "host/master_impl.h"

#include <stdio.h>
#include <stdlib.h>

#define WAITS_CODE 1000 /* and the ticket: who waits for its outcome */

/* Who asked with "wait": the answer is kept until the version is stable, or is one no more. */
struct waiter {
    struct list node;
    unsigned ticket;
    unsigned version; /* 0: not yet in use */
    json_t *answer;
};

static int waits_for(unsigned ticket)
{
    return WAITS_CODE + (int)(ticket % 1000000000);
}

/* --- requests --------------------------------------------------------------------------------- */

/* An optional flag. false: it is something else, and the peer has been told. */
static bool read_flag(struct control_peer *p, const json_t *request, const char *name, bool *flag)
{
    const json_t *value = json_object_get(request, name);
    char why[64];
    *flag = json_is_true(value);
    if (!value || json_is_boolean(value))
        return true;
    snprintf(why, sizeof why, "\"%s\" is true or false", name);
    commands_refuse(p, "request", why);
    return false;
}

/* An optional integer of 1 to `most`; 0: it is not there. */
static bool read_number(struct control_peer *p, const json_t *request, const char *name,
                        json_int_t most, unsigned *n)
{
    const json_t *value = json_object_get(request, name);
    json_int_t number = json_integer_value(value);
    char why[80];
    *n = 0;
    if (!value || json_is_null(value))
        return true;
    if (json_is_integer(value) && number >= 1 && number <= most) {
        *n = (unsigned)number;
        return true;
    }
    snprintf(why, sizeof why, "\"%s\" is a whole number from 1 to %lld", name, (long long)most);
    commands_refuse(p, "request", why);
    return false;
}

static bool add_waiter(struct master *m, unsigned ticket)
{
    struct waiter *w = calloc(1, sizeof *w);
    if (!w)
        return false;
    w->ticket = ticket;
    list_push(&m->waiters, &w->node);
    return true;
}

static void await(struct master *m, struct control_peer *p, unsigned ticket, bool until_stable)
{
    if (!ticket) {
        commands_refuse(p, "busy", "too many reloads wait already; try again later");
        return;
    }
    if (until_stable && !add_waiter(m, ticket))
        log_warn(m->log, "control socket: out of memory; a reload is answered before it is stable");
    control_wait(p, waits_for(ticket));
}

void commands_reload(struct master *m, struct control_peer *p, const json_t *request)
{
    struct code_request r = {0};
    bool wait;
    if (!read_flag(p, request, "dry_run", &r.dry_run) ||
        !read_flag(p, request, "force", &r.force) || !read_flag(p, request, "wait", &wait) ||
        !read_number(p, request, "canary", 99, &r.canary))
        return;
    r.certificates = !r.dry_run && listen_has_certificates(m->points);
    log_info(m->log, "reloading (control socket)");
    await(m, p, code_reload(m, &r), wait);
}

void commands_rollback(struct master *m, struct control_peer *p, const json_t *request)
{
    struct code_request r = {0};
    if (!read_number(p, request, "to", 0x7fffffff, &r.to))
        return;
    log_info(m->log, "rolling back (control socket)");
    await(m, p, code_rollback(m, &r), false);
}

/* --- outcomes --------------------------------------------------------------------------------- */

static const char *state_of(const struct code_outcome *o)
{
    return o->state == VERSION_CANARY ? "canary" : o->watched ? "watching" : "stable";
}

static json_t *list_of(json_t *list)
{
    return list ? json_incref(list) : json_array();
}

static json_t *success(const struct master *m, const struct code_outcome *o)
{
    json_t *answer = json_pack(
        "{s:i, s:b, s:I, s:I, s:s, s:o, s:o, s:o, s:b, s:b, s:f, s:f, s:O, s:I, s:I, s:s}", "v",
        COMMANDS_VERSION, "ok", 1, "version", (json_int_t)o->version, "previous",
        (json_int_t)o->previous, "hash", o->hash, "changed", list_of(o->changed), "added",
        list_of(o->added), "removed", list_of(o->removed), "unchanged", o->unchanged, "dry_run",
        o->dry_run, "seconds", o->seconds, "pause", o->pause, "phases", o->phases, "connections",
        (json_int_t)o->connections, "held", (json_int_t)o->held, "state", state_of(o));
    if (answer && o->warnings)
        json_object_set_new(answer, "warning", commands_text(o->warnings));
    if (answer && o->certificates && m->certificates_wrong)
        json_object_set_new(answer, "certificates_error", commands_text(m->certificates_wrong));
    else if (answer && o->certificates)
        json_object_set_new(answer, "certificates", commands_certificates(m));
    return answer;
}

static json_t *failure(const struct code_outcome *o)
{
    json_t *answer =
        json_pack("{s:i, s:b, s:{s:s, s:o}, s:s, s:o, s:I}", "v", COMMANDS_VERSION, "ok", 0,
                  "error", "code", o->phase, "message", commands_text(o->message), "phase",
                  o->phase, "text", commands_text(o->text), "serving", (json_int_t)o->serving);
    if (answer && o->file)
        json_object_set_new(answer, "file", commands_text(o->file));
    if (answer && o->line)
        json_object_set_new(answer, "line", json_integer((json_int_t)o->line));
    if (answer && o->worker >= 0)
        json_object_set_new(answer, "worker", json_integer(o->worker));
    return answer;
}

static void send_kept(void *context, struct control_peer *p)
{
    json_t *answer = context;
    commands_answer(p, json_incref(answer));
}

static void waiter_free(struct waiter *w)
{
    list_remove(&w->node);
    json_decref(w->answer);
    free(w);
}

static struct waiter *find_waiter(struct master *m, unsigned ticket)
{
    for (struct list *node = m->waiters.next; node != &m->waiters; node = node->next)
        if (list_entry(node, struct waiter, node)->ticket == ticket)
            return list_entry(node, struct waiter, node);
    return NULL;
}

void commands_code_done(struct master *m, const struct code_outcome *o)
{
    json_t *answer = o->ok ? success(m, o) : failure(o);
    struct waiter *w = find_waiter(m, o->ticket);
    if (w && answer && o->ok && o->watched && !o->dry_run) {
        w->version = o->version;
        w->answer = answer;
        return;
    }
    if (w)
        waiter_free(w);
    control_each(m->control, waits_for(o->ticket), send_kept, answer);
    json_decref(answer);
}

static json_t *unsettled(const struct master *m, unsigned version, const char *reason)
{
    char message[512], text[560];
    snprintf(message, sizeof message, "version %u does not serve any more: %s", version, reason);
    snprintf(text, sizeof text, "tidewire: %s\n", message);
    return json_pack("{s:i, s:b, s:{s:s, s:o}, s:s, s:o, s:I}", "v", COMMANDS_VERSION, "ok", 0,
                     "error", "code", "watch", "message", commands_text(message), "phase", "watch",
                     "text", commands_text(text), "serving", (json_int_t)code_current(m));
}

void commands_code_settled(struct master *m, unsigned version, const char *reason)
{
    struct list *node = m->waiters.next;
    while (node != &m->waiters) {
        struct waiter *w = list_entry(node, struct waiter, node);
        node = node->next;
        if (w->version != version)
            continue;
        json_t *answer = reason ? unsettled(m, version, reason) : json_incref(w->answer);
        if (answer && !reason)
            json_object_set_new(answer, "state", json_string("stable"));
        control_each(m->control, waits_for(w->ticket), send_kept, answer);
        json_decref(answer);
        waiter_free(w);
    }
}

void commands_code_free(struct master *m)
{
    while (!list_empty(&m->waiters))
        waiter_free(list_entry(m->waiters.next, struct waiter, node));
}

/* --- versions --------------------------------------------------------------------------------- */

static void list_versions(const struct master *m, struct control_peer *p)
{
    commands_answer(p, json_pack("{s:i, s:b, s:I, s:o}", "v", COMMANDS_VERSION, "ok", 1, "current",
                                 (json_int_t)code_current(m), "versions", code_list(m)));
}

static bool find_text(struct slice bytes, const char *path, struct slice *text)
{
    struct bundle b;
    struct slice at;
    for (bool more = bundle_open(&b, bytes); more && bundle_next(&b, &at, text);)
        if (slice_is(at, path))
            return true;
    *text = (struct slice){"", 0};
    return false;
}

/* The two bundles while they are compared. */
struct comparison {
    struct buf bytes[2];
    const char *root;
};

static struct slice text_in(const struct comparison *c, int side, const char *path)
{
    struct slice bytes = {(const char *)c->bytes[side].data, c->bytes[side].len}, text;
    find_text(bytes, path, &text);
    return text;
}

static const char *shown(const struct comparison *c, const char *path)
{
    return version_path(path, c->root);
}

static json_t *compare_file(const struct comparison *c, const char *path, bool before, bool after)
{
    struct buf diff = {0};
    const char *name = shown(c, path);
    json_t *file = NULL;
    bool ok =
        buf_printf(&diff, "--- %s%s\n+++ %s%s\n", before ? "a/" : "", before ? name : "/dev/null",
                   after ? "b/" : "", after ? name : "/dev/null") &&
        diff_append(&diff, text_in(c, 0, path), text_in(c, 1, path)) && buf_append(&diff, "", 1);
    if (ok)
        file = json_pack("{s:o, s:s, s:o}", "path", commands_text(name), "change",
                         !before  ? "added"
                         : !after ? "removed"
                                  : "changed",
                         "diff", commands_text((const char *)diff.data));
    buf_free(&diff);
    return file;
}

/* NULL: memory short. */
static json_t *compare(const struct comparison *c, const struct version *a, const struct version *b)
{
    struct version_changes changes = {0};
    json_t *files = json_array();
    if (version_compare(a, b, NULL, &changes)) {
        const struct {
            json_t *paths;
            bool before, after;
        } lists[] = {{changes.changed, true, true},
                     {changes.added, false, true},
                     {changes.removed, true, false}};
        for (size_t i = 0; i < 3; i++)
            for (size_t n = 0; n < json_array_size(lists[i].paths); n++) {
                const char *path = json_string_value(json_array_get(lists[i].paths, n));
                json_array_append_new(files,
                                      compare_file(c, path, lists[i].before, lists[i].after));
            }
    }
    version_changes_free(&changes);
    return files;
}

static void diff_versions(const struct master *m, struct control_peer *p, const struct version *a,
                          const struct version *b)
{
    struct comparison c = {.root = m->plan->root};
    json_t *answer = NULL;
    if (channel_file_read(a->bundle, &c.bytes[0]) && channel_file_read(b->bundle, &c.bytes[1]))
        answer = json_pack("{s:i, s:b, s:I, s:I, s:o}", "v", COMMANDS_VERSION, "ok", 1, "from",
                           (json_int_t)a->number, "to", (json_int_t)b->number, "files",
                           compare(&c, a, b));
    commands_answer(p, answer);
    buf_free(&c.bytes[0]);
    buf_free(&c.bytes[1]);
}

/* One of the two that a diff names; NULL: there is none, and the peer has been told. */
static const struct version *find(const struct master *m, struct control_peer *p,
                                  const json_t *number)
{
    json_int_t n = json_integer_value(number);
    const struct version *v =
        n >= 1 && n <= 0x7fffffff ? versions_find(code_versions(m), (unsigned)n) : NULL;
    char why[96];
    if (v && v->bundle >= 0)
        return v;
    snprintf(why, sizeof why, "version %lld is %s; `tidewire versions` lists them", (long long)n,
             v ? "no longer kept" : "not known");
    commands_refuse(p, "versions", why);
    return NULL;
}

void commands_versions(struct master *m, struct control_peer *p, const json_t *request)
{
    const json_t *diff = json_object_get(request, "diff");
    const json_t *from = json_array_get(diff, 0), *to = json_array_get(diff, 1);
    if (!diff || json_is_null(diff)) {
        list_versions(m, p);
        return;
    }
    if (json_array_size(diff) != 2 || !json_is_integer(from) || !json_is_integer(to)) {
        commands_refuse(p, "request", "\"diff\" is a list of two versions, as [7,8]");
        return;
    }
    const struct version *a = find(m, p, from);
    const struct version *b = a ? find(m, p, to) : NULL;
    if (b)
        diff_versions(m, p, a, b);
}
