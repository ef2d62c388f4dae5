"""Many reloads: nothing is left behind."""

import pathlib
import re

from live import wait_until
from reloading import config, full, says

# It uses whatever a version can leave behind.
BUSY = """
local words = require "words"
local Room = tidewire.class "Room"
function Room:greet() return words.greeting end
local handler = {
    upgrade = function() return { room = Room {} } end,
    open = function(ws) ws:subscribe "news" ws:every(3600, "tick") end,
    message = function(ws, data)
        if data == "heap" then
            collectgarbage() collectgarbage()
            ws:send(("%.0f"):format(collectgarbage "count" * 1024))
        else
            ws:send(("VERSION %s %s"):format(ws.state.room:greet(), data))
        end
    end,
    tick = function() end,
}
local loop = {
    run = function(ws)
        local guard <close> = setmetatable({}, { __close = function() end })
        for data in ws:messages() do ws:send("VERSION " .. data) end
    end,
}
return tidewire.app {
    routes = { ["/"] = handler, ["/loop"] = loop, ["/plain"] = function() return "VERSION" end,
        ["/files"] = tidewire.files "public" },
    timers = { sweep = { every = 0.05, run = function(app)
        app.state.swept = (app.state.swept or 0) + 1
        tidewire.spawn(function() tidewire.sleep(0.01) end)
    end } },
}
"""


def memory(pid):
    """Bytes of a process that are its own."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(n) for n in re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+) kB", text, re.M)) * 1024


def test_1000_reloads_leave_memory_and_descriptors_flat(app, workers):
    """In the everyday suite 60; in full, which is for a build without sanitizers, also the processes' memory."""
    reloads, warm = (1000, 100) if full() else (60, 20)
    server = app(BUSY.replace("VERSION", "v1"), {"words.lua": "return { greeting = 'v1' }\n", "public/a.txt": "a"},
                 workers=workers, settings=config(watch="100 ms"))
    peers, loops = server.open_on_each(), server.open_on_each("/loop")
    plain = server.peer()
    processes = [server.process.pid, *server.workers()]
    before = opened = None

    def check(version):
        assert [says(peer, "hi") for peer in peers] == [f"v{version} v{version} hi"] * workers
        assert [says(peer, "hi") for peer in loops] == [f"v{version} hi"] * workers
        assert plain.ask("/plain").body == f"v{version}".encode()

    def look():
        wait_until(lambda: all(len(server.generations(i)) <= 2 for i in range(workers)))
        wait_until(lambda: server.code()["state"] == "stable")
        return {"heap": [int(says(peer, "heap")) for peer in peers], "memory": [memory(pid) for pid in processes]}

    def descriptors():
        for peer in peers:
            says(peer, "heap")  # what nobody refers to is closed when it is collected
        return [server.descriptors(pid) for pid in processes]

    for version in range(2, reloads + 2):
        server.write("words.lua", f"return {{ greeting = 'v{version}' }}\n")
        server.write("app.lua", BUSY.replace("VERSION", f"v{version}"))
        if version % 10 == 0:
            server.write("words.lua", "return nothing.at.all\n")
            assert server.ask("reload")["ok"] is False
            server.write("words.lua", f"return {{ greeting = 'v{version}' }}\n")
        server.reload()
        check(version)
        if version == warm + 1:
            before, opened = look(), descriptors()
    after = look()
    grown = {what: [(b - a) / (reloads - warm) for a, b in zip(before[what], after[what])] for what in before}
    print("growth for each reload, in bytes:", grown)
    wait_until(lambda: all(now <= then for now, then in zip(descriptors(), opened)))
    assert all(n < 1024 for n in grown["heap"]), grown
    if full():
        assert all(n < 1024 for n in grown["memory"]), grown
