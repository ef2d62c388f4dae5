/* TLS 1.2 and later over OpenSSL, as a stream (stream.h). */
#ifndef TIDEWIRE_NET_TLS_H
#define TIDEWIRE_NET_TLS_H

#include "net/stream.h"

struct tls_context; /* certificate, key and settings; shared by the connections of a listener */

/* A server's context from PEM files: a certificate chain and its key. NULL on failure, with the
 * reason in `error`: which file, and what is wrong with it. A context made before a fork shares
 * its session-ticket keys with all the children. */
struct tls_context *tls_context_new(const char *cert_file, const char *key_file, char *error,
                                    size_t error_size);
void tls_context_free(struct tls_context *t);

/* A server's stream over a connected, non-blocking socket, which it owns from then on. The
 * handshake is still to be done. false: memory short; the socket is closed. */
bool tls_accept(struct stream *s, struct tls_context *t, int fd);

#endif
