"""Servers that answer the opening handshake in a wrong way: tidewire's client takes none of them, and says why. One
script tries them all, each at a path of its own."""

import contextlib
import socket
import threading

import pytest

SCRIPT = """
local more = assert(load("return " .. arg[2]))()
for i = 1, tonumber(arg[3]) do
    local options = { timeout = 20 }
    for name, value in pairs(more) do options[name] = value end
    local ws, message, code, details = tidewire.connect(arg[1] .. i, options)
    print(i, ws, code, message, details and details.status)
end
"""

STATUS = "101 Switching Protocols"
UPGRADE, CONNECTION = "Upgrade: websocket", "Connection: Upgrade"
ACCEPT = "Sec-WebSocket-Accept: {accept}"
PROTOCOL, EXTENSIONS = "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"
DEFLATE = f"{EXTENSIONS}: permessage-deflate"
WITHOUT = f"{DEFLATE}; server_no_context_takeover"


def answer(*fields, status=STATUS, base=(UPGRADE, CONNECTION, ACCEPT), version="HTTP/1.1", end="\r\n"):
    return end.join([f"{version} {status}", *base, *fields, "", ""])


def without(field, *instead):
    return answer(*instead, base=[line for line in (UPGRADE, CONNECTION, ACCEPT) if line != field])


GOOD = {
    "plain": answer(),
    "names in other cases": answer(base=[
        "UPGRADE: WebSocket", "connection: keep-alive, upgrade", "sec-websocket-accept: {accept}"]),
    "another reason": answer(status="101 Web Socket Protocol Handshake"),
    "no reason": answer(status="101 "),
    "space around values": answer(base=["Upgrade:   websocket  ", "Connection:\tUpgrade\t", ACCEPT]),
    "an interim answer before it": "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(),
    "a length of 0": answer("Content-Length: 0"),
    "fields that are none of ours": answer("Server: x", "Date: now", "X-Empty:"),
}

