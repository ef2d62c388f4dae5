"""nginx in front: plain and ending TLS, to TCP and to a Unix socket; and as a stream with the PROXY protocol."""

import asyncio
import json
import ssl
import urllib.request

import pytest
import websockets
from peers import CLIENTS, PAIRS, SERVERS, TidewireServer, deflate_of
from proxies import Nginx
from tap import Tap, close_content


CLIENT = "127.0.0.9"  # an address of its own, for nginx comes from 127.0.0.1


@pytest.fixture
def nginx(tmp_path, certificate):
    """nginx(servers) -> their ports by name; see proxies.Nginx."""
    started = []

    def start(servers):
        started.append(Nginx(tmp_path / f"nginx{len(started)}", certificate, servers))
        return started[-1].ports
    yield start
    for each in started:
        each.stop()


# --- who the client is -----------------------------------------------------------------------------

def ask(port, certificate, secure, origin=None, **headers):
    """What the app tells of a client at an address of its own, or the status of its refusal."""
    async def talk():
        context = ssl.create_default_context(cafile=certificate[0]) if secure else None
        try:
            async with websockets.connect(
                    f"{'wss' if secure else 'ws'}://localhost:{port}/who", ssl=context, origin=origin,
                    extra_headers=headers, host="127.0.0.1", local_addr=(CLIENT, 0)) as socket:
                return {**json.loads(await socket.recv()), "own_port": socket.local_address[1]}
        except websockets.InvalidStatusCode as refused:
            return refused.status_code
    return asyncio.run(asyncio.wait_for(talk(), 30))


@pytest.mark.parametrize("target", ["tcp", "unix"])
@pytest.mark.parametrize("trusted", [True, False])
def test_who_the_client_is(serve, nginx, certificate, tmp_path, target, trusted):
    listen = {"tcp": "ws://127.0.0.1:0", "unix": f"unix:{tmp_path}/app.sock"}[target]
    server = serve(PAIRS / "behind.lua", listen=[listen], env={"TIDEWIRE_PROXIES": "127.0.0.1 unix"} if trusted else {})
    target = f"127.0.0.1:{server.port}" if target == "tcp" else f"unix:{tmp_path}/app.sock:"
    peer = "unix" if "unix" in target else "127.0.0.1"
    ports = nginx({"plain": ("plain", target), "tls": ("tls", target)})

    for name, secure in (("plain", False), ("tls", True)):
        port = ports[name]
        for forged in ({}, {"X-Forwarded-For": "203.0.113.7"}, {"X-Forwarded-Proto": "https"},
                       {"Forwarded": "for=203.0.113.7"}):
            if trusted and "Forwarded" in forged:
                continue  # this nginx passes it on as it is, and contradictions are refused
            told = ask(port, certificate, secure, **forged)
            assert told["remote_address"] == (CLIENT if trusted else peer)
            assert told["secure"] == (trusted and secure)
            assert told["host"] == f"localhost:{port}"
            assert told["remote_port"] != told["own_port"]
        # a page's own origin, and with the other scheme: without trust we do not know of TLS
        own, other = ("https", "http") if trusted and secure else ("http", "https")
        assert isinstance(ask(port, certificate, secure, f"{own}://localhost:{port}"), dict)
        assert ask(port, certificate, secure, f"{other}://localhost:{port}") == 403
        assert ask(port, certificate, secure, "https://other.example") == 403
    if trusted:
        assert ask(ports["tls"], certificate, True, Forwarded="for=203.0.113.7") == 400


