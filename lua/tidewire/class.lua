--- tidewire.class: objects that outlive the code of their methods.
--
-- All objects of one class name have the same metatable, which belongs to the runtime. It is pointed at the
-- class table of one generation of the app at a time: after a reload, objects that were made before run
-- the new methods. What a generation declares is a set (class.set); class.point turns all metatables to it.
local class = {}

-- Name -> the metatable of its objects. It lives as long as an object or a class table needs it.
local metas = setmetatable({}, { __mode = "v" })
-- That metatable -> its name.
local names = setmetatable({}, { __mode = "k" })
-- Class table -> { name =, set =, meta =, events = (metamethods), parent =, children = { class table, ... } }.
local infos = setmetatable({}, { __mode = "k" })

-- The set that class.point was last called with.
local active

local function meta_of(name)
    local meta = metas[name]
    if not meta then
        meta = {}
        metas[name], names[meta] = meta, name
    end
    return meta
end

-- Metamethods are inherited but for __index, which leads to the class itself unless the app sets its own.
local function add_events(meta, info)
    if info.parent then
        add_events(meta, infos[info.parent])
    end
    for event, value in next, info.events do
        meta[event] = value
    end
end

-- What getmetatable(object) gives is __metatable: the class table.
local function point_one(declared)
    local info = infos[declared]
    local meta = info.meta
    for event in pairs(meta) do
        meta[event] = nil
    end
    add_events(meta, info)
    meta.__index = rawget(info.events, "__index") or declared
    meta.__name, meta.__metatable = info.name, declared
end

local function is_pointed(declared)
    return infos[declared].meta.__metatable == declared
end

local function point_family(declared)
    if is_pointed(declared) then
        point_one(declared)
    end
    for _, child in ipairs(infos[declared].children) do
        point_family(child)
    end
end

-- Lua looks for a metamethod in the metatable itself. So they are kept apart from the class table, which
-- tells of every assignment.
local function assign(declared, key, value)
    if type(key) ~= "string" or key:sub(1, 2) ~= "__" then
        rawset(declared, key, value)
        return
    elseif key == "__metatable" or key == "__name" then
        error(("`%s` of a class is the runtime's"):format(key), 2)
    end
    infos[declared].events[key] = value
    point_family(declared)
end

local function make(declared, object)
    if object ~= nil and type(object) ~= "table" then
        error(("bad argument #1 to '%s' (table expected, got %s)"):format(infos[declared].name, type(object)), 2)
    end
    return class.set_metatable(2, object or {}, declared)
end

local function shown(declared)
    return "class " .. infos[declared].name
end

local function check_arguments(set, name, parent, place)
    if type(name) ~= "string" or name == "" then
        error(("bad argument #1 to 'class' (a name expected, got %s)"):format(name == "" and "an empty string"
            or type(name)), 3)
    elseif parent ~= nil and not infos[parent] then
        error("bad argument #2 to 'class' (a class expected, got " .. type(parent) .. ")", 3)
    end
    local earlier = set.places[name]
    if earlier and earlier ~= place then
        error(("the class %q is declared already, at %s"):format(name, earlier), 3)
    end
end

--- What one generation declares: { declared = { [name] = class table } }, and for messages `places`.
function class.set()
    return { declared = {}, places = {} }
end

--- tidewire.class(name [, parent]) of the generation with this set: the class table. Methods and metamethods
-- are assigned to it, and calling it makes an object: Room { name = "lobby" }. Raises for
-- the caller: no name, a parent that is no class, a name that another place has declared.
function class.declare(set, name, parent)
    local info = debug.getinfo(2, "Sl")
    local place = ("%s:%d"):format(info.short_src, info.currentline)
    check_arguments(set, name, parent, place)
    local declared, meta = {}, meta_of(name)
    local events = setmetatable({ __index = declared }, { __index = parent })
    infos[declared] = { name = name, set = set, meta = meta, events = events, parent = parent, children = {} }
    if parent then
        table.insert(infos[parent].children, declared)
    end
    set.declared[name], set.places[name] = declared, place
    local target = meta.__metatable
    if not target or set == active or infos[target].set == set then
        point_one(declared)
    end
    return setmetatable(declared, {
        __call = make, __index = events, __metatable = "tidewire.class", __newindex = assign, __tostring = shown,
    })
end

--- Turns the objects of all classes of the set to its class tables; objects of other classes stay as they are.
-- nil: of none. Returns the set that was given the last time.
function class.point(set)
    local former = active
    active = set
    for _, declared in pairs(set and set.declared or {}) do
        if not is_pointed(declared) then
            point_one(declared)
        end
    end
    return former
end

--- The same until the value that is returned is closed.
function class.pointed(set)
    local former = class.point(set)
    return setmetatable({}, {
        __close = function()
            class.point(former)
        end,
    })
end

--- The name of the class whose objects have this metatable, or nil.
function class.name_of(meta)
    return meta and names[meta]
end

--- setmetatable(object, metatable) that knows classes. Misuse is raised at `level`, as of error.
function class.set_metatable(level, object, ...)
    local metatable = ...
    local info, old = infos[metatable], debug.getmetatable(object)
    local is_open = type(object) == "table" and (not old or names[old] or rawget(old, "__metatable") == nil)
    if is_open and (info or type(metatable) == "table" or (metatable == nil and select("#", ...) > 0)) then
        return debug.setmetatable(object, info and info.meta or metatable)
    end
    local ok, result = pcall(setmetatable, object, ...)
    if not ok then
        error(result, level + 1)
    end
    return result
end

return class
