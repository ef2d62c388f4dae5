"""Old versions: what keeps them alive, what they see, and how they go. Timers, routes, clients."""

import signal

import pytest
from live import wait_until
from peer import Lost
from reloading import check_refusal, config, echo, says

# --- timers ----------------------------------------------------------------------------------------

TICKS = """
local note = require "note"
local handler = {
    open = function(ws) ws:subscribe "ticks" end,
    message = function(ws, data)
        if data == "reference" then ws:every(0.01, "reference") end
        if data == "own" then ws:every(0.01, "tick") end
        ws:send("VERSION " .. data)
    end,
    reference = function(ws) ws:send "reference" end,
    tick = function(ws) ws:send "VERSION own tick" end,
}
return tidewire.app {
    routes = { ["/"] = handler },
    timers = { TIMERS },
    start = function(app) note("VERSION starts") end,
    stop = function(app) note("VERSION stops") end,
}
"""
SWEEP = 'sweep = { every = 0.01, run = function() tidewire.publish("ticks", "VERSION tick") end },'


def ticks(version, timers=SWEEP):
    return TICKS.replace("TIMERS", timers).replace("VERSION", str(version))


def skip_to(peer, wanted):
    """Reads up to this message."""
    while peer.message() != wanted:
        pass


def test_repeating_timer_has_one_instance_and_new_code_after_50_reloads(app, workers):
    """Beside a timer of the same length that no reload has touched it fires as often, and only ever in the newest
    version; so do the timers of connections."""
    server = app(ticks(1), workers=workers)
    peers, own = server.open_on_each(), server.open_on_each()
    for peer in own:
        peer.text("own")
        skip_to(peer, "1 own tick")
    for version in range(2, 52):
        server.write("app.lua", ticks(version))
        assert server.reload()["version"] == version
    for peer in peers + own:
        peer.text("reference")
    for peer in peers:
        skip_to(peer, "51 reference")
        heard = [peer.message() for _ in range(100)]
        assert set(heard) == {"51 tick", "reference"}, set(heard)
        assert 33 <= heard.count("51 tick") <= 66, "about every other one"
    for peer in own:
        skip_to(peer, "51 reference")
        heard = [peer.message() for _ in range(150)]
        assert set(heard) == {"51 tick", "51 own tick", "reference"}, set(heard)
        assert 33 <= heard.count("51 own tick") <= 66, "about every third one"
    notes = server.finish()
    assert notes.count("1 starts") == workers and notes.count("51 stops") == workers
    assert sum(note.endswith(("starts", "stops")) for note in notes) == 2 * workers


def test_timers_that_change_come_and_go(app):
    server = app(ticks(1))
    peer = server.open()
    skip_to(peer, "1 tick")
    server.write("app.lua", ticks(2, """
    sweep = { every = "1 h", run = function() tidewire.publish("ticks", "hourly") end },
    other = { every = 0.01, run = function() tidewire.publish("ticks", "other") end },"""))
    server.reload()
    skip_to(peer, "other")
    assert {peer.message() for _ in range(50)} == {"other"}, "the one that changed starts anew with its new length"
    server.write("app.lua", ticks(3, ""))
    server.reload()
    assert says(peer, "first") is not None
    server.write("app.lua", ticks(4))
    server.reload()
    skip_to(peer, "4 tick")
    assert {peer.message() for _ in range(50)} == {"4 tick"}
    server.rollback(to=2)
    skip_to(peer, "other")


def test_timer_run_that_is_under_way(app):
    """It ends in its own version, and the next one is the newer one's: never two at once."""
    source = """
    local gate, note = require "gate", require "note"
    return tidewire.app {
        routes = { ["/"] = { message = function(ws, data) ws:send("VERSION " .. data) end } },
        timers = { slow = { every = 0.01, run = function(app)
            note "VERSION begins" gate(app, "VERSION") note "VERSION ends"
        end } },
    }
    """
    server = app(source.replace("VERSION", "one"))
    peer = server.open()
    server.wait_notes("one begins")
    server.write("app.lua", source.replace("VERSION", "two"))
    server.reload()
    assert says(peer, "hi") == "two hi" and "two begins" not in server.notes
    server.open_gate("one")
    server.wait_notes("one ends", "two begins")
    assert [n for n in server.notes if "one" in n or "two" in n] == ["one begins", "one ends", "two begins"]
    server.open_gate("two")


