"""The app's code, exchanged through the control socket: reload, rollback, versions, canaries, and what they answer."""

import json
import os
import re
import signal
import subprocess
import threading

import pytest
from control import Question, ask, socket_of, talk
from live import LiveServer, wait_until, write_app
from tidewire import binary


def echo(name, state_version=None, more=""):
    """An app that says its name before what it got; "raise" makes it raise."""
    manifest = f"state_version = {state_version}, migrate = function(old) return {{}} end," if state_version else ""
    return f"""
    {more}
    return tidewire.app {{ {manifest} routes = {{ ["/"] = {{ message = function(ws, data)
        if data == "raise" then error("{name} raised") end
        ws:send("{name} " .. data)
    end }} }} }}
    """


def settings(**limits):
    return "{ limits = { " + ", ".join(f'{name} = "{value}"' for name, value in limits.items()) + " } }"


def save(server, source, **files):
    write_app(socket_of(server).parent, source, files={f"{name}.lua": text for name, text in files.items()})


def reload(server, **fields):
    answer = ask(server, "reload", **fields)
    assert answer["v"] == 1 and answer["ok"] is True, f"{answer}\n{server.report()}"
    return answer


def refused(answer, phase, serving=1):
    assert answer["v"] == 1 and answer["ok"] is False, answer
    assert answer["phase"] == answer["error"]["code"] == phase and answer["serving"] == serving, answer
    assert "\n" not in answer["error"]["message"] and answer["text"].endswith("\n"), answer
    return answer["error"]["message"]


def says(peer, text="?"):
    peer.text(text)
    return peer.message()


def versions(server):
    return {v["version"]: v for v in ask(server, "versions")["versions"]}


def states(server):
    return {number: v["state"] for number, v in versions(server).items()}


def wait_ready(server, count):
    wait_until(lambda: [w["state"] for w in ask(server, "status")["workers"]] == ["ready"] * count)


def wait_watched(server, version):
    """Waits until it serves, in all workers."""
    def is_watched():
        code = ask(server, "status")["code"]
        return (code["version"], code["state"], code.get("phase")) == (version, "watching", None)
    wait_until(is_watched)


# --- requests --------------------------------------------------------------------------------------

@pytest.mark.parametrize("request_", [
    {"command": "reload", "canary": 0}, {"command": "reload", "canary": 100}, {"command": "reload", "canary": "10"},
    {"command": "reload", "canary": 1.5}, {"command": "reload", "dry_run": 1}, {"command": "reload", "wait": "yes"},
    {"command": "reload", "force": {}}, {"command": "rollback", "to": 0}, {"command": "rollback", "to": -1},
    {"command": "rollback", "to": "1"}, {"command": "rollback", "to": 2**40},
    {"command": "versions", "diff": 1}, {"command": "versions", "diff": [1]},
    {"command": "versions", "diff": [1, 2, 3]},
    {"command": "versions", "diff": [1, "2"]}, {"command": "versions", "diff": {}},
])
def test_requests_that_are_not_understood(live, request_):
    server = live(echo("one"))
    answer, = talk(socket_of(server), json.dumps({"v": 1, **request_}).encode())
    assert answer["ok"] is False and answer["error"]["code"] == "request" and answer["error"]["message"]
    assert states(server) == {1: "current"}


def test_what_is_left_out_or_null_has_its_default(live):
    server = live(echo("one"))
    assert reload(server, canary=None)["unchanged"] is True
    assert ask(server, "versions", diff=None)["current"] == 1


# --- reload ----------------------------------------------------------------------------------------

