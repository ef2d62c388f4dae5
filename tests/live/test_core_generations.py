"""Generations of an app in one worker, without the rest of a reload: which code gets what, and what becomes of old ones."""

import pytest
from generations import Generations
from peer import PING, PONG, TEXT, frame


@pytest.fixture
def server(tmp_path):
    with Generations(tmp_path) as started:
        yield started


ECHO = """return { ["/"] = { message = function(ws, data) ws:send(version .. data) end } }"""


def says(peer, text):
    peer.text(text)
    return peer.message()


def test_next_message_goes_to_the_new_code(server):
    server.serve(1, ECHO)
    peer = server.open()
    assert says(peer, "a") == "1a"
    server.serve(2, ECHO)
    assert says(peer, "b") == "2b"
    assert says(server.open(), "c") == "2c"
    server.wait_roles(v2="current")
    assert server.do("return { gens[1].role, gens[1].handled, gens[2].handled }") == ["gone", 1, 2]


# --- what is under way ----------------------------------------------------------------------------

SLEEPER = """return { ["/"] = { message = function(ws, data)
    if data == "wait" then
        note("waits", version)
        while not released do tidewire.sleep(0.005) end
    end
    ws:send(version .. data)
end } }"""


def test_suspended_handler_ends_in_its_own_code(server):
    server.serve(1, SLEEPER)
    slow, other = server.open(), server.open()
    slow.text("wait")
    server.wait_notes("waits|1")
    server.serve(2, ECHO)
    slow.text("next")
    assert says(other, "a") == "2a"
    assert server.roles() == {1: "old", 2: "current"}
    [pin], total = server.do("return gens[1]:pins()")
    assert total == 1 and pin["kind"] == "handler" and pin["what"] == "message of /" and pin["where"] == "v1:4", pin
    assert pin["seconds"] >= 0 and pin["id"]
    server.do("_G.released = true")
    assert [slow.message(), slow.message()] == ["1wait", "2next"]
    server.wait_roles(v2="current")


def test_what_is_spawned_or_timed_pins_its_generation(server):
    server.serve(1, """
    return { ["/"] = { message = function(ws, data)
        tidewire.spawn(function() while not released do tidewire.sleep(0.005) end note("spawned", version) end)
        rawset(_G, "timer", tidewire.after(3600, print))
        ws:after(3600, function() end)
        ws:send("set")
    end } }""")
    assert says(server.open(), "go") == "set"
    server.serve(2, ECHO)
    pins, total = server.do("return gens[1]:pins()")
    assert total == 3
    assert sorted((pin["kind"], pin["what"]) for pin in pins) == [
        ("task", "spawn"), ("timer", "after"), ("timer", "after")]
    server.do("_G.released = true; timer:cancel()")
    server.wait_notes("spawned|1")
    assert server.do("return gens[1]:pins()")[1] == 1
    assert server.roles() == {1: "old", 2: "current"}
    server.peers[0].end()
    server.wait_roles(v2="current")


def test_upgrade_that_waits_while_another_generation_comes(server):
    server.serve(1, """return { ["/"] = {
        upgrade = function() note("waits") while not released do tidewire.sleep(0.005) end return { by = version } end,
        open = function() note("open", version) end,
        message = function() end,
    } }""")
    peer = server.peer()
    peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    server.wait_notes("waits")
    server.serve(2, """return { ["/"] = {
        open = function(ws) note("open", version, ws.state.by) end,
        message = function(ws, data) ws:send(version .. data) end,
    } }""")
    server.do("_G.released = true")
    assert peer.answer().status == 101
    server.wait_notes("open|2|1")
    assert says(peer, "a") == "2a"
    server.wait_roles(v2="current")


