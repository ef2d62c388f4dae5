--- The option `compression`: permessage-deflate (RFC 7692) of a route, a handler or a client.
local expect = require "tidewire.expect"
local units = require "tidewire.units"

local compression = {}

local names = { "level", "min_size", "takeover", "window_bits" }

-- One compressor for all connections that keeps nothing between messages is what `true` gives: with
-- `takeover` each connection has windows of its own, up to some 300 KiB.
local defaults = { takeover = false, window_bits = 15, level = 6, min_size = 64 }

local function whole(value, lowest, highest, path)
    local n = math.type(value) == "integer" and value or nil
    if not n or n < lowest or n > highest then
        expect.fail(path, "expected a whole number from %d to %d, got %s", lowest, highest, expect.show(value))
    end
    return n
end

local function size(value, path)
    local n, message = units.bytes(value)
    if not n then
        expect.fail(path, "%s", message)
    end
    return math.min(n, 0xFFFFFFFF)
end

--- Checks `true`, `false` or a table { takeover =, window_bits =, level =, min_size = }. Returns false,
-- or the table with all four, as C takes it. Fails as expect does.
function compression.check(value, path)
    if value == false then
        return false
    elseif value == true then
        value = {}
    end
    expect.type(value, "table", path, "true, false or a table such as { takeover = true }")
    expect.only(value, names, path)
    local function field(name, check, ...)
        if value[name] == nil then
            return defaults[name]
        end
        return check(value[name], ...)
    end
    if value.takeover ~= nil then
        expect.type(value.takeover, "boolean", expect.field(path, "takeover"), "true or false")
    end
    return {
        takeover = value.takeover == true,
        window_bits = field("window_bits", whole, 8, 15, expect.field(path, "window_bits")),
        level = field("level", whole, 1, 9, expect.field(path, "level")),
        min_size = field("min_size", size, expect.field(path, "min_size")),
    }
end

return compression
