"""tidewire's client through tinyproxy, which is a CONNECT proxy."""

import pytest
from peers import SERVERS, deflate_of, tidewire_client
from proxies import Tinyproxy
from tap import Tap

CREDENTIALS = ("ada", "open-sesame")


@pytest.fixture
def tinyproxy(tmp_path):
    """tinyproxy(credentials=..., only=...) -> a Tinyproxy."""
    started = []

    def start(**options):
        started.append(Tinyproxy(tmp_path / f"tinyproxy{len(started)}", **options))
        return started[-1]
    yield start
    for each in started:
        each.stop()


@pytest.mark.parametrize("credentials", [None, CREDENTIALS], ids=["open", "basic"])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("server", ["ws", "websockets", "tidewire"])
def test_through_it(tinyproxy, certificate, content, tmp_path, server, scheme, credentials):
    proxy = tinyproxy(credentials=credentials)
    compression = {"takeover": True} if server == "tidewire" else deflate_of(server)
    with SERVERS[server](protocols=["talk"], compression=compression,
                         tls=certificate if scheme == "wss" else None) as at, Tap(at.port) as behind:
        user = ":".join(credentials) + "@" if credentials else ""
        plan = {"protocols": ["talk"], "compression": {"takeover": True},
                "proxy": f"http://{user}127.0.0.1:{proxy.port}",
                "steps": [[what, *file] for file in content.large() for what in ("send", "expect")] +
                         [["burst", 300], ["close", 4321, "through"]]}
        # the proxy finds out what the name is
        url = f"{scheme}://localhost:{behind.port}/echo"
        found = tidewire_client(url, plan, certificate[0], tmp_path / "plan.json")
        assert found["wrong"] == [] and found["clean"] and found["protocol"] == "talk" and found["end"]["code"] == 4321
        assert at.ends(1) == [[4321, "through"]]
        proxy.wait_log(f"CONNECT localhost:{behind.port} HTTP/1.1")
        record = behind.record()
        if scheme == "ws":
            fields = record.fields(False)
            assert fields[""] == "GET /echo HTTP/1.1" and fields["host"] == f"localhost:{behind.port}"
            assert not {"proxy-authorization", "authorization"} & set(fields), "for the proxy alone"
        assert len(record.up) < 2 << 20, "compressed"


TELL = """
local ws, message, code = tidewire.connect(arg[1], { %s })
print(ws, code, message)
"""


def failure(script, url, proxy, user="", env=None):
    """What connect returns, through a proxy of the option or of the environment."""
    option = "" if env else f'proxy = "http://{user}127.0.0.1:{proxy.port}"'
    line, = script(TELL % option, url, env=env).lines()
    ws, code, message = line.split("\t")
    assert ws == "nil"
    return code, message


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_credentials(tinyproxy, script, door, scheme):
    proxy, server = tinyproxy(credentials=CREDENTIALS), door()
    url = server.url(scheme=scheme)
    code, message = failure(script, url, proxy)
    assert code == "proxy"
    assert f"the proxy 127.0.0.1:{proxy.port} answered 407 Proxy Authentication Required: it wants cr" in message
    for user in ("ada:wrong@", "eve:open-sesame@", "ada:@"):
        code, message = failure(script, url, proxy, user)
        assert code == "proxy" and f"the proxy 127.0.0.1:{proxy.port} answered 4" in message
        assert "it does not take the credentials" in message
        assert "wrong" not in message and "sesame" not in message, "no error tells a secret"


@pytest.mark.parametrize("scheme, variable", [("ws", "http_proxy"), ("wss", "https_proxy"), ("ws", "all_proxy")])
def test_credentials_of_the_environment(tinyproxy, script, door, scheme, variable):
    proxy, server = tinyproxy(credentials=CREDENTIALS), door()
    environment = {variable: f"http://ada:wrong@127.0.0.1:{proxy.port}"}
    code, message = failure(script, server.url(scheme=scheme), proxy, env=environment)
    assert code == "proxy" and "it does not take the credentials" in message


def test_a_port_that_it_forbids(tinyproxy, script, door):
    server, other = door(), door()
    proxy = tinyproxy(only=server.port)
    code, message = failure(script, other.url(), proxy)
    assert code == "proxy" and f"the proxy 127.0.0.1:{proxy.port} answered 403 " in message
    allowed = script(TELL % f'proxy = "http://127.0.0.1:{proxy.port}"', server.url())
    server.open().expect_close(1001, "going away")
    assert allowed.lines()[0].endswith("(open)\tnil\tnil")


def test_a_server_that_it_cannot_reach(tinyproxy, script, door):
    proxy, gone = tinyproxy(), door()
    gone.shut()
    for url in (gone.url(), "ws://no-such-host.invalid/"):
        code, message = failure(script, url, proxy)
        assert code == "proxy" and f"the proxy 127.0.0.1:{proxy.port} answered 50" in message


def test_a_proxy_that_is_not_there(tinyproxy, script, door):
    proxy, server = tinyproxy(), door()
    proxy.stop()
    code, message = failure(script, server.url(), proxy)
    assert code == "refused" and f"127.0.0.1:{proxy.port}" in message and "connection refused" in message


def test_a_proxy_that_ends(tinyproxy, script, door):
    proxy, server = tinyproxy(), door()
    waiting = script("""
        local over
        assert(tidewire.connect(arg[1], { proxy = arg[2], handler = {
            open = function() print "open" end,
            close = function(_, code, _, clean) over = ("%d %s"):format(code, clean) end,
        } }))
        while not over do tidewire.sleep(0.005) end
        print(over)
    """, server.url(), f"http://127.0.0.1:{proxy.port}")
    server.open()
    waiting.wait_line("open")
    proxy.process.kill()
    assert waiting.lines() == ["open", "1006 false"]
