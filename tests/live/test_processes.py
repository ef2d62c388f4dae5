"""Processes: several workers, their deaths, signals, and the limits of the system."""

import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from live import wait_until, write_app
from peer import connect, handshake, Lost, Peer, request
from tidewire import binary

WHO = """
return {
    open = function(ws) ws:send((ws.id:match("^%x+"))) end,
    message = function(ws, data) ws:send(data) end,
    close = function(ws, code, reason, clean) note("close", code, clean) end,
}
"""


def node(peer):
    """The process that serves a connection, as the first part of ws.id tells it."""
    return peer.message()


def spread(server, count):
    """Connections until `count` workers have one: {node: peer}."""
    found = {}

    def more():
        peer = server.open()
        found.setdefault(node(peer), peer)
        return len(found) >= count
    wait_until(more)
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before or while it is read
        return False


def ready(server, workers):
    """All workers answer: `listening` is printed by the first."""
    wait_until(lambda: len(server.workers()) == workers)
    return spread(server, workers)


class Knocking:
    """Connects all the time in a thread of its own, and counts what comes of it."""

    def __init__(self, url):
        self.url, self.refused, self.answered, self.end = url, [], 0, False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.end:
            try:
                with Peer(connect(self.url)) as peer:
                    peer.upgrade()
                    node(peer)
                    self.answered += 1
            except ConnectionRefusedError as error:
                self.refused.append(error)
            except Exception:
                pass  # served by the worker that was killed

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end = True
        self.thread.join()


@pytest.mark.parametrize("scheme", ["tcp", "unix"])
def test_killed_worker_is_replaced(live, tmp_path, scheme):
    listen = "ws://127.0.0.1:0" if scheme == "tcp" else f"unix:{tmp_path}/s.sock"
    server = live(WHO, "--workers", "4", listen=[listen])
    if scheme == "tcp":
        peers = ready(server, 4)
        home = {key: key for key in peers}
    else:  # all wait for the one socket: whoever is first takes the connection
        wait_until(lambda: len(server.workers()) == 4)
        peers = {i: server.open() for i in range(8)}
        home = {key: node(peer) for key, peer in peers.items()}
    before = server.workers()
    server.wait_log("worker 3 is ready")
    with Knocking(server.urls[0]) as knocking:
        killed = time.monotonic()
        os.kill(before[0], signal.SIGKILL)
        server.wait_log(r"worker \d \(pid %d\) was ended by signal 9" % before[0])
        wait_until(lambda: len(server.workers()) == 4)
        fresh = set(server.workers()) - set(before)
        assert len(fresh) == 1
        server.wait_log(r"worker \d is ready \(pid %d\)" % fresh.pop())
        assert time.monotonic() - killed < 10, "a second, where nothing else runs and no sanitizer"
        so_far = knocking.answered
        wait_until(lambda: knocking.answered > so_far + 20)
    assert knocking.refused == []
    lost = set()
    for key, peer in peers.items():
        try:
            peer.text("still here")
            assert peer.message() == "still here"
        except (Lost, OSError):
            lost.add(key)
    # the killed worker's connections, all of them, and nobody else's
    assert len({home[key] for key in lost}) <= 1
    assert lost == {key for key in peers if home[key] in {home[k] for k in lost}}
    if scheme == "tcp":
        assert len(lost) == 1 and len(set(spread(server, 4)) - set(peers)) == 1


def test_worker_that_is_killed_again_and_again(live):
    server = live("return tidewire.app { routes = { ['/'] = function() return 'ok' end } }")
    for turn in range(3):
        worker, = server.workers()
        os.kill(worker, signal.SIGKILL)
        server.wait_log("worker 0 is ready", count=turn + 1)
        assert server.peer().ask().body == b"ok"


def test_worker_that_cannot_come_up_again_is_tried_until_it_can(live, tmp_path):
    """It loads what served, whatever the disk has by now; but its start(app) may fail."""
    server = live("""return tidewire.app {
        start = function(app) return not io.open(app.root .. "/broken"), "no database" end,
        routes = { ['/'] = function() return 'ok' end } }""")
    broken = tmp_path / "app" / "broken"
    broken.touch()
    (tmp_path / "app" / "app.lua").write_text("return {")
    worker, = server.workers()
    os.kill(worker, signal.SIGKILL)
    server.wait_log(r" error worker 0 cannot start$")
    server.wait_log(r"^    tidewire: .*app\.lua: start: no database")
    server.wait_log(r" warn  worker 0 is started again in 0\.5 s$")
    server.wait_log(r" warn  worker 0 is started again in 1\.0 s$")
    broken.unlink()
    server.wait_log("worker 0 is ready")
    assert server.peer().ask().body == b"ok"


