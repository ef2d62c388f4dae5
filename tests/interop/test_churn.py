"""Connections that come, talk and break off in every way, over and over, several at a time. Nothing may
be left of them: no descriptor, no memory of Lua's, and, once the server has ended, no leak and no error
of the sanitizers."""

import contextlib
import json
import os
import pathlib
import socket
import ssl
import struct
import time
import urllib.request
from urllib.parse import urlsplit

ROUNDS = 6
PATIENCE = 30  # seconds
ROUTES = ("/echo", "/dialogue", "/slow", "/crowd")
HEAD = ("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


def frame(opcode, payload=b"", fin=True):
    """A client's frame; the masking key is zero, so the payload is as it is."""
    n = len(payload)
    length = struct.pack("!B", 0x80 | n) if n < 126 else struct.pack("!BH", 0xFE, n)
    return bytes([fin << 7 | opcode]) + length + bytes(4) + payload


TEXT, BINARY, CLOSE, PING = (frame(1, b"tide"), frame(2, bytes(300)), frame(8, struct.pack("!H", 1000)),
                             frame(9, b"?"))


class Peer:
    """One connection. TLS runs over it by hand, so that each byte goes when it is meant to."""

    def __init__(self, url, route, authority):
        parts = urlsplit(url)
        self.route = route
        self.sock = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)
        self.tls = None
        if parts.scheme == "wss":
            self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            context = ssl.create_default_context(cafile=authority)
            self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=parts.hostname)

    def shake(self):
        """The handshake of TLS, if there is TLS."""
        if self.tls:
            self._tls(self.tls.do_handshake)

    def _tls(self, work, *args):
        while True:
            try:
                result = work(*args)
            except ssl.SSLWantReadError:
                self.sock.sendall(self.outgoing.read())
                got = self.sock.recv(65536)
                self.incoming.write(got) if got else self.incoming.write_eof()
            else:
                self.sock.sendall(self.outgoing.read())
                return result

    def send(self, data):
        self._tls(self.tls.write, data) if self.tls else self.sock.sendall(data)

    def receive(self):
        return self._tls(self.tls.read, 65536) if self.tls else self.sock.recv(65536)

    def send_all_it_takes(self, data):
        """Until nobody takes any more, or it was enough."""
        if self.tls:
            self.tls.write(data)
            data = self.outgoing.read()
        self.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while data:
                data = data[self.sock.send(data):]
        self.sock.settimeout(PATIENCE)

    def upgrade(self):
        self.send(HEAD.format(self.route).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            got = self.receive()
            assert got, answer
            answer += got
        assert answer.startswith(b"HTTP/1.1 101 "), answer

    def expect(self, *wanted):
        """Reads on until all of that has come, in any order."""
        seen = b""
        while not all(part in seen for part in wanted):
            got = self.receive()
            assert got, seen[-100:]
            seen += got

    def end_half(self):
        with contextlib.suppress(OSError):  # ENOTCONN: the server was faster with its end
            self.sock.shutdown(socket.SHUT_WR)

    def read_to_the_end(self):
        with contextlib.suppress(ConnectionResetError):
            while self.sock.recv(65536):
                pass

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


# --- what may become of a connection: each step of one runs between steps of others ----------------

def says_nothing(peer):
    yield
    peer.reset()


def breaks_off_before_the_end_of_the_head(peer):
    peer.sock.sendall(b"\x16\x03\x01\x02\x00\x01" if peer.tls else b"GET /echo HTTP/1.1\r\nHo")
    yield
    peer.reset()


def ends_its_half_before_the_end_of_the_head(peer):
    peer.shake()
    peer.send(b"GET /echo HTTP/1.1\r\nHo")
    yield
    peer.end_half()
    peer.read_to_the_end()


def resets_right_after_its_request(peer):
    peer.shake()
    peer.send(HEAD.format(peer.route).encode())
    peer.reset()
    yield


def ends_its_half_right_after_its_request(peer):
    peer.shake()
    peer.send(HEAD.format(peer.route).encode() + TEXT)
    peer.end_half()
    yield
    peer.read_to_the_end()


def asks_for_what_is_not_there(peer):
    peer.shake()
    peer.send(HEAD.format("/nowhere").encode() + TEXT)
    peer.expect(b"HTTP/1.1 404 ")
    yield
    peer.reset()


def talk(peer):
    peer.shake()
    peer.upgrade()
    peer.send(TEXT + BINARY + PING)
    peer.expect(b"\x81\x04tide", b"\x8a\x01?")


def talks_and_resets(peer):
    talk(peer)
    yield
    peer.reset()


def talks_and_goes(peer):
    talk(peer)
    yield
    peer.sock.close()


def talks_and_ends_its_half(peer):
    talk(peer)
    yield
    peer.send(TEXT * 20)
    peer.end_half()
    yield
    peer.read_to_the_end()


def resets_in_a_header(peer):
    talk(peer)
    peer.send(TEXT + BINARY[:3])
    yield
    peer.reset()


def resets_in_a_payload(peer):
    talk(peer)
    peer.send(TEXT + BINARY[:100])
    yield
    peer.reset()


def resets_between_fragments(peer):
    talk(peer)
    peer.send(frame(1, b"half", fin=False) + PING)
    peer.expect(b"\x8a\x01?")
    yield
    peer.send(frame(0, b"more", fin=False))
    peer.reset()


def closes_in_order(peer):
    talk(peer)
    yield
    peer.send(TEXT + CLOSE)
    peer.expect(b"\x88\x02\x03\xe8")
    peer.read_to_the_end()


def closes_and_resets(peer):
    talk(peer)
    yield
    peer.send(TEXT * 5 + CLOSE)
    peer.reset()


def closes_and_ends_its_half(peer):
    talk(peer)
    peer.send(TEXT + CLOSE)
    peer.end_half()
    yield
    peer.read_to_the_end()


def breaks_the_protocol(peer):
    talk(peer)
    peer.send(TEXT + frame(3))
    yield
    peer.read_to_the_end()


def breaks_the_protocol_and_resets(peer):
    talk(peer)
    peer.send(TEXT + frame(1, b"\xff"))
    peer.reset()
    yield


def never_reads(peer):
    peer.shake()
    peer.upgrade()
    peer.send_all_it_takes(frame(2, bytes(60000)) * 100)
    yield
    yield
    peer.reset()


def ends_tls_with_its_last_message(peer):
    talk(peer)
    if peer.tls:
        peer.tls.write(TEXT + TEXT)
        with contextlib.suppress(ssl.SSLError):  # the server's end has not come yet; ours is written
            peer.tls.unwrap()
        peer.sock.sendall(peer.outgoing.read())  # the messages and the end of TLS, in one piece
    else:
        peer.send(TEXT + TEXT + CLOSE)
    yield
    peer.read_to_the_end()


FATES = (says_nothing, breaks_off_before_the_end_of_the_head, ends_its_half_before_the_end_of_the_head,
         resets_right_after_its_request, ends_its_half_right_after_its_request, asks_for_what_is_not_there,
         talks_and_resets, talks_and_goes, talks_and_ends_its_half, resets_in_a_header, resets_in_a_payload,
         resets_between_fragments, closes_in_order, closes_and_resets, closes_and_ends_its_half,
         breaks_the_protocol, breaks_the_protocol_and_resets, never_reads, ends_tls_with_its_last_message)


def churn(url, authority):
    """A connection of each fate on each route, all together."""
    peers = [Peer(url, route, authority) for route in ROUTES for _ in FATES]
    under_way = [fate(peer) for peer, fate in zip(peers, FATES * len(ROUTES))]
    while under_way:
        under_way = [steps for steps in under_way if next(steps, "done") != "done"]
    for peer in peers:
        peer.sock.close()


# --- the test --------------------------------------------------------------------------------------

def account(server):
    """What the app has left when all its connections have ended."""
    with urllib.request.urlopen(server.url("/account", scheme="http"), timeout=PATIENCE) as answer:
        return json.load(answer)


def worker(server):
    pid = server.process.pid
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text())


