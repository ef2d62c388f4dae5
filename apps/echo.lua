-- Sends every message back as it came: text as text, binary as binary.
--
--   tidewire run apps/echo.lua
local echo = {}

function echo.message(ws, data, kind)
    ws:send(data, kind)
end

return echo
