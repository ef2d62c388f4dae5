"""An open WebSocket connection to the peer under test, in either role."""

import asyncio
import random

from . import frames
from .events import Close, End, Failure, Message, Ping, Pong, show
from .frames import Malformed

WHOLE, FRAMES, OCTETS = 0, -1, 1  # how what is sent is chopped: one write, a write a frame, a write a byte


def close_code_valid(code):
    """May the code be in a Close frame (RFC 6455 section 7.4 and IANA's registry)?"""
    return code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014) or 3000 <= code <= 4999


class Peer:
    """The suite is the client when is_client, and then the peer under test is a server."""

    def __init__(self, wire, is_client, deflate=None, seed="", handshake=None):
        self.wire, self.is_client, self.deflate = wire, is_client, deflate
        self.handshake = handshake  # head of the other side: an http.Head
        self.keys = random.Random(seed)  # known masks make a failure repeatable
        self.message = None  # [opcode, compressed, payloads] of the message under way
        self.masks = []  # keys that the peer under test has used
        self.closed_by_us = False
        self.strict_inflate = False

    # --- sending ---

    def encode(self, item):
        return item.encode(self.keys.randbytes(4) if self.is_client else None)

    async def send(self, *items, chop=WHOLE):
        pieces = [self.encode(item) for item in items]
        if chop == FRAMES:
            for piece in pieces:
                await self.wire.send(piece)
                await asyncio.sleep(0)  # lets the peer see the frames one by one
        else:
            await self.wire.send(b"".join(pieces), chop)

    async def send_message(self, kind, data, size=0):
        """A message, compressed when that is agreed, in fragments of `size` bytes when not 0."""
        rsv = 0
        if self.deflate:
            data, rsv = self.deflate.compress(data), frames.RSV1
        await self.send(*frames.fragments(kind, data, size or len(data) + 1, rsv))

    # --- receiving ---

    async def frame(self):
        """The next frame, or None at the end of TCP."""
        while True:
            head = frames.decode_head(self.wire.kept, masked=not self.is_client)
            if head:
                break
            if not await self.wire.more():
                return None
        size, length, key = head
        first = self.wire.kept[0]
        taken = await self.wire.take(size + length)
        if taken is None:
            return None
        payload = taken[size:] if key is None else frames.apply_mask(taken[size:], key)
        if key is not None:
            self.masks.append(key)
        return frames.Frame(bool(first & 0x80), first >> 4 & 7, first & 0x0F, payload)

    async def event(self):
        """What the peer does next: a message, Pong, Close or the end. Its own Pings are answered."""
        while True:
            try:
                got = await self._event()
            except Malformed as error:
                raise Failure(f"the peer sent {error}") from None
            if isinstance(got, Ping):
                await self.send(frames.pong(got.data))
            elif got:
                return got

    async def _event(self):
        frame = await self.frame()
        if frame is None:
            return End(self.wire.reset)
        if frame.opcode >= frames.CLOSE:
            if frame.rsv:
                raise Malformed("a control frame with reserved bits (5.2)")
            return self._control(frame)
        return self._data(frame)

    def _control(self, frame):
        if frame.opcode == frames.PING:
            return Ping(frame.payload)
        if frame.opcode == frames.PONG:
            return Pong(frame.payload)
        if not frame.payload:
            return Close(None, b"")
        code, reason = int.from_bytes(frame.payload[:2], "big"), frame.payload[2:]
        if len(frame.payload) == 1 or not close_code_valid(code):
            raise Malformed(f"a Close with payload {show(frame.payload)} (5.5.1, 7.4)")
        _check_utf8(reason, "the reason of a Close")
        return Close(code, reason)

    def _data(self, frame):
        if (frame.opcode == frames.CONTINUATION) != (self.message is not None):
            raise Malformed(f"a {frames.NAMES[frame.opcode]} frame out of order (5.4)")
        if self.message is None:
            if frame.rsv & ~frames.RSV1 or frame.rsv and not self.deflate:
                raise Malformed(f"reserved bits {frame.rsv:03b} that no extension has a meaning for (5.2)")
            self.message = [frame.opcode, bool(frame.rsv), []]
        elif frame.rsv:
            raise Malformed("reserved bits on a continuation frame (RFC 7692 section 6)")
        self.message[2].append(frame.payload)
        if not frame.fin:
            return None
        (kind, compressed, pieces), self.message = self.message, None
        data = b"".join(pieces)
        if compressed:
            data = self.deflate.decompress(data, self.strict_inflate)
        if kind == frames.TEXT:
            _check_utf8(data, "a text message")
        return Message(kind, data, compressed)

    # --- what has to come ---

    async def expect(self, *wanted):
        """The next events are these, in this order; messages compare by kind and content."""
        for want in wanted:
            got = await self.event()
            if type(got) is not type(want) or got[:2] != want[:2]:
                raise Failure(f"expected {want}, saw {got}")

    async def expect_pongs(self, payloads, messages=()):
        """Pongs for these Pings in order, of which all but the last may be left out (5.5.3), and before,
        between and behind them the messages."""
        left, echoes = list(payloads), list(messages)
        while left or echoes:
            got = await self.event()
            if echoes and isinstance(got, Message) and got[:2] == echoes[0][:2]:
                echoes.pop(0)
            elif isinstance(got, Pong) and got.data in left:
                del left[:left.index(got.data) + 1]
            else:
                raise Failure(f"expected {len(left)} Pongs and {len(echoes)} messages more, saw {got}")

    async def expect_close(self, *codes, reason=None):
        """The next event is a Close with one of these codes (None: no code)."""
        got = await self.event()
        if not isinstance(got, Close) or got.code not in codes:
            raise Failure(f"expected Close {_any(codes)}, saw {got}")
        if reason is not None and got.reason != reason:
            raise Failure(f"expected the reason {show(reason)}, saw {got}")
        return got

    async def expect_end(self):
        """TCP ends, and nothing comes before that. A server ends it by itself; with a client we do (7.1.1)."""
        if not self.is_client:
            self.wire.finish()
        got = await self.event()
        if not isinstance(got, End):
            raise Failure(f"expected the end of TCP, saw {got}")
        return got

    async def finish(self, code=1000, reason=b""):
        """The closing handshake begun by us; our code comes back (5.5.1)."""
        await self.send(frames.close(code, reason))
        await self.expect_closed(code)

    async def expect_closed(self, *codes):
        """Our Close is answered with one of these codes, and TCP ends in order."""
        await self.expect_close(*codes)
        end = await self.expect_end()
        if end.reset:
            raise Failure("expected an orderly end of TCP, saw a reset (7.1.1)")

    async def expect_failed(self, *codes):
        """The peer fails the connection (7.1.7): a Close with one of these codes; what else we have sent is
        not answered; TCP ends once we have answered."""
        got = await self.event()
        if isinstance(got, End):
            raise Failure(f"expected Close {_any(codes)}, saw {got} without a Close frame")
        if not isinstance(got, Close) or got.code not in codes:
            raise Failure(f"expected the connection to be failed with Close {_any(codes)}, saw {got}")
        await self.send(frames.close(got.code))
        self.wire.finish()
        got = await self.event()
        if not isinstance(got, End):
            raise Failure(f"expected nothing behind the Close, saw {got}")


def _any(codes):
    return " or ".join("without a code" if code is None else str(code) for code in codes)


def _check_utf8(data, what):
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"{what} that is not UTF-8: {error} (8.1)") from None
