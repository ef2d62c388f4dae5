--- The Range field (RFC 9110 section 14): one range of bytes.
local range = {}

-- Digits as an integer; what is too long for one is as good as the largest.
local function integer(digits)
    return math.tointeger(tonumber(digits)) or math.maxinteger
end

--- Reads a Range field for a content of `size` bytes. Returns
--   offset, length      the part that is asked for
--   nil, "whole"        not for us to honour: another unit, several ranges, malformed
--   nil, "unsatisfiable"  no byte of it exists
function range.parse(text, size)
    local unit, first, last = text:match("^(%a+)=(%d*)%-(%d*)$")
    if not unit or unit:lower() ~= "bytes" or (first == "" and last == "") then
        return nil, "whole"
    end
    if first == "" then
        local suffix = integer(last)
        if suffix == 0 then
            return nil, "unsatisfiable"
        elseif size == 0 then
            return nil, "whole"
        end
        local length = math.min(suffix, size)
        return size - length, length
    end
    local from = integer(first)
    local to = last == "" and math.maxinteger or integer(last)
    if to < from then
        return nil, "whole"
    elseif from >= size then
        return nil, "unsatisfiable"
    end
    return from, math.min(to, size - 1) - from + 1
end

return range
