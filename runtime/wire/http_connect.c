#include "wire/http_connect.h"

#include "wire/address.h"
#include "wire/uri.h"

#include <limits.h>
#include <openssl/evp.h>

#define BASIC "Proxy-Authorization: Basic "

/* RFC 7617 section 2: user-id and password are apart at the first colon, without control
 * characters. */
static bool are_credentials(struct slice s)
{
    bool colon = false;
    if (s.len > INT_MAX)
        return false; /* more than the encoder takes */
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7F)
            return false;
        colon = colon || s.ptr[i] == ':';
    }
    return colon;
}

static bool write_credentials(struct buf *out, struct slice credentials)
{
    if (!are_credentials(credentials) || !buf_append_str(out, BASIC))
        return false;
    size_t size = (credentials.len + 2) / 3 * 4;
    if (!buf_reserve(out, size + 1))
        return false;
    EVP_EncodeBlock(out->data + out->len, (const unsigned char *)credentials.ptr,
                    (int)credentials.len);
    out->len += size;
    return buf_append_str(out, "\r\n");
}

bool http_connect_write(struct buf *out, struct slice host, uint16_t port, struct slice credentials)
{
    char authority[300];
    struct address address;
    struct slice unused;
    uint16_t same;
    size_t before = out->len;
    /* only a host with colons needs brackets, and what is none has no place in the line */
    bool brackets = address_parse_ipv6(host, &address);
    if (host.len >= sizeof authority - 10 || port == 0)
        return false;
    snprintf(authority, sizeof authority, brackets ? "[%.*s]:%u" : "%.*s:%u", SLICE_ARG(host),
             (unsigned)port);
    if (!uri_parse_authority(slice_of(authority), &unused, &same) || !slice_equal(unused, host))
        return false;
    bool ok = buf_printf(out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", authority, authority) &&
              (credentials.len == 0 || write_credentials(out, credentials)) &&
              buf_append_str(out, "\r\n");
    if (!ok)
        out->len = before;
    return ok;
}

bool http_connect_is_open(const struct http_head *answer)
{
    return answer->status / 100 == 2;
}
