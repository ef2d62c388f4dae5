#include "wire/proxy_header.h"

#include <string.h>

#define V1_START "PROXY "
#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V2_SIGNATURE_LEN 12
#define V2_FIXED 16 /* signature, version and command, family and protocol, length */

#define V2_LOCAL 0x20
#define V2_PROXY 0x21

#define TLV_HEAD 3
#define TLV_CRC32C 0x03
#define TLV_SSL 0x20
#define TLV_SSL_HEAD 5 /* client, verify */
#define CLIENT_SSL 0x01

/* Do the n bytes start as `start` does, as far as they go? */
static bool may_be(const unsigned char *bytes, size_t n, const char *start, size_t start_len)
{
    return memcmp(bytes, start, n < start_len ? n : start_len) == 0;
}

/* What stands before the first space; *rest is what stands behind it. */
static bool take_word(struct slice *rest, struct slice *word)
{
    const char *space = rest->len ? memchr(rest->ptr, ' ', rest->len) : NULL;
    if (!space)
        return false;
    *word = (struct slice){rest->ptr, (size_t)(space - rest->ptr)};
    *rest = (struct slice){space + 1, rest->len - word->len - 1};
    return true;
}

/* What follows "PROXY ", without the CRLF. */
static bool parse_line(struct slice line, struct proxy_header *out)
{
    struct slice protocol, source, destination, source_port;
    struct address unused;
    uint16_t port, unused_port;
    if (slice_is(line, "UNKNOWN")) {
        out->local = true;
        return true;
    }
    if (!take_word(&line, &protocol))
        return false;
    if (slice_is(protocol, "UNKNOWN")) {
        out->local = true;
        return true;
    }
    if (!take_word(&line, &source) || !take_word(&line, &destination) ||
        !take_word(&line, &source_port) || !address_parse_port(source_port, &port) ||
        !address_parse_port(line, &unused_port))
        return false;
    bool ok = false;
    if (slice_is(protocol, "TCP4"))
        ok = address_parse_ipv4(source, &out->source) && address_parse_ipv4(destination, &unused);
    else if (slice_is(protocol, "TCP6"))
        ok = address_parse_ipv6(source, &out->source) && address_parse_ipv6(destination, &unused);
    out->source.port = port;
    return ok;
}

/* A bare CR or LF ends no line, and nothing that comes can make it one. */
static int parse_v1(const char *bytes, size_t n, struct proxy_header *out)
{
    size_t seen = n < PROXY_HEADER_LINE_MAX ? n : PROXY_HEADER_LINE_MAX;
    size_t end = 0;
    while (end < seen && bytes[end] != '\r' && bytes[end] != '\n')
        end++;
    if (end + 1 >= PROXY_HEADER_LINE_MAX)
        return PROXY_HEADER_ERR_LONG; /* there is no room for CRLF any more */
    if (end == seen || (bytes[end] == '\r' && end + 1 == seen))
        return 0;
    if (bytes[end] != '\r' || bytes[end + 1] != '\n')
        return PROXY_HEADER_ERR_LINE;
    size_t start = sizeof V1_START - 1;
    if (!parse_line((struct slice){bytes + start, end - start}, out))
        return PROXY_HEADER_ERR_LINE;
    return (int)end + 2;
}

/* CRC32c (RFC 3720 appendix B.4), bit by bit: at most 536 bytes, once a connection. */
static uint32_t crc32c(uint32_t crc, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78 : 0);
    }
    return crc;
}

struct tlv {
    unsigned char type;
    const unsigned char *value;
    size_t len;
};

/* Takes the first one. 1: taken; 0: there is none; -1: the rest is too short for what it says. */
static int take_tlv(const unsigned char **at, const unsigned char *end, struct tlv *out)
{
    size_t rest = (size_t)(end - *at);
    if (rest == 0)
        return 0;
    if (rest < TLV_HEAD)
        return -1;
    *out = (struct tlv){(*at)[0], *at + TLV_HEAD, (size_t)((*at)[1] << 8 | (*at)[2])};
    if (out->len > rest - TLV_HEAD)
        return -1;
    *at += TLV_HEAD + out->len;
    return 1;
}

/* The sum is made over the whole header, with zeros in its own place (section 2.2.3). */
static int check_sum(const unsigned char *header, size_t size, const struct tlv *sum)
{
    static const unsigned char zeros[4];
    if (sum->len != sizeof zeros)
        return PROXY_HEADER_ERR_BLOCK;
    const unsigned char *behind = sum->value + sizeof zeros;
    uint32_t crc = crc32c(UINT32_MAX, header, (size_t)(sum->value - header));
    crc = crc32c(crc, zeros, sizeof zeros);
    crc = ~crc32c(crc, behind, (size_t)(header + size - behind));
    for (size_t i = 0; i < sizeof zeros; i++)
        if (sum->value[i] != (unsigned char)(crc >> (24 - 8 * i)))
            return PROXY_HEADER_ERR_CHECKSUM;
    return 0;
}

