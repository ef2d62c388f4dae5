"""tidewire.connect: both styles, the events and their order, the ends, and connections of an app."""

import contextlib
import pathlib
import subprocess
import threading

import pytest
from client import echo, handshake_answer, quiet
from live import wait_until
from peer import BINARY, CLOSE, PATIENCE, PING, PONG, TEXT, close_payload, frame
from tidewire import binary

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "client.lua"

# --- the two styles -------------------------------------------------------------------------------

@pytest.mark.parametrize("compression", ["false", "true", "{ takeover = true, window_bits = 9 }"])
def test_echo_straight(run, serve_websockets, compression):
    server = serve_websockets(echo, max_size=None)
    assert run(f"""
        local ws = assert(tidewire.connect(arg[1], {{ compression = {compression}, limits = {{ message = "4 MiB" }} }}))
        local noise = {{}} -- so that the ratio of compression is an ordinary one
        for i = 1, 20000 do noise[i] = math.random(0, 9) end
        noise = table.concat(noise)
        for _, n in ipairs {{ 0, 1, 125, 126, 65535, 65536, 1 << 20, 4 << 20 }} do
            local text = noise:rep(n // #noise + 1):sub(1, n)
            assert(ws:send(text))
            local data, kind = ws:receive()
            assert(data == text and kind == "text", n)
            assert(ws:send(text, "binary"))
            data, kind = ws:receive()
            assert(data == text and kind == "binary", n)
        end
        ws:close(4000, "bye")
        show(ws:receive())
        show(ws.ready_state)
    """, f"ws://127.0.0.1:{server.port}/").lines() == ["nil|closed", "closing"]


def test_echo_with_a_handler(run, serve_websockets):
    server = serve_websockets(echo)
    assert run("""
        local over
        local ws = tidewire.connect(arg[1], { handler = {
            open = function(ws) show("open", ws.ready_state) ws:send "1" end,
            message = function(ws, data, kind)
                show("message", data, kind)
                if data == "3" then return ws:close(4001, "bye") end
                ws:send(tostring(data + 1), kind == "text" and "binary" or "text")
            end,
            close = function(ws, ...) show("close", ...) over = true end,
        } })
        show("connected", ws.ready_state)
        while not over do tidewire.sleep(0.01) end
    """, f"ws://127.0.0.1:{server.port}/").lines() == [
        "open|open", "connected|open", "message|1|text", "message|2|binary", "message|3|text", "close|4001|bye|true"]


def test_run_of_a_handler(run, door):
    server = door()
    started = run("""
        local over
        tidewire.connect(arg[1], { handler = {
            run = function(ws) for data in ws:messages() do show(data) if data == "b" then break end end show "ran" end,
            close = function(ws, ...) show("close", ...) over = true end,
        } })
        while not over do tidewire.sleep(0.01) end
    """, server.url())
    guest = server.open(behind=frame(TEXT, "a", masked=False) + frame(TEXT, "b", masked=False))
    guest.expect_close(1000)
    assert started.lines() == ["a", "b", "ran", "close|1000||true"]


def test_fields(run, door):
    server = door()
    started = run("""
        local ws = tidewire.connect(arg[1], { protocols = { "a", "b" } })
        show(ws.url == arg[1], ws.protocol, ws.response.status, ws.response.headers["x-SEEN"], ws.response.headers.none)
        show(ws.remote_address, ws.ready_state, ws.buffered_amount, ws.reconnects)
        show(ws.request, ws.params, ws.app, type(ws.state))
        ws.state.n = 1
        show(ws.state.n, tidewire.send(ws.id, "by id"), #ws.id >= 20)
        show(pcall(ws.every, ws, 1, "tick"))
        show(select(2, pcall(function() return ws.respons end)):match "did you mean `%a+`")
        show(ws:receive())
        show(ws.remote_address, ws.url == arg[1], ws.response.status)
    """, server.url("/path?q=1"))
    guest = server.open("Sec-WebSocket-Protocol: b", "X-Seen: one", "x-seen: two")
    assert guest.message() == "by id"
    guest.close(1000)
    assert guest.closing() == (1000, "")
    guest.sock.close()
    assert started.lines() == [
        "true|b|101|one, two|nil", "127.0.0.1|open|0|0", "nil|nil|nil|table", "1|true|true",
        "false|bad argument #3 to '?' (this connection has no handler with functions to name)",
        "did you mean `response`", "nil|closed|1000|", "127.0.0.1|true|101"]


