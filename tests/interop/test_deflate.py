"""permessage-deflate between tidewire and others, both ways: what is offered and agreed, and that the frames on the
wire are as agreed: compressed, with the window kept from message to message or not, and no larger than it may be."""

from collections import namedtuple

import pytest
from peers import deflate_of
from tap import close_content

FEW, FULL = "server_no_context_takeover", "client_no_context_takeover"
SERVER_BITS, CLIENT_BITS = "server_max_window_bits", "client_max_window_bits"
BOTH = {FEW: None, FULL: None}

# `peer` is what the other one wants (peers.deflate_of), None: nothing. `answer` has the parameters agreed, None: no
# compression. Last, the window's bits of the server's and of the client's messages.
Case = namedtuple("Case", "name tidewire peer answer server_bits client_bits", defaults=(15, 15))

SERVING = [
    Case("refused", None, {}, None),
    Case("not offered", {"takeover": True}, None, None),
    Case("shared", {}, {}, BOTH),
    Case("takeover", {"takeover": True}, {}, {}),
    Case("takeover of the client", {"takeover": True}, {"server_no_takeover": True}, {FEW: None}),
    Case("takeover of the server", {"takeover": True}, {"client_no_takeover": True}, {FULL: None}),
    Case("takeover of nobody", {"takeover": True}, {"server_no_takeover": True, "client_no_takeover": True}, BOTH),
    Case("small by the server", {"takeover": True, "window_bits": 9}, {}, {SERVER_BITS: 9, CLIENT_BITS: 9}, 9, 9),
    Case("small by the client", {"takeover": True}, {"server_bits": 9, "client_bits": 10},
         {SERVER_BITS: 9, CLIENT_BITS: 10}, 9, 10),
    Case("the client cannot be asked", {"takeover": True, "window_bits": 9}, {"client_bits": False}, {SERVER_BITS: 9},
         9, 15),
    Case("the least of the server", {"takeover": True}, {"server_bits": 8}, {SERVER_BITS: 8}, 8, 15),
    Case("the least, shared", {"window_bits": 8}, {"server_bits": 12, "client_bits": 9},
         {**BOTH, SERVER_BITS: 8, CLIENT_BITS: 8}, 8, 8),
]

CONNECTING = [
    Case("refused", {"takeover": True}, None, None),
    Case("not offered", None, {}, None),
    Case("shared", {}, {}, BOTH),
    Case("takeover", {"takeover": True}, {}, {}),
    Case("takeover of the client", {"takeover": True}, {"server_no_takeover": True}, {FEW: None}),
    Case("takeover of the server", {"takeover": True}, {"client_no_takeover": True}, {FULL: None}),
    Case("takeover of nobody", {"takeover": True}, {"server_no_takeover": True, "client_no_takeover": True}, BOTH),
    Case("small by the client", {"takeover": True, "window_bits": 9}, {}, {SERVER_BITS: 9, CLIENT_BITS: 9}, 9, 9),
    Case("small by the server", {"takeover": True}, {"server_bits": 9, "client_bits": 10},
         {SERVER_BITS: 9, CLIENT_BITS: 10}, 9, 10),
    Case("the least of the client", {"takeover": True}, {"client_bits": 8}, {CLIENT_BITS: 8}, 15, 8),
    Case("the least, shared", {"window_bits": 8}, {}, {**BOTH, SERVER_BITS: 8, CLIENT_BITS: 8}, 8, 8),
]


def parameters(value):
    """Those of a Sec-WebSocket-Extensions with permessage-deflate alone; None without one."""
    if value is None:
        return None
    name, *rest = [part.strip() for part in value.split(";")]
    assert name == "permessage-deflate" and "," not in value
    pairs = [part.partition("=") for part in rest]
    assert len({name for name, _, _ in pairs}) == len(pairs)
    return {name: int(bits) if bits else None for name, _, bits in pairs}


Message = namedtuple("Message", "compressed size fragments")


def messages(record, down):
    """Those of one direction; only a first frame may be marked as compressed."""
    out = []
    for frame in record.frames(down):
        assert frame.rsv == 0 or frame.rsv == 4 and frame.opcode in (1, 2)
        if frame.opcode in (1, 2):
            out.append(Message(frame.rsv == 4, 0, 0))
        if frame.opcode <= 2:
            out[-1] = Message(out[-1].compressed, out[-1].size + len(frame.payload), out[-1].fragments + 1)
    return out


LARGE = 1 << 20


def length_for(case):
    """Of the largest message: the windows' sizes need not be tried with so many bytes."""
    return LARGE if case.name in ("shared", "takeover", "refused") else 200_000


def make_plan(content, length):
    """Steps by which a window can be told by its size and by whether it is kept."""
    block = content.noise(3000)
    again = block[1000:] + content.noise(400)  # all but 400 bytes are in the message before, 2,000 bytes away at least
    start = content.noise(700)
    files = [("binary", "block", block), ("binary", "again", again), ("binary", "twin", start + start),
             ("text", "short", "short"), ("text", "none", ""), ("text", "words", content.words(length)),
             ("binary", "noise", content.noise(length)), ("binary", "nothing", b""), ("binary", "last", again)]
    sent = [(kind, content.file(name, data)) for kind, name, data in files]
    return [[what, *message] for message in sent for what in ("send", "expect")] + [["burst", 200]]


def judge(sent, length, takeover, bits, is_tidewire):
    """The messages of one direction."""
    block, again, twin, short, none, words, noise, nothing, last = sent[:9]
    assert len(sent) == 209
    assert block.compressed and 2950 < block.size < 3200
    assert again.compressed and twin.compressed
    assert again.size < 1000 if takeover and bits >= 13 else again.size > 2300
    assert twin.size < 950 if bits >= 10 else twin.size > 1350
    assert words.compressed and words.size < length // 2
    assert noise.size < length * 1.07  # zlib with a small window cannot always keep what it could not shorten
    assert last.size > 2300, "the window does not reach beyond 32 KiB"
    if is_tidewire:  # others choose for themselves
        assert (short, none, nothing) == (Message(False, 5, 1), Message(False, 0, 1), Message(False, 0, 1))


