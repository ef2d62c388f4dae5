/* wire/extension: offers and answers of permessage-deflate, legal and illegal, for both roles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"
#include "wire/extension.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define P "permessage-deflate"

static const struct deflate_settings shared = DEFLATE_SETTINGS_DEFAULT;
static const struct deflate_settings takeover = {.takeover = true, .window_bits = 15, .level = 6};
static const struct deflate_settings small = {.takeover = true, .window_bits = 10, .level = 6};
static const struct deflate_settings smallest = {.window_bits = 8, .level = 6};

/* A head with one field for each line of `values`, against guard pages; NULL: no such field. */
struct heads {
    struct http_head head;
    unsigned char *copies[8];
    size_t lengths[8], count;
};

static void add_field(struct heads *h, const char *name, const char *value, size_t n)
{
    unsigned char *copy = guard_copy(value, n);
    h->copies[h->count] = copy;
    h->lengths[h->count++] = n;
    h->head.headers[h->head.header_count++] =
        (struct http_header){slice_of(name), {(char *)copy, n}};
}

static struct heads *make_head(const char *values)
{
    static struct heads h;
    h = (struct heads){.count = 0};
    add_field(&h, "Host", "tide.example", 12);
    while (values) {
        const char *end = strchr(values, '\n');
        size_t n = end ? (size_t)(end - values) : strlen(values);
        add_field(&h, h.count % 2 ? "Sec-WebSocket-Extensions" : "sec-websocket-extensions", values,
                  n);
        values = end ? end + 1 : NULL;
    }
    add_field(&h, "Origin", "https://tide.example", 20);
    return &h;
}

static void free_head(struct heads *h)
{
    for (size_t i = 0; i < h->count; i++)
        guard_free(h->copies[i], h->lengths[i]);
}

static bool same_params(struct deflate_params a, struct deflate_params b)
{
    return a.server_takeover == b.server_takeover && a.client_takeover == b.client_takeover &&
           a.server_bits == b.server_bits && a.client_bits == b.client_bits;
}

/* --- server ------------------------------------------------------------------------------- */

#define BOTH_NO "; server_no_context_takeover; client_no_context_takeover"

