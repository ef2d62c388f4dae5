#include "net/tls.h"
#include "net/tls_impl.h"

#include "tls_peer.h"

#include <signal.h>
#include <sys/stat.h>

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
    assert_true(tls_accept(&stream, s->context, ends[0], false));
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

/* --- what is wrong with files ------------------------------------------------------------------
 */

/* "": nothing; else what is said against the files of a server with one certificate. */
static void judge(const char *cert, const char *key, char *error, size_t size)
{
    struct tls_settings settings = {0};
    struct buf bytes = {0};
    *error = '\0';
    assert_true(tls_settings_add(&settings, cert, key));
    struct tls_context *context = tls_context_new(&settings, "wss://test", NULL);
    assert_non_null(context);
    bool ok = tls_context_read(context, &bytes, error, size);
    struct slice left = {(const char *)bytes.data, bytes.len};
    ok = ok && tls_context_prepare(context, &left, error, size);
    assert_int_equal(ERR_peek_error(), 0);
    if (ok)
        *error = '\0';
    else
        assert_true(*error);
    tls_wipe_bytes(&bytes);
    tls_context_free(context);
    tls_settings_free(&settings);
}

static void judged_key(const char *cert, const char *key, const char *why)
{
    char error[512];
    judge(cert, key, error, sizeof error);
    assert_told(error, why, key);
}

static void judged_cert(const char *cert, const char *key, const char *why)
{
    char error[512];
    judge(cert, key, error, sizeof error);
    assert_told(error, why, cert);
}

static void kinds_of_keys(void **state)
{
    static const char unknown[] = "cannot use the key \"FILE\": clients know no keys of its kind; "
                                  "take RSA, Ed25519, or ECDSA with P-256, P-384 or P-521";
    static const char too_short[] =
        "cannot use the certificate \"FILE\": its key is too short; RSA takes 2048 bits or more";
    static const char *const good[] = {"RSA:2048", "ED25519", "P-256", "P-384", "P-521"};
    static const char *const bad[] = {"secp256k1", "P-224", "brainpoolP256r1"};
    struct setting *s = *state;
    char error[512];
    for (size_t i = 0; i < 9; i++) {
        const char *kind = i < 5 ? good[i] : i < 8 ? bad[i - 5] : "RSA:1024";
        struct identity a = identity_new((struct wanted){.name = "a", .key = kind});
        struct path cert = write_cert(&s->folder, "a.pem", &a);
        struct path key = write_key(&s->folder, "a.key", &a);
        judge(cert.text, key.text, error, sizeof error);
        if (i < 5)
            assert_string_equal(error, "");
        else
            assert_told(error, i < 8 ? unknown : too_short, i < 8 ? key.text : cert.text);
        identity_free(&a);
    }
}

static void files_that_are_none(void **state)
{
    struct setting *s = *state;
    const char *cert = s->settings.pairs[0].cert, *key = s->settings.pairs[0].key;
    struct path large = write_text(&s->folder, "large", ""), pipe = in_folder(&s->folder, "pipe");
    struct path device = in_folder(&s->folder, "device");
    assert_int_equal(truncate(large.text, (1 << 20) + 1), 0);
    assert_int_equal(mkfifo(pipe.text, 0600), 0);
    assert_int_equal(symlink("/dev/zero", device.text), 0);
    judged_key(cert, large.text, "cannot read the key \"FILE\": it is larger than 1 MiB");
    judged_key(cert, pipe.text, "cannot read the key \"FILE\": it is no regular file");
    judged_cert(device.text, key, "cannot read the certificate \"FILE\": it is no regular file");
    judged_cert(s->folder.path, key, "cannot read the certificate \"FILE\": Is a directory");
    assert_int_equal(truncate(large.text, 1 << 20), 0);
    judged_key(cert, large.text,
               "cannot use the key \"FILE\": it is no key in PEM, or not a whole one");
}

