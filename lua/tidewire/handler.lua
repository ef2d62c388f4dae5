--- The contract of a handler: which callbacks and options it may have, and the options' forms.
local compression = require "tidewire.compression"
local expect = require "tidewire.expect"
local limits = require "tidewire.limits"
local nearest = require "tidewire.nearest"
local proxies = require "tidewire.proxies"

local handler = {}

local callbacks = { "close", "downgrade", "drain", "error", "message", "migrate", "open", "run", "upgrade" }

--- Options that a handler carries, or the table of a route beside it.
handler.options = { "compression", "limits", "origins", "protocols", "proxy" }

local is_callback, is_option = {}, {}
for _, name in ipairs(callbacks) do
    is_callback[name] = true
end
for _, name in ipairs(handler.options) do
    is_option[name] = true
end

-- `onmessage` and `on_message` are what other APIs call `message`.
local function nearest_name(key)
    if type(key) ~= "string" then
        return nil
    end
    local bare = key:match("^[Oo]n_?(%a+)$")
    bare = bare and bare:lower()
    if bare and is_callback[bare] then
        return bare
    end
    return nearest.find(key, callbacks) or nearest.find(key, handler.options)
end

-- Functions of any name are allowed, because timers name them, but not one that looks like a
-- callback misspelt. Other fields have no use.
local function check_field(value, key, path)
    local field, name = expect.field(path, key), nearest_name(key)
    local hint = name and (" (did you mean `%s`?)"):format(name) or ""
    if type(value[key]) ~= "function" then
        expect.fail(field, "unknown field%s; a handler has functions, %s", hint,
            table.concat(handler.options, ", "))
    elseif name and value[name] == nil then
        expect.fail(field, "unknown callback%s", hint)
    end
end

local function check_fields(value, path)
    -- Not only the table's own: a handler may inherit.
    for _, name in ipairs(callbacks) do
        expect.optional_function(value[name], expect.field(path, name))
    end
    for _, key in ipairs(expect.sorted_keys(value)) do
        if not (is_callback[key] or is_option[key]) then
            check_field(value, key, path)
        end
    end
end

local function check_token(name, path)
    if type(name) ~= "string" then
        expect.fail(path, "expected a subprotocol's name, got %s", expect.kind(name))
    elseif not name:match("^[%w!#$%%&'*+%-.^_`|~]+$") then
        expect.fail(path, "expected a subprotocol's name (letters, digits and !#$%%&'*+-.^_`|~), got %s",
            expect.quote(name))
    end
end

--- Checks a list of subprotocols and returns a copy.
function handler.check_protocols(value, path)
    expect.list(value, path, "a list of subprotocol names")
    local out, seen = {}, {}
    for i, name in ipairs(value) do
        check_token(name, expect.field(path, i))
        if seen[name] then
            expect.fail(expect.field(path, i), "%s is there twice", expect.quote(name))
        end
        seen[name] = true
        out[i] = name
    end
    return out
end

local default_ports = { http = "80", https = "443" }

-- The form in which browsers send it: lower case, without the scheme's own port.
local function check_origin(value, path)
    local what = 'an origin such as "https://ops.example" or "http://localhost:8080"'
    if type(value) ~= "string" then
        expect.fail(path, "expected %s, got %s", what, expect.kind(value))
    elseif value == "null" then
        expect.fail(path, '"null" is what every page without an origin of its own sends: it names nobody')
    end
    local scheme, host, port = value:lower():match("^(%a[%w+.-]*)://([^%s/?#@:]+):?(%d*)$")
    if not scheme then
        scheme, host, port = value:lower():match("^(%a[%w+.-]*)://(%[[%x:.]+%]):?(%d*)$")
    end
    if value:find("^%a[%w+.-]*://[^/]+/$") then
        expect.fail(path, "expected %s, without the slash at the end, got %s", what, expect.quote(value))
    elseif not scheme or value:sub(-1) == ":" then
        expect.fail(path, "expected %s, got %s", what, expect.quote(value))
    end
    if port == "" or port == default_ports[scheme] then
        return ("%s://%s"):format(scheme, host)
    end
    return ("%s://%s:%s"):format(scheme, host, port)
end

--- Checks origins: "*" for all, or a list. Returns "*" or a list in the form browsers send.
function handler.check_origins(value, path)
    if value == "*" then
        return value
    end
    expect.list(value, path, 'a list of origins, or "*" for all')
    local out = {}
    for i, origin in ipairs(value) do
        if origin == "*" then
            expect.fail(expect.field(path, i), 'for all origins write origins = "*"')
        end
        out[i] = check_origin(origin, expect.field(path, i))
    end
    return out
end

--- Checks the options in `value` (a handler or a route's table) and returns them: protocols,
-- origins, limits, compression and proxy, each nil when absent.
function handler.check_options(value, path)
    local function field(name, check)
        if value[name] ~= nil then
            return check(value[name], expect.field(path, name))
        end
        return nil
    end
    return {
        protocols = field("protocols", handler.check_protocols),
        origins = field("origins", handler.check_origins),
        limits = field("limits", function(given, at)
            return limits.read(given, "route", at)
        end),
        compression = field("compression", compression.check),
        proxy = field("proxy", proxies.check_option),
    }
end

--- Checks a handler's table. Returns its options as check_options does.
function handler.check(value, path)
    expect.type(value, "table", path, "a handler (a table with message, open, ... or run)")
    check_fields(value, path)
    if value.run and value.message then
        expect.fail(path, "a handler has `message` or `run`, not both: `run` receives its messages itself")
    elseif not (value.run or value.message or value.open) then
        expect.fail(path, "a handler needs at least one of the functions message, open and run")
    end
    return handler.check_options(value, path)
end

return handler
