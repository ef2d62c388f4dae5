local core = require("support.core").install()
local class = require "tidewire.class"
local json = require "tidewire.json"
local state = require "tidewire.state"

local Room = class.set()

-- A double of a userdata: a real one with another type's name.
local function handle(name)
    local file = io.tmpfile()
    debug.setmetatable(file, { __name = name })
    return file
end

describe("state.check", function()
    local set

    before_each(function()
        set = class.set()
        Room = class.declare(set, "state_spec.Room")
    end)

    local function check(value, version_of)
        local ok, message = state.check(value, "app.state", set, version_of)
        assert.is_true(ok or ok == nil)
        return message
    end

    it("takes plain data", function()
        local shared = { 1 }
        local cyclic = { shared, again = shared, [shared] = true }
        cyclic.self = cyclic
        assert.is_nil(check {
            n = 1, x = 0.5, s = "s", b = false, list = { 1, 2, { 3 } }, cyclic = cyclic, [1.5] = { [true] = 1 },
            null = json.null, array = json.array {}, room = Room { members = {} },
            members = { [handle "tidewire.ws"] = handle "tidewire.ws.timer" },
        })
        for _, scalar in ipairs { 1, "x", true, handle "tidewire.ws" } do
            assert.is_nil(check(scalar))
        end
        assert.is_nil(check(nil))
    end)

    it("refuses what brings code along, with its path", function()
        local co = coroutine.create(print)
        for message, value in pairs {
            ["app.state: a function"] = print,
            ["app.state.on_done: a function"] = { on_done = print },
            ['app.state.rooms["a b"][3]: a function'] = { rooms = { ["a b"] = { 1, 2, print } } },
            ["app.state.co: a coroutine"] = { co = co },
            ["app.state.file: a file"] = { file = io.stderr },
            ["app.state.req: a userdata (tidewire.request)"] = { req = handle "tidewire.request" },
            ["app.state.later: a userdata (tidewire.timer)"] = { later = handle "tidewire.timer" },
            ["app.state.seen: a function as a key"] = { seen = { [print] = true } },
            ["app.state.by[a table].f: a function"] = { by = { [{ f = print }] = true } },
            ["app.state[true][a userdata].f: a function"] = { [true] = { [handle "tidewire.ws"] = { f = print } } },
        } do
            assert.equal(message, check(value))
        end
    end)

    it("tells the nearest path of a table that is reached on several", function()
        local shared = { f = print }
        assert.equal("app.state.z.f: a function", check { a = { b = { c = shared } }, z = shared })
    end)

    it("refuses metatables but those of declared classes", function()
        local meta = {}
        local foreign = { rooms = { lobby = setmetatable({}, meta) } }
        assert.equal("app.state.rooms.lobby: a metatable, not of a class (tidewire.class)", check(foreign))
        assert.equal("app.state.rooms.lobby: a metatable of version 3, not of a class (tidewire.class)",
            check(foreign, function(given)
                return given == meta and 3 or nil
            end))
        assert.equal("app.state: a metatable, not of a class (tidewire.class)", check(setmetatable({}, meta)))
        local object = { room = Room {} }
        assert.is_nil(check(object))
        set = class.set()
        assert.equal('app.state.room: an object of the class "state_spec.Room", which this version does not declare '
            .. "when it loads", check(object))
        class.declare(set, "state_spec.Room")
        assert.is_nil(check(object))
    end)

    it("looks into objects", function()
        assert.equal("app.state.room.f: a function", check { room = Room { f = print } })
    end)

    it("does not run the app's metamethods", function()
        function Room.__index() error "run" end
        function Room.__pairs() error "run" end
        function Room.__eq() error "run" end
        function Room.__tostring() error "run" end
        assert.equal("app.state.room[a table]: a function", check { room = Room { [Room {}] = print } })
    end)
end)

