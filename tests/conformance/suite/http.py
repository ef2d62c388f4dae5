"""Heads of the opening handshake (RFC 6455 section 4), written as told and read strictly."""

import base64
import hashlib
import re
from dataclasses import dataclass

from .events import Failure, show

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455 section 1.3
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
HEAD_MAX = 1 << 20


def accept_of(key):
    """Sec-WebSocket-Accept for a key (4.2.2)."""
    return base64.b64encode(hashlib.sha1((key + GUID).encode("latin-1")).digest()).decode()


def key_of(n):
    """A key of 16 bytes, another one for each n."""
    return base64.b64encode(hashlib.sha1(str(n).encode()).digest()[:16]).decode()


@dataclass
class Head:
    """A request or an answer: `first` is its first line, `fields` a list of (name, value) in order."""

    first: str
    fields: list

    @property
    def status(self):
        return int(self.first.split(" ")[1])

    @property
    def target(self):
        return self.first.split(" ")[1]

    def all(self, name):
        return [value for other, value in self.fields if other.lower() == name.lower()]

    def one(self, name):
        """The value of a field that may be there once, or None."""
        found = self.all(name)
        if len(found) > 1:
            raise Failure(f"{name} is there {len(found)} times")
        return found[0] if found else None

    def tokens(self, name):
        return [token.strip().lower() for value in self.all(name) for token in value.split(",")]


def parse_head(data):
    """A Head of the bytes before the empty line."""
    lines = data.decode("latin-1").split("\r\n")
    fields = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not TOKEN.fullmatch(name) or re.search(r"[\0-\x08\x0a-\x1f\x7f]", value):
            raise Failure(f"the peer sent a malformed field line {line!r}")
        fields.append((name, value.strip(" \t")))
    return Head(lines[0], fields)


async def read_head(wire):
    """The next head on the wire, or None when TCP ends before."""
    at = 0
    while True:
        end = wire.kept.find(b"\r\n\r\n", at)
        if end >= 0:
            head = await wire.take(end + 4)
            return parse_head(head[:-4])
        at = max(0, len(wire.kept) - 3)
        if at > HEAD_MAX:
            raise Failure("the peer's head has no end")
        if not await wire.more():
            return None


async def read_answer(wire):
    """The next answer's Head, None when TCP ends before. Raises Failure when it is no HTTP/1.1."""
    head = await read_head(wire)
    if head is None and wire.kept:
        raise Failure(f"expected an HTTP answer, saw {show(bytes(wire.kept))}")
    if head and not re.fullmatch(r"HTTP/1\.1 \d{3}( .*)?", head.first):
        raise Failure(f"expected an HTTP/1.1 status line, saw {head.first!r}")
    return head


DEFAULTS = (("Host", "{host}"), ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Key", "{key}"),
            ("Sec-WebSocket-Version", "13"))


def request(host, path="/", key=SAMPLE_KEY, change=None, fields=(), line=None, eol="\r\n"):
    """The bytes of an opening handshake.

    change  {name: value}: other values for its own fields; None leaves a field out, a list repeats it
    fields  further lines, as text (its code points are the bytes) or bytes
    line    another request line, "{path}" in it
    """
    lines = [("GET {path} HTTP/1.1" if line is None else line).replace("{path}", path)]
    for name, value in DEFAULTS:
        value = (change or {}).get(name, value)
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                lines.append(f"{name}: {each.replace('{host}', host).replace('{key}', key)}")
    lines += [field.decode("latin-1") if isinstance(field, bytes) else field for field in fields]
    return (eol.join(lines) + eol + eol).encode("latin-1")


def answer(key, status="HTTP/1.1 101 Switching Protocols", change=None, fields=()):
    """The bytes of a server's answer to a key, as `request`."""
    lines = [status]
    for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept_of(key))):
        value = (change or {}).get(name, value)
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                lines.append(f"{name}: {each}")
    lines += fields
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def check_accepted(head, key):
    """Raises Failure when the answer does not accept the handshake with this key (4.2.2)."""
    if head is None:
        raise Failure("expected 101, saw the end of TCP")
    if head.status != 101:
        raise Failure(f"expected 101, saw {head.first!r}")
    if (head.one("Upgrade") or "").lower() != "websocket":
        raise Failure(f"the answer's Upgrade is {head.all('Upgrade')} (4.2.2)")
    if "upgrade" not in head.tokens("Connection"):
        raise Failure(f"the answer's Connection is {head.all('Connection')} (4.2.2)")
    if head.one("Sec-WebSocket-Accept") != accept_of(key):
        raise Failure(f"Sec-WebSocket-Accept is {head.all('Sec-WebSocket-Accept')}, not {accept_of(key)} (4.2.2)")
    for name in ("Content-Length", "Transfer-Encoding"):
        if head.all(name):
            raise Failure(f"a 101 with {name} (RFC 9110 section 8.6)")


def check_request(head):
    """Raises Failure when a client's request is no opening handshake as section 4.1 wants it. Returns the key."""
    if not re.fullmatch(r"GET /\S* HTTP/1\.1", head.first):
        raise Failure(f"the client's request line is {head.first!r} (4.1)")
    if not head.one("Host"):
        raise Failure("the client sent no Host (4.1)")
    if "websocket" not in head.tokens("Upgrade") or "upgrade" not in head.tokens("Connection"):
        raise Failure(f"the client's Upgrade is {head.all('Upgrade')}, its Connection {head.all('Connection')} (4.1)")
    if head.one("Sec-WebSocket-Version") != "13":
        raise Failure(f"the client's Sec-WebSocket-Version is {head.all('Sec-WebSocket-Version')} (4.1)")
    key = head.one("Sec-WebSocket-Key") or ""
    if not re.fullmatch(r"[A-Za-z0-9+/]{22}==", key) or len(base64.b64decode(key)) != 16:
        raise Failure(f"the client's Sec-WebSocket-Key is {key!r}, not 16 bytes in base64 (4.1)")
    for name in ("Content-Length", "Transfer-Encoding"):
        if head.all(name) not in ([], ["0"]):
            raise Failure(f"the client's request announces a body by {name}")
    return key
