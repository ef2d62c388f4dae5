"""H: the opening handshake, as a server has to take or refuse it (RFC 6455 section 4.2). All of ours."""

from suite import http
from suite.case import CLIENT, SERVER, Cases
from suite.events import Failure, Message, Pong
from suite.frames import TEXT, close, ping, text
from suite.peer import OCTETS

CASES = Cases()
RFC = "RFC 6455 4.2.1"


def add(id, title, rfc, run, profile="plain"):
    CASES.add(id, title, rfc, run, roles=(SERVER,), profile=profile, raw=True)


# --- accepted ---------------------------------------------------------------------------------------

def accepted(chop=0, check=None, **options):
    async def run(dialer):
        key = (options.get("change") or {}).get("Sec-WebSocket-Key")
        peer = await dialer.peer(dialer.request(**options), chop=chop, key=key)
        if check:
            check(peer.handshake)
        elif peer.handshake.all("Sec-WebSocket-Extensions") or peer.handshake.all("Sec-WebSocket-Protocol"):
            raise Failure(f"the server answers what was not offered: {peer.handshake.fields}")
        await peer.send(text("open"))
        await peer.expect(Message(TEXT, b"open"))
        await peer.finish()
    return run


def changed(name, value):
    return accepted(change={name: value})


add("H.accept.1", "the handshake of the RFC: its key gives its accept", "RFC 6455 1.3, 4.2.2",
    accepted(change={"Sec-WebSocket-Key": http.SAMPLE_KEY}))
for i, key in enumerate(("AAAAAAAAAAAAAAAAAAAAAA==", "/////////////////////w==", "x3JJHMbDL1EzLkh9GBhXDw==",
                         "++++++++++++++++++++/w==", "AQIDBAUGBwgJCgsMDQ4PEA=="), 1):
    add(f"H.key.{i}", f"the key {key}", "RFC 6455 4.2.2", changed("Sec-WebSocket-Key", key))
for i, value in enumerate(("WebSocket", "WEBSOCKET", "wEbSoCkEt", "websocket, foo", "foo, websocket", "h2c, websocket",
                           "websocket,", " ,websocket", "\twebsocket\t", "foo/1, websocket", ["foo", "websocket"]), 1):
    add(f"H.upgrade.{i}", f"Upgrade: {value!r}", "RFC 6455 4.2.1; RFC 9110 5.6.1", changed("Upgrade", value))
for i, value in enumerate(("upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade, keep-alive", "keep-alive,Upgrade",
                           "keep-alive , Upgrade", ["keep-alive", "Upgrade"], ["Upgrade", "keep-alive"], "Upgrade,",
                           ", Upgrade", "foo, bar, upgrade"), 1):
    add(f"H.connection.{i}", f"Connection: {value!r}", "RFC 6455 4.2.1; RFC 9110 5.6.1", changed("Connection", value))
add("H.version.1", "the version with white space around it", "RFC 9110 5.5", changed("Sec-WebSocket-Version", " 13\t"))
for i, value in enumerate(("localhost", "LOCALHOST:80", "[::1]", "[::1]:8080", "127.0.0.1:65535", "a.b.c.example:1",
                           "xn--bcher-kva.example", "under_score.example"), 1):
    add(f"H.host.{i}", f"Host: {value}", "RFC 6455 4.2.1; RFC 9110 7.2", changed("Host", value))

EXTRA = {
    "1": ("cookies", ["Cookie: a=b; c=d", "Cookie: e=f"]), "2": ("credentials", ["Authorization: Basic dTpw"]),
    "3": ("a name of every kind of token character", ["!#$%&'*+-.^_`|~09AZaz: x"]),
    "4": ("an empty value", ["X-Empty:"]),
    "5": ("no space behind the colon", ["X-Tight:x"]), "6": ("tabs around a value", ["X-Tabs:\t \tx\t "]),
    "7": ("bytes above 0x7F in a value nobody reads", [b"X-Latin: caf\xe9 \xff"]),
    "8": ("90 fields", [f"X-{i}: {i}" for i in range(90)]),
    "9": ("a value of 8000 bytes", ["X-Long: " + "a" * 8000]), "10": ("Content-Length: 0", ["Content-Length: 0"]),
    "11": ("an extension nobody knows", ["Sec-WebSocket-Extensions: foo; bar=1, baz"]),
    "12": ("an Origin that is the host's", ["Origin: http://{host}"]),
    "13": ("a subprotocol where the route has none", ["Sec-WebSocket-Protocol: chat"]),
    "14": ("names in lower case", ["user-agent: x", "accept-language: de"]),
    "15": ("a comment, quotes and commas in a value", ['X-Odd: (a "b\\" c), d;e=f']),
    "16": ("fields of a proxy", ["Via: 1.1 a", "X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1"]),
}
for number, (what, lines) in EXTRA.items():
    add(f"H.field.{number}", what, RFC, accepted(fields=lines))
