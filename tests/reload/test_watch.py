"""After the commit: canary, watch, rollback by itself and by hand, and requests that meet."""

import json
import os
import shutil
import signal

import pytest
from dev import Dev
from live import wait_until, write_app
from reloading import check_refusal, config, echo, run_command, says

# Says its version; "fail" raises, and the connection stays, because `error` takes it.
FRAGILE = """
return {
    message = function(ws, data)
        if data == "fail" then error "on purpose" end
        ws:send("VERSION " .. data)
    end,
    error = function(ws) ws:send "VERSION failed" end,
}
"""
BAD = """
return { message = function() error "on purpose" end, error = function(ws) ws:send "VERSION failed" end }
"""


def fragile(version):
    return FRAGILE.replace("VERSION", version)


def bad(version):
    return BAD.replace("VERSION", version)


# --- errors after the swap -------------------------------------------------------------------------

LITTERS = """
return {
    message = function(ws)
        ws.app.state.left, ws.state.left = print, print
        error "on purpose"
    end,
    error = function(ws) ws:send "two failed" end,
}
"""


@pytest.mark.parametrize("by_hand", [False, True])
def test_what_a_bad_version_has_left_in_states_does_not_bar_the_way_back(app, by_hand):
    server = app(fragile("one"))
    peer = server.open()
    assert says(peer) == "one ?"
    server.write("app.lua", LITTERS)
    server.reload()
    for _ in range(1 if by_hand else 5):
        assert says(peer) == "two failed"
    if by_hand:
        assert server.ask("rollback")["ok"]
    wait_until(lambda: server.serving() == {1})
    assert says(peer) == "one ?"


def test_errors_after_the_swap_roll_it_back(app, workers):
    """By itself, at the fifth; its hash is known as bad, and only by hand it is taken again."""
    server = app(fragile("one"), workers=workers)
    peers = server.open_on_each()
    for peer in peers:
        assert says(peer) == "one ?"
    server.write("app.lua", bad("two"))
    answer = server.reload()
    assert (answer["version"], answer["state"]) == (2, "watching")
    for n in range(4):
        assert says(peers[n % workers]) == "two failed"
    assert server.serving() == {2}, "four are not enough"
    assert says(peers[4 % workers]) == "two failed"
    server.wait_log(r" error .*version 2 is rolled back by itself: 5 of \d+ calls have failed")
    wait_until(lambda: server.serving() == {1})
    assert [says(peer) for peer in peers] == ["one ?"] * workers
    told = server.versions()[2]
    assert told["state"] == "rolled back" and "calls have failed" in told["reason"]
    code = server.code()
    assert (code["version"], code["state"]) == (1, "stable")
    answer = server.reload()
    assert answer["version"] == 3 and says(peers[0]) == "two failed", "a person may insist"


def test_errors_that_were_there_before_roll_nothing_back(app):
    server = app(fragile("one"))
    peer = server.open()
    for _ in range(10):
        assert says(peer, "fail") == "one failed"
    server.write("app.lua", fragile("two"))
    server.reload()
    for _ in range(20):
        assert says(peer, "fail") == "two failed"
        assert says(peer, "well") == "two well"
    assert server.code()["version"] == 2


def test_few_errors_among_many_calls_roll_nothing_back(app):
    server = app(fragile("one"))
    peer = server.open()
    assert says(peer) == "one ?"
    server.write("app.lua", fragile("two"))
    server.reload()
    for _ in range(1000):
        peer.text("well")
    for _ in range(1000):
        assert peer.message() == "two well"
    for _ in range(10):  # 1 %
        assert says(peer, "fail") == "two failed"
    assert server.code()["version"] == 2
    for _ in range(15):  # 2.4 %
        assert says(peer, "fail") in ("two failed", "one failed")
    server.wait_log("version 2 is rolled back by itself")
    wait_until(lambda: server.serving() == {1})
    assert says(peer) == "one ?"


