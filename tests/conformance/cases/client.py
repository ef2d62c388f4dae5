"""C: what a server answers to a client's opening handshake (RFC 6455 section 4.1). All of ours.

A client that takes a broken answer is found by a Ping behind the answer: it would send a Pong. One that does
what it has to ends TCP, and sends nothing.
"""

from suite import http
from suite.case import CLIENT, Cases
from suite.events import Failure, Message, Pong, show
from suite.frames import RSV1, TEXT, close, ping, pong, text
from suite.peer import OCTETS

CASES = Cases()
RFC = "RFC 6455 4.1"
PROBE = ping(b"probe").encode(None)
NAME = "permessage-deflate"
NO_BODY = ["Content-Length: 0"]
BOTH = {"protocols": ["chat.v2", "chat"], "compression": True}


def add(id, title, rfc, run, **options):
    CASES.add(f"C.{id}", title, rfc, run, roles=(CLIENT,), raw=True, **options)


async def must_end(wire):
    """TCP ends, and before it at most a Close frame comes: that is how the client says why."""
    while not wire.kept or wire.kept[0] == 0x88 and len(wire.kept) <= 131:
        if not await wire.more():
            return
    raise Failure(f"expected the connection to be failed, saw {show(bytes(wire.kept))}")


def fails(change=None, fields=(), status="HTTP/1.1 101 Switching Protocols", chop=0, raw=None, finish=False):
    """The client fails the connection when this is the answer. raw: a function from the key to all of its bytes."""
    async def run(accepted):
        answer = raw(accepted.key) if raw else http.answer(accepted.key, status, change, fields)
        await accepted.wire.send(answer + PROBE, chop)
        if finish:
            accepted.wire.finish()
        await must_end(accepted.wire)
    return run


def works(change=None, fields=(), chop=0, status="HTTP/1.1 101 Switching Protocols"):
    """The client takes this answer."""
    async def run(accepted):
        peer = await accepted.accept(change=change, fields=fields, chop=chop, status=status)
        await peer.send(text("open"), ping(b"p"))
        await peer.expect(Message(TEXT, b"open"), Pong(b"p"))
        await peer.finish()
    return run


# --- status ---------------------------------------------------------------------------------------------

for code in (200, 204, 206, 304, 400, 401, 403, 404, 405, 407, 426, 429, 500, 501, 502, 503, 505, 102, 199, 299, 600,
             999):
    add(f"status.{code}", f"status {code} with everything else right", RFC,
        fails(status=f"HTTP/1.1 {code} Some Words", fields=NO_BODY if code >= 200 and code not in (204, 304) else ()))
for code in (301, 302, 303, 307, 308):
    add(f"redirect.{code}", f"a redirect with {code} that nobody asked to follow", RFC,
        fails(status=f"HTTP/1.1 {code} Elsewhere", fields=["Location: /elsewhere", *NO_BODY]))
for i, line in enumerate(("HTTP/1.0 101 Switching Protocols", "HTTP/2.0 101 Switching Protocols",
                          "HTTP/0.9 101 Switching Protocols",
                          "HTTP/1.1  101 Switching Protocols", "HTTP/1.1 0101 Switching Protocols",
                          "HTTP/1.1 1o1 Switching Protocols",
                          "HTTP/1.1 10 Switching Protocols", "HTTP/1.1", "HTTP/1.1 ",
                          " HTTP/1.1 101 Switching Protocols", "http/1.1 101 x",
                          "101 Switching Protocols", "HTTPS/1.1 101 x", "ICY 101 OK", "HTTP/1.1\t101\tx",
                          "HTTP/1.1 +101 x", "HTTP/1.1101 x", "HTTP/1.1 101x", "",
                          "HTTP/1.1 1/; x"), 1):  # what arithmetic without a look at the digits takes for 101
    add(f"line.{i}", f"status line {line!r}", "RFC 9112 4", fails(status=line))
add("line.bare", "a status line without a reason, which is fine", "RFC 9112 4", works(status="HTTP/1.1 101 "))
add("line.words", "other words for 101, which are fine", "RFC 9112 4", works(status="HTTP/1.1 101 Here We Go \xe9"))

# --- Upgrade, Connection, Accept ---------------------------------------------------------------------------

for i, value in enumerate((None, "", "foo", "websockets", "web socket", "websocket/13", "h2c", ["foo", "bar"]), 1):
    add(f"upgrade.{i}", f"Upgrade: {value!r}", RFC, fails({"Upgrade": value}))
