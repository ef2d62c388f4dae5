"""The control socket: who may ask, what is understood, and the commands that ask."""

import json
import os
import pathlib
import resource
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

import pytest
from control import ask, line_of, reach, socket_of, talk
from live import LiveServer, wait_until, write_app
from peer import Lost, Peer
from tidewire import binary

APP = "return { open = function(ws) ws:send('hello') end, message = print }"


def code_of(answer):
    assert answer["v"] == 1 and answer["ok"] is False and answer["error"]["message"], answer
    return answer["error"]["code"]


def command(*args, cwd=None, env=None):
    done = subprocess.run([binary(), *map(str, args)], cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True,
                          text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


# --- the socket ------------------------------------------------------------------------------------

def test_rights_and_end(live):
    server = live(APP, prefix=["sh", "-c", 'umask 0; exec "$@"', "sh"])
    path = socket_of(server)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_ISSOCK(path.stat().st_mode)
    server.finish()
    assert not path.exists()


def test_other_users_are_refused(tmp_path):
    """The rights keep them out already; and if somebody has loosened these, the socket does."""
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    app = write_app(tmp_path / "app", APP)
    with LiveServer(app, "--control", f"/tmp/tidewire-test-{os.getpid()}.sock") as server:
        path = server.command[server.command.index("--control") + 1]
        os.chmod(path, 0o666)
        code = f"""import os, socket
os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect({path!r})
try:
    s.sendall(b'{{"v":1,"command":"status"}}\\n')
    print(s.recv(100))
except OSError:
    print(b"")
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert done.stdout == "b''\n", done
        server.wait_log("control socket: refused a connection of another user")
        assert talk(path, b'{"v":1,"command":"status"}')[0]["ok"]


def test_app_of_another_user():
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    become = "import os, sys; os.setuid(65534); os.execve(int(sys.argv[1]), sys.argv[2:], os.environ)"
    with tempfile.TemporaryDirectory() as folder, LiveServer(write_app(folder, APP)), open(binary(), "rb") as program:
        os.chmod(folder, 0o755)
        for args in ("status",), ("status", "."), ("reload", "--certificates"):
            done = subprocess.run([sys.executable, "-c", become, str(program.fileno()), "tidewire", *args], cwd=folder,
                                  pass_fds=[program.fileno()], capture_output=True, text=True, timeout=60)
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr == ("tidewire: cannot ask the app at .tidewire.sock: permission denied; "
                                   "only its own user, and root, may ask\n")


def test_folder_that_is_another_users():
    become = "import os, sys; os.setuid(65534); os.execve(int(sys.argv[1]), sys.argv[2:], os.environ)"
    with tempfile.TemporaryDirectory() as folder, open(binary(), "rb") as program:
        app = write_app(folder, APP, "{ limits = { lag = 0 } }")
        os.chmod(folder, 0o555)
        prefix = [] if os.geteuid() else [sys.executable, "-c", become, str(program.fileno())]
        with LiveServer(app, prefix=prefix, pass_fds=[program.fileno()]) as server:
            server.wait_log(r" warn  no control socket .*/\.tidewire\.sock: Permission denied\. "
                            r"`tidewire reload` and `tidewire status` cannot find this app; --control ")
            assert server.open().message() == "hello"


def test_stale_socket_is_replaced(live, tmp_path):
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    server = live(APP, "--control", str(path))
    assert talk(path, b'{"v":1,"command":"status"}')[0]["pid"] == server.process.pid


def test_socket_of_another_one_is_left_alone(live, tmp_path):
    first = live(APP)
    app = tmp_path / "app" / "app.lua"
    with LiveServer(app) as second:
        second.wait_log(r" warn  no control socket .*/app/\.tidewire\.sock: another tidewire answers there.* "
                        r"`tidewire reload` and `tidewire status` cannot find this app")
        assert ask(first, "status")["pid"] == first.process.pid
    assert ask(first, "status")["pid"] == first.process.pid, "its end takes away what is its own alone"
    status, out, err = command("run", app, "--listen", "ws://127.0.0.1:0", "--control", socket_of(first))
    assert (status, out) == (1, "")
    assert err.startswith("tidewire: cannot open the control socket ") and "another tidewire" in err


def test_file_in_its_place_is_left_alone(tmp_path):
    app = write_app(tmp_path / "app", APP)
    path = tmp_path / "precious"
    path.write_text("precious")
    status, _, err = command("run", app, "--listen", "ws://127.0.0.1:0", "--control", path)
    assert status == 1 and "cannot open the control socket" in err
    assert path.read_text() == "precious"


@pytest.mark.parametrize("how", ["flag", "variable", "file"])
def test_off(live, how):
    server = live(APP, *(["--control", "off"] if how == "flag" else []),
                  config='{ control = "off" }' if how == "file" else None,
                  env={"TIDEWIRE_CONTROL": "off"} if how == "variable" else None)
    assert not socket_of(server).exists()


def test_place_of_the_settings(live, tmp_path):
    live(APP, config='{ control = "run.sock" }')
    assert talk(tmp_path / "app" / "run.sock", b'{"v":1,"command":"status"}')[0]["ok"]


def test_folder_that_is_too_deep_for_an_address(tmp_path):
    folder = tmp_path / ("d" * 100) / ("e" * 100)
    with LiveServer(write_app(folder, APP)) as server:
        assert ask(server, "status")["ok"]
        assert command("status", folder)[0] == 0
    assert not socket_of(server).exists()


def test_no_route_serves_it(live, tmp_path):
    """Nor may the app's own folder, where it is by default, be served at all."""
    path = tmp_path / "app" / "public" / ".tidewire.sock"
    server = live('return tidewire.app { routes = { ["/"] = tidewire.files "public" } }', "--control", str(path),
                  files={"public/index.html": "here"})
    assert path.exists() and server.peer().ask("/index.html").body == b"here"
    for name in ("/.tidewire.sock", "/%2etidewire.sock"):
        assert server.peer().ask(name).status == 404


# --- lines -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("line, code", [
    (b"", "request"),
    (b"status", "request"),
    (b"[]", "request"),
    (b'"status"', "request"),
    (b'{"v":1,"command":"status"', "request"),
    (b'{"v":1,"command":"status"} x', "request"),
    (b'{"v":1,"v":1,"command":"status"}', "request"),
    (b"\xff\xfe", "request"),
    (b"[" * 60000, "request"),
    (b'{"command":"status"}', "version"),
    (b'{"v":2,"command":"status"}', "version"),
    (b'{"v":"1","command":"status"}', "version"),
    (b'{"v":1}', "request"),
    (b'{"v":1,"command":7}', "request"),
    (b'{"v":1,"command":""}', "command"),
    (b'{"v":1,"command":"stauts"}', "command"),
    (b'{"v":1,"command":"status\\u0000"}', "request"),
])
def test_what_is_not_understood(live, line, code):
    server = live(APP)
    first, second = talk(socket_of(server), line, b'{"v":1,"command":"status"}')
    assert code_of(first) == code
    assert second["ok"], "the next line is read as if nothing had been"


