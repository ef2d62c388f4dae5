/* wire/proxy_header: what a proxy may say before the client's first byte, and that it makes no
 * difference how it arrives. */
#include "support.h"
#include "wire/proxy_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV4 "\xC0\x00\x02\x01\xC6\x33\x64\x02\x12\x34\x01\xBB"
#define IPV4_DUMP "192.0.2.1 4660"
#define SIXTEEN "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01"

struct vector {
    const char *name;
    const char *bytes;
    size_t n;
    int result;       /* the size or an error */
    const char *dump; /* of a header */
};

#define REFUSED(name, bytes, error)                                                                \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1, error, NULL                                                \
    }
#define TAKEN(name, bytes, dump)                                                                   \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1, sizeof(bytes) - 1, dump                                    \
    }

static void dump_header(const struct proxy_header *h, char *out, size_t size)
{
    char address[ADDRESS_TEXT];
    address_format(&h->source, address);
    snprintf(out, size, "%s%s %u%s", h->local ? "local " : "", address, h->source.port,
             h->secure ? " secure" : "");
}

/* As a connection does it: all that has come so far, again and again. */
static void arrive(struct feed *f, void *context)
{
    const struct vector *v = context;
    unsigned char *bytes;
    char how[32], dump[128];
    size_t n;
    int rc = 0;
    struct proxy_header h, untouched;
    memset(&untouched, 0xA5, sizeof untouched);
    feed_how(f, how);
    while (rc == 0 && feed_next_prefix(f, &bytes, &n)) {
        h = untouched;
        rc = proxy_header_parse(bytes, n, &h);
        if (rc <= 0)
            assert_memory_equal(&h, &untouched, sizeof h);
    }
    if (rc != v->result)
        fail_msg("%s, %s: %d instead of %d", v->name, how, rc, v->result);
    if (rc > 0) {
        dump_header(&h, dump, sizeof dump);
        if (strcmp(dump, v->dump) != 0)
            fail_msg("%s, %s: %s", v->name, how, dump);
    }
    /* with more bytes the answer is the same */
    while (feed_next_prefix(f, &bytes, &n))
        assert_int_equal(proxy_header_parse(bytes, n, &h), rc);
}

/* The vector alone, and before what the client says. */
static void check_vectors(const struct vector *vectors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct vector v = vectors[i];
        char with_request[1024];
        static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        feed_every_way(v.bytes, v.n, arrive, &v);
        memcpy(with_request, v.bytes, v.n);
        memcpy(with_request + v.n, request, sizeof request - 1);
        feed_every_way(with_request, v.n + sizeof request - 1, arrive, &v);
    }
}

#define CHECK(vectors) check_vectors(vectors, COUNT(vectors))

static void takes_lines(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        TAKEN("the specification's own", "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
              "192.168.0.1 56324"),
        TAKEN("the longest of TCP4", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
              "255.255.255.255 65535"),
        TAKEN("the shortest", "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0 0"),
        TAKEN("TCP6", "PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "2001:db8::1 1"),
        TAKEN("the longest of TCP6",
              "PROXY TCP6 FFFF:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535"),
        TAKEN("a mapped address is IPv4", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:202 1 2\r\n",
              "192.0.2.1 1"),
        TAKEN("UNKNOWN", "PROXY UNKNOWN\r\n", "local unknown 0"),
        TAKEN("UNKNOWN with the rest",
              "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
              "local unknown 0"),
        TAKEN("UNKNOWN with anything", "PROXY UNKNOWN  \0\xFF anything at all\r\n",
              "local unknown 0"),
    };
    CHECK(vectors);
}

static void refuses_lines(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "PROXY \r\n",
        "PROXY  \r\n",
        "PROXY  UNKNOWN\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY unknown\r\n",
        "PROXY UNKNOWN\t1\r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 \r\n",
        "PROXY TCP 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4  1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1  2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4\t1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4\r\n",
        "PROXY TCP4 1.2.3.4\r\n",
        "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3 1 2\r\n",
        "PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n",
        "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.04 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP4 1.2.3.4 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP6 ::1 1.2.3.4 1 2\r\n",
        "PROXY TCP6 ::1::2 ::1 1 2\r\n",
        "PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n",
        "PROXY TCP6 [::1] [::1] 1 2\r\n",
        "PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 02\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 00 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 a 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rX",
        "PROXY TCP4 1.2.3.4 1.2.3.4\n1 2\r\n",
        "PROXY UNKNOWN\n",
        "PROXY UNKNOWN \n\r\n",
        "PROXY UNKNOWN \r \r\n",
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct vector v = {lines[i], lines[i], strlen(lines[i]), PROXY_HEADER_ERR_LINE, NULL};
        check_vectors(&v, 1);
    }
    static const struct vector vectors[] = {
        REFUSED("a NUL in an address", "PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n",
                PROXY_HEADER_ERR_LINE),
        REFUSED("a NUL in a port", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\0\r\n", PROXY_HEADER_ERR_LINE),
    };
    CHECK(vectors);
}

