/* A session in either role, with and without permessage-deflate:
 *
 * - the events and the end are those of the model, whole and chopped, also when what is unread is
 *   taken back and fed again;
 * - memory follows what arrived, never what a header declares, and is all free in the end;
 * - after the end, everything is ignored;
 * - events, written as frames again, are the same events. */
#include "session.h"

#include <stdlib.h>
#include <string.h>

#define SLACK 512 /* the assembly itself, and the smallest buffer */
#define COMPRESSION_SLACK 65536
#define SMALLEST 1024 /* of what is inflated */

static const struct deflate_settings level = {.window_bits = 15, .level = 1};

/* --- settings --------------------------------------------------------------------------------- */

static struct session_settings read_settings(enum session_role role, struct fuzz_input *in)
{
    static const uint32_t limits[] = {1 << 20, 0,    1,     2,     5,     125,    126,    127,
                                      1000,    1024, 16383, 16384, 16385, 65535,  65536,  65537,
                                      70000,   4096, 81920, 98304, 98305, 131072, 100000, 300000};
    uint8_t flags = fuzz_byte(in), limit = fuzz_byte(in), fragments = fuzz_byte(in);
    uint8_t ratio = fuzz_byte(in), chop = fuzz_byte(in), stop = fuzz_byte(in);
    uint8_t bits = (uint8_t)(15 - (flags >> 2) % 8);
    return (struct session_settings){
        .role = role,
        .limits = {.message = limits[limit % (sizeof limits / sizeof limits[0])],
                   .fragments = fragments ? fragments : 1024,
                   .inflate_ratio = ratio == 255 ? 0
                                    : ratio      ? ratio
                                                 : 100},
        .compression = flags & 1,
        .params = {.server_takeover = flags & 2,
                   .client_takeover = flags & 2,
                   .server_bits = bits,
                   .client_bits = bits},
        .chop = fuzz_chop_of(chop),
        .stop = stop,
    };
}

static void begin_session(struct session *s, struct deflate_pool *pool,
                          const struct session_settings *settings)
{
    session_init(s, settings->role, &settings->limits);
    if (!settings->compression)
        return;
    struct deflate *d =
        deflate_new(pool, &settings->params, settings->role == SESSION_SERVER, &level);
    CHECK(d != NULL);
    session_use_deflate(s, d);
}

/* --- one run ---------------------------------------------------------------------------------- */

struct run {
    const struct session_settings *settings;
    struct session session;
    struct deflate_pool pool;
    struct session_record *record;
    size_t base;    /* of the heap, before all this */
    size_t arrived; /* bytes fed */
    size_t lent;    /* bytes of this file's own copies */
    unsigned events;
    bool over; /* after a Close */
};

/* What the session has allocated, without what this file has. */
static void check_memory(const struct run *r)
{
    size_t held = session_held(&r->session), limit = r->settings->limits.message;
    size_t plain = 2 * (r->arrived < limit ? r->arrived : limit) + SLACK;
    size_t compressed = limit + COMPRESSION_SLACK;
    size_t most = r->settings->compression && compressed > plain ? compressed : plain;
    CHECK(held <= most);
    if (!fuzz_heap())
        return;
    size_t used = fuzz_heap() - r->base - r->record->events.cap - r->lent;
    CHECK(r->settings->compression ? used <= most + SLACK : used == held);
}

/* Takes back what is unread and feeds it again, from another place. */
static void feed_again(struct run *r, unsigned char **piece)
{
    size_t n;
    unsigned char *unread = session_take_unread(&r->session, &n);
    unsigned char *copy = fuzz_copy(unread, n);
    CHECK(session_unread(&r->session) == 0);
    free(*piece);
    *piece = copy;
    session_feed(&r->session, copy, n);
}

/* false: it has ended with an error. */
static bool feed_piece(struct run *r, const unsigned char *bytes, size_t n)
{
    unsigned char *piece = fuzz_copy(bytes, n);
    struct session_event event;
    int rc;
    r->arrived += n;
    r->lent = fuzz_heap_size(piece);
    session_feed(&r->session, piece, n);
    while ((rc = session_next(&r->session, &event)) == SESSION_EVENT) {
        CHECK(!r->over);
        r->over = event.type == SESSION_CLOSE;
        record_event(r->record, &event);
        check_memory(r);
        /* also of a compressed message no more than twice what it has become */
        if (event.type == SESSION_MESSAGE)
            CHECK(session_held(&r->session) <= 2 * event.len + SMALLEST + SLACK);
        if (r->settings->stop && ++r->events % r->settings->stop == 0) {
            feed_again(r, &piece);
            r->lent = fuzz_heap_size(piece);
        }
    }
    check_memory(r);
    CHECK(session_unread(&r->session) == 0);
    free(piece);
    r->lent = 0;
    r->record->rc = rc;
    return rc == SESSION_MORE;
}

static bool is_idle(const struct session *s)
{
    return !s->in_frame && !s->kind && !s->head_len;
}

/* Behind an error and behind a Close nothing counts any more. */
static void check_over(struct run *r)
{
    unsigned char junk[] = {0x81, 0x80, 1, 2, 3, 4, 0xFF, 0xFF};
    struct session_event event;
    session_feed(&r->session, junk, sizeof junk);
    CHECK(session_next(&r->session, &event) == SESSION_MORE);
    CHECK(session_unread(&r->session) == 0 && is_idle(&r->session));
    CHECK(session_held(&r->session) == 0);
}

