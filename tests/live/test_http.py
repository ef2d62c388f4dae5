"""Plain HTTP over the socket: endpoints, keep-alive, bodies, and what is refused."""

import os
import socket
import threading

import pytest
from peer import handshake, request

APP = """
return tidewire.app { routes = {
    ["/"] = function(req) return 200, "root\\n" end,
    ["/text"] = function() return "text" end,
    ["/json"] = function() return { a = 1 } end,
    ["/nothing"] = function() end,
    ["/all"] = function(req) return 201, "made", { ["X-A"] = "1", ["Set-Cookie"] = { "a=1", "b=2" } } end,
    ["/echo"] = function(req) return 200, req.body, { ["X-Method"] = req.method } end,
    ["/get"] = { handler = function() return "got" end, methods = { "GET" } },
    ["/slow"] = function(req) note("slow", req.query.n) tidewire.sleep(tonumber(req.query.s)) return req.query.n end,
    ["/raise"] = function() error("in endpoint") end,
    ["/bad"] = function() return 200, "x", { ["X-A"] = "a\\r\\nX-B: b" } end,
    ["/bad-status"] = function() return 99 end,
    ["/large"] = function() return ("x"):rep(250000) end,
    ["/user/:name"] = function(req) return req.params.name end,
    ["/refuse"] = function() return tidewire.refuse(402, "pay") end,
    ["/ws"] = { message = function(ws, data) ws:send(data) end },
} }
"""


def test_answers(live):
    server = live(APP)
    peer = server.peer()
    expected = {"/": (200, b"root\n"), "/text": (200, b"text"), "/json": (200, b'{"a":1}'), "/nothing": (204, b""),
                "/all": (201, b"made"), "/user/ann%20b": (200, b"ann b"), "/refuse": (402, b"pay"),
                "/none": (404, b"Not Found\n"), "/ws": (426, b"this path is a WebSocket endpoint\n")}
    for path, (status, body) in expected.items():
        answer = peer.ask(path)
        assert (answer.status, answer.body) == (status, body), path
        assert "connection" not in answer.headers or path == "/ws"
        assert answer.headers["date"].endswith(" GMT")
    assert peer.ask("/json").headers["content-type"] == "application/json"
    assert peer.ask("/all").headers["x-a"] == "1"
    assert peer.ask("/ws").headers["upgrade"] == "websocket"
    assert "content-length" not in peer.ask("/nothing").headers


def test_all_in_one_write_are_answered_in_order(live):
    server = live(APP)
    peer = server.peer()
    peer.send(b"".join(request(f"/slow?s=0.00{i % 3}&n={i}") + request(f"/user/{i}") for i in range(100)))
    for i in range(100):
        assert [peer.answer().body, peer.answer().body] == [str(i).encode()] * 2


def test_pipelined_requests_of_a_client_that_has_ended_its_half(live):
    server = live(APP)
    for pause in ("0", "0.05"):
        peer = server.peer()
        peer.send(b"".join(request(f"/slow?s={pause}&n={i}") for i in range(3)))
        peer.sock.shutdown(socket.SHUT_WR)
        assert [peer.answer().body for _ in range(3)] == [b"0", b"1", b"2"]
        assert peer.rest() == b""


def test_large_answer_to_a_client_that_has_ended_its_half(live):
    server = live(APP)
    for _ in range(5):
        peer = server.peer(receive_buffer=4096)
        peer.send(request("/large") * 12)
        peer.sock.shutdown(socket.SHUT_WR)
        server.peer().ask("/")
        for _ in range(12):
            assert len(peer.answer().body) == 250000
        assert peer.rest() == b""


def test_connection_close(live):
    server = live(APP)
    peer = server.peer()
    peer.send(request("/text", ["Connection: close"]) + request("/text"))
    answer = peer.answer()
    assert answer.body == b"text" and answer.headers["connection"] == "close"
    assert peer.rest() == b""


@pytest.mark.parametrize("path, length", [("/text", "4"), ("/none", "10"), ("/all", "4")])
def test_head_has_the_length_and_no_body(live, path, length):
    server = live(APP)
    peer = server.peer()
    peer.send(request(path, method="HEAD") + request("/text"))
    assert peer.answer(head_only=True).headers["content-length"] == length
    assert peer.answer().body == b"text"


def test_bodies(live):
    server = live(APP)
    peer = server.peer()
    for body in (b"", b"x", bytes(range(256)) * 4000):
        answer = peer.ask("/echo", method="POST", body=body)
        assert (answer.body, answer.headers["x-method"]) == (body, "POST")
    for byte in request("/echo", method="PUT", body=b"slow body"):
        peer.send(bytes([byte]))
    assert peer.answer().body == b"slow body"
    peer.send(request("/echo", method="POST", body=b"GET / HTTP/1.1\r\n\r\n") + request("/text"))
    assert [peer.answer().body, peer.answer().body] == [b"GET / HTTP/1.1\r\n\r\n", b"text"]


def test_expect_100_continue(live):
    server = live(APP)
    peer = server.peer()
    peer.send(request("/echo", ["Content-Length: 5", "Expect: 100-continue"], method="POST"))
    assert peer.take_line() == "HTTP/1.1 100 Continue" and peer.take_line() == ""
    peer.send(b"hello")
    assert peer.answer().body == b"hello"
    peer.send(request("/echo", ["Content-Length: 99999999", "Expect: 100-continue"], method="POST"))
    assert peer.answer().status == 413
    assert peer.rest() == b""