/* "If the CRLF sequence is not found in the first 107 characters, the receiver should declare the
 * line invalid." */
static void bounds_the_line(void **state)
{
    (void)state;
    for (size_t n = 90; n < 130; n++) {
        char line[160] = "PROXY UNKNOWN ";
        memset(line + 14, 'x', sizeof line - 14);
        memcpy(line + n - 2, "\r\n", 2);
        struct vector v = {"a long line", line, n, (int)n, "local unknown 0"};
        if (n > PROXY_HEADER_LINE_MAX)
            v.result = PROXY_HEADER_ERR_LONG;
        feed_every_way(line, n, arrive, &v);
    }
    /* told as soon as no room for the CRLF is left */
    char line[PROXY_HEADER_LINE_MAX + 1] = "PROXY UNKNOWN ";
    struct proxy_header h;
    memset(line + 14, 'x', sizeof line - 14);
    assert_int_equal(proxy_header_parse(line, PROXY_HEADER_LINE_MAX - 2, &h), 0);
    assert_int_equal(proxy_header_parse(line, PROXY_HEADER_LINE_MAX - 1, &h),
                     PROXY_HEADER_ERR_LONG);
}

static void tells_a_missing_header_at_once(void **state)
{
    (void)state;
    static const char v1[] = "PROXY ", v2[] = SIGNATURE;
    struct proxy_header h;
    assert_int_equal(proxy_header_parse(NULL, 0, &h), 0);
    for (int c = 0; c < 256; c++) {
        unsigned char byte = (unsigned char)c;
        int expected = c == 'P' || c == '\r' ? 0 : PROXY_HEADER_ERR_NONE;
        assert_int_equal(proxy_header_parse(&byte, 1, &h), expected);
    }
    /* and with the first byte that differs, wherever it is */
    for (size_t at = 0; at < sizeof v1 - 1; at++) {
        char bytes[sizeof v1];
        memcpy(bytes, v1, sizeof bytes);
        bytes[at] ^= 0x20;
        struct vector v = {"version 1", bytes, at + 1, PROXY_HEADER_ERR_NONE, NULL};
        feed_every_way(bytes, at + 1, arrive, &v);
        assert_int_equal(proxy_header_parse(v1, at, &h), 0);
    }
    for (size_t at = 0; at < sizeof v2 - 1; at++) {
        char bytes[sizeof v2];
        memcpy(bytes, v2, sizeof bytes);
        bytes[at] ^= 0x20;
        struct vector v = {"version 2", bytes, at + 1, PROXY_HEADER_ERR_NONE, NULL};
        feed_every_way(bytes, at + 1, arrive, &v);
        assert_int_equal(proxy_header_parse(v2, at, &h), 0);
    }
    static const struct vector vectors[] = {
        REFUSED("a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", PROXY_HEADER_ERR_NONE),
        REFUSED("a method that starts alike", "PROPFIND / HTTP/1.1\r\n\r\n", PROXY_HEADER_ERR_NONE),
        REFUSED("TLS", "\x16\x03\x01\x02\x00\x01\x00", PROXY_HEADER_ERR_NONE),
        REFUSED("empty lines and a request", "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
                PROXY_HEADER_ERR_NONE),
        REFUSED("no space", "PROXY\r\n", PROXY_HEADER_ERR_NONE),
        REFUSED("a tab", "PROXY\tUNKNOWN\r\n", PROXY_HEADER_ERR_NONE),
        REFUSED("small letters", "proxy UNKNOWN\r\n", PROXY_HEADER_ERR_NONE),
    };
    CHECK(vectors);
}

