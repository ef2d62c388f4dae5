"""Python websockets, unmodified: the same as test_ws.py, so far as its interface reaches."""

import asyncio
import json
import ssl
from urllib.parse import urljoin

import pytest
import websockets

ECHO, TALK = "apps/echo.lua", "tests/interop/talk.lua"
LENGTHS = (0, 1, 125, 126, 65535, 65536, 1_000_000)


@pytest.fixture
def connect(scheme, certificate):
    """connect(url, ...) -> a connection; over TLS only with the certificate that the server was given."""
    context = ssl.create_default_context(cafile=certificate[0]) if scheme == "wss" else None

    def connect(url, **options):
        return websockets.connect(url, ssl=context, **options)
    return connect


def run(coroutine):
    asyncio.run(asyncio.wait_for(coroutine, 120))


def text(length):
    """Of that many bytes, in characters of two as far as they fit."""
    return "é" * (length // 2) + "e" * (length % 2)


def binary(length):
    return bytes((i * 7 + (i >> 8)) & 255 for i in range(length))


def both(length):
    return [text(length), binary(length)]


def test_echo_of_every_length_and_of_many_at_once(start, connect):
    async def talk(url):
        async with connect(url) as socket:
            for message in sum(map(both, LENGTHS), []):
                await socket.send(message)
                assert await socket.recv() == message
            crowd = sum(map(both, range(500)), [])  # no two are equal
            answers = asyncio.create_task(receive(socket, len(crowd)))
            for message in crowd:
                await socket.send(message)
            assert await answers == crowd
        assert (socket.close_code, socket.close_reason) == (1000, "")

    async def receive(socket, count):
        return [await socket.recv() for _ in range(count)]

    run(talk(start(ECHO)))


def test_fragments(start, connect):
    async def talk(url):
        async with connect(url) as socket:
            for pieces, whole in (
                ([*"tide in é and ü"], "tide in é and ü"),
                (["", "tide", "", "", "wire", ""], "tidewire"),
                ([b"", b""], b""),
                ([binary(9999)] * 100, binary(9999) * 100),
            ):
                await socket.send(pieces)
                assert await socket.recv() == whole
            await socket.send(interrupted(socket))
            assert await socket.recv() == "tidewire"

    async def interrupted(socket):
        """In the middle of a message a Ping is answered, not only after it."""
        yield "tide"
        await (await socket.ping("now"))
        yield "wire"

    run(talk(start(ECHO)))


def test_pings(start, connect):
    async def talk(url):
        async with connect(url) as socket:
            for payload in ("", "a", text(125)):
                await (await socket.ping(payload))  # a Pong with another payload would not end it
            several = [await socket.ping() for _ in range(10)]
            await asyncio.gather(*several)
            await socket.send("still here")
            assert await socket.recv() == "still here"

    run(talk(start(ECHO)))


CLOSES = [(1000, ""), (1000, "bye"), (1001, text(123)), (1003, ""), (1007, ""), (1008, ""), (1009, ""),
          (1011, ""), (1012, ""), (1013, ""), (1014, ""), (3000, "registered"), (4999, "private")]


def test_closing(start, connect):
    async def talk(url):
        async with connect(urljoin(url, "/ends")) as ends:
            assert await ends.recv() == "ready"
            for code, reason in CLOSES:
                async with connect(url) as socket:
                    await socket.close(code, reason)
                # a server's answer carries the code back, not the reason
                assert (socket.close_code, socket.close_reason) == (code, "")
                assert json.loads(await ends.recv()) == {"code": code, "reason": reason, "clean": True}

                async with connect(url) as socket:
                    await socket.send(json.dumps(["close", code, reason]))
                    await socket.wait_closed()
                assert (socket.close_code, socket.close_reason) == (code, reason)
                # this client sends back what it was sent
                assert json.loads(await ends.recv()) == {"code": code, "reason": reason, "clean": True}

            socket = await connect(url)
            socket.transport.abort()
            assert json.loads(await ends.recv()) == {"code": 1006, "reason": "", "clean": False}

    run(talk(start(TALK)))


def test_subprotocols_and_compression(start, connect):
    async def negotiate(url, subprotocols, compression):
        async with connect(url, subprotocols=subprotocols, compression=compression) as socket:
            await socket.send(json.dumps(["offered"]))
            there = json.loads(await socket.recv())
            assert socket.extensions == [] and "Sec-WebSocket-Extensions" not in socket.response_headers
            assert there["protocol"] == socket.subprotocol and there["protocols"] == (subprotocols or [])
            offered = there["extensions"] or ""
            assert offered.startswith("permessage-deflate") == (compression == "deflate")
            return socket.subprotocol

    async def talk(url):
        # the server's order of preference
        assert await negotiate(url, ["talk.v1", "talk.v2"], None) == "talk.v2"
        assert await negotiate(url, ["other", "talk.v1"], None) == "talk.v1"
        assert await negotiate(url, None, None) is None
        # a server may choose none; this client leaves it to its user whether that will do
        assert await negotiate(url, ["other"], None) is None
        assert await negotiate(url, None, "deflate") is None

    run(talk(start(TALK)))


@pytest.mark.parametrize("scheme", ["wss"])
def test_the_certificate_is_verified(start):
    """Else the tests over wss would show less than they seem to."""
    async def talk(url):
        with pytest.raises(ssl.SSLCertVerificationError):
            await websockets.connect(url)

    run(talk(start(ECHO)))
