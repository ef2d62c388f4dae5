/* Reading goes in steps: a header, then its payload, as far as the fed bytes reach.
 *
 *              +------- frame ended, no event -------+
 *              v                                     |
 *     take_header ---- judged, in_frame ----> take_payload ---- event ----> out
 *
 * Between frames there is only `kind`: is a message under way, and which. A step that fails ends
 * the session, as does a Close. */
#include "wire/session.h"

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

/* What arrived in pieces and has to be kept. A control frame may come in the middle of a message,
 * and has its own place. */
struct session_assembly {
    struct buf message; /* payload of the message under way */
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

static int judge_header(const struct session *s, const struct frame_header *h)
{
    if (h->rsv)
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
    /* in this order nothing can overflow, whatever the declared length is */
    uint64_t limit = s->limits->message;
    if (h->length > limit || kept(s) > limit - h->length)
        return SESSION_ERR_TOO_BIG;
    return 0;
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
    if (h->opcode != FRAME_CONTINUATION)
        s->kind = h->opcode;
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

/* A piece of a data frame. An extension that transforms payload belongs here, as a sibling of
 * unmask_and_judge: unmask the piece, append what it becomes to the assembly, judge that; such
 * a message is never in_place. */
static int take_data(struct session *s, unsigned char *piece, size_t n, struct session_event *event)
{
    if (!unmask_and_judge(s, piece, n))
        return SESSION_ERR_UTF8;
    bool frame_ends = s->left == 0, message_ends = frame_ends && s->fin;
    if (message_ends && s->utf8 != UTF8_START)
        return SESSION_ERR_UTF8;
    bool in_place = message_ends && kept(s) == 0;
    if (!in_place && !keep(s, piece, n))
        return SESSION_ERR_MEMORY;
    s->in_frame = !frame_ends;
    if (!message_ends)
        return frame_ends ? STEP_DONE : SESSION_MORE;

    *event = (struct session_event){
        .type = SESSION_MESSAGE,
        .kind = (enum frame_opcode)s->kind,
        .data = in_place ? piece : s->assembly->message.data,
        .len = in_place ? n : kept(s),
    };
    s->kind = 0;
    s->frames = 0;
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

bool session_is_idle(const struct session *s)
{
    return !s->in_frame && !s->kind && !s->head_len;
}

/* --- errors ----------------------------------------------------------------------------------- */

static const struct error {
    int error;
    uint16_t close_code;
    const char *text;
} errors[] = {
    {FRAME_ERR_OPCODE, 1002, "reserved opcode"},
    {FRAME_ERR_CONTROL_LENGTH, 1002, "control frame longer than 125 bytes"},
    {FRAME_ERR_CONTROL_FRAGMENT, 1002, "fragmented control frame"},
    {FRAME_ERR_LENGTH_NOT_MINIMAL, 1002, "payload length not in its shortest form"},
    {FRAME_ERR_LENGTH_SIGN, 1002, "payload length of 2^63 bytes or more"},
    {SESSION_ERR_RSV, 1002, "reserved bit set without an extension that defines it"},
    {SESSION_ERR_MASK, 1002, "unmasked frame from a client, or masked frame from a server"},
    {SESSION_ERR_CONTINUATION, 1002, "fragments out of order"},
    {SESSION_ERR_CLOSE_LENGTH, 1002, "Close frame with a payload of one byte"},
    {SESSION_ERR_CLOSE_CODE, 1002, "invalid close code"},
    {SESSION_ERR_UTF8, 1007, "text that is not UTF-8"},
    {SESSION_ERR_FRAGMENTS, 1008, "too many fragments"},
    {SESSION_ERR_TOO_BIG, 1009, "message too big"},
    {SESSION_ERR_MEMORY, 1011, "out of memory"},
};

static const struct error *find_error(int error)
{
    static const struct error unknown = {0, 1011, "unknown error"};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].error == error)
            return &errors[i];
    return &unknown;
}

uint16_t session_error_close_code(int error)
{
    return find_error(error)->close_code;
}

const char *session_error_text(int error)
{
    return find_error(error)->text;
}

bool session_close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool write_frame(struct buf *out, enum frame_opcode opcode, const void *data, size_t n,
                        const unsigned char *key)
{
    if (frame_is_control((uint8_t)opcode) && n > FRAME_CONTROL_MAX)
        return false;
    unsigned char header[FRAME_HEADER_MAX];
    size_t header_size = frame_write_header(header, true, 0, opcode, n, key);
    if (n > SIZE_MAX - header_size || !buf_reserve(out, header_size + n))
        return false;
    buf_append(out, header, header_size); /* these two have their room */
    buf_append(out, data, n);
    if (key)
        mask_apply(out->data + out->len - n, n, key, 0);
    return true;
}

bool session_write_message(struct buf *out, enum frame_opcode kind, const void *data, size_t n,
                           const unsigned char *key)
{
    return write_frame(out, kind, data, n, key);
}

bool session_write_ping(struct buf *out, const void *data, size_t n, const unsigned char *key)
{
    return write_frame(out, FRAME_PING, data, n, key);
}

bool session_write_pong(struct buf *out, const void *data, size_t n, const unsigned char *key)
{
    return write_frame(out, FRAME_PONG, data, n, key);
}

bool session_write_close(struct buf *out, uint16_t code, const void *reason, size_t n,
                         const unsigned char *key)
{
    unsigned char payload[FRAME_CONTROL_MAX];
    if (code == 0)
        return write_frame(out, FRAME_CLOSE, NULL, 0, key);
    if (n > sizeof payload - 2)
        return false;
    payload[0] = (unsigned char)(code >> 8);
    payload[1] = (unsigned char)code;
    if (n)
        memcpy(payload + 2, reason, n);
    return write_frame(out, FRAME_CLOSE, payload, n + 2, key);
}
