-- tidewire as a server that echoes at /echo and does at /talk what it is asked to (peers.py). Its options
-- are JSON in the variable INTEROP; it prints how each connection ended.
local tidewire = require "tidewire"

local options = tidewire.json.decode(os.getenv "INTEROP")

local function close(_, code, reason, clean)
    io.stdout:write("end ", tidewire.json.encode { code, reason, clean }, "\n")
    io.stdout:flush()
end

local asked = {}

function asked.close(ws, code, reason)
    ws:close(code, reason)
end

function asked.ping(ws, data)
    ws:ping(data)
end

function asked.many(ws, count)
    for i = 0, count - 1 do
        ws:send(("message %d "):format(i):rep(i % 7 + 1), i % 2 == 0 and "text" or "binary")
    end
end

local echo = { close = close }

function echo.message(ws, data, kind)
    ws:send(data, kind)
end

local talk = { close = close }

function talk.message(ws, data)
    local request = tidewire.json.decode(data)
    asked[request[1]](ws, table.unpack(request, 2))
end

local function route(handler)
    return {
        handler = handler, protocols = #options.protocols > 0 and options.protocols or nil,
        compression = options.compression,
        limits = { message = "4 MiB", send_queue = "8 MiB", send_soft = "4 MiB" },
    }
end

return tidewire.app { routes = { ["/echo"] = route(echo), ["/talk"] = route(talk) } }
