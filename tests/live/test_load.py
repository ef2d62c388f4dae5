"""An app that loops or grows while it loads is refused, at the place where it does, whatever it catches."""

import re
import subprocess

import pytest
from inside import run_inside
from live import write_app
from tidewire import SANITIZER, binary

LATE = "still running after 0.5 s of CPU time"
GROWN = "it took more than 256 MiB of memory"
STUCK = "loading the app does not end, and cannot be interrupted"

# beyond the reach of the clock, so that memory ends first, whatever the sanitizers cost
PATIENT = "{ limits = { load = 600 } }"


def check(folder, source, config=None, files=None):
    app = write_app(folder, source, config, files)
    done = subprocess.run([binary(), "check", app], capture_output=True, text=True, timeout=120)
    assert not SANITIZER.search(done.stderr), done.stderr
    return app, done


def assert_refused(folder, source, told, line, config=None):
    """`line` is that of the source; the prelude stands above it."""
    app, done = check(folder, source, config)
    assert done.returncode == 1, done
    assert done.stderr.startswith(f"tidewire: {app}:{line + 6}: {told}\n"), done.stderr


LOOPS = {
    "loop": ("local n = 0\nwhile true do n = n + 1 end", 2),
    "pcall": ("while true do\npcall(function()\nwhile true do end end) end", 3),
    "pcall in pcall": ("pcall(pcall, pcall, function()\n"
                       "while true do pcall(function() while true do end end) end end)\nwhile true do end", 2),
    "xpcall": ("while true do xpcall(function()\nwhile true do end end, function() while true do end end) end", 2),
    "handler": ("xpcall(error, function()\nwhile true do end end)", 2),
    "coroutines": ("while true do coroutine.resume(coroutine.create(function()\nwhile true do end end)) end", 2),
    "coroutines in coroutines": ("local function nest(n)\nwhile n == 0 do end\n"
                                 "while true do pcall(coroutine.wrap(nest), n - 1) end end\nnest(5)", 2),
    "<close>": ("do local x <close> = setmetatable({}, { __close = function()\nwhile true do end end })\nend", 2),
    "close of a coroutine": ("local co = coroutine.create(function() local x <close> = setmetatable({}, { __close = "
                             "function()\nwhile true do end end }) coroutine.yield() end)\ncoroutine.resume(co)\n"
                             "while true do coroutine.close(co) end", 2),
    "callback of a C function": ("table.sort({ 1, 2, 3 }, function()\nwhile true do end end)", 2),
    "what is returned": ("return setmetatable({}, { __index = function()\nwhile true do end end })", 2),
    "check": ("return { routes = { ['/'] = print }, check = function()\nwhile true do end end }", 2),
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops(tmp_path, name):
    source, line = LOOPS[name]
    assert_refused(tmp_path, source, LATE, line)


def test_loop_in_a_module(tmp_path):
    _, done = check(tmp_path, "local a = require 'deep.a'\nreturn a", files={"deep/a.lua": "\nrepeat until false"})
    assert done.returncode == 1
    assert done.stderr.startswith(f"tidewire: {tmp_path}/deep/a.lua:2: {LATE}\n"), done.stderr
    assert "> 2 | repeat until false" in done.stderr
    assert "/app.lua:7: in main chunk" in done.stderr, "who has required it"


def test_what_closes_after_an_error_is_in_the_same_time(tmp_path):
    app, done = check(tmp_path, "local x <close> = setmetatable({}, { __close = function() while true do end end })\n"
                                "error 'first'")
    assert done.returncode == 1
    assert done.stderr.startswith(f"tidewire: {app}:8: first\n"), done.stderr


def test_the_time_is_a_setting(tmp_path):
    source = "local n = 0\nfor i = 1, 1e9 do n = n + 1 end"
    app, done = check(tmp_path, source, "{ limits = { load = '50 ms' } }")
    assert done.returncode == 1
    assert done.stderr.startswith(f"tidewire: {app}:8: still running after 0.05 s of CPU time\n"), done.stderr
    assert "`limits.load`" in done.stderr


def test_waiting_is_not_running(tmp_path):
    """0.7 s pass, in which nothing is computed."""
    _, done = check(tmp_path, "io.popen('sleep 0.7'):read('a')\nreturn { message = print }")
    assert done.returncode == 0, done


GROWTHS = {
    "table": ("local t = {}\nfor i = 1, 1e9 do t[i] = i end", 2),
    "tables": ("local t = {}\nwhile true do t = { t, {}, {} } end", 2),
    "string.rep": ("local s = 'x'\nlocal t = s:rep(1 << 30)", 2),
    "..": ("local s = 'x'\nwhile true do s = s .. s end", 2),
    "table.concat": ("local t, s = {}, ('x'):rep(1 << 20)\nfor i = 1, 500 do t[i] = s end\nt = table.concat(t)", 3),
    "pcall": ("local t = {}\nlocal function grow() while true do t[#t + 1] = {} end end\n"
              "while true do pcall(grow) end", 2),
    "coroutine": ("coroutine.wrap(function()\nlocal t = {}\nwhile true do t[#t + 1] = {} end end)()", 3),
}


@pytest.mark.parametrize("name", GROWTHS)
def test_growth(tmp_path, name):
    source, line = GROWTHS[name]
    assert_refused(tmp_path, source, GROWN, line, PATIENT)


def test_garbage_is_no_growth(tmp_path):
    """20 times 64 MiB, one after the other."""
    source = "local s\nfor i = 1, 20 do s = nil s = (tostring(i) .. 'x'):rep(1 << 24) end\nreturn { message = print }"
    _, done = check(tmp_path, source, PATIENT)
    assert done.returncode == 0, done


UNSTOPPABLE = {
    "a C function": "return (('a'):rep(100000):find('.-.-.-.-b'))",
    "a finalizer": "setmetatable({}, { __gc = function() while true do end end })\ncollectgarbage()",
    "a finalizer of what is left": "setmetatable({}, { __gc = function() while true do end end })\n"
                                   "return { message = print }",
}


@pytest.mark.parametrize("name", UNSTOPPABLE)
def test_what_nothing_can_interrupt_ends_the_process(tmp_path, name):
    _, done = check(tmp_path, UNSTOPPABLE[name])
    assert done.returncode == 1
    assert done.stderr.startswith(f"tidewire: {STUCK}"), done.stderr
    assert done.stderr.count("\n") == 1


def start(folder, source):
    app = write_app(folder, source)
    done = subprocess.run([binary(), "run", app, "--listen", "ws://127.0.0.1:0"], capture_output=True, text=True,
                          timeout=60)
    assert not SANITIZER.search(done.stderr), done.stderr
    assert done.returncode == 1 and done.stdout == "", done
    return app, done.stderr


@pytest.mark.parametrize("name", ["loop", "pcall", "check"])
def test_run_does_not_start(tmp_path, name):
    source, line = LOOPS[name]
    app, told = start(tmp_path, source)
    assert told.startswith(f"tidewire: {app}:{line + 6}: {LATE}\n"), told


def test_run_does_not_start_with_what_nothing_can_interrupt(tmp_path):
    _, told = start(tmp_path, UNSTOPPABLE["a C function"])
    # by its CPU time, or on a busy machine by the master's patience
    assert re.match(r"tidewire: the app's load (does not end, and cannot be interrupted: .*|has not ended within 10 s)\n$",
                    told), told


# --- core.limited ----------------------------------------------------------------------------------

def test_results_and_failures(tmp_path):
    shown = run_inside(tmp_path, r"""
    show { core.limited(function(...) return select("#", ...), ... end, 1, 1 << 20, "a", false) }
    local function fail(first) local second = { first } error("boom " .. #second) end
    local ok, err, traceback, frames = core.limited(fail, 1, 1 << 20, "x")
    show { ok, err, (traceback:find("in function <", 1, true)) ~= nil, frames[1].locals }
    show { select(2, core.limited(error, 1, 1 << 20, { a = 1 })) }
    show { select("#", core.limited(function() end, 1, 1 << 20)) }
    for _, arguments in ipairs { {}, { print }, { print, 0, 5 }, { print, 1, 0 }, { print, "x", 5 } } do
        show(pcall(core.limited, table.unpack(arguments)))
    end
    show { core.limited(coroutine.yield, 1, 1 << 20) }""")
    assert shown[0] == [True, 2, "a", False]
    assert shown[1][0] is False and re.search(r":\d+: boom 1$", shown[1][1])
    assert shown[1][2:] == [True, [["first", "x"], ["second", ["x"]]]]
    assert shown[2][0] == {"a": 1}
    assert shown[3] == [1]
    assert shown[4:9] == [False] * 5
    assert shown[9][:2] == [False, "attempt to yield across a C-call boundary"]


def test_limits_end_with_the_call(tmp_path):
    """What has survived it, a coroutine and its memory, is under no limit any more."""
    shown = run_inside(tmp_path, r"""
    local co
    local function loop(n) for i = 1, n do end return "ended" end
    show { core.limited(function()
        co = coroutine.create(function() coroutine.yield() return loop(3e7) end)
        coroutine.resume(co)
    end, 0.05, 1 << 20) }
    show { coroutine.resume(co) }
    local ok, err = core.limited(loop, 0.01, 1 << 20, 1e15)
    show { ok, err }
    show(loop(3e7))
    local big = {}
    show((core.limited(function() for i = 1, 1e7 do big[i] = i end end, 60, 1 << 20)))
    for i = 1, 1e6 do big[i] = i end
    show(#big >= 1e6)
    show { core.limited(loop, 60, 1 << 20, 10) }""")
    assert shown[0] == [True]
    assert shown[1] == [True, "ended"]
    assert shown[2][0] is False and "still running after 0.01 s" in shown[2][1]
    assert shown[3] == "ended"
    assert shown[4:6] == [False, True]
    assert shown[6] == [True, "ended"]


def test_limits_in_limits(tmp_path):
    """The inner one ends the inner call alone; the outer one both."""
    shown = run_inside(tmp_path, r"""
    local function loop() while true do end end
    show { core.limited(function()
        local ok, err = core.limited(loop, 0.05, 1 << 20)
        return ok, err:match("still.*"), (select(2, core.limited(string.rep, 5, 1 << 20, "x", 1 << 21)))
    end, 60, 1 << 30) }
    local ok, err = core.limited(function()
        while true do core.limited(loop, 60, 1 << 20) end
    end, 0.05, 1 << 30)
    show { ok, err:match("still.*") }
    ok, err = core.limited(function()
        while true do core.limited(string.rep, 60, 1 << 30, "x", 1 << 29) end
    end, 60, 1 << 20)
    show { ok, err:match("it took.*") }""")
    assert shown[0][:3] == [True, False, "still running after 0.05 s of CPU time"]
    assert "it took more than 1 MiB of memory" in shown[0][3]
    assert shown[1] == [False, "still running after 0.05 s of CPU time"]
    assert shown[2] == [False, "it took more than 1 MiB of memory"]


def test_limits_hold_in_coroutines_of_before(tmp_path):
    shown = run_inside(tmp_path, r"""
    local function work() for _ = 1, 1e9 do end end
    local function make(body)
        local co = coroutine.create(body)
        coroutine.resume(co)
        return co
    end
    local resumed = make(function() coroutine.yield() work() end)
    local closed = make(function()
        local guard <close> = setmetatable({}, { __close = work })
        coroutine.yield()
    end)
    for name, co in pairs { resume = resumed, close = closed } do
        local ok, err = core.limited(function() coroutine[name](co) end, 0.05, 1 << 20)
        show { ok, tostring(err):match("still.*") or "not ended" }
    end""")
    assert shown == 2 * [[False, "still running after 0.05 s of CPU time"]]


def test_sha256(tmp_path):
    shown = run_inside(tmp_path, 'show(core.sha256("")) show(core.sha256("abc")) show(core.sha256(("a"):rep(1000000)))')
    assert shown == ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                     "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"]
