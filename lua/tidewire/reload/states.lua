--- The states of a worker, app.state and each connection's ws.state, before a version of the app takes them over:
-- are they plain data for it, and does what brings them into its form work? All of it runs beside serving,
-- so it is about states that go on changing.
local answer = require "tidewire.reload.answer"
local core = require "tidewire.core"
local migration = require "tidewire.reload.migration"
local state = require "tidewire.state"

local states = {}

local connections_at_once = 16

local advice = "state is plain data: scalars, tables, connections and objects of tidewire.class; functions belong into "
    .. "modules"

-- --- whose is a metatable? -------------------------------------------------------------------------

-- What is there once for each version: its globals, and its module `tidewire`.
local function owners()
    local numbers = {}
    for _, gen in ipairs(core.generations()) do
        local generation = gen.record.generation
        if generation then
            for _, owned in ipairs { generation.env, generation.library_env, generation.loaded.tidewire } do
                numbers[owned] = gen.number
            end
        end
    end
    return numbers
end

-- Looks for one of them in what a function or a table refers to, `depth` steps away.
local function find_owner(value, numbers, depth, seen)
    if numbers[value] then
        return numbers[value]
    elseif depth == 0 or seen[value] then
        return nil
    end
    seen[value] = true
    local function look(inner)
        local kind = type(inner)
        return (kind == "function" or kind == "table") and find_owner(inner, numbers, depth - 1, seen) or nil
    end
    if type(value) == "table" then
        for _, field in next, value do
            local number = look(field)
            if number then
                return number
            end
        end
        return nil
    end
    for i = 1, 255 do
        local name, upvalue = debug.getupvalue(value, i)
        local number = name and look(upvalue)
        if not name or number then
            return number or nil
        end
    end
    return nil
end

-- The version whose code a metatable has, as far as that can be told.
local function version_of(meta)
    return find_owner(meta, owners(), 4, {})
end

-- --- each state ------------------------------------------------------------------------------------

-- entry: of core.states, whose state it is; nil: it is the app's.
local function check_plain(value, name, record, pace, entry)
    local ok, message = state.check(value, name, record.classes, version_of, pace)
    if ok then
        return true
    end
    local about = entry and ("of connection %s on %s"):format(entry.ws.id, entry.pattern)
    return nil, answer.text(message, about and { about, advice } or { advice })
end

local function rehearse(change, value, name, record, pace, entry)
    local result, text, details = change:rehearse(value, name, pace)
    if text then
        return nil, text, details
    end
    return check_plain(result, name, record, pace, entry)
end

-- Calls visit(entry) for each connection that has a state, until one returns nil and why.
local function each_connection(pace, visit)
    local after = 0
    while true do
        local entries = core.states(after, connections_at_once)
        for _, entry in ipairs(entries) do
            after = entry.serial
            local ok, text, details = visit(entry)
            if not ok then
                return nil, text, details
            end
        end
        if #entries < connections_at_once then
            return true
        end
        pace()
    end
end

-- The app object as it is carried: all of it, but for a state that is brought into another form.
local function carried(attempt)
    local object = {}
    for key, value in next, attempt.live.object do
        object[key] = value
    end
    if attempt.change then
        object.state = nil
    end
    return object
end

local function accept()
    return true
end

--- Checks the states that the version of an attempt gets as they are. Returns true; or nil, a whole message and
-- details.
function states.check(attempt)
    local record, pace = attempt.record, attempt.pace
    -- The way back is open whatever the version that is left has put into a state.
    local is_plain = attempt.order.rollback and accept or check_plain
    local ok, text, details = is_plain(carried(attempt), "app", record, pace)
    if not ok then
        return nil, text, details
    end
    return each_connection(pace, function(entry)
        local change, why, more = migration.of_connection(attempt, entry)
        if change then
            return true
        elseif why then
            return nil, why, more
        end
        return is_plain(entry.state, "ws.state", record, pace, entry)
    end)
end

--- Rehearses on copies what brings the others into its form. Results as of states.check.
function states.rehearse(attempt)
    local record, pace, change = attempt.record, attempt.pace, attempt.change
    if change and change.rehearse then
        local ok, text, details = rehearse(change, attempt.live.object.state, "app.state", record, pace)
        if not ok then
            return nil, text, details
        end
    end
    return each_connection(pace, function(entry)
        local own = migration.of_connection(attempt, entry)
        if not own then
            return true
        end
        return rehearse(own, entry.state, "ws.state", record, pace, entry)
    end)
end

return states
