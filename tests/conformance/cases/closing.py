"""7: the closing handshake. 7.14 and on are ours."""

from suite.case import Cases, failed, talk
from suite.case import closed as answered
from suite.events import Close, End, Failure, Message
from suite.frames import TEXT, Out, Raw, close, cont, fragments, ping, text
from suite.peer import FRAMES, OCTETS

CASES = Cases()
RFC = "RFC 6455 5.5.1, 7.1"
HELLO = b"Hello World!"
BAD_REASON = bytes.fromhex("cebae1bdb9cf83cebcceb5eda080656469746564")

CASES.add("7.1.1", "a message, then Close", RFC,
          talk([text(HELLO), close(1000)], [Message(TEXT, HELLO)], answered(1000)))
CASES.add("7.1.2", "two Close frames: the second is ignored", RFC, talk([close(1000), close()], end=answered(1000)))
CASES.add("7.1.3", "a Ping behind the Close is not answered", RFC, talk([close(1000), ping()], end=answered(1000)))
CASES.add("7.1.4", "text behind the Close is ignored", RFC, talk([close(1000), text(HELLO)], end=answered(1000)))
CASES.add("7.1.5", "a fragment, Close, the other fragment", RFC,
          talk([text("fragment1", fin=False), close(1000), cont("fragment2")], end=answered(1000)))
BIG = b"BAsd7&jh23" * 26214
CASES.add("7.1.6", "262140 bytes, text, Close and a Ping at once: both messages are answered first", RFC,
          talk([text(BIG), text(HELLO), close(1000), ping()], [Message(TEXT, BIG), Message(TEXT, HELLO)],
               answered(1000)))

CASES.add("7.3.1", "Close without payload: answered without a code, or with 1000", RFC,
          talk([close()], end=answered(None, 1000)))
CASES.add("7.3.2", "Close with a payload of one byte", RFC, talk([Out(8, b"a")], end=failed(1002)))
CASES.add("7.3.3", "Close with a code", RFC, talk([close(1000)], end=answered(1000)))
CASES.add("7.3.4", "Close with code and reason", RFC, talk([close(1000, HELLO)], end=answered(1000)))
CASES.add("7.3.5", "Close with a reason of 123 bytes", RFC, talk([close(1000, b"*" * 123)], end=answered(1000)))
CASES.add("7.3.6", "Close with a reason of 124 bytes", "RFC 6455 5.5",
          talk([close(1000, b"*" * 124)], end=failed(1002)))
CASES.add("7.5.1", "Close with a reason that is not UTF-8", "RFC 6455 5.5.1, 8.1",
          talk([close(1000, BAD_REASON)], end=failed(1007, 1002)))

VALID = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
for i, code in enumerate(VALID, 1):
    CASES.add(f"7.7.{i}", f"Close with {code}", "RFC 6455 7.4", talk([close(code)], end=answered(code, 1000)))
for i, code in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999), 1):
    CASES.add(f"7.9.{i}", f"Close with {code}, which must not be on the wire", "RFC 6455 7.4",
              talk([close(code)], end=failed(1002)))
for i, code in enumerate((5000, 65535), 1):
    CASES.add(f"7.13.{i}", f"Close with {code}, which no range has", "RFC 6455 7.4.2",
              talk([close(code)], end=failed(1002)))

REGISTERED = "RFC 6455 7.4, IANA registry"
for code in (1012, 1013, 1014):
    CASES.add(f"7.14.{code}", f"Close with {code}, which IANA has registered", REGISTERED,
              talk([close(code)], end=answered(code, 1000)))
for code in (1, 255, 256, 998, 1015, 1017, 1099, 1999, 2001, 2998, 5001, 32768, 65534):
    CASES.add(f"7.14.{code}", f"Close with {code}, which must not be on the wire", "RFC 6455 7.4",
              talk([close(code)], end=failed(1002)))
for code in (3001, 3333, 4001, 4500):
    CASES.add(f"7.14.{code}", f"Close with {code}: the code comes back", "RFC 6455 5.5.1",
              talk([close(code, b"why")], end=answered(code)))

for i, (chop, how) in enumerate(((0, "in one write"), (FRAMES, "frame by frame"), (OCTETS, "byte by byte")), 1):
    CASES.add(f"7.15.{i}", f"messages before a Close are answered before it, {how}", "RFC 6455 5.5.1",
              talk([text("1"), text("2"), close(3000)], [Message(TEXT, b"1"), Message(TEXT, b"2")], answered(3000),
                   chop))
CASES.add("7.15.4", "anything behind the Close is ignored, also what would be an error", "RFC 6455 1.4, 5.5.1",
          talk([close(1000), Out(3, b"?", rsv=7), text(b"\xff"), cont("x")], end=answered(1000)))
CASES.add("7.15.7", "Close with a payload of one byte, and behind it the byte that would make it 1000", RFC,
          talk([Out(8, b"\x03"), Raw(b"\xe8")], end=failed(1002)))
