#include "net/listen_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    const char *url;
    struct listen_url *out;
    size_t certs, keys; /* options so far */
    bool proxy, client, tls;
    char *error;
    size_t error_size;
};

#define FAIL(r, format, ...)                                                                       \
    (snprintf((r)->error, (r)->error_size, "cannot listen on %s: " format, (r)->url,               \
              ##__VA_ARGS__),                                                                      \
     false)

/* --- options ---------------------------------------------------------------------------------- */

static bool decode(struct reading *r, struct slice raw, char **out)
{
    struct buf text = {0};
    bool ok = uri_query_decode(raw, &text) && buf_append(&text, "", 1);
    bool plain = ok && text.len > 1 && !memchr(text.data, 0, text.len - 1);
    if (!plain)
        buf_free(&text);
    *out = (char *)text.data;
    return plain || (ok ? FAIL(r, "an option has no value") : FAIL(r, "out of memory"));
}

/* The n-th certificate belongs to the n-th key, in whatever order they stand. */
static bool add_file(struct reading *r, bool is_key, char *file)
{
    struct tls_settings *tls = &r->out->tls;
    size_t i = is_key ? r->keys++ : r->certs++;
    if (i == tls->count && !tls_settings_add(tls, "", ""))
        return FAIL(r, "out of memory");
    char **place = is_key ? &tls->pairs[i].key : &tls->pairs[i].cert;
    free(*place);
    *place = strdup(file);
    return *place || FAIL(r, "out of memory");
}

static bool add_client_ca(struct reading *r, const char *file)
{
    if (r->out->tls.client_ca)
        return FAIL(r, "the option \"client_ca\" is there twice");
    r->out->client_given = true;
    r->out->tls.client_ca = strdup(file);
    return r->out->tls.client_ca || FAIL(r, "out of memory");
}

static bool set_client(struct reading *r, const char *value)
{
    if (r->client)
        return FAIL(r, "the option \"client\" is there twice");
    r->client = r->out->client_given = true;
    r->out->tls.client_optional = strcmp(value, "optional") == 0;
    return r->out->tls.client_optional || strcmp(value, "required") == 0 ||
           FAIL(r, "the option \"client\" is \"optional\" or \"required\", not \"%s\"", value);
}

static bool set_proxy(struct reading *r, const char *value)
{
    if (r->proxy)
        return FAIL(r, "the option \"proxy_protocol\" is there twice");
    r->proxy = true;
    r->out->proxy_protocol = strcmp(value, "on") == 0;
    return r->out->proxy_protocol || strcmp(value, "off") == 0 ||
           FAIL(r, "the option \"proxy_protocol\" is \"on\" or \"off\", not \"%s\"", value);
}

static bool set_tls(struct reading *r, const char *value)
{
    r->tls = strcmp(value, "on") == 0;
    return r->tls || FAIL(r, "the option \"tls\" is \"on\", not \"%s\"", value);
}

static bool is_of_tls(struct slice name)
{
    return slice_is(name, "cert") || slice_is(name, "key") || slice_is(name, "client_ca") ||
           slice_is(name, "client");
}

static bool take_option(struct reading *r, struct slice name, char *value)
{
    if (slice_is(name, "proxy_protocol"))
        return set_proxy(r, value);
    if (is_of_tls(name) && !r->out->uri.secure)
        return FAIL(r, "the option \"%.*s\" is for wss", SLICE_ARG(name));
    if (slice_is(name, "cert") || slice_is(name, "key"))
        return add_file(r, slice_is(name, "key"), value);
    if (slice_is(name, "client_ca"))
        return add_client_ca(r, value);
    if (slice_is(name, "client"))
        return set_client(r, value);
    if (slice_is(name, "tls") && r->out->systemd)
        return set_tls(r, value);
    return FAIL(r, "unknown option \"%.*s\"; known %s", SLICE_ARG(name),
                r->out->uri.secure ? "are cert, client, client_ca, key and proxy_protocol"
                                   : "is proxy_protocol");
}

static bool read_options(struct reading *r, struct slice query)
{
    struct slice name, value;
    while (query.ptr && uri_query_next(&query, &name, &value)) {
        char *text;
        bool ok = decode(r, value, &text);
        ok = ok && take_option(r, name, text);
        free(text);
        if (!ok)
            return false;
    }
    if (r->certs != r->keys)
        return FAIL(r, "each certificate needs its key: cert=FILE&key=FILE");
    return true;
}

/* --- the URL ---------------------------------------------------------------------------------- */

/* A path may have a "?" in it, so only what looks like an option is one. */
static bool read_unix(struct reading *r, const char *path)
{
    const char *query = strstr(path, "?proxy_protocol=");
    size_t n = query ? (size_t)(query - path) : strlen(path);
    if (!(r->out->unix_path = strndup(path, n)))
        return FAIL(r, "out of memory");
    return !query || read_options(r, slice_of(query + 1));
}

/* What to speak on an inherited socket is told by no scheme: the options do. */
static bool read_systemd(struct reading *r, const char *name)
{
    size_t n = strcspn(name, "?");
    if (!(r->out->systemd = strndup(name, n)))
        return FAIL(r, "out of memory");
    r->out->uri.secure = true; /* so that its options are taken */
    bool ok = !name[n] || read_options(r, slice_of(name + n + 1));
    r->out->uri.secure = r->tls || r->out->tls.count || r->out->client_given;
    return ok;
}

/* Port 0 is no port of a URI: parsed without it. */
static bool cut_port_zero(char *url)
{
    char *authority = strstr(url, "://");
    if (!authority)
        return false;
    char *end = authority + 3 + strcspn(authority + 3, "/?#");
    if (end - authority < 5 || end[-2] != ':' || end[-1] != '0')
        return false;
    memmove(end - 2, end, strlen(end) + 1);
    return true;
}

bool listen_url_read(const char *url, struct listen_url *out, char *error, size_t error_size)
{
    struct reading r = {.url = url, .out = out, .error = error, .error_size = error_size};
    *out = (struct listen_url){0};
    if (strncmp(url, "unix:", 5) == 0)
        return read_unix(&r, url + 5);
    if (strncmp(url, "systemd:", 8) == 0)
        return read_systemd(&r, url + 8);
    if (!(out->text = strdup(url)))
        return FAIL(&r, "out of memory");
    bool any_port = cut_port_zero(out->text);
    int failed = uri_parse(slice_of(out->text), &out->uri);
    if (failed)
        return FAIL(&r,
                    "%s; write ws://HOST:PORT, wss://HOST:PORT?cert=FILE&key=FILE, unix:PATH or "
                    "systemd:NAME",
                    uri_error_text(failed));
    if (any_port)
        out->uri.port = 0;
    if (out->uri.path.len > 1)
        return FAIL(&r, "an address has no path; routes are the app's");
    return read_options(&r, out->uri.query);
}

void listen_url_free(struct listen_url *u)
{
    free(u->unix_path);
    free(u->systemd);
    tls_settings_free(&u->tls);
    free(u->text);
    *u = (struct listen_url){0};
}
