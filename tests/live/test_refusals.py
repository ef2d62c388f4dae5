"""What the runtime refuses or ends by itself is told at debug: who, and why."""

import re
import ssl
import subprocess

import pytest
from peer import BINARY, TEXT, Peer, TlsPeer, connect, frame, handshake, request

APP = """return tidewire.app { routes = { ["/"] = { message = print }, ["/http"] = print,
    ["/rate"] = { message = print, limits = { rate = 1 } }, ["/slow"] = { open = function(ws)
        while ws:send(("x"):rep(60000)) do end
    end, limits = { message = 60000 } } } }"""
LIMITS = "{ limits = { message = 60000, reassembly = 50000, handshake = %s, idle = %s, close = 0.3, lag = 0 } }"


@pytest.fixture
def loud(live):
    """loud(handshake=..., idle=..., **options) -> a server that logs at debug."""
    return lambda handshake=20, idle=60, source=APP, **options: live(
        source, "--log", "debug", config=LIMITS % (handshake, idle), **options)


def told(server, peer):
    """The one line of debug about a peer, from its message on."""
    port = peer.sock.getsockname()[1]
    mine = rf" debug (.* from=127\.0\.0\.1 port={port}\b.*)$"
    return server.wait_log(mine)[0].group(1), mine


def assert_told(server, peer, message, **fields):
    line, mine = told(server, peer)
    assert line.startswith(message), line
    for name, value in fields.items():
        assert f" {name}={value}" in line, line
    server.finish()
    assert len([line for line in server.stderr.lines if re.search(mine, line)]) == 1, server.report()


@pytest.mark.parametrize("data, status, why, shown", [
    (b"GET / HTTP/1.1\r\n\r\n", 400, "Host is missing", '"GET / HTTP/1.1"'),
    (b"GET /?token=secret HTTP/1.0\r\nHost: x\r\n\r\n", 505, "Only HTTP/1.1", '"GET /"'),
    (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400, "A line does not end in CRLF", r'"\\x16\\x03\\x01\\x02\\x00\\x01"'),
    (b"GET /\x1b[31m\xff\" HTTP/1.1\r\nHost: x\r\n\r\n", 400, "The first line is malformed", r'"GET /\\x1b\[31m\\xff\\" HTTP/1\.1"'),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20000, 431, "Too many header fields", '"GET / HTTP/1.1"'),
    (handshake(version="12"), 426, "Version has to be 13", '"GET / HTTP/1.1"'),
    (handshake(key="x"), 400, "Key", '"GET / HTTP/1.1"'),
    (handshake(method="POST"), 405, "is a GET request", '"POST / HTTP/1.1"'),
    (request(), 426, "this path is a WebSocket endpoint", '"GET / HTTP/1.1"'),
    (request("/none"), 404, "there is no route", '"GET /none HTTP/1.1"'),
    (request("/a/../b"), 400, "a segment . or", '"GET /a/../b HTTP/1.1"'),
    (request("/http", fields=["Content-Length: 99999999"]), 413, "body is too large", '"GET /http HTTP/1.1"'),
], ids=["host", "HTTP/1.0", "TLS", "escapes", "head", "version", "key", "method", "no handshake", "route", "path", "body"])
def test_requests(loud, data, status, why, shown):
    server = loud()
    peer = server.peer()
    peer.send(data)
    assert peer.answer().status == status
    line, _ = told(server, peer)
    assert re.search(rf"^refused a request: .*{why}.* status={status} .* request={shown}$", line), line
    assert "secret" not in server.stderr.text()
    assert_told(server, peer, "refused a request: ")


def test_request_that_is_too_slow(loud):
    server = loud(handshake=0.3)
    peer = server.peer()
    peer.send(b"GET /slow HTTP")
    assert peer.answer().status == 408
    assert_told(server, peer, "refused a request: the request took too long", status=408, request='"GET /slow HTTP"')


@pytest.mark.parametrize("path, sent, code, why", [
    ("/", frame(TEXT, "x", masked=False), 1002, "mask"),
    ("/", frame(3, "x"), 1002, "opcode"),
    ("/", frame(TEXT, b"\xff"), 1007, "UTF-8"),
    ("/", frame(BINARY, length=60001), 1009, "message too big"),
    ("/", frame(BINARY, b"x" * 50001, length=60000), 1013, "too many messages are unfinished"),
    ("/", frame(TEXT, "", fin=False) + frame(0, "", fin=False) * 1024, 1008, "fragments"),
    ("/rate", frame(TEXT, "x") * 3, 1008, "too many messages a second"),
    ("/slow", b"", 1013, "reads too slowly"),
], ids=["mask", "opcode", "UTF-8", "message", "reassembly", "fragments", "rate", "send_queue"])
def test_connections_that_are_closed(loud, path, sent, code, why):
    server = loud()
    peer = server.open(path)
    peer.send(sent)
    line, _ = told(server, peer)
    assert re.search(rf"^closed a connection: .*{why}.* code={code} ", line), line
    assert_told(server, peer, "closed a connection: ", code=code)


