"""Servers for these tests: the app is Lua text in the test, and tells what it sees by note()."""

import os
import pathlib
import re
import textwrap
import time

from peer import Peer, connect
from tidewire import Server

# note(...) writes its arguments to the log, where LiveServer.notes finds them.
PRELUDE = """local tidewire = require "tidewire"
local function note(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    tidewire.log.info("note: " .. table.concat(words, "|"))
end
"""


def write_app(folder, source, config=None, files=None):
    """An app's folder: app.lua, tidewire.lua and other files by name. Returns the path of app.lua."""
    folder = pathlib.Path(folder)
    texts = {"app.lua": PRELUDE + textwrap.dedent(source), **(files or {})}
    if config:
        texts["tidewire.lua"] = f"return {textwrap.dedent(config)}\n"
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / "app.lua"


class LiveServer(Server):
    """A server that can be asked for its app's notes, and for peers."""

    def __init__(self, *args, prefix=(), **options):
        super().__init__(*args, **options)
        self.command = [*prefix, *self.command]
        self.peers = []

    @property
    def notes(self):
        """What the app has noted so far, its arguments joined by "|"."""
        with self.stderr.changed:
            return _notes(self.stderr.lines)

    def wait_notes(self, *wanted, timeout=30):
        """Waits until each of the notes is there, as often as it is wanted."""
        def satisfied(lines):
            there = _notes(lines)
            return all(there.count(note) >= wanted.count(note) for note in wanted)
        assert self.stderr.wait(satisfied, timeout), f"waited for {wanted}\n{self.report()}"

    def wait_log(self, pattern, count=1, timeout=30):
        """Waits until `count` lines of stderr match; returns the matches."""
        def matches(lines):
            return [m for m in (re.search(pattern, line) for line in lines) if m]
        assert self.stderr.wait(lambda lines: len(matches(lines)) >= count, timeout), \
            f"waited for {pattern!r}\n{self.report()}"
        with self.stderr.changed:
            return matches(self.stderr.lines)

    def peer(self, listener=0, receive_buffer=None):
        """A connected raw client, closed at the end of the test."""
        peer = Peer(connect(self.urls[listener], receive_buffer))
        self.peers.append(peer)
        return peer

    def open(self, *args, **options):
        """A raw client with the opening handshake done."""
        peer = self.peer()
        peer.upgrade(*args, **options)
        return peer

    def workers(self):
        """The pids of the worker processes."""
        pid = self.process.pid
        return [int(n) for n in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    @staticmethod
    def descriptors(pid):
        """How many descriptors a process has."""
        return len(os.listdir(f"/proc/{pid}/fd"))

    def signal(self, which):
        self.process.send_signal(which)

    def wait_end(self, timeout=60):
        """Waits for the process to end by itself; returns its exit status."""
        status = self.process.wait(timeout)
        self.stop()
        return status

    def finish(self):
        """Ends the server in order and returns all notes: what is there once is there exactly once."""
        for peer in self.peers:
            peer.sock.close()
        assert self.stop() == 0, self.report()
        return self.notes

    def __exit__(self, kind, error, trace):
        for peer in self.peers:
            peer.sock.close()
        super().__exit__(kind, error, trace)


def wait_until(satisfied, timeout=30):
    """For what tells nobody when it happens: asks again and again."""
    deadline = time.monotonic() + timeout
    while not satisfied():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def _notes(lines):
    found = (re.search(r" info  note: (.*)$", line) for line in lines)
    return [match.group(1) for match in found if match]
