"""The members of ws and of its request."""

import pytest
from peer import BINARY, PING, PONG, TEXT, frame


def handler(body, more=""):
    """A handler that runs `body` for each message, with ws, data and kind."""
    return f"return {{ message = function(ws, data, kind) {body} end, {more} }}"


def test_send_of_text_and_binary(live):
    server = live(handler("note(ws:send(data)) note(ws:send(data, 'text')) note(ws:send(data, 'binary')) note(ws:send(''))"))
    peer = server.open()
    peer.text("käse")
    got = [peer.frame() for _ in range(4)]
    assert [(f.opcode, f.payload.decode()) for f in got] == [(TEXT, "käse"), (TEXT, "käse"), (BINARY, "käse"), (TEXT, "")]
    peer.end()
    assert server.finish() == ["true"] * 4


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 16383, 16384, 65535, 65536, 70000, 1048576])
def test_sizes(live, size):
    server = live(handler("ws:send(data, kind) ws:send(data, kind) ws:send('end')"))
    peer = server.open()
    payload = bytes(i * 7 % 251 for i in range(size))
    peer.send(frame(BINARY, payload))
    assert peer.frame().payload == payload
    assert peer.frame().payload == payload
    assert peer.message() == "end"
    peer.end()


@pytest.mark.parametrize("call, told", [
    ("ws:send('\\xff')", "valid UTF-8"),
    ("ws:send('\\xed\\xa0\\x80')", "valid UTF-8"),
    ("ws:send('x', 'blob')", "\"text\" or \"binary\" expected, got blob"),
    ("ws:send(nil)", "string expected, got nil"),
    ("ws:send({})", "string expected, got table"),
    ("ws.send('x', 'y')", "a ws expected, got string; call with a colon"),
    ("ws:close(999)", "close code"),
    ("ws:close(1004)", "close code"),
    ("ws:close(1005)", "close code"),
    ("ws:close(1006)", "close code"),
    ("ws:close(1015)", "close code"),
    ("ws:close(2999)", "close code"),
    ("ws:close(5000)", "close code"),
    ("ws:close(-1)", "close code"),
    ("ws:close(66536)", "close code"),
    ("ws:close('bye')", "number expected"),
    ("ws:close(1000, ('x'):rep(124))", "123 bytes"),
    ("ws:close(1000, '\\xff')", "UTF-8"),
    ("ws:ping(('x'):rep(126))", "125 bytes"),
    ("ws:subscribe('')", "topic filter expected"),
    ("ws:subscribe('a//b')", "topic filter expected"),
    ("ws:subscribe('a+')", "topic filter expected"),
    ("ws:subscribe('#/a')", "topic filter expected"),
    ("ws:subscribe(('x'):rep(256))", "topic filter expected"),
    ("ws:subscribe('a', {})", "no options"),
    ("ws:publish('a/+', 'x')", "topic expected"),
    ("ws:publish('a', '\\xff')", "valid UTF-8"),
    ("ws:publish('a', 'x', { knd = 'text' })", "unknown option"),
    ("ws:every(0, 'tick')", "above 0"),
    ("ws:every(1, 'tock')", "no function"),
    ("ws:every(1, function() end)", "name of a function"),
    ("ws:after(-1, 'tick')", "seconds"),
    ("ws:after(1, 5)", "function"),
    ("ws:receive('x')", "number expected"),
    ("ws:receive(-1)", "seconds"),
    ("local _ = ws.sned", "a ws has no `sned` (did you mean `send`?)"),
    ("local _ = ws.request.header", "a request has no `header` (did you mean `headers`?)"),
    ("ws.state = 5", "ws.state takes a table, got a number"),
    ("ws.user = 'ann'", "ws.state"),
    ("tidewire.send('x', '\\xff')", "valid UTF-8"),
])
def test_misuse_throws(live, call, told):
    source = "local ok, err = pcall(function() %s end) ws:send(tostring(ok) .. ' ' .. tostring(err))" % call
    server = live(handler(source, "tick = function() end"))
    peer = server.open()
    peer.text("go")
    answer = peer.message()
    assert answer.startswith("false ") and told in answer, answer
    peer.end()


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1014, 3000, 4999])
def test_close_codes_that_may_be_sent(live, code):
    server = live(handler("ws:close(tonumber(data), 'why') ws:close(4000) note(ws.ready_state)"))
    peer = server.open()
    peer.text(str(code))
    assert peer.closing() == (code, "why")
    peer.close(code)
    assert peer.rest() == b""
    assert server.finish() == ["closing"]


