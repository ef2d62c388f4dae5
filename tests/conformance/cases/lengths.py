"""L: each opcode with the lengths at which arithmetic goes wrong, masked and not. All of ours.

Only the header of a length that is too large is sent: the verdict must not wait for the payload, and nothing
may be allocated by what it says.
"""

import struct

from suite.case import Cases, closed, failed, talk
from suite.events import Message, Pong
from suite.frames import NAMES, PING, PONG, CLOSE, Out, ping
from suite.peer import OCTETS

CASES = Cases()
LENGTHS = {"125": 125, "126": 126, "65535": 65535, "65536": 65536, "2^31-1": (1 << 31) - 1, "2^31": 1 << 31,
           "2^31+1": (1 << 31) + 1, "2^32-1": (1 << 32) - 1, "2^32": 1 << 32, "2^32+1": (1 << 32) + 1,
           "2^63-1": (1 << 63) - 1, "2^63": 1 << 63, "2^64-1": (1 << 64) - 1}
LARGEST = 65536  # of which the payload is sent


def wrong_mask(peer):
    return None if peer.is_client else bytes(4)


def right(opcode, length):
    """The run of a frame that is masked as its sender's role wants."""
    if length >> 63 or opcode not in NAMES or opcode == 0 or opcode >= CLOSE and length > 125:
        return talk([Out(opcode, length=length)], end=failed(1002))
    if length > LARGEST:
        return talk([Out(opcode, length=length)], end=failed(1009))
    if opcode == CLOSE:
        return talk([Out(CLOSE, struct.pack(">H", 1000) + b"r" * (length - 2))], end=closed(1000))
    payload = b"a" * length
    answers = {PING: [Pong(payload)], PONG: []}.get(opcode, [Message(opcode, payload)])
    return talk([Out(opcode, payload), ping(b"then")], [*answers, Pong(b"then")])


def wrong(opcode, length):
    """The run of a frame that is masked and must not be, or the other way."""
    async def run(peer):
        await peer.send(Out(opcode, length=length, mask=wrong_mask(peer)))
        await peer.expect_failed(*((1002, 1009) if length > LARGEST else (1002,)))
    return run


for opcode in range(16):
    for name, length in LENGTHS.items():
        what = f"{NAMES.get(opcode, f'opcode {opcode:X}')} of {name} bytes"
        CASES.add(f"L.{opcode:X}.{name}.right", f"{what}, masked as it has to be", "RFC 6455 5.2, 5.5",
                  right(opcode, length))
        CASES.add(f"L.{opcode:X}.{name}.wrong", f"{what}, masked the wrong way", "RFC 6455 5.1", wrong(opcode, length))

# a length in more bytes than it needs (5.2: "the minimal number of bytes MUST be used")
for width, lengths in ((2, (0, 1, 125)), (8, (0, 125, 126, 65535))):
    for length in lengths:
        for opcode in (1, 2, 8, 9, 10):
            CASES.add(f"L.minimal.{opcode:X}.{length}.{width}",
                      f"{NAMES[opcode]} of {length} bytes with a length of {width} bytes", "RFC 6455 5.2",
                      talk([Out(opcode, b"a" * length, width=width)], end=failed(1002)))
for name in ("2^31", "2^63-1", "2^63", "2^64-1"):
    codes = (1002,) if name in ("2^63", "2^64-1") else (1009,)
    CASES.add(f"L.bytewise.{name}", f"binary of {name} bytes, header byte by byte", "RFC 6455 5.2",
              talk([Out(2, length=LENGTHS[name])], end=failed(*codes), chop=OCTETS))
    CASES.add(f"L.continued.{name}", f"a continuation of {name} bytes behind a fragment", "RFC 6455 5.2",
              talk([Out(2, b"a" * 100, fin=False), Out(0, length=LENGTHS[name])], end=failed(*codes)))

# what comes behind a refused length is not taken for frames
CASES.add("L.behind.1", "a frame of 2^63 bytes, then frames that would be answered", "RFC 6455 7.1.7",
          talk([Out(2, length=1 << 63), ping(b"x"), Out(1, b"x")], end=failed(1002)))
CASES.add("L.behind.2", "a frame of 2^32+5 bytes, then frames that would be answered", "RFC 6455 7.1.7",
          talk([Out(2, b"aaaaa", length=(1 << 32) + 5), ping(b"x"), Out(1, b"x")], end=failed(1009)))


# --- the profile "limit": messages up to 65,536 bytes in up to 16 fragments ----------------------

LIMIT = 65536
RFC = "RFC 6455 7.4.1, 10.4"


def fragmented(total, pieces):
    size = total // pieces
    sizes = [size] * (pieces - 1) + [total - size * (pieces - 1)]
    return [Out(0 if i else 2, b"a" * n, fin=i == pieces - 1) for i, n in enumerate(sizes)]


OFFER = {"roles": ("server", "client"), "profile": "limit"}
CASES.add("L.limit.1", "a message of exactly the limit", RFC, talk([Out(2, b"a" * LIMIT)], [Message(2, b"a" * LIMIT)]),
          **OFFER)
CASES.add("L.limit.2", "a message of one byte more", RFC, talk([Out(2, b"a" * (LIMIT + 1))], end=failed(1009)), **OFFER)
CASES.add("L.limit.3", "one byte more, told by the header alone", RFC,
          talk([Out(2, length=LIMIT + 1)], end=failed(1009)), **OFFER)
CASES.add("L.limit.4", "fragments that add up to the limit", RFC,
          talk(fragmented(LIMIT, 4), [Message(2, b"a" * LIMIT)]), **OFFER)
CASES.add("L.limit.5", "fragments that add up to one byte more", RFC, talk(fragmented(LIMIT + 1, 4), end=failed(1009)),
          **OFFER)
CASES.add("L.limit.6", "as many fragments as are allowed", RFC, talk(fragmented(160, 16), [Message(2, b"a" * 160)]),
          **OFFER)
CASES.add("L.limit.7", "one fragment more", RFC, talk(fragmented(170, 17), end=failed(1008)), **OFFER)
CASES.add("L.limit.8", "empty fragments count", RFC,
          talk([Out(2, b"", fin=False)] + [Out(0, fin=False)] * 16, end=failed(1008)), **OFFER)
CASES.add("L.limit.9", "control frames between fragments do not count", RFC,
          talk([Out(2, b"a", fin=False)] + [ping(b"p")] * 40 + [Out(0, b"b")],
               end=lambda peer: pongs_then(peer, Message(2, b"ab"))), **OFFER)
CASES.add("L.limit.10", "two messages of the limit in one write", RFC,
          talk([Out(2, b"a" * LIMIT)] * 2, [Message(2, b"a" * LIMIT)] * 2), **OFFER)


async def pongs_then(peer, message):
    await peer.expect_pongs([b"p"] * 40, [message])
    await peer.finish()


