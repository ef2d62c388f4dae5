"""What is carried from version to version, what is refused, classes, and migrations."""

import pytest
from peer import CLOSE
from reloading import check_refusal, config, full, says

# --- what a state may hold -------------------------------------------------------------------------

KEEPER = """
local Room = { __index = {} }
function Room.__index.name(room) return "VERSION " .. tostring(room) end
local function other() end
local handler = {
    message = function(ws, data)
        local app = ws.app
        if data == "plain" then
            local shared = { n = 1 }
            app.state.list = { shared, shared, self = app.state, ws = ws, [true] = 1.5 }
            ws.state = { me = ws, list = app.state.list }
        elseif data == "room" then
            app.state.rooms = { lobby = setmetatable({}, Room) }
        elseif data == "function" then
            ws.state = { on = { done = other } }
        elseif data == "coroutine" then
            app.state["a b"] = { coroutine.create(other) }
        elseif data == "file" then
            ws.state = { log = io.stderr }
        elseif data == "clear" then
            ws.state, app.state = nil, {}
        elseif data == "look" then
            local l = app.state.list
            ws:send(tostring(l[1] == l[2] and l.self == app.state and l.ws == ws and ws.state.list == l))
            return
        end
        ws:send("VERSION " .. data)
    end,
}
return tidewire.app { routes = { ["/talk/:room"] = handler } }
"""


def keeper(version):
    return KEEPER.replace("VERSION", version)


@pytest.mark.parametrize("what, message", [
    ("room", "app.state.rooms.lobby: a metatable of version 1, not of a class (tidewire.class)"),
    ("function", "ws.state.on.done: a function"),
    ("coroutine", 'app.state["a b"][1]: a coroutine'),
    ("file", "ws.state.log: a file"),
])
def test_foreign_metatable_in_state_refused_with_its_path(app, workers, what, message):
    server = app(keeper("one"), workers=workers)
    peers = server.open_on_each("/talk/1")
    guilty = peers[-1]  # one worker is enough
    assert says(guilty, what) == f"one {what}"
    server.write("app.lua", keeper("two"))
    answer = server.refused("state")
    assert answer["error"]["message"] == message and answer["worker"] == workers - 1
    assert "state is plain data" in answer["text"]
    assert ("/talk/:room" in answer["text"]) == message.startswith("ws.state"), "which connection it is"
    assert [says(peer) for peer in peers] == ["one ?"] * workers
    assert says(guilty, "clear") == "one clear"
    server.reload()
    assert [says(peer) for peer in peers] == ["two ?"] * workers


def test_plain_state_is_carried_by_reference(app, workers):
    server = app(keeper("one"), workers=workers)
    peers = server.open_on_each("/talk/1")
    assert [says(peer, "plain") for peer in peers] == ["one plain"] * workers
    server.write("app.lua", keeper("two"))
    server.reload()
    assert [says(peer, "look") for peer in peers] == ["true"] * workers, "shared and cyclic as before"
    server.rollback()
    assert [says(peer, "look") for peer in peers] == ["true"] * workers


# --- classes ---------------------------------------------------------------------------------------

CLASSES = """
local Base = tidewire.class "Base"
function Base:who() return "VERSION base of " .. self.name end
local Room = tidewire.class("Room", Base)
function Room:greet(name) self.count = self.count + 1 return ("VERSION %s %s %d"):format(self.name, name, self.count) end
Room.__len = function(room) return room.count end
Room.__tostring = function(room) return "VERSION room " .. room.name end
MORE
return {
    open = function(ws) ws.app.state.room = ws.app.state.room or Room { name = "lobby", count = 0 } end,
    message = function(ws, data)
        local room = ws.app.state.room
        if data == "add" then
            ws:send(room:added())
        elseif data == "look" then
            ws:send(("%s, %s, %d, %s"):format(room, room:who(), #room, getmetatable(room) == Room))
        else
            ws:send(room:greet(data))
        end
    end,
}
"""
ADDED = "function Room:added() return 'added' end"