def wait_for_descriptors(server, count):
    """Connections that never were upgraded end without the app's knowledge."""
    folder = f"/proc/{worker(server)}/fd"
    give_up = time.monotonic() + PATIENCE
    while len(os.listdir(folder)) > count:
        assert time.monotonic() < give_up, sorted(os.readlink(f"{folder}/{n}") for n in os.listdir(folder))
        time.sleep(0.01)


def leave_open(url, authority):
    """One of each kind that the end of the server may meet; they do not answer its Close."""
    peers = [Peer(url, route, authority) for route in ROUTES for _ in range(5)]
    for i, peer in enumerate(peers):
        if i % 5 == 0:
            continue  # connected, no more
        peer.shake()
        if i % 5 == 1:
            peer.send(b"GET /echo HTTP/1.1\r\n")
            continue
        talk(peer)
        if i % 5 == 2:
            peer.send(frame(1, b"half", fin=False))
        elif i % 5 == 3:
            peer.send(TEXT * 50)
        else:
            peer.send_all_it_takes(frame(2, bytes(60000)) * 100)
    return peers


def test_churn(serve, certificate):
    cert, key = certificate
    server = serve("tests/interop/churn", listen=["ws://127.0.0.1:0", f"wss://127.0.0.1:0?cert={cert}&key={key}"],
                   env={"ASAN_OPTIONS": "detect_leaks=1"})
    descriptors = len(os.listdir(f"/proc/{worker(server)}/fd"))
    accounts = []
    for _ in range(ROUNDS):
        for url in server.urls:
            churn(url, cert)
        accounts.append(account(server))
        wait_for_descriptors(server, descriptors)
    # so many are sure to have been open; a reset may overtake the handshake of others
    assert accounts[-1]["ended"] >= ROUNDS * len(server.urls) * len(ROUTES) * 13
    # 30 bytes for each would show; pools and tables find their size in the first round
    assert accounts[-1]["bytes"] - accounts[0]["bytes"] < 16 * 1024, accounts
    left = [peer for url in server.urls for peer in leave_open(url, cert)]
    assert server.stop() == 0, server.report()
    for peer in left:
        peer.sock.close()
    assert " error " not in server.stderr.text(), server.report()