def test_plain_requests(serve, nginx):
    server = serve(PAIRS / "behind.lua", env={"TIDEWIRE_PROXIES": "127.0.0.1"})
    port = nginx({"plain": ("plain", f"127.0.0.1:{server.port}")})["plain"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/plain", timeout=30) as answer:
        assert json.load(answer)["remote_address"] == "127.0.0.1" and answer.status == 200


def test_proxy_protocol(serve, nginx, certificate):
    cert, key = certificate
    server = serve(PAIRS / "behind.lua", listen=[
        "ws://127.0.0.1:0?proxy_protocol=on", f"wss://127.0.0.1:0?proxy_protocol=on&cert={cert}&key={key}"],
        env={"TIDEWIRE_PROXIES": "127.0.0.1"})
    plain, secure = (f"127.0.0.1:{url.rsplit(':', 1)[1].split('?')[0].strip('/')}" for url in server.urls)
    ports = nginx({"plain": ("stream", plain), "passed": ("stream", secure), "ended": ("stream-tls", plain)})
    for name, tls, told_secure in (("plain", False, False), ("passed", True, True), ("ended", True, False)):
        told = ask(ports[name], certificate, tls)
        assert (told["remote_address"], told["remote_port"]) == (CLIENT, told["own_port"])
        assert told["secure"] == told_secure, "this version of the header does not tell of TLS"
        assert ask(ports[name], certificate, tls, "https://other.example") == 403


def test_proxy_protocol_of_somebody_else(serve, nginx, certificate):
    server = serve(PAIRS / "behind.lua", listen=["ws://127.0.0.1:0?proxy_protocol=on"],
                   env={"TIDEWIRE_PROXIES": "192.0.2.1"})
    ports = nginx({"plain": ("stream", f"127.0.0.1:{server.port}")})
    with pytest.raises((websockets.InvalidMessage, ConnectionError)):
        ask(ports["plain"], certificate, False)
    assert server.stderr.wait(lambda lines: any("127.0.0.1 is not among `proxies`" in line for line in lines), 30)


# --- what passes through -----------------------------------------------------------------------------

def both(record):
    return record.frames(False), record.frames(True)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("client, server", [
    ("ws", "tidewire"), ("websockets", "tidewire"), ("tidewire", "tidewire"), ("tidewire", "ws"),
    ("tidewire", "websockets")])
def test_messages_deflate_and_close_codes(nginx, certificate, content, tmp_path, client, server, secure):
    def wanted(name):
        return {"takeover": True} if name == "tidewire" else deflate_of(name)

    talk = {
        "/echo": [[what, *file] for file in content.large() for what in ("send", "expect")] + [
            ["burst", 300], ["ping", "now"], ["close", 3000, "registered"]],
        "/talk": [["ask", "many", 500], ["hear", 500], ["ask", "close", 4999, "private"], ["closed"]],
    }
    with SERVERS[server](compression=wanted(server)) as at, Tap(at.port) as behind:
        port = nginx({"it": ("tls" if secure else "plain", f"127.0.0.1:{behind.port}")})["it"]
        with Tap(port) as before:
            for i, (path, steps) in enumerate(talk.items()):
                plan = {"steps": steps, "protocols": [], "compression": wanted(client)}
                url = f"{'wss' if secure else 'ws'}://localhost:{before.port}{path}"
                found = CLIENTS[client](url, plan, certificate[0], tmp_path / "plan.json")
                assert found["wrong"] == [] and found.get("clean", True)
                front, back = before.record(i), behind.record(i)
                assert back.fields(True)["sec-websocket-extensions"].startswith("permessage-deflate")
                assert len(back.up) < 1 << 21 and any(frame.rsv == 4 for frame in back.frames(True))
                if not secure:
                    assert both(front) == both(back), "nginx changes nothing"
                if path == "/talk":
                    assert found["end"] == {"code": 4999, "reason": "private"}
                    assert close_content(back.frames(False)[-1])[0] == 4999
            assert at.ends(2)[0] == [3000, "registered"] and at.ends(2)[1][0] == 4999


# --- when something is missing ------------------------------------------------------------------------

def test_a_server_that_is_gone(nginx, script):
    """nginx answers for it."""
    server = TidewireServer().start()
    port = nginx({"it": ("plain", f"127.0.0.1:{server.port}")})["it"]
    assert server.stop() == 0
    lines = script("""
        local _, message, code, details = tidewire.connect(arg[1])
        print(code, message, details.status, details.body:match "502 Bad Gateway" ~= nil)
    """, f"ws://127.0.0.1:{port}/echo").lines()
    assert lines == [
        f"status\tcannot connect to ws://127.0.0.1:{port}: the server answered 502 Bad Gateway, not 101\t502\ttrue"]


def test_a_drain_is_told_through_it(nginx, script):
    server = TidewireServer().start()
    port = nginx({"it": ("plain", f"127.0.0.1:{server.port}")})["it"]
    waiting = script("""
        local over
        assert(tidewire.connect(arg[1], { handler = {
            open = function() print "open" end,
            close = function(_, code, reason, clean) over = ("%d %s %s"):format(code, reason, clean) end,
        } }))
        while not over do tidewire.sleep(0.005) end
        print(over)
    """, f"ws://127.0.0.1:{port}/echo")
    waiting.wait_line("open")
    assert server.stop() == 0
    assert waiting.lines() == ["open", "1001 going away true"]


def test_nginx_that_ends(script, serve, certificate, tmp_path):
    """The connection is lost on both sides; nobody gets a Close frame."""
    server = TidewireServer().start()
    proxy = Nginx(tmp_path / "nginx", certificate, {"it": ("plain", f"127.0.0.1:{server.port}")})
    try:
        waiting = script("""
            local over
            assert(tidewire.connect(arg[1], { handler = {
                open = function() print "open" end,
                close = function(_, code, _, clean) over = ("%d %s"):format(code, clean) end,
            } }))
            while not over do tidewire.sleep(0.005) end
            print(over)
        """, f"ws://127.0.0.1:{proxy.ports['it']}/echo")
        waiting.wait_line("open")
    finally:
        proxy.stop()
    assert waiting.lines() == ["open", "1006 false"]
    assert server.stdout.wait(lambda lines: 'end [1006,"",false]' in lines, 30), server.report()
    assert server.stop() == 0
