/* Certificates of all listeners: see listener.h. */
#include "net/listener.h"

#include <stdio.h>

/* The points with a context of their own: the addresses of one URL, neighbours in the list, share
 * one. */
static const struct listen_point *first(const struct listen_point *p)
{
    while (p && !p->tls)
        p = p->next;
    return p;
}

static const struct listen_point *next(const struct listen_point *p)
{
    const struct tls_context *before = p->tls;
    while (p && (!p->tls || p->tls == before))
        p = p->next;
    return p;
}

bool listen_has_certificates(const struct listen_point *points)
{
    return first(points) != NULL;
}

bool listen_read_certificates(const struct listen_point *points, struct buf *out, char *error,
                              size_t size)
{
    for (const struct listen_point *p = first(points); p; p = next(p))
        if (!tls_context_read(p->tls, out, error, size))
            return false;
    return true;
}

bool listen_prepare_certificates(const struct listen_point *points, struct slice bytes, char *error,
                                 size_t size)
{
    for (const struct listen_point *p = first(points); p; p = next(p)) {
        if (!tls_context_prepare(p->tls, &bytes, error, size)) {
            listen_abandon_certificates(points);
            return false;
        }
    }
    return true;
}

void listen_commit_certificates(const struct listen_point *points)
{
    for (const struct listen_point *p = first(points); p; p = next(p))
        tls_context_commit(p->tls);
}

void listen_abandon_certificates(const struct listen_point *points)
{
    for (const struct listen_point *p = first(points); p; p = next(p))
        tls_context_abandon(p->tls);
}

void listen_each_certificate(const struct listen_point *points,
                             void (*each)(void *context, const struct listen_point *point,
                                          const struct tls_description *certificate),
                             void *context)
{
    struct tls_description d;
    for (const struct listen_point *p = first(points); p; p = next(p))
        for (size_t i = 0; tls_context_describe(p->tls, i, &d); i++)
            each(context, p, &d);
}
