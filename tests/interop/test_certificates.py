"""TLS servers of Python with good and bad certificates: which of them tidewire's client takes, and what it says of the
others. And certificates of clients, both ways."""

import contextlib
import json
import socket
import ssl
import subprocess
import threading
import warnings

import pytest
from issuer import CA, SERVER, Issuer, self_signed
from peer import Lost
from peers import PAIRS, WsServer, binary
from script import Guest
from tidewire import SANITIZER, Server

PATIENCE = 20


class TlsServer:
    """Takes one connection after another, each up to the opening handshake. `requests` has the first lines that it
    was sent, `subjects` the names of those with certificates; `over` is released for each that has ended, well or not."""

    def __init__(self, pair, client_ca=None, version=None, level=2):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_ciphers(f"DEFAULT@SECLEVEL={level}")  # else it would not show what is weak
        self.context.load_cert_chain(*pair)
        if client_ca:
            self.context.load_verify_locations(client_ca)
            self.context.verify_mode = ssl.CERT_REQUIRED
        if version:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of TLS 1.1, which is to be refused
                self.context.minimum_version = self.context.maximum_version = version
        self.requests, self.subjects, self.over = [], [], threading.Semaphore(0)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _serve(self):
        with contextlib.suppress(OSError):  # until the listener is closed
            while True:
                sock, _ = self.listener.accept()
                sock.settimeout(PATIENCE)
                self._talk(sock)
                self.over.release()

    def _talk(self, sock):
        # what a client that refuses us does is an error here, in the handshake or behind it
        with sock, contextlib.suppress(OSError, Lost), \
                self.context.wrap_socket(sock, server_side=True) as tls:
            guest = Guest(tls)
            self.requests.append(guest.take_line())
            subject = (tls.getpeercert() or {}).get("subject", ())
            self.subjects += [value for fields in subject for name, value in fields if name == "commonName"]
            guest.kept = f"{self.requests[-1]}\r\n".encode() + guest.kept
            guest.accept()
            guest.expect_close(1001, "going away")


CONNECT = """
local ws, message, code = tidewire.connect(arg[1], { tls = { %s } })
print(ws and "open" or code .. " " .. message)
"""


def attempt(script, server, host="localhost", **options):
    """What comes of it: "open", or code and message. The server has seen a request in the first case alone."""
    before = len(server.requests)
    tls = ", ".join(f"{name} = {value if isinstance(value, bool) else json.dumps(str(value))}".replace("False", "false")
                    for name, value in options.items())
    line, = script(CONNECT % tls, f"wss://{host}:{server.port}/").lines()
    assert server.over.acquire(timeout=PATIENCE)
    assert len(server.requests) == before + (line == "open"), "nothing is said to a server that is not the right one"
    return line


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return Issuer.root(tmp_path_factory.mktemp("authority") / "root", "Tidewire Test Root")


@pytest.fixture(scope="module")
def middle(root):
    return root.below("Middle")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Issuer.root(tmp_path_factory.mktemp("stranger") / "root", "Somebody Else")


GOOD = {
    "ec": lambda root, middle: root.issue("ec"),
    "rsa": lambda root, middle: root.issue("rsa", key="rsa"),
    "for servers": lambda root, middle: root.issue("server", f"{SERVER}\nextendedKeyUsage=serverAuth"),
    "with an authority between": lambda root, middle: middle.issue("leaf", chain=middle.pem),
    "with its root": lambda root, middle: middle.issue("leaf-root", chain=middle.pem + root.pem),
    "name below": lambda root, middle: root.issue("below", "subjectAltName=DNS:*.test,DNS:localhost,IP:127.0.0.1"),
}


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_good_ones(script, root, middle, kind, version):
    with TlsServer(GOOD[kind](root, middle), version=version) as server:
        assert attempt(script, server, ca=root.cert) == "open"
        assert attempt(script, server, "127.0.0.1", ca=root.cert) == "open"
        assert attempt(script, server).startswith("tls "), "the system does not know it"


def test_what_is_trusted_may_be_the_certificate_itself(script, root, stranger, tmp_path):
    for pair, told in ((self_signed(tmp_path), "self-signed"), (root.issue("known"), "unknown authority")):
        with TlsServer(pair) as server:
            assert attempt(script, server, ca=pair.cert) == "open"
            assert told in attempt(script, server, ca=stranger.cert)