def classes(version, more=""):
    return CLASSES.replace("VERSION", version).replace("MORE", more)


def test_declared_class_repoints_and_back_on_rollback(app, workers):
    server = app(classes("one"), workers=workers)
    peers = server.open_on_each()
    assert [says(peer, "Ada") for peer in peers] == ["one lobby Ada 1"] * workers
    server.write("app.lua", classes("two", ADDED))
    server.reload()
    for peer in peers:
        assert says(peer, "look") == "two room lobby, two base of lobby, 1, true"
        assert says(peer, "Bob") == "two lobby Bob 2" and says(peer, "add") == "added"
    server.rollback()
    for peer in peers:
        assert says(peer, "look") == "one room lobby, one base of lobby, 2, true"
        assert says(peer, "Eve") == "one lobby Eve 3"
    answer = server.reload()
    assert answer["version"] == 3, "by hand what was given up may be taken again"
    assert [says(peer, "add") for peer in peers] == ["added"] * workers
    # a version without the class cannot take its objects
    server.write("app.lua", "return { message = print }")
    answer = server.refused("state")
    assert answer["error"]["message"].startswith('app.state.room: an object of the class "Room"')
    assert [says(peer, "Mia") for peer in peers] == ["two lobby Mia 4"] * workers


def test_versions_that_were_refused_leave_classes_alone(app):
    server = app(classes("one"))
    peer = server.open()
    own = "assert(tostring(Room { name = 'x', count = 0 }) == 'two room x')"  # its own objects are its own while it loads
    server.write("app.lua", classes("two", own + " error 'no'"))
    server.refused("load")
    server.write("app.lua", classes("three").replace("return {", "return { mesage = 1,"))
    server.refused("contract")
    assert says(peer, "look") == "one room lobby, one base of lobby, 0, true"


# --- migration -------------------------------------------------------------------------------------

# app.state: { trail, count }; ws.state: { trail, count }. The trail tells which migrations it has come through.
COUNTER = """
local note, gate = require "note", require "gate"
local handler = {
    upgrade = function() return { trail = "VERSION", count = 0 } end,
    message = function(ws, data)
        if data == "wait" then
            note("VERSION waits")
            gate(ws.app, "gate")
        end
        local app, own = ws.app, ws.state
        app.state.trail, app.state.count = app.state.trail or "VERSION", (app.state.count or 0) + 1
        own.count = own.count + 1
        if data == "who" then note("who", app.state_version) end
        ws:send(("VERSION %s: %s %d, %s %d"):format(data, app.state.trail, app.state.count, own.trail, own.count))
    end,
    close = function() note("VERSION closed") end,
}
local function migrate(old, from)
    return { trail = ("%s %d>FORM"):format(old.trail or "-", from), count = old.count or 0 }
end
handler.migrate = migrate
local manifest = { routes = { ["/"] = handler }, state_version = FORM, migrate = migrate }
MORE
return tidewire.app(manifest)
"""


def counter(version, form, more=""):
    return COUNTER.replace("VERSION", version).replace("FORM", str(form)).replace("MORE", more)


def test_migration_and_rollback(app, workers):
    """Both states come through, the held calls too; a rollback while the version is watched puts the old ones back."""
    server = app(counter("one", 1), workers=workers)
    peers, idle = server.open_on_each(), server.open_on_each()
    assert [says(peer, "a") for peer in peers] == ["one a: one 1, one 1"] * workers
    server.write("app.lua", counter("two", 2))
    answer = server.reload()
    assert {"compile", "load", "contract", "state", "dry_run", "barrier", "migrate"} <= set(answer["phases"])
    assert [says(peer, "b") for peer in peers] == ["two b: one 1>2 2, one 1>2 2"] * workers
    assert [says(peer, "c") for peer in peers] == ["two c: one 1>2 3, one 1>2 3"] * workers
    assert server.rollback()["version"] == 1
    assert [says(peer, "d") for peer in peers] == ["one d: one 2, one 2"] * workers, "as it was when it was replaced"
    assert [says(peer, "e") for peer in idle] == ["one e: one 3, one 1"] * workers


