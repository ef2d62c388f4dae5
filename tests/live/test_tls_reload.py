"""New certificates while the service runs: all of them, in all workers, or none."""

import contextlib
import os
import pathlib
import pty
import re
import signal
import ssl
import subprocess
import threading
import time
from random import Random

import pytest
from authority import Authority, Dialled, client_context, copy, der, dial, replace, shown
from live import LiveServer, wait_until, write_app
from peer import Peer
from test_control import ask, code_of, command, line_of, reach, socket_of

APP = """return {
    open = function(ws) ws:send((ws.id:match("^%x+"))) end,
    message = function(ws, data) if data == "stick" then note("stuck") while true do end end ws:send(data) end,
}"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pairs(authority):
    """Certificates of one name, to be told apart."""
    return [authority.issue("localhost", subject=f"/CN={i}") for i in range(3)]


@pytest.fixture
def served(tmp_path, pairs):
    """The files that the server reads, with the first pair in them."""
    return copy(pairs[0], tmp_path / "tls")


def serve(live, served, *args, more="", **options):
    server = live(APP, *args, listen=[f"wss://127.0.0.1:0?cert={served.cert}&key={served.key}{more}"], **options)
    count = int(args[args.index("--workers") + 1]) if "--workers" in args else 1
    for i in range(1, count):
        server.wait_log(f"worker {i} is ready")
    return server


def by_socket(server):
    answer = ask(server, "certificates")
    assert answer["ok"], answer
    return answer


def by_signal(server):
    before = len(server.wait_log("new certificates are in use", count=0))
    server.signal(signal.SIGHUP)
    server.wait_log("new certificates are in use", count=before + 1)


def by_command(server):
    status, out, err = command("reload", "--certificates", socket_of(server).parent)
    assert (status, err) == (0, "") and out.startswith("new certificates are in use\n")


@pytest.mark.parametrize("reload", [by_socket, by_signal, by_command])
def test_new_certificates(live, served, pairs, reload):
    server = serve(live, served, "--workers", "2")
    url, = server.urls
    peers = [Dialled(dial(url)) for _ in range(6)]
    for peer in peers[:4]:
        peer.upgrade("/")
        peer.message()
    workers = server.workers()
    for pair in (pairs[1], pairs[2], pairs[0]):
        replace(served, pair)
        reload(server)
        assert {shown(url) for _ in range(10)} == {der(pair)}, "in all workers, at once"
    for peer in peers[:4]:
        peer.text("still here")
        assert peer.message() == "still here"
    for peer in peers[4:]:
        peer.upgrade("/")
    assert server.workers() == workers
    for peer in peers:
        peer.sock.close()


def test_handshake_that_is_under_way_goes_on(live, served, pairs):
    server = serve(live, served)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(version=ssl.TLSVersion.TLSv1_2).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with server.peer().sock as sock:
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        sock.sendall(outgoing.read())
        incoming.write(sock.recv(65536))  # the certificate is chosen
        replace(served, pairs[1])
        by_socket(server)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        assert tls.getpeercert(binary_form=True) == der(pairs[0])
    assert shown(server.urls[0]) == der(pairs[1])


def test_answer_tells_what_is_in_use(live, authority, tmp_path):
    served = copy(authority.issue("a.example", "b.example"), tmp_path / "tls")
    server = serve(live, served)
    shown_, = by_socket(server)["certificates"]
    assert (shown_["listener"], shown_["file"], shown_["names"]) == (server.urls[0], str(served.cert), "a.example, b.example")


@pytest.mark.parametrize("spoil, why", [
    ("key", 'cannot use the key "{key}": it is not the key of the first certificate in "{cert}"'),
    ("cert", 'cannot use the key "{key}": it is not the key of the first certificate in "{cert}"'),
    ("garbage in cert", 'cannot use the certificate "{cert}": it is no PEM file'),
    ("garbage in key", 'cannot use the key "{key}": it is no key in PEM'),
    ("cut cert", 'cannot use the certificate "{cert}": '),
    ("empty key", 'cannot use the key "{key}": it is no key in PEM'),
    ("missing cert", 'cannot read the certificate "{cert}": No such file or directory'),
    ("missing key", 'cannot read the key "{key}": No such file or directory'),
    ("folder", 'cannot read the key "{key}": Is a directory'),
    ("too large", 'cannot read the key "{key}": it is larger than 1 MiB'),
    ("pipe", 'cannot read the key "{key}": it is no regular file'),
])
def test_bad_certificate_changes_nothing_and_says_why(live, served, pairs, tmp_path, spoil, why):
    other = copy(pairs[0], tmp_path / "tls", "other")
    server = serve(live, served, "--workers", "2", more=f"&cert={other.cert}&key={other.key}")
    cert, key = map(pathlib.Path, served)
    replace(other, pairs[1])  # this one would be good
    if spoil in ("key", "cert"):
        target, = (path for path in (cert, key) if path.suffix == ("." + ("key" if spoil == "key" else "pem")))
        target.write_bytes(pathlib.Path(pairs[2].key if spoil == "key" else pairs[2].cert).read_bytes())
    elif spoil.startswith("garbage"):
        (cert if "cert" in spoil else key).write_text("garbage\n")
    elif spoil == "cut cert":
        cert.write_text(cert.read_text()[:200])
    elif spoil == "empty key":
        key.write_text("")
    elif spoil.startswith("missing"):
        (cert if "cert" in spoil else key).unlink()
    elif spoil == "too large":
        key.write_bytes(bytes(1 << 21))
    else:
        key.unlink()
        key.mkdir() if spoil == "folder" else os.mkfifo(key)
    told = why.format(cert=cert, key=key)
    answer = ask(server, "certificates")
    assert code_of(answer) == "certificates"
    assert answer["error"]["message"].startswith(told), answer
    server.wait_log("error the certificates stay as they are: cannot ")
    status, out, err = command("reload", "--certificates", socket_of(server).parent)
    assert (status, out) == (1, "") and err.startswith(f"tidewire: {told}")
    server.signal(signal.SIGHUP)
    server.wait_log("the certificates stay as they are", count=3)
    assert {shown(server.urls[0]) for _ in range(10)} == {der(pairs[0])}, "neither of the two has changed"


def test_expired_certificate_is_used_and_told(live, served, authority):
    """Refusing it could leave one in use that is worse."""
    server = serve(live, served)
    past = authority.issue("localhost", days=-1)
    replace(served, past)
    answer = by_socket(server)
    assert answer["certificates"][0]["warning"] == "has expired"
    server.wait_log(r"warn .*the certificate .* has expired")
    assert shown(server.urls[0]) == der(past)


def test_worker_that_comes_later_has_the_new_ones(live, served, pairs):
    server = serve(live, served)
    replace(served, pairs[1])
    by_socket(server)
    for path in served:
        pathlib.Path(path).unlink()  # it has them of the master, not of the files
    os.kill(server.workers()[0], signal.SIGKILL)
    server.wait_log("worker 0 is ready")
    assert shown(server.urls[0]) == der(pairs[1])


@contextlib.contextmanager
def asking(server):
    """A reload that is under way: what it answers will be in the list, once the context has ended."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(ask(server, "certificates")))
    thread.start()
    try:
        server.wait_log("reading the certificates anew")
        yield answers
    finally:
        thread.join(30)


