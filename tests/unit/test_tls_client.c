#include "net/tls_client.h"

#include "support.h"
#include "tls_peer.h"

#include <signal.h>
#include <time.h>

#define RUN(host, certificate, ...)                                                                \
    handshake((struct talk){.name = (host), .cert = (certificate), __VA_ARGS__})

static struct identity authority;

static int make_authority(void **state)
{
    (void)state;
    authority = identity_new((struct wanted){.name = "Root", .authority = true});
    return 0;
}

static int drop_authority(void **state)
{
    (void)state;
    identity_free(&authority);
    return 0;
}

struct talk {
    const char *name;               /* the host's */
    struct wanted cert;             /* the server's */
    struct tls_client_settings set; /* ca_file: the authority's when NULL */
    void (*server)(SSL_CTX *ctx);   /* further settings of the server */
    bool own;                       /* show a certificate */
};

static char told[1024]; /* by the last handshake that failed */

static SSL *new_server(const struct talk *t, const struct identity *id)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_cert_and_key(ctx, id->cert, id->key, NULL, 1), 1);
    if (t->server)
        t->server(ctx);
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_accept_state(ssl);
    return ssl;
}

/* The client's first read after the handshake: an alert to its certificate comes only then. */
static enum stream_status read_on(struct stream *s, SSL *server)
{
    char byte;
    size_t got;
    ERR_clear_error();
    SSL_write(server, "x", 1);
    return s->ops->read(s, &byte, 1, &got);
}

static enum stream_status handshake(struct talk t)
{
    struct folder f = folder_new();
    struct path ca = write_cert(&f, "ca.pem", &authority);
    struct identity id = identity_new(t.cert);
    struct path cert = write_cert(&f, "own.pem", &id), key = write_key(&f, "own.key", &id);
    struct stream s;
    int ends[2];
    socket_pair(ends);
    if (!t.set.ca_file)
        t.set.ca_file = ca.text;
    if (t.own) {
        t.set.cert_file = cert.text;
        t.set.key_file = key.text;
    }
    struct tls_client *client = tls_client_new(&t.set, told, sizeof told);
    assert_non_null(client);
    assert_true(tls_connect(&s, client, slice_of(t.name), ends[0]));
    tls_client_unref(client); /* the stream goes on without it */
    SSL *server = new_server(&t, &id);
    SSL_set_fd(server, ends[1]);
    enum stream_status status = shake(&s, server);
    if (status == STREAM_OK)
        status = read_on(&s, server);
    tls_client_explain(&s, told, sizeof told);
    s.ops->close(&s);
    SSL_free(server);
    close(ends[1]);
    identity_free(&id);
    folder_remove(&f);
    return status;
}

static void refused(enum stream_status status, const char *why)
{
    assert_string_equal(told, why);
    assert_int_equal(status, STREAM_ERROR);
}

/* --- names ------------------------------------------------------------------------------------ */

static struct wanted of_root(const char *alternative)
{
    return (struct wanted){.name = "localhost", .alternative = alternative, .issuer = &authority};
}

static void name_in_the_certificate(void **state)
{
    (void)state;
    assert_int_equal(RUN("a.example", of_root("DNS:a.example")), STREAM_OK);
    assert_int_equal(RUN("A.Example", of_root("DNS:b.example,DNS:a.example")), STREAM_OK);
    assert_int_equal(RUN("a.example.", of_root("DNS:a.example")), STREAM_OK);
    assert_int_equal(RUN("x.example", of_root("DNS:*.example")), STREAM_ERROR);
    assert_int_equal(RUN("x.a.example", of_root("DNS:*.a.example")), STREAM_OK);
    assert_int_equal(RUN("127.0.0.1", of_root("IP:127.0.0.1")), STREAM_OK);
    assert_int_equal(RUN("::1", of_root("IP:0:0:0:0:0:0:0:1")), STREAM_OK);
}

