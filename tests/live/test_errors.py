"""A handler that raises: told with place, excerpt and calls, 1011 for its connection, nothing for others."""

import pytest
from peer import TEXT, frame, handshake

HANDLER = """
local function deeper(data) return data.field.of_nothing end
return {
    open = function(ws) if ws.params and ws.request.query.raise == "open" then error("in open") end end,
    message = function(ws, data)
        if data == "table" then error({}) elseif data == "nil" then error(nil) end
        if data == "deep" then local x = deeper({}) return x end
        if data == "later" then tidewire.sleep(0.01) error("after a wait") end
        if data == "evil" then error(setmetatable({}, { __tostring = function() error("again") end })) end
        ws:send(data)
    end,
    close = function(ws, code, reason, clean) note("close", code, reason, clean) end,
}
"""


def test_error_is_told_with_place_excerpt_and_calls(live):
    server = live(HANDLER)
    peer = server.open()
    peer.text("deep")
    assert peer.closing() == (1011, "internal error")
    peer.close(1011)
    server.wait_notes("close|1011||true")
    server.finish()
    log = server.stderr.text()
    told = [line for line in log.splitlines() if " error " in line]
    assert len(told) == 1, log
    assert 'where="message of /"' in told[0]
    place = "app.lua:8: attempt to index a nil value (field 'field')"
    assert place in told[0]
    lines = log.splitlines()
    after = [line.strip() for line in lines[lines.index(told[0]) + 1:]]
    assert ">  8 | local function deeper(data) return data.field.of_nothing end" in after
    assert after[after.index("stack traceback:") + 1].endswith("app.lua:8: in upvalue 'deeper'")
    assert any("app.lua:13: in " in line for line in after)
    assert "lua/tidewire" not in log and "[C]" not in log


@pytest.mark.parametrize("data", ["deep", "table", "nil", "later", "evil"])
def test_error_closes_one_connection_and_no_other(live, data):
    server = live(HANDLER)
    other = server.open()
    peer = server.open()
    peer.text(data)
    assert peer.closing() == (1011, "internal error")
    peer.close(1011)
    assert peer.rest() == b""
    other.text("fine")
    assert other.message() == "fine"
    other.end()
    assert sorted(server.finish()) == ["close|1000||true", "close|1011||true"]
    assert server.stderr.text().count(" error ") == 1


def test_error_in_open(live):
    server = live(HANDLER)
    peer = server.peer()
    peer.send(handshake("/?raise=open") + frame(TEXT, "never"))
    assert peer.answer().status == 101
    assert peer.closing() == (1011, "internal error")
    peer.sock.close()
    server.wait_notes("close|1006||false")
    assert server.wait_log(r"in open.*where=\"open of /\"")
    assert server.finish() == ["close|1006||false"]


def test_messages_behind_the_one_that_raised_reach_no_handler(live):
    server = live("""
    return {
        message = function(ws, data) note("message", data) tidewire.sleep(0.05) error("at " .. data) end,
        close = function(ws, code) note("close", code) end,
    }""")
    peer = server.open()
    peer.send(b"".join(frame(TEXT, str(i)) for i in range(10)))
    assert peer.closing() == (1011, "internal error")
    peer.close(1011)
    assert peer.rest() == b""
    assert server.finish() == ["message|0", "close|1011"]
    assert server.stderr.text().count("at 0") == 1 and "at 1" not in server.stderr.text()


@pytest.mark.parametrize("failing", ["open", "message", "drain", "every", "after", "run"])
def test_error_callback_takes_it(live, failing):
    body = {"open": "open = function(ws) error('taken') end,",
            "message": "message = function(ws) error('taken') end,",
            "drain": "message = function(ws) ws:send(('x'):rep(20000000)) end,"
                     " drain = function(ws) error('taken') end,",
            "every": "open = function(ws) ws:every(0.01, 'tick') end, tick = function(ws) error('taken') end,",
            "after": "open = function(ws) ws:after(0.01, function() error('taken') end) end,",
            "run": "run = function(ws) ws:receive() error('taken') end,"}[failing]
    server = live("""
    return {
        %s
        error = function(ws, err, traceback)
            note("error", err:match(": (.*)$"), type(traceback), ws.ready_state)
            ws:close(4002, "sorry")
        end,
        close = function(ws, code) note("close", code) end,
    }""" % body)
    peer = server.open()
    peer.text("go")
    while (got := peer.frame()).opcode == TEXT:
        pass
    assert got.payload == b"\x0f\xa2sorry"
    peer.close(4002)
    assert peer.rest() == b""
    assert server.finish() == ["error|taken|string|open", "close|4002"]
    assert " error " not in server.stderr.text()


def test_error_callback_need_not_close(live):
    server = live("""
    return {
        message = function(ws, data) if data == "raise" then error("x") end ws:send(data) end,
        error = function(ws, err) tidewire.sleep(0.01) ws:send("pardon") end,
    }""")
    peer = server.open()
    for text, answer in (("raise", "pardon"), ("hi", "hi"), ("raise", "pardon")):
        peer.text(text)
        assert peer.message() == answer
    peer.end()


def test_error_in_the_error_callback(live):
    server = live("""
    return {
        message = function(ws, data) error("first") end,
        error = function(ws, err) error("second") end,
        close = function(ws, code) note("close", code) end,
    }""")
    peer = server.open()
    peer.text("x")
    assert peer.closing() == (1011, "internal error")
    peer.close(1011)
    assert peer.rest() == b""
    assert server.finish() == ["close|1011"]
    assert server.wait_log(r"second.*where=\"error of /\"")


def test_error_in_close(live):
    server = live("return { message = print, close = function(ws) note('close') error('in close') end }")
    server.open().end()
    server.wait_log(r"in close.*where=\"close of /\"")
    assert server.finish() == ["close"]


def test_error_in_close_reaches_the_error_callback(live):
    server = live("""return {
        open = function(ws) ws:send("in") end,
        close = function() error("x") end,
        error = function(ws, err) note("error", ws.ready_state, err:match(":%d+: (.*)")) end,
    }""")
    peer = server.open()
    assert peer.message() == "in"
    peer.end()
    assert server.finish() == ["error|closed|x"]


def test_reading_an_undeclared_name_suggests_the_nearest(live):
    server = live("""
    return { message = function(ws, data) return tonumbr(data) end }""")
    peer = server.open()
    peer.text("x")
    assert peer.closing()[0] == 1011
    assert server.wait_log(r"app\.lua:8: .*tonumbr.*did you mean `tonumber`\?")


def test_error_message_of_a_peer_stays_one_line(live):
    server = live("return { message = function(ws, data) error('bad: ' .. data, 0) end }")
    peer = server.open()
    peer.text("x\n2026-01-01T00:00:00.000Z error forged\x1b[31m\u2028")
    assert peer.closing()[0] == 1011
    server.wait_log("where=")
    server.finish()
    lines = server.stderr.text().splitlines()
    assert not any(line.startswith("2026-01-01") for line in lines)
    assert "\x1b" not in server.stderr.text()