def test_another_name_may_be_asked_for(script, root):
    with TlsServer(root.issue("by-name", "subjectAltName=DNS:far.example,DNS:*.wild.example")) as server:
        for name in ("far.example", "FAR.example", "a.wild.example"):
            assert attempt(script, server, ca=root.cert, name=name) == "open"
        for name in ("wild.example", "a.b.wild.example", "far.example.org", "localhost"):
            told = attempt(script, server, ca=root.cert, name=name)
            assert told.endswith(f"the certificate is for far.example, *.wild.example, not {name}")


# What it is, how it is made, what is told of it
BAD = {
    "expired": (lambda root, middle, *_: root.issue("old", start="20190101000000Z", end="20200229000000Z"),
                "the certificate has expired on 2020-02-29"),
    "not yet valid": (lambda root, middle, *_: root.issue("new", start="20900301000000Z"),
                      "the certificate is not valid before 2090-03-01"),
    "another host": (lambda root, middle, *_: root.issue(
        "other", "subjectAltName=DNS:other.example,DNS:www.other.example"),
                     "the certificate is for other.example, www.other.example, not localhost"),
    "another host by the end": (lambda root, middle, *_: root.issue(
        "end", "subjectAltName=DNS:localhost.other.example"),
                                "the certificate is for localhost.other.example, not localhost"),
    "a NUL in the name": (lambda root, middle, *_: root.issue(
        "nul", "subjectAltName=DER:30:16:82:14:6c:6f:63:61:6c:68:6f:73:74:00:2e:65:76:69:6c:2e:74:65:73:74"),
        "the certificate names no host, so it is not for localhost"),
    "a wildcard for all": (lambda root, middle, *_: root.issue("all", "subjectAltName=DNS:*"), "not localhost"),
    "a name in CN alone": (lambda root, middle, *_: root.issue(
        "cn", "basicConstraints=CA:false", subject="/CN=localhost"),
                           "the certificate names no host, so it is not for localhost"),
    "an address as a name": (lambda root, middle, *_: root.issue("address", "subjectAltName=IP:127.0.0.1"),
                             "not localhost"),
    "self-signed": (lambda root, middle, stranger, folder: self_signed(folder),
                    "the certificate is self-signed and not among the trusted ones"),
    "an unknown authority": (lambda root, middle, stranger, _: stranger.issue("strange"),
                             "the certificate is of an unknown authority (CN=Somebody Else)"),
    "an unknown root": (lambda root, middle, stranger, _: stranger.issue("strange-root", chain=stranger.pem),
                        "the certificate is of an unknown authority (CN=Somebody Else)"),
    "the link is missing": (lambda root, middle, *_: middle.issue("alone"),
                            "the certificate is of an unknown authority (CN=Middle)"),
    "a client's": (lambda root, middle, *_: root.issue("client", f"{SERVER}\nextendedKeyUsage=clientAuth"),
                   "the certificate is not meant for servers"),
    "signs only": (lambda root, middle, *_: root.issue("code", f"{SERVER}\nextendedKeyUsage=codeSigning"),
                   "the certificate is not meant for servers"),
    "an authority that has expired": (lambda root, middle, *_: under(root, "Past", end="20210101000000Z"),
                                      "the certificate of its authority has expired on 2021-01-01"),
    "of one who is no authority": (lambda root, middle, *_: under(root, "Nobody", "basicConstraints=critical,CA:false"),
                                   "the certificate is refused: invalid CA certificate"),
    "of one who must not sign": (lambda root, middle, *_: under(
        root, "Reader", "basicConstraints=critical,CA:true\nkeyUsage=critical,digitalSignature"),
        "the certificate is refused: invalid CA certificate"),
    "an authority for other names": (lambda root, middle, *_: under(
        root, "Narrow", f"{CA}\nnameConstraints=critical,permitted;DNS:example.org"),
        "the certificate is refused: permitted subtree violation"),
    "too long a way": (lambda root, middle, *_: too_long(root),
                       "the certificate is refused: path length constraint exceeded"),
    "a critical extension": (lambda root, middle, *_: root.issue(
        "critical", f"{SERVER}\n1.2.3.4=critical,ASN1:UTF8String:what is this"),
        "the certificate is refused: unhandled critical extension"),
    "MD5": (lambda root, middle, stranger, folder: weak(root, folder),
            "the certificate is refused: CA signature digest algorithm too weak"),
    "SHA-1": (lambda root, middle, *_: root.issue("sha1", key="rsa", digest="sha1"), "too weak"),
    "a short key": (lambda root, middle, *_: root.issue("short", key="short"), "too weak"),
}


def under(root, name, extensions=CA, **options):
    between = root.below(name, extensions, **options)
    return between.issue("leaf", chain=between.pem)


