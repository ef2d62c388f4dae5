local core = require("support.core").install()
local tidewire = require "tidewire"

local function without_place(message)
    return (message:gsub("^.-_spec.lua:%d+: ", ""))
end

local function misuse(fn, ...)
    local ok, message = pcall(fn, ...)
    assert.is_false(ok)
    return without_place(message)
end

describe("the module tidewire", function()
    it("has the names of the API", function()
        local names = {}
        for name in pairs(tidewire) do
            names[#names + 1] = name
        end
        table.sort(names)
        assert.same({
            "after", "app", "class", "connect", "files", "json", "log", "now", "publish", "refuse", "send",
            "sleep", "spawn", "version",
        }, names)
        assert.equal("0.1.0", tidewire.version)
        assert.equal(1700000000.5, tidewire.now())
    end)

    it("passes on to C", function()
        tidewire.publish("room/1", "hi", { kind = "text" })
        assert.same({ "publish", "room/1", "hi", { kind = "text" } }, core.calls[#core.calls])
        tidewire.send("id", "hi", "binary")
        assert.same({ "send", "id", "hi", "binary" }, core.calls[#core.calls])
    end)

    it("tells names that it does not have", function()
        assert.equal("no `tidewire.pubish` (did you mean `publish`?)", misuse(function()
            return tidewire.pubish
        end))
        assert.equal("no `tidewire.colour`", misuse(function()
            return tidewire.colour
        end))
        assert.equal("`tidewire.colour` cannot be set: the module is the runtime's", misuse(function()
            tidewire.colour = 1
        end))
    end)

    it("makes refusals, and tells misuse where it is", function()
        local refusal = tidewire.refuse(401, { why = "token" })
        assert.same({ status = 401, body = '{"why":"token"}', headers = { { "Content-Type", "application/json" } } },
            refusal.answer)
        local ok, message = pcall(function()
            local refused = tidewire.refuse(200)
            return refused
        end)
        assert.is_false(ok)
        assert.is_truthy(message:find("init_spec.lua:%d+: bad argument #1 to 'refuse' %(a status from 300 to 599 "
            .. "expected, got 200%)$"), message)
    end)

    it("declares classes, each generation its own", function()
        local public, class = require "tidewire.public", require "tidewire.class"
        local one, two = class.set(), class.set()
        local name = "init_spec.Room"
        local Room = public.new(one).class(name)
        assert.equal(Room, one.declared[name])
        assert.equal(Room, getmetatable(Room {}))
        local other = public.new(two).class(name, tidewire.class "init_spec.Base")
        assert.equal(other, two.declared[name])
        assert.not_equal(Room, other)
        local ok, message = pcall(function()
            local declared = tidewire.class()
            return declared
        end)
        assert.is_false(ok)
        assert.is_truthy(message:find("init_spec.lua:%d+: bad argument #1 to 'class'"))
    end)

    it("has JSON", function()
        assert.equal('{"a":1}', tidewire.json.encode { a = 1 })
        assert.same({ a = 1 }, tidewire.json.decode '{"a":1}')
        assert.equal("[]", tidewire.json.encode(tidewire.json.array {}))
        assert.equal("null", tidewire.json.encode(tidewire.json.null))
        local value, message = tidewire.json.decode "{"
        assert.is_nil(value)
        assert.is_string(message)
    end)
end)

describe("tidewire.log", function()
    it("passes on level, message and fields", function()
        for _, level in ipairs { "debug", "info", "warn", "error" } do
            tidewire.log[level]("joined", { room = "lobby", n = 3, first = true })
            assert.same({ "log", level, "joined", { room = "lobby", n = 3, first = true } }, core.calls[#core.calls])
        end
        tidewire.log.info("joined")
        assert.same({ "log", "info", "joined" }, core.calls[#core.calls])
    end)

    it("tells misuse", function()
        local before = #core.calls
        assert.equal("bad argument #1 to 'log.info' (string expected, got nil)", misuse(tidewire.log.info))
        assert.equal("bad argument #2 to 'log.warn' (a table of fields expected, got string)",
            misuse(tidewire.log.warn, "x", "y"))
        assert.equal("bad argument #2 to 'log.warn' (the field t is a table; expected a string, number or boolean)",
            misuse(tidewire.log.warn, "x", { t = {} }))
        assert.equal("bad argument #2 to 'log.warn' (the field 1 is a string; expected a string, number or boolean)",
            misuse(tidewire.log.warn, "x", { "y" }))
        assert.equal(before, #core.calls)
    end)
end)
