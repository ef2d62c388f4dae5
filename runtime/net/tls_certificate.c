/* What a certificate says of itself, as text. */
#include "net/tls.h"
#include "net/tls_impl.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define NAMES_SHOWN 5

static bool is_visible(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
            return false;
    return s.len > 0;
}

/* A name as text; len 0: it is none that is asked for. */
static struct slice name_text(const GENERAL_NAME *name, bool addresses, char room[INET6_ADDRSTRLEN])
{
    struct slice text = {"", 0};
    if (name->type == GEN_DNS) {
        text.ptr = (const char *)ASN1_STRING_get0_data(name->d.dNSName);
        text.len = (size_t)ASN1_STRING_length(name->d.dNSName);
        if (!is_visible(text))
            text.len = 0;
    } else if (name->type == GEN_IPADD && addresses) {
        int n = ASN1_STRING_length(name->d.iPAddress);
        if ((n == 4 || n == 16) &&
            inet_ntop(n == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress), room,
                      INET6_ADDRSTRLEN))
            text = slice_of(room);
    }
    return text;
}

bool tls_each_name(const X509 *cert, bool addresses, bool (*each)(void *context, struct slice name),
                   void *context)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool ok = true;
    for (int i = 0; ok && i < sk_GENERAL_NAME_num(names); i++) {
        char room[INET6_ADDRSTRLEN];
        struct slice text = name_text(sk_GENERAL_NAME_value(names, i), addresses, room);
        if (text.len)
            ok = each(context, text);
    }
    GENERAL_NAMES_free(names);
    return ok;
}

struct listing {
    char *text;
    size_t size, count;
};

static bool list_name(void *context, struct slice name)
{
    struct listing *l = context;
    size_t used = strlen(l->text);
    if (l->count++ < NAMES_SHOWN)
        snprintf(l->text + used, l->size - used, "%s%.*s", used ? ", " : "", SLICE_ARG(name));
    return true;
}

void tls_names_text(const X509 *cert, char *text, size_t size)
{
    struct listing l = {text, size, 0};
    *text = '\0';
    tls_each_name(cert, true, list_name, &l);
    size_t used = strlen(text);
    if (l.count > NAMES_SHOWN)
        snprintf(text + used, size - used, " and %zu more", l.count - NAMES_SHOWN);
}

void tls_date_text(const ASN1_TIME *time, char text[16])
{
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1 || !strftime(text, 16, "%Y-%m-%d", &tm))
        strcpy(text, "?");
}

bool tls_subject_text(const X509_NAME *name, struct buf *out)
{
    char *text;
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0;
    if (ok) {
        long n = BIO_get_mem_data(bio, &text);
        ok = n >= 0 && buf_append(out, text, (size_t)n);
    }
    BIO_free(bio);
    return ok;
}

/* --- the client's certificate ----------------------------------------------------------------- */

static bool append_name(void *context, struct slice name)
{
    struct buf *out = context;
    return buf_append(out, name.ptr, name.len) && buf_append_str(out, "\n");
}

bool tls_peer_certificate(const struct stream *s, struct tls_peer *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    X509 *cert = s->ops == &tls_ops ? SSL_get0_peer_certificate(s->state) : NULL;
    if (!cert || !out)
        return cert != NULL;
    if (X509_digest(cert, EVP_sha256(), digest, &n) != 1)
        return false;
    for (unsigned i = 0; i < n; i++)
        snprintf(out->fingerprint + 2 * i, 3, "%02x", digest[i]);
    return tls_subject_text(X509_get_subject_name(cert), out->subject) &&
           tls_each_name(cert, true, append_name, out->names);
}
