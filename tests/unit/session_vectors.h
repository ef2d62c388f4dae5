/* The rules of RFC 6455 sections 5 to 8 and of RFC 7692 sections 6 and 7.2 as vectors: frames, the
 * events they cause, and the error that ends them. test_session.c gives each to both roles, with
 * and without permessage-deflate, cut in every way. */
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

/* What is agreed; without takeover, each message starts with an empty window. */
enum mode { MODE_PLAIN = 1, MODE_DEFLATE = 2, MODE_TAKEOVER = 4 };
#define MODE_COMPRESSED (MODE_DEFLATE | MODE_TAKEOVER)

struct vector {
    const char *name;
    struct part parts[7]; /* up to 6, then one without payload */
    const char *events;
    int error;                    /* 0: none */
    bool unfinished;              /* ends in the middle of a message or a frame */
    struct session_limits limits; /* 0: roomy */
    unsigned modes;               /* enum mode bits; 0: the same in all */
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

/* Hello, compressed */
#define HELLO_BEGIN "\xF2\x48\xCD"
#define HELLO_END "\xC9\xC9\x07\x00"
#define HELLO HELLO_BEGIN HELLO_END
#define HELLO_FINAL "\xF3\x48\xCD\xC9\xC9\x07\x00" /* its block has BFINAL */
#define HELLO_AGAIN "\xF2\x00\x11\x00\x00"         /* H, and four bytes from five bytes before */
#define STORED_4 "\x00\x04\x00\xFB\xFF"            /* four bytes follow as they are */

#define PACKED_TEXT (TEXT | FRAME_RSV1)
#define PACKED_TEXT_BEGIN (TEXT_BEGIN | FRAME_RSV1)
#define PACKED_BINARY (BINARY | FRAME_RSV1)

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
{.name = "RSV1", .parts = {FRAME(TEXT | FRAME_RSV1, "a")}, .events = "", .error = SESSION_ERR_RSV, .modes = MODE_PLAIN},
{.name = "RSV1 on a first fragment", .parts = {FRAME(BINARY_BEGIN | FRAME_RSV1, "")},
 .events = "", .error = SESSION_ERR_RSV, .modes = MODE_PLAIN},
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

/* compressed messages: RFC 7692 section 7.2.3, in its order */
{.name = "compressed", .parts = {FRAME(PACKED_TEXT, HELLO)}, .events = "text(Hello) ", .modes = MODE_COMPRESSED},
{.name = "compressed, in fragments", .parts = {FRAME(PACKED_TEXT_BEGIN, HELLO_BEGIN), FRAME(LAST, HELLO_END)},
 .events = "text(Hello) ", .modes = MODE_COMPRESSED},
{.name = "window of the message before", .parts = {FRAME(PACKED_TEXT, HELLO), FRAME(PACKED_TEXT, HELLO_AGAIN)},
 .events = "text(Hello) text(Hello) ", .modes = MODE_TAKEOVER},
{.name = "window of the message before, not kept", .parts = {FRAME(PACKED_TEXT, HELLO), FRAME(PACKED_TEXT, HELLO_AGAIN)},
 .events = "text(Hello) ", .error = SESSION_ERR_DEFLATE, .modes = MODE_DEFLATE},
{.name = "block without compression", .parts = {FRAME(PACKED_TEXT, "\x00\x05\x00\xFA\xFFHello\x00")},
 .events = "text(Hello) ", .modes = MODE_COMPRESSED},
{.name = "block with BFINAL", .parts = {FRAME(PACKED_TEXT, HELLO_FINAL "\x00")},
 .events = "text(Hello) ", .modes = MODE_COMPRESSED},
{.name = "two blocks", .parts = {FRAME(PACKED_TEXT, "\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00")},
 .events = "text(Hello) ", .modes = MODE_COMPRESSED},
{.name = "compressed nothing", .parts = {FRAME(PACKED_TEXT, "\x00"), FRAME(PACKED_BINARY, "\x00")},
 .events = "text() binary() ", .modes = MODE_COMPRESSED},

/* compressed messages among others */
{.name = "compressed without a byte", .parts = {FRAME(PACKED_TEXT, ""), FRAME(PACKED_BINARY, HELLO)},
 .events = "text() binary(Hello) ", .modes = MODE_COMPRESSED},
{.name = "compressed and plain", .parts = {FRAME(PACKED_TEXT, HELLO), FRAME(TEXT, "plain"), FRAME(PACKED_BINARY, HELLO), FRAME(BINARY, "")},
 .events = "text(Hello) text(plain) binary(Hello) binary() ", .modes = MODE_COMPRESSED},
{.name = "a plain message is not in the window",
 .parts = {FRAME(PACKED_TEXT, HELLO), FRAME(TEXT, X25), FRAME(PACKED_TEXT, ""), FRAME(PACKED_TEXT, HELLO_AGAIN)},
 .events = "text(Hello) text(" X25 ") text() text(Hello) ", .modes = MODE_TAKEOVER},
{.name = "control frames between compressed fragments",
 .parts = {FRAME(PACKED_TEXT_BEGIN, HELLO_BEGIN), FRAME(PING, "one"), FRAME(MIDDLE, ""), FRAME(PONG, "two"), FRAME(MIDDLE, HELLO_END), FRAME(LAST, "")},
 .events = "ping(one) pong(two) text(Hello) ", .modes = MODE_COMPRESSED},
{.name = "empty compressed fragments", .parts = {FRAME(PACKED_TEXT_BEGIN, ""), FRAME(MIDDLE, HELLO_BEGIN), FRAME(PING, ""), FRAME(LAST, HELLO_END)},
 .events = "ping() text(Hello) ", .modes = MODE_COMPRESSED},
{.name = "empty compressed fragments, and nothing else", .parts = {FRAME(PACKED_TEXT_BEGIN, ""), FRAME(MIDDLE, ""), FRAME(LAST, "\x00"), FRAME(TEXT, "a")},
 .events = "text() text(a) ", .modes = MODE_COMPRESSED},
{.name = "Close between compressed fragments", .parts = {FRAME(PACKED_TEXT_BEGIN, HELLO_BEGIN), FRAME(CLOSE, "\x03\xE8" "bye"), FRAME(LAST, HELLO_END)},
 .events = "close 1000(bye) ", .modes = MODE_COMPRESSED},
{.name = "compressed first fragment only", .parts = {FRAME(PACKED_TEXT_BEGIN, HELLO)}, .events = "", .unfinished = true, .modes = MODE_COMPRESSED},

/* BFINAL is no end of a message */
{.name = "two blocks with BFINAL are one message", .parts = {FRAME(PACKED_TEXT, HELLO_FINAL HELLO_FINAL "\x00"), FRAME(TEXT, "a")},
 .events = "text(HelloHello) text(a) ", .modes = MODE_COMPRESSED},
{.name = "BFINAL in a fragment", .parts = {FRAME(PACKED_TEXT_BEGIN, HELLO_FINAL), FRAME(PING, ""), FRAME(LAST, HELLO)},
 .events = "ping() text(HelloHello) ", .modes = MODE_COMPRESSED},
{.name = "reference over BFINAL", .parts = {FRAME(PACKED_TEXT, HELLO_FINAL HELLO_AGAIN)},
 .events = "text(HelloHello) ", .modes = MODE_COMPRESSED},
{.name = "reference over BFINAL to the message before", .parts = {FRAME(PACKED_TEXT, HELLO_FINAL), FRAME(PACKED_TEXT, HELLO_AGAIN)},
 .events = "text(Hello) text(Hello) ", .modes = MODE_TAKEOVER},
{.name = "BFINAL as the last", .parts = {FRAME(PACKED_TEXT, HELLO_FINAL), FRAME(PACKED_TEXT, "\x01"), FRAME(PACKED_TEXT, HELLO)},
 .events = "text(Hello) text() text(Hello) ", .modes = MODE_COMPRESSED},
{.name = "garbage behind BFINAL", .parts = {FRAME(PACKED_TEXT, HELLO_FINAL "\x07")},
 .events = "", .error = SESSION_ERR_DEFLATE, .modes = MODE_COMPRESSED},

/* RSV1 has its places; the other bits have none */
{.name = "RSV1 on a compressed continuation", .parts = {FRAME(PACKED_TEXT_BEGIN, HELLO_BEGIN), FRAME(LAST | FRAME_RSV1, HELLO_END)},
 .events = "", .error = SESSION_ERR_RSV, .modes = MODE_COMPRESSED},
{.name = "RSV1 on a Close", .parts = {FRAME(PACKED_TEXT, HELLO), FRAME(CLOSE | FRAME_RSV1, "")},
 .events = "text(Hello) ", .error = SESSION_ERR_RSV, .modes = MODE_COMPRESSED},
{.name = "RSV1 and RSV2", .parts = {FRAME(PACKED_TEXT | FRAME_RSV2, HELLO)},
 .events = "", .error = SESSION_ERR_RSV, .modes = MODE_COMPRESSED},
{.name = "RSV1 and RSV3", .parts = {FRAME(PACKED_TEXT | FRAME_RSV3, HELLO)},
 .events = "", .error = SESSION_ERR_RSV, .modes = MODE_COMPRESSED},
{.name = "compressed message in another", .parts = {FRAME(PACKED_TEXT_BEGIN, HELLO_BEGIN), FRAME(PACKED_TEXT, HELLO)},
 .events = "", .error = SESSION_ERR_CONTINUATION, .modes = MODE_COMPRESSED},

/* no DEFLATE data */
{.name = "reserved kind of block", .parts = {DECLARE(PACKED_TEXT, 100, "", "\x06")},
 .events = "", .error = SESSION_ERR_DEFLATE, .modes = MODE_COMPRESSED},
{.name = "lengths of a stored block that differ", .parts = {FRAME(PACKED_TEXT_BEGIN, "\x00\x05\x00\x05"), DECLARE(MIDDLE, 9, "", "\x00")},
 .events = "", .error = SESSION_ERR_DEFLATE, .modes = MODE_COMPRESSED},
{.name = "reference to what never was", .parts = {FRAME(TEXT, "H"), FRAME(PACKED_TEXT, HELLO_AGAIN)},
 .events = "text(H) ", .error = SESSION_ERR_DEFLATE, .modes = MODE_COMPRESSED},
{.name = "cut in a block", .parts = {FRAME(PACKED_TEXT, HELLO_BEGIN)},
 .events = "", .error = SESSION_ERR_DEFLATE, .modes = MODE_COMPRESSED},
{.name = "cut in the lengths of a stored block", .parts = {FRAME(PACKED_TEXT, "\x00\x01")},
 .events = "", .error = SESSION_ERR_DEFLATE, .modes = MODE_COMPRESSED},
{.name = "cut in a block, by an empty fragment", .parts = {FRAME(PACKED_TEXT_BEGIN, HELLO_BEGIN), FRAME(LAST, "")},
 .events = "", .error = SESSION_ERR_DEFLATE, .modes = MODE_COMPRESSED},

/* inflated text is UTF-8, judged as it comes out */
{.name = "inflated impossible byte in mid-frame", .parts = {DECLARE(PACKED_TEXT, 100, "", STORED_4 "ab\xFF")},
 .events = "", .error = SESSION_ERR_UTF8, .modes = MODE_COMPRESSED},
{.name = "impossible byte, then no DEFLATE data", .parts = {FRAME(PACKED_TEXT, STORED_4 "abc\xFF\x06")},
 .events = "", .error = SESSION_ERR_UTF8, .modes = MODE_COMPRESSED},
{.name = "inflated text ends in a code point", .parts = {FRAME(PACKED_TEXT, STORED_4 "ab\xE2\x82\x00")},
 .events = "", .error = SESSION_ERR_UTF8, .modes = MODE_COMPRESSED},
{.name = "code point over compressed fragments",
 .parts = {FRAME(PACKED_TEXT_BEGIN, STORED_4 "a\xF0"), FRAME(PING, "\x80"), FRAME(MIDDLE, "\x9F\x8C"), FRAME(LAST, STORED_4 "\x8A" "bcd\x00")},
 .events = "ping(\x80) text(a\xF0\x9F\x8C\x8A" "bcd) ", .modes = MODE_COMPRESSED},
{.name = "inflated binary is not judged", .parts = {FRAME(PACKED_BINARY, STORED_4 "ab\xFF\xC3\x00"), FRAME(TEXT, "\xC3\xA9")},
 .events = "binary(ab\xFF\xC3) text(\xC3\xA9) ", .modes = MODE_COMPRESSED},

/* limits: of what is inflated, and roomier ones of what is compressed */
{.name = "inflated up to the limit", .parts = {FRAME(PACKED_TEXT, HELLO), FRAME(PACKED_TEXT_BEGIN, HELLO_BEGIN), FRAME(LAST, HELLO_END)},
 .events = "text(Hello) text(Hello) ", .limits.message = 5, .modes = MODE_COMPRESSED},
{.name = "inflated over the limit", .parts = {DECLARE(PACKED_TEXT, 100, "", HELLO "\x00\x00\xFF\xFF" HELLO)},
 .events = "", .error = SESSION_ERR_TOO_BIG, .limits.message = 9, .modes = MODE_COMPRESSED},
{.name = "inflated over the limit by the last byte", .parts = {FRAME(PACKED_TEXT_BEGIN, HELLO_BEGIN), FRAME(LAST, HELLO_END)},
 .events = "", .error = SESSION_ERR_TOO_BIG, .limits.message = 4, .modes = MODE_COMPRESSED},
{.name = "compressed up to its limit", .parts = {DECLARE(PACKED_TEXT, 127, "\0\0\0\0\0\1\0\x0A", "")},
 .events = "", .unfinished = true, .limits.message = 5, .modes = MODE_COMPRESSED},
{.name = "compressed over its limit", .parts = {DECLARE(PACKED_TEXT, 127, "\0\0\0\0\0\1\0\x0B", "")},
 .events = "", .error = SESSION_ERR_TOO_BIG, .limits.message = 5, .modes = MODE_COMPRESSED},
{.name = "compressed over its limit together",
 .parts = {FRAME(PACKED_TEXT_BEGIN, HELLO), DECLARE(MIDDLE, 127, "\0\0\0\0\0\1\0\x04", "")},
 .events = "", .error = SESSION_ERR_TOO_BIG, .limits.message = 5, .modes = MODE_COMPRESSED},
{.name = "compressed fragments over the limit", .parts = {FRAME(PACKED_TEXT_BEGIN, ""), FRAME(MIDDLE, ""), FRAME(LAST, "")},
 .events = "", .error = SESSION_ERR_FRAGMENTS, .limits.fragments = 2, .modes = MODE_COMPRESSED},
};
/* clang-format on */

#endif
