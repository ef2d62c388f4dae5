-- Client of the conformance suite: tidewire exec tidewire.lua URL. It asks URL/cases for cases, a message for
-- each, and echoes on each connection until it ends.
local tidewire = require "tidewire"

local limits = { message = "16 MiB", fragments = 65536, send_queue = "64 MiB" }
local small = { message = "64 KiB", fragments = 16 }

local function run(order)
    local ws = tidewire.connect(order.url, {
        compression = order.compression or nil,
        limits = order.profile == "limit" and small or limits,
        protocols = order.protocols[1] and order.protocols or nil,
    })
    if not ws then
        return -- the suite judges by what it sees on the wire
    end
    for data, kind in ws:messages() do
        local code, reason = data:match("^close (%d+) ?(.*)$")
        if order.profile == "close" and code then
            ws:send("closing")
            ws:close(math.tointeger(code), reason)
            ws:send("too late")
        else
            ws:send(data, kind)
        end
    end
end

local control = assert(tidewire.connect(arg[1] .. "/cases"))
for text in control:messages() do
    tidewire.spawn(run, tidewire.json.decode(text))
end