static const struct offer {
    const char *offer;
    const struct deflate_settings *want;
    const char *answer; /* NULL: none */
    struct deflate_params agreed;
} offers[] = {
    /* what clients send: browsers, and others */
    {P, &shared, P BOTH_NO, {false, false, 15, 15}},
    {P "; client_max_window_bits", &shared, P BOTH_NO, {false, false, 15, 15}},
    {P "; client_max_window_bits", &takeover, P, {true, true, 15, 15}},
    {P, &takeover, P, {true, true, 15, 15}},
    /* no_context_takeover */
    {P "; server_no_context_takeover",
     &takeover,
     P "; server_no_context_takeover",
     {false, true, 15, 15}},
    {P "; client_no_context_takeover",
     &takeover,
     P "; client_no_context_takeover",
     {true, false, 15, 15}},
    {P BOTH_NO, &takeover, P BOTH_NO, {false, false, 15, 15}},
    {P BOTH_NO, &shared, P BOTH_NO, {false, false, 15, 15}},
    {P "; client_no_context_takeover; server_no_context_takeover",
     &shared,
     P BOTH_NO,
     {false, false, 15, 15}},
    /* windows of the server */
    {P "; server_max_window_bits=15",
     &takeover,
     P "; server_max_window_bits=15",
     {true, true, 15, 15}},
    {P "; server_max_window_bits=9",
     &takeover,
     P "; server_max_window_bits=9",
     {true, true, 9, 15}},
    {P "; server_max_window_bits=8",
     &takeover,
     P "; server_max_window_bits=8",
     {true, true, 8, 15}},
    {P "; server_max_window_bits=12",
     &small,
     P "; server_max_window_bits=10",
     {true, true, 10, 15}},
    {P "; server_max_window_bits=9", &small, P "; server_max_window_bits=9", {true, true, 9, 15}},
    /* windows of the client: only asked for when it can be */
    {P "; client_max_window_bits=15", &takeover, P, {true, true, 15, 15}},
    {P "; client_max_window_bits=9",
     &takeover,
     P "; client_max_window_bits=9",
     {true, true, 15, 9}},
    {P "; client_max_window_bits=8; server_max_window_bits=8",
     &takeover,
     P "; server_max_window_bits=8; client_max_window_bits=8",
     {true, true, 8, 8}},
    {P, &small, P "; server_max_window_bits=10", {true, true, 10, 15}},
    {P "; client_max_window_bits",
     &small,
     P "; server_max_window_bits=10; client_max_window_bits=10",
     {true, true, 10, 10}},
    {P "; client_max_window_bits=9",
     &small,
     P "; server_max_window_bits=10; client_max_window_bits=9",
     {true, true, 10, 9}},
    {P "; client_max_window_bits=11",
     &small,
     P "; server_max_window_bits=10; client_max_window_bits=10",
     {true, true, 10, 10}},
    {P "; client_max_window_bits",
     &smallest,
     P BOTH_NO "; server_max_window_bits=8; client_max_window_bits=8",
     {false, false, 8, 8}},
    /* how it may be written */
    {"Permessage-DEFLATE;Server_No_Context_Takeover",
     &takeover,
     P "; server_no_context_takeover",
     {false, true, 15, 15}},
    {" \t" P " ; server_max_window_bits = 10\t; client_max_window_bits =\t\"11\" ",
     &takeover,
     P "; server_max_window_bits=10; client_max_window_bits=11",
     {true, true, 10, 11}},
    {P "; server_max_window_bits=\"10\"",
     &takeover,
     P "; server_max_window_bits=10",
     {true, true, 10, 15}},
    {P "; server_max_window_bits=\"\\1\\0\"",
     &takeover,
     P "; server_max_window_bits=10",
     {true, true, 10, 15}},
    /* several offers: the first legal one */
    {P "; server_max_window_bits=9, " P,
     &takeover,
     P "; server_max_window_bits=9",
     {true, true, 9, 15}},
    {P "; nonsense, " P "; server_max_window_bits=9, " P,
     &takeover,
     P "; server_max_window_bits=9",
     {true, true, 9, 15}},
    {P "; server_max_window_bits=16\n" P "; server_max_window_bits=14\n" P,
     &takeover,
     P "; server_max_window_bits=14",
     {true, true, 14, 15}},
    {"x-webkit-deflate-frame; no_context_takeover; max_window_bits=\"8\", mux; a; a=\"b\"; c=d\n"
     ",," P ",, ,",
     &takeover,
     P,
     {true, true, 15, 15}},
    {"\n" P, &takeover, P, {true, true, 15, 15}}, /* one list, of which a part is empty */
    /* other extensions only, or no field at all */
    {NULL, &takeover, NULL, {0}},
    {"permessage-bzip2", &takeover, NULL, {0}},
    {P "-frame, x" P, &takeover, NULL, {0}},
    {"permessage; deflate=" P, &takeover, NULL, {0}},
    /* nothing is wanted */
    {P, NULL, NULL, {0}},
    {NULL, NULL, NULL, {0}},
    /* illegal, and skipped: parameters unknown, twice, with or without value */
    {P "; no_context_takeover", &takeover, NULL, {0}},
    {P "; server_no_context_takeover=1", &takeover, NULL, {0}},
    {P "; server_no_context_takeover=true", &takeover, NULL, {0}},
    {P "; client_no_context_takeover=10", &takeover, NULL, {0}},
    {P "; client_no_context_takeover=\"a\"", &takeover, NULL, {0}},
    {P "; server_no_context_takeover; server_no_context_takeover", &takeover, NULL, {0}},
    {P "; client_no_context_takeover; Client_No_Context_Takeover", &takeover, NULL, {0}},
    {P "; server_max_window_bits=10; server_max_window_bits=10", &takeover, NULL, {0}},
    {P "; client_max_window_bits; client_max_window_bits=10", &takeover, NULL, {0}},
    {P "; client_max_window_bits=9; client_max_window_bits", &takeover, NULL, {0}},
    {P "; server_max_window_bits", &takeover, NULL, {0}},
    {P "; unknown, " P "; server_max_window_bits, " P "; a=b", &takeover, NULL, {0}},
    /* values: 8 to 15, in digits without zeros in front */
    {P "; server_max_window_bits=7", &takeover, NULL, {0}},
    {P "; server_max_window_bits=16", &takeover, NULL, {0}},
    {P "; server_max_window_bits=0", &takeover, NULL, {0}},
    {P "; server_max_window_bits=08", &takeover, NULL, {0}},
    {P "; server_max_window_bits=\"08\"", &takeover, NULL, {0}},
    {P "; server_max_window_bits=010", &takeover, NULL, {0}},
    {P "; server_max_window_bits=+9", &takeover, NULL, {0}},
    {P "; server_max_window_bits=-9", &takeover, NULL, {0}},
    {P "; server_max_window_bits=\"+9\"", &takeover, NULL, {0}},
    {P "; server_max_window_bits=0x9", &takeover, NULL, {0}},
    {P "; server_max_window_bits=9.0", &takeover, NULL, {0}},
    {P "; server_max_window_bits=1e1", &takeover, NULL, {0}},
    {P "; server_max_window_bits='9'", &takeover, NULL, {0}},
    {P "; server_max_window_bits=100", &takeover, NULL, {0}},
    {P "; server_max_window_bits=1000", &takeover, NULL, {0}},
    {P "; server_max_window_bits=4294967305", &takeover, NULL, {0}}, /* 2^32 + 9 */
    {P "; server_max_window_bits=265", &takeover, NULL, {0}},        /* 2^8 + 9 */
    {P "; client_max_window_bits=7", &takeover, NULL, {0}},
    {P "; client_max_window_bits=16", &takeover, NULL, {0}},
    {P "; client_max_window_bits=08", &takeover, NULL, {0}},
    {P "; client_max_window_bits=0", &takeover, NULL, {0}},
    {P "; client_max_window_bits=x", &takeover, NULL, {0}},
};

