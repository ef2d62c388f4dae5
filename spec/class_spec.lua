local class = require "tidewire.class"
local environment = require "tidewire.environment"

describe("tidewire.class", function()
    local set, env

    before_each(function()
        class.point(nil)
        set = class.set()
        env = environment.new {
            libraries = environment.libraries(), sources = {}, open = true,
            read = function()
                return nil, "none"
            end,
        }
    end)

    -- A name of its own for each case: metatables live as long as anything uses them.
    local serial = 0
    local function fresh()
        serial = serial + 1
        return "Class" .. serial
    end

    local function declare(name, methods, parent, into)
        local declared = class.declare(into or set, name, parent)
        for key, value in pairs(methods or {}) do
            declared[key] = value
        end
        return declared
    end

    local function returning(value)
        return function()
            return value
        end
    end

    local function raised(fn, ...)
        local ok, message = pcall(fn, ...)
        assert.is_false(ok)
        return (message:gsub("^.-class_spec.lua:%d+: ", ""))
    end

    it("makes objects by a call and by setmetatable", function()
        local Room = declare(fresh(), { size = returning(1) })
        local given = {}
        assert.equal(given, Room(given))
        for _, room in ipairs { Room(), given, env.setmetatable({}, Room) } do
            assert.equal(1, room:size())
            assert.equal(Room, getmetatable(room))
            assert.equal(Room, env.getmetatable(room))
        end
    end)

    it("turns objects to the set it is pointed at, and back", function()
        local name = fresh()
        local one = declare(name, { size = returning(1), gone = returning(true), __tostring = returning "one" })
        local room = one {}
        local later = class.set()
        local two = declare(name, { size = returning(2), __len = returning(7) }, nil, later)
        assert.equal(1, room:size())
        assert.equal(one, getmetatable(two {}))
        class.point(later)
        assert.same({ 2, 7, two }, { room:size(), #room, getmetatable(room) })
        assert.is_nil(room.gone)
        assert.is_nil(tostring(room):find "one")
        class.point(set)
        assert.same({ 1, "one", one, 0 }, { room:size(), tostring(room), getmetatable(room), #room })
    end)

    it("is pointed for a while", function()
        local name = fresh()
        local room = declare(name, { n = 1 }) {}
        class.point(set)
        local later = class.set()
        declare(name, { n = 2 }, nil, later)
        do
            local _ <close> = class.pointed(later)
            assert.equal(2, room.n)
        end
        assert.equal(1, room.n)
        pcall(function()
            local _ <close> = class.pointed(later)
            error "x"
        end)
        assert.equal(1, room.n)
    end)

    it("declares for the set that is pointed at, at once", function()
        local name = fresh()
        local room = declare(name, { n = 1 }) {}
        local later = class.set()
        class.point(later)
        assert.equal(1, room.n)
        declare(name, { n = 2 }, nil, later)
        assert.equal(2, room.n)
    end)

    it("takes metamethods whenever they are assigned, for the class that is pointed at", function()
        local name = fresh()
        local Room = declare(name)
        local room = Room {}
        Room.__call = returning "a"
        assert.equal("a", room())
        Room.__call = returning "b"
        assert.same({ "b", "b" }, { room(), Room.__call() })
        Room.__call = nil
        assert.is_false(pcall(room))
        local later = class.set()
        local other = declare(name, {}, nil, later)
        other.__call = returning "c"
        assert.is_false(pcall(room))
        class.point(later)
        assert.equal("c", room())
    end)

    it("has __index: the class itself unless the app says otherwise", function()
        local Room = declare(fresh(), { n = 1 })
        assert.equal(Room, Room.__index)
        Room.__index = Room
        assert.equal(1, Room({}).n)
        Room.__index = function(_, key)
            return key .. "!"
        end
        assert.equal("n!", Room({}).n)
        Room.__index = nil
        assert.equal(1, Room({}).n)
    end)

    it("inherits methods and metamethods", function()
        local Base = declare(fresh(), { a = returning "a", b = returning "b" })
        Base.__index = Base
        Base.__len = returning(3)
        local Room = declare(fresh(), { b = returning "B" }, Base)
        local room = Room {}
        assert.same({ "a", "B", 3, Room }, { room.a(), room.b(), #room, getmetatable(room) })
        Base.__len = returning(4)
        Base.c = returning "c"
        assert.same({ 4, "c" }, { #room, room.c() })
        Room.__len = returning(5)
        assert.same({ 5, 4 }, { #room, #Base {} })
    end)

    it("keeps objects of a class that the next generation does not have", function()
        local name = fresh()
        local room = declare(name, { n = 1 }) {}
        class.point(class.set())
        assert.equal(1, room.n)
        assert.equal(name, class.name_of(debug.getmetatable(room)))
        assert.is_nil(class.name_of(nil))
        assert.is_nil(class.name_of({}))
    end)

    it("forgets a class that nobody has any more", function()
        local watched = setmetatable({}, { __mode = "k" })
        local own = class.set()
        local Room = declare(fresh(), { n = {} }, nil, own)
        watched[Room], watched[debug.getmetatable(Room {})], watched[own] = true, true, true
        Room, own = nil, nil -- luacheck: no unused
        collectgarbage()
        collectgarbage()
        assert.is_nil(next(watched))
    end)

    it("changes the class of an object, and takes it away", function()
        local One, Two = declare(fresh(), { n = 1 }), declare(fresh(), { n = 2 })
        local object = env.setmetatable(One {}, Two)
        assert.equal(2, object.n)
        assert.equal(9, env.setmetatable(object, { __index = { n = 9 } }).n)
        assert.is_nil(env.setmetatable(Two(object), nil).n)
    end)

    it("leaves setmetatable otherwise as it is", function()
        local meta = {}
        assert.equal(meta, getmetatable(env.setmetatable({}, meta)))
        assert.equal("bad argument #1 to 'setmetatable' (table expected, got nil)", raised(function()
            env.setmetatable(nil, meta)
        end))
        assert.is_truthy(raised(function()
            env.setmetatable({})
        end):find("^bad argument #2 to 'setmetatable' %(nil or table expected"))
        assert.is_nil(getmetatable(env.setmetatable(setmetatable({}, meta), nil)))
        assert.equal("bad argument #1 to 'setmetatable' (table expected, got number)", raised(function()
            env.setmetatable(5, declare(fresh()))
        end))
        local closed = setmetatable({}, { __metatable = "closed" })
        for _, new in ipairs { meta, declare(fresh()) } do
            assert.equal("cannot change a protected metatable", raised(function()
                env.setmetatable(closed, new)
            end))
        end
        local _, place = pcall(function()
            env.setmetatable(nil, meta)
        end)
        assert.is_truthy(place:find "class_spec.lua:%d+: bad")
    end)

    it("tells misuse", function()
        local name = fresh()
        assert.equal("bad argument #1 to 'class' (a name expected, got nil)", raised(function()
            class.declare(set)
        end))
        assert.equal("bad argument #1 to 'class' (a name expected, got an empty string)", raised(function()
            class.declare(set, "")
        end))
        assert.equal("bad argument #2 to 'class' (a class expected, got table)", raised(function()
            class.declare(set, name, {})
        end))
        local Room = declare(name)
        assert.is_truthy(raised(function()
            class.declare(set, name)
        end):find('^the class "' .. name .. '" is declared already, at .*class_spec.lua:%d+$'))
        assert.equal("bad argument #1 to '" .. name .. "' (table expected, got number)", raised(function()
            Room(5)
        end))
        assert.equal("`__metatable` of a class is the runtime's", raised(function()
            Room.__metatable = 1
        end))
        assert.equal("class " .. name, tostring(Room))
        assert.equal("tidewire.class", getmetatable(Room))
    end)

    it("takes the declaration of a module that is loaded again, after it had failed", function()
        local name = fresh()
        local function load_module(n)
            return declare(name, { n = n })
        end
        local first = load_module(1) {}
        assert.same({ 2, 2 }, { load_module(2) {}.n, first.n })
    end)
end)