# --- what keeps a version alive --------------------------------------------------------------------

PINS = """
local gate, note = require "gate", require "note"
return {
    message = function(ws, data)
        if data == "wait" then
            note "VERSION waits"
            gate(ws.app, "gate")
        elseif data == "spawn" then
            tidewire.spawn(function() gate(ws.app, "gate") ws:send "VERSION spawned" end)
        elseif data == "after" then
            tidewire.after(3600, function() ws:send "VERSION after" end)
        elseif data == "late" then
            gate(ws.app, "gate")
            data = require "late" .. " " .. require(("computed"):lower())
        end
        ws:send("VERSION " .. data)
    end,
    close = function(ws, code) note("VERSION closed", code) end,
}
"""


def pins(version):
    return PINS.replace("VERSION", version)


LATE = {"late.lua": "return 'late one'\n", "computed.lua": "return 'computed one'\n"}
WORDS = ["one", "two", "three", "four", "five", "six"]


def test_too_many_generations(app, workers):
    """A fifth is refused with what keeps the others alive, until that ends."""
    server = app(pins("one"), LATE, workers=workers)
    peers = {}
    for n, word in enumerate(WORDS[:4]):
        if n:
            server.write("app.lua", pins(word))
            server.reload()
        peers[word] = server.open_on_each()
        for peer in peers[word]:
            peer.text("wait")
        server.wait_notes(*[f"{word} waits"] * workers)
    for worker in range(workers):
        generations = server.generations(worker)
        assert {v: g["role"] for v, g in generations.items()} == {1: "old", 2: "old", 3: "kept", 4: "current"}
        for version in 1, 2:
            pin, = generations[version]["pins"]
            assert (pin["kind"], generations[version]["pins_total"]) == ("handler", 1)
            assert "message of" in pin["what"] and "gate.lua:" in pin["where"] and pin["id"], pin
    server.write("app.lua", pins("five"))
    answer = server.refused("generations")
    assert "4 versions of the app are in use" in answer["error"]["message"]
    assert "version 1: " in answer["text"] and "version 2: " in answer["text"] and "gate.lua:" in answer["text"]
    assert "--force" in answer["text"]
    server.open_gate()
    for word, group in peers.items():
        assert [peer.message() for peer in group] == [f"{word} wait"] * workers
    assert server.reload()["version"] == 5
    assert [says(peer) for group in peers.values() for peer in group] == ["five ?"] * 4 * workers
    wait_until(lambda: all(set(server.generations(i)) == {4, 5} for i in range(workers)))


def fill_with_pins(server):
    """Four versions, the first pinned by handlers, the others by tasks and timers. Returns their connections."""
    groups = {"one": server.open_on_each()}
    for peer in groups["one"]:
        peer.text("wait")
    server.wait_notes(*["one waits"] * server.count)
    for word in WORDS[1:4]:
        server.write("app.lua", pins(word))
        server.reload()
        groups[word] = server.open_on_each()
        for peer in groups[word]:
            assert says(peer, "spawn") == f"{word} spawn" and says(peer, "after") == f"{word} after"
    return groups


def all_live(server, versions):
    return all(set(server.generations(i)) == versions for i in range(server.count))


