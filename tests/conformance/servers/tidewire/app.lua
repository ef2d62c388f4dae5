-- The server of the conformance suite: an echo for each profile of its README.
local tidewire = require "tidewire"

local function echo()
    return { message = function(ws, data, kind) ws:send(data, kind) end }
end

-- "CODE REASON" closes the connection so; "" without a reason, other text is echoed.
local closer = {}
function closer.message(ws, data, kind)
    local code, reason = data:match("^close (%d+) ?(.*)$")
    if code then
        ws:send("closing")
        ws:close(math.tointeger(code), reason)
        ws:send("too late")
    else
        ws:send(data, kind)
    end
end

local function route(options)
    options.handler = options.handler or echo()
    -- case 9.1.6 sends 16 MiB in one message, case 9.3.1 has 65,536 fragments
    options.limits = options.limits or { message = "16 MiB", fragments = 65536, send_queue = "64 MiB" }
    return options
end

return tidewire.app {
    routes = {
        ["/"]          = route {},
        ["/deflate"]   = route { compression = true },
        ["/takeover"]  = route { compression = { takeover = true } },
        ["/small"]     = route { compression = { takeover = true, window_bits = 9 } },
        ["/protocols"] = route { protocols = { "chat.v2", "chat" } },
        ["/close"]     = route { handler = closer },
        ["/limit"]     = route { compression = true, limits = { message = "64 KiB", fragments = 16 } },
    },
}
