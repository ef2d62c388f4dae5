-- Auth before the 101: who has no valid token is refused with an HTTP answer and never becomes a
-- WebSocket. A program sends a header, a browser's WebSocket can only use the URI's query:
--   Authorization: Bearer token-of-ada      or      ws://127.0.0.1:8080/?token=token-of-ada
--   tidewire run examples/auth.lua
local tidewire = require "tidewire"

local users = { ["token-of-ada"] = "Ada", ["token-of-grace"] = "Grace" }

local auth = {}

function auth.upgrade(req)
    local bearer = (req.headers.authorization or ""):match "^Bearer (.+)$"
    local user = users[bearer or req.query.token]
    if not user then
        return tidewire.refuse(401, "A valid token is needed.\n", { ["WWW-Authenticate"] = "Bearer" })
    end
    return { user = user } -- becomes ws.state
end

function auth.open(ws)
    ws:send("Hello, " .. ws.state.user .. ".")
end

function auth.message(ws, data, kind)
    ws:send(ws.state.user .. " said: " .. data, kind)
end

return auth