for i, value in enumerate(("WebSocket", "WEBSOCKET", "websocket\t"), 1):
    add(f"upgrade.fine.{i}", f"Upgrade: {value!r}, which is fine", RFC, works({"Upgrade": value}))
for i, value in enumerate((None, "", "close", "keep-alive", "Upgraded", "Up-grade", "Up grade"), 1):
    add(f"connection.{i}", f"Connection: {value!r}", RFC, fails({"Connection": value}))
for i, value in enumerate(("upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade,keep-alive"), 1):
    add(f"connection.fine.{i}", f"Connection: {value!r}, which is fine", RFC, works({"Connection": value}))

ACCEPTS = {
    "none": lambda key: None, "an empty one": lambda key: "",
    "that of another key": lambda key: http.accept_of(http.key_of("other")),
    "the key itself": lambda key: key, "in another case": lambda key: http.accept_of(key).swapcase(),
    "without its padding": lambda key: http.accept_of(key).rstrip("="),
    "with a byte more": lambda key: http.accept_of(key) + "=",
    "with a byte less": lambda key: http.accept_of(key)[:-2] + "=",
    "with a comma": lambda key: http.accept_of(key) + ",",
    "twice in a field": lambda key: f"{http.accept_of(key)}, {http.accept_of(key)}",
    "twice": lambda key: [http.accept_of(key)] * 2,
    "right, then wrong": lambda key: [http.accept_of(key), http.accept_of("x")],
    "wrong, then right": lambda key: [http.accept_of("x"), http.accept_of(key)],
    "in quotes": lambda key: f'"{http.accept_of(key)}"',
    "with a space inside": lambda key: http.accept_of(key)[:9] + " " + http.accept_of(key)[9:],
    "of a key in lower case": lambda key: http.accept_of(key.lower()),
    "of a key with a space": lambda key: http.accept_of(key + " "),
}
for i, (what, make) in enumerate(ACCEPTS.items(), 1):
    add(f"accept.{i}", f"Sec-WebSocket-Accept: {what}", RFC,
        fails(raw=lambda key, make=make: http.answer(key, change={"Sec-WebSocket-Accept": make(key)})))


@CASES.case("C.accept.fine", "white space around Sec-WebSocket-Accept, which is fine", RFC, roles=(CLIENT,), raw=True)
async def spaced(accepted):
    await works({"Sec-WebSocket-Accept": f"\t {http.accept_of(accepted.key)} \t"})(accepted)


# --- subprotocols and extensions that were not offered ---------------------------------------------------------

def protocol(*values):
    return [f"Sec-WebSocket-Protocol: {value}" for value in values]


for i, (fields, offers) in enumerate((
        (protocol("chat"), None), (protocol("foo"), BOTH), (protocol("Chat"), BOTH), (protocol("chat, chat.v2"), BOTH),
        (protocol("chat", "chat.v2"), BOTH), (protocol("chat", "chat"), BOTH), (protocol("chat.v2.1"), BOTH),
        (protocol("cha"), BOTH),
        (protocol("chat;q=1"), BOTH), (protocol('"chat"'), BOTH), (protocol(""), BOTH), (protocol("chat,"), BOTH)), 1):
    add(f"protocol.{i}", f"{fields} to an offer of {offers['protocols'] if offers else 'none'}", RFC,
        fails(fields=fields), offers=offers)
for i, value in enumerate(("chat", "chat.v2", "\tchat "), 1):
    add(f"protocol.fine.{i}", f"subprotocol {value!r}, which was offered", RFC, works(fields=protocol(value)),
        offers={"protocols": BOTH["protocols"]})
add("protocol.fine.none", "no subprotocol though two were offered, which is fine", "RFC 6455 4.2.2", works(),
    offers={"protocols": BOTH["protocols"]})


def extensions(*values):
    return [f"Sec-WebSocket-Extensions: {value}" for value in values]


for i, value in enumerate((NAME, "foo", f"foo, {NAME}", "x-webkit-deflate-frame", f"{NAME}; client_max_window_bits=10"),
                          1):
    add(f"extension.unasked.{i}", f"the extension {value!r} though none was offered", "RFC 6455 4.1, 9.1",
        fails(fields=extensions(value)))
