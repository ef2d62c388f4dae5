"""Reloads during which something dies, hangs, or is in short supply: all workers serve one version afterwards, and
nobody else's connection closes."""

import os
import pathlib
import resource
import signal
import threading
from random import Random

import pytest
from control import Question, ask, line_of, reach, socket_of
from live import wait_until, write_app
from peer import Peer

# Tells its version; "wait" suspends a handler until there is a file `gate`.
APP = """
return tidewire.app {
    state_version = STATE, migrate = function(old) return old end,
    routes = { ["/"] = { message = function(ws, data)
        if data == "wait" then
            note "waiting"
            while not io.open(ws.app.root .. "/gate") do tidewire.sleep(0.01) end
        end
        ws:send("VERSION " .. data)
    end } },
}
"""

# In front of an app: where it is read, and only there, `what` happens.
SCOUTED = """
do
    local comm <close> = io.open "/proc/self/comm"
    if comm:read() == "tidewire-scout" then WHAT end
end
"""


def app(version, state=1, scouted=None):
    text = APP.replace("VERSION", version).replace("STATE", str(state))
    return (SCOUTED.replace("WHAT", scouted) if scouted else "") + text


def save(server, source):
    write_app(socket_of(server).parent, source)


def says(peer, text="?"):
    peer.text(text)
    return peer.message()


def status(server):
    return ask(server, "status")


def wait_ready(server, count):
    wait_until(lambda: [w["state"] for w in status(server)["workers"]] == ["ready"] * count)


def wait_phase(server, phase):
    """Waits until a reload is there."""
    wait_until(lambda: status(server)["code"].get("phase") == phase)


def serving(server):
    return {w.get("version") for w in status(server)["workers"]}


def kill(pid, which=signal.SIGKILL):
    try:
        os.kill(pid, which)
    except ProcessLookupError:
        pass


def pids(server):
    return [w["pid"] for w in status(server)["workers"]]


def open_on_each(server, count):
    """A connection at each worker."""
    found = {}
    while len(found) < count:
        before = [w["connections"] for w in status(server)["workers"]]
        peer = server.open()
        after = [w["connections"] for w in status(server)["workers"]]
        where, = (i for i in range(count) if after[i] > before[i])
        found.setdefault(where, peer)
    return [found[i] for i in range(count)]


def start(live, workers, grace="1 min"):
    server = live(app("one"), "--workers", str(workers),
                  config=f'{{ limits = {{ reload_grace = "{grace}", lag = 0, handshake = 60, ping_interval = 0 }} }}')
    wait_ready(server, workers)
    return server


def gate(server):
    (socket_of(server).parent / "gate").touch()


# --- the child that reads the app ------------------------------------------------------------------

def scout_of(server):
    """Its pid, once it is there."""
    def found():
        for pid in server.workers():
            try:
                if pathlib.Path(f"/proc/{pid}/comm").read_text() == "tidewire-scout\n":
                    return pid
            except OSError:
                pass
        return None
    wait_until(found)
    return found()


def with_fifo(server, name):
    fifo = socket_of(server).parent / name
    os.mkfifo(fifo)
    return fifo, f"io.open('{fifo}'):read()"


def test_scout_is_killed(live):
    server = start(live, 2)
    peer = server.open()
    _, block = with_fifo(server, "fifo")
    save(server, app("two", scouted=block))
    question = Question(socket_of(server), "reload")
    kill(scout_of(server))
    answer = question.answer()
    assert (answer["ok"], answer["phase"], answer["serving"]) == (False, "load", 1)
    assert answer["error"]["message"] == "the app's load was ended by signal 9 (Killed)"
    assert says(peer) == "one ?"
    save(server, app("two"))
    assert ask(server, "reload")["version"] == 2 and says(peer) == "two ?"


@pytest.mark.parametrize("does", [
    "os.exit(7)",
    "local t = {} while true do t[#t + 1] = ('x'):rep(1000000) .. #t end",
    "while true do end",
    "string.rep('x', 1 << 40)",
])
def test_app_that_ends_or_eats_the_scout(live, does):
    server = start(live, 1)
    peer = server.open()
    save(server, app("two", scouted=does))
    answer = ask(server, "reload", patience=60)
    assert (answer["ok"], answer["serving"]) == (False, 1) and answer["error"]["message"], answer
    assert says(peer) == "one ?"
    save(server, app("three"))
    assert ask(server, "reload")["version"] == 2


