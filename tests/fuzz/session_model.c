/* A session without states in the middle: it has the whole stream, so a message is one copy and one
 * call of zlib for each frame. Where it needs frame headers and UTF-8, it takes wire's own: those
 * have targets of their own. */
#include "session.h"

#include "wire/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct model {
    const struct session_settings *settings;
    struct session_record *out;
    const unsigned char *at, *end;
    /* the message under way */
    uint8_t kind;
    bool compressed;
    uint32_t frames, utf8;
    uint64_t packed; /* compressed bytes */
    struct buf message;
    /* the extension */
    z_stream z;
    bool whole;
    struct buf history; /* all that was inflated with this window */
};

void record_event(struct session_record *r, const struct session_event *event)
{
    CHECK(event->data != NULL);
    if (event->type == SESSION_MESSAGE)
        CHECK(event->kind == FRAME_TEXT || event->kind == FRAME_BINARY);
    CHECK(buf_printf(&r->events, "\n%d %d %u %zu ", (int)event->type,
                     event->type == SESSION_MESSAGE ? (int)event->kind : 0,
                     event->type == SESSION_CLOSE ? event->code : 0u, event->len));
    CHECK(buf_append(&r->events, event->data, event->len));
}

/* --- inflating -------------------------------------------------------------------------------- */

/* A new stream that knows what was inflated before, as far as its window reaches. */
static void start_stream(struct model *m, bool first)
{
    unsigned bits = settings_takeover(m->settings) ? settings_bits(m->settings) : 15;
    size_t known = m->history.len, window = (size_t)1 << bits;
    if (!first)
        inflateEnd(&m->z);
    m->z = (z_stream){0};
    CHECK(inflateInit2(&m->z, -(int)bits) == Z_OK);
    known = known < window ? known : window;
    if (known)
        CHECK(inflateSetDictionary(&m->z, m->history.data + m->history.len - known, (uInt)known) ==
              Z_OK);
    m->whole = true;
}

/* Judges the new bytes at the end of the message: in the order in which they stand in it. */
static int judge_inflated(struct model *m, size_t before, bool damaged)
{
    uint64_t limit = m->settings->limits.message;
    size_t good = m->message.len < limit ? m->message.len : (size_t)limit;
    if (m->kind == FRAME_TEXT && good > before &&
        !utf8_feed(&m->utf8, m->message.data + before, good - before))
        return SESSION_ERR_UTF8;
    if (m->message.len > limit)
        return SESSION_ERR_TOO_BIG;
    return damaged ? SESSION_ERR_DEFLATE : 0;
}

static int inflate_bytes(struct model *m, const unsigned char *bytes, size_t n)
{
    unsigned char out[4096];
    size_t before = m->message.len;
    int rc = Z_OK;
    m->z.next_in = (unsigned char *)(uintptr_t)bytes;
    m->z.avail_in = (uInt)n;
    do {
        m->z.next_out = out;
        m->z.avail_out = sizeof out;
        rc = inflate(&m->z, Z_SYNC_FLUSH);
        size_t made = sizeof out - m->z.avail_out;
        CHECK(rc != Z_MEM_ERROR && rc != Z_STREAM_ERROR && rc != Z_NEED_DICT);
        CHECK(buf_append(&m->message, out, made) && buf_append(&m->history, out, made));
        if (rc == Z_OK)
            m->whole = m->z.data_type == 128;
        if (rc == Z_STREAM_END) {
            const unsigned char *next = m->z.next_in;
            uInt left = m->z.avail_in;
            start_stream(m, false);
            m->z.next_in = (unsigned char *)(uintptr_t)next;
            m->z.avail_in = left;
        }
        if (m->message.len > m->settings->limits.message)
            break;
    } while (rc != Z_DATA_ERROR && (m->z.avail_in || m->z.avail_out == 0));
    return judge_inflated(m, before, rc == Z_DATA_ERROR);
}

static int take_compressed(struct model *m, const unsigned char *payload, size_t n, bool ends)
{
    static const unsigned char tail[] = {0x00, 0x00, 0xFF, 0xFF};
    int rc = n ? inflate_bytes(m, payload, n) : 0;
    m->packed += n;
    if (rc == 0 && ends && !m->whole)
        rc = inflate_bytes(m, tail, sizeof tail);
    return rc == 0 && ends && !m->whole ? SESSION_ERR_DEFLATE : rc;
}

/* --- messages --------------------------------------------------------------------------------- */

static int judge(const struct model *m, const struct frame_header *h)
{
    const struct session_limits *limits = &m->settings->limits;
    bool continues = h->opcode == FRAME_CONTINUATION;
    bool compressed = continues ? m->compressed : h->rsv == FRAME_RSV1;
    if (h->rsv && !(h->rsv == FRAME_RSV1 && m->settings->compression && !continues &&
                    !frame_is_control(h->opcode)))
        return SESSION_ERR_RSV;
    if (h->masked == (m->settings->role == SESSION_CLIENT))
        return SESSION_ERR_MASK;
    if (frame_is_control(h->opcode))
        return 0;
    if (continues == (m->kind == 0))
        return SESSION_ERR_CONTINUATION;
    if (m->frames == limits->fragments)
        return SESSION_ERR_FRAGMENTS;
    /* no length that matters here is near 2^63 */
    uint64_t limit = compressed ? limits->message * 2 + 65536 : limits->message;
    uint64_t before = !continues ? 0 : compressed ? m->packed : m->message.len;
    return h->length > (UINT64_C(1) << 62) || before + h->length > limit ? SESSION_ERR_TOO_BIG : 0;
}