static void another_name(void **state)
{
    (void)state;
    refused(RUN("a.example", of_root("DNS:b.example,IP:127.0.0.1")),
            "the certificate is for b.example, 127.0.0.1, not a.example");
    refused(RUN("y.x.a.example", of_root("DNS:*.a.example")),
            "the certificate is for *.a.example, not y.x.a.example");
    refused(RUN("www.a.example", of_root("DNS:w*.a.example")),
            "the certificate is for w*.a.example, not www.a.example");
    refused(RUN("a.example", of_root("DNS:1.x,DNS:2.x,DNS:3.x,DNS:4.x,DNS:5.x,DNS:6.x,DNS:7.x")),
            "the certificate is for 1.x, 2.x, 3.x, 4.x, 5.x and 2 more, not a.example");
    /* an address is no name, and a name no address */
    refused(RUN("127.0.0.1", of_root("DNS:127.0.0.1")),
            "the certificate is for 127.0.0.1, not 127.0.0.1");
    refused(RUN("127.0.0.2", of_root("IP:127.0.0.1,DNS:a.example")),
            "the certificate is for 127.0.0.1, a.example, not 127.0.0.2");
    /* the subject names nobody */
    refused(RUN("localhost", of_root(NULL)),
            "the certificate names no host, so it is not for localhost");
}

static void impossible_names(void **state)
{
    (void)state;
    char error[256], text[300];
    struct tls_client_settings settings = {.no_verify = true};
    struct tls_client *client = tls_client_new(&settings, error, sizeof error);
    struct slice names[] = {slice_of(""), slice_of("."), {"a\0b", 3}, {text, 254}};
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct stream s;
        int ends[2];
        socket_pair(ends);
        assert_false(tls_connect(&s, client, names[i], ends[0]));
        assert_int_equal(write(ends[1], "x", 1), -1); /* the socket is closed */
        close(ends[1]);
    }
    tls_client_unref(client);
}

static char asked[256];

static int note_name(SSL *ssl, int *alert, void *context)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    (void)context;
    snprintf(asked, sizeof asked, "%s", name ? name : "nothing");
    return SSL_TLSEXT_ERR_OK;
}

static int note_protocols(SSL *ssl, const unsigned char **out, unsigned char *n,
                          const unsigned char *in, unsigned in_len, void *context)
{
    (void)ssl;
    (void)context;
    assert_int_equal(in_len, 9);
    assert_memory_equal(in, "\x08http/1.1", 9);
    *out = in + 1;
    *n = 8;
    return SSL_TLSEXT_ERR_OK;
}

static void note_hello(SSL_CTX *ctx)
{
    SSL_CTX_set_tlsext_servername_callback(ctx, note_name);
    SSL_CTX_set_alpn_select_cb(ctx, note_protocols, NULL);
}

static void what_is_sent(void **state)
{
    (void)state;
    assert_int_equal(RUN("a.example.", of_root("DNS:a.example"), .server = note_hello), STREAM_OK);
    assert_string_equal(asked, "a.example");
    assert_int_equal(RUN("::1", of_root("IP:0:0:0:0:0:0:0:1"), .server = note_hello), STREAM_OK);
    assert_string_equal(asked, "nothing");
}

/* --- certificates ----------------------------------------------------------------------------- */

static const char *day(long from_now)
{
    static char text[16];
    time_t then = time(NULL) + from_now;
    strftime(text, sizeof text, "%Y-%m-%d", gmtime(&then));
    return text;
}

static void dates(void **state)
{
    (void)state;
    char why[128];
    struct wanted w = of_root("DNS:a.example");
    w.from = -9 * DAY;
    w.until = -2 * DAY;
    snprintf(why, sizeof why, "the certificate has expired on %s", day(-2 * DAY));
    refused(RUN("a.example", w), why);
    w.from = 3 * DAY;
    w.until = 9 * DAY;
    snprintf(why, sizeof why, "the certificate is not valid before %s", day(3 * DAY));
    refused(RUN("a.example", w), why);
}