def test_app_that_hangs_in_the_scout(live):
    """Where no instruction is counted: its time ends all the same, and with it what it has started."""
    server = start(live, 1)
    _, block = with_fifo(server, "fifo")
    save(server, app("two", scouted=block))
    question = Question(socket_of(server), "reload")
    scout = scout_of(server)
    peer = server.open()
    assert says(peer) == "one ?", "everybody else is served"
    answer = question.answer()
    assert answer["error"]["message"] == "the app's load has not ended within 10 s" and answer["phase"] == "load"
    assert not pathlib.Path(f"/proc/{scout}").exists()


def test_master_that_is_killed_leaves_no_scout(live):
    server = start(live, 1)
    _, block = with_fifo(server, "fifo")
    save(server, app("two", scouted=block))
    question = Question(socket_of(server), "reload")
    scout = scout_of(server)
    server.signal(signal.SIGKILL)
    question.peer.sock.close()
    assert server.wait_end() == -signal.SIGKILL
    wait_until(lambda: not pathlib.Path(f"/proc/{scout}").exists() or
               ") Z " in pathlib.Path(f"/proc/{scout}/stat").read_text())


def test_app_that_prints_very_much(live):
    server = start(live, 1)
    save(server, app("two", scouted="for i = 1, 20000 do print(('x'):rep(1000)) end error 'no'"))
    assert ask(server, "reload")["phase"] == "load"
    assert sum(map(len, server.stdout.lines)) < 200000, "its beginning is enough"


# --- workers that die ------------------------------------------------------------------------------

def check_one_version(server, workers, versions):
    """All serve one and the same, and can take another."""
    wait_ready(server, workers)
    number = status(server)["code"]["version"]
    assert number in versions
    wait_until(lambda: serving(server) == {number})
    save(server, app("last"))
    answer = ask(server, "reload")
    assert answer["ok"], answer
    assert serving(server) == {answer["version"]}
    assert {says(server.open()) for _ in range(2 * workers)} == {"last ?"}


@pytest.mark.parametrize("workers", [1, 3])
def test_worker_dies_while_the_app_is_read(live, workers):
    server = start(live, workers)
    fifo, block = with_fifo(server, "fifo")
    save(server, app("two", scouted=block))
    kept = open_on_each(server, workers)
    question = Question(socket_of(server), "reload")
    scout_of(server)
    kill(pids(server)[0])
    server.wait_log("was ended by signal 9")
    fifo.write_text("go\n")
    assert question.answer()["version"] == 2, "who is down takes it when it starts"
    check_one_version(server, workers, [2])
    assert [says(peer) for peer in kept[1:]] == ["last ?"] * (workers - 1)


@pytest.mark.parametrize("workers", [1, 3])
def test_worker_dies_while_it_prepares(live, workers):
    server = start(live, workers)
    kept = open_on_each(server, workers)
    worker = pids(server)[0]
    os.kill(worker, signal.SIGSTOP)
    save(server, app("two"))
    question = Question(socket_of(server), "reload")
    wait_phase(server, "prepare")
    kill(worker)
    answer = question.answer()
    if workers == 1:  # nobody has lived to say that it is good
        assert answer["error"]["message"] == "no worker has lived to say that it can"
    else:
        assert answer["version"] == 2
    check_one_version(server, workers, [1 if workers == 1 else 2])
    assert [says(peer) for peer in kept[1:]] == ["last ?"] * (workers - 1)


def at_the_barrier(server, kept, state=2):
    """A reload that is held up by the handler of the last worker's connection."""
    kept[-1].text("wait")
    server.wait_notes("waiting")
    save(server, app("two", state))
    question = Question(socket_of(server), "reload")
    wait_phase(server, "barrier")
    return question


@pytest.mark.parametrize("workers", [1, 3])
def test_worker_dies_at_the_barrier(live, workers):
    server = start(live, workers)
    kept = open_on_each(server, workers)
    question = at_the_barrier(server, kept)
    kill(pids(server)[-1])
    answer = question.answer()
    if workers == 1:
        assert answer["error"]["message"] == "no worker has lived to say that it can"
    else:
        assert answer["version"] == 2
    check_one_version(server, workers, [1 if workers == 1 else 2])
    assert [says(peer) for peer in kept[:-1]] == ["last ?"] * (workers - 1)


def test_worker_dies_between_prepare_and_commit(live):
    """It has said yes, and another one has not yet."""
    server = start(live, 3)
    kept = open_on_each(server, 3)
    question = at_the_barrier(server, kept)
    kill(pids(server)[0])
    server.wait_log("was ended by signal 9")
    gate(server)
    assert question.answer()["version"] == 2
    check_one_version(server, 3, [2])
    assert kept[2].message() == "one wait", "it began in the old version"
    assert [says(peer) for peer in kept[1:]] == ["last ?"] * 2


