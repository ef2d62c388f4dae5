"""What a case is, and the collection of them."""

from dataclasses import dataclass
from typing import Callable

SERVER, CLIENT = "server", "client"  # roles of the peer under test
BOTH = (SERVER, CLIENT)

GROUPS = {
    "1": "Framing", "2": "Ping and Pong", "3": "Reserved bits", "4": "Opcodes", "5": "Fragmentation",
    "6": "UTF-8", "7": "Closing", "9": "Sizes", "10": "Chopping", "12": "Compression: kinds and sizes",
    "13": "Compression: parameters", "H": "Opening handshake", "S": "Smuggling, malformed upgrades",
    "L": "Lengths", "D": "permessage-deflate", "C": "Server's answers",
}


@dataclass(frozen=True)
class Case:
    """One case.

    run       a coroutine function. It gets an open Peer, or, when raw, a Dialer (of a server) or an Accepted (of
              a client), and raises Failure when the peer under test does not do what the RFC says
    profile   what the peer has to be: "plain", "deflate" and so on; see the README
    offer     Sec-WebSocket-Extensions that the suite sends as a client
    answer    what it answers as a server: a function from the client's offer (a list of elements) to the value
    offers    what the client under test is told to offer: {"compression": True, "protocols": [...]}
    seconds   after which there should have been a verdict
    """

    id: str
    title: str
    rfc: str
    run: Callable
    roles: tuple = BOTH
    profile: str = "plain"
    offer: str = None
    answer: Callable = None
    offers: dict = None
    raw: bool = False
    seconds: int = 20

    @property
    def group(self):
        return self.id.split(".")[0]


class Cases(list):
    """The cases of a module, made by tables or by functions."""

    def add(self, *args, **options):
        self.append(Case(*args, **options))

    def case(self, *args, **options):
        """Decorates the coroutine function of one case."""
        def keep(run):
            self.add(*args, run, **options)
            return run
        return keep


def talk(send, expect=(), end=None, chop=0):
    """The run of a case without turns: everything is sent, then the events come, then the end.

    end  a coroutine function of the peer; by default the closing handshake with 1000
    """
    async def run(peer):
        await peer.send(*send, chop=chop)
        await peer.expect(*expect)
        await (end(peer) if end else peer.finish())
    return run


def failed(*codes):
    """An end: the peer fails the connection with one of these codes."""
    return lambda peer: peer.expect_failed(*codes)


def closed(*codes):
    """An end: our Close, sent before, is answered so."""
    return lambda peer: peer.expect_closed(*codes)
