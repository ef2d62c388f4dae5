#include "wire/address.h"

#include <arpa/inet.h>
#include <string.h>

static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};

struct address address_of_ipv4(const unsigned char bytes[4], uint16_t port)
{
    struct address a = {.family = ADDRESS_IPV4, .port = port};
    memcpy(a.bytes, mapped, sizeof mapped);
    memcpy(a.bytes + sizeof mapped, bytes, 4);
    return a;
}

struct address address_of_ipv6(const unsigned char bytes[16], uint16_t port)
{
    bool is_mapped = memcmp(bytes, mapped, sizeof mapped) == 0;
    struct address a = {.family = is_mapped ? ADDRESS_IPV4 : ADDRESS_IPV6, .port = port};
    memcpy(a.bytes, bytes, sizeof a.bytes);
    return a;
}

/* inet_pton wants a NUL at the end, and would stop at one before it. */
static bool parse(int family, struct slice text, unsigned char bytes[16])
{
    char copy[ADDRESS_TEXT];
    if (text.len >= sizeof copy || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return inet_pton(family, copy, bytes) == 1;
}

bool address_parse_ipv4(struct slice text, struct address *out)
{
    unsigned char bytes[16];
    if (text.len == 0 || !parse(AF_INET, text, bytes))
        return false;
    *out = address_of_ipv4(bytes, 0);
    return true;
}

bool address_parse_ipv6(struct slice text, struct address *out)
{
    unsigned char bytes[16];
    if (text.len == 0 || !parse(AF_INET6, text, bytes))
        return false;
    *out = address_of_ipv6(bytes, 0);
    return true;
}

bool address_parse(struct slice text, struct address *out)
{
    return address_parse_ipv4(text, out) || address_parse_ipv6(text, out);
}

bool address_parse_port(struct slice text, uint16_t *port)
{
    unsigned value = 0;
    if (text.len == 0 || text.len > 5 || (text.len > 1 && text.ptr[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text.ptr[i] - '0');
    }
    if (value > UINT16_MAX)
        return false;
    *port = (uint16_t)value;
    return true;
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->family != ADDRESS_NONE && a->family == b->family &&
           memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

void address_format(const struct address *a, char out[ADDRESS_TEXT])
{
    switch (a->family) {
    case ADDRESS_IPV4:
        inet_ntop(AF_INET, a->bytes + sizeof mapped, out, ADDRESS_TEXT);
        break;
    case ADDRESS_IPV6:
        inet_ntop(AF_INET6, a->bytes, out, ADDRESS_TEXT);
        break;
    case ADDRESS_UNIX:
        strcpy(out, "unix");
        break;
    default:
        strcpy(out, "unknown");
    }
}
