-- A dialogue as a straight-line coroutine: run(ws) is called for each connection and waits for the
-- answers where it needs them. Other connections go on meanwhile.
--   tidewire run examples/dialogue.lua
local dialogue = {}

-- Asks until the answer is a number; nil when the client left or said nothing for 30 s.
local function ask_number(ws, question)
    ws:send(question)
    while true do
        local answer, why = ws:receive(30)
        if not answer then
            return nil, why -- "timeout" or "closed"
        end
        local number = tonumber(answer)
        if number then
            return number
        end
        ws:send "A number, please."
    end
end

function dialogue.run(ws)
    local width, why = ask_number(ws, "How wide is it?")
    local height
    if width then
        height, why = ask_number(ws, "And how high?")
    end
    if height then
        ws:send(("That makes %.14g."):format(width * height))
        ws:close(1000, "done")
    elseif why == "timeout" then
        ws:close(1000, "no answer")
    end
end

return dialogue
