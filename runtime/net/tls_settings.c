#include "net/tls.h"

#include <stdlib.h>
#include <string.h>

bool tls_settings_add(struct tls_settings *s, const char *cert, const char *key)
{
    struct tls_pair *pairs = realloc(s->pairs, (s->count + 1) * sizeof *pairs);
    if (!pairs)
        return false;
    s->pairs = pairs;
    s->pairs[s->count] = (struct tls_pair){strdup(cert), strdup(key)};
    s->count++; /* half a pair is freed like a whole one */
    return s->pairs[s->count - 1].cert && s->pairs[s->count - 1].key;
}

bool tls_settings_copy(struct tls_settings *to, const struct tls_settings *from)
{
    bool ok = true;
    *to = (struct tls_settings){.client_optional = from->client_optional};
    for (size_t i = 0; ok && i < from->count; i++)
        ok = tls_settings_add(to, from->pairs[i].cert, from->pairs[i].key);
    if (ok && from->client_ca)
        ok = (to->client_ca = strdup(from->client_ca)) != NULL;
    if (!ok)
        tls_settings_free(to);
    return ok;
}

void tls_settings_free(struct tls_settings *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->pairs[i].cert);
        free(s->pairs[i].key);
    }
    free(s->pairs);
    free(s->client_ca);
    *s = (struct tls_settings){0};
}
