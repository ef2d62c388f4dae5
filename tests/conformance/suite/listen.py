"""The suite as a server: a client under test is told over /cases what to connect to, and how."""

import asyncio
import json
import socket
import sys

from . import deflate, frames, http
from .events import Failure
from .peer import Peer
from .wire import Wire


class Accepted:
    """A client's connections for one case: its requests, and the answers that the case gives."""

    def __init__(self, case, log=None):
        self.case, self.log = case, log
        self.arrived = asyncio.Queue()
        self.wires, self.keys = [], []
        self.head = self.key = self.wire = None

    async def request(self):
        """Waits for the client's next request. Returns its Head; raises Failure when it is a wrong one."""
        self.head, self.wire = await self.arrived.get()
        self.wires.append(self.wire)
        self.key = http.check_request(self.head)
        self.keys.append(self.key)
        return self.head

    def offers(self):
        """What the client offers: a list of (extension, [(parameter, value)])."""
        return deflate.parse(self.head.one("Sec-WebSocket-Extensions") or "")

    async def accept(self, behind=b"", chop=0, extensions=None, **options):
        """Answers with 101 and returns the open Peer. `behind` is sent in the same write."""
        offered = self.head.one("Sec-WebSocket-Extensions")
        fields = list(options.pop("fields", ()))
        if extensions:
            fields.append(f"Sec-WebSocket-Extensions: {extensions}")
        await self.wire.send(http.answer(self.key, fields=fields, **options) + behind, chop)
        return self.peer(deflate.check_answer(extensions, offered))

    def peer(self, params=None):
        """The Peer of a connection whose handshake is done."""
        context = deflate.Context(params, is_client=False) if params else None
        return Peer(self.wire, False, context, self.case.id, self.head)

    async def run(self):
        await self.request()
        if self.case.raw:
            await self.case.run(self)
            return
        extensions = None
        if self.case.answer:
            extensions = self.case.answer(dict(self.offers()).get(deflate.NAME))
            if not extensions:
                raise Failure("the client offers no permessage-deflate, or not with what this case needs")
        await self.case.run(await self.accept(extensions=extensions))

    async def close(self):
        for wire in self.wires:
            await wire.close()


class Listener:
    """Takes the client's connections and gives them to their cases."""

    def __init__(self):
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.sock.setblocking(False)
        self.url = "ws://127.0.0.1:%d" % self.sock.getsockname()[1]
        self.tasks = set()
        self.control = asyncio.Queue()
        self.waiting = {}  # path -> Accepted
        self.sequence = 0

    def start(self):
        self._task(self._accept())
        return self

    def _task(self, coroutine):
        task = asyncio.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        self.sock.close()

    async def _accept(self):
        while True:
            sock, _ = await asyncio.get_running_loop().sock_accept(self.sock)
            self._task(self._arrive(Wire(sock)))

    async def _arrive(self, wire):
        try:
            head = await http.read_head(wire)
        except Failure as error:  # whose case this is cannot be told
            print(f"a client's request: {error}", file=sys.stderr)
            head = None
        if head is None:
            await wire.close()
            return
        path = head.target
        if path == "/cases":
            await wire.send(http.answer(http.check_request(head)))
            self.control.put_nowait(Peer(wire, False))
        elif path in self.waiting:
            wire.log = self.waiting[path].log
            self.waiting[path].arrived.put_nowait((head, wire))
        else:
            await wire.close()

    def expect(self, case, log=None):
        """Makes room for a case. Returns its path and the Accepted."""
        self.sequence += 1
        path = f"/case/{self.sequence}"
        self.waiting[path] = Accepted(case, log)
        return path, self.waiting[path]

    def forget(self, path):
        del self.waiting[path]


def order(url, path, case):
    """The control message that tells a client about a case."""
    options = {"compression": False, "protocols": [], "profile": case.profile, **(case.offers or {})}
    return frames.text(json.dumps({"url": url + path, **options}))
