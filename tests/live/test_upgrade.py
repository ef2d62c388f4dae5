"""handler.upgrade: what it may answer, and what happens to the connection then."""

import pytest
from peer import TEXT, frame, handshake, request

def handler(upgrade, more=""):
    return f"""
    return {{
        upgrade = function(req) {upgrade} end,
        open = function(ws) note("open", ws.state.user) end,
        message = function(ws, data) ws:send(data .. "," .. tostring(ws.state.user)) end,
        close = function(ws, code) note("close", code) end,
        {more}
    }}"""


@pytest.mark.parametrize("upgrade, user", [
    ("", "nil"),
    ("return nil", "nil"),
    ("return true", "nil"),
    ("return { user = 'ann' }", "ann"),
    ("tidewire.sleep(0.01) return { user = 'ann' }", "ann"),
    ("pcall(tidewire.sleep, 0.01) return { user = req.query.u }", "bob"),
])
def test_accepts(live, upgrade, user):
    server = live(handler(upgrade))
    peer = server.open("/?u=bob")
    peer.text("hi")
    assert peer.message() == f"hi,{user}"
    peer.end()
    assert server.finish() == [f"open|{user}", "close|1000"]


@pytest.mark.parametrize("upgrade, status, body", [
    ("return tidewire.refuse(401, 'who are you?')", 401, b"who are you?"),
    ("return tidewire.refuse(403)", 403, b""),
    ("return tidewire.refuse(429, { wait = 1 }, { ['Retry-After'] = 1 })", 429, b'{"wait":1}'),
    ("tidewire.sleep(0.01) return tidewire.refuse(401, 'late')", 401, b"late"),
    ("req:respond(410, {}, 'gone')", 410, b"gone"),
    ("req:respond(410, {}, 'gone') return { user = 1 }", 410, b"gone"),
])
def test_refuses(live, upgrade, status, body):
    server = live(handler(upgrade))
    peer = server.peer()
    peer.send(handshake())
    answer = peer.answer()
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers["connection"] == "close" and "upgrade" not in answer.headers
    assert peer.rest() == b""
    assert server.finish() == []


@pytest.mark.parametrize("upgrade", [
    "if not req.query.token then tidewire.refuse(401) end",
    "tidewire.sleep(0.01) tidewire.refuse(401) tidewire.sleep(0.01) return { user = 'ann' }",
])
def test_refusal_without_return_lets_nobody_in(live, upgrade):
    server = live(handler(upgrade))
    peer = server.peer()
    peer.send(handshake())
    assert peer.answer().status == 500
    server.wait_log(r"app\.lua:\d+: upgrade of / made a refusal and did not return it: write `return tidewire\.refuse")
    assert server.finish() == []


def test_refusal_without_return_is_no_answer_of_an_endpoint(live):
    server = live("""
    local function deny() tidewire.refuse(403) end
    return tidewire.app { routes = { ["/secret"] = function(req)
        if not req.query.token then deny() end
        return "secret"
    end } }""")
    peer = server.peer()
    peer.send(request("/secret") + request("/secret?token=1"))
    assert [peer.answer().status, peer.answer().body] == [500, b"secret"]
    server.wait_log(r"app\.lua:8: the endpoint /secret made a refusal and did not return it")
    server.finish()


def test_refusal_carries_its_headers(live):
    server = live(handler("return tidewire.refuse(401, 'no', { ['WWW-Authenticate'] = 'Bearer' })"))
    peer = server.peer()
    peer.send(handshake())
    answer = peer.answer()
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("upgrade, told", [
    ("error('broken lock')", "broken lock"),
    ("tidewire.sleep(0.01) error('broken lock')", "broken lock"),
    ("return 42", "returned 42"),
    ("return false", "returned false"),
    ("return 'yes'", 'returned "yes"'),
    ("coroutine.yield()", "coroutine.yield outside"),
])
def test_fails(live, upgrade, told):
    server = live(handler(upgrade, "error = function(ws, err) note('error', err) end"))
    peer = server.peer()
    peer.send(handshake())
    assert peer.answer().status == 500
    assert peer.rest() == b""
    line = server.wait_log(r" error (.*) where=(.*)$")[0]
    assert told in line[1].replace('\\"', '"') and line[2] == '"upgrade of /"'
    assert server.finish() == [], "there is no connection yet whose `error` could be called"


