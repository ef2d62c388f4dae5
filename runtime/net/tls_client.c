#include "net/tls_client.h"
#include "net/tls.h"
#include "net/tls_impl.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOST_MAX 253 /* characters of a name in the DNS */

struct tls_client {
    SSL_CTX *ctx;
    unsigned references;
};

/* --- settings --------------------------------------------------------------------------------- */

static bool use_authorities(SSL_CTX *ctx, const char *file, char *error, size_t size)
{
    struct buf pem = {0};
    X509_STORE *store = NULL;
    if (!file)
        return SSL_CTX_set_default_verify_paths(ctx) == 1;
    if (tls_read_file("authorities' file", file, &pem, error, size)) {
        struct slice bytes = {(const char *)pem.data, pem.len};
        store = tls_parse_authorities(&(struct tls_source){file, bytes, error, size}, NULL);
    }
    buf_free(&pem);
    if (!store)
        return false;
    /* what is named as trusted is trusted, also when it is no root itself */
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_cert_store(ctx, store);
    return true;
}

static bool use_pair(SSL_CTX *ctx, const struct tls_source *cert, const struct tls_source *key)
{
    STACK_OF(X509) *rest = NULL;
    X509 *x = tls_parse_chain(cert, &rest);
    EVP_PKEY *k = x ? tls_parse_key(key) : NULL;
    bool ok = k && tls_check_pair(x, k, cert, key);
    if (ok && SSL_CTX_use_cert_and_key(ctx, x, k, rest, 1) != 1) {
        snprintf(cert->error, cert->error_size, "cannot use the certificate \"%s\": %s", cert->file,
                 ERR_reason_error_string(ERR_peek_error()));
        ok = false;
    }
    X509_free(x);
    EVP_PKEY_free(k);
    sk_X509_pop_free(rest, X509_free);
    return ok;
}

static bool use_own_certificate(SSL_CTX *ctx, const char *cert, const char *key, char *error,
                                size_t size)
{
    struct buf c = {0}, k = {0};
    if (!cert && !key)
        return true;
    if (!cert || !key) {
        snprintf(error, size, "a client's certificate needs both files, certificate and key");
        return false;
    }
    bool ok = tls_read_file("certificate", cert, &c, error, size) &&
              tls_read_file("key", key, &k, error, size);
    if (ok) {
        struct slice cert_bytes = {(const char *)c.data, c.len};
        struct slice key_bytes = {(const char *)k.data, k.len};
        ok = use_pair(ctx, &(struct tls_source){cert, cert_bytes, error, size},
                      &(struct tls_source){key, key_bytes, error, size});
    }
    buf_free(&c);
    tls_wipe_bytes(&k);
    return ok;
}

static bool set_up(SSL_CTX *ctx, const struct tls_client_settings *settings, char *error,
                   size_t size)
{
    return tls_configure(ctx) && SSL_CTX_set_alpn_protos(ctx, TLS_ALPN, sizeof TLS_ALPN) == 0 &&
           (settings->no_verify || use_authorities(ctx, settings->ca_file, error, size)) &&
           use_own_certificate(ctx, settings->cert_file, settings->key_file, error, size);
}

static int on_verify(int ok, X509_STORE_CTX *store);

struct tls_client *tls_client_new(const struct tls_client_settings *settings, char *error,
                                  size_t error_size)
{
    struct tls_client *t = malloc(sizeof *t);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    snprintf(error, error_size, "cannot set up TLS: out of memory"); /* unless told otherwise */
    if (!t || !ctx || !set_up(ctx, settings, error, error_size)) {
        ERR_clear_error();
        SSL_CTX_free(ctx);
        free(t);
        return NULL;
    }
    SSL_CTX_set_verify(ctx, settings->no_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                       settings->no_verify ? NULL : on_verify);
    *t = (struct tls_client){ctx, 1};
    return t;
}

struct tls_client *tls_client_ref(struct tls_client *t)
{
    t->references++;
    return t;
}

void tls_client_unref(struct tls_client *t)
{
    if (!t || --t->references)
        return;
    SSL_CTX_free(t->ctx); /* connections hold it too */
    free(t);
}

/* --- a connection ----------------------------------------------------------------------------- */

static bool is_address(const char *name)
{
    struct in6_addr a;
    return inet_pton(AF_INET, name, &a) == 1 || inet_pton(AF_INET6, name, &a) == 1;
}

/* What is verified, and for a name what is asked for (SNI, RFC 6066 section 3: no address, no dot
 * at the end). */
static bool expect_name(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    /* names are in the certificate's alternative names, a subject's CN is none (RFC 9525) */
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (is_address(name))
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, name) == 1;
}

static struct tls_story *story_new(struct slice name)
{
    if (name.len && name.ptr[name.len - 1] == '.')
        name.len--;
    if (!name.len || name.len > HOST_MAX || memchr(name.ptr, 0, name.len))
        return NULL;
    struct tls_story *story = calloc(1, sizeof *story + name.len + 1);
    if (story)
        memcpy(story->name, name.ptr, name.len);
    return story;
}

