-- The clients of `make demo`: pairs that talk to each other through the server. Each says numbered messages, ten
-- a second, until it hears the handler's last edit; whoever hears one checks what was lost, doubled or reordered.
--   tidewire exec clients.lua URL COUNT LAST FILE
-- Prints "connected" when all are, and at the end one JSON object. FILE gets two doubles for each message: when it
-- was sent (seconds since 1970), and how long it was on its way.
local tidewire = require "tidewire"

local url, count, last, file = ...
count = math.tointeger(tonumber(count))

local INTERVAL <const> = 0.1 -- seconds between two messages of a client
local AT_ONCE <const> = 50   -- opening handshakes under way
local PATIENCE <const> = 10  -- seconds from the last edit to the end

local clients = {}
local ways = {} -- "when sent, how long on its way" of all messages
local found = { connections = count, sent = 0, received = 0, doubled = 0, reordered = 0, closed = 0, state_lost = 0 }
local closing = false

local client = {}

function client.begin(ws)
    ws.state.timer = ws:every(INTERVAL, "say")
end

function client.say(ws)
    local me = ws.state
    if me.edits[last] then
        me.silent = true -- after this one: the partner has to hear the last edit too
        me.timer:cancel()
    end
    me.sent = me.sent + 1
    me.times[me.sent] = tidewire.now()
    ws:send(tostring(me.sent))
end

--- A message of the partner: in order, or one that others have overtaken, or one that was there before.
local function judge(me, number)
    if number == me.heard + 1 then
        me.heard = number
    elseif number > me.heard then
        for missing = me.heard + 1, number - 1 do
            me.missing[missing] = true
        end
        me.heard = number
    elseif me.missing[number] then
        me.missing[number] = nil
        found.reordered = found.reordered + 1
    else
        found.doubled = found.doubled + 1
    end
end

function client.message(ws, data)
    local now, me = tidewire.now(), ws.state
    local edit, said, number = data:match "^(%S+) (%d+) (%d+)$"
    number = math.tointeger(tonumber(number))
    local sent = me.partner.times[number]
    me.partner.times[number] = nil
    if sent then
        ways[#ways + 1] = ("<dd"):pack(sent, now - sent)
    end
    found.received = found.received + 1
    if math.tointeger(tonumber(said)) ~= number then
        found.state_lost = found.state_lost + 1 -- the server's own count, kept in ws.state
    end
    judge(me, number)
    me.edits[edit] = true
end

function client.close()
    if not closing then
        found.closed = found.closed + 1
    end
end

local function connect(index)
    local ws, message = tidewire.connect(url .. "pair/" .. (index + 1) // 2, { handler = client })
    if not ws then
        io.stderr:write(message, "\n")
        os.exit(1)
    end
    ws.state = { sent = 0, heard = 0, missing = {}, times = {}, edits = {} }
    clients[index] = ws
end

local function connect_all()
    local next_index, connected = 1, 0
    for _ = 1, AT_ONCE do
        tidewire.spawn(function()
            while next_index <= count do
                local index = next_index
                next_index = index + 1
                connect(index)
                connected = connected + 1
            end
        end)
    end
    while connected < count do
        tidewire.sleep(0.01)
    end
    for index = 1, count, 2 do
        clients[index].state.partner = clients[index + 1].state
        clients[index + 1].state.partner = clients[index].state
    end
end

local function is_over()
    for _, ws in ipairs(clients) do
        local me = ws.state
        if not me.silent or me.heard < me.partner.sent then
            return false
        end
    end
    return true
end

local function wait_for_the_end()
    local deadline
    while not is_over() and found.closed == 0 and not (deadline and tidewire.now() > deadline) do
        tidewire.sleep(0.05)
        if not deadline and clients[1].state.silent then
            deadline = tidewire.now() + PATIENCE
        end
    end
end

local function sum_up()
    found.lost, found.seen = 0, {}
    for _, ws in ipairs(clients) do
        local me = ws.state
        found.sent = found.sent + me.sent
        found.lost = found.lost + me.partner.sent - me.heard
        for _ in pairs(me.missing) do
            found.lost = found.lost + 1
        end
        for edit in pairs(me.edits) do
            found.seen[edit] = (found.seen[edit] or 0) + 1
        end
    end
end

connect_all()
print "connected"
io.stdout:flush()
for _, ws in ipairs(clients) do
    ws:after(math.random() * INTERVAL, "begin")
end
wait_for_the_end()
sum_up()
closing = true
for _, ws in ipairs(clients) do
    ws:close()
end
local out = assert(io.open(file, "wb"))
out:write(table.concat(ways))
out:close()
print(tidewire.json.encode(found))
