-- An app that tells what it knows of its client, who may have come through proxies.
local tidewire = require "tidewire"

local function tell(req)
    return tidewire.json.encode {
        remote_address = req.remote_address, remote_port = req.remote_port,
        secure = req.secure, host = req.headers.host,
    }
end

local who = {}

function who.open(ws)
    ws:send(tell(ws.request))
end

return tidewire.app { routes = { ["/who"] = who, ["/plain"] = tell } }
