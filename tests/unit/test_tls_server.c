#include "net/tls.h"

#include "tls_peer.h"

#include <signal.h>

struct setting {
    struct folder folder;
    struct identity first, second, authority, client;
    struct tls_settings settings;
    struct tls_tickets *tickets;
    struct tls_context *context;
};

static int set_up(void **state)
{
    struct setting *s = calloc(1, sizeof *s);
    s->folder = folder_new();
    s->authority = identity_new((struct wanted){.name = "Root", .authority = true});
    s->first = identity_new((struct wanted){.name = "1", .alternative = "DNS:a.example,IP:::1"});
    s->second = identity_new((struct wanted){.name = "2", .alternative = "DNS:*.b.example"});
    s->client = identity_new((struct wanted){
        .name = "alice", .alternative = "DNS:alice.example,IP:192.0.2.1", .issuer = &s->authority});
    struct path cert1 = write_cert(&s->folder, "1.pem", &s->first);
    struct path key1 = write_key(&s->folder, "1.key", &s->first);
    struct path cert2 = write_cert(&s->folder, "2.pem", &s->second);
    struct path key2 = write_key(&s->folder, "2.key", &s->second);
    struct path ca = write_cert(&s->folder, "ca.pem", &s->authority);
    assert_true(tls_settings_add(&s->settings, cert1.text, key1.text));
    assert_true(tls_settings_add(&s->settings, cert2.text, key2.text));
    s->settings.client_ca = strdup(ca.text);
    s->settings.client_optional = true;
    s->tickets = tls_tickets_new();
    s->context = tls_context_new(&s->settings, "wss://test", s->tickets);
    assert_non_null(s->context);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct setting *s = *state;
    tls_context_free(s->context);
    tls_tickets_free(s->tickets);
    tls_settings_free(&s->settings);
    identity_free(&s->first);
    identity_free(&s->second);
    identity_free(&s->authority);
    identity_free(&s->client);
    folder_remove(&s->folder);
    free(s);
    return 0;
}

static void load(struct setting *s)
{
    char error[512] = "";
    struct buf bytes = {0};
    if (!tls_context_read(s->context, &bytes, error, sizeof error))
        fail_msg("%s", error);
    struct slice left = {(const char *)bytes.data, bytes.len};
    if (!tls_context_prepare(s->context, &left, error, sizeof error))
        fail_msg("%s", error);
    assert_int_equal(left.len, 0);
    tls_wipe_bytes(&bytes);
    assert_null(bytes.data);
    tls_context_commit(s->context);
}

static struct stream talk(struct setting *s, SSL **client, const char *name, int *end)
{
    struct stream stream;
    int ends[2];
    socket_pair(ends);
    assert_true(tls_accept(&stream, s->context, ends[0]));
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_use_cert_and_key(ctx, s->client.cert, s->client.key, NULL, 1);
    *client = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_fd(*client, ends[1]);
    SSL_set_tlsext_host_name(*client, name);
    SSL_set_connect_state(*client);
    assert_int_equal(shake(&stream, *client), STREAM_OK);
    *end = ends[1];
    return stream;
}

static void hang_up(struct stream *stream, SSL *client, int end)
{
    stream->ops->close(stream);
    SSL_free(client);
    close(end);
}

/* A context that was made from files, and a client that sees one of its certificates. */
static void serves(void **state)
{
    struct setting *s = *state;
    const struct identity *wanted[] = {&s->first, &s->second, &s->first};
    const char *names[] = {"a.example", "x.b.example", "unknown.example"};
    load(s);
    for (int i = 0; i < 3; i++) {
        SSL *client;
        int end;
        struct stream stream = talk(s, &client, names[i], &end);
        assert_int_equal(X509_cmp(SSL_get0_peer_certificate(client), wanted[i]->cert), 0);
        hang_up(&stream, client, end);
    }
}