for i, path in enumerate(("{path}?query=1", "{path}?", "{path}?a=%2F&b=%C3%BC", "{path}?a=b?c=/d"), 1):
    add(f"H.target.{i}", f"the target {path}", RFC, accepted(path=path))
add("H.target.absolute", "a target in absolute-form", "RFC 9112 3.2.2", accepted(path="http://{host}{path}"))


@CASES.case("H.order", "fields in another order and other cases", "RFC 6455 4.2.1", roles=(SERVER,), raw=True)
async def other_order(dialer):
    lines = [f"GET {dialer.path} HTTP/1.1", "sec-websocket-version: 13", f"SEC-WEBSOCKET-KEY: {dialer.key}",
             "CONNECTION: upgrade", "upgrade: websocket", f"hOST: {dialer.host}", "", ""]
    peer = await dialer.peer("\r\n".join(lines).encode())
    await peer.finish()


add("H.chop.1", "byte by byte", RFC, accepted(chop=OCTETS))
add("H.chop.2", "in chops of 7 bytes", RFC, accepted(chop=7))


@CASES.case("H.early.1", "frames in the same write as the request", "RFC 6455 4.2.2", roles=(SERVER,), raw=True)
async def early_frames(dialer):
    frames = b"".join(f.encode(b"\1\2\3\4") for f in (text("early"), ping(b"p"), text("birds"), close(1000)))
    peer = await dialer.peer(dialer.request() + frames)
    await peer.expect_pongs([b"p"], [Message(TEXT, b"early"), Message(TEXT, b"birds")])
    await peer.expect_closed(1000)


@CASES.case("H.early.2", "half a frame in the same write as the request", "RFC 6455 4.2.2", roles=(SERVER,), raw=True)
async def early_half(dialer):
    frame = text("in two pieces").encode(b"\1\2\3\4")
    peer = await dialer.peer(dialer.request() + frame[:5])
    await peer.wire.send(frame[5:])
    await peer.expect(Message(TEXT, b"in two pieces"))
    await peer.finish()


@CASES.case("H.early.3", "a broken frame in the same write as the request", "RFC 6455 4.2.2, 7.1.7", roles=(SERVER,),
            raw=True)
async def early_broken(dialer):
    peer = await dialer.peer(dialer.request() + text("x", rsv=7).encode(b"\1\2\3\4"))
    await peer.expect_failed(1002)


@CASES.case("H.early.4", "the head byte by byte, and frames behind it", "RFC 6455 4.2.2", roles=(SERVER,), raw=True)
async def early_chopped(dialer):
    peer = await dialer.peer(dialer.request() + text("early").encode(b"\1\2\3\4"), chop=1)
    await peer.expect(Message(TEXT, b"early"))
    await peer.finish()


# --- subprotocols: the profile has "chat.v2" and "chat", in this order -----------------------------------------

def chosen(name):
    def check(head):
        if head.one("Sec-WebSocket-Protocol") != name:
            raise Failure(f"expected the subprotocol {name}, saw {head.all('Sec-WebSocket-Protocol')}")
    return check


for i, (offers, name) in enumerate(((["chat"], "chat"), (["chat.v2"], "chat.v2"), (["chat, chat.v2"], "chat.v2"),
                                    (["chat.v2, chat"], "chat.v2"), (["foo, chat, bar"], "chat"),
                                    (["chat", "chat.v2"], "chat.v2"),
                                    (["foo", "bar, chat"], "chat"), (["chat,chat.v2"], "chat.v2"),
                                    (["\tchat\t"], "chat")), 1):
    add(f"H.protocol.{i}", f"offered {offers}: {name}", "RFC 6455 4.2.2, 11.3.4",
        accepted(fields=[f"Sec-WebSocket-Protocol: {offer}" for offer in offers], check=chosen(name)), "protocols")
for i, offer in enumerate(("foo", "CHAT", "chat.v3, Chat", "chat2", "ch"), 1):
    add(f"H.protocol.none.{i}", f"offered {offer}: none of them is answered", "RFC 6455 4.2.2, 11.3.4", accepted(
        fields=[f"Sec-WebSocket-Protocol: {offer}"], check=chosen(None)), "protocols")
