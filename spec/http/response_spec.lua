local response = require "tidewire.http.response"

local function encode(value)
    if value.bad then
        error("a function has no form in JSON", 0)
    end
    return "{json}"
end

local function build(...)
    local status, body, headers = ...
    return response.build(status, body, headers, encode)
end

local function refused(...)
    local answer, message = build(...)
    assert.is_nil(answer)
    return message
end

describe("response.build", function()
    it("takes text for plain text and tables for JSON", function()
        assert.same({ status = 200, body = "ok", headers = { { "Content-Type", "text/plain; charset=utf-8" } } },
            build(200, "ok"))
        assert.same({ status = 201, body = "{json}", headers = { { "Content-Type", "application/json" } } },
            build(201, {}))
        assert.same({ status = 404, headers = {} }, build(404))
        assert.same({ status = 200, body = "", headers = {} }, build(200, ""))
    end)

    it("lets the app set the type, in any case", function()
        assert.same({ status = 200, body = "<p>", headers = { { "content-type", "text/html" } } },
            build(200, "<p>", { ["content-type"] = "text/html" }))
    end)

    it("puts headers in order, and one for each value of a list", function()
        assert.same({ status = 204, headers = { { "Age", "5" }, { "Set-Cookie", "a=1" }, { "Set-Cookie", "b=2" } } },
            build(204, nil, { ["Set-Cookie"] = { "a=1", "b=2" }, Age = 5 }))
        assert.same({ { "X", "a\tb" } }, build(204, nil, { X = " a\tb\t" }).headers)
    end)

    it("refuses a status that is none", function()
        for _, status in ipairs { 99, 101, 199, 600, 200.5, "200", true } do
            assert.equal(("status: expected a whole number from 200 to 599, got %s"):format(
                type(status) == "string" and '"200"' or tostring(status)), refused(status))
        end
    end)

    it("refuses a body that is none", function()
        assert.equal("body: expected a string, a table (sent as JSON) or nil, got a number", refused(200, 5))
        assert.equal("body: expected a string, a table (sent as JSON) or nil, got a boolean", refused(200, true))
        assert.equal("body: expected none with status 204", refused(204, "x"))
        assert.equal("body: expected none with status 304", refused(304, {}))
        assert.equal("body: cannot be written as JSON: a function has no form in JSON", refused(200, { bad = true }))
    end)

    it("refuses headers that are none", function()
        assert.equal("headers: expected a table of fields, got a string", refused(200, "x", "y"))
        assert.equal('headers["X Y"]: expected a field\'s name, got "X Y"', refused(200, "x", { ["X Y"] = "z" }))
        assert.equal('headers["X\\10"]: expected a field\'s name, got "X\\10"', refused(200, "x", { ["X\n"] = "z" }))
        assert.equal('headers[""]: expected a field\'s name, got ""', refused(200, "x", { [""] = "z" }))
        assert.equal("headers[1]: expected a field's name, got 1", refused(200, "x", { "z" }))
        assert.equal("headers.X: expected a string, a whole number or a list of them, got a boolean",
            refused(200, "x", { X = true }))
        assert.equal("headers.X[2]: expected a string, a whole number or a list of them, got a number",
            refused(200, "x", { X = { "a", 1.5 } }))
        assert.equal("headers.X: expected a string or a list of strings, got an empty table",
            refused(200, "x", { X = {} }))
        assert.equal('headers["x-a"]: the field is given twice', refused(200, "x", { ["X-A"] = "1", ["x-a"] = "2" }))
    end)

    it("refuses what would split the answer", function()
        for value, shown in pairs {
            ["a\r\nSet-Cookie: b"] = '"a\\13\\10Set-Cookie: b"', ["a\nb"] = '"a\\10b"', ["a\0b"] = '"a\\0b"',
            ["a\127"] = '"a\\127"', ["\r"] = '"\\13"',
        } do
            assert.equal(("headers.X: %s contains a control character"):format(shown), refused(200, "x", { X = value }))
        end
    end)

    it("keeps the runtime's fields", function()
        for _, name in ipairs {
            "Content-Length", "connection", "Date", "Keep-Alive", "TE", "trailer", "Transfer-Encoding", "Upgrade",
            "Sec-WebSocket-Accept",
        } do
            assert.equal(("headers%s: this field is the runtime's to set"):format(
                name:find("-") and '["' .. name .. '"]' or "." .. name), refused(200, "x", { [name] = "1" }))
        end
    end)
end)
