"""The closing handshake where both sides, or the network, do something else than take turns: `close` is called exactly
once, and is clean when both Close frames were exchanged and never otherwise."""

import socket
import struct

import pytest
from live import wait_until
from peer import BINARY, CLOSE, CONTINUATION, PING, TEXT, TlsPeer, close_payload, connect, frame

APP = """
return {
    limits = { close = 5 },
    message = function(ws, data)
        note("message", data)
        if data == "close" then ws:close(4001, "enough")
        elseif data == "wait" then tidewire.sleep(0.3) note("waited", ws.ready_state, (ws:send("late")))
        else ws:send(data) end
    end,
    close = function(ws, code, reason, clean) note("close", code, reason, clean) end,
}
"""


@pytest.fixture(params=["plain", "tls"])
def server(request, live, certificate):
    if request.param == "plain":
        server = live(APP)
        server.join = server.peer
        return server
    cert, key = certificate
    server = live(APP, listen=[f"wss://127.0.0.1:0?cert={cert}&key={key}"])

    def join():
        peer = TlsPeer(connect(server.urls[0]))
        server.peers.append(peer)
        return peer
    server.join = join
    return server


def joined(server):
    peer = server.join()
    peer.upgrade()
    return peer


# --- both at once ----------------------------------------------------------------------------------

@pytest.mark.parametrize("code, told", [(4002, "4002|mine"), (1000, "1000|mine"), (None, "1005|")])
def test_both_close_at_once(server, code, told):
    """The peer's Close is on its way when ours is sent: each has one, and there is no second one of ours."""
    peer = joined(server)
    peer.send(frame(TEXT, "close") + frame(CLOSE, close_payload(code, "mine" if code else "")))
    assert peer.closing() == (4001, "enough")
    assert peer.rest() == b""
    assert server.finish() == ["message|close", f"close|{told}|true"]


def test_close_frame_of_the_peer_is_answered_once(server):
    peer = joined(server)
    peer.send(frame(CLOSE, close_payload(1000)) * 3)
    assert peer.closing() == (1000, "")
    assert peer.rest() == b""
    assert server.finish() == ["close|1000||true"]


# --- data behind a Close ---------------------------------------------------------------------------

BEHIND = {
    "message": frame(TEXT, "ignored"), "ping": frame(PING, "x"), "fragment": frame(TEXT, "a", fin=False),
    "continuation": frame(CONTINUATION, "x"), "fault": frame(3, "x"), "unmasked": frame(TEXT, "x", masked=False),
    "too long": frame(BINARY, b"", length=1 << 40), "no frames": bytes(5000),
    "megabytes": frame(TEXT, "x" * 70000) * 50,
}


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND)
def test_nothing_behind_the_peers_close_is_read(server, behind):
    peer = joined(server)
    peer.send(frame(TEXT, "one") + frame(CLOSE, close_payload(1000, "bye")) + behind[:100])
    assert peer.message() == "one"
    assert peer.closing() == (1000, "")
    try:
        peer.send(behind[100:])
    except OSError:
        pass  # the server has ended TCP already
    assert peer.rest() == b""
    assert server.finish() == ["message|one", "close|1000|bye|true"]


@pytest.mark.parametrize("between", ["message", "ping", "megabytes"])
def test_frames_behind_our_close_are_discarded_until_the_peers(server, between):
    peer = joined(server)
    peer.text("close")
    assert peer.closing() == (4001, "enough")
    peer.send(BEHIND[between] + frame(CLOSE, close_payload(4001)))
    assert peer.rest() == b"", "no pong, no echo"
    assert server.finish() == ["message|close", "close|4001||true"]


@pytest.mark.parametrize("wrong", ["continuation", "fault", "unmasked", "too long"])
def test_fault_behind_our_close_ends_the_connection(server, wrong):
    peer = joined(server)
    peer.text("close")
    assert peer.closing() == (4001, "enough")
    peer.send(BEHIND[wrong])
    assert peer.rest() == b"", "no second Close"
    peer.sock.close()
    notes = server.finish()
    assert len(notes) == 2 and notes[1].startswith("close|10") and notes[1].endswith("|false")


# --- half-closed TCP -------------------------------------------------------------------------------

def half_close(peer):
    peer.sock.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("sent, notes", [
    (b"", []),
    (frame(TEXT, "whole"), ["message|whole"]),
    (frame(TEXT, "in the midst")[:-3], []),
    (frame(TEXT, "in the midst", fin=False), []),
    (frame(TEXT, "close"), ["message|close"]),
], ids=["idle", "message", "frame", "fragments", "our-close"])
def test_end_of_the_peers_half_without_a_close(live, sent, notes):
    server = live(APP)
    peer = server.open()
    peer.send(sent)
    half_close(peer)
    peer.rest()
    assert server.finish() == [*notes, "close|1006||false"]


