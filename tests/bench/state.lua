-- What an app that keeps something for each connection needs at the least: the memory of an idle
-- connection is measured with it.
local state = {}

function state.open(ws)
    ws.state = { since = 0 }
end

function state.message(ws, data, kind)
    ws:send(data, kind)
end

return state
