-- Client: what you type goes to a server, line by line, and each answer is printed. The connection is
-- a straight-line one: no handler, ws:send and ws:receive where they are needed. Reading blocks the
-- loop, which answers the server's pings, so all is read (Ctrl-D ends it) before there is a connection.
--   tidewire exec examples/client.lua ws://127.0.0.1:8080/
local tidewire = require "tidewire"

local url = ...
if not url then
    io.stderr:write "usage: tidewire exec examples/client.lua URL\n"
    os.exit(2)
end

local lines = {}
for line in io.lines() do
    lines[#lines + 1] = line
end

local ws, message = tidewire.connect(url, { timeout = "5 s" })
if not ws then
    io.stderr:write(message, "\n")
    os.exit(1)
end

for _, line in ipairs(lines) do
    ws:send(line)
    local answer, why = ws:receive(5)
    if why == "closed" then
        io.stderr:write "the server has closed the connection\n"
        os.exit(1)
    end
    print(answer or "(no answer)")
end
ws:close(1000, "done")