def check(pair, case, tidewire_serves, content):
    peer = pair.client if tidewire_serves else pair.server
    wanted = None if case.peer is None else deflate_of(peer, **case.peer)
    pair.serve(compression=case.tidewire if tidewire_serves else wanted)
    length = length_for(case)
    steps = make_plan(content, length)
    fragmented = tidewire_serves and case.peer is not None
    if fragmented:
        parts = [content.file(f"part.{i}", "tide in the wire " * 100) for i in range(5)]
        steps += [["fragments", "text", parts], ["expect", "text", content.file("whole", "tide in the wire " * 500)]]
    result = pair.run([*steps, ["close", 1000]], compression=wanted if tidewire_serves else case.tidewire)
    record = result["record"]
    assert parameters(record.fields(True).get("sec-websocket-extensions")) == case.answer
    up, down = messages(record, False), messages(record, True)
    if case.answer is None:
        assert not any(message.compressed for message in up + down)
        assert len(up) == len(down) and [m.size for m in up] == [m.size for m in down]
        return record
    if fragmented:
        message = up.pop()
        assert message.compressed and message.fragments >= 5 and message.size < 17 * 500 / 4
        message = down.pop()
        assert message.compressed and message.fragments == 1 and message.size < 17 * 500 / 10
    judge(up, length, FULL not in case.answer, case.client_bits, not tidewire_serves)
    judge(down, length, FEW not in case.answer, case.server_bits, tidewire_serves)
    return record


def cases(table):
    """Each with each peer; but Python's zlib has no raw deflate with a window of 8 bits, so that websockets cannot
    keep what it agrees to."""
    return [pytest.param(peer, case, id=f"{peer}-{case.name}") for peer in ("ws", "websockets") for case in table
            if (peer, case.name) != ("websockets", "the least, shared")]


@pytest.mark.parametrize("peer, case", cases(SERVING))
def test_serving(pairs, content, peer, case):
    check(pairs(peer, "tidewire"), case, True, content)


OFFERS = {
    "refused": "permessage-deflate; client_max_window_bits", "not offered": None,
    "shared": f"permessage-deflate; {FEW}; {FULL}; {CLIENT_BITS}",
    "small by the client": f"permessage-deflate; {SERVER_BITS}=9; {CLIENT_BITS}=9",
    "the least, shared": f"permessage-deflate; {FEW}; {FULL}; {SERVER_BITS}=8; {CLIENT_BITS}=8",
}


@pytest.mark.parametrize("peer, case", cases(CONNECTING))
def test_connecting(pairs, content, peer, case):
    record = check(pairs("tidewire", peer), case, False, content)
    offer = OFFERS.get(case.name, "permessage-deflate; client_max_window_bits")
    assert record.fields(False).get("sec-websocket-extensions") == offer


@pytest.mark.parametrize("client, server", [("ws", "tidewire"), ("websockets", "tidewire"), ("tidewire", "ws"),
                                            ("tidewire", "websockets"), ("tidewire", "tidewire")])
def test_over_tls(pairs, content, client, server):
    """Here only the bytes of all can be counted."""
    def options(name):
        return {"takeover": True} if name == "tidewire" else deflate_of(name)

    pair = pairs(client, server)
    pair.serve("wss", compression=options(server))
    path = content.file("words", content.words(LARGE))
    steps = [["send", "text", path], ["expect", "text", path]] * 2
    result = pair.run([*steps, ["close", 1000]], compression=options(client))
    assert "permessage-deflate" in result["extensions"]
    assert len(result["record"].up) < LARGE and len(result["record"].down) < LARGE, "of twice as much"


@pytest.mark.parametrize("peer", ["ws", "websockets"])
@pytest.mark.parametrize("takeover", [False, True])
def test_fragments_and_many_of_the_server(pairs, content, peer, takeover):
    pair = pairs("tidewire", peer)
    pair.serve(compression=deflate_of(peer))
    parts = [content.file(f"part.{i}", content.words(20_000)) for i in range(6)]
    whole = content.file("whole", b"".join(open(part, "rb").read() for part in parts))
    steps = [step for kind in ("text", "binary") for step in (
        ["ask", "fragments", kind, parts], ["expect", kind, whole], ["ask", "many", 1000], ["hear", 1000])]
    result = pair.run([*steps, ["close", 1000]], "/talk", compression={"takeover": takeover})
    first, *_ = down = messages(result["record"], True)
    assert first.compressed and first.fragments >= 6 and first.size < 60_000
    assert down[1001].compressed and down[1001].fragments >= 6 and len(down) == 2002


@pytest.mark.parametrize("server", ["tidewire", "ws"])
def test_what_becomes_too_much_is_refused(pairs, content, server):
    """1 MiB of one letter, which some 1,000 bytes become: our limit `inflate_ratio`."""
    client = "ws" if server == "tidewire" else "tidewire"
    pair = pairs(client, server)
    pair.serve(compression=deflate_of("ws") if server == "ws" else {})
    path = content.file("letters", "a" * LARGE)
    result = pair.run([["send", "text", path], ["closed"]], compression=deflate_of("ws") if client == "ws" else {},
                      clean=False)
    record = result["record"]
    assert result["end"]["code"] == 1009
    assert close_content(record.frames(server == "tidewire")[-1])[0] == 1009
    assert messages(record, False)[0].size < 2000
