"""Under a service manager: inherited sockets (sd_listen_fds(3)) and what it is told (sd_notify(3))."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import pytest
from live import PRELUDE, wait_until
from peer import PATIENCE, Peer, TlsPeer, connect
from tidewire import ROOT, binary

# Becomes the command behind it as systemd starts one: the descriptors named first are its 3, 4, ..., and
# variables of its own process are set; PID stands for that.
MANAGER = """
import fcntl, os, sys
fds, variables = sys.argv[1].split(), sys.argv[2].split()
high = [fcntl.fcntl(int(fd), fcntl.F_DUPFD_CLOEXEC, 100) for fd in fds]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
os.closerange(3 + len(high), 100)
for variable in variables:
    name, value = variable.split("=", 1)
    os.environ[name] = value.replace("PID", str(os.getpid()))
os.execv(sys.argv[3], sys.argv[3:])
"""

APP = """return tidewire.app { routes = {
    ["/"] = function(req) return 200, req.remote_address end,
    ["/ws"] = { message = function(ws, data) ws:send(data) end },
} }"""


def started_by_manager(files, names=None, pid="PID", count=None, variables=()):
    """The options of a Server that inherits these files."""
    fds = [file.fileno() for file in files]
    told = [f"LISTEN_PID={pid}", f"LISTEN_FDS={len(fds) if count is None else count}", *variables]
    if names is not None:
        told.append(f"LISTEN_FDNAMES={names}")
    prefix = [sys.executable, "-c", MANAGER, " ".join(map(str, fds)), " ".join(told)]
    return {"prefix": prefix, "pass_fds": fds}


@pytest.fixture
def sockets(tmp_path):
    """sockets("tcp" | "unix" | ...) -> a socket as a socket unit makes it."""
    with contextlib.ExitStack() as stack:
        def make(kind):
            family = socket.AF_INET if kind == "tcp" else socket.AF_INET6 if kind == "tcp6" else socket.AF_UNIX
            sock = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            address = {"tcp": ("127.0.0.1", 0), "tcp6": ("::1", 0), "unix": str(tmp_path / "inherited.sock"),
                       "abstract": f"\0tidewire-test-{os.getpid()}"}[kind]
            sock.bind(address)
            sock.listen()
            return sock
        yield make


def echoes(peer):
    peer.upgrade("/ws")
    peer.text("hello")
    assert peer.message() == "hello"
    peer.end()


# --- inherited sockets -----------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["tcp", "tcp6", "unix", "abstract"])
def test_serves_an_inherited_socket(live, sockets, tmp_path, kind):
    sock = sockets(kind)
    server = live(APP, listen=["systemd:"], **started_by_manager([sock]))
    url = {"tcp": "ws://127.0.0.1:", "tcp6": "ws://[::1]:", "unix": f"unix:{tmp_path}/inherited.sock",
           "abstract": "unix:@tidewire-test-"}[kind]
    assert server.stdout.lines[0].startswith(f"listening {url}")
    assert server.stdout.lines[0].endswith(" (systemd:)")
    client = socket.socket(sock.family)
    client.settimeout(PATIENCE)
    client.connect(sock.getsockname())
    with Peer(client) as peer:
        echoes(peer)


def test_all_workers_serve_it(live, sockets):
    server = live("return tidewire.app { routes = { ['/'] = function() return 'ok' end } }", "--workers", "3",
                  listen=["systemd:"], **started_by_manager([sockets("tcp")]))
    server.wait_log(r"worker \d is ready", count=2)
    for pid in server.workers()[1:]:
        os.kill(pid, signal.SIGKILL)
    server.wait_log("was ended by signal 9", count=2)
    for _ in range(20):
        assert server.peer().ask().body == b"ok"


def test_names(live, sockets, tmp_path):
    web, api = sockets("tcp"), sockets("unix")
    server = live(APP, listen=["systemd:api", "systemd:web"], **started_by_manager([web, api], "web:api"))
    assert server.urls == [f"unix:{tmp_path}/inherited.sock", "ws://127.0.0.1:%d" % web.getsockname()[1]]
    assert [server.peer(i).ask().body for i in (0, 1)] == [b"unix", b"127.0.0.1"]
    server.finish()
    assert pathlib.Path(tmp_path / "inherited.sock").exists(), "the file belongs to the manager"


def test_several_of_one_name_and_the_rest(live, sockets):
    first, second, third = sockets("tcp"), sockets("tcp"), sockets("unix")
    server = live(APP, listen=["systemd:web", "systemd:"],
                  **started_by_manager([first, third, second], "web:other:web"))
    assert server.stdout.wait(lambda lines: sum(line.startswith("listening") for line in lines) == 3, PATIENCE)
    lines = [line for line in server.stdout.lines if line.startswith("listening")]
    ports = [sock.getsockname()[1] for sock in (first, second)]
    assert [line.split()[1] for line in lines[:2]] == [f"ws://127.0.0.1:{port}" for port in ports]
    assert lines[2].startswith("listening unix:") and lines[2].endswith(" (systemd:)")


def test_without_another_address_they_are_used(live, sockets):
    sock = sockets("tcp")
    server = live(APP, listen=[], **started_by_manager([sock]))
    assert server.stdout.wait(lambda lines: lines, PATIENCE), server.report()
    url = "ws://127.0.0.1:%d" % sock.getsockname()[1]
    assert server.stdout.lines[0] == f"listening {url} (systemd:)"
    with Peer(connect(url)) as peer:
        echoes(peer)
    assert server.stdout.wait(lambda lines: any(line.startswith("routes") for line in lines), PATIENCE)


def test_beside_an_address_of_its_own(live, sockets):
    sock = sockets("tcp")
    server = live(APP, listen=["ws://127.0.0.1:0", "systemd:"], **started_by_manager([sock]))
    for i in (0, 1):
        echoes(server.peer(i))


def test_tls(live, sockets, certificate):
    cert, key = certificate
    server = live(APP, listen=[f"systemd:web?cert={cert}&key={key}"], **started_by_manager([sockets("tcp")], "web"))
    assert server.urls[0].startswith("wss://127.0.0.1:")
    echoes(TlsPeer(connect(server.urls[0])))


def test_one_that_is_not_used_is_told(live, sockets):
    server = live(APP, listen=["systemd:web"],
                  **started_by_manager([sockets("tcp"), sockets("unix")], "web:api"))
    server.wait_log('warn.*inherited socket \\\\?"api\\\\?" is in no --listen')


def test_programs_that_the_app_starts_inherit_nothing(live, sockets, tmp_path):
    source = """return tidewire.app { routes = { ["/"] = function()
        local ls = io.popen("readlink /proc/self/fd/* ; env")
        return ls:read("a")
    end } }"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        server = live(source, listen=["systemd:"], **started_by_manager(
            [sockets("tcp")], "web", variables=[f"NOTIFY_SOCKET={tmp_path}/notify", "WATCHDOG_USEC=1000000"]))
        told = server.peer().ask().body.decode()
    assert "PATH=" in told
    assert "socket:" not in told
    assert not re.search("LISTEN_|NOTIFY_|WATCHDOG_", told)


