/* Reading goes in steps: a header, then its payload, as far as the fed bytes reach.
 *
 *              +------- frame ended, no event -------+
 *              v                                     |
 *     take_header ---- judged, in_frame ----> take_payload ---- event ----> out
 *
 * Between frames there is only `kind`: is a message under way, and which. A step that fails ends
 * the session, as does a Close. */
#include "wire/session.h"

#include "wire/deflate.h"
#include "wire/mask.h"
#include "wire/utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CLOSE_CODE_NONE 1005 /* stands for a Close without a code; never on the wire (7.1.5) */

/* Beside SESSION_MORE, SESSION_EVENT and errors, a step may answer that the next can follow. */
#define STEP_DONE 2

/* Payload is unmasked and judged in steps of this many bytes, which the first-level cache holds. */
#define CACHED 8192

/* A message is inflated up to the next multiple of this; there its ratio is judged, so that it does
 * not matter how the bytes arrived. */
#define INFLATE_STEP 16384
#define INFLATE_SMALLEST 1024
#define RATIO_FREE 65536 /* up to here any ratio will do */

/* What arrived in pieces or compressed and has to be kept. A control frame may come in the middle
 * of a message, and has its own place. */
struct session_assembly {
    struct buf message;  /* payload of the message under way, inflated */
    uint64_t compressed; /* bytes that it was inflated from */
    unsigned char control[FRAME_CONTROL_MAX];
};

void session_init(struct session *s, enum session_role role, const struct session_limits *limits)
{
    *s = (struct session){.limits = limits, .role = (uint8_t)role, .utf8 = UTF8_START};
}

static void free_assembly(struct session *s)
{
    if (s->assembly)
        buf_free(&s->assembly->message);
    free(s->assembly);
    s->assembly = NULL;
}

void session_free(struct session *s)
{
    free_assembly(s);
    deflate_free(s->deflate);
    s->deflate = NULL;
}

void session_use_deflate(struct session *s, struct deflate *deflate)
{
    s->deflate = deflate;
}

/* Frees what the latest event has handed out. A message under way keeps its bytes. */
static void drop_delivered(struct session *s)
{
    if (s->assembly && !s->in_frame && !s->kind)
        free_assembly(s);
}

static bool need_assembly(struct session *s)
{
    if (!s->assembly)
        s->assembly = calloc(1, sizeof *s->assembly);
    return s->assembly;
}

/* Bytes of the message under way that are in the assembly. */
static size_t kept(const struct session *s)
{
    return s->assembly ? s->assembly->message.len : 0;
}

static bool keep(struct session *s, const unsigned char *piece, size_t n)
{
    return n == 0 || (need_assembly(s) && buf_append(&s->assembly->message, piece, n));
}

/* --- headers ---------------------------------------------------------------------------------- */

/* frame_parse over feeds: only a header that does not arrive whole is copied. */
static int read_header(struct session *s, struct frame_header *h)
{
    if (!s->head_len) {
        int size = frame_parse(s->in, session_unread(s), h);
        if (size > 0)
            s->in += size;
        if (size != 0)
            return size;
    }
    while (s->in < s->in_end) {
        s->head[s->head_len++] = *s->in++;
        int size = frame_parse(s->head, s->head_len, h);
        if (size != 0)
            return size;
    }
    return 0;
}

/* RSV1 marks a compressed message, on its first frame alone (RFC 7692 section 6). */
static bool rsv_is_legal(const struct session *s, const struct frame_header *h)
{
    bool first = h->opcode == FRAME_TEXT || h->opcode == FRAME_BINARY;
    return !h->rsv || (h->rsv == FRAME_RSV1 && first && s->deflate);
}

/* Also the bytes of a compressed message count, for blocks need not have content. No compressor
 * makes nearly so much of incompressible data. */
