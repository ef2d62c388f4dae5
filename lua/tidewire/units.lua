--- Sizes, durations and counts as people write them: 65536, "64 KiB", 2, "2 min", "500 ms".
-- Each function returns the number, or nil and what was expected and found.
local expect = require "tidewire.expect"
local nearest = require "tidewire.nearest"

local units = {}

local sizes = {
    B = 1,
    kB = 1000, MB = 1000 ^ 2, GB = 1000 ^ 3,
    KiB = 1024, MiB = 1024 ^ 2, GiB = 1024 ^ 3,
}
local size_names = { "B", "kB", "KiB", "MB", "MiB", "GB", "GiB" }

local durations = { ms = 0.001, s = 1, min = 60, h = 3600, d = 86400 }
local duration_names = { "ms", "s", "min", "h", "d" }

-- More than this is no bound at all, and would not fit where C keeps it (milliseconds in 32 bits).
local size_max, size_max_shown = 2 ^ 40, "1024 GiB"
local duration_max, duration_max_shown = 30 * 86400, "30 d"
local count_max = 2 ^ 31 - 1

local function quantity(value, factors, names, what)
    if type(value) == "number" then
        return value
    elseif type(value) ~= "string" then
        return nil, ("expected %s, got %s"):format(what, expect.kind(value))
    end
    local digits, unit = value:match("^%s*(%d+%.?%d*)%s*(%a*)%s*$")
    if not digits then
        return nil, ("expected %s, got %s"):format(what, expect.quote(value))
    end
    if unit ~= "" and not factors[unit] then
        return nil, ("expected %s, got %s: unknown unit `%s`%s; units are %s"):format(what,
            expect.quote(value), unit, nearest.hint(unit, names), table.concat(names, ", "))
    end
    return tonumber(digits) * (factors[unit] or 1)
end

local function within(n, highest, highest_shown, what, shown)
    if n ~= n or n < 0 then
        return nil, ("expected %s, got %s"):format(what, shown)
    elseif n > highest then
        return nil, ("expected at most %s, got %s"):format(highest_shown, shown)
    end
    return n
end

--- A whole number of bytes.
function units.bytes(value)
    local what = 'a size such as 65536 or "64 KiB"'
    local n, message = quantity(value, sizes, size_names, what)
    if not n then
        return nil, message
    end
    n, message = within(n, size_max, size_max_shown, what, expect.show(value))
    if not n then
        return nil, message
    end
    local whole = math.tointeger(n)
    if not whole then
        return nil, ("expected a whole number of bytes, got %s"):format(expect.show(value))
    end
    return whole
end

--- Seconds, not necessarily whole ones; nothing between 0 and a millisecond.
function units.seconds(value)
    local what = 'a duration such as 30, "2 min" or "500 ms"'
    local n, message = quantity(value, durations, duration_names, what)
    if not n then
        return nil, message
    end
    n, message = within(n, duration_max, duration_max_shown, what, expect.show(value))
    if not n then
        return nil, message
    end
    if n > 0 and n < 0.001 then
        return nil, ("expected at least 1 ms, got %s"):format(expect.show(value))
    end
    return n
end

--- A whole number.
function units.count(value)
    if type(value) ~= "number" then
        return nil, ("expected a whole number, got %s"):format(expect.show(value))
    end
    local whole = math.tointeger(value)
    if not whole or whole < 0 or whole > count_max then
        return nil, ("expected a whole number, got %s"):format(expect.show(value))
    end
    return whole
end

--- Bytes in the largest binary unit that divides them: 65536 is "64 KiB".
function units.format_bytes(n)
    for _, name in ipairs { "GiB", "MiB", "KiB" } do
        local factor = math.tointeger(sizes[name])
        if n >= factor and n % factor == 0 then
            return ("%d %s"):format(n // factor, name)
        end
    end
    return ("%d B"):format(n)
end

return units
