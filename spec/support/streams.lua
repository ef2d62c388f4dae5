--- Streams that keep what is written to them, in the form that tidewire.cli takes.
local streams = {}

local function new_stream()
    local parts = {}
    return {
        flushed = false,
        write = function(_, ...)
            for i = 1, select("#", ...) do
                parts[#parts + 1] = tostring((select(i, ...)))
            end
        end,
        flush = function(self)
            self.flushed = true
        end,
        text = function()
            return table.concat(parts)
        end,
    }
end

function streams.new()
    return { out = new_stream(), err = new_stream() }
end

return streams
