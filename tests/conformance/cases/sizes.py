"""9: sizes, fragment sizes and chops of large messages; round trips. 10: many frames of one message."""

from suite.case import Cases, talk
from suite.events import Message
from suite.frames import BINARY, TEXT, Out, fragments

CASES = Cases()
RFC = "RFC 6455 5.2, 5.4"
KiB, MiB = 1 << 10, 1 << 20
ROUND_TRIPS = 200


def payload(kind, size):
    unit = b"BAsd7&jh23" if kind == TEXT else bytes.fromhex("00fe23faf0")
    return (unit * (size // len(unit) + 1))[:size]


def words(size):
    return f"{size // MiB} MiB" if size >= MiB else f"{size // KiB} KiB" if size >= KiB else f"{size} bytes"


def lazily(make, chop=0):
    """A talk that makes its frames and its answer when it is run: megabytes are not kept for a whole run."""
    async def run(peer):
        kind, data, frames = make()
        await talk(frames, [Message(kind, data)], chop=chop)(peer)
    return run


def one_frame(kind, size):
    return lambda: (kind, payload(kind, size), [Out(kind, payload(kind, size))])


def in_fragments(kind, size, fragment):
    return lambda: (kind, payload(kind, size), fragments(kind, payload(kind, size), fragment))


def round_trips(kind, size):
    async def run(peer):
        data = payload(kind, size)
        for _ in range(ROUND_TRIPS):
            await peer.send(Out(kind, data))
            await peer.expect(Message(kind, data))
        await peer.finish()
    return run


for offset, kind, name in ((0, TEXT, "text"), (1, BINARY, "binary")):
    for i, size in enumerate((64 * KiB, 256 * KiB, MiB, 4 * MiB, 8 * MiB, 16 * MiB), 1):
        CASES.add(f"9.{1 + offset}.{i}", f"{name} message of {words(size)}", RFC, lazily(one_frame(kind, size)),
                  seconds=60)
    for i, size in enumerate((64, 256, KiB, 4 * KiB, 16 * KiB, 64 * KiB, 256 * KiB, MiB, 4 * MiB), 1):
        CASES.add(f"9.{3 + offset}.{i}", f"{name} message of 4 MiB in fragments of {words(size)}", RFC,
                  lazily(in_fragments(kind, 4 * MiB, size)), seconds=60)
    for i, chop in enumerate((64, 128, 256, 512, 1024, 2048), 1):
        CASES.add(f"9.{5 + offset}.{i}", f"{name} message of 1 MiB in chops of {chop} bytes", RFC,
                  lazily(one_frame(kind, MiB), chop), seconds=60)
    for i, size in enumerate((0, 16, 64, 256, 1024, 4096), 1):
        CASES.add(f"9.{7 + offset}.{i}", f"{ROUND_TRIPS} {name} messages of {size} bytes, one after another", RFC,
                  round_trips(kind, size), seconds=60)

CASES.add("10.1.1", "text message of 65536 bytes in frames of 1300", "RFC 6455 5.4",
          lazily(in_fragments(TEXT, 65536, 1300)))