def test_force_closes_what_pins_old_versions(app, workers):
    """The oldest one goes, and no other."""
    server = app(pins("one"), LATE, workers=workers)
    groups = fill_with_pins(server)
    server.write("app.lua", pins("five"))
    server.refused("generations")
    assert server.reload(force=True)["version"] == 5
    for peer in groups["one"]:
        assert peer.closing()[0] == 1012
        peer.close(1012)
        assert peer.rest() == b""
    wait_until(lambda: all_live(server, {2, 3, 4, 5}))
    server.write("app.lua", pins("six"))
    server.refused("generations")
    assert server.reload(force=True)["version"] == 6
    wait_until(lambda: all_live(server, {3, 4, 5, 6}))
    server.open_gate()
    for word in "three", "four":
        assert [peer.message() for peer in groups[word]] == [f"{word} spawned"] * workers
    for _ in range(2):
        assert [says(peer) for peer in groups["two"]] == ["six ?"] * workers, "its connections stay, its tasks are gone"
    notes = server.finish()
    assert len([note for note in notes if "|1012" in note]) == workers


def test_force_that_comes_to_nothing_closes_nothing(app, workers):
    """A version that is refused at any time before the commit has changed nothing, nor has a dry run."""
    server = app(pins("one"), LATE, workers=workers)
    groups = fill_with_pins(server)
    server.write("app.lua", pins("five"))
    server.reload(force=True, dry_run=True)
    server.write("app.lua", "local tidewire = require 'tidewire' return tidewire.app { routes = { ['/'] = { open = print"
                            " } }, state_version = 2, migrate = function() error 'no' end }")
    server.refused("dry_run", force=True)
    assert all_live(server, {1, 2, 3, 4})
    server.open_gate()
    assert [peer.message() for peer in groups["one"]] == ["one wait"] * workers
    for word in "two", "three", "four":
        assert [peer.message() for peer in groups[word]] == [f"{word} spawned"] * workers


def test_tasks_and_timers_pin_their_version(app):
    server = app(pins("one"), LATE)
    peer = server.open()
    assert says(peer, "spawn") == "one spawn" and says(peer, "after") == "one after"
    for word in "two", "three":
        server.write("app.lua", pins(word))
        server.reload()
    generation = server.generations()[1]
    assert generation["role"] == "old" and generation["pins_total"] == 2
    assert sorted(pin["kind"] for pin in generation["pins"]) == ["task", "timer"]
    status, out, _ = server.cli("status")
    assert status == 0 and "version 1  old" in out and "gate.lua:" in out
    server.open_gate()
    assert peer.message() == "one spawned"
    wait_until(lambda: server.generations()[1]["pins_total"] == 1)


def test_late_require_in_the_old_generation_gets_old_source(app, workers):
    """Also a module that no version has loaded yet, and also when its file is gone."""
    server = app(pins("one"), LATE, workers=workers)
    old, new = server.open_on_each(), server.open_on_each()
    for peer in old:
        peer.text("late")
    server.write("app.lua", pins("two"))
    server.write("late.lua", "return 'late two'\n")
    (server.folder / "computed.lua").write_text("return 'computed two'\n")
    server.reload()
    (server.folder / "late.lua").unlink()
    server.open_gate()
    assert [peer.message() for peer in old] == ["one late one computed one"] * workers
    assert [says(peer, "late") for peer in new] == ["two late two computed two"] * workers
    server.rollback()
    assert [says(peer, "late") for peer in old + new] == ["one late one computed one"] * 2 * workers


def test_module_that_is_in_no_bundle(app):
    source = """
    return {
        message = function(ws, data) ws:send("VERSION " .. tostring(select(2, pcall(require, data)))) end,
    }
    """
    server = app(source.replace("VERSION", "one"))
    peer = server.open()
    server.write("new.lua", "return 'new'\n")
    said = says(peer, "new")
    assert "version 1" in said and "new" in said and said != "one new", said
    server.reload()  # the name is computed, so all that lies there belongs to it
    assert says(peer, "new") == "one new"


# --- routes ----------------------------------------------------------------------------------------

def routes(version, *patterns):
    handler = f'{{ message = function(ws, data) ws:send("{version} " .. data) end }}'
    endpoint = f"function() return 200, '{version}' end"
    fields = ", ".join(f'["{p}"] = {endpoint if p == "/plain" else handler}' for p in patterns)
    return "return tidewire.app { routes = { " + fields + " } }"


