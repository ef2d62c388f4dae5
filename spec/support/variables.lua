--- Environment variables for specs: TIDEWIRE_* as a spec sets them, whatever the shell has.
--
--   local variables = require("support.variables").replace()  -- a table to fill and empty
--   require("support.variables").restore()
local variables = {}

local getenv = os.getenv

function variables.replace()
    local values = {}
    rawset(os, "getenv", function(name)
        if name:find("^TIDEWIRE_") or values[name] then
            return values[name]
        end
        return getenv(name)
    end)
    return values
end

function variables.restore()
    rawset(os, "getenv", getenv)
end

return variables
