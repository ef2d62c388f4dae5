"""The log in a file: who writes there, and how it is rotated."""

import os
import re
import signal
import subprocess

import pytest
from live import wait_until, write_app
from tidewire import binary

APP = """return {
    open = function(ws) ws:send((ws.id:match("^%x+"))) end,
    message = function(ws, data) note(ws.id:match("^%x+"), data) ws:send(data) end,
}"""


class Rotated:
    """A log file, and those that it was renamed to."""

    def __init__(self, path):
        self.path, self.old = path, []

    def rename(self):
        self.old.append(self.path.with_suffix(f".{len(self.old) + 1}"))
        self.path.rename(self.old[-1])

    def text(self):
        return self.path.read_text() if self.path.exists() else ""

    def wait(self, pattern):
        wait_until(lambda: re.search(pattern, self.text(), re.M))

    def numbers(self, node):
        """What a worker has noted, in all files by their age."""
        text = "".join(path.read_text() for path in (*self.old, self.path))
        return [int(n) for n in re.findall(rf" info  note: {node}\|(\d+)$", text, re.M)]


def of_both_workers(server):
    found = {}

    def more():
        peer = server.open()
        found.setdefault(peer.message(), peer)
        return len(found) == 2
    wait_until(more)
    return found


@pytest.mark.parametrize("to_all", [False, True], ids=["master", "all"])
def test_rotation(live, tmp_path, to_all):
    log = Rotated(tmp_path / "app.log")
    log.path.write_text("what was there stays\n")
    server = live(APP, "--workers", "2", "--log-file", str(log.path))
    log.wait("worker 1 is ready")
    peers = of_both_workers(server)
    said = dict.fromkeys(peers, 0)

    def say():
        for node, peer in peers.items():
            said[node] += 1
            peer.text(str(said[node]))
            assert peer.message() == str(said[node])
    for _ in range(5):
        say()
        log.rename()
        for pid in server.workers() if to_all else ():  # as `systemctl kill` does
            os.kill(pid, signal.SIGUSR1)
        server.signal(signal.SIGUSR1)

        def written_by_all():
            say()
            return all(f" note: {node}|" in log.text() for node in peers) and "opened anew (USR1)" in log.text()
        wait_until(written_by_all)
    worker = server.workers()[0]
    os.kill(worker, signal.SIGKILL)
    log.wait(rf"\(pid {worker}\) was ended by signal 9")
    log.wait(r"worker \d is ready")
    assert server.stop() == 0
    for node in peers:
        assert log.numbers(node) == list(range(1, said[node] + 1))
    assert log.old[0].read_text().startswith("what was there stays\n") and "stopping" in log.text()
    assert not [path for path in log.old[1:] if not path.read_text().startswith("2")], "whole lines"
    assert server.stderr.text() == ""
    assert log.path.stat().st_mode & 0o007 == 0


def test_file_that_cannot_be_opened_anew(live, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    log = Rotated(folder / "app.log")
    server = live(APP, "--log-file", str(log.path))
    folder.rename(tmp_path / "gone")
    log.path = tmp_path / "gone" / "app.log"
    server.signal(signal.SIGUSR1)
    log.wait(" info  the log file is opened anew|warn ")
    wait_until(lambda: log.text().count(f"warn  the log goes on in the old file: cannot open {folder}/app.log: "
                                        "No such file or directory") == 2)  # the master's, and the worker's
    peer = server.open()
    node = peer.message()
    peer.text("7")
    assert peer.message() == "7"
    assert log.numbers(node) == [7]
    assert "opened anew" not in log.text()


def test_without_a_file_nothing_ends(live):
    server = live(APP, "--workers", "2")
    server.wait_log("worker 1 is ready")
    workers = server.workers()
    for pid in workers:
        os.kill(pid, signal.SIGUSR1)
    server.signal(signal.SIGUSR1)
    server.wait_log("there is no log file to open anew")
    peer = server.open()
    peer.message()
    assert server.workers() == workers
    assert server.stop() == 0
    assert "was ended" not in server.stderr.text()


@pytest.mark.parametrize("how", ["variable", "file", "flag over both"])
def test_place(live, tmp_path, how):
    over = how == "flag over both"
    log = Rotated(tmp_path / "app" / "mine.log" if how == "file" else tmp_path / "mine.log")
    other = str(tmp_path / "not.log")
    server = live(APP, *(["--log-file", str(log.path)] if over else []),
                  config='{ log = { level = "debug", file = "mine.log" } }' if how == "file" else
                  f'{{ log = {{ file = "{other}" }} }}',
                  env={} if how == "file" else {"TIDEWIRE_LOG_FILE": other if over else str(log.path)})
    server.peer().ask("/")
    server.stop()
    assert ("426" in log.text()) == (how == "file"), "the level"
    assert "stopping" in log.text() and not os.path.exists(other)


def test_what_ends_the_command_is_told_on_stderr(tmp_path):
    def run(source, path):
        done = subprocess.run([binary(), "run", write_app(tmp_path / "app", source), "--log-file", path,
                               "--listen", "ws://127.0.0.1:0"], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr
    assert "unexpected symbol" in run("return }", tmp_path / "a.log")
    assert run(APP, tmp_path) == f"tidewire: cannot open the log file {tmp_path}: Is a directory\n"
    assert run(APP, tmp_path / "none" / "a.log").endswith("/none/a.log: No such file or directory\n")
