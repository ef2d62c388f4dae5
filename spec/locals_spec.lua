local locals = require "tidewire.locals"

describe("locals.show", function()
    it("shows scalars and strings on one line, shortened", function()
        assert.equal("nil", locals.show(nil))
        assert.equal("true", locals.show(true))
        assert.equal("1.5", locals.show(1.5))
        assert.equal('"a\\n\\t\\"\\\\\\027[0m"', locals.show('a\n\t"\\\27[0m'))
        assert.equal('"gr\u{FC}n"', locals.show "gr\u{FC}n")
        assert.equal('"\\255a"', locals.show "\255a")
        assert.equal('"' .. ("x"):rep(57) .. '..."', locals.show(("x"):rep(1000000)))
        assert.equal('"' .. ("x"):rep(56) .. '..."', locals.show(("x"):rep(56) .. "\u{20AC}" .. ("x"):rep(50)))
    end)

    it("shows tables one level deep, and not all of them", function()
        assert.equal("{}", locals.show {})
        assert.equal('{ 1, "b", {}, {...} }', locals.show { 1, "b", {}, { {} } })
        assert.equal("{ a = 1 }", locals.show { a = 1 })
        assert.equal('{ ["a b"] = 1 }', locals.show { ["a b"] = 1 })
        assert.equal("{ [false] = 1 }", locals.show { [false] = 1 })
        local endless = {}
        for i = 1, 100000 do
            endless[i] = i
        end
        local shown = locals.show(endless)
        assert.is_true(#shown < 100)
        assert.equal(", ... }", shown:sub(-7))
    end)

    it("says what else a value is, and calls nothing of it", function()
        local function fail()
            error "called"
        end
        local meta = { __tostring = fail, __index = fail, __pairs = fail, __len = fail, __name = "Room" }
        assert.equal("{ 1 }", locals.show(setmetatable({ 1 }, meta)))
        assert.equal("FILE*", locals.show(io.stdout))
        assert.equal("thread", locals.show(coroutine.create(fail)))
        assert.equal("function", locals.show(print))
        assert.is_truthy(locals.show(fail):find("^function %(.*locals_spec.lua:%d+%)$"))
    end)
end)

describe("locals.frames", function()
    it("are the calls on the way, the innermost first, with what is named in each", function()
        local function inner(a)
            local b = { a }
            for i = 1, 1 do
                error(b[i])
            end
        end
        local function outer()
            local c = "see"
            inner(5)
            return c
        end
        local frames
        xpcall(outer, function()
            frames = locals.frames(3) -- 1 is this function, 2 is error
        end)
        assert.same({ { "a", 5 }, { "b", { 5 } }, { "i", 1 } }, frames[1].locals)
        assert.same({ { "c", "see" } }, frames[2].locals)
        assert.equal(debug.getinfo(outer, "S").linedefined + 2, frames[2].line)
        assert.equal(debug.getinfo(outer, "S").short_src, frames[2].source)
    end)

    it("are no more than sixteen", function()
        local function deep(n)
            return n == 0 and #locals.frames(1) or (deep(n - 1))
        end
        assert.equal(16, deep(50))
    end)
end)

describe("locals.lines", function()
    local sources = { ["a.lua"] = {}, ["b.lua"] = {} }
    local frames = {
        { source = "tidewire/x.lua", line = 3, locals = { { "runtime", 1 } } },
        { source = "a.lua", line = 1, locals = { { "x", 1 }, { "y", "z" } } },
        { source = "b.lua", line = 7, locals = { { "caller", true } } },
    }

    it("are those of the innermost function of the app", function()
        assert.same({ "x = 1", 'y = "z"' }, locals.lines(frames, nil, sources))
    end)

    it("or of the caller that the message names", function()
        assert.same({ "caller = true" }, locals.lines(frames, { source = "b.lua", line = 7 }, sources))
    end)

    it("are twelve, and the number of the others", function()
        local many = {}
        for i = 1, 15 do
            many[i] = { "v" .. i, i }
        end
        local lines = locals.lines({ { source = "a.lua", line = 1, locals = many } }, nil, sources)
        assert.equal(13, #lines)
        assert.equal("v12 = 12", lines[12])
        assert.equal("and 3 more", lines[13])
    end)

    it("are none without frames, or without one of the app", function()
        assert.same({}, locals.lines(nil, nil, sources))
        assert.same({}, locals.lines({ frames[1] }, nil, sources))
    end)
end)
