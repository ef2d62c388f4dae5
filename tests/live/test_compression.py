"""permessage-deflate where the connections of a server meet: messages to many that have agreed to different things,
slow readers, handlers that wait in the midst of a message, and the end."""

import random
import struct
import zlib

import pytest
from peer import CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, Peer, close_payload, connect, frame

OFFERS = [
    "permessage-deflate; client_max_window_bits", "permessage-deflate", "permessage-deflate; server_max_window_bits=10",
    "permessage-deflate; server_no_context_takeover; client_max_window_bits=9",
    "permessage-deflate; client_no_context_takeover; server_max_window_bits=8", None,
]


class DeflatePeer(Peer):
    """A raw client that keeps to what was agreed. `agreed` has the parameters, None: no compression."""

    def join(self, path="/", offer=OFFERS[0]):
        answer = self.upgrade(path, fields=[f"Sec-WebSocket-Extensions: {offer}"] if offer else [])
        field = answer.headers.get("sec-websocket-extensions")
        self.agreed = None if field is None else dict(
            part.strip().partition("=")[::2] for part in field.split(";")[1:])
        self.inflater = self.deflater = None
        return self

    def bits(self, side):
        return int(self.agreed.get(f"{side}_max_window_bits") or 15)

    def keeps(self, side):
        return f"{side}_no_context_takeover" not in self.agreed

    def frame(self):
        """The next frame, its payload inflated."""
        compressed = self.take(1)[0]
        self.kept = bytes([compressed & ~0x40]) + self.kept
        got = super().frame()
        if not compressed & 0x40:
            return got
        assert got.opcode == TEXT and self.agreed is not None
        if not self.inflater or not self.keeps("server"):
            self.inflater = zlib.decompressobj(-self.bits("server"))
        return Frame(got.fin, got.opcode, self.inflater.decompress(got.payload + b"\0\0\xff\xff"))

    def deflated(self, text):
        if not self.deflater or not self.keeps("client"):
            self.deflater = zlib.compressobj(6, zlib.DEFLATED, -max(self.bits("client"), 9))
        return (self.deflater.compress(text.encode()) + self.deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def say(self, text, cuts=(), between=b""):
        """A message, compressed where that is agreed, cut into fragments at these places."""
        if self.agreed is None:
            self.text(text)
            return
        whole = self.deflated(text)
        places = [0, *sorted(cut % len(whole) for cut in cuts), len(whole)]
        for i, (begin, end) in enumerate(zip(places, places[1:])):
            last = i == len(places) - 2
            self.send(frame(TEXT if i == 0 else CONTINUATION, whole[begin:end], fin=last, reserved=0 if i else 4))
            self.send(b"" if last else between)


@pytest.fixture
def join():
    """join(server, path=..., offer=..., receive_buffer=...) -> a DeflatePeer."""
    def make(server, receive_buffer=None, **options):
        peer = DeflatePeer(connect(server.urls[0], receive_buffer))
        server.peers.append(peer)
        return peer.join(**options)
    return make


# --- to one and to many ----------------------------------------------------------------------------

MIXED = """
local function handler(compression)
    return {
        compression = compression, limits = { message = "4 MiB" },
        open = function(ws) ws:subscribe("all") end,
        message = function(ws, data)
            local kind, size, seed = data:match("^(%a+) (%d+) (%d+)")
            local text = ("<%s>"):format(seed):rep(size // 3 + 1):sub(1, size)
            if kind == "send" then
                ws:send(text)
            elseif kind == "publish" then
                tidewire.publish("all", text)
            elseif kind == "mix" then
                ws:send("a" .. text)
                tidewire.publish("all", text)
                ws:send("b" .. text)
                ws:publish("all", "c" .. text)
            else
                tidewire.spawn(function() tidewire.sleep(0) ws:send(text) tidewire.publish("all", text) end)
            end
        end,
    }
end
return tidewire.app { routes = {
    ["/plain"] = handler(false), ["/shared"] = handler(true), ["/kept"] = handler { takeover = true },
    ["/least"] = handler { min_size = 1000 }, ["/small"] = handler { window_bits = 9, level = 1 },
    ["/all"] = handler { takeover = true, window_bits = 8, level = 9, min_size = 0 },
} }"""

SIZES = [0, 1, 63, 64, 65, 999, 1000, 1001, 16383, 16384, 20000, 70000, 200000]


def expect(kind, text, actor, peers):
    """Adds to each peer's `due` what it is to get for a command of the actor."""
    for peer in peers:
        if peer is actor:
            peer.due += {"send": [text], "publish": [text], "later": [text, text],
                         "mix": ["a" + text, text, "b" + text]}[kind]
        elif kind != "send":
            peer.due += [text, "c" + text] if kind == "mix" else [text]


def take_what_is_due(peer):
    while peer.due:
        got = peer.frame()
        if got.opcode != PONG:
            assert got.payload.decode() == peer.due.pop(0), peer.agreed


@pytest.mark.parametrize("seed", [1, 2])
def test_everybody_gets_all_of_it_in_order(live, join, seed):
    server = live(MIXED)
    chance = random.Random(seed)
    peers = [join(server, path=path, offer=offer)
             for path in ("/plain", "/shared", "/kept", "/least", "/small", "/all") for offer in OFFERS]
    for peer in peers:
        peer.due = []
    for _ in range(150):
        actor, kind = chance.choice(peers), chance.choice(["send", "publish", "mix", "later"])
        size, number = chance.choice(SIZES), chance.randrange(1, 5)
        expect(kind, (f"<{number}>" * (size // 3 + 1))[:size], actor, peers)
        actor.say(f"{kind} {size} {number}" + " " * chance.choice([0, 100, 2000]),
                  cuts=[chance.randrange(1000) for _ in range(chance.randrange(4))], between=frame(PING, "p"))
        for peer in peers:
            take_what_is_due(peer)


# --- slow readers, handlers that wait, the end -----------------------------------------------------

@pytest.mark.parametrize("compression", ["true", "{ takeover = true }"])
def test_what_a_slow_reader_gets_is_whole(live, join, compression):
    server = live("""
    return {
        compression = %s, limits = { send_queue = "2 MiB", stall = 60 },
        message = function(ws)
            local noise, sent = {}, 0
            for i = 1, 100000 do noise[i] = string.char(math.random(32, 126)) end
            noise = table.concat(noise)
            while ws:send(noise .. sent) do sent = sent + 1 end
            note("sent", sent, ws.ready_state)
        end,
    }""" % compression)
    peer = join(server, receive_buffer=4096)
    peer.say("go")
    note, = server.wait_log(r"note: sent\|(\d+)\|closing")
    count = int(note.group(1))
    assert count > 20
    for i in range(count):
        assert peer.frame().payload.decode()[100000:] == str(i)
    got = peer.frame()
    assert (got.opcode, got.payload) == (CLOSE, close_payload(1013, "reads too slowly"))


def test_control_frames_between_compressed_fragments_while_a_handler_waits(live, join):
    server = live("""
    return {
        compression = true,
        message = function(ws, data)
            note("in", #data)
            if data == "wait" then ws:receive() ws:send("waited") else ws:send(data) end
        end,
    }""")
    peer = join(server)
    peer.say("wait")
    server.wait_notes("in|4")
    peer.say("x" * 5000, cuts=[3, 7, 7], between=frame(PING, "are you there?"))
    for _ in range(3):
        assert peer.frame() == Frame(True, PONG, b"are you there?")
    assert peer.frame().payload == b"waited"
    peer.say("y" * 5000, cuts=[1])
    assert peer.frame().payload == b"y" * 5000
    peer.end()


@pytest.mark.parametrize("act, code", [("ws:close(4000)", 4000), ("error('raised')", 1011)])
def test_what_follows_a_close_of_ours_is_taken_and_ignored(live, join, act, code):
    server = live("return { compression = true, message = function(ws, data) note('in') %s end }" % act)
    peer = join(server)
    whole = peer.deflated("z" * 100000)
    peer.say("go")
    assert struct.unpack(">H", peer.frame().payload[:2]) == (code,)
    peer.send(frame(TEXT, whole[:9], fin=False, reserved=4) + frame(PING, "p") + frame(CONTINUATION, whole[9:]))
    peer.close(code)
    assert peer.rest() == b""
    assert server.finish() == ["in"]


def test_worker_ends_in_the_midst_of_messages_while_handlers_wait(live, join):
    server = live("""
    return {
        compression = true,
        message = function(ws) note("in") tidewire.sleep(1000) end,
    }""", config="{ limits = { drain = 0.2 } }")
    for i in range(6):
        peer = join(server)
        peer.say("wait")
        peer.send(frame(TEXT, peer.deflated("half of it")[:4], fin=False, reserved=4) + frame(PING, "p"))
        assert peer.frame().opcode == PONG
    server.wait_notes(*["in"] * 6)
    assert server.stop() == 0, server.report()
