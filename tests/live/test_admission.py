"""Who is let in and how much is taken, for all connections together: load is shed, and the rest stay served."""

import pytest
from live import wait_until
from peer import BINARY, CONTINUATION, PING, PONG, TEXT, close_payload, frame, handshake, request

HANDLER = """
return {
    %s
    message = function(ws, data, kind) ws:send(data, kind) end,
    close = function(ws, code, reason, clean) note("close", code, reason, clean) end,
}
"""


def refusals(server, count, path="/"):
    """Handshakes until `count` of them were answered with 503: the answers."""
    answers = []

    def enough():
        peer = server.peer()
        peer.send(handshake(path))
        answer = peer.answer()
        if answer.status == 503:
            assert peer.rest() == b""
            answers.append(answer)
        else:
            assert answer.status == 101
        return len(answers) == count
    wait_until(enough)
    return answers


# --- handshakes a second ---------------------------------------------------------------------------

def test_handshakes_per_second(live):
    server = live("""return tidewire.app { routes = {
        ["/"] = { message = function(ws, data) ws:send(data) end },
        ["/page"] = function() return "page" end,
    } }""", config="{ limits = { handshakes_per_second = 2 } }")
    first = server.open()
    answers = refusals(server, 3)
    for answer in answers:
        assert answer.body == b"the server is busy\n"
        assert 1 <= int(answer.headers["retry-after"]) <= 5
    server.wait_log("info .*refused a handshake: too many a second, see `handshakes_per_second`")
    for _ in range(20):
        assert server.peer().ask("/page").status == 200, "it is about opening handshakes alone"
    first.text("those that are in stay served")
    assert first.message() == "those that are in stay served"

    def admitted():
        peer = server.peer()
        peer.send(handshake())
        return peer.answer().status == 101
    wait_until(admitted)


def test_handshakes_that_fail_do_not_count(live):
    server = live(HANDLER % "", config="{ limits = { handshakes_per_second = 1 } }")
    for _ in range(20):
        peer = server.peer()
        peer.send(handshake(version="12"))
        assert peer.answer().status == 426
    server.open()


def test_handshakes_per_second_is_off_by_default(live):
    server = live(HANDLER % "")
    for _ in range(100):
        server.open()


# --- lag -------------------------------------------------------------------------------------------

BUSY = """
local function busy(seconds)
    local ends = tidewire.now() + seconds
    repeat until tidewire.now() > ends
end
return tidewire.app { routes = {
    ["/busy"] = function(req)
        note("busy")
        while not io.open(req.query.file) do end
        busy(%s)
        return "done"
    end,
    ["/page"] = function() return "page" end,
    ["/"] = { message = function(ws, data) ws:send(data) end },
} }"""


@pytest.fixture
def late(live, tmp_path):
    """late(config) -> a server, and the answers to handshakes that have waited for a turn of 0.6 s."""
    def make(config="{}"):
        server = live(BUSY % 0.6, config=config)
        peers = [server.peer() for _ in range(40)]
        for peer in peers:
            assert peer.ask("/page").status == 200, "accepted"
        stopper, page, inside = server.peer(), server.peer(), server.open()
        assert page.ask("/page").status == 200
        stopper.send(request(f"/busy?file={tmp_path}/go"))
        server.wait_notes("busy")
        for peer in peers:
            peer.send(handshake())
        page.send(request("/page"))
        inside.text("in")
        (tmp_path / "go").touch()
        assert stopper.answer().body == b"done"
        assert page.answer().status == 200, "other requests are not shed"
        assert inside.message() == "in"
        return server, [peer.answer() for peer in peers]
    return make


def test_lag(late):
    server, answers = late()
    shed = [answer for answer in answers if answer.status == 503]
    assert len(shed) == len(answers)
    waits = [int(answer.headers["retry-after"]) for answer in shed]
    assert set(waits) <= {1, 2, 3, 4, 5}
    assert len(set(waits)) > 1, "not all at once again"
    server.wait_log("info .*refused a handshake: the worker is late, see the limit `lag`")

    def admitted():
        peer = server.peer()
        peer.send(handshake())
        return peer.answer().status == 101
    wait_until(admitted)


