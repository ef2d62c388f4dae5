"""The same over TLS: what is read ahead, written in part, cut off or ended in the middle."""

import os
import socket
import ssl

import pytest
from live import wait_until
from peer import BINARY, CLOSE, Peer, TEXT, TlsPeer, close_payload, connect, frame, handshake, request

APP = """
return tidewire.app { routes = {
    ["/"] = {
        message = function(ws, data, kind) if data == "0" then tidewire.sleep(0.05) end ws:send(data, kind) end,
        open = function(ws) note("open", ws.request.secure) end,
        close = function(ws, code, reason, clean) note("close", code, clean) end,
        limits = { send_queue = "64 MiB", message = "4 MiB" },
    },
    ["/push"] = { open = function(ws) ws:send(("x"):rep(20000000)) ws:close(4000) end },
    ["/http"] = function() return "ok" end,
    ["/files"] = tidewire.files "public",
} }
"""


@pytest.fixture
def secure(live, certificate):
    """A server over TLS, with connect() for a TLS peer."""
    cert, key = certificate
    server = live(APP, listen=[f"wss://127.0.0.1:0?cert={cert}&key={key}"],
                  files={"public/large.bin": os.urandom(1 << 16) * 320})

    def tls(path=None, **options):
        peer = TlsPeer(connect(server.urls[0], options.pop("receive_buffer", None)), **options)
        server.peers.append(peer)
        if path:
            peer.upgrade(path)
        return peer
    server.tls = tls
    return server


def test_echo_of_all_sizes(secure):
    peer = secure.tls("/")
    for size in (0, 1, 125, 126, 16383, 16384, 16385, 65535, 65536, 1000000, 4 << 20):
        payload = os.urandom(size)
        peer.send(frame(BINARY, payload))
        assert peer.frame().payload == payload
    peer.end()
    assert secure.finish() == ["open|true", "close|1000|true"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(secure, version):
    peer = secure.tls("/", minimum_version=version, maximum_version=version)
    peer.text("hi")
    assert peer.message() == "hi"
    peer.end()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_versions_are_refused(secure):
    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        secure.tls("/", ciphers="ALL:@SECLEVEL=0", minimum_version=ssl.TLSVersion.TLSv1_1,
                   maximum_version=ssl.TLSVersion.TLSv1_1)


@pytest.mark.parametrize("cipher, accepted", [
    ("ECDHE-ECDSA-AES256-GCM-SHA384", True),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", True),
    ("ECDHE-ECDSA-AES256-SHA384", False),
    ("ECDHE-ECDSA-AES128-SHA", False),
    ("ECDHE-ECDSA-AES128-CCM8", False),
])
def test_only_aead_ciphers_of_tls_1_2(secure, cipher, accepted):
    options = {"ciphers": cipher + ":@SECLEVEL=0", "maximum_version": ssl.TLSVersion.TLSv1_2}
    if accepted:
        assert secure.tls("/", **options).sock.cipher()[0] == cipher
    else:
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            secure.tls("/", **options)


@pytest.mark.parametrize("offered, chosen", [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), (["h2"], None)])
def test_protocols_of_alpn(secure, offered, chosen):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(offered)
    with connect(secure.urls[0]) as sock:
        if chosen:
            with context.wrap_socket(sock) as tls:
                assert tls.selected_alpn_protocol() == chosen
        else:
            with pytest.raises(ssl.SSLError, match="(?i)alert|unknown error"):
                context.wrap_socket(sock)


def test_all_in_one_record_with_the_handshake(secure):
    peer = secure.tls()
    peer.send(handshake() + frame(TEXT, "0") + b"".join(frame(TEXT, str(i)) for i in range(1, 500))
              + frame(CLOSE, close_payload(1000)))
    assert peer.answer().status == 101
    assert [peer.message() for _ in range(500)] == [str(i) for i in range(500)]
    assert peer.closing() == (1000, "")
    assert peer.rest() == b""