def test_worker_that_is_stuck_keeps_all_from_changing(live, served, pairs):
    server = serve(live, served, "--workers", "2")
    stuck = Dialled(dial(server.urls[0]))
    stuck.upgrade("/")
    stuck.message()
    stuck.text("stick")
    server.wait_notes("stuck")
    replace(served, pairs[1])
    answer = ask(server, "certificates")
    busy, = re.fullmatch("worker (.) has not answered in 5 s", answer["error"]["message"]).groups()
    stuck.sock.close()
    os.kill(ask(server, "status")["workers"][int(busy)]["pid"], signal.SIGKILL)
    server.wait_log("worker . is ready", count=2)
    assert {shown(server.urls[0]) for _ in range(10)} == {der(pairs[0])}
    by_socket(server)
    assert {shown(server.urls[0]) for _ in range(10)} == {der(pairs[1])}


def test_worker_that_dies_in_the_middle(live, served, pairs):
    server = serve(live, served, "--workers", "2")
    mute = server.workers()[0]
    os.kill(mute, signal.SIGSTOP)
    replace(served, pairs[1])
    with asking(server) as answers:
        assert len(ask(server, "status")["workers"]) == 2  # one of them does not answer
        os.kill(mute, signal.SIGKILL)
    assert answers[0]["ok"], "all who live have them"
    server.wait_log("worker . is ready", count=2)
    assert {shown(server.urls[0]) for _ in range(10)} == {der(pairs[1])}


def test_worker_that_dies_in_the_middle_comes_back_with_what_came_of_it(live, served, pairs):
    server = serve(live, served, "--workers", "2")
    mute, other = workers = server.workers()
    os.kill(mute, signal.SIGSTOP)
    replace(served, pairs[1])
    with asking(server) as answers:
        os.kill(other, signal.SIGKILL)
        server.wait_log("was ended by signal 9")
        os.kill(mute, signal.SIGCONT)
    assert answers[0]["ok"]
    wait_until(lambda: set(server.workers()) - set(workers))
    server.wait_log("worker . is ready", count=2)
    assert {shown(server.urls[0]) for _ in range(10)} == {der(pairs[1])}


