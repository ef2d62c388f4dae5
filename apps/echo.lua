-- Sends every message back as it came: text as text, binary as binary.
--
--   tidewire run apps/echo.lua
local echo = {}

-- A client that sends faster than it reads is not read from until it has caught up.
function echo.message(ws, data, kind)
    local _, why = ws:send(data, kind)
    if why == "buffered" then
        ws:pause()
    end
end

function echo.drain(ws)
    ws:resume()
end

return echo
