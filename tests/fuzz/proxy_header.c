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

/* "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", without its end. */
static void check_line(const unsigned char *bytes, int size, const struct proxy_header *h)
{
    char line[PROXY_HEADER_LINE_MAX + 1], again[PROXY_HEADER_LINE_MAX * 2];
    char protocol[16], source[64], target[64], ports[2][16];
    unsigned char address[16];
    uint16_t port, other;
    CHECK(size <= PROXY_HEADER_LINE_MAX && bytes[size - 2] == '\r' && bytes[size - 1] == '\n');
    memcpy(line, bytes, (size_t)size);
    line[size - 2] = '\0';
    CHECK(!strpbrk(line, "\r\n") && !h->secure);
    if (h->local) {
        CHECK(strncmp(line, "PROXY UNKNOWN", 13) == 0 && (!line[13] || line[13] == ' '));
        return;
    }
    CHECK(strlen(line) == (size_t)size - 2);
    CHECK(sscanf(line, "PROXY %15s %63s %63s %15s %15s", protocol, source, target, ports[0],
                 ports[1]) == 5);
    snprintf(again, sizeof again, "PROXY %s %s %s %s %s", protocol, source, target, ports[0],
             ports[1]);
    CHECK(strcmp(line, again) == 0);
    bool is_4 = strcmp(protocol, "TCP4") == 0;
    CHECK(is_4 || strcmp(protocol, "TCP6") == 0);
    int family = is_4 ? AF_INET : AF_INET6;
    CHECK(inet_pton(family, target, address) == 1 && inet_pton(family, source, address) == 1);
    CHECK(is_port(ports[0], &port) && is_port(ports[1], &other) && h->source.port == port);
    CHECK(h->source.family == ADDRESS_IPV4 || !is_4);
    CHECK(memcmp(is_4 ? h->source.bytes + 12 : h->source.bytes, address, is_4 ? 4 : 16) == 0);
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

/* The additions behind the addresses, each of a type, a length and so many bytes. */
static void check_additions(const unsigned char *bytes, size_t at, size_t size,
                            const struct proxy_header *h)
{
    bool secure = false;
    while (at < size) {
        CHECK(size - at >= 3);
        size_t n = (size_t)(bytes[at + 1] * 256 + bytes[at + 2]);
        CHECK(n <= size - at - 3);
        if (bytes[at] == 0x20) {
            CHECK(n >= 5);
            secure = bytes[at + 3] & 1;
        }
        if (bytes[at] == 0x03) {
            uint32_t sum = checksum(bytes, size, at + 3);
            CHECK(n == 4);
            for (size_t i = 0; i < 4; i++)
                CHECK(bytes[at + 3 + i] == (unsigned char)(sum >> (24 - 8 * i)));
        }
        at += 3 + n;
    }
    CHECK(h->secure == secure);
}

static void check_binary(const unsigned char *b, int size, const struct proxy_header *h)
{
    CHECK(memcmp(b, "\r\n\r\n\0\r\nQUIT\n", 12) == 0 && (b[12] == 0x20 || b[12] == 0x21));
    CHECK(size == 16 + b[14] * 256 + b[15]);
    CHECK(h->local == (b[12] == 0x20 || b[13] == 0));
    if (h->local) {
        CHECK(!h->secure);
        return;
    }
    const unsigned char *source = b + 16;
    if (b[13] == 0x11) {
        CHECK(size >= 28 && h->source.family == ADDRESS_IPV4);
        CHECK(memcmp(h->source.bytes + 12, source, 4) == 0);
        CHECK(h->source.port == source[8] * 256 + source[9]);
    } else if (b[13] == 0x21) {
        CHECK(size >= 52 && memcmp(h->source.bytes, source, 16) == 0);
        CHECK(h->source.port == source[32] * 256 + source[33]);
    } else {
        CHECK(b[13] == 0x31 && size >= 232 && h->source.family == ADDRESS_UNIX);
    }
    check_additions(b, b[13] == 0x11 ? 28 : b[13] == 0x21 ? 52 : 232, (size_t)size, h);
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
    struct proxy_header h, again;
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
    if (verdict <= 0)
        return 0;
    CHECK(h.local ? h.source.family == ADDRESS_NONE : h.source.family != ADDRESS_NONE);
    if (data[0] == 'P')
        check_line(data, verdict, &h);
    else
        check_binary(data, verdict, &h);
    return 0;
}