static void takes_blocks(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        TAKEN("IPv4", SIGNATURE "\x21\x11\x00\x0C" IPV4, IPV4_DUMP),
        TAKEN("IPv6", SIGNATURE "\x21\x21\x00\x24" SIXTEEN SIXTEEN "\xFF\xFF\x01\xBB",
              "2001:db8::1 65535"),
        TAKEN("IPv6, mapped",
              SIGNATURE "\x21\x21\x00\x24\0\0\0\0\0\0\0\0\0\0\xFF\xFF\x0A\0\0\x01" SIXTEEN
                        "\0\x07\x01\xBB",
              "10.0.0.1 7"),
        TAKEN("LOCAL", SIGNATURE "\x20\x00\x00\x00", "local unknown 0"),
        TAKEN("LOCAL with a family", SIGNATURE "\x20\x11\x00\x0C" IPV4, "local unknown 0"),
        TAKEN("LOCAL with a family that there is not", SIGNATURE "\x20\xFF\x00\x02\x01\x02",
              "local unknown 0"),
        TAKEN("LOCAL with a block that is too short", SIGNATURE "\x20\x21\x00\x01\x01",
              "local unknown 0"),
        TAKEN("UNSPEC", SIGNATURE "\x21\x00\x00\x00", "local unknown 0"),
        TAKEN("UNSPEC with a block", SIGNATURE "\x21\x00\x00\x03\xFF\xFF\xFF", "local unknown 0"),
        TAKEN("TLVs of every kind",
              SIGNATURE "\x21\x11\x00\x2D" IPV4 "\x01\x00\x08http/1.1\x02\x00\x01"
                        "a\x04\x00\x00"
                        "\x05\x00\x02id\x30\x00\x00\xE0\x00\x01\x00\xFF\x00\x00",
              IPV4_DUMP),
        TAKEN("TLS", SIGNATURE "\x21\x11\x00\x14" IPV4 "\x20\x00\x05\x01\x00\x00\x00\x00",
              IPV4_DUMP " secure"),
        TAKEN("TLS with its parts",
              SIGNATURE "\x21\x11\x00\x25" IPV4 "\x20\x00\x16\x07\x00\x00\x00\x01\x21\x00\x07"
                        "TLSv1.3\x22\x00\x01"
                        "a\x25\x00\x00",
              IPV4_DUMP " secure"),
        TAKEN("no TLS, in words",
              SIGNATURE "\x21\x11\x00\x14" IPV4 "\x20\x00\x05\xFE\x00\x00\x00\x00", IPV4_DUMP),
    };
    CHECK(vectors);
}

static void takes_unix_streams(void **state)
{
    (void)state;
    char bytes[16 + 216 + 8] = SIGNATURE "\x21\x31\x00\xD8/run/client";
    struct vector v = {"Unix", bytes, 16 + 216, 16 + 216, "unix 0"};
    check_vectors(&v, 1);
    bytes[15] = (char)(216 + 8);
    memcpy(bytes + 16 + 216, "\x20\x00\x05\x01\0\0\0\0", 8);
    v = (struct vector){"Unix and TLS", bytes, 16 + 216 + 8, 16 + 216 + 8, "unix 0 secure"};
    check_vectors(&v, 1);
    bytes[15] = (char)215;
    v = (struct vector){"Unix, too short", bytes, 16 + 215, PROXY_HEADER_ERR_BLOCK, NULL};
    check_vectors(&v, 1);
}

static void refuses_blocks(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        REFUSED("no block for IPv4", SIGNATURE "\x21\x11\x00\x00", PROXY_HEADER_ERR_BLOCK),
        REFUSED("a byte short for IPv4", SIGNATURE "\x21\x11\x00\x0B", PROXY_HEADER_ERR_BLOCK),
        REFUSED("a byte short for IPv6", SIGNATURE "\x21\x21\x00\x23", PROXY_HEADER_ERR_BLOCK),
        REFUSED("half a TLV's head", SIGNATURE "\x21\x11\x00\x0D" IPV4 "\x04",
                PROXY_HEADER_ERR_BLOCK),
        REFUSED("two bytes of a TLV's head", SIGNATURE "\x21\x11\x00\x0E" IPV4 "\x04\x00",
                PROXY_HEADER_ERR_BLOCK),
        REFUSED("a TLV longer than the rest", SIGNATURE "\x21\x11\x00\x10" IPV4 "\x04\x00\x02\x00",
                PROXY_HEADER_ERR_BLOCK),
        REFUSED("a very long TLV", SIGNATURE "\x21\x11\x00\x0F" IPV4 "\x04\xFF\xFF",
                PROXY_HEADER_ERR_BLOCK),
        REFUSED("something behind the last TLV",
                SIGNATURE "\x21\x11\x00\x10" IPV4 "\x04\x00\x00\x00", PROXY_HEADER_ERR_BLOCK),
        REFUSED("a short PP2_TYPE_SSL",
                SIGNATURE "\x21\x11\x00\x13" IPV4 "\x20\x00\x04\x01\x00\x00\x00",
                PROXY_HEADER_ERR_BLOCK),
        REFUSED("PP2_TYPE_SSL with half a part",
                SIGNATURE "\x21\x11\x00\x15" IPV4 "\x20\x00\x06\x01\x00\x00\x00\x00\x21",
                PROXY_HEADER_ERR_BLOCK),
        REFUSED("PP2_TYPE_SSL with a part that is longer than itself",
                SIGNATURE "\x21\x11\x00\x1A" IPV4 "\x20\x00\x08\x01\x00\x00\x00\x00\x21\x00\x01"
                          "\x04\x00\x00",
                PROXY_HEADER_ERR_BLOCK),
        REFUSED("PP2_TYPE_SSL twice",
                SIGNATURE "\x21\x11\x00\x1C" IPV4 "\x20\x00\x05\x01\x00\x00\x00\x00"
                          "\x20\x00\x05\x00\x00\x00\x00\x00",
                PROXY_HEADER_ERR_BLOCK),
    };
    CHECK(vectors);
}