def test_route_that_is_removed_and_comes_back(app, workers):
    server = app(routes("one", "/", "/gone/:x"), workers=workers)
    at_root, gone = server.open_on_each("/"), server.open_on_each("/gone/1")
    assert [says(peer) for peer in gone] == ["one ?"] * workers
    server.write("app.lua", routes("two", "/"))
    server.reload()
    assert [says(peer) for peer in at_root] == ["two ?"] * workers
    assert [says(peer) for peer in gone] == ["one ?"] * workers, "who is there is served on"
    assert server.peer().ask("/gone/1").status == 404
    server.write("app.lua", routes("three", "/"))
    server.reload()
    assert [says(peer) for peer in gone] == ["one ?"] * workers
    for worker in range(workers):
        generation = server.generations(worker)[1]
        assert generation["role"] == "old" and generation["connections"] == 1
        assert [pin["kind"] for pin in generation["pins"]] == ["connection"]
        assert "/gone/:x" in generation["pins"][0]["what"]
    server.write("app.lua", routes("four", "/", "/gone/:x"))
    server.reload()
    assert [says(peer) for peer in gone + at_root] == ["four ?"] * 2 * workers, "and taken over when it is back"
    for worker in range(workers):
        wait_until(lambda i=worker: set(server.generations(i)) == {3, 4})


def test_route_whose_connections_keep_it_alive_until_they_end(app):
    server = app(routes("one", "/", "/gone"))
    gone = server.open("/gone")
    for word in "two", "three":
        server.write("app.lua", routes(word, "/"))
        server.reload()
    assert says(gone) == "one ?" and set(server.generations()) == {1, 2, 3}
    gone.end()
    wait_until(lambda: set(server.generations()) == {2, 3})


def test_new_routes_endpoints_and_files(app):
    server = app(routes("one", "/"))
    assert server.peer().ask("/plain").status == 404
    server.write("app.lua", routes("two", "/", "/plain", "/new"))
    server.reload()
    peer = server.peer()
    assert peer.ask("/plain").body == b"two"
    assert says(server.open("/new")) == "two ?"
    server.write("app.lua", routes("three", "/", "/plain"))
    server.reload()
    assert peer.ask("/plain").body == b"three", "on the connection that is open already"
    server.rollback()
    assert peer.ask("/plain").body == b"two" and says(server.open("/new")) == "two ?"


# --- clients ---------------------------------------------------------------------------------------

CLIENT = """
local note = require "note"
local client = require "client"
local server = { message = function(ws, data) ws:send(data .. " back") end }
local front = {
    message = function(ws, data)
        local url = "ws://" .. ADDRESS .. "/server"
        if data == "module" then
            ws.app.state.client = assert(tidewire.connect(url, { handler = client }))
        elseif data == "own" then
            ws.app.state.client = assert(tidewire.connect(url, { handler = {
                message = function(_, said) note("VERSION own", said) end,
                close = function() note("VERSION own closed") end,
            } }))
        elseif data == "bare" then
            local peer = assert(tidewire.connect(url))
            tidewire.spawn(function()
                for said in peer:messages() do note("VERSION bare", said) end
            end)
            ws.app.state.client = peer
        else
            ws.app.state.client:send(data)
        end
        ws:send("VERSION " .. data)
    end,
}
return tidewire.app { routes = { ["/"] = front, ["/server"] = server } }
"""
CLIENT_MODULE = """
local note = require "note"
return {
    message = function(ws, data) note("VERSION client", data) end,
    close = function() note("VERSION client closed") end,
}
"""


def client(version):
    address = ('(function() local file <close> = assert(io.open(ws.app.root .. "/address")) return file:read "a" end)()')
    return {"app.lua": CLIENT.replace("VERSION", version).replace("ADDRESS", address),
            "client.lua": CLIENT_MODULE.replace("VERSION", version)}


@pytest.fixture
def dialling(app):
    """An app that dials itself: the test tells it its address in a file."""
    files = client("one")
    server = app(files.pop("app.lua"), files)
    (server.folder / "address").write_text(server.urls[0].removeprefix("ws://"))
    return server


