/* ws and wss URIs (RFC 6455 section 3, RFC 3986) and request targets. */
#ifndef TIDEWIRE_WIRE_URI_H
#define TIDEWIRE_WIRE_URI_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum uri_error {
    URI_ERR_SCHEME = -1,   /* no scheme that is known here, or no "://" behind it */
    URI_ERR_HOST = -2,     /* empty or malformed; user information is refused too */
    URI_ERR_PORT = -3,     /* no number from 1 to 65535, or with a leading zero */
    URI_ERR_PATH = -4,     /* a character that must be percent-encoded */
    URI_ERR_FRAGMENT = -5, /* "#": meaningless here, must be written %23 (section 3) */
    URI_ERR_ESCAPE = -6,   /* % without two hexadecimal digits, or %00 or %2F in a path */
    URI_ERR_DOTS = -7,     /* a segment "." or "..", encoded or not */
    URI_ERR_UTF8 = -8,     /* decoded path is no UTF-8 */
    URI_ERR_MEMORY = -9,
};

struct uri {
    bool secure;        /* wss or https */
    struct slice host;  /* an IPv6 literal without its brackets; empty in origin-form */
    bool host_is_ipv6;  /* written in brackets */
    uint16_t port;      /* 80 or 443 when not written; 0 in origin-form */
    struct slice path;  /* raw; "/" when empty */
    struct slice query; /* raw, without "?"; ptr NULL when there is none */
};

/* Splits "ws://host:port/path?query" (scheme in any case). Slices of `text`. 0 or enum uri_error.
 */
int uri_parse(struct slice text, struct uri *out);

/* Splits a request target: origin-form ("/path?query") or absolute-form with http, https, ws or
 * wss; its authority is then in host and port. "*" and the authority-form of CONNECT fail with
 * URI_ERR_SCHEME. More lenient than uri_parse, because browsers do not encode everything that RFC
 * 3986 asks for: | [ ] ^ may stand in the path, any visible ASCII and a lone % in the query. `#`
 * is refused. 0 or enum uri_error. */
int uri_parse_target(struct slice target, struct uri *out);

/* The one canonical form of a path, on which routes, files and handlers all agree: each segment
 * percent-decoded once, nothing collapsed, case kept, `;x` an ordinary character. Dot segments,
 * an encoded slash or NUL, and what is no UTF-8 are refused. Other control characters may be in
 * the result. Appends to `out`; `raw` starts with "/". 0 or enum uri_error, and then `out` is as
 * it was. */
int uri_canonical_path(struct slice raw, struct buf *out);

/* Walks "a=1&b": raw name and value (value empty without "="). Empty pieces, as in "a&&b", are
 * skipped. false at the end. */
bool uri_query_next(struct slice *rest, struct slice *name, struct slice *value);

/* Decodes percent escapes and "+" of a query part; malformed escapes stay as written. The result
 * may be any bytes. Appends; false: memory short. */
bool uri_query_decode(struct slice raw, struct buf *out);

/* host[:port] as in a Host field: a name of letters, digits, "-", "_" and dots between them (one
 * may end it), at most 255 bytes; an IPv4 address; or an [IPv6] one, whose brackets are left out
 * of `*host` (no name has a colon, so the two stay apart). `*port` is 0 when none is given. false
 * when malformed. */
bool uri_parse_authority(struct slice text, struct slice *host, uint16_t *port);

const char *uri_error_text(int error);

#endif
