"""6: UTF-8 in text messages (RFC 6455 sections 5.6 and 8.1, RFC 3629). 6.24 and on are ours.

The byte sequences are those of Markus Kuhn's decoder capability and stress test, in its order.
"""

from suite import frames
from suite.case import Cases, failed, talk
from suite.events import Message, Pong
from suite.frames import BINARY, TEXT, binary, close, cont, ping, text
from suite.peer import OCTETS

CASES = Cases()
RFC = "RFC 6455 5.6, 8.1"
KOSME = bytes.fromhex("cebae1bdb9cf83cebcceb5")  # of the test's first line
MIXED = "Hello-µ@ßöäüàá-UTF-8!!".encode()
SURROGATE = KOSME + b"\xed\xa0\x80" + b"edited"
TOO_HIGH = KOSME + b"\xf4\x90\x80\x80" + b"edited"  # becomes impossible at its 13th byte
IMPOSSIBLE = 13


def valid(payload):
    try:
        payload.decode()
        return True
    except UnicodeDecodeError:
        return False


def judged(payload, chop=0, size=0):
    """The case of one payload: echoed when it is UTF-8, else refused with 1007."""
    sent = frames.fragments(TEXT, payload, size or len(payload) or 1)
    if valid(payload):
        return talk(sent, [Message(TEXT, payload)], chop=chop)
    return talk([*sent, ping()], end=failed(1007), chop=chop)


CASES.add("6.1.1", "empty text", RFC, judged(b""))
CASES.add("6.1.2", "three empty fragments", RFC,
          talk([text("", fin=False), cont(fin=False), cont()], [Message(TEXT, b"")]))
CASES.add("6.1.3", "the middle one of three fragments has the text", RFC,
          talk([text("", fin=False), cont("middle", fin=False), cont()], [Message(TEXT, b"middle")]))
CASES.add("6.2.1", "text of several lengths of code points", RFC, judged(MIXED))
CASES.add("6.2.2", "the same in two fragments, between two code points", RFC, judged(MIXED, size=12))
CASES.add("6.2.3", "the same in fragments of a byte", RFC, judged(MIXED, size=1))
CASES.add("6.2.4", "Greek in fragments of a byte", RFC, judged(KOSME, size=1))
CASES.add("6.3.1", "a surrogate in the middle", RFC, judged(SURROGATE))
CASES.add("6.3.2", "a surrogate in the middle, in fragments of a byte", RFC, judged(SURROGATE, size=1))


def fails_early(parts):
    """6.4: the connection is failed as soon as the text cannot be completed: what would come next is never sent.
    A Ping shows that the part before was taken; a second one, that the wrong part is not."""
    async def run(peer):
        before, wrong = parts
        await peer.send(before, ping(b"so far"))
        await peer.expect(Pong(b"so far"))
        await peer.send(wrong, ping(b"too late"))
        await peer.expect_failed(1007)
    return run


def in_one_frame(payload, at, to):
    """The frame is announced in whole; its bytes come up to `at`, then up to `to`, and no further: TCP is
    half-closed, so that a peer which waits for the rest ends without the verdict."""
    async def run(peer):
        whole = peer.encode(text(payload))
        head = len(whole) - len(payload)
        await peer.wire.send(whole[:head + at])
        await peer.wire.send(whole[head + at:head + to])
        peer.wire.finish()
        await peer.expect_failed(1007)
    return run


CASES.add("6.4.1", "the second of three frames makes it impossible", RFC,
          fails_early((text(KOSME, fin=False), cont(TOO_HIGH[len(KOSME):len(KOSME) + 4], fin=False))))
CASES.add("6.4.2", "the second frame has the one byte that makes it impossible", RFC,
          fails_early((text(TOO_HIGH[:IMPOSSIBLE - 1], fin=False),
                       cont(TOO_HIGH[IMPOSSIBLE - 1:IMPOSSIBLE], fin=False))))
CASES.add("6.4.3", "one frame: the second chop makes it impossible", RFC,
          in_one_frame(TOO_HIGH, len(KOSME), len(KOSME) + 4))
CASES.add("6.4.4", "one frame: the second chop has the one byte that makes it impossible", RFC,
          in_one_frame(TOO_HIGH, IMPOSSIBLE - 1, IMPOSSIBLE))


def starts(first, last):
    """Lonely first bytes, a space behind each."""
    return b"".join(bytes([byte]) + b" " for byte in range(first, last))


LAST_MISSING = [bytes.fromhex(h) for h in ("c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf",
                                           "fbbfbfbf", "fdbfbfbfbf")]
NONCHARACTERS = [b"\xef\xbf\xbe", b"\xef\xbf\xbf"] + \
    [chr(plane << 16 | low).encode() for plane in range(1, 17) for low in (0xFFFE, 0xFFFF)]


def several(hexes):
    return [bytes.fromhex(h) for h in hexes.split()]


