"""A version that cannot be loaded: it is told where and why, and nothing has happened."""

import json
import os
import signal
import sys
import tempfile

import pytest
from control import ask
from live import LiveServer, wait_until, write_app
from peer import Peer, connect
from reloading import TOOLS, check_refusal, config, echo, says

CHAT = """return { message = require("chat").message }"""


def check_serving(peers, word):
    assert [says(peer, "hi") for peer in peers] == [f"{word} hi"] * len(peers)


# --- mistakes --------------------------------------------------------------------------------------

def test_syntax_error_in_a_transitive_module(app, workers):
    server = app(CHAT, {"chat.lua": "local words = require 'deep.words'\n"
                                    "return { message = function(ws, data) ws:send(words.greet .. data) end }\n",
                        "deep/words.lua": "return { greet = 'one ' }\n"}, workers=workers)
    peers = server.open_on_each()
    server.write("deep/words.lua", "return {\n    greet = 'two ' 7\n}\n")
    answer = server.refused("compile")
    assert (answer["file"], answer["line"]) == (str(server.folder / "deep/words.lua"), 2)
    assert "> 2 |     greet = 'two ' 7\n" in answer["text"] and "^" in answer["text"]
    check_serving(peers, "one")
    status, out, err = server.cli("reload")
    assert (status, out) == (1, "")
    assert err == answer["text"] + "\nrefused at compiling; still serving version 1\n"
    server.write("deep/words.lua", "return { greet = 'two ' }\n")
    assert server.reload()["version"] == 2
    check_serving(peers, "two")


MANIFEST = "return tidewire.app { routes = { ['/'] = { message = function() end } }, %s }"


@pytest.mark.parametrize("phase, source", [
    ("load", "error('BYTES')"),
    ("check", MANIFEST % "check = function() return nil, 'BYTES' end"),
    ("dry_run", MANIFEST % "state_version = 2, migrate = function() error('BYTES') end"),
])
def test_messages_of_any_bytes_arrive(app, phase, source):
    """Between the processes they are JSON, which has no form for some bytes."""
    server = app(echo("one"))
    server.write("app.lua", source.replace("BYTES", r"f\195\188nf\0\255\240\159x"))
    answer = server.refused(phase)
    assert answer["error"]["message"].endswith("f\u00fcnf????x") and "f\u00fcnf????x\n" in answer["text"]
    assert answer["file"] == str(server.folder / "app.lua")


def test_runtime_error_on_the_last_line_of_the_fifth_module(app, workers):
    def write(word, last=""):
        for n in range(1, 6):
            following = f"local next_one = require 'm{n + 1}'\n" if n < 5 else ""
            text = f"{following}local m = {{}}\nfunction m.say() return '{word}{n}'" \
                   f"{' .. next_one.say()' if n < 5 else ''} end\n{last if n == 5 else ''}return m\n"
            files[f"m{n}.lua"] = text
    files = {}
    write("a")
    server = app("""
    local m1 = require "m1"
    return { message = function(ws) ws:send(m1.say()) end }
    """, dict(files), workers=workers)
    peers = server.open_on_each()
    write("b", "local nothing\nm.word = nothing.word\n")
    for name, text in files.items():
        server.write(name, text)
    answer = server.refused("load")
    assert (answer["file"], answer["line"]) == (str(server.folder / "m5.lua"), 4)
    assert "attempt to index a nil value (local 'nothing')" in answer["error"]["message"]
    assert "> 4 | m.word = nothing.word\n" in answer["text"] and "stack traceback:" in answer["text"]
    assert [says(peer) for peer in peers] == ["a1a2a3a4a5"] * workers, "of the first four nothing is in use either"


