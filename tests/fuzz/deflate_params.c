/* wire/extension: offers and answers against a reading by tokens, and our own two halves with each
 * other, whatever each wants. An input is settings, then lines: a field's value each. */
#include "fuzz.h"
#include "wire/extension.h"

#include <stdlib.h>
#include <string.h>

#define FIELD "Sec-WebSocket-Extensions"

/* --- a field by its tokens -------------------------------------------------------------------- */

/* 't' token, 'q' quoted token, '=', ';', ',', and '!' for what is neither. */
struct token {
    char kind;
    struct slice text; /* raw; of 'q' with its quotes */
};

static bool is_token_char(char c)
{
    return http_is_token((struct slice){&c, 1});
}

/* A quoted-string whose content, unescaped, is a token. 0: it is none. */
static size_t quoted_length(const char *at, size_t n)
{
    size_t i = 1, content = 0;
    for (; i < n && at[i] != '"'; i++, content++) {
        i += at[i] == '\\';
        if (i >= n || !is_token_char(at[i]))
            return 0;
    }
    return i < n && content ? i + 1 : 0;
}

static size_t split(struct slice s, struct token *out, size_t count)
{
    for (size_t i = 0, n; i < s.len; i += n) {
        char c = s.ptr[i], kind = '!';
        n = 1;
        if (c == ' ' || c == '\t')
            continue;
        if (c == '=' || c == ';' || c == ',') {
            kind = c;
        } else if (c == '"') {
            size_t length = quoted_length(s.ptr + i, s.len - i);
            kind = length ? 'q' : '!';
            n = length ? length : 1;
        } else if (is_token_char(c)) {
            kind = 't';
            while (i + n < s.len && is_token_char(s.ptr[i + n]))
                n++;
        }
        out[count++] = (struct token){kind, {s.ptr + i, n}};
    }
    out[count++] = (struct token){',', {"", 0}}; /* fields are one list */
    return count;
}

/* ext = t *( ; t [ = ( t / q ) ] ), elements between commas, at least one that is not empty. */
static bool is_list(const struct token *t, size_t count)
{
    char before = ',';
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        char kind = t[i].kind;
        bool value = before == '=', named = before == 't' || before == 'v' || before == 'n';
        bool ok = kind == 't'   ? value || before == ',' || before == ';'
                  : kind == 'q' ? value
                  : kind == '=' ? before == 'n'
                  : kind == ';' ? named
                  : kind == ',' ? named || before == ','
                                : false;
        if (!ok)
            return false;
        any = any || kind == 't';
        /* 'n': a parameter's name, 'v': its value, 't': an extension's name */
        before = kind == 't' || kind == 'q' ? (value ? 'v' : before == ';' ? 'n' : 't') : kind;
    }
    return any;
}

/* The text without quotes and backslashes. */
static char *unquoted(struct slice s)
{
    char *out = calloc(1, s.len + 1), *to = out;
    CHECK(out != NULL);
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != '"' && s.ptr[i] != '\\')
            *to++ = s.ptr[i];
    return out;
}

/* --- one offer -------------------------------------------------------------------------------- */

struct offer {
    bool legal, no_takeover[2], has_bits[2]; /* [0]: server, [1]: client */
    unsigned bits[2];                        /* 0: no value */
};

static unsigned read_bits(const char *text)
{
    static const char *const values[] = {"8", "9", "10", "11", "12", "13", "14", "15"};
    for (unsigned i = 0; i < 8; i++)
        if (strcmp(text, values[i]) == 0)
            return i + 8;
    return 0;
}

static void read_parameter(struct offer *o, struct slice name, const char *value)
{
    bool client = ascii_lower(name.ptr[0]) == 'c';
    if (slice_is_nocase(name,
                        client ? "client_no_context_takeover" : "server_no_context_takeover")) {
        o->legal = o->legal && !value && !o->no_takeover[client];
        o->no_takeover[client] = true;
    } else if (slice_is_nocase(name,
                               client ? "client_max_window_bits" : "server_max_window_bits")) {
        unsigned bits = value ? read_bits(value) : 0;
        o->legal = o->legal && !o->has_bits[client] && (value ? bits != 0 : client);
        o->has_bits[client] = true;
        o->bits[client] = bits;
    } else {
        o->legal = false;
    }
}

