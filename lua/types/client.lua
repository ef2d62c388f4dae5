---@meta _
-- tidewire.connect: its options, and what a server answers.

---What a server has answered to the opening handshake.
---@class tidewire.response
---@field status integer 101 of a connection that is open.
---@field headers table<string, string> By name in any case; repeated ones joined by ", ".
---@field body? string Of another status than 101: what came of it, 4 KiB at most.

---Options of `tidewire.connect`.
---@class tidewire.connect_options
---@field protocols? string[] Subprotocols that are offered, in order of preference.
---@field headers? tidewire.headers Further fields of the request.
---@field sensitive? string[] Headers that a redirect never takes to another server, as Authorization and Cookie.
---@field origin? string For servers that ask for one.
---@field tls? tidewire.connect_tls With a ws: URL and no redirects, connect returns nil, message, "url".
---@field proxy? string | false "http://user:password@host:port", or false: none; by default that of the environment.
---@field timeout? tidewire.duration Of the whole attempt; 10 s by default.
---@field compression? boolean | table Offers permessage-deflate; false by default.
---@field limits? tidewire.limits As of a route.
---@field redirects? integer How many are followed; 0 by default.
---@field handler? tidewire.handler Whose functions are called, as for a server's connection; all but upgrade.
---@field reconnect? boolean | tidewire.connect_reconnect Tries again; false by default.

---Files are PEM; their paths are relative to the working directory.
---@class tidewire.connect_tls
---@field ca? string Of the authorities to trust instead of the system's; not read with verify = false.
---@field cert? string To show when asked; together with key.
---@field key? string
---@field name? string The name that the certificate must be for, instead of the URL's host.
---@field verify? boolean false takes any certificate, for any name; true by default.

---@class tidewire.connect_reconnect
---@field min? tidewire.duration The longest pause before the first try; 0.5 s by default. It doubles with each.
---@field max? tidewire.duration The longest pause of all; 30 s by default.
---@field attempts? integer How many may go wrong in a row: fail, or make a connection that lasts less than `max`; no
--- bound by default.
---@field gave_up? fun(ws: tidewire.ws, message: string, code: string, answer?: tidewire.response) With a handler: an
--- open connection has ended, and no other will come. Codes as of connect, and "closed": the server's Close says so.
