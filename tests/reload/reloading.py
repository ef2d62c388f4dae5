"""Servers whose code is exchanged: an app's folder is written, the control socket asked, every worker looked at."""

import os
import select
import subprocess
import textwrap

from control import Question, socket_of
from live import LiveServer, wait_until, write_app
from tidewire import binary

# Modules for apps. gate(app, name) waits until the test has opened the gate of this name.
TOOLS = {
    "note.lua": """local tidewire = require "tidewire"
return function(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    tidewire.log.info("note: " .. table.concat(words, "|"))
end
""",
    "gate.lua": """local tidewire = require "tidewire"
return function(app, name)
    local file = io.open(app.root .. "/" .. name)
    while not file do
        tidewire.sleep(0.01)
        file = io.open(app.root .. "/" .. name)
    end
    file:close()
end
""",
    "pid.lua": """local file <close> = assert(io.open "/proc/self/stat")
return file:read "n"
""",
}

# An app whose handler says its version and what it got; `VERSION` is to be replaced.
ECHO = """
return { message = function(ws, data) ws:send("VERSION " .. data) end }
"""


def config(watch="30 s", grace="20 s", **limits):
    """Settings for these tests: patient with a slow machine."""
    values = {"lag": "0", "handshake": '"1 min"', "reload_watch": f'"{watch}"', "reload_grace": f'"{grace}"',
              "load": "5", **limits}
    return "{ limits = { " + ", ".join(f"{name} = {value}" for name, value in values.items()) + " } }"


class ReloadServer(LiveServer):
    """A server with an app that is to be rewritten. source and files: of its first version."""

    def __init__(self, folder, source, files=None, workers=1, settings=None, args=(), **options):
        self.folder = folder
        self.count = workers
        self.spare = 0  # connections that open_on_each has ended
        path = write_app(folder, source, settings or config(), {**TOOLS, **(files or {})})
        super().__init__(path, "--workers", str(workers), *args, **options)

    def start(self, timeout=60):
        super().start(timeout)
        self.wait_workers()
        return self

    # --- the folder ---

    def write(self, name, text):
        """Saves a file of the app; app.lua keeps its prelude."""
        if name == "app.lua":
            write_app(self.folder, text)
            return
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def open_gate(self, name="gate"):
        (self.folder / name).touch()

    # --- asking ---

    def begin(self, command, **fields):
        """Asks, and does not wait: a Question."""
        return Question(socket_of(self), command, **fields)

    def ask(self, command, **fields):
        return self.begin(command, **fields).answer()

    def reload(self, **fields):
        """Reloads what is on the disk, which has to succeed."""
        answer = self.ask("reload", **fields)
        assert answer["ok"] is True, f"{answer}\n{self.report()}"
        return answer

    def refused(self, phase, command="reload", **fields):
        """Reloads what is on the disk, which has to fail in this phase, and to change nothing."""
        before = self.code()
        answer = self.ask(command, **fields)
        check_refusal(answer, phase, before["version"])
        assert self.code() == before, "a refused version changes nothing"
        return answer

    def rollback(self, **fields):
        answer = self.ask("rollback", **fields)
        assert answer["ok"] is True, f"{answer}\n{self.report()}"
        return answer

    def status(self):
        """What it tells once every worker that is up has answered."""
        while True:
            answer = self.ask("status")
            if all(w.get("answers", True) for w in answer["workers"]):
                return answer

    def code(self):
        return self.status()["code"]

    def versions(self):
        """number -> what `versions` tells of it"""
        return {v["version"]: v for v in self.ask("versions")["versions"]}

    def cli(self, name, *args):
        """A command of the command line on this app: its exit status, stdout and stderr."""
        return run_command(name, *args, self.folder)

    # --- workers ---

    def wait_workers(self, timeout=60):
        """Waits until all of them serve."""
        def ready():
            workers = self.status()["workers"]
            return len(workers) == self.count and all(w["state"] == "ready" for w in workers)
        wait_until(ready, timeout)

    def generations(self, worker=0):
        """version -> generation, of one worker"""
        return {g["version"]: g for g in self.status()["workers"][worker]["generations"]}

    def serving(self):
        """The versions that serve in the workers, each once."""
        return {w["version"] for w in self.status()["workers"]}

    def open_on_each(self, *args, **options):
        """A connection at each worker, in their order. Others that it takes to find them are ended."""
        found = {}
        while len(found) < self.count:
            before = [w["connections"] for w in self.status()["workers"]]
            peer = self.open(*args, **options)
            after = [w["connections"] for w in self.status()["workers"]]
            where, = (i for i in range(self.count) if after[i] > before[i])
            if where in found:
                peer.end()
                self.spare += 1
                wait_until(lambda: [w["connections"] for w in self.status()["workers"]] == before)
            else:
                found[where] = peer
        return [found[i] for i in range(self.count)]

    def wait_held(self, probes):
        """Waits until calls are held everywhere. probes: a connection at each worker, of nobody else's use; at the end
        one message "probe" of each is under way."""
        for peer in probes:
            peer.text("probe")
        while not all(w.get("held", 0) for w in self.status()["workers"]):
            for peer in probes:
                if peer.kept or select.select([peer.sock], [], [], 0)[0]:
                    peer.message()
                    peer.text("probe")


def check_refusal(answer, phase, serving):
    """It says in which phase, in a line and in whole, and what serves on."""
    assert answer["ok"] is False, answer
    assert answer["phase"] == phase and answer["error"]["code"] == phase, answer
    assert answer["error"]["message"] and "\n" not in answer["error"]["message"], answer
    assert answer["text"].endswith("\n") and answer["serving"] == serving, answer


def run_command(*args):
    done = subprocess.run([binary(), *map(str, args)], capture_output=True, text=True, timeout=90)
    return done.returncode, done.stdout, done.stderr


def says(peer, text="?"):
    """What it answers to a message."""
    peer.text(text)
    return peer.message()


def echo(version):
    """The source of ECHO in a version."""
    return ECHO.replace("VERSION", version)


def full():
    """Is the suite to run in its full size? See tests/README.md."""
    return bool(os.environ.get("TIDEWIRE_RELOAD_FULL"))