static void authorities(void **state)
{
    (void)state;
    struct identity other = identity_new((struct wanted){.name = "Other, Inc", .authority = true});
    struct wanted w = {.name = "a", .alternative = "DNS:a.example", .issuer = &other};
    refused(RUN("a.example", w), "the certificate is of an unknown authority (CN=Other\\, Inc)");
    w.issuer = NULL;
    refused(RUN("a.example", w), "the certificate is self-signed and not among the trusted ones");
    assert_int_equal(RUN("b.example", w, .set = {.no_verify = true}), STREAM_OK);
    w = of_root("DNS:a.example");
    w.usage = "clientAuth";
    refused(RUN("a.example", w), "the certificate is not meant for servers");
    identity_free(&other);
}

/* What a file of authorities names is trusted as it is. */
static void trusted_by_itself(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct identity other = identity_new((struct wanted){.name = "Other", .authority = true});
    struct identity middle =
        identity_new((struct wanted){.name = "Middle", .authority = true, .issuer = &other});
    struct path ca = write_cert(&f, "middle.pem", &middle);
    struct wanted w = {.name = "a", .alternative = "DNS:a.example", .issuer = &middle};
    assert_int_equal(RUN("a.example", w, .set = {.ca_file = ca.text}), STREAM_OK);
    identity_free(&middle);
    identity_free(&other);
    folder_remove(&f);
}

/* --- what the server says --------------------------------------------------------------------- */

static void only_old(SSL_CTX *ctx)
{
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
}

static void only_cbc(SSL_CTX *ctx)
{
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES256-SHA384");
}

static void want_certificate(SSL_CTX *ctx)
{
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), authority.cert);
}

static void want_certificate_1_2(SSL_CTX *ctx)
{
    want_certificate(ctx);
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
}

static void only_1_2(SSL_CTX *ctx)
{
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
}

static void versions_and_ciphers(void **state)
{
    (void)state;
    static const char refusal[] = "the server refuses the handshake: it has no cipher in common "
                                  "with us, or wants a client certificate";
    struct wanted w = of_root("DNS:a.example");
    assert_int_equal(RUN("a.example", w, .server = only_1_2), STREAM_OK);
    refused(RUN("a.example", w, .server = only_old),
            "the server has no version of TLS that we have (1.2 or 1.3)");
    refused(RUN("a.example", w, .server = only_cbc), refusal);
}

static void client_certificates(void **state)
{
    (void)state;
    struct wanted w = of_root("DNS:a.example");
    refused(RUN("a.example", w, .server = want_certificate),
            "the server wants a client certificate");
    assert_int_equal(RUN("a.example", w, .server = want_certificate, .own = true), STREAM_OK);
    assert_int_equal(RUN("a.example", w, .server = want_certificate_1_2, .own = true), STREAM_OK);
    assert_int_equal(RUN("a.example", w, .server = want_certificate_1_2), STREAM_ERROR);
    assert_non_null(strstr(told, "wants a client certificate"));
    w.issuer = NULL; /* our certificate is then one that nobody knows; so is the server's */
    refused(
        RUN("a.example", w, .set = {.no_verify = true}, .server = want_certificate, .own = true),
        "the server does not know the authority of our client certificate");
}

/* A peer that answers with these bytes, or ends at once. */
static void answered_by(const char *bytes, size_t n, const char *why)
{
    char error[256];
    struct tls_client_settings settings = {.no_verify = true};
    struct tls_client *client = tls_client_new(&settings, error, sizeof error);
    struct stream s;
    int ends[2];
    socket_pair(ends);
    assert_true(tls_connect(&s, client, slice_of("a.example"), ends[0]));
    assert_int_equal(s.ops->handshake(&s), STREAM_RETRY);
    assert_false(s.wants_write);
    assert_int_equal(write(ends[1], bytes, n), n);
    shutdown(ends[1], SHUT_WR);
    assert_int_equal(s.ops->handshake(&s), STREAM_ERROR);
    tls_client_explain(&s, told, sizeof told);
    assert_string_equal(told, why);
    s.ops->close(&s);
    close(ends[1]);
    tls_client_unref(client);
}