static uint64_t compressed_limit(uint64_t limit)
{
    return limit > (UINT64_MAX - RATIO_FREE) / 2 ? UINT64_MAX : limit * 2 + RATIO_FREE;
}

/* In this order nothing can overflow, whatever the declared length is. */
static bool too_big(const struct session *s, const struct frame_header *h)
{
    uint64_t limit = s->limits->message, arrived = kept(s);
    if (h->opcode == FRAME_CONTINUATION ? s->compressed : h->rsv != 0) {
        limit = compressed_limit(limit);
        arrived = s->assembly ? s->assembly->compressed : 0;
    }
    return h->length > limit || arrived > limit - h->length;
}

static int judge_header(const struct session *s, const struct frame_header *h)
{
    if (!rsv_is_legal(s, h))
        return SESSION_ERR_RSV;
    if (h->masked != (s->role == SESSION_SERVER))
        return SESSION_ERR_MASK;
    if (frame_is_control(h->opcode))
        return 0;
    bool continues = h->opcode == FRAME_CONTINUATION, under_way = s->kind != 0;
    if (continues != under_way)
        return SESSION_ERR_CONTINUATION;
    if (s->frames >= s->limits->fragments)
        return SESSION_ERR_FRAGMENTS;
    return too_big(s, h) ? SESSION_ERR_TOO_BIG : 0;
}

static void begin_frame(struct session *s, const struct frame_header *h)
{
    s->head_len = 0;
    s->in_frame = true;
    s->opcode = h->opcode;
    s->left = h->length;
    s->at = 0;
    memcpy(s->key, h->key, sizeof s->key);
    if (frame_is_control(h->opcode))
        return;
    s->fin = h->fin;
    s->frames++;
    if (h->opcode == FRAME_CONTINUATION)
        return;
    s->kind = h->opcode;
    s->compressed = h->rsv != 0;
}

static int take_header(struct session *s)
{
    struct frame_header h;
    int rc = read_header(s, &h);
    if (rc <= 0)
        return rc;
    rc = judge_header(s, &h);
    if (rc < 0)
        return rc;
    begin_frame(s, &h);
    return STEP_DONE;
}

/* --- payloads --------------------------------------------------------------------------------- */

/* The next n bytes of the frame's payload are dealt with; a server's are unmasked. */
static void unmask(struct session *s, unsigned char *piece, size_t n)
{
    if (s->role == SESSION_SERVER)
        mask_apply(piece, n, s->key, (size_t)s->at);
    s->at += n;
    s->left -= n;
}

/* Judges payload of the message under way: also in mid-frame, at the first impossible byte. */
static bool judge_text(struct session *s, const unsigned char *payload, size_t n)
{
    return s->kind != FRAME_TEXT || utf8_feed(&s->utf8, payload, n);
}

static bool unmask_and_judge(struct session *s, unsigned char *piece, size_t n)
{
    for (size_t step; n; piece += step, n -= step) {
        step = n < CACHED ? n : CACHED;
        unmask(s, piece, step);
        if (!judge_text(s, piece, step))
            return false;
    }
    return true;
}

static int take_plain(struct session *s, unsigned char *piece, size_t n, bool in_place)
{
    if (!unmask_and_judge(s, piece, n))
        return SESSION_ERR_UTF8;
    return in_place || keep(s, piece, n) ? STEP_DONE : SESSION_ERR_MEMORY;
}

/* Twice the room, but none beyond the limit. */
static bool grow(struct buf *message, uint64_t limit)
{
    size_t cap = message->cap ? message->cap * 2 : INFLATE_SMALLEST;
    if (cap > limit)
        cap = (size_t)limit;
    unsigned char *data = realloc(message->data, cap);
    if (!data)
        return false;
    message->data = data;
    message->cap = cap;
    return true;
}

