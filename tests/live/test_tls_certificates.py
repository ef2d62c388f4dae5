"""Certificates by the name that is asked for, those of clients, and session tickets."""

import hashlib
import ssl

import pytest
from authority import Authority, Dialled, client_context, copy, der, dial, shown
from live import wait_until
from peer import request
from test_control import ask

APP = """
local function tell(req)
    local c = req.certificate
    return c and ("%s|%s|%s"):format(c.subject, c.fingerprint, table.concat(c.names, ",")) or "nobody"
end
return tidewire.app { routes = {
    ["/"] = tell,
    ["/ws"] = { open = function(ws) ws:send(ws.id:match("^%x+")) end,
                message = function(ws) ws:send(tell(ws.request)) end },
} }
"""

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
BOTH = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger"), "Stranger")


@pytest.fixture(scope="module")
def alice(authority):
    return authority.issue(subject="/O=Example/CN=alice")


def url_of(*pairs, **options):
    query = [f"cert={pair.cert}&key={pair.key}" for pair in pairs] + [f"{k}={v}" for k, v in options.items()]
    return "wss://127.0.0.1:0?" + "&".join(query)


# --- by name ---------------------------------------------------------------------------------------

@BOTH
def test_certificate_is_chosen_by_name(live, authority, version):
    first, second = authority.issue("a.example", "www.a.example"), authority.issue("*.b.example")
    exact, other = authority.issue("x.b.example", "*.a.example"), authority.issue("c.example", "a.example")
    url, = live(APP, listen=[url_of(first, second, exact, other)]).urls
    for name, pair in {
        "a.example": first, "A.EXAMPLE": first, "www.a.example": first, "mail.a.example": exact,
        "y.b.example": second, "x.b.example": exact, "b.example": first, "z.y.b.example": first,
        "c.example": other, "unknown.example": first, "127.0.0.1": first, None: first,
    }.items():
        assert shown(url, name, version=version) == der(pair), name