def weak(root, folder):
    """MD5 goes with RSA alone."""
    between = root.below("Old", key="rsa")
    return between.issue("md5", digest="md5", chain=between.pem)


def too_long(root):
    first = root.below("First", "basicConstraints=critical,CA:true,pathlen:0")
    second = first.below("Second")
    return second.issue("leaf", chain=second.pem + first.pem)


@pytest.mark.parametrize("kind", BAD)
def test_bad_ones(script, root, middle, stranger, tmp_path, kind):
    make, told = BAD[kind]
    with TlsServer(make(root, middle, stranger, tmp_path), level=0) as server:
        line = attempt(script, server, ca=root.cert)
        assert line.startswith(f"tls cannot connect to wss://localhost:{server.port}: ")
        assert told in line
        assert attempt(script, server, verify=False) == "open", "there is nothing else to refuse"


def test_no_address_in_the_certificate(script, root):
    with TlsServer(root.issue("names", "subjectAltName=DNS:localhost,DNS:127.0.0.1")) as server:
        assert attempt(script, server, ca=root.cert) == "open"
        told = attempt(script, server, "127.0.0.1", ca=root.cert)
        assert told.startswith("tls ") and told.endswith("not 127.0.0.1")


def test_what_speaks_no_tls_or_an_old_one(script, root, door):
    plain = door()
    started = script(CONNECT % f'ca = "{root.cert}"', plain.url(scheme="wss").replace("127.0.0.1", "localhost"))
    plain.guest().send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert started.lines()[0].endswith("what answers there does not speak TLS")
    with TlsServer(root.issue("past"), version=ssl.TLSVersion.TLSv1_1, level=0) as server:
        told = attempt(script, server, ca=root.cert)
        assert told.endswith("the server has no version of TLS that we have (1.2 or 1.3)")


# --- certificates of clients -------------------------------------------------------------------------

CLIENT = "extendedKeyUsage=clientAuth"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_ours(script, root, middle, stranger, version):
    """A server that wants one."""
    with TlsServer(root.issue("wants"), client_ca=root.cert, version=version) as server:
        def shown(pair):
            return attempt(script, server, ca=root.cert, **({"cert": pair.cert, "key": pair.key} if pair else {}))
        assert shown(root.issue("alice", CLIENT)) == "open"
        assert shown(middle.issue("bob", CLIENT, chain=middle.pem)) == "open"
        assert server.subjects == ["alice", "bob"]
        assert "client certificate" in shown(None)
        assert "does not know the authority of our client certificate" in shown(stranger.issue("mallory", CLIENT))
        assert "our client certificate has expired" in shown(root.issue("late", CLIENT, end="20210101000000Z"))
        assert "the server refuses our client certificate" in shown(root.issue("server", "extendedKeyUsage=serverAuth"))


def show_to(url, client, root, pair):
    """True: a client that has this pair gets in, and its "hello" back."""
    commands = {
        "ws": ["node", PAIRS / "certified.js"], "websockets": ["/usr/bin/python3", PAIRS / "certified.py"],
        "tidewire": [binary(), "exec", PAIRS / "certified.lua"],
    }
    command = [*commands[client], url, root.cert, *(pair or ())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done.returncode == 0 and done.stdout == "hello\n"


@pytest.mark.parametrize("client", ["ws", "websockets", "tidewire"])
def test_theirs(root, middle, stranger, client):
    """A server of ours that wants one."""
    pair = root.issue("ours")
    url = f"wss://127.0.0.1:0?cert={pair.cert}&key={pair.key}&client_ca={root.cert}"
    with Server("apps/echo.lua", listen=[url]) as server:
        address = f"wss://localhost:{server.port}/"
        assert show_to(address, client, root, root.issue("alice", CLIENT))
        assert show_to(address, client, root, middle.issue("bob", CLIENT, chain=middle.pem))
        for refused in (None, stranger.issue("mallory", CLIENT), root.issue("late", CLIENT, end="20210101000000Z"),
                        root.issue("server", "extendedKeyUsage=serverAuth")):
            assert not show_to(address, client, root, refused)


def test_ours_to_npm_ws(root, stranger, script):
    """Of which the certificate is verified, as that of any other."""
    for issuer, told in ((root, "open"), (stranger, "the certificate is of an unknown authority (CN=Somebody Else)")):
        with WsServer(tls=issuer.issue("npm")) as server:
            line, = script(CONNECT % f'ca = "{root.cert}"', f"wss://localhost:{server.port}/echo").lines()
            assert line.endswith(told)