def run_to_its_end(app, listen, options):
    done = subprocess.run([*options["prefix"], binary(), "run", str(app), *(f"--listen={url}" for url in listen)],
                          pass_fds=options["pass_fds"], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 1 and done.stdout == ""
    return done.stderr


@pytest.fixture
def app(tmp_path):
    path = tmp_path / "app.lua"
    path.write_text(PRELUDE + APP)
    return path


@pytest.mark.parametrize("pid, count, why", [
    ("1", 1, "LISTEN_PID names another process: start tidewire directly, without a shell"),
    ("", 1, "LISTEN_PID and LISTEN_FDS are no numbers"),
    ("PID", "x", "LISTEN_PID and LISTEN_FDS are no numbers"),
    ("PID", "-1", "LISTEN_PID and LISTEN_FDS are no numbers"),
    ("PID", "99999999999999999999", "LISTEN_PID and LISTEN_FDS are no numbers"),
    ("PID", 0, "LISTEN_FDS is 0"),
    ("PID", 2, "LISTEN_FDS tells of more descriptors than are open"),
])
def test_what_the_environment_tells_is_checked(app, sockets, pid, count, why):
    options = started_by_manager([sockets("tcp")], pid=pid, count=count)
    assert run_to_its_end(app, ["systemd:"], options) == f"tidewire: cannot listen on systemd:: {why}\n"


def test_without_a_manager(app):
    done = subprocess.run([binary(), "run", str(app), "--listen", "systemd:web"], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 1
    assert done.stderr == ("tidewire: cannot listen on systemd:web: LISTEN_PID and LISTEN_FDS are not set: "
                           "the service has no socket unit\n")


@pytest.mark.parametrize("listen, why", [
    (["systemd:api"], 'systemd:api: no inherited socket of that name is left; there are "web"'),
    (["systemd:web", "systemd:web"], 'systemd:web: no inherited socket of that name is left; there are "web"'),
    (["systemd:", "systemd:"], "systemd:: all inherited sockets are used by other URLs"),
    (["systemd:web?cert=x"], "systemd:web?cert=x: each certificate needs its key: cert=FILE&key=FILE"),
    (["systemd:web?tls=off"], 'systemd:web?tls=off: the option "tls" is "on", not "off"'),
    (["systemd:web?color=red"], 'systemd:web?color=red: unknown option "color"; known are '),
])
def test_wrong_urls(app, sockets, listen, why):
    told = run_to_its_end(app, listen, started_by_manager([sockets("tcp")], "web"))
    assert told.startswith(f"tidewire: cannot listen on {why}")


def datagram():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


@pytest.mark.parametrize("make, why", [
    (lambda: open(os.devnull), "it is no socket"),
    (datagram, "it is no stream socket: the socket unit needs ListenStream="),
    (lambda: socket.socketpair()[0], "it does not listen: the socket unit needs Accept=no"),
    (socket.socket, "it does not listen: the socket unit needs Accept=no"),
], ids=["file", "datagram", "connected", "not-listening"])
def test_what_is_no_listening_socket(app, sockets, make, why):
    with make() as wrong:
        told = run_to_its_end(app, ["systemd:"], started_by_manager([sockets("tcp"), wrong], "web:wrong"))
    assert told == f'tidewire: cannot listen on systemd:: descriptor 4 ("wrong"): {why}\n'


# --- what the manager is told ----------------------------------------------------------------------

class Manager:
    """A datagram socket that collects what it is told."""

    def __init__(self, address):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.settimeout(PATIENCE)
        self.sock.bind(address)

    def next(self):
        """The next message, as a dict."""
        return dict(line.split("=", 1) for line in self.sock.recv(4096).decode().splitlines())

    def until(self, name):
        """All messages up to the one that has this name."""
        told = [self.next()]
        while name not in told[-1]:
            told.append(self.next())
        return told


@pytest.fixture
def manager(tmp_path):
    manager = Manager(str(tmp_path / "notify.sock"))
    manager.name = str(tmp_path / "notify.sock")
    with manager.sock:
        yield manager


def test_ready_and_stopping(live, manager):
    server = live(APP, env={"NOTIFY_SOCKET": manager.name})
    told = manager.next()
    assert told == {"READY": "1", "STATUS": f"1 worker, listening on {server.urls[0]}"}
    peer = server.open("/ws")
    server.signal(signal.SIGTERM)
    assert peer.closing()[0] == 1001
    assert manager.next()["STOPPING"] == "1", "while the connections are closed"
    peer.close(1001)
    server.finish()
    manager.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.next()


def test_abstract_name(live):
    name = f"tidewire-notify-{os.getpid()}"
    manager = Manager("\0" + name)
    with manager.sock:
        live(APP, "--workers", "2", env={"NOTIFY_SOCKET": "@" + name})
        assert manager.next()["STATUS"].startswith("2 workers, listening on ws://127.0.0.1:")


def test_ready_once_and_not_before_the_app_is(live, manager):
    server = live("""return tidewire.app {
        routes = { ["/"] = function() return "ok" end },
        start = function() tidewire.sleep(0.2) note("started") end,
    }""", "--workers", "2", env={"NOTIFY_SOCKET": manager.name})
    assert manager.next()["READY"] == "1"
    server.wait_notes("started")
    server.wait_log("worker 1 is ready")
    os.kill(server.workers()[0], signal.SIGKILL)
    server.wait_log(r"worker \d is ready", count=2)
    server.finish()
    assert "STOPPING" in manager.next(), "a worker that is replaced is no news"


def test_app_that_does_not_come_up_is_never_ready(app, manager):
    app.write_text("return tidewire.app {")
    done = subprocess.run([binary(), "run", str(app), "--listen=ws://127.0.0.1:0"], capture_output=True, timeout=60,
                          env={**os.environ, "NOTIFY_SOCKET": manager.name})
    assert done.returncode == 1
    assert "READY" not in manager.next()


def test_watchdog(live, manager):
    live(APP, **started_by_manager([], variables=[
        f"NOTIFY_SOCKET={manager.name}", "WATCHDOG_USEC=200000", "WATCHDOG_PID=PID"]))
    alive = 0
    while alive < 5:
        alive += manager.until("WATCHDOG")[-1]["WATCHDOG"] == "1"


def test_watchdog_of_another_process(live, manager):
    server = live(APP, env={"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
    for _ in range(20):
        assert server.peer().ask().status == 200
    server.finish()
    assert [list(told)[0] for told in manager.until("STOPPING")] == ["READY", "STOPPING"]


@pytest.mark.parametrize("variables, why", [
    ({"NOTIFY_SOCKET": "notify.sock"}, "NOTIFY_SOCKET is neither a path nor an @name"),
    ({"NOTIFY_SOCKET": "vsock:2:1"}, "NOTIFY_SOCKET is neither a path nor an @name"),
    ({"NOTIFY_SOCKET": "/" + "x" * 200}, "NOTIFY_SOCKET is too long, or empty"),
    ({"NOTIFY_SOCKET": "@"}, "NOTIFY_SOCKET is too long, or empty"),
    ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"}, "WATCHDOG_USEC is no number of microseconds"),
    ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "5", "WATCHDOG_PID": "me"}, "WATCHDOG_PID is no number"),
])
def test_wrong_variables_are_told_and_harmless(live, variables, why):
    server = live(APP, env=variables)
    server.wait_log(f"warn .*the service manager will not be told how it goes: {why}")
    echoes(server.peer())


def test_manager_that_is_gone_is_harmless(live, tmp_path):
    server = live(APP, env={"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "2000"})
    echoes(server.peer())
    wait_until(lambda: server.process.poll() is None)
    server.finish()


def test_reload_of_certificates(live, manager, certificate):
    cert, key = certificate
    server = live(APP, listen=[f"wss://127.0.0.1:0?cert={cert}&key={key}"], env={"NOTIFY_SOCKET": manager.name})
    ready = manager.next()
    for _ in range(2):
        server.signal(signal.SIGHUP)
        told = manager.next()
        assert told["RELOADING"] == "1" and int(told["MONOTONIC_USEC"]) > 0
        assert manager.next() == ready
    echoes(TlsPeer(connect(server.urls[0])))


def test_stop_in_the_middle_of_a_reload(live, manager, certificate):
    cert, key = certificate
    server = live(APP, listen=[f"wss://127.0.0.1:0?cert={cert}&key={key}"], env={"NOTIFY_SOCKET": manager.name})
    manager.until("READY")
    worker, = server.workers()
    os.kill(worker, signal.SIGSTOP)
    for what, told in ((signal.SIGHUP, "RELOADING"), (signal.SIGTERM, "STOPPING")):
        server.signal(what)
        assert told in manager.next()
    os.kill(worker, signal.SIGCONT)
    server.wait_end()
    manager.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.next()  # it does not get ready again
