"""A relay that writes down what passes, to be read as frames of RFC 6455."""

import struct
import threading
from collections import namedtuple

from relay import Relay


Frame = namedtuple("Frame", "fin rsv opcode key payload")  # the payload as it is on the wire, without the mask


class Record:
    """What has passed over one connection: bytes of the client (up) and of the server (down)."""

    def __init__(self):
        self.up, self.down = bytearray(), bytearray()
        self.threads = []

    def ended(self, timeout=20):
        """Itself, once both directions have ended."""
        for thread in self.threads:
            thread.join(timeout)
            assert not thread.is_alive(), "the connection has not ended"
        return self

    def fields(self, down):
        """The fields of the handshake in one direction, by lower-case name; the first line is at ""."""
        head = bytes(self.down if down else self.up).split(b"\r\n\r\n", 1)[0].decode("latin-1")
        first, *lines = head.split("\r\n")
        pairs = [line.split(":", 1) for line in lines]
        return {"": first, **{name.lower(): value.strip() for name, value in pairs}}

    def frames(self, down):
        """All frames of one direction, which must be whole."""
        data = bytes(self.down if down else self.up).split(b"\r\n\r\n", 1)[1]
        frames, at = [], 0
        while at < len(data):
            first, second = data[at:at + 2]
            length, at = second & 0x7F, at + 2
            if length > 125:
                size = 2 if length == 126 else 8
                length, at = int.from_bytes(data[at:at + size], "big"), at + size
            key = data[at:at + 4] if second & 0x80 else None
            at += 4 if key else 0
            payload = data[at:at + length]
            assert len(payload) == length, "a frame is cut off"
            frames.append(Frame(bool(first & 0x80), first >> 4 & 7, first & 15, key, _unmasked(payload, key)))
            at += length
        return frames


def _unmasked(payload, key):
    if not key:
        return payload
    whole = (key * (len(payload) // 4 + 1))[:len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(payload), "big")


def close_content(frame):
    """(code, reason) of a Close frame; (None, "") of an empty one."""
    return (struct.unpack(">H", frame.payload[:2])[0], frame.payload[2:].decode()) if frame.payload else (None, "")


class Tap(Relay):
    """A relay that keeps what has passed."""

    def __init__(self, port):
        self.records = []
        self.changed = threading.Condition()
        super().__init__(port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def record(self, index=-1, timeout=20):
        """That of the connection of this index, in the order of their coming, once it has ended."""
        needed = index + 1 if index >= 0 else -index
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.records) >= needed, timeout), "no such connection came"
            record = self.records[index]
        return record.ended(timeout)

    def _join(self, client, server):
        record = Record()

        def keep(into):
            def through(data):
                into.extend(data)
                return data
            return through

        record.threads = [self._start(client, server, keep(record.up)), self._start(server, client, keep(record.down))]
        with self.changed:
            self.records.append(record)
            self.changed.notify_all()
