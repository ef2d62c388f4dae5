"""RFC 6455 over the socket, by a client that breaks its rules or stretches them."""

import socket

import pytest
from peer import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload, frame, handshake

ECHO = """
return {
    limits = { message = 100000, fragments = 8, send_soft = 65536 },
    message = function(ws, data, kind) ws:send(data, kind) end,
    close = function(ws, code, reason, clean) note("close", code, clean) end,
}
"""

TALK = (frame(TEXT, "one") + frame(PING, "p1") + frame(TEXT, "käse".encode()[:2], fin=False) + frame(PING, "p2")
        + frame(CONTINUATION, b"", fin=False) + frame(PONG, "unasked") + frame(CONTINUATION, "käse".encode()[2:])
        + frame(BINARY, bytes(200)) + frame(TEXT, "x" * 70000) + frame(TEXT, "") + frame(CLOSE, close_payload(1000, "bye")))
ANSWERS = [(TEXT, b"one"), (PONG, b"p1"), (PONG, b"p2"), (TEXT, "käse".encode()), (BINARY, bytes(200)),
           (TEXT, b"x" * 70000), (TEXT, b""), (CLOSE, close_payload(1000))]


def check_talk(server, peer):
    assert peer.answer().status == 101
    assert [peer.frame()[1:] for _ in ANSWERS] == ANSWERS
    assert peer.rest() == b""
    assert server.finish() == ["close|1000|true"]


def test_all_in_one_packet_with_the_handshake(live):
    server = live(ECHO)
    peer = server.peer()
    peer.send(handshake() + TALK)
    check_talk(server, peer)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 100])
def test_in_pieces(live, piece):
    server = live(ECHO)
    peer = server.peer()
    peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    whole = handshake() + TALK
    head, tail = whole[:1000], whole[1000:]  # the long message, and what is behind it, in larger pieces
    for i in range(0, len(head), piece):
        peer.send(head[i:i + piece])
    for i in range(0, len(tail), piece * 100):
        peer.send(tail[i:i + piece * 100])
    check_talk(server, peer)


def test_handshake_split_everywhere(live):
    server = live(ECHO)
    whole = handshake() + frame(TEXT, "hi")
    for cut in range(1, len(whole)):
        peer = server.peer()
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.send(whole[:cut])
        peer.send(whole[cut:])
        assert peer.answer().status == 101
        assert peer.message() == "hi"
        peer.sock.close()


@pytest.mark.parametrize("name, wrong, code", [
    ("no mask", frame(TEXT, "x", masked=False), 1002),
    ("no mask on a ping", frame(PING, "x", masked=False), 1002),
    ("no mask on a close", frame(CLOSE, close_payload(1000), masked=False), 1002),
    ("rsv1", frame(TEXT, "x", reserved=4), 1002),
    ("rsv2", frame(TEXT, "x", reserved=2), 1002),
    ("rsv3", frame(PING, "x", reserved=1), 1002),
    *[(f"opcode {n}", frame(n, "x"), 1002) for n in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)],
    ("continuation of nothing", frame(CONTINUATION, "x"), 1002),
    ("message in a message", frame(TEXT, "x", fin=False) + frame(TEXT, "y"), 1002),
    ("ping in fragments", frame(PING, "x", fin=False), 1002),
    ("ping of 126 bytes", frame(PING, "x" * 126), 1002),
    ("close of 1 byte", frame(CLOSE, b"\x03"), 1002),
    *[(f"close code {n}", frame(CLOSE, close_payload(n)), 1002) for n in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000)],
    ("close reason", frame(CLOSE, b"\x03\xe8\xff"), 1007),
    ("length not minimal", b"\x81\xfe\x00\x7d" + bytes(4 + 125), 1002),
    ("length of 2^63", b"\x82\xff\x80" + bytes(7 + 4), 1002),
    ("utf-8", frame(TEXT, b"a\xffb"), 1007),
    ("utf-8 surrogate", frame(TEXT, b"\xed\xa0\x80"), 1007),
    ("utf-8 overlong", frame(TEXT, b"\xc0\xaf"), 1007),
    ("utf-8 unfinished", frame(TEXT, b"\xe2\x82"), 1007),
    ("utf-8 in the second fragment", frame(TEXT, b"\xe2\x82", fin=False) + frame(CONTINUATION, b"\xff"), 1007),
    ("utf-8 in mid-frame", frame(TEXT, b"\xff", length=1000), 1007),
    ("too big", frame(BINARY, bytes(100001)), 1009),
    ("too big by its header alone", frame(BINARY, b"", length=100001), 1009),
    ("too big by 2^40", frame(BINARY, b"", length=1 << 40), 1009),
    ("too big by 2^63-1", frame(BINARY, b"", length=(1 << 63) - 1), 1009),
    ("too big in fragments", frame(TEXT, "x" * 60000, fin=False) + frame(CONTINUATION, "x" * 40001), 1009),
    ("too many fragments", frame(TEXT, "", fin=False) + frame(CONTINUATION, "", fin=False) * 8, 1008),
], ids=lambda v: v.replace(" ", "-") if isinstance(v, str) else "")
def test_failed(live, name, wrong, code):
    server = live(ECHO)
    other, peer = server.open(), server.open()
    peer.send(frame(TEXT, "before") + wrong + frame(TEXT, "after") + bytes(1000))
    assert peer.message() == "before"
    assert peer.closing()[0] == code
    assert peer.rest() == b""
    peer.sock.close()
    server.wait_notes(f"close|{code}|false")
    other.text("fine")
    assert other.message() == "fine"