def test_server_connections_have_none_of_it(live):
    server = live("""
        return { open = function(ws) note(ws.response, ws.url, ws.reconnects, ws.request.path) end }
    """)
    server.open()
    server.wait_notes("nil|nil|nil|/")


# --- messages that wait ---------------------------------------------------------------------------

def test_messages_before_a_close_wait_and_so_does_the_answer(run, door):
    server, gate = door(), door()
    started = run("""
        local ws, gate = tidewire.connect(arg[1]), tidewire.connect(arg[2])
        gate:receive()
        show(ws.ready_state, ws:receive())
        show(ws:receive())
        show(ws:send "answer")
        show(ws:receive())
        show(ws:receive())
    """, server.url(), gate.url())
    guest = server.open(behind=frame(TEXT, "one", masked=False) + frame(BINARY, "two", masked=False) +
                        frame(CLOSE, close_payload(4000, "bye"), masked=False))
    keeper = gate.open()
    for n in (b"1", b"2"):  # each a turn of the loop
        keeper.say(PING, n)
        assert keeper.frame()[1:] == (PONG, n)
    assert quiet(guest)
    keeper.say(TEXT, "go")
    assert guest.message() == "answer"
    assert guest.closing() == (4000, "")
    guest.sock.close()
    assert started.lines() == ["open|one|text", "two|binary", "true", "nil|closed|4000|bye", "nil|closed|4000|bye"]


def test_messages_outlive_the_connection(run, door):
    server, gate = door(), door()
    started = run("""
        local ws, gate = tidewire.connect(arg[1]), tidewire.connect(arg[2])
        gate:receive()
        show(ws.ready_state, ws:receive())
        show(ws:send "answer")
        show(ws:receive())
        show(ws:receive(0.01))
        show(ws.ready_state)
    """, server.url(), gate.url())
    guest = server.open(behind=frame(TEXT, "one", masked=False) + frame(TEXT, "two", masked=False))
    guest.sock.close()
    keeper = gate.open()
    for n in (b"1", b"2"):
        keeper.say(PING, n)
        keeper.frame()
    keeper.say(TEXT, "go")
    assert started.lines() == ["closed|one|text", "nil|closed", "two|text", "nil|closed|1006|", "closed"]


def test_the_limit_of_the_closing_handshake_bounds_the_wait(run, door):
    server = door()
    started = run("""
        local ws = tidewire.connect(arg[1], { limits = { close = "50 ms" } })
        while ws.ready_state ~= "closed" do tidewire.sleep(0.01) end
        show(ws:receive())
        show(ws:receive())
    """, server.url())
    guest = server.open(behind=frame(TEXT, "one", masked=False) + frame(CLOSE, close_payload(1000), masked=False))
    assert guest.rest() == b""
    assert started.lines() == ["one|text", "nil|closed|1000|"]


def test_receive_tells_how_the_connection_has_ended(run, door):
    server = door()
    started = run("""
        local lost, closed = tidewire.connect(arg[1]), tidewire.connect(arg[1])
        show(lost:receive())
        local step, of = closed:messages()
        show(step(of))
        for data in closed:messages() do show(data) end
        show(closed:receive())
        show(closed:receive(0.01))
        show(step(of))
    """, server.url())
    lost, closed = server.open(), server.open(behind=frame(TEXT, "one", masked=False))
    lost.reset()
    closed.say(TEXT, "two")
    closed.close(4000, "bye é")
    assert closed.closing() == (4000, "")
    closed.sock.close()
    assert started.lines() == ["nil|closed|1006|", "one|text", "two"] + ["nil|closed|4000|bye é"] * 3


