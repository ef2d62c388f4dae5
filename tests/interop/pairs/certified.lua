-- tidewire with a certificate of its own: tidewire exec certified.lua URL CA-FILE [CERT KEY].
-- Prints what comes back of "hello".
local tidewire = require "tidewire"

local url, ca, cert, key = table.unpack(arg)
local ws = assert(tidewire.connect(url, { tls = { ca = ca, cert = cert, key = key } }))
ws:send "hello"
print((ws:receive()))