static void peer_certificate(void **state)
{
    struct setting *s = *state;
    struct buf subject = {0}, names = {0};
    struct tls_peer peer = {.subject = &subject, .names = &names};
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[65];
    unsigned n;
    SSL *client;
    int end;
    load(s);
    struct stream stream = talk(s, &client, "a.example", &end);
    assert_true(tls_peer_certificate(&stream, NULL));
    assert_true(tls_peer_certificate(&stream, &peer));
    assert_int_equal(subject.len, 8);
    assert_memory_equal(subject.data, "CN=alice", 8);
    assert_int_equal(names.len, 24);
    assert_memory_equal(names.data, "alice.example\n192.0.2.1\n", 24);
    X509_digest(s->client.cert, EVP_sha256(), digest, &n);
    for (unsigned i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(peer.fingerprint, hex);
    hang_up(&stream, client, end);
    buf_free(&subject);
    buf_free(&names);
    struct stream plain;
    stream_init(&plain, -1);
    assert_false(tls_peer_certificate(&plain, NULL));
}

static void describes(void **state)
{
    struct setting *s = *state;
    struct tls_description d;
    assert_false(tls_context_describe(s->context, 0, &d)); /* nothing is in use yet */
    load(s);
    assert_true(tls_context_describe(s->context, 0, &d));
    assert_string_equal(d.file, s->settings.pairs[0].cert);
    assert_string_equal(d.names, "a.example, ::1");
    assert_null(d.flaw);
    assert_true(tls_context_describe(s->context, 1, &d));
    assert_string_equal(d.names, "*.b.example");
    assert_false(tls_context_describe(s->context, 2, &d));
}

/* Bytes that are cut anywhere are refused, and what is in use stays. */
static void cut_bytes(void **state)
{
    struct setting *s = *state;
    char error[512];
    struct buf bytes = {0};
    load(s);
    assert_true(tls_context_read(s->context, &bytes, error, sizeof error));
    for (size_t n = 0; n < bytes.len; n += n % 7 + 1) {
        unsigned char *copy = malloc(n ? n : 1); /* ends where the sanitizer looks */
        memcpy(copy, bytes.data, n);
        struct slice left = {(const char *)copy, n};
        assert_false(tls_context_prepare(s->context, &left, error, sizeof error));
        free(copy);
    }
    tls_context_commit(s->context); /* of nothing */
    tls_wipe_bytes(&bytes);
    struct tls_description d;
    assert_true(tls_context_describe(s->context, 1, &d));
}

static void abandoned(void **state)
{
    struct setting *s = *state;
    char error[512];
    struct buf bytes = {0};
    struct tls_description d;
    assert_true(tls_context_read(s->context, &bytes, error, sizeof error));
    for (int i = 0; i < 2; i++) { /* what is prepared twice is there once */
        struct slice left = {(const char *)bytes.data, bytes.len};
        assert_true(tls_context_prepare(s->context, &left, error, sizeof error));
    }
    tls_context_abandon(s->context);
    tls_context_commit(s->context);
    assert_false(tls_context_describe(s->context, 0, &d));
    tls_wipe_bytes(&bytes);
}

/* Connections that are open when it changes keep what they have; the next ones get the new. */
static void changes_meanwhile(void **state)
{
    struct setting *s = *state;
    SSL *old, *fresh;
    char byte;
    size_t got;
    int old_end, fresh_end;
    load(s);
    struct stream before = talk(s, &old, "a.example", &old_end);
    struct identity next =
        identity_new((struct wanted){.name = "3", .alternative = "DNS:a.example"});
    write_cert(&s->folder, "1.pem", &next);
    write_key(&s->folder, "1.key", &next);
    load(s);
    struct stream after = talk(s, &fresh, "a.example", &fresh_end);
    assert_int_equal(X509_cmp(SSL_get0_peer_certificate(fresh), next.cert), 0);
    assert_int_equal(SSL_write(old, "x", 1), 1);
    assert_int_equal(before.ops->read(&before, &byte, 1, &got), STREAM_OK);
    hang_up(&before, old, old_end);
    hang_up(&after, fresh, fresh_end);
    identity_free(&next);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(serves),    TEST(peer_certificate), TEST(describes),
        TEST(cut_bytes), TEST(abandoned),        TEST(changes_meanwhile),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
