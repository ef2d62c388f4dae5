--- Where in a line an error is: Lua's messages tell the line and often a name or a token of it.
local excerpt = require "tidewire.excerpt"

local syntax = {}

--- Is `message` (with its place, "name:line: ...") what compiling the text says?
function syntax.is_error(text, path, message)
    local _, said = load(text, "@" .. path, "t")
    return said == message
end

local function occurrences(line, token)
    local at, found = 1, {}
    while true do
        local first, last = line:find(token, at, true)
        if not first then
            return found
        end
        found[#found + 1] = { first = first, last = last }
        at = first + 1
    end
end

-- The bytes of the text before line `number`.
local function before(text, number)
    local at, line = 1, 1
    while line < number do
        local _, stop = text:find("\r\n", at, true)
        local _, other = text:find("[\r\n]", at)
        stop = stop and stop <= other + 1 and stop or other
        if not stop then
            return text
        end
        at, line = stop + 1, line + 1
    end
    return text:sub(1, at - 1)
end

-- A token may stand on its line several times. The wrong one is where the text up to and with it
-- already fails with the same message.
local function failing(text, path, message, number, line, token)
    local found = occurrences(line, token)
    local head = before(text, number)
    for _, place in ipairs(found) do
        if syntax.is_error(head .. line:sub(1, place.last), path, message) then
            return place.first
        end
    end
    return found[#found] and found[#found].first
end

--- The byte of the line at which the near-token of a syntax error begins, or nil.
function syntax.column(text, path, message)
    local number, near = message:match(":(%d+): .* near (.+)$")
    local line = number and excerpt.line(text, tonumber(number))
    if not line then
        return nil
    elseif near == "<eof>" then
        return #line:gsub("%s+$", "") + 1
    end
    local token = near:match("^'(.*)'$")
    if not token then
        return nil
    end
    return failing(text, path, message, tonumber(number), line, token)
end

--- The line of what a syntax error says is not closed ("to close 'function' at line 3"), or nil.
function syntax.opened(message)
    local number = message:match("%(to close '[^']*' at line (%d+)%)")
    return tonumber(number)
end

--- The byte at which the name that an error at run time is about (`field 'x'`, "undeclared global
-- `x`") stands in the line: only when it stands there once.
function syntax.name_column(line, message)
    local name = message:match("%(%a+ '([%a_][%w_]*)'%)") or message:match("undeclared global `([%a_][%w_]*)`")
    if not name then
        return nil
    end
    local found
    for at in line:gmatch("()%f[%w_]" .. name .. "%f[^%w_]") do
        if found then
            return nil
        end
        found = at
    end
    return found
end

return syntax