/* Every value of the two bytes that choose, told as soon as they are there. */
static void judges_every_command_and_family(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char bytes[17] = SIGNATURE;
        struct proxy_header h;
        bytes[12] = (char)c;
        int expected = c == 0x20 || c == 0x21 ? 0 : PROXY_HEADER_ERR_COMMAND;
        assert_int_equal(proxy_header_parse(bytes, 13, &h), expected);
        bytes[12] = 0x21;
        bytes[13] = (char)c;
        bool known = c == 0 || c == 0x11 || c == 0x21 || c == 0x31;
        expected = known ? 0 : PROXY_HEADER_ERR_FAMILY;
        assert_int_equal(proxy_header_parse(bytes, 14, &h), expected);
        bytes[12] = 0x20;
        assert_int_equal(proxy_header_parse(bytes, 16, &h), 16);
    }
}

static void bounds_the_block(void **state)
{
    (void)state;
    for (unsigned command = 0x20; command <= 0x21; command++) {
        for (size_t n = 500; n < 560; n++) {
            unsigned char bytes[600] = SIGNATURE "\x20\x11";
            struct proxy_header h;
            size_t block = n - 16, noop = n - 16 - 12 - 3;
            bytes[12] = (unsigned char)command;
            bytes[14] = (unsigned char)(block >> 8);
            bytes[15] = (unsigned char)block;
            bytes[28] = 4; /* PP2_TYPE_NOOP to the end */
            bytes[29] = (unsigned char)(noop >> 8);
            bytes[30] = (unsigned char)noop;
            int expected = n <= PROXY_HEADER_MAX ? (int)n : PROXY_HEADER_ERR_LONG;
            assert_int_equal(proxy_header_parse(bytes, n, &h), expected);
            assert_int_equal(proxy_header_parse(bytes, 15, &h), 0);
            assert_int_equal(proxy_header_parse(bytes, 16, &h), expected < 0 ? expected : 0);
        }
    }
    unsigned char bytes[] = SIGNATURE "\x21\x11\xFF\xFF";
    struct proxy_header h;
    assert_int_equal(proxy_header_parse(bytes, 16, &h), PROXY_HEADER_ERR_LONG);
}

/* CRC32c a second time, by its definition: division of polynomials, most significant bit first,
 * with each byte and the result reversed. */
static uint32_t reference_sum(const unsigned char *bytes, size_t n)
{
    uint32_t rest = UINT32_MAX, reversed = 0;
    for (size_t i = 0; i < n * 8; i++) {
        uint32_t bit = bytes[i / 8] >> i % 8 & 1;
        rest = rest << 1 ^ ((rest >> 31 ^ bit) ? 0x1EDC6F41 : 0);
    }
    for (int i = 0; i < 32; i++)
        reversed |= (rest >> i & 1) << (31 - i);
    return ~reversed;
}

static void set_sum(unsigned char *at, unsigned char *header, size_t n)
{
    memset(at, 0, 4);
    uint32_t sum = reference_sum(header, n);
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(sum >> (24 - 8 * i));
}

