--- The pace of work that a worker does beside serving: a millisecond, then a turn of the loop.
local core = require "tidewire.core"

local pace = {}

local slice = 0.001

--- Raised by a pace whose work nobody wants any more.
pace.stopped = setmetatable({}, {
    __tostring = function()
        return "nobody wants it any more"
    end,
})

--- Waits; raises pace.stopped when is_stopped() is true then.
function pace.wait(seconds, is_stopped)
    core.sleep(seconds)
    if is_stopped() then
        error(pace.stopped, 0)
    end
end

--- Returns a function to be called every few steps of a long work: it waits for a turn of the loop when the
-- time is up, and returns true then. Meanwhile anything may have happened. When is_stopped() is true
-- after a turn, it raises pace.stopped.
function pace.new(is_stopped)
    local began = os.clock()
    return function()
        if os.clock() - began < slice then
            return false
        end
        pace.wait(0, is_stopped)
        began = os.clock()
        return true
    end
end

return pace