static void check_offer(const struct offer *o)
{
    struct heads *h = make_head(o->offer);
    struct deflate_params agreed = {0};
    struct buf answer = {0};
    assert_true(buf_append_str(&answer, "before"));
    int rc = extension_accept(&h->head, o->want, &agreed, &answer);
    const char *where = o->offer ? o->offer : "no field";
    if (rc != (o->answer != NULL))
        fail_msg("%s: %d", where, rc);
    const char *expected = o->answer ? o->answer : "";
    if (answer.len != 6 + strlen(expected) ||
        memcmp(answer.data + 6, expected, strlen(expected)) != 0)
        fail_msg("%s: answered %.*s", where, (int)answer.len, (char *)answer.data);
    if (rc && !same_params(agreed, o->agreed))
        fail_msg("%s: agreed %d %d %d %d", where, agreed.server_takeover, agreed.client_takeover,
                 agreed.server_bits, agreed.client_bits);
    buf_free(&answer);
    free_head(h);
}

static void test_offers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(offers); i++)
        check_offer(&offers[i]);
}

static void test_all_window_bits(void **state)
{
    (void)state; /* offered and wanted, 8 to 15 each: the smaller one */
    for (unsigned i = 0; i < 64; i++) {
        unsigned offered = 8 + i / 8, wanted = 8 + i % 8;
        unsigned least = offered < wanted ? offered : wanted;
        struct deflate_settings want = {.takeover = true, .window_bits = (uint8_t)wanted};
        char offer[100], answer[100];
        snprintf(offer, sizeof offer, P "; client_max_window_bits=%u; server_max_window_bits=%u",
                 offered, offered);
        int n = snprintf(answer, sizeof answer, P "; server_max_window_bits=%u", least);
        if (least < 15)
            snprintf(answer + n, sizeof answer - (size_t)n, "; client_max_window_bits=%u", least);
        check_offer(
            &(struct offer){offer, &want, answer, {true, true, (uint8_t)least, (uint8_t)least}});
    }
}

