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
    state_version = 1,
    routes = {
        ["/"] = counter,
        ["/count"] = function(req)
            local body = tidewire.json.encode { count = req.app.state.count }
            return 200, body, { ["Content-Type"] = "application/json" }
        end,
    },
    start = function(app)
        app.state.count = 0
    end,
}
