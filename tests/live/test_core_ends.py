"""How tasks and generations end: cut off while they wait, after errors, in the midst of what protects calls."""

import signal

import pytest
from generations import Generations


@pytest.fixture
def server(tmp_path):
    with Generations(tmp_path) as started:
        yield started


ECHO = """return { ["/"] = { message = function(ws, data) ws:send(version .. data) end } }"""

GUARD = """local guard <close> = setmetatable({}, { __close = function() error("in the close") end })
"""

# a task of the runtime that calls code of version 1, under a name that is collected when the call is over
CALL = """core.spawn(function()
    local sweeper <close> = setmetatable({}, { __close = function() collectgarbage() collectgarbage() end })
    gens[1]:call("timer " .. tostring(1 / 7), function() BODY end)
end)"""


def test_what_is_closed_after_an_error_is_code_of_the_task(server):
    server.serve(1, """return { ["/"] = { error = print, message = function()
        local guard <close> = setmetatable({}, { __close = function()
            tidewire.spawn(function() note("spawned") while not released do tidewire.sleep(0.005) end end)
            note(select(2, pcall(tidewire.sleep, 0)))
        end })
        error("in the handler")
    end } }""")
    server.open().text("go")
    server.wait_notes("spawned", "cannot wait here: a C function or a metamethod lies between")
    [pin], total = server.do("return gens[1]:pins()")
    assert (pin["what"], total) == ("spawn", 1)
    server.serve(2, ECHO)
    assert server.roles() == {1: "old", 2: "current"}
    server.do("_G.released = true")
    server.wait_roles(v2="current")


def test_error_while_old_code_is_closed_is_told_as_its_own(server):
    server.do("core.reporter(function(where, err, _, record) note(where, err, record and record.number) end)")
    server.serve(1, f"""return {{ ["/"] = {{ run = function(ws)
        {GUARD}
        for _ in ws:messages() do end
    end }} }}""")
    server.open()
    server.serve(2, ECHO)
    server.wait_notes("run of /|v1:2: in the close|1")


def test_call_that_is_cut_off_is_told_by_its_name(server):
    server.serve(1, ECHO)
    server.do(CALL.replace("BODY", GUARD + 'note("waits") core.sleep(3600)'))
    server.wait_notes("waits")
    server.serve(2, ECHO)
    server.do("gens[1]:force()")
    server.wait_log('where="timer 0.142857')
    server.wait_roles(v2="current")


def test_call_that_yields_astray_is_told_by_its_name(server):
    server.serve(1, ECHO)
    server.do(CALL.replace("BODY", "coroutine.yield()"))
    server.wait_log('coroutine.yield outside of a coroutine of yours.* where="timer 0.142857')


def test_coroutine_that_was_cut_off_within_xpcall_is_not_used_again(server):
    deep = """return { ["/"] = { run = function(ws)
        note("run", version)
        local function descend(n)
            if n > 0 then
                local a, b, c, d = 1, 2, 3, 4
                return (descend(n - 1))
            end
            xpcall(function() ws:messages()(ws) end, function(err) note("the handler of xpcall", err) return err end)
        end
        descend(100)
        error("of version " .. version)
    end } }"""
    server.serve(1, deep)
    peer = server.open()
    server.wait_notes("run|1")
    server.serve(2, deep)
    server.wait_notes("run|2")
    peer.text("go on")
    server.wait_log("error v2:11: of version 2 ")
    assert server.notes == ["run|1", "run|2"]


def test_prepared_generation_that_is_dropped_stays_until_its_tasks_have_ended(server):
    server.serve(1, ECHO)
    server.make(2, ECHO)
    server.do("""gens[2]:call("a call", core.spawn, function()
        while not released do core.sleep(0.005) end
        note("ended")
    end)""")
    server.do("gens[2]:drop(); gens[2] = nil; collectgarbage()")
    assert server.roles() == {1: "current", 2: "old"}
    server.do("_G.released = true")
    server.wait_notes("ended")
    server.wait_roles(v1="current")
    server.make(3, ECHO)
    server.do("gens[3]:drop()")
    assert server.roles() == {1: "current"}


def test_connection_whose_state_cannot_be_migrated_does_not_hold_up_the_end(server):
    server.serve(1, """return { ["/"] = { message = function(ws) ws.state.v = 1 ws:send("kept") end } }""")
    peer, gone = server.open(), server.open()
    for each in (peer, gone):
        each.text("a")
        assert each.message() == "kept"
    server.serve(2, """return { ["/"] = { message = print, migrate = function() error("no way") end } }""",
                 state_version=2)
    for each in (peer, gone):
        each.text("b")
    server.wait_log("error .*no way", count=2)
    gone.reset()
    server.signal(signal.SIGTERM)
    assert peer.closing()[0] == 1001
    peer.close(1001)
    assert server.process.wait(20) == 0  # the time for handlers to end is 30 s