bool tls_connect(struct stream *s, struct tls_client *t, struct slice name, int fd)
{
    struct tls_story *story = story_new(name);
    SSL *ssl = story ? SSL_new(t->ctx) : NULL;
    if (ssl && !expect_name(ssl, story->name)) {
        SSL_free(ssl);
        ssl = NULL;
    }
    if (ssl)
        SSL_set_connect_state(ssl);
    return tls_stream_init(s, ssl, story, fd);
}

/* --- what went wrong -------------------------------------------------------------------------- */

static void judge_name(char *text, size_t size, const X509 *cert, const char *wanted)
{
    char names[512];
    tls_names_text(cert, names, sizeof names);
    if (*names)
        snprintf(text, size, "the certificate is for %s, not %s", names, wanted);
    else
        snprintf(text, size, "the certificate names no host, so it is not for %s", wanted);
}

static void judge_issuer(char *text, size_t size, const X509 *cert)
{
    struct buf name = {0};
    if (cert && tls_subject_text(X509_get_issuer_name(cert), &name) && name.len)
        snprintf(text, size, "the certificate is of an unknown authority (%.*s)", (int)name.len,
                 (const char *)name.data);
    else
        snprintf(text, size, "the certificate is of an unknown authority");
    buf_free(&name);
}

static void judge_date(char *text, size_t size, int depth, const char *verb, const ASN1_TIME *date)
{
    char day[16] = "?";
    if (date)
        tls_date_text(date, day);
    snprintf(text, size, "the certificate%s %s %s", depth ? " of its authority" : "", verb, day);
}

static void judge_certificate(char *text, size_t size, X509_STORE_CTX *store, const char *wanted)
{
    X509 *cert = X509_STORE_CTX_get_current_cert(store), *leaf = X509_STORE_CTX_get0_cert(store);
    int error = X509_STORE_CTX_get_error(store), depth = X509_STORE_CTX_get_error_depth(store);
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        judge_date(text, size, depth, "has expired on", cert ? X509_get0_notAfter(cert) : NULL);
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        judge_date(text, size, depth, "is not valid before",
                   cert ? X509_get0_notBefore(cert) : NULL);
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        judge_name(text, size, leaf, wanted);
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        snprintf(text, size, "the certificate is self-signed and not among the trusted ones");
        break;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        judge_issuer(text, size, cert);
        break;
    case X509_V_ERR_INVALID_PURPOSE:
        snprintf(text, size, "the certificate%s is not meant for %s",
                 depth ? " of its authority" : "", depth ? "signing others" : "servers");
        break;
    default:
        snprintf(text, size, "the certificate is refused: %s",
                 X509_verify_cert_error_string(error));
    }
}

static int on_verify(int ok, X509_STORE_CTX *store)
{
    char text[1024];
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_story *story = ssl ? SSL_get_app_data(ssl) : NULL;
    if (!ok && story && !story->verdict) {
        judge_certificate(text, sizeof text, store, story->name);
        story->verdict = strdup(text);
    }
    return ok;
}

/* Alerts of the peer have reasons of their own (RFC 8446 section 6.2). */
static const char *error_text(unsigned long error)
{
    switch (ERR_GET_REASON(error)) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "the server wants a client certificate";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        return "the server does not know the authority of our client certificate";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return "the server says that our client certificate has expired";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
        return "the server refuses our client certificate";
    case SSL_R_TLSV1_UNRECOGNIZED_NAME:
        return "the server does not know that host name";
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
        return "the server has no version of TLS that we have (1.2 or 1.3)";
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return "the server refuses the handshake: it has no cipher in common with us, or wants a "
               "client certificate";
    case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
        return "the server has no protocol in common with us (ALPN: http/1.1)";
    case SSL_R_NO_APPLICATION_PROTOCOL:
        return "the server has chosen a protocol that was not offered (ALPN)";
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
        return "what answers there does not speak TLS";
    default:
        return NULL;
    }
}

void tls_client_explain(const struct stream *s, char *text, size_t size)
{
    const struct tls_story *story = SSL_get_app_data(s->state);
    const char *reason = story->error ? ERR_reason_error_string(story->error) : NULL;
    const char *known = ERR_GET_LIB(story->error) == ERR_LIB_SSL ? error_text(story->error) : NULL;
    if (story->verdict)
        snprintf(text, size, "%s", story->verdict);
    else if (known)
        snprintf(text, size, "%s", known);
    else if (story->ended)
        snprintf(text, size, "the server ended the connection in the TLS handshake");
    else if (story->system)
        snprintf(text, size, "the connection was lost in the TLS handshake: %s",
                 strerror(story->system));
    else if (reason && ERR_GET_REASON(story->error) >= SSL_AD_REASON_OFFSET)
        snprintf(text, size, "the server refuses the TLS handshake (%s)", reason);
    else
        snprintf(text, size, "the TLS handshake failed%s%s", reason ? ": " : "",
                 reason ? reason : "");
}

bool tls_client_lost(const struct stream *s)
{
    const struct tls_story *story = SSL_get_app_data(s->state);
    return !story->verdict && (story->ended || story->system);
}
