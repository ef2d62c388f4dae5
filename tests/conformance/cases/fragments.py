"""5: fragmentation. 5.21 and on are ours."""

from suite.case import Cases, failed, talk
from suite.events import Message, Pong
from suite.frames import BINARY, TEXT, binary, close, cont, fragments, ping, pong, text
from suite.peer import FRAMES, OCTETS

CASES = Cases()
RFC = "RFC 6455 5.4"
TWO = [text("fragment1", fin=False), cont("fragment2")]
JOINED = Message(TEXT, b"fragment1fragment2")
HELLO = b"Hello, world!"
CHOPS = ((0, "in one write"), (FRAMES, "frame by frame"), (OCTETS, "byte by byte"))

CASES.add("5.1", "Ping in two fragments", "RFC 6455 5.5", talk([ping(b"1", fin=False), cont("2")], end=failed(1002)))
CASES.add("5.2", "Pong in two fragments", "RFC 6455 5.5", talk([pong(b"1", fin=False), cont("2")], end=failed(1002)))
for i, (chop, how) in enumerate(CHOPS):
    CASES.add(f"5.{3 + i}", f"text in two fragments, {how}", RFC, talk(TWO, [JOINED], chop=chop))
for i, (chop, how) in enumerate(CHOPS):
    CASES.add(f"5.{6 + i}", f"a Ping between two fragments, {how}", RFC,
              talk([TWO[0], ping(b"ping"), TWO[1]], [Pong(b"ping"), JOINED], chop=chop))
for i, (chop, how) in enumerate(CHOPS):
    CASES.add(f"5.{9 + i}", f"a last continuation of nothing, then text, {how}", RFC,
              talk([cont("nothing"), text(HELLO)], end=failed(1002), chop=chop))
for i, (chop, how) in enumerate(CHOPS):
    CASES.add(f"5.{12 + i}", f"a continuation of nothing, then text, {how}", RFC,
              talk([cont("nothing", fin=False), text(HELLO)], end=failed(1002), chop=chop))
CASES.add("5.15", "text in two fragments, a continuation of nothing, text", RFC,
          talk([*TWO, cont("fragment3", fin=False), text("fragment4")], [JOINED], failed(1002)))
for number, fin in ((16, False), (17, True)):
    CASES.add(f"5.{number}", f"twice: a {'last ' if fin else ''}continuation of nothing, then text in two fragments",
              RFC,
              talk([cont("fragment1", fin=fin), *TWO] * 2, end=failed(1002)))
CASES.add("5.18", "a second text frame inside a message", RFC,
          talk([text("fragment1", fin=False), text("fragment2")], end=failed(1002)))


def pings_between(chop):
    async def run(peer):
        """The first Ping is answered while the message is still incomplete."""
        await peer.send(text("1", fin=False), cont("2", fin=False), ping(b"first"), chop=chop)
        await peer.expect(Pong(b"first"))
        await peer.send(cont("3", fin=False), cont("4", fin=False), ping(b"second"), cont("5"), chop=chop)
        await peer.expect(Pong(b"second"), Message(TEXT, b"12345"))
        await peer.finish()
    return run


CASES.add("5.19", "two Pings in a message of five fragments", RFC, pings_between(0))
CASES.add("5.20", "two Pings in a message of five fragments, frame by frame", RFC, pings_between(FRAMES))

CASES.add("5.21.1", "a text frame without FIN inside a message", RFC,
          talk([text("1", fin=False), text("2", fin=False)], end=failed(1002)))
CASES.add("5.21.2", "a binary frame inside a text message", RFC,
          talk([text("1", fin=False), binary(b"2")], end=failed(1002)))
CASES.add("5.21.3", "a text frame inside a binary message", RFC,
          talk([binary(b"1", fin=False), text("2")], end=failed(1002)))
CASES.add("5.21.4", "a new message inside another is refused from its header", RFC,
          talk([text("1", fin=False), text("", length=100)], end=failed(1002)))
CASES.add("5.21.5", "a continuation of nothing is refused from its header", RFC,
          talk([cont("", length=100)], end=failed(1002)))
CASES.add("5.21.6", "a continuation behind a whole message", RFC,
          talk([text(HELLO), cont("more")], [Message(TEXT, HELLO)], failed(1002)))
CASES.add("5.21.7", "Close in two fragments", "RFC 6455 5.5",
          talk([close(1000, fin=False), cont("")], end=failed(1002)))
CASES.add("5.21.8", "a Ping without FIN is refused inside a message as well", "RFC 6455 5.5",
          talk([text("1", fin=False), ping(fin=False), cont("2")], end=failed(1002)))

PAYLOAD = bytes(range(256))
for size in (1, 2, 3, 5, 7, 16, 64, 125, 126, 127, 128, 255, 256):
    CASES.add(f"5.22.{size}", f"binary message of 256 bytes in fragments of {size}", RFC,
              talk(fragments(BINARY, PAYLOAD, size), [Message(BINARY, PAYLOAD)]))
CASES.add("5.23.1", "an empty last fragment", RFC, talk([text("all", fin=False), cont()], [Message(TEXT, b"all")]))
CASES.add("5.23.2", "an empty first fragment", RFC, talk([text("", fin=False), cont("all")], [Message(TEXT, b"all")]))
CASES.add("5.23.3", "100 empty fragments, then the message", RFC,
          talk([text("", fin=False), *[cont(fin=False)] * 98, cont("end")], [Message(TEXT, b"end")]))
CASES.add("5.23.4", "a Ping behind every fragment", RFC,
          talk([text("a", fin=False), ping(b"1"), cont("b", fin=False), ping(b"2"), cont("c")],
               [Pong(b"1"), Pong(b"2"), Message(TEXT, b"abc")], chop=FRAMES))
CASES.add("5.23.5", "fragments of two kinds of length", RFC,
          talk([binary(b"a" * 65536, fin=False), cont(b"b" * 126, fin=False), cont(b"c" * 3)],
               [Message(BINARY, b"a" * 65536 + b"b" * 126 + b"c" * 3)]))
CASES.add("5.24.1", "three fragmented messages in a row", RFC, talk(TWO * 3, [JOINED] * 3))


@CASES.case("5.24.2", "a Close in the middle of a fragmented message", "RFC 6455 5.4, 7.1.2")
async def close_inside(peer):
    await peer.send(text("never ends", fin=False), close(1001))
    await peer.expect_closed(1001)
