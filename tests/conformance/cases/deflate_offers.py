"""D: negotiation of permessage-deflate (RFC 7692 sections 5 and 7.1) and the windows that follow. All of ours."""

import random

from suite import deflate, http
from suite.case import CLIENT, SERVER, Cases
from suite.events import Failure, Message
from suite.frames import BINARY, RSV1, TEXT, ping, text

from .compression import answered

CASES = Cases()
NAME = "permessage-deflate"
TWICE = b"twice the same text, so that there is something to refer to. " * 8


async def talk_twice(peer):
    """Two equal messages, compressed when that is agreed."""
    for _ in range(2):
        await peer.send_message(TEXT, TWICE)
        await peer.expect(Message(TEXT, TWICE))


async def plain(peer):
    """Nothing is agreed: echo works without compression, and RSV1 is an error."""
    await talk_twice(peer)
    await peer.send(text(b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=RSV1), ping())
    await peer.expect_failed(1002)


def offered(value, check=None, fields=None):
    """The server agrees, lawfully (dial.py checks its answer against the offer), and echoes."""
    async def run(dialer):
        lines = fields or [f"Sec-WebSocket-Extensions: {value}"]
        peer = await dialer.peer(dialer.request(fields=lines), offer=value)
        if not peer.deflate:
            raise Failure("expected permessage-deflate to be agreed on, saw no answer to the offer")
        if check:
            check(peer.deflate.params)
        await talk_twice(peer)
        await peer.finish()
    return run


def declined(value, malformed=False):
    """The server takes the handshake without compression. `malformed`: no list of extensions at all, which
    it may also refuse with 400."""
    async def run(dialer):
        head, wire = await dialer.ask(dialer.request(fields=[f"Sec-WebSocket-Extensions: {value}"]))
        if malformed and head and head.status == 400:
            return
        http.check_accepted(head, dialer.key)
        if head.one("Sec-WebSocket-Extensions"):
            raise Failure(f"expected the offer to be declined, saw {head.one('Sec-WebSocket-Extensions')!r}")
        await plain(dialer.peer_of(wire, head))
    return run


def add(id, title, rfc, run, profile="takeover"):
    CASES.add(id, title, rfc, run, roles=(SERVER,), profile=profile, raw=True)


LEGAL = [
    NAME, f"{NAME};client_max_window_bits", f"{NAME} ; client_max_window_bits", f" {NAME}\t;\tclient_max_window_bits ",
    f"{NAME}; server_no_context_takeover", f"{NAME}; client_no_context_takeover",
    f"{NAME}; client_no_context_takeover; server_no_context_takeover",
    f"{NAME}; server_max_window_bits=10; client_max_window_bits=11; server_no_context_takeover; "
    "client_no_context_takeover",
    f"{NAME}; client_max_window_bits; server_max_window_bits=10", f'{NAME}; server_max_window_bits="10"',
    f'{NAME}; client_max_window_bits="15"', f"{NAME}; server_max_window_bits = 12",
    f"foo, {NAME}", f"{NAME}, foo", f"x-webkit-deflate-frame, {NAME}", f'foo; bar="baz", {NAME}',
    f"foo; {NAME}=1, {NAME}", f", {NAME}", f"{NAME},", f"{NAME}, {NAME}",
    f"{NAME}; server_max_window_bits=9, {NAME}; server_max_window_bits=15",
]
for i, value in enumerate(LEGAL, 1):
    add(f"D.offer.{i}", f"offer {value!r}", "RFC 7692 5.1, 7.1; RFC 6455 9.1", offered(value))
for bits in range(9, 16):
    add(f"D.offer.server.{bits}", f"server_max_window_bits={bits}: the answer is not above it", "RFC 7692 7.1.2.1",
        offered(f"{NAME}; server_max_window_bits={bits}"))
for bits in range(8, 16):
    add(f"D.offer.client.{bits}", f"client_max_window_bits={bits}", "RFC 7692 7.1.2.2",
        offered(f"{NAME}; client_max_window_bits={bits}"))
for profile in ("deflate", "takeover", "small", "limit"):
    add(f"D.offer.profile.{profile}", f"the profile {profile!r} agrees", "RFC 7692 5.1",
        offered(f"{NAME}; client_max_window_bits"), profile)

ILLEGAL = [f"server_max_window_bits{value}" for value in
           ("", "=7", "=16", "=0", "=1", "=-9", "=08", "=09", "=010", "=+9", "=0x9", "=9.0", "=1e1", "=nine",
            "=99999999999",
            '="08"', '="+9"', "=115")] + \
          [f"client_max_window_bits{value}" for value in
           ("=7", "=16", "=0", "=08", "=+9", "=0x9", "=015", "=ten", '="16"', "=18446744073709551625")] + \
          [f"{side}_no_context_takeover{value}" for side in ("server", "client") for value in ("=1", "=true", '="x"',
                                                                                               "=0")] + \
          [f"{name}; {name}" for name in ("server_no_context_takeover", "client_no_context_takeover",
                                          "client_max_window_bits", "server_max_window_bits=10")] + \
          ["server_max_window_bits=10; server_max_window_bits=11", "client_max_window_bits=10; client_max_window_bits",
           "unknown", "unknown=1", "mux; server_max_window_bits=10", "max_window_bits=10", "no_context_takeover",
           "server_max_window_bits_=10"]
