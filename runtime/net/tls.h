/* A server's TLS, 1.2 and later, over OpenSSL: certificates chosen by the name that a client asks
 * for, client certificates, session tickets, and new certificates while it serves. */
#ifndef TIDEWIRE_NET_TLS_H
#define TIDEWIRE_NET_TLS_H

#include "base/buf.h"
#include "base/slice.h"
#include "net/stream.h"
#include "net/tls_tickets.h"

/* --- settings --------------------------------------------------------------------------------- */

struct tls_pair { /* names of PEM files */
    char *cert;   /* the certificate, and the rest of its chain */
    char *key;
};

struct tls_settings {
    struct tls_pair *pairs; /* `count` of them; the first is for who asks for no name we have */
    size_t count;
    char *client_ca; /* file of the authorities of clients; NULL: clients show no certificate */
    bool client_optional;
};

/* Copies the names. false: memory short. */
bool tls_settings_add(struct tls_settings *s, const char *cert, const char *key);
bool tls_settings_copy(struct tls_settings *to, const struct tls_settings *from);
void tls_settings_free(struct tls_settings *s);

/* --- contexts --------------------------------------------------------------------------------- */

/* Certificates, keys and settings of a listener. Connections keep what it has when they begin; only
 * one by name is chosen when the client has told the name, of those that are in use by then. It
 * must outlive the handshakes of its connections. */
struct tls_context;

/* Without certificates yet. `scope` tells listeners apart: a session of one is not resumed at
 * another. `settings` are copied. NULL: memory short. */
struct tls_context *tls_context_new(const struct tls_settings *settings, const char *scope,
                                    struct tls_tickets *tickets);
void tls_context_free(struct tls_context *t);

/* New certificates in three steps, so that many contexts in many processes change together or not
 * at all. `read` appends the content of all files of the settings to `out` (which has keys in it:
 * see tls_wipe_bytes). `prepare` takes that off the front of `bytes`, and checks it: certificates
 * and keys are whole and belong together. `commit` cannot fail; `abandon` forgets what is prepared.
 * false: `error` says which file is wrong, and why. */
bool tls_context_read(const struct tls_context *t, struct buf *out, char *error, size_t size);
bool tls_context_prepare(struct tls_context *t, struct slice *bytes, char *error, size_t size);
void tls_context_commit(struct tls_context *t);
void tls_context_abandon(struct tls_context *t);

void tls_wipe_bytes(struct buf *b); /* overwrites, then releases */

/* What certificate `i` of those in use says, for people; false: there are no more. */
struct tls_description {
    const char *file;
    char names[512];
    char until[16];   /* 2026-11-22 */
    const char *flaw; /* "has expired", why else clients will not like it; NULL: none */
};
bool tls_context_describe(const struct tls_context *t, size_t i, struct tls_description *out);

/* A server's stream over a connected, non-blocking socket, which it owns from then on. The
 * handshake is still to be done. false: memory short; the socket is closed. `told`: tls_explain may
 * be asked. */
bool tls_accept(struct stream *s, struct tls_context *t, int fd, bool told);

/* Why such a stream's handshake has failed, in words for the log; before the stream is closed. */
void tls_explain(const struct stream *s, char *text, size_t size);

/* --- the client's certificate ----------------------------------------------------------------- */

/* Both buffers are the caller's. */
struct tls_peer {
    struct buf *subject;  /* is appended, as in RFC 2253: "CN=alice,O=Example" */
    struct buf *names;    /* DNS names and addresses are, each with a line feed */
    char fingerprint[65]; /* SHA-256 in hexadecimal digits */
};

/* After the handshake. false: the client has shown none (or none was asked for, or the stream is no
 * TLS), or memory is short. What is shown has been verified. `out` may be NULL, to ask only. */
bool tls_peer_certificate(const struct stream *s, struct tls_peer *out);

#endif