def write_client(server, version):
    for name, text in client(version).items():
        server.write(name, text)
    server.reload()


def test_client_whose_handler_is_a_module_gets_the_new_one(dialling):
    server = dialling
    peer = server.open()
    assert says(peer, "module") == "one module" and says(peer, "hi") == "one hi"
    server.wait_notes("one client|hi back")
    for word in "two", "three":
        write_client(server, word)
        assert says(peer, "ho") == f"{word} ho"
        server.wait_notes(f"{word} client|ho back")
    assert set(server.generations()) == {2, 3}
    server.rollback()
    assert says(peer, "ha") == "two ha"
    server.wait_notes("two client|ha back")
    assert server.finish().count("two client closed") == 1


def test_client_with_a_handler_of_its_own_pins_its_version(dialling):
    server = dialling
    peer = server.open()
    assert says(peer, "own") == "one own" and says(peer, "hi") == "one hi"
    server.wait_notes("one own|hi back")
    for word in "two", "three":
        write_client(server, word)
        assert says(peer, "ho") == f"{word} ho"
    server.wait_notes(*["one own|ho back"] * 2)
    assert [pin["kind"] for pin in server.generations()[1]["pins"]] == ["client"]
    assert server.finish().count("one own closed") == 1


def test_client_without_a_handler_is_its_tasks(dialling):
    server = dialling
    peer = server.open()
    assert says(peer, "bare") == "one bare" and says(peer, "hi") == "one hi"
    server.wait_notes("one bare|hi back")
    write_client(server, "two")
    assert says(peer, "ho") == "two ho"
    server.wait_notes("one bare|ho back")


# --- signals ---------------------------------------------------------------------------------------

def test_hup_is_a_reload(app, workers):
    server = app(echo("one"), workers=workers)
    peers = server.open_on_each()
    server.write("app.lua", echo("two"))
    server.signal(signal.SIGHUP)
    server.wait_log(r" info  version 2 serves .*previous=1 .*connections=")
    assert [says(peer) for peer in peers] == ["two ?"] * workers
    server.write("app.lua", "return {")
    server.signal(signal.SIGHUP)
    server.wait_log(r" error .*the code stays as it is: .*app\.lua:\d+: .*; version 2 serves")
    server.write("app.lua", echo("two"))
    server.signal(signal.SIGHUP)
    server.wait_log("the code is unchanged: version 2 serves")
    assert [says(peer) for peer in peers] == ["two ?"] * workers


def test_log_tells_each_phase_and_what_came_of_it(app):
    server = app(echo("one"), args=["--log", "debug"])
    peer = server.open()
    server.write("app.lua", echo("two"))
    answer = server.reload()
    assert says(peer) == "two ?"
    assert {"read", "compile", "load", "contract", "state", "dry_run", "commit"} <= set(answer["phases"])
    for phase in answer["phases"]:
        server.wait_log(rf" debug version 2: {phase} took \d+\.\d+ s$")
    server.wait_log(r" info  version 2 serves previous=1 hash=[0-9a-f]{12} connections=1 held=0 pause=\S+ seconds=\S+$")
    assert 0 <= answer["pause"] <= answer["seconds"]


def test_stop_during_a_reload(app, workers):
    """It ends in order, and the one who asked is told."""
    source = pins("one").replace("return {", "return tidewire.app { routes = { ['/'] = {", 1) + "}, state_version = 1 }"
    server = app(source, LATE, workers=workers, settings=config(grace="60 s", drain="1"))
    probes = server.open_on_each()
    blocking = server.open()
    blocking.text("wait")
    server.wait_notes("one waits")
    server.write("app.lua", source.replace("state_version = 1", "state_version = 2"))
    question = server.begin("reload")
    server.wait_held(probes)
    server.signal(signal.SIGTERM)
    check_refusal(question.answer(), "stopping", 1)
    server.open_gate()
    assert server.wait_end() == 0
    for peer in probes:
        with pytest.raises(Lost):
            while True:
                peer.frame()