def test_workers_end_with_a_killed_master(live):
    server = live(WHO, "--workers", "3", config="{ limits = { close = 0.2 } }")
    peers = ready(server, 3)
    workers = server.workers()
    server.process.kill()
    for peer in peers.values():
        assert peer.closing()[0] == 1001
        peer.close(1001)
    wait_until(lambda: not any(alive(pid) for pid in workers))
    assert server.process.wait() == -signal.SIGKILL
    server.process = None


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_signal_drains(live, which):
    server = live(WHO, "--workers", "2", config="{ limits = { close = 0.2 } }")
    peers = [*ready(server, 2).values()]
    idle = server.peer()
    assert idle.ask().status == 426
    server.signal(which)
    for peer in peers:
        assert peer.closing() == (1001, "going away")
        peer.close(1001)
        assert peer.rest() == b""
    assert idle.rest() == b""
    assert server.wait_end() == 0
    assert server.notes.count("close|1001|true") >= 2
    with pytest.raises(ConnectionRefusedError):
        connect(server.urls[0])


def test_drain_finishes_what_is_under_way(live):
    server = live("""
    return tidewire.app { routes = {
        ["/slow"] = function() note("asked") tidewire.sleep(0.3) return "answer" end,
        ["/ws"] = { message = function(ws, data) note("message") tidewire.sleep(0.2) ws:send("late " .. tostring(ws:send("x"))) end,
                    close = function(ws, code) note("close", code) end },
    } }""")
    http, ws = server.peer(), server.open("/ws")
    http.send(request("/slow") + request("/slow"))
    ws.text("go")
    server.wait_notes("asked", "message")
    server.signal(signal.SIGTERM)
    answer = http.answer()
    assert answer.body == b"answer"
    assert http.rest() == b""
    http.sock.close()
    assert ws.closing()[0] == 1001
    ws.close(1001)
    assert server.wait_end() == 0
    assert sorted(server.notes[:2]) == ["asked", "message"] and server.notes[2:] == ["close|1001"]


def test_handshake_that_is_finished_during_the_drain_is_refused(live):
    server = live("""
    return tidewire.app { routes = {
        ["/ws"] = { upgrade = function() note("upgrade") end, message = print },
        ["/slow"] = function() note("asked") tidewire.sleep(0.1) return "x" end,
    } }""")
    early, slow, idle = server.peer(), server.peer(), server.peer()
    whole = handshake("/ws")
    slow.send(request("/slow"))
    server.wait_notes("asked")
    early.send(whole[:40])
    assert idle.ask("/ws").status == 426, "what was sent before has arrived"
    server.signal(signal.SIGTERM)
    assert idle.rest() == b"", "the drain has begun"
    early.send(whole[40:])
    answer = early.answer()
    assert answer.status == 503 and "retry-after" in answer.headers
    assert early.rest() == b""
    assert slow.answer().body == b"x"
    early.sock.close()
    slow.sock.close()
    assert server.wait_end() == 0
    assert server.notes == ["asked"], "the handler is not even asked"


def test_handshake_whose_upgrade_waits_while_the_drain_begins_is_refused(live):
    server = live("""
    return {
        upgrade = function() note("upgrade") tidewire.sleep(0.3) note("waited") end,
        open = function() note("open") end, message = print,
    }""")
    peer = server.peer()
    peer.send(handshake())
    server.wait_notes("upgrade")
    server.signal(signal.SIGTERM)
    answer = peer.answer()
    assert answer.status == 503 and "retry-after" in answer.headers
    assert peer.rest() == b""
    peer.sock.close()
    assert server.wait_end() == 0
    assert server.notes == ["upgrade", "waited"]


def test_drain_is_bounded(live):
    server = live(WHO, config="{ limits = { drain = 0.3, close = 60 } }")
    deaf = server.open()
    node(deaf)
    server.signal(signal.SIGTERM)
    assert server.wait_end() == 0
    assert server.notes == ["close|1006|false"]


def test_second_interrupt_ends_at_once(live):
    server = live(WHO, "--workers", "2", config="{ limits = { drain = 600, close = 600 } }")
    peers = ready(server, 2)
    server.signal(signal.SIGINT)
    for peer in peers.values():
        assert peer.closing()[0] == 1001
    server.signal(signal.SIGINT)
    assert server.wait_end() == 1
    assert all(peer.rest() == b"" for peer in peers.values())