/* Bytes that the next step may write, which there is memory for; 0: memory is short. */
static size_t inflate_room(struct buf *message, uint64_t limit)
{
    if (message->len == message->cap && !grow(message, limit))
        return 0;
    size_t room = INFLATE_STEP - message->len % INFLATE_STEP;
    if (room > message->cap - message->len)
        room = message->cap - message->len;
    return room < limit - message->len ? room : (size_t)(limit - message->len);
}

static bool over_ratio(const struct session *s)
{
    uint32_t ratio = s->limits->inflate_ratio;
    return ratio && kept(s) > RATIO_FREE && kept(s) / ratio > s->assembly->compressed;
}

/* STEP_DONE: there may be more of these bytes. SESSION_MORE: they are consumed. */
static int inflate_step(struct session *s, struct inflater *i, const unsigned char **bytes,
                        size_t *n)
{
    struct buf *message = &s->assembly->message;
    unsigned char beyond, *out = &beyond; /* at the limit: is there one byte more? */
    size_t room = 1, before = *n, written;
    bool full = message->len >= s->limits->message;
    if (!full) {
        room = inflate_room(message, s->limits->message);
        out = message->data + message->len;
    }
    if (room == 0)
        return SESSION_ERR_MEMORY;
    enum inflate_result result = inflater_step(i, bytes, n, out, room, &written);
    s->assembly->compressed += before - *n;
    if (full && written)
        return SESSION_ERR_TOO_BIG;
    if (!judge_text(s, out, written))
        return SESSION_ERR_UTF8;
    message->len += written;
    if (result < 0)
        return result == INFLATE_ERR_DATA ? SESSION_ERR_DEFLATE : SESSION_ERR_MEMORY;
    if (message->len % INFLATE_STEP == 0 && over_ratio(s))
        return SESSION_ERR_RATIO;
    return result == INFLATE_AGAIN ? STEP_DONE : SESSION_MORE;
}

static int inflate_all(struct session *s, struct inflater *i, const unsigned char *bytes, size_t n)
{
    int rc = STEP_DONE;
    while (rc == STEP_DONE)
        rc = inflate_step(s, i, &bytes, &n);
    return rc;
}

static int inflate_end(struct session *s, struct inflater *i)
{
    size_t n;
    const unsigned char *tail = inflater_tail(i, &n);
    int rc = n ? inflate_all(s, i, tail, n) : SESSION_MORE;
    if (rc < 0)
        return rc;
    if (!inflater_is_whole(i))
        return SESSION_ERR_DEFLATE;
    return over_ratio(s) ? SESSION_ERR_RATIO : STEP_DONE;
}

static int take_compressed(struct session *s, unsigned char *piece, size_t n, bool message_ends)
{
    struct inflater *i = need_assembly(s) ? deflate_inflater(s->deflate) : NULL;
    if (!i)
        return SESSION_ERR_MEMORY;
    for (size_t step; n; piece += step, n -= step) {
        step = n < CACHED ? n : CACHED;
        unmask(s, piece, step);
        int rc = inflate_all(s, i, piece, step);
        if (rc < 0)
            return rc;
    }
    return message_ends ? inflate_end(s, i) : STEP_DONE;
}

static void end_message(struct session *s)
{
    s->kind = 0;
    s->frames = 0;
    if (s->compressed)
        deflate_release(s->deflate);
}

/* A piece of a data frame. */
static int take_data(struct session *s, unsigned char *piece, size_t n, struct session_event *event)
{
    bool frame_ends = n == s->left, message_ends = frame_ends && s->fin;
    bool in_place = message_ends && !s->compressed && kept(s) == 0;
    int rc = s->compressed ? take_compressed(s, piece, n, message_ends)
                           : take_plain(s, piece, n, in_place);
    if (rc < 0)
        return rc;
    if (message_ends && s->utf8 != UTF8_START)
        return SESSION_ERR_UTF8;
    s->in_frame = !frame_ends;
    if (!message_ends)
        return frame_ends ? STEP_DONE : SESSION_MORE;

    *event = (struct session_event){
        .type = SESSION_MESSAGE,
        .kind = (enum frame_opcode)s->kind,
        .data = kept(s) ? s->assembly->message.data : piece,
        .len = in_place ? n : kept(s),
    };
    end_message(s);
    return SESSION_EVENT;
}