def test_reload_tells_what_was_done(live):
    server = live(echo("one"), "--workers", "2", files={"gone.lua": "return 1", "lib.lua": "return 1"})
    save(server, echo("one", more="require 'gone' require 'lib'"))
    reload(server)
    wait_ready(server, 2)
    peers = [server.open() for _ in range(6)]
    save(server, echo("two", more="require 'lib' require 'new.part'"), lib="return 2", **{"new/part": "return 1"})
    answer = reload(server)
    assert (answer["version"], answer["previous"]) == (3, 2) and re.fullmatch("[0-9a-f]{64}", answer["hash"])
    assert answer["changed"] == ["app.lua", "lib.lua"] and answer["added"] == ["new/part.lua"]
    assert answer["removed"] == ["gone.lua"]
    assert (answer["unchanged"], answer["dry_run"], answer["state"]) == (False, False, "watching")
    assert {"read", "compile", "load", "contract", "commit"} <= set(answer["phases"])
    assert all(seconds >= 0 for seconds in answer["phases"].values())
    assert answer["seconds"] >= answer["phases"]["read"] and answer["pause"] >= 0
    assert (answer["connections"], answer["held"]) == (6, 0)
    assert {says(peer) for peer in peers} == {"two ?"}
    server.wait_log(rf'version 3 serves previous=2 hash={answer["hash"][:12]} connections=6 held=0 ')


def test_unchanged(live):
    server = live(echo("one"))
    answer = reload(server)
    assert (answer["unchanged"], answer["version"], answer["state"]) == (True, 1, "stable")
    assert answer["changed"] == answer["added"] == answer["removed"] == []
    save(server, echo("two"))
    reload(server)
    save(server, echo("one"))
    assert reload(server)["version"] == 3, "what served once is another version now"


def test_dry_run_changes_nothing(live):
    server = live(echo("one"))
    peer = server.open()
    save(server, echo("two"))
    answer = reload(server, dry_run=True)
    assert (answer["dry_run"], answer["version"], answer["changed"]) == (True, 2, ["app.lua"])
    assert says(peer) == "one ?" and states(server) == {1: "current"}
    assert reload(server)["version"] == 2
    save(server, "return {")
    assert refused(ask(server, "reload", dry_run=True), "compile", 2)


def test_refused(live):
    server = live(echo("one"))
    peer = server.open()
    save(server, "return {\n  message = 7\n}\n")
    assert "message" in refused(ask(server, "reload"), "contract")
    save(server, "return {")
    answer = ask(server, "reload")
    refused(answer, "compile")
    assert answer["file"].endswith("/app.lua") and answer["line"] == 7 and "> 7 |" in answer["text"]
    assert "worker" not in answer, "no worker has seen it"
    server.wait_log("the code stays as it is: .*app.lua:7: .*; version 1 serves phase=compile")
    assert says(peer) == "one ?" and states(server) == {1: "current"}


def test_worker_that_refuses_is_named(live):
    """What only a worker can find: its states do not fit."""
    server = live("return { open = function(ws) ws.state = { f = print } end, message = print }")
    server.open()
    save(server, echo("two"))
    answer = ask(server, "reload")
    assert refused(answer, "state") == "ws.state.f: a function" or "ws.state.f" in answer["error"]["message"]
    assert answer["worker"] == 0


def test_what_the_app_prints_is_seen_once(live):
    """Each worker prints it, so the child that reads the app does not, unless no worker will."""
    server = live("print 'loading one'\n" + echo("one"))
    save(server, "print 'loading two'\nreturn {")
    refused(ask(server, "reload"), "compile")
    save(server, "print 'loading three'\nerror 'no'")
    refused(ask(server, "reload"), "load")
    assert server.stdout.wait(lambda lines: "loading three" in lines, 30)
    assert server.stdout.lines.count("loading one") == 1