ILLEGAL = ["foo", f"{NAME}, foo", f"foo, {NAME}", f"{NAME}, {NAME}", "Permessage_deflate", "permessage-bzip2",
           f"{NAME}; unknown", f"{NAME}; unknown=1",
           f"{NAME}; server_no_context_takeover; server_no_context_takeover", f"{NAME}; server_no_context_takeover=1",
           f"{NAME}; client_no_context_takeover=true",
           f"{NAME}; client_no_context_takeover; client_no_context_takeover"] + \
          [f"{NAME}; server_max_window_bits{v}" for v in ("", "=7", "=16", "=0", "=08", "=+9", "=0x9", "=9.0", "=nine",
                                                          '="16"', "=9; server_max_window_bits=9")] + \
          [f"{NAME}; client_max_window_bits{v}" for v in ("", "=7", "=16", "=08", "=+9", "=ten",
                                                          "=9; client_max_window_bits=9")] + \
          [f"{NAME}; server_max_window_bits=", f"{NAME} server_no_context_takeover", f"{NAME};",
           f'{NAME}; server_max_window_bits="9', "=", ";", "\xe9"]
for i, value in enumerate(ILLEGAL, 1):
    add(f"extension.{i}", f"the answer {value!r} to an offer of permessage-deflate", "RFC 7692 5.1, 7.1",
        fails(fields=extensions(value)),
        offers={"compression": {"takeover": True}})


def not_as_asked(name, answer):
    """The client has asked for a parameter that restricts the server; `answer` makes its other parameters of it."""
    async def run(accepted):
        asked = dict(dict(accepted.offers()).get(NAME, ()))
        if name not in asked:
            raise Failure(f"the client was told to ask for {name}, and its offer is {accepted.offers()}")
        rest = [f"{other}={value}" if value else other for other, value in asked.items()
                if other.startswith("server") and other != name]
        await fails(fields=extensions("; ".join([NAME, *rest, *answer(asked[name])])))(accepted)
    return run


SMALL = {"offers": {"compression": {"takeover": True, "window_bits": 10}}}
add("extension.server.above", "server_max_window_bits above what was asked for", "RFC 7692 7.1.2.1",
    not_as_asked("server_max_window_bits", lambda bits: [f"server_max_window_bits={int(bits) + 1}"]), **SMALL)
add("extension.server.missing", "server_max_window_bits was asked for, and is not answered", "RFC 7692 7.1.2.1",
    not_as_asked("server_max_window_bits", lambda _: []), **SMALL)
add("extension.takeover", "server_no_context_takeover was asked for, and is not answered", "RFC 7692 7.1.1.1",
    not_as_asked("server_no_context_takeover", lambda _: []), offers={"compression": {"takeover": False}})


@CASES.case("C.extension.two", "the extension in two fields", "RFC 6455 9.1", roles=(CLIENT,), raw=True,
            offers={"compression": True})
async def two_extensions(accepted):
    await fails(fields=extensions(NAME, NAME))(accepted)


@CASES.case("C.extension.two.empty", "the extension, and an empty field of the same name", "RFC 6455 11.3.2",
            roles=(CLIENT,), raw=True, offers={"compression": True})
async def extension_and_nothing(accepted):
    await fails(fields=extensions(NAME, ""))(accepted)


# --- the head itself ---------------------------------------------------------------------------------------------

for i, (what, line) in enumerate({
    "a space before the colon": "X-Field : a", "no colon": "X-Field", "no name": ": a",
    "a folded line": "X-Field: a\r\n b", "a NUL": "X-Field: a\0b",
    "a bare LF": "X-Field: a\nb", "a bare CR": "X-Field: a\rb", "a space in a name": "X Field: a",
    "0x01 in a value": "X-Field: \1",
    "a byte above 0x7F in a name": "X-F\xefeld: a",
}.items(), 1):
    add(f"field.{i}", f"a field line with {what}", "RFC 9112 2.2, 5", fails(fields=[line]))
add("field.length", "a 101 with Content-Length", "RFC 9110 8.6", fails(fields=["Content-Length: 5"]))
add("field.encoding", "a 101 with Transfer-Encoding", "RFC 9112 6.1", fails(fields=["Transfer-Encoding: chunked"]))
add("field.fine.1", "fields nobody asked for, which is fine", RFC,
    works(fields=["Server: x", "Set-Cookie: a=b", "Set-Cookie: c=d", "Date: Thu, 01 Jan 1970 00:00:00 GMT", "X-Empty:",
                  "X-Latin: \xe9"]))
add("field.fine.2", "60 fields, which is fine", RFC, works(fields=[f"X-{i}: {i}" for i in range(60)]))


@CASES.case("C.field.lower", "names in lower case and another order, which is fine", "RFC 9110 5.1", roles=(CLIENT,),
            raw=True)
