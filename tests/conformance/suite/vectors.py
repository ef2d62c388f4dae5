"""Writes what the cases have sent as files, by kind: seeds for fuzzers."""

import hashlib
import pathlib
import re

from . import frames, http
from .case import SERVER

MOST = 16 << 10  # bytes of one seed: longer ones slow a fuzzer down and show it nothing new
FRAME_MOST = 256  # bytes of a frame's seed
FRAMES_MOST = 6  # of one connection
EXTENSIONS = re.compile(rb"\r\nSec-WebSocket-Extensions: *([^\r\n]*)")


class Collector:
    """Takes results as they come. A seed is written once, named by its case and content. Keys, and what is
    answered to them, become those of RFC 6455 section 1.3: a fuzzer knows no others."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.seen = set()

    def add(self, result):
        role = result.role
        for wire in result.wires:
            sent = [piece for piece in wire.sent if piece]
            if not sent:
                continue
            head, behind = _split(sent[0])
            self._write(f"handshake_{role}", result, _with_known_key(head, result) + behind)
            for value in EXTENSIONS.findall(head):
                self._write("deflate_params", result, value)
            session = behind + b"".join(sent[1:])
            self._write(f"session_{role}", result, session)
            self._frames(result, session)

    def _frames(self, result, session):
        """Each frame, and the payloads of compressed messages."""
        packed, written = None, 0
        for whole, rsv, opcode, fin, payload in _walk(session[:MOST], result.role == SERVER):
            if len(whole) <= FRAME_MOST and written < FRAMES_MOST:
                self._write("frame", result, whole)
                written += 1
            if opcode in (frames.TEXT, frames.BINARY):
                packed = [] if rsv & frames.RSV1 else None
            if packed is not None and opcode < frames.CLOSE:
                packed.append(payload)
                if fin:
                    self._write("inflate", result, b"".join(packed))
                    packed = None

    def _write(self, kind, result, data):
        if not data or len(data) > MOST:
            return
        name = hashlib.sha1(data).hexdigest()[:16]
        if (kind, name) in self.seen:
            return
        self.seen.add((kind, name))
        folder = self.folder / kind
        folder.mkdir(parents=True, exist_ok=True)
        case = re.sub(r"[^\w.-]", "_", result.case.id)
        (folder / f"{case}-{name}").write_bytes(data)


def _with_known_key(head, result):
    for key in result.keys:
        head = head.replace(key.encode(), http.SAMPLE_KEY.encode())
        head = head.replace(http.accept_of(key).encode(), http.accept_of(http.SAMPLE_KEY).encode())
    return head


def _split(data):
    """A head with its empty line, and what is behind it."""
    head, empty, behind = data.partition(b"\r\n\r\n")
    return head + empty, behind


def _walk(data, masked):
    """The frames of a stream, as far as it has whole ones: (bytes, rsv, opcode, fin, unmasked payload)."""
    at = 0
    while len(data) - at >= 2:
        first, second = data[at], data[at + 1]
        length, size = second & 0x7F, 2
        if length > 125:
            width = 2 if length == 126 else 8
            length, size = int.from_bytes(data[at + 2:at + 2 + width], "big"), 2 + width
        key = None
        if second & 0x80:
            key, size = data[at + size:at + size + 4], size + 4
        whole = data[at:at + size + length]
        payload = whole[size:]
        if key and len(key) == 4 and masked:
            payload = frames.apply_mask(payload, key)
        yield whole, first >> 4 & 7, first & 0x0F, bool(first & 0x80), payload
        at += size + length