DOWN = """
local function downgrade(state, to)
    return { trail = ("%s FORM<%d"):format(state.trail, to), count = state.count }
end
manifest.downgrade, handler.downgrade = downgrade, downgrade
"""


def test_downgrade_serves_changed_state(app, workers):
    server = app(counter("one", 1), workers=workers)
    peers = server.open_on_each()
    assert [says(peer, "a") for peer in peers] == ["one a: one 1, one 1"] * workers
    server.write("app.lua", counter("two", 2, DOWN.replace("FORM", "2")))
    server.reload()
    assert [says(peer, "b") for peer in peers] == ["two b: one 1>2 2, one 1>2 2"] * workers
    server.rollback()
    assert [says(peer, "c") for peer in peers] == ["one c: one 1>2 2<1 3, one 1>2 2<1 3"] * workers


def test_migration_that_raises_in_the_dry_run(app, workers):
    server = app(counter("one", 1), workers=workers)
    peers = server.open_on_each()
    assert [says(peer, "a") for peer in peers] == ["one a: one 1, one 1"] * workers
    for field in "manifest", "handler":
        server.write("app.lua", counter("two", 2, f"{field}.migrate = function(old)\n    return old.no.where\nend"))
        answer = server.refused("dry_run")
        assert answer["file"] == str(server.folder / "app.lua") and f"> {answer['line']} | " in answer["text"]
        assert "attempt to index a nil value (field 'no')" in answer["error"]["message"]
    server.write("app.lua", counter("two", 2, "manifest.migrate = function(old) end"))
    assert "migrate returned nothing" in server.refused("dry_run")["error"]["message"]
    server.write("app.lua", counter("two", 2, "manifest.migrate = nil handler.migrate = nil"))
    assert "nothing migrates app.state" in server.refused("state")["error"]["message"]
    assert [says(peer, "b") for peer in peers] == ["one b: one 2, one 2"] * workers


def test_migration_that_raises_at_the_barrier_on_one_of_four_workers(app, workers):
    """All stay with the old version, the others too, which have migrated already; what was held goes on."""
    more = """
    local runs = 0
    manifest.migrate = function(old, from)
        runs = runs + 1
        if runs == 2 and old.count == 2 then error "only in earnest" end
        return migrate(old, from)
    end
    """
    server = app(counter("one", 1), workers=workers)
    peers = server.open_on_each()
    assert [says(peer, "a") for peer in peers] == ["one a: one 1, one 1"] * workers
    assert says(peers[-1], "b") == "one b: one 2, one 2"  # the state of this worker alone will not do
    server.write("app.lua", counter("two", 2, more))
    answer = server.refused("migrate")
    assert answer["worker"] == workers - 1 and "only in earnest" in answer["error"]["message"]
    for peer in peers[:-1]:
        assert says(peer, "c") == "one c: one 2, one 2"
    assert says(peers[-1], "c") == "one c: one 3, one 3"
    assert server.serving() == {1}
    server.write("app.lua", counter("three", 2))
    assert server.reload()["version"] == 2, "a number is used up by what serves"
    assert says(peers[-1], "d") == "three d: one 1>2 4, one 1>2 4"


def test_migration_that_changes_its_input(app, workers):
    server = app(counter("one", 1), workers=workers)
    peers = server.open_on_each()
    assert [says(peer, "a") for peer in peers] == ["one a: one 1, one 1"] * workers
    for field, path in ("manifest", "app.state.count"), ("handler", "ws.state.count"):
        server.write("app.lua", counter("two", 2, f"""
        {field}.migrate = function(old)
            old.count = old.count + 1
            return {{ trail = old.trail, count = old.count }}
        end"""))
        answer = server.refused("dry_run")
        assert f"has changed what it was given, at {path}" in answer["error"]["message"]
    assert [says(peer, "b") for peer in peers] == ["one b: one 2, one 2"] * workers


