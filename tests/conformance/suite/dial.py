"""The suite as a client: connections to a server under test."""

from . import deflate, http
from .events import Failure
from .peer import Peer
from .wire import Wire


class Dialer:
    """Makes connections to the server for one case; closes them when it is left."""

    def __init__(self, target, case, log=None):
        self.target, self.case, self.log = target, case, log
        self.wires = []
        self.path = target.path(case.profile)
        self.host = f"{target.host}:{target.port}"
        self.key = http.key_of(case.id)
        self.keys = [self.key]

    async def open(self):
        wire = await Wire.connect(self.target.host, self.target.port, self.log)
        self.wires.append(wire)
        return wire

    def request(self, path="{path}", fields=(), **options):
        """The bytes of a handshake for this case; options of http.request. "{host}" and "{path}" are this case's."""
        def own(text):
            return text.replace("{host}", self.host).replace("{path}", self.path) if isinstance(text, str) else text
        return http.request(self.host, own(path), **{"key": self.key, **options}, fields=[own(f) for f in fields])

    async def ask(self, data, chop=0):
        """Sends the bytes on a connection of its own. Returns the answer's head and the wire."""
        wire = await self.open()
        await wire.send(data, chop)
        return await http.read_answer(wire), wire

    async def peer(self, data=None, offer=None, chop=0, key=None):
        """An open connection; `data` is another request than the usual one."""
        fields = [f"Sec-WebSocket-Extensions: {offer}"] if offer else []
        head, wire = await self.ask(data or self.request(fields=fields), chop)
        http.check_accepted(head, key or self.key)
        return self.peer_of(wire, head, deflate.check_answer(head.one("Sec-WebSocket-Extensions"), offer))

    def peer_of(self, wire, head, params=None):
        """The Peer of a connection whose handshake is done."""
        context = deflate.Context(params, is_client=True) if params else None
        return Peer(wire, True, context, self.case.id, head)

    async def run(self):
        if self.case.raw:
            await self.case.run(self)
            return
        peer = await self.peer(offer=self.case.offer)
        if self.case.offer and not peer.deflate:
            raise Failure("the server did not agree to permessage-deflate")
        await self.case.run(peer)

    async def close(self):
        for wire in self.wires:
            await wire.close()