@pytest.mark.parametrize("sent, code, notes", [
    (frame(CLOSE, close_payload(1001)), 1001, ["close|1001||true"]),
    (frame(TEXT, "one") + frame(CLOSE), None, ["message|one", "close|1005||true"]),
    (frame(TEXT, "close") + frame(CLOSE, close_payload(4001)), 4001, ["message|close", "close|4001||true"]),
], ids=["close", "message", "both"])
def test_end_of_the_peers_half_behind_its_close(live, sent, code, notes):
    server = live(APP)
    peer = server.open()
    peer.send(sent)
    half_close(peer)
    while (got := peer.frame()).opcode != CLOSE:
        pass
    assert got.payload[:2] == (struct.pack(">H", code) if code else b"")
    assert peer.rest() == b""
    assert server.finish() == notes


def test_answers_and_our_close_reach_a_peer_that_has_ended_its_half(live):
    server = live("""
    return {
        limits = { message = "64 MiB" },
        message = function(ws, data) ws:send(data) end,
        close = function(ws, code, reason, clean) note("close", code, reason, clean) end,
    }""")
    peer = server.peer(receive_buffer=16384)
    peer.upgrade()
    peer.send(frame(TEXT, "x" * 8000000) + frame(CLOSE, close_payload(1000)))
    half_close(peer)
    assert len(peer.message()) == 8000000
    assert peer.closing() == (1000, "")
    assert peer.rest() == b""
    assert server.finish() == ["close|1000||true"]


def test_end_of_the_peers_half_while_a_handler_waits(live):
    server = live(APP)
    peer = server.open()
    peer.text("wait")
    server.wait_notes("message|wait")
    half_close(peer)
    assert peer.rest() == b""
    server.wait_notes("close|1006||false")
    assert server.finish() == ["message|wait", "waited|closed|nil", "close|1006||false"]


def test_close_of_the_peer_while_a_handler_waits_is_answered_behind_its_sends(live):
    server = live(APP)
    peer = server.open()
    peer.send(frame(TEXT, "wait") + frame(TEXT, "next") + frame(CLOSE, close_payload(1000)))
    half_close(peer)
    assert [peer.message(), peer.message()] == ["late", "next"]
    assert peer.closing() == (1000, "")
    assert peer.rest() == b""
    assert server.finish() == ["message|wait", "waited|open|true", "message|next", "close|1000||true"]


# --- RST -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("sent, notes", [
    (b"", []),
    (frame(TEXT, "in the midst")[:-3], []),
    (frame(TEXT, "in the midst", fin=False), []),
], ids=["idle", "frame", "fragments"])
def test_reset(server, sent, notes):
    peer = joined(server)
    peer.send(frame(TEXT, "one"))
    assert peer.message() == "one"
    peer.send(sent)
    peer.reset()
    server.wait_notes("close|1006||false")
    assert server.finish() == ["message|one", *notes, "close|1006||false"]


def test_reset_behind_our_close(server):
    peer = joined(server)
    peer.text("close")
    assert peer.closing() == (4001, "enough")
    peer.reset()
    server.wait_notes("close|1006||false")
    assert server.finish() == ["message|close", "close|1006||false"]


def test_reset_while_a_handler_waits(server):
    peer = joined(server)
    peer.text("wait")
    server.wait_notes("message|wait")
    peer.reset()
    server.wait_notes("close|1006||false")
    assert server.finish() == ["message|wait", "waited|closed|nil", "close|1006||false"]


def test_reset_of_a_peer_that_does_not_read(live):
    server = live("""
    return {
        limits = { send_queue = "64 MiB" },
        message = function(ws) note(ws:send(("x"):rep(20000000))) end,
        close = function(ws, code, reason, clean) note("close", code, clean) end,
    }""")
    peer = server.open()
    peer.text("go")
    server.wait_notes("true|buffered")
    peer.reset()
    server.wait_notes("close|1006|false")
    assert server.finish() == ["true|buffered", "close|1006|false"]


def test_resets_right_behind_a_close(server):
    """The answer finds nobody, or the Close itself is lost: once in any case, and clean when ours was given away."""
    for _ in range(40):
        peer = joined(server)
        peer.close(1000)
        peer.reset()
    wait_until(lambda: len(server.notes) == 40)
    assert set(server.finish()) <= {"close|1000||true", "close|1006||false"}
    assert len(server.notes) == 40


# --- nobody answers --------------------------------------------------------------------------------

@pytest.mark.parametrize("meanwhile", [b"", frame(TEXT, "x"), frame(PING)], ids=["silence", "message", "ping"])
def test_peer_that_never_sends_its_close(live, meanwhile):
    server = live(APP.replace("close = 5", "close = 0.2"))
    peer = server.open()
    peer.text("close")
    assert peer.closing() == (4001, "enough")
    peer.send(meanwhile)
    assert peer.rest() == b""
    server.wait_notes("close|1006||false")
    assert server.finish() == ["message|close", "close|1006||false"]


def test_peer_that_keeps_tcp_open_after_both_closes(live):
    """Both Close frames are exchanged, so the server ends TCP by itself, and it was clean."""
    server = live(APP)
    worker, = server.workers()
    idle = server.descriptors(worker)
    peer = server.open()
    peer.close(1000)
    assert peer.closing() == (1000, "")
    server.wait_notes("close|1000||true")
    wait_until(lambda: server.descriptors(worker) <= idle)
    assert peer.rest() == b""