for i, value in enumerate(ILLEGAL, 1):
    add(f"D.illegal.{i}", f"the offer {value!r} is declined", "RFC 7692 7.1", declined(f"{NAME}; {value}"))
    add(f"D.next.{i}", f"behind the offer {value!r} the next one is considered", "RFC 7692 5.1, 7.1",
        offered(f"{NAME}; {value}, {NAME}"))

OTHERS = ["foo", "permessage-bzip2", "permessage-deflate2", "x-webkit-deflate-frame", "deflate-frame",
          f"foo; {NAME}", f'foo; bar="{NAME}"']
for i, value in enumerate(OTHERS, 1):
    add(f"D.other.{i}", f"the offer {value!r} is none of permessage-deflate", "RFC 6455 9.1", declined(value))
MALFORMED = [f"{NAME}; server_max_window_bits=", f"{NAME}; =10", f'{NAME}; server_max_window_bits="10', f"{NAME}; ;",
             f"{NAME};", f"{NAME} server_no_context_takeover", f"{NAME}; server_max_window_bits==10", "; permessage",
             f"{NAME}; server max window bits=10", f"{NAME}; server_max_window_bits='10'", f"{NAME}/1", "\xe9",
             'foo; bar="a, b; c"', 'foo; bar=""']
for i, value in enumerate(MALFORMED, 1):
    add(f"D.malformed.{i}", f"{value!r} is no list of extensions: declined, or 400", "RFC 6455 9.1",
        declined(value, malformed=True))


@CASES.case("D.fields", "offers in two fields are one list", "RFC 6455 9.1", roles=(SERVER,), profile="takeover",
            raw=True)
async def two_fields(dialer):
    values = [f"{NAME}; server_max_window_bits=99", NAME]
    await offered(", ".join(values), fields=[f"Sec-WebSocket-Extensions: {value}" for value in values])(dialer)


@CASES.case("D.plain", "a route without compression declines", "RFC 7692 5.1", roles=(SERVER,), raw=True,
            profile="protocols")
async def no_compression(dialer):
    await declined(NAME)(dialer)


@CASES.case("D.offer.server.8", "server_max_window_bits=8 is kept, or the offer is declined", "RFC 7692 7.1.2.1",
            roles=(SERVER,), profile="takeover", raw=True)
async def eight(dialer):
    peer = await dialer.peer(offer=f"{NAME}; server_max_window_bits=8")
    await (talk_twice(peer) if peer.deflate else plain(peer))


# --- windows: what is sent keeps to what was agreed ------------------------------------------------

def noise(n):
    """n bytes of letters that do not repeat in a short distance."""
    return bytes(random.Random(n).choices(b"abcdefghijklmnopqrstuvwxyzABCDEF", k=n))


def far(bits):
    """A block twice, just further away than a window of this size reaches."""
    block = noise((1 << bits) + 40)
    return block + block


def windows(bits):
    """Repetitions behind the end of the agreed window; what comes back is inflated with exactly that window."""
    async def run(peer):
        peer.strict_inflate = True
        ours = peer.deflate.params.server_bits if peer.is_client else peer.deflate.params.client_bits
        if ours > bits:
            raise Failure(f"the peer may be told {bits} bits, and uses {ours}")
        for _ in range(2):
            for data in (far(bits), noise(300) * 4):
                await peer.send_message(BINARY, data)
                await peer.expect(Message(BINARY, data))
        await peer.finish()
    return run


for bits in range(8, 16):
    add_for = {"profile": "takeover", "offers": {"compression": {"takeover": True}}}
    if bits > 8:
        CASES.add(f"D.window.{bits}", f"a server keeps to a window of {bits} bits", "RFC 7692 7.1.2.1", windows(bits),
                  roles=(SERVER,), offer=f"{NAME}; server_max_window_bits={bits}", **add_for)
    CASES.add(f"D.window.client.{bits}", f"a client keeps to a window of {bits} bits", "RFC 7692 7.1.2.2",
              windows(bits),
              roles=(CLIENT,), answer=answered(("client_max_window_bits", str(bits))), **add_for)


@CASES.case("D.takeover.none", "a server without takeover: each message inflates alone", "RFC 7692 7.1.1.1",
            roles=(SERVER,), profile="takeover", offer=f"{NAME}; server_no_context_takeover")
async def alone(peer):
    if peer.deflate.params.server_takeover:
        raise Failure("the server keeps its window")
    await talk_twice(peer)
    await peer.finish()


@CASES.case("D.takeover.client", "a client without takeover: each message inflates alone", "RFC 7692 7.1.1.2",
            roles=(CLIENT,), profile="takeover", offers={"compression": {"takeover": True}},
            answer=answered(("client_no_context_takeover", None)))
async def client_alone(peer):
    await talk_twice(peer)
    await peer.finish()


@CASES.case("D.request", "what a client offers is a legal offer", "RFC 7692 7.1", roles=(CLIENT,), profile="takeover",
            raw=True, offers={"compression": {"takeover": True}})
async def legal_offer(accepted):
    offers = accepted.offers()
    if not offers:
        raise Failure("the client offers no permessage-deflate")
    for name, pairs in offers:
        if deflate.read_offer(name, pairs) is None:
            raise Failure(f"the client offers {name} with {pairs}")
    await (await accepted.accept()).finish()


@CASES.case("D.declined", "the server declines: a client goes on without compression", "RFC 7692 5.1", roles=(CLIENT,),
            profile="takeover", raw=True, offers={"compression": True})
async def client_declined(accepted):
    await plain(await accepted.accept())
