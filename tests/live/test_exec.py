"""tidewire exec: a script's arguments, its end, its status, and what becomes of all it has begun."""

import os
import signal
import socket
import subprocess
import time

import pytest
from script import PRELUDE
from peer import PATIENCE, PING, PONG, TEXT, frame
from tidewire import SANITIZER, binary


def run(*args, **options):
    done = subprocess.run([binary(), "exec", *map(str, args)], capture_output=True, text=True, timeout=30, **options)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


def test_arguments_are_the_scripts(script):
    started = script("print(#arg, arg[0], table.concat(arg, '|'), ...)", "a", "--log", "-h", "--", "", options=["--log", "warn"])
    assert started.lines() == [f"5\t{started.path}\ta|--log|-h|--|\ta\t--log\t-h\t--\t"]


def test_a_script_from_stdin():
    done = run("-", "x", input="print((...), arg[0], require 'tidewire'.version)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "x\t-\t0.1.0\n", "")
    done = run("-", input="\nerror 'no'")
    assert done.returncode == 1 and "tidewire: stdin:2: no" in done.stderr


def test_require_looks_beside_the_script(script, tmp_path):
    files = {"lib/words.lua": "return { hello = 'hello' }"}
    assert script("print(require 'lib.words'.hello)", files=files).lines() == ["hello"]


@pytest.mark.parametrize("source, status", [
    ("", 0), ("return 3", 0), ("os.exit()", 0), ("os.exit(true)", 0), ("os.exit(false)", 1), ("os.exit(7)", 7),
    ("os.exit(7, true)", 7), ("os.exit(256 + 9)", 9), ("error 'no'", 1), ("error()", 1), ("error({})", 1),
    ("tidewire.spawn(function() os.exit(5) end) tidewire.sleep(60)", 5),
    ("tidewire.after(0.01, function() os.exit(6) end) tidewire.sleep(60)", 6),
    ("pcall(function() os.exit(4) end) print 'not reached' os.exit(1)", 4),
    ("coroutine.wrap(function() os.exit(8) end)() print 'not reached'", 8),
    ("table.sort({ 1, 2 }, function() os.exit(9) end)", 9),  # where nothing can wait
    ("setmetatable({}, { __index = function() os.exit(10) end }).x()", 10),
    ("tidewire.spawn(function() error 'of a task' end) tidewire.sleep(0.01)", 0),  # which is logged
    ("tidewire.spawn(function() os.exit(2) end) tidewire.spawn(function() os.exit(3) end) tidewire.sleep(60)", 2),
])
def test_status(script, source, status):
    started = script(f"io.stdout:setvbuf 'full' io.write 'begun'\n{source}")
    assert started.end() == (status, ["begun"])


def test_nothing_runs_after_the_exit(script, door):
    server = door()
    started = script("""
        tidewire.connect(arg[1], { handler = { open = function()
            tidewire.spawn(print, "not reached")
            os.exit(3)
        end, message = print } })
        print "not reached"
    """, server.url())
    server.open(behind=frame(TEXT, "not reached", masked=False)).expect_close(1001, "going away")
    assert started.end() == (3, [])
    assert script("""
        tidewire.spawn(function()
            tidewire.spawn(print, "not reached")
            os.exit(4)
        end)
        tidewire.sleep(60)
    """).end() == (4, [])


def test_an_error_is_told_with_its_place(script):
    started = script("""
        local function inner(t)
            return t.x.y
        end
        print(pcall(error, "caught"))
        inner {}
    """)
    assert started.end() == (1, ["false\tcaught"])
    told = started.stderr.text()
    assert told.startswith(f"tidewire: {started.path}:5: attempt to index a nil value (field 'x')\n")
    assert "> 5 | " in told and "return t.x.y" in told and "stack traceback:" in told
    for ours in ("lua/tidewire", "[C]", "tidewire/script"):
        assert ours not in told


def test_what_cannot_be_run(tmp_path):
    done = run(tmp_path / "none.lua")
    assert (done.returncode, done.stderr) == (1, f"tidewire: cannot open {tmp_path}/none.lua: No such file or directory\n")
    done = run(tmp_path)
    assert done.returncode == 1 and "is a folder" in done.stderr
    done = run()
    assert done.returncode == 2 and "missing argument `FILE`" in done.stderr
    bad = tmp_path / "bad.lua"
    bad.write_text("print 'a'\nlocal x = = 1")
    done = run(bad)
    assert done.returncode == 1 and f"tidewire: {bad}:2: unexpected symbol" in done.stderr and done.stdout == ""


def test_the_log_level(script):
    source = "tidewire.log.debug 'quiet' tidewire.log.info 'loud'"
    started = script(source)
    started.lines()
    assert "loud" in started.stderr.text() and "quiet" not in started.stderr.text()
    started = script(source, options=["--log", "debug"])
    started.lines()
    assert "quiet" in started.stderr.text()
    started = script(source, env={"TIDEWIRE_LOG": "warn", "TIDEWIRE_LISTEN": "nonsense"})
    started.lines()
    assert started.stderr.text() == ""


def test_an_app_is_no_script(script):
    started = script("return { message = print }")
    assert started.lines() == []
    assert "tidewire run" in started.stderr.text()


def test_other_tasks_are_dropped(script):
    assert script("""
        tidewire.spawn(function() tidewire.sleep(0) tidewire.sleep(0.05) print "late" end)
        tidewire.after(0.05, function() print "later" end)
        tidewire.sleep(0.01)
    """).lines() == []


def test_a_script_can_wait_while_it_loads(script):
    files = {"slow.lua": "require 'tidewire'.sleep(0.01) return 'slept'"}
    assert script("print((require 'slow'))", files=files).lines() == ["slept"]


# --- open connections -----------------------------------------------------------------------------

HANDLER = "{ message = function() end, close = function() print 'close' end }"


@pytest.mark.parametrize("style", ["nil", HANDLER], ids=["straight", "handler"])
@pytest.mark.parametrize("ending, status", [
    ("", 0), ("os.exit(3)", 3), ("error 'no'", 1), ("tidewire.spawn(os.exit, 4) tidewire.sleep(60)", 4)])
def test_open_connections_are_closed(script, door, style, ending, status):
    server = door()
    started = script(f"""
        local a = tidewire.connect(arg[1], {{ handler = {style} }})
        local b = tidewire.connect(arg[1], {{ handler = {style} }})
        print(a.ready_state, b.ready_state)
        {ending}
    """, server.url())
    guests = [server.open(), server.open()]
    for guest in guests:
        guest.expect_close(1001, "going away")
    # no code of the script runs after its end
    assert started.end() == (status, ["open\topen"])


def test_a_peer_that_does_not_answer_is_left(script, door):
    server = door()
    started = script("local ws = tidewire.connect(arg[1]) print(ws.ready_state)", server.url())
    guest = server.open()
    assert guest.closing() == (1001, "going away")
    assert started.lines() == ["open"]
    assert guest.rest() == b""


def test_messages_of_the_last_moment_are_sent(script, door):
    server = door()
    started = script("""
        local ws = tidewire.connect(arg[1])
        for i = 1, 100 do ws:send(("x"):rep(5000)) end
        os.exit(0)
    """, server.url())
    guest = server.open()
    for _ in range(100):
        assert guest.message() == "x" * 5000
    guest.expect_close(1001, "going away")
    assert started.lines() == []


def test_what_the_peer_says_at_the_end_runs_nothing(script, door):
    server = door()
    started = script("""
        local ws = tidewire.connect(arg[1], { handler = {
            message = function() print "message" end, close = function() print "close" end,
            drain = function() print "drain" end,
        } })
        local other = tidewire.connect(arg[1])
        tidewire.spawn(function() other:receive() print "received" end)
        tidewire.sleep(0.01) -- which lets it begin
        ws:every(0.001, "message")
    """, server.url())
    first, second = server.open(), server.open()
    for guest in (first, second):
        assert guest.closing() == (1001, "going away")
        guest.say(TEXT, "too late")
        guest.close(1001)
    assert started.lines() == []


def test_attempts_are_cancelled(script, door):
    silent, quick = door(), door()
    started = script("""
        tidewire.spawn(function() print(tidewire.connect(arg[1])) end)
        tidewire.connect(arg[2])
    """, silent.url(), quick.url())
    waiting = silent.guest()
    waiting.request()
    quick.open().expect_close(1001, "going away")
    assert started.lines() == []
    assert waiting.rest() == b""


def test_a_script_that_has_computed_for_long_still_has_its_second(script, door):
    server = door()
    server.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    started = script("""
        tidewire.connect(arg[1], { limits = { send_queue = "64 MiB" }, handler = { message = function(ws)
            local start = os.clock()
            while os.clock() - start < 1.1 do end
            for i = 1, 7 do ws:send(("x"):rep(1000000)) end -- more than the sockets take
            print "done"
            os.exit(0)
        end } })
        tidewire.sleep(60)
    """, server.url())
    guest = server.open()
    guest.say(PING)  # so what follows is a turn of the loop of its own
    assert guest.frame().opcode == PONG
    guest.say(TEXT, "go")
    started.wait_line("done")
    for _ in range(7):
        assert guest.message() == "x" * 1000000
    guest.expect_close(1001, "going away")
    assert started.lines() == ["done"]


# --- signals --------------------------------------------------------------------------------------

@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_close_connections(script, door, number, status):
    server = door()
    started = script("local ws = tidewire.connect(arg[1]) print 'open' io.write 'kept' ws:receive() print 'not reached'",
                     server.url())
    guest = server.open()
    started.wait_line("open")
    started.signal(number)
    guest.expect_close(1001, "going away")
    assert started.end() == (status, ["open", "kept"])


def test_a_second_interrupt_ends_at_once(script, door):
    server = door()
    started = script("local ws = tidewire.connect(arg[1]) print 'open' ws:receive()", server.url())
    guest = server.open()
    started.wait_line("open")
    started.signal(signal.SIGINT)
    assert guest.closing() == (1001, "going away")
    started.signal(signal.SIGINT)
    assert started.end()[0] == -signal.SIGINT


def test_a_second_interrupt_ends_a_script_that_never_waits(script):
    started = script("print 'busy' while true do end")
    started.wait_line("busy")
    started.signal(signal.SIGINT)
    deadline = time.monotonic() + PATIENCE
    while started.process.poll() is None:  # two that come together are one
        assert time.monotonic() < deadline
        started.signal(signal.SIGINT)
        time.sleep(0.01)
    assert started.end() == (-signal.SIGINT, ["busy"])


def test_a_reader_that_leaves_ends_it(script):
    out, into = os.pipe()
    started = script("while true do print(('x'):rep(1000)) end", stdout=into)
    os.close(into)
    assert os.read(out, 10) == b"x" * 10
    os.close(out)
    assert started.end()[0] == -signal.SIGPIPE


def test_output_that_cannot_be_written_is_a_failure(script):
    with open("/dev/full", "w") as full:
        started = script("io.stdout:setvbuf 'full' print 'lost'", stdout=full)
        assert started.end()[0] == 1
        assert "cannot write to stdout" in started.stderr.text()


@pytest.mark.parametrize("closed", [[0, 1, 2], [1], [0, 2]], ids=str)
def test_without_standard_streams(script, door, tmp_path, closed):
    server = door()
    prefix = ["sh", "-c", f"exec \"$@\" {' '.join(f'{n}>&-' for n in closed)}", "sh"]
    started = script("""
        local ws = tidewire.connect(arg[1])
        print "of the script"
        tidewire.log.error "of the log"
        io.stderr:write "of the script"
        ws:send(tostring(io.read "a"))
    """, server.url(), prefix=prefix)
    guest = server.open()
    assert guest.message() == ("nil" if 0 in closed else "")  # and nothing else has come over its socket
    guest.expect_close(1001, "going away")
    status, lines = started.end()
    assert (status, lines) == ((1, []) if 1 in closed else (0, ["of the script"]))
    if 2 not in closed:
        assert "cannot write to stdout" in started.stderr.text()


def test_the_prelude_is_two_lines():
    assert PRELUDE.count("\n") == 2  # the places of errors in these tests count on it
