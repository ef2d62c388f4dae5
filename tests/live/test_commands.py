"""The command line: one clear message on stderr for each mistake, the right status, no traceback of ours."""

import json
import socket
import subprocess

import pytest
from live import write_app
from peer import Peer, connect
from tidewire import SANITIZER, binary

ECHO = "return { message = function(ws, data) ws:send(data) end }"


def tidewire(*args, **options):
    done = subprocess.run([binary(), *map(str, args)], capture_output=True, text=True, timeout=30, **options)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


def assert_failed(done, status, *told):
    """One message of `tidewire:`, and nothing of how the runtime is made."""
    assert done.returncode == status, done
    assert done.stdout == ""
    assert done.stderr.startswith("tidewire: ") and done.stderr.endswith("\n"), done.stderr
    assert done.stderr.count("tidewire: ") == 1, done.stderr
    for text in told:
        assert text in done.stderr, done.stderr
    for ours in ("lua/tidewire", "[C]", "tidewire/app.lua", "runtime/"):
        assert ours not in done.stderr, done.stderr


LISTEN = ("--listen", "ws://127.0.0.1:0")
COMMANDS = pytest.mark.parametrize("command", [("run", *LISTEN), ("check",)], ids=["run", "check"])


@COMMANDS
def test_missing_script(tmp_path, command):
    assert_failed(tidewire(*command, tmp_path / "none.lua"), 1, "none.lua", "No such file")
    assert_failed(tidewire(*command, tmp_path), 1, "no app.lua")


@COMMANDS
@pytest.mark.parametrize("source, place, told", [
    ("return {\n message = function(ws data) end }", 8, "near 'data'"),
    ("local x = = 1", 7, "unexpected symbol"),
    ("return { message = function(ws) if ws then", 7, "'end' expected"),
    ("return 'unfinished", 7, "unfinished string"),
    ("error('at load')", 7, "at load"),
    ("local t = nil\nreturn t.x", 8, "attempt to index a nil value"),
    ("return { message = prnt }", 7, "did you mean `print`?"),
    ("return require 'nothing.here'", 7, "module `nothing.here` not found"),
    ("undeclared = 1 return {}", 7, "undeclared"),
    ("tidewire.slep(1)", 7, "did you mean `sleep`?"),
])
def test_errors_of_the_script(tmp_path, command, source, place, told):
    app = write_app(tmp_path, source)
    done = tidewire(*command, app)
    assert_failed(done, 1, told, f"{app}:{place}: ")
    assert f"> {place} | " in done.stderr, "an excerpt shows the line"


@COMMANDS
def test_module_that_forgot_its_return(tmp_path, command):
    app = write_app(tmp_path, "local forgot = require 'forgot'\nreturn forgot.handler",
                    files={"forgot.lua": "local forgot = {}"})
    assert_failed(tidewire(*command, app), 1, f"{app}:7: module `forgot` ({tmp_path}/forgot.lua) returned nothing")


@COMMANDS
def test_tidewire_without_require(tmp_path, command):
    app = tmp_path / "app.lua"
    app.write_text("return { message = tidewire.now() }")
    assert_failed(tidewire(*command, app), 1, 'write `local tidewire = require "tidewire"`')


