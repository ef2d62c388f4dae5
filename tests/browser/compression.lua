-- Echoes with permessage-deflate, at a path for each way to have it; a text "close CODE REASON" is answered with that.
local tidewire = require "tidewire"

local echo = { limits = { message = "2 MiB", send_queue = "8 MiB", send_soft = "4 MiB" } }

function echo.message(ws, data, kind)
    local code, reason = data:match "^close (%d+) ?(.*)$"
    if code then
        ws:close(math.tointeger(code), reason)
    else
        ws:send(data, kind)
    end
end

function echo.close(_, code, reason, clean)
    io.stdout:write("end ", tidewire.json.encode { code, reason, clean }, "\n")
    io.stdout:flush()
end

return tidewire.app {
    routes = {
        ["/"] = function() -- gives a page its origin
            local page = "<!doctype html><title>compression</title><link rel=icon href='data:,'>"
            return 200, page, { ["Content-Type"] = "text/html" }
        end,
        ["/none"] = echo,
        ["/shared"] = { handler = echo, compression = true },
        ["/takeover"] = { handler = echo, compression = { takeover = true } },
        ["/small"] = { handler = echo, compression = { takeover = true, window_bits = 9 } },
        ["/least"] = { handler = echo, compression = { window_bits = 8 } },
    },
}