CASES.add("7.15.6", "a reason of code points of several bytes", "RFC 6455 5.5.1",
          talk([close(1000, "Tschüß, κόσμε €".encode())], end=answered(1000)))


@CASES.case("7.15.5", "a message of 1 MiB behind the Close is ignored", "RFC 6455 1.4")
async def much_behind(peer):
    await peer.send(close(1000), *fragments(TEXT, b"a" * (1 << 20), 65536))
    await peer.expect_close(1000)
    await peer.expect_end()  # or a reset: nobody has to read all that


# --- the peer closes first; the profile "close" does it on "close CODE REASON" -------------------

def asked(code, reason=b""):
    """The peer is asked to close, does so, and its Close is answered."""
    async def run(peer):
        await peer.send(text(b"close %d %s" % (code, reason)))
        await peer.expect(Message(TEXT, b"closing"))
        await peer.expect_close(code, reason=reason)
        await peer.send(close(code))
        await ended(peer)
    return run


async def ended(peer):
    end = await peer.expect_end()
    if end.reset:
        raise Failure("expected an orderly end of TCP, saw a reset (7.1.1)")


for i, (code,
        reason) in enumerate(((1000, b""), (1000, b"done"), (1001, b""), (3000, b"*" * 123), (4999, "ß".encode())), 1):
    CASES.add(f"7.16.{i}", f"the peer closes with {code} and a reason of {len(reason)} bytes", RFC, asked(code, reason),
              profile="close")


@CASES.case("7.17.1", "the peer closes: messages on their way are not answered", "RFC 6455 7.1.2", profile="close")
async def crossing(peer):
    await peer.send(text("close 1000"), text("crosses it"), ping())
    await peer.expect(Message(TEXT, b"closing"))
    await peer.expect_close(1000)
    await peer.send(text("behind it"), close(1000))
    await ended(peer)


@CASES.case("7.17.2", "both close at once", "RFC 6455 5.5.1, 7.1.3", profile="close")
async def simultaneous(peer):
    await peer.send(text("close 3001"), close(3002))
    await peer.expect(Message(TEXT, b"closing"))
    await peer.expect_close(3001)
    await ended(peer)


@CASES.case("7.17.3", "the peer closes, and our Close has no payload", RFC, profile="close")
async def empty_answer(peer):
    await peer.send(text("close 1000"))
    await peer.expect(Message(TEXT, b"closing"))
    await peer.expect_close(1000)
    await peer.send(close())
    await ended(peer)


@CASES.case("7.17.4", "the peer closes, and we answer with a bad Close: TCP ends without another frame", RFC,
            profile="close")
async def bad_answer(peer):
    await peer.send(text("close 1000"))
    await peer.expect(Message(TEXT, b"closing"))
    await peer.expect_close(1000)
    await peer.send(close(999))
    await peer.expect_end()


# --- TCP ------------------------------------------------------------------------------------------

@CASES.case("7.18.1", "a server ends TCP by itself behind the closing handshake", "RFC 6455 7.1.1", roles=("server",))
async def server_ends(peer):
    await peer.send(close(1000))
    await peer.expect_close(1000)
    got = await peer.event()
    if got != End(False):
        raise Failure(f"expected the end of TCP, saw {got}")


@CASES.case("7.18.2", "a server that fails the connection ends TCP by itself", "RFC 6455 7.1.7, 7.1.1",
            roles=("server",))
async def server_fails(peer):
    await peer.send(Out(3))
    await peer.expect_close(1002)
    got = await peer.event()
    if not isinstance(got, End):
        raise Failure(f"expected the end of TCP, saw {got}")


@CASES.case("7.18.3", "TCP is half-closed without a Close: the peer ends it", "RFC 6455 7.1.5")
async def half_closed(peer):
    peer.wire.finish()
    await only_ends(peer)


@CASES.case("7.18.4", "TCP is half-closed inside a frame: the peer ends it", "RFC 6455 7.1.5")
async def half_closed_inside(peer):
    await peer.send(text("abc", length=100))
    peer.wire.finish()
    await only_ends(peer)


@CASES.case("7.18.5", "TCP is half-closed behind a message: it is answered or not, and TCP ends", "RFC 6455 7.1.5")
async def half_closed_behind(peer):
    await peer.send(text(HELLO))
    peer.wire.finish()
    got = await peer.event()
    if isinstance(got, Message):
        await only_ends(peer)
    elif not isinstance(got, (End, Close)):
        raise Failure(f"expected an echo or the end of TCP, saw {got}")


async def only_ends(peer):
    """TCP ends; a Close frame may come before."""
    got = await peer.event()
    if isinstance(got, Close):
        got = await peer.event()
    if not isinstance(got, End):
        raise Failure(f"expected the end of TCP, saw {got}")


@CASES.case("7.18.6", "TCP is half-closed right behind our Close: the closing handshake is finished", RFC)
async def close_and_finish(peer):
    await peer.send(text(HELLO), close(1000))
    peer.wire.finish()
    await peer.expect(Message(TEXT, HELLO))
    await peer.expect_close(1000)
    await ended(peer)
