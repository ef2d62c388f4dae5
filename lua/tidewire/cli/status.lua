--- tidewire status: what a running app is doing, version by version, and what keeps old ones alive.
local control = require "tidewire.control"
local words = require "tidewire.cli.words"

local status = {}

-- The app's code: which version serves, since when, and whether another one is on trial.
local function code_lines(code, now, add)
    if not code then
        return
    end
    local text = "no version serves yet"
    if code.version > 0 then
        text = ("version %d for %s"):format(code.version, words.duration(math.max(0, now - code.since)))
    end
    if code.state == "watching" then
        text = text .. ", watched for errors"
            .. (code.previous > 0 and ("; before it version %d"):format(code.previous) or "")
    elseif code.state == "canary" then
        text = text .. ("; beside it version %d, a canary, for %d%% of the connections"):format(code.canary, code.share)
    end
    add(code.phase and ("%s; a change is under way (%s)"):format(text, code.phase) or text)
end

-- "message of /chat/:room at chat.lua:31, for 12 s"
local function pin_line(pin)
    local parts = { pin.what }
    if pin.where then
        parts[#parts + 1] = "at " .. pin.where
    end
    if pin.id then
        parts[#parts + 1] = ("(connection %s)"):format(pin.id)
    end
    local text = table.concat(parts, " ")
    return pin.seconds and ("%s, for %s"):format(text, words.duration(pin.seconds)) or text
end

-- One that is only kept is told by `versions`.
local function is_of_interest(generation)
    return generation.role == "old" or generation.role == "canary"
        or generation.role == "kept" and (generation.connections > 0 or (generation.pins_total or 0) > 0)
end

local function generation_lines(generation, add)
    local role = generation.role == "kept" and "kept for a rollback" or generation.role
    local connections = generation.connections > 0
        and ", " .. words.count(generation.connections, "connection") or ""
    add(("  version %d  %s%s"):format(generation.version, role, connections))
    for _, pin in ipairs(generation.pins or {}) do
        add("    " .. pin_line(pin))
    end
    local more = (generation.pins_total or 0) - #(generation.pins or {})
    if more > 0 then
        add(("    and %s more"):format(words.number(more)))
    end
end

local function worker_lines(worker, code, add)
    if worker.state == "down" then
        add(("worker %d  down"):format(worker.index))
        return
    end
    local version = code and worker.version and worker.version ~= code.version
        and (", version %d"):format(worker.version) or ""
    add(("worker %d  %s, pid %d, up %s%s, %s%s"):format(worker.index, worker.state, worker.pid,
        words.duration(worker.uptime), version, words.count(worker.connections, "connection"),
        worker.answers == false and ", does not answer" or ""))
    for _, generation in ipairs(worker.generations or {}) do
        if is_of_interest(generation) then
            generation_lines(generation, add)
        end
    end
end

local function show(answer, now)
    local lines = {}
    local function add(line)
        lines[#lines + 1] = line
    end
    add(("tidewire %s  pid %d, up %s%s"):format(answer.version, answer.pid, words.duration(answer.uptime),
        answer.app and ", " .. answer.app or ""))
    code_lines(answer.code, now, add)
    for _, worker in ipairs(answer.workers) do
        worker_lines(worker, answer.code, add)
    end
    for _, listener in ipairs(answer.listeners) do
        add("listening " .. listener.url)
    end
    local text = table.concat(lines, "\n") .. "\n"
    if #answer.certificates > 0 then
        text = text .. "certificates\n" .. control.certificates(answer.certificates)
    end
    return text
end

--- Returns the exit status.
function status.run(asked, streams)
    return control.run(asked, streams, { command = "status" }, function(answer)
        return show(answer, require("tidewire.core").now())
    end)
end

return status
