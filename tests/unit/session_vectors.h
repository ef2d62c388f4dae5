/* The rules of RFC 6455 sections 5 to 8 as vectors: frames, the events they cause, and the error
 * that ends them. test_session.c gives each to both roles, cut in every way. */
#ifndef TIDEWIRE_TESTS_UNIT_SESSION_VECTORS_H
#define TIDEWIRE_TESTS_UNIT_SESSION_VECTORS_H

#include "wire/session.h"

/* A frame. `form` is the 7-bit length as written, `extended` the bytes of a longer length. */
struct part {
    unsigned char first;
    int form;
    const char *extended;
    size_t extended_len;
    const char *payload; /* NULL: behind the last part */
    size_t n;
};

struct vector {
    const char *name;
    struct part parts[7]; /* up to 6, then one without payload */
    const char *events;
    int error;                    /* 0: none */
    bool unfinished;              /* ends in the middle of a message or a frame */
    struct session_limits limits; /* 0: roomy */
};

#define AUTO (-1)
/* Declares a length that need not be the payload's. */
#define DECLARE(byte, length, more, content)                                                       \
    {                                                                                              \
        .first = (byte), .form = (length), .extended = (more), .extended_len = sizeof(more) - 1,   \
        .payload = (content), .n = sizeof(content) - 1,                                            \
    }
#define FRAME(byte, content) DECLARE(byte, AUTO, "", content)

#define TEXT 0x81
#define BINARY 0x82
#define CLOSE 0x88
#define PING 0x89
#define PONG 0x8A
#define TEXT_BEGIN 0x01
#define BINARY_BEGIN 0x02
#define MIDDLE 0x00
#define LAST 0x80

#define X5 "xxxxx"
#define X25 X5 X5 X5 X5 X5
#define X125 X25 X25 X25 X25 X25