def test_wait_is_answered_when_it_is_stable_or_rolled_back(app, workers):
    server = app(fragile("one"), workers=workers, settings=config(watch="1 s"))
    peers = server.open_on_each()
    server.write("app.lua", fragile("two"))
    answer = server.reload(wait=True)
    assert (answer["version"], answer["state"]) == (2, "stable")
    assert server.code()["state"] == "stable"
    server.write("app.lua", bad("three"))
    question = server.begin("reload", wait=True)
    wait_until(lambda: server.serving() == {3})
    for n in range(5):
        peers[n % workers].text("?")
    answer = question.answer()
    check_refusal(answer, "watch", answer["serving"])
    assert "version 3 does not serve any more" in answer["error"]["message"]
    wait_until(lambda: server.serving() == {2})


def test_version_that_was_rolled_back_is_not_taken_by_the_watcher_again(tmp_path):
    app = write_app(tmp_path / "app", fragile("one"))
    with Dev(app) as running:
        running.wait_up()
        write_app(tmp_path / "app", bad("two"))
        running.wait_out("^reloaded app.lua in ")
        peer = running.open()
        for _ in range(5):
            assert says(peer) == "two failed"
        running.wait_err("version 2 was rolled back")
        os.utime(app)
        running.wait_err("only by hand it is taken again")
        assert says(running.open()) == "one ?"
        write_app(tmp_path / "app", fragile("three"))
        running.wait_out("^reloaded app.lua in ", 2)
        assert says(running.open()) == "three ?"


# --- canary ----------------------------------------------------------------------------------------

def by_version(peers):
    """How many connections each version serves."""
    count = {}
    for peer in peers:
        word = says(peer).split()[0]
        count[word] = count.get(word, 0) + 1
    return count


def test_canary_that_is_healthy_serves_all(app, workers):
    server = app(fragile("one"), workers=workers, settings=config(watch="500 ms"))
    peers = [server.open() for _ in range(20)]
    server.write("app.lua", fragile("two"))
    assert server.reload(canary=25)["state"] == "canary"
    wait_until(lambda: server.code()["state"] == "stable")
    assert (server.code()["version"], by_version(peers)) == (2, {"two": 20})
    server.write("app.lua", fragile("three"))
    answer = server.reload(canary=25, wait=True)
    assert (answer["version"], answer["state"]) == (3, "stable")
    assert (server.code()["version"], by_version(peers)) == (3, {"three": 20})


def test_canary_serves_its_share(app, workers):
    """The same connections as long as it lasts."""
    server = app(fragile("one"), workers=workers)
    peers = [server.open() for _ in range(200)]
    server.write("app.lua", fragile("two"))
    assert server.reload(canary=25)["state"] == "canary"
    code = server.code()
    assert (code["version"], code["canary"], code["share"], code["state"]) == (1, 2, 25, "canary")
    assert server.versions()[2]["state"] == "canary"
    first = [says(peer) for peer in peers]
    assert set(first) == {"one ?", "two ?"} and 20 <= first.count("two ?") <= 85, first.count("two ?")
    for _ in range(5):
        assert [says(peer) for peer in peers] == first
    for worker in range(workers):
        roles = {v: g["role"] for v, g in server.generations(worker).items()}
        assert roles == {1: "current", 2: "canary"}
    # the same once more, for all of them
    answer = server.reload()
    assert (answer["version"], answer["unchanged"]) == (2, False)
    assert by_version(peers) == {"two": 200}


def test_canary_that_fails_is_rolled_back(app, workers):
    server = app(fragile("one"), workers=workers)
    peers = [server.open() for _ in range(40)]
    assert by_version(peers) == {"one": 40}
    server.write("app.lua", bad("two"))
    server.reload(canary=50)
    said = [says(peer) for peer in peers]  # the rollback may come in the midst of this
    assert set(said) == {"one ?", "two failed"} and said.count("two failed") >= 5
    server.wait_log("version 2 is rolled back by itself")
    wait_until(lambda: server.code()["state"] == "stable")
    assert by_version(peers) == {"one": 40} and server.versions()[2]["state"] == "rolled back"


