/* A client's TLS: the server's name and chain are verified unless told otherwise. */
#ifndef TIDEWIRE_NET_TLS_CLIENT_H
#define TIDEWIRE_NET_TLS_CLIENT_H

#include "base/slice.h"
#include "net/stream.h"

#include <stdbool.h>

struct tls_client_settings {
    const char *ca_file;   /* PEM of the authorities trusted instead of the system's; NULL: those */
    const char *cert_file; /* certificate and key to show when asked; NULL: none */
    const char *key_file;
    bool no_verify; /* accepts any certificate: for tests with self-signed ones */
};

struct tls_client; /* counted; shared by connections with the same settings */

/* NULL on failure, with the reason in `error`: which file, and what is wrong with it. */
struct tls_client *tls_client_new(const struct tls_client_settings *settings, char *error,
                                  size_t error_size);
struct tls_client *tls_client_ref(struct tls_client *t);
void tls_client_unref(struct tls_client *t);

/* A stream over a connected, non-blocking socket, which it owns from then on; the handshake is
 * still to be done. `name` is the host's name (sent as SNI, and verified) or address in numbers
 * (verified against the certificate's addresses, not sent). false: memory short or an impossible
 * name; the socket is closed. */
bool tls_connect(struct stream *s, struct tls_client *t, struct slice name, int fd);

/* After a handshake that answered STREAM_ERROR or STREAM_EOF: why, in words for people ("the
 * certificate has expired", "the certificate is for other.example, not example.org"). */
void tls_client_explain(const struct stream *s, char *text, size_t size);

/* After the same: was it only the connection that was lost, with nothing wrong in TLS? */
bool tls_client_lost(const struct stream *s);

#endif