/* "... the recipient of such malformed data MUST immediately Fail the WebSocket Connection" */
static const char *const malformed[] = {
    "",
    " ",
    ",",
    ", ,\n,",
    ";",
    P ";",
    P "; ",
    P "; ;",
    P ";, " P,
    P "; =9",
    P "; server_max_window_bits=",
    P "; server_max_window_bits=,",
    P "; server_max_window_bits==9",
    P "; server_max_window_bits=\"\"",
    P "; server_max_window_bits=\"9 \"",
    P "; server_max_window_bits=\" 9\"",
    P "; server_max_window_bits=\"9",
    P "; server_max_window_bits=\"9\\",
    P "; server_max_window_bits=\"9\\\"",
    P "; server_max_window_bits=\"9\"10",
    P "; server_max_window_bits=9\"\"",
    P "; server_max_window_bits=\"9\";",
    P "; server_max_window_bits=9 10",
    P "; server_max_window_bits=(9)",
    P "; server max window bits=9",
    P " server_no_context_takeover",
    P "=9",
    P "/9",
    "\"" P "\"",
    "permessage deflate",
    P "; a=\"b c\"", /* also in parameters and extensions that nobody knows */
    "other; a=\"b, c\", " P,
    P ", other; a=",
    P ", @",
    P "\nother;",
    P "; caf\xC3\xA9",
    P "; a=\xFF",
    "\x80",
    "{" P "}",
};

static void test_what_is_not_the_grammar_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(malformed); i++)
        for (int wanted = 0; wanted < 2; wanted++) {
            struct heads *h = make_head(malformed[i]);
            struct deflate_params agreed;
            struct buf answer = {0};
            int rc = extension_accept(&h->head, wanted ? &shared : NULL, &agreed, &answer);
            if (rc != -2)
                fail_msg("%s: %d", malformed[i], rc);
            assert_null(answer.data);
            rc = extension_check_answer(&h->head, wanted ? &shared : NULL, &agreed);
            assert_true(rc < 0);
            free_head(h);
        }
}

static void test_every_byte_in_each_place(void **state)
{
    (void)state;
    static const struct {
        const char *before, *behind;
        const char *also; /* beside the bytes of tokens, which fit everywhere */
    } places[] = {
        {"", P, " \t,"},         {P, "", " \t,"},          {P ";", "a", " \t"},
        {P "; a", "=b", " \t"},  {P "; a=", "", ""},       {P "; a=b", "", " \t,"},
        {P "; a=\"b", "\"", ""}, {P "; a=\"\\", "\"", ""},
    };
    for (int byte = 1; byte < 256; byte++)
        for (size_t i = 0; i < COUNT(places); i++) {
            char text[100], c = (char)byte;
            if (c == '\n')
                continue; /* which makes two fields, here */
            bool fits = http_is_token((struct slice){&c, 1}) || strchr(places[i].also, c);
            snprintf(text, sizeof text, "%s%c%s", places[i].before, c, places[i].behind);
            struct heads *h = make_head(text);
            struct deflate_params agreed;
            struct buf answer = {0};
            int rc = extension_accept(&h->head, &shared, &agreed, &answer);
            if ((rc != -2) != fits)
                fail_msg("byte %#x in %s: %d", byte, text, rc);
            buf_free(&answer);
            free_head(h);
        }
}