static void begin_message(struct model *m, const struct frame_header *h)
{
    m->kind = h->opcode;
    m->compressed = h->rsv != 0;
    m->packed = 0;
    m->utf8 = UTF8_START;
    m->message.len = 0;
    m->whole = true;
    if (m->compressed && !settings_takeover(m->settings)) {
        m->history.len = 0;
        start_stream(m, false);
    }
}

static int take_data(struct model *m, const struct frame_header *h, const unsigned char *payload,
                     size_t n)
{
    bool ends = n == h->length && h->fin;
    if (h->opcode != FRAME_CONTINUATION)
        begin_message(m, h);
    m->frames++;
    if (m->compressed) {
        int rc = take_compressed(m, payload, n, ends);
        if (rc != 0)
            return rc;
    } else {
        if (m->kind == FRAME_TEXT && !utf8_feed(&m->utf8, payload, n))
            return SESSION_ERR_UTF8;
        CHECK(buf_append(&m->message, payload, n));
    }
    if (!ends)
        return 0;
    if (m->kind == FRAME_TEXT && m->utf8 != UTF8_START)
        return SESSION_ERR_UTF8;
    struct session_event event = {
        .type = SESSION_MESSAGE,
        .kind = (enum frame_opcode)m->kind,
        .data = m->message.len ? m->message.data : (unsigned char *)"",
        .len = m->message.len,
    };
    record_event(m->out, &event);
    uint32_t ratio = m->settings->limits.inflate_ratio;
    if (m->compressed && ratio && event.len > 65536 && event.len / ratio > m->packed + 4)
        m->out->over_ratio = true; /* 4: the bytes that end a message may count or not */
    m->kind = 0;
    m->frames = 0;
    return 0;
}

/* 1: it was a Close. */
static int take_control(struct model *m, const struct frame_header *h, unsigned char *payload,
                        size_t n)
{
    struct session_event event = {
        .type = h->opcode == FRAME_PING ? SESSION_PING : SESSION_PONG, .data = payload, .len = n};
    if (n < h->length)
        return 0;
    if (h->opcode == FRAME_CLOSE) {
        event.type = SESSION_CLOSE;
        event.code = 1005;
        if (n == 1)
            return SESSION_ERR_CLOSE_LENGTH;
        if (n >= 2) {
            event.code = (uint16_t)(payload[0] * 256 + payload[1]);
            event.data += 2;
            event.len -= 2;
        }
        unsigned c = event.code;
        bool legal = (c >= 1000 && c <= 1014 && c != 1004 && c != 1005 && c != 1006) ||
                     (c >= 3000 && c <= 4999);
        if (n && !legal)
            return SESSION_ERR_CLOSE_CODE;
        if (!utf8_valid(event.data, event.len))
            return SESSION_ERR_UTF8;
    }
    record_event(m->out, &event);
    return h->opcode == FRAME_CLOSE;
}

/* The next frame, as far as it is there. 1: a Close. 0: go on, or at the end: *partial is set. */
static int take_frame(struct model *m, bool *partial)
{
    struct frame_header h;
    int size = frame_parse(m->at, (size_t)(m->end - m->at), &h);
    *partial = true;
    if (size <= 0)
        return size;
    int rc = judge(m, &h);
    if (rc != 0)
        return rc;
    m->at += size;
    size_t n = (size_t)(m->end - m->at);
    if (n > h.length)
        n = (size_t)h.length;
    *partial = n < h.length;
    unsigned char *payload = fuzz_copy(m->at, n);
    for (size_t i = 0; i < n && h.masked; i++)
        payload[i] ^= h.key[i % 4];
    m->at += n;
    unsigned char *data = payload ? payload : (unsigned char *)"";
    rc = frame_is_control(h.opcode) ? take_control(m, &h, data, n) : take_data(m, &h, data, n);
    free(payload);
    return rc;
}

void model_run(const struct session_settings *settings, const unsigned char *bytes, size_t n,
               struct session_record *out)
{
    struct model m = {.settings = settings, .out = out, .at = bytes, .end = bytes + n};
    bool partial = false;
    int rc = 0;
    start_stream(&m, true);
    while (rc == 0 && !partial && m.at < m.end)
        rc = take_frame(&m, &partial);
    out->rc = rc < 0 ? rc : 0;
    out->idle = rc != 0 || (!partial && !m.kind);
    inflateEnd(&m.z);
    buf_free(&m.message);
    buf_free(&m.history);
}
