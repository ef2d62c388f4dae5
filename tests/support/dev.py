"""`tidewire dev` for tests: on pipes, and before a terminal."""

import errno
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

from live import wait_until
from peer import Peer, connect
from tidewire import ROOT, SANITIZER, Output, binary, lateness_is_forgiven


def command_line(app, *args):
    return [binary(), "dev", str(app), "--listen", "ws://127.0.0.1:0", *args]


class Dev:
    """It runs on pipes: what it says are lines."""

    def __init__(self, app, *args, env=None, cwd=ROOT):
        self.app = pathlib.Path(app)
        self.process = subprocess.Popen(
            command_line(app, *args), cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="backslashreplace",
            env={**os.environ, **lateness_is_forgiven(app, args), **(env or {})})
        self.out, self.err = Output(self.process.stdout), Output(self.process.stderr)
        self.peers = []

    def report(self):
        return f"-- stdout\n{self.out.text()}\n-- stderr\n{self.err.text()}"

    def _wait(self, output, pattern, count, timeout):
        def matches(lines):
            return [m for m in (re.search(pattern, line) for line in lines) if m]
        assert output.wait(lambda lines: len(matches(lines)) >= count, timeout), \
            f"waited for {count} of {pattern!r}\n{self.report()}"
        return matches(output.lines)

    def wait_out(self, pattern, count=1, timeout=30):
        return self._wait(self.out, pattern, count, timeout)

    def wait_err(self, pattern, count=1, timeout=30):
        return self._wait(self.err, pattern, count, timeout)

    def wait_up(self):
        """Waits for the first version; returns self."""
        self.wait_out(r"^routes ")
        return self

    @property
    def port(self):
        return int(self.wait_out(r"^listening ws://127\.0\.0\.1:(\d+)$")[0].group(1))

    def open(self):
        peer = Peer(connect(f"ws://127.0.0.1:{self.port}"))
        self.peers.append(peer)
        peer.upgrade()
        return peer

    def stop(self):
        for peer in self.peers:
            peer.sock.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"it does not end\n{self.report()}") from None
        for output in (self.out, self.err):
            output.thread.join(60)
        assert not SANITIZER.search(self.err.text()), self.report()
        return status

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        status = self.stop()
        assert kind is not None or status == 0, f"exit status {status}\n{self.report()}"


class Screen:
    """What a terminal of some rows shows of a stream: line feeds, "go home", "clear below" and colours."""

    def __init__(self, rows):
        self.rows = rows
        self.lines, self.row = [""] * rows, 0
        self.scrolled = []  # what has gone out of sight

    def feed(self, text):
        for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+|\x1b", text):
            if part == "\n":
                self._line_feed()
            elif part == "\x1b[H":
                self.row = 0
            elif part == "\x1b[J":
                self.lines[self.row:] = [""] * (self.rows - self.row)
            elif part.startswith("\x1b") or part == "\r":
                pass
            else:
                self.lines[self.row] += part

    def _line_feed(self):
        if self.row + 1 < self.rows:
            self.row += 1
            return
        self.scrolled.append(self.lines.pop(0))
        self.lines.append("")

    def text(self):
        return "\n".join(self.lines)


class Terminal:
    """A program before a terminal of 30 rows that a person types at."""

    def __init__(self, command, cwd=ROOT, env=None):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
        self.slave = slave  # kept open: its modes are looked at after the program's end
        self.process = subprocess.Popen(
            [str(part) for part in command], cwd=cwd, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "xterm", "NO_COLOR": "", **(env or {})})
        self.changed = threading.Condition()
        self.raw = ""
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.ended = False
        self.thread.start()

    def _read(self):
        while not self.ended:
            if not select.select([self.master], [], [], 0.1)[0]:
                continue
            try:
                got = os.read(self.master, 65536)
            except OSError as error:
                assert error.errno == errno.EIO
                return
            with self.changed:
                self.raw += got.decode(errors="backslashreplace")
                self.changed.notify_all()

    def type(self, text):
        os.write(self.master, text.encode())

    def screen(self):
        shown = Screen(30)
        with self.changed:
            shown.feed(self.raw)
        return shown

    def wait(self, pattern, count=1, timeout=30):
        """Waits until what was written so far matches so often."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(re.findall(pattern, self.raw)) >= count, timeout), \
                f"waited for {count} of {pattern!r} in\n{self.raw}"

    def is_cooked(self):
        """Does it echo, and collect lines?"""
        flags = termios.tcgetattr(self.slave)[3]
        return bool(flags & termios.ICANON) and bool(flags & termios.ECHO)

    def wait_cooked(self, cooked):
        wait_until(lambda: self.is_cooked() == cooked)

    def wait_end(self, timeout=60):
        return self.process.wait(timeout)

    def hang_up(self):
        """Its window is closed."""
        self.ended = True
        self.thread.join()
        os.close(self.master)
        self.master = -1

    def close(self):
        if self.process.poll() is None:
            for which in signal.SIGTERM, signal.SIGHUP, signal.SIGCONT:  # a shell ignores the first one
                os.killpg(self.process.pid, which)
            deadline = time.monotonic() + 30
            while self.process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.ended = True
        self.thread.join()
        os.close(self.slave)
        if self.master >= 0:
            os.close(self.master)
        assert not SANITIZER.search(self.raw), self.raw

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()