@pytest.mark.parametrize("lag", ["0", "'5 min'"])
def test_lag_that_is_off_or_not_reached(late, lag):
    _, answers = late(f"{{ limits = {{ lag = {lag} }} }}")
    assert {answer.status for answer in answers} == {101}


# --- messages a second -----------------------------------------------------------------------------

def test_rate(live):
    server = live(HANDLER % "limits = { rate = 5 },")
    other, peer = server.open(), server.open()
    peer.send(b"".join(frame(TEXT, str(i)) for i in range(100)))
    answers = []
    while (got := peer.frame()).opcode == TEXT:
        answers.append(got.payload.decode())
    assert got.payload == close_payload(1008, "too many messages a second")
    assert len(answers) >= 5, "a burst of a second's messages is taken"
    assert answers == [str(i) for i in range(len(answers))], "and answered, in order"
    assert peer.rest() == b""
    peer.sock.close()
    server.wait_notes("close|1008|too many messages a second|false")
    other.text("fine")
    assert other.message() == "fine"
    other.end()
    assert server.finish() == ["close|1008|too many messages a second|false", "close|1000||true"]


def test_rate_counts_whole_messages_alone(live):
    server = live(HANDLER % "limits = { rate = 2, fragments = 1000 },")
    peer = server.open()
    for _ in range(100):
        peer.send(frame(PING, "p"))
        assert peer.frame()[1:] == (PONG, b"p")
    peer.send(frame(TEXT, "a", fin=False) + frame(CONTINUATION, "b", fin=False) * 100 + frame(CONTINUATION, "c"))
    assert peer.message() == "a" + "b" * 100 + "c"
    peer.text("second")
    assert peer.message() == "second"


def test_rate_that_is_kept(live):
    server = live(HANDLER % "limits = { rate = 1000000 },")
    peer = server.open()
    for turn in range(10):
        peer.send(frame(TEXT, "x") * 100)
        assert [peer.message() for _ in range(100)] == ["x"] * 100
    peer.end()


def test_rate_is_of_one_connection_and_of_a_route(live):
    server = live("""
    local echo = { message = function(ws, data) ws:send(data) end }
    return tidewire.app { routes = {
        ["/slow"] = { handler = echo, limits = { rate = 3 } }, ["/free"] = { handler = echo, limits = { rate = 0 } },
    } }""", config="{ limits = { rate = 1 } }")
    for _ in range(5):
        peer = server.open("/slow")
        peer.send(frame(TEXT, "x") * 3)
        assert [peer.message() for _ in range(3)] == ["x"] * 3
    free = server.open("/free")
    free.send(frame(TEXT, "x") * 200)
    assert [free.message() for _ in range(200)] == ["x"] * 200


# --- memory of unfinished messages -----------------------------------------------------------------

KiB = 1024


def begin(peer, size):
    """Sends all but the last byte of a message; returns that."""
    whole = frame(BINARY, bytes(size))
    peer.send(whole[:-1])
    return whole[-1:]


def test_reassembly_ends_the_largest(live):
    server = live(HANDLER % "limits = { message = '1 MiB' },", config="{ limits = { reassembly = '1 MiB' } }")
    large, small, late = server.open(), server.open(), server.open()
    end = begin(small, 10 * KiB)
    begin(large, 400 * KiB)
    for _ in range(5):  # each of them is below the largest
        begin(server.open(), 200 * KiB)
    assert large.closing() == (1013, "too many messages are unfinished")
    assert large.rest() == b""
    large.sock.close()
    server.wait_notes("close|1013|too many messages are unfinished|false")
    small.send(end)
    assert len(small.frame().payload) == 10 * KiB
    late.text("fine")
    assert late.message() == "fine"


