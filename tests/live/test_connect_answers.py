"""tidewire.connect until the 101: what is asked and of whom, what may be answered, and every failure."""

import re
import ssl

import pytest
from client import TELL, Websockets, answering, echo, failure, handshake_answer
from peer import TEXT

# --- failures -------------------------------------------------------------------------------------

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
        for options in (f'tls = {{ ca = "{cert}" }}', "tls = { verify = false }",
                        f'tls = {{ verify = false, ca = "{tmp_path}/none.pem", name = "other.example" }}'):
            assert run(f"""
                local ws = assert(tidewire.connect(arg[1], {{ {options} }}))
                ws:send "over TLS"
                show(ws:receive())
            """, url).lines() == ["over TLS|text"]
    finally:
        server.stop()


def test_misuse_throws_at_the_caller(run):
    lines = run("""
        show(pcall(function() tidewire.connect(nil) end))
        show(pcall(function() tidewire.connect("ws://example.org", { timout = 5 }) end))
        show(pcall(table.sort, { 1, 2 }, function()
            local ws = tidewire.connect "ws://example.org"
            return ws
        end))
    """).lines()
    for line, told in zip(lines, ("a URL expected, got nil", "did you mean `timeout`?", "connect cannot wait here"),
                          strict=True):
        assert re.fullmatch(rf"false\|\S+/script\.lua:\d+: .*{re.escape(told)}.*", line), line


@pytest.mark.parametrize("url, options, told", [
    ("http://example.org", "{}", "ws://, wss:// or ws+unix: expected"),
    ("ws://example.org/a|b", "{ reconnect = true }", "must be percent-encoded, got "),  # only C finds it
    ("ws://127.0.0.1:1/", "{ tls = { verify = false } }", "with the option tls a wss: URL expected"),
])
def test_a_bad_url_is_an_expected_failure(run, url, options, told):
    code, message = failure(run, url, options)
    assert code == "url" and told in message


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
    ("/a|b", "must be percent-encoded, got "), ("ws://u:p@/", "a host's name or address expected"),
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