add("H.protocol.absent", "nothing is offered: nothing is answered", "RFC 6455 4.2.2", accepted(check=chosen(None)),
    "protocols")

# --- refused -----------------------------------------------------------------------------------------------------


def refused(*statuses, check=None, last=True, **options):
    """An answer with one of these statuses; when it has to be the last one, then nothing and the end of TCP."""
    async def run(dialer):
        head, wire = await dialer.ask(dialer.request(**options))
        if head is None:
            raise Failure(f"expected {statuses}, saw the end of TCP")
        if head.status not in statuses:
            raise Failure(f"expected {' or '.join(map(str, statuses))}, saw {head.first!r}")
        if check:
            check(head)
        if last:
            await nothing_behind(head, wire)
    return run


async def nothing_behind(head, wire):
    """The body is as long as the answer says, and another request is not answered."""
    length = head.one("Content-Length")
    if length and await wire.take(int(length)) is None:
        raise Failure("the answer's body is shorter than its Content-Length")
    await wire.send(b"GET / HTTP/1.1\r\nHost: again.example\r\n\r\n")
    wire.finish()
    rest = await wire.rest()
    if rest and length:
        raise Failure(f"behind a refused handshake {rest[:60]!r} is answered")


def tells_version(head):
    if "13" not in head.tokens("Sec-WebSocket-Version"):
        raise Failure(f"the answer's Sec-WebSocket-Version is {head.all('Sec-WebSocket-Version')}, not 13 (4.4)")


def allows_get(head):
    if "get" not in head.tokens("Allow"):
        raise Failure(f"a 405 without Allow: GET (RFC 9110 15.5.6): {head.all('Allow')}")


for i, version in enumerate(("0", "7", "8", "12", "14", "255", "99"), 1):
    add(f"H.refuse.version.{i}", f"version {version}: 426, and the version that is spoken", "RFC 6455 4.2.2, 4.4",
        refused(426, check=tells_version, change={"Sec-WebSocket-Version": version}))
for i, version in enumerate((None, "", "013", "+13", "13.0", "13;", "0x0d", "thirteen", "13 14", "-13", "1 3"), 1):
    add(f"H.refuse.version.odd.{i}", f"version {version!r}: 400 or 426", "RFC 6455 4.2.1, 4.4",
        refused(400, 426, change={"Sec-WebSocket-Version": version}))
for i, key in enumerate((None, "", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZ===",
                         "c2hvcnQ=",
                         "dGhlIHNhbXBsZSBub25jZXM=", "dGhlIHNhbXBsZSBub25jZTEyMzQ1Njc4OTA=", "!!!!!!!!!!!!!!!!!!!!!!==",
                         "dGhlIHNhbXBsZ SBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ==,", "dGhlIHNhbXBsZSBub25j-_==",
                         "=" * 24), 1):
    add(f"H.refuse.key.{i}", f"key {key!r}: 400", "RFC 6455 4.2.1", refused(400, change={"Sec-WebSocket-Key": key}))
add("H.refuse.key.twice", "two keys: 400", "RFC 6455 11.3.1",
    refused(400, change={"Sec-WebSocket-Key": [http.SAMPLE_KEY, http.SAMPLE_KEY]}))
add("H.refuse.version.twice", "two versions: 400 or 426", "RFC 6455 11.3.5",
    refused(400, 426, change={"Sec-WebSocket-Version": ["13", "13"]}))
