-- HTTP beside WebSocket: clients count over ws://.../, and GET /count tells the number to
-- whoever asks, a monitor or curl. Both share app.state.
--   tidewire run examples/http.lua
local tidewire = require "tidewire"

local counter = {}

function counter.message(ws)
    local state = ws.app.state
    state.count = state.count + 1
    ws:send(tostring(state.count))
end

return tidewire.app {
    routes = {
        ["/"] = counter,
        ["/count"] = function(req)
            return { count = req.app.state.count } -- a table is sent as JSON
        end,
    },
    start = function(app)
        app.state.count = 0
    end,
}