def test_canary_is_taken_back_by_hand_and_by_another_reload(app):
    server = app(fragile("one"))
    peers = [server.open() for _ in range(40)]
    server.write("app.lua", fragile("two"))
    server.reload(canary=50)
    assert len(by_version(peers)) == 2
    assert server.rollback()["version"] == 1
    assert by_version(peers) == {"one": 40}
    server.write("app.lua", fragile("three"))
    server.reload(canary=50)
    server.write("app.lua", fragile("four"))
    server.reload()
    assert by_version(peers) == {"four": 40}


def test_canary_needs_the_same_state_version(app):
    source = "return tidewire.app { routes = { ['/'] = { message = print } }, state_version = FORM, " \
             "migrate = function(old) return old end }"
    server = app(source.replace("FORM", "1"))
    server.write("app.lua", source.replace("FORM", "2"))
    answer = server.ask("reload", canary=10)
    assert answer["ok"] is False and server.serving() == {1}
    assert "state_version 1" in answer["error"]["message"] and "has 2" in answer["error"]["message"]
    assert server.reload()["version"] == 2


def test_worker_that_comes_back_takes_part_in_the_canary(app, workers):
    server = app(fragile("one"), workers=workers)
    server.write("app.lua", fragile("two"))
    server.reload(canary=50)
    os.kill(server.status()["workers"][-1]["pid"], signal.SIGKILL)
    server.wait_log(r"was ended by signal 9")
    server.wait_workers()
    wait_until(lambda: all(server.generations(i).get(2, {}).get("role") == "canary" for i in range(workers)))
    peers = [server.open() for _ in range(60)]
    assert len(by_version(peers)) == 2


# --- rollback --------------------------------------------------------------------------------------

def test_rollback_with_the_files_deleted(app, workers):
    server = app("return { message = require('chat').message }", {"chat.lua": echo("one")}, workers=workers)
    peers = server.open_on_each()
    for word in "two", "three":
        server.write("chat.lua", echo(word))
        server.reload()
    for name in "app.lua", "chat.lua":
        (server.folder / name).unlink()
    answer = server.rollback()
    assert (answer["version"], answer["previous"]) == (2, 3)
    assert [says(peer) for peer in peers] == ["two ?"] * workers
    answer = server.rollback(to=1)
    assert (answer["version"], answer["previous"]) == (1, 2)
    assert [says(peer) for peer in peers] == ["one ?"] * workers
    answer = server.rollback(to=3)
    assert [says(peer) for peer in peers] == ["three ?"] * workers, "forward as well"
    for pid in [w["pid"] for w in server.status()["workers"]]:
        os.kill(pid, signal.SIGKILL)
    server.wait_log("was ended by signal 9", count=workers)
    server.wait_workers()
    assert says(server.open()) == "three ?", "and whoever starts now has it too"


def test_rollback_to_what_is_not_there(app):
    server = app(echo("one"))
    assert "no version before 1" in server.refused("rollback", "rollback")["error"]["message"]
    assert "version 1 serves already" in server.refused("rollback", "rollback", to=1)["error"]["message"]
    assert "version 9 is not known" in server.refused("rollback", "rollback", to=9)["error"]["message"]
    status, out, err = server.cli("rollback")
    assert (status, out) == (1, "") and "no version before 1" in err and "still serving version 1" in err


