"""D, continued: compressed messages, right and wrong (RFC 7692 sections 6 and 7.2). All of ours."""

import random
import zlib

from suite.case import Cases, failed, talk
from suite.events import Close, Failure, Message, Pong
from suite.frames import BINARY, RSV1, RSV2, RSV3, TEXT, Out, close, cont, fragments, ping, pong, text

from .compression import answered

CASES = Cases()
RFC = "RFC 7692 7.2"
TAKEOVER = {"profile": "takeover", "offer": "permessage-deflate; client_max_window_bits", "answer": answered(),
            "offers": {"compression": {"takeover": True}}}
ALONE = {**TAKEOVER, "offer": "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
         "answer": answered(("server_no_context_takeover", None), ("client_no_context_takeover", None))}
LIMIT = {"profile": "limit", "offer": "permessage-deflate", "answer": answered(), "offers": {"compression": True}}
INVALID = (1007, 1002)  # no RFC says which: the payload is invalid, or the extension's protocol is broken


def add(id, title, rfc, run, **options):
    CASES.add(id, title, rfc, run, **{**TAKEOVER, **options})


def pack(data, level=6, strategy=zlib.Z_DEFAULT_STRATEGY, bits=15, flush=zlib.Z_SYNC_FLUSH):
    """A payload of its own, not of the connection's context."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -bits, 9, strategy)
    packed = compressor.compress(data) + compressor.flush(flush)
    return packed[:-4] if packed.endswith(b"\0\0\xff\xff") else packed


def packed(payload, kind=TEXT, **more):
    return Out(kind, payload, rsv=RSV1, **more)


def yields(payload, content, kind=TEXT):
    return talk([packed(payload, kind)], [Message(kind, content)])


# --- payloads of the RFC ------------------------------------------------------------------------------

HELLO = bytes.fromhex("f248cdc9c90700")
STORED = bytes.fromhex("000500faff48656c6c6f00")
FINAL = bytes.fromhex("f348cdc9c9070000")
BLOCKS = bytes.fromhex("f24805000000ffffcac9c90700")
WORLD = pack(b"World")

add("D.data.1", "one block: 'Hello'", "RFC 7692 7.2.3.1", yields(HELLO, b"Hello"))
for at in range(len(HELLO) + 1):
    add(f"D.data.1.{at}", f"'Hello' in two fragments, split at {at}", "RFC 7692 7.2.3.1",
        talk([packed(HELLO[:at], fin=False), cont(HELLO[at:])], [Message(TEXT, b"Hello")]))


@CASES.case("D.data.2", "the same message twice: the second refers to the first", "RFC 7692 7.2.3.2", **TAKEOVER)
async def sharing(peer):
    if not peer.deflate.out_takeover:
        raise Failure("the peer does not keep its window though it could")
    await peer.send(packed(HELLO))
    await peer.expect(Message(TEXT, b"Hello"))
    await peer.send(packed(bytes.fromhex("f200110000")))
    await peer.expect(Message(TEXT, b"Hello"))
    await peer.finish()


add("D.data.3", "a block without compression", "RFC 7692 7.2.3.3", yields(STORED, b"Hello"))
add("D.data.4", "a block with BFINAL", "RFC 7692 7.2.3.4", yields(FINAL, b"Hello"))
add("D.data.5", "two blocks", "RFC 7692 7.2.3.5", yields(BLOCKS, b"Hello"))
add("D.data.6", "an empty message", "RFC 7692 7.2.3.6", yields(b"\0", b""))
add("D.data.7", "an empty message of no bytes at all", "RFC 7692 7.2.2", yields(b"", b""))
add("D.data.8", "the four bytes at the end are not left out", "RFC 7692 7.2.1",
    yields(HELLO + b"\0\0\xff\xff\0", b"Hello"))
add("D.data.9", "an empty fixed block at the end", "RFC 7692 7.2.1", yields(pack(b"Hello", flush=zlib.Z_PARTIAL_FLUSH)
                                                                      + b"\0", b"Hello"))

TEXTS = b"some text that has some repetitions: some text. " * 20
for name, strategy in (("default", zlib.Z_DEFAULT_STRATEGY), ("filtered", zlib.Z_FILTERED),
                       ("huffman", zlib.Z_HUFFMAN_ONLY),
                       ("rle", zlib.Z_RLE), ("fixed", zlib.Z_FIXED)):
    for level in (0, 1, 6, 9):
        add(f"D.data.{name}.{level}", f"zlib's strategy {name}, level {level}", RFC,
            yields(pack(TEXTS, level, strategy), TEXTS))
for size in (65535, 65536, 131072):
    noise = random.Random(size).randbytes(size)
    add(f"D.data.noise.{size}", f"{size} bytes that do not compress", RFC, yields(pack(noise), noise, BINARY))
for size in (1, 2, 3, 7, 100):
    add(f"D.data.pieces.{size}", f"a compressed message in fragments of {size}", "RFC 7692 6.1",
        talk(fragments(TEXT, pack(TEXTS), size, RSV1), [Message(TEXT, TEXTS)]))
add("D.data.bytewise", "a compressed message byte by byte", RFC,
    talk([packed(pack(TEXTS))], [Message(TEXT, TEXTS)], chop=1))
add("D.data.ping", "a Ping between compressed fragments", "RFC 7692 6.1",
    talk([packed(HELLO[:3], fin=False), ping(b"p"), cont(HELLO[3:])], [Pong(b"p"), Message(TEXT, b"Hello")]))
add("D.data.plain", "messages that are not compressed, though they might be", "RFC 7692 6",
    talk([text("plain"), Out(BINARY, b"plain")], [Message(TEXT, b"plain"), Message(BINARY, b"plain")]))
add("D.data.close", "a compressed message before a Close", RFC,
    talk([packed(pack(TEXTS)), close(1000)], [Message(TEXT, TEXTS)], lambda peer: peer.expect_closed(1000)))


@CASES.case("D.data.turns", "plain messages between compressed ones leave the window alone", "RFC 7692 7.2.1",
            **TAKEOVER)
async def turns(peer):
    for i in range(6):
        data = TEXTS + b"%d" % (i // 2)
        if i % 2:
            await peer.send(text(data))
        else:
            await peer.send_message(TEXT, data)
        await peer.expect(Message(TEXT, data))
    await peer.finish()


@CASES.case("D.data.burst", "30 compressed messages in one write", RFC, **TAKEOVER)
async def burst(peer):
    messages = [TEXTS[i:] for i in range(30)]
    await peer.send(*(packed(peer.deflate.compress(m)) for m in messages))
    await peer.expect(*(Message(TEXT, m) for m in messages))
    await peer.finish()


# --- BFINAL: what follows such a block belongs to the same message ------------------------------------

TWO_FINAL = FINAL[:-1] + WORLD
add("D.final.1", "a block with BFINAL, and another block behind it: one message", "RFC 7692 7.2.2, 7.2.3.4",
    yields(TWO_FINAL, b"HelloWorld"))
for at in range(1, len(TWO_FINAL)):
    add(f"D.final.1.{at}", f"the same in fragments, split at {at}", "RFC 7692 7.2.2, 7.2.3.4",
        talk([packed(TWO_FINAL[:at], fin=False), cont(TWO_FINAL[at:])], [Message(TEXT, b"HelloWorld")]))
add("D.final.2", "three blocks with BFINAL", "RFC 7692 7.2.2", yields(FINAL[:-1] * 3 + b"\0", b"HelloHelloHello"))
add("D.final.3", "a block with BFINAL, then a message of its own", "RFC 7692 7.2.3.4",
    talk([packed(FINAL), packed(HELLO)], [Message(TEXT, b"Hello")] * 2))
add("D.final.4", "a stored block with BFINAL", "RFC 7692 7.2.3.4",
    yields(b"\x01\x05\x00\xfa\xffHello\0", b"Hello"))
add("D.final.5", "BFINAL, then bytes that are no block", RFC,
    talk([packed(FINAL[:-1] + b"\x07\xff\xff"), ping()], end=failed(*INVALID)))

# --- what is no DEFLATE ---------------------------------------------------------------------------------

BAD = {
    "a reserved kind of block": b"\x06", "a reserved kind of block, final": b"\x07",
    "a stored length that is not confirmed": b"\x00\x05\x00\xff\xffHello\0",
    "a stored block that is cut": b"\x00\x05\x00\xfa\xffHel", "a fixed block that is cut": HELLO[:3],
    "a dynamic block that is cut": pack(TEXTS, strategy=zlib.Z_FILTERED)[:20],
    "nothing but ones": b"\xff" * 20, "a distance to before the beginning": bytes.fromhex("f200110000"),
    "a dynamic block with impossible codes": b"\x04\xff\xff\xff\xff\xff\xff\xff",
    "text that is not compressed": b"Hello, world!",
    "a whole zlib stream, with its header": zlib.compress(b"Hello"),
    "a gzip member": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + HELLO,
}
for i, (what, payload) in enumerate(BAD.items(), 1):
    add(f"D.bad.{i}", f"{what}", "RFC 7692 7.2.2; RFC 1951",
        talk([packed(payload, BINARY), ping()], end=failed(*INVALID)))
    add(f"D.bad.{i}.pieces", f"{what}, in fragments of a byte", "RFC 7692 7.2.2; RFC 1951",
        talk([*fragments(BINARY, payload, 1, RSV1), ping()], end=failed(*INVALID)))
add("D.bad.other", "without takeover, a message may not refer to the one before", "RFC 7692 7.1.1.2",
    talk([packed(HELLO), packed(bytes.fromhex("f200110000"))], [Message(TEXT, b"Hello")], failed(*INVALID)), **ALONE)

for i, content in enumerate((b"\xff", b"caf\xe9", "ü".encode()[:1], b"\xed\xa0\x80", b"a" * 70000 + b"\xc0\xaf"), 1):
    add(f"D.utf8.{i}", f"compressed text that is not UTF-8: {content[-8:].hex()}", "RFC 6455 8.1",
        talk([packed(pack(content)), ping()], end=failed(1007)))
    add(f"D.utf8.{i}.pieces", f"the same in fragments of 5 bytes: {content[-8:].hex()}", "RFC 6455 8.1",
        talk([*fragments(TEXT, pack(content), 5, RSV1), ping()], end=failed(1007)))
add("D.utf8.whole", "UTF-8 is judged behind decompression, not before", "RFC 6455 8.1",
    yields(pack("κόσμε".encode()), "κόσμε".encode()))

# --- RSV1 --------------------------------------------------------------------------------------------------

FIRST = [packed(HELLO[:3], fin=False)]
for name, sent in {
    "a Ping": [ping(b"p", rsv=RSV1)], "a Pong": [pong(b"p", rsv=RSV1)], "a Close": [close(1000, rsv=RSV1)],
    "a Ping between fragments": FIRST + [ping(rsv=RSV1), cont(HELLO[3:])],
    "a continuation of a compressed message": FIRST + [cont(HELLO[3:], rsv=RSV1)],
    "a continuation of a plain message": [text("a", fin=False), cont("b", rsv=RSV1)],
    "a last continuation without payload": FIRST + [cont(HELLO[3:], fin=False), cont(rsv=RSV1)],
    "nothing to continue": [cont(HELLO, rsv=RSV1)],
}.items():
    add(f"D.rsv.{name.replace(' ', '-')}", f"RSV1 on {name}", "RFC 7692 6; RFC 6455 5.2",
        talk([*sent, ping()], end=failed(1002)))
for rsv in (RSV2, RSV3, RSV1 | RSV2, RSV1 | RSV3, 7):
    add(f"D.rsv.{rsv:03b}", f"reserved bits {rsv:03b} with compression agreed", "RFC 6455 5.2",
        talk([Out(TEXT, HELLO, rsv=rsv), ping()], end=failed(1002)))

# --- bombs and limits ------------------------------------------------------------------------------------


def bomb(size, pieces=0):
    """So many zeros, at a ratio of a thousand to one."""
    async def run(peer):
        payload = pack(bytes(size), 9)
        await peer.send(*(fragments(BINARY, payload, pieces, RSV1) if pieces else [packed(payload, BINARY)]), ping())
        got = await peer.event()
        if got == Pong(b""):  # judged while inflating, which another thread may do
            got = await peer.event()
        if not isinstance(got, Close) or got.code != 1009:
            raise Failure(f"expected Close 1009, saw {got}")
        await peer.expect_end()
    return run


MiB = 1 << 20
add("D.bomb.1", "17 MiB in 17 KiB, above the limit of 16 MiB", "RFC 6455 7.4.1, 10.4; RFC 7692 8", bomb(17 * MiB))
add("D.bomb.2", "the same in fragments of 100 bytes", "RFC 6455 7.4.1, 10.4", bomb(17 * MiB, 100))
add("D.bomb.3", "1 MiB in 1 KiB, above the limit of 64 KiB", "RFC 6455 7.4.1, 10.4", bomb(MiB), **LIMIT)
add("D.bomb.4", "the same in fragments of 70 bytes, 15 of them", "RFC 6455 7.4.1, 10.4", bomb(MiB, 70), **LIMIT)
add("D.bomb.5", "8 MiB in 8 KiB, below the limit of 16 MiB: the ratio is the limit", "RFC 6455 10.4", bomb(8 * MiB))


def measured(size):
    """The limit counts what a message becomes, not what it was compressed to."""
    data = (random.Random(size).randbytes(2048) * 33)[:size]
    if size > 65536:
        return talk([packed(pack(data), BINARY)], end=failed(1009))
    return talk([packed(pack(data), BINARY)], [Message(BINARY, data)])


for size in (65535, 65536, 65537, 67000):
    add(f"D.limit.{size}", f"a compressed message of {size} bytes with a limit of 65536", "RFC 6455 10.4",
        measured(size), **LIMIT)
add("D.limit.packed", "the compressed bytes are above the limit, told by the header", "RFC 6455 10.4",
    talk([packed(b"", BINARY, length=1 << 31)], end=failed(1009)), **LIMIT)
