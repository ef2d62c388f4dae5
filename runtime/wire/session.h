/* The message layer of RFC 6455 over one connection, for both roles: bytes in, events out. With
 * permessage-deflate (RFC 7692) when that is agreed.
 *
 *     session_feed(&s, bytes, n);
 *     while ((rc = session_next(&s, &event)) == SESSION_EVENT)
 *         handle(&event);
 *     // rc == SESSION_MORE: all bytes are consumed; rc < 0: an enum session_error
 *
 * Bytes are unmasked and judged in place, so the caller's buffer is written to. A message that
 * came in one frame and one piece is a slice of that buffer; only a message in pieces, or a
 * compressed one, has memory of its own: at most twice what has arrived or was inflated, never by a
 * declared length. It is freed by the first call after the message's event: between messages a
 * session owns nothing but itself, and what of the extension is kept from message to message.
 *
 * The session answers nothing by itself: pings and closes are events, and the owner sends
 * session_write_* frames when it sees fit. No clock, no random numbers, no descriptors. */
#ifndef TIDEWIRE_WIRE_SESSION_H
#define TIDEWIRE_WIRE_SESSION_H

#include "base/buf.h"
#include "wire/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum session_role { SESSION_SERVER, SESSION_CLIENT };

struct session_limits {
    uint64_t message;       /* bytes of a whole message, after decompression */
    uint32_t fragments;     /* frames of one message, empty ones counted */
    uint32_t inflate_ratio; /* bytes that one compressed byte may become, on average of a message,
                               judged from 64 KiB on; 0: any number */
};

enum session_result { SESSION_MORE = 0, SESSION_EVENT = 1 };

/* Negative results of session_next: first those of frame_parse (enum frame_error, all protocol
 * errors), then these, grouped by the close code they call for. */
enum session_error {
    /* 1002, protocol error */
    SESSION_ERR_RSV = -16,          /* reserved bit that has no meaning on this frame */
    SESSION_ERR_MASK = -17,         /* server: unmasked frame; client: masked frame (5.1) */
    SESSION_ERR_CONTINUATION = -18, /* continuation of nothing, or a new message inside another */
    SESSION_ERR_CLOSE_LENGTH = -19, /* Close payload of one byte (5.5.1) */
    SESSION_ERR_CLOSE_CODE = -20,   /* Close code that must not be on the wire (7.4) */
    /* 1007, invalid payload data */
    SESSION_ERR_UTF8 = -32,    /* in a text message, or in a Close reason */
    SESSION_ERR_DEFLATE = -33, /* a compressed message is no valid DEFLATE data, or was cut */
    /* 1008, policy violation */
    SESSION_ERR_FRAGMENTS = -48, /* more frames than limits->fragments */
    /* 1009, message too big */
    SESSION_ERR_TOO_BIG = -64, /* told from the header, before the payload arrives, or while
                                  inflating. Of a compressed message, compressed bytes count as
                                  well: they may be twice limits->message and 64 KiB, so that
                                  blocks without content come to an end */
    SESSION_ERR_RATIO = -65,   /* over limits->inflate_ratio */
    /* 1011, internal error */
    SESSION_ERR_MEMORY = -80,
};

enum session_event_type { SESSION_MESSAGE, SESSION_PING, SESSION_PONG, SESSION_CLOSE };

struct session_event {
    enum session_event_type type;
    enum frame_opcode kind; /* of a message: FRAME_TEXT or FRAME_BINARY */
    uint16_t code;          /* of a Close: 1005 when it carried none */
    /* Payload, or the reason of a Close. Valid until the next call on this session, and no longer
     * than the fed bytes. Never NULL, also when len is 0. */
    unsigned char *data;
    size_t len;
};

struct deflate;
struct deflater;
struct session_assembly; /* a payload in pieces: only while there is one */