def test_one_name_with_keys_of_two_types(live, authority):
    plain = authority.issue("other.example")
    ec, rsa = authority.issue("a.example"), authority.issue("a.example", kind="rsa")
    lone = authority.issue("rsa.example", kind="rsa")
    url, = live(APP, listen=[url_of(plain, ec, rsa, lone)]).urls
    assert shown(url, "a.example", version=TLS_1_2, ciphers="ECDHE-RSA-AES128-GCM-SHA256") == der(rsa)
    assert shown(url, "a.example", version=TLS_1_2, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256") == der(ec)
    assert shown(url, "other.example", version=TLS_1_2, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256") == der(plain)
    for name, ciphers in (("other.example", "ECDHE-RSA-AES128-GCM-SHA256"),
                          ("rsa.example", "ECDHE-ECDSA-AES128-GCM-SHA256")):
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):  # nobody else's is taken instead
            shown(url, name, version=TLS_1_2, ciphers=ciphers)


def test_certificates_of_the_settings(live, authority, tmp_path):
    first, second = authority.issue("a.example"), authority.issue("b.example")
    own = authority.issue("own.example")
    copy(first, tmp_path / "app" / "tls", "a")
    copy(second, tmp_path / "app" / "tls", "b")
    server = live(APP, config="""{ tls = { certificates = { { cert = "tls/a.pem", key = "tls/a.key" },
                                                           { cert = "tls/b.pem", key = "tls/b.key" } } } }""",
                  listen=["wss://127.0.0.1:0", url_of(own), "ws://127.0.0.1:0"])
    assert [shown(server.urls[0], name) for name in ("b.example", "x.example")] == [der(second), der(first)]
    assert shown(server.urls[1], "b.example") == der(own)
    assert server.peer(listener=2).ask().body == b"nobody"


# --- clients' certificates -------------------------------------------------------------------------

def told(url, **options):
    """What the app sees of the client."""
    with Dialled(dial(url, context=client_context(**options))) as peer:
        return peer.ask("/").body.decode().split("|")


def refused(url, **options):
    """With TLS 1.3 the refusal comes behind the client's handshake."""
    with pytest.raises(ssl.SSLError) as error, dial(url, context=client_context(**options)) as sock:
        sock.sendall(request())
        assert not sock.recv(100), "an answer to somebody who may not ask"
        raise ssl.SSLError("ended")
    return str(error.value)


@BOTH
def test_client_must_show_a_certificate(live, authority, stranger, alice, version):
    server = live(APP, listen=[url_of(authority.issue("a.example"), client_ca=authority.file)])
    url, = server.urls
    subject, fingerprint, names = told(url, own=alice, version=version)
    assert (subject, names) == ("CN=alice,O=Example", "")
    assert fingerprint == hashlib.sha256(der(alice)).hexdigest()
    refused(url, version=version)
    refused(url, own=stranger.issue(subject="/CN=mallory"), version=version)
    with Dialled(dial(url, context=client_context(own=alice, version=version))) as peer:
        peer.upgrade("/ws")
        peer.message()
        peer.text("who am I?")
        assert peer.message() == f"{subject}|{fingerprint}|"


@BOTH
def test_client_may_show_a_certificate(live, authority, stranger, alice, version):
    url, = live(APP, listen=[url_of(authority.issue("a.example"), client_ca=authority.file, client="optional")]).urls
    assert told(url, version=version) == ["nobody"]
    assert told(url, own=alice, version=version)[0] == "CN=alice,O=Example"
    refused(url, own=stranger.issue(subject="/CN=mallory"), version=version)


def test_clients_of_the_settings(live, authority, alice):
    pair = authority.issue("a.example")
    server = live(APP, config=f"""{{ tls = {{ certificates = {{ {{ cert = "{pair.cert}", key = "{pair.key}" }} }},
                                             client_ca = "{authority.file}" }} }}""",
                  listen=["wss://127.0.0.1:0", url_of(pair), url_of(pair, client="optional")])
    for url in server.urls:
        assert told(url, own=alice)[0] == "CN=alice,O=Example"
    refused(server.urls[0])
    refused(server.urls[1])  # a certificate of its own is no way around the rule
    assert told(server.urls[2]) == ["nobody"]


def test_names_of_a_client(live, authority, tmp_path):
    url, = live(APP, listen=[url_of(authority.issue("a.example"), client_ca=authority.file)]).urls
    assert told(url, own=authority.issue("one.example", "two.example"))[2] == "one.example,two.example"


# --- session tickets -------------------------------------------------------------------------------

def visit(url, context, session=None):
    """One connection: (was it resumed, the worker's node, the session to resume)."""
    sock = dial(url, context=context, session=session)
    with Dialled(sock) as peer:
        peer.upgrade("/ws")
        node = peer.message()  # TLS 1.3 sends its tickets behind the handshake
        return sock.session_reused, node, sock.session


def rotate(server):
    assert ask(server, "ticket-key") == {"v": 1, "ok": True}


@BOTH
def test_session_is_resumed_by_every_worker(live, authority, version):
    server = live(APP, "--workers", "2", listen=[url_of(authority.issue("a.example"))])
    server.wait_log("worker 1 is ready")
    context = client_context(version=version)
    fresh, node, session = visit(server.urls[0], context)
    assert not fresh
    seen = set()

    def by_both():
        resumed, other, _ = visit(server.urls[0], context, session)
        assert resumed
        seen.add(other)
        return len(seen) == 2
    wait_until(by_both)
    assert node in seen


@BOTH
def test_keys_of_tickets_last_for_two_rotations(live, authority, version):
    server = live(APP, "--workers", "2", listen=[url_of(authority.issue("a.example"))])
    server.wait_log("worker 1 is ready")
    context = client_context(version=version)
    url, = server.urls
    _, _, session = visit(url, context)
    renewed = session
    for _ in range(2):
        rotate(server)
        for _ in range(5):
            resumed, _, renewed = visit(url, context, session)
            assert resumed
    rotate(server)
    for _ in range(5):
        assert not visit(url, context, session)[0], "its key is gone"
        assert visit(url, context, renewed)[0], "a ticket of an older key was renewed"


@BOTH
def test_session_stays_with_its_listener(live, authority, version):
    """One that was begun where nobody asks for a certificate opens no door where one is required."""
    pair = authority.issue("a.example")
    server = live(APP, listen=[url_of(pair), url_of(pair, client_ca=authority.file)])
    context = client_context(version=version)
    _, _, session = visit(server.urls[0], context)
    assert visit(server.urls[0], context, session)[0]
    with pytest.raises((ssl.SSLError, ConnectionError, OSError)), \
            Dialled(dial(server.urls[1], context=context, session=session)) as peer:
        peer.ask("/")


@BOTH
def test_resumed_session_keeps_the_certificate(live, authority, alice, version):
    server = live(APP, listen=[url_of(authority.issue("a.example"), client_ca=authority.file)])
    context = client_context(own=alice, version=version)
    _, _, session = visit(server.urls[0], context)
    sock = dial(server.urls[0], context=context, session=session)
    with Dialled(sock) as peer:
        assert sock.session_reused
        assert peer.ask("/").body.decode().startswith("CN=alice,O=Example|")
