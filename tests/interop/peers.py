"""Clients that carry out a plan, and servers that it is meant for; see pairs/ for those in other languages.

A plan is a list of steps:
    ["send", kind, path]           a message with a file's content
    ["expect", kind, path]         the next message is that
    ["fragments", kind, paths]     one message in several frames (not of tidewire, which sends whole ones)
    ["burst", n]                   n numbered messages at once; then all of them come back in order
    ["ping", text]                 and its Pong (of tidewire's client the wire has to tell)
    ["ask", ...]                   at /talk, has the server do something:
        "close", code, reason          begin the closing handshake
        "ping", text
        "many", n                      n numbered messages at once, for ["hear", n]
        "fragments", kind, paths       (not tidewire)
    ["close", code, reason]        begins the closing handshake; the last step is this or
    ["closed"]                     waits for the server's

What a client has found: {"protocol", "extensions", "wrong": what was not as expected, "end": {"code", "reason"}};
tidewire also tells whether the closing handshake was a whole one, "clean".
"""

import asyncio
import json
import pathlib
import ssl
import subprocess
import threading

import websockets
from tidewire import SANITIZER, Output, Server, binary
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory

PAIRS = pathlib.Path(__file__).parent / "pairs"
PATIENCE = 60  # seconds


# --- clients: client(url, plan, authority's file, path for the plan) -> what it has found -----------

def _json(compression, **more):
    return json.dumps({"compression": False if compression is None else compression, **more})


