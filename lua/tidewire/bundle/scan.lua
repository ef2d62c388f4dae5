--- Finds the names of modules that a text requires, without running it: `require "x"`, `require("x")`,
-- `pcall(require, "x")`, wherever they stand but in comments and strings.
local scan = {}

-- The end of a long bracket that begins at `at` ("[[", "[=["), or nil when none does.
local function long_bracket(text, at)
    local level = text:match("^%[(=*)%[", at)
    if not level then
        return nil
    end
    local _, stop = text:find("]" .. level .. "]", at, true)
    return stop or #text
end

-- The end of a string in quotes that begins at `at`.
local function quoted(text, at)
    local quote = text:sub(at, at)
    local stop = at + 1
    while true do
        stop = text:find("[\\\n" .. quote .. "]", stop)
        if not stop then
            return #text
        elseif text:byte(stop) ~= 92 then
            return stop
        end
        stop = stop + 2 -- what is escaped, and be it a quote or the end of the line
    end
end

-- The end of a comment or of white space at `at`, or nil.
local function blank(text, at)
    local _, stop = text:find("^%s+", at)
    if stop then
        return stop
    elseif text:find("^%-%-", at) then
        return long_bracket(text, at + 2) or (text:find("\n", at, true) or #text)
    end
    return nil
end

-- The next token from `at` on: its kind ("name", "string" or the text of anything else), first and last byte. Or nil.
local function next_token(text, at)
    local stop = blank(text, at)
    while stop do
        at = stop + 1
        stop = blank(text, at)
    end
    if at > #text then
        return nil
    end
    local _, last = text:find("^[%a_][%w_]*", at)
    if last then
        return "name", at, last
    end
    local character = text:sub(at, at)
    if character == '"' or character == "'" then
        return "string", at, quoted(text, at)
    end
    last = long_bracket(text, at)
    if last then
        return "string", at, last
    end
    _, last = text:find("^%.?%d[%w_.]*", at) -- a number, so that "1..2" is not taken for a name
    last = last or select(2, text:find("^%.%.+", at)) or select(2, text:find("^[=~<>/]=", at)) or at
    return text:sub(at, last), at, last
end

-- What a literal means, or nil.
local function literal(token)
    local value = load("return " .. token.text, "=literal", "t", {})
    return value and value() or nil
end

local nothing = { kind = "", text = "" }

-- The token from `at` on, and where the next one may begin.
local function token_at(text, at)
    local kind, first, last = next_token(text, at)
    if not kind then
        return nothing, at
    end
    return { kind = kind, text = text:sub(first, last), first = first }, last + 1
end

local ends_argument = { [")"] = true, [","] = true }

-- The name in the tokens behind `require`, and whether it is said within pcall; or nil.
local function name_behind(text, at)
    local after, second, third
    after, at = token_at(text, at)
    if after.kind == "string" then
        return literal(after), false
    elseif after.kind ~= "(" and after.kind ~= "," then
        return nil
    end
    second, at = token_at(text, at)
    third = token_at(text, at)
    if second.kind == "string" and ends_argument[third.kind] then
        return literal(second), after.kind == ","
    end
    return nil
end

local called = { ["("] = true, string = true }

-- Is it another thing of that name, or `local require = require`, which leads to nothing new?
-- before, second: the token before it and the one before that.
local function is_other(second, before, after)
    if before.kind == "name" and before.text == "function" or after.kind == "=" then
        return true
    elseif before.kind == "." then
        return not second.text:find("^_[GE]")
    end
    return before.kind == ":" or before.kind == "=" and second.text == "require" and not called[after.kind]
end

--- Returns a list of { name =, line =, caught = (pcall(require, name)) }, and the line of the first `require` whose
-- name is computed, or nil.
function scan.requires(text)
    local found, computed = {}, nil
    local at = text:find("^#") and (text:find("\n", 1, true) or #text + 1) or 1
    local second, before, line, counted = nothing, nothing, 1, 1
    if not text:find("require", 1, true) then
        return found, nil
    end
    local token
    repeat
        token, at = token_at(text, at)
        if token.text == "require" and token.kind == "name" and not is_other(second, before, (token_at(text, at))) then
            line = line + select(2, text:sub(counted, token.first - 1):gsub("\n", ""))
            counted = token.first
            local name, caught = name_behind(text, at)
            if name then
                found[#found + 1] = { name = name, line = line, caught = caught }
            else
                computed = computed or line
            end
        end
        second, before = before, token
    until token == nothing
    return found, computed
end

return scan
