--- The limits: their names, kinds, defaults and where each may be set.
--
-- scope "route": in tidewire.lua, where it is the default of all routes, in a handler, in a
-- route's options. scope "process": in tidewire.lua alone, because it counts before a route is
-- known or for the process as a whole. `later` marks limits that this version does not enforce:
-- setting one is an error, never a silence.
local expect = require "tidewire.expect"
local units = require "tidewire.units"

local limits = {}

local KiB, MiB = 1024, 1024 * 1024

-- `zero`: 0 is allowed and turns the limit off. `connections` has no default here: it follows
-- from RLIMIT_NOFILE.
local rows = {
    { name = "handshake", kind = "seconds", default = 10, scope = "process" },
    { name = "head", kind = "bytes", default = 16 * KiB, scope = "process" },
    { name = "headers", kind = "count", default = 100, scope = "process", highest = 100 },
    { name = "body", kind = "bytes", default = 1 * MiB, scope = "process" },
    { name = "message", kind = "bytes", default = 1 * MiB, scope = "route" },
    { name = "reassembly", kind = "bytes", default = 256 * MiB, scope = "process" },
    { name = "fragments", kind = "count", default = 1024, scope = "route" },
    { name = "inflate_ratio", kind = "count", default = 100, scope = "route" },
    { name = "ping_interval", kind = "seconds", default = 25, scope = "route", zero = true },
    { name = "pong_wait", kind = "seconds", default = 20, scope = "route" },
    { name = "idle", kind = "seconds", default = 120, scope = "route", zero = true },
    { name = "close", kind = "seconds", default = 10, scope = "route" },
    { name = "send_soft", kind = "bytes", default = 256 * KiB, scope = "route" },
    { name = "send_queue", kind = "bytes", default = 1 * MiB, scope = "route" },
    { name = "stall", kind = "seconds", default = 10, scope = "route" },
    { name = "subscriptions", kind = "count", default = 128, scope = "route", zero = true },
    { name = "connections", kind = "count", scope = "process" },
    { name = "handshakes_per_address", kind = "count", default = 1024, scope = "process" },
    { name = "handshakes_per_second", kind = "count", default = 0, scope = "process", zero = true },
    { name = "lag", kind = "seconds", default = 0.25, scope = "process", zero = true },
    { name = "rate", kind = "count", default = 0, scope = "route", zero = true },
    { name = "handler_slow", kind = "seconds", default = 0.05, scope = "route", later = true },
    { name = "handler", kind = "seconds", default = 0.5, scope = "route", later = true },
    { name = "heap", kind = "bytes", default = 512 * MiB, scope = "process", later = true },
    { name = "load", kind = "seconds", default = 0.5, scope = "process" },
    { name = "reload_grace", kind = "seconds", default = 5, scope = "process" },
    { name = "reload_watch", kind = "seconds", default = 30, scope = "process" },
    { name = "drain", kind = "seconds", default = 30, scope = "process", zero = true },
}

local by_name, route_names, all_names = {}, {}, {}
for _, row in ipairs(rows) do
    by_name[row.name] = row
    if not row.later then
        all_names[#all_names + 1] = row.name
        if row.scope == "route" then
            route_names[#route_names + 1] = row.name
        end
    end
end
table.sort(all_names)
table.sort(route_names)

local function read_one(row, value, path)
    local n, message = units[row.kind](value)
    if not n then
        expect.fail(path, "%s", message)
    end
    if n == 0 and not row.zero then
        expect.fail(path, "expected more than 0: this limit cannot be turned off")
    end
    if row.highest and n > row.highest then
        expect.fail(path, "expected at most %d, got %s", row.highest, expect.show(value))
    end
    return n
end

--- Checks a `limits` table as somebody wrote it and returns it in numbers (bytes, seconds,
-- counts): only the names that are in it. scope: "process" (a settings file: every name) or
-- "route". Fails as expect does.
function limits.read(given, scope, path)
    expect.type(given, "table", path, "a table of limits")
    local names = scope == "process" and all_names or route_names
    local out = {}
    for _, key in ipairs(expect.sorted_keys(given)) do
        local row, field = by_name[key], expect.field(path, key)
        if not row then
            expect.fail(field, "unknown limit%s", expect.hint(key, names))
        elseif row.later then
            expect.fail(field, "this limit is not available in this version")
        elseif scope == "route" and row.scope == "process" then
            expect.fail(field, "this limit concerns the whole process: set it in tidewire.lua")
        end
        out[key] = read_one(row, given[key], field)
    end
    return out
end

--- The defaults of all limits that are enforced and have one, as a new table.
function limits.defaults()
    local out = {}
    for _, row in ipairs(rows) do
        if not row.later then
            out[row.name] = row.default
        end
    end
    return out
end

--- Lays tables of limits (from limits.read; later ones win) over the defaults and returns every
-- limit as a number. The send queue takes at least one message: its default follows `message`,
-- a value of one's own that is too small fails.
function limits.merge(path, ...)
    local given = {}
    for i = 1, select("#", ...) do
        for name, value in pairs((select(i, ...)) or {}) do
            given[name] = value
        end
    end
    local out = limits.defaults()
    for name, value in pairs(given) do
        out[name] = value
    end
    if not given.send_queue then
        out.send_queue = math.max(out.send_queue, out.message)
    elseif out.send_queue < out.message then
        expect.fail(expect.field(path, "send_queue"), "%s is below one message (`message` is %s)",
            units.format_bytes(out.send_queue), units.format_bytes(out.message))
    end
    if not given.send_soft then
        out.send_soft = math.min(out.send_soft, out.send_queue)
    elseif out.send_soft > out.send_queue then
        expect.fail(expect.field(path, "send_soft"), "%s is above the hard mark (`send_queue` is %s)",
            units.format_bytes(out.send_soft), units.format_bytes(out.send_queue))
    end
    return out
end

--- The limits that concern the process, as numbers: the defaults with those of tidewire.lua laid over
-- them. `connections` is there only when it was set.
function limits.of_process(given)
    local out = {}
    for _, row in ipairs(rows) do
        if row.scope == "process" and not row.later then
            out[row.name] = given[row.name] or row.default
        end
    end
    return out
end

return limits