@pytest.mark.parametrize("refusal", ["return tidewire.refuse(401, 'no')", "error('broken')", "req:respond(401, {}, 'no')"])
def test_nothing_behind_a_refused_handshake_is_read(live, refusal):
    server = live("""
    return tidewire.app { routes = {
        ["/"] = { upgrade = function(req) %s end, message = function(ws, data) note("message", data) end },
        ["/http"] = function() note("http") return 200, "ok" end,
    } }""" % refusal)
    peer = server.peer()
    peer.send(handshake() + frame(TEXT, "smuggled") + request("/http"))
    assert peer.answer().status in (401, 500)
    assert peer.rest() == b""
    peer = server.peer()
    peer.send(handshake())
    assert peer.answer().status in (401, 500)
    peer.send(request("/http"))
    assert peer.rest() == b""
    assert server.finish() == []


def test_refusals_one_after_the_other(live):
    server = live(handler("if req.query.u ~= 'ann' then return tidewire.refuse(403, 'no') end return { user = 'ann' }"))
    for _ in range(20):
        peer = server.peer()
        peer.send(handshake("/?u=eve"))
        assert peer.answer().status == 403
        assert peer.rest() == b""
    server.open("/?u=ann").end()
    assert server.finish() == ["open|ann", "close|1000"]


SLOW = handler("note('asked') tidewire.sleep(0.2) note('decided') return { user = 'ann' }")


@pytest.mark.parametrize("how", ["reset", "close"])
def test_client_gone_while_upgrade_waits(live, how):
    server = live(SLOW)
    peer = server.peer()
    peer.send(handshake())
    server.wait_notes("asked")
    peer.reset() if how == "reset" else peer.sock.close()
    server.wait_notes("decided")
    other = server.open()
    other.text("on")
    assert other.message() == "on,ann"
    other.end()
    notes = server.finish()
    assert notes.count("close|1000") == 1
    assert sum(n.startswith("open") for n in notes) == sum(n.startswith("close") for n in notes)


def test_client_that_ends_its_half_while_upgrade_waits_is_closed(live):
    server = live(SLOW)
    peer = server.peer()
    peer.send(handshake() + frame(TEXT, "last words"))
    peer.sock.shutdown(1)
    assert peer.answer().status == 101
    assert peer.message() == "last words,ann"
    assert peer.rest() == b""
    server.wait_notes("close|1006")
    assert server.finish() == ["asked", "decided", "open|ann", "close|1006"]


def test_frames_that_come_while_upgrade_waits(live):
    server = live(SLOW)
    peer = server.peer()
    peer.send(handshake() + frame(TEXT, "1"))
    server.wait_notes("asked")
    peer.send(frame(TEXT, "2"))
    assert peer.answer().status == 101
    assert [peer.message(), peer.message()] == ["1,ann", "2,ann"]
    peer.end()


@pytest.mark.parametrize("offered, chosen", [
    ("chat", "chat"),
    ("chat, chat.v2", "chat.v2"),
    ("other, chat", "chat"),
    ("other", None),
    ("Chat", None),
    (None, None),
])
def test_subprotocol(live, offered, chosen):
    server = live("""
    return {
        protocols = { "chat.v2", "chat" },
        upgrade = function(req) note(req.protocol, table.concat(req.protocols, "+")) end,
        open = function(ws) ws:send(tostring(ws.protocol)) end,
    }""")
    peer = server.peer()
    answer = peer.upgrade(fields=[f"Sec-WebSocket-Protocol: {offered}"] if offered else [])
    assert answer.headers.get("sec-websocket-protocol") == chosen
    assert peer.message() == (chosen or "nil")
    assert server.finish() == [f"{chosen or 'nil'}|{(offered or '').replace(', ', '+')}"]


