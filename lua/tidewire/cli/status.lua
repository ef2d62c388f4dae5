--- tidewire status: what a running app is doing.
local control = require "tidewire.control"

local status = {}

-- 75 as "1 min", so that the number is never large.
local function duration(seconds)
    for _, unit in ipairs { { 86400, "days" }, { 3600, "h" }, { 60, "min" } } do
        if seconds >= 2 * unit[1] then
            return ("%d %s"):format(seconds // unit[1], unit[2])
        end
    end
    return ("%d s"):format(seconds // 1)
end

local function show(answer)
    local lines = { ("tidewire %s  pid %d, up %s\n"):format(answer.version, answer.pid, duration(answer.uptime)) }
    for _, worker in ipairs(answer.workers) do
        lines[#lines + 1] = worker.state == "down" and ("worker %d  down\n"):format(worker.index)
            or ("worker %d  %s, pid %d, up %s, connections: %d\n"):format(worker.index, worker.state, worker.pid,
                duration(worker.uptime), worker.connections)
    end
    for _, listener in ipairs(answer.listeners) do
        lines[#lines + 1] = ("listening %s\n"):format(listener.url)
    end
    if #answer.certificates > 0 then
        lines[#lines + 1] = "certificates\n" .. control.certificates(answer.certificates)
    end
    return table.concat(lines)
end

--- Returns the exit status.
function status.run(asked, streams)
    return control.run(asked, streams, "status", show)
end

return status
