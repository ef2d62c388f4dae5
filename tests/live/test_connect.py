"""tidewire.connect: both styles, the events and their order, every failure, redirects, trying again."""

import asyncio
import contextlib
import re
import socket
import ssl
import threading

import pytest
import websockets
from live import wait_until
from peer import BINARY, CLOSE, PING, PONG, TEXT, close_payload, frame

SHOW = """
local function show(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    print(table.concat(words, "|"))
end
"""


@pytest.fixture
def run(script):
    """A script that has show(...)."""
    return lambda source, *args, **options: script(SHOW + source, *args, **options)


class Websockets:
    """A server of Python websockets, in a thread of its own."""

    def __init__(self, handler, **options):
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve(handler, options)), daemon=True)
        self.thread.start()
        assert self.ready.wait(20)

    async def _serve(self, handler, options):
        self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()
        async with websockets.serve(handler, "127.0.0.1", options.pop("port", 0), **options) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.ready.set()
            await self.over.wait()

    def stop(self):
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.over.set)
            self.thread.join(20)


@pytest.fixture
def serve_websockets():
    with contextlib.ExitStack() as stack:
        def start(handler, **options):
            server = Websockets(handler, **options)
            stack.callback(server.stop)
            return server
        yield start


async def echo(socket, *_):
    async for message in socket:
        await socket.send(message)


# --- the two styles -------------------------------------------------------------------------------

@pytest.mark.parametrize("compression", ["false", "true", "{ takeover = true, window_bits = 9 }"])
def test_echo_straight(run, serve_websockets, compression):
    server = serve_websockets(echo, max_size=None)
    assert run(f"""
        local ws = assert(tidewire.connect(arg[1], {{ compression = {compression}, limits = {{ message = "4 MiB" }} }}))
        local noise = {{}} -- so that the ratio of compression is an ordinary one
        for i = 1, 20000 do noise[i] = math.random(0, 9) end
        noise = table.concat(noise)
        for _, n in ipairs {{ 0, 1, 125, 126, 65535, 65536, 1 << 20, 4 << 20 }} do
            local text = noise:rep(n // #noise + 1):sub(1, n)
            assert(ws:send(text))
            local data, kind = ws:receive()
            assert(data == text and kind == "text", n)
            assert(ws:send(text, "binary"))
            data, kind = ws:receive()
            assert(data == text and kind == "binary", n)
        end
        ws:close(4000, "bye")
        show(ws:receive())
        show(ws.ready_state)
    """, f"ws://127.0.0.1:{server.port}/").lines() == ["nil|closed", "closing"]


def test_echo_with_a_handler(run, serve_websockets):
    server = serve_websockets(echo)
    assert run("""
        local over
        local ws = tidewire.connect(arg[1], { handler = {
            open = function(ws) show("open", ws.ready_state) ws:send "1" end,
            message = function(ws, data, kind)
                show("message", data, kind)
                if data == "3" then return ws:close(4001, "bye") end
                ws:send(tostring(data + 1), kind == "text" and "binary" or "text")
            end,
            close = function(ws, ...) show("close", ...) over = true end,
        } })
        show("connected", ws.ready_state)
        while not over do tidewire.sleep(0.01) end
    """, f"ws://127.0.0.1:{server.port}/").lines() == [
        "open|open", "connected|open", "message|1|text", "message|2|binary", "message|3|text", "close|4001|bye|true"]


def test_run_of_a_handler(run, door):
    server = door()
    started = run("""
        local over
        tidewire.connect(arg[1], { handler = {
            run = function(ws) for data in ws:messages() do show(data) if data == "b" then break end end show "ran" end,
            close = function(ws, ...) show("close", ...) over = true end,
        } })
        while not over do tidewire.sleep(0.01) end
    """, server.url())
    guest = server.open(behind=frame(TEXT, "a", masked=False) + frame(TEXT, "b", masked=False))
    guest.expect_close(1000)
    assert started.lines() == ["a", "b", "ran", "close|1000||true"]