static void run(const struct session_settings *settings, const unsigned char *bytes, size_t n,
                struct fuzz_chop chop, struct session_record *record)
{
    struct run r = {.settings = settings, .record = record, .base = fuzz_heap()};
    r.base -= record->events.cap;
    begin_session(&r.session, &r.pool, settings);
    bool alive = true;
    for (size_t at = 0; at < n && alive;) {
        size_t piece = fuzz_piece(&chop, n - at);
        alive = feed_piece(&r, bytes + at, piece);
        at += piece;
    }
    record->idle = is_idle(&r.session);
    if (!alive || r.over)
        check_over(&r);
    if (!alive) {
        CHECK(session_error_close_code(record->rc) >= 1002);
        CHECK(strlen(session_error_text(record->rc)) > 0);
    }
    session_free(&r.session);
    deflate_pool_free(&r.pool);
    CHECK(!fuzz_heap() || fuzz_heap() == r.base + record->events.cap);
}

/* --- comparing -------------------------------------------------------------------------------- */

static bool begins_with(const struct buf *all, const struct buf *start)
{
    return start->len <= all->len &&
           (start->len == 0 || memcmp(all->data, start->data, start->len) == 0);
}

/* A window smaller than agreed may be understood in one run and not in another (deflater.h). */
static bool may_differ(const struct session_settings *s, const struct session_record *a)
{
    return a->rc == SESSION_ERR_DEFLATE && settings_takeover(s) && settings_bits(s) < 15;
}

static void compare(const struct session_settings *s, const struct session_record *a,
                    const struct session_record *b)
{
    if (may_differ(s, a) || may_differ(s, b)) {
        CHECK(begins_with(&a->events, &b->events) || begins_with(&b->events, &a->events));
        return;
    }
    CHECK(a->rc == b->rc && a->idle == b->idle);
    CHECK(a->events.len == b->events.len && begins_with(&a->events, &b->events));
}

/* The model judges the ratio later than the session: up to there all is the same. */
static void compare_with_model(const struct session_settings *s, const struct session_record *a,
                               const struct session_record *model)
{
    if (a->rc != SESSION_ERR_RATIO) {
        compare(s, a, model);
        CHECK(!model->over_ratio);
        return;
    }
    CHECK(s->compression && s->limits.inflate_ratio && s->limits.message > 65536);
    CHECK(begins_with(&model->events, &a->events));
}

/* --- writing ---------------------------------------------------------------------------------- */

static void write_event(struct buf *out, struct deflater *z, const struct session_event *e,
                        const unsigned char *key)
{
    bool ok = false;
    switch (e->type) {
    case SESSION_MESSAGE:
        ok = z && e->len % 2 ? session_write_compressed(out, z, e->kind, e->data, e->len, key)
                             : session_write_message(out, e->kind, e->data, e->len, key);
        break;
    case SESSION_PING:
        ok = session_write_ping(out, e->data, e->len, key);
        break;
    case SESSION_PONG:
        ok = session_write_pong(out, e->data, e->len, key);
        break;
    case SESSION_CLOSE:
        ok = session_write_close(out, e->code == 1005 ? 0 : e->code, e->data, e->len, key);
        break;
    }
    CHECK(ok);
}

/* Writes the events of a whole run as frames of the peer. */
static void write_all(const struct session_settings *settings, const unsigned char *bytes, size_t n,
                      struct buf *out)
{
    static const unsigned char key[4] = {0xA5, 0x00, 0x3C, 0xFF};
    struct deflate_pool pool = {0}, peer_pool = {0};
    struct deflate *peer =
        deflate_new(&peer_pool, &settings->params, settings->role == SESSION_CLIENT, &level);
    struct session s;
    struct session_event event;
    unsigned char *copy = fuzz_copy(bytes, n);
    CHECK(peer != NULL);
    begin_session(&s, &pool, settings);
    session_feed(&s, copy, n);
    while (session_next(&s, &event) == SESSION_EVENT)
        write_event(out, settings->compression ? deflate_deflater(peer) : NULL, &event,
                    settings->role == SESSION_SERVER ? key : NULL);
    session_free(&s);
    deflate_free(peer);
    deflate_pool_free(&pool);
    deflate_pool_free(&peer_pool);
    free(copy);
}

static void check_written(const struct session_settings *settings, const unsigned char *bytes,
                          size_t n, const struct session_record *whole)
{
    struct session_settings roomy = *settings;
    struct session_record again = {0};
    struct buf frames = {0};
    roomy.limits.inflate_ratio = 0;
    roomy.limits.fragments = 1;
    write_all(settings, bytes, n, &frames);
    run(&roomy, frames.data, frames.len, settings->chop, &again);
    CHECK(again.rc == 0 && again.idle && again.events.len == whole->events.len);
    CHECK(begins_with(&again.events, &whole->events));
    buf_free(&frames);
    buf_free(&again.events);
}

void session_fuzz(enum session_role role, const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, data + size};
    struct session_settings settings = read_settings(role, &in);
    struct session_record model = {0}, whole = {0}, chopped = {0};
    size_t n = fuzz_left(&in);
    model_run(&settings, in.at, n, &model);
    run(&settings, in.at, n, fuzz_chop_of(0), &whole);
    run(&settings, in.at, n, settings.chop, &chopped);
    compare_with_model(&settings, &whole, &model);
    compare_with_model(&settings, &chopped, &model);
    compare(&settings, &whole, &chopped);
    check_written(&settings, in.at, n, &whole);
    buf_free(&model.events);
    buf_free(&whole.events);
    buf_free(&chopped.events);
}
