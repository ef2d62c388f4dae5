--- Logging for apps: log.info("joined", { room = "lobby" }). One line each on stderr.
local core = require "tidewire.core"

local log = {}

local plain = { string = true, number = true, boolean = true }

local function check(level, message, fields)
    if type(message) ~= "string" then
        error(("bad argument #1 to 'log.%s' (string expected, got %s)"):format(level, type(message)), 3)
    elseif fields ~= nil and type(fields) ~= "table" then
        error(("bad argument #2 to 'log.%s' (a table of fields expected, got %s)"):format(level, type(fields)), 3)
    end
    for name, value in pairs(fields or {}) do
        if type(name) ~= "string" or not plain[type(value)] then
            error(("bad argument #2 to 'log.%s' (the field %s is a %s; expected a string, number or boolean)")
                :format(level, tostring(name), type(value)), 3)
        end
    end
end

--- debug, info, warn, error: (message [, fields]). fields: a table of names with strings, numbers or
-- booleans. Misuse throws.
for _, level in ipairs { "debug", "info", "warn", "error" } do
    log[level] = function(message, fields)
        check(level, message, fields)
        core.log(level, message, fields)
    end
end

return log
