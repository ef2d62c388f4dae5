#include "wire/frame.h"

#include <string.h>

#define FIN 0x80
#define MASKED 0x80
#define LENGTH_16 126 /* in the 7-bit length: a 16-bit one follows */
#define LENGTH_64 127

/* Opcodes come in two groups of eight, data and control; of each, the first three have a meaning.
 */
static bool opcode_is_known(uint8_t opcode)
{
    return (opcode & 0x7) <= 2;
}

/* Reads the length, in whichever of its three forms. Returns the bytes of the header up to the
 * length's end, 0 when more are needed, or an enum frame_error. */
static int parse_length(const unsigned char *bytes, size_t n, uint64_t *length)
{
    unsigned form = bytes[1] & 0x7F;
    if (form < LENGTH_16) {
        *length = form;
        return 2;
    }
    if (form == LENGTH_64 && n > 2 && bytes[2] & 0x80)
        return FRAME_ERR_LENGTH_SIGN;
    size_t end = form == LENGTH_16 ? 4 : 10;
    if (n < end)
        return 0;
    *length = 0;
    for (size_t i = 2; i < end; i++)
        *length = *length << 8 | bytes[i];
    if (*length < (form == LENGTH_16 ? LENGTH_16 : UINT64_C(0x10000)))
        return FRAME_ERR_LENGTH_NOT_MINIMAL;
    return (int)end;
}

int frame_parse(const unsigned char *bytes, size_t n, struct frame_header *h)
{
    if (n < 1)
        return 0;
    bool fin = bytes[0] & FIN;
    uint8_t opcode = bytes[0] & 0x0F;
    if (!opcode_is_known(opcode))
        return FRAME_ERR_OPCODE;
    if (frame_is_control(opcode) && !fin)
        return FRAME_ERR_CONTROL_FRAGMENT;
    if (n < 2)
        return 0;
    if (frame_is_control(opcode) && (bytes[1] & 0x7F) > FRAME_CONTROL_MAX)
        return FRAME_ERR_CONTROL_LENGTH;

    uint64_t length;
    int size = parse_length(bytes, n, &length);
    if (size <= 0)
        return size;
    bool masked = bytes[1] & MASKED;
    if (masked && n - (size_t)size < 4)
        return 0;

    *h = (struct frame_header){
        .fin = fin,
        .rsv = bytes[0] & (FRAME_RSV1 | FRAME_RSV2 | FRAME_RSV3),
        .opcode = opcode,
        .masked = masked,
        .length = length,
    };
    if (masked)
        memcpy(h->key, bytes + size, 4);
    return masked ? size + 4 : size;
}

size_t frame_write_header(unsigned char out[FRAME_HEADER_MAX], bool fin, uint8_t rsv,
                          enum frame_opcode opcode, uint64_t length, const unsigned char *key)
{
    unsigned form = length < LENGTH_16 ? (unsigned)length
                    : length <= 0xFFFF ? LENGTH_16
                                       : LENGTH_64;
    size_t size = 2;
    out[0] = (unsigned char)((fin ? FIN : 0) | rsv | opcode);
    out[1] = (unsigned char)((key ? MASKED : 0) | form);
    for (int shift = form == LENGTH_64 ? 56 : 8; form >= LENGTH_16 && shift >= 0; shift -= 8)
        out[size++] = (unsigned char)(length >> shift);
    if (key) {
        memcpy(out + size, key, 4);
        size += 4;
    }
    return size;
}
