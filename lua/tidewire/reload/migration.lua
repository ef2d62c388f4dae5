--- From one state_version to another: which function does it, its rehearsal on a copy, and its real run.
local answer = require "tidewire.reload.answer"
local state = require "tidewire.state"

local migration = {}

-- A change of one state:
--   name     "migrate" or "downgrade"
--   place    where the function is declared, for messages: "app.lua", "app.lua: /chat/:room"
--   fn       the function
--   argument what it gets beside the state
--   by       the record whose function it is
--   may_be_nil  true: the result may be nil
local change = {}
change.__index = change

local function new(fields)
    return setmetatable(fields, change)
end

--- Runs it. Returns the result; or nil, a whole message and details.
function change:apply(value)
    local ok, result, traceback, frames = self.by:judge(self.fn, value, self.argument)
    if not ok then
        return nil, self.by:failure(result, traceback, frames)
    elseif type(result) ~= "table" and not (result == nil and self.may_be_nil) then
        return nil, answer.text(("%s: %s returned %s: it has to return the new state, a table"):format(self.place,
            self.name, result == nil and "nothing" or "a " .. type(result)))
    end
    return result
end

--- Runs it on a copy. Results as of apply; it fails too when it changes what it was given. path: what the state is
-- called in messages.
function change:rehearse(value, path, pace)
    local given = state.copy(value, pace)
    local _, copies = state.copy(given, pace)
    local result, text, details = self:apply(given)
    if text then
        return nil, text, details
    end
    local changed = state.difference(given, path, copies, pace)
    if changed then
        return nil, answer.text(("%s: %s has changed what it was given, at %s: it has to make new tables and to leave "
            .. "the old ones as they are, for the way back"):format(self.place, self.name, changed))
    end
    return result
end

local function versions(current, record)
    return ("version %d has state_version %d, and version %d has"):format(record.number, record.state_version,
        current.number)
end

-- An older form of app.state is wanted.
local function back(attempt)
    local live, record = attempt.live, attempt.record
    local current, replaced = live.current, live.replaced
    if current.checked.downgrade then
        return new {
            name = "downgrade", place = current.generation.file, fn = current.checked.downgrade,
            argument = record.state_version, by = current,
        }
    elseif attempt.order.rollback and replaced and replaced.state_version == record.state_version then
        return { state = replaced.state }
    elseif next(live.object.state) == nil then
        return nil
    end
    return nil, answer.text(versions(current, record) .. " no downgrade", {
        "declare downgrade(state, to) in the manifest beside migrate; what a migration has replaced is kept only while "
            .. "the new version is watched",
    })
end

local function has_migrate(record)
    for _, route in ipairs(record.checked.routes) do
        if route.install.handler and route.install.handler.migrate then
            return true
        end
    end
    return false
end

local function forth(attempt)
    local live, record = attempt.live, attempt.record
    local from = live.object.state_version
    if record.checked.migrate then
        return new {
            name = "migrate", place = record.generation.file, fn = record.checked.migrate, argument = from,
            by = record,
        }
    elseif next(live.object.state) == nil or has_migrate(record) then
        return nil
    end
    return nil, answer.text(("%s: state_version went from %d to %d, and nothing migrates app.state"):format(
        record.generation.file, from, record.state_version), {
        "declare migrate = function(old, from) ... return new end in the manifest, or keep the state_version",
    })
end

--- What happens to app.state when the version of an attempt takes over. Returns nil when it is carried as it is; a
-- change; { state = } when it is one that was kept; or nil, a whole message and details.
function migration.of_app(attempt)
    local from, to = attempt.live.object.state_version, attempt.record.state_version
    if to == from then
        return nil
    end
    return (to < from and back or forth)(attempt)
end

-- The handler that `record` has for the connections of an entry of core.states, or nil. `module`: its handler is
-- what that module returns (tidewire.connect).
local function handler_in(record, entry)
    if entry.module then
        local value = record.generation.loaded[entry.module]
        return type(value) == "table" and value or nil
    end
    for _, route in ipairs(record.checked.routes) do
        if route.install.handler and route.pattern == entry.pattern then
            return route.install.handler
        end
    end
    return nil
end

local function of_connection(entry, name, fn, argument, by)
    return fn and new {
        name = name, place = ("%s: %s"):format(by.generation.file, entry.pattern), fn = fn, argument = argument,
        by = by, may_be_nil = true,
    } or nil
end

-- What the connection keeps is put back, if it is still there.
local function connection_back(attempt, entry)
    local live, record = attempt.live, attempt.record
    local handler, replaced = entry.handler or {}, live.replaced
    local is_kept = attempt.order.rollback and replaced and replaced.state_version == record.state_version
    if handler.migrate and not handler.downgrade and not is_kept then
        return nil, answer.text(("%s no downgrade of %s"):format(versions(live.current, record), entry.pattern), {
            "declare downgrade(state, to) in the handler beside migrate",
        })
    end
    return of_connection(entry, "downgrade", handler.downgrade, record.state_version, live.current)
end

--- The same for a connection's state, as an entry of core.states: nil; a change; or nil, a whole message and details.
-- The core does it at the connection's next event.
function migration.of_connection(attempt, entry)
    local record = attempt.record
    local handler = handler_in(record, entry)
    if not handler or entry.version == record.state_version then
        return nil
    elseif entry.version > record.state_version then
        return connection_back(attempt, entry)
    end
    return of_connection(entry, "migrate", handler.migrate, entry.version, record)
end

return migration
