"""The limits of a connection, with small values: each is enforced, none harms whoever keeps it."""

import socket
import time

import pytest
from live import wait_until
from peer import Lost, PING, PONG, TEXT, frame, handshake, request

HANDLER = """
return {
    %s
    message = function(ws, data) ws:send(data) end,
    close = function(ws, code, reason, clean) note("close", code, reason, clean) end,
}
"""


def with_limits(live, limits, config=None):
    return live(HANDLER % (f"limits = {{ {limits} }}," if limits else ""), config=config)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", b"G", request(fields=["Content-Length: 9"], method="POST")])
def test_handshake(live, sent):
    server = with_limits(live, "", "{ limits = { handshake = 0.2 } }")
    peer = server.peer()
    peer.send(sent)
    assert peer.answer().status == 408
    assert peer.rest() == b""


def test_handshake_is_a_bound_for_all_of_it(live):
    server = with_limits(live, "", "{ limits = { handshake = 0.3 } }")
    peer = server.peer()
    peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
    with pytest.raises((Lost, BrokenPipeError, ConnectionResetError, AssertionError)):
        while True:  # a byte now and then is no progress
            peer.send(b"X: y\r\n")
            peer.sock.settimeout(0.02)
            try:
                peer._more()
            except TimeoutError:
                continue
            assert not peer.kept.startswith(b"HTTP/1.1 408")


def test_handshake_over_tls(live, certificate):
    cert, key = certificate
    server = live(HANDLER % "", config="{ limits = { handshake = 0.2 } }",
                  listen=[f"wss://127.0.0.1:0?cert={cert}&key={key}"])
    silent, chatty = server.peer(), server.peer()
    chatty.send(b"\x16\x03\x01\x02\x00")
    assert silent.rest() == b"" and chatty.rest() == b""


def test_keep_alive_ends_in_silence(live):
    server = live("return tidewire.app { routes = { ['/'] = function() return 'x' end } }",
                  config="{ limits = { handshake = 0.2 } }")
    peer = server.peer()
    assert peer.ask().status == 200
    assert peer.rest() == b""


@pytest.mark.parametrize("limits, fields, status", [
    ("headers = 10", ["X: y"] * 11, 431),
    ("headers = 10", ["X: y"] * 4, 101),
    ("head = 1000", ["X: " + "y" * 1000], 431),
    ("head = 1000", ["X: " + "y" * 500], 101),
])
def test_head(live, limits, fields, status):
    server = with_limits(live, "", f"{{ limits = {{ {limits} }} }}")
    peer = server.peer()
    peer.send(handshake(fields=fields))
    assert peer.answer().status == status


def test_head_without_end(live):
    server = with_limits(live, "", "{ limits = { head = 1000, close = 0.2 } }")
    peer = server.peer()
    peer.send(b"GET / HTTP/1.1\r\nX: " + b"y" * 1000)
    assert peer.answer().status == 431
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while True:
            peer.send(b"y" * 1000)
    assert server.peer().ask().status == 426


def test_idle(live):
    server = with_limits(live, "idle = 0.2")
    peer = server.open()
    assert peer.closing() == (1001, "idle for too long")
    peer.close(1001)
    assert server.finish() == ["close|1001||true"]


def test_idle_is_reset_by_traffic(live):
    server = with_limits(live, "idle = 0.6")
    peer = server.open()
    started = time.monotonic()
    while time.monotonic() < started + 1.5:
        peer.send(frame(PING, "x"))
        assert peer.frame()[1:] == (PONG, b"x")
    assert peer.closing()[0] == 1001


def test_idle_after_a_pause(live):
    server = live("""
    return {
        limits = { idle = 0.2 },
        message = function(ws)
            ws:pause()
            tidewire.spawn(function() tidewire.sleep(0.5) ws:send("resuming") ws:resume() end)
        end,
    }""")
    peer = server.open()
    peer.text("go")
    assert peer.message() == "resuming", "a pause of ours is no silence of the peer"
    assert peer.closing()[0] == 1001


def test_ping_and_pong_wait(live):
    server = with_limits(live, "ping_interval = 0.1, pong_wait = 1, idle = 0")
    peer = server.open()
    for _ in range(10):
        assert peer.frame()[1:] == (PING, b"")
        peer.send(frame(PONG))
    assert peer.frame()[1:] == (PING, b"")
    assert peer.rest() == b""
    server.wait_notes("close|1006||false")


@pytest.mark.parametrize("sign", ["pong", "byte"])
def test_next_ping_after_a_sign_of_life_does_not_wait_for_pong_wait(live, sign):
    server = with_limits(live, "ping_interval = 0.1, pong_wait = 100, stall = 100, idle = 0")
    peer = server.open()
    text = frame(TEXT, "in small pieces")
    for i in range(3):  # a peer that waits for 20 s gives up
        assert peer.frame()[1:] == (PING, b"")
        peer.send(frame(PONG) if sign == "pong" else text[i:i + 1])


def test_prompt_pongs_keep_a_silent_connection_alive(live):
    """For much longer than `pong_wait`, with a Ping as often as may be."""
    server = with_limits(live, "ping_interval = 0.005, pong_wait = 0.5, idle = 0")
    peer = server.open()
    started = time.monotonic()
    while time.monotonic() < started + 1:
        assert peer.frame()[1:] == (PING, b"")
        peer.send(frame(PONG))
    peer.text("still here")
    while (got := peer.frame()).opcode == PING:
        peer.send(frame(PONG))
    assert got.payload == b"still here"


