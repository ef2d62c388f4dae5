-- Broadcast: what one client sends, every other one receives. The runtime knows who is subscribed
-- and delivers without entering Lua; the sender does not get its own message.
--   tidewire run examples/broadcast.lua
local broadcast = {}

function broadcast.open(ws)
    ws:subscribe "everyone"
end

function broadcast.message(ws, data, kind)
    ws:publish("everyone", data, { kind = kind })
end

return broadcast
