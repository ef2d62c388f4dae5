"""Frames of RFC 6455 section 5.2: written right or wrong as told, read without mercy."""

import struct
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
NAMES = {CONTINUATION: "continuation", TEXT: "text", BINARY: "binary", CLOSE: "Close", PING: "Ping", PONG: "Pong"}
RSV1, RSV2, RSV3 = 4, 2, 1
BY_ROLE = object()  # a mask: as the sender's role demands


class Malformed(Exception):
    """The peer under test sent a frame that breaks the protocol."""


def apply_mask(payload, key):
    """XOR with the key again and again; of Python's tools the fastest is one long integer."""
    if not payload or key == bytes(4):
        return bytes(payload)
    n = len(payload)
    stream = (key * (n // 4 + 1))[:n]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(stream, "little")).to_bytes(n, "little")


def encode_length(length, width, mark):
    """The second byte and the extended length. width 0: the shortest form; 1, 2 or 8 bytes otherwise."""
    width = width or (1 if length < 126 else 2 if length < 65536 else 8)
    if width == 1:
        return bytes([mark | length])
    if width == 2:
        return struct.pack(">BH", mark | 126, length)
    return struct.pack(">BQ", mark | 127, length)


@dataclass(frozen=True)
class Out:
    """A frame to be sent.

    mask    BY_ROLE, None for none, or four bytes
    length  what the header says, when it is to differ from the payload's
    width   bytes of the length field, when it is not to be the shortest
    """

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    mask: object = BY_ROLE
    length: int = -1
    width: int = 0

    def encode(self, key):
        """The frame's bytes; `key` is used when the mask is BY_ROLE, and None means unmasked."""
        key = key if self.mask is BY_ROLE else self.mask
        length = len(self.payload) if self.length < 0 else self.length
        head = bytes([(0x80 if self.fin else 0) | self.rsv << 4 | self.opcode])
        head += encode_length(length, self.width, 0x80 if key is not None else 0)
        if key is None:
            return head + self.payload
        return head + key + apply_mask(self.payload, key)


@dataclass(frozen=True)
class Raw:
    """Bytes that are sent as they are, between frames."""

    data: bytes

    def encode(self, _):
        return self.data


def text(payload, **more):
    return Out(TEXT, payload.encode() if isinstance(payload, str) else payload, **more)


def binary(payload, **more):
    return Out(BINARY, payload, **more)


def cont(payload=b"", **more):
    return Out(CONTINUATION, payload.encode() if isinstance(payload, str) else payload, **more)


def ping(payload=b"", **more):
    return Out(PING, payload, **more)


def pong(payload=b"", **more):
    return Out(PONG, payload, **more)


def close(code=None, reason=b"", **more):
    return Out(CLOSE, b"" if code is None else struct.pack(">H", code) + reason, **more)


def fragments(opcode, payload, size, rsv=0):
    """A message in frames of `size` bytes; RSV bits go on the first."""
    pieces = [payload[i:i + size] for i in range(0, len(payload), size)] or [b""]
    last = len(pieces) - 1
    return [Out(CONTINUATION if i else opcode, piece, fin=i == last, rsv=0 if i else rsv)
            for i, piece in enumerate(pieces)]


@dataclass(frozen=True)
class Frame:
    """A frame that was received, its payload unmasked."""

    fin: bool
    rsv: int
    opcode: int
    payload: bytes


def decode_head(data, masked):
    """(header size, payload length, key) of the frame at the start of `data`, or None when more bytes are
    needed. `masked` tells what the sender has to do. Raises Malformed."""
    if len(data) < 2:
        return None
    opcode, second = data[0] & 0x0F, data[1]
    if opcode not in NAMES:
        raise Malformed(f"opcode {opcode:#x} is reserved (5.2)")
    if bool(second & 0x80) != masked:
        raise Malformed("a masked frame of a server (5.1)" if not masked else "an unmasked frame of a client (5.1)")
    length, size = second & 0x7F, 2
    if opcode >= CLOSE and (length > 125 or not data[0] & 0x80):
        raise Malformed(f"{NAMES[opcode]} is fragmented or longer than 125 bytes (5.5)")
    if length > 125:
        width = 2 if length == 126 else 8
        if len(data) < 2 + width:
            return None
        length, size = int.from_bytes(data[2:2 + width], "big"), 2 + width
        if length < (126 if width == 2 else 65536) or length >> 63:
            raise Malformed(f"the length {length} is not in its shortest form, or has its first bit set (5.2)")
    if not masked:
        return size, length, None
    if len(data) < size + 4:
        return None
    return size + 4, length, bytes(data[size:size + 4])