def test_requests_at_once_are_done_one_after_the_other(live):
    server = live(echo("v0"), "--workers", "2")
    wait_ready(server, 2)
    worker = ask(server, "status")["workers"][0]["pid"]
    os.kill(worker, signal.SIGSTOP)
    save(server, echo("v1"))
    first = Question(socket_of(server), "reload")
    server.wait_log("reloading", count=1)
    wait_phase(server, "prepare")
    save(server, echo("v2"))
    others = [Question(socket_of(server), "reload"), Question(socket_of(server), "rollback"),
              Question(socket_of(server), "reload", dry_run=True), Question(socket_of(server), "certificates")]
    server.wait_log("reloading", count=3)
    os.kill(worker, signal.SIGCONT)
    answers = [question.answer() for question in (first, *others)]
    assert [answer["ok"] for answer in answers] == [True, True, True, True, False], answers
    assert [(a["version"], a["previous"]) for a in answers[:4]] == [(2, 1), (3, 2), (2, 3), (4, 2)]
    assert states(server) == {1: "previous", 2: "current", 3: "rolled back"}


def wait_phase(server, phase):
    """Waits until a reload is there."""
    wait_until(lambda: ask(server, "status")["code"].get("phase") == phase)


# --- rollback and versions -------------------------------------------------------------------------

def test_rollback_with_the_files_gone(live):
    server = live(echo("one"), "--workers", "2", files={"lib.lua": "return 1"})
    peer = server.open()
    for name in ("two", "three"):
        save(server, echo(name, more="require 'lib'"), lib=f"return '{name}'")
        reload(server)
    assert says(peer) == "three ?"
    folder = socket_of(server).parent
    for path in folder.glob("*.lua"):
        path.unlink()
    answer = ask(server, "rollback")
    assert (answer["ok"], answer["version"], answer["previous"], answer["state"]) == (True, 2, 3, "stable")
    assert answer["changed"] == ["app.lua", "lib.lua"]
    assert says(peer) == "two ?"
    assert states(server) == {1: "previous", 2: "current", 3: "rolled back"}
    assert versions(server)[3]["reason"] == "by hand"
    assert ask(server, "rollback")["version"] == 1 and says(peer) == "one ?"
    message = refused(ask(server, "rollback"), "rollback")
    assert message == "there is no version before 1 to go back to"
    assert ask(server, "rollback", to=3)["version"] == 3 and says(peer) == "three ?"
    assert states(server) == {1: "rolled back", 2: "rolled back", 3: "current"}
    assert ask(server, "status")["code"]["previous"] == 0
    for number in ask(server, "status")["workers"]:
        os.kill(number["pid"], signal.SIGKILL)
    wait_until(lambda: says_something(server) == "three ?")


def says_something(server):
    try:
        return says(server.open())
    except Exception:
        return None


def test_rollback_beyond_a_version_leaves_it_behind(live):
    """A later rollback goes to what has served before, not to what was passed over."""
    server = live(echo("one"))
    for name in ("two", "three"):
        save(server, echo(name))
        reload(server)
    assert ask(server, "rollback", to=1)["version"] == 1
    save(server, echo("four"))
    assert reload(server)["previous"] == 1
    assert states(server) == {1: "previous", 2: "rolled back", 3: "rolled back", 4: "current"}
    assert ask(server, "status")["code"]["previous"] == 1
    assert ask(server, "rollback")["version"] == 1 and says(server.open()) == "one ?"


def test_rollback_to_what_cannot_be(live):
    server = live(echo("one"))
    assert refused(ask(server, "rollback", to=1), "rollback") == "version 1 serves already"
    assert refused(ask(server, "rollback", to=7), "rollback").startswith("version 7 is not known")


def test_versions_that_are_kept(live):
    server = live(echo("v1"))
    for number in range(2, 26):
        save(server, echo(f"v{number}"))
        assert reload(server)["version"] == number
    told = versions(server)
    assert list(told) == list(range(6, 26))
    assert [told[n]["state"] for n in range(6, 26)] == ["old"] * 10 + ["kept"] * 8 + ["previous", "current"]
    assert all(v["files"] == 1 and v["bytes"] > 100 and v["state_version"] == 1 for v in told.values())
    assert sorted(v["time"] for v in told.values()) == [v["time"] for v in told.values()]
    assert refused(ask(server, "rollback", to=15), "rollback", 25) == "version 15 is no longer kept"
    assert ask(server, "versions", diff=[15, 25])["error"]["message"].startswith("version 15 is no longer kept")
    assert ask(server, "rollback", to=16)["version"] == 16 and says(server.open()) == "v16 ?"


