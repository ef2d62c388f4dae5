local expect = require "tidewire.expect"

local function failure(fn, ...)
    local result, message = expect.catch(fn, ...)
    assert.is_nil(result)
    return message
end

describe("expect", function()
    it("writes paths as one would write the field", function()
        assert.equal("routes", expect.field("", "routes"))
        assert.equal('routes["/chat/:room"]', expect.field("routes", "/chat/:room"))
        assert.equal("limits.message", expect.field("limits", "message"))
        assert.equal("protocols[2]", expect.field("protocols", 2))
        assert.equal("timers[true]", expect.field("timers", true))
    end)

    it("shows values in a few characters", function()
        assert.equal('"a\\"b\\\\c\\10d"', expect.show('a"b\\c\nd'))
        assert.equal('"' .. ("x"):rep(57) .. '..."', expect.show(("x"):rep(61)))
        assert.equal("7", expect.show(7))
        assert.equal("true", expect.show(true))
        assert.equal("nil", expect.show(nil))
        assert.equal("a table", expect.show({}))
        assert.equal("a function", expect.show(print))
    end)

    it("catches failures, passes results and other errors through", function()
        assert.same({ 1, nil, 3, n = 3 }, table.pack(expect.catch(function(...)
            return ...
        end, 1, nil, 3)))
        assert.equal("limits: no 100% sure", failure(expect.fail, "limits", "no 100% sure"))
        assert.equal("needs 2", failure(expect.fail, "", "needs %d", 2))
        assert.has_error(function()
            expect.catch(error, "boom", 0)
        end, "boom")
    end)

    it("checks types", function()
        assert.equal("x", expect.type("x", "string", "name", "a name"))
        assert.equal("name: expected a name, got nil", failure(expect.type, nil, "string", "name", "a name"))
        assert.equal(print, expect.optional_function(print, "start"))
        assert.is_nil(expect.optional_function(nil, "start"))
        assert.equal("start: expected a function, got a string", failure(expect.optional_function, "x", "start"))
    end)

    it("checks lists", function()
        assert.same({ "a" }, expect.list({ "a" }, "p", "a list"))
        assert.equal("p: expected a list, got a number", failure(expect.list, 3, "p", "a list"))
        assert.equal("p: expected a list, got an empty table", failure(expect.list, {}, "p", "a list"))
        assert.equal('p: expected a list, got a table with the key "x"', failure(expect.list, { x = 1 }, "p", "a list"))
        assert.equal("p: expected a list, got a list with a hole at 2",
            failure(expect.list, { "a", nil, "c" }, "p", "a list"))
    end)

    it("refuses unknown fields, the first in the alphabet first", function()
        assert.is_nil((expect.only({ every = 1 }, { "every", "run" }, "t")))
        assert.equal("t.evry: unknown field (did you mean `every`?)",
            failure(expect.only, { runn = 1, evry = 2 }, { "every", "run" }, "t"))
        assert.equal("t.colour: unknown field; known are every, run",
            failure(expect.only, { colour = 1 }, { "every", "run" }, "t"))
        assert.equal("t[1]: unknown field; known are every, run",
            failure(expect.only, { "x" }, { "every", "run" }, "t"))
    end)
end)
