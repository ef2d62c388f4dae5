--- The states of a worker, app.state and each connection's ws.state, before a version of the app takes them over:
-- are they plain data for it, and does what brings them into its form work? All of it runs beside serving,
-- so it is about states that go on changing.
local answer = require "tidewire.reload.answer"
local core = require "tidewire.core"
local migration = require "tidewire.reload.migration"
local state = require "tidewire.state"

local states = {}

local connections_at_once = 64

local advice = "state is plain data: scalars, tables, connections and objects of tidewire.class; functions belong into "
    .. "modules"

-- --- whose is a metatable? -------------------------------------------------------------------------

local function version_of_function(fn, records)
    for i = 1, 255 do
        local name, value = debug.getupvalue(fn, i)
        if not name then
            return nil
        elseif name == "_ENV" then
            for _, record in ipairs(records) do
                if value == record.generation.env or value == record.generation.library_env then
                    return record.number
                end
            end
        end
    end
    return nil
end

-- Of the functions in a table; depth: how many tables below it are looked into.
local function version_of_table(t, records, depth)
    for _, value in next, t do
        local number = type(value) == "function" and version_of_function(value, records)
            or type(value) == "table" and depth > 0 and version_of_table(value, records, depth - 1)
        if number then
            return number
        end
    end
    return nil
end

-- The version whose code a metatable has, as far as that can be told.
local function version_of(meta)
    local records = {}
    for i, gen in ipairs(core.generations()) do
        records[i] = gen.record
    end
    return version_of_table(meta, records, 1)
end

-- --- each state ------------------------------------------------------------------------------------

local function check_plain(value, name, record, pace, about)
    local ok, message = state.check(value, name, record.classes, version_of, pace)
    if ok then
        return true
    end
    return nil, answer.text(message, about and { about, advice } or { advice })
end

local function rehearse(change, value, name, record, pace, about)
    local result, text, details = change:rehearse(value, name, pace)
    if text then
        return nil, text, details
    end
    return check_plain(result, name, record, pace, about)
end

-- Calls visit(entry, a line about the connection) for each connection that has a state, until one returns nil, ...
local function each_connection(pace, visit)
    local after = 0
    while true do
        local entries = core.states(after, connections_at_once)
        for _, entry in ipairs(entries) do
            after = entry.serial
            local ok, text, details = visit(entry, ("of connection %s on %s"):format(entry.ws.id, entry.pattern))
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

--- Checks the states that the version of an attempt gets as they are. Returns true; or nil, a whole message and details.
function states.check(live, attempt)
    local record, pace = attempt.record, attempt.pace
    if not attempt.change then
        local ok, text, details = check_plain(live.object.state, "app.state", record, pace)
        if not ok then
            return nil, text, details
        end
    end
    return each_connection(pace, function(entry, about)
        if migration.of_connection(live, record, entry) then
            return true
        end
        return check_plain(entry.state, "ws.state", record, pace, about)
    end)
end

--- Rehearses on copies what brings the others into its form. Results as of states.check.
function states.rehearse(live, attempt)
    local record, pace, change = attempt.record, attempt.pace, attempt.change
    if change and change.rehearse then
        local ok, text, details = rehearse(change, live.object.state, "app.state", record, pace)
        if not ok then
            return nil, text, details
        end
    end
    return each_connection(pace, function(entry, about)
        local own = migration.of_connection(live, record, entry)
        if not own then
            return true
        end
        return rehearse(own, entry.state, "ws.state", record, pace, about)
    end)
end

return states