@COMMANDS
@pytest.mark.parametrize("source, told", [
    ("return nil", "got nothing"),
    ("return 5", "got a number"),
    ("return {}", "at least one of the functions"),
    ("return { message = 5 }", "message: expected a function"),
    ("return { onmessage = print }", "did you mean `message`?"),
    ("return { mesage = print }", "did you mean `message`?"),
    ("return { message = print, run = print }", "`message` or `run`, not both"),
    ("return { message = print, limits = { mesage = 1 } }", "did you mean `message`?"),
    ("return { message = print, limits = { message = '1 MB of it' } }", "limits.message"),
    ("return { message = print, limits = { message = '1 GiBi' } }", "unknown unit"),
    ("return { message = print, limits = { handshake = 1 } }", "tidewire.lua"),
    ("return { message = print, protocols = { 'a b' } }", "protocols[1]"),
    ("return { message = print, origins = { 'example' } }", "origins[1]"),
    ("return tidewire.app { routes = {} }", "at least one route"),
    ("return tidewire.app {}", "routes"),
    ("return tidewire.app { routes = { chat = { message = print } } }", 'starts with "/"'),
    ("return tidewire.app { routes = { ['/a/:x'] = print, ['/a/:y'] = print } }", "matches the same paths"),
    ("return tidewire.app { routes = { ['/'] = tidewire.files 'none' } }", "none"),
    ("return tidewire.app { routes = { ['/'] = tidewire.files '.' } }", "holds the app's own source"),
    ("return tidewire.app { routes = { ['/'] = tidewire.files '../..' } }", "holds the app's own source"),
    ("return tidewire.app { routes = { ['/'] = tidewire.files '/' } }", "holds the app's own source"),
    ("return tidewire.app { routes = { ['/chat/*'] = print } }", "`*` has no meaning here"),
    ("return tidewire.app { routes = { ['/chat/{room}'] = print } }", "`{` has no meaning here"),
    ("return { message = print, origins = { 'https://a.example/' } }", "without the slash at the end"),
    ("return tidewire.app { routes = { ['/'] = print }, timers = { t = { every = 0, run = print } } }", "timers.t.every"),
    ("return tidewire.app { routes = { ['/'] = print }, strt = print }", "did you mean `start`?"),
    ("return { message = print, compression = { level = 10 } }", "compression.level"),
])
def test_wrong_shapes(tmp_path, command, source, told):
    app = write_app(tmp_path, source)
    assert_failed(tidewire(*command, app), 1, told, str(app))


@pytest.mark.parametrize("start, told", [
    ("error('no database')", "no database"),
    ("tidewire.sleep(0.01) error('no database')", "no database"),
    ("return nil, 'no database'", "start: no database"),
    ("return false", "start returned false"),
    ("coroutine.yield()", "coroutine.yield"),
])
def test_start_fails(tmp_path, start, told):
    app = write_app(tmp_path, "return tidewire.app { routes = { ['/'] = print }, start = function(app) %s end }" % start)
    done = tidewire("run", app, *LISTEN)
    assert done.returncode == 1 and done.stdout == "" and told in done.stderr, done
    assert "lua/tidewire" not in done.stderr


@pytest.mark.parametrize("config, told", [
    ("{ workrs = 2 }", "did you mean `workers`?"),
    ("{ workers = 0 }", "workers"),
    ("{ limits = { idel = 1 } }", "did you mean `idle`?"),
    ("{ limits = { message = '2 MiB', send_queue = 1000 } }", "send_queue"),
    ("{ listen = 5 }", "listen"),
    ("{ listen = { '8080' } }", "did you mean `ws://127.0.0.1:8080`?"),
    ("{ log = 'loud' }", "expected one of debug, info, warn, error"),
    ("5", "a table of settings"),
    ("{", "expected"),
])
def test_bad_settings(tmp_path, config, told):
    app = write_app(tmp_path, ECHO, config)
    for command in (("run", *LISTEN), ("check",)):
        assert_failed(tidewire(*command, app), 1, told, "tidewire.lua")
    assert_failed(tidewire("check", app, "--config", tmp_path / "none.lua"), 1, "none.lua")


@pytest.mark.parametrize("args, told", [
    (["rnu", "x.lua"], "did you mean `run`?"),
    (["run", "x.lua", "--lisen", "x"], "did you mean `--listen`?"),
    (["run"], "APP"),
    (["run", "x.lua", "y.lua"], "too many arguments"),
    (["run", "x.lua", "--workers"], "--workers"),
    (["check", "x.lua", "--jsn"], "did you mean `--json`?"),
    ([], "command"),
])
def test_usage(args, told):
    done = tidewire(*args)
    assert_failed(done, 2, told)
    assert "--help" in done.stderr


@pytest.mark.parametrize("workers", ["0", "-1", "x", "1.5", "100000"])
def test_bad_number_of_workers(tmp_path, workers):
    assert_failed(tidewire("run", write_app(tmp_path, ECHO), f"--workers={workers}"), 2, "--workers")


@pytest.mark.parametrize("url, likely", [
    ("http://127.0.0.1:8080", "ws://127.0.0.1:8080"),
    ("127.0.0.1:8080", "ws://127.0.0.1:8080"),
    ("localhost:8080", "ws://127.0.0.1:8080"),
    ("8080", "ws://127.0.0.1:8080"),
])
def test_listener_without_a_scheme(tmp_path, url, likely):
    app = write_app(tmp_path, ECHO)
    told = f"did you mean `{likely}`?"
    assert_failed(tidewire("run", app, "--listen", url), 2, "--listen[1]: ", "ws://HOST:PORT", f'"{url}"', told)
    (tmp_path / "tidewire.lua").write_text(f'return {{ listen = "{url}" }}')
    for command in ("run", "check"):
        assert_failed(tidewire(command, app), 1, "tidewire.lua: listen[1]: ", f'"{url}"', told)