def test_migration_to_what_is_no_plain_data(app):
    server = app(counter("one", 1))
    peer = server.open()
    assert says(peer, "a") == "one a: one 1, one 1"
    server.write("app.lua", counter("two", 2, "manifest.migrate = function(old) return { on = { print } } end"))
    assert server.refused("dry_run")["error"]["message"] == "app.state.on[1]: a function"
    assert says(peer, "b") == "one b: one 2, one 2"


def test_idle_connection_goes_from_v1_to_v4(app, workers):
    """Its state is migrated once, at its next event, by the version that serves then."""
    server = app(counter("one", 1), workers=workers)
    idle, busy = server.open_on_each(), server.open_on_each()
    assert [says(peer, "a") for peer in busy] == ["one a: one 1, one 1"] * workers
    trail = "one"
    for form, word in (2, "two"), (3, "three"), (4, "four"):
        server.write("app.lua", counter(word, form))
        server.reload()
        trail += f" {form - 1}>{form}"
        assert [says(peer, "b") for peer in busy] == [f"{word} b: {trail} {form}, {trail} {form}"] * workers
    assert [says(peer, "c") for peer in idle] == [f"four c: {trail} 5, one 1>4 1"] * workers
    assert set(server.generations()) == {3, 4}, "no connection keeps the versions in between alive"


def test_connection_whose_migration_raises_is_kept_and_the_version_rolled_back(app, workers):
    """The message that came waits, and the version before answers it."""
    server = app(counter("one", 1), workers=workers)
    peers = server.open_on_each()
    assert [says(peer, "a") for peer in peers] == ["one a: one 1, one 1"] * workers
    server.write("app.lua", counter("two", 2, """
    handler.migrate = function(old, from)
        if io.open(PATH) then error "in earnest only" end
        return migrate(old, from)
    end
    """.replace("PATH", f"'{server.folder}/bad'")))
    assert server.reload()["version"] == 2
    if workers > 1:
        assert says(peers[0], "b") == "two b: one 1>2 2, one 1>2 2"
    server.open_gate("bad")
    assert says(peers[-1], "b") == "one b: one 2, one 2"
    server.wait_log("version 2 is rolled back by itself: 1 connection could not be migrated")
    assert server.serving() == {1} and server.versions()[2]["state"] == "rolled back"
    assert "could not be migrated" in server.versions()[2]["reason"]
    assert [says(peer, "c") for peer in peers] == [
        "one c: one 2, one 2" if peer is not peers[-1] else "one c: one 3, one 3" for peer in peers]
    server.wait_log("in earnest only")


# --- the barrier -----------------------------------------------------------------------------------

def test_barrier_times_out(app, workers):
    """It names what blocks; what was held goes on in the old version, and reading too."""
    server = app(counter("one", 1), workers=workers, settings=config(grace="1 s"))
    peers = server.open_on_each()
    blocking = server.open_on_each()[-1]
    blocking.text("wait")
    server.wait_notes("one waits")
    server.write("app.lua", counter("two", 2))
    question = server.begin("reload")
    for n in range(20):
        for peer in peers:
            peer.text(f"held {n}")
    answer = question.answer()
    check_refusal(answer, "barrier", 1)
    assert answer["worker"] == workers - 1
    assert "has not ended within 1 s" in answer["error"]["message"]
    assert "message of /" in answer["text"] and "gate.lua:" in answer["text"], answer["text"]
    for peer in peers:
        for n in range(20):
            assert peer.message().startswith(f"one held {n}: one {n + 1}, ")
    assert server.serving() == {1} and list(server.generations()) == [1]
    server.open_gate()
    assert blocking.message().startswith("one wait: ")
    assert server.reload()["version"] == 2
    assert says(blocking, "b").startswith("two b: one 1>2 ")


