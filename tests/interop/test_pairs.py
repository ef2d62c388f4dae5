"""tidewire and another implementation, each once as the client and once as the server, without compression:
messages, pings, subprotocols and the closing handshake. What is on the wire is looked at as well."""

import json

import pytest
from tap import close_content

CLOSE, PING, PONG = 8, 9, 10


def carries(kind):
    """Which frames a message of this kind begins with."""
    return {"text": 1, "binary": 2}[kind]


def messages(record, down):
    """(opcode, payload) of the messages of one direction, fragments joined. Nothing may be compressed."""
    out = []
    for frame in record.frames(down):
        assert frame.rsv == 0 and (frame.key is None) == down, "a mask, where and only where the RFC wants it"
        if frame.opcode in (1, 2):
            out.append([frame.opcode, b""])
        if frame.opcode <= 2:
            out[-1][1] += frame.payload
    return [tuple(message) for message in out]


def test_messages(pair, content):
    pair.serve()
    sent = [(kind, content.file(f"{kind}.{length}", made(length)))
            for length in (0, 1, 125, 126, 65535, 65536, 1 << 20)
            for kind, made in (("text", content.words), ("binary", content.noise))]
    steps = [[what, *message] for message in sent for what in ("send", "expect")]
    result = pair.run([*steps, ["burst", 600], ["close", 1000, "done"]])
    record = result["record"]
    expected = [(carries(kind), open(path, "rb").read()) for kind, path in sent]
    expected += [(1 + i % 2, (f"message {i} " * (i % 7 + 1)).encode()) for i in range(600)]
    assert messages(record, False) == expected
    assert messages(record, True) == expected
    assert "sec-websocket-extensions" not in {**record.fields(False), **record.fields(True)}
    assert len({frame.key for frame in record.frames(False)}) > 600, "a fresh mask for each frame"
    assert result["end"]["code"] == 1000 and pair.at.ends(1) == [[1000, "done"]]


def test_over_tls(pair, content):
    pair.serve("wss")
    result = pair.run([[what, *message] for message in content.large() for what in ("send", "expect")] +
                      [["burst", 300], ["ping", "now"], ["close", 4999, "over"]])
    record = result["record"]
    assert record.up[0] == record.down[0] == 0x16, "a TLS handshake"
    assert len(record.up) > 2 << 20 and len(record.down) > 2 << 20
    assert pair.at.ends(1) == [[4999, "over"]]


@pytest.mark.parametrize("client, server", [("ws", "tidewire"), ("websockets", "tidewire"), ("tidewire", "ws"),
                                            ("tidewire", "websockets")])
def test_fragments(pairs, content, client, server):
    """In the direction in which the other one sends: tidewire sends whole messages."""
    pair = pairs(client, server)
    pair.serve()
    whole = content.words(100_000).encode()
    cuts = [0, 0, 1, 2, 3, 5000, 5000, 70_000, 100_000, 100_000]
    if "websockets" in (client, server):  # which wants each fragment to be text of its own
        cuts = [len(whole[:cut].decode(errors="ignore").encode()) for cut in cuts]
    parts = [content.file(f"part.{i}", whole[a:b]) for i, (a, b) in enumerate(zip(cuts, cuts[1:]))]
    path = content.file("whole", whole)
    if server == "tidewire":
        result = pair.run([["fragments", "text", parts], ["expect", "text", path],
                           ["fragments", "binary", parts], ["expect", "binary", path], ["close", 1000]])
    else:
        result = pair.run([["ask", "fragments", "text", parts], ["expect", "text", path],
                           ["ask", "fragments", "binary", parts], ["expect", "binary", path], ["close", 1000]], "/talk")
    frames = result["record"].frames(server != "tidewire")
    assert sum(1 for frame in frames if frame.opcode == 0) >= 2 * (len(parts) - 1)
    assert messages(result["record"], server != "tidewire")[-1] == (2, whole)


def test_pings(pair, content):
    pair.serve()
    word = content.file("word", "word")
    texts = ["", "a", "é" * 62 + "e"]
    echo = [["send", "text", word], ["expect", "text", word]]
    result = pair.run([step for text in texts for step in (["ping", text], *echo)] + [["close", 1000]])
    frames = {down: result["record"].frames(down) for down in (False, True)}
    for opcode, down in ((PING, False), (PONG, True)):
        assert [frame.payload.decode() for frame in frames[down] if frame.opcode == opcode] == texts

    steps = [["ask", "ping", text] for text in texts] + [["ask", "many", 1], ["hear", 1], ["close", 1000]]
    result = pair.run(steps, "/talk")
    frames = {down: result["record"].frames(down) for down in (False, True)}
    for opcode, down in ((PING, True), (PONG, False)):
        assert [frame.payload.decode() for frame in frames[down] if frame.opcode == opcode] == texts


