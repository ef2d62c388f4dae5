/* Who has sent a request: the peer, or whom trusted proxies forward for. */
#include "bind/request.h"
#include "wire/forwarded.h"

/* X-Forwarded-Host, and host= of Forwarded, are not used. The Host that the proxy sends is checked
 * against Origin: a proxy that passes the client's Host on, as the same-origin rule wants it, needs
 * no second field, and a second field that many proxies pass on as the client has written it would
 * let a hostile page choose what its own origin is compared with. */
bool request_sender(const struct conn *c, const struct binding *b, struct request_sender *out)
{
    struct address peer = conn_address(c);
    struct slice bytes = conn_head(c);
    struct http_head head;
    struct forwarded found;
    *out = (struct request_sender){peer, conn_is_secure(c)};
    if (!network_list_has(&b->proxies, &peer))
        return true;
    http_parse_request(bytes.ptr, bytes.len, HTTP_HEADERS_MAX, &head); /* it did before */
    if (forwarded_find(&head, &peer, out->secure, &b->proxies, &found) == FORWARDED_CONFLICT)
        return false;
    *out = (struct request_sender){found.client, found.secure};
    return true;
}
