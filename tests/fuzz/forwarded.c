/* wire/forwarded: nothing is believed that somebody has written who is not trusted. An input is a
 * byte of settings, then lines "Name: value". */
#include "wire/forwarded.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static const char *const trusted_names[] = {"10.0.0.0/8", "192.0.2.7", "fd00::/8", "::1", "unix"};
static const char *const peers[] = {"10.1.2.3",     "192.0.2.7", "fd00::5",
                                    "198.51.100.1", "::1",       "2001:db8::9"};
#define EVIL "203.0.113.66" /* trusted by nobody */

static struct address peer_of(uint8_t byte)
{
    struct address peer = {.family = ADDRESS_UNIX};
    if (byte % 8 < 6)
        CHECK(address_parse(slice_of(peers[byte % 8]), &peer));
    else if (byte % 8 == 6)
        peer.family = ADDRESS_NONE;
    peer.port = 4711;
    return peer;
}

static void read_head(struct fuzz_input *in, struct http_head *h)
{
    h->header_count = 0;
    while (fuzz_left(in) && h->header_count < HTTP_HEADERS_MAX - 2) {
        struct slice line = fuzz_until(in, '\n');
        const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
        if (!colon)
            continue;
        struct http_header f = {.name = {line.ptr, (size_t)(colon - line.ptr)}};
        f.value = http_trim((struct slice){colon + 1, line.len - f.name.len - 1});
        if (http_is_token(f.name) && http_is_field_value(f.value))
            h->headers[h->header_count++] = f;
    }
}

static bool same(const struct forwarded *a, const struct forwarded *b)
{
    return (address_equal(&a->client, &b->client) || a->client.family == ADDRESS_NONE) &&
           a->client.family == b->client.family && a->client.port == b->client.port &&
           a->secure == b->secure;
}

/* The rightmost entry that is no trusted proxy's, of X-Forwarded-For alone, all of plain addresses.
 * false: there is something else in the way. */
static bool find_plainly(const struct http_head *h, const struct network_list *trusted,
                         struct address *client)
{
    for (size_t i = h->header_count; i-- > 0;) {
        struct slice v = h->headers[i].value;
        if (slice_is_nocase(h->headers[i].name, "Forwarded"))
            return false;
        if (!slice_is_nocase(h->headers[i].name, "X-Forwarded-For"))
            continue;
        for (size_t end = v.len, at = v.len;; at--) {
            if (at > 0 && v.ptr[at - 1] != ',')
                continue;
            struct slice entry = http_trim((struct slice){v.ptr + at, end - at});
            if (network_list_has(trusted, client) && entry.len) {
                if (!address_parse(entry, client))
                    return false;
            }
            if (at == 0)
                break;
            end = at - 1;
        }
    }
    return true;
}

/* What the client may have sent itself, in front of all that proxies have added. */
static void check_invention(const struct http_head *h, const struct address *peer, bool secure,
                            const struct network_list *trusted, enum forwarded_result rc,
                            const struct forwarded *found)
{
    struct http_head *more = malloc(sizeof *more);
    struct forwarded again;
    CHECK(more != NULL);
    more->header_count = 0;
    if (http_find(h, "X-Forwarded-For"))
        more->headers[more->header_count++] =
            (struct http_header){slice_of("x-forwarded-for"), slice_of("\"" EVIL ", " EVIL ", ,")};
    if (http_find(h, "Forwarded"))
        more->headers[more->header_count++] = (struct http_header){
            slice_of("FORWARDED"), slice_of("for=\"\\\", for=" EVIL ";proto=https")};
    for (size_t i = 0; i < h->header_count; i++)
        more->headers[more->header_count++] = h->headers[i];
    CHECK(forwarded_find(more, peer, secure, trusted, &again) == rc && same(&again, found));
    free(more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, data + size};
    uint8_t settings = fuzz_byte(&in), list = fuzz_byte(&in);
    struct address peer = peer_of(settings), client = peer;
    bool secure = settings & 0x80;
    struct network_list trusted = {0};
    struct http_head *h = malloc(sizeof *h);
    struct forwarded found, nobody;
    CHECK(h != NULL);
    for (size_t i = 0; i < sizeof trusted_names / sizeof trusted_names[0]; i++)
        if (list >> i & 1)
            CHECK(network_list_add(&trusted, slice_of(trusted_names[i])) == 0);
    read_head(&in, h);

    enum forwarded_result rc = forwarded_find(h, &peer, secure, &trusted, &found);
    struct forwarded plain = {peer, secure};
    CHECK(rc >= FORWARDED_OK && rc <= FORWARDED_CONFLICT);
    CHECK(found.client.family != ADDRESS_NONE || peer.family == ADDRESS_NONE);
    if (!network_list_has(&trusted, &peer) || rc == FORWARDED_CONFLICT)
        CHECK(same(&found, &plain));
    if (!network_list_has(&trusted, &peer))
        CHECK(rc == FORWARDED_OK);
    CHECK(forwarded_find(h, &peer, secure, &(struct network_list){0}, &nobody) == FORWARDED_OK);
    CHECK(same(&nobody, &plain));
    if (find_plainly(h, &trusted, &client))
        CHECK(rc == FORWARDED_OK &&
              address_equal(&client, &found.client) == (peer.family != ADDRESS_NONE));
    /* who has been found and is no proxy cannot be changed by anything further left; nor can an
     * end of the trail */
    if (rc != FORWARDED_CONFLICT &&
        (rc == FORWARDED_LOST || !network_list_has(&trusted, &found.client)))
        check_invention(h, &peer, secure, &trusted, rc, &found);
    network_list_free(&trusted);
    free(h);
    return 0;
}
