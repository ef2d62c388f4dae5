"""A TCP connection with a record of what went over it."""

import asyncio
import contextlib
import struct
import socket

BUFFER = 64 << 20  # of the stream: a peer that answers while we still send must not be blocked
LOST = (ConnectionError, BrokenPipeError, TimeoutError, OSError)


class Wire:
    """One connection, ours or accepted."""

    def __init__(self, reader, writer, log=None):
        self.reader, self.writer = reader, writer
        self.kept = bytearray()  # received, not yet asked for
        self.ended = self.reset = False
        self.sent = []  # what was sent, in pieces; for vectors
        self.log = log  # None, or a list of (direction, bytes)

    @classmethod
    async def connect(cls, host, port, log=None):
        return cls(*await asyncio.open_connection(host, port, limit=BUFFER), log)

    async def send(self, data, chop=0):
        """Sends the bytes, `chop` at a time when it is not 0. A peer that is gone is found by reading."""
        self.sent.append(data)
        if self.log is not None:
            self.log.append(("sent", data))
        with contextlib.suppress(*LOST, RuntimeError):  # RuntimeError: we have half-closed
            if not chop:
                self.writer.write(data)
                await self.writer.drain()
                return
            view = memoryview(data)
            for i in range(0, len(view), chop):
                if self.writer.is_closing():  # the peer is gone: reading tells how
                    return
                self.writer.write(view[i:i + chop])
                if i % (chop * 64) == 0:
                    await self.writer.drain()
                    await asyncio.sleep(0)  # lets the peer see the pieces as pieces
            await self.writer.drain()

    async def more(self):
        """Waits for bytes; False when the peer has ended TCP."""
        if self.ended:
            return False
        try:
            piece = await self.reader.read(1 << 18)
        except LOST:
            piece, self.reset = b"", True
        if not piece:
            self.ended = True
            if self.log is not None:
                self.log.append(("received", b"RST" if self.reset else b""))
            return False
        if self.log is not None:
            self.log.append(("received", piece))
        self.kept += piece
        return True

    async def take(self, n):
        """Exactly n bytes, or None when the peer ends first."""
        while len(self.kept) < n:
            if not await self.more():
                return None
        taken = bytes(self.kept[:n])
        del self.kept[:n]
        return taken

    async def rest(self):
        """All bytes up to the end of TCP."""
        while await self.more():
            pass
        rest = bytes(self.kept)
        self.kept.clear()
        return rest

    def finish(self):
        """Half-closes: nothing more comes from us."""
        with contextlib.suppress(*LOST, RuntimeError):
            if self.writer.can_write_eof():
                self.writer.write_eof()

    def abort(self):
        """Ends TCP with RST."""
        sock = self.writer.get_extra_info("socket")
        with contextlib.suppress(*LOST, AttributeError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self):
        with contextlib.suppress(*LOST):
            self.writer.close()
            await self.writer.wait_closed()