def test_fields(run, door):
    server = door()
    started = run("""
        local ws = tidewire.connect(arg[1], { protocols = { "a", "b" } })
        show(ws.url == arg[1], ws.protocol, ws.response.status, ws.response.headers["x-SEEN"], ws.response.headers.none)
        show(ws.remote_address, ws.ready_state, ws.buffered_amount, ws.reconnects)
        show(ws.request, ws.params, ws.app, type(ws.state))
        ws.state.n = 1
        show(ws.state.n, tidewire.send(ws.id, "by id"), #ws.id >= 20)
        show(pcall(ws.every, ws, 1, "tick"))
        show(select(2, pcall(function() return ws.respons end)):match "did you mean `%a+`")
        show(ws:receive())
        show(ws.remote_address, ws.url == arg[1], ws.response.status)
    """, server.url("/path?q=1"))
    guest = server.open("Sec-WebSocket-Protocol: b", "X-Seen: one", "x-seen: two")
    assert guest.message() == "by id"
    guest.close(1000)
    assert guest.closing() == (1000, "")
    guest.sock.close()
    assert started.lines() == [
        "true|b|101|one, two|nil", "127.0.0.1|open|0|0", "nil|nil|nil|table", "1|true|true",
        "false|bad argument #3 to '?' (this connection has no handler with functions to name)",
        "did you mean `response`", "nil|closed", "127.0.0.1|true|101"]


def test_server_connections_have_none_of_it(live):
    server = live("""
        return { open = function(ws) note(ws.response, ws.url, ws.reconnects, ws.request.path) end }
    """)
    server.open()
    server.wait_notes("nil|nil|nil|/")


# --- messages that wait ---------------------------------------------------------------------------

def quiet(guest):
    """Has it sent nothing more?"""
    guest.sock.settimeout(0)
    try:
        return guest.sock.recv(1) and False
    except BlockingIOError:
        return True
    finally:
        guest.sock.settimeout(20)


def test_messages_before_a_close_wait_and_so_does_the_answer(run, door):
    server, gate = door(), door()
    started = run("""
        local ws, gate = tidewire.connect(arg[1]), tidewire.connect(arg[2])
        gate:receive()
        show(ws.ready_state, ws:receive())
        show(ws:receive())
        show(ws:send "answer")
        show(ws:receive())
        show(ws:receive())
    """, server.url(), gate.url())
    guest = server.open(behind=frame(TEXT, "one", masked=False) + frame(BINARY, "two", masked=False) +
                        frame(CLOSE, close_payload(4000, "bye"), masked=False))
    keeper = gate.open()
    for n in (b"1", b"2"):  # each a turn of the loop
        keeper.say(PING, n)
        assert keeper.frame()[1:] == (PONG, n)
    assert quiet(guest)
    keeper.say(TEXT, "go")
    assert guest.message() == "answer"
    assert guest.closing() == (4000, "")
    guest.sock.close()
    assert started.lines() == ["open|one|text", "two|binary", "true", "nil|closed", "nil|closed"]


def test_messages_outlive_the_connection(run, door):
    server, gate = door(), door()
    started = run("""
        local ws, gate = tidewire.connect(arg[1]), tidewire.connect(arg[2])
        gate:receive()
        show(ws.ready_state, ws:receive())
        show(ws:send "answer")
        show(ws:receive())
        show(ws:receive(0.01))
        show(ws.ready_state)
    """, server.url(), gate.url())
    guest = server.open(behind=frame(TEXT, "one", masked=False) + frame(TEXT, "two", masked=False))
    guest.sock.close()
    keeper = gate.open()
    for n in (b"1", b"2"):
        keeper.say(PING, n)
        keeper.frame()
    keeper.say(TEXT, "go")
    assert started.lines() == ["closed|one|text", "nil|closed", "two|text", "nil|closed", "closed"]


def test_the_limit_of_the_closing_handshake_bounds_the_wait(run, door):
    server = door()
    started = run("""
        local ws = tidewire.connect(arg[1], { limits = { close = "50 ms" } })
        while ws.ready_state ~= "closed" do tidewire.sleep(0.01) end
        show(ws:receive())
        show(ws:receive())
    """, server.url())
    guest = server.open(behind=frame(TEXT, "one", masked=False) + frame(CLOSE, close_payload(1000), masked=False))
    assert guest.rest() == b""
    assert started.lines() == ["one|text", "nil|closed"]