static void test_offers_beyond_the_cap_are_not_looked_at(void **state)
{
    (void)state;
    for (int extra = -1; extra <= 1; extra++) {
        struct buf offer = {0};
        for (int i = 0; i < EXTENSION_OFFERS_MAX + extra; i++)
            assert_true(buf_append_str(&offer, P "; illegal, other, "));
        assert_true(buf_append(&offer, P, sizeof P));
        struct deflate_params agreed;
        struct buf answer = {0};
        struct heads *h = make_head((char *)offer.data);
        assert_int_equal(extension_accept(&h->head, &shared, &agreed, &answer), extra < 0);
        free_head(h);
        offer.len--; /* but they have to be well-formed */
        assert_true(buf_append(&offer, ";", 2));
        h = make_head((char *)offer.data);
        assert_int_equal(extension_accept(&h->head, &shared, &agreed, &answer), -2);
        free_head(h);
        buf_free(&offer);
        buf_free(&answer);
    }
}

static void test_memory_may_end_at_each_byte(void **state)
{
    (void)state;
    struct heads *h = make_head(P "; client_max_window_bits");
    struct deflate_params agreed;
    size_t answers = 0, written = 0;
    for (size_t room = 1; room < 200; room++) {
        struct buf answer = {malloc(room), 0, room}, offer = {malloc(room), 0, room};
        allocations_fail_after(0);
        int rc = extension_accept(&h->head, &smallest, &agreed, &answer);
        bool ok = extension_write_offer(&offer, &smallest);
        allocations_succeed();
        assert_int_equal(rc, answer.len ? 1 : -1);
        assert_int_equal(ok, offer.len > 0);
        answers += rc > 0;
        written += ok;
        buf_free(&answer);
        buf_free(&offer);
    }
    free_head(h);
    /* from their length on; printf needs one byte more */
    size_t length = sizeof P BOTH_NO "; server_max_window_bits=8; client_max_window_bits=8";
    assert_int_equal(answers, 200 - length);
    assert_int_equal(written, 200 - length);
}

/* --- cost --------------------------------------------------------------------------------- */

struct cost {
    const char *piece;
    size_t pieces;
    bool client;
};

static void run_cost(void *context)
{
    const struct cost *cost = context;
    struct buf value = {0};
    struct deflate_params agreed;
    struct buf answer = {0};
    assert_true(buf_append_str(&value, P));
    for (size_t i = 0; i < cost->pieces; i++)
        assert_true(buf_append_str(&value, cost->piece));
    struct http_head head;
    head.header_count = 1;
    head.headers[0] =
        (struct http_header){slice_of("Sec-WebSocket-Extensions"), {(char *)value.data, value.len}};
    if (cost->client)
        extension_check_answer(&head, &takeover, &agreed);
    else
        extension_accept(&head, &shared, &agreed, &answer);
    buf_free(&value);
    buf_free(&answer);
}

static void test_the_cost_is_linear(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "," P,         ", a",     "; a",      "; server_no_context_takeover",
        "; a=\"bcd\"", ",",       "; a=\\b",  " ",
        ", " P "; x",  "; a=\"b", "deflat",   "; a=99999",
        "; a=\"\\9\"", "\t",      "; a = b ",
    };
    for (size_t i = 0; i < COUNT(pieces) * 2; i++) {
        uint64_t costs[3];
        for (size_t c = 0; c < 3; c++) {
            struct cost cost = {pieces[i / 2], (size_t)500 << c, i % 2};
            costs[c] = count_comparisons(run_cost, &cost);
        }
        if (!costs_are_linear(costs[0], costs[1], costs[2]))
            fail_msg("%s: %ju, %ju, %ju", pieces[i / 2], (uintmax_t)costs[0], (uintmax_t)costs[1],
                     (uintmax_t)costs[2]);
    }
}

/* --- client ------------------------------------------------------------------------------- */

static void expect_offer(const struct deflate_settings *want, const char *expected)
{
    struct buf out = {0};
    assert_true(extension_write_offer(&out, want));
    if (out.len != strlen(expected) || memcmp(out.data, expected, out.len) != 0)
        fail_msg("%.*s instead of %s", (int)out.len, (char *)out.data, expected);
    buf_free(&out);
}

