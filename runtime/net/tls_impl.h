/* What the files of TLS share; OpenSSL's types stay in them. */
#ifndef TIDEWIRE_NET_TLS_IMPL_H
#define TIDEWIRE_NET_TLS_IMPL_H

#include "base/buf.h"
#include "base/slice.h"
#include "net/stream.h"

#include <openssl/ssl.h>

/* --- tls.c: the stream ------------------------------------------------------------------------ */

/* Why a handshake failed, for tls_client_explain and tls_explain. */
struct tls_story {
    unsigned long error; /* OpenSSL's first one; 0: none */
    int system;          /* errno; 0: none */
    bool ended;          /* the peer has ended the connection */
    char *verdict;       /* on the certificate; NULL: none */
    char name[];         /* of a client's: the host's, or its address */
};

/* A stream over an SSL that is ready for its handshake in either role. Both are the stream's from
 * then on, and so is `story` (NULL: nobody asks). false: memory short; all are released. */
bool tls_stream_init(struct stream *s, SSL *ssl, struct tls_story *story, int fd);

extern const struct stream_ops tls_ops; /* of these streams */

/* What client and server have in common. false: memory short. */
bool tls_configure(SSL_CTX *ctx);

/* "\x08http/1.1" */
extern const unsigned char TLS_ALPN[9];

/* --- tls_pem.c: certificates and keys --------------------------------------------------------- */

#define TLS_FILE_MAX (1024 * 1024) /* bytes of a PEM file */

/* Where a message goes, and whose bytes it is about. */
struct tls_source {
    const char *file;
    struct slice pem;
    char *error;
    size_t error_size;
};

/* Reads a whole file. `what` is "certificate" or the like, for the message. */
bool tls_read_file(const char *what, const char *file, struct buf *out, char *error, size_t size);
/* As buf_append, for keys: growing leaves no copy behind. To be released with tls_wipe_bytes. */
bool tls_append(struct buf *b, const void *bytes, size_t n);

/* Each tells in the message which file is wrong, and why. */
X509 *tls_parse_chain(const struct tls_source *source, STACK_OF(X509) * *rest);
EVP_PKEY *tls_parse_key(const struct tls_source *source);
/* The authorities of a file; `names` (may be NULL) gets their subjects. */
X509_STORE *tls_parse_authorities(const struct tls_source *source, STACK_OF(X509_NAME) * *names);
/* Says what is wrong with a file, from OpenSSL's errors. */
void tls_refuse(const char *what, const struct tls_source *source);
/* Is it the certificate's key? */
bool tls_check_pair(X509 *cert, EVP_PKEY *key, const struct tls_source *of_cert,
                    const struct tls_source *of_key);
/* Is it a key that ordinary clients can make use of? With others, every handshake would fail. */
bool tls_check_kind(const EVP_PKEY *key, const struct tls_source *of_key);

/* --- tls_certificate.c: what a certificate says ----------------------------------------------- */

/* Calls `each` with the DNS names, and with the addresses as text when `addresses`, in their order;
 * names that are no visible ASCII are left out. false: `each` has said so. */
bool tls_each_name(const X509 *cert, bool addresses, bool (*each)(void *context, struct slice name),
                   void *context);

/* "a.example, b.example and 3 more"; "" without names. */
void tls_names_text(const X509 *cert, char *text, size_t size);

void tls_date_text(const ASN1_TIME *time, char text[16]); /* 2026-11-22 */

/* A subject as in RFC 2253; false: memory short. */
bool tls_subject_text(const X509_NAME *name, struct buf *out);

#endif
