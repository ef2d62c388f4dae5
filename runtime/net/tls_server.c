#include "net/sni.h"
#include "net/tls.h"
#include "net/tls_impl.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct certificate {
    X509 *cert;
    EVP_PKEY *key;
    STACK_OF(X509) * rest; /* of the chain */
};

/* The certificates of a context, all read at one time. */
struct set {
    SSL_CTX *ctx;
    struct certificate *certificates;
    size_t count;
    struct sni names;
};

struct tls_context {
    struct tls_settings settings;
    char *scope;
    struct tls_tickets *tickets;
    struct set *current, *next;
};

/* --- choosing a certificate ------------------------------------------------------------------- */

/* Certificates of one name with keys of several types (RSA, ECDSA) are all offered; of one type the
 * first counts, so it is set last. */
static bool use(SSL *ssl, const struct set *set, const struct sni_entry *entries, size_t count)
{
    bool ok = true;
    SSL_certs_clear(ssl);
    for (size_t i = count; ok && i-- > 0;) {
        const struct certificate *c = &set->certificates[entries[i].certificate];
        ok = SSL_use_cert_and_key(ssl, c->cert, c->key, c->rest, 1) == 1;
    }
    return ok;
}

static int on_server_name(SSL *ssl, int *alert, void *context)
{
    const struct tls_context *t = context;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct sni_entry *entries;
    size_t count = name ? sni_find(&t->current->names, slice_of(name), &entries) : 0;
    if (!count)
        return SSL_TLSEXT_ERR_NOACK;
    if (use(ssl, t->current, entries, count))
        return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Answers http/1.1 when it is among the client's protocols. A client that offers only others
 * would not understand us. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned int in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, TLS_ALPN, sizeof TLS_ALPN, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* --- tickets ---------------------------------------------------------------------------------- */

static bool start_ticket(const struct tls_ticket_key *key, const unsigned char *iv,
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof key->mac),
        OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, sizeof digest - 1),
        OSSL_PARAM_END,
    };
    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, encrypt) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* What OpenSSL wants to know: -1 failed, 0 no such key (a full handshake follows), 1 done, 2 done,
 * and the client gets a ticket of a newer key. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypt)
{
    const struct tls_context *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct tls_ticket_key key;
    int age = tls_tickets_find(t->tickets, encrypt ? NULL : name, &key);
    if (age < 0)
        return 0;
    bool ok = !encrypt || RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1;
    ok = ok && start_ticket(&key, iv, cipher, mac, encrypt);
    if (encrypt)
        memcpy(name, key.name, sizeof key.name);
    OPENSSL_cleanse(&key, sizeof key);
    return !ok ? -1 : age > 0 ? 2 : 1;
}

/* --- a set of certificates -------------------------------------------------------------------- */

static void set_free(struct set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++) {
        X509_free(set->certificates[i].cert);
        EVP_PKEY_free(set->certificates[i].key);
        sk_X509_pop_free(set->certificates[i].rest, X509_free);
    }
    free(set->certificates);
    sni_free(&set->names);
    SSL_CTX_free(set->ctx); /* connections hold it too */
    free(set);
}

static bool configure(SSL_CTX *ctx, struct tls_context *t)
{
    if (!ctx || !tls_configure(ctx))
        return false;
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* what is sent is the chain of the file, nothing guessed from the authorities of clients */
    SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    SSL_CTX_set_app_data(ctx, t);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ctx, t);
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1;
}

static struct set *set_new(struct tls_context *t)
{
    struct set *set = calloc(1, sizeof *set);
    if (!set)
        return NULL;
    set->certificates = calloc(t->settings.count, sizeof *set->certificates);
    set->ctx = SSL_CTX_new(TLS_server_method());
    if (set->certificates && configure(set->ctx, t))
        return set;
    set_free(set);
    return NULL;
}

/* Sessions are for one listener and its policy alone: one that was begun without a certificate
 * must not be resumed where one is required. */
static bool limit_sessions(SSL_CTX *ctx, const struct tls_context *t, struct slice client_ca)
{
    unsigned char id[EVP_MAX_MD_SIZE];
    unsigned char policy = t->settings.client_optional;
    unsigned n = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(md, t->scope, strlen(t->scope) + 1) == 1 &&
              EVP_DigestUpdate(md, &policy, 1) == 1 &&
              EVP_DigestUpdate(md, client_ca.ptr, client_ca.len) == 1 &&
              EVP_DigestFinal_ex(md, id, &n) == 1 &&
              SSL_CTX_set_session_id_context(ctx, id, n) == 1;
    EVP_MD_CTX_free(md);
    return ok;
}