LOOPS = {
    "plain": "while true do end",
    "pcall": "while true do pcall(function() while true do end end) end",
    "coroutine": "coroutine.wrap(function() while true do end end)()",
    "while growing": "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_load_that_loops_for_ever(app, workers, loop):
    server = app(CHAT, {"chat.lua": echo("one")}, workers=workers, settings=config(load="0.5"))
    peers = server.open_on_each()
    server.write("chat.lua", f"local chat = {{}}\n{LOOPS[loop]}\nreturn chat\n")
    question = server.begin("reload")
    for _ in range(20):
        check_serving(peers, "one")  # nobody waits for it
    answer = question.answer()
    check_refusal(answer, "load", 1)
    assert (answer["file"], answer["line"]) == (str(server.folder / "chat.lua"), 2)
    assert "still running after 0.5 s of CPU time" in answer["text"] or "MiB of memory" in answer["text"]
    check_serving(peers, "one")


def test_load_that_hangs_where_nothing_interrupts_it(app):
    server = app(CHAT, {"chat.lua": echo("one")})
    peer = server.open()
    os.mkfifo(server.folder / "fifo")
    server.write("chat.lua", f"local file = io.open('{server.folder}/fifo')\nreturn {{ message = print }}\n")
    question = server.begin("reload")
    for _ in range(20):
        assert says(peer, "hi") == "one hi" and server.code()["version"] == 1
    answer = question.answer()
    check_refusal(answer, "load", 1)
    assert "has not ended within 10 s" in answer["error"]["message"]
    server.write("chat.lua", echo("two"))
    server.reload()
    assert says(peer, "hi") == "two hi"


def test_load_that_crashes_the_process(app):
    server = app(CHAT, {"chat.lua": echo("one")})
    peer = server.open()
    before = server.workers()
    server.write("chat.lua", f"os.execute('kill -KILL ' .. require 'pid')\n{echo('two')}")
    answer = server.refused("load")
    assert "ended by signal 9" in answer["error"]["message"]
    assert server.workers() == before and says(peer, "hi") == "one hi"


@pytest.mark.parametrize("call", ["tidewire.publish('room', 'x')", "tidewire.send('id', 'x')", "tidewire.sleep(0)",
                                  "tidewire.spawn(print)", "tidewire.after(0, print)",
                                  "tidewire.connect('ws://127.0.0.1:1/')"])
@pytest.mark.parametrize("where", ["load", "check", "migrate"])
def test_load_that_sends(app, call, where):
    """What a version declares takes effect at its commit: before, it may do nothing."""
    source = """
    local acts = {
        load = function() end, check = function() return true end, migrate = function(old) return old end,
    }
    ACT
    acts.load()
    local handler = { message = function(ws, data) ws:subscribe "room" ws:send("VERSION " .. data) end }
    return tidewire.app { routes = { ["/"] = handler }, check = acts.check, STATE migrate = acts.migrate }
    """
    server = app(source.replace("ACT", "").replace("VERSION", "one").replace("STATE", ""))
    peer = server.open()
    assert says(peer, "hi") == "one hi"
    act = f"acts.{where} = function() {call} return {{}} end"
    server.write("app.lua", source.replace("ACT", act).replace("VERSION", "two").replace("STATE", "state_version = 2,"))
    answer = server.refused("dry_run" if where == "migrate" else where)
    name = call.split("(")[0].removeprefix("tidewire.")
    assert f": {name} is not allowed while the app loads" in answer["error"]["message"]
    assert act in answer["text"], "the line is shown"
    assert says(peer, "ho") == "one ho", "and nothing came before this"


def test_contract_and_check_of_its_own(app, workers):
    server = app(echo("one"), workers=workers)
    peers = server.open_on_each()
    server.write("app.lua", "return { mesage = print, open = print }")
    answer = server.refused("contract")
    assert "mesage" in answer["error"]["message"] and "did you mean `message`?" in answer["text"]
    server.write("app.lua", """return tidewire.app {
        routes = { ["/"] = { message = print } }, check = function() return nil, "the words are missing" end,
    }""")
    assert "the words are missing" in server.refused("check")["error"]["message"]
    check_serving(peers, "one")


# --- bad input -------------------------------------------------------------------------------------

def test_file_that_vanished(app):
    server = app(CHAT, {"chat.lua": echo("one")})
    peer = server.open()
    (server.folder / "chat.lua").unlink()
    answer = server.refused("load")
    assert answer["file"] == str(server.folder / "app.lua")
    assert "module `chat` not found" in answer["error"]["message"]
    (server.folder / "app.lua").unlink()
    assert "app.lua" in server.refused("read")["error"]["message"]
    assert says(peer, "hi") == "one hi"


def test_file_that_vanishes_in_the_middle(app):
    """While the third module is loaded, the second one, which was read already, goes away."""
    server = app("return { message = require('a').message }",
                 {"a.lua": echo("one"), "b.lua": "return 'b'\n", "c.lua": "return 'c'\n"})
    peer = server.open()
    server.write("a.lua", "require 'b'\nrequire 'c'\n" + echo("two"))
    server.write("c.lua", f"os.remove '{server.folder}/b.lua'\nreturn 'c'\n")
    answer = server.refused("load")
    assert (answer["file"], answer["line"]) == (str(server.folder / "a.lua"), 1)
    assert "module `b` not found" in answer["error"]["message"]
    assert says(peer, "hi") == "one hi"


def test_folder_without_permission():
    become = "import os, sys; os.setuid(65534); os.execve(int(sys.argv[1]), sys.argv[2:], os.environ)"
    with tempfile.TemporaryDirectory() as folder, open(LiveServer("x").command[0], "rb") as program:
        os.chmod(folder, 0o755)
        app = write_app(folder, CHAT, config(), {"chat.lua": echo("one"), **TOOLS})
        prefix = [] if os.geteuid() else [sys.executable, "-c", become, str(program.fileno())]
        with tempfile.TemporaryDirectory() as run:
            os.chmod(run, 0o777)
            with LiveServer(app, "--control", f"{run}/control.sock", prefix=prefix,
                            pass_fds=[program.fileno()]) as server:
                check_permissions(server, app.parent, f"{run}/control.sock")


def check_permissions(server, folder, control):
    peer = server.open()
    (folder / "lib").mkdir()
    (folder / "lib" / "words.lua").write_text("return 'two'\n")
    (folder / "chat.lua").write_text("local word = require 'lib.words'\n" + echo("").replace('"', 'word .. "', 1))
    (folder / "lib").chmod(0)
    answer = ask(server, "reload", path=control)
    check_refusal(answer, "read", 1)
    assert f"{folder}/lib/words.lua" in answer["error"]["message"]
    assert "Permission denied" in answer["error"]["message"] and "has to be allowed to read it" in answer["text"]
    assert says(peer, "hi") == "one hi"
    (folder / "lib").chmod(0o755)
    assert ask(server, "reload", path=control)["version"] == 2
    assert says(peer, "hi") == "two hi"


def test_symlink_loop(app):
    server = app(CHAT, {"chat.lua": echo("one")})
    peer = server.open()
    (server.folder / "chat.lua").unlink()
    (server.folder / "chat.lua").symlink_to("talk.lua")
    (server.folder / "talk.lua").symlink_to("chat.lua")
    answer = server.refused("read")
    assert f"{server.folder}/chat.lua" in answer["error"]["message"]
    assert "symbolic links" in answer["error"]["message"]
    assert says(peer, "hi") == "one hi"
    # folders in a circle are no mistake: each is read once
    (server.folder / "chat.lua").unlink()
    (server.folder / "lib").mkdir()
    (server.folder / "lib" / "up").symlink_to("..")
    server.write("lib/word.lua", "return 'two'\n")
    server.write("chat.lua", "local name = 'lib.' .. 'word'\n"
                             "return { message = function(ws, data) ws:send(require(name) .. ' ' .. data) end }\n")
    server.reload()
    assert says(peer, "hi") == "two hi"


def test_bundle_over_64_mib(app):
    server = app(CHAT, {"chat.lua": echo("one")})
    peer = server.open()
    server.write("chat.lua", echo("two"))
    with open(server.folder / "chat.lua", "a") as file:
        file.write("-- " + "x" * (64 << 20) + "\n")
    answer = server.refused("read")
    assert "64 MiB" in answer["error"]["message"] and f"{server.folder}/chat.lua" in answer["error"]["message"]
    assert says(peer, "hi") == "one hi"
    server.write("chat.lua", echo("two"))
    server.reload()
    assert says(peer, "hi") == "two hi"


# --- reading ---------------------------------------------------------------------------------------

def edit_of(server, trigger, word):
    """Code that saves both modules anew as soon as it is loaded, if a file is there."""
    edit = "".join(f"write('{name}', [[{text}]])\n" for name, text in pair(word).items())
    return f"""
local trigger = '{server.folder}/{trigger}'
local function write(name, text)
    local file <close> = assert(io.open('{server.folder}/' .. name, 'w'))
    file:write(text)
end
local file = io.open(trigger)
if file then
    file:close()
    os.remove(trigger)
    {edit}
end
return {{}}
"""


def pair(word):
    return {"first.lua": f"return '{word}'\n", "second.lua": f"return '{word}'\n"}


PAIR = """
local first = require "first"
require "edit"
local second = require "second"
return { message = function(ws) ws:send(first .. second) end }
"""


def test_edit_during_the_snapshot(app, workers):
    """Two files that belong together are changed between the reading of one and of the other."""
    server = app(PAIR, {**pair("one"), "edit.lua": "return {}\n"}, workers=workers)
    peers = server.open_on_each()
    server.write("edit.lua", edit_of(server, "trigger", "three"))
    for name, text in pair("two").items():
        server.write(name, text)
    server.open_gate("trigger")
    assert server.reload()["version"] == 2
    assert [says(peer) for peer in peers] == ["threethree"] * workers
    assert server.reload()["unchanged"] is True, "the disk has what serves"


def test_edit_at_each_reading(app):
    server = app(PAIR, {**pair("one"), "edit.lua": "return {}\n"})
    peer = server.open()
    server.write("edit.lua", f"""
local file <close> = assert(io.open('{server.folder}/first.lua', 'a'))
file:write '-- more'
return {{}}
""")
    answer = server.refused("read")
    assert f"{server.folder}/first.lua has changed each time" in answer["error"]["message"]
    assert says(peer) == "oneone"


def test_files_are_read_once_and_workers_get_bytes(app, workers):
    """The master's child is the only one that reads. This module is gone before a worker could do so."""
    server = app(CHAT, {"chat.lua": echo("one")}, workers=workers)
    peers = server.open_on_each()
    server.write("app.lua", "local chat = require 'chat'\nreturn { message = chat.message }\n")
    server.write("chat.lua", f"assert(io.open('{server.folder}/loaded', 'w')):close()\n" + echo("two"))
    paused = server.workers()
    for pid in paused:
        os.kill(pid, signal.SIGSTOP)
    question = server.begin("reload")
    wait_until((server.folder / "loaded").exists)
    wait_until(lambda: server.workers() == paused)  # the child has ended
    for name in ("chat.lua", "app.lua"):
        (server.folder / name).unlink()
    for pid in paused:
        os.kill(pid, signal.SIGCONT)
    assert question.answer()["version"] == 2
    check_serving(peers, "two")
    for pid in paused:
        os.kill(pid, signal.SIGKILL)
    server.wait_log(r"worker \d is ready", count=2 * workers - 1)  # the first of the start is told by the banner
    server.wait_workers()
    check_serving(server.open_on_each(), "two")


def test_unchanged_and_dry_run(app, workers):
    server = app(CHAT, {"chat.lua": echo("one")}, workers=workers)
    peers = server.open_on_each()
    answer = server.reload()
    assert (answer["unchanged"], answer["version"]) == (True, 1)
    server.write("other.lua", "no Lua, but nobody requires it")
    assert server.reload()["unchanged"] is True
    server.write("chat.lua", echo("two"))
    before = server.code()
    answer = server.reload(dry_run=True)
    assert (answer["dry_run"], answer["version"], answer["changed"]) == (True, 2, ["chat.lua"])
    check_serving(peers, "one")
    assert server.code() == before and list(server.generations()) == [1] and list(server.versions()) == [1]
    status, out, err = server.cli("reload", "--dry-run", "--json")
    assert (status, err) == (0, "") and json.loads(out)["dry_run"] is True
    server.write("chat.lua", "return {")
    check_refusal(server.ask("reload", dry_run=True), "compile", 1)
    server.write("chat.lua", echo("two"))
    answer = server.reload()
    assert (answer["version"], answer["previous"], answer["changed"]) == (2, 1, ["chat.lua"])
    assert answer["connections"] == workers and answer["state"] == "watching"
    check_serving(peers, "two")
    with Peer(connect(server.urls[0])) as late:
        late.upgrade()
        assert says(late, "hi") == "two hi"