def test_diff(live):
    server = live(echo("one"), files={"a.lua": "return 1\n", "b.lua": "return 1\n"})
    save(server, echo("one", more="require 'a' require 'b'"))
    reload(server)
    save(server, echo("one", more="require 'b' require 'c'"), b="local x = 1\nreturn x\n", c="return 3")
    reload(server)
    answer = ask(server, "versions", diff=[2, 3])
    assert (answer["from"], answer["to"]) == (2, 3)
    files = {file["path"]: (file["change"], file["diff"]) for file in answer["files"]}
    assert list(files) == ["app.lua", "b.lua", "c.lua", "a.lua"]
    assert files["b.lua"] == ("changed", "--- a/b.lua\n+++ b/b.lua\n@@ -1,1 +1,2 @@\n-return 1\n"
                                         "+local x = 1\n+return x\n")
    assert files["c.lua"] == ("added", "--- /dev/null\n+++ b/c.lua\n@@ -0,0 +1,1 @@\n+return 3\n"
                                       "\\ No newline at end of file\n")
    assert files["a.lua"] == ("removed", "--- a/a.lua\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-return 1\n")
    assert ask(server, "versions", diff=[3, 3])["files"] == []
    back = ask(server, "versions", diff=[3, 2])["files"]
    assert {f["path"]: f["change"] for f in back} == {"app.lua": "changed", "b.lua": "changed", "c.lua": "removed",
                                                      "a.lua": "added"}
    assert ask(server, "versions", diff=[1, 9])["error"]["code"] == "versions"


# --- status ----------------------------------------------------------------------------------------

def test_status_tells_of_the_code(live):
    server = live(echo("one"), "--workers", "2")
    wait_ready(server, 2)
    status = ask(server, "status")
    assert status["app"] == str(socket_of(server).parent / "app.lua") and type(status["uptime"]) is int
    assert {k: status["code"][k] for k in ("version", "previous", "state")} == {
        "version": 1, "previous": 0, "state": "stable"}
    assert [(w["version"], w["answers"]) for w in status["workers"]] == [(1, True), (1, True)]
    save(server, echo("two"))
    reload(server)
    status = ask(server, "status")
    assert (status["code"]["version"], status["code"]["previous"], status["code"]["state"]) == (2, 1, "watching")
    assert status["code"]["since"] >= versions(server)[2]["time"]
    assert [w["version"] for w in status["workers"]] == [2, 2]
    assert all({g["version"] for g in w["generations"]} >= {2} for w in status["workers"])
    os.kill(status["workers"][1]["pid"], signal.SIGSTOP)
    try:
        assert [w["answers"] for w in ask(server, "status")["workers"]] == [True, False]
    finally:
        os.kill(status["workers"][1]["pid"], signal.SIGCONT)


# --- the watch -------------------------------------------------------------------------------------

def test_version_that_stays_well_is_stable(live):
    server = live(echo("one"), config=settings(reload_watch="300 ms"))
    save(server, echo("two"))
    answer = reload(server, wait=True)
    assert (answer["version"], answer["state"]) == (2, "stable")
    assert ask(server, "status")["code"]["state"] == "stable"
    server.wait_log("version 2 is stable")
    assert reload(server, wait=True)["unchanged"] is True, "that waits for nothing"


def raise_often(peer, times):
    for _ in range(times):
        peer.text("raise")


