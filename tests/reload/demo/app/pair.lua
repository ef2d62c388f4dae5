-- Two clients, of which each hears what the other one says, with the number that it has here.
local EDIT = "edit-0"

local pair = {}

function pair.open(ws)
    ws.state = { topic = "pair/" .. ws.params.name, said = 0 }
    ws:subscribe(ws.state.topic)
end

function pair.message(ws, data)
    local state = ws.state
    state.said = state.said + 1
    ws:publish(state.topic, ("%s %d %s"):format(EDIT, state.said, data))
end

return pair