/* 80 bytes where a pointer has 8. Written by session.c alone, but for `limits`. */
struct session {
    const struct session_limits *limits; /* borrowed; may be exchanged at any time */
    unsigned char *in, *in_end;          /* fed, not yet consumed */
    struct session_assembly *assembly;
    struct deflate *deflate; /* NULL: no compression is agreed */
    union {
        struct {           /* while in_frame */
            uint64_t left; /* payload bytes of the current frame that are still to come */
            uint64_t at;   /* payload bytes of the current frame consumed: the mask's offset */
        };
        unsigned char head[FRAME_HEADER_MAX]; /* otherwise: what has arrived of a header */
    };
    uint32_t utf8;        /* state of a text message's validation */
    uint32_t frames;      /* of the message under way */
    unsigned char key[4]; /* masking key of the current frame */
    uint8_t role;
    uint8_t head_len;
    uint8_t kind;       /* opcode of the message under way, 0 between messages */
    uint8_t opcode;     /* of the current frame */
    bool in_frame, fin; /* fin: of the current data frame, or the latest one */
    bool compressed;    /* the message under way */
    bool over; /* after an error or a Close: what follows is consumed and ignored (7.1.1) */
};

/* `limits` is borrowed and must outlive the session. */
void session_init(struct session *s, enum session_role role, const struct session_limits *limits);
void session_free(struct session *s);

/* permessage-deflate is agreed, before the first byte is fed. Takes `deflate`, which is freed with
 * the session. */
void session_use_deflate(struct session *s, struct deflate *deflate);

/* Lends n bytes to the session until session_next returns something other than SESSION_EVENT, or
 * session_take_unread hands them back. The bytes fed before must have been consumed
 * (session_unread is 0). */
void session_feed(struct session *s, unsigned char *bytes, size_t n);

/* The next event (SESSION_EVENT), SESSION_MORE when all fed bytes are consumed, or a negative
 * code. `event` is to be read only after SESSION_EVENT. After an error or a Close event, bytes are
 * consumed and ignored: feeding on is safe and answers SESSION_MORE. */
int session_next(struct session *s, struct session_event *event);

/* Fed bytes that session_next has not consumed: lets the owner stop between two messages, keep
 * the rest elsewhere and feed it again. session_take_unread hands them back. */
size_t session_unread(const struct session *s);
unsigned char *session_take_unread(struct session *s, size_t *n);

/* Bytes allocated for the message under way, or for the one just delivered: what it has and may
 * grow into, and what inflates it, when that is borrowed. A window that is kept from message to
 * message is not among them (deflate_held tells). */
size_t session_held(const struct session *s);

/* The close code and the words for an error of session_next. */
uint16_t session_error_close_code(int error);
const char *session_error_text(int error);

/* Codes that may be sent in a Close frame and expected in one: 1000-1003, 1007-1014 and
 * 3000-4999 (RFC 6455 section 7.4, IANA registry). */
bool session_close_code_valid(unsigned code);

/* Append one whole frame to `out`: false when memory is short, or when a control frame would have
 * more than 125 bytes of payload (out then has the content it had). A client passes a fresh random
 * masking key for each frame (10.3), a server NULL. The data are taken as they are: text must be
 * valid UTF-8 already. They must not lie in `out`. */
bool session_write_message(struct buf *out, enum frame_opcode kind, const void *data, size_t n,
                           const unsigned char *key);

/* The same for a message that permessage-deflate compresses. When memory is short, the deflater's
 * window is emptied: it may be used again. */
bool session_write_compressed(struct buf *out, struct deflater *deflater, enum frame_opcode kind,
                              const void *data, size_t n, const unsigned char *key);

bool session_write_ping(struct buf *out, const void *data, size_t n, const unsigned char *key);
bool session_write_pong(struct buf *out, const void *data, size_t n, const unsigned char *key);

/* code 0 writes a Close without payload (and takes no reason). reason: at most 123 bytes of UTF-8.
 */
bool session_write_close(struct buf *out, uint16_t code, const void *reason, size_t n,
                         const unsigned char *key);

#endif
