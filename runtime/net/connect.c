#include "net/connect_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFUSAL 100 /* ms, see STEP_REFUSED */

static void on_resolved(void *context, const struct resolve_result *result);
static void on_dialed(void *context, const struct dial_result *result);
static void on_due(struct timer *t);
static void on_later(struct deferred *d);

bool connect_has_proxy(const struct connect *c)
{
    return c->options.proxy_host.len && !c->options.unix_path;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void stop(struct connect *c)
{
    resolve_cancel(c->lookup);
    dial_cancel(c->dial);
    c->lookup = NULL;
    c->dial = NULL;
    ev_io_stop(loop_ev(c->set->loop), &c->io);
    loop_timer_cancel(c->set->loop, &c->due);
}

static void hang_up(struct connect *c)
{
    if (c->streaming)
        c->stream.ops->close(&c->stream);
    c->streaming = false;
}

static void end(struct connect *c)
{
    stop(c);
    c->ended = true;
    loop_defer(c->set->loop, &c->later);
}

static bool begin_text(struct connect *c)
{
    const struct uri *u = &c->options.uri;
    const char *scheme = u->secure ? "wss" : "ws";
    c->text.len = 0;
    if (c->options.unix_path)
        return buf_printf(&c->text, "cannot connect to ws+unix:%.200s: ", c->options.unix_path);
    return buf_printf(&c->text,
                      u->host_is_ipv6 ? "cannot connect to %s://[%.*s]:%u: "
                                      : "cannot connect to %s://%.*s:%u: ",
                      scheme, SLICE_ARG(u->host), u->port);
}

void connect_fail(struct connect *c, enum connect_error error, const char *format, ...)
{
    char reason[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    hang_up(c);
    c->error = error;
    if (!begin_text(c) || !buf_append(&c->text, reason, strlen(reason) + 1))
        buf_free(&c->text);
    end(c);
}

void connect_win(struct connect *c)
{
    c->error = 0;
    end(c);
}

static void release(struct connect *c)
{
    hang_up(c);
    list_remove(&c->all);
    deferred_cancel(&c->later);
    tls_client_unref(c->options.tls);
    buf_free(&c->out);
    buf_free(&c->in);
    buf_free(&c->body);
    buf_free(&c->offer);
    buf_free(&c->text);
    free(c->store);
    free(c);
}

static struct conn *adopt(struct connect *c)
{
    const char *in = (const char *)c->in.data;
    struct conn_opening opening = {
        .peer = &c->peer,
        .secure = c->options.uri.secure,
        .head = {in, c->head_len},
        .rest = {in + c->head_len, c->in.len - c->head_len},
        .limits = c->options.limits,
        .compress = c->options.compression,
        .agreed = c->compressed ? &c->agreed : NULL,
    };
    c->streaming = false;
    return conn_adopt(c->set, &c->stream, &opening);
}

static void on_later(struct deferred *d)
{
    struct connect *c = list_entry(d, struct connect, later);
    struct connect_result result = {.answer = c->answered ? &c->head : NULL};
    if (!c->error && !(result.conn = adopt(c)))
        connect_fail(c, CONNECT_ERR_MEMORY, "out of memory");
    result.error = c->error;
    if (c->error)
        result.text = c->text.len ? (const char *)c->text.data : "out of memory";
    else
        result.protocol = c->protocol;
    if (c->error == CONNECT_ERR_STATUS && c->body.len)
        result.body = (struct slice){(const char *)c->body.data, c->body.len};
    list_remove(&c->all);
    void (*done)(void *, const struct connect_result *) = c->done;
    c->done = NULL; /* a cancel from within comes too late */
    done(c->context, &result);
    release(c);
}

/* One that has just succeeded counts too: its connection would be new. What is told of it is told
 * before the drain is said to be done, for that comes later in the turn. */
static void cancel(struct connect *c)
{
    if (!c->ended || !c->error)
        connect_fail(c, CONNECT_ERR_CANCELLED, "the program is going away");
}

void connect_drain(struct conn_set *set)
{
    for (struct list *node = set->connects.next; node != &set->connects; node = node->next)
        cancel(list_entry(node, struct connect, all));
}

void connect_end_all(struct conn_set *set)
{
    while (!list_empty(&set->connects)) {
        struct connect *c = list_entry(set->connects.next, struct connect, all);
        cancel(c);
        deferred_cancel(&c->later);
        on_later(&c->later);
    }
    resolve_free(set->resolver);
    set->resolver = NULL;
}

void connect_cancel(struct connect *c)
{
    if (!c || !c->done)
        return;
    stop(c);
    release(c);
}

/* --- time ------------------------------------------------------------------------------------- */

static const char *late_text(const struct connect *c)
{
    switch (c->step) {
    case STEP_NAME:
        return "the name was not resolved";
    case STEP_PROXY:
        return "the proxy did not answer CONNECT";
    case STEP_TLS:
        return "the TLS handshake was not done";
    default:
        return "the server did not answer the opening handshake";
    }
}

static void on_due(struct timer *t)
{
    struct connect *c = list_entry(t, struct connect, due);
    unsigned ms = c->options.timeout;
    char within[32];
    if (c->step == STEP_REFUSED) {
        cancel(c);
        return;
    }
    if (c->step == STEP_BODY) {
        connect_end_body(c);
        return;
    }
    if (ms % 1000)
        snprintf(within, sizeof within, "within %u ms", ms);
    else
        snprintf(within, sizeof within, "within %u s", ms / 1000);
    if (c->step != STEP_DIAL) {
        connect_fail(c, CONNECT_ERR_TIMEOUT, "%s %s", late_text(c), within);
        return;
    }
    struct buf each = {0};
    if (dial_explain(c->dial, &each))
        connect_fail(c, CONNECT_ERR_TIMEOUT, "%snot connected %s: %.*s",
                     connect_has_proxy(c) ? "to the proxy: " : "", within, (int)each.len,
                     (const char *)each.data);
    else
        connect_fail(c, CONNECT_ERR_MEMORY, "out of memory");
    buf_free(&each);
}

/* --- name and race ---------------------------------------------------------------------------- */

static void dial(struct connect *c, const struct sockaddr_storage *addresses, size_t count)
{
    c->step = STEP_DIAL;
    c->dial = dial_start(c->set->loop, addresses, count, on_dialed, c);
    if (!c->dial)
        connect_fail(c, CONNECT_ERR_MEMORY, "out of memory");
}

static void on_dialed(void *context, const struct dial_result *result)
{
    struct connect *c = context;
    c->dial = NULL;
    if (result->fd < 0) {
        if (connect_has_proxy(c))
            connect_fail(c, CONNECT_ERR_REFUSED, "the proxy %.*s:%u: %s",
                         SLICE_ARG(c->options.proxy_host), c->options.proxy_port, result->text);
        else
            connect_fail(c, CONNECT_ERR_REFUSED, "%s", result->text);
        return;
    }
    c->peer = result->peer;
    connect_talk(c, result->fd);
}

static void on_resolved(void *context, const struct resolve_result *result)
{
    struct connect *c = context;
    c->lookup = NULL;
    if (result->count)
        dial(c, result->addresses, result->count);
    else if (result->memory_short)
        connect_fail(c, CONNECT_ERR_MEMORY, "out of memory");
    else if (connect_has_proxy(c))
        connect_fail(c, CONNECT_ERR_NAME, "the proxy's name %.*s: %s",
                     SLICE_ARG(c->options.proxy_host), result->text);
    else
        connect_fail(c, CONNECT_ERR_NAME, "%s", result->text);
}

static void resolve(struct connect *c)
{
    const struct connect_options *o = &c->options;
    bool proxy = connect_has_proxy(c);
    c->step = STEP_NAME;
    if (!c->set->resolver)
        c->set->resolver = resolve_new(c->set->loop, NULL);
    if (c->set->resolver)
        c->lookup = resolve_start(c->set->resolver, proxy ? o->proxy_host : o->uri.host,
                                  proxy ? o->proxy_port : o->uri.port, on_resolved, c);
    if (!c->lookup)
        connect_fail(c, CONNECT_ERR_MEMORY, "out of memory");
}

static void refuse(struct connect *c)
{
    c->step = STEP_REFUSED;
    loop_timer_set(c->set->loop, &c->due, REFUSAL);
}

static void begin(struct connect *c)
{
    struct sockaddr_storage address;
    if (c->set->drain)
        refuse(c);
    else if (c->options.uri.secure && !c->options.tls)
        connect_fail(c, CONNECT_ERR_TLS, "there are no settings for TLS");
    else if (!c->options.unix_path)
        resolve(c);
    else if (dial_unix_address(c->options.unix_path, &address))
        dial(c, &address, 1);
    else
        connect_fail(c, CONNECT_ERR_NAME, "a socket's path has 1 to 107 bytes");
}

/* --- options ---------------------------------------------------------------------------------- */

static size_t store_size(const struct connect_options *o)
{
    size_t n = o->uri.host.len + o->uri.path.len + o->uri.query.len + o->fields.len +
               o->proxy_host.len + o->proxy_credentials.len + o->server_name.len +
               o->protocol_count * sizeof *o->protocols +
               (o->unix_path ? strlen(o->unix_path) + 1 : 0);
    for (size_t i = 0; i < o->protocol_count; i++)
        n += o->protocols[i].len;
    return n;
}

static void keep(struct slice *s, char **at)
{
    if (!s->ptr)
        return; /* tells "none" */
    memcpy(*at, s->ptr, s->len);
    s->ptr = *at;
    *at += s->len;
}

static bool copy_options(struct connect *c, const struct connect_options *from)
{
    struct connect_options *o = &c->options;
    struct slice *protocols = malloc(store_size(from) + 1);
    if (!protocols)
        return false;
    c->store = (char *)protocols;
    char *at = (char *)(protocols + from->protocol_count);
    *o = *from;
    o->tls = from->tls ? tls_client_ref(from->tls) : NULL;
    o->protocols = protocols;
    for (size_t i = 0; i < o->protocol_count; i++) {
        protocols[i] = from->protocols[i];
        keep(&protocols[i], &at);
    }
    struct slice *slices[] = {&o->uri.host,   &o->uri.path,          &o->uri.query,  &o->fields,
                              &o->proxy_host, &o->proxy_credentials, &o->server_name};
    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++)
        keep(slices[i], &at);
    if (o->unix_path)
        o->unix_path = strcpy(at, from->unix_path);
    if (o->compression) {
        c->compression = *o->compression;
        o->compression = &c->compression;
    }
    return true;
}

struct connect *connect_start(struct conn_set *set, const struct connect_options *options,
                              void (*done)(void *context, const struct connect_result *result),
                              void *context)
{
    struct connect *c = set->freeing ? NULL : calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->set = set;
    c->done = done;
    c->context = context;
    c->due.fire = on_due;
    deferred_init(&c->later, on_later);
    ev_init(&c->io, NULL);
    if (!copy_options(c, options)) {
        free(c);
        return NULL;
    }
    list_push(&set->connects, &c->all);
    if (options->timeout)
        loop_timer_set(set->loop, &c->due, options->timeout);
    begin(c);
    return c;
}