def test_receive_tells_a_handler_how_its_connection_has_ended(live):
    server = live("""
        return { run = function(ws)
            for data in ws:messages() do note(data) end
            note(ws:receive())
        end }
    """)
    peer = server.open()
    peer.text("hi")
    peer.close(4001, "enough")
    assert peer.closing() == (4001, "")
    server.wait_notes("hi", "nil|closed|4001|enough")


def test_what_waits_is_bounded(run, door):
    server, gate = door(), door()
    started = run("""
        local ws, gate = tidewire.connect(arg[1]), tidewire.connect(arg[2])
        gate:receive() -- nobody takes anything
        local n = 0
        for data in ws:messages() do
            assert(tonumber(data:sub(1, 8)) == n, n)
            n = n + 1
        end
        show(n)
    """, server.url(), gate.url())
    guest, keeper = server.open(), gate.open()
    guest.sock.settimeout(0.5)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 2000:  # 200 MB: more than any socket takes
            whole = frame(TEXT, f"{sent:08}" + "x" * 100_000, masked=False)
            while whole:
                whole = whole[guest.sock.send(whole):]
            sent += 1
    assert sent < 2000
    guest.sock.settimeout(20)
    keeper.say(TEXT, "go")
    guest.send(whole)
    guest.close(1000)
    guest.closing()
    guest.sock.close()
    assert started.lines() == [str(sent + 1)]


def test_a_closed_coroutine_takes_no_message_with_it(run, door):
    server, gate = door(), door()
    started = run("""
        local ws, gate = tidewire.connect(arg[1]), tidewire.connect(arg[2])
        local co = coroutine.create(function()
            show "waits"
            ws:receive()
        end)
        tidewire.spawn(function() show(coroutine.resume(co)) end)
        gate:receive()
        coroutine.close(co)
        gate:send "closed"
        gate:receive()
        for _ = 1, 3 do show(ws:receive()) end
    """, server.url(), gate.url())
    guest, keeper = server.open(), gate.open()
    started.wait_line("waits")
    keeper.say(TEXT, "close it")
    assert keeper.message() == "closed"
    for word in ("one", "two", "three"):
        guest.say(TEXT, word)
    guest.say(PING)
    assert guest.frame().opcode == PONG
    keeper.say(TEXT, "go")
    for each in (guest, keeper):
        each.expect_close(1001, "going away")
    assert started.lines() == ["waits", "false|cannot resume dead coroutine", "one|text", "two|text", "three|text"]


def test_receive_times_out_and_others_go_on(run, door):
    server = door()
    started = run("""
        local ws = tidewire.connect(arg[1])
        tidewire.spawn(function() for i = 1, 3 do show("task", i) tidewire.sleep(0.001) end ws:send "ready" end)
        show(ws:receive(0.001))
        show(ws:receive())
        show(pcall(tidewire.spawn, 1))
        tidewire.spawn(function() show(pcall(ws.receive, ws)) ws:close() end)
        show(ws:receive())
    """, server.url())
    guest = server.open()
    assert guest.message() == "ready"
    guest.say(TEXT, "hi")
    guest.expect_close(1000)
    lines = started.lines()
    assert lines.index("nil|timeout") < lines.index("hi|text")
    assert "false|another coroutine is waiting in receive on this connection" in lines
    assert lines[-1] == "nil|closed|1000|"


# --- errors, ends, collection ---------------------------------------------------------------------

def test_an_error_in_a_handler_closes_that_connection(run, door):
    server = door()
    started = run("""
        local over
        tidewire.connect(arg[1], { handler = {
            message = function() error "no" end, close = function(_, ...) show("close", ...) over = true end,
        } })
        while not over do tidewire.sleep(0.01) end
    """, server.url("/path?token=secret"))
    guest = server.open()
    guest.say(TEXT, "hi")
    guest.expect_close(1011, "internal error")
    assert started.lines() == ["close|1011||true"]
    log = started.stderr.text()
    assert f"message of {server.url('/path')}" in log and "script.lua:" in log and "secret" not in log