def test_ping(live):
    server = live(handler("note(ws:ping()) note(ws:ping(data))"))
    peer = server.open()
    peer.text("x" * 125)
    assert [peer.frame()[1:], peer.frame()[1:]] == [(PING, b""), (PING, b"x" * 125)]
    peer.send(frame(PONG) + frame(PONG, "unasked"))
    peer.end()
    assert server.finish() == ["true", "true"]


def test_close_of_a_paused_connection_is_clean(live):
    server = live("""
    return {
        message = function(ws) ws:pause() ws:close(4000, "enough") end,
        close = function(ws, code, reason, clean) note("close", code, reason, clean) end,
    }""")
    peer = server.open()
    peer.text("go")
    assert peer.closing() == (4000, "enough")
    peer.close(4000)
    assert peer.rest() == b""
    peer.sock.close()
    server.wait_notes("close|4000||true")


def test_pause_and_resume_lose_nothing(live):
    server = live("""
    return { message = function(ws, data)
        if data == "0" then
            ws:pause() ws:send("paused")
            tidewire.spawn(function() tidewire.sleep(0.1) ws:send("resumed") ws:resume() end)
        else
            ws:send(data)
        end
    end }""")
    peer = server.open()
    peer.send(b"".join(frame(TEXT, str(i)) for i in range(100)))
    assert peer.message() == "paused"
    peer.text("last")
    assert [peer.message() for _ in range(101)] == ["resumed"] + [str(i) for i in range(1, 100)] + ["last"]
    peer.end()


def test_buffered_amount_and_the_soft_mark(live):
    server = live(handler("note(ws.buffered_amount) note(ws:send(('x'):rep(20000000))) note(ws.buffered_amount > 1000000)"))
    peer = server.open()
    peer.text("go")
    server.wait_notes("0", "true|buffered", "true")
    assert len(peer.frame().payload) == 20000000
    peer.end()


def test_overflow_closes_with_1013(live):
    server = live(handler("note(ws:send(('x'):rep(20000000))) note(ws:send(('y'):rep(2000000))) note(ws:send('z')) note(ws.ready_state)",
                          "close = function(ws, code, reason, clean) note('close', code, clean) end"))
    peer = server.open()
    peer.text("go")
    server.wait_notes("true|buffered", "nil|overflow", "nil|closed", "closing")
    assert len(peer.frame().payload) == 20000000
    assert peer.closing() == (1013, "reads too slowly")
    peer.close(1013)
    assert server.finish()[-1] == "close|1013|true"


REQUEST = """
return { message = function(ws, name)
    local value = ws.request
    for key in name:gmatch("[^.]+") do value = value[key] end
    if type(value) == "table" then
        local list = {}
        for k, v in pairs(value) do list[#list + 1] = k .. "=" .. v end
        table.sort(list)
        value = table.concat(list, " ")
    end
    ws:send(tostring(value))
end }"""


def test_request(live):
    server = live(REQUEST)
    peer = server.peer()
    peer.upgrade("/a%20b/%64?x=1&y=a%20b%2B+c&x=2&flag&=n", fields=[
        "X-Mixed-Case: One", "x-mixed-case: Two", "Cookie: a=1; b=\"two\"; a=3", "Cookie: c=%20;d",
        "Sec-WebSocket-Protocol: p1, p2", "Origin: http://test.example"])
    expected = {
        "method": "GET", "path": "/a b/d", "raw_query": "x=1&y=a%20b%2B+c&x=2&flag&=n",
        "query": "=n flag= x=1 y=a b+ c", "query.x": "1",
        "headers.x-mixed-case": "One, Two", "headers.X-MIXED-CASE": "One, Two", "headers.host": "test.example",
        "headers.HOST": "test.example", "headers.none": "nil",
        "cookies": "a=1 b=two c=%20", "cookies.a": "1",
        "protocols": "1=p1 2=p2", "origin": "http://test.example", "protocol": "nil",
        "remote_address": "127.0.0.1", "remote_port": str(peer.sock.getsockname()[1]), "secure": "false",
    }
    got = {}
    for name in expected:
        peer.text(name)
        got[name] = peer.message()
    assert got == expected
    peer.end()


