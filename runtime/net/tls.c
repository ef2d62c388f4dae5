#include "net/tls_impl.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TLS_RECORD_MAX 16384

/* AEAD and ECDHE only; TLS 1.3 has nothing else. */
static const char TLS12_CIPHERS[] = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL";

const unsigned char TLS_ALPN[9] = "\x08http/1.1";

bool tls_configure(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    /* A server's sessions resume by tickets; a cache would only grow. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, TLS12_CIPHERS) == 1;
}

static void remember(struct tls_story *story, int kind, int system)
{
    unsigned long error = ERR_peek_error(); /* the cause; what follows tells who noticed */
    bool is_lost = story && (story->system || story->ended);
    /* The first failure is the cause of the others. But a write that failed tells only that the
     * peer is gone: the alert in which it has said why may still be there to be read. */
    if (!story || story->error || (is_lost && ERR_GET_LIB(error) != ERR_LIB_SSL))
        return;
    story->error = error;
    story->system = kind == SSL_ERROR_SYSCALL ? system : 0;
    story->ended = kind == SSL_ERROR_ZERO_RETURN ||
                   (kind == SSL_ERROR_SYSCALL && !error && !system) ||
                   ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

/* What a call that did not succeed means. OpenSSL's error queue must be empty before the call. */
static enum stream_status judge(struct stream *s, int result)
{
    int system = errno;
    int kind = SSL_get_error(s->state, result);
    switch (kind) {
    case SSL_ERROR_WANT_READ:
        s->wants_write = false;
        return STREAM_RETRY;
    case SSL_ERROR_WANT_WRITE:
        s->wants_write = true;
        return STREAM_RETRY;
    case SSL_ERROR_ZERO_RETURN:
        remember(SSL_get_app_data(s->state), kind, 0);
        return STREAM_EOF;
    default:
        remember(SSL_get_app_data(s->state), kind, system);
        ERR_clear_error();
        /* after a fatal error no close_notify may be sent */
        SSL_set_quiet_shutdown(s->state, 1);
        errno = system;
        return STREAM_ERROR;
    }
}

static enum stream_status tls_handshake(struct stream *s)
{
    ERR_clear_error();
    errno = 0;
    int r = SSL_do_handshake(s->state);
    return r == 1 ? STREAM_OK : judge(s, r);
}

static enum stream_status tls_read(struct stream *s, void *bytes, size_t n, size_t *got)
{
    size_t total = 0;
    ERR_clear_error();
    errno = 0;
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
    errno = 0;
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

static void story_free(struct tls_story *story)
{
    if (story)
        free(story->verdict);
    free(story);
}

static void tls_close(struct stream *s)
{
    if (!(SSL_get_shutdown(s->state) & SSL_SENT_SHUTDOWN))
        tls_shutdown(s);
    story_free(SSL_get_app_data(s->state));
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

const struct stream_ops tls_ops = {
    .handshake = tls_handshake,
    .read = tls_read,
    .write = tls_write,
    .shutdown = tls_shutdown,
    .close = tls_close,
    .pending = tls_pending,
};

bool tls_stream_init(struct stream *s, SSL *ssl, struct tls_story *story, int fd)
{
    if (!ssl || SSL_set_fd(ssl, fd) != 1) {
        ERR_clear_error();
        SSL_free(ssl);
        story_free(story);
        close(fd);
        return false;
    }
    SSL_set_app_data(ssl, story);
    *s = (struct stream){.ops = &tls_ops, .state = ssl, .fd = fd};
    return true;
}