static void test_what_is_offered(void **state)
{
    (void)state;
    expect_offer(&shared, P BOTH_NO "; client_max_window_bits");
    expect_offer(&takeover, P "; client_max_window_bits");
    expect_offer(&small, P "; server_max_window_bits=10; client_max_window_bits=10");
    expect_offer(&smallest, P BOTH_NO "; server_max_window_bits=8; client_max_window_bits=8");
}

static const struct answer {
    const char *answer;
    const struct deflate_settings *offered;
    int result;
    struct deflate_params agreed;
} answers[] = {
    {NULL, NULL, 0, {0}},
    {NULL, &shared, 0, {0}},
    {P, &takeover, 1, {true, true, 15, 15}},
    {"PerMessage-Deflate", &takeover, 1, {true, true, 15, 15}},
    {P "; server_no_context_takeover", &takeover, 1, {false, true, 15, 15}},
    {P "; client_no_context_takeover", &takeover, 1, {true, false, 15, 15}},
    {P BOTH_NO, &takeover, 1, {false, false, 15, 15}},
    {P BOTH_NO, &shared, 1, {false, false, 15, 15}},
    {P "; server_no_context_takeover", &shared, 1, {false, false, 15, 15}}, /* the other is ours */
    {P "; server_max_window_bits=9", &takeover, 1, {true, true, 9, 15}},
    {P "; client_max_window_bits=9", &takeover, 1, {true, true, 15, 9}},
    {P "; client_max_window_bits=\"9\"", &takeover, 1, {true, true, 15, 9}},
    {P "; server_max_window_bits=10", &small, 1, {true, true, 10, 10}},
    {P "; server_max_window_bits=8; client_max_window_bits=8", &small, 1, {true, true, 8, 8}},
    {P "; server_max_window_bits=8; client_max_window_bits=15", &small, 1, {true, true, 8, 10}},
    {P, NULL, EXTENSION_ERR_NOT_OFFERED, {0}},
    {"other", NULL, EXTENSION_ERR_NOT_OFFERED, {0}},
    {"other", &shared, EXTENSION_ERR_NOT_OFFERED, {0}},
    {P BOTH_NO ", other", &shared, EXTENSION_ERR_NOT_OFFERED, {0}},
    {P ", " P, &takeover, EXTENSION_ERR_TWICE, {0}},
    {P ", " P "; server_no_context_takeover", &takeover, EXTENSION_ERR_TWICE, {0}},
    {P "\n" P, &takeover, EXTENSION_ERR_FIELD_TWICE, {0}},
    {"\n", &takeover, EXTENSION_ERR_FIELD_TWICE, {0}},
    {"", &takeover, EXTENSION_ERR_MALFORMED, {0}},
    {"", NULL, EXTENSION_ERR_MALFORMED, {0}},
    {P ";", &takeover, EXTENSION_ERR_MALFORMED, {0}},
    {P "; server_max_window_bits=\"9 \"", &takeover, EXTENSION_ERR_MALFORMED, {0}},
    {P "; unknown", &takeover, EXTENSION_ERR_PARAMETER, {0}},
    {P "; unknown; server_max_window_bits=99", &takeover, EXTENSION_ERR_PARAMETER, {0}},
    {P "; server_no_context_takeover; server_no_context_takeover",
     &takeover,
     EXTENSION_ERR_DUPLICATE,
     {0}},
    {P "; client_max_window_bits=9; client_max_window_bits=9",
     &takeover,
     EXTENSION_ERR_DUPLICATE,
     {0}},
    {P "; client_no_context_takeover=1", &takeover, EXTENSION_ERR_VALUE, {0}},
    {P "; server_max_window_bits", &takeover, EXTENSION_ERR_VALUE, {0}},
    {P "; server_max_window_bits=08", &takeover, EXTENSION_ERR_VALUE, {0}},
    {P "; server_max_window_bits=16", &takeover, EXTENSION_ERR_VALUE, {0}},
    {P "; client_max_window_bits=7", &takeover, EXTENSION_ERR_VALUE, {0}},
    {P "; client_max_window_bits", &takeover, EXTENSION_ERR_VALUE, {0}}, /* in an offer only */
    {P "; server_max_window_bits=11", &small, EXTENSION_ERR_SERVER_BITS, {0}},
    {P "; client_max_window_bits=10", &small, EXTENSION_ERR_SERVER_BITS, {0}},
    {P, &small, EXTENSION_ERR_SERVER_BITS, {0}},
    {P, &shared, EXTENSION_ERR_SERVER_TAKEOVER, {0}},
    {P "; client_no_context_takeover", &shared, EXTENSION_ERR_SERVER_TAKEOVER, {0}},
};

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(answers); i++) {
        const struct answer *a = &answers[i];
        struct heads *h = make_head(a->answer);
        struct deflate_params agreed = {0};
        int rc = extension_check_answer(&h->head, a->offered, &agreed);
        if (rc != a->result)
            fail_msg("%s: %d instead of %d", a->answer, rc, a->result);
        if (rc > 0 && !same_params(agreed, a->agreed))
            fail_msg("%s: agreed %d %d %d %d", a->answer, agreed.server_takeover,
                     agreed.client_takeover, agreed.server_bits, agreed.client_bits);
        free_head(h);
    }
}