static bool use_client_ca(SSL_CTX *ctx, const struct tls_settings *settings,
                          const struct tls_source *source)
{
    STACK_OF(X509_NAME) *names = NULL;
    X509_STORE *store = tls_parse_authorities(source, &names);
    if (!store)
        return false;
    /* what is named as trusted is trusted, also when it is no root itself */
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_cert_store(ctx, store);
    SSL_CTX_set_client_CA_list(ctx, names);
    SSL_CTX_set_verify(
        ctx, SSL_VERIFY_PEER | (settings->client_optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT),
        NULL);
    return true;
}

struct naming {
    struct set *set;
    size_t certificate;
};

static bool add_name(void *context, struct slice name)
{
    struct naming *n = context;
    return sni_add(&n->set->names, name, n->certificate);
}

/* OpenSSL has rules of its own, as for the length of keys. The first one is for everybody without a
 * name that we have. */
static bool accepts(const struct set *set, const struct certificate *c)
{
    if (set->count == 1)
        return SSL_CTX_use_cert_and_key(set->ctx, c->cert, c->key, c->rest, 1) == 1;
    SSL *probe = SSL_new(set->ctx);
    bool ok = probe && SSL_use_cert_and_key(probe, c->cert, c->key, c->rest, 1) == 1;
    SSL_free(probe);
    return ok;
}

static bool add_certificate(struct set *set, const struct tls_source *cert,
                            const struct tls_source *key)
{
    struct certificate *c =
        &set->certificates[set->count++]; /* half of one is freed like a whole */
    if (!(c->cert = tls_parse_chain(cert, &c->rest)) || !(c->key = tls_parse_key(key)) ||
        !tls_check_pair(c->cert, c->key, cert, key) || !tls_check_kind(c->key, key))
        return false;
    if (!accepts(set, c)) {
        tls_refuse("certificate", cert);
        return false;
    }
    struct naming naming = {set, set->count - 1};
    return tls_each_name(c->cert, false, add_name, &naming);
}

/* --- bytes ------------------------------------------------------------------------------------ */

/* Each file as four bytes of length and its content, in the order of the settings: both sides have
 * the same. */
static bool append_file(const char *what, const char *file, struct buf *out, char *error,
                        size_t size)
{
    struct buf content = {0};
    bool ok = tls_read_file(what, file, &content, error, size);
    uint32_t n = (uint32_t)content.len;
    if (ok && !(tls_append(out, &n, sizeof n) && tls_append(out, content.data, content.len))) {
        snprintf(error, size, "cannot read the %s \"%s\": out of memory", what, file);
        ok = false;
    }
    tls_wipe_bytes(&content);
    return ok;
}

static bool take_file(struct slice *bytes, const char *file, struct tls_source *out)
{
    uint32_t n;
    if (bytes->len < sizeof n)
        return false;
    memcpy(&n, bytes->ptr, sizeof n);
    if (bytes->len - sizeof n < n)
        return false;
    out->file = file;
    out->pem = (struct slice){bytes->ptr + sizeof n, n};
    bytes->ptr += sizeof n + n;
    bytes->len -= sizeof n + n;
    return true;
}

bool tls_context_read(const struct tls_context *t, struct buf *out, char *error, size_t size)
{
    const struct tls_settings *s = &t->settings;
    bool ok = true;
    for (size_t i = 0; ok && i < s->count; i++)
        ok = append_file("certificate", s->pairs[i].cert, out, error, size) &&
             append_file("key", s->pairs[i].key, out, error, size);
    if (ok && s->client_ca)
        ok = append_file("authorities' file", s->client_ca, out, error, size);
    return ok;
}

static bool fill(struct set *set, struct tls_context *t, struct slice *bytes, char *error,
                 size_t size)
{
    struct tls_source cert = {.error = error, .error_size = size}, key = cert, ca = cert;
    const struct tls_settings *s = &t->settings;
    for (size_t i = 0; i < s->count; i++) {
        if (!take_file(bytes, s->pairs[i].cert, &cert) ||
            !take_file(bytes, s->pairs[i].key, &key) || !add_certificate(set, &cert, &key))
            return false;
    }
    if (s->client_ca && (!take_file(bytes, s->client_ca, &ca) || !use_client_ca(set->ctx, s, &ca)))
        return false;
    sni_sort(&set->names);
    return limit_sessions(set->ctx, t, ca.pem);
}

