"""The control socket of a running app: lines of JSON, sent and read as they are."""

import json
import os
import pathlib
import socket

from peer import Peer


def socket_of(server):
    """Where it is by default: beside the app."""
    return pathlib.Path(server.command[server.command.index("run") + 1]).parent / ".tidewire.sock"


def reach(path):
    """A connection to a control socket."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    folder = os.open(pathlib.Path(path).parent, os.O_PATH)  # a test's folder may be too deep for an address
    try:
        sock.connect(f"/proc/self/fd/{folder}/{pathlib.Path(path).name}")
    finally:
        os.close(folder)
    return sock


def line_of(peer):
    while b"\n" not in peer.kept:
        peer._more()
    line, peer.kept = peer.kept.split(b"\n", 1)
    return json.loads(line)


def talk(path, *lines):
    """The answers to lines that are sent at once."""
    with Peer(reach(path)) as peer:
        peer.send(b"".join(line + b"\n" for line in lines))
        return [line_of(peer) for _ in lines]


class Question:
    """A request on its way. command: a word, and what belongs to it."""

    def __init__(self, path, command, patience=60, **fields):
        self.peer = Peer(reach(path))
        self.peer.sock.settimeout(patience)
        self.peer.send(json.dumps({"v": 1, "command": command, **fields}).encode() + b"\n")

    def answer(self):
        """Waits for it."""
        with self.peer:
            return line_of(self.peer)


def ask(server, command, path=None, **fields):
    """The answer to a request to a server. path: of its socket, where it is not beside the app."""
    return Question(path or socket_of(server), command, **fields).answer()