def test_signal_to_the_whole_group_again_and_again(tmp_path):
    """To workers that have just been forked as well, and to those that are about to end."""
    path = tmp_path / "s.sock"
    process = subprocess.Popen([binary(), "run", write_app(tmp_path, WHO), "--workers", "8", "--listen", f"unix:{path}"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline().startswith("listening")
    while process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        time.sleep(0.001)
    assert process.returncode == 0, process.communicate()[1]
    assert not path.exists()
    process.communicate()


def test_listeners_of_every_kind_at_once(live, tmp_path, certificate):
    cert, key = certificate
    server = live(WHO, listen=["ws://127.0.0.1:0", "ws://[::1]:0", f"unix:{tmp_path}/s.sock",
                               f"wss://127.0.0.1:0?cert={cert}&key={key}"])
    assert [url.split(":")[0] for url in server.urls] == ["ws", "ws", "unix", "wss"]
    assert server.urls[1].startswith("ws://[::1]:")
    assert len({url for url in server.urls}) == 4 and not any(url.endswith(":0") for url in server.urls)
    for i in range(3):
        peer = server.peer(listener=i)
        peer.upgrade()
        node(peer)
        peer.text("hi")
        assert peer.message() == "hi"
    server.finish()
    assert not (tmp_path / "s.sock").exists()


def test_stale_unix_socket_is_replaced(live, tmp_path):
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    server = live(WHO, listen=[f"unix:{path}"])
    server.peer().upgrade()


def test_socket_of_a_killed_server_is_replaced(live, tmp_path):
    first = live(WHO, listen=[f"unix:{tmp_path}/s.sock"])
    worker, = first.workers()
    first.process.kill()
    first.process.wait()
    first.process = None
    wait_until(lambda: not alive(worker))
    assert (tmp_path / "s.sock").exists()
    live(WHO, listen=[f"unix:{tmp_path}/s.sock"]).peer().upgrade()


def test_standard_descriptors_that_are_closed(tmp_path):
    """No socket takes their place, so no log line reaches a client."""
    app = write_app(tmp_path, "return { message = function() error('told to nobody') end }")
    path = tmp_path / "s.sock"
    process = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", binary(), "run", app, "--listen", f"unix:{path}"])

    def reachable():
        with socket.socket(socket.AF_UNIX) as sock:
            return sock.connect_ex(str(path)) == 0
    try:
        wait_until(reachable)
        for _ in range(5):
            peer = Peer(connect(f"unix:{path}"))
            peer.upgrade()
            peer.text("x")
            assert peer.closing() == (1011, "internal error")
            peer.close(1011)
            assert peer.rest() == b""
            peer.sock.close()
        assert [os.readlink(f"/proc/{process.pid}/fd/{n}") for n in (0, 1, 2)] == ["/dev/null"] * 3
    finally:
        process.terminate()
        assert process.wait() == 0


def test_workers_draw_keys_of_their_own(live, door):
    """What was one process before the fork must not hand out the same bytes twice."""
    other = door()
    live("""return tidewire.app {
        routes = { ["/"] = { message = print } },
        start = function()
            tidewire.spawn(function()
                local ws = assert(tidewire.connect(os.getenv "OTHER"))
                for _ = 1, 20 do ws:send("same") end
            end)
        end,
    }""", "--workers", "2", env={"OTHER": other.url()})
    handshakes, masks = set(), set()
    for _ in range(2):
        guest = other.open()
        handshakes.add(guest.field("sec-websocket-key"))
        for _ in range(20):
            masks.add(guest.take(2 + 4 + len("same"))[2:6])
    assert len(handshakes) == 2
    assert len(masks) == 40, "two equal ones are less likely than one in a million"


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_no_descriptors_left(live):
    server = live(WHO, config="{ limits = { connections = 1000, handshake = 60 } }", prefix=["prlimit", "--nofile=64:64"])
    worker, = server.workers()
    first = server.open()
    node(first)
    crowd = [connect(server.urls[0]) for _ in range(80)]
    server.wait_log("cannot accept on ws://127.0.0.1:.*Too many open files")
    before = cpu_seconds(worker)
    time.sleep(2)  # a span to measure in
    assert cpu_seconds(worker) - before < 0.5
    first.text("still here")
    assert first.message() == "still here"
    for sock in crowd:
        sock.close()
    late = server.open()
    node(late)
    assert len(server.wait_log("cannot accept")) < 10, "one line a second"


def test_connections_of_the_process_follow_its_descriptors(live):
    server = live(WHO, prefix=["prlimit", "--nofile=100:100"])
    peers = []
    while True:
        peer = server.peer()
        peer.send(handshake())
        answer = peer.answer()
        if answer.status == 503:
            break
        peers.append(peer)
        assert len(peers) <= 90
    assert len(peers) == 90
    peers[0].reset()
    server.wait_notes("close|1006|false")
    server.open()
