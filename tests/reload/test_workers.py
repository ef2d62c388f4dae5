"""Workers that die in the midst of a reload: all of them serve one version in the end."""

import os
import random
import select
import signal

import pytest
from live import wait_until
from peer import Lost
from reloading import check_refusal, config, echo, full, says

NOTING = """
local note = require "note"
note("VERSION loads", (require "pid"))
""" + echo("VERSION")


def noting(version):
    return NOTING.replace("VERSION", version)


def stop_others(server, spared):
    """Stops all workers but one; returns a function that lets them go on."""
    pids = [w["pid"] for w in server.status()["workers"] if w["pid"] != spared]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)

    def go_on():
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    return go_on


def test_worker_killed_between_prepare_and_commit(app):
    """The others have to agree as well before there is a commit: while they are stopped, one has prepared, and dies."""
    server = app(noting("one"), workers=4)
    peers = server.open_on_each()
    victim = server.status()["workers"][1]["pid"]
    go_on = stop_others(server, victim)
    server.write("app.lua", noting("two"))
    question = server.begin("reload")
    server.wait_notes(f"two loads|{victim}")
    os.kill(victim, signal.SIGKILL)
    server.wait_log(rf"worker 1 \(pid {victim}\) was ended by signal 9")
    go_on()
    assert question.answer()["version"] == 2
    server.wait_workers()
    assert server.serving() == {2}
    assert [says(peer) for peer in peers[:1] + peers[2:]] == ["two ?"] * 3
    with pytest.raises(Lost):
        peers[1].frame()
    assert {says(peer) for peer in server.open_on_each()} == {"two ?"}


def test_only_worker_killed_while_it_prepares(app):
    """Nobody is left who could say that the new version is good: it is refused, and the old one comes back."""
    server = app(noting("one"))
    server.write("app.lua", f"if require 'pid' == {server.workers()[0]} then os.execute('kill -KILL ' .. require 'pid')"
                            f" end\n{noting('two')}")
    answer = server.ask("reload")
    check_refusal(answer, "prepare", 1)
    assert "no worker has lived to say that it can" in answer["error"]["message"]
    server.wait_log("worker 0 is ready")
    server.wait_workers()
    assert says(server.open()) == "one ?"


BARRIER = """
local gate, note = require "gate", require "note"
local handler = { message = function(ws, data)
    if data == "wait" then
        note("waits", (require "pid"))
        gate(ws.app, "gate")
    end
    ws.app.state.count = (ws.app.state.count or 0) + 1
    ws:send("VERSION " .. data)
end }
return tidewire.app { routes = { ["/"] = handler }, state_version = FORM, migrate = function(old) return old end }
"""


def barrier(version, form):
    return BARRIER.replace("VERSION", version).replace("FORM", str(form))


@pytest.mark.parametrize("whom", ["one that holds", "the one that is waited for"])
def test_worker_killed_at_the_barrier(app, whom):
    server = app(barrier("one", 1), workers=4)
    peers, probes = server.open_on_each(), server.open_on_each()
    peers[0].text("wait")
    server.wait_log("note: waits")
    server.write("app.lua", barrier("two", 2))
    question = server.begin("reload")
    server.wait_held(probes)
    victim = 0 if whom == "the one that is waited for" else 2
    os.kill(server.status()["workers"][victim]["pid"], signal.SIGKILL)
    server.wait_log(rf"worker {victim} \(pid \d+\) was ended by signal 9")
    server.open_gate()
    answer = question.answer()
    assert answer["ok"] and answer["version"] == 2
    server.wait_workers()
    assert server.serving() == {2}
    for n in {0, 1, 2, 3} - {victim}:
        assert probes[n].message() == "two probe"
        if n == 0:
            assert peers[n].message() == "one wait"
        assert says(peers[n]) == "two ?"


def test_worker_killed_after_the_commit(app, workers):
    server = app(noting("one"), workers=workers)
    server.write("app.lua", noting("two"))
    server.reload()
    peers = server.open_on_each()
    victim = server.status()["workers"][-1]["pid"]
    os.kill(victim, signal.SIGKILL)
    server.wait_log(rf"\(pid {victim}\) was ended by signal 9")
    (server.folder / "app.lua").unlink()
    server.wait_workers()
    assert server.serving() == {2}
    assert [says(peer) for peer in peers[:-1]] == ["two ?"] * (workers - 1)
    assert {says(peer) for peer in server.open_on_each()} == {"two ?"}


