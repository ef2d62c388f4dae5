-- For the churn test: routes whose connections hold all that a connection can hold (a table of state,
-- timers, subscriptions, a waiting coroutine, a queue), and an account of what is left of them.
local tidewire = require "tidewire"

local function count(ws, what, step)
    local state = ws.app.state
    state[what] = state[what] + step
end

local function opened(ws)
    count(ws, "open", 1)
    ws.state.messages = {}
    ws:every(0.01, "tick")
    ws:subscribe "everyone"
    ws:subscribe("one/" .. ws.id)
end

local function closed(ws)
    count(ws, "open", -1)
    count(ws, "ended", 1)
end

local function tick(ws)
    ws:send(tostring(#ws.state.messages))
end

local echo = { open = opened, close = closed, tick = tick }

function echo.message(ws, data, kind)
    table.insert(ws.state.messages, data)
    ws:send(data, kind)
end

-- The same as a coroutine, which the end finds waiting.
local dialogue = { open = opened, close = closed, tick = tick }

function dialogue.run(ws)
    for data, kind in ws:messages() do
        table.insert(ws.state.messages, data)
        ws:send(data, kind)
    end
end

-- Messages come faster than they are handled: they queue, and the end finds a handler asleep.
local slow = { open = opened, close = closed, tick = tick }

function slow.message(ws, data, kind)
    tidewire.sleep(0.005)
    ws:send(data, kind)
end

-- Everybody gets something of everything.
local crowd = { open = opened, close = closed, tick = tick }

function crowd.message(ws, data, kind)
    ws:publish("everyone", data:sub(1, 300), { kind = kind })
    ws:send(data, kind)
end

-- Answers when no connection is open: how many have ended, and the bytes that Lua still holds.
local function account(req)
    local state = req.app.state
    while state.open > 0 do
        tidewire.sleep(0.01)
    end
    collectgarbage()
    collectgarbage()
    return 200, tidewire.json.encode { ended = state.ended, bytes = collectgarbage "count" * 1024 // 1 }
end

return tidewire.app {
    routes = {
        ["/echo"] = echo, ["/dialogue"] = dialogue, ["/slow"] = slow, ["/crowd"] = crowd,
        ["/account"] = account,
    },
    start = function(app)
        app.state.open, app.state.ended = 0, 0
    end,
}