bool tls_context_prepare(struct tls_context *t, struct slice *bytes, char *error, size_t size)
{
    tls_context_abandon(t);
    snprintf(error, size, "cannot set up TLS: out of memory"); /* unless told otherwise below */
    struct set *set = set_new(t);
    bool ok = set && fill(set, t, bytes, error, size);
    ERR_clear_error();
    if (ok)
        t->next = set;
    else
        set_free(set);
    return ok;
}

/* --- contexts --------------------------------------------------------------------------------- */

struct tls_context *tls_context_new(const struct tls_settings *settings, const char *scope,
                                    struct tls_tickets *tickets)
{
    struct tls_context *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->tickets = tickets;
    t->scope = strdup(scope);
    if (t->scope && tls_settings_copy(&t->settings, settings))
        return t;
    tls_context_free(t);
    return NULL;
}

void tls_context_free(struct tls_context *t)
{
    if (!t)
        return;
    set_free(t->current);
    set_free(t->next);
    tls_settings_free(&t->settings);
    free(t->scope);
    free(t);
}

void tls_context_commit(struct tls_context *t)
{
    if (!t->next)
        return;
    set_free(t->current);
    t->current = t->next;
    t->next = NULL;
}

void tls_context_abandon(struct tls_context *t)
{
    set_free(t->next);
    t->next = NULL;
}

bool tls_context_describe(const struct tls_context *t, size_t i, struct tls_description *out)
{
    if (!t->current || i >= t->current->count)
        return false;
    X509 *cert = t->current->certificates[i].cert;
    *out = (struct tls_description){.file = t->settings.pairs[i].cert};
    tls_names_text(cert, out->names, sizeof out->names);
    tls_date_text(X509_get0_notAfter(cert), out->until);
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
        out->flaw = "has expired";
    else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
        out->flaw = "is not valid yet";
    else if (X509_check_purpose(cert, X509_PURPOSE_SSL_SERVER, 0) != 1)
        out->flaw = "is not meant for servers";
    return true;
}

/* --- streams ---------------------------------------------------------------------------------- */

bool tls_accept(struct stream *s, struct tls_context *t, int fd, bool told)
{
    SSL *ssl = SSL_new(t->current->ctx);
    if (ssl)
        SSL_set_accept_state(ssl);
    /* short of memory, nobody is told */
    struct tls_story *story = told ? calloc(1, sizeof *story + 1) : NULL;
    return tls_stream_init(s, ssl, story, fd);
}

/* Alerts of the peer have reasons of their own (RFC 8446 section 6.2). */
static const char *error_text(unsigned long error)
{
    switch (ERR_GET_REASON(error)) {
    case SSL_R_HTTP_REQUEST:
        return "it speaks HTTP, not TLS: ws instead of wss";
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
        return "it does not speak TLS";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        return "it has no version of TLS that we have (1.2 or 1.3)";
    case SSL_R_NO_SHARED_CIPHER:
        return "it has no cipher in common with us";
    case SSL_R_NO_APPLICATION_PROTOCOL:
        return "it has no protocol in common with us (ALPN: http/1.1)";
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return "it has shown no certificate, which `client_ca` asks for";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        return "it does not know the authority of our certificate";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return "it says that our certificate has expired";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        return "it refuses our certificate";
    default:
        return ERR_reason_error_string(error);
    }
}

void tls_explain(const struct stream *s, char *text, size_t size)
{
    static const char what[] = "the TLS handshake failed";
    const struct tls_story *story = SSL_get_app_data(s->state);
    long verdict = SSL_get_verify_result(s->state);
    const char *known = story && story->error ? error_text(story->error) : NULL;
    if (verdict != X509_V_OK)
        snprintf(text, size, "%s: its certificate is refused: %s", what,
                 X509_verify_cert_error_string(verdict));
    else if (story && story->ended)
        snprintf(text, size, "%s: the client has ended the connection", what);
    else if (story && story->system)
        snprintf(text, size, "%s: %s", what, strerror(story->system));
    else
        snprintf(text, size, "%s%s%s", what, known ? ": " : "", known ? known : "");
}
