/* What a session says of errors, and the frames it writes. */
#include "wire/session.h"

#include "wire/deflater.h"
#include "wire/mask.h"

#include <string.h>

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
    {SESSION_ERR_RSV, 1002, "reserved bit set that has no meaning here"},
    {SESSION_ERR_MASK, 1002, "unmasked frame from a client, or masked frame from a server"},
    {SESSION_ERR_CONTINUATION, 1002, "fragments out of order"},
    {SESSION_ERR_CLOSE_LENGTH, 1002, "Close frame with a payload of one byte"},
    {SESSION_ERR_CLOSE_CODE, 1002, "invalid close code"},
    {SESSION_ERR_UTF8, 1007, "text that is not UTF-8"},
    /* RFC 7692 names no code. The frames are in order, so it is not 1002; the data within the
     * message are not what the message says they are, and that is 1007. */
    {SESSION_ERR_DEFLATE, 1007, "compressed message that cannot be decompressed"},
    {SESSION_ERR_FRAGMENTS, 1008, "too many fragments"},
    {SESSION_ERR_TOO_BIG, 1009, "message too big"},
    {SESSION_ERR_RATIO, 1009, "message too big for its compressed size"},
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

bool session_write_compressed(struct buf *out, struct deflater *deflater, enum frame_opcode kind,
                              const void *data, size_t n, const unsigned char *key)
{
    size_t before = out->len;
    if (!buf_reserve(out, FRAME_HEADER_MAX))
        return false;
    out->len += FRAME_HEADER_MAX;
    if (!deflater_message(deflater, out, data, n)) {
        out->len = before;
        return false;
    }
    /* the header's size is that of the length, which is known only now */
    unsigned char header[FRAME_HEADER_MAX], *frame = out->data + before;
    size_t size = out->len - before - FRAME_HEADER_MAX;
    size_t header_size = frame_write_header(header, true, FRAME_RSV1, kind, size, key);
    memmove(frame + header_size, frame + FRAME_HEADER_MAX, size);
    memcpy(frame, header, header_size);
    out->len = before + header_size + size;
    if (key)
        mask_apply(frame + header_size, size, key, 0);
    return true;
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
