"""ws:every, ws:after and their timers."""


def test_every_calls_the_named_function_until_cancelled(live):
    server = live("""
    return {
        open = function(ws) ws.state.timer = ws:every(0.01, "tick") ws.state.n = 0 end,
        tick = function(ws, ...)
            ws.state.n = ws.state.n + 1
            ws:send(tostring(ws.state.n) .. select("#", ...))
            if ws.state.n == 3 then ws.state.timer:cancel() ws:after(0.1, function(w) w:send("later") end) end
        end,
    }""")
    peer = server.open()
    assert [peer.message() for _ in range(4)] == ["10", "20", "30", "later"]


def test_after_calls_once(live):
    server = live("""
    return {
        open = function(ws)
            ws:after(0.02, "named") ws:after(0.01, function(w) w:send("function") end) ws:after(0, "named")
            local never = ws:after(0.005, function() ws:send("never") end)
            never:cancel()
            ws:after(0.1, function() ws:send("end") end)
        end,
        named = function(ws) ws:send("named") end,
    }""")
    peer = server.open()
    assert [peer.message() for _ in range(4)] == ["named", "function", "named", "end"]


def test_timers_end_with_their_connection(live):
    server = live("""
    return {
        open = function(ws) ws:every(0.005, "tick") ws:after(0.005, function() note("fired", ws.ready_state) end) end,
        tick = function(ws) note("tick", ws.ready_state) end,
        close = function(ws) note("close") tidewire.sleep(0.05) note("closed") end,
    }""")
    peer = server.open()
    server.wait_notes("tick|open", "fired|open")
    peer.reset()
    server.wait_notes("closed")
    notes = server.finish()
    assert notes[notes.index("close"):] == ["close", "closed"]


def test_timers_wait_for_the_handler_that_is_suspended(live):
    server = live("""
    return {
        message = function(ws) ws:every(0.005, "tick") note("begin") tidewire.sleep(0.1) note("end") end,
        tick = function(ws) note("tick") ws:close() end,
    }""")
    peer = server.open()
    peer.text("go")
    assert peer.closing() == (1000, "")
    peer.close()
    notes = server.finish()
    assert notes[:3] == ["begin", "end", "tick"]


def test_a_tick_that_waits_is_not_joined_by_a_second(live):
    server = live("""
    local inside = 0
    return {
        open = function(ws) ws:every(0.005, "tick") ws.state.n = 0 end,
        tick = function(ws)
            inside = inside + 1
            note("inside", inside)
            tidewire.sleep(0.02)
            inside = inside - 1
            ws.state.n = ws.state.n + 1
            if ws.state.n == 3 then ws:close() end
        end,
    }""")
    peer = server.open()
    assert peer.closing() == (1000, "")
    peer.close()
    assert set(server.finish()) == {"inside|1"}


def test_error_in_a_timer_closes_that_connection(live):
    server = live("""
    return {
        open = function(ws) if ws.request.query.bad then ws:every(0.005, "tick") end end,
        tick = function(ws) error("in tick") end,
        message = function(ws, data) ws:send(data) end,
    }""")
    other = server.open()
    peer = server.open("/?bad")
    assert peer.closing() == (1011, "internal error")
    other.text("fine")
    assert other.message() == "fine"
    assert server.wait_log(r'in tick.*where="every of /"')


def test_timers_of_the_app(live):
    server = live("""
    return tidewire.app {
        routes = { ["/"] = function() return "ok" end },
        timers = {
            fast = { every = 0.01, run = function(app)
                app.state.n = (app.state.n or 0) + 1 note("fast", app.state.n) tidewire.sleep(0.001) end },
            bad = { every = "10 ms", run = function() error("bad timer") end },
        },
    }""")
    server.wait_notes("fast|5")
    assert len(server.wait_log(r"bad timer.*where=", count=3)) >= 3
    assert server.peer().ask().body == b"ok"


def test_tidewire_after(live):
    server = live("""
    return { message = function(ws, data)
        local never = tidewire.after(0.01, function() ws:send("never") end)
        tidewire.after(0.02, function(...) tidewire.sleep(0.01) ws:send("after" .. select("#", ...)) end)
        never:cancel()
    end }""")
    peer = server.open()
    peer.text("go")
    assert peer.message() == "after0"
