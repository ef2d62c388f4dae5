---@meta tidewire
-- The module `tidewire`: what `require "tidewire"` gives to an app. The reference is lua/README.md.
-- luacheck: no unused

---Text is valid UTF-8.
---@alias tidewire.kind "text" | "binary"

---A size: bytes, or a text with a unit (B, kB, MB, GB, KiB, MiB, GiB), as in "64 KiB".
---@alias tidewire.size integer | string

---A duration: seconds, or a text with a unit (ms, s, min, h, d), as in "2 min".
---@alias tidewire.duration number | string

---@class tidewire
---@field version string The runtime's version, as in "0.1.0".
---@field json tidewire.json
---@field log tidewire.log
local tidewire = {}

---Options of publish.
---@class tidewire.publish_options
---@field kind? tidewire.kind "text" by default.

---A timer of `tidewire.after`.
---@class tidewire.timer
local timer = {}

---Ends the timer. Harmless when it has fired or was cancelled.
function timer:cancel() end

---A value of `tidewire.files`, for a route.
---@class tidewire.files

---A value of `tidewire.refuse`, to return from `upgrade` or an endpoint.
---@class tidewire.refusal

---Marks a manifest, which the script then returns.
---@param manifest tidewire.manifest
---@return tidewire.manifest manifest the same table
function tidewire.app(manifest) end

---Static files of a folder, for a route: types, `index.html`, ranges, ETag; no hidden files.
---@param path string relative to the app's root, or absolute; not a folder that holds the app's own script
---@return tidewire.files
function tidewire.files(path) end

---What `upgrade` or an endpoint returns to say no. One that is made there and not returned raises.
---@param status integer 300 to 599
---@param body? string | table a table is sent as JSON
---@param headers? tidewire.headers
---@return tidewire.refusal
function tidewire.refuse(status, body, headers) end

---A class, to which methods and metamethods are assigned; calling it makes an object.
---@class tidewire.class
---@overload fun(object?: table): table
---@field [string] any

---A class whose objects a reload keeps: they run the methods of the version that serves. To be declared while the app
---loads, under the same name in each version.
---@param name string
---@param parent? tidewire.class
---@return tidewire.class
function tidewire.class(name, parent) end

---Sends to every subscriber of the topic in this worker. Not while the app loads.
---@param topic string levels separated by "/", at most 255 bytes, without "+" and "#"
---@param data string
---@param options? tidewire.publish_options
---@return true
function tidewire.publish(topic, data, options) end

---Sends to one connection of this worker: results as of `ws:send`, and `nil, "unknown"` when there is none with this
---id. Not while the app loads.
---@param id string its `ws.id`
---@param data string
---@param kind? tidewire.kind "text" by default; text that is no UTF-8 throws
---@return true | nil sent nil: not sent
---@return "buffered" | "closed" | "overflow" | "memory" | "unknown" | nil why
function tidewire.send(id, data, kind) end

---Makes a connection to a server, and waits until it is open. Not while the app loads. Codes: "url", "name", "refused",
---"proxy", "tls", "status", "handshake", "lost", "timeout", "cancelled", "memory".
---@param url string ws://, wss:// or ws+unix:SOCKET:PATH; user information is sent as `Authorization: Basic`. One that
--- is malformed, or contradicts an option, is no misuse: `nil, message, "url"`
---@param options? tidewire.connect_options
---@return tidewire.ws | nil ws nil: there is no connection
---@return string? message for people: the host, the cause
---@return string? code
---@return tidewire.response? answer what the server has answered instead of 101
function tidewire.connect(url, options) end

---Waits; other tasks and connections go on. Not while the app loads.
---@param seconds number
function tidewire.sleep(seconds) end

---Runs a function as a task of its own, soon. Not while the app loads.
---@param fn fun(...: any)
---@param ... any its arguments
function tidewire.spawn(fn, ...) end

---Runs a function once, later. Repeating timers are declared: `timers` of the manifest. Not while the app loads.
---@param seconds number
---@param fn fun()
---@return tidewire.timer
function tidewire.after(seconds, fn) end

---Seconds since 1970, with a fraction.
---@return number
function tidewire.now() end

return tidewire
