#include "wire/forwarded.h"

#include <string.h>

#define NODE_MAX 64 /* "[", an IPv6 address, "]:" and a port have 54 bytes at most */

enum scheme { SCHEME_UNTOLD, SCHEME_PLAIN, SCHEME_SECURE };

/* What one kind of fields tells. */
struct trail {
    struct address client;
    enum scheme scheme;
    size_t at; /* which entry names the client, counted from the right */
    bool lost;
};

/* Walks all entries of all fields of a name, from the last to the first. */
struct walk {
    const struct http_head *head;
    const char *name;
    bool quotes;       /* entries may have quoted strings */
    size_t field;      /* those from here on are done ... */
    struct slice rest; /* ... but for this of the last one */
};

static bool is_escaped(struct slice s, size_t at)
{
    size_t backslashes = 0;
    while (backslashes < at && s.ptr[at - backslashes - 1] == '\\')
        backslashes++;
    return backslashes % 2 == 1;
}

/* Where the last entry starts. Read from the end: an odd quote in what the client had sent can then
 * not swallow what a proxy has appended to it. */
static size_t last_start(struct slice list, bool quotes)
{
    bool quoted = false;
    for (size_t i = list.len; i > 0; i--) {
        char c = list.ptr[i - 1];
        if (c == ',' && !quoted)
            return i;
        if (c == '"' && quotes && !(quoted && is_escaped(list, i - 1)))
            quoted = !quoted;
    }
    return 0;
}

/* Empty entries are skipped (RFC 9110 section 5.6.1.2). */
static bool walk_back(struct walk *w, struct slice *entry)
{
    for (;;) {
        while (w->rest.len) {
            size_t start = last_start(w->rest, w->quotes);
            *entry = http_trim((struct slice){w->rest.ptr + start, w->rest.len - start});
            w->rest.len = start ? start - 1 : 0;
            if (entry->len)
                return true;
        }
        do {
            if (w->field == 0)
                return false;
            w->field--;
        } while (!slice_is_nocase(w->head->headers[w->field].name, w->name));
        w->rest = w->head->headers[w->field].value;
    }
}

static enum scheme scheme_of(struct slice word)
{
    bool secure = slice_is_nocase(word, "https") || slice_is_nocase(word, "wss");
    return secure ? SCHEME_SECURE : SCHEME_PLAIN;
}

