#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TLS_RECORD_MAX 16384

struct tls_context {
    SSL_CTX *ctx;
};

/* AEAD and ECDHE only; TLS 1.3 has nothing else. */
static const char TLS12_CIPHERS[] = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL";

static const unsigned char ALPN_HTTP11[] = "\x08http/1.1";

/* Answers http/1.1 when it is among the client's protocols. A client that offers only others
 * would not understand us. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned int in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, ALPN_HTTP11, sizeof ALPN_HTTP11 - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* A server cannot ask anybody for the passphrase of an encrypted key. */
static int no_passphrase(char *out, int size, int writing, void *context)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)context;
    return 0;
}

static bool configure(SSL_CTX *ctx)
{
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    /* Sessions resume by tickets; a cache would only grow. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, TLS12_CIPHERS) == 1;
}

static void explain(const char *what, const char *file, char *error, size_t size)
{
    unsigned long code = ERR_peek_error(); /* the cause; what follows tells who noticed */
    const char *reason = ERR_reason_error_string(code);
    if (ERR_SYSTEM_ERROR(code))
        reason = strerror(ERR_GET_REASON(code));
    else if (ERR_GET_LIB(code) == ERR_LIB_X509 &&
             ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH)
        reason = "it is not the certificate's key";
    else if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE)
        reason = "it is no PEM file";
    else if (ERR_GET_LIB(code) == ERR_LIB_OSSL_DECODER)
        reason = "it is no key in PEM";
    else if (ERR_GET_LIB(code) == ERR_LIB_PROV || ERR_GET_LIB(code) == ERR_LIB_EVP)
        reason = "it is encrypted or damaged; a server needs a key without a passphrase";
    snprintf(error, size, "cannot use the %s \"%s\": %s", what, file,
             reason ? reason : "unknown error");
    ERR_clear_error();
}

/* OpenSSL reports a missing file as an error of PEM; the system's own words are clearer. */
static bool readable(const char *what, const char *file, char *error, size_t size)
{
    if (access(file, R_OK) == 0)
        return true;
    snprintf(error, size, "cannot read the %s \"%s\": %s", what, file, strerror(errno));
    return false;
}

static bool load_files(SSL_CTX *ctx, const char *cert, const char *key, char *error, size_t size)
{
    if (!readable("certificate", cert, error, size) || !readable("key", key, error, size))
        return false;
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1) {
        explain("certificate", cert, error, size);
        return false;
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
        explain("key", key, error, size);
        return false;
    }
    return true;
}

struct tls_context *tls_context_new(const char *cert_file, const char *key_file, char *error,
                                    size_t error_size)
{
    struct tls_context *t = calloc(1, sizeof *t);
    if (t)
        t->ctx = SSL_CTX_new(TLS_server_method());
    if (!t || !t->ctx || !configure(t->ctx)) {
        snprintf(error, error_size, "cannot set up TLS: out of memory");
        tls_context_free(t);
        return NULL;
    }
    if (!load_files(t->ctx, cert_file, key_file, error, error_size)) {
        tls_context_free(t);
        return NULL;
    }
    return t;
}

void tls_context_free(struct tls_context *t)
{
    if (!t)
        return;
    SSL_CTX_free(t->ctx);
    free(t);
}

/* What a call that did not succeed means. OpenSSL's error queue must be empty before the call. */
static enum stream_status judge(struct stream *s, int result)
{
    switch (SSL_get_error(s->state, result)) {
    case SSL_ERROR_WANT_READ:
        s->wants_write = false;
        return STREAM_RETRY;
    case SSL_ERROR_WANT_WRITE:
        s->wants_write = true;
        return STREAM_RETRY;
    case SSL_ERROR_ZERO_RETURN:
        return STREAM_EOF;
    default:
        ERR_clear_error();
        /* after a fatal error no close_notify may be sent */
        SSL_set_quiet_shutdown(s->state, 1);
        return STREAM_ERROR;
    }
}

static enum stream_status tls_handshake(struct stream *s)
{
    ERR_clear_error();
    int r = SSL_accept(s->state);
    return r == 1 ? STREAM_OK : judge(s, r);
}

static enum stream_status tls_read(struct stream *s, void *bytes, size_t n, size_t *got)
{
    size_t total = 0;
    ERR_clear_error();
    while (total < n) {
        size_t piece;
        int r = SSL_read_ex(s->state, (char *)bytes + total, n - total, &piece);
        if (r == 1) {
            total += piece;
            continue;
        }
        if (total)
            break; /* the reason comes again with the next call */
        return judge(s, r);
    }
    *got = total;
    return STREAM_OK;
}

/* Gathers small parts into one record: a record for each would cost a cipher run each. */
static enum stream_status tls_write(struct stream *s, const struct iovec *parts, int count,
                                    size_t *sent)
{
    unsigned char record[TLS_RECORD_MAX];
    const void *bytes = parts[0].iov_base;
    size_t n = parts[0].iov_len;
    if (n < sizeof record && count > 1) {
        n = 0;
        for (int i = 0; i < count && n < sizeof record; i++) {
            size_t room = sizeof record - n;
            size_t piece = parts[i].iov_len < room ? parts[i].iov_len : room;
            memcpy(record + n, parts[i].iov_base, piece);
            n += piece;
        }
        bytes = record;
    }
    ERR_clear_error();
    int r = SSL_write_ex(s->state, bytes, n, sent);
    if (r == 1)
        return STREAM_OK;
    enum stream_status status = judge(s, r);
    /* Only a peer that stops in the middle of a KeyUpdate makes a write wait for reading. Waiting
     * for a writable socket would then spin. */
    return status == STREAM_RETRY && !s->wants_write ? STREAM_ERROR : status;
}

static void tls_shutdown(struct stream *s)
{
    ERR_clear_error();
    if (SSL_is_init_finished(s->state))
        SSL_shutdown(s->state);
    ERR_clear_error();
    shutdown(s->fd, SHUT_WR);
}

static void tls_close(struct stream *s)
{
    if (!(SSL_get_shutdown(s->state) & SSL_SENT_SHUTDOWN))
        tls_shutdown(s);
    SSL_free(s->state);
    s->state = NULL;
    close(s->fd);
    s->fd = -1;
}

static bool tls_pending(const struct stream *s)
{
    /* reading goes on until nothing is left, but the peer's end, read along with the last bytes
     * before it, has not been told: no readiness will */
    return SSL_get_shutdown(s->state) & SSL_RECEIVED_SHUTDOWN;
}

static const struct stream_ops tls_ops = {
    .handshake = tls_handshake,
    .read = tls_read,
    .write = tls_write,
    .shutdown = tls_shutdown,
    .close = tls_close,
    .pending = tls_pending,
};

bool tls_accept(struct stream *s, struct tls_context *t, int fd)
{
    SSL *ssl = SSL_new(t->ctx);
    if (!ssl || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        close(fd);
        return false;
    }
    *s = (struct stream){.ops = &tls_ops, .state = ssl, .fd = fd};
    return true;
}