TABLE = {
    5: ("text with code points of one to four bytes",
        [f"hello{c}world".encode() for c in "$¢€\U00024b62"] + [KOSME]),
    6: ("a prefix of text", [KOSME[:n] for n in range(1, len(KOSME) + 1)]),
    7: ("the first code point of a length", several("00 c280 e0a080 f0908080")),
    8: ("the first of five and six bytes", several("f888808080 fc8480808080")),
    9: ("the last code point of a length", several("7f dfbf efbfbf f48fbfbf")),
    10: ("the last of four, five and six bytes", several("f7bfbfbf fbbfbfbfbf fdbfbfbfbfbf")),
    11: ("a boundary", several("ed9fbf ee8080 efbfbd f48fbfbf f4908080")),
    12: ("a continuation byte alone", several("80 bf 80bf 80bf80 80bf80bf 80bf80bf80 80bf80bf80bf") +
         [bytes(range(0x80, 0xBF))]),
    13: ("lonely first bytes", [starts(*pair) for pair in ((0xC0, 0xDF), (0xE0, 0xEF), (0xF0, 0xF7), (0xF8, 0xFB),
                                                           (0xFC, 0xFD))]),
    14: ("the last continuation byte is missing", LAST_MISSING),
    15: ("incomplete sequences in a row", [b"".join(LAST_MISSING)]),
    16: ("bytes that never appear", several("fe ff fefeffff")),
    17: ("an overlong slash", several("c0af e080af f08080af f8808080af fc80808080af")),
    18: ("the highest overlong form", several("c1bf e09fbf f08fbfbf f887bfbfbf fc83bfbfbfbf")),
    19: ("an overlong NUL", several("c080 e08080 f0808080 f880808080 fc8080808080")),
    20: ("a surrogate", several("eda080 edadbf edae80 edafbf edb080 edbe80 edbfbf")),
    21: ("a pair of surrogates", several("eda080edb080 eda080edbfbf edadbfedb080 edadbfedbfbf edae80edb080 "
                                         "edae80edbfbf edafbfedb080 edafbfedbfbf")),
    22: ("a noncharacter, which is valid", NONCHARACTERS),
    23: ("a special, which is valid", [chr(0xFFF9 + i).encode() for i in range(7)]),
}

for number, (what, payloads) in TABLE.items():
    for i, payload in enumerate(payloads, 1):
        word = "UTF-8" if valid(payload) else "not UTF-8"
        CASES.add(f"6.{number}.{i}", f"{what}: {payload.hex()[:24]} ({word})", RFC, judged(payload))

# every code point of two to four bytes, split behind each of its bytes
for i, payload in enumerate(several("c2a2 e282ac f0a4ada2"), 1):
    for at in range(1, len(payload)):
        CASES.add(f"6.24.{i}.{at}", f"{payload.hex()} split behind byte {at} by a fragment", RFC,
                  talk([text(payload[:at], fin=False), cont(payload[at:])], [Message(TEXT, payload)]))
        CASES.add(f"6.25.{i}.{at}", f"a message that ends behind byte {at} of {payload.hex()}", RFC,
                  talk([text(payload[:at]), ping()], end=failed(1007)))
        CASES.add(f"6.26.{i}.{at}", f"a fragmented message that ends behind byte {at} of {payload.hex()}", RFC,
                  talk([text(payload[:at], fin=False), cont(), ping()], end=failed(1007)))
CASES.add("6.27.1", "a text of 70000 bytes with its one fault at the end", RFC, judged(b"a" * 69999 + b"\xff"))
CASES.add("6.27.2", "a fault in the middle of a frame that goes on: refused before its end", RFC,
          in_one_frame(b"a" * 200 + b"\xff" + b"b" * 70000, 201, 401))
CASES.add("6.27.3", "code points of all lengths, byte by byte", RFC,
          judged(MIXED + "\U0010ffff\U00010000".encode(), OCTETS))
CASES.add("6.27.4", "binary messages are not judged", "RFC 6455 5.6",
          talk([binary(b"\xff\xfe\xc0\x80")], [Message(BINARY, b"\xff\xfe\xc0\x80")]))
CASES.add("6.27.5", "fragments of a binary message are not judged", "RFC 6455 5.6",
          talk([binary(b"\xc0", fin=False), cont(b"\x80")], [Message(BINARY, b"\xc0\x80")]))
CASES.add("6.27.6", "a Ping between the bytes of a code point", RFC,
          talk([text(b"\xe2", fin=False), ping(b"\x82"), cont(b"\x82\xac")],
               [Pong(b"\x82"), Message(TEXT, "€".encode())]))
CASES.add("6.27.7", "a code point that is not finished at the end of a message is not continued in the next", RFC,
          talk([text(b"\xe2\x82"), text(b"\xac")], end=failed(1007)))
for i, payload in enumerate(several("c0af eda080 f4908080 ff e282"), 1):
    CASES.add(f"6.28.{i}", f"the reason of a Close is not UTF-8: {payload.hex()}", "RFC 6455 5.5.1, 8.1",
              talk([close(1000, payload)], end=failed(1007, 1002)))
