--- Turns status, body and headers as an app gives them into what goes on the wire, and refuses what
-- must not go there.
local expect = require "tidewire.expect"

local response = {}

-- Fields that the runtime writes itself, or that make no sense in an answer of an app. Those of the
-- handshake, Sec-WebSocket-*, are among them.
local own_fields = {
    connection = true, ["content-length"] = true, date = true, ["keep-alive"] = true, te = true,
    trailer = true, ["transfer-encoding"] = true, upgrade = true,
}

local function check_value(value, path)
    if math.type(value) == "integer" then
        value = tostring(value)
    elseif type(value) ~= "string" then
        expect.fail(path, "expected a string, a whole number or a list of them, got %s", expect.kind(value))
    end
    if value:find("[\0-\8\10-\31\127]") then
        expect.fail(path, "%s contains a control character", expect.quote(value))
    end
    return (value:gsub("^[ \t]+", ""):gsub("[ \t]+$", ""))
end

local function check_headers(headers)
    local list, seen = {}, {}
    for _, name in ipairs(expect.sorted_keys(headers)) do
        local path, value = expect.field("headers", name), headers[name]
        if type(name) ~= "string" or not name:match("^[%w!#$%%&'*+%-.^_`|~]+$") then
            expect.fail(path, "expected a field's name, got %s", expect.show(name))
        end
        local key = name:lower()
        if own_fields[key] or key:match("^sec%-websocket%-") then
            expect.fail(path, "this field is the runtime's to set")
        elseif seen[key] then
            expect.fail(path, "the field is given twice")
        end
        seen[key] = true
        if type(value) == "table" then
            for i, one in ipairs(expect.list(value, path, "a string or a list of strings")) do
                list[#list + 1] = { name, check_value(one, expect.field(path, i)) }
            end
        else
            list[#list + 1] = { name, check_value(value, path) }
        end
    end
    return list, seen
end

local function build(status, body, headers, encode)
    if math.type(status) ~= "integer" or status < 200 or status > 599 then
        expect.fail("status", "expected a whole number from 200 to 599, got %s", expect.show(status))
    end
    if headers ~= nil then
        expect.type(headers, "table", "headers", "a table of fields")
    end
    local list, seen = check_headers(headers or {})
    local content_type = "text/plain; charset=utf-8"
    if type(body) == "table" then
        local ok, text = pcall(encode, body)
        if not ok then
            expect.fail("body", "cannot be written as JSON: %s", tostring(text))
        end
        body, content_type = text, "application/json"
    elseif body ~= nil and type(body) ~= "string" then
        expect.fail("body", "expected a string, a table (sent as JSON) or nil, got %s", expect.kind(body))
    end
    if body ~= nil and body ~= "" and (status == 204 or status == 304) then
        expect.fail("body", "expected none with status %d", status)
    end
    if body ~= nil and body ~= "" and not seen["content-type"] then
        table.insert(list, 1, { "Content-Type", content_type })
    end
    return { status = status, headers = list, body = body }
end

--- Checks and completes an answer. A table as body becomes JSON, written by `encode`, which
-- throws when it cannot. headers is a
-- table of names with a string, a whole number or a list of them each. Returns { status =,
-- headers = (a list of { name, value }), body = (string or nil) }, or nil and what is wrong.
function response.build(status, body, headers, encode)
    return expect.catch(build, status, body, headers, encode)
end

--- Checks headers as above. Returns them as a list of { name, value }, or nil and what is wrong.
function response.fields(headers)
    return expect.catch(function()
        expect.type(headers, "table", "headers", "a table of fields")
        return (check_headers(headers))
    end)
end

return response