def test_many_of_the_server_in_flight(pair):
    pair.serve()
    result = pair.run([["ask", "many", 3000], ["hear", 3000], ["close", 1000]], "/talk")
    assert len(messages(result["record"], True)) == 3000


SUBPROTOCOLS = [
    (["talk.v1", "talk.v2"], "talk.v2"),  # the server's order of preference
    (["other", "talk.v1"], "talk.v1"),
    ([], None),
]


def test_subprotocols(pair):
    pair.serve(protocols=["talk.v2", "talk.v1"])
    for offered, agreed in SUBPROTOCOLS:
        result = pair.run([["close", 1000]], protocols=offered)
        if pair.server == "websockets" and agreed == "talk.v2":
            agreed = result["protocol"]  # it weighs both orders, and here either will do
        assert result["protocol"] == agreed and agreed in (*offered, None)
        assert result["record"].fields(False).get("sec-websocket-protocol", "") == ", ".join(offered).replace(
            ", ", "," if pair.client == "ws" else ", ")
        assert result["record"].fields(True).get("sec-websocket-protocol") == agreed


def test_no_subprotocol_in_common(pairs):
    """A server may choose none (RFC 6455 section 4.2.2); tidewire's client leaves it to its user."""
    for client, server in (("websockets", "tidewire"), ("tidewire", "ws"), ("tidewire", "websockets"),
                           ("tidewire", "tidewire")):
        pair = pairs(client, server)
        pair.serve(protocols=["talk.v1"])
        result = pair.run([["close", 1000]], protocols=["other", "another"])
        assert result["protocol"] is None and "sec-websocket-protocol" not in result["record"].fields(True)


CLOSES = [(1000, ""), (1000, "bye"), (1001, "é" * 61 + "e"), (1003, ""), (1011, "why"), (3000, "registered"),
          (4999, "private")]


def ends(record):
    """code and reason of the Close frames: of the client, of the server. Each side has sent one."""
    return [[close_content(frame) for frame in record.frames(down) if frame.opcode == CLOSE] for down in (False, True)]


def test_closed_by_the_client(pair):
    pair.serve()
    asked = [*CLOSES, *([()] if pair.client == "ws" else [])]  # the others always send a code
    for i, close in enumerate(asked):
        result = pair.run([["close", *close]])
        code, reason = close or (1005, "")
        assert result["end"]["code"] == code
        assert pair.at.ends(i + 1)[i] == [code, reason]
        client, server = ends(result["record"])
        assert client == [(code, reason) if close else (None, "")]
        # tidewire's answer carries the code, the others' the reason as well
        assert server == [(close[0], "" if pair.server == "tidewire" else reason) if close else (None, "")]


def test_closed_by_the_server(pair):
    pair.serve()
    asked = [*CLOSES, *([()] if pair.server == "ws" else [])]
    for i, close in enumerate(asked):
        result = pair.run([["ask", "close", *close], ["closed"]], "/talk")
        code, reason = close or (1005, "")
        assert result["end"] == {"code": code, "reason": reason}
        assert pair.at.ends(i + 1)[i][0] == code
        client, server = ends(result["record"])
        assert server == [(code, reason) if close else (None, "")]
        assert client == [(close[0], "" if pair.client == "tidewire" else reason) if close else (None, "")]


@pytest.mark.parametrize("client, server", [("tidewire", "ws"), ("tidewire", "websockets")])
def test_what_the_client_asks_for(pairs, client, server):
    """The request, of which the peers take more than they check."""
    pair = pairs(client, server)
    pair.serve()
    fields = pair.run([["close", 1000]])["record"].fields(False)
    assert fields.pop("sec-websocket-key").endswith("==")
    assert fields == {"": "GET /echo HTTP/1.1", "host": f"127.0.0.1:{pair.tap.port}", "upgrade": "websocket",
                      "connection": "Upgrade", "sec-websocket-version": "13"}, json.dumps(fields)