/* Splits a Close payload into code and reason (5.5.1). */
static int judge_close(struct session_event *event)
{
    const unsigned char *payload = event->data;
    event->code = CLOSE_CODE_NONE;
    if (event->len == 0)
        return SESSION_EVENT;
    if (event->len == 1)
        return SESSION_ERR_CLOSE_LENGTH;
    event->code = (uint16_t)(payload[0] << 8 | payload[1]);
    event->data += 2;
    event->len -= 2;
    if (!session_close_code_valid(event->code))
        return SESSION_ERR_CLOSE_CODE;
    if (!utf8_valid(event->data, event->len))
        return SESSION_ERR_UTF8;
    return SESSION_EVENT;
}

/* A piece of a control frame. */
static int take_control(struct session *s, unsigned char *piece, size_t n,
                        struct session_event *event)
{
    unsigned char *payload = piece;
    size_t at = (size_t)s->at;
    unmask(s, piece, n);
    if (at || s->left) {
        if (!need_assembly(s))
            return SESSION_ERR_MEMORY;
        payload = s->assembly->control;
        memcpy(payload + at, piece, n);
    }
    if (s->left)
        return SESSION_MORE;

    s->in_frame = false;
    *event = (struct session_event){
        .type = s->opcode == FRAME_PING   ? SESSION_PING
                : s->opcode == FRAME_PONG ? SESSION_PONG
                                          : SESSION_CLOSE,
        .data = payload,
        .len = at + n,
    };
    return event->type == SESSION_CLOSE ? judge_close(event) : SESSION_EVENT;
}

static int take_payload(struct session *s, struct session_event *event)
{
    size_t n = session_unread(s);
    if (n > s->left)
        n = (size_t)s->left;
    if (n == 0 && s->left)
        return SESSION_MORE;
    unsigned char *piece = s->in;
    s->in += n;
    return frame_is_control(s->opcode) ? take_control(s, piece, n, event)
                                       : take_data(s, piece, n, event);
}

/* --- the session ------------------------------------------------------------------------------ */

/* What follows is ignored, in these bytes and in those of later feeds. */
static void end(struct session *s)
{
    s->over = true;
    s->in = s->in_end;
    s->in_frame = false;
    s->head_len = 0;
    s->kind = 0;
    if (s->deflate)
        deflate_release(s->deflate);
}

void session_feed(struct session *s, unsigned char *bytes, size_t n)
{
    assert(session_unread(s) == 0);
    drop_delivered(s);
    s->in_end = n ? bytes + n : bytes;
    s->in = s->over ? s->in_end : bytes;
}

int session_next(struct session *s, struct session_event *event)
{
    drop_delivered(s);
    int rc = s->over ? SESSION_MORE : STEP_DONE;
    while (rc == STEP_DONE)
        rc = s->in_frame ? take_payload(s, event) : take_header(s);
    if (rc < 0) {
        end(s);
        free_assembly(s);
    } else if (rc == SESSION_EVENT && event->type == SESSION_CLOSE) {
        end(s);
    }
    return rc;
}

size_t session_unread(const struct session *s)
{
    return (size_t)(s->in_end - s->in);
}

unsigned char *session_take_unread(struct session *s, size_t *n)
{
    unsigned char *unread = s->in;
    *n = session_unread(s);
    drop_delivered(s);
    s->in = s->in_end = NULL;
    return unread;
}

size_t session_held(const struct session *s)
{
    size_t held = s->assembly ? sizeof *s->assembly + s->assembly->message.cap : 0;
    return s->deflate ? held + deflate_borrowed(s->deflate) : held;
}
