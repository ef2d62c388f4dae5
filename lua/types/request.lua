---@meta _
-- A request: of `upgrade`, of an HTTP endpoint, and `ws.request`.
-- luacheck: no unused

---@class tidewire.request
---@field method string As in "GET".
---@field path string In its canonical form: percent-decoded once.
---@field raw_query? string What follows the "?", as it came; nil without one.
---@field query table<string, string> The decoded query; of a repeated name the first.
---@field params table<string, string> The captures of the route.
---@field rest? string The path below a route that matches all paths below it; nil on other routes.
---@field headers table<string, string> By name in any case; repeated ones joined by ", ".
---@field cookies table<string, string> Of a repeated name the first.
---@field origin? string The header `Origin`, or nil.
---@field protocols string[] The subprotocols that the client offers, in its order.
---@field protocol? string The subprotocol chosen, or nil.
---@field remote_address string As in "127.0.0.1", "::1", "unix"; the client's own, when a trusted proxy tells it.
---@field remote_port integer 0 for "unix", and when a proxy does not tell it.
---@field secure boolean Has it come over TLS? When a trusted proxy tells it, to that.
---@field certificate? { subject: string, fingerprint: string, names: string[] } The verified one of a TLS client.
---@field body? string Of an endpoint's request, at most `limits.body` bytes; nil for a handshake.
---@field app tidewire.app The app: `req.app.state`.
local request = {}

---How the Lua half of the runtime answers. Apps return their answer.
---@private
---@param status integer 200 to 599
---@param headers? string[][] a list of { name, value }
---@param body? string | userdata a file belongs to the answer from then on
---@param offset? integer of the part of the file to send, in bytes
---@param length? integer of that part, in bytes
---@return boolean sent is the client still there?
function request:respond(status, headers, body, offset, length) end

---Headers of an answer: each a text, a whole number, or a list of them.
---@alias tidewire.headers table<string, string | integer | (string | integer)[]>
