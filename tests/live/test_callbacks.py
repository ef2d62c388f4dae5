"""Callbacks of a handler: which come, in what order, and `close` exactly once however it ends."""

import pytest
from peer import BINARY, CLOSE, PING, TEXT, frame

HANDLER = """
return {
    open = function(ws) note("open", ws.ready_state) end,
    message = function(ws, data, kind)
        note("message", data, kind)
        if data == "close" then ws:close(4001, "enough") elseif data == "raise" then error("raised") end
        ws:send("got " .. data)
    end,
    close = function(ws, code, reason, clean) note("close", code, reason, clean, ws.ready_state) end,
}
"""


def test_order_of_an_ordinary_connection(live):
    server = live(HANDLER)
    peer = server.open()
    peer.text("one")
    peer.send(frame(BINARY, b"two"))
    assert peer.message() == "got one"
    assert peer.message() == "got two"
    peer.end(1000, "bye")
    assert server.finish() == [
        "open|open", "message|one|text", "message|two|binary", "close|1000|bye|true|closed"]


@pytest.mark.parametrize("code, reason, told", [
    (1000, "bye", "1000|bye|true"),
    (1001, "", "1001||true"),
    (4999, "käse", "4999|käse|true"),
    (3000, "x" * 123, "3000|" + "x" * 123 + "|true"),
    (None, "", "1005||true"),
])
def test_closed_by_the_peer(live, code, reason, told):
    server = live(HANDLER)
    peer = server.open()
    peer.close(code, reason)
    assert peer.closing() == (code, "")
    assert peer.rest() == b""
    assert server.finish() == ["open|open", f"close|{told}|closed"]


@pytest.mark.parametrize("reply, told", [(4001, "4001||true"), (1000, "1000||true"), (None, "1005||true")])
def test_closed_by_us(live, reply, told):
    server = live(HANDLER)
    peer = server.open()
    peer.text("close")
    assert peer.closing() == (4001, "enough")
    peer.text("ignored: behind our Close")
    peer.close(reply)
    assert peer.rest() == b""
    assert server.finish() == ["open|open", "message|close|text", f"close|{told}|closed"]


def lost_by_reset(peer):
    peer.reset()


def lost_without_close_frame(peer):
    peer.sock.close()


def lost_in_mid_frame(peer):
    peer.send(frame(TEXT, "whole")[:-2])
    peer.sock.close()


def lost_in_mid_message(peer):
    peer.send(frame(TEXT, "first", fin=False))
    peer.sock.close()


@pytest.mark.parametrize("lose", [lost_by_reset, lost_without_close_frame, lost_in_mid_frame, lost_in_mid_message])
def test_lost(live, lose):
    server = live(HANDLER)
    peer = server.open()
    peer.text("one")
    assert peer.message() == "got one"
    lose(peer)
    server.wait_notes("close|1006||false|closed")
    assert server.finish() == ["open|open", "message|one|text", "close|1006||false|closed"]


def test_lost_after_our_close(live):
    server = live(HANDLER)
    peer = server.open()
    peer.text("close")
    assert peer.closing() == (4001, "enough")
    peer.sock.close()
    server.wait_notes("close|1006||false|closed")
    assert server.finish() == ["open|open", "message|close|text", "close|1006||false|closed"]


@pytest.mark.parametrize("wrong, code", [
    (frame(TEXT, "x", masked=False), 1002),
    (frame(3, "x"), 1002),
    (frame(CLOSE, b"\x03"), 1002),
    (frame(TEXT, b"\xff"), 1007),
], ids=["mask", "opcode", "close", "utf8"])
def test_protocol_error(live, wrong, code):
    server = live(HANDLER)
    peer = server.open()
    peer.send(frame(TEXT, "one") + wrong + frame(TEXT, "never"))
    assert peer.message() == "got one"
    closed, reason = peer.closing()
    assert closed == code and reason
    assert peer.rest() == b""
    peer.sock.close()
    server.wait_notes(f"close|{code}|{reason}|false|closed")
    assert server.finish() == ["open|open", "message|one|text", f"close|{code}|{reason}|false|closed"]


def test_messages_before_a_close_are_answered_before_it(live):
    server = live(HANDLER)
    peer = server.open()
    peer.send(b"".join(frame(TEXT, str(i)) for i in range(200)) + frame(CLOSE, b"\x03\xe8"))
    assert [peer.message() for _ in range(200)] == [f"got {i}" for i in range(200)]
    assert peer.closing() == (1000, "")
    assert server.finish()[-1] == "close|1000||true|closed"


def test_drain_follows_a_full_queue_and_comes_once_for_each(live):
    server = live("""
    return {
        limits = { send_soft = 65536, send_queue = "64 MiB" },
        message = function(ws, data)
            local ok, why
            repeat ok, why = ws:send(("x"):rep(60000)) until why
            note("sent", ok, why, ws.buffered_amount > 65536)
        end,
        drain = function(ws) note("drain", ws.buffered_amount <= 32768) ws:send("drained") end,
        close = function(ws, code) note("close", code) end,
    }""")
    peer = server.peer(receive_buffer=65536)
    peer.upgrade()
    for turn in range(2):
        peer.text("fill")
        server.wait_notes(*["sent|true|buffered|true"] * (turn + 1))
        while peer.frame().payload != b"drained":
            pass
    peer.end()
    assert server.finish() == ["sent|true|buffered|true", "drain|true"] * 2 + ["close|1000"]


def test_connection_without_any_traffic(live):
    server = live(HANDLER)
    server.open().end()
    assert server.finish() == ["open|open", "close|1000||true|closed"]


def test_handler_without_message_ignores_messages(live):
    server = live("return { open = function(ws) note('open') end, close = function(ws, code) note('close', code) end }")
    peer = server.open()
    peer.send(frame(TEXT, "one") + frame(PING, "are you there?"))
    assert peer.frame().payload == b"are you there?"
    peer.end()
    assert server.finish() == ["open", "close|1000"]


def test_open_that_waits_comes_before_the_first_message(live):
    server = live("""
    return {
        open = function(ws) note("open") tidewire.sleep(0.05) note("opened") end,
        message = function(ws, data) note("message", data) end,
        close = function(ws, code) note("close", code) end,
    }""")
    peer = server.open()
    peer.text("early")
    peer.end()
    assert server.finish() == ["open", "opened", "message|early", "close|1000"]


def test_close_waits_for_a_handler_that_is_suspended(live):
    server = live("""
    return {
        message = function(ws, data)
            note("begin", data) tidewire.sleep(0.05) note("end", data, ws.ready_state, ws:send("late"))
        end,
        close = function(ws, code) tidewire.sleep(0.01) note("close", code) end,
    }""")
    peer = server.open()
    peer.text("a")
    server.wait_notes("begin|a")
    peer.reset()
    server.wait_notes("close|1006")
    assert server.finish() == ["begin|a", "end|a|closed|nil|closed", "close|1006"]


def test_ids_are_unique_and_die_with_their_connection(live):
    server = live("""
    return {
        open = function(ws) ws:send(ws.id) end,
        message = function(ws, id) ws:send(table.concat({ tostring(tidewire.send(id, "hello")), "" }, "")) end,
    }""")
    first, second = server.open(), server.open()
    ids = {first.message(), second.message()}
    assert len(ids) == 2
    gone = server.open()
    gone_id = gone.message()
    gone.end()
    again = server.open()
    assert again.message() not in ids | {gone_id}
    first.text(gone_id)
    assert first.message() == "nil"
