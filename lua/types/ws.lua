---@meta _
-- A connection, as handlers get it.
-- luacheck: no unused

---@alias tidewire.ready_state "connecting" | "open" | "closing" | "closed"

---@class tidewire.ws
---@field id string Unique over workers and machines; see `tidewire.send`.
---@field state table A table of the app's own for this connection, plain data; another table may be assigned.
---@field request tidewire.request The request of the handshake; nil when it is first read after the end, and for a
--- connection that we made.
---@field params table<string, string> The captures of the route; nil when the request is.
---@field response? tidewire.response The server's answer to the handshake, for a connection that we made.
---@field url? string The URL of a connection that we made, without user information.
---@field reconnects? integer How often a connection that we made was made anew.
---@field app tidewire.app The app: `ws.app.state`. Nil in a script of `tidewire exec`.
---@field protocol? string The subprotocol agreed on, or nil.
---@field ready_state tidewire.ready_state
---@field buffered_amount integer Bytes queued and not yet taken by the system.
---@field resumed boolean In `run`: it has begun anew after a reload; timers and subscriptions are still there.
---@field compressed boolean Is permessage-deflate agreed on?
---@field remote_address string As in "127.0.0.1", "::1", "unix"; nil when the request is.
local ws = {}

---Sends a message. `true, "buffered"`: it is sent, but the queue is above the soft mark, and `drain` will follow.
---`nil, "overflow"`: the queue is full, and the connection is closed with 1013.
---@param data string
---@param kind? tidewire.kind "text" by default; text that is no UTF-8 throws
---@return true | nil sent nil: not sent
---@return "buffered" | "closed" | "overflow" | "memory" | nil why
function ws:send(data, kind) end

---Starts the closing handshake. Later calls do nothing.
---@param code? integer 1000 by default; 1000-1003, 1007-1014, 3000-4999
---@param reason? string UTF-8, at most 123 bytes
function ws:close(code, reason) end

---Sends a ping. Results as of `ws:send`.
---@param data? string at most 125 bytes
---@return true | nil sent nil: not sent
---@return "buffered" | "closed" | "overflow" | "memory" | nil why
function ws:ping(data) end

---Stops reading from the peer.
function ws:pause() end

---Goes on reading from the peer.
function ws:resume() end

---Waits for the next message. Without one: `nil, "timeout"` or `nil, "closed", code, reason`. Throws when another
---coroutine waits in receive on this connection.
---@param seconds? number how long; without it, until the end
---@return string | nil data nil: there is none
---@return any kind "text" or "binary"; without a message "timeout" or "closed"
---@return integer? code after "closed", as `close` gets it; nil after `ws:close()` until the peer answers
---@return string? reason
function ws:receive(seconds) end

---An iterator over the messages until the end: `for data, kind in ws:messages() do`. Behind the loop `ws:receive()`
---tells how it ended.
---@return fun(ws: tidewire.ws): (data: string, kind: tidewire.kind)
---@return tidewire.ws
function ws:messages() end

---Subscribes the connection to the topics that the filter matches.
---@param filter string "+" stands for one level, a last "#" for the rest; at most 255 bytes
---@return true | nil subscribed
---@return "limit" | "closed" | "memory" | nil why
function ws:subscribe(filter) end

---@param filter string
---@return boolean was_subscribed
function ws:unsubscribe(filter) end

---Sends to every subscriber of the topic in this worker but this connection.
---@param topic string levels separated by "/", at most 255 bytes, without "+" and "#"
---@param data string
---@param options? tidewire.publish_options
---@return true
function ws:publish(topic, data, options) end

---Calls `handler.name(ws)` again and again until the end of the connection.
---@param seconds number above 0
---@param name string a function of the handler, looked up when the timer fires
---@return tidewire.ws.timer | nil timer nil: not set
---@return "closed" | nil why
function ws:every(seconds, name) end

---Calls a function once with `ws`, unless the connection has ended by then.
---@param seconds number
---@param fn string | fun(ws: tidewire.ws) the function, or the name of a function of the handler
---@return tidewire.ws.timer | nil timer nil: not set
---@return "closed" | nil why
function ws:after(seconds, fn) end

---A timer of one connection; it ends with it.
---@class tidewire.ws.timer
local timer = {}

---Ends the timer. Harmless when it has fired or was cancelled.
function timer:cancel() end