@pytest.mark.parametrize("workers", ["1", "3"])
def test_errors_roll_it_back(live, workers):
    server = live(echo("one"), "--workers", workers)
    wait_ready(server, int(workers))
    peers = [server.open() for _ in range(6)]
    save(server, echo("two"))
    question = Question(socket_of(server), "reload", wait=True)
    wait_watched(server, 2)
    for peer in peers:
        raise_often(peer, 2)
    answer = question.answer()
    assert re.match(r"version 2 does not serve any more: \d+ of \d+ calls have failed \(", refused(answer, "watch"))
    told = versions(server)[2]
    assert told["state"] == "rolled back" and "calls have failed" in told["reason"]
    status = ask(server, "status")
    assert (status["code"]["version"], status["code"]["state"]) == (1, "stable")
    assert [w["version"] for w in status["workers"]] == [1] * int(workers)
    peer = server.open()
    assert says(peer) == "one ?"
    assert reload(server)["version"] == 3, "by hand it may be taken again"
    assert says(peer) == "two ?"


def test_few_errors_do_not(live):
    server = live(echo("one"), config=settings(reload_watch="1 s"))
    peers = [server.open() for _ in range(4)]
    save(server, echo("two"))
    question = Question(socket_of(server), "reload", wait=True)
    wait_watched(server, 2)
    for peer in peers:
        raise_often(peer, 1)
    assert question.answer()["state"] == "stable"


def test_errors_among_very_many_calls_do_not(live):
    """The workers without errors count too: they are asked before the judgement."""
    server = live(echo("one"), "--workers", "4", config=settings(reload_watch="2 s"))
    wait_ready(server, 4)
    peers = [server.open() for _ in range(12)]
    save(server, echo("two"))
    question = Question(socket_of(server), "reload", wait=True)
    wait_watched(server, 2)
    for peer in peers:
        for _ in range(40):
            assert says(peer) == "two ?"
    raise_often(peers[0], 6)
    assert question.answer()["state"] == "stable"


def test_another_reload_ends_the_watch(live):
    server = live(echo("one"))
    save(server, echo("two"))
    question = Question(socket_of(server), "reload", wait=True)
    wait_watched(server, 2)
    save(server, echo("three"))
    reload(server)
    assert refused(question.answer(), "watch", 3) == "version 2 does not serve any more: version 3 has replaced it"


def test_rollback_by_hand_ends_the_watch(live):
    server = live(echo("one"))
    save(server, echo("two"))
    question = Question(socket_of(server), "reload", wait=True)
    wait_watched(server, 2)
    assert ask(server, "rollback")["version"] == 1
    assert refused(question.answer(), "watch").endswith(": rolled back by hand")


def test_version_with_which_no_worker_starts(live):
    """A reload does not run start(app); the worker that is restarted does."""
    server = live(echo("one"), "--workers", "2")
    wait_ready(server, 2)
    save(server, """return tidewire.app { start = function() error "no way" end,
                           routes = { ["/"] = { message = function(ws, data) ws:send("two " .. data) end } } }""")
    assert reload(server)["version"] == 2
    os.kill(ask(server, "status")["workers"][0]["pid"], signal.SIGKILL)
    server.wait_log("version 2 is rolled back by itself: worker 0 cannot start with it")
    wait_until(lambda: states(server) == {1: "current", 2: "rolled back"})
    wait_ready(server, 2)
    assert [w["version"] for w in ask(server, "status")["workers"]] == [1, 1]


# --- canaries --------------------------------------------------------------------------------------

def shares(server):
    status = ask(server, "status")["code"]
    return status["version"], status.get("canary"), status.get("share"), status["state"]


def test_canary_that_stays_well_serves_all(live):
    server = live(echo("one"), "--workers", "2", config=settings(reload_watch="1 s"))
    wait_ready(server, 2)
    peers = [server.open() for _ in range(40)]
    save(server, echo("two"))
    question = Question(socket_of(server), "reload", canary=50, wait=True)
    wait_until(lambda: states(server).get(2) == "canary")
    assert shares(server) == (1, 2, 50, "canary")
    told = {says(peer) for peer in peers}
    assert told == {"one ?", "two ?"} or states(server)[2] == "current"
    answer = question.answer()
    assert (answer["version"], answer["state"]) == (2, "stable")
    assert {says(peer) for peer in peers} == {"two ?"}
    assert states(server) == {1: "previous", 2: "current"}
    server.wait_log("version 2 has been healthy as a canary, and serves all")


