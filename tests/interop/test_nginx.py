"""nginx in between: as a plain proxy, with TLS that ends at it, and as a TCP proxy that speaks the PROXY protocol."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import time

import pytest
import websockets

CONFIG = """
load_module modules/ngx_stream_module.so;
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{tls} ssl;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        location / {{
            proxy_pass {http};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
stream {{
    server {{ listen 127.0.0.1:{tcp}; proxy_pass {introduced}; proxy_protocol on; }}
    server {{ listen 127.0.0.1:{tcp_tls}; proxy_pass {introduced_tls}; proxy_protocol on; }}
}}
"""

APP = """
local tidewire = require "tidewire"
local function from(req) return ("%s %s"):format(req.remote_address, req.secure) end
return tidewire.app { routes = {
    ["/from"] = from,
    ["/"] = {
        protocols = { "talk" },
        open = function(ws) ws:send(from(ws.request)) end,
        message = function(ws, data, kind)
            if data == "close" then ws:close(4001, "enough") else ws:send(data, kind) end
        end,
        limits = { message = "4 MiB" },
    },
    ["/deflate"] = { handler = { message = function(ws, data, kind) ws:send(data, kind) end }, compression = true },
    ["/takeover"] = {
        handler = { message = function(ws, data, kind) ws:send(data, kind) end }, compression = { takeover = true },
    },
} }
"""

CLIENT = "127.0.0.9"  # nginx itself connects from 127.0.0.1


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for(process, port, log):
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)


@pytest.fixture
def ways(serve, certificate, tmp_path):
    """Name of each way to the server -> its URL."""
    cert, key = certificate
    app = tmp_path / "app"
    app.mkdir()
    (app / "app.lua").write_text(APP)
    (app / "tidewire.lua").write_text('return { proxies = { "127.0.0.1" } }')
    server = serve(app, listen=[
        "ws://127.0.0.1:0", "ws://127.0.0.1:0?proxy_protocol=on",
        f"wss://127.0.0.1:0?cert={cert}&key={key}&proxy_protocol=on"])
    upstream = [url.split("://")[1] for url in server.urls]
    ports = {name: free_port() for name in ("plain", "tls", "tcp", "tcp_tls")}
    config = tmp_path / "nginx.conf"
    config.write_text(CONFIG.format(
        folder=tmp_path, cert=cert, key=key, http=f"http://{upstream[0]}", introduced=upstream[1],
        introduced_tls=upstream[2], **ports))
    process = subprocess.Popen(["/usr/sbin/nginx", "-p", "/usr/share/nginx", "-c", str(config),
                                "-e", str(tmp_path / "error.log")])
    try:
        for port in ports.values():
            wait_for(process, port, tmp_path / "error.log")
        yield {name: f"{'wss' if 'tls' in name else 'ws'}://localhost:{port}" for name, port in ports.items()}
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def connect(certificate):
    context = ssl.create_default_context(cafile=certificate[0])

    def connect(url, **options):
        return websockets.connect(url, ssl=context if url.startswith("wss") else None, max_size=None,
                                  local_addr=(CLIENT, 0), **options)
    return connect


def run(coroutine):
    asyncio.run(asyncio.wait_for(coroutine, 120))


WAYS = ["plain", "tls", "tcp", "tcp_tls"]


@pytest.mark.parametrize("way", WAYS)
def test_messages_closes_and_who_the_client_is(ways, connect, way):
    url = ways[way]

    async def talk():
        origin = url.replace("ws", "http", 1)
        async with connect(url, compression=None, origin=origin, subprotocols=["other", "talk"]) as ws:
            assert ws.subprotocol == "talk"
            assert await ws.recv() == f"{CLIENT} {str('tls' in way).lower()}"
            for message in ("", "käse", b"\0" * 125, "x" * 65536, bytes(1 << 20), "y" * (1 << 20)):
                await ws.send(message)
                assert await ws.recv() == message
        assert (ws.close_code, ws.close_reason) == (1000, "")
        async with connect(url, compression=None) as ws:
            await ws.recv()
            await ws.send("close")
            with pytest.raises(websockets.ConnectionClosed):
                await ws.recv()
        assert (ws.close_code, ws.close_reason) == (4001, "enough")

    run(talk())


@pytest.mark.parametrize("way", ["plain", "tls"])
def test_what_the_client_forges_is_not_believed(ways, connect, way):
    async def talk():
        forged = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
        async with connect(ways[way], extra_headers=forged) as ws:
            assert await ws.recv() == f"{CLIENT} {str(way == 'tls').lower()}"
        with pytest.raises(websockets.InvalidStatusCode) as refused:
            async with connect(ways[way], extra_headers={"Forwarded": "for=203.0.113.7"}):
                pass
        assert refused.value.status_code == 400, "nginx passes it on as the client has written it"

    run(talk())


@pytest.mark.parametrize("way", WAYS)
def test_another_origin_is_refused(ways, connect, way):
    async def talk():
        other = {"plain": "https", "tls": "http", "tcp": "https", "tcp_tls": "http"}[way]
        for origin in (f"{other}://{ways[way].split('://')[1]}", "https://evil.example"):
            with pytest.raises(websockets.InvalidStatusCode) as refused:
                async with connect(ways[way], origin=origin):
                    pass
            assert refused.value.status_code == 403

    run(talk())


@pytest.mark.parametrize("path", ["/deflate", "/takeover"])
@pytest.mark.parametrize("way", WAYS)
def test_compression(ways, connect, way, path):
    async def talk():
        async with connect(ways[way] + path, compression="deflate") as ws:
            assert [extension.name for extension in ws.extensions] == ["permessage-deflate"]
            large = " ".join(map(str, range(150_000)))
            for message in ("", "again and again " * 1000, "again and again " * 1000, large, large.encode()):
                await ws.send(message)
                assert await ws.recv() == message

    run(talk())
