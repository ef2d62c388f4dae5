"""`reconnect` of tidewire.connect: when it tries again, and when it gives up."""

from client import handshake_answer
from peer import TEXT

def test_reconnect_goes_on_with_the_same_ws(run, door):
    server = door()
    port = server.port
    started = run("""
        local first
        local handler = { close = function(ws, code, reason, clean) show("close", code, clean, ws == first) end }
        function handler.open(ws)
            first = first or ws
            ws.state.opened = (ws.state.opened or 0) + 1
            show("open", ws.state.opened, ws.reconnects, ws == first, ws.response.headers["x-n"])
            ws:after(0, function() ws:send("hello " .. ws.state.opened) end)
        end
        function handler.message(ws, data)
            show("message", data)
            if data == "end" then ws:close(4000) end
        end
        local ws = tidewire.connect(arg[1], { handler = handler, reconnect = { min = 0.001, max = 0.01 } })
        show("connected", ws == first)
        while ws.reconnects < 3 or ws.ready_state ~= "closed" do tidewire.sleep(0.01) end
    """, server.url())
    one = server.open("X-N: 1")
    assert one.message() == "hello 1"
    one.reset()
    two = server.open("X-N: 2")
    assert two.message() == "hello 2"
    two.close(1012)
    assert two.closing() == (1012, "")
    server.shut()  # killed
    started.wait_log("connecting again")
    server = door(port=port)  # and restarted
    three = server.guest()
    three.request()
    three.answer_with("503 Service Unavailable")
    four = server.open("X-N: 4")
    assert four.message() == "hello 3"
    four.close()
    assert four.closing() == (None, "")
    four.sock.close()
    five = server.open("X-N: 5")
    assert five.message() == "hello 4"
    five.say(TEXT, "end")
    five.expect_close(4000)
    assert started.lines() == [
        "open|1|0|true|1", "connected|true", "close|1006|false|true",
        "open|2|1|true|2", "close|1012|true|true",
        "open|3|2|true|4", "close|1005|true|true",
        "open|4|3|true|5", "message|end", "close|4000|true|true"]


def test_reconnect_without_a_handler_tries_until_it_succeeds(run, door):
    server = door()
    port = server.port
    server.shut()
    started = run("""
        local ws = tidewire.connect(arg[1], { reconnect = { min = 0.01, max = 0.02 } })
        show(ws.ready_state, ws.reconnects)
    """, server.url())
    started.wait_log("connecting again")
    door(port=port).open().expect_close(1001, "going away")
    assert started.lines() == ["open|0"]


def test_reconnect_ends_where_trying_again_is_of_no_use(run, door):
    server = door()
    started = run("""
        local ws = tidewire.connect(arg[1], { handler = { open = function() show "open" end },
            reconnect = { min = 0.001, max = 0.01 } })
        while ws.ready_state ~= "closed" do tidewire.sleep(0.01) end
        tidewire.connect(arg[2]):receive()
    """, server.url(), server.url("/last"))
    server.open().reset()
    guest = server.guest()
    last = None
    while last is None:  # in either order
        if guest.request()[0].startswith("GET /last"):
            last = guest
        else:
            guest.answer_with("404 Not Found")
        guest = server.guest() if last is None or len(server.guests) < 3 else guest
    if guest is not last:
        guest.request()
        guest.answer_with("404 Not Found")
    started.wait_log("not connecting again")
    last.answer_with("404 Not Found")
    assert started.end()[0] == 1


def test_gave_up_is_told_after_the_last_attempt(run, door):
    server = door()
    started = run("""
        local over
        local ws = tidewire.connect(arg[1], { handler = { close = function(_, code) show("close", code) end,
            open = function(ws) show "open" ws.state.name = "mine" end },
            reconnect = { min = 0.001, max = 3600, attempts = 2, gave_up = function(ws, message, code, answer)
                show("gave up", message, code, answer and answer.status, ws.state.name, ws:send "x")
                over = true
            end } })
        while not over do tidewire.sleep(0.01) end
    """, server.url())
    server.open().reset()
    server.open().reset()  # the first attempt: made, but it does not last
    guest = server.guest()
    guest.request()
    guest.answer_with("503 Service Unavailable")
    assert started.lines() == [
        "open", "close|1006", "open", "close|1006",
        f"gave up|cannot connect to {server.url('')}: the server answered 503 Service Unavailable, not 101|status|503|mine|"
        "nil|closed"]
    assert "not connecting again" not in started.stderr.text()


def test_gave_up_is_told_after_a_close_that_ends_it(run, door):
    server = door()
    started = run("""
        local over
        tidewire.connect(arg[1], { handler = { open = function() end,
            close = function(_, ...) tidewire.sleep(0.001) show("close", ...) end },
            reconnect = { gave_up = function(_, ...) show("gave up", ...) over = true end } })
        while not over do tidewire.sleep(0.01) end
    """, server.url())
    guest = server.open()
    guest.close(1008, "no entry")
    assert guest.closing() == (1008, "")
    guest.sock.close()
    assert started.lines() == ["close|1008|no entry|true", "gave up|closed with 1008: no entry|closed"]


def test_closing_between_two_connections_ends_it(run, door):
    server = door()
    started = run("""
        local ws = tidewire.connect(arg[1], { handler = { open = function() show "open" end },
            reconnect = { min = 3600, max = 3600 } })
        while ws.ready_state ~= "closed" do tidewire.sleep(0.01) end
        ws:close()
        show(ws:send "x")
    """, server.url())
    server.open().reset()
    assert started.lines() == ["open", "nil|closed"]


def test_closing_while_it_connects_anew_opens_nothing(run, door):
    server, gate = door(), door()
    started = run("""
        local ws = tidewire.connect(arg[1], { handler = { open = function() show "open" end,
            close = function(_, code) show("close", code) end }, reconnect = { min = 0.001, max = 0.001 } })
        local gate = tidewire.connect(arg[2])
        gate:receive()
        ws:close()
        gate:send "closed"
        gate:receive()
    """, server.url(), gate.url())
    server.open().reset()
    keeper = gate.open()
    again = server.guest()
    again.request()
    keeper.say(TEXT, "close now")
    assert keeper.message() == "closed"
    again.send(handshake_answer()(again))
    again.expect_close(1000)
    keeper.say(TEXT, "end")
    keeper.expect_close(1001, "going away")
    assert started.lines() == ["open", "close|1006"]


def test_a_connection_that_nobody_takes_is_not_made_anew(run, door):
    server = door()
    started = run("""
        local co = coroutine.create(function()
            tidewire.connect(arg[1], { reconnect = { min = 0.001, max = 0.001 }, handler = {
                open = function() show "open" end, close = function(ws, code) show("close", code) end,
            } })
        end)
        tidewire.spawn(coroutine.resume, co)
        tidewire.connect(arg[2]):receive()
        show(coroutine.close(co))
        tidewire.connect(arg[3]):receive()
        tidewire.sleep(0.05)
    """, server.url("/a"), server.url("/b"), server.url("/c"))
    guests = {}
    for _ in range(2):
        guest = server.guest()
        guests[guest.request()[0].split()[1]] = guest
    guests["/b"].send(handshake_answer()(guests["/b"]))
    guests["/b"].close()
    last = server.open()  # so the coroutine is closed
    guests["/a"].send(handshake_answer()(guests["/a"]))
    guests["/a"].expect_close(1001, "going away")
    guests["/b"].closing()
    last.close()
    last.closing()
    last.sock.close()
    assert started.lines() == ["true", "open", "close|1001"]
    assert "nil value" not in started.stderr.text()