for i, method in enumerate(("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "FOO"), 1):
    add(f"H.refuse.method.{i}", f"method {method}: 405 or 501", "RFC 6455 4.2.1; RFC 9110 15.5.6",
        refused(405, 501, 400, line=f"{method} {{path}} HTTP/1.1"))
add("H.refuse.method.HEAD", "method HEAD: 405 or 501, without a body", "RFC 6455 4.2.1; RFC 9110 9.3.2",
    refused(405, 501, 400, last=False, line="HEAD {path} HTTP/1.1"))
add("H.refuse.method.allow", "a 405 names the method that is allowed", "RFC 9110 15.5.6",
    refused(405, check=allows_get, line="POST {path} HTTP/1.1"))
for i, value in enumerate((None, "", "foo", "websocket2", "web socket", "websocket/1", "http/2.0"), 1):
    add(f"H.refuse.upgrade.{i}", f"Upgrade {value!r} with a key: no 101", "RFC 6455 4.2.1",
        refused(400, 404, 426, last=False, change={"Upgrade": value}))
for i, value in enumerate((None, "", "close", "keep-alive", "Upgraded", "Up grade"), 1):
    add(f"H.refuse.connection.{i}", f"Connection {value!r} with a key: no 101", "RFC 6455 4.2.1",
        refused(400, 404, 426, last=False, change={"Connection": value}))
add("H.refuse.http", "HTTP/2.0 in the request line: 505", "RFC 9110 15.6.6", refused(505, line="GET {path} HTTP/2.0"))
add("H.refuse.path", "a path that is not there: 404", "RFC 6455 4.2.2", refused(404, path="/is/not/there"))
for i, origin in enumerate(("http://evil.example", "null", "https://{host}", "http://{host}.evil.example",
                            "http://{host}/", "garbage"), 1):
    add(f"H.refuse.origin.{i}", f"Origin {origin}: 403", "RFC 6455 4.2.2, 10.2",
        refused(403, fields=[f"Origin: {origin}"]))
add("H.refuse.headers", "300 fields: 431", "RFC 6585 5", refused(431, fields=[f"X-{i}: x" for i in range(300)]))
add("H.refuse.head", "a field of 70000 bytes: 431", "RFC 6585 5", refused(431, fields=["X-Long: " + "a" * 70000]))
add("H.refuse.line", "a target of 70000 bytes: 414 or 431", "RFC 9110 15.5.15",
    refused(414, 431, 400, path="/" + "a" * 70000))
for i, offer in enumerate(("", "chat chat", "chat, chat", "ch@t", "chat/1", "\xe9", "chat;v=1", "\"chat\""), 1):
    add(f"H.refuse.protocol.{i}", f"Sec-WebSocket-Protocol {offer!r}: 400", "RFC 6455 4.1, 11.3.4",
        refused(400, fields=[f"Sec-WebSocket-Protocol: {offer}"]), "protocols")


@CASES.case("H.short", "TCP ends inside of the head: nothing is answered, or 400", RFC, roles=(SERVER,), raw=True)
async def cut(dialer):
    wire = await dialer.open()
    await wire.send(dialer.request()[:-2])
    wire.finish()
    answer = await wire.rest()
    if answer and not answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 408")):
        raise Failure(f"half a request is answered with {answer[:60]!r}")


# --- requests of a client -------------------------------------------------------------------------------------------

def client(id, title, rfc, **options):
    return CASES.case(f"H.client.{id}", title, rfc, roles=(CLIENT,), raw=True, **options)


@client(1, "the request of a client", "RFC 6455 4.1")
async def client_request(accepted):
    for name in ("Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"):
        if accepted.head.all(name):
            raise Failure(f"{name} though nothing was asked for: {accepted.head.all(name)}")
    if accepted.head.one("Host") != "%s:%d" % accepted.wire.sock.getsockname():
        raise Failure(f"Host is {accepted.head.one('Host')!r}")
    await (await accepted.accept()).finish()


@client(2, "subprotocols are offered in order, and one is taken", "RFC 6455 4.1, 11.3.4",
        offers={"protocols": ["chat.v2", "chat"]})
async def client_protocols(accepted):
    offered = ", ".join(accepted.head.all("Sec-WebSocket-Protocol")).replace(" ", "")
    if offered != "chat.v2,chat":
        raise Failure(f"the offer is {offered!r}")
    peer = await accepted.accept(fields=["Sec-WebSocket-Protocol: chat"])
    await peer.send(text("x"))
    await peer.expect(Message(TEXT, b"x"))
    await peer.finish()


KEYS = []


async def fresh_key(accepted):
    """Each connection has a key of its own: those of all three cases are compared."""
    if accepted.key in KEYS:
        raise Failure(f"the key {accepted.key} was used before")
    KEYS.append(accepted.key)
    await (await accepted.accept()).finish()

for i in range(3, 6):
    CASES.add(f"H.client.{i}", "a key is fresh for each connection", "RFC 6455 4.1", fresh_key, roles=(CLIENT,),
              raw=True)


@client(6, "a client sends no frame before the answer", "RFC 6455 4.1")
async def client_waits(accepted):
    if accepted.wire.kept:
        raise Failure(f"{bytes(accepted.wire.kept)!r} came with the request")
    peer = await accepted.accept()
    await peer.send(ping(b"p"))
    await peer.expect(Pong(b"p"))
    await peer.finish()


