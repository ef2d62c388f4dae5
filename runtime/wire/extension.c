/* The grammar of RFC 6455 section 9.1 is read for every extension alike, and what it says is noted
 * as if it were permessage-deflate; only then its name counts. So each byte is looked at once,
 * however many offers and parameters there are. */
#include "wire/extension.h"

#define FIELD "Sec-WebSocket-Extensions"
#define DEFLATE "permessage-deflate"

enum parameter {
    SERVER_NO_TAKEOVER = 1,
    CLIENT_NO_TAKEOVER = 2,
    SERVER_BITS = 4,
    CLIENT_BITS = 8,
};

/* One element of the list. */
struct extension {
    struct slice name;
    unsigned seen;                    /* enum parameter bits */
    uint8_t server_bits, client_bits; /* 0: no value */
    int error; /* the first enum extension_error in its parameters, if it is permessage-deflate */
};

/* A parameter's value, without the quotes and escapes of a quoted-string. No value of use has more
 * than two characters, so the others need not be kept. */
struct value {
    char text[3];
    size_t len; /* at most 3; 0: none */
};

/* --- the grammar ------------------------------------------------------------------------------ */

/* All fields of the name, read as one list (RFC 6455 section 11.3.2). */
struct reader {
    const struct http_head *head;
    size_t field; /* the next to look at */
    const char *at, *end;
    size_t fields, extensions; /* so far */
};