def test_silence(loud):
    server = loud(idle=0.3)
    peer = server.open()
    assert peer.closing()[0] == 1001
    line, _ = told(server, peer)
    assert line.startswith("closed a connection: idle for too long code=1001 ")
    server.wait_log("ended a connection: its closing handshake took longer than the limit `close` from=")


def test_no_pong(live):
    server = live(APP, "--log", "debug", config="{ limits = { ping_interval = 0.1, pong_wait = 0.1 } }")
    assert_told(server, server.open(), "ended a connection: no sign of life within the limit `pong_wait`")


def wss(pair, more=""):
    return [f"wss://127.0.0.1:0?cert={pair[0]}&key={pair[1]}{more}"]


def test_tls(loud, certificate):
    server = loud(listen=wss(certificate))
    plain = Peer(connect(server.urls[0].replace("wss", "ws")))
    plain.send(b"GET / HTTP/1.1\r\n")
    plain.rest()
    server.wait_log(r"refused a connection: the TLS handshake failed: it speaks HTTP, not TLS")
    gone = Peer(connect(server.urls[0].replace("wss", "ws")))
    port = gone.sock.getsockname()[1]
    gone.sock.close()
    server.wait_log(rf"the TLS handshake failed: the client has ended the connection from=127\.0\.0\.1 port={port}$")
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLError), connect(server.urls[0].replace("wss", "ws")) as sock:
        context.wrap_socket(sock, server_hostname="localhost")
    server.wait_log("the TLS handshake failed: it does not know the authority of our certificate")
    with pytest.raises(ssl.SSLError):
        TlsPeer(connect(server.urls[0].replace("wss", "ws")), ciphers="AES128-SHA",
                maximum_version=ssl.TLSVersion.TLSv1_2)
    server.wait_log("the TLS handshake failed: it has no cipher in common with us")
    assert_told(server, plain, "refused a connection: the TLS handshake failed: it speaks HTTP, not TLS")


def test_tls_that_is_not_finished(loud, certificate):
    server = loud(handshake=0.3, listen=wss(certificate))
    assert_told(server, Peer(connect(server.urls[0].replace("wss", "ws"))),
                "refused a connection: the TLS handshake took longer than the limit `handshake`")


def test_certificates_of_clients(loud, certificate, tmp_path):
    server = loud(listen=wss(certificate, f"&client_ca={certificate[0]}"))

    def try_with(*pair):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if pair:
            context.load_cert_chain(*pair)
        with connect(server.urls[0].replace("wss", "ws")) as sock, pytest.raises((ssl.SSLError, ConnectionError)):
            with context.wrap_socket(sock) as tls:
                assert not tls.recv(1)
                raise ConnectionError
    try_with()
    server.wait_log("it has shown no certificate, which `client_ca` asks for")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-days", "2", "-subj", "/CN=me"],
                   check=True, capture_output=True)
    try_with(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.wait_log("its certificate is refused: self-signed certificate")


def test_proxy_header(live):
    """One that is none is told at warn already; these are the others."""
    server = live(APP, "--log", "debug", config='{ proxies = { "127.0.0.1" }, limits = { handshake = 0.5 } }',
                  listen=["ws://127.0.0.1:0?proxy_protocol=on"])
    none = server.peer()
    none.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert none.rest() == b""
    server.wait_log(r" warn  refused a connection from 127\.0\.0\.1: ")
    gone = server.peer()
    port = gone.sock.getsockname()[1]
    gone.send(b"PROXY TCP4")
    gone.sock.close()
    server.wait_log(rf"refused a connection: it ended before its PROXY header did from=127\.0\.0\.1 port={port}$")
    assert_told(server, server.peer(), "refused a connection: no PROXY header within the limit `handshake`")


def test_nothing_is_told_by_default(live):
    server = live(APP)
    peer = server.peer()
    peer.send(b"nonsense\r\n\r\n")
    assert peer.answer().status == 400
    closed = server.open()
    closed.send(frame(3))
    assert closed.closing()[0] == 1002
    server.finish()
    assert server.stderr.lines == [line for line in server.stderr.lines if " info  stopping" in line]
