"""Which version a message goes to: exactly one, exactly once, in order."""

import pytest
from peer import BINARY, CONTINUATION, PING, PONG, TEXT, Frame, frame, handshake, request
from reloading import echo, full, says
from swarm import Swarm

# --- many connections ------------------------------------------------------------------------------

SWARM = """
local function migrate(old) return { counted = old.counted } end
local handler = {
    upgrade = function() return { counted = 0 } end,
    message = function(ws, data)
        ws.state.counted = ws.state.counted + 1
        ws:send(("VERSION %d %s"):format(ws.state.counted, data))
    end,
    migrate = migrate,
}
return tidewire.app { routes = { ["/"] = handler }, state_version = FORM, migrate = function(old) return {} end }
"""

BROKEN = ["return {", "error 'not today'", "return { mesage = 1 }", "require 'nothing'",
          "local tidewire = require 'tidewire' tidewire.publish('a', 'b')"]


def swarm_of(version, form=1):
    return SWARM.replace("VERSION", str(version)).replace("FORM", str(form))


@pytest.mark.parametrize("every", [0, 4], ids=["swaps", "every fourth migrates"])
def test_10000_echo_connections_with_numbered_messages_over_100_reloads(app, workers, every):
    """Nothing lost, doubled, reordered or closed. In the everyday suite 200 connections and 20 reloads."""
    size, reloads = (10000, 100) if full() else (200, 20)
    server = app(swarm_of(1), workers=workers)
    version = form = 1
    with Swarm(server.urls[0], size, depth=1 if full() else 3, pace=0.02) as swarm:
        swarm.wait_answers()
        for n in range(1, reloads + 1):
            if n % 10 == 5:
                server.write("app.lua", BROKEN[n // 10 % len(BROKEN)])
                assert server.ask("reload")["ok"] is False
                swarm.wait_answers()
                continue
            version += 1
            form += 1 if every and n % every == 0 else 0
            server.write("app.lua", swarm_of(version, form))
            answer = server.reload()
            assert (answer["version"], answer["connections"]) == (version, size)
            swarm.wait_version(version)
        answers = swarm.finish()
        print(f"{answers} answers, the version {version}")
    assert answers >= size * reloads
    assert server.code()["version"] == version == reloads - reloads // 10 + 1


# --- the boundary ----------------------------------------------------------------------------------

def settle(peer):
    """Waits until all that was sent has been read."""
    peer.send(frame(PING, "read?"))
    assert peer.frame() == Frame(True, PONG, b"read?")


def test_reload_in_mid_fragment(app, workers):
    """The message is the newer version's, whole: it is complete only then."""
    server = app(echo("one"), workers=workers)
    peers = server.open_on_each()
    for peer in peers:
        peer.send(frame(TEXT, "before ", fin=False))
        settle(peer)
    server.write("app.lua", echo("two"))
    server.reload()
    for peer in peers:
        peer.send(frame(CONTINUATION, "between ", fin=False))
        settle(peer)
    server.write("app.lua", echo("three"))
    server.reload()
    for peer in peers:
        peer.send(frame(CONTINUATION, "after"))
        assert peer.message() == "three before between after"
        assert says(peer, "next") == "three next"


def test_reload_in_mid_frame(app, workers):
    server = app(echo("one"), workers=workers)
    peers = server.open_on_each()
    whole = frame(TEXT, "a message in two parts")
    for peer in peers:
        assert says(peer, "first") == "one first"
        peer.send(frame(PING, "read?") + whole[:9])
        assert peer.frame() == Frame(True, PONG, b"read?")
    server.write("app.lua", echo("two"))
    server.reload()
    for peer in peers:
        peer.send(whole[9:] + frame(BINARY, "and next"))
        assert peer.message() == "two a message in two parts"
        assert peer.message() == "two and next"


SLOW = """
local gate, note = require "gate", require "note"
return {
    message = function(ws, data)
        note("VERSION begins", data)
        if data == "wait" then gate(ws.app, "gate") end
        if data == "raise" then gate(ws.app, "gate") error "raised on purpose" end
        ws:send("VERSION " .. data)
    end,
    error = function(ws) ws:send "VERSION error" end,
    close = function() note("VERSION closed") end,
}
"""


def slow(version):
    return SLOW.replace("VERSION", version)


def test_handler_suspended_in_a_sleep(app, workers):
    """It ends in the version in which it began; what has come meanwhile is the newer one's."""
    server = app(slow("one"), workers=workers)
    peers, others = server.open_on_each(), server.open_on_each()
    for peer in peers:
        peer.text("wait")
    server.wait_notes(*["one begins|wait"] * workers)
    for peer in peers:
        peer.text("queued")
        settle(peer)
    server.write("app.lua", slow("two"))
    server.reload()
    assert [says(peer, "hi") for peer in others] == ["two hi"] * workers
    for worker in range(workers):
        generations = server.generations(worker)
        assert {v: g["role"] for v, g in generations.items()} == {1: "kept", 2: "current"}
        assert generations[1]["tasks"] == 1
    server.open_gate()
    for peer in peers:
        assert [peer.message(), peer.message()] == ["one wait", "two queued"]
    notes = server.finish()
    assert notes.count("one begins|wait") == workers and notes.count("two begins|queued") == workers
    assert notes.count("two closed") == 2 * workers and notes.count("one closed") == server.spare


def test_handler_that_raises_is_never_replayed(app, workers):
    server = app(slow("one"), workers=workers)
    peers = server.open_on_each()
    for peer in peers:
        peer.text("raise")
    server.wait_notes(*["one begins|raise"] * workers)
    server.write("app.lua", slow("two"))
    server.reload()
    server.open_gate()
    for peer in peers:
        assert peer.message() == "one error", "it is the version's own error callback"
        assert says(peer, "next") == "two next"
    notes = server.finish()
    assert notes.count("one begins|raise") == workers and "two begins|raise" not in notes


# --- coroutines ------------------------------------------------------------------------------------

LOOP = """
local note, gate = require "note", require "gate"
return {
    run = function(ws)
        note("VERSION runs", ws.resumed)
        local guard <close> = setmetatable({}, { __close = function() note("VERSION leaves") end })
        for data in ws:messages() do
            if data == "wait" then note("waiting") gate(ws.app, "gate") end
            ws:send("VERSION " .. data)
        end
        note("VERSION ends")
    end,
}
"""


def loop(version):
    return LOOP.replace("VERSION", version)


def test_messages_loop_with_close(app, workers):
    server = app(loop("one"), workers=workers)
    idle, busy = server.open_on_each(), server.open_on_each()
    spare_of_one = server.spare
    for peer in busy:
        assert says(peer, "hi") == "one hi"
        peer.text("wait")
        peer.text("queued")
    server.wait_notes(*["one runs|false"] * 2 * workers, *["waiting"] * workers)
    server.write("app.lua", loop("two"))
    server.reload()
    # those who wait for a message are exchanged without one
    server.wait_notes(*["one leaves"] * workers, *["two runs|true"] * workers)
    assert [says(peer, "hi") for peer in idle] == ["two hi"] * workers
    server.open_gate()
    for peer in busy:
        assert [peer.message(), peer.message()] == ["one wait", "two queued"]
    server.wait_notes(*["one leaves"] * 2 * workers, *["two runs|true"] * 2 * workers)
    server.write("app.lua", loop("three"))
    server.reload()
    for peer in idle + busy:
        assert says(peer, "ho") == "three ho"
        peer.end()
    late = server.open_on_each()
    assert [says(peer, "hi") for peer in late] == ["three hi"] * workers
    notes = server.finish()
    assert notes.count("three runs|true") == 2 * workers
    assert notes.count("three runs|false") == workers + server.spare - spare_of_one
    assert notes.count("two leaves") == 2 * workers
    assert sum(note.endswith("leaves") for note in notes) == sum("runs|" in note for note in notes)
    assert notes.count("one ends") == spare_of_one and "two ends" not in notes, "what was closed does not go on"


def test_close_that_raises_in_a_messages_loop(app):
    server = app(loop("one").replace('note("one leaves")', 'error "left badly"'))
    peer = server.open()
    assert says(peer, "hi") == "one hi"
    server.write("app.lua", loop("two"))
    server.reload()
    assert says(peer, "hi") == "two hi", "the connection is none the worse"
    server.wait_log("left badly")


DIALOGUE = """
return {
    run = function(ws)
        while true do
            ws:send "VERSION: name?"
            local name = ws:receive()
            if not name then return end
            ws:send("VERSION: age of " .. name .. "?")
            local age = ws:receive()
            if not age then return end
            ws:send("VERSION: " .. name .. " is " .. age)
            if age == "7" then break end
        end
        for data in ws:messages() do ws:send("VERSION " .. data) end
    end,
}
"""


def test_two_step_receive_dialogue_survives(app, workers):
    server = app(DIALOGUE.replace("VERSION", "one"), workers=workers)
    peers = server.open_on_each()
    for peer in peers:
        assert peer.message() == "one: name?"
        assert says(peer, "Ada") == "one: age of Ada?"
    server.write("app.lua", DIALOGUE.replace("VERSION", "two"))
    server.reload()
    for peer in peers:
        assert says(peer, "36") == "one: Ada is 36", "it ends in the version in which it began"
        assert peer.message() == "one: name?", "and there is no reload point in it"
        assert says(peer, "Bob") == "one: age of Bob?"
        assert says(peer, "7") == "one: Bob is 7"
        assert peer.message() == "two: name?", "but here is one"
        assert says(peer, "Eve") == "two: age of Eve?"
    assert server.generations()[1]["tasks"] == 0


def test_receive_in_a_message_handler(app, workers):
    source = """
    return { message = function(ws, data)
        if data == "ask" then
            ws:send "VERSION: what?"
            data = data .. ws:receive()
        end
        ws:send("VERSION " .. data)
    end }
    """
    server = app(source.replace("VERSION", "one"), workers=workers)
    peers = server.open_on_each()
    assert [says(peer, "ask") for peer in peers] == ["one: what?"] * workers
    server.write("app.lua", source.replace("VERSION", "two"))
    server.reload()
    for peer in peers:
        peer.text("this")
        peer.text("that")
        assert [peer.message(), peer.message()] == ["one askthis", "two that"]


# --- requests --------------------------------------------------------------------------------------

REQUESTS = """
local gate, note = require "gate", require "note"
local handler = {
    upgrade = function(req)
        note("VERSION upgrade")
        if req.query.wait then gate(req.app, "gate") end
        return { from = "VERSION" }
    end,
    open = function(ws) ws:send("VERSION open, upgraded by " .. ws.state.from) end,
    message = function(ws, data) ws:send("VERSION " .. data) end,
}
return tidewire.app { routes = {
    ["/"] = handler,
    ["/hello"] = function(req)
        note("VERSION request")
        if req.query.wait then gate(req.app, "gate") end
        return 200, "VERSION"
    end,
} }
"""


def test_requests_and_upgrades_that_wait_during_a_reload(app):
    server = app(REQUESTS.replace("VERSION", "one"))
    asking, upgrading = server.peer(), server.peer()
    asking.send(request("/hello?wait=1"))
    upgrading.send(handshake("/?wait=1"))
    server.wait_notes("one request", "one upgrade")
    server.write("app.lua", REQUESTS.replace("VERSION", "two"))
    server.reload()
    assert server.peer().ask("/hello").body == b"two"
    server.open_gate()
    assert asking.answer().body == b"one"
    assert asking.ask("/hello").body == b"two", "the next request on the same connection"
    assert upgrading.answer().status == 101
    assert upgrading.message() == "two open, upgraded by one"
    assert says(upgrading, "hi") == "two hi"


# --- the judge -------------------------------------------------------------------------------------

MISBEHAVIOUR = {  # and what is said of it
    "lost": ("if n == 5 then return end", "expected the answer to 5, got"),
    "doubled": ("if n == 5 then answer() end", "expected the answer to 6, got"),
    "reordered": ("if n == 5 then late = data return elseif n == 6 then answer() data = late end", "the answer to 5"),
    "closed": ("if n == 5 then ws:close() return end", "no short text message|closed after 4 answers"),
    "an older version": ("if n == 5 then version = 0 end", "version 0 after 1"),
    "state lost": ("if n == 5 then n = 1 end", "has counted 1 of 5"),
    "nothing": ("", None),
}


@pytest.mark.parametrize("what", MISBEHAVIOUR)
def test_the_swarm_notices(app, what):
    code, said = MISBEHAVIOUR[what]
    server = app("""
    local late
    return { message = function(ws, data)
        ws.state.n = (ws.state.n or 0) + 1
        local n, version = ws.state.n, 1
        local function answer() ws:send(("%d %d %s"):format(version, n, data)) end
        MISBEHAVIOUR
        answer()
    end }
    """.replace("MISBEHAVIOUR", code))
    with Swarm(server.urls[0], 3) as swarm:
        if not said:
            swarm.wait_answers(20)
            assert swarm.finish() >= 60
        else:
            with pytest.raises(AssertionError, match=said):
                swarm.wait_answers(20)
