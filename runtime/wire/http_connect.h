/* A tunnel through an HTTP proxy: CONNECT (RFC 9110 section 9.3.6), with Basic credentials (RFC
 * 7617). */
#ifndef TIDEWIRE_WIRE_HTTP_CONNECT_H
#define TIDEWIRE_WIRE_HTTP_CONNECT_H

#include "wire/http.h"

/* Appends the whole request for a tunnel to host and port. `host` is a name, an IPv4 address, or an
 * IPv6 one without brackets. `credentials` is "user:password", sent in base64; len 0: none. false,
 * and nothing appended: memory short, a host that is none, a port of 0, or credentials without ":"
 * or with a control character. What is appended holds the password: do not log it. */
bool http_connect_write(struct buf *out, struct slice host, uint16_t port,
                        struct slice credentials);

/* Is the tunnel open? Any 2xx says so; bytes behind that head belong to the tunnel, whatever its
 * Content-Length or Transfer-Encoding tell, which are to be ignored. */
bool http_connect_is_open(const struct http_head *answer);

#endif