def test_end_in_the_middle(live, served, pairs):
    """Whoever waits for an answer has one at once: what is not in use by then will not be."""
    server = serve(live, served)
    worker, = server.workers()
    os.kill(worker, signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(reach(socket_of(server)))) for _ in range(2)]
        for i, peer in enumerate(peers):
            peer.send(b'{"v":1,"command":"certificates"}\n')
            server.wait_log("reading the certificates anew", count=i + 1)
        server.signal(signal.SIGTERM)
        server.wait_log("stopping")
        for peer in peers:
            assert line_of(peer)["error"]["message"] == "it is stopping"
        os.kill(worker, signal.SIGCONT)
    assert server.wait_end() == 0


def test_workers_that_die_at_any_time(live, served, pairs):
    server = serve(live, served, "--workers", "3")
    random = Random(7)
    for turn in range(30):
        replace(served, pairs[turn % 3])
        if turn % 5 == 0:
            server.signal(signal.SIGHUP)
            for worker in server.workers()[:1 + turn % 2]:
                with contextlib.suppress(ProcessLookupError):  # it has been told already
                    os.kill(worker, random.choice([signal.SIGKILL, signal.SIGTERM]))
        assert ask(server, "certificates")["ok"]
    wait_until(lambda: {w["state"] for w in ask(server, "status")["workers"]} == {"ready"})
    assert {shown(server.urls[0]) for _ in range(20)} == {der(pairs[2])}


def test_requests_at_once_are_all_answered(live, served, pairs):
    server = serve(live, served, "--workers", "2")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask(server, "certificates"))) for _ in range(10)]
    replace(served, pairs[1])
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 10 and all(answer["ok"] for answer in answers)
    assert shown(server.urls[0]) == der(pairs[1])


class Handshakes:
    """Full handshakes one after another in a thread of its own, about 100 a second, each verified."""

    def __init__(self, url, authority, allowed):
        self.url, self.allowed, self.end = url, allowed, False
        self.context = ssl.create_default_context(cafile=authority.file)
        self.done, self.failed = 0, []
        self.thread = threading.Thread(target=self.run)

    def run(self):
        due = time.monotonic()
        while not self.end:
            try:
                with dial(self.url, context=self.context) as sock:
                    assert sock.getpeercert(binary_form=True) in self.allowed
                self.done += 1
            except Exception as error:
                self.failed.append(error)
            due += 0.01
            time.sleep(max(0, due - time.monotonic()))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end = True
        self.thread.join()


def test_hundred_reloads_under_handshakes(live, served, pairs, authority):
    server = serve(live, served, "--workers", "2")
    url, = server.urls
    kept = Dialled(dial(url))
    kept.upgrade("/")
    kept.message()
    workers = server.workers()
    before = [server.descriptors(pid) for pid in (server.process.pid, *workers)]
    with Handshakes(url, authority, [der(pair) for pair in pairs]) as handshakes:
        for turn in range(100):
            if turn % 10 == 9:  # a bad one among them
                pathlib.Path(served.key).write_text("garbage")
                assert not ask(server, "certificates")["ok"]
            so_far = handshakes.done
            replace(served, pairs[turn % 3])
            by_socket(server)
            if turn % 10 == 9:
                assert shown(url) == der(pairs[turn % 3])
            wait_until(lambda: handshakes.done >= so_far + 1 or handshakes.failed)
    assert handshakes.failed == []
    assert handshakes.done >= 100
    kept.text("still here")
    assert kept.message() == "still here"
    assert server.workers() == workers
    after = [server.descriptors(pid) for pid in (server.process.pid, *workers)]
    assert all(b - a <= 2 for a, b in zip(before, after)), (before, after)
    kept.sock.close()


# --- HUP -------------------------------------------------------------------------------------------

def test_hang_up_that_is_ignored_stays_so(live, served, pairs):
    """As under nohup."""
    server = serve(live, served, prefix=["sh", "-c", 'trap "" HUP; exec "$@"', "sh"])
    replace(served, pairs[1])
    server.signal(signal.SIGHUP)
    assert ask(server, "status")["ok"]
    assert shown(server.urls[0]) == der(pairs[0])


def test_hang_up_without_certificates(live):
    server = live(APP)
    server.signal(signal.SIGHUP)
    server.wait_log("the code is unchanged: version 1 serves")
    assert server.open().message()


def test_closed_terminal_ends_it(tmp_path):
    """Who started it in a window and closed that does not expect it to go on."""
    path = tmp_path / "s.sock"
    app = write_app(tmp_path / "app", APP)
    main, side = pty.openpty()
    log = tmp_path / "log"
    with LiveServer(app) as other, open(log, "wb") as out:
        process = subprocess.Popen([*other.command[:2], app, "--control", "off", "--listen", f"unix:{path}"],
                                   preexec_fn=lambda: (os.setsid(), __import__("fcntl").ioctl(0, 0x540E, 0)),
                                   stdin=side, stdout=out, stderr=out)
        os.close(side)
        try:
            wait_until(lambda: b"listening unix:" in log.read_bytes())
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: b"the code is unchanged" in log.read_bytes())
            os.close(main)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
    assert b"stopping" in log.read_bytes()
