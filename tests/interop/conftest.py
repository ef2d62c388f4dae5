"""Servers for the clients of this folder, over ws and over wss; pairs of a client and a server."""

import contextlib
import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from peers import CLIENTS, SERVERS  # noqa: E402  the path is set above
from tap import Tap  # noqa: E402


@pytest.fixture(params=["ws", "wss"])
def scheme(request):
    return request.param


@pytest.fixture
def start(serve, certificate, scheme):
    """start(app) -> the URL of its path "/", once it runs."""
    def start(app):
        cert, key = certificate
        listen = {"ws": "ws://127.0.0.1:0", "wss": f"wss://127.0.0.1:0?cert={cert}&key={key}"}
        return serve(app, listen=[listen[scheme]]).url("/")
    return start


PAIRS = [("ws", "tidewire"), ("websockets", "tidewire"), ("tidewire", "ws"), ("tidewire", "websockets"),
         ("tidewire", "tidewire")]


class Pair:
    """A client and a server, with a tap between them."""

    def __init__(self, client, server, folder, certificate, stack):
        self.client, self.server = client, server
        self.folder, self.certificate, self.stack = folder, certificate, stack
        self.scheme = "ws"

    def serve(self, scheme="ws", **options):
        """Starts the server; its options are protocols and compression."""
        self.scheme = scheme
        tls = self.certificate if scheme == "wss" else None
        self.at = self.stack.enter_context(SERVERS[self.server](tls=tls, **options))
        self.tap = self.stack.enter_context(Tap(self.at.port))

    def run(self, steps, path="/echo", protocols=(), compression=None, clean=True, **more):
        """What the client has found (see peers.py); with it, `record` of the wire."""
        plan = {"steps": steps, "protocols": list(protocols), "compression": compression, **more}
        count = len(self.tap.records)
        url = self.tap.url(path, self.scheme)
        found = CLIENTS[self.client](url, plan, self.certificate[0], self.folder / "plan.json")
        assert found["wrong"] == [] and found.pop("clean", clean) == clean
        return {**found, "record": self.tap.record(count)}


@pytest.fixture
def pairs(tmp_path, certificate):
    """pairs(client, server) -> a Pair; its server ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda client, server: Pair(client, server, tmp_path, certificate, stack)


@pytest.fixture(params=PAIRS, ids="-to-".join)
def pair(pairs, request):
    return pairs(*request.param)


class Content:
    """Files with messages; made of the same seed each time."""

    def __init__(self, folder):
        self.folder, self.random = folder, random.Random(7692)

    def file(self, name, data):
        path = self.folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return str(path)

    def noise(self, length):
        return self.random.randbytes(length)

    def words(self, length):
        """Text that compresses about as text does, with characters of one to four bytes, of so many bytes."""
        letters = "tidewr\u00e9\u4e16\U0001f30a"
        words = ["".join(self.random.choices(letters, k=self.random.randint(2, 9))) for _ in range(3000)]
        text = " ".join(self.random.choices(words, k=length // 8 + 50)).encode()[:length].decode(errors="ignore")
        return text + "." * (length - len(text.encode()))

    def large(self):
        """(kind, path) of two messages of 1 MiB: text that can be compressed, and noise that cannot."""
        return [("text", self.file("words", self.words(1 << 20))), ("binary", self.file("noise", self.noise(1 << 20)))]


@pytest.fixture
def content(tmp_path):
    return Content(tmp_path)
