local http = require "tidewire.http"
local request = require "support.request"

local function encode()
    return "{json}"
end

local function call(fn, fields, methods)
    local req = request.new(fields or {})
    http.endpoint(fn, { route = "/x", encode = encode, methods = methods })(req)
    return req.answer
end

local function bad(fn)
    local ok, message = pcall(call, fn)
    assert.is_false(ok)
    return message
end

local plain = "text/plain; charset=utf-8"

describe("http.endpoint", function()
    it("answers with status, body and headers", function()
        local answer = call(function(req)
            return 201, req.path, { ["X-A"] = "b" }
        end, { path = "/made" })
        assert.equal(201, answer.status)
        assert.equal("/made", answer.body)
        assert.same({ ["Content-Type"] = plain, ["X-A"] = "b" }, answer.headers)
    end)

    it("answers with a body alone, or with nothing", function()
        local answer = call(function()
            return "hello"
        end)
        assert.same({ 200, "hello", plain }, { answer.status, answer.body, answer.headers["Content-Type"] })
        answer = call(function()
            return { a = 1 }
        end)
        assert.same({ 200, "{json}", "application/json" },
            { answer.status, answer.body, answer.headers["Content-Type"] })
        for _, fn in ipairs { function() end, function() return nil end } do
            answer = call(fn)
            assert.equal(204, answer.status)
            assert.is_nil(answer.body)
        end
        answer = call(function()
            return 404
        end)
        assert.same({ 404, {} }, { answer.status, answer.headers })
    end)

    it("answers with a refusal", function()
        local answer = call(function()
            return http.refuse(403, "no\n", { ["X-Why"] = "z" }, encode)
        end)
        assert.same({ 403, "no\n", "z" }, { answer.status, answer.body, answer.headers["X-Why"] })
    end)

    it("answers 405 to other methods when it has a list", function()
        local called = 0
        local function fn()
            called = called + 1
            return "x"
        end
        local answer = call(fn, { method = "DELETE" }, { "GET", "HEAD" })
        assert.same({ 405, "GET, HEAD", "Method Not Allowed\n" },
            { answer.status, answer.headers.Allow, answer.body })
        assert.equal(0, called)
        assert.equal(200, call(fn, { method = "HEAD" }, { "GET", "HEAD" }).status)
        assert.equal(200, call(fn, { method = "DELETE" }).status)
        assert.equal(2, called)
    end)

    it("raises what the function raises", function()
        assert.equal("boom", bad(function()
            error("boom", 0)
        end))
    end)

    it("says where the function is and what is wrong with its answer", function()
        local function where(fn)
            return ("spec/http_spec.lua:%d: the endpoint /x returned a bad answer: ")
                :format(debug.getinfo(fn, "S").linedefined)
        end
        local function says(message, ...)
            local results = table.pack(...)
            local function fn()
                return table.unpack(results, 1, results.n)
            end
            local said = bad(fn)
            assert.equal(where(fn) .. message, (said:gsub("^%./", "")))
        end
        says("status: expected a whole number from 200 to 599, got 42", 42, "x")
        says("body: expected a string, a table (sent as JSON) or nil, got a function", 200, print)
        says('status: expected a whole number from 200 to 599, got nil (and then "no such room")', nil, "no such room")
        says("expected status, body and headers, or a body alone, got a string and then 200", "x", 200)
        says("expected status, body and headers, or a body, got a boolean", true)
        says("expected status, body and headers, got 4 values", 200, "x", {}, 5)
        says("headers: expected a table of fields, got a string", 200, "x", "text/html")
    end)
end)

describe("a refusal that is not returned", function()
    local tidewire = {}

    -- As the public one: it is one call away from the app's.
    function tidewire.refuse(status)
        local refused = http.refuse(status, nil, nil, encode)
        return refused
    end

    local function upgrade(fn)
        return http.upgrade(fn, { route = "/x" })(request.new {})
    end

    local function raised(what, call_it, fn)
        local ok, message = pcall(call_it, fn)
        assert.is_false(ok)
        local line, rest = message:match("http_spec.lua:(%d+): (.*)$")
        assert.equal(what .. " made a refusal and did not return it: write `return tidewire.refuse(...)`", rest)
        return tonumber(line) - debug.getinfo(fn, "S").linedefined
    end

    it("raises, at the place where it was made", function()
        local function fn()
            tidewire.refuse(401)
        end
        assert.equal(1, raised("upgrade of /x", upgrade, fn))
        assert.equal(1, raised("the endpoint /x", call, fn))
        assert.equal(2, raised("upgrade of /x", upgrade, function()
            local _ = 1
            tidewire.refuse(401)
            return { user = "ann" }
        end))
        assert.equal(1, raised("the endpoint /x", call, function()
            tidewire.refuse(401)
            return 200, "secret"
        end))
    end)

    it("raises at the function when the call has left no trace", function()
        local function deny()
            return tidewire.refuse(401)
        end
        assert.equal(0, raised("upgrade of /x", upgrade, function()
            deny()
        end))
    end)

    it("raises after a wait", function()
        local task = coroutine.create(function()
            upgrade(function()
                tidewire.refuse(401)
                coroutine.yield()
            end)
        end)
        assert.is_true(coroutine.resume(task))
        local ok, message = coroutine.resume(task)
        assert.is_false(ok)
        assert.is_truthy(message:find("upgrade of /x made a refusal and did not return it", 1, true), message)
    end)

    it("concerns the call in which it was made, and no other", function()
        pcall(upgrade, function()
            tidewire.refuse(401)
            error("boom", 0)
        end)
        assert.is_nil((upgrade(function() end)))
        local waiting = coroutine.wrap(function()
            return upgrade(function()
                local refused = tidewire.refuse(401)
                coroutine.yield()
                return refused
            end)
        end)
        waiting()
        assert.is_true(upgrade(function()
            return true
        end))
        assert.is_nil((waiting()))
    end)

    it("is none when another one is returned", function()
        assert.equal(402, call(function()
            tidewire.refuse(401)
            return tidewire.refuse(402)
        end).status)
    end)
end)