def test_what_waits_is_bounded(run, door):
    server, gate = door(), door()
    started = run("""
        local ws, gate = tidewire.connect(arg[1]), tidewire.connect(arg[2])
        gate:receive() -- nobody takes anything
        local n = 0
        for data in ws:messages() do
            assert(tonumber(data:sub(1, 8)) == n, n)
            n = n + 1
        end
        show(n)
    """, server.url(), gate.url())
    guest, keeper = server.open(), gate.open()
    guest.sock.settimeout(0.5)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 2000:  # 200 MB: more than any socket takes
            whole = frame(TEXT, f"{sent:08}" + "x" * 100_000, masked=False)
            while whole:
                whole = whole[guest.sock.send(whole):]
            sent += 1
    assert sent < 2000
    guest.sock.settimeout(20)
    keeper.say(TEXT, "go")
    guest.send(whole)
    guest.close(1000)
    guest.closing()
    guest.sock.close()
    assert started.lines() == [str(sent + 1)]


def test_receive_times_out_and_others_go_on(run, door):
    server = door()
    started = run("""
        local ws = tidewire.connect(arg[1])
        tidewire.spawn(function() for i = 1, 3 do show("task", i) tidewire.sleep(0.001) end ws:send "ready" end)
        show(ws:receive(0.001))
        show(ws:receive())
        show(pcall(tidewire.spawn, 1))
        tidewire.spawn(function() show(pcall(ws.receive, ws)) ws:close() end)
        show(ws:receive())
    """, server.url())
    guest = server.open()
    assert guest.message() == "ready"
    guest.say(TEXT, "hi")
    guest.expect_close(1000)
    lines = started.lines()
    assert lines.index("nil|timeout") < lines.index("hi|text")
    assert "false|another coroutine is waiting in receive on this connection" in lines
    assert lines[-1] == "nil|closed"


# --- failures -------------------------------------------------------------------------------------

TELL = """
local ws, message, code, details = tidewire.connect(arg[1], %s)
show(ws, code, message)
if details then show(details.status, details.headers["content-type"], details.body) end
"""


def failure(run, url, options="{}", **more):
    """code and message, and what the server has answered."""
    lines = run(TELL % options, url, **more).lines()
    _, code, message = lines[0].split("|", 2)
    return (code, message, *lines[1:])


def answering(door, answer):
    """A server that gives its first guest this answer, made from the guest once its request is read."""
    server = door()

    def serve():
        guest = server.guest()
        guest.request()
        guest.send(answer(guest))
        guest.sock.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return server


def test_a_name_that_is_none(run):
    code, message = failure(run, "ws://no-such-host.invalid/")
    assert code == "name" and "no-such-host.invalid" in message


def test_refused(run, door):
    server = door()
    server.sock.close()
    code, message = failure(run, server.url())
    assert code == "refused" and "connection refused" in message and str(server.port) in message
    code, message = failure(run, "ws+unix:/nowhere/at.sock")
    assert code == "refused" and "/nowhere/at.sock" in message


def test_a_status(run, door):
    server = answering(door, lambda guest: b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n"
                                           b"Content-Length: 5\r\n\r\nno, no")
    code, message, told = failure(run, server.url())
    assert (code, told) == ("status", "403|text/plain|no, n") and "403" in message


def handshake_answer(*fields, accept=None):
    def make(guest):
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Accept: {accept or guest.accept_value()}", *fields]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()
    return make


