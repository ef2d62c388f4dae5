"""Starts the tidewire binary for a test, and ends it.

    with Server("apps/echo.lua") as server:
        ...server.url("/")...          # ws://127.0.0.1:<a free port>/

The binary is $TIDEWIRE, or build/tidewire of this checkout.
"""

import os
import pathlib
import re
import signal
import subprocess
import threading
from urllib.parse import urlsplit

ROOT = pathlib.Path(__file__).resolve().parents[2]
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error: |SUMMARY: \w+Sanitizer")


BINARY = os.path.abspath(os.environ.get("TIDEWIRE") or ROOT / "build" / "tidewire")


def binary():
    return BINARY


class Output:
    """The lines of a pipe, collected by a thread of its own so that the writer never waits."""

    def __init__(self, pipe):
        self.lines = []
        self.ended = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self.thread.start()

    def _read(self, pipe):
        with pipe:
            for line in pipe:
                with self.changed:
                    self.lines.append(line.rstrip("\n"))
                    self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait(self, satisfied, timeout):
        """True when satisfied(lines) became true; False when the output ended or the time is over."""
        with self.changed:
            self.changed.wait_for(lambda: satisfied(self.lines) or self.ended, timeout)
            return satisfied(self.lines)

    def text(self):
        with self.changed:
            return "\n".join(self.lines)


def lateness_is_forgiven(app, arguments):
    """For an app without settings: by default a worker that is late answers handshakes with 503, and the sanitizer
    build on a busy machine is late."""
    folder = pathlib.Path(ROOT, app)
    folder = folder if folder.is_dir() else folder.parent
    if (folder / "tidewire.lua").exists() or "--config" in arguments or "TIDEWIRE_CONFIG" in os.environ:
        return {}
    return {"TIDEWIRE_CONFIG": str(pathlib.Path(__file__).with_name("patient.lua"))}


class Server:
    """`tidewire run APP`, ready to be connected to once started.

    app      a path below the checkout, or an absolute one
    listen   the URLs to listen on; port 0 lets the kernel choose
    args     further arguments
    env      further environment variables
    pass_fds descriptors that it inherits
    """

    def __init__(self, app, *args, listen=("ws://127.0.0.1:0",), env=None, pass_fds=()):
        self.listen = list(listen)
        self.command = [binary(), "run", str(app), *args]
        for url in self.listen:
            self.command += ["--listen", url]
        self.environment = {**os.environ, **lateness_is_forgiven(app, args), **(env or {})}
        self.pass_fds = pass_fds
        self.process = None

    def start(self, timeout=30):
        assert self.process is None, "already started"
        self.process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env=self.environment,
            pass_fds=self.pass_fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
        )
        self.stdout = Output(self.process.stdout)
        self.stderr = Output(self.process.stderr)
        if not self.stdout.wait(lambda lines: len(_listening(lines)) >= len(self.listen), timeout):
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{' '.join(self.command)} did not get ready\n{self.report()}")
        self.urls = _listening(self.stdout.lines)
        return self

    @property
    def port(self):
        """The port of the first listener."""
        return urlsplit(self.urls[0]).port

    def url(self, path="/", listener=0, scheme=None):
        """The URL of a path at one of the listeners, by another scheme if one is given."""
        url = urlsplit(self.urls[listener])
        return f"{scheme or url.scheme}://{url.netloc}{path}"

    def stop(self, timeout=60):
        """Ends it as an operator would, by SIGTERM; returns its exit status."""
        process, self.process = self.process, None
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"still running {timeout} s after SIGTERM\n{self.report()}") from None
        for output in (self.stdout, self.stderr):
            output.thread.join(timeout)
        assert not SANITIZER.search(self.stderr.text()), self.report()
        return status

    def report(self):
        return f"-- stdout\n{self.stdout.text()}\n-- stderr\n{self.stderr.text()}"

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        try:
            status = self.stop()
        except AssertionError:
            if kind is None:
                raise
        else:
            assert kind is not None or status in (0, None), f"exit status {status}\n{self.report()}"


def _listening(lines):
    found = (re.match(r"listening (\S+)", line) for line in lines)
    return [match.group(1) for match in found if match]