@pytest.mark.parametrize("url, told", [
    ("ws://127.0.0.1:99999", "port"),
    ("ws://127.0.0.1:x", "port"),
    ("ws://127.0.0.1:0/path", "no path"),
    ("ws://127.0.0.1:0#x", "fragment"),
    ("ws://127.0.0.1:0?x=1", "unknown option"),
    ("ws://[::1", "cannot listen"),
    ("ws://256.0.0.1:0", "cannot listen"),
    ("ws://192.0.2.1:0", "no interface of this machine has that address"),
    ("wss://127.0.0.1:0", "certificate"),
    ("wss://127.0.0.1:0?cert=/none.pem&key=/none.pem", "/none.pem"),
    ("unix:", "path"),
    ("unix:/none/of/these/x.sock", "No such file"),
    ("unix:" + "x" * 200, "path"),
])
def test_bad_listener(tmp_path, url, told):
    assert_failed(tidewire("run", write_app(tmp_path, ECHO), "--listen", url), 1, told, url.split("?")[0])


@pytest.mark.parametrize("url, told", [
    ("ws://127.0.0.1:99999", "port"),
    ("ws://127.0.0.1:0/path", "no path"),
    ("ws://127.0.0.1:0?x=1", "unknown option"),
    ("wss://127.0.0.1:0", "wss needs a certificate"),
    ("wss://127.0.0.1:0?cert=/none.pem&key=/none.pem", "/none.pem"),
    ("wss://127.0.0.1:0?cert=/none.pem", "each certificate needs its key"),
    ("systemd:web?cert=/none.pem&key=/none.pem", "/none.pem"),
    ("unix:" + "x" * 200, "path"),
])
def test_check_judges_listeners_as_run_does(tmp_path, url, told):
    app = write_app(tmp_path, ECHO, f'{{ listen = {{ "ws://127.0.0.1:0", "{url}" }} }}')
    done = tidewire("check", app)
    assert_failed(done, 1, told, f"cannot listen on {url.split('?')[0]}")
    said = json.loads(tidewire("check", app, "--json").stdout)
    assert (said["ok"], f"tidewire: {said['message']}\n") == (False, done.stderr)
    if not url.startswith("systemd:"):  # there it is the socket that is missing
        assert tidewire("run", app).stderr == done.stderr
    assert tidewire("check", app, "--listen", "ws://127.0.0.1:0").returncode == 0


def test_check_opens_no_socket(tmp_path, live, certificate):
    cert, key = certificate
    server = live(ECHO)
    path = tmp_path / "s.sock"
    for url in (server.urls[0], f"unix:{path}", "ws://no.such.host.invalid:1", "systemd:", f"wss://127.0.0.1:0?cert={cert}&key={key}"):
        done = tidewire("check", write_app(tmp_path / "other", ECHO), "--listen", url)
        assert (done.returncode, done.stderr) == (0, ""), url
    assert not path.exists()


def test_check_judges_certificates_of_the_settings(tmp_path, certificate):
    cert, key = certificate
    (tmp_path / "garbage.pem").write_text("garbage")
    for c, k, more, told in ((cert, key, "", None), ("garbage.pem", key, "", "garbage.pem"), (cert, "none.key", "", "none.key"),
                             (cert, key, ', client_ca = "garbage.pem"', "garbage.pem")):
        app = write_app(tmp_path, ECHO, '{ listen = "wss://127.0.0.1:0", '
                        f'tls = {{ certificates = {{ {{ cert = "{c}", key = "{k}" }} }}{more} }} }}')
        done = tidewire("check", app)
        assert_failed(done, 1, told) if told else None
        assert done.returncode == (1 if told else 0), done
        done = tidewire("check", app, "--listen", "ws://127.0.0.1:0")
        assert done.returncode == 0, "nobody asks for them there"


