-- Ticker: a timer of the connection sends the time every second. The timer names a function of the
-- handler, which is looked up when it fires; it ends with the connection.
--   tidewire run examples/ticker.lua
local tidewire = require "tidewire"

local ticker = {}

function ticker.open(ws)
    ws.state.count = 0
    ws:every(1, "tick")
end

function ticker.tick(ws)
    ws.state.count = ws.state.count + 1
    ws:send(tidewire.json.encode { count = ws.state.count, time = tidewire.now() })
end

return ticker