def test_calls_that_are_held_at_a_barrier(app, workers):
    """They wait, in order, are counted, and are the new version's; new connections and requests wait as well."""
    server = app(counter("one", 1), workers=workers)
    peers, probes, blocking = (server.open_on_each() for _ in range(3))
    for peer in blocking:
        peer.text("wait")
    server.wait_notes(*["one waits"] * workers)
    server.write("app.lua", counter("two", 2))
    question = server.begin("reload")
    server.wait_held(probes)
    for n in range(10):
        for peer in peers:
            peer.text(f"held {n}")
    for peer in blocking:
        peer.text("behind it")
    server.open_gate()
    answer = question.answer()
    assert answer["ok"] and answer["version"] == 2 and answer["held"] >= 2 * workers
    for peer in probes:
        assert peer.message().startswith("two probe: one 1>2 ")
    for peer in blocking:
        assert peer.message().startswith("one wait: ")
        assert peer.message().startswith("two behind it: one 1>2 ")
    for peer in peers:
        for n in range(10):
            word, _, _, rest = peer.message().split(" ", 3)
            assert word == "two" and rest.endswith(f"one 1>2 {n + 1}"), rest
    assert server.finish().count("two closed") == 3 * workers


@pytest.mark.parametrize("outcome", ["commit", "timeout"])
@pytest.mark.parametrize("how", ["close frame", "end of TCP", "reset"])
def test_close_during_the_barrier(app, workers, outcome, how):
    """`close` runs once, in the version that comes out of it."""
    server = app(counter("one", 1), workers=workers, settings=config(grace="1 s" if outcome == "timeout" else "20 s"))
    peers, probes = server.open_on_each(), server.open_on_each()
    blocking = server.open_on_each()[0]
    blocking.text("wait")
    server.wait_notes("one waits")
    server.write("app.lua", counter("two", 2))
    question = server.begin("reload")
    server.wait_held(probes)
    for peer in peers:
        if how == "close frame":
            peer.close(1000)
        elif how == "end of TCP":
            peer.sock.close()
        else:
            peer.reset()
    if outcome == "commit":
        server.open_gate()
    assert question.answer()["ok"] == (outcome == "commit")
    word = "two" if outcome == "commit" else "one"
    server.wait_notes(*[f"{word} closed"] * workers)
    if how == "close frame":
        assert [peer.frame().opcode for peer in peers] == [CLOSE] * workers
    server.open_gate()
    assert blocking.message().startswith("one wait: ")
    closed = [note for note in server.finish() if note.endswith(" closed")]
    assert len(closed) == len(server.peers), "once each"
    assert closed.count("one closed") == (server.spare if outcome == "commit" else len(closed)), closed


def test_barrier_of_10000_connections_states(app):
    """In the everyday suite 300. None is lost; a migration that fails leaves all as they were."""
    size = 10000 if full() else 300
    server = app(counter("one", 1), workers=4)
    peers = [server.open() for _ in range(size)]
    for n, peer in enumerate(peers):
        if n % 2:
            peer.text("a")
    for peer in peers[1::2]:
        assert peer.message().startswith("one a: ")
    server.write("app.lua", counter("two", 2, "manifest.migrate = function() error 'no' end"))
    server.refused("dry_run")
    server.write("app.lua", counter("two", 2))
    answer = server.reload()
    assert answer["connections"] == size
    print(f"the pause of {size} connections' migration: {answer['pause'] * 1000:.1f} ms")
    for peer in peers:
        peer.text("b")
    for n, peer in enumerate(peers):
        said = peer.message()
        assert said.startswith("two b: ") and said.endswith(f", one 1>2 {2 if n % 2 else 1}"), said