static bool parse_ssl(const struct tlv *ssl, bool *secure)
{
    struct tlv part;
    int rc = 1;
    if (ssl->len < TLV_SSL_HEAD)
        return false;
    const unsigned char *at = ssl->value + TLV_SSL_HEAD;
    while (rc == 1)
        rc = take_tlv(&at, ssl->value + ssl->len, &part);
    *secure = ssl->value[0] & CLIENT_SSL;
    return rc == 0;
}

/* All TLVs of a header, from `at` on. Each of the two that are read may be there once. */
static int parse_tlvs(const unsigned char *header, size_t size, size_t at_offset,
                      struct proxy_header *out)
{
    const unsigned char *at = header + at_offset;
    bool summed = false, ssl = false;
    struct tlv t;
    int rc;
    while ((rc = take_tlv(&at, header + size, &t)) == 1) {
        if (t.type == TLV_CRC32C) {
            int error = summed ? PROXY_HEADER_ERR_BLOCK : check_sum(header, size, &t);
            if (error != 0)
                return error;
            summed = true;
        } else if (t.type == TLV_SSL) {
            if (ssl || !parse_ssl(&t, &out->secure))
                return PROXY_HEADER_ERR_BLOCK;
            ssl = true;
        }
    }
    return rc == 0 ? 0 : PROXY_HEADER_ERR_BLOCK;
}

static uint16_t read_port(const unsigned char *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* Of source and destination with their ports; 0: the family and protocol are not spoken here. */
static size_t addresses_size(unsigned family)
{
    switch (family) {
    case 0x11:
        return 2 * 4 + 2 * 2;
    case 0x21:
        return 2 * 16 + 2 * 2;
    case 0x31:
        return 2 * 108;
    default:
        return 0;
    }
}

static void read_source(const unsigned char *block, unsigned family, struct address *out)
{
    if (family == 0x11)
        *out = address_of_ipv4(block, read_port(block + 8));
    else if (family == 0x21)
        *out = address_of_ipv6(block, read_port(block + 32));
    else
        *out = (struct address){.family = ADDRESS_UNIX};
}

/* The fixed part as far as it has come: 0 or an error. */
static int check_fixed(const unsigned char *bytes, size_t n)
{
    bool local = n > 12 && bytes[12] == V2_LOCAL;
    if (n > 12 && !local && bytes[12] != V2_PROXY)
        return PROXY_HEADER_ERR_COMMAND;
    /* of a LOCAL command the family is to be ignored, and so is the block */
    if (n > 13 && !local && bytes[13] != 0 && addresses_size(bytes[13]) == 0)
        return PROXY_HEADER_ERR_FAMILY;
    if (n >= V2_FIXED && V2_FIXED + read_port(bytes + 14) > PROXY_HEADER_MAX)
        return PROXY_HEADER_ERR_LONG;
    return 0;
}

static int parse_v2(const unsigned char *bytes, size_t n, struct proxy_header *out)
{
    int rc = check_fixed(bytes, n);
    if (rc != 0 || n < V2_FIXED)
        return rc;
    size_t size = V2_FIXED + (size_t)read_port(bytes + 14);
    unsigned family = bytes[13];
    out->local = bytes[12] == V2_LOCAL || family == 0;
    size_t addresses = out->local ? 0 : addresses_size(family);
    if (size < V2_FIXED + addresses)
        return PROXY_HEADER_ERR_BLOCK;
    if (n < size)
        return 0;
    if (!out->local) {
        read_source(bytes + V2_FIXED, family, &out->source);
        rc = parse_tlvs(bytes, size, V2_FIXED + addresses, out);
    }
    return rc == 0 ? (int)size : rc;
}

int proxy_header_parse(const void *bytes, size_t n, struct proxy_header *out)
{
    struct proxy_header header = {0};
    int rc;
    if (n == 0)
        return 0;
    if (may_be(bytes, n, V1_START, sizeof V1_START - 1))
        rc = parse_v1(bytes, n, &header);
    else if (may_be(bytes, n, V2_SIGNATURE, V2_SIGNATURE_LEN))
        rc = parse_v2(bytes, n, &header);
    else
        return PROXY_HEADER_ERR_NONE;
    if (rc > 0)
        *out = header;
    return rc;
}

const char *proxy_header_error_text(int error)
{
    switch (error) {
    case PROXY_HEADER_ERR_NONE:
        return "no PROXY header, though one is expected here";
    case PROXY_HEADER_ERR_LONG:
        return "the PROXY header is too long";
    case PROXY_HEADER_ERR_LINE:
        return "the line of the PROXY header is malformed";
    case PROXY_HEADER_ERR_COMMAND:
        return "the PROXY header is of another version than 1 and 2, or has an unknown command";
    case PROXY_HEADER_ERR_FAMILY:
        return "the PROXY header is for another protocol than TCP and Unix streams";
    case PROXY_HEADER_ERR_BLOCK:
        return "the addresses or the additions of the PROXY header are malformed";
    case PROXY_HEADER_ERR_CHECKSUM:
        return "the checksum of the PROXY header does not match";
    default:
        return "malformed PROXY header";
    }
}