def _command(command, url, plan, authority, path):
    path.write_text(_json(**plan))
    done = subprocess.run([*command, url, authority, path], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0 and not SANITIZER.search(done.stderr), done.stderr
    return json.loads(done.stdout)


def ws_client(url, plan, authority, path):
    return _command(["node", PAIRS / "client.js"], url, plan, authority, path)


def tidewire_client(url, plan, authority, path):
    return _command([binary(), "exec", PAIRS / "client.lua"], url, plan, authority, path)


def _numbered(i):
    text = f"message {i} " * (i % 7 + 1)
    return text.encode() if i % 2 else text


def _content(kind, path):
    return path.read_text() if kind == "text" else path.read_bytes()


class _Planned:
    """The steps of a plan with Python websockets."""

    def __init__(self, socket):
        self.socket, self.wrong = socket, []

    async def send(self, kind, path):
        await self.socket.send(_content(kind, pathlib.Path(path)))

    async def _expect(self, message, what):
        if await self.socket.recv() != message:
            self.wrong.append(what)

    async def expect(self, kind, path):
        await self._expect(_content(kind, pathlib.Path(path)), path)

    async def fragments(self, kind, paths):
        await self.socket.send([_content(kind, pathlib.Path(path)) for path in paths])

    async def burst(self, count):
        for i in range(count):
            await self.socket.send(_numbered(i))
        await self.hear(count)

    async def hear(self, count):
        for i in range(count):
            await self._expect(_numbered(i), f"heard {i}")

    async def ping(self, text):
        await (await self.socket.ping(text))

    async def ask(self, *words):
        await self.socket.send(json.dumps(words))

    async def close(self, code=1000, reason=""):
        await self.socket.close(code, reason)

    async def closed(self):
        await self.socket.wait_closed()


def websockets_client(url, plan, authority, _):
    async def talk():
        deflate = plan["compression"]
        context = ssl.create_default_context(cafile=authority) if url.startswith("wss:") else None
        async with websockets.connect(
                url, ssl=context, subprotocols=plan["protocols"] or None, compression=None, max_size=None,
                extensions=None if deflate is None else [ClientPerMessageDeflateFactory(**deflate)]) as socket:
            planned = _Planned(socket)
            for name, *args in plan["steps"]:
                await getattr(planned, name)(*args)
        return {"protocol": socket.subprotocol, "wrong": planned.wrong,
                "extensions": socket.response_headers.get("Sec-WebSocket-Extensions", ""),
                "end": {"code": socket.close_code, "reason": socket.close_reason}}

    return asyncio.run(asyncio.wait_for(talk(), PATIENCE))


# --- servers: contexts with `port`, and ends(n): [code, reason] of the first n connections to end ---

def _lines(output, start, count):
    """What stands behind `start` in lines that begin with it, once there are so many."""
    found = []

    def satisfied(lines):
        found[:] = [line[len(start):] for line in lines if line.startswith(start)]
        return len(found) >= count
    assert output.wait(satisfied, PATIENCE), output.text()
    return found


class TidewireServer(Server):
    def __init__(self, protocols=(), compression=None, tls=None):
        query = f"?cert={tls[0]}&key={tls[1]}" if tls else ""
        super().__init__(PAIRS / "app.lua", listen=[f"{'wss' if tls else 'ws'}://127.0.0.1:0{query}"],
                         env={"INTEROP": _json(compression, protocols=list(protocols))})

    def ends(self, count):
        ends = [json.loads(text) for text in _lines(self.stdout, "end ", count)]
        assert all(clean for _, _, clean in ends), "no whole closing handshake"
        return [[code, reason] for code, reason, _ in ends]


class WsServer:
    """npm ws; pairs/server.js."""

    def __init__(self, protocols=(), compression=None, tls=None):
        files = {"tls": dict(zip(("cert", "key"), map(str, tls)))} if tls else {}
        self.options = _json(compression, protocols=list(protocols), **files)

    def __enter__(self):
        self.process = subprocess.Popen(["node", PAIRS / "server.js", self.options], text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.stdout = Output(self.process.stdout)
        self.port = int(_lines(self.stdout, "listening ", 1)[0])
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def ends(self, count):
        return [json.loads(text) for text in _lines(self.stdout, "end ", count)]


class WebsocketsServer:
    """Python websockets, in a thread of its own."""

    def __init__(self, protocols=(), compression=None, tls=None):
        self.options = {
            "subprotocols": list(protocols) or None, "compression": None, "max_size": 4 << 20,
            "extensions": None if compression is None else [ServerPerMessageDeflateFactory(**compression)],
        }
        if tls:
            self.options["ssl"] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.options["ssl"].load_cert_chain(*tls)
        self.ended, self.changed, self.ready = [], threading.Condition(), threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.thread.start()
        assert self.ready.wait(PATIENCE)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(PATIENCE)

    def ends(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.ended) >= count, PATIENCE)
            return list(self.ended)

    async def _serve(self):
        self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()
        async with websockets.serve(self._connection, "127.0.0.1", 0, **self.options) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.ready.set()
            await self.over.wait()

    async def _connection(self, socket, path):
        try:
            async for message in socket:
                if path == "/echo":
                    await socket.send(message)
                else:
                    name, *args = json.loads(message)
                    await getattr(self, f"_{name}")(socket, *args)
        except websockets.ConnectionClosedError:
            pass  # by any other code than 1000 and 1001
        await socket.wait_closed()
        with self.changed:
            self.ended.append([socket.close_code, socket.close_reason])
            self.changed.notify_all()

    @staticmethod
    async def _close(socket, code=1000, reason=""):
        await socket.close(code, reason)

    @staticmethod
    async def _ping(socket, data):
        await socket.ping(data)

    @staticmethod
    async def _many(socket, count):
        for i in range(count):
            await socket.send(_numbered(i))

    @staticmethod
    async def _fragments(socket, kind, paths):
        await _Planned(socket).fragments(kind, paths)


CLIENTS = {"tidewire": tidewire_client, "ws": ws_client, "websockets": websockets_client}
SERVERS = {"tidewire": TidewireServer, "ws": WsServer, "websockets": WebsocketsServer}


# --- permessage-deflate ---------------------------------------------------------------------------

def deflate_of(peer, server_no_takeover=False, client_no_takeover=False, server_bits=None, client_bits=None):
    """The four parameters as a peer wants them (not tidewire, which has options of its own). client_bits False,
    of a client: the parameter is not offered."""
    if peer == "websockets":
        options = {"server_no_context_takeover": server_no_takeover, "client_no_context_takeover": client_no_takeover,
                   "server_max_window_bits": server_bits}
        bits = {} if client_bits is None else {"client_max_window_bits": client_bits or None}
        return {**options, **bits}
    options = {"serverNoContextTakeover": server_no_takeover, "clientNoContextTakeover": client_no_takeover,
               "serverMaxWindowBits": server_bits, "clientMaxWindowBits": client_bits}
    # there false means that the other side must not ask for it
    return {name: value for name, value in options.items() if value or name == "clientMaxWindowBits" and value is False}