describe("http.refuse", function()
    local function without_place(message)
        return (message:gsub("^.-http_spec.lua:%d+: ", ""))
    end

    it("takes a status from 300 to 599", function()
        for _, status in ipairs { 300, 302, 401, 599 } do
            assert.equal(status, http.refuse(status, nil, { Location = "/" }, encode).answer.status)
        end
        for _, status in ipairs { 200, 299, 600, "401", false } do
            local ok, message = pcall(http.refuse, status, nil, nil, encode)
            assert.is_false(ok)
            assert.equal(("bad argument #1 to 'refuse' (a status from 300 to 599 expected, got %s)"):format(
                type(status) == "string" and '"401"' or tostring(status)), without_place(message))
        end
    end)

    it("checks body and headers", function()
        local ok, message = pcall(http.refuse, 401, 5, nil, encode)
        assert.is_false(ok)
        assert.equal("bad argument to 'refuse' (body: expected a string, a table (sent as JSON) or nil, got a number)",
            without_place(message))
    end)
end)

describe("http.upgrade", function()
    local function upgrade(...)
        local results = table.pack(...)
        local req = request.new {}
        local wrapped = http.upgrade(function(given)
            assert.equal(req, given)
            return table.unpack(results, 1, results.n)
        end, { route = "/x" })
        return req, wrapped(req)
    end

    it("passes on what accepts", function()
        local state = {}
        for _, result in ipairs { true, state } do
            local req, got = upgrade(result)
            assert.equal(result, got)
            assert.is_nil(req.answer)
        end
        local req, got = upgrade()
        assert.is_nil(got)
        assert.is_nil(req.answer)
    end)

    it("passes on the fields of the answer, checked", function()
        local state = {}
        local req, got, fields = upgrade(state, { ["X-Node"] = 7, ["Set-Cookie"] = { "a=1", " b=2 " } })
        assert.equal(state, got)
        assert.same({ { "Set-Cookie", "a=1" }, { "Set-Cookie", "b=2" }, { "X-Node", "7" } }, fields)
        assert.is_nil(req.answer)
        req, got, fields = upgrade(nil, {})
        assert.is_nil(got)
        assert.same({}, fields)
        assert.is_nil(req.answer)
    end)

    it("raises when the fields are none, or not the app's to set", function()
        for what, message in pairs {
            ["no"] = 'upgrade of /x returned "no" as its second result; expected a table of headers for the answer; '
                .. "to refuse: return tidewire.refuse(...)",
            [{ Upgrade = "x" }] = "upgrade of /x returned bad headers: headers.Upgrade: "
                .. "this field is the runtime's to set",
            [{ ["sec-websocket-protocol"] = "x" }] = "upgrade of /x returned bad headers: "
                .. 'headers["sec-websocket-protocol"]: this field is the runtime\'s to set',
            [{ X = "a\r\nb" }] = 'upgrade of /x returned bad headers: headers.X: "a\\13\\10b" contains a control '
                .. "character",
        } do
            local ok, told = pcall(upgrade, nil, what)
            assert.is_false(ok)
            assert.equal(message, told:match("http_spec.lua:%d+: (.*)$"))
        end
    end)

    it("answers a refusal", function()
        local req, got = upgrade(http.refuse(401, "who?\n", { ["WWW-Authenticate"] = "Basic" }, encode))
        assert.is_nil(got)
        assert.same({ 401, "who?\n", "Basic" },
            { req.answer.status, req.answer.body, req.answer.headers["WWW-Authenticate"] })
    end)

    it("raises anything else", function()
        for _, result in ipairs { false, "no", 401 } do
            local ok, message = pcall(upgrade, result)
            assert.is_false(ok)
            assert.is_truthy(message:find(("upgrade of /x returned %s; expected nil, true, a table for ws.state or "
                .. "tidewire.refuse(...)"):format(type(result) == "string" and '"no"' or tostring(result)), 1, true))
        end
    end)
end)
