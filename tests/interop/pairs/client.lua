-- tidewire as a client that carries out a plan (peers.py says what may be in it):
--     tidewire exec client.lua URL CA-FILE PLAN-FILE
local tidewire = require "tidewire"

local url, authority, plan_file = table.unpack(arg)

local function read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read "a"
end

local plan = tidewire.json.decode(read(plan_file))
local wrong, result = {}, nil

local function numbered(i)
    return ("message %d "):format(i):rep(i % 7 + 1), i % 2 == 0 and "text" or "binary"
end

local function expect(ws, what, data, kind)
    local got, got_kind = ws:receive(60)
    if got ~= data or got_kind ~= kind then
        wrong[#wrong + 1] = what
    end
end

local steps = {}

function steps.send(ws, kind, path)
    assert(ws:send(read(path), kind))
end

function steps.expect(ws, kind, path)
    expect(ws, path, read(path), kind)
end

function steps.ask(ws, ...)
    assert(ws:send(tidewire.json.encode { ... }))
end

function steps.burst(ws, count)
    for i = 0, count - 1 do
        assert(ws:send(numbered(i)))
    end
    for i = 0, count - 1 do
        expect(ws, "burst " .. i, numbered(i))
    end
end

function steps.hear(ws, count)
    for i = 0, count - 1 do
        expect(ws, "heard " .. i, numbered(i))
    end
end

function steps.ping(ws, data)
    assert(ws:ping(data))
end

function steps.close(ws, code, reason)
    ws:close(code, reason)
end

function steps.closed(ws)
    expect(ws, "no end", nil, "closed")
end

local handler = {}

function handler.run(ws)
    for _, step in ipairs(plan.steps) do
        steps[step[1]](ws, table.unpack(step, 2))
    end
end

function handler.close(ws, code, reason, clean)
    result = {
        protocol = ws.protocol or tidewire.json.null,
        extensions = ws.response.headers["Sec-WebSocket-Extensions"] or "",
        wrong = tidewire.json.array(wrong), ["end"] = { code = code, reason = reason }, clean = clean,
    }
end

function handler.error(_, err, traceback)
    io.stderr:write(tostring(err), "\n", traceback or "", "\n")
    os.exit(1)
end

assert(tidewire.connect(url, {
    handler = handler, protocols = #plan.protocols > 0 and plan.protocols or nil, compression = plan.compression,
    limits = { message = "4 MiB", send_queue = "8 MiB", send_soft = "4 MiB", inflate_ratio = plan.ratio },
    proxy = plan.proxy, tls = url:find "^wss:" and { ca = authority } or nil,
}))
while not result do
    tidewire.sleep(0.005)
end
print(tidewire.json.encode(result))