static void encrypted_keys(void **state)
{
    struct setting *s = *state;
    struct path path = in_folder(&s->folder, "encrypted.key");
    for (int i = 0; i < 2; i++) {
        BIO *file = BIO_new_file(path.text, "w");
        assert_non_null(file);
        assert_int_equal(
            (i ? PEM_write_bio_PrivateKey : PEM_write_bio_PrivateKey_traditional)(
                file, s->first.key, EVP_aes_128_cbc(), (const unsigned char *)"x", 1, NULL, NULL),
            1);
        BIO_free(file);
        judged_key(s->settings.pairs[0].cert, path.text,
                   "cannot use the key \"FILE\": it is encrypted or damaged; a key without a "
                   "passphrase is needed");
    }
}

/* Files that are cut off anywhere, as by somebody who is writing them. */
static void cut_files(void **state)
{
    struct setting *s = *state;
    const char *cert = s->settings.pairs[0].cert, *key = s->settings.pairs[0].key;
    struct path chain = in_folder(&s->folder, "chain.pem"), cut = in_folder(&s->folder, "cut");
    char command[512], error[512];
    struct buf text = {0};
    snprintf(command, sizeof command, "cat %s %s >%s", cert, s->settings.client_ca, chain.text);
    assert_int_equal(system(command), 0);
    const char *whole[] = {chain.text, key};
    for (int which = 0; which < 2; which++) {
        assert_true(tls_read_file("file", whole[which], &text, error, sizeof error));
        assert_true(buf_append(&text, "", 1));
        const char *all = (const char *)text.data, *end = strstr(all, "-----END ");
        size_t first = (size_t)(strstr(end + 1, "-----") - all) + 5; /* of the first block */
        for (size_t n = 0; n < text.len; n++) {
            FILE *file = fopen(cut.text, "w");
            assert_non_null(file);
            fwrite(text.data, 1, n, file);
            fclose(file);
            judge(which ? cert : cut.text, which ? cut.text : key, error, sizeof error);
            /* at the end of a block, and until the next one has begun, nothing is missing */
            bool whole_blocks = (n >= first && n < first + 28) || n + 2 >= text.len;
            if (whole_blocks != !*error)
                fail_msg("%zu bytes: \"%s\"", n, error);
        }
        buf_free(&text);
    }
}

static void chain_in_the_wrong_order(void **state)
{
    struct setting *s = *state;
    const char *cert = s->settings.pairs[0].cert, *key = s->settings.pairs[0].key;
    struct path chain = in_folder(&s->folder, "chain.pem");
    char command[512], error[512], expected[512];
    snprintf(command, sizeof command, "cat %s %s >%s", s->settings.client_ca, cert, chain.text);
    assert_int_equal(system(command), 0);
    judge(chain.text, key, error, sizeof error);
    snprintf(expected, sizeof expected,
             "cannot use the key \"%s\": it is not the key of the first certificate in \"%s\"", key,
             chain.text);
    assert_string_equal(error, expected);
}

/* Used, but with a word about it. */
static void flaws(void **state)
{
    struct setting *s = *state;
    struct tls_description d;
    const struct {
        struct wanted wanted;
        const char *flaw;
    } all[] = {{{.name = "a"}, NULL},
               {{.name = "a", .usage = "serverAuth"}, NULL},
               {{.name = "a", .usage = "clientAuth"}, "is not meant for servers"},
               {{.name = "a", .until = -1}, "has expired"},
               {{.name = "a", .from = DAY}, "is not valid yet"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct identity a = identity_new(all[i].wanted);
        write_cert(&s->folder, "1.pem", &a);
        write_key(&s->folder, "1.key", &a);
        load(s);
        assert_true(tls_context_describe(s->context, 0, &d));
        if (all[i].flaw)
            assert_string_equal(d.flaw, all[i].flaw);
        else
            assert_null(d.flaw);
        identity_free(&a);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(serves),
        TEST(peer_certificate),
        TEST(describes),
        TEST(cut_bytes),
        TEST(abandoned),
        TEST(changes_meanwhile),
        TEST(kinds_of_keys),
        TEST(files_that_are_none),
        TEST(encrypted_keys),
        TEST(cut_files),
        TEST(chain_in_the_wrong_order),
        TEST(flaws),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
