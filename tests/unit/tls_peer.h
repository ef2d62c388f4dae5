/* For the tests of TLS: certificates made on the spot, and the other side of a handshake over a
 * pair of sockets, written with OpenSSL alone. */
#ifndef TIDEWIRE_TESTS_UNIT_TLS_PEER_H
#define TIDEWIRE_TESTS_UNIT_TLS_PEER_H

#include "net/stream.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY 86400L

struct identity {
    X509 *cert;
    EVP_PKEY *key;
};

/* What a certificate is to say. Zero: self-signed, for a year from yesterday on. */
struct wanted {
    const char *name;              /* CN */
    const char *alternative;       /* "DNS:a.example,IP:127.0.0.1"; NULL: none */
    const char *usage;             /* "clientAuth"; NULL: any */
    long from, until;              /* seconds from now */
    const struct identity *issuer; /* NULL: itself */
    bool authority;
    const char *key; /* "RSA:1024", "ED25519", or the name of a curve; NULL: P-256 */
};

static inline void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(cert, e, -1), 1);
    X509_EXTENSION_free(e);
}

static inline EVP_PKEY *new_key(const char *kind)
{
    if (strncmp(kind, "RSA:", 4) == 0)
        return EVP_RSA_gen((unsigned)atoi(kind + 4));
    return strcmp(kind, "ED25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, kind) : EVP_EC_gen(kind);
}

static inline struct identity identity_new(struct wanted w)
{
    struct identity me = {X509_new(), new_key(w.key ? w.key : "P-256")};
    const struct identity *issuer = w.issuer ? w.issuer : &me;
    X509_NAME *name = X509_get_subject_name(me.cert);
    unsigned char serial[8];
    assert_non_null(me.key);
    X509_set_version(me.cert, 2);
    arc4random_buf(serial, sizeof serial);
    serial[0] &= 0x7F;
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(me.cert));
    BN_free(number);
    X509_gmtime_adj(X509_getm_notBefore(me.cert), w.from ? w.from : -DAY);
    X509_gmtime_adj(X509_getm_notAfter(me.cert), w.until ? w.until : 365 * DAY);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)w.name, -1, -1, 0);
    X509_set_issuer_name(me.cert, X509_get_subject_name(issuer->cert));
    X509_set_pubkey(me.cert, me.key);
    add_extension(me.cert, NID_basic_constraints, w.authority ? "critical,CA:TRUE" : "CA:FALSE");
    if (w.alternative)
        add_extension(me.cert, NID_subject_alt_name, w.alternative);
    if (w.usage)
        add_extension(me.cert, NID_ext_key_usage, w.usage);
    const EVP_MD *digest = EVP_PKEY_is_a(issuer->key, "ED25519") ? NULL : EVP_sha256();
    assert_true(X509_sign(me.cert, issuer->key, digest) > 0);
    return me;
}

static inline void identity_free(struct identity *i)
{
    X509_free(i->cert);
    EVP_PKEY_free(i->key);
    *i = (struct identity){0};
}

/* --- files ------------------------------------------------------------------------------------ */

/* A folder for the files of a test, and paths in it. */
struct folder {
    char path[64];
};

static inline struct folder folder_new(void)
{
    struct folder f = {"/tmp/tidewire-tls-XXXXXX"};
    assert_non_null(mkdtemp(f.path));
    return f;
}

struct path {
    char text[128];
};

static inline struct path in_folder(const struct folder *f, const char *name)
{
    struct path p;
    snprintf(p.text, sizeof p.text, "%s/%s", f->path, name);
    return p;
}

static inline struct path write_text(const struct folder *f, const char *name, const char *text)
{
    struct path p = in_folder(f, name);
    FILE *file = fopen(p.text, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return p;
}

static inline struct path write_cert(const struct folder *f, const char *name,
                                     const struct identity *i)
{
    struct path p = in_folder(f, name);
    FILE *file = fopen(p.text, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, i->cert), 1);
    fclose(file);
    return p;
}

static inline struct path write_key(const struct folder *f, const char *name,
                                    const struct identity *i)
{
    struct path p = in_folder(f, name);
    FILE *file = fopen(p.text, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, i->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    return p;
}

static inline void folder_remove(const struct folder *f)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", f->path);
    assert_int_equal(system(command), 0);
}

/* Is it the text, with the file's name in the place of FILE? A text that ends in a blank is only
 * the beginning. */
static inline void assert_told(const char *error, const char *format, const char *file)
{
    char expected[512];
    const char *mark = strstr(format, "FILE");
    assert_non_null(mark);
    snprintf(expected, sizeof expected, "%.*s%s%s", (int)(mark - format), format, file, mark + 4);
    size_t n = strlen(expected);
    if (expected[n - 1] == ' ' ? strncmp(error, expected, n) : strcmp(error, expected))
        fail_msg("\"%s\" is not \"%s\"", error, expected);
}

/* --- a handshake ------------------------------------------------------------------------------ */

static inline void socket_pair(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
}

/* Both sides in turn until neither gets on. What the stream's side has answered last. */
static inline enum stream_status shake(struct stream *s, SSL *other)
{
    enum stream_status status = STREAM_RETRY;
    for (int turn = 0; turn < 50; turn++) {
        if (status == STREAM_RETRY)
            status = s->ops->handshake(s);
        ERR_clear_error();
        if (!SSL_is_init_finished(other))
            SSL_do_handshake(other);
    }
    ERR_clear_error();
    return status;
}

#endif