def test_canary_that_fails_goes_alone(live):
    server = live(echo("one"))
    peers = [server.open() for _ in range(40)]
    save(server, echo("two"))
    answer = reload(server, canary=50)
    assert (answer["state"], answer["version"], answer["previous"]) == ("canary", 2, 1)
    for peer in peers:
        if says(peer) == "two ?":
            raise_often(peer, 2)
    wait_until(lambda: states(server) == {1: "current", 2: "rolled back"})
    assert {says(server.open()) for _ in range(20)} == {"one ?"} and shares(server) == (1, None, None, "stable")


def test_canary_taken_for_all_or_given_up_by_hand(live):
    server = live(echo("one"))
    peers = [server.open() for _ in range(40)]
    save(server, echo("two"))
    reload(server, canary=50)
    assert reload(server, canary=50)["unchanged"] is True
    assert ask(server, "rollback")["version"] == 1
    assert {says(peer) for peer in peers} == {"one ?"} and states(server) == {1: "current", 2: "rolled back"}
    assert reload(server, canary=50)["version"] == 3
    answer = reload(server)
    assert (answer["version"], answer["unchanged"], answer["state"]) == (3, False, "watching")
    assert {says(peer) for peer in peers} == {"two ?"} and states(server)[3] == "current"


def test_canary_ends_when_the_disk_has_what_serves(live):
    server = live(echo("one"))
    peers = [server.open() for _ in range(40)]
    save(server, echo("two"))
    reload(server, canary=50)
    save(server, echo("one"))
    answer = reload(server)
    assert (answer["version"], answer["unchanged"]) == (1, False)
    assert {says(peer) for peer in peers} == {"one ?"} and states(server) == {1: "current", 2: "rolled back"}


def test_canary_replaced_by_another_version(live):
    server = live(echo("one"))
    peers = [server.open() for _ in range(40)]
    save(server, echo("two"))
    reload(server, canary=50)
    save(server, echo("three"))
    assert reload(server, canary=20)["state"] == "canary"
    assert {says(peer) for peer in peers} == {"one ?", "three ?"} and shares(server) == (1, 3, 20, "canary")
    assert states(server)[2] == "rolled back"
    save(server, echo("four"))
    assert reload(server)["state"] == "watching"
    assert {says(peer) for peer in peers} == {"four ?"} and shares(server) == (4, None, None, "watching")


def test_canary_shares_the_state(live):
    server = live(echo("one", state_version=1))
    save(server, echo("two", state_version=2))
    message = refused(ask(server, "reload", canary=10), "canary")
    assert message == ("a canary shares the state: version 1 has state_version 1, what is on the disk has 2")
    assert states(server) == {1: "current"}


def test_worker_that_dies_takes_part_in_the_canary_again(live):
    server = live(echo("one"))
    server.open()
    save(server, echo("two"))
    reload(server, canary=50)
    old, = ask(server, "status")["workers"]
    os.kill(old["pid"], signal.SIGKILL)

    def both():
        worker, = ask(server, "status")["workers"]
        return worker.get("pid") != old["pid"] and {
            g["role"]: g["version"] for g in worker.get("generations", [])} == {"current": 1, "canary": 2}
    wait_until(both)
    assert {says(server.open()) for _ in range(40)} == {"one ?", "two ?"}
    assert shares(server) == (1, 2, 50, "canary")


