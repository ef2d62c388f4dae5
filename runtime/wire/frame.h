/* One frame's header: RFC 6455 section 5.2. Knows nothing of messages or their order. */
#ifndef TIDEWIRE_WIRE_FRAME_H
#define TIDEWIRE_WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frame_opcode {
    FRAME_CONTINUATION = 0x0,
    FRAME_TEXT = 0x1,
    FRAME_BINARY = 0x2,
    FRAME_CLOSE = 0x8,
    FRAME_PING = 0x9,
    FRAME_PONG = 0xA,
};

#define FRAME_RSV1 0x40 /* RFC 7692 gives it a meaning; RSV2 and RSV3 have none */
#define FRAME_RSV2 0x20
#define FRAME_RSV3 0x10

#define FRAME_HEADER_MAX 14   /* 2 + 8 for the length + 4 for the masking key */
#define FRAME_KEY 4           /* bytes of a masking key */
#define FRAME_CONTROL_MAX 125 /* payload of a control frame, section 5.5 */

struct frame_header {
    bool fin;
    uint8_t rsv; /* FRAME_RSV1 | ... as received */
    uint8_t opcode;
    bool masked;
    unsigned char key[FRAME_KEY]; /* masking key, when masked */
    uint64_t length;              /* of the payload, in bytes; at most 2^63 - 1 */
};

/* frame_parse failed: each calls for close code 1002. The session passes them on; its own codes
 * (session.h) begin below them. */
enum frame_error {
    FRAME_ERR_OPCODE = -1,             /* reserved opcode 3-7 or B-F */
    FRAME_ERR_CONTROL_LENGTH = -2,     /* control frame over 125 bytes */
    FRAME_ERR_CONTROL_FRAGMENT = -3,   /* control frame without FIN */
    FRAME_ERR_LENGTH_NOT_MINIMAL = -4, /* length in more bytes than it needs */
    FRAME_ERR_LENGTH_SIGN = -5,        /* most significant bit of a 64-bit length set */
};

/* Reads a header from the start of `bytes`. Returns the bytes it takes (2 to 14), 0 when more are
 * needed, or an enum frame_error; `h` is written only in the first case. A frame is refused as
 * early as its bytes allow: an opcode or a control frame without FIN from the first byte, a
 * control length from the second, a 64-bit length's sign from its first byte, a length that is not
 * minimal from its last. RSV bits and masking are reported, not judged: they depend on role and
 * extensions. */
int frame_parse(const unsigned char *bytes, size_t n, struct frame_header *h);

/* Writes a header with the length in its shortest form; length is at most 2^63 - 1. `key` NULL
 * means unmasked. Returns the header's size. */
size_t frame_write_header(unsigned char out[FRAME_HEADER_MAX], bool fin, uint8_t rsv,
                          enum frame_opcode opcode, uint64_t length, const unsigned char *key);

static inline bool frame_is_control(uint8_t opcode)
{
    return opcode & 0x8;
}

#endif
