-- Does what a client asks for with a JSON list, and tells those at /ends how each connection ended.
--   ["close", code, reason]   ["ping", data]   ["offered"]
local tidewire = require "tidewire"

local talk = { protocols = { "talk.v2", "talk.v1" } }

local asked = {}

function asked.close(ws, code, reason)
    ws:close(code, reason)
end

function asked.ping(ws, data)
    ws:ping(data)
end

-- What the handshake asked for, as the server has seen it, and what it chose.
function asked.offered(ws)
    ws:send(tidewire.json.encode {
        protocols = tidewire.json.array(ws.request.protocols),
        protocol = ws.protocol or tidewire.json.null,
        extensions = ws.request.headers["Sec-WebSocket-Extensions"] or tidewire.json.null,
    })
end

function talk.message(ws, data)
    local request = tidewire.json.decode(data)
    asked[request[1]](ws, table.unpack(request, 2))
end

function talk.close(_, code, reason, clean)
    tidewire.publish("ends", tidewire.json.encode { code = code, reason = reason, clean = clean })
end

local ends = {}

function ends.open(ws)
    ws:subscribe "ends"
    ws:send "ready" -- what ends from now on is told
end

return tidewire.app {
    routes = {
        ["/"] = talk,
        ["/ends"] = ends,
        ["/pinged"] = {
            handler = {
                message = function(ws, data, kind)
                    ws:send(data, kind)
                end,
            },
            limits = { ping_interval = 0.05 },
        },
    },
}
