--- A request double: keeps the answer that it is given. `headers` may be looked up in any case.
local request = {}

function request.new(fields)
    local headers = {}
    for name, value in pairs(fields.headers or {}) do
        headers[name:lower()] = value
    end
    local req = { method = "GET", path = "/", rest = "", raw_query = nil }
    for name, value in pairs(fields) do
        req[name] = value
    end
    req.headers = setmetatable({}, {
        __index = function(_, name)
            return headers[name:lower()]
        end,
    })
    function req:respond(status, list, body, offset, length)
        assert(not self.answer, "answered twice")
        local by_name = {}
        for _, header in ipairs(list or {}) do
            by_name[header[1]] = header[2]
        end
        self.answer = { status = status, headers = by_name, list = list, body = body, offset = offset, length = length }
    end
    return req
end

return request