def test_certificates(tmp_path, certificate):
    cert, key = certificate
    app = write_app(tmp_path, ECHO)
    other = tmp_path / "other.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", other],
                   check=True, capture_output=True)
    (tmp_path / "garbage.pem").write_text("garbage")
    for c, k, told in ((cert, other, "other.pem"), (tmp_path / "garbage.pem", key, "garbage.pem"),
                       (cert, tmp_path / "garbage.pem", "garbage.pem"), (tmp_path, key, str(tmp_path))):
        for command in ("run", "check"):
            assert_failed(tidewire(command, app, "--listen", f"wss://127.0.0.1:0?cert={c}&key={k}"), 1, told)


def test_port_in_use(tmp_path, live):
    server = live(ECHO)
    assert_failed(tidewire("run", write_app(tmp_path, ECHO), "--listen", server.urls[0]), 1,
                  "the port is in use", server.urls[0])
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = f"ws://127.0.0.1:{other.getsockname()[1]}"
        assert_failed(tidewire("run", write_app(tmp_path, ECHO), "--listen", url), 1, "the port is in use")


def test_unix_socket_in_use_is_left_alone(tmp_path, live):
    path = tmp_path / "s.sock"
    server = live(ECHO, listen=[f"unix:{path}"])
    assert_failed(tidewire("run", write_app(tmp_path, ECHO), "--listen", f"unix:{path}"), 1, "another program listens there")
    with Peer(connect(server.urls[0])) as peer:
        peer.upgrade()
    (tmp_path / "file").write_text("precious")
    assert_failed(tidewire("run", write_app(tmp_path, ECHO), "--listen", f"unix:{tmp_path}/file"), 1, "file")
    assert (tmp_path / "file").read_text() == "precious"


def test_check(tmp_path):
    app = write_app(tmp_path, "return tidewire.app { routes = { ['/a/:b'] = { message = print, protocols = { 'x' } } } }")
    done = tidewire("check", app)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith(f"ok {app}\n") and "/a/:b" in done.stdout
    done = tidewire("check", "--json", app)
    assert json.loads(done.stdout) == {"ok": True, "app": str(app), "routes": [
        {"pattern": "/a/:b", "kind": "websocket", "mount": False, "protocols": ["x"]}]}
    bad = write_app(tmp_path / "bad", "local x = = 1")
    done = tidewire("check", "--json", bad)
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr, told["ok"], told["file"], told["line"]) == (1, "", False, str(bad), 7)


def test_app_in_the_place_of_a_command(tmp_path):
    app = write_app(tmp_path, ECHO)
    assert_failed(tidewire(app), 2, f"unknown command `{app}` (did you mean `tidewire run {app}`?)")


def test_check_as_json_has_all_of_a_message(tmp_path):
    told = json.loads(tidewire("check", "--json", write_app(tmp_path, "return require 'nothing.here'")).stdout)
    assert told["message"].endswith("there is none of:")
    assert told["details"][:2] == [f"{tmp_path}/nothing/here.lua", f"{tmp_path}/nothing/here/init.lua"]


LOUD = """
return tidewire.app {
    routes = { ["/"] = print },
    start = function()
        for _, level in ipairs { "debug", "info", "warn", "error" } do tidewire.log[level]("at " .. level) end
    end,
}"""


@pytest.mark.parametrize("args, variables, config, least", [
    ((), {}, None, 1),
    (("--log", "debug"), {}, None, 0),
    ((), {"TIDEWIRE_LOG": "warn"}, None, 2),
    ((), {}, '{ log = "error" }', 3),
    (("--log", "info"), {"TIDEWIRE_LOG": "warn"}, '{ log = "error" }', 1),
])
def test_log_level(live, args, variables, config, least):
    server = live(LOUD, *args, config=config, env=variables)
    server.wait_log("at error")
    server.stop()
    levels = ["debug", "info", "warn", "error"]
    told = [level for level in levels if f"at {level}" in server.stderr.text()]
    assert told == levels[least:]


def test_version_and_help():
    done = tidewire("version")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "tidewire 0.1.0 (Lua 5.4)\n")
    assert tidewire("--version").stdout == done.stdout
    assert json.loads(tidewire("version", "--json").stdout) == {"tidewire": "0.1.0", "lua": "Lua 5.4"}
    assert "wss://HOST:PORT?cert=FILE&key=FILE" in tidewire("run", "--help").stdout
    for args in (["--help"], ["run", "--help"], ["check", "-h"], ["version", "--help"]):
        done = tidewire(*args)
        assert done.returncode == 0 and done.stderr == "" and done.stdout.startswith("Usage: tidewire"), done