static void verifies_the_checksum(void **state)
{
    (void)state;
    assert_int_equal(reference_sum((const unsigned char *)"123456789", 9), 0xE3069283);
    /* first, in the middle and last among the others */
    static const char *const tlvs[] = {
        "\x03\x00\x04....\x04\x00\x02zz\x20\x00\x05\x01\0\0\0\0",
        "\x04\x00\x02zz\x03\x00\x04....\x20\x00\x05\x01\0\0\0\0",
        "\x20\x00\x05\x01\0\0\0\0\x04\x00\x02zz\x03\x00\x04....",
    };
    static const size_t at[] = {28 + 3, 28 + 5 + 3, 28 + 8 + 5 + 3};
    for (size_t i = 0; i < COUNT(tlvs); i++) {
        unsigned char bytes[16 + 12 + 20] = SIGNATURE "\x21\x11\x00\x20" IPV4;
        memcpy(bytes + 28, tlvs[i], 20);
        set_sum(bytes + at[i], bytes, sizeof bytes);
        struct vector v = {"with a checksum", (char *)bytes, sizeof bytes, sizeof bytes,
                           IPV4_DUMP " secure"};
        check_vectors(&v, 1);
        /* no single bit can be another one */
        for (size_t bit = 16 * 8; bit < sizeof bytes * 8; bit++) {
            struct proxy_header h;
            bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
            int rc = proxy_header_parse(bytes, sizeof bytes, &h);
            /* but for the type of the checksum itself, which makes it an unknown one */
            bool is_type = bit / 8 == at[i] - 3;
            if (is_type ? rc != sizeof bytes && rc != PROXY_HEADER_ERR_BLOCK
                        : rc != PROXY_HEADER_ERR_CHECKSUM && rc != PROXY_HEADER_ERR_BLOCK)
                fail_msg("bit %zu: %d", bit, rc);
            bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
    }
    static const struct vector vectors[] = {
        REFUSED("a checksum of three bytes", SIGNATURE "\x21\x11\x00\x12" IPV4 "\x03\x00\x03...",
                PROXY_HEADER_ERR_BLOCK),
        REFUSED("a checksum of five bytes", SIGNATURE "\x21\x11\x00\x14" IPV4 "\x03\x00\x05.....",
                PROXY_HEADER_ERR_BLOCK),
        REFUSED("a wrong checksum", SIGNATURE "\x21\x11\x00\x13" IPV4 "\x03\x00\x04\0\0\0\0",
                PROXY_HEADER_ERR_CHECKSUM),
    };
    CHECK(vectors);
}

static void refuses_two_checksums(void **state)
{
    (void)state;
    unsigned char bytes[16 + 12 + 14] = SIGNATURE "\x21\x11\x00\x1A" IPV4 "\x03\x00\x04";
    memcpy(bytes + 28 + 7, "\x03\x00\x04\0\0\0\0", 7);
    set_sum(bytes + 28 + 3, bytes, sizeof bytes);
    struct vector v = {"two checksums", (char *)bytes, sizeof bytes, PROXY_HEADER_ERR_BLOCK, NULL};
    feed_every_way(bytes, sizeof bytes, arrive, &v);
}

static void survives_random_damage(void **state)
{
    (void)state;
    static const char line[] = "PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 56324 443\r\nGET / ";
    static const char block[] = SIGNATURE
        "\x21\x11\x00\x1F" IPV4 "\x20\x00\x10\x01\0\0\0\0\x21\x00\x03zzz\x04\x00\x02zzGET";
    uint64_t random = 3;
    size_t taken = 0;
    for (int round = 0; round < 40000; round++) {
        const char *good = round % 2 ? line : block;
        size_t n = round % 2 ? sizeof line - 1 : sizeof block - 1;
        n -= round % 7 == 0 ? random_next(&random) % n : 0;
        unsigned char *copy = guard_copy(good, n);
        for (uint64_t times = random_next(&random) % 3; times && n; times--)
            copy[random_next(&random) % n] = (unsigned char)random_next(&random);
        struct proxy_header h;
        int rc = proxy_header_parse(copy, n, &h);
        assert_true(rc >= PROXY_HEADER_ERR_CHECKSUM && rc <= (int)n);
        if (rc > 0) {
            taken++;
            assert_int_equal(h.local, h.source.family == ADDRESS_NONE);
        }
        guard_free(copy, n);
    }
    assert_true(taken > 10000 && taken < 39000);
}

static void has_words_for_errors(void **state)
{
    (void)state;
    for (int a = PROXY_HEADER_ERR_CHECKSUM; a <= 0; a++)
        for (int b = PROXY_HEADER_ERR_CHECKSUM; b < a; b++)
            assert_string_not_equal(proxy_header_error_text(a), proxy_header_error_text(b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_lines),           cmocka_unit_test(refuses_lines),
        cmocka_unit_test(bounds_the_line),       cmocka_unit_test(tells_a_missing_header_at_once),
        cmocka_unit_test(takes_blocks),          cmocka_unit_test(takes_unix_streams),
        cmocka_unit_test(refuses_blocks),        cmocka_unit_test(judges_every_command_and_family),
        cmocka_unit_test(bounds_the_block),      cmocka_unit_test(verifies_the_checksum),
        cmocka_unit_test(refuses_two_checksums), cmocka_unit_test(survives_random_damage),
        cmocka_unit_test(has_words_for_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
