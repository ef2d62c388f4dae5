"""What a peer does, as seen from the other end of the wire, and how a case fails."""

from typing import NamedTuple


class Failure(Exception):
    """The peer under test did something else than the RFC demands."""


def show(data, most=60):
    """Bytes or text for a message to people."""
    if len(data) <= most:
        return repr(data)
    return f"{data[:most // 2]!r}... ({len(data)} bytes)"


class Message(NamedTuple):
    kind: int  # frames.TEXT or frames.BINARY
    data: bytes
    compressed: bool = False

    def __str__(self):
        return f"{'text' if self.kind == 1 else 'binary'} message {show(self.data)}"


class Ping(NamedTuple):
    data: bytes

    def __str__(self):
        return f"Ping {show(self.data)}"


class Pong(NamedTuple):
    data: bytes

    def __str__(self):
        return f"Pong {show(self.data)}"


class Close(NamedTuple):
    code: int  # None: the frame had no payload
    reason: bytes

    def __str__(self):
        return f"Close {'without a code' if self.code is None else self.code} {show(self.reason)}"


class End(NamedTuple):
    reset: bool

    def __str__(self):
        return "TCP reset" if self.reset else "end of TCP"
