--- State that is carried from one version of the app to the next: app.state and ws.state. It is plain data:
-- scalars, tables, connections, objects of tidewire.class. What would bring old code along is refused.
--
-- Everything here may meet a state of any size. So each function takes `pace`, which it calls after every few
-- steps: pace() may wait, and returns true if it has, because the state may be another one then. A table that
-- has changed under the walk is begun again.
local class = require "tidewire.class"
local core = require "tidewire.core"
local expect = require "tidewire.expect"

local state = {}

-- How many fields are visited between two calls of pace, and how often a table that changes meanwhile is
-- begun again before it is walked in one go.
local step, restarts_max = 128, 3

local function no_pace()
    return false
end

-- Handles that hold no code, by the names of their types.
local handles = { ["tidewire.ws"] = true, ["tidewire.ws.timer"] = true }

local array_meta = debug.getmetatable(core.json_array {})

-- Calls visit(key, value, t) for each field until it returns something, which is returned. A field may be
-- visited twice.
local function each_field(t, pace, visit)
    local count, restarts = 0, 0
    local key, value = next(t)
    while key ~= nil do
        local found = visit(key, value, t)
        if found then
            return found
        end
        count = count + 1
        if count % step == 0 and restarts < restarts_max and pace() then
            local ok
            ok, key, value = pcall(next, t, key)
            if not ok then
                restarts = restarts + 1
                key, value = next(t)
            end
        else
            key, value = next(t, key)
        end
    end
    return nil
end

-- Calls visit(key, value, t) for the fields of all tables that can be reached from root, nearest first, and
-- enter(t) before those of a table. Ends when one returns something, and returns it.
local function walk(root, pace, enter, visit)
    local seen, queue, last = { [root] = true }, { root }, 1
    local function add(value)
        if type(value) == "table" and not seen[value] and value ~= core.json_null then
            seen[value] = true
            last = last + 1
            queue[last] = value
        end
    end
    local function visit_and_add(key, value, t)
        local found = visit(key, value, t)
        if not found then
            add(key)
            add(value)
        end
        return found
    end
    local at = 1
    while at <= last do
        local t = queue[at]
        queue[at] = nil
        local found = enter(t) or each_field(t, pace, visit_and_add)
        if found then
            return found
        end
        if at % step == 0 then
            pace()
        end
        at = at + 1
    end
    return nil
end

-- --- paths ---------------------------------------------------------------------------------------

local function nothing() end

local function field(path, key)
    if type(key) == "string" or type(key) == "number" then
        return expect.field(path, key)
    end
    return ("%s[%s]"):format(path, type(key) == "boolean" and tostring(key) or expect.kind(key))
end

-- The path from root, which is called name, to a table below it.
local function path_to(root, name, wanted, pace)
    local holders, keys = {}, {}
    local function note(t, holder, key)
        if type(t) == "table" and t ~= root and not holders[t] then
            holders[t], keys[t] = holder, key
        end
        return t == wanted
    end
    if wanted ~= root then
        walk(root, pace, nothing, function(key, value, t)
            return note(value, t, key) or note(key, t, key)
        end)
    end
    local steps = {}
    while wanted ~= root and holders[wanted] do
        table.insert(steps, 1, keys[wanted])
        wanted = holders[wanted]
    end
    for _, key in ipairs(steps) do
        name = field(name, key)
    end
    return name
end

-- --- checking ------------------------------------------------------------------------------------

local refused_kinds = { ["function"] = "a function", thread = "a coroutine" }

-- What is wrong with a value that is no table, or nil.
local function wrong_value(value)
    local kind = type(value)
    if refused_kinds[kind] then
        return refused_kinds[kind]
    elseif kind ~= "userdata" or value == core.json_null then
        return nil
    end
    local meta = debug.getmetatable(value)
    local name = type(meta) == "table" and rawget(meta, "__name")
    if handles[name] then
        return nil
    elseif name == "FILE*" then
        return "a file"
    end
    return name and ("a userdata (%s)"):format(name) or "a userdata"
end

local function wrong_table(t, classes, version_of)
    local meta = debug.getmetatable(t)
    if not meta or meta == array_meta then
        return nil
    end
    local name = class.name_of(meta)
    if not name then
        local version = version_of and version_of(meta)
        return ("a metatable%s, not of a class (tidewire.class)"):format(version and " of version " .. version or "")
    elseif not classes.declared[name] then
        return ("an object of the class %q, which this version does not declare when it loads"):format(name)
    end
    return nil
end

--- Is the value plain data for the version that declares `classes` (see class.set)? `name` is what it is called
-- in messages, as in "app.state". version_of(metatable) tells whose a metatable is, or nil. Returns true, or
-- nil and a message: "app.state.rooms.lobby: a function".
function state.check(value, name, classes, version_of, pace)
    pace = pace or no_pace
    if type(value) ~= "table" then
        local wrong = wrong_value(value)
        if wrong then
            return nil, ("%s: %s"):format(name, wrong)
        end
        return true
    end
    local wrong, holder, key_of_wrong, place
    local function enter(t)
        wrong, holder = wrong_table(t, classes, version_of), t
        return wrong
    end
    local function visit(key, field_value, t)
        wrong, holder = wrong_value(field_value), t
        if wrong then
            key_of_wrong = key
        else
            wrong = wrong_value(key)
            wrong = wrong and wrong .. " as a key"
        end
        return wrong
    end
    if not walk(value, pace, enter, visit) then
        return true
    end
    place = path_to(value, name, holder, pace)
    if key_of_wrong ~= nil then
        place = field(place, key_of_wrong)
    end
    return nil, ("%s: %s"):format(place, wrong)
end

-- --- copying -------------------------------------------------------------------------------------

--- A copy of all tables that can be reached, shared and cyclic ones as such; metatables and everything that is
-- no table are the same in both. The second result maps each table to its copy.
function state.copy(value, pace)
    local copies = {}
    local function copy_of(t)
        if type(t) ~= "table" or t == core.json_null then
            return t
        elseif not copies[t] then
            copies[t] = debug.setmetatable({}, debug.getmetatable(t))
        end
        return copies[t]
    end
    if type(value) == "table" then
        walk(value, pace or no_pace, nothing, function(key, field_value, t)
            rawset(copy_of(t), copy_of(key), copy_of(field_value))
        end)
    end
    return copy_of(value), copies
end

-- Calls pace after every few calls of the function that is returned.
local function counter(pace)
    local count = 0
    return function()
        count = count + 1
        if count % step == 0 then
            pace()
        end
    end
end

-- Does a table differ from its copy, and at which key; no key: it is the metatable.
local function difference_of(t, copy, copies, tick)
    local known = {}
    for key, value in next, t do
        tick()
        local key_there, value_there = copies[key] or key, copies[value] or value
        known[key_there] = true
        local found = rawget(copy, key_there)
        if not rawequal(found, value_there) and (found == found or value == value) then
            return true, key
        end
    end
    for key in next, copy do
        tick()
        if not known[key] then
            return true, key
        end
    end
    return debug.getmetatable(t) ~= debug.getmetatable(copy)
end

--- Has anything changed since the copy was made? value is what was copied, `copies` the second result of
-- state.copy; nobody else may change either meanwhile. Returns the path of a change, or nil.
function state.difference(value, name, copies, pace)
    pace = pace or no_pace
    local tick = counter(pace)
    for t, copy in next, copies do
        local differs, key = difference_of(t, copy, copies, tick)
        if differs then
            local place = path_to(copies[value], name, copy, pace)
            return key == nil and place or field(place, key)
        end
        tick()
    end
    return nil
end

return state