def test_line_that_is_too_long(live):
    server = live(APP)
    whole = b'{"v":1,"command":"status"'
    longest = whole + b" " * (65536 - len(whole) - 1) + b"}"
    assert talk(socket_of(server), longest)[0]["ok"]
    for data in (longest + b" \n", b"x" * 200000):
        with Peer(reach(socket_of(server))) as peer:
            try:
                peer.send(data)
            except BrokenPipeError:
                pass  # it does not wait for the rest
            assert code_of(line_of(peer)) == "too_long"
            with pytest.raises(Lost):
                line_of(peer)
    assert ask(server, "status")["ok"]


def test_bytes_and_lines_as_they_come(live):
    server = live(APP)
    with Peer(reach(socket_of(server))) as peer:
        for byte in b'{"v":1,"command":"status"}\n':
            peer.send(bytes([byte]))
        assert line_of(peer)["ok"]
        peer.send(b'{"v":1,"command":"status"}\n{"v":1,"command":"ticket-key"}\n' * 20)
        for _ in range(20):
            assert "pid" in line_of(peer)
            assert line_of(peer) == {"v": 1, "ok": True}
        peer.send(b'{"v":1,"command":"status"}\n')
        peer.sock.shutdown(socket.SHUT_WR)
        assert line_of(peer)["ok"], "who has said all may still listen"


