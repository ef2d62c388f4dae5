/* PEM files to certificates and keys, with messages that say which file is wrong, and why. */
#include "net/tls.h"
#include "net/tls_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- files ------------------------------------------------------------------------------------ */

void tls_wipe_bytes(struct buf *b)
{
    if (b->data)
        OPENSSL_cleanse(b->data, b->cap);
    buf_free(b);
}

bool tls_append(struct buf *b, const void *bytes, size_t n)
{
    if (b->cap - b->len < n) {
        struct buf larger = {0};
        if (n > SIZE_MAX / 2 - b->len || !buf_reserve(&larger, (b->len + n) * 2))
            return false;
        if (b->len)
            buf_append(&larger, b->data, b->len);
        tls_wipe_bytes(b);
        *b = larger;
    }
    return n == 0 || buf_append(b, bytes, n);
}

/* NULL: it is read; else why not. There is room for all of it from the start: growing would leave
 * copies of a key behind in freed memory. */
static const char *read_all(int fd, struct buf *out)
{
    struct stat st;
    if (fstat(fd, &st))
        return strerror(errno);
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? strerror(EISDIR) : "it is no regular file";
    if (st.st_size > TLS_FILE_MAX)
        return "it is larger than 1 MiB";
    size_t room = (size_t)st.st_size + 1; /* one more, to see its end */
    if (!buf_reserve(out, room))
        return strerror(ENOMEM);
    while (room) {
        ssize_t n = read(fd, out->data + out->len, room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? strerror(errno) : NULL;
        out->len += (size_t)n;
        room -= (size_t)n;
    }
    return "it is just being written; try again when it is whole";
}

bool tls_read_file(const char *what, const char *file, struct buf *out, char *error, size_t size)
{
    /* not waiting for a writer when somebody names a pipe */
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const char *why = fd < 0 ? strerror(errno) : read_all(fd, out);
    if (fd >= 0)
        close(fd);
    if (why)
        snprintf(error, size, "cannot read the %s \"%s\": %s", what, file, why);
    return !why;
}

/* --- messages --------------------------------------------------------------------------------- */

static void tell(const char *what, const struct tls_source *source, const char *reason)
{
    snprintf(source->error, source->error_size, "cannot use the %s \"%s\": %s", what, source->file,
             reason);
    ERR_clear_error();
}

/* What OpenSSL's errors mean to whoever has named the file; NULL: nothing better than their text.
 */
static const char *meaning(unsigned long code)
{
    switch (ERR_GET_LIB(code)) {
    case ERR_LIB_PEM:
        return ERR_GET_REASON(code) == PEM_R_NO_START_LINE ? "it is no PEM file"
                                                           : "it is cut off or damaged";
    case ERR_LIB_ASN1:
        return "it is damaged";
    case ERR_LIB_OSSL_DECODER:
        return "it is no key in PEM, or not a whole one";
    case ERR_LIB_PROV:
    case ERR_LIB_EVP:
        return "it is encrypted or damaged; a key without a passphrase is needed";
    case ERR_LIB_SSL:
        return ERR_GET_REASON(code) == SSL_R_EE_KEY_TOO_SMALL
                   ? "its key is too short; RSA takes 2048 bits or more"
                   : NULL;
    default:
        return NULL;
    }
}

void tls_refuse(const char *what, const struct tls_source *source)
{
    unsigned long code = ERR_peek_error(); /* the cause; what follows tells who noticed */
    const char *reason = meaning(code);
    if (!reason)
        reason = ERR_reason_error_string(code);
    tell(what, source, reason ? reason : "unknown error");
}

static bool at_end_of_file(void)
{
    unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

/* --- parsing ---------------------------------------------------------------------------------- */

/* Nobody is there to ask for the passphrase of an encrypted key. */
static int no_passphrase(char *out, int size, int writing, void *context)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)context;
    return 0;
}

static BIO *open_pem(const struct tls_source *source)
{
    ERR_clear_error();
    return BIO_new_mem_buf(source->pem.ptr, (int)source->pem.len);
}

/* All certificates of a file, at least one. */
static STACK_OF(X509) * parse_all(const char *what, const struct tls_source *source)
{
    BIO *bio = open_pem(source);
    STACK_OF(X509) *all = sk_X509_new_null();
    X509 *cert = NULL;
    bool ok = bio && all;
    while (ok && (cert = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL)))
        ok = sk_X509_push(all, cert) > 0;
    if (ok && sk_X509_num(all) > 0 && at_end_of_file()) {
        ERR_clear_error();
    } else {
        if (!ok)
            X509_free(cert);
        tls_refuse(what, source);
        sk_X509_pop_free(all, X509_free);
        all = NULL;
    }
    BIO_free(bio);
    return all;
}

X509 *tls_parse_chain(const struct tls_source *source, STACK_OF(X509) * *rest)
{
    *rest = parse_all("certificate", source);
    return *rest ? sk_X509_shift(*rest) : NULL;
}

EVP_PKEY *tls_parse_key(const struct tls_source *source)
{
    BIO *bio = open_pem(source);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    if (key)
        ERR_clear_error(); /* of formats that were tried in vain */
    else
        tls_refuse("key", source);
    BIO_free(bio);
    return key;
}

bool tls_check_pair(X509 *cert, EVP_PKEY *key, const struct tls_source *of_cert,
                    const struct tls_source *of_key)
{
    char reason[1024];
    if (X509_check_private_key(cert, key) == 1)
        return true;
    snprintf(reason, sizeof reason, "it is not the key of the first certificate in \"%s\"",
             of_cert->file);
    tell("key", of_key, reason);
    return false;
}

bool tls_check_kind(const EVP_PKEY *key, const struct tls_source *of_key)
{
    static const char *const kinds[] = {"RSA", "RSA-PSS", "ED25519", "ED448"};
    static const char *const curves[] = {"prime256v1", "secp384r1", "secp521r1"};
    char curve[64] = "";
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (EVP_PKEY_is_a(key, kinds[i]))
            return true;
    EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL);
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (strcmp(curve, curves[i]) == 0)
            return true;
    tell(
        "key", of_key,
        "clients know no keys of its kind; take RSA, Ed25519, or ECDSA with P-256, P-384 or P-521");
    return false;
}

static bool add_authority(X509_STORE *store, X509 *cert, STACK_OF(X509_NAME) * names)
{
    if (X509_STORE_add_cert(store, cert) != 1)
        return false;
    X509_NAME *name = names ? X509_NAME_dup(X509_get_subject_name(cert)) : NULL;
    if (names && (!name || sk_X509_NAME_push(names, name) <= 0)) {
        X509_NAME_free(name);
        return false;
    }
    return true;
}

X509_STORE *tls_parse_authorities(const struct tls_source *source, STACK_OF(X509_NAME) * *names)
{
    STACK_OF(X509) *all = parse_all("authorities' file", source);
    if (!all)
        return NULL;
    X509_STORE *store = X509_STORE_new();
    bool ok = store != NULL;
    if (ok && names)
        ok = (*names = sk_X509_NAME_new_null()) != NULL;
    for (int i = 0; ok && i < sk_X509_num(all); i++)
        ok = add_authority(store, sk_X509_value(all, i), names ? *names : NULL);
    sk_X509_pop_free(all, X509_free);
    if (ok)
        return store;
    tell("authorities' file", source, "out of memory");
    X509_STORE_free(store);
    if (names) {
        sk_X509_NAME_pop_free(*names, X509_NAME_free);
        *names = NULL;
    }
    return NULL;
}