# What is answered, the code, words of the message
BAD = {
    "200": (answer(status="200 OK"), "status", "answered 200 OK, not 101"),
    "204": (answer(status="204 No Content"), "status", "answered 204"),
    "301": (answer("Location: ws://127.0.0.1:1/", status="301 Moved Permanently"), "status", "answered 301"),
    "400": (answer(status="400 Bad Request"), "status", "answered 400"),
    "401": (answer(status="401 Unauthorized"), "status", "answered 401 Unauthorized"),
    "426": (answer("Sec-WebSocket-Version: 8, 7", status="426 Upgrade Required"), "status",
            "answered 426 Upgrade Required"),
    "500": (answer(status="500 X"), "status", "answered 500"),
    "503": (answer(status="503 X"), "status", "answered 503 Service Unavailable"),
    "HTTP/1.0": (answer(version="HTTP/1.0"), "handshake", "HTTP/1.0"),
    "HTTP/2": (answer(version="HTTP/2"), "handshake", "The first line is malformed"),
    "no Upgrade": (without(UPGRADE), "handshake", "Upgrade is missing"),
    "another Upgrade": (without(UPGRADE, "Upgrade: h2c"), "handshake",
                        "Upgrade is missing, given twice or not exactly websocket"),
    "Upgrade to two": (without(UPGRADE, "Upgrade: websocket, h2c"), "handshake", "not exactly websocket"),
    "Upgrade twice": (answer(UPGRADE), "handshake", "given twice"),
    "no Connection": (without(CONNECTION), "handshake", "Connection does not name Upgrade"),
    "another Connection": (without(CONNECTION, "Connection: close"), "handshake", "Connection does not name Upgrade"),
    "nearly Connection": (without(CONNECTION, "Connection: Upgrades"), "handshake", "Connection does not name Upgrade"),
    "no Accept": (without(ACCEPT), "handshake", "Sec-WebSocket-Accept is missing"),
    "Accept of another key": (without(ACCEPT, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "handshake",
                              "Sec-WebSocket-Accept is missing, given twice or not for our key"),
    "the key itself": (without(ACCEPT, "Sec-WebSocket-Accept: {key}"), "handshake", "not for our key"),
    "Accept in other cases": (without(ACCEPT, "Sec-WebSocket-Accept: {swapped}"), "handshake", "not for our key"),
    "Accept and more": (without(ACCEPT, "Sec-WebSocket-Accept: {accept}=="), "handshake", "not for our key"),
    "an empty Accept": (without(ACCEPT, "Sec-WebSocket-Accept:"), "handshake", "Sec-WebSocket-Accept"),
    "Accept twice": (answer(ACCEPT), "handshake", "Sec-WebSocket-Accept is missing, given twice"),
    "a protocol": (answer(f"{PROTOCOL}: chat"), "handshake", "Sec-WebSocket-Protocol was not offered"),
    "an empty protocol": (answer(f"{PROTOCOL}:"), "handshake", "Sec-WebSocket-Protocol"),
    "an extension": (answer(DEFLATE), "handshake", "extension that was not offered"),
    "no extension but a comma": (answer(f"{EXTENSIONS}: ,"), "handshake", "Sec-WebSocket-Extensions is malformed"),
    "a body by length": (answer("Content-Length: 5") + "hello", "handshake", "body"),
    "a body in chunks": (answer("Transfer-Encoding: chunked") + "0\r\n\r\n", "handshake", "body"),
    "two lengths": (answer("Content-Length: 0", "Content-Length: 1"), "handshake", "body (Content-Length"),
    "lines ended by LF": (answer(end="\n"), "handshake", "A line does not end in CRLF"),
    "a folded line": (answer("X-Folded: a\r\n b"), "handshake", "A header field is malformed"),
    "a space before the colon": (answer("X-Space : a"), "handshake", "A header field is malformed"),
    "no name": (answer(": a"), "handshake", "A header field is malformed"),
    "no colon": (answer("what is this"), "handshake", "A header field is malformed"),
    "a NUL": (answer("X-Null: a\0b"), "handshake", "or has a NUL"),
    "a CR in a value": (answer("X-Return: a\rb"), "handshake", "A line does not end in CRLF"),
    "a status of four digits": (answer(status="1010 X"), "handshake", "The first line is malformed"),
    "no status": ("HTTP/1.1\r\n\r\n", "handshake", "The first line is malformed"),
    "something else": ("SSH-2.0-OpenSSH_9.2\r\n", "handshake", "does not speak HTTP"),
    "TLS": ("\x15\x03\x03\x00\x02\x02\x0a", "handshake", "the server speaks TLS; try wss://"),
    "a WebSocket frame": ("\x81\x05hello", "handshake", "does not speak HTTP"),
    "too large": (answer("X-Large: " + "x" * 20_000), "handshake", "larger than 16384 bytes"),
    "too many fields": (answer(*(f"X-{i}: 1" for i in range(101))), "handshake", "Too many header fields"),
    "too many interim answers": ("HTTP/1.1 100 Continue\r\n\r\n" * 9 + answer(), "handshake",
                                 "one interim answer after the other"),
    "nothing": ("", "lost", "ended the connection without an answer"),
    "half of it": (answer()[:60], "lost", "in the middle of its answer"),
    "nothing behind an interim one": ("HTTP/1.1 100 Continue\r\n\r\n", "lost", "in the middle of its answer"),
}

OFFERED = {
    "a protocol in another case": (answer(f"{PROTOCOL}: CHAT"), "handshake", "Sec-WebSocket-Protocol was not offered"),
    "two protocols": (answer(f"{PROTOCOL}: chat, talk"), "handshake", "Sec-WebSocket-Protocol"),
    "a protocol twice": (answer(f"{PROTOCOL}: chat", f"{PROTOCOL}: chat"), "handshake", "given twice"),
    "another extension": (answer(f"{EXTENSIONS}: x-webkit-deflate-frame"), "handshake", "extension that was not offered"),
    "one extension too many": (answer(f"{WITHOUT}, foo"), "handshake",
                               "extension that was not offered"),
    "twice": (answer(f"{DEFLATE}, permessage-deflate"), "handshake", "permessage-deflate twice"),
    "two fields": (answer(f"{DEFLATE}", DEFLATE), "handshake", "given twice"),
    "a wrong parameter": (answer(f"{WITHOUT}; x=1"), "handshake",
                          "a parameter that does not exist"),
    "a parameter twice": (answer(f"{WITHOUT}; server_no_context_takeover"), "handshake",
                          "a parameter is given twice"),
    "a value too many": (answer(f"{WITHOUT}=1"), "handshake",
                         "value is missing or not legal"),
    "too few bits": (answer(f"{WITHOUT}; client_max_window_bits=7"), "handshake",
                     "value is missing or not legal"),
    "no bits": (answer(f"{WITHOUT}; client_max_window_bits"), "handshake",
                "value is missing or not legal"),
    "bits in disguise": (answer(f"{WITHOUT}; client_max_window_bits=09"),
                         "handshake", "value is missing or not legal"),
    "takeover after all": (answer(DEFLATE), "handshake", "server_no_context_takeover"),
    "no list": (answer(f"{DEFLATE}; ;"), "handshake", "malformed"),
}


def serve(door, answers):
    """Answers its guests in turn; keeps the first lines of their requests."""
    server, seen = door(), []

    def talk():
        for text in answers:
            guest = server.guest()
            seen.append(guest.request()[0])
            accept = guest.accept_value()
            values = {"accept": accept, "swapped": accept.swapcase(), "key": guest.field("sec-websocket-key")}
            for name, value in values.items():
                text = text.replace(f"{{{name}}}", value)
            guest.send(text.encode("latin-1"))
            with contextlib.suppress(OSError):
                guest.sock.shutdown(socket.SHUT_WR)

    server.talking = threading.Thread(target=talk, daemon=True)
    server.talking.start()
    server.seen = seen
    return server


def results(script, door, answers, options="{}"):
    """Of each: (open or not, code, message, status)."""
    server = serve(door, answers)
    lines = script(SCRIPT, server.url(), options, len(answers)).lines()
    server.talking.join(20)
    assert server.seen == [f"GET /{i + 1} HTTP/1.1" for i in range(len(answers))], "one attempt each"
    assert [int(line.split("\t")[0]) for line in lines] == list(range(1, len(answers) + 1))
    return [line.split("\t")[1:] for line in lines]


def test_good_ones(script, door):
    for name, (ws, code, message, _) in zip(GOOD, results(script, door, GOOD.values())):
        assert ws != "nil", f"{name}: {code} {message}"


@pytest.mark.parametrize("table, options", [
    (BAD, "{}"), (OFFERED, '{ protocols = { "chat", "talk" }, compression = true }'),
], ids=["nothing-offered", "offered"])
def test_bad_ones(script, door, table, options):
    assert len(table) > 10
    wrong = []
    outcomes = results(script, door, [row[0] for row in table.values()], options)
    for (name, (_, code, told)), found in zip(table.items(), outcomes):
        message = found[2]
        if found[:2] != ["nil", code] or told not in message or "cannot connect to ws://127.0.0.1:" not in message:
            wrong.append((name, found))
    assert wrong == []
