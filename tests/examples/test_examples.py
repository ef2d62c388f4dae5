"""Each example, as it is in examples/, does what its first lines say. The client is Python websockets."""

import asyncio
import contextlib
import http.client
import json
import pathlib
import re
import subprocess
import time

import pytest
import websockets
from tidewire import SANITIZER, binary

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.lua"))


def run(coroutine):
    asyncio.run(asyncio.wait_for(coroutine, 60))


async def says(socket, text):
    assert await socket.recv() == text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_is_short_and_says_what_it_is_for(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 40
    assert lines[0].startswith("-- ") and len(lines[0]) > 20
    start = re.compile(rf"--   tidewire (run|exec) examples/{path.name}( .*)?")
    assert any(start.fullmatch(line) for line in lines), "how to start it"


def test_each_example_is_listed_and_tested():
    names = {path.stem for path in EXAMPLES}
    assert names and names <= {name.removeprefix("test_") for name in globals()}
    readme = (ROOT / "examples" / "README.md").read_text()
    assert names == {line.split("`")[1].removesuffix(".lua") for line in readme.splitlines() if line.startswith("| `")}


@pytest.mark.parametrize("app", ["examples/echo.lua", "apps/echo.lua"])
def test_echo(serve, app):
    async def talk(server):
        for path in ("/", "/any/path?at=all"):
            async with websockets.connect(server.url(path)) as socket:
                for message in ("tide é", "", b"\x00\xff", b"", "x" * 100_000):
                    await socket.send(message)
                    await says(socket, message)

    run(talk(serve(app)))


def test_broadcast(serve):
    async def talk(server):
        async with contextlib.AsyncExitStack() as stack:
            a, b, c = [await stack.enter_async_context(websockets.connect(server.url())) for _ in range(3)]
            await a.send("from a")
            await says(b, "from a")
            await says(c, "from a")
            await b.send(b"from b")
            await says(a, b"from b")  # the first that a receives: it has not got its own
            await says(c, b"from b")
            await c.close()
            await b.send("who is left")
            await says(a, "who is left")

    run(talk(serve("examples/broadcast.lua")))


def test_hello_of_the_readme(serve, tmp_path):
    """The program on the first page, as it is there."""
    async def talk(server):
        async with websockets.connect(server.url()) as a, websockets.connect(server.url()) as b:
            for socket in (a, b):
                await says(socket, "hello 127.0.0.1")
            for message in ("tide é", b"\x00\xff"):
                await a.send(message)
                await says(b, message)
            await b.send("from b")
            await says(a, "from b")  # the first that a receives: it has not got its own

    program = (ROOT / "README.md").read_text().split("```lua\n", 1)[1].split("```", 1)[0]
    assert program.startswith("-- hello.lua: ")
    assert len(program.splitlines()) <= 11
    app = tmp_path / "hello.lua"
    app.write_text(program)
    run(talk(serve(app)))


def ask_for_upgrade(server, path):
    """The opening handshake by plain HTTP: status, headers and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", path, headers={
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    answer = connection.getresponse()
    with contextlib.closing(connection):
        return answer.status, answer.headers, answer.read()


def test_auth(serve):
    async def talk(server):
        header = {"Authorization": "Bearer token-of-grace"}
        for path, headers, name in (("/?token=token-of-ada", {}, "Ada"), ("/", header, "Grace")):
            async with websockets.connect(server.url(path), extra_headers=headers) as socket:
                await says(socket, f"Hello, {name}.")
                await socket.send("tide")
                await says(socket, f"{name} said: tide")
                await socket.send(b"\x00\xff")
                await says(socket, f"{name} said: ".encode() + b"\x00\xff")
        with pytest.raises(websockets.InvalidStatusCode) as refused:
            await websockets.connect(server.url("/"), extra_headers={"Authorization": "Bearer token-of-eve"})
        assert refused.value.status_code == 401

    server = serve("examples/auth.lua")
    run(talk(server))
    for path in ("/", "/?token=", "/?token=token-of-eve"):
        status, headers, body = ask_for_upgrade(server, path)
        assert (status, body) == (401, b"A valid token is needed.\n")
        assert headers["WWW-Authenticate"] == "Bearer"


def test_dialogue(serve):
    async def talk(server):
        async with websockets.connect(server.url()) as a, websockets.connect(server.url()) as b:
            await says(a, "How wide is it?")
            await says(b, "How wide is it?")
            await b.send("2.5")
            await says(b, "And how high?")  # while a has not answered yet
            await a.send("very")
            await says(a, "A number, please.")
            await a.send("6")
            await says(a, "And how high?")
            await b.send("4")
            await says(b, "That makes 10.")
            await b.wait_closed()
            assert (b.close_code, b.close_reason) == (1000, "done")
            await a.send("7")
            await says(a, "That makes 42.")
            await a.wait_closed()
            assert (a.close_code, a.close_reason) == (1000, "done")
        async with websockets.connect(server.url()) as leaver:
            await says(leaver, "How wide is it?")

    server = serve("examples/dialogue.lua")
    run(talk(server))
    assert server.stop() == 0
    assert "error" not in server.stderr.text()  # also of the one that left in the middle


def test_dialogue_without_an_answer(serve, tmp_path):
    """The same with less patience: a test cannot wait 30 s."""
    async def talk(server):
        async with websockets.connect(server.url()) as socket:
            await says(socket, "How wide is it?")
            await socket.wait_closed()
            assert (socket.close_code, socket.close_reason) == (1000, "no answer")

    source = (ROOT / "examples" / "dialogue.lua").read_text()
    assert source.count("ws:receive(30)") == 1
    app = tmp_path / "dialogue.lua"
    app.write_text(source.replace("ws:receive(30)", "ws:receive(0.05)"))
    run(talk(serve(app)))


def test_ticker(serve):
    async def tick(socket, count, since):
        message = json.loads(await socket.recv())
        assert message.keys() == {"count", "time"} and message["count"] == count
        assert since <= message["time"] <= time.time()
        return message["time"]

    async def talk(server):
        async with websockets.connect(server.url()) as a:
            first = await tick(a, 1, time.time())
            async with websockets.connect(server.url()) as b:
                await tick(b, 1, first)  # each connection has its own count
            await tick(a, 2, first)

    server = serve("examples/ticker.lua")
    run(talk(server))
    assert server.stop() == 0
    assert "error" not in server.stderr.text()


def test_http(serve):
    def get(server, path):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse()
        with contextlib.closing(connection):
            return answer.status, answer.headers["Content-Type"], answer.read()

    def count(server):
        status, kind, body = get(server, "/count")
        assert (status, kind) == (200, "application/json")
        return json.loads(body)

    async def talk(server):
        async with websockets.connect(server.url()) as a, websockets.connect(server.url()) as b:
            for number, socket in enumerate((a, b, a), 1):
                await socket.send("one more")
                await says(socket, str(number))

    server = serve("examples/http.lua")
    assert count(server) == {"count": 0}
    run(talk(server))
    assert count(server) == {"count": 3}
    assert get(server, "/nowhere") == (404, "text/plain; charset=utf-8", b"Not Found\n")
    status, kind, body = get(server, "/%zz")
    assert (status, kind) == (400, "text/plain; charset=utf-8")
    assert body.endswith(b"\n"), "a terminal's prompt begins on a line of its own"


def client(*args, **options):
    done = subprocess.run([binary(), "exec", "examples/client.lua", *args], cwd=ROOT, capture_output=True, text=True,
                          timeout=60, **options)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


def test_client(serve):
    server = serve("examples/echo.lua")
    done = client(server.url(), input="tide \u00e9\n\nlast")
    assert (done.returncode, done.stdout, done.stderr) == (0, "tide \u00e9\n\nlast\n", "")
    done = client()
    assert done.returncode == 2 and done.stderr.startswith("usage: ")
    url = server.url()
    server.stop()
    done = client(url, input="")
    assert done.returncode == 1 and "connection refused" in done.stderr
    server = serve("examples/dialogue.lua")  # closes after two numbers
    done = client(server.url(), input="1\n2\n3\n4\n5\n6\n")
    assert done.returncode == 1 and done.stderr == "the server has closed the connection\n"