def test_route_that_is_gone_keeps_its_code_until_it_comes_back(server):
    server.serve(1, """return { ["/a/:x"] = { protocols = { "p" }, message = function(ws, data)
        ws:send(version .. data .. ws.params.x .. ws.protocol) end, close = function() note("closed", version) end } }""")
    peer = server.peer()
    peer.upgrade("/a/b", fields=["Sec-WebSocket-Protocol: p"])
    server.serve(2, """return { ["/a/:x"] = function(req) req:respond(200, {}, "plain " .. req.params.x) end }""")
    assert says(peer, "a") == "1abp"
    assert server.peer().ask("/a/c").body == b"plain c"
    assert server.do("return gens[1].connections, gens[2].connections") == [1, 0]
    [pin], _ = server.do("return gens[1]:pins()")
    assert (pin["kind"], pin["what"]) == ("connection", "/a/:x")
    server.serve(3, """return { ["/a/:x"] = { message = function(ws, data)
        ws:send(version .. data .. ws.params.x .. ws.protocol) end } }""")
    assert says(peer, "a") == "3abp"
    server.wait_roles(v3="current")
    peer.end()


# --- handler.run ----------------------------------------------------------------------------------

RUN = """return { ["/"] = {
    run = function(ws)
        local guard <close> = setmetatable({}, { __close = function()
            note("closed", version)
            if fails then error("in the close") end
        end })
        note("run", version, ws.resumed)
        for data in ws:messages() do
            if data == "ask" then
                ws:send(version .. "?")
                ws:send(version .. (ws:receive() or "nothing"))
            elseif data == "wait" then
                note("waits")
                while not released do tidewire.sleep(0.005) end
                ws:send(version .. "waited")
            else
                ws:send(version .. data)
            end
        end
        note("over", version)
    end,
    close = function() note("close", version) end,
} }"""


def test_parked_coroutine_is_begun_anew(server):
    server.serve(1, RUN)
    peer, idle = server.open(), server.open()
    assert says(peer, "a") == "1a"
    server.serve(2, RUN)
    server.wait_notes("closed|1", "closed|1", "run|2|true", "run|2|true")
    server.wait_roles(v2="current")
    assert says(peer, "b") == "2b"
    assert says(idle, "c") == "2c"
    for each in (peer, idle):
        each.end()
    server.wait_notes("over|2", "over|2", "close|2", "close|2")
    assert sorted(server.notes) == sorted(2 * ["run|1|false", "closed|1", "run|2|true", "over|2", "closed|2", "close|2"])


def test_error_while_a_parked_coroutine_is_closed_is_logged(server):
    server.serve(1, "fails = true\n" + RUN)
    peer = server.open()
    server.wait_notes("run|1|false")
    server.serve(2, RUN)
    server.wait_log(r'error v1:\d+: in the close where="run of /"')
    assert says(peer, "a") == "2a"


def test_dialog_in_receive_stays_with_its_code(server):
    server.serve(1, RUN)
    peer = server.open()
    assert says(peer, "ask") == "1?"
    server.serve(2, RUN)
    peer.send(frame(TEXT, "yes") + frame(TEXT, "a"))
    assert [peer.message(), peer.message()] == ["1yes", "2a"]
    server.wait_roles(v2="current")


def test_coroutine_that_comes_to_the_loop_later_is_begun_anew_there(server):
    server.serve(1, RUN)
    peer = server.open()
    peer.send(frame(TEXT, "wait") + b"".join(frame(TEXT, str(i)) for i in range(5)))
    server.wait_notes("waits")
    server.serve(2, RUN)
    server.do("_G.released = true")
    assert [peer.message() for _ in range(6)] == ["1waited"] + [f"2{i}" for i in range(5)]


def test_handler_changes_its_style_and_back(server):
    server.serve(1, ECHO)
    peer = server.open()
    assert says(peer, "a") == "1a"
    server.serve(2, RUN)
    assert says(peer, "b") == "2b"
    server.serve(3, ECHO)
    assert says(peer, "c") == "3c"
    server.wait_notes("run|2|true", "closed|2")
    server.wait_roles(v3="current")


def test_run_of_the_new_code_begins_behind_a_dialog_of_the_old(server):
    server.serve(1, """return { ["/"] = { message = function(ws) ws:send("1?") ws:send("1" .. ws:receive()) end } }""")
    peer, other = server.open(), server.open()
    assert says(peer, "ask") == "1?"
    server.serve(2, RUN)
    server.wait_notes("run|2|true")  # of the other one: all have been visited
    assert server.notes == ["run|2|true"]
    peer.send(frame(TEXT, "yes") + frame(TEXT, "a"))
    assert [peer.message(), peer.message()] == ["1yes", "2a"]
    assert says(other, "b") == "2b"
    server.wait_roles(v2="current")


