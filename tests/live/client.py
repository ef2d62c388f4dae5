"""What the tests of tidewire.connect share: a server of another make, and servers that answer as they are told."""

import asyncio
import socket
import threading

import websockets

SHOW = """
local function show(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    print(table.concat(words, "|"))
end
"""


class Websockets:
    """A server of Python websockets, in a thread of its own."""

    def __init__(self, handler, **options):
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve(handler, options)), daemon=True)
        self.thread.start()
        assert self.ready.wait(20)

    async def _serve(self, handler, options):
        self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()
        async with websockets.serve(handler, "127.0.0.1", options.pop("port", 0), **options) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.ready.set()
            await self.over.wait()

    def stop(self):
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.over.set)
            self.thread.join(20)


async def echo(socket, *_):
    async for message in socket:
        await socket.send(message)


def answering(door, answer):
    """A server that gives its first guest this answer, made from the guest once its request is read."""
    server = door()

    def serve():
        guest = server.guest()
        guest.request()
        guest.send(answer(guest))
        guest.sock.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return server


def handshake_answer(*fields, accept=None):
    def make(guest):
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Accept: {accept or guest.accept_value()}", *fields]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()
    return make


TELL = """
local ws, message, code, details = tidewire.connect(arg[1], %s)
show(ws, code, message)
if details then show(details.status, details.headers["content-type"], details.body) end
"""


def failure(run, url, options="{}", **more):
    """code and message, and what the server has answered."""
    lines = run(TELL % options, url, **more).lines()
    _, code, message = lines[0].split("|", 2)
    return (code, message, *lines[1:])


def quiet(guest):
    """Has it sent nothing more?"""
    guest.sock.settimeout(0)
    try:
        return guest.sock.recv(1) and False
    except BlockingIOError:
        return True
    finally:
        guest.sock.settimeout(20)
