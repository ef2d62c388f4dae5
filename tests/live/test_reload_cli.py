"""The commands `reload`, `rollback`, `versions` and `status`, from the shell to the worker."""

import json
import os
import pty
import re
import subprocess

import pytest
from live import wait_until
from tidewire import binary

APP = """
return tidewire.app { routes = { ["/"] = require "chat" } }
"""
CHAT = "return {{ message = function(ws) ws:send('{}') end }}\n"
RAISES = "return { message = function(ws) error('bad') end, error = function(ws) ws:send('raised') end }\n"
CONFIG = '{ limits = { lag = 0, handshake = 60, reload_watch = "1 s" } }'


def command(*args, cwd=None):
    done = subprocess.run([binary(), *map(str, args)], cwd=cwd, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def says(peer):
    peer.text("?")
    return peer.message()


class App:
    """A running app whose chat.lua is rewritten."""

    def __init__(self, live, tmp_path, *args, config=None):
        self.folder = tmp_path / "app"
        self.server = live(APP, *args, config=config, files={"chat.lua": CHAT.format("one")})

    def write(self, word):
        (self.folder / "chat.lua").write_text(CHAT.format(word))

    def run(self, *args):
        """A command without the app's name: of the folder that it runs from."""
        return command(*args, cwd=self.folder)


@pytest.fixture
def app(live, tmp_path):
    return lambda *args, **options: App(live, tmp_path, *args, **options)


def test_reload_and_rollback(app):
    app = app("--workers", "2")
    peers = [app.server.open() for _ in range(4)]
    app.write("two")
    status, out, err = app.run("reload")
    assert (status, err) == (0, "")
    assert re.fullmatch(r"reloaded chat\.lua in [\d.]+ m?s, 4 connections kept\n"
                        r"version 2 serves, and is watched for errors\n", out), out
    assert [says(peer) for peer in peers] == ["two"] * 4
    assert app.run("reload") == (0, "nothing has changed; version 2 serves\n", "")
    status, out, err = app.run("rollback")
    assert (status, err) == (0, "")
    assert re.fullmatch(r"rolled back to version 1 in [\d.]+ m?s, 4 connections kept\n  changed  chat\.lua\n", out), out
    assert [says(peer) for peer in peers] == ["one"] * 4
    status, out, err = command("rollback", app.folder, "2")
    assert status == 0 and out.startswith("rolled back to version 2 in "), (out, err)
    assert [says(peer) for peer in peers] == ["two"] * 4
    status, out, err = app.run("rollback", "7")
    assert (status, out) == (1, "")
    assert err.startswith("tidewire: version 7 is not known") and err.endswith("\nstill serving version 2\n"), err


def test_dry_run(app):
    app = app()
    peer = app.server.open()
    app.write("two")
    (app.folder / "chat.lua").write_text("require 'more'\n" + CHAT.format("two"))
    (app.folder / "more.lua").write_text("return 1\n")
    status, out, err = app.run("reload", "--dry-run")
    assert (status, err) == (0, "")
    assert re.fullmatch(r"version 2 would serve \(dry run, [\d.]+ m?s\)\n  changed  chat\.lua\n  added    more\.lua\n",
                        out), out
    assert says(peer) == "one"
    (app.folder / "more.lua").write_text("return {\n")
    assert app.run("reload", "--dry-run")[0] == 1


def test_refused_reload_says_where(app):
    app = app()
    (app.folder / "chat.lua").write_text("local a = 1\nreturn { message = ) }\n")
    status, out, err = app.run("reload")
    assert (status, out) == (1, "")
    assert re.search(r"^tidewire: .*chat\.lua:2: unexpected symbol near '\)'\n", err), err
    assert "> 2 | return { message = ) }\n" in err and "^\n" in err
    assert err.endswith("\nrefused at compiling; still serving version 1\n"), err
    status, out, err = app.run("reload", "--json")
    answer = json.loads(out)
    assert (status, err, answer["ok"], answer["phase"], answer["line"], answer["serving"]) == (
        1, "", False, "compile", 2, 1)
    assert answer["file"] == str(app.folder / "chat.lua")
    (app.folder / "chat.lua").write_text("return { message = 5 }\n")
    status, _, err = app.run("reload")
    assert status == 1 and err.endswith("\nrefused at the contract; still serving version 1\n"), err


def test_wait_until_it_is_stable(app):
    app = app(config=CONFIG)
    peer = app.server.open()
    app.write("two")
    status, out, err = app.run("reload", "--wait")
    assert (status, err) == (0, "") and out.endswith("\nversion 2 serves\n"), out
    assert says(peer) == "two"
    assert json.loads(app.run("status", "--json")[1])["code"]["state"] == "stable"


def test_wait_until_it_is_rolled_back(app):
    app = app()
    (app.folder / "chat.lua").write_text(RAISES)
    waiting = subprocess.Popen([binary(), "reload", "--wait"], cwd=app.folder, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    wait_until(lambda: json.loads(app.run("status", "--json")[1])["code"]["version"] == 2)
    for _ in range(5):
        peer = app.server.open()
        assert says(peer) == "raised"
    out, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, out) == (1, "")
    assert re.search(r"^tidewire: version 2 .*\d of \d+ calls have failed", err), err
    assert err.endswith("serving version 1 again\n"), err
    status, out, _ = app.run("versions")
    assert status == 0
    assert re.match(r"2  rolled back  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \d+ files  [\d.]+ K?i?B  [0-9a-f]{12}\n  .*failed.*\n"
                    r"1  current      ", out), out


def test_canary(app):
    app = app(config=CONFIG.replace("1 s", "1 h"))
    peers = [app.server.open() for _ in range(100)]
    app.write("two")
    status, out, err = app.run("reload", "--canary", "50%")
    assert (status, err) == (0, "")
    assert out.endswith("\nversion 2 is a canary for 50% of the connections; "
                        "it will serve all when it has stayed healthy\n"), out
    heard = [says(peer) for peer in peers]
    assert set(heard) == {"one", "two"}
    status, out, _ = app.run("status")
    assert re.search(r"^version 1 for \d+ s; beside it version 2, a canary, for 50% of the connections\n", out, re.M), out
    assert re.search(rf"^  version 2  canary, {heard.count('two')} connections\n", out, re.M), out


def test_status_tells_what_keeps_an_old_version(app):
    app = app(config="{ limits = { lag = 0, handshake = 60, drain = 0 } }")
    peer = app.server.open()
    (app.folder / "chat.lua").write_text(
        "local tidewire = require 'tidewire'\n"
        "return { message = function(ws)\n    ws:send('sleeping')\n    tidewire.sleep(3600)\nend }\n")
    assert app.run("reload")[0] == 0
    assert says(peer) == "sleeping"
    for word in "three", "four":
        app.write(word)
        assert app.run("reload")[0] == 0
    status, out, err = app.run("status")
    assert (status, err) == (0, "")
    assert re.search(rf"^version 4 for \d+ s, watched for errors; before it version 3\n"
                     rf"worker 0  ready, pid \d+, up \d+ s, 1 connection\n"
                     rf"  version 2  old\n"
                     rf"    message of / at \S*chat\.lua:4 \(connection \S+\), for \d+ s\n", out, re.M), out
    peer.sock.close()


def test_versions_and_their_difference(app):
    app = app()
    app.write("two")
    assert app.run("reload")[0] == 0
    status, out, err = app.run("versions", "--diff", "1", "2")
    assert (status, err) == (0, "")
    assert out == ("--- a/chat.lua\n+++ b/chat.lua\n@@ -1,1 +1,1 @@\n-" + CHAT.format("one") + "+" + CHAT.format("two"))
    assert app.run("versions", "--diff", "2", "2") == (0, "versions 2 and 2 have the same files\n", "")
    status, out, err = app.run("versions", "--diff", "1", "9")
    assert (status, out) == (1, "") and err.startswith("tidewire: version 9 is not known"), err
    listed = json.loads(app.run("versions", "--json")[1])
    assert listed["current"] == 2 and [v["state"] for v in listed["versions"]] == ["previous", "current"]


def on_terminal(args, cwd, env):
    """What a command writes to a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen([binary(), *args], cwd=cwd, stdout=slave, stdin=subprocess.DEVNULL,
                               env={**os.environ, **env})
    os.close(slave)
    text = b""
    try:
        while got := os.read(master, 65536):
            text += got
    except OSError:  # the other side is closed
        pass
    os.close(master)
    assert process.wait(60) == 0
    return text.decode()


def test_colours_are_for_terminals(app):
    app = app()
    app.write("two")
    assert app.run("reload")[0] == 0
    shown = on_terminal(["versions", "--diff", "1", "2"], app.folder, {"NO_COLOR": "", "TERM": "xterm"})
    assert "\x1b[31m-return" in shown and "\x1b[32m+return" in shown and "\x1b[1m--- a/chat.lua" in shown, shown
    for environment in ({"NO_COLOR": "1", "TERM": "xterm"}, {"NO_COLOR": "", "TERM": "dumb"}):
        assert "\x1b" not in on_terminal(["versions", "--diff", "1", "2"], app.folder, environment)