def test_a_server_that_breaks_the_protocol(run, door):
    server = door()
    started = run("""
        local ws = tidewire.connect(arg[1])
        show(ws:receive())
    """, server.url())
    guest = server.open(behind=frame(TEXT, "masked", masked=True))
    code, _ = guest.closing()
    assert code == 1002
    guest.sock.close()
    assert started.lines() == ["nil|closed|1002|unmasked frame from a client, or masked frame from a server"]


def test_a_coroutine_that_is_closed_while_it_connects(run, door):
    server = door()
    started = run("""
        local co
        tidewire.spawn(function()
            co = coroutine.create(function() tidewire.connect(arg[1]) show "not reached" end)
            show(coroutine.resume(co))
        end)
        while not co do tidewire.sleep(0.001) end
        show(coroutine.status(co))
        show(coroutine.close(co))
        collectgarbage()
        tidewire.connect(arg[2]):receive()
    """, server.url("/a"), server.url("/b"))
    abandoned = server.guest()
    abandoned.request()
    last = server.open()  # so the coroutine is closed
    abandoned.send(handshake_answer()(abandoned))
    abandoned.expect_close(1001, "going away")
    last.close(1000)
    assert last.closing() == (1000, "")
    last.sock.close()
    assert started.lines() == ["suspended", "true", "false|cannot resume dead coroutine"]


def test_what_has_ended_is_collected(run, serve_websockets):
    async def brief(socket, *_):
        await socket.send("hi")
        await socket.close()

    server = serve_websockets(brief)
    assert run("""
        local seen = setmetatable({}, { __mode = "k" })
        local function straight()
            local ws = tidewire.connect(arg[1])
            seen[ws] = true
            ws:receive()
            ws:receive()
        end
        local function untaken() -- its message is never asked for
            local ws = tidewire.connect(arg[1], { limits = { close = 0.01 } })
            seen[ws] = true
        end
        local function handled()
            local over, ws
            local handler = { message = function() return ws end, close = function() over = ws or true end }
            ws = tidewire.connect(arg[1], { handler = handler }) -- which refers to its own ws
            seen[ws] = true
            while not over do tidewire.sleep(0.001) end
        end
        for i = 1, 20 do straight() untaken() handled() end
        local function count()
            collectgarbage()
            collectgarbage()
            local n = 0
            for _ in pairs(seen) do n = n + 1 end
            return n
        end
        local tries = 0
        while count() > 0 and tries < 500 do tidewire.sleep(0.01) tries = tries + 1 end
        show(count())
    """, f"ws://127.0.0.1:{server.port}/").lines() == ["0"]


def test_an_open_ws_that_nobody_refers_to_is_closed(run, door):
    server = door()
    started = run("""
        local function open(path) return assert(tidewire.connect(arg[1] .. path)) end
        local function forget(path, use) use(open(path)) end
        forget("sends", function(ws) ws:send "sent" end)
        forget("says-nothing", function() end)
        forget("subscribes", function(ws) ws:subscribe "news" end)
        forget("has-a-timer", function(ws) ws:after(3600, print) end)
        local kept = open "is-kept"
        tidewire.spawn(function() show(open "is-waited-on":receive()) end)
        kept:receive()
        collectgarbage()
        collectgarbage()
        tidewire.publish("news", "still here")
        for data in kept:messages() do show(data) end
    """, server.url("/"))
    guests = {}
    for _ in range(6):
        guest = server.guest()
        guests[guest.accept().split()[1]] = guest
    guests["/is-kept"].say(TEXT, "collect")
    assert guests["/sends"].message() == "sent"
    guests["/sends"].expect_close(1001, "going away")
    guests["/says-nothing"].expect_close(1001, "going away")
    assert guests["/subscribes"].message() == "still here"
    for path in ("/has-a-timer", "/is-kept", "/is-waited-on"):
        assert quiet(guests[path])
    guests["/is-waited-on"].say(TEXT, "received")
    started.wait_line("received|text")
    guests["/is-kept"].say(TEXT, "the last")
    guests["/is-kept"].close()
    for path in ("/subscribes", "/has-a-timer", "/is-waited-on"):
        guests[path].expect_close(1001, "going away")
    assert started.lines() == ["received|text", "the last"]


