"""A WebSocket and HTTP client that does as it is told, right or wrong, one socket call at a time."""

import base64
import contextlib
import os
import re
import socket
import ssl
import struct
from collections import namedtuple
from urllib.parse import urlsplit

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = base64.b64encode(bytes(range(16))).decode()
PATIENCE = 20  # seconds until a test that waits for the peer gives up

Frame = namedtuple("Frame", "fin opcode payload")
Answer = namedtuple("Answer", "status headers body")


class Lost(Exception):
    """The connection ended where more was expected."""


def connect(url, receive_buffer=None):
    """A socket connected to a listener's URL: ws://HOST:PORT or unix:PATH."""
    if url.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        address = url[len("unix:"):]
    else:
        parts = urlsplit(url)
        sock = socket.socket(socket.AF_INET6 if ":" in parts.hostname else socket.AF_INET)
        address = (parts.hostname, parts.port)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(PATIENCE)
    sock.connect(address)
    return sock


def handshake(path="/", fields=(), method="GET", key=KEY, version="13"):
    """The bytes of an opening handshake; `fields` are further lines."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test.example", "Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Key: {key}", f"Sec-WebSocket-Version: {version}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def request(path="/", fields=(), method="GET", body=b""):
    """The bytes of a plain request."""
    length = [f"Content-Length: {len(body)}"] if body else []
    lines = [f"{method} {path} HTTP/1.1", "Host: test.example", *length, *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def frame(opcode, payload=b"", fin=True, masked=True, reserved=0, length=None):
    """The bytes of a frame. `length` declares another length than the payload has."""
    payload = payload.encode() if isinstance(payload, str) else payload
    declared = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    mark = 0x80 if masked else 0
    if declared < 126:
        head += bytes([mark | declared])
    elif declared < 65536:
        head += struct.pack(">BH", mark | 126, declared)
    else:
        head += struct.pack(">BQ", mark | 127, declared)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + _xor(payload, mask)


def _xor(payload, mask):
    whole = (mask * (len(payload) // 4 + 1))[:len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(payload), "big")


def close_payload(code=None, reason=""):
    return b"" if code is None else struct.pack(">H", code) + reason.encode()


class Peer:
    """One connection. Bytes that were read and not asked for yet are kept."""

    def __init__(self, sock):
        self.sock = sock
        self.kept = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def send_bytewise(self, data):
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(data)):
            self.sock.sendall(data[i:i + 1])

    def _more(self):
        try:
            piece = self.sock.recv(1 << 18)
        except ConnectionResetError:
            piece = b""
        if not piece:
            raise Lost(f"the connection ended; unread: {self.kept[:200]!r}")
        self.kept += piece

    def take(self, n):
        while len(self.kept) < n:
            self._more()
        taken, self.kept = self.kept[:n], self.kept[n:]
        return taken

    def take_line(self):
        while b"\r\n" not in self.kept:
            self._more()
        line, self.kept = self.kept.split(b"\r\n", 1)
        return line.decode("latin-1")

    def rest(self):
        """All bytes up to the end of the connection, which must come."""
        with contextlib.suppress(Lost):
            while True:
                self._more()
        rest, self.kept = self.kept, b""
        return rest

    # --- HTTP ---

    def answer(self, head_only=False):
        """The next HTTP answer."""
        status = re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", self.take_line())
        assert status, "no status line"
        headers = {}
        while line := self.take_line():
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
        code = int(status.group(1))
        length = 0 if head_only or code < 200 or code in (204, 304) else int(headers["content-length"])
        return Answer(code, headers, self.take(length))

    def ask(self, *args, **options):
        """Sends a plain request and returns the answer."""
        self.send(request(*args, **options))
        return self.answer(head_only=options.get("method") == "HEAD")

    # --- WebSocket ---

    def upgrade(self, *args, **options):
        self.send(handshake(*args, **options))
        answer = self.answer()
        assert answer.status == 101, answer
        return answer

    def text(self, payload):
        self.send(frame(TEXT, payload))

    def frame(self):
        first, second = self.take(2)
        assert not first & 0x70 and not second & 0x80, "reserved bits, or a masked frame of a server"
        length = second & 0x7F
        if length == 126:
            length, = struct.unpack(">H", self.take(2))
        elif length == 127:
            length, = struct.unpack(">Q", self.take(8))
        return Frame(bool(first & 0x80), first & 0x0F, self.take(length))

    def message(self):
        """The payload of the next frame, which must be a whole text message."""
        got = self.frame()
        assert got.fin and got.opcode == TEXT, got
        return got.payload.decode()

    def closing(self):
        """(code, reason) of the next frame, which must be a Close; (None, "") without a payload."""
        got = self.frame()
        assert got.opcode == CLOSE, got
        if not got.payload:
            return None, ""
        return struct.unpack(">H", got.payload[:2])[0], got.payload[2:].decode()

    def close(self, code=None, reason=""):
        """Sends a Close frame."""
        self.send(frame(CLOSE, close_payload(code, reason)))

    def end(self, code=1000, reason=""):
        """The whole closing handshake, from our side; other frames that come first are skipped."""
        self.close(code, reason)
        while self.frame().opcode != CLOSE:
            pass
        assert self.rest() == b""

    def reset(self):
        """Ends TCP with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class TlsPeer(Peer):
    """One over TLS. `options` are attributes of the ssl.SSLContext."""

    def __init__(self, sock, ciphers=None, **options):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if ciphers:
            context.set_ciphers(ciphers)
        for name, value in options.items():
            setattr(context, name, value)
        super().__init__(context.wrap_socket(sock, server_hostname="localhost"))

    def reset(self):
        raw = socket.socket(fileno=self.sock.detach())
        Peer(raw).reset()