def test_share_that_changes_while_a_worker_comes_back(live):
    """It is given the canary again, with the share of then."""
    server = live("""
    return tidewire.app { routes = { ["/"] = { message = function() end } }, start = function(app)
        for _ = 1, 500 do -- only who comes back waits, up to 5 s
            if not io.open(app.root .. "/shut") then break end
            tidewire.sleep(0.01)
        end
    end }
    """, "--workers", "2")
    wait_ready(server, 2)
    save(server, echo("two"))
    reload(server, canary=50)
    shut = socket_of(server).parent / "shut"
    shut.touch()
    os.kill(ask(server, "status")["workers"][1]["pid"], signal.SIGKILL)
    wait_until(lambda: ask(server, "status")["workers"][1]["state"] == "starting")
    question = Question(socket_of(server), "reload", canary=20)
    wait_until(lambda: ask(server, "status")["code"].get("phase") == "prepare")
    shut.unlink()
    assert question.answer()["state"] == "canary"
    wait_ready(server, 2)
    wait_until(lambda: "phase" not in ask(server, "status")["code"])
    assert shares(server) == (1, 2, 20, "canary")


# --- HUP and certificates --------------------------------------------------------------------------

def test_hang_up_reloads(live, certificate):
    cert, key = certificate
    server = live(echo("one"), listen=["ws://127.0.0.1:0", f"wss://127.0.0.1:0?cert={cert}&key={key}"])
    peer = server.open()
    save(server, echo("two"))
    server.signal(signal.SIGHUP)
    server.wait_log("version 2 serves")
    server.wait_log("new certificates are in use")
    assert says(peer) == "two ?"


def test_reload_reads_certificates_too(live, certificate, tmp_path):
    cert, key = (tmp_path / path.name for path in certificate)
    for to, path in zip((cert, key), certificate):
        to.write_bytes(path.read_bytes())
    server = live(echo("one"), listen=[f"wss://127.0.0.1:0?cert={cert}&key={key}"])
    answer = reload(server)
    assert [c["file"] for c in answer["certificates"]] == [str(cert)] and "certificates_error" not in answer
    cert.write_text("garbage")
    save(server, echo("two"))
    answer = reload(server)
    assert answer["version"] == 2 and str(cert) in answer["certificates_error"] and "certificates" not in answer
    assert "certificates_error" not in reload(server, dry_run=True), "they are not read for that"


# --- the start -------------------------------------------------------------------------------------

@pytest.mark.parametrize("source, what", [
    ("print 'seen' return {", "app.lua:7: "),
    ("print 'seen' error 'not today'", "not today"),
    ("print 'seen' return { message = 7 }", "message"),
    ("print 'seen' return tidewire.app { routes = { ['/'] = { message = print } }, "
     "start = function() return nil, 'no database' end }", "no database"),
    ("print 'seen' os.exit(3)", "os.exit"),
])
def test_app_that_does_not_come_up(tmp_path, source, what):
    app = write_app(tmp_path / "app", source)
    done = subprocess.run([binary(), "run", app, "--listen", "ws://127.0.0.1:0"], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 1 and what in done.stderr and "serves" not in done.stderr, done
    assert done.stdout in ("seen\n", ""), "once, when it has run at all"


def test_reload_while_the_first_worker_starts(live, tmp_path):
    """Who asks meanwhile waits for it."""
    gate = tmp_path / "gate"
    waiting = """
    local function start(app)
        note "starting"
        while not io.open(app.root .. "/../gate") do tidewire.sleep(0.01) end
    end
    """
    app = write_app(tmp_path / "app", waiting + """
    return tidewire.app { start = start, routes = { ["/"] = { message = print } } }""")
    server = LiveServer(app)
    starting = threading.Thread(target=server.start)
    starting.start()
    try:
        wait_until(lambda: server.process)
        server.wait_notes("starting")
        write_app(tmp_path / "app", echo("two"))
        question = Question(tmp_path / "app" / ".tidewire.sock", "reload")
        gate.touch()
        assert question.answer()["version"] == 2
        starting.join(30)
        assert says(server.open()) == "two ?"
    finally:
        gate.touch()
        starting.join(30)
        for peer in server.peers:
            peer.sock.close()
        server.stop()
