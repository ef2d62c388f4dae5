"""Waiting: sleep, spawn, coroutines of the app's own, and where waiting is not possible."""

import subprocess

import pytest
from live import write_app
from peer import TEXT, frame
from tidewire import binary


def test_order_of_one_connection_and_freedom_of_others(live):
    server = live("""
    return { message = function(ws, data)
        if data == "slow" then note("slow") ws:receive() ws:send("slow done") else ws:send(data) end
    end }""")
    slow, fast = server.open(), server.open()
    slow.text("slow")
    server.wait_notes("slow")
    for i in range(50):
        fast.text(str(i))
        assert fast.message() == str(i)
    slow.send(frame(TEXT, "go on") + frame(TEXT, "after"))
    assert [slow.message(), slow.message()] == ["slow done", "after"]


def test_ten_thousand_messages_behind_a_handler_that_sleeps(live):
    server = live("""
    local expected = 0
    return { message = function(ws, data)
        if data == "0" then tidewire.sleep(0.3) end
        if tonumber(data) ~= expected then note("wrong", data, expected) end
        expected = expected + 1
        if expected == 10000 then ws:send("all") end
    end }""")
    peer = server.open()
    peer.send(b"".join(frame(TEXT, str(i)) for i in range(10000)))
    assert peer.message() == "all"
    peer.end()
    assert server.finish() == []


def test_reading_pauses_while_a_handler_is_suspended(live):
    server = live("""
    local go = false
    return { message = function(ws, data)
        if data == "go" then go = true return end
        while not go do tidewire.sleep(0.01) end
        ws.state.n = (ws.state.n or 0) + 1
        if ws.state.n == 200 then ws:send("all") end
    end }""")
    peer, other = server.open(), server.open()
    peer.sock.setblocking(False)
    whole = frame(TEXT, "x" * 100000) * 200
    sent = 0
    try:
        while sent < len(whole):
            sent += peer.sock.send(whole[sent:sent + 200000])
    except BlockingIOError:
        pass
    assert sent < len(whole), "the server took in all of it"
    other.text("go")
    peer.sock.settimeout(20)
    peer.send(whole[sent:])
    assert peer.message() == "all"


WAITS = {
    "in a generator": """
        local function items() return coroutine.wrap(function()
            for i = 1, 3 do tidewire.sleep(0.001) coroutine.yield(i) tidewire.sleep(0.001) end
        end) end
        local sum = 0
        for i in items() do tidewire.sleep(0.001) sum = sum + i end
        return sum""",
    "in generators within generators": """
        local function deep(n) return coroutine.wrap(function()
            if n == 0 then tidewire.sleep(0.001) coroutine.yield(6) else
                for v in deep(n - 1) do tidewire.sleep(0.001) coroutine.yield(v) end
            end
        end) end
        local sum = 0
        for v in deep(20) do sum = sum + v end
        return sum""",
    "in coroutine.resume": """
        local co = coroutine.create(function(a) tidewire.sleep(0.001) local b = coroutine.yield(a + 1) tidewire.sleep(0.001) return b end)
        local _, x = coroutine.resume(co, 1)
        local _, y = coroutine.resume(co, 4)
        return x + y == 6 and coroutine.status(co) == "dead" and 6""",
    "across pcall": "local ok, v = pcall(function() tidewire.sleep(0.001) return 6 end) return ok and v",
    "across xpcall": """
        local ok, v = xpcall(function() tidewire.sleep(0.001) error("x", 0) end, function(e) return e .. "y" end)
        return not ok and v == "xy" and 6""",
    "error in a generator": """
        local g = coroutine.wrap(function() tidewire.sleep(0.001) error("boom", 0) end)
        local ok, v = pcall(g)
        return not ok and v == "boom" and 6""",
    "in an iterator": """
        local function step(_, i) tidewire.sleep(0.001) if i < 3 then return i + 1 end end
        local sum = 0
        for i in step, nil, 0 do sum = sum + i end
        return sum""",
    "in a to-be-closed variable": """
        local out = 0
        do local _ <close> = setmetatable({}, { __close = function() tidewire.sleep(0.001) out = 6 end }) end
        return out""",
    "in __index as a function of Lua": "return setmetatable({}, { __index = function() tidewire.sleep(0.001) return 6 end }).x",
    "after an inner coroutine was given up": """
        local co = coroutine.create(function() tidewire.sleep(60) end)
        local t = tidewire.spawn(function() coroutine.resume(co) end)
        tidewire.sleep(0.01)
        local ok = coroutine.resume(co)
        coroutine.close(co)
        tidewire.sleep(0.01)
        return ok == false and 6""",
}


@pytest.mark.parametrize("how", WAITS)
def test_waiting(live, how):
    server = live("return { message = function(ws) ws:send(tostring((function() %s end)())) end }" % WAITS[how])
    peer = server.open()
    for _ in range(3):
        peer.text("go")
        assert peer.message() == "6"
    peer.end()