def test_many_at_once(run, serve_websockets):
    server = serve_websockets(echo)
    assert run("""
        local left, sum = 100, 0
        for i = 1, 100 do
            tidewire.spawn(function()
                local ws = assert(tidewire.connect(arg[1]))
                for k = 1, 5 do
                    ws:send(tostring(i * k))
                    local n = ws:receive()
                    sum = sum + n
                end
                left = left - 1
            end)
        end
        while left > 0 do tidewire.sleep(0.01) end
        show(math.tointeger(sum))
    """, f"ws://127.0.0.1:{server.port}/").lines() == ["75750"]


# --- a script that reads its input -----------------------------------------------------------------

def test_the_example_does_not_read_while_it_is_connected(door):
    """Where it reads, it answers no ping. All of the input is taken before the server answers the handshake."""
    server = door()
    lines = [str(n) * 50_000 for n in range(10)]  # more than a pipe holds
    with subprocess.Popen([binary(), "exec", str(EXAMPLE), server.url()], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
        try:
            client.stdin.write("\n".join(lines))
            client.stdin.close()
            guest = server.open()
            for line in lines:
                assert guest.message() == line
                guest.say(TEXT, line[:1])
            guest.expect_close(1000, "done")
            assert client.wait(PATIENCE) == 0
            assert client.stdout.read().split() == [line[:1] for line in lines]
        finally:
            client.kill()


# --- in an app ------------------------------------------------------------------------------------

RELAY = """
local backend
return tidewire.app {
    routes = {
        ["/"] = { message = function(ws, data)
            local up = assert(tidewire.connect(backend .. "up"))
            up:send(data)
            ws:send(up.app and up.app.state.name .. " " .. up:receive() or "?")
            up:close()
        end },
        ["/up"] = { message = function(ws, data) ws:send(data:upper()) end },
        ["/start"] = function(req) backend = req.body return "ok" end,
    },
    start = function(app) app.state.name = "relay" end,
}
"""


def test_a_handler_that_connects(live):
    server = live(RELAY)
    assert server.peer().ask("/start", method="POST", body=server.url("/").encode()).status == 200
    peer = server.open("/")
    for word in ("one", "two"):
        peer.text(word)
        assert peer.message() == f"relay {word.upper()}"


def test_a_drain_closes_clients_and_cancels_attempts(live, door):
    server, silent = door(), door()
    app = live(f"""
        return tidewire.app {{ routes = {{ ["/"] = {{ open = function() end }} }}, start = function()
            tidewire.spawn(function() note("attempt", (select(3, tidewire.connect "{silent.url()}"))) end)
            tidewire.spawn(function()
                local ws = tidewire.connect("{server.url()}", {{ reconnect = true, handler = {{
                    open = function() note "open" end, close = function(_, code) note("close", code) end }} }})
            end)
        end }}
    """)
    guest = server.open()
    silent.guest().request()
    app.wait_notes("open")
    stopping = threading.Thread(target=app.finish)
    stopping.start()
    guest.expect_close(1001, "going away")
    stopping.join(30)
    assert sorted(app.notes) == ["attempt|cancelled", "close|1001", "open"]
    wait_until(lambda: not stopping.is_alive())


def test_attempts_without_end_do_not_keep_the_process(live):
    app = live("""
        return tidewire.app { routes = { ["/"] = { open = function() end } }, start = function()
            for _ = 1, 3 do
                tidewire.spawn(function()
                    while true do
                        local _, _, code = tidewire.connect("ws://127.0.0.1:1/", { timeout = 1 })
                        if code == "cancelled" then note(code) end
                    end
                end)
            end
        end }
    """, config='{ limits = { drain = "10 min" } }')
    peer = app.open("/")
    app.process.terminate()
    assert peer.closing() == (1001, "going away")
    app.wait_notes("cancelled")
    peer.close(1001)
    assert app.wait_end() == 0