def test_worker_dies_after_the_commit(live):
    """It was told, and has not heard it."""
    server = start(live, 3)
    kept = open_on_each(server, 3)
    question = at_the_barrier(server, kept)
    worker = pids(server)[0]
    os.kill(worker, signal.SIGSTOP)
    gate(server)
    wait_phase(server, "commit")
    kill(worker)
    assert question.answer()["version"] == 2
    check_one_version(server, 3, [2])
    assert kept[2].message() == "one wait"
    assert [says(peer) for peer in kept[1:]] == ["last ?"] * 2


@pytest.mark.parametrize("phase", ["prepare", "barrier"])
def test_worker_dies_during_a_rollback(live, phase):
    server = start(live, 3)
    save(server, app("two", 2 if phase == "barrier" else 1))
    assert ask(server, "reload")["ok"]
    kept = open_on_each(server, 3)
    worker = pids(server)[0]
    if phase == "barrier":
        kept[2].text("wait")
        server.wait_notes("waiting")
    else:
        os.kill(worker, signal.SIGSTOP)
    question = Question(socket_of(server), "rollback")
    wait_phase(server, phase)
    kill(worker)
    server.wait_log("was ended by signal 9")
    gate(server)
    answer = question.answer()
    assert (answer["ok"], answer["version"]) == (True, 1), answer
    check_one_version(server, 3, [1])
    if phase == "barrier":
        assert kept[2].message() == "two wait"
    assert [says(peer) for peer in kept[1:]] == ["last ?"] * 2


def test_all_workers_are_down(live):
    """A version with which no worker lives is mended by a reload: there is nobody to ask."""
    server = live("""

        return tidewire.app { start = function(app)
            if io.open(app.root .. "/broken") then error "broken" end
        end, routes = { ["/"] = { message = function(ws, data) ws:send("one " .. data) end } } }
    """, "--workers", "2")
    wait_ready(server, 2)
    (socket_of(server).parent / "broken").touch()
    for pid in pids(server):
        kill(pid)
    server.wait_log("is started again in", count=3)

    def mend():
        save(server, app("two"))
        return ask(server, "reload")["ok"]
    wait_until(mend)
    wait_ready(server, 2)
    assert says(server.open()) == "two ?" and len(serving(server)) == 1


def test_worker_that_starts_answers_when_it_serves(live):
    server = live("""
        return tidewire.app { start = function(app)
            note "starting"
            while not io.open(app.root .. "/gate") do tidewire.sleep(0.01) end
        end, routes = { ["/"] = { message = function(ws, data) ws:send("one " .. data) end } } }
    """, "--workers", "2", config="{ limits = { lag = 0 } }", files={"gate": ""})
    wait_ready(server, 2)
    gate_file = socket_of(server).parent / "gate"
    gate_file.unlink()
    kill(pids(server)[0])
    server.wait_notes("starting", "starting", "starting")
    save(server, app("two"))
    question = Question(socket_of(server), "reload")
    wait_phase(server, "prepare")
    assert [w["state"] for w in status(server)["workers"]].count("starting") == 1
    gate_file.touch()
    assert question.answer()["version"] == 2
    assert serving(server) == {2}


def test_worker_that_does_not_answer_is_named(live):
    server = start(live, 2)
    kept = open_on_each(server, 2)
    worker = pids(server)[1]
    os.kill(worker, signal.SIGSTOP)
    save(server, app("two"))
    answer = ask(server, "reload", patience=60)
    assert (answer["ok"], answer["phase"], answer["worker"], answer["serving"]) == (False, "prepare", 1, 1)
    assert answer["error"]["message"] == "worker 1 has not answered in 30 s"
    os.kill(worker, signal.SIGCONT)
    assert [says(peer) for peer in kept] == ["one ?"] * 2
    assert ask(server, "reload")["version"] == 2, "what it was asked in vain is forgotten"
    assert [says(peer) for peer in kept] == ["two ?"] * 2


# --- the end in the middle -------------------------------------------------------------------------

@pytest.mark.parametrize("phase", ["read", "prepare", "barrier"])
def test_end_in_the_middle(live, phase):
    """Nothing is exchanged any more, and whoever waits is told."""
    server = start(live, 2)
    kept = open_on_each(server, 2)
    worker = pids(server)[0]
    if phase == "read":
        save(server, app("two", scouted=with_fifo(server, "fifo")[1]))
    elif phase == "prepare":
        save(server, app("two"))
        os.kill(worker, signal.SIGSTOP)
    question = at_the_barrier(server, kept) if phase == "barrier" else Question(socket_of(server), "reload")
    wait_phase(server, phase)
    second = Question(socket_of(server), "rollback")
    server.wait_log("rolling back")
    server.signal(signal.SIGTERM)
    for answer in question.answer(), second.answer():
        assert (answer["ok"], answer["phase"], answer["error"]["message"]) == (False, "stopping", "it is stopping")
    kill(worker, signal.SIGCONT)
    gate(server)
    for peer in kept:
        peer.sock.close()
    assert server.wait_end() == 0
    assert not socket_of(server).exists()