def test_many_messages_behind_a_handler_that_sleeps(secure):
    peer = secure.tls("/")
    peer.sock.settimeout(60)
    peer.send(b"".join(frame(TEXT, str(i)) for i in range(5000)))
    assert [peer.message() for _ in range(5000)] == [str(i) for i in range(5000)]
    peer.end()


def test_large_message_to_a_slow_reader_and_the_close_behind_it(secure):
    peer = secure.tls("/push", receive_buffer=65536)
    other = secure.tls("/")
    for i in range(1, 50):
        other.text(str(i))
        assert other.message() == str(i)
    assert len(peer.frame().payload) == 20000000
    assert peer.closing() == (4000, "")
    peer.close(4000)
    assert peer.rest() == b""


def test_pipelining_and_files(secure):
    peer = secure.tls()
    peer.send(request("/http") * 50 + request("/files/large.bin") + request("/http"))
    assert [peer.answer().body for _ in range(50)] == [b"ok"] * 50
    assert len(peer.answer().body) == 320 << 16
    assert peer.answer().body == b"ok"


def test_the_end_right_behind_many_requests(secure):
    """close_notify in the same bytes as 600 requests: more than one turn of the loop takes, all answered."""
    sock = connect(secure.urls[0])
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(65536))
    tls.write(request("/http") * 599 + request("/http", ["Connection: close"]))
    with pytest.raises(ssl.SSLWantReadError):
        tls.unwrap()
    sock.sendall(outgoing.read())
    while data := sock.recv(65536):
        incoming.write(data)
    answers = b""
    with pytest.raises(ssl.SSLZeroReturnError):  # the server's own close_notify
        while True:
            answers += tls.read(65536)
    assert answers.count(b"HTTP/1.1 200 OK") == 600


@pytest.mark.parametrize("end", ["close_notify", "fin", "reset"])
def test_lost(secure, end):
    peer = secure.tls("/")
    peer.text("hi")
    assert peer.message() == "hi"
    if end == "close_notify":
        peer.sock.settimeout(20)
        peer.sock.unwrap().close()
    elif end == "fin":
        socket.socket(fileno=peer.sock.detach()).close()
    else:
        peer.reset()
    secure.wait_notes("close|1006|false")
    assert secure.finish() == ["open|true", "close|1006|false"]


@pytest.mark.parametrize("nonsense", [
    request("/http"), b"", b"\x16", b"\x16\x03\x01\xff\xff" + bytes(100), bytes(1000), b"\x15\x03\x03\x00\x02\x02\x28"])
def test_what_is_no_tls_is_cut_off(secure, nonsense):
    worker, = secure.workers()
    before = secure.descriptors(worker)
    plain = secure.peer()
    plain.send(nonsense)
    plain.sock.shutdown(socket.SHUT_WR)
    assert not plain.rest().startswith(b"HTTP")
    plain.sock.close()
    wait_until(lambda: secure.descriptors(worker) <= before)
    secure.tls("/").end()


def test_garbage_in_the_middle(secure):
    peer = secure.tls("/")
    peer.text("hi")
    assert peer.message() == "hi"
    raw = Peer(socket.socket(fileno=peer.sock.detach()))
    raw.sock.settimeout(20)
    secure.peers.append(raw)
    raw.send(b"\x17\x03\x03\x00\x20" + bytes(32))
    raw.rest()
    secure.wait_notes("close|1006|false")
    secure.tls("/").end()


def test_refused_and_drained(secure):
    peer = secure.tls()
    peer.send(handshake("/none") + request("/http"))
    assert peer.answer().status == 404
    assert peer.rest() == b""
    peer.sock.close()
    open_one, idle = secure.tls("/"), secure.tls()
    assert idle.ask("/http").body == b"ok"
    secure.signal(15)
    assert open_one.closing() == (1001, "going away")
    open_one.close(1001)
    assert open_one.rest() == b"" and idle.rest() == b""
    assert secure.wait_end() == 0