static bool take_char(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

/* Between any two parts of the grammar: section 4.3 takes RFC 2616's "implied *LWS". */
static void skip_space(struct reader *r)
{
    while (take_char(r, ' ') || take_char(r, '\t'))
        ;
}

static bool at_token(const struct reader *r)
{
    return r->at < r->end && http_is_token((struct slice){r->at, 1});
}

static bool take_token(struct reader *r, struct slice *token)
{
    const char *begin = r->at;
    while (at_token(r))
        r->at++;
    *token = (struct slice){begin, (size_t)(r->at - begin)};
    return token->len > 0;
}

static void take_value_char(struct reader *r, struct value *v)
{
    if (v->len < sizeof v->text)
        v->text[v->len++] = *r->at;
    r->at++;
}

/* "... the value after quoted-string unescaping MUST conform to the 'token' ABNF" */
static bool take_value(struct reader *r, struct value *v)
{
    bool quoted = take_char(r, '"');
    while (!quoted || !take_char(r, '"')) {
        if (quoted)
            take_char(r, '\\');
        if (at_token(r))
            take_value_char(r, v);
        else if (quoted)
            return false;
        else
            break;
    }
    return v->len > 0;
}

/* A decimal integer without leading zeros from 8 to 15; 0: another value. */
static uint8_t window_bits(const struct value *v)
{
    unsigned bits = 0;
    for (size_t i = 0; i < v->len && v->text[0] != '0'; i++) {
        unsigned digit = (unsigned)(v->text[i] - '0');
        if (digit > 9)
            return 0;
        bits = bits * 10 + digit;
    }
    return bits >= DEFLATE_BITS_MIN && bits <= DEFLATE_BITS_MAX ? (uint8_t)bits : 0;
}

/* Names are compared without regard to case. Neither RFC 6455 nor RFC 7692 asks for an exact match
 * here, the notation of RFC 2616 (section 2.1), in which they are written, makes literals
 * case-insensitive, and so are names of parameters in HTTP (RFC 9110 section 5.6.6). */
static unsigned parameter_of(struct slice name)
{
    static const struct {
        const char *name;
        enum parameter parameter;
    } known[] = {
        {"server_no_context_takeover", SERVER_NO_TAKEOVER},
        {"client_no_context_takeover", CLIENT_NO_TAKEOVER},
        {"server_max_window_bits", SERVER_BITS},
        {"client_max_window_bits", CLIENT_BITS},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (slice_is_nocase(name, known[i].name))
            return known[i].parameter;
    return 0;
}

/* RFC 7692 section 7.1. That client_max_window_bits may stand alone is true of an offer only, so
 * this is for the caller to judge. */
static int note_parameter(struct extension *e, struct slice name, const struct value *v)
{
    unsigned parameter = parameter_of(name);
    uint8_t bits = window_bits(v);
    if (!parameter)
        return EXTENSION_ERR_PARAMETER;
    if (e->seen & parameter)
        return EXTENSION_ERR_DUPLICATE;
    e->seen |= parameter;
    if (parameter == SERVER_BITS)
        e->server_bits = bits;
    if (parameter == CLIENT_BITS)
        e->client_bits = bits;
    bool wants_bits = parameter == SERVER_BITS || (parameter == CLIENT_BITS && v->len);
    bool legal = wants_bits ? bits != 0 : v->len == 0;
    return legal ? 0 : EXTENSION_ERR_VALUE;
}

static bool take_parameter(struct reader *r, struct extension *e)
{
    struct slice name;
    struct value v = {.len = 0};
    skip_space(r);
    if (!take_token(r, &name))
        return false;
    skip_space(r);
    if (take_char(r, '=')) {
        skip_space(r);
        if (!take_value(r, &v))
            return false;
    }
    int error = note_parameter(e, name, &v);
    if (!e->error)
        e->error = error;
    return true;
}

/* The next of the current field: 1; 0: there is none; -1: this is not the grammar's. Elements of
 * nothing between commas are allowed in lists. */
static int take_extension(struct reader *r, struct extension *e)
{
    *e = (struct extension){0};
    do
        skip_space(r);
    while (take_char(r, ','));
    if (r->at == r->end)
        return 0;
    if (!take_token(r, &e->name))
        return -1;
    for (;;) {
        skip_space(r);
        if (r->at == r->end || take_char(r, ','))
            return 1;
        if (!take_char(r, ';') || !take_parameter(r, e))
            return -1;
    }
}

static bool next_field(struct reader *r)
{
    struct slice name = slice_of(FIELD);
    while (r->field < r->head->header_count) {
        const struct http_header *h = &r->head->headers[r->field++];
        if (!slice_equal_nocase(h->name, name))
            continue;
        r->at = h->value.ptr;
        r->end = h->value.ptr + h->value.len;
        r->fields++;
        return true;
    }
    return false;
}

/* As take_extension, for all fields. A list has at least one element that is not empty. */
static int next_extension(struct reader *r, struct extension *e)
{
    int rc;
    while ((rc = take_extension(r, e)) == 0)
        if (!next_field(r))
            return r->fields && !r->extensions ? -1 : 0;
    r->extensions++;
    return rc;
}

static bool is_deflate(const struct extension *e)
{
    return slice_is_nocase(e->name, DEFLATE);
}

/* --- server ----------------------------------------------------------------------------------- */

/* 1: *chosen is the first legal offer; 0: there is none; -1: malformed. */
static int choose_offer(const struct http_head *request, struct extension *chosen)
{
    struct reader r = {.head = request};
    struct extension e;
    unsigned offers = 0;
    bool found = false;
    int rc;
    while ((rc = next_extension(&r, &e)) > 0) {
        if (found || !is_deflate(&e) || offers++ >= EXTENSION_OFFERS_MAX || e.error)
            continue;
        *chosen = e;
        found = true;
    }
    return rc < 0 ? -1 : found;
}

static uint8_t lower(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

/* Every legal offer can be kept: windows of 8 bits too (deflater.c). A client that does not offer
 * client_max_window_bits cannot be asked for less than 15 (7.1.2.2). */
static void agree(const struct extension *offer, const struct deflate_settings *want,
                  struct deflate_params *agreed)
{
    *agreed = (struct deflate_params){
        .server_takeover = want->takeover && !(offer->seen & SERVER_NO_TAKEOVER),
        .client_takeover = want->takeover && !(offer->seen & CLIENT_NO_TAKEOVER),
        .server_bits = want->window_bits,
        .client_bits = DEFLATE_BITS_MAX,
    };
    if (offer->seen & SERVER_BITS)
        agreed->server_bits = lower(agreed->server_bits, offer->server_bits);
    if (offer->seen & CLIENT_BITS)
        agreed->client_bits = want->window_bits;
    if (offer->client_bits)
        agreed->client_bits = lower(agreed->client_bits, offer->client_bits);
}

/* A server may answer both no_context_takeover and server_max_window_bits without having been asked
 * (7.1.1.1, 7.1.1.2, 7.1.2.1). */
static bool write_answer(struct buf *out, const struct extension *offer,
                         const struct deflate_params *agreed)
{
    bool ok = buf_append_str(out, DEFLATE);
    if (!agreed->server_takeover)
        ok = ok && buf_append_str(out, "; server_no_context_takeover");
    if (!agreed->client_takeover)
        ok = ok && buf_append_str(out, "; client_no_context_takeover");
    if (offer->seen & SERVER_BITS || agreed->server_bits < DEFLATE_BITS_MAX)
        ok = ok && buf_printf(out, "; server_max_window_bits=%u", agreed->server_bits);
    if (agreed->client_bits < DEFLATE_BITS_MAX)
        ok = ok && buf_printf(out, "; client_max_window_bits=%u", agreed->client_bits);
    return ok;
}

int extension_accept(const struct http_head *request, const struct deflate_settings *want,
                     struct deflate_params *agreed, struct buf *answer)
{
    struct extension offer = {0};
    int rc = choose_offer(request, &offer);
    if (rc < 0)
        return -2;
    if (rc == 0 || !want)
        return 0;
    size_t before = answer->len;
    agree(&offer, want, agreed);
    if (write_answer(answer, &offer, agreed))
        return 1;
    answer->len = before;
    return -1;
}

/* --- client ----------------------------------------------------------------------------------- */

bool extension_write_offer(struct buf *out, const struct deflate_settings *want)
{
    size_t before = out->len;
    bool less = want->window_bits < DEFLATE_BITS_MAX, ok = buf_append_str(out, DEFLATE);
    if (!want->takeover)
        ok = ok && buf_append_str(out, "; server_no_context_takeover; client_no_context_takeover");
    if (less)
        ok = ok && buf_printf(out, "; server_max_window_bits=%u", want->window_bits);
    ok = ok && buf_append_str(out, "; client_max_window_bits");
    if (less)
        ok = ok && buf_printf(out, "=%u", want->window_bits);
    if (!ok)
        out->len = before;
    return ok;
}

/* RFC 7692 section 7.1: what an answer may say, and what it must when it was offered. Our offer has
 * client_max_window_bits always; an answer above its value is no fault (the server may ignore that
 * value), and our window is the smaller of the two. */
static int judge_answer(const struct extension *e, const struct deflate_settings *offered)
{
    if (e->error)
        return e->error;
    if (e->seen & CLIENT_BITS && !e->client_bits)
        return EXTENSION_ERR_VALUE;
    bool bits_offered = offered->window_bits < DEFLATE_BITS_MAX;
    if (bits_offered && (!e->server_bits || e->server_bits > offered->window_bits))
        return EXTENSION_ERR_SERVER_BITS;
    if (!offered->takeover && !(e->seen & SERVER_NO_TAKEOVER))
        return EXTENSION_ERR_SERVER_TAKEOVER;
    return 0;
}

int extension_check_answer(const struct http_head *answer, const struct deflate_settings *offered,
                           struct deflate_params *agreed)
{
    struct reader r = {.head = answer};
    struct extension e, found = {0};
    int rc;
    if (http_count(answer, FIELD) > 1)
        return EXTENSION_ERR_FIELD_TWICE;
    while ((rc = next_extension(&r, &e)) > 0) {
        if (!offered || !is_deflate(&e))
            return EXTENSION_ERR_NOT_OFFERED;
        if (r.extensions > 1)
            return EXTENSION_ERR_TWICE;
        found = e;
    }
    if (rc < 0)
        return EXTENSION_ERR_MALFORMED;
    if (r.extensions == 0)
        return 0;
    rc = judge_answer(&found, offered);
    if (rc < 0)
        return rc;
    *agreed = (struct deflate_params){
        .server_takeover = !(found.seen & SERVER_NO_TAKEOVER),
        .client_takeover = offered->takeover && !(found.seen & CLIENT_NO_TAKEOVER),
        .server_bits = found.server_bits ? found.server_bits : DEFLATE_BITS_MAX,
        .client_bits = offered->window_bits,
    };
    if (found.client_bits)
        agreed->client_bits = lower(agreed->client_bits, found.client_bits);
    return 1;
}

const char *extension_error_text(int error)
{
    static const char *const texts[] = {
        [-EXTENSION_ERR_MALFORMED] = "Sec-WebSocket-Extensions is malformed",
        [-EXTENSION_ERR_FIELD_TWICE] = "Sec-WebSocket-Extensions is given twice",
        [-EXTENSION_ERR_NOT_OFFERED] = "the server answered with an extension that was not offered",
        [-EXTENSION_ERR_TWICE] = "the server answered permessage-deflate twice",
        [-EXTENSION_ERR_PARAMETER] = "permessage-deflate: a parameter that does not exist",
        [-EXTENSION_ERR_DUPLICATE] = "permessage-deflate: a parameter is given twice",
        [-EXTENSION_ERR_VALUE] = "permessage-deflate: a parameter's value is missing or not legal",
        [-EXTENSION_ERR_SERVER_BITS] =
            "permessage-deflate: server_max_window_bits is missing or larger than offered",
        [-EXTENSION_ERR_SERVER_TAKEOVER] =
            "permessage-deflate: server_no_context_takeover was offered and is missing",
    };
    bool known = error <= EXTENSION_ERR_MALFORMED && error >= EXTENSION_ERR_SERVER_TAKEOVER;
    return known ? texts[-error] : "unknown error";
}