def test_mute_and_deaf_peers_cost_nothing(live):
    server = live(APP)
    mute = [reach(socket_of(server)) for _ in range(100)]
    deaf = reach(socket_of(server))
    deaf.setblocking(False)
    try:
        while True:
            deaf.send(b'{"v":1,"command":"status"}\n' * 100)
    except OSError:
        pass  # full, or dropped
    assert ask(server, "status")["ok"]
    assert server.descriptors(server.process.pid) < 60
    for sock in (*mute, deaf):
        sock.close()
    assert ask(server, "status")["ok"]


def stopped(server):
    """Its only worker, which is made to answer nothing."""
    worker, = server.workers()
    os.kill(worker, signal.SIGSTOP)
    return worker


def test_more_than_may_wait(live, certificate):
    cert, key = certificate
    server = live(APP, listen=[f"wss://127.0.0.1:0?cert={cert}&key={key}"])
    path = socket_of(server)
    worker = stopped(server)
    waiting = [Peer(reach(path)) for _ in range(16)]
    for peer in waiting:
        peer.send(b'{"v":1,"command":"certificates"}\n')
    server.wait_log("reading the certificates anew", count=16)
    with Peer(reach(path)) as late:
        assert code_of(line_of(late)) == "busy"
        with pytest.raises(Lost):
            line_of(late)
    assert command("status", path.parent) == (1, "", "tidewire: too many are asking; try again later\n")
    before = server.descriptors(server.process.pid)
    for peer in waiting[8:]:  # who does not wait for the answer costs nobody theirs
        peer.sock.close()
    os.kill(worker, signal.SIGCONT)
    assert all(line_of(peer)["ok"] for peer in waiting[:8])
    wait_until(lambda: server.descriptors(server.process.pid) <= before - 8)
    assert ask(server, "status")["ok"]
    for peer in waiting[:8]:
        peer.sock.close()


def test_answer_larger_than_what_a_socket_takes(live, certificate, tmp_path):
    folder = tmp_path.joinpath(*["d" * 200] * 15)  # long names make a long answer
    folder.mkdir(parents=True)
    cert, key = (folder / path.name for path in certificate)
    for to, path in zip((cert, key), certificate):
        to.write_bytes(path.read_bytes())
    pairs = ",".join([f'{{ cert = "{cert}", key = "{key}" }}'] * 100)
    server = live(APP, config=f"{{ tls = {{ certificates = {{ {pairs} }} }}, limits = {{ handshake = 60, lag = 0 }} }}",
                  listen=["wss://127.0.0.1:0"])
    path = socket_of(server)
    status, out, _ = command("status", "--json", path.parent)
    assert status == 0 and len(out) > 300000
    assert [c["file"] for c in json.loads(out)["certificates"]] == [str(cert)] * 100
    with Peer(reach(path)) as patient, Peer(reach(path)) as deaf:
        for peer in (patient, deaf):
            peer.send(b'{"v":1,"command":"status"}\n' * 3)
        assert ask(server, "status")["ok"], "nobody waits for them"
        for _ in range(3):
            assert len(line_of(patient)["certificates"]) == 100
        deaf.sock.close()
        assert ask(server, "status")["ok"]


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_no_descriptor_is_left(live):
    server = live(APP)
    master = server.process.pid
    soft, hard = resource.prlimit(master, resource.RLIMIT_NOFILE)
    resource.prlimit(master, resource.RLIMIT_NOFILE, (server.descriptors(master), hard))
    with Peer(reach(socket_of(server))) as peer:
        peer.send(b'{"v":1,"command":"status"}\n')
        server.wait_log("control socket: cannot accept: Too many open files")
        before = cpu_seconds(master)
        time.sleep(1)  # a span to measure in
        assert cpu_seconds(master) - before < 0.25
        resource.prlimit(master, resource.RLIMIT_NOFILE, (soft, hard))
        assert line_of(peer)["ok"], "it was not forgotten"


# --- commands --------------------------------------------------------------------------------------