def test_pings_can_be_off(live):
    server = with_limits(live, "ping_interval = 0, idle = 0.3")
    assert server.open().closing()[0] == 1001


def test_closing_handshake(live):
    server = live("""
    return {
        limits = { close = 0.2 },
        message = function(ws) ws:close(4000) end,
        close = function(ws, code, reason, clean) note("close", code, reason, clean) end,
    }""")
    peer = server.open()
    peer.text("go")
    assert peer.closing() == (4000, "")
    for _ in range(3):
        peer.text("never a Close")
    assert peer.rest() == b""
    server.wait_notes("close|1006||false")
    assert server.finish() == ["close|1006||false"]


def test_end_that_the_peer_does_not_confirm(live):
    """Both Close frames are exchanged, and the peer never ends TCP."""
    server = with_limits(live, "close = 0.2")
    peer = server.open()
    peer.send(frame(TEXT, b"\xff"))
    assert peer.closing()[0] == 1007
    server.wait_notes("close|1007|text that is not UTF-8|false")
    assert server.finish() == ["close|1007|text that is not UTF-8|false"]


def test_stall(live):
    server = live("""
    return {
        limits = { stall = 0.3 },
        message = function(ws) note(ws:send(("x"):rep(20000000))) end,
        close = function(ws, code, reason, clean) note("close", code, clean) end,
    }""")
    peer = server.open()
    peer.text("go")
    server.wait_notes("close|1006|false")
    assert len(peer.rest()) < 20000000
    assert server.finish() == ["true|buffered", "close|1006|false"]


def test_slow_reader_behind_a_large_buffer_of_the_system_is_not_stalled(live):
    server = live("""
    return {
        limits = { stall = 0.7, send_queue = "64 MiB" },
        message = function(ws) ws:send(("x"):rep(8000000)) end,
        close = function(ws, code, reason, clean) note("close", code, clean) end,
    }""")
    peer = server.peer(receive_buffer=16384)
    peer.upgrade()
    peer.text("go")
    started = time.monotonic()
    while time.monotonic() < started + 2:  # a span of slow reading, several times the limit
        before = len(peer.kept)
        while len(peer.kept) < before + 16384:
            peer.kept += peer.sock.recv(16384)
        time.sleep(0.03)
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    assert len(peer.frame().payload) == 8000000
    peer.end()
    assert server.finish() == ["close|1000|true"]


def test_stall_of_an_http_answer(live):
    server = live("return tidewire.app { routes = { ['/'] = function() return ('x'):rep(20000000) end } }",
                  config="{ limits = { stall = 0.3 } }")
    worker, = server.workers()
    idle = server.descriptors(worker)
    peer = server.peer()
    peer.send(request())
    peer.take(1)
    wait_until(lambda: server.descriptors(worker) <= idle)
    assert len(peer.rest()) < 20000000


def test_send_queue(live):
    server = live("""
    return {
        limits = { message = 1000, send_queue = 5000000, send_soft = 1000000, stall = 60 },
        message = function(ws)
            local sent = 0
            repeat local ok, why = ws:send(("x"):rep(100000)) sent = sent + 1 until not ok
            note(select(2, ws:send("x")), ws.buffered_amount <= 5000100)
        end,
        close = function(ws, code, reason, clean) note("close", code, clean) end,
    }""")
    peer = server.peer(receive_buffer=65536)
    peer.upgrade()
    peer.text("go")
    server.wait_notes("closed|true")
    while (got := peer.frame()).opcode == TEXT:
        pass
    assert got.payload == b"\x03\xf5reads too slowly"
    peer.close(1013)
    assert server.finish() == ["closed|true", "close|1013|true"]


def test_connections(live):
    server = with_limits(live, "", "{ limits = { connections = 3 } }")
    peers = [server.open() for _ in range(3)]
    answer = server.peer().answer()
    assert answer.status == 503 and "retry-after" in answer.headers
    peers[0].end()
    server.wait_notes("close|1000||true")

    def admitted():
        late = server.peer()
        late.send(handshake())
        return late.answer().status == 101
    wait_until(admitted)


def test_handshakes_per_address(live):
    server = with_limits(live, "", "{ limits = { handshakes_per_address = 5 } }")
    unfinished = [server.peer() for _ in range(5)]
    refused = server.peer().rest()
    assert refused == b"" or refused.startswith(b"HTTP/1.1 503")
    unfinished[0].upgrade()
    late = server.open()
    late.text("in")
    assert late.message() == "in"


def test_limits_of_routes(live):
    server = live("""
    local function echo(message) return {
        limits = { message = message }, message = function(ws, data) ws:send(data) end,
    } end
    return tidewire.app { routes = {
        ["/small"] = echo(10), ["/large"] = echo("2 KiB"),
        ["/beside"] = { handler = echo(10), limits = { message = 20 } },
        ["/default"] = { message = function(ws, data) ws:send(data) end },
    } }""", config="{ limits = { message = 1000 } }")
    for path, limit in (("/small", 10), ("/large", 2048), ("/beside", 20), ("/default", 1000)):
        peer = server.open(path)
        peer.text("x" * limit)
        assert peer.message() == "x" * limit
        peer.text("x" * (limit + 1))
        assert peer.closing()[0] == 1009