def test_versions_and_their_differences(app):
    server = app("return { message = require('chat').message }", {"chat.lua": "local a = 1\n" + echo("one")})
    for n in range(2, 14):
        server.write("chat.lua", f"local a = {n}\n" + echo(f"v{n}"))
        server.reload()
    versions = server.versions()
    assert [v for v, told in versions.items() if told["state"] == "current"] == [13]
    assert [v for v, told in versions.items() if told["state"] == "previous"] == [12]
    assert [v for v, told in versions.items() if told["state"] == "old"] == [1, 2, 3], "ten bundles are kept"
    answer = server.ask("versions", diff=[12, 13])
    file, = answer["files"]
    assert (file["path"], file["change"]) == ("chat.lua", "changed")
    assert "-local a = 12\n+local a = 13\n" in file["diff"]
    assert "no longer kept" in server.refused("rollback", "rollback", to=3)["error"]["message"]
    server.rollback(to=4)
    assert says(server.open()) == "v4 ?"
    status, out, _ = server.cli("versions", "--json")
    assert status == 0 and json.loads(out)["current"] == 4
    status, out, _ = server.cli("versions", "--diff", "12", "13")
    assert status == 0 and "-local a = 12\n+local a = 13\n" in out


# --- requests that meet ----------------------------------------------------------------------------

def test_concurrent_reload_and_rollback(app, workers):
    """They are done one after the other, each is answered, and all workers end with the same version."""
    server = app(echo("one"), workers=workers)
    peers = server.open_on_each()
    server.write("app.lua", echo("two"))
    server.reload()
    for n in range(3, 8):
        server.write("app.lua", echo(f"v{n}"))
        questions = [server.begin(*request) for request in
                     (("reload",), ("rollback",), ("reload",), ("rollback",), ("status",), ("versions",))]
        answers = [question.answer() for question in questions]
        assert all(answer["v"] == 1 for answer in answers)
        assert answers[0]["ok"] and answers[4]["ok"] and answers[5]["ok"]
        serving, = server.serving()
        assert server.code()["version"] == serving
        said = {says(peer) for peer in peers}
        assert len(said) == 1, said
        server.reload()
        assert {says(peer) for peer in peers} == {f"v{n} ?"}


def test_many_who_ask_at_once(app):
    server = app(echo("one"))
    server.write("app.lua", echo("two"))
    questions = [server.begin("reload") for _ in range(12)]
    answers = [question.answer() for question in questions]
    assert [answer["version"] for answer in answers] == [2] * 12
    assert sum(not answer["unchanged"] for answer in answers) == 1
    for fields in {"canary": 0}, {"canary": 100}, {"canary": "10"}, {"dry_run": 1}, {"wait": "yes"}, {"force": []}:
        answer = server.ask("reload", **fields)
        assert answer["ok"] is False and answer["error"]["code"] == "request"
    for fields in {"to": 0}, {"to": "1"}, {"to": -1}:
        assert server.ask("rollback", **fields)["error"]["code"] == "request"


def test_asker_who_goes_away(app):
    server = app(echo("one"))
    peer = server.open()
    server.write("app.lua", echo("two"))
    server.begin("reload").peer.sock.close()
    wait_until(lambda: server.serving() == {2})
    assert says(peer) == "two ?"


def test_app_folder_that_is_moved_away_and_replaced(app):
    """As a deployment does it: the folder is another one, under the same name."""
    server = app(echo("one"))
    peer = server.open()
    other = server.folder.parent / "other"
    shutil.copytree(server.folder, other, ignore=shutil.ignore_patterns("*.sock"))
    write_app(other, echo("two"))
    control = server.folder / ".tidewire.sock"
    os.rename(control, other / ".tidewire.sock")
    os.rename(server.folder, server.folder.parent / "away")
    os.rename(other, server.folder)
    server.reload()
    assert says(peer) == "two ?"


@pytest.mark.parametrize("command", [("reload",), ("reload", "--wait"), ("rollback",), ("versions",), ("status",)])
def test_commands_without_an_app(tmp_path, command):
    write_app(tmp_path / "app", echo("one"))
    status, out, err = run_command(*command, tmp_path / "app")
    assert (status, out) == (1, "") and "is the app running?" in err