/* The tokens of one extension, from its name on; returns how many. */
static size_t read_offer(const struct token *t, struct offer *o)
{
    size_t i = 1;
    *o = (struct offer){.legal = slice_is_nocase(t[0].text, "permessage-deflate")};
    while (t[i].kind == ';') {
        struct slice name = t[i + 1].text;
        char *value = NULL;
        i += 2;
        if (t[i].kind == '=') {
            value = unquoted(t[i + 1].text);
            i += 2;
        }
        read_parameter(o, name, value);
        free(value);
    }
    return i;
}

/* The first legal one among the first EXTENSION_OFFERS_MAX of permessage-deflate. */
static bool choose(const struct token *t, size_t count, struct offer *chosen, size_t *elements)
{
    size_t offers = 0;
    bool found = false;
    *elements = 0;
    for (size_t i = 0; i < count;) {
        struct offer o;
        if (t[i].kind == ',') {
            i++;
            continue;
        }
        bool deflate = slice_is_nocase(t[i].text, "permessage-deflate");
        i += read_offer(&t[i], &o);
        ++*elements;
        if (deflate && offers++ < EXTENSION_OFFERS_MAX && o.legal && !found) {
            *chosen = o;
            found = true;
        }
    }
    return found;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* --- server ----------------------------------------------------------------------------------- */

static bool same_params(const struct deflate_params *a, const struct deflate_params *b)
{
    return a->server_takeover == b->server_takeover && a->client_takeover == b->client_takeover &&
           a->server_bits == b->server_bits && a->client_bits == b->client_bits;
}

/* What is answered says what was agreed, and only what the offer allows to be said. */
static void check_answer(const struct buf *answer, const struct offer *o,
                         const struct deflate_params *agreed)
{
    struct token t[256];
    struct offer told;
    CHECK(answer->len < 255); /* so that the tokens have their room */
    size_t count = split((struct slice){(char *)answer->data, answer->len}, t, 0);
    CHECK(is_list(t, count) && read_offer(t, &told) == count - 1 && told.legal);
    CHECK(told.no_takeover[0] == !agreed->server_takeover);
    CHECK(told.no_takeover[1] == !agreed->client_takeover);
    CHECK((told.has_bits[0] ? told.bits[0] : 15) == agreed->server_bits);
    CHECK((told.has_bits[1] ? told.bits[1] : 15) == agreed->client_bits);
    CHECK(!o->has_bits[0] || told.has_bits[0]); /* what was asked is kept, and said */
    CHECK(!told.has_bits[1] || o->has_bits[1]);
    CHECK(!o->no_takeover[0] || told.no_takeover[0]);
}

static void check_server(const struct http_head *head, const struct token *t, size_t count,
                         const struct deflate_settings *want)
{
    struct deflate_params agreed, wanted;
    struct buf answer = {0};
    struct offer o;
    size_t elements;
    int rc = extension_accept(head, want, &agreed, &answer);
    CHECK(extension_accept(head, NULL, &agreed, &answer) == (rc < 0 ? rc : 0));
    if (head->header_count && !is_list(t, count)) {
        CHECK(rc == -2 && answer.len == 0);
    } else if (!head->header_count || !choose(t, count, &o, &elements)) {
        CHECK(rc == 0 && answer.len == 0);
    } else {
        CHECK(rc == 1);
        wanted = (struct deflate_params){
            .server_takeover = want->takeover && !o.no_takeover[0],
            .client_takeover = want->takeover && !o.no_takeover[1],
            .server_bits = (uint8_t)least(want->window_bits, o.bits[0] ? o.bits[0] : 15),
            .client_bits =
                (uint8_t)(o.has_bits[1] ? least(want->window_bits, o.bits[1] ? o.bits[1] : 15)
                                        : 15),
        };
        CHECK(same_params(&agreed, &wanted));
        check_answer(&answer, &o, &agreed);
    }
    buf_free(&answer);
}

/* --- client ----------------------------------------------------------------------------------- */

static void check_client(const struct http_head *head, const struct token *t, size_t count,
                         const struct deflate_settings *offered)
{
    struct deflate_params agreed;
    struct offer o = {0};
    size_t elements = 0;
    int rc = extension_check_answer(head, offered, &agreed);
    int unoffered = extension_check_answer(head, NULL, &agreed);
    CHECK(unoffered == 0 ? head->header_count == 0 : unoffered < 0);
    CHECK(rc >= 0 || strlen(extension_error_text(rc)) > 0);
    if (head->header_count == 0) {
        CHECK(rc == 0);
        return;
    }
    bool legal = head->header_count == 1 && is_list(t, count) && choose(t, count, &o, &elements) &&
                 elements == 1 && (!o.has_bits[1] || o.bits[1]) &&
                 (offered->takeover || o.no_takeover[0]) &&
                 (offered->window_bits == 15 || (o.bits[0] && o.bits[0] <= offered->window_bits));
    CHECK(legal ? rc == 1 : rc < 0);
    if (!legal)
        return;
    rc = extension_check_answer(head, offered, &agreed);
    CHECK(agreed.server_takeover == !o.no_takeover[0]);
    CHECK(agreed.client_takeover == (offered->takeover && !o.no_takeover[1]));
    CHECK(agreed.server_bits == (o.bits[0] ? o.bits[0] : 15));
    CHECK(agreed.client_bits == least(offered->window_bits, o.bits[1] ? o.bits[1] : 15));
}

/* Our client's offer, our server's answer: both agree in the same. */
static void check_both(const struct deflate_settings *client, const struct deflate_settings *server)
{
    struct buf offer = {0}, answer = {0};
    struct deflate_params at_server, at_client;
    struct http_head head = {.header_count = 1};
    CHECK(extension_write_offer(&offer, client));
    head.headers[0] = (struct http_header){slice_of(FIELD), {(char *)offer.data, offer.len}};
    CHECK(http_is_field_value(head.headers[0].value));
    CHECK(extension_accept(&head, server, &at_server, &answer) == 1);
    head.headers[0].value = (struct slice){(char *)answer.data, answer.len};
    CHECK(http_is_field_value(head.headers[0].value));
    CHECK(extension_check_answer(&head, client, &at_client) == 1);
    CHECK(same_params(&at_server, &at_client));
    CHECK(at_client.server_bits <= client->window_bits &&
          at_client.client_bits <= client->window_bits);
    CHECK(at_server.server_bits <= server->window_bits &&
          at_server.client_bits <= server->window_bits);
    buf_free(&offer);
    buf_free(&answer);
}

static struct deflate_settings read_settings(uint8_t byte)
{
    return (struct deflate_settings){
        .takeover = byte & 1, .window_bits = (uint8_t)(8 + (byte >> 1) % 8), .level = 6};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, data + size};
    struct deflate_settings client = read_settings(fuzz_byte(&in));
    struct deflate_settings server = read_settings(fuzz_byte(&in));
    struct http_head *head = calloc(1, sizeof *head);
    struct token *tokens = calloc(size + HTTP_HEADERS_MAX, sizeof *tokens); /* one a byte at most */
    char *copies[HTTP_HEADERS_MAX];
    size_t count = 0;
    CHECK(head && tokens);
    while (fuzz_left(&in) && head->header_count < HTTP_HEADERS_MAX) {
        struct slice line = http_trim(fuzz_until(&in, '\n'));
        if (!http_is_field_value(line))
            continue;
        char *copy = (char *)fuzz_copy(line.ptr, line.len);
        struct slice value = {copy, line.len};
        copies[head->header_count] = copy;
        head->headers[head->header_count++] = (struct http_header){slice_of(FIELD), value};
        count = split(value, tokens, count);
    }
    check_server(head, tokens, count, &server);
    check_client(head, tokens, count, &client);
    check_both(&client, &server);
    for (size_t i = 0; i < head->header_count; i++)
        free(copies[i]);
    free(head);
    free(tokens);
    return 0;
}