static void test_both_roles_agree(void **state)
{
    (void)state; /* each offer of ours is taken by each server of ours, with the same result */
    const struct deflate_settings *const all[] = {&shared, &takeover, &small, &smallest};
    for (size_t i = 0; i < COUNT(all) * COUNT(all); i++) {
        const struct deflate_settings *client = all[i / COUNT(all)], *server = all[i % COUNT(all)];
        struct buf offer = {0}, answer = {0};
        struct deflate_params ours, theirs;
        assert_true(extension_write_offer(&offer, client) && buf_append(&offer, "", 1));
        struct heads *h = make_head((char *)offer.data);
        assert_int_equal(extension_accept(&h->head, server, &theirs, &answer), 1);
        free_head(h);
        assert_true(buf_append(&answer, "", 1));
        h = make_head((char *)answer.data);
        assert_int_equal(extension_check_answer(&h->head, client, &ours), 1);
        free_head(h);
        assert_true(same_params(ours, theirs));
        buf_free(&offer);
        buf_free(&answer);
    }
}

static void test_errors_have_words(void **state)
{
    (void)state;
    const char *unknown = extension_error_text(1);
    assert_string_equal(extension_error_text(0), unknown);
    assert_string_equal(extension_error_text(EXTENSION_ERR_SERVER_TAKEOVER - 1), unknown);
    assert_string_equal(extension_error_text(INT32_MIN), unknown);
    for (int error = EXTENSION_ERR_MALFORMED; error >= EXTENSION_ERR_SERVER_TAKEOVER; error--) {
        assert_string_not_equal(extension_error_text(error), unknown);
        for (int other = EXTENSION_ERR_MALFORMED; other > error; other--)
            assert_string_not_equal(extension_error_text(error), extension_error_text(other));
    }
}

static int let_allocations_succeed(void **state)
{
    (void)state;
    allocations_succeed();
    return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, let_allocations_succeed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_offers),
        TEST(test_all_window_bits),
        TEST(test_what_is_not_the_grammar_is_refused),
        TEST(test_every_byte_in_each_place),
        TEST(test_offers_beyond_the_cap_are_not_looked_at),
        TEST(test_memory_may_end_at_each_byte),
        TEST(test_the_cost_is_linear),
        TEST(test_what_is_offered),
        TEST(test_answers),
        TEST(test_both_roles_agree),
        TEST(test_errors_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