def test_params_of_a_route(live):
    server = live("""
    local handler = { open = function(ws)
        ws:send(ws.params.room .. "|" .. tostring(ws.params.user) .. "|" .. ws.request.path .. "|" .. ws.request.params.room)
    end }
    return tidewire.app { routes = { ["/chat/:room"] = handler, ["/chat/:room/of/:user"] = handler } }""")
    assert server.open("/chat/lobby").message() == "lobby|nil|/chat/lobby|lobby"
    assert server.open("/chat/a%20b/of/k%C3%A4se").message() == "a b|käse|/chat/a b/of/käse|a b"


def test_the_app_and_state(live):
    server = live("""
    return tidewire.app {
        routes = {
            ["/"] = { open = function(ws) ws.app.state.n = (ws.app.state.n or 0) + 1 ws:send(tostring(ws.app.state.n)) end },
            ["/http"] = function(req) return tostring(req.app.state.n) end,
        },
        start = function(app) app.state.n = 10 end,
    }""")
    assert [server.open().message(), server.open().message()] == ["11", "12"]
    assert server.peer().ask("/http").body == b"12"


def test_everything_after_the_end(live):
    server = live("""
    local kept
    return {
        open = function(ws) kept = kept or ws end,
        close = function(ws)
            if ws ~= kept then return end
            note("in close", ws.ready_state, ws:send("x"), ws.buffered_amount, ws:subscribe("a"), ws:after(1, function() end))
            note("request", ws.request.path, ws.remote_address)
        end,
        message = function(ws, data)
            collectgarbage() collectgarbage()
            local w = kept
            note(tostring(w):match("^ws [%x-]+ %((%a+)%)$"), w.ready_state, w.buffered_amount, w.protocol, w.state.x)
            note(w:send("x")) note(w:send("x", "binary")) note(w:ping()) note(w:receive()) note(w:receive(1))
            for _ in w:messages() do note("never") end
            note(w:subscribe("a")) note(w:unsubscribe("a")) note(w:publish("a", "x"))
            note(w:every(1, "tick")) note(w:after(1, function() note("never") end))
            note(w:close(), w:pause(), w:resume(), w.request, w.params, w.remote_address, type(w.app), w.id ~= ws.id)
            w.state = { x = 5 } note(w.state.x)
            note(tidewire.send(w.id, "x"))
            kept = nil w = nil collectgarbage()
            ws:send("alive")
        end,
        tick = function() end,
    }""")
    first, second = server.open(), server.open()
    first.end()
    second.text("look")
    assert second.message() == "alive"
    second.end()
    notes = server.finish()
    assert notes[:3] == ["in close|closed|nil|0|nil|nil|closed", "request|/|127.0.0.1", "closed|closed|0|nil|nil"]
    assert notes[3:8] == ["nil|closed"] * 3 + ["nil|closed|1000|"] * 2
    assert notes[8:] == ["nil|closed", "false", "true", "nil|closed", "nil|closed",
                         notes[13], "5", "nil|unknown"]
    assert notes[13].endswith("|table|true")


def test_tostring_never_fails(live):
    server = live(handler("""
        local things = { ws, ws.request, ws:after(1, function() end), tidewire.after(1, function() end) }
        for _, thing in ipairs(things) do note((tostring(thing):gsub("%s.*", ""))) end
        things[3]:cancel() things[3]:cancel() things[4]:cancel() things[4]:cancel()
        for _, thing in ipairs(things) do note(#tostring(thing) > 0) end"""))
    peer = server.open()
    peer.text("go")
    peer.end()
    assert server.finish() == ["ws", "request", "timer", "timer"] + ["true"] * 4


def test_finalizers_of_the_app_may_use_what_is_gone(live):
    server = live("""
    local kept = {}
    setmetatable(kept, { __gc = function(t)
        note("finalizer", pcall(function()
            for _, ws in ipairs(t) do
                local _ = tostring(ws)
                pcall(function() ws:send "x" end) pcall(function() ws:close() end)
                pcall(function() return ws.id, ws.state, ws.request end)
            end
        end))
    end })
    return { open = function(ws) kept[#kept + 1] = ws kept[#kept + 1] = ws.request ws:send("in") end }""")
    peer = server.open()
    assert peer.message() == "in"
    notes = server.finish()
    assert notes == ["finalizer|true"]
