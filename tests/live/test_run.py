"""run(ws): a connection as one straight line, with receive and messages."""

import pytest
from peer import BINARY, TEXT, frame


def run(body, more=""):
    return f"""
    return {{
        run = function(ws) {body} end,
        close = function(ws, code, reason, clean) note("close", code, clean) end, {more}
    }}"""


def test_messages_loop_ends_with_the_connection(live):
    server = live(run("for data, kind in ws:messages() do ws:send(data .. ':' .. kind) end note('left', ws.ready_state)"))
    peer = server.open()
    peer.send(frame(TEXT, "a") + frame(BINARY, b"b") + frame(TEXT, ""))
    assert [peer.message() for _ in range(3)] == ["a:text", "b:binary", ":text"]
    peer.end()
    notes = server.finish()
    assert notes[-1] == "close|1000|true" and notes[0].startswith("left|") and len(notes) == 2


def test_receive(live):
    server = live(run("""
        note("first", ws:receive())
        note("none", ws:receive(0.01))
        ws:send("now")
        note("second", ws:receive(30))
        note("third", ws:receive())
        note("again", ws:receive())
        note("bounded", ws:receive(1))
    """))
    peer = server.open()
    peer.text("a")
    assert peer.message() == "now"
    peer.text("b")
    peer.end()
    assert server.finish() == [
        "first|a|text", "none|nil|timeout", "second|b|text", "third|nil|closed|1000|",
        "again|nil|closed|1000|", "bounded|nil|closed|1000|", "close|1000|true"]


def test_zero_seconds_takes_what_is_there(live):
    server = live(run("tidewire.sleep(0.05) note(ws:receive(0)) note(ws:receive(0)) note(ws:receive(0)) ws:send('done')"))
    peer = server.open()
    peer.send(frame(TEXT, "a") + frame(TEXT, "b"))
    assert peer.message() == "done"
    assert peer.closing() == (1000, "")
    peer.close(1000)
    assert server.finish()[:3] == ["a|text", "b|text", "nil|timeout"]


def test_its_end_closes_the_connection(live):
    server = live(run("ws:send('bye')"))
    peer = server.open()
    assert peer.message() == "bye"
    assert peer.closing() == (1000, "")
    peer.close(1000)
    assert peer.rest() == b""
    assert server.finish() == ["close|1000|true"]


def test_open_comes_first_and_both_share_state(live):
    server = live(run("ws:send(ws.state.name)", "open = function(ws) tidewire.sleep(0.01) ws.state.name = 'ann' end,"))
    peer = server.open()
    assert peer.message() == "ann"
    assert peer.closing() == (1000, "")


@pytest.mark.parametrize("end", ["reset", "close"])
def test_lost_while_receiving(live, end):
    server = live(run("note('receive', ws:receive())"))
    peer = server.open()
    server.open().end()
    peer.reset() if end == "reset" else peer.sock.close()
    server.wait_notes("close|1006|false")
    assert sorted(server.finish()) == [
        "close|1000|true", "close|1006|false", "receive|nil|closed|1000|", "receive|nil|closed|1006|"]


def test_closed_by_us_while_another_task_receives(live):
    server = live(run("tidewire.spawn(function() tidewire.sleep(0.02) ws:close(4000) end) note(ws:receive())"))
    peer = server.open()
    assert peer.closing() == (4000, "")
    peer.close(4000)
    assert server_notes(server) == ["nil|closed|4000|", "close|4000|true"]


def server_notes(server):
    server.wait_notes("close|4000|true")
    return server.finish()


def test_two_receivers_are_an_error(live):
    server = live(run("tidewire.spawn(function() note(pcall(ws.receive, ws)) ws:close() end) ws:receive()"))
    peer = server.open()
    assert peer.closing() == (1000, "")
    peer.close(1000)
    notes = server.finish()
    assert notes[0].startswith("false|") and "another coroutine is waiting in receive" in notes[0]


def test_receive_in_a_message_handler_takes_the_next_message(live):
    server = live("""
    return { message = function(ws, data)
        if data == "name" then
            ws:send("which?")
            local name, why = ws:receive(20)
            ws:send("hello " .. tostring(name or why))
        else
            ws:send("top " .. data)
        end
    end }""")
    peer = server.open()
    peer.text("name")
    assert peer.message() == "which?"
    peer.send(frame(TEXT, "ann") + frame(TEXT, "next"))
    assert [peer.message(), peer.message()] == ["hello ann", "top next"]
    peer.end()


def test_timers_run_while_it_receives(live):
    server = live(run("ws:every(0.01, 'tick') local data = ws:receive() ws:send('got ' .. data)",
                      "tick = function(ws) ws.state.n = (ws.state.n or 0) + 1 if ws.state.n == 3 then ws:send('3') end end,"))
    peer = server.open()
    assert peer.message() == "3"
    peer.text("x")
    assert peer.message() == "got x"


def test_a_time_out_waits_for_the_handler_that_is_active(live):
    server = live(run("""
        ws:after(0, "tick")
        note("received", ws:receive(0.05))
        ws:send("over")
    """, """tick = function(ws)
        note("tick begins")
        tidewire.sleep(0.2)
        note("tick ends")
    end,"""))
    assert server.open().message() == "over"
    server.wait_notes("tick ends")
    assert server.notes[:3] == ["tick begins", "tick ends", "received|nil|timeout"]


def test_a_spawned_task_receives_while_a_handler_waits_for_it(live):
    server = live("""return { open = function(ws)
        local got = {}
        tidewire.spawn(function()
            got[1] = select(2, ws:receive(0.05))
            ws:send("now")
            got[2] = ws:receive()
            got[3] = select(2, ws:receive())
        end)
        ws:send("in")
        while #got < 3 do tidewire.sleep(0.01) end
        note(table.concat(got, "|"))
    end }""")
    peer = server.open()
    assert peer.message() == "in"
    assert peer.message() == "now"
    peer.text("for the task")
    peer.end()
    assert server.finish() == ["timeout|for the task|closed"]


def test_receive_from_a_task_outlives_nothing(live):
    server = live(run("tidewire.spawn(ws.receive, ws) tidewire.spawn(function() note(pcall(ws.receive, ws)) end) "
                      "tidewire.sleep(0.05)"))
    peer = server.open()
    assert peer.closing() == (1000, "")
    peer.close(1000)
    assert peer.rest() == b""
    assert server.finish()[-1] == "close|1000|true"


def test_ten_thousand_messages_through_a_loop(live):
    server = live(run("local n = 0 for data in ws:messages() do n = n + 1 if tonumber(data) ~= n then note('wrong', data, n) end "
                      "if n % 1000 == 1 then tidewire.sleep(0.001) end if n == 10000 then ws:send('all') end end"))
    peer = server.open()
    peer.send(b"".join(frame(TEXT, str(i + 1)) for i in range(10000)))
    assert peer.message() == "all"
    peer.end()
    assert server.finish() == ["close|1000|true"]
