/* The client's way to a connection: name to addresses (resolve.h), the race for the first that
 * answers (dial.h), a proxy if asked for (CONNECT, RFC 9110 section 9.3.6), TLS, the opening
 * handshake. What comes out is a struct conn in the client's role, like any other.
 *
 * One attempt, one answer: redirects and trying again are the caller's policy. */
#ifndef TIDEWIRE_NET_CONNECT_H
#define TIDEWIRE_NET_CONNECT_H

#include "net/conn.h"
#include "net/tls_client.h"
#include "wire/extension.h"
#include "wire/uri.h"

#define CONNECT_BODY_MAX 4096 /* bytes of the body of an answer that is not 101 */

enum connect_error {
    CONNECT_ERR_NAME = 1,  /* the host's or the proxy's name has no address */
    CONNECT_ERR_REFUSED,   /* no address took the connection; the text tells why for each */
    CONNECT_ERR_PROXY,     /* the proxy did not let us through */
    CONNECT_ERR_TLS,       /* certificate or TLS handshake; the text names the cause */
    CONNECT_ERR_STATUS,    /* the server answered another status than 101: see `answer` */
    CONNECT_ERR_HANDSHAKE, /* the answer breaks the protocol; the text names the field */
    CONNECT_ERR_LOST,      /* the connection ended before the answer was complete */
    CONNECT_ERR_TIMEOUT,   /* the text names the step that was not done in time */
    CONNECT_ERR_MEMORY,
    CONNECT_ERR_CANCELLED, /* the set is draining or being freed; of an attempt that begins during a
                              drain it is told after a moment, for who tries again and again */
};

struct connect_options {
    struct uri uri;        /* of uri_parse; with `unix_path` its host is for Host only */
    const char *unix_path; /* this socket, without proxy; NULL: TCP to uri's host and port */
    const struct slice *protocols; /* offered, in order; tokens, none twice */
    size_t protocol_count;
    struct slice fields;     /* further whole field lines, already checked */
    struct slice proxy_host; /* len 0: none */
    uint16_t proxy_port;
    struct slice proxy_credentials; /* "user:password", len 0: none */
    struct tls_client *tls;   /* for wss; the attempt takes a reference of its own. NULL for ws */
    struct slice server_name; /* name to verify and to send as SNI; len 0: the URI's host */
    const struct deflate_settings *compression; /* NULL: not offered */
    uint32_t timeout;                           /* ms for everything; 0: none */
    const struct conn_limits *limits; /* of the connection; borrowed, must outlive it. `head` and
                                         `headers` bound the server's answer too */
};

/* How an attempt ended. Slices live until `done` returns. */
struct connect_result {
    struct conn *conn; /* open; NULL: failed. Its first event comes after `done` has returned, so
                          that is the place for conn_set_owner: nobody else knows it */
    struct slice protocol;          /* one of options.protocols, len 0: none */
    const struct http_head *answer; /* the server's whole one; NULL when none came, or only the
                                       proxy's */
    struct slice body; /* of CONNECT_ERR_STATUS: the first CONNECT_BODY_MAX bytes of it, without
                          its chunks' framing; less when the rest did not come soon */
    enum connect_error error;
    const char *text; /* of a failure: one line, for people; names host, cause and advice. Never
                         credentials, path or query of the URI */
};

struct connect;

/* Starts an attempt. The options are copied but for what is said to be borrowed. `done` is called
 * once, from the loop at the end of a turn (or from conn_set_free, as `gone` is), never from within
 * connect_start; not after connect_cancel. Starting another attempt in `done` is fine. NULL:
 * memory short, or the set is being freed. */
struct connect *connect_start(struct conn_set *set, const struct connect_options *options,
                              void (*done)(void *context, const struct connect_result *result),
                              void *context);

/* Ends an attempt without a word. Not after `done` has returned; within it there is no effect. */
void connect_cancel(struct connect *c);

#endif