def test_reassembly_gives_back_what_is_finished_or_gone(live):
    server = live(HANDLER % "", config="{ limits = { reassembly = '1200 KiB' } }")
    stays, lost = server.open(), 0
    end = begin(stays, 300 * KiB)
    for turn in range(20):
        peer = server.open()
        own = begin(peer, 300 * KiB)
        if turn % 4 == 0:
            peer.send(own)
            assert len(peer.frame().payload) == 300 * KiB
        elif turn % 4 == 1:
            peer.send(own + frame(11))  # a fault behind the message
            assert len(peer.frame().payload) == 300 * KiB
            assert peer.closing()[0] == 1002
        else:
            peer.reset() if turn % 4 == 2 else peer.sock.close()
            lost += 1
            server.wait_notes(*["close|1006||false"] * lost)
    stays.send(end)
    assert len(stays.frame().payload) == 300 * KiB
    assert not any("1013" in note for note in server.notes)


def test_reassembly_of_a_connection_alone(live):
    server = live(HANDLER % "limits = { message = '4 MiB' },", config="{ limits = { reassembly = '512 KiB' } }")
    peer = server.open()
    peer.send(frame(BINARY, bytes(2048 * KiB), length=4096 * KiB))
    assert peer.closing()[0] == 1013
    whole = server.open()
    whole.send(frame(BINARY, bytes(300 * KiB)))
    assert len(whole.frame().payload) == 300 * KiB


# --- each refusal where it belongs -----------------------------------------------------------------

@pytest.mark.parametrize("sent, status, fields, body", [
    (handshake(version="8"), 426, {"sec-websocket-version": "13"}, b"Sec-WebSocket-Version has to be 13.\n"),
    (handshake(method="POST"), 405, {"allow": "GET"}, b"The opening handshake is a GET request.\n"),
    (handshake(fields=["X: " + "y" * 20000]), 431, {}, None),
    (handshake("/nowhere"), 404, {}, b"Not Found\n"),
    (handshake("/http"), 404, {}, b"this path is no WebSocket endpoint\n"),
    (request("/ws"), 426, {"upgrade": "websocket", "connection": "Upgrade"}, b"this path is a WebSocket endpoint\n"),
    (request("/http", method="POST"), 405, {"allow": "GET, HEAD"}, b"Method Not Allowed\n"),
    (handshake("/ws", fields=["Origin: https://evil.example"]), 403, {}, None),
    (handshake("/ws", fields=["Content-Length: 1"]), 400, {}, b"The opening handshake has no body.\n"),
    (handshake("/ws", fields=["Transfer-Encoding: chunked"]), 400, {}, None),
], ids=["426-version", "405", "431", "404", "404-http", "426", "405-http", "403", "400-body", "400-encoding"])
def test_refusal(live, sent, status, fields, body):
    server = live("""return tidewire.app { routes = {
        ["/ws"] = { message = print }, ["/"] = { message = print },
        ["/http"] = { handler = function() return "x" end, methods = { "GET" } },
    } }""")
    peer = server.peer()
    peer.send(sent)
    answer = peer.answer()
    assert answer.status == status
    for name, value in fields.items():
        assert answer.headers[name] == value
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert 0 < len(answer.body) < 160 and answer.body.endswith(b"\n")
    assert body is None or answer.body == body


@pytest.mark.parametrize("target, seen", [
    ("http://test.example/a/b?c=d", "/a/b c=d"), ("http://other.example:81/a/b", "/a/b nil"),
    ("http://test.example", "/ nil"), ("HTTP://TEST.example/%61", "/a nil"), ("ws://test.example/x", "/x nil"),
])
def test_absolute_form(live, target, seen):
    server = live("""return { open = function(ws)
        ws:send(ws.request.path .. " " .. tostring(ws.request.raw_query))
    end }""")
    peer = server.open(target)
    assert peer.message() == seen


@pytest.mark.parametrize("target", [
    "http://user@test.example/x", "http://test.example/x#f", "http:///x", "http://test.example:0x50/", "ftp://a/b", "*",
    "test.example:80", "x",
])
def test_absolute_form_that_is_none(live, target):
    server = live("return { open = print }")
    peer = server.peer()
    peer.send(handshake(target))
    assert peer.answer().status == 400


@pytest.mark.parametrize("origin, status", [("http://other.example", 101), ("http://test.example", 403)])
def test_host_of_an_absolute_form_goes_over_the_field(live, origin, status):
    server = live("return { open = print }")
    peer = server.peer()
    peer.send(handshake("http://other.example/", fields=[f"Origin: {origin}"]))
    assert peer.answer().status == status
