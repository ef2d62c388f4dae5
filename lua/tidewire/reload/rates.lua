--- How often calls of the app fail: of the version that serves, over the last half minute.
local core = require "tidewire.core"

local rates = {}

local interval, kept = 5, 6

local methods = {}
methods.__index = methods

--- Begins to take samples of the generation that current() returns.
function rates.new(current)
    local self = setmetatable({ current = current, samples = {} }, methods)
    self.timer = core.every(interval, function()
        self:sample()
    end)
    return self
end

function methods:sample()
    local gen = self.current()
    if not self.samples[1] or self.samples[1].number ~= gen.number then
        self.samples = { { number = gen.number, handled = 0, failed = 0 } }
    end
    table.insert(self.samples, { number = gen.number, handled = gen.handled, failed = gen.failed })
    if #self.samples > kept then
        table.remove(self.samples, 1)
    end
end

--- Takes no further ones.
function methods:stop()
    self.timer:cancel()
end

--- The numbers of calls and of failed ones in the last 30 s, or since it serves.
function methods:recent()
    local gen, first = self.current(), self.samples[1]
    if not first or first.number ~= gen.number then
        return gen.handled, gen.failed
    end
    return gen.handled - first.handled, gen.failed - first.failed
end

return rates