static void no_tls(void **state)
{
    (void)state;
    answered_by("", 0, "the server ended the connection in the TLS handshake");
    answered_by("\x16\x03\x03", 3, "the server ended the connection in the TLS handshake");
    answered_by("HTTP/1.1 400 Bad Request\r\n\r\n", 28, "what answers there does not speak TLS");
    answered_by("\x15\x03\x03\x00\x02\x02\x70", 7, "the server does not know that host name");
    answered_by("\x15\x03\x03\x00\x02\x02\x78", 7,
                "the server has no protocol in common with us (ALPN: http/1.1)");
}

/* --- settings --------------------------------------------------------------------------------- */

static void settings_refused(struct tls_client_settings settings, const char *format,
                             const char *file)
{
    char error[512];
    assert_null(tls_client_new(&settings, error, sizeof error));
    assert_told(error, format, file);
}

static void bad_files(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct identity a = identity_new((struct wanted){.name = "a"});
    struct identity b = identity_new((struct wanted){.name = "b"});
    struct path none = in_folder(&f, "none.pem"), text = write_text(&f, "text.pem", "garbage\n");
    struct path cert = write_cert(&f, "a.pem", &a), key = write_key(&f, "a.key", &a);
    struct path other = write_key(&f, "b.key", &b);
    settings_refused((struct tls_client_settings){.ca_file = none.text},
                     "cannot read the authorities' file \"FILE\": No such file or directory",
                     none.text);
    settings_refused((struct tls_client_settings){.ca_file = text.text},
                     "cannot use the authorities' file \"FILE\": it is no PEM file", text.text);
    settings_refused((struct tls_client_settings){.cert_file = text.text, .key_file = key.text},
                     "cannot use the certificate \"FILE\": it is no PEM file", text.text);
    settings_refused((struct tls_client_settings){.cert_file = cert.text, .key_file = text.text},
                     "cannot use the key \"FILE\": it is no key in PEM, or not a whole one",
                     text.text);
    settings_refused((struct tls_client_settings){.cert_file = cert.text, .key_file = other.text},
                     "cannot use the key \"FILE\": it is not the key of the first certificate in ",
                     other.text);
    settings_refused((struct tls_client_settings){.cert_file = cert.text, .key_file = f.path},
                     "cannot read the key \"FILE\": Is a directory", f.path);
    identity_free(&a);
    identity_free(&b);
    folder_remove(&f);
}

static void half_a_pair(void **state)
{
    (void)state;
    char error[256];
    struct tls_client_settings settings = {.cert_file = "x"};
    assert_null(tls_client_new(&settings, error, sizeof error));
    assert_string_equal(error, "a client's certificate needs both files, certificate and key");
}

static void settings_without_memory(void **state)
{
    (void)state;
    char error[256] = "what was there before";
    struct tls_client_settings settings = {.no_verify = true};
    allocations_fail_after(0);
    struct tls_client *t = tls_client_new(&settings, error, sizeof error);
    allocations_succeed();
    assert_null(t);
    assert_string_equal(error, "cannot set up TLS: out of memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_in_the_certificate),
        cmocka_unit_test(another_name),
        cmocka_unit_test(impossible_names),
        cmocka_unit_test(what_is_sent),
        cmocka_unit_test(dates),
        cmocka_unit_test(authorities),
        cmocka_unit_test(trusted_by_itself),
        cmocka_unit_test(versions_and_ciphers),
        cmocka_unit_test(client_certificates),
        cmocka_unit_test(no_tls),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(half_a_pair),
        cmocka_unit_test(settings_without_memory),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, make_authority, drop_authority);
}
