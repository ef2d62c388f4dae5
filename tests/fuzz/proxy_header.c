/* wire/proxy_header: one verdict for all prefixes, and what it takes from a header against a plain
 * reading of HAProxy's document. */
#include "wire/proxy_header.h"
#include "fuzz.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_port(const char *text, uint16_t *port)
{
    char again[16];
    unsigned value;
    int n = 0;
    if (sscanf(text, "%5u%n", &value, &n) != 1 || value > 65535)
        return false;
    snprintf(again, sizeof again, "%u", value);
    *port = (uint16_t)value;
    return strcmp(again, text) == 0;
}

/* "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535", a NUL-terminated line without its end.
 */
static bool read_line(const char *line, struct proxy_header *h)
{
    char again[PROXY_HEADER_LINE_MAX * 2];
    char protocol[16], source[64], target[64], ports[2][16];
    unsigned char bytes[16];
    uint16_t other;
    h->local = strncmp(line, "PROXY UNKNOWN", 13) == 0 && (!line[13] || line[13] == ' ');
    if (h->local)
        return true;
    if (sscanf(line, "PROXY %15s %63s %63s %15s %15s", protocol, source, target, ports[0],
               ports[1]) != 5)
        return false;
    /* sscanf takes any white space */
    snprintf(again, sizeof again, "PROXY %s %s %s %s %s", protocol, source, target, ports[0],
             ports[1]);
    bool is_4 = strcmp(protocol, "TCP4") == 0, is_6 = strcmp(protocol, "TCP6") == 0;
    int family = is_4 ? AF_INET : AF_INET6;
    if (strcmp(line, again) != 0 || (!is_4 && !is_6) || inet_pton(family, target, bytes) != 1 ||
        inet_pton(family, source, bytes) != 1 || !is_port(ports[0], &h->source.port) ||
        !is_port(ports[1], &other))
        return false;
    h->source.family = is_4 ? ADDRESS_IPV4 : ADDRESS_IPV6;
    memcpy(is_4 ? h->source.bytes + 12 : h->source.bytes, bytes, is_4 ? 4 : 16);
    return true;
}

/* Version 1. The header's size, 0 when it is none or not whole. */
static size_t read_text(const unsigned char *bytes, size_t n, struct proxy_header *h)
{
    char line[PROXY_HEADER_LINE_MAX + 1];
    size_t end = 0;
    while (end < n && end < PROXY_HEADER_LINE_MAX && bytes[end] != '\n')
        end++;
    if (end == n || end == PROXY_HEADER_LINE_MAX || end < 1 || bytes[end - 1] != '\r')
        return 0;
    memcpy(line, bytes, end);
    line[end - 1] = '\0';
    /* a NUL is no part of an address or a port, but of UNKNOWN's rest it may be one */
    bool is_string = strlen(line) == end - 1 || strncmp(line, "PROXY UNKNOWN ", 14) == 0;
    return is_string && !memchr(line, '\r', end - 1) && read_line(line, h) ? end + 1 : 0;
}

/* The bits of a CRC32c, from a table of one byte's remainders. */
static uint32_t checksum(const unsigned char *bytes, size_t n, size_t hole)
{
    uint32_t table[256], crc = 0xFFFFFFFF;
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] & 1 ? table[i] >> 1 ^ 0x82F63B78 : table[i] >> 1;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char byte = i >= hole && i < hole + 4 ? 0 : bytes[i];
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8;
    }
    return ~crc;
}

/* A list of additions, each of a type, a length and so many bytes. The place of one of them, which
 * may be there once; 0: it is not there. false: malformed. */
static bool find_addition(const unsigned char *bytes, size_t at, size_t end, int type,
                          size_t *found, size_t *n)
{
    *found = 0;
    while (at < end) {
        if (end - at < 3)
            return false;
        size_t length = (size_t)(bytes[at + 1] * 256 + bytes[at + 2]);
        if (length > end - at - 3 || (bytes[at] == type && *found))
            return false;
        if (bytes[at] == type) {
            *found = at + 3;
            *n = length;
        }
        at += 3 + length;
    }
    return true;
}

