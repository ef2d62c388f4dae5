"""An answer belongs to one request: given late, twice or by another task, it reaches no other."""

from peer import TEXT, request

APP = """
return tidewire.app { routes = {
    ["/late"] = function(req)
        tidewire.spawn(function() tidewire.sleep(0.05) note("late", pcall(req.respond, req, 200, {}, "late")) end)
        error("raised")
    end,
    ["/self"] = function(req) req:respond(200, {}, "self") return "again" end,
    ["/self-and-wait"] = function(req) req:respond(200, {}, "self") tidewire.sleep(0.05) note("waited") return "again" end,
    ["/task"] = function(req)
        tidewire.spawn(function() tidewire.sleep(0.01) note("task", req:respond(200, {}, "task")) end)
        tidewire.sleep(0.05)
        error("raised after the answer")
    end,
    ["/slow"] = function(req) tidewire.sleep(0.2) return "slow" end,
    ["/ws"] = {
        upgrade = function(req)
            tidewire.spawn(function() tidewire.sleep(0.02) note("upgrade", req:respond(200, {}, "late")) end)
        end,
        message = function(ws, data) ws:send(data) end,
    },
} }
"""


def test_late_answer_is_not_that_of_the_next_request(live):
    server = live(APP)
    peer = server.peer()
    peer.send(request("/late") + request("/slow") + request("/slow"))
    assert [peer.answer()[::2] for _ in range(3)] == [(500, b"internal error\n"), (200, b"slow"), (200, b"slow")]
    assert server.finish() == ["late|true|false"]


def test_endpoint_that_ends_after_its_answer(live):
    server = live(APP)
    for path, body in (("/self", b"self"), ("/self-and-wait", b"self"), ("/task", b"task")):
        peer = server.peer()
        peer.send(request(path) + request("/slow"))
        assert [peer.answer()[::2] for _ in range(2)] == [(200, body), (200, b"slow")], path
    assert server.finish() == ["waited", "task|true"]


def test_answer_after_the_upgrade(live):
    server = live(APP)
    peer = server.open("/ws")
    server.wait_notes("upgrade|false")
    peer.text("x")
    assert peer.frame()[1:] == (TEXT, b"x")
    peer.end()