/* clang-format off */
static const struct vector vectors[] = {
/* whole messages, of each form of the length */
{.name = "text", .parts = {FRAME(TEXT, "Hello")}, .events = "text(Hello) "},
{.name = "binary", .parts = {FRAME(BINARY, "\xFF\xFEz")}, .events = "binary(\xFF\xFEz) "},
{.name = "empty text", .parts = {FRAME(TEXT, "")}, .events = "text() "},
{.name = "empty binary", .parts = {FRAME(BINARY, "")}, .events = "binary() "},
{.name = "125 bytes", .parts = {FRAME(TEXT, X125)}, .events = "text(" X125 ") "},
{.name = "126 bytes", .parts = {FRAME(TEXT, X125 "y")}, .events = "text(" X125 "y) "},
{.name = "several", .parts = {FRAME(TEXT, "a"), FRAME(BINARY, "b"), FRAME(TEXT, ""), FRAME(TEXT, "c")},
 .events = "text(a) binary(b) text() text(c) "},
{.name = "half a frame", .parts = {DECLARE(BINARY, 9, "", "half")}, .events = "", .unfinished = true},

/* fragments (5.4) */
{.name = "two fragments", .parts = {FRAME(TEXT_BEGIN, "Hel"), FRAME(LAST, "lo")}, .events = "text(Hello) "},
{.name = "many fragments",
 .parts = {FRAME(BINARY_BEGIN, "a"), FRAME(MIDDLE, "b"), FRAME(MIDDLE, "c"), FRAME(MIDDLE, "d"), FRAME(LAST, "e")},
 .events = "binary(abcde) "},
{.name = "empty fragments everywhere",
 .parts = {FRAME(TEXT_BEGIN, ""), FRAME(MIDDLE, "a"), FRAME(MIDDLE, ""), FRAME(MIDDLE, "b"), FRAME(LAST, "")},
 .events = "text(ab) "},
{.name = "nothing but empty fragments", .parts = {FRAME(TEXT_BEGIN, ""), FRAME(MIDDLE, ""), FRAME(LAST, "")},
 .events = "text() "},
{.name = "empty fragments, then the payload", .parts = {FRAME(BINARY_BEGIN, ""), FRAME(LAST, "all")},
 .events = "binary(all) "},
{.name = "fragmented messages in a row",
 .parts = {FRAME(TEXT_BEGIN, "a"), FRAME(LAST, "b"), FRAME(BINARY_BEGIN, "\xFF"), FRAME(LAST, "d"), FRAME(TEXT, "e")},
 .events = "text(ab) binary(\xFF" "d) text(e) "},
{.name = "first fragment only", .parts = {FRAME(TEXT_BEGIN, "a")}, .events = "", .unfinished = true},
{.name = "empty first fragment only", .parts = {FRAME(TEXT_BEGIN, "")}, .events = "", .unfinished = true},
{.name = "continuation of nothing", .parts = {FRAME(LAST, "a")}, .events = "", .error = SESSION_ERR_CONTINUATION},
{.name = "unfinished continuation of nothing", .parts = {FRAME(MIDDLE, "a")},
 .events = "", .error = SESSION_ERR_CONTINUATION},
{.name = "continuation of what has ended", .parts = {FRAME(TEXT_BEGIN, "a"), FRAME(LAST, "b"), FRAME(LAST, "c")},
 .events = "text(ab) ", .error = SESSION_ERR_CONTINUATION},
{.name = "text in a text", .parts = {FRAME(TEXT_BEGIN, "a"), FRAME(TEXT, "b")},
 .events = "", .error = SESSION_ERR_CONTINUATION},
{.name = "fragmented binary in an empty text", .parts = {FRAME(TEXT_BEGIN, ""), FRAME(BINARY_BEGIN, "b")},
 .events = "", .error = SESSION_ERR_CONTINUATION},

/* control frames (5.5) */
{.name = "ping and pong", .parts = {FRAME(PING, "are you there"), FRAME(PONG, ""), FRAME(PING, "")},
 .events = "ping(are you there) pong() ping() "},
{.name = "ping of 125 bytes", .parts = {FRAME(PING, X125), FRAME(PONG, X125)},
 .events = "ping(" X125 ") pong(" X125 ") "},
{.name = "control payload is no text", .parts = {FRAME(PING, "\xFF\x80"), FRAME(TEXT, "t")},
 .events = "ping(\xFF\x80) text(t) "},
{.name = "control frames between fragments",
 .parts = {FRAME(TEXT_BEGIN, "Hel"), FRAME(PING, "one"), FRAME(PONG, "a longer one"), FRAME(MIDDLE, "l"),
           FRAME(PING, ""), FRAME(LAST, "o")},
 .events = "ping(one) pong(a longer one) ping() text(Hello) "},
{.name = "ping behind an empty fragment", .parts = {FRAME(TEXT_BEGIN, ""), FRAME(PING, "one"), FRAME(LAST, "")},
 .events = "ping(one) text() "},
{.name = "half a ping between fragments", .parts = {FRAME(TEXT_BEGIN, "a"), DECLARE(PING, 5, "", "on")},
 .events = "", .unfinished = true},
{.name = "fragmented ping", .parts = {FRAME(PING & 0x7F, "a")}, .events = "", .error = FRAME_ERR_CONTROL_FRAGMENT},
{.name = "fragmented Close", .parts = {FRAME(CLOSE & 0x7F, "")}, .events = "", .error = FRAME_ERR_CONTROL_FRAGMENT},
{.name = "ping of 126 bytes", .parts = {FRAME(PING, X125 "y")}, .events = "", .error = FRAME_ERR_CONTROL_LENGTH},
{.name = "pong with a 64-bit length", .parts = {FRAME(TEXT, "a"), DECLARE(PONG, 127, "", "")},
 .events = "text(a) ", .error = FRAME_ERR_CONTROL_LENGTH},

/* reserved bits and opcodes, lengths (5.2) */
{.name = "RSV1", .parts = {FRAME(TEXT | FRAME_RSV1, "a")}, .events = "", .error = SESSION_ERR_RSV},
{.name = "RSV2", .parts = {FRAME(BINARY | FRAME_RSV2, "")}, .events = "", .error = SESSION_ERR_RSV},
{.name = "RSV3", .parts = {FRAME(TEXT_BEGIN | FRAME_RSV3, "a")}, .events = "", .error = SESSION_ERR_RSV},
{.name = "RSV1 on a continuation", .parts = {FRAME(TEXT_BEGIN, "a"), FRAME(LAST | FRAME_RSV1, "b")},
 .events = "", .error = SESSION_ERR_RSV},
{.name = "RSV1 on a ping", .parts = {FRAME(PING | FRAME_RSV1, "a")}, .events = "", .error = SESSION_ERR_RSV},
{.name = "RSV2 on a Close", .parts = {FRAME(CLOSE | FRAME_RSV2, "")}, .events = "", .error = SESSION_ERR_RSV},
{.name = "reserved data opcode", .parts = {FRAME(TEXT, "a"), FRAME(0x83, "b")},
 .events = "text(a) ", .error = FRAME_ERR_OPCODE},
{.name = "reserved control opcode", .parts = {FRAME(TEXT_BEGIN, "a"), FRAME(0x8B, "b")},
 .events = "", .error = FRAME_ERR_OPCODE},
{.name = "5 in 16 bits", .parts = {DECLARE(TEXT, 126, "\0\5", "Hello")},
 .events = "", .error = FRAME_ERR_LENGTH_NOT_MINIMAL},
{.name = "256 in 64 bits", .parts = {DECLARE(TEXT, 127, "\0\0\0\0\0\0\1\0", "Hello")},
 .events = "", .error = FRAME_ERR_LENGTH_NOT_MINIMAL},
{.name = "2^63 bytes", .parts = {DECLARE(BINARY, 127, "\x80\0\0\0\0\0\0\0", "Hello")},
 .events = "", .error = FRAME_ERR_LENGTH_SIGN},

/* text is UTF-8 (8.1), judged as it arrives: many of these never get their last byte */
{.name = "text of all sizes of code points", .parts = {FRAME(TEXT, "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8C\x8A")},
 .events = "text(a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8C\x8A) "},
{.name = "code point over fragments and a ping",
 .parts = {FRAME(TEXT_BEGIN, "\xF0"), FRAME(MIDDLE, "\x9F"), FRAME(PING, "\x80"), FRAME(MIDDLE, ""), FRAME(LAST, "\x8C\x8A")},
 .events = "ping(\x80) text(\xF0\x9F\x8C\x8A) "},
{.name = "impossible byte in mid-frame", .parts = {DECLARE(TEXT, 100, "", "abc\xFF")},
 .events = "", .error = SESSION_ERR_UTF8},
{.name = "surrogate in mid-frame", .parts = {DECLARE(TEXT, 10, "", "\xED\xA0")},
 .events = "", .error = SESSION_ERR_UTF8},
{.name = "overlong in mid-frame", .parts = {DECLARE(TEXT_BEGIN, 10, "", "\xC0")},
 .events = "", .error = SESSION_ERR_UTF8},
{.name = "above U+10FFFF in a fragment", .parts = {FRAME(TEXT_BEGIN, "\xF4"), DECLARE(MIDDLE, 10, "", "\x90")},
 .events = "", .error = SESSION_ERR_UTF8},
{.name = "ASCII where a tail is due", .parts = {FRAME(TEXT_BEGIN, "\xE2\x82"), DECLARE(LAST, 10, "", "a")},
 .events = "", .error = SESSION_ERR_UTF8},
{.name = "text ends in a code point", .parts = {FRAME(TEXT, "abc\xE2\x82")}, .events = "", .error = SESSION_ERR_UTF8},
{.name = "fragmented text ends in a code point", .parts = {FRAME(TEXT_BEGIN, "abc\xE2"), FRAME(LAST, "\x82")},
 .events = "", .error = SESSION_ERR_UTF8},
{.name = "text ends in a code point, by an empty fragment", .parts = {FRAME(TEXT_BEGIN, "\xC3"), FRAME(LAST, "")},
 .events = "", .error = SESSION_ERR_UTF8},
{.name = "code point may still go on", .parts = {FRAME(TEXT_BEGIN, "\xE2\x82")}, .events = "", .unfinished = true},
{.name = "binary is not judged, the next text is",
 .parts = {FRAME(BINARY_BEGIN, "\xC3"), FRAME(LAST, "\xFF"), FRAME(TEXT, "\xC3\xA9"), FRAME(TEXT, "\xA9")},
 .events = "binary(\xC3\xFF) text(\xC3\xA9) ", .error = SESSION_ERR_UTF8},

/* Close (5.5.1, 7.1, 7.4); test_session.c tries all codes */
{.name = "Close without a code", .parts = {FRAME(CLOSE, ""), FRAME(TEXT, "ignored")}, .events = "close 1005() "},
{.name = "Close with a code", .parts = {FRAME(CLOSE, "\x03\xE8"), FRAME(0xFF, "ignored")}, .events = "close 1000() "},
{.name = "Close with a reason", .parts = {FRAME(CLOSE, "\x03\xE9gr\xC3\xBC\xC3\x9F")},
 .events = "close 1001(gr\xC3\xBC\xC3\x9F) "},
{.name = "Close with the longest reason", .parts = {FRAME(CLOSE, "\x0F\xA0" X25 X25 X25 X25 "12345678901234567890123")},
 .events = "close 4000(" X25 X25 X25 X25 "12345678901234567890123) "},
{.name = "Close between fragments", .parts = {FRAME(TEXT_BEGIN, "a"), FRAME(CLOSE, "\x03\xE8" "bye"), FRAME(LAST, "b")},
 .events = "close 1000(bye) "},
{.name = "Close of one byte", .parts = {FRAME(CLOSE, "\x03")}, .events = "", .error = SESSION_ERR_CLOSE_LENGTH},
{.name = "Close with 1005", .parts = {FRAME(CLOSE, "\x03\xED")}, .events = "", .error = SESSION_ERR_CLOSE_CODE},
{.name = "Close reason is no UTF-8", .parts = {FRAME(CLOSE, "\x03\xE8" "a\xFF")},
 .events = "", .error = SESSION_ERR_UTF8},
{.name = "Close reason ends in a code point", .parts = {FRAME(TEXT, "a"), FRAME(CLOSE, "\x03\xE8" "a\xE2\x82")},
 .events = "text(a) ", .error = SESSION_ERR_UTF8},
{.name = "Close of 126 bytes", .parts = {FRAME(CLOSE, "\x03\xE8" X125)},
 .events = "", .error = FRAME_ERR_CONTROL_LENGTH},

/* limits: told from the header, the payload need not come */
{.name = "message of the limit", .parts = {FRAME(TEXT, "12345"), FRAME(TEXT_BEGIN, "123"), FRAME(LAST, "45")},
 .events = "text(12345) text(12345) ", .limits.message = 5},
{.name = "message over the limit", .parts = {DECLARE(TEXT, 6, "", "")},
 .events = "", .error = SESSION_ERR_TOO_BIG, .limits.message = 5},
{.name = "fragments over the limit together",
 .parts = {FRAME(TEXT_BEGIN, "123"), FRAME(PING, "123456"), FRAME(MIDDLE, "45"), FRAME(MIDDLE, ""), DECLARE(LAST, 1, "", "")},
 .events = "ping(123456) ", .error = SESSION_ERR_TOO_BIG, .limits.message = 5},
{.name = "first fragment over the limit", .parts = {FRAME(TEXT, "12345"), DECLARE(BINARY_BEGIN, 6, "", "")},
 .events = "text(12345) ", .error = SESSION_ERR_TOO_BIG, .limits.message = 5},
{.name = "fragments up to the limit",
 .parts = {FRAME(TEXT_BEGIN, "a"), FRAME(MIDDLE, ""), FRAME(PING, ""), FRAME(LAST, "b"), FRAME(TEXT_BEGIN, "c"), FRAME(LAST, "d")},
 .events = "ping() text(ab) text(cd) ", .limits.fragments = 3},
{.name = "fragments over the limit", .parts = {FRAME(TEXT_BEGIN, "a"), FRAME(MIDDLE, "b"), FRAME(MIDDLE, "c"), DECLARE(LAST, 9, "", "")},
 .events = "", .error = SESSION_ERR_FRAGMENTS, .limits.fragments = 3},
{.name = "empty fragments over the limit", .parts = {FRAME(TEXT_BEGIN, ""), FRAME(MIDDLE, ""), FRAME(MIDDLE, "")},
 .events = "", .error = SESSION_ERR_FRAGMENTS, .limits.fragments = 2},
};
/* clang-format on */

#endif