static bool read_additions(const unsigned char *bytes, size_t at, size_t size,
                           struct proxy_header *h)
{
    size_t place, n, unused;
    if (!find_addition(bytes, at, size, 0x20, &place, &n))
        return false;
    if (place) {
        h->secure = bytes[place] & 1;
        if (n < 5 || !find_addition(bytes, place + 5, place + n, -1, &unused, &unused))
            return false;
    }
    if (!find_addition(bytes, at, size, 0x03, &place, &n))
        return false;
    uint32_t sum = checksum(bytes, size, place);
    for (size_t i = 0; place && i < 4; i++)
        if (n != 4 || bytes[place + i] != (unsigned char)(sum >> (24 - 8 * i)))
            return false;
    return true;
}

/* Version 2, as read_text. */
static size_t read_binary(const unsigned char *b, size_t n, struct proxy_header *h)
{
    if (n < 16 || memcmp(b, "\r\n\r\n\0\r\nQUIT\n", 12) != 0 || (b[12] != 0x20 && b[12] != 0x21))
        return 0;
    size_t size = 16u + (size_t)(b[14] * 256 + b[15]);
    if (size > n || size > PROXY_HEADER_MAX)
        return 0;
    h->local = b[12] == 0x20 || b[13] == 0;
    if (h->local)
        return size;
    size_t half = b[13] == 0x11 ? 4 : b[13] == 0x21 ? 16 : b[13] == 0x31 ? 108 : 0;
    size_t addresses = half * 2 + (half < 108 ? 4 : 0);
    if (!half || size < 16 + addresses)
        return 0;
    h->source.family = half == 4 ? ADDRESS_IPV4 : half == 16 ? ADDRESS_IPV6 : ADDRESS_UNIX;
    if (half < 108) {
        memcpy(h->source.bytes + (half == 4 ? 12 : 0), b + 16, half);
        h->source.port = (uint16_t)(b[16 + 2 * half] * 256 + b[17 + 2 * half]);
    }
    return read_additions(b, 16 + addresses, size, h) ? size : 0;
}

/* What was told is what was read; an IPv4 address in IPv6 is one of IPv4. */
static void compare(const struct proxy_header *told, const struct proxy_header *read)
{
    static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    CHECK(told->local == read->local && told->secure == read->secure);
    if (told->local) {
        CHECK(told->source.family == ADDRESS_NONE);
        return;
    }
    CHECK(told->source.port == read->source.port);
    bool in_6 = read->source.family == ADDRESS_IPV6 && memcmp(read->source.bytes, mapped, 12) == 0;
    CHECK(told->source.family == (in_6 ? ADDRESS_IPV4 : read->source.family));
    if (read->source.family == ADDRESS_IPV4)
        CHECK(memcmp(told->source.bytes, mapped, 12) == 0 &&
              memcmp(told->source.bytes + 12, read->source.bytes + 12, 4) == 0);
    else
        CHECK(memcmp(told->source.bytes, read->source.bytes, 16) == 0);
}

static int parse(const unsigned char *bytes, size_t n, struct proxy_header *out)
{
    unsigned char *copy = fuzz_copy(bytes, n);
    int rc = proxy_header_parse(copy, n, out);
    free(copy);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header h = {0}, again;
    int verdict = 0;
    for (size_t n = 0; n <= size; n++) {
        memset(&again, 0x5A, sizeof again);
        int rc = parse(data, n, &again);
        CHECK(rc <= (int)n && rc <= PROXY_HEADER_MAX);
        CHECK(verdict == 0 || rc == verdict); /* once told, always the same */
        CHECK(rc != 0 || n < PROXY_HEADER_MAX);
        if (rc > 0 && verdict == 0) {
            CHECK(rc == (int)n); /* as soon as it is there, and not a byte later */
            h = again;
        }
        verdict = rc;
    }
    if (verdict < 0)
        CHECK(verdict >= PROXY_HEADER_ERR_CHECKSUM && strlen(proxy_header_error_text(verdict)));
    struct proxy_header read = {0};
    size_t wanted =
        size && data[0] == 'P' ? read_text(data, size, &read) : read_binary(data, size, &read);
    CHECK(wanted ? verdict == (int)wanted : verdict <= 0);
    if (wanted)
        compare(&h, &read);
    return 0;
}