describe("a walk over a state", function()
    local set = class.set()

    local function large()
        local t = {}
        for i = 1, 2000 do
            t["k" .. i] = { i }
        end
        return t
    end

    it("pauses on its way, in large tables and among many", function()
        for _, value in ipairs { large(), { table.pack(table.unpack({}, 1, 2000)) } } do
            local t = value[1] or value
            for i = 1, 2000 do
                t[i] = t[i] or i
            end
            local pauses = 0
            local function pace()
                pauses = pauses + 1
                return true
            end
            assert.is_true(state.check(value, "s", set, nil, pace))
            assert.is_true(pauses >= 15)
        end
    end)

    it("survives a table that changes meanwhile", function()
        local t, pauses, serial = large(), 0, 0
        local function pace()
            pauses = pauses + 1
            local doomed = {}
            for key in pairs(t) do
                doomed[#doomed + 1] = key
            end
            for i = 1, #doomed, 2 do
                t[doomed[i]] = nil
            end
            for _ = 1, #doomed do
                serial = serial + 1
                t["new" .. serial] = serial
            end
            collectgarbage()
            return true
        end
        -- how often it pauses depends on the order in which Lua keeps what is new
        assert.is_true(state.check(t, "s", set, nil, pace))
        assert.is_true(pauses >= 1)
        pauses, t = 0, large()
        assert.is_table(state.copy(t, pace))
        assert.is_true(pauses >= 1)
    end)

    it("is left by an error of its pace", function()
        local ok, raised = pcall(state.check, large(), "s", set, nil, function()
            error("enough", 0)
        end)
        assert.same({ false, "enough" }, { ok, raised })
    end)
end)

describe("state.copy", function()
    local set = class.set()
    local Object = class.declare(set, "state_spec.Object")

    it("keeps sharing, cycles, keys, classes and handles", function()
        local ws, shared = handle "tidewire.ws", { 1 }
        local value = {
            a = shared, b = { shared }, [shared] = "key", ws = ws, [ws] = { 2 }, o = Object { n = 1 },
            list = json.array {}, null = json.null,
        }
        value.self = value
        local copy = state.copy(value)
        assert.not_equal(value, copy)
        assert.equal(copy, copy.self)
        assert.not_equal(shared, copy.a)
        assert.same(shared, copy.a)
        assert.equal(copy.a, copy.b[1])
        assert.equal("key", copy[copy.a])
        assert.is_nil(copy[shared])
        assert.equal(ws, copy.ws)
        assert.same({ 2 }, copy[ws])
        assert.not_equal(value[ws], copy[ws])
        assert.equal(Object, getmetatable(copy.o))
        assert.equal(1, copy.o.n)
        assert.equal("[]", core.json_encode(copy.list))
        assert.equal(json.null, copy.null)
    end)

    it("gives back what is no table", function()
        assert.same({ 5, {} }, { state.copy(5) })
        assert.is_nil((state.copy(nil)))
        assert.equal(json.null, (state.copy(json.null)))
    end)
end)

describe("state.difference", function()
    local set = class.set()
    local Object = class.declare(set, "state_spec.Other")

    local function change(value, how)
        local _, copies = state.copy(value)
        how(value)
        return state.difference(value, "app.state", copies)
    end

    it("finds none where there is none", function()
        local key = {}
        local value = { 1, { key }, [key] = { 0 / 0 }, o = Object { n = 1 } }
        value.self = value
        assert.is_nil(change(value, function() end))
        assert.is_nil(change(value, function(t)
            t.new = nil
            t[1] = 1
        end))
    end)

    it("finds what was set, added, removed or replaced", function()
        local function fresh()
            return { n = 1, rooms = { lobby = { 1, 2, 3 } }, o = Object { n = 1 }, m = {} }
        end
        local function at(how)
            return change(fresh(), how)
        end
        assert.equal("app.state.n", at(function(t) t.n = 2 end))
        assert.equal("app.state.x", at(function(t) t.x = 2 end))
        assert.equal("app.state.n", at(function(t) t.n = nil end))
        assert.equal("app.state.rooms.lobby[3]", at(function(t) t.rooms.lobby[3] = 4 end))
        assert.equal("app.state.rooms.lobby[3]", at(function(t) table.remove(t.rooms.lobby) end))
        assert.equal("app.state.rooms.lobby", at(function(t) t.rooms.lobby = { 1, 2, 3 } end))
        assert.equal("app.state.m.x", at(function(t) t.m.x = t.rooms end))
        assert.equal("app.state.o", at(function(t) debug.setmetatable(t.o, nil) end))
        assert.equal("app.state.o.n", at(function(t) t.o.n = 1.5 end))
    end)

    it("pauses", function()
        local value, pauses = {}, 0
        for i = 1, 1000 do
            value[i] = {}
        end
        local _, copies = state.copy(value)
        assert.is_nil(state.difference(value, "s", copies, function()
            pauses = pauses + 1
        end))
        assert.is_true(pauses >= 7)
    end)
end)