def test_worker_that_starts_while_another_version_is_prepared(app):
    """It is asked when it is up, and has no say less than the others."""
    server = app(noting("one"), workers=4)
    victim = server.status()["workers"][3]["pid"]
    os.kill(victim, signal.SIGKILL)
    server.wait_log(rf"\(pid {victim}\) was ended by signal 9")
    server.write("app.lua", noting("two"))
    assert server.reload()["version"] == 2
    server.wait_workers()
    wait_until(lambda: server.serving() == {2})


LOOP = """
return { message = function(ws, data)
    while data == "loop" do end
    ws:send("VERSION " .. data)
end }
"""


def test_rollback_from_a_handler_that_loops(app):
    """A reload is refused while a worker is silent; but the way back is open: after the half minute that it takes to
    tell a busy worker from a stuck one, another one takes its place."""
    server = app(LOOP.replace("VERSION", "one"), workers=2, settings=config(ping_interval="0"))
    server.write("app.lua", LOOP.replace("VERSION", "two"))
    server.reload()
    peers = server.open_on_each()
    stuck = server.status()["workers"][0]["pid"]
    peers[0].text("loop")
    wait_until(lambda: not server.ask("status")["workers"][0]["answers"])
    answer = server.rollback()
    assert (answer["version"], answer["connections"]) == (1, 1)
    server.wait_log(r"new code: worker 0 has not answered in 30 s, and is replaced")
    server.wait_log(rf"worker 0 \(pid {stuck}\) was ended by signal 9")
    server.wait_log("worker 0 is ready")  # the first time it was the banner that told
    assert server.serving() == {1}
    assert says(peers[1]) == "one ?"
    with pytest.raises(Lost):
        peers[0].frame()
    assert {says(peer) for peer in server.open_on_each()} == {"one ?"}


# --- many of them ----------------------------------------------------------------------------------

KILLS = """
local pid = require "pid"
local handler = {
    upgrade = function() return { count = 0 } end,
    message = function(ws)
        local state = ws.state
        state.count = state.count + 1
        ws:send(("%d VERSION %d"):format(pid, state.count))
    end,
    migrate = function(old) return { count = old.count } end,
}
return tidewire.app { routes = { ["/"] = handler }, state_version = FORM, migrate = function(old) return {} end }
"""


class Crowd:
    """Connections of all workers, by the worker's pid. Each counts its answers."""

    def __init__(self, server):
        self.server = server
        self.members = {}

    def fill(self):
        """Up to four at each worker."""
        for _ in range(200):
            pids = [w["pid"] for w in self.server.status()["workers"]]
            if all(len(self.members.get(pid, [])) >= 4 for pid in pids):
                return
            peer = self.server.open()
            pid, _, count = says(peer).split()
            assert count == "1"
            self.members.setdefault(int(pid), []).append([peer, 1])

    def drop(self, pid):
        for peer, _ in self.members.pop(pid, []):
            peer.sock.close()

    def check(self, version):
        """All are there, have lost nothing and are served by this version."""
        for pid, group in self.members.items():
            for member in group:
                member[1] += 1
                assert says(member[0]) == f"{pid} {version} {member[1]}"


def test_kills_of_random_workers_at_random_phases(app):
    """In the everyday suite 40, in full 200. Whatever dies, all workers serve one version afterwards, and no connection
    of another one was closed."""
    count = 200 if full() else 40
    seed = int(os.environ.get("TIDEWIRE_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"seed {seed} (TIDEWIRE_SEED)")
    chance = random.Random(seed)
    server = app(KILLS.replace("VERSION", "v0").replace("FORM", "1"), workers=4)
    crowd, form, took, word = Crowd(server), 1, 0.1, "v0"
    crowd.fill()
    outcomes = {True: 0, False: 0}
    for n in range(1, count + 1):
        next_form = form + (n % 3 == 0)
        server.write("app.lua", KILLS.replace("VERSION", f"v{n}").replace("FORM", str(next_form)))
        before = server.code()["version"]
        question = server.begin("reload")
        victim = chance.choice(list(crowd.members))
        wait_for(question, chance.uniform(0, 1.2 * took))
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in server.workers())  # the master knows
        crowd.drop(victim)
        answer = question.answer()
        outcomes[answer["ok"]] += 1
        if answer["ok"]:
            assert answer["version"] > before
            form, word, took = next_form, f"v{n}", answer["seconds"]
        else:
            assert answer["serving"] == before, answer
        crowd.check(word)
        server.wait_workers()
        assert server.serving() == {server.code()["version"]}
        crowd.fill()
        crowd.check(word)
    print(f"{outcomes[True]} reloads taken, {outcomes[False]} refused")
    assert outcomes[True] > count / 2


def wait_for(question, seconds):
    """A random moment of the reload: later than this, or when it has ended."""
    select.select([question.peer.sock], [], [], seconds)
