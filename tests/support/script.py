"""Scripts run by `tidewire exec`, and the servers that they talk to: raw ones that do as they are told."""

import base64
import hashlib
import os
import signal
import socket
import struct
import subprocess
import textwrap

from peer import CLOSE, PATIENCE, Frame, Peer, _xor, close_payload, frame
from tidewire import SANITIZER, Output, binary

PRELUDE = """local tidewire = require "tidewire"
io.stdout:setvbuf "line"
"""


class Script:
    """A script under way. `args` are its own; `options` stand before FILE."""

    def __init__(self, folder, source, *args, env=None, files=None, options=(), stdout=subprocess.PIPE, prefix=()):
        self.path = folder / "script.lua"
        for name, text in {"script.lua": PRELUDE + textwrap.dedent(source), **(files or {})}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        self.process = subprocess.Popen(
            [*prefix, binary(), "exec", *options, str(self.path), *map(str, args)], env={**clean, **(env or {})},
            stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True, errors="backslashreplace")
        self.stdout = Output(self.process.stdout) if stdout == subprocess.PIPE else None
        self.stderr = Output(self.process.stderr)

    def wait_line(self, line, count=1):
        """Waits until it has printed this line, `count` times."""
        assert self.stdout.wait(lambda lines: lines.count(line) >= count, PATIENCE), \
            f"waited for {line!r}\n{self.report()}"

    def wait_log(self, text):
        assert self.stderr.wait(lambda lines: any(text in line for line in lines), PATIENCE), \
            f"waited for {text!r}\n{self.report()}"

    def signal(self, which):
        self.process.send_signal(which)

    def end(self):
        """Waits for its end. Returns the exit status and the lines that it has printed."""
        status = self.process.wait(PATIENCE)
        for output in filter(None, (self.stdout, self.stderr)):
            output.thread.join(PATIENCE)
        assert not SANITIZER.search(self.stderr.text()), self.report()
        return status, self.stdout.lines if self.stdout else []

    def lines(self):
        """The lines of one that ends by itself, with nothing to complain of."""
        status, lines = self.end()
        assert status == 0, self.report()
        return lines

    def report(self):
        return f"-- stdout\n{self.stdout.text() if self.stdout else ''}\n-- stderr\n{self.stderr.text()}"

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


class Guest(Peer):
    """One connection that a server has taken in. Frames of the client must be masked."""

    def request(self):
        """The head of the request: its first line, and the fields by lower-case name, each a list."""
        first, self.fields = self.take_line(), {}
        while line := self.take_line():
            name, value = line.split(":", 1)
            self.fields.setdefault(name.lower(), []).append(value.strip())
        return first, self.fields

    def field(self, name):
        """The one value of a field of the request; None without one."""
        values = self.fields.get(name, [])
        assert len(values) <= 1, values
        return values[0] if values else None

    def accept_value(self):
        key = self.field("sec-websocket-key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        return base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()

    def answer_with(self, status, fields=(), body=b""):
        lines = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}"]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    def accept(self, *fields, behind=b""):
        """Reads the request and answers with 101; `behind` comes in the same piece."""
        first, _ = self.request()
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Accept: {self.accept_value()}", *fields]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode() + behind)
        return first

    def frame(self):
        first, second = self.take(2)
        assert not first & 0x70 and second & 0x80, "reserved bits, or a frame that is not masked"
        length = second & 0x7F
        if length == 126:
            length, = struct.unpack(">H", self.take(2))
        elif length == 127:
            length, = struct.unpack(">Q", self.take(8))
        mask = self.take(4)
        return Frame(bool(first & 0x80), first & 0x0F, _xor(self.take(length), mask))

    def say(self, opcode, payload=b""):
        self.send(frame(opcode, payload, masked=False))

    def close(self, code=None, reason=""):
        self.say(CLOSE, close_payload(code, reason))

    def expect_close(self, code, reason=""):
        """The client's Close, which is answered; then nothing more."""
        assert self.closing() == (code, reason)
        self.close(code)
        self.sock.close()


class Door:
    """A listening socket."""

    def __init__(self, path=None, port=0):
        if path:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.bind(str(path))
        else:
            self.sock = socket.socket()
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind(("127.0.0.1", port))
            self.port = self.sock.getsockname()[1]
        self.sock.listen()
        self.sock.settimeout(PATIENCE)
        self.guests = []

    def url(self, path="/", scheme="ws"):
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def guest(self):
        sock, _ = self.sock.accept()
        sock.settimeout(PATIENCE)
        self.guests.append(Guest(sock))
        return self.guests[-1]

    def open(self, *fields, **options):
        """The next guest, with the opening handshake done."""
        guest = self.guest()
        guest.accept(*fields, **options)
        return guest

    def shut(self):
        self.sock.close()
        for guest in self.guests:
            guest.sock.close()
