"""Many connections that echo numbered messages all the time, in a thread, and judge each answer.

The app answers each message with "VERSION COUNT NUMBER": its version, a number that never falls; how many messages it
has had from this connection; and the message, which is a number that grows by one. So a message that is lost, doubled
or overtaken is noticed at the next answer.
"""

import selectors
import socket
import threading
import time
from urllib.parse import urlsplit

from peer import TEXT, handshake


class Member:
    """One connection."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.sock = socket.create_connection((parts.hostname, parts.port), timeout=60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.kept = b""
        self.sent = self.heard = self.version = 0

    def upgrade(self):
        self.sock.sendall(handshake())
        while b"\r\n\r\n" not in self.kept:
            self.kept += self.sock.recv(4096)
        head, self.kept = self.kept.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 101 "), head
        self.sock.setblocking(False)

    def ask(self, count):
        """Sends so many messages. They are short: they fit. Their masking key is 0, which costs nothing."""
        texts = [str(n).encode() for n in range(self.sent + 1, self.sent + 1 + count)]
        self.sent += count
        self.sock.send(b"".join(bytes([0x80 | TEXT, 0x80 | len(text), 0, 0, 0, 0]) + text for text in texts))

    def messages(self):
        """The whole text messages that have come."""
        while len(self.kept) >= 2:
            first, length = self.kept[0], self.kept[1]
            assert first == 0x80 | TEXT and length < 126, f"no short text message: {self.kept[:80]!r}"
            if len(self.kept) < 2 + length:
                return
            text, self.kept = self.kept[2:2 + length], self.kept[2 + length:]
            yield text

    def hear(self):
        """Reads and judges what has come; returns how many answers that was."""
        data = self.sock.recv(65536)
        assert data, f"closed after {self.heard} answers"
        self.kept += data
        count = 0
        for text in self.messages():
            version, counted, number = (int(word) for word in text.split())
            self.heard += 1
            count += 1
            assert number == self.heard, f"expected the answer to {self.heard}, got {text!r}"
            assert counted == self.heard, f"the app has counted {counted} of {self.heard} messages"
            assert version >= self.version, f"version {version} after {self.version}"
            self.version = version
        return count


class Swarm:
    """`size` connections to a server, from __enter__ to __exit__, each with `depth` messages under way."""

    def __init__(self, url, size, depth=3, pace=0.0):
        self.members = []
        self.depth = depth
        self.pace = pace  # seconds between two rounds: a machine with other work to do
        self.changed = threading.Condition()
        self.wrong = None
        self.running = True
        for _ in range(size):
            self.members.append(Member(url))
            self.members[-1].upgrade()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _turn(self, selector):
        ready = selector.select(0.1)
        for key, _ in ready:
            member = key.data
            count = member.hear()
            if self.running and count:
                member.ask(count)
        with self.changed:
            self.changed.notify_all()
        if self.pace:
            time.sleep(self.pace)

    def _run(self):
        try:
            with selectors.DefaultSelector() as selector:
                for member in self.members:
                    selector.register(member.sock, selectors.EVENT_READ, member)
                    member.ask(self.depth)
                while self.running or any(m.heard < m.sent for m in self.members):
                    self._turn(selector)
        except (AssertionError, OSError, ValueError) as error:
            self.wrong = error
        with self.changed:
            self.running = False
            self.changed.notify_all()

    def _wait(self, satisfied, timeout=120):
        with self.changed:
            self.changed.wait_for(lambda: self.wrong or satisfied(), timeout)
        assert not self.wrong, self.wrong
        assert satisfied(), "waited in vain"

    def wait_version(self, version):
        """Waits until every connection has heard this version, or a newer one."""
        self._wait(lambda: all(m.version >= version for m in self.members))

    def wait_answers(self, count=1):
        """Waits until every connection has heard so many more answers."""
        before = [m.heard for m in self.members]
        self._wait(lambda: all(m.heard >= b + count for m, b in zip(self.members, before)))

    def finish(self):
        """Lets what is under way come to its end; returns how many messages were answered, all in order."""
        self.running = False
        self.thread.join(120)
        assert not self.thread.is_alive(), "answers are missing: " + ", ".join(
            f"{m.heard} of {m.sent}" for m in self.members if m.heard < m.sent)
        assert not self.wrong, self.wrong
        return sum(m.heard for m in self.members)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        self.thread.join(20)
        for member in self.members:
            member.sock.close()
