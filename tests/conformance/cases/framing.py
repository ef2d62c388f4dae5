"""1: frames of each form of length come back as they were sent. 1.3 and on are ours."""

from suite import frames
from suite.case import Cases, talk
from suite.events import Failure, Message
from suite.frames import BINARY, TEXT, Out
from suite.peer import FRAMES, OCTETS

CASES = Cases()

SIZES = (0, 125, 126, 127, 128, 65535, 65536)


def echo(kind, payload, chop=0, **more):
    return talk([Out(kind, payload, **more)], [Message(kind, payload)], chop=chop)


for number, kind, name, fill in ((1, TEXT, "text", b"*"), (2, BINARY, "binary", b"\xfe")):
    for i, size in enumerate(SIZES, 1):
        CASES.add(f"1.{number}.{i}", f"{name} message of {size} bytes", "RFC 6455 5.2, 5.6", echo(kind, fill * size))
    CASES.add(f"1.{number}.8", f"{name} message of 65536 bytes in chops of 997", "RFC 6455 5.2, 5.6",
              echo(kind, fill * 65536, 997))
    for i, size in enumerate((1, 2, 3, 4, 5, 6, 7, 8, 9, 124, 129, 254, 255, 256, 32767, 32768, 65534, 65537), 1):
        payload = (b"0123456789abcdef" * (size // 16 + 1))[:size]
        CASES.add(f"1.3.{i}.{name}", f"{name} message of {size} different bytes", "RFC 6455 5.2, 5.3",
                  echo(kind, payload))
    CASES.add(f"1.4.1.{name}", f"{name} message of 126 bytes, byte by byte", "RFC 6455 5.2",
              echo(kind, fill * 126, OCTETS))
    CASES.add(f"1.4.2.{name}", f"{name} message of 70000 bytes in chops of 13", "RFC 6455 5.2",
              echo(kind, fill * 70000, 13))

ALL_BYTES = bytes(range(256))
CASES.add("1.5.1", "binary message of every byte", "RFC 6455 5.6", echo(BINARY, ALL_BYTES * 3))
CASES.add("1.5.2", "a masking key of zeros", "RFC 6455 5.3", echo(BINARY, ALL_BYTES, mask=bytes(4)), roles=("server",))
CASES.add("1.5.3", "a masking key of ones", "RFC 6455 5.3", echo(BINARY, ALL_BYTES, mask=b"\xff" * 4),
          roles=("server",))
CASES.add("1.5.4", "a masking key that looks like a header", "RFC 6455 5.3",
          echo(BINARY, ALL_BYTES, mask=b"\x81\x85\x00\x7f"), roles=("server",))


@CASES.case("1.6.1", "100 messages in one write come back in order", "RFC 6455 5.4")
async def many(peer):
    messages = [b"message %d" % i for i in range(100)]
    await peer.send(*(Out(TEXT, m) for m in messages))
    await peer.expect(*(Message(TEXT, m) for m in messages))
    await peer.finish()


@CASES.case("1.6.2", "text and binary in turns keep their kinds", "RFC 6455 5.6")
async def turns(peer):
    kinds = [TEXT, BINARY] * 10
    await peer.send(*(Out(kind, b"same") for kind in kinds), chop=FRAMES)
    await peer.expect(*(Message(kind, b"same") for kind in kinds))
    await peer.finish()


@CASES.case("1.7.1", "a client masks each frame with another key", "RFC 6455 5.3, 10.3", roles=("client",))
async def fresh_masks(peer):
    for i in range(50):
        await peer.send(frames.binary(b"message %d" % i))
        await peer.expect(Message(BINARY, b"message %d" % i))
    if len(set(peer.masks)) < 48:  # two pairs of equal keys in 50 are less likely than one in 10^13
        raise Failure(f"{len(set(peer.masks))} different keys in {len(peer.masks)} frames")
    await peer.finish()
