"""2: Ping and Pong. 2.12 and on are ours."""

from suite.case import Cases, failed, talk
from suite.events import Message, Pong
from suite.frames import TEXT, cont, ping, pong, text
from suite.peer import FRAMES, OCTETS

CASES = Cases()
RFC = "RFC 6455 5.5.2, 5.5.3"
HELLO = b"Hello, world!"
NOISE = bytes.fromhex("00fffefdfcfb00ff")


def answered(payload, chop=0):
    return talk([ping(payload)], [Pong(payload)], chop=chop)


CASES.add("2.1", "Ping without payload", RFC, answered(b""))
CASES.add("2.2", "Ping with text", RFC, answered(HELLO))
CASES.add("2.3", "Ping with bytes that are not UTF-8", RFC, answered(NOISE))
CASES.add("2.4", "Ping of 125 bytes", RFC, answered(b"\xfe" * 125))
CASES.add("2.5", "Ping of 126 bytes", "RFC 6455 5.5", talk([ping(b"\xfe" * 126)], end=failed(1002)))
CASES.add("2.6", "Ping of 125 bytes, byte by byte", RFC, answered(b"\xfe" * 125, OCTETS))
CASES.add("2.7", "Pong that nobody asked for, without payload", "RFC 6455 5.5.3", talk([pong()]))
CASES.add("2.8", "Pong that nobody asked for", "RFC 6455 5.5.3", talk([pong(b"unsolicited")]))
CASES.add("2.9", "Pong that nobody asked for, then a Ping", RFC,
          talk([pong(b"unsolicited"), ping(HELLO)], [Pong(HELLO)]))


def ten(chop):
    async def run(peer):
        payloads = [b"payload %d" % i for i in range(10)]
        await peer.send(*map(ping, payloads), chop=chop)
        await peer.expect_pongs(payloads)
        await peer.finish()
    return run


CASES.add("2.10", "ten Pings in one write: Pongs in order, the last one among them", RFC, ten(0))
CASES.add("2.11", "ten Pings byte by byte", RFC, ten(OCTETS))

CASES.add("2.12.1", "Ping frame by frame between messages", RFC,
          talk([text("a"), ping(b"1"), text("b")], [Message(TEXT, b"a"), Pong(b"1"), Message(TEXT, b"b")], chop=FRAMES))
CASES.add("2.12.2", "Pong between the fragments of a message is ignored", "RFC 6455 5.4, 5.5.3",
          talk([text("a", fin=False), pong(b"x"), cont("b")], [Message(TEXT, b"ab")]))
CASES.add("2.12.3", "Pong of 125 bytes is ignored", "RFC 6455 5.5.3", talk([pong(b"\xff" * 125)]))
CASES.add("2.12.4", "Pong of 126 bytes", "RFC 6455 5.5", talk([pong(b"\xff" * 126)], end=failed(1002)))
CASES.add("2.12.5", "Ping of 65536 bytes is refused", "RFC 6455 5.5", talk([ping(b"\xff" * 65536)], end=failed(1002)))
CASES.add("2.12.6", "Ping of 126 bytes is refused from its header", "RFC 6455 5.5",
          talk([ping(b"", length=126, width=2)], end=failed(1002)))

for n in (1, 2, 4, 63, 64, 124):
    CASES.add(f"2.13.{n}", f"Ping of {n} bytes", RFC, answered(bytes(range(n))))


@CASES.case("2.14", "a thousand Pings: the last one is answered, and echo goes on", RFC)
async def flood(peer):
    payloads = [b"%d" % i for i in range(1000)]
    await peer.send(*map(ping, payloads))
    await peer.expect_pongs(payloads)
    await peer.send(text("still there"))
    await peer.expect(Message(TEXT, b"still there"))
    await peer.finish()