def test_methods(live):
    server = live(APP)
    peer = server.peer()
    assert peer.ask("/get").body == b"got"
    answer = peer.ask("/get", method="DELETE")
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD"
    assert peer.ask("/get", method="HEAD").status == 200


@pytest.mark.parametrize("path", ["/raise", "/bad", "/bad-status"])
def test_failing_endpoint(live, path):
    server = live(APP)
    peer = server.peer()
    answer = peer.ask(path)
    assert (answer.status, answer.body) == (500, b"internal error\n")
    assert peer.ask("/text").body == b"text", "the connection goes on"
    assert server.wait_log(rf'error .*where="?request of {path}')


@pytest.mark.parametrize("path", ["/%zz", "/%00", "/%2", "/a/../b", "/a/%2e%2e/b", "/a%2fb", "/./a"])
def test_bad_path(live, path):
    server = live(APP)
    peer = server.peer()
    assert peer.ask(path).status == 400
    assert peer.ask("/text").body == b"text", "where the next request begins is in no doubt"


def head(*lines):
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


@pytest.mark.parametrize("bytes_sent, status", [
    (head("GET / HTTP/1.1"), 400),
    (head("GET / HTTP/1.1", "Host: a", "Host: b"), 400),
    (head("GET / HTTP/1.1", "Host: a", "X : y"), 400),
    (head("GET / HTTP/1.1", "Host: a", " folded"), 400),
    (head("GET / HTTP/1.1", "Host: a", "X: a\x00b"), 400),
    (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
    (head("GET  / HTTP/1.1", "Host: a"), 400),
    (head("nonsense"), 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    (head("GET / HTTP/1.0", "Host: a"), 505),
    (head("GET / HTTP/2.0", "Host: a"), 505),
    (head("POST /echo HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"), 501),
    (head("POST /echo HTTP/1.1", "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
    (head("POST /echo HTTP/1.1", "Host: a", "Content-Length: 5", "Content-Length: 6"), 400),
    (head("POST /echo HTTP/1.1", "Host: a", "Content-Length: -1"), 400),
    (head("POST /echo HTTP/1.1", "Host: a", "Content-Length: 99999999999999999999"), 400),
    (head("POST /echo HTTP/1.1", "Host: a", "Content-Length: 1048577"), 413),
    (head("GET / HTTP/1.1", "Host: a", "X: " + "y" * 17000), 431),
    (head("GET / HTTP/1.1", "Host: a", *["X: y"] * 101), 431),
    (handshake("/ws", method="POST"), 405),
    (handshake("/ws", key="short"), 400),
    (handshake("/ws", version="8"), 426),
    (handshake("/ws", ["Content-Length: 4"]), 400),
    (handshake("/ws", ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]), 400),
    (handshake("/none"), 404),
    (handshake("/text"), 404),
], ids=lambda value: repr(value[:45]) if isinstance(value, bytes) else None)
def test_refused_and_closed(live, bytes_sent, status):
    server = live(APP)
    peer = server.peer()
    peer.send(bytes_sent + request("/text"))
    answer = peer.answer()
    assert answer.status == status, answer
    assert answer.headers["connection"] == "close"
    if status == 426:
        assert answer.headers["sec-websocket-version"] == "13"
    assert peer.rest() == b"", "what follows is not read as a request"
    assert server.peer().ask("/text").body == b"text"


def test_clients_that_go_while_their_request_is_answered(live):
    server = live(APP)
    for i in range(20):
        peer = server.peer()
        peer.send(request(f"/slow?s=0.05&n={i}") + request("/large"))
        server.wait_notes(f"slow|{i}")
        peer.reset() if i % 2 else peer.sock.close()
    assert server.peer().ask("/slow?s=0.1&n=last").body == b"last"
    assert server.finish()[-1] == "slow|last"


def test_slow_reader_of_the_last_answer_gets_all_of_it(live):
    """The time for the closing handshake is not a time for reading."""
    server = live(APP.replace("250000", "9000000"), config="""
    { limits = { close = 0.2, send_soft = '16 MiB', send_queue = '16 MiB' } }""")
    peer = server.peer(receive_buffer=65536)
    peer.send(request("/large", ["Connection: close"]))
    peer.take(1000)
    other = server.peer()
    for _ in range(8):
        other.ask("/slow?s=0.1&n=1")
    assert len(peer.rest()) > 9000000 - 1000


def test_memory_does_not_follow_what_a_busy_client_has_sent(live):
    """The next request is always there before the answer of the last: the read-ahead never runs empty."""
    server = live("return tidewire.app { routes = { ['/'] = function() tidewire.sleep(0.001) return 'x' end } }",
                  env={"ASAN_OPTIONS": "quarantine_size_mb=1"})
    worker, = server.workers()

    def resident():
        with open(f"/proc/{worker}/statm") as pages:
            return int(pages.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    peer = server.peer()
    assert peer.ask().body == b"x"
    before, whole = resident(), request(method="POST", body=bytes(60000))
    sender = threading.Thread(target=lambda: [peer.send(whole) for _ in range(1000)])
    sender.start()
    for _ in range(990):
        assert peer.answer().body == b"x"
    assert resident() - before < 30 << 20
    for _ in range(10):
        peer.answer()
    sender.join()
