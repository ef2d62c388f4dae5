"""A TCP connection with a record of what went over it.

Bytes are read as they arrive, also while we send and when sending has failed: a peer that ends TCP in the middle
of what we say has often told before why.
"""

import asyncio
import contextlib
import socket
import struct


class Wire:
    """One connection, ours or accepted."""

    def __init__(self, sock, log=None):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self.loop = sock, asyncio.get_running_loop()
        self.kept = bytearray()  # received, not yet asked for
        self.received = self.noticed = 0  # bytes that have come, and that `more` has told of
        self.ended = self.reset = False
        self.changed = asyncio.Event()
        self.sent = []  # what was sent, in pieces; for vectors
        self.log = log  # None, or a list of (direction, bytes)
        self.reading = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, host, port, log=None):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
        except OSError:
            sock.close()
            raise
        return cls(sock, log)

    def _note(self, direction, data):
        if self.log is not None:
            self.log.append((direction, data))

    async def _read(self):
        try:
            while piece := await self.loop.sock_recv(self.sock, 1 << 18):
                self._note("received", piece)
                self.kept += piece
                self.received += len(piece)
                self.changed.set()
        except OSError:
            self.reset = True
        self._note("reset" if self.reset else "end", b"")
        self.ended = True
        self.changed.set()

    async def send(self, data, chop=0):
        """Sends the bytes, `chop` at a time when it is not 0. A peer that is gone is found by reading."""
        self.sent.append(data)
        self._note("sent", data)
        view = memoryview(data)
        with contextlib.suppress(OSError):
            for i in range(0, len(view), chop or len(view) or 1):
                await self.loop.sock_sendall(self.sock, view[i:i + chop] if chop else view)
                if chop and i % (chop * 64) == 0:
                    await asyncio.sleep(0)  # lets the peer see the pieces as pieces

    async def more(self):
        """Waits for bytes that it has not told of; False when there are none and the peer has ended TCP."""
        while self.received == self.noticed and not self.ended:
            self.changed.clear()
            await self.changed.wait()
        came = self.received > self.noticed
        self.noticed = self.received
        return came

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
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    async def abort(self):
        """Ends TCP with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.close()

    async def close(self):
        self.reading.cancel()
        await asyncio.wait({self.reading})
        self.sock.close()
