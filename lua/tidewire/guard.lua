--- Calls of an app's code while it is being loaded and judged: it may not act, and it has a bounded
-- time and memory, so that a version that loops or grows is refused and disturbs nobody.
local core = require "tidewire.core"
local limits = require "tidewire.limits"
local report = require "tidewire.report"

local guard = {}

--- How much more memory than before loading may take.
guard.bytes = 256 * 1024 * 1024

-- What is raised over the limits ends with one of these; and what to do about it.
local advices = {
    { "still running after %S+ s of CPU time$",
        "do what takes longer in start(app), or set `limits.load` in tidewire.lua" },
    { "it took more than %S+ MiB of memory$", "do what needs more in start(app)" },
    { "^attempt to yield across a C%-call boundary$", "an app cannot wait while it loads; do it in start(app)" },
}

--- The limits for loading, by those of tidewire.lua (a table of numbers) or, without it, the defaults:
-- { seconds =, bytes = }.
function guard.limits(given)
    return { seconds = given and given.load or limits.defaults().load, bytes = guard.bytes }
end

--- Calls fn(...), and meanwhile core refuses everything that acts (send, publish, spawn, timers). Returns
-- true and its results; or false, what was raised, the traceback, and the innermost frames (see core.limited).
-- Being over the limits is such an error, at the place where it happened, that pcall does not stop.
function guard.call(limit, fn, ...)
    core.loading(true)
    local results = table.pack(core.limited(fn, limit.seconds, limit.bytes, ...))
    core.loading(false)
    return table.unpack(results, 1, results.n)
end

--- What an app has as xpcall. Lua calls a message handler before it leaves the place of the error, where the limits
-- do not interrupt anything: over the limits, none is called.
function guard.xpcall(fn, handler, ...)
    if type(handler) ~= "function" then
        return xpcall(fn, handler, ...)
    end
    return xpcall(fn, function(err)
        if core.is_over() then
            return err
        end
        return handler(err)
    end, ...)
end

--- What was raised, and when it is about the limits, what to do about it.
function guard.advice(err)
    for _, advice in ipairs(type(err) == "string" and advices or {}) do
        if err:find(advice[1]) then
            return err .. "\n" .. advice[2]
        end
    end
    return err
end

--- What guard.call says of a failure, as report.failure tells it. phase: where it happened. frames: nil, or the
-- local variables are shown. Returns nil, a whole message for stderr, and the same as a table, with the phase.
function guard.failure(limit, phase, sources, err, traceback, frames)
    -- within the limits too: an error object may have a __tostring that loops
    local ok, text, details = guard.call(limit, report.failure, guard.advice(err), traceback, sources, frames)
    if not ok then
        text, details = report.failure("an error object that cannot be shown", traceback, sources, frames)
    end
    details.phase = details.syntax and "compile" or phase
    return nil, text, details
end

return guard