/* RFC 7239 section 6.3: a port may be hidden too. */
static bool is_obfuscated(struct slice s)
{
    for (size_t i = 1; i < s.len; i++) {
        char c = ascii_lower(s.ptr[i]);
        bool digit = c >= '0' && c <= '9';
        if (!digit && !(c >= 'a' && c <= 'z') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return s.len > 1 && s.ptr[0] == '_';
}

/* Section 6: an IPv4 address, or an IPv6 one in brackets, and perhaps ":" and a port. false: none
 * of these, so that it is not known who it is. */
static bool parse_node(struct slice s, struct address *out)
{
    struct address node;
    bool bracketed = s.len && s.ptr[0] == '[';
    const char *end = s.len ? memchr(s.ptr, bracketed ? ']' : ':', s.len) : NULL;
    size_t n = end ? (size_t)(end - s.ptr) : s.len;
    if (bracketed) {
        if (!end || !address_parse_ipv6((struct slice){s.ptr + 1, n - 1}, &node))
            return false;
        n++;
    } else if (!address_parse_ipv4((struct slice){s.ptr, n}, &node)) {
        return false;
    }
    if (n < s.len) {
        struct slice port = {s.ptr + n + 1, s.len - n - 1};
        if (s.ptr[n] != ':' || !(address_parse_port(port, &node.port) || is_obfuscated(port)))
            return false;
    }
    *out = node;
    return true;
}

/* An entry of X-Forwarded-For. No document says what it is: an address, bare or as above. */
static bool read_x(struct slice entry, struct trail *t)
{
    return address_parse_ipv6(entry, &t->client) || parse_node(entry, &t->client);
}

/* A pair of an element of Forwarded. */
struct pair {
    struct slice name;
    char value[NODE_MAX]; /* unescaped */
    struct slice text;    /* what there is room for; the longer ones are of no interest here */
};

/* quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE; `*rest` starts with the quote. */
static bool take_quoted(struct slice *rest, struct pair *out)
{
    size_t n = 0, i = 1;
    for (; i < rest->len && rest->ptr[i] != '"'; i++) {
        if (rest->ptr[i] == '\\' && ++i == rest->len)
            return false;
        if (n < NODE_MAX)
            out->value[n++] = rest->ptr[i];
    }
    if (i == rest->len)
        return false;
    out->text = (struct slice){out->value, n};
    *rest = (struct slice){rest->ptr + i + 1, rest->len - i - 1};
    return true;
}

static bool take_token(struct slice *rest, char end, struct slice *out)
{
    const char *stop = memchr(rest->ptr, end, rest->len);
    size_t n = stop ? (size_t)(stop - rest->ptr) : rest->len;
    const char *start = rest->ptr;
    *out = http_trim((struct slice){start, n});
    *rest = (struct slice){start + n, rest->len - n};
    return out->ptr == start && http_is_token(*out);
}

/* Section 4: [ pair ] *( ";" [ pair ] ), pair = token "=" ( token / quoted-string ). Spaces around
 * the ";" are none of the grammar's, but of many a proxy's. 1: a pair was taken; 0: no more; -1:
 * malformed. */
static int take_pair(struct slice *rest, struct pair *out)
{
    *rest = http_trim(*rest);
    while (rest->len && rest->ptr[0] == ';')
        *rest = http_trim((struct slice){rest->ptr + 1, rest->len - 1});
    if (rest->len == 0)
        return 0;
    const char *start = rest->ptr;
    if (!take_token(rest, '=', &out->name) || rest->len < 2 || rest->ptr != start + out->name.len)
        return -1;
    *rest = (struct slice){rest->ptr + 1, rest->len - 1};
    bool quoted = rest->ptr[0] == '"';
    if (!(quoted ? take_quoted(rest, out) : take_token(rest, ';', &out->text)))
        return -1;
    *rest = http_trim(*rest);
    return rest->len == 0 || rest->ptr[0] == ';' ? 1 : -1;
}

/* An element of Forwarded. Nothing is taken from one that has a fault anywhere, or one of the two
 * parameters twice. */
static bool read_standard(struct slice entry, struct trail *t)
{
    struct address node = {0};
    enum scheme scheme = SCHEME_UNTOLD;
    bool has_node = false, is_known = false;
    struct pair p;
    int rc;
    while ((rc = take_pair(&entry, &p)) == 1) {
        if (slice_is_nocase(p.name, "for")) {
            if (has_node)
                return false;
            has_node = true;
            is_known = parse_node(p.text, &node);
        } else if (slice_is_nocase(p.name, "proto")) {
            if (scheme != SCHEME_UNTOLD)
                return false;
            scheme = scheme_of(p.text);
        }
    }
    if (rc != 0)
        return false;
    t->scheme = scheme;
    if (is_known)
        t->client = node;
    return is_known;
}

/* From hop to hop, as long as the one that has written the entry is trusted. */
static struct trail follow(struct walk w, const struct address *peer,
                           const struct network_list *trusted,
                           bool (*read)(struct slice entry, struct trail *t))
{
    struct trail t = {.client = *peer};
    struct slice entry;
    for (size_t at = 0; network_list_has(trusted, &t.client) && walk_back(&w, &entry); at++) {
        t.at = at;
        t.scheme = SCHEME_UNTOLD;
        t.lost = !read(entry, &t);
        if (t.lost)
            break;
    }
    return t;
}

static enum scheme x_scheme(const struct http_head *head, size_t at)
{
    struct walk w = {.head = head, .name = "X-Forwarded-Proto", .field = head->header_count};
    struct slice entry;
    enum scheme scheme = SCHEME_UNTOLD;
    for (size_t i = 0; i <= at && walk_back(&w, &entry); i++)
        scheme = scheme_of(entry);
    return scheme;
}

/* Both kinds are there: what they agree in. false: they do not. */
static bool agree(struct trail *t, const struct trail *other, bool other_has_client)
{
    if (other_has_client && (!address_equal(&t->client, &other->client) || t->lost != other->lost))
        return false;
    bool untold = t->scheme == SCHEME_UNTOLD || other->scheme == SCHEME_UNTOLD;
    if (!untold && t->scheme != other->scheme)
        return false;
    if (untold)
        t->scheme = SCHEME_UNTOLD;
    return true;
}

enum forwarded_result forwarded_find(const struct http_head *request, const struct address *peer,
                                     bool secure, const struct network_list *trusted,
                                     struct forwarded *out)
{
    *out = (struct forwarded){*peer, secure};
    if (!network_list_has(trusted, peer))
        return FORWARDED_OK;
    struct walk w = {.head = request, .field = request->header_count};
    bool has_standard = http_find(request, "Forwarded");
    bool has_x = http_find(request, "X-Forwarded-For");
    w.name = "X-Forwarded-For";
    struct trail x = follow(w, peer, trusted, read_x);
    w.name = "Forwarded";
    w.quotes = true;
    struct trail t = follow(w, peer, trusted, read_standard);
    x.scheme = x_scheme(request, has_x ? x.at : t.at);
    if (!has_standard)
        t = x;
    else if ((has_x || http_find(request, "X-Forwarded-Proto")) && !agree(&t, &x, has_x))
        return FORWARDED_CONFLICT;
    out->client = t.client;
    if (t.scheme != SCHEME_UNTOLD)
        out->secure = t.scheme == SCHEME_SECURE;
    return t.lost ? FORWARDED_LOST : FORWARDED_OK;
}
