"""Close, error, wait and more in every callback, each followed by every way in which the peer can end."""

import pytest
from peer import CLOSE, Lost, TEXT, TlsPeer, connect, frame, handshake

CALLBACKS = ["upgrade", "open", "message", "drain", "close", "error", "run", "tick", "task"]

ACTIONS = {
    "nothing": "",
    "close": "if ws then ws:close(4000, 'x') end",
    "close twice": "if ws then ws:close(4000, 'x') ws:close(4001) end",
    "raise": "error('raised')",
    "wait": "tidewire.sleep(0.005)",
    "close and wait": "if ws then ws:close(4000) end tidewire.sleep(0.005)",
    "wait and close": "tidewire.sleep(0.005) if ws then ws:close(4000) end",
    "wait and raise": "tidewire.sleep(0.005) error('raised')",
    "close and raise": "if ws then ws:close(4000) end error('raised')",
    "stray yield": "coroutine.yield()",
    "receive": "if ws then pcall(ws.receive, ws, 0.005) end",
    "use all": "if ws then use(ws) end",
}

# One app has a route for each action in each callback: /callback/action.
APP = """
local function use(ws)
    ws:send("used") ws:send("used", "binary") ws:ping("p") ws:pause() ws:resume()
    ws:subscribe("a/+") ws:publish("a/b", "published") ws:unsubscribe("a/+")
    ws:after(0.001, function(w) w:send("after") end)
    ws.state = { n = 1 }
    local _ = tostring(ws) .. ws.id .. ws.ready_state .. ws.buffered_amount
    tidewire.send(ws.id, "self")
    tidewire.publish("a/b", "published")
end
local actions = {
%s
}
local routes = {}
for name, act in pairs(actions) do
    for _, where in ipairs { "upgrade", "open", "message", "drain", "close", "error", "run", "tick", "task" } do
        local handler = {
            origins = "*",
            open = function(ws) note("open", ws.id) end,
            close = function(ws) note("close", ws.id) end,
            limits = { close = 1, send_soft = 1024, send_queue = "8 MiB" },
        }
        if where ~= "run" then
            handler.message = function(ws, data)
                if data == "fill" then ws:send(("x"):rep(2000000)) end
                if data == "fail" then error("failed") end
                if data == "task" then tidewire.spawn(actions[name], ws) end
            end
        end
        local before = handler[where]
        handler[where] = function(ws, ...)
            if before then before(ws, ...) end
            return act(where ~= "upgrade" and ws or nil)
        end
        if where == "tick" then
            local open = handler.open
            handler.open = function(ws) open(ws) ws:every(0.002, "tick") end
        end
        routes["/" .. where .. "/" .. name:gsub(" ", "-")] = handler
    end
end
return tidewire.app { routes = routes }
""" % "\n".join(f"    [{name!r}] = function(ws) {body} end," for name, body in ACTIONS.items())


def leave_by_close(peer):
    peer.close(1000)
    while peer.frame().opcode != CLOSE:
        pass
    peer.rest()


def leave_by_reset(peer):
    peer.reset()


def leave_by_nonsense(peer):
    peer.send(b"\xff" * 100)
    peer.rest()


LEAVE = {"close": leave_by_close, "reset": leave_by_reset, "nonsense": leave_by_nonsense,
         "close without reading": lambda peer: (peer.close(1000), peer.sock.close())}


def visit(server, over, path, leave):
    peer = server.peer() if over == "tcp" else TlsPeer(connect(server.urls[0]))
    try:
        peer.send(handshake(path) + b"".join(frame(TEXT, t) for t in ("hello", "fill", "fail", "task", "bye")))
        peer.answer()
        leave(peer)
    except (Lost, OSError, AssertionError):
        pass  # how the server ends it is the matrix's business; that it lives on is this test's
    peer.sock.close()


@pytest.mark.parametrize("over, leave", [*[("tcp", leave) for leave in LEAVE], ("tls", "close"), ("tls", "reset")])
def test_every_action_in_every_callback(live, certificate, over, leave):
    cert, key = certificate
    server = live(APP, listen=["ws://127.0.0.1:0" if over == "tcp" else f"wss://127.0.0.1:0?cert={cert}&key={key}"])
    for where in CALLBACKS:
        for name in ACTIONS:
            visit(server, over, f"/{where}/{name.replace(' ', '-')}", LEAVE[leave])
    notes = server.finish()
    ids = [note.split("|")[1] for note in notes if note.startswith("open|")]
    ended = [note.split("|")[1] for note in notes if note.startswith("close|")]
    assert len(ids) > len(CALLBACKS) * len(ACTIONS) / 2
    assert sorted(ids) == sorted(ended), "close came once for each connection"
    assert len(set(ids)) == len(ids)