@pytest.mark.parametrize("where, told", [
    ("table.sort({ 1, 2, 3 }, function(a, b) tidewire.sleep(0.01) return a < b end)", "cannot wait here"),
    ("string.gsub('x', 'x', function() tidewire.sleep(0.01) end)", "cannot wait here"),
    ("tostring(setmetatable({}, { __tostring = function() ws:receive() return '' end }))", "cannot wait here"),
    ("coroutine.wrap(function() string.gsub('x', 'x', function() tidewire.sleep(0.01) end) end)()", "cannot wait here"),
    ("string.gsub('x', 'x', function() coroutine.wrap(function() tidewire.sleep(0.01) end)() end)", "cannot wait here"),
    ("coroutine.yield()", "coroutine.yield outside of a coroutine of yours"),
    ("coroutine.yield(1, 2, 3)", "coroutine.yield outside of a coroutine of yours"),
    ("pcall(coroutine.yield)", "coroutine.yield outside of a coroutine of yours"),
])
def test_where_waiting_is_not_possible(live, where, told):
    server = live("return { message = function(ws) %s ws:send('done') end }" % where)
    for _ in range(2):
        peer = server.open()
        peer.text("go")
        assert peer.closing() == (1011, "internal error")
    assert all(told in m.string for m in server.wait_log(" error ", count=2))


@pytest.mark.parametrize("call", [
    "tidewire.sleep(1)", "tidewire.spawn(print)", "tidewire.after(1, print)", "tidewire.publish('a', 'b')",
    "tidewire.send('a', 'b')", "pcall(tidewire.sleep, 1) tidewire.sleep(1)",
    "coroutine.wrap(function() tidewire.sleep(1) end)()",
])
@pytest.mark.parametrize("command", ["check", "run"])
def test_acting_while_the_app_loads_is_an_error(tmp_path, command, call):
    app = write_app(tmp_path, f"{call} return {{ message = print }}")
    args = ["--listen", "ws://127.0.0.1:0"] if command == "run" else []
    done = subprocess.run([binary(), command, app, *args], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and done.stdout == ""
    assert f"{app}:7: " in done.stderr and "is not allowed while the app loads" in done.stderr


def test_start_may_wait_and_act(live):
    server = live("""
    return tidewire.app {
        routes = { ["/"] = function(req) return tostring(req.app.state.ready) end },
        start = function(app)
            tidewire.spawn(function() note("spawned") end)
            tidewire.sleep(0.05)
            tidewire.publish("a", "b")
            app.state.ready = true
        end,
        stop = function(app) tidewire.sleep(0.02) note("stopped", app.state.ready) end,
    }""")
    assert server.peer().ask().body == b"true"
    assert server.finish() == ["spawned", "stopped|true"]


def test_spawn_passes_arguments_and_tells_errors(live):
    server = live("""
    return { open = function(ws)
        tidewire.spawn(function(...) note("spawned", select("#", ...), ...) end, 1, nil, "x", nil)
        note("first")
        tidewire.spawn(function() tidewire.sleep(0.001) error("in a task") end)
        tidewire.spawn(coroutine.yield, 1)
        for i = 1, 1000 do tidewire.spawn(function() tidewire.sleep(0.001) ws.state.n = (ws.state.n or 0) + 1
            if ws.state.n == 1000 then ws:send("all") end end) end
    end }""")
    peer = server.open()
    assert peer.message() == "all"
    assert server.wait_log(r"in a task.*where=spawn")
    assert server.wait_log(r"coroutine\.yield outside.*where=spawn")
    assert server.finish() == ["first", "spawned|4|1|nil|x|nil"]


def test_tasks_own_coroutine_cannot_be_resumed_by_another(live):
    server = live("""
    local saved
    return {
        open = function(ws)
            if ws.request.query.first then saved = coroutine.running() tidewire.sleep(0.05) ws:send("slept") return end
            ws:send(tostring((coroutine.resume(saved))))
            ws:send(tostring((pcall(coroutine.close, saved))))
            tidewire.spawn(function() note(coroutine.resume(saved)) end)
        end,
    }""")
    first = server.open("/?first")
    second = server.open()
    assert second.message() == "false"
    second.message()
    second.end()
    server.open().end()


def test_tasks_own_coroutine_cannot_be_closed_by_another(live):
    server = live("""
    local saved
    return {
        open = function(ws)
            if ws.request.query.first then
                saved = coroutine.running()
                note("waits")
                tidewire.sleep(0.1)
                ws:send("slept")
                return
            end
            ws:send(tostring(select(2, pcall(coroutine.close, saved))))
            ws:send(coroutine.status(saved))
        end,
    }""")
    first = server.open("/?first")
    server.wait_notes("waits")
    second = server.open()
    assert "the coroutine of a handler cannot be closed" in second.message()
    assert second.message() == "suspended"
    assert first.message() == "slept"


def test_handlers_that_never_end_do_not_keep_the_server(live):
    server = live("""
    return {
        message = function(ws, data) note("in", data) tidewire.sleep(1000) end,
        close = function() tidewire.sleep(1000) end,
    }""", config="{ limits = { drain = 1, close = 0.2 } }")
    peers = [server.open() for _ in range(3)]
    for peer in peers:
        peer.text("x")
    server.wait_notes(*["in|x"] * 3)
    peers[0].reset()
    peers[1].close(1000)
    server.finish()


def test_close_that_waits_is_finished_before_the_server_ends(live):
    server = live("""
    return {
        message = print,
        close = function(ws, code) note("close", code) tidewire.sleep(0.1) note("saved") end,
    }""")
    peer = server.open()
    server.signal(15)
    assert peer.closing()[0] == 1001
    peer.close(1001)
    assert peer.rest() == b""
    assert server.wait_end() == 0
    assert server.notes == ["close|1001", "saved"]
