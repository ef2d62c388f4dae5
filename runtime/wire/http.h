/* HTTP/1.1 heads (RFC 9112), as strict as an opening handshake needs: RFC 6455 section 4.
 * Parsing takes slices of the caller's bytes and allocates nothing. */
#ifndef TIDEWIRE_WIRE_HTTP_H
#define TIDEWIRE_WIRE_HTTP_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEADERS_MAX 100        /* room in struct http_head; the limit in force may be lower */
#define HTTP_UNTIL_CLOSE UINT64_MAX /* a body that ends with the connection */

enum http_error {
    HTTP_ERR_LINE = -1,     /* 400: request or status line malformed */
    HTTP_ERR_NEWLINE = -2,  /* 400: bare CR or bare LF, or NUL; or not one whole head */
    HTTP_ERR_HEADER = -3,   /* 400: obs-fold, space before the colon, bad name or value */
    HTTP_ERR_HEADERS = -4,  /* 431: more than max_headers fields */
    HTTP_ERR_VERSION = -5,  /* 505: not HTTP/1.1 (a request in HTTP/1.0 is refused too) */
    HTTP_ERR_LENGTH = -6,   /* 400: Content-Length malformed, twice or with Transfer-Encoding */
    HTTP_ERR_ENCODING = -7, /* 501: Transfer-Encoding: no request body is read that way */
    HTTP_ERR_HOST = -8,     /* 400: Host missing, twice or malformed */
};

struct http_header {
    struct slice name, value; /* value without surrounding white space */
};

/* A request's or a response's head; slices of the bytes that were parsed. */
struct http_head {
    struct slice method, target; /* of a request */
    unsigned status;             /* of a response: 100 to 999 */
    unsigned minor;              /* of a response: 0 for HTTP/1.0, else 1 */
    struct slice reason;         /* of a response; may be empty */
    size_t header_count;
    struct http_header headers[HTTP_HEADERS_MAX];
};

/* Looks for the end of a head (the empty line) in the n bytes that have arrived so far.
 * `*scanned` is where to go on and starts as 0: each byte is looked at once however the head is
 * chopped. Returns the head's size, 0 when more bytes are needed, or HTTP_ERR_NEWLINE as soon as
 * a bare CR, a bare LF or a NUL has arrived; asked again, it answers the same. Empty lines before
 * a request line are not skipped: the head then ends there and http_parse_request refuses it. */
long http_head_end(const char *bytes, size_t n, size_t *scanned);

/* Parses a whole head of a request, the n bytes that http_head_end told: method, target,
 * HTTP/1.1, fields. `max_headers` above HTTP_HEADERS_MAX counts as that. Host must be there
 * exactly once and be a valid authority. Returns 0 or an enum http_error, and then `*out` is not
 * to be read. The target is taken as visible ASCII and not judged further (uri.h does). */
int http_parse_request(const char *head, size_t n, size_t max_headers, struct http_head *out);

/* The same for a response's head, without the rule for Host. A status line that ends behind the
 * status code, without space and reason, is taken; and so is HTTP/1.0, in which many a proxy
 * answers CONNECT and many a server an error (handshake_client.h refuses it with a 101). */
int http_parse_response(const char *head, size_t n, size_t max_headers, struct http_head *out);

/* A 1xx that is not 101: another head follows, the answer itself or one more of these (RFC 9110
 * section 15.2). Nothing bounds their number but the receiver. */
bool http_is_interim(const struct http_head *response);

/* The status with which a server answers an enum http_error, and a short text for its body. */
unsigned http_error_status(int error);
const char *http_error_text(int error);

/* The first field of this name (any case), or NULL. */
const struct http_header *http_find(const struct http_head *head, const char *name);
size_t http_count(const struct http_head *head, const char *name);

/* Bytes of a request's body as Content-Length tells, 0 without one. Returns 0, HTTP_ERR_LENGTH,
 * or HTTP_ERR_ENCODING when there is a Transfer-Encoding. */
int http_body_length(const struct http_head *head, uint64_t *length);

/* Bytes of the body of a response to GET (RFC 9112 section 6.3): 0 after 1xx, 204 and 304, else as
 * Content-Length tells, else HTTP_UNTIL_CLOSE. Returns 0 or an error as http_body_length does. */
int http_response_length(const struct http_head *response, uint64_t *length);

/* Walks a comma-separated list, e.g. `Connection: keep-alive, Upgrade`. `*rest` starts as the
 * value; each call takes one element (trimmed; empty ones are skipped, quoted strings are kept
 * whole) and answers false at the end. */
bool http_list_next(struct slice *rest, struct slice *element);

/* Does any field of this name have this token in its list (any case)? */
bool http_has_token(const struct http_head *head, const char *name, const char *token);

/* Without the spaces and tabs around it. */
struct slice http_trim(struct slice s);

bool http_is_token(struct slice s);       /* RFC 9110 section 5.6.2 */
bool http_is_field_value(struct slice s); /* no CR, LF, NUL or other control but tab */

/* "Not Found" for 404; "Unknown" for a status without a registered phrase. */
const char *http_status_text(unsigned status);

/* Append a status line, and a field line. false, and nothing appended: memory short, or a name or
 * a value that http_is_token or http_is_field_value refuses (ask them first to tell which). */
bool http_write_status(struct buf *out, unsigned status);
bool http_write_header(struct buf *out, const char *name, struct slice value);

#endif
