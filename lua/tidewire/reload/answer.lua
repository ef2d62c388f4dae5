--- What a worker answers to the orders of a reload: plain tables, which become JSON.
local core = require "tidewire.core"
local report = require "tidewire.report"

local answer = {}

--- A failure in a phase. text: whole, for a terminal, ended by a line feed; details: the table that report gives
-- beside it. When they name a phase, it goes over the one given.
function answer.failure(phase, text, details)
    return {
        ok = false, phase = details.phase or phase, message = details.message, text = text,
        file = details.file, line = details.line,
    }
end

--- A message in these two forms; lines: what follows it in the text, or nil.
function answer.text(message, lines)
    local text, details = report.plain(message)
    for _, line in ipairs(lines or {}) do
        text = ("%s    %s\n"):format(text, line)
    end
    return text, details
end

--- A failure that is a message alone; lines as of answer.text.
function answer.refusal(phase, message, lines)
    return answer.failure(phase, answer.text(message, lines))
end

local function seconds(n)
    return n < 10 and ("%.1f s"):format(n) or ("%.0f s"):format(n)
end

-- One of gen:pins() or core.quiet() in a line: "message of /chat/:room at chat.lua:31 (connection ...), for 12 s".
local function describe(pin)
    local line = pin.kind == "handler" and pin.what or ("%s %s"):format(pin.kind, pin.what)
    if pin.where then
        line = ("%s at %s"):format(line, pin.where)
    end
    if pin.id then
        line = ("%s (connection %s)"):format(line, pin.id)
    end
    return pin.seconds and ("%s, for %s"):format(line, seconds(pin.seconds)) or line
end

--- Pins as lines; total: how many there are in all, or nil when these are all.
function answer.pins(pins, total)
    local lines = {}
    for i, pin in ipairs(pins) do
        lines[i] = describe(pin)
    end
    if total and total > #pins then
        lines[#lines + 1] = ("and %d more"):format(total - #pins)
    end
    return lines
end

--- How many connections there are.
function answer.connections()
    local count = 0
    for _, gen in ipairs(core.generations()) do
        count = count + gen.connections
    end
    return count
end

return answer