def test_status(live, certificate):
    cert, key = certificate
    server = live(APP, "--workers", "2", listen=["ws://127.0.0.1:0", f"wss://127.0.0.1:0?cert={cert}&key={key}"])
    server.wait_log("worker 1 is ready")
    peers = [server.open() for _ in range(5)]
    assert [peer.message() for peer in peers] == ["hello"] * 5
    answer = ask(server, "status")
    assert answer["v"] == 1 and answer["ok"] is True
    assert answer["pid"] == server.process.pid and type(answer["uptime"]) is int
    assert [w["index"] for w in answer["workers"]] == [0, 1] and {w["state"] for w in answer["workers"]} == {"ready"}
    assert sorted(w["pid"] for w in answer["workers"]) == sorted(server.workers())
    assert sum(w["connections"] for w in answer["workers"]) == 5
    assert answer["listeners"] == [{"url": server.urls[0], "secure": False}, {"url": server.urls[1], "secure": True}]
    shown, = answer["certificates"]
    assert shown["file"] == str(cert) and shown["names"] == "localhost, 127.0.0.1"


def test_status_while_a_worker_is_stuck(live):
    """It is counted as it was."""
    server = live("return { message = function() note('stuck') while true do end end }")
    peer = server.open()
    peer.text("go")
    server.wait_notes("stuck")
    worker, = ask(server, "status")["workers"]
    assert worker["state"] == "ready"
    os.kill(worker["pid"], signal.SIGKILL)
    server.wait_log("worker 0 is ready")


def test_worker_that_is_down(live, tmp_path):
    server = live("""return tidewire.app { routes = { ["/"] = { message = print } },
        start = function(app) if io.open(app.root .. "/broken") then error "broken" end end }""")
    (tmp_path / "app" / "broken").touch()
    os.kill(server.workers()[0], signal.SIGKILL)
    server.wait_log("worker 0 is started again in")
    wait_until(lambda: ask(server, "status")["workers"][0] == {"index": 0, "state": "down"})


def test_no_certificates_to_reload(live):
    server = live(APP)
    answer = ask(server, "certificates")
    assert code_of(answer) == "certificates" and "none is wss" in answer["error"]["message"]
    status, out, err = command("reload", "--certificates", socket_of(server).parent)
    assert (status, out, err) == (1, "", f"tidewire: {answer['error']['message']}\n")


def test_commands_of_the_command_line(live, tmp_path, certificate):
    cert, key = certificate
    server = live(APP, listen=[f"wss://127.0.0.1:0?cert={cert}&key={key}"])
    folder = tmp_path / "app"
    for args, cwd in (((), folder), ((folder,), None), ((folder / "app.lua",), None),
                      (("--control", folder / ".tidewire.sock"), None)):
        status, out, err = command("reload", "--certificates", *args, cwd=cwd)
        assert (status, err) == (0, "")
        assert out.startswith(f"new certificates are in use\n  {cert}: localhost, 127.0.0.1, until ")
        status, out, err = command("status", *args, cwd=cwd)
        assert (status, err) == (0, "")
        assert f"pid {server.process.pid}, up " in out and f"listening {server.urls[0]}\n" in out
    status, out, _ = command("status", "--json", folder)
    assert (status, json.loads(out)["pid"]) == (0, server.process.pid)
    status, out, err = command("status", folder, env={"TIDEWIRE_CONTROL": str(tmp_path / "none.sock")})
    assert (status, out) == (1, "")
    assert err == f"tidewire: cannot ask the app at {tmp_path}/none.sock: nobody answers there; is the app running?\n"
    server.finish()
    assert command("status", cwd=folder) == (
        1, "", "tidewire: no app runs from this folder; name the app, or give --control\n")
    status, out, err = command("status", "--json", cwd=folder)
    assert (status, err, json.loads(out)["ok"]) == (1, "", False)
    assert command("reload", folder)[0] == 1


def test_several_apps_of_one_folder(tmp_path):
    folder = tmp_path / "apps"
    write_app(folder, APP, files={"one.lua": APP, "two.lua": APP})
    with LiveServer(folder / "one.lua") as one, LiveServer(folder / "two.lua") as two:
        status, _, err = command("status", cwd=folder)
        assert status == 1 and ".tidewire-one.sock, .tidewire-two.sock" in err
        for server, name in ((one, "one"), (two, "two")):
            status, out, _ = command("status", "--json", f"{name}.lua", cwd=folder)
            assert (status, json.loads(out)["pid"]) == (0, server.process.pid)