@pytest.mark.parametrize("origins, origin, accepted", [
    ("", "http://test.example", True),
    ("", "http://test.example:80", True),
    ("", None, True),
    ("", "https://test.example", False),
    ("", "http://test.example.evil", False),
    ("", "null", False),
    ("origins = '*',", "http://evil.example", True),
    ("origins = { 'https://a.example' },", "https://a.example", True),
    ("origins = { 'https://a.example' },", "http://test.example", False),
    ("origins = { 'https://a.example' },", "https://a.example:8443", False),
])
def test_origin(live, origins, origin, accepted):
    server = live("return { %s open = function(ws) ws:send('in') end }" % origins)
    peer = server.peer()
    peer.send(handshake(fields=[f"Origin: {origin}"] if origin else []))
    answer = peer.answer()
    assert answer.status == (101 if accepted else 403)
    if accepted:
        assert peer.message() == "in"


@pytest.mark.parametrize("first", ["nil", "true", "{ user = 'ann' }"])
def test_headers_of_the_answer(live, first):
    headers = "{ ['X-Node'] = 7, ['Set-Cookie'] = { 'a=1; HttpOnly', 'b=2' }, Server = 'tidewire' }"
    server = live(handler(f"tidewire.sleep(0.01) return {first}, {headers}"))
    peer = server.peer()
    peer.send(handshake() + frame(TEXT, "hi"))
    lines = []
    while line := peer.take_line():
        lines.append(line)
    assert lines[0].startswith("HTTP/1.1 101 ")
    for line in ("X-Node: 7", "Set-Cookie: a=1; HttpOnly", "Set-Cookie: b=2", "Server: tidewire"):
        assert lines.count(line) == 1
    assert peer.message() == f"hi,{'ann' if 'ann' in first else 'nil'}"


@pytest.mark.parametrize("headers, told", [
    *[("{ ['%s'] = 'x' }" % name, "this field is the runtime's to set") for name in (
        "Upgrade", "connection", "Sec-WebSocket-Accept", "sec-websocket-protocol", "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Version", "Content-Length", "Transfer-Encoding", "Date")],
    (r"{ X = 'a\r\nEvil: 1' }", "contains a control character"),
    (r"{ X = 'a\nEvil: 1' }", "contains a control character"),
    (r"{ X = 'a\0b' }", "contains a control character"),
    (r"{ X = { 'good', 'a\rb' } }", "contains a control character"),
    (r"{ ['X\r\nEvil'] = '1' }", "expected a field's name"),
    ("{ ['X Y'] = '1' }", "expected a field's name"),
    ("{ [''] = '1' }", "expected a field's name"),
    ("{ X = {} }", "empty table"),
    ("{ X = true }", "expected a string, a whole number or a list of them"),
    ("{ 'X: y' }", "expected a field's name"),
    ("'not allowed'", 'returned "not allowed" as its second result; expected a table of headers for the answer; '
     "to refuse: return tidewire.refuse"),
    ("403", "returned 403 as its second result"),
])
def test_headers_that_cannot_be_set_let_nobody_in(live, headers, told):
    server = live(handler(f"return nil, {headers}"))
    peer = server.peer()
    peer.send(handshake())
    answer = peer.answer()
    assert answer.status == 500 and "evil" not in answer.headers
    assert peer.rest() == b""
    line = server.wait_log(r" error (.*) where=(.*)$")[0]
    assert told in line[1].replace('\\"', '"') and line[2] == '"upgrade of /"'
    assert server.finish() == []


def test_headers_beside_a_subprotocol(live):
    server = live("""return {
        protocols = { "chat" },
        upgrade = function() return nil, { ["X-Node"] = "a" } end,
        open = function(ws) ws:send(ws.protocol) end,
    }""")
    peer = server.peer()
    answer = peer.upgrade(fields=["Sec-WebSocket-Protocol: chat"])
    assert answer.headers["x-node"] == "a" and answer.headers["sec-websocket-protocol"] == "chat"
    assert peer.message() == "chat"


@pytest.mark.parametrize("name", ["Sec-WebSocket-Accept", "Upgrade", "X\r\nEvil"])
def test_respond_refuses_what_is_the_runtimes_own(live, name):
    server = live(handler("req:respond(403, { { req.query.name, 'x' } }, '')"))
    peer = server.peer()
    encoded = name.replace("\r", "%0D").replace("\n", "%0A")
    peer.send(handshake(f"/?name={encoded}"))
    answer = peer.answer()
    assert answer.status == 500 and "evil" not in answer.headers
    server.wait_log("cannot be set")
