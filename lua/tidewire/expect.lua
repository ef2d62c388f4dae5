--- Checks of what an app or a settings file declares. A failed check raises a failure that names
-- the field, what was expected there and what was found; `expect.catch` turns it into nil, text.
local nearest = require "tidewire.nearest"

local expect = {}

local failure = { __name = "tidewire.failure" }
function failure.__tostring(self)
    return self.text
end

--- Raises a failure about the field at `path`. `format` and what follows are as for
-- string.format; without arguments the text is taken as it is.
function expect.fail(path, format, ...)
    local message = select("#", ...) > 0 and format:format(...) or format
    error(setmetatable({ text = path == "" and message or path .. ": " .. message }, failure), 0)
end

--- Calls fn(...). Returns its results, or nil and the text of the failure it raised; any other
-- error passes through.
function expect.catch(fn, ...)
    local results = table.pack(pcall(fn, ...))
    if results[1] then
        return table.unpack(results, 2, results.n)
    end
    local err = results[2]
    if getmetatable(err) == failure then
        return nil, err.text
    end
    error(err, 0)
end

--- The path of a field: `routes`, `routes["/chat"]`, `routes["/chat"].protocols[2]`.
function expect.field(path, key)
    if type(key) == "number" then
        return ("%s[%s]"):format(path, key)
    elseif type(key) ~= "string" then
        return ("%s[%s]"):format(path, tostring(key))
    elseif not key:match("^[%a_][%w_]*$") then
        return ("%s[%s]"):format(path, expect.quote(key))
    end
    return path == "" and key or path .. "." .. key
end

--- A string in quotes, shortened and with control characters escaped.
function expect.quote(text)
    if #text > 60 then
        text = text:sub(1, 57) .. "..."
    end
    return '"' .. text:gsub('[%c"\\]', function(c)
        if c == '"' or c == "\\" then
            return "\\" .. c
        end
        return ("\\%d"):format(c:byte())
    end) .. '"'
end

local articles = { ["nil"] = "nil", userdata = "a userdata" }

--- What was found instead: "a number", "nil", "an empty string".
function expect.kind(value)
    return articles[type(value)] or "a " .. type(value)
end

--- The value itself where it can be shown in a few characters, otherwise its kind.
function expect.show(value)
    if type(value) == "string" then
        return expect.quote(value)
    elseif type(value) == "number" or type(value) == "boolean" then
        return tostring(value)
    end
    return expect.kind(value)
end

--- Fails unless `value` has the type, e.g. expect.type(v, "table", path, "a table of routes").
-- Returns the value.
function expect.type(value, wanted, path, what)
    if type(value) ~= wanted then
        expect.fail(path, "expected %s, got %s", what, expect.kind(value))
    end
    return value
end

--- Fails unless `value` is nil or a function. Returns the value.
function expect.optional_function(value, path)
    if value ~= nil and type(value) ~= "function" then
        expect.fail(path, "expected a function, got %s", expect.kind(value))
    end
    return value
end

--- A table's keys, sorted so that of several mistakes always the same is told first.
function expect.sorted_keys(map)
    local keys = {}
    for key in pairs(map) do
        keys[#keys + 1] = key
    end
    table.sort(keys, function(a, b)
        if type(a) == type(b) and (type(a) == "string" or type(a) == "number") then
            return a < b
        end
        return tostring(a) < tostring(b)
    end)
    return keys
end

--- " (did you mean `x`?)", or when no name is near: "; known are a, b, c".
function expect.hint(name, names)
    local hint = nearest.hint(name, names)
    return hint ~= "" and hint or "; known are " .. table.concat(names, ", ")
end

--- Fails when the table has a key that is not in the list `names`.
function expect.only(value, names, path)
    local known = {}
    for _, name in ipairs(names) do
        known[name] = true
    end
    for _, key in ipairs(expect.sorted_keys(value)) do
        if not known[key] then
            expect.fail(expect.field(path, key), "unknown field%s", expect.hint(key, names))
        end
    end
end

--- Fails unless `value` is a list: a table with the keys 1 to n, at least one. Returns it.
function expect.list(value, path, what)
    expect.type(value, "table", path, what)
    local count = 0
    for key in pairs(value) do
        if math.type(key) ~= "integer" then
            expect.fail(path, "expected %s, got a table with the key %s", what, expect.show(key))
        end
        count = count + 1
    end
    if count == 0 then
        expect.fail(path, "expected %s, got an empty table", what)
    end
    for i = 1, count do
        if value[i] == nil then
            expect.fail(path, "expected %s, got a list with a hole at %d", what, i)
        end
    end
    return value
end

return expect