def test_largest_message_and_most_fragments(live):
    server = live(ECHO)
    peer = server.open()
    peer.send(frame(TEXT, "x" * 100000))
    assert peer.message() == "x" * 100000
    peer.send(frame(TEXT, "a", fin=False) + frame(CONTINUATION, "b", fin=False) * 6 + frame(CONTINUATION, "c"))
    assert peer.message() == "abbbbbbc"
    peer.end()


def test_half_close(live):
    server = live(ECHO)
    peer = server.open()
    peer.text("one")
    assert peer.message() == "one"
    peer.sock.shutdown(socket.SHUT_WR)
    assert peer.rest() == b""
    server.wait_notes("close|1006|false")
    assert server.finish() == ["close|1006|false"]


def test_close_and_half_close_in_one_packet(live):
    server = live(ECHO)
    peer = server.open()
    peer.send(frame(TEXT, "last") + frame(CLOSE, close_payload(1001)))
    peer.sock.shutdown(socket.SHUT_WR)
    assert peer.message() == "last"
    assert peer.closing() == (1001, "")
    assert peer.rest() == b""
    assert server.finish() == ["close|1001|true"]


def test_pings_are_answered_in_order(live):
    server = live(ECHO)
    peer = server.open()
    peer.send(b"".join(frame(PING, str(i)) for i in range(500)))
    assert [peer.frame()[1:] for _ in range(500)] == [(PONG, str(i).encode()) for i in range(500)]


def test_pings_to_a_peer_that_does_not_read_are_coalesced(live):
    server = live("""
    return {
        limits = { send_queue = "64 MiB" },
        message = function(ws, data)
            if data == "fill" then ws:send(("x"):rep(20000000)) else note(ws.buffered_amount) end
        end,
    }""")
    peer = server.open()
    peer.text("fill")
    peer.send(b"".join(frame(PING, f"{i:0125}") for i in range(10000)) + frame(TEXT, "look"))
    server.wait_log("note: ")
    assert int(server.notes[0]) <= 20000014, "pongs wait behind the message"
    assert len(peer.frame().payload) == 20000000
    assert peer.frame()[1:] == (PONG, f"{9999:0125}".encode())
    peer.send(frame(PING, "again"))
    assert peer.frame()[1:] == (PONG, b"again")


def test_echo_to_a_peer_that_writes_much_before_it_reads(live):
    server = live(ECHO.replace("send_soft = 65536", "send_queue = '64 MiB', stall = 60"))
    peer = server.open()
    block = b"".join(frame(TEXT, f"{i:05}" + "x" * 1000) for i in range(10000))
    peer.send(block)
    for i in range(10000):
        assert peer.message()[:5] == f"{i:05}"
    peer.end()


def test_many_connections_at_once(live):
    server = live(ECHO)
    peers = [server.open() for _ in range(200)]
    for turn in range(3):
        for i, peer in enumerate(peers):
            peer.text(f"{turn} {i}")
        assert [peer.message() for peer in peers] == [f"{turn} {i}" for i in range(200)]
    for i, peer in enumerate(peers):
        peer.reset() if i % 2 else peer.end()
    notes = server.finish()
    assert len(notes) == 200 and set(notes) == {"close|1006|false", "close|1000|true"}


def test_many_messages_of_one_connection_let_others_have_their_turn(live, tmp_path):
    """The first handler holds the worker until the other connection's message is there too."""
    go = tmp_path / "go"
    server = live("""
    local n = 0
    return { message = function(ws, data)
        if data == "other" then note("other") return end
        n = n + 1
        if n == 1 then note("holds") while not io.open("%s") do end end
        if n == 5000 then note("last") end
    end }""" % go)
    busy, other = server.open(), server.open()
    busy.send(frame(TEXT, "x") * 5000)
    server.wait_notes("holds")
    other.text("other")
    go.touch()
    server.wait_notes("last")
    assert server.notes == ["holds", "other", "last"]