def test_peers_that_leave_while_they_wait(live):
    """Their places are free at once, and what they asked for is done."""
    server = start(live, 2)
    worker = pids(server)[0]
    os.kill(worker, signal.SIGSTOP)
    save(server, app("two"))
    waiting = [Peer(reach(socket_of(server))) for _ in range(16)]
    for peer in waiting:
        peer.send(b'{"v":1,"command":"reload"}\n')
    server.wait_log("reloading", count=16)
    with Peer(reach(socket_of(server))) as late:
        assert line_of(late)["error"]["code"] == "busy"
    before = server.descriptors(server.process.pid)
    for peer in waiting:
        peer.sock.close()
    wait_until(lambda: server.descriptors(server.process.pid) <= before - 16)
    os.kill(worker, signal.SIGCONT)
    wait_until(lambda: serving(server) == {2})


# --- very often ------------------------------------------------------------------------------------

def resident(pid):
    """KiB"""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def test_descriptors_stay_flat(live):
    """Of all kinds of attempts, in the master and in a worker."""
    server = start(live, 2)
    kept = open_on_each(server, 2)

    def round_of_all(turn):
        save(server, app(f"v{turn}"))
        assert ask(server, "reload", dry_run=True)["ok"] and ask(server, "reload")["ok"]
        save(server, "return {")
        assert not ask(server, "reload")["ok"]
        save(server, app(f"w{turn}", 2))
        assert ask(server, "reload")["ok"]
        assert ask(server, "rollback")["ok"] and not ask(server, "rollback", to=100000)["ok"]
        assert [says(peer) for peer in kept] == [f"v{turn} ?"] * 2

    for turn in range(8):  # until as many versions are kept as are ever kept
        round_of_all(turn)
    processes = [server.process.pid, *pids(server)]

    def descriptors():
        return [server.descriptors(pid) for pid in processes]
    before = min(descriptors() for _ in range(20))  # without the connection that has just asked
    for turn in range(8, 40):
        round_of_all(turn)
    wait_until(lambda: all(now <= then for now, then in zip(descriptors(), before)))
    assert processes == [server.process.pid, *pids(server)]


def test_without_descriptors_nothing_changes(live):
    server = start(live, 1)
    peer = server.open()
    save(server, app("two"))
    master = server.process.pid
    with Peer(reach(socket_of(server))) as control:
        control.send(b'{"v":1,"command":"status"}\n')
        assert line_of(control)["ok"]
        soft, hard = resource.prlimit(master, resource.RLIMIT_NOFILE)
        highest = max(int(fd.name) for fd in pathlib.Path(f"/proc/{master}/fd").iterdir())
        for room in range(1, 5):
            resource.prlimit(master, resource.RLIMIT_NOFILE, (highest + room, hard))
            control.send(b'{"v":1,"command":"reload","dry_run":true}\n')
            answer = line_of(control)
            assert answer["ok"] or answer["serving"] == 1, answer
            resource.prlimit(master, resource.RLIMIT_NOFILE, (soft, hard))
        assert says(peer) == "one ?"
        control.send(b'{"v":1,"command":"reload"}\n')
        assert line_of(control)["version"] == 2
    assert says(peer) == "two ?"


def test_kills_of_any_worker_at_any_time(live):
    """Again and again: whoever dies, all serve one version in the end."""
    server = live(app("v0"), "--workers", "3", config="{ limits = { lag = 0, handshake = 60 } }")
    wait_ready(server, 3)
    random = Random(11)
    answers = []
    for turn in range(1, 21):
        save(server, app(f"v{turn}", 1 + turn % 2))
        question = Question(socket_of(server), "reload" if turn % 5 else "rollback")
        answer = []
        thread = threading.Thread(target=lambda: answer.append(question.answer()))
        thread.start()
        workers = server.workers()
        for pid in random.sample(workers, k=min(random.choice([1, 1, 2]), len(workers))):
            kill(pid)
        thread.join(60)
        answers += answer
    assert len(answers) == 20 and all("ok" in answer for answer in answers)
    check_one_version(server, 3, range(1, 30))