async def lower(accepted):
    lines = ["HTTP/1.1 101 x", f"sec-websocket-accept:{http.accept_of(accepted.key)}", "connection:upgrade",
             "upgrade:websocket", "", ""]
    await accepted.wire.send("\r\n".join(lines).encode() + PROBE)
    peer = accepted.peer()
    await peer.expect(Pong(b"probe"))
    await peer.finish()


add("head.lf", "bare LF at the end of the lines", "RFC 9112 2.2",
    fails(raw=lambda key: http.answer(key).replace(b"\r\n", b"\n")))
add("head.cut", "TCP ends inside of the head", RFC, fails(raw=lambda key: http.answer(key)[:-2], finish=True))
add("head.line", "TCP ends inside of the status line", RFC, fails(raw=lambda key: b"HTTP/1.1 10", finish=True))
add("head.noise", "bytes that are nothing", "RFC 9112 4", fails(raw=lambda key: bytes(range(255, 0, -1)) + b"\r\n\r\n"))
add("head.frames", "frames without an answer", RFC, fails(raw=lambda key: text("hello").encode(None) * 20, finish=True))
add("head.long", "a head of a megabyte", "RFC 6455 10.4", fails(fields=["X-Long: " + "a" * (1 << 20)]))
add("head.many", "2000 fields", "RFC 6455 10.4", fails(fields=[f"X-{i}: {i}" for i in range(2000)]))
add("head.two", "a 200, then a 101", RFC,
    fails(raw=lambda key: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + http.answer(key)))
add("head.request", "the client's own kind of request comes back", RFC,
    fails(raw=lambda key: http.request("a.example", key=key)))
add("chop.1", "the answer byte by byte, which is fine", RFC, works(chop=OCTETS))
add("chop.2", "the answer in chops of 5 bytes, which is fine", RFC, works(chop=5))
for name, payload in (("tls", bytes.fromhex("15030300020228")), ("h2", bytes.fromhex("000000040000000000")),
                      ("ssh", b"SSH-2.0-x\r\n")):
    add(f"head.{name}", f"the answer of another protocol: {name}", RFC,
        fails(raw=lambda key, payload=payload: payload + b"\r\n\r\n", finish=True))


@CASES.case("C.end.1", "TCP ends without an answer", RFC, roles=(CLIENT,), raw=True)
async def no_answer(accepted):
    accepted.wire.finish()
    await must_end(accepted.wire)


@CASES.case("C.end.2", "TCP is reset instead of an answer, and another case follows", RFC, roles=(CLIENT,), raw=True)
async def reset(accepted):
    await accepted.wire.abort()


# --- frames behind the answer --------------------------------------------------------------------------------------

def early(frames, *events, end=None):
    async def run(accepted):
        peer = await accepted.accept(behind=b"".join(frame.encode(None) for frame in frames))
        await peer.expect(*events)
        await (end(peer) if end else peer.finish())
    return run


MASK = b"\1\2\3\4"
add("early.1", "a message in the same write as the answer", RFC, early([text("early")], Message(TEXT, b"early")))
add("early.2", "a Ping in the same write as the answer", RFC, early([ping(b"p")], Pong(b"p")))
add("early.3", "a Close in the same write as the answer", RFC,
    early([close(1000)], end=lambda peer: peer.expect_closed(1000)))
add("early.4", "three messages in the same write", RFC,
    early([text("1"), text("2"), text("3")], *(Message(TEXT, b"%d" % i) for i in (1, 2, 3))))
for i, (what, frame) in enumerate({
    "text": text("masked", mask=MASK), "a Ping": ping(b"p", mask=MASK), "a Close": close(1000, mask=MASK),
    "a Pong": pong(b"p", mask=MASK),
    "text masked with zeros": text("zeros", mask=bytes(4)), "an empty frame": text("", mask=MASK),
}.items(), 1):
    add(f"masked.{i}", f"{what} of the server is masked: 1002", "RFC 6455 5.1",
        early([frame], end=lambda peer: peer.expect_failed(1002)))
add("masked.later", "a masked frame behind a right one: 1002", "RFC 6455 5.1",
    early([text("right"), text("masked", mask=MASK)], Message(TEXT, b"right"),
          end=lambda peer: peer.expect_failed(1002)))
add("early.rsv", "a compressed frame though compression was not agreed: 1002", "RFC 6455 5.2",
    early([text(b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=RSV1)], end=lambda peer: peer.expect_failed(1002)))