def test_end_of_a_connection_whose_coroutine_is_parked_in_old_code(server):
    server.serve(1, RUN)
    peer = server.open()
    server.wait_notes("run|1|false")
    server.do(f"core.hold(true); make(2, 1, [==[{RUN}]==]):commit()")
    peer.close(1000)
    server.do("core.hold(false)")
    server.wait_notes("over|2", "close|2")
    assert server.notes == ["run|1|false", "closed|1", "run|2|true", "over|2", "closed|2", "close|2"]


# --- the barrier ----------------------------------------------------------------------------------

def test_calls_are_held_and_go_on_in_order(server):
    server.serve(1, ECHO)
    peers = [server.open() for _ in range(3)]
    request, fresh = server.peer(), server.peer()
    assert server.do("core.hold(true); return (core.quiet(1))") is True
    for peer in peers:
        peer.send(b"".join(frame(TEXT, str(i)) for i in range(200)) + frame(PING, "p"))
    for peer in peers:
        peer.sock.settimeout(0.05)
    request.send(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
    fresh.send(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    held = 0
    while held < 5:
        held = server.do("return core.hold(true)")
    for peer in peers:
        with pytest.raises(TimeoutError):
            while peer.frame().opcode == PONG:
                pass
        peer.sock.settimeout(20)
    server.serve(2, ECHO)
    server.do("core.hold(false)")
    for peer in peers:
        got = [peer.frame() for _ in range(201)]
        assert [f.payload.decode() for f in got if f.opcode == TEXT] == [f"2{i}" for i in range(200)]
    assert request.answer().status == 404
    assert fresh.answer().status == 101
    server.wait_roles(v2="current")


def test_quiet_waits_for_what_runs_and_says_what_does_not_end(server):
    server.serve(1, SLEEPER.replace('ws:send(version .. data)', 'ws:send(version .. data) if data == "wait" then'
                                    ' ws:send((ws:receive())) end'))
    peer = server.open()
    peer.text("wait")
    server.wait_notes("waits|1")
    quiet, pins, total = server.do("core.hold(true); return core.quiet(0.05)")
    assert (quiet, total, pins[0]["what"]) == (None, 1, "message of /")
    waits = server.begin("return core.quiet(20)")
    server.do("_G.released = true")
    assert peer.message() == "1wait"
    assert says(peer, "answer") == "answer"  # to a receive that was there before, in spite of the barrier
    assert waits() is True
    peer.text("held")
    while server.do("return core.hold(true)") == 0:
        pass
    server.do("core.hold(false)")
    assert peer.message() == "1held"


def test_end_during_the_barrier_is_told_once(server):
    closing = """return { ["/"] = { message = print, close = function(ws, code) note("close", version, code) end } }"""
    server.serve(1, closing)
    peer, gone = server.open(), server.open()
    server.do("core.hold(true)")
    gone.reset()
    peer.close(1000)
    while server.do("return core.hold(true)") < 2:
        pass
    assert server.notes == []
    server.serve(2, closing)
    server.do("core.hold(false)")
    server.wait_notes("close|2|1000", "close|2|1006")
    assert len(server.notes) == 2
    assert peer.closing() == (1000, "")
    server.wait_roles(v2="current")


def test_timers_of_the_app_are_held(server):
    server.serve(1, """return { ["/"] = { tick = function() note("tick", version) end, message = function(ws)
        ws:after(0.01, "tick")
        tidewire.after(0.01, function() note("after", version) end)
        note("set")
    end } }""")
    server.open().text("go")
    server.wait_notes("set")
    server.do("core.hold(true); core.sleep(0.1)")
    before = server.do("return core.hold(true)")
    assert server.notes in (["set"], ["set", "tick|1", "after|1"])  # all before the barrier, or none
    assert before in (0, 2)
    server.serve(2, """return { ["/"] = { message = print, tick = function() note("tick", version) end } }""")
    server.do("core.hold(false)")
    if before:
        server.wait_notes("after|1", "tick|2")
    server.wait_roles(v2="current")


# --- states ---------------------------------------------------------------------------------------

def stateful(body="", key="v"):
    """An app whose connections count what they have got in ws.state[key]."""
    return """
    return { ["/"] = {
        message = function(ws, data)
            if data == "list" then
                local out = {}
                for name, value in pairs(ws.state) do out[#out + 1] = name .. "=" .. tostring(value) end
                table.sort(out)
                return ws:send(version .. ":" .. table.concat(out, ","))
            elseif data == "peek" then
                return ws:send(version .. ":" .. tostring(everyone[1].state.KEY))
            end
            everyone[#everyone + 1] = ws
            ws.state.KEY = (ws.state.KEY or 0) + 1
            ws:send(version .. ":" .. ws.state.KEY)
        end,
        close = function(ws) note("close", version, ws.state.KEY) end,
        BODY
    } }""".replace("KEY", key).replace("BODY", body)


UP = """migrate = function(old, from) note("migrate", from) return { w = old.v * 10 } end,"""


@pytest.fixture
def states(server):
    server.do("_G.everyone = {}")
    server.serve(1, stateful(), state_version=1)
    return server


def test_state_migrates_at_the_first_event(states):
    peer, idle = states.open(), states.open()
    assert [says(p, "x") for p in (peer, idle, peer)] == ["1:1", "1:1", "1:2"]
    fresh = states.open()
    states.serve(2, stateful(UP, "w"), state_version=2)
    assert says(peer, "list") == "2:w=20"
    assert says(fresh, "list") == "2:"
    states.serve(3, stateful("migrate = function(old, from) return { x = from } end", "x"), state_version=4)
    assert says(peer, "list") == "3:x=2"
    assert says(idle, "list") == "3:x=1"  # from the first form at once
    idle.end()
    states.wait_notes("close|3|1")
    assert states.notes.count("migrate|1") == 1


def test_state_migrates_when_newer_code_looks_at_it(states):
    first, second = states.open(), states.open()
    assert [says(p, "x") for p in (first, second)] == ["1:1", "1:1"]
    states.serve(2, stateful(UP, "w"), state_version=2)
    assert says(second, "peek") == "2:10"
    assert [(e["version"], e["state"]) for e in states.do("""
        local out = core.json_array {}
        for i, e in ipairs(core.states(0, 10)) do out[i] = { version = e.version, state = e.state } end
        return out""")] == [(2, {"w": 10}), (2, {"w": 10})]


def test_way_back_puts_the_kept_state_back(states):
    peer, late = states.open(), states.open()
    assert [says(p, "x") for p in (peer, late)] == ["1:1", "1:1"]
    states.do("gens[1]:keep(true)")
    states.serve(2, stateful(UP, "w"), state_version=2)
    assert says(peer, "x") == "2:11"
    assert states.roles() == {1: "kept", 2: "current"}
    states.do("gens[1]:commit(); gens[1]:keep(false)")
    assert [says(p, "x") for p in (peer, late)] == ["1:2", "1:2"]
    states.wait_roles(v1="current")


def test_what_is_kept_goes_with_the_generation_that_it_is_for(states):
    peer = states.open()
    assert says(peer, "x") == "1:1"
    states.do("setmetatable(everyone[1].state, { __gc = function() note('collected') end }) gens[1]:keep(true)")
    states.serve(2, stateful(UP, "w"), state_version=2)
    assert says(peer, "list") == "2:w=10"
    states.do("collectgarbage() collectgarbage()")
    assert "collected" not in states.notes
    states.do("gens[1]:keep(false)")
    states.wait_roles(v2="current")
    states.do("collectgarbage() collectgarbage()")
    states.wait_notes("collected")


def test_downgrade_serves_changed_state(states):
    peer = states.open()
    assert says(peer, "x") == "1:1"
    states.do("gens[1]:keep(true)")
    states.serve(2, stateful(UP + "downgrade = function(state, to) return { v = state.w, to = to } end,", "w"),
                 state_version=2)
    assert says(peer, "x") == "2:11"
    fresh = states.open()
    assert says(fresh, "x") == "2:1"
    states.do("gens[1]:commit()")
    assert says(peer, "list") == "1:to=1,v=11"
    assert says(fresh, "list") == "1:to=1,v=1"
    states.wait_roles(v1="current")


def test_downgrade_of_an_idle_connection_needs_no_event(states):
    peer = states.open()
    states.do("gens[1]:keep(true)")
    states.serve(2, stateful(UP + "downgrade = function(state, to) note('down') return { v = state.w } end,", "w"),
                 state_version=2)
    assert says(peer, "x") == "2:1"
    states.do("gens[1]:commit()")
    states.wait_notes("down")
    states.wait_roles(v1="current")
    assert says(peer, "x") == "1:2"


@pytest.mark.parametrize("how", ["error('no')", "return 1", "tidewire.sleep(0)"])
def test_failed_migration_keeps_the_connection_and_its_events(states, how):
    peer, closing, other = states.open(), states.open(), states.open()
    assert [says(p, "x") for p in (peer, closing)] == ["1:1", "1:1"]
    states.do("gens[1]:keep(true)")
    states.serve(2, stateful("migrate = function(old, from) " + how + " end", "w"), state_version=2)
    peer.send(frame(TEXT, "x") + frame(TEXT, "x"))
    closing.close(1000)
    assert says(other, "x") == "2:1"
    while states.do("return gens[2].migrations_failed") < 2:
        pass
    assert says(other, "x") == "2:2"
    assert states.do("return gens[2].migrations_failed, gens[2].failed") == [2, 0]
    states.wait_log("where=\"migrate of /\"", 2)
    states.do("gens[1]:commit()")
    assert [peer.message(), peer.message()] == ["1:2", "1:3"]
    states.wait_notes("close|1|1")
    assert states.notes == ["close|1|1"]
    states.wait_roles(v1="current")


def test_failed_migration_of_a_parked_connection(server):
    server.serve(1, RUN.replace('note("run"', 'ws.state.v = 1 note("run"'))
    peer = server.open()
    server.wait_notes("run|1|false")
    server.do("gens[1]:keep(true)")
    server.serve(2, RUN.replace("run = function", "migrate = function() error('no') end, run = function"), 2)
    server.wait_log("migrate of /")
    peer.text("a")
    server.do("gens[1]:commit()")
    assert peer.message() == "1a"
    assert server.notes == ["run|1|false", "closed|1", "run|1|true"]
    server.wait_roles(v1="current")


# --- canary ---------------------------------------------------------------------------------------

def test_canary_has_its_share_and_gives_it_back(server):
    server.do("core.on_generation(function(record) pointed = record.number end)")
    app = """return { ["/"] = { message = function(ws) ws:send(version .. "," .. tostring(pointed or version)) end },
                      ["/plain"] = function(req) req:respond(200, {}, tostring(version)) end }"""
    server.serve(1, app)
    peers = [server.open() for _ in range(200)]
    server.make(2, app)
    server.do("gens[2]:commit(30)")
    answers = [says(peer, "") for peer in peers]
    assert set(answers) == {"1,1", "2,2"}  # no code runs with the other's classes
    assert 30 <= answers.count("2,2") <= 90
    assert [says(peer, "") for peer in peers] == answers
    assert server.roles() == {1: "current", 2: "canary"}
    assert server.do("return gens[1].connections, gens[2].connections") == [
        answers.count("1,1"), answers.count("2,2")]
    fresh = [server.open() for _ in range(100)]
    assert 10 <= [says(peer, "")[0] for peer in fresh].count("2") <= 55
    plain = server.peer()
    assert {plain.ask("/plain").body for _ in range(100)} == {b"1", b"2"}
    server.do("gens[2]:drop() pointed = 1")
    assert {says(peer, "") for peer in peers + fresh} == {"1,1"}
    server.wait_roles(v1="current")


def test_canary_becomes_current(server):
    server.serve(1, ECHO)
    peers = [server.open() for _ in range(50)]
    server.make(2, ECHO.replace('["/"]', '["/only"] = { message = print }, ["/"]'))
    server.do("gens[2]:commit(50)")
    only = server.peer()
    for _ in range(100):
        answer = only.ask("/only").status
        if answer == 426:
            break
    assert answer == 426
    server.do("gens[2]:commit()")
    assert {says(peer, "x") for peer in peers} == {"2x"}
    server.wait_roles(v2="current")


# --- force ----------------------------------------------------------------------------------------

def test_force_ends_what_pins(server):
    server.serve(1, """
    return { ["/"] = { message = function(ws, data)
        local guard <close> = setmetatable({}, { __close = function() note("dropped", data) end })
        note("waits", data)
        if data == "sleep" then tidewire.sleep(3600) else ws:receive() end
    end, close = function(ws, code) note("close", version, code) end },
    ["/gone"] = { message = function(ws)
        tidewire.spawn(function() tidewire.sleep(3600) end)
        tidewire.after(3600, print)
        ws:after(3600, function() end)
        note("set")
    end, close = function(ws, code) note("close", version, code) end } }""")
    peers = [server.open(), server.open(), server.open("/gone")]
    for peer, word in zip(peers, ("sleep", "receive", "x")):
        peer.text(word)
    server.wait_notes("waits|sleep", "waits|receive", "set")
    server.serve(2, """return { ["/"] = { message = print, close = function(_, code) note("close", version, code) end } }""")
    assert server.do("return select(2, gens[1]:pins())") == 6
    server.do("gens[1]:force()")
    for peer in peers:
        assert peer.closing() == (1012, "service restart")
        peer.close(1012)
        assert peer.rest() == b""
    server.wait_roles(v2="current")
    server.wait_notes("dropped|sleep", "dropped|receive", "close|2|1012", "close|2|1012", "close|1|1012")
    assert len(server.notes) == 8


def test_as_many_generations_as_may_live(server):
    for number in range(1, 6):
        server.serve(number, SLEEPER)
        peer = server.open()
        peer.text("wait")
        server.wait_notes(f"waits|{number}")
    assert server.do("return select(2, pcall(make, 6, 1, 'return {}'))").endswith("too many generations live already")
    server.do("gens[1]:force()")
    server.serve(6, ECHO)
    server.do("_G.released = true")


# --- connections that we make ---------------------------------------------------------------------

def test_module_of_a_client_follows_and_others_stay(server):
    app = """
    modules.bridge = { message = function(ws, data) note("module", version, data) end,
                       close = function() note("module closed", version) end }
    local own = { message = function(ws, data) note("own", version, data) end,
                  close = function() note("own closed", version) end }
    return { ["/"] = { message = function(ws, data)
        if data == "connect" then
            for _, handler in ipairs { modules.bridge, own } do
                assert(tidewire.connect { url = url, pattern = "there", limits = {}, timeout = 5, handler = handler, fields = {} })
            end
            return ws:send("connected")
        end
        for _, other in ipairs(others) do other:send(data) end
    end }, ["/other"] = { open = function(ws) others[#others + 1] = ws end } }"""
    server.do(f"_G.others = {{}} _G.url = {server.url('/other')!r}")
    server.serve(1, app)
    peer = server.open()
    assert says(peer, "connect") == "connected"
    peer.text("a")
    server.wait_notes("module|1|a", "own|1|a")
    server.serve(2, app)
    peer.text("b")
    server.wait_notes("module|2|b", "own|1|b")
    [pin], total = server.do("return gens[1]:pins()")
    assert (pin["kind"], pin["what"], total) == ("client", "there", 1)
    server.do("for _, ws in ipairs(others) do ws:close() end")
    server.wait_notes("module closed|2", "own closed|1")
    server.wait_roles(v2="current")


RETURNING = """
modules.bridge = {
    open = function(ws) note("open", version, ws.reconnects) end,
    message = function(ws, data) note(version, data) end,
    close = function() note("close", version) error("in close", 0) end,
}
return { ["/"] = { message = function(ws)
    assert(require("tidewire").connect(url, { handler = modules.bridge, reconnect = { min = 0.001, max = 0.002 } }))
    ws:send("connected")
end }, ["/other"] = { open = function(ws) rawset(_G, "other", ws) end } }"""


def test_client_that_comes_back_follows_its_module(server):
    server.do(f"_G.url = {server.url('/other')!r} _G.other = false")
    server.serve(1, RETURNING)
    assert says(server.open(), "") == "connected"
    server.do("_G.other:close(1012)")
    server.wait_notes("close|1", "open|1|1")  # also when `close` raises
    server.serve(2, RETURNING)
    server.wait_roles(v2="current")  # though what has made the connection was of the first one
    server.do("_G.other:send('hello')")
    server.wait_notes("2|hello")
    server.do("_G.other:close(1012)")
    server.wait_notes("close|2", "open|2|2")
    assert server.notes == ["open|1|0", "close|1", "open|1|1", "2|hello", "close|2", "open|2|2"]


def test_client_that_comes_back_during_a_barrier_waits_for_its_end(server, door):
    there = door()
    server.do(f"_G.url = {there.url()!r}")
    server.serve(1, RETURNING)
    peer = server.open()
    peer.text("")
    one = there.open()
    assert peer.message() == "connected"
    one.reset()
    server.wait_notes("close|1")
    server.do("core.hold(true)")
    two = there.open()
    while server.do("return core.hold(true)") == 0:
        pass
    assert server.notes == ["open|1|0", "close|1"]
    server.serve(2, RETURNING)
    two.say(TEXT, "hello")
    server.do("core.hold(false)")
    server.wait_notes("open|2|1", "2|hello")


def test_client_that_comes_back_while_its_module_goes_keeps_its_code(server, door):
    there = door()
    server.do(f"_G.url = {there.url()!r}")
    server.serve(1, RETURNING)
    peer = server.open()
    peer.text("")
    one = there.open()
    assert peer.message() == "connected"
    one.reset()
    guest = there.guest()  # connected, without an answer to its handshake yet
    server.serve(2, ECHO)
    assert says(peer, "a") == "2a"
    server.do("core.sleep(0.01)")
    guest.accept()
    server.wait_notes("close|1", "open|1|1")
    assert server.roles() == {1: "old", 2: "current"}


# --- calls of the runtime -------------------------------------------------------------------------

def test_call_runs_code_of_a_generation(server):
    server.serve(1, ECHO)
    assert server.do("""return gens[1]:call("start", function(a, b)
        note(gens[1].tasks, gens[1]:pins()[1].what)
        core.sleep(0.01)
        core.spawn(function() note("spawned", gens[1].tasks) end)
        return a, b
    end, 1, 2)""") == [True, 1, 2]
    server.wait_notes("1|start", "spawned|1")
    ok, err, traceback = server.do("return gens[1]:call('start', function() core.sleep(0) error('no', 0) end)")
    assert (ok, err) == (False, "no") and "in function 'error'" in traceback
    assert server.do("return gens[1].tasks, gens[1].handled, gens[1].failed") == [0, 3, 1]


# --- memory ---------------------------------------------------------------------------------------

def test_a_thousand_generations_leave_nothing_behind(server):
    server.serve(1, RUN)
    peers = [server.open() for _ in range(5)]
    server.wait_notes(*["run|1|false"] * 5)
    used, references = server.do(f"""
        local function round(first, last)
            for number = first, last do
                local former = gens[number - 1]
                gens[number - 1] = nil
                make(number, number, [==[{RUN.replace("note(", "tostring(")}]==]):commit()
                repeat core.sleep(0) until former.role == "gone"
            end
            collectgarbage() collectgarbage()
        end
        local function references()
            local n = 0
            for _ in pairs(debug.getregistry()) do n = n + 1 end
            return n
        end
        round(2, 100)
        local used, before = collectgarbage "count", references()
        round(101, 1100)
        return collectgarbage "count" - used, references() - before""")
    assert used < 20 and references <= 0, (used, references)
    for peer in peers:
        assert says(peer, "x") == "1100x"
