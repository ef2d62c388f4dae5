-- A dialogue as a straight-line coroutine: run(ws) is called for each connection and waits for the
-- answers where it needs them. Other connections go on meanwhile.
--   tidewire run examples/dialogue.lua
local dialogue = {}

-- Asks until the answer is a number; nil when the client left or said nothing for 30 s.
local function ask_number(ws, question)
    ws:send(question)
    while true do
        local answer = ws:receive(30)
        if not answer then
            return nil
        end
        local number = tonumber(answer)
        if number then
            return number
        end
        ws:send "A number, please."
    end
end

function dialogue.run(ws)
    local width = ask_number(ws, "How wide is it?")
    local height = width and ask_number(ws, "And how high?")
    if not height then
        return ws:close(1000, "no answer") -- changes nothing when the client has left
    end
    ws:send(("That makes %.14g."):format(width * height))
    ws:close(1000, "done")
end

return dialogue