@pytest.mark.parametrize("answer, told", [
    (handshake_answer(accept="s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "Sec-WebSocket-Accept"),
    (handshake_answer("Sec-WebSocket-Protocol: chat"), "Sec-WebSocket-Protocol"),
    (handshake_answer("Sec-WebSocket-Extensions: permessage-deflate"), "xtension"),
    (lambda _: b"SSH-2.0-OpenSSH\r\n\r\n", ""),
])
def test_a_broken_handshake(run, door, answer, told):
    code, message, *_ = failure(run, answering(door, answer).url())
    assert code == "handshake" and told.lower() in message.lower()


def test_lost(run, door):
    code, message = failure(run, answering(door, lambda _: b"HTTP/1.1 101 Swi").url())
    assert code == "lost" and "127.0.0.1" in message


def test_a_timeout(run, door):
    server = door()  # which takes nobody in
    code, message = failure(run, server.url(), "{ timeout = '50 ms' }")
    assert code == "timeout" and "127.0.0.1" in message


def test_the_time_counts_from_the_call(run, door):
    server = door()
    started = run("""
        local start = os.clock()
        while os.clock() - start < 1.1 do end
        show(tidewire.connect(arg[1], { timeout = 1 }) ~= nil)
    """, server.url())
    server.open().expect_close(1001, "going away")
    assert started.lines() == ["true"]


def test_a_proxy_that_refuses(run, door):
    server = answering(door, lambda _: b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    code, message = failure(run, "ws://example.invalid/", f'{{ proxy = "http://127.0.0.1:{server.port}" }}')
    assert code == "proxy" and "407" in message


def test_certificates(run, certificate, tmp_path):
    cert, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = Websockets(echo, ssl=context)
    url = f"wss://127.0.0.1:{server.port}/"
    try:
        code, message = failure(run, url)
        assert code == "tls" and "self-signed" in message.lower().replace("self signed", "self-signed")
        code, message = failure(run, url, f'{{ tls = {{ ca = "{cert}", name = "other.example" }} }}')
        assert code == "tls" and "other.example" in message
        code, message = failure(run, url, f'{{ tls = {{ ca = "{tmp_path}/none.pem" }} }}')
        assert code == "tls" and "none.pem" in message
        for options in (f'tls = {{ ca = "{cert}" }}', "tls = { verify = false }"):
            assert run(f"""
                local ws = assert(tidewire.connect(arg[1], {{ {options} }}))
                ws:send "over TLS"
                show(ws:receive())
            """, url).lines() == ["over TLS|text"]
    finally:
        server.stop()


def test_misuse_throws_at_the_caller(run):
    lines = run("""
        show(pcall(function() tidewire.connect("http://example.org") end))
        show(pcall(function() tidewire.connect("ws://example.org", { timout = 5 }) end))
        show(pcall(function() tidewire.connect("ws://example.org/a|b") end))
        show(pcall(table.sort, { 1, 2 }, function()
            local ws = tidewire.connect "ws://example.org"
            return ws
        end))
    """).lines()
    for line, told in zip(lines, ("ws://, wss:// or ws+unix: expected", "did you mean `timeout`?", "bad argument #1",
                                  "connect cannot wait here")):
        assert re.fullmatch(rf"false\|\S+/script\.lua:\d+: .*{re.escape(told)}.*", line), line


def test_not_while_an_app_loads(tmp_path, live):
    server = live("""
        local ok, message = pcall(function() tidewire.connect "ws://127.0.0.1:1" end)
        return tidewire.app { routes = { ["/"] = { open = print } }, start = function() note(ok, message) end }
    """)
    server.wait_log(r"note: false\|.*app\.lua:8: connect is not allowed while the app loads")


# --- what the request has -------------------------------------------------------------------------

def test_the_request(run, door):
    server = door()
    started = run("""
        tidewire.connect(arg[1], {
            headers = { Authorization = "Bearer x", ["X-Many"] = { "1", 2 } }, origin = "https://app.example",
            protocols = { "chat.v2", "chat" }, compression = true,
        })
    """, server.url("/a?b=%20"))
    guest = server.guest()
    assert guest.accept("Sec-WebSocket-Protocol: chat") == "GET /a?b=%20 HTTP/1.1"
    assert guest.field("host") == f"127.0.0.1:{server.port}"
    assert guest.field("authorization") == "Bearer x"
    assert guest.fields["x-many"] == ["1", "2"]
    assert guest.field("origin") == "https://app.example"
    assert guest.field("sec-websocket-protocol").replace(" ", "") == "chat.v2,chat"
    assert guest.field("sec-websocket-extensions").startswith("permessage-deflate")
    guest.expect_close(1001, "going away")
    started.lines()


def test_user_information_is_basic_credentials(run, door):
    server = door()
    started = run("local ws = tidewire.connect(arg[1]) show(ws.url)",
                  server.url("/x").replace("//", "//ada:open%20sesame@"))
    guest = server.guest()
    guest.accept()
    assert guest.field("authorization") == "Basic YWRhOm9wZW4gc2VzYW1l"
    guest.expect_close(1001, "going away")
    assert started.lines() == [server.url("/x")]


def test_a_unix_socket(run, door, tmp_path):
    path = tmp_path / "app.sock"
    server = door(path=path)
    started = run("local ws = tidewire.connect(arg[1]) show(ws.remote_address, ws.url == arg[1])",
                  f"ws+unix:{path}:/chat?a", env={"all_proxy": "http://127.0.0.1:1"})
    guest = server.guest()
    assert guest.accept() == "GET /chat?a HTTP/1.1"
    assert guest.field("host") == "localhost"
    guest.expect_close(1001, "going away")
    assert started.lines() == ["unix|true"]


@pytest.mark.parametrize("how", ["option", "environment"])
def test_through_a_proxy(run, door, how):
    proxy = door()
    url = f"http://ada:pass@127.0.0.1:{proxy.port}"
    started = run(f"""
        local ws = tidewire.connect("ws://far.invalid:81/x", {{ proxy = {f'"{url}"' if how == "option" else "nil"} }})
        show(ws.url, ws:receive())
    """, env={"http_proxy": url, "HTTP_PROXY": "http://127.0.0.1:1"} if how == "environment" else {})
    guest = proxy.guest()
    first, _ = guest.request()
    assert first == "CONNECT far.invalid:81 HTTP/1.1"
    assert guest.field("proxy-authorization") == "Basic YWRhOnBhc3M="
    guest.send(b"HTTP/1.1 200 OK\r\n\r\n")
    assert guest.accept() == "GET /x HTTP/1.1"
    assert guest.field("proxy-authorization") is None
    guest.say(TEXT, "through")
    guest.expect_close(1001, "going away")
    assert started.lines() == ["ws://far.invalid:81/x|through|text"]


def test_no_proxy(run, door):
    server = door()
    started = run("tidewire.connect(arg[1])", server.url(),
                  env={"http_proxy": "http://127.0.0.1:1", "no_proxy": "other, 127.0.0.0/8"})
    server.open().expect_close(1001, "going away")
    started.lines()


# --- redirects ------------------------------------------------------------------------------------

def test_redirects_keep_credentials_at_home(run, door):
    home, away = door(), door()
    started = run("""
        local ws = tidewire.connect(arg[1], { redirects = 3, sensitive = { "X-Key" }, headers = {
            Authorization = "Bearer x", Cookie = "a=b", ["X-Key"] = "k", ["X-Plain"] = "p",
        } })
        show(ws.url)
    """, home.url("/a/b"))
    first = home.guest()
    first.request()
    first.answer_with("307 Temporary Redirect", ["Location: c?d"])
    second = home.guest()
    assert second.request()[0] == "GET /a/c?d HTTP/1.1"
    assert [second.field(n) for n in ("authorization", "cookie", "x-key", "x-plain")] == ["Bearer x", "a=b", "k", "p"]
    second.answer_with("302 Found", [f"Location: {away.url('/z', scheme='http')}"])
    third = away.guest()
    assert third.accept() == "GET /z HTTP/1.1"
    assert [third.field(n) for n in ("authorization", "cookie", "x-key", "x-plain")] == [None, None, None, "p"]
    assert third.field("host") == f"127.0.0.1:{away.port}"
    third.expect_close(1001, "going away")
    assert started.lines() == [away.url("/z")]


def test_redirects_only_when_asked(run, door):
    server = answering(door, lambda _: b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n")
    code, message, told = failure(run, server.url())
    assert (code, told) == ("status", "302|nil|") and "302" in message


@pytest.mark.parametrize("location, why", [
    ("/a|b", "must be percent-encoded, got 'ws://127.0.0.1:"), ("ws://u:p@/", "a host's name or address expected"),
    ("ftp://127.0.0.1/", "ws://, wss:// or ws+unix: expected"), ("ws+unix:/run/app.sock:/", "a socket of this machine"),
    ("", "does not say where to"),
])
def test_a_redirect_that_leads_nowhere(run, door, location, why):
    answer = f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n{f'Location: {location}' if location else 'X: y'}\r\n\r\n"
    code, message, _ = failure(run, answering(door, lambda _: answer.encode()).url(), "{ redirects = 3 }")
    assert code == "status" and "answered 302 Found" in message and "the redirect is not followed" in message
    assert why in message


def test_redirects_that_go_in_circles(run, door):
    server = door()
    started = run(TELL % "{ redirects = 2 }", server.url())
    for _ in range(3):
        guest = server.guest()
        guest.request()
        guest.answer_with("302 Found", ["Location: /"])
    first, second = started.lines()
    assert first.startswith("nil|status|") and "these were 2 already" in first and second == "302|nil|"


# --- trying again ---------------------------------------------------------------------------------

def test_reconnect_goes_on_with_the_same_ws(run, door):
    server = door()
    port = server.port
    started = run("""
        local first
        local handler = { close = function(ws, code, reason, clean) show("close", code, clean, ws == first) end }
        function handler.open(ws)
            first = first or ws
            ws.state.opened = (ws.state.opened or 0) + 1
            show("open", ws.state.opened, ws.reconnects, ws == first, ws.response.headers["x-n"])
            ws:after(0, function() ws:send("hello " .. ws.state.opened) end)
        end
        function handler.message(ws, data)
            show("message", data)
            if data == "end" then ws:close(4000) end
        end
        local ws = tidewire.connect(arg[1], { handler = handler, reconnect = { min = 0.001, max = 0.01 } })
        show("connected", ws == first)
        while ws.reconnects < 3 or ws.ready_state ~= "closed" do tidewire.sleep(0.01) end
    """, server.url())
    one = server.open("X-N: 1")
    assert one.message() == "hello 1"
    one.reset()
    two = server.open("X-N: 2")
    assert two.message() == "hello 2"
    two.close(1012)
    assert two.closing() == (1012, "")
    server.shut()  # killed
    started.wait_log("connecting again")
    server = door(port=port)  # and restarted
    three = server.guest()
    three.request()
    three.answer_with("503 Service Unavailable")
    four = server.open("X-N: 4")
    assert four.message() == "hello 3"
    four.close()
    assert four.closing() == (None, "")
    four.sock.close()
    five = server.open("X-N: 5")
    assert five.message() == "hello 4"
    five.say(TEXT, "end")
    five.expect_close(4000)
    assert started.lines() == [
        "open|1|0|true|1", "connected|true", "close|1006|false|true",
        "open|2|1|true|2", "close|1012|true|true",
        "open|3|2|true|4", "close|1005|true|true",
        "open|4|3|true|5", "message|end", "close|4000|true|true"]


def test_reconnect_without_a_handler_tries_until_it_succeeds(run, door):
    server = door()
    port = server.port
    server.shut()
    started = run("""
        local ws = tidewire.connect(arg[1], { reconnect = { min = 0.01, max = 0.02 } })
        show(ws.ready_state, ws.reconnects)
    """, server.url())
    started.wait_log("connecting again")
    door(port=port).open().expect_close(1001, "going away")
    assert started.lines() == ["open|0"]


def test_reconnect_ends_where_trying_again_is_of_no_use(run, door):
    server = door()
    started = run("""
        local ws = tidewire.connect(arg[1], { handler = { open = function() show "open" end },
            reconnect = { min = 0.001, max = 0.01 } })
        while ws.ready_state ~= "closed" do tidewire.sleep(0.01) end
        tidewire.connect(arg[2]):receive()
    """, server.url(), server.url("/last"))
    server.open().reset()
    guest = server.guest()
    last = None
    while last is None:  # in either order
        if guest.request()[0].startswith("GET /last"):
            last = guest
        else:
            guest.answer_with("404 Not Found")
        guest = server.guest() if last is None or len(server.guests) < 3 else guest
    if guest is not last:
        guest.request()
        guest.answer_with("404 Not Found")
    started.wait_log("not connecting again")
    last.answer_with("404 Not Found")
    assert started.end()[0] == 1


def test_closing_between_two_connections_ends_it(run, door):
    server = door()
    started = run("""
        local ws = tidewire.connect(arg[1], { handler = { open = function() show "open" end },
            reconnect = { min = 3600, max = 3600 } })
        while ws.ready_state ~= "closed" do tidewire.sleep(0.01) end
        ws:close()
        show(ws:send "x")
    """, server.url())
    server.open().reset()
    assert started.lines() == ["open", "nil|closed"]


def test_closing_while_it_connects_anew_opens_nothing(run, door):
    server, gate = door(), door()
    started = run("""
        local ws = tidewire.connect(arg[1], { handler = { open = function() show "open" end,
            close = function(_, code) show("close", code) end }, reconnect = { min = 0.001, max = 0.001 } })
        local gate = tidewire.connect(arg[2])
        gate:receive()
        ws:close()
        gate:send "closed"
        gate:receive()
    """, server.url(), gate.url())
    server.open().reset()
    keeper = gate.open()
    again = server.guest()
    again.request()
    keeper.say(TEXT, "close now")
    assert keeper.message() == "closed"
    again.send(handshake_answer()(again))
    again.expect_close(1000)
    keeper.say(TEXT, "end")
    keeper.expect_close(1001, "going away")
    assert started.lines() == ["open", "close|1006"]


# --- errors, ends, collection ---------------------------------------------------------------------

def test_an_error_in_a_handler_closes_that_connection(run, door):
    server = door()
    started = run("""
        local over
        tidewire.connect(arg[1], { handler = {
            message = function() error "no" end, close = function(_, ...) show("close", ...) over = true end,
        } })
        while not over do tidewire.sleep(0.01) end
    """, server.url("/path?token=secret"))
    guest = server.open()
    guest.say(TEXT, "hi")
    guest.expect_close(1011, "internal error")
    assert started.lines() == ["close|1011||true"]
    log = started.stderr.text()
    assert f"message of {server.url('/path')}" in log and "script.lua:" in log and "secret" not in log


def test_a_server_that_breaks_the_protocol(run, door):
    server = door()
    started = run("""
        local ws = tidewire.connect(arg[1])
        show(ws:receive())
    """, server.url())
    guest = server.open(behind=frame(TEXT, "masked", masked=True))
    code, _ = guest.closing()
    assert code == 1002
    guest.sock.close()
    assert started.lines() == ["nil|closed"]


def test_a_coroutine_that_is_closed_while_it_connects(run, door):
    server = door()
    started = run("""
        local co
        tidewire.spawn(function()
            co = coroutine.create(function() tidewire.connect(arg[1]) show "not reached" end)
            show(coroutine.resume(co))
        end)
        while not co do tidewire.sleep(0.001) end
        show(coroutine.status(co))
        show(coroutine.close(co))
        collectgarbage()
        tidewire.connect(arg[2]):receive()
    """, server.url("/a"), server.url("/b"))
    guests = {}
    for _ in range(2):
        guest = server.guest()
        guests[guest.accept().split()[1]] = guest
    guests["/a"].expect_close(1001, "going away")
    guests["/b"].close(1000)
    assert guests["/b"].closing() == (1000, "")
    guests["/b"].sock.close()
    assert started.lines() == ["suspended", "true", "false|cannot resume dead coroutine"]


def test_a_connection_that_nobody_takes_is_not_made_anew(run, door):
    server = door()
    started = run("""
        local co = coroutine.create(function()
            tidewire.connect(arg[1], { reconnect = { min = 0.001, max = 0.001 }, handler = {
                open = function() show "open" end, close = function(ws, code) show("close", code) end,
            } })
        end)
        tidewire.spawn(coroutine.resume, co)
        tidewire.connect(arg[2]):receive()
        show(coroutine.close(co))
        tidewire.connect(arg[3]):receive()
        tidewire.sleep(0.05)
    """, server.url("/a"), server.url("/b"), server.url("/c"))
    guests = {}
    for _ in range(2):
        guest = server.guest()
        guests[guest.request()[0].split()[1]] = guest
    guests["/b"].send(handshake_answer()(guests["/b"]))
    guests["/b"].close()
    last = server.open()  # so the coroutine is closed
    guests["/a"].send(handshake_answer()(guests["/a"]))
    guests["/a"].expect_close(1001, "going away")
    guests["/b"].closing()
    last.close()
    last.closing()
    last.sock.close()
    assert started.lines() == ["true", "open", "close|1001"]
    assert "nil value" not in started.stderr.text()


def test_what_has_ended_is_collected(run, serve_websockets):
    async def brief(socket, *_):
        await socket.send("hi")
        await socket.close()

    server = serve_websockets(brief)
    assert run("""
        local seen = setmetatable({}, { __mode = "k" })
        local function straight()
            local ws = tidewire.connect(arg[1])
            seen[ws] = true
            ws:receive()
            ws:receive()
        end
        local function untaken() -- its message is never asked for
            local ws = tidewire.connect(arg[1], { limits = { close = 0.01 } })
            seen[ws] = true
        end
        local function handled()
            local over, ws
            local handler = { message = function() return ws end, close = function() over = ws or true end }
            ws = tidewire.connect(arg[1], { handler = handler }) -- which refers to its own ws
            seen[ws] = true
            while not over do tidewire.sleep(0.001) end
        end
        for i = 1, 20 do straight() untaken() handled() end
        local function count()
            collectgarbage()
            collectgarbage()
            local n = 0
            for _ in pairs(seen) do n = n + 1 end
            return n
        end
        local tries = 0
        while count() > 0 and tries < 500 do tidewire.sleep(0.01) tries = tries + 1 end
        show(count())
    """, f"ws://127.0.0.1:{server.port}/").lines() == ["0"]


def test_an_open_ws_that_nobody_refers_to_is_closed(run, door):
    server = door()
    started = run("""
        local function open(path) return assert(tidewire.connect(arg[1] .. path)) end
        local function forget(path, use) use(open(path)) end
        forget("sends", function(ws) ws:send "sent" end)
        forget("says-nothing", function() end)
        forget("subscribes", function(ws) ws:subscribe "news" end)
        forget("has-a-timer", function(ws) ws:after(3600, print) end)
        local kept = open "is-kept"
        tidewire.spawn(function() show(open "is-waited-on":receive()) end)
        kept:receive()
        collectgarbage()
        collectgarbage()
        tidewire.publish("news", "still here")
        for data in kept:messages() do show(data) end
    """, server.url("/"))
    guests = {}
    for _ in range(6):
        guest = server.guest()
        guests[guest.accept().split()[1]] = guest
    guests["/is-kept"].say(TEXT, "collect")
    assert guests["/sends"].message() == "sent"
    guests["/sends"].expect_close(1001, "going away")
    guests["/says-nothing"].expect_close(1001, "going away")
    assert guests["/subscribes"].message() == "still here"
    for path in ("/has-a-timer", "/is-kept", "/is-waited-on"):
        assert quiet(guests[path])
    guests["/is-waited-on"].say(TEXT, "received")
    started.wait_line("received|text")
    guests["/is-kept"].say(TEXT, "the last")
    guests["/is-kept"].close()
    for path in ("/subscribes", "/has-a-timer", "/is-waited-on"):
        guests[path].expect_close(1001, "going away")
    assert started.lines() == ["received|text", "the last"]


def test_many_at_once(run, serve_websockets):
    server = serve_websockets(echo)
    assert run("""
        local left, sum = 100, 0
        for i = 1, 100 do
            tidewire.spawn(function()
                local ws = assert(tidewire.connect(arg[1]))
                for k = 1, 5 do
                    ws:send(tostring(i * k))
                    local n = ws:receive()
                    sum = sum + n
                end
                left = left - 1
            end)
        end
        while left > 0 do tidewire.sleep(0.01) end
        show(math.tointeger(sum))
    """, f"ws://127.0.0.1:{server.port}/").lines() == ["75750"]


# --- in an app ------------------------------------------------------------------------------------

RELAY = """
local backend
return tidewire.app {
    routes = {
        ["/"] = { message = function(ws, data)
            local up = assert(tidewire.connect(backend .. "up"))
            up:send(data)
            ws:send(up.app and up.app.state.name .. " " .. up:receive() or "?")
            up:close()
        end },
        ["/up"] = { message = function(ws, data) ws:send(data:upper()) end },
        ["/start"] = function(req) backend = req.body return "ok" end,
    },
    start = function(app) app.state.name = "relay" end,
}
"""


def test_a_handler_that_connects(live):
    server = live(RELAY)
    assert server.peer().ask("/start", method="POST", body=server.url("/").encode()).status == 200
    peer = server.open("/")
    for word in ("one", "two"):
        peer.text(word)
        assert peer.message() == f"relay {word.upper()}"


def test_a_drain_closes_clients_and_cancels_attempts(live, door):
    server, silent = door(), door()
    app = live(f"""
        return tidewire.app {{ routes = {{ ["/"] = {{ open = function() end }} }}, start = function()
            tidewire.spawn(function() note("attempt", (select(3, tidewire.connect "{silent.url()}"))) end)
            tidewire.spawn(function()
                local ws = tidewire.connect("{server.url()}", {{ reconnect = true, handler = {{
                    open = function() note "open" end, close = function(_, code) note("close", code) end }} }})
            end)
        end }}
    """)
    guest = server.open()
    silent.guest().request()
    app.wait_notes("open")
    stopping = threading.Thread(target=app.finish)
    stopping.start()
    guest.expect_close(1001, "going away")
    stopping.join(30)
    assert sorted(app.notes) == ["attempt|cancelled", "close|1001", "open"]
    wait_until(lambda: not stopping.is_alive())
