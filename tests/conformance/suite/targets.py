"""The programs under test: started and ended here, or running elsewhere."""

import asyncio
import contextlib
import os
import pathlib
import signal
import socket
from urllib.parse import urlsplit

HERE = pathlib.Path(__file__).resolve().parents[1]
ROOT = HERE.parents[1]
PATIENCE = 30  # seconds for a program to start, and to end
PROFILES = ("plain", "deflate", "takeover", "small", "protocols", "close", "limit")
NPM = ROOT / "tests" / "interop"  # where npm's ws is installed: `make npm`


class Trouble(Exception):
    """A program under test could not be started, or ended in another way than it should."""


class Program:
    """A command that is run, with its output kept."""

    def __init__(self, command):
        self.command, self.process, self.output, self.reading = command, None, b"", None

    async def start(self):
        self.process = await asyncio.create_subprocess_shell(
            "exec " + self.command, cwd=ROOT, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT)
        self.reading = asyncio.create_task(self._read())

    async def _read(self):
        while piece := await self.process.stdout.read(1 << 16):
            self.output = (self.output + piece)[-8192:]

    @property
    def running(self):
        return self.process is not None and self.process.returncode is None

    def trouble(self, what):
        return Trouble(f"{self.command}: {what}\n{self.output.decode(errors='backslashreplace')}")

    async def end(self, ask=True):
        """Its exit status; with `ask` it is told to end by SIGTERM, which is then a good status as well."""
        if ask and self.running:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = await asyncio.wait_for(self.process.wait(), PATIENCE)
        except asyncio.TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise self.trouble(f"still running after {PATIENCE} s") from None
        await self.reading
        if status and not (ask and status == -signal.SIGTERM):
            raise self.trouble(f"ended with status {status}")
        return status


class Server:
    """A server under test: a URL and, when it is ours to start, a command with {port} in it."""

    def __init__(self, url=None, command=None, paths=None):
        self.url, self.command, self.program = url, command, None
        self.paths = paths or {}

    async def start(self):
        if self.command:
            port = free_port()
            self.url = f"ws://127.0.0.1:{port}/"
            self.program = Program(self.command.replace("{port}", str(port)))
            await self.program.start()
        parts = urlsplit(self.url)
        self.host, self.port, self.base = parts.hostname, parts.port or 80, parts.path or "/"
        await self._reachable()
        return self

    async def _reachable(self):
        for _ in range(PATIENCE * 20):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(self.host, self.port)
                writer.close()
                return
            if self.program is None or not self.program.running:
                break
            await asyncio.sleep(0.05)
        if self.program:
            await self.program.end()
            raise self.program.trouble("does not listen")
        raise Trouble(f"nobody listens at {self.url}")

    def path(self, profile):
        return self.paths.get(profile, self.base)

    async def stop(self):
        if self.program:
            await self.program.end()


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def tidewire_command():
    return os.environ.get("TIDEWIRE") or str(ROOT / "build" / "tidewire")


OWN_PATHS = {profile: "/" if profile == "plain" else "/" + profile for profile in PROFILES}

TARGETS = {
    "tidewire": {
        "server": lambda: f"{tidewire_command()} run {HERE}/servers/tidewire --log warn "
                          "--listen ws://127.0.0.1:{port}",
        "client": lambda: f"{tidewire_command()} exec {HERE}/clients/tidewire.lua {{url}}",
    },
    "ws": {
        "server": lambda: f"env NODE_PATH={NPM}/node_modules node {HERE}/servers/ws.js {{port}}",
        "client": lambda: f"env NODE_PATH={NPM}/node_modules node {HERE}/clients/ws.js {{url}}",
    },
}
