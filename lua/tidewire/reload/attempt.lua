--- One attempt to bring another version into this worker, from prepare to commit or to its end:
--   live      the worker (see tidewire.reload)
--   order, bytes, record (see version)
--   known     the version has been loaded here before, and still lives
--   pace, wait  see tidewire.reload.pace; they raise when it was stopped meanwhile
--   phases    { name = seconds }
--   stopped   nobody wants it any more
--   ready     it is prepared;  passed: and through the barrier;  holding: calls are held;  held: how many were
--   change    what happens to app.state (migration.of_app);  migrated: the new app.state, when it is another one
local answer = require "tidewire.reload.answer"
local core = require "tidewire.core"
local pace = require "tidewire.reload.pace"
local version = require "tidewire.reload.version"

local attempt = {}

local methods = {}
methods.__index = methods

-- The record of a version that still lives here, or nil.
local function living(order)
    for _, gen in ipairs(core.generations()) do
        local record = gen.record
        if gen.number == order.version and (not order.hash or order.hash == record.hash) then
            return record
        end
    end
    return nil
end

--- Begins one; nothing is loaded. record: when the version is known to live, or nil.
function attempt.new(live, order, bytes, record)
    local known = record or living(order)
    local self = setmetatable({
        live = live, order = order, bytes = bytes, phases = {}, held = 0, stopped = false, ready = false,
        passed = false, holding = false, record = known or version.new(order.version, order.hash), known = known ~= nil,
    }, methods)
    local function is_stopped()
        return self.stopped
    end
    self.pace = pace.new(is_stopped)
    function self.wait(seconds)
        pace.wait(seconds, is_stopped)
    end
    if known then
        known.gen:keep(true) -- or it might go before its commit
    end
    return self
end

--- Holds all calls of the app from now on.
function methods:hold()
    self.holding = true
    self.held = core.hold(true)
end

--- Lets them go on.
function methods:let_go()
    if self.holding then
        self.held = core.hold(true)
        self.holding = false
        core.hold(false)
    end
end

--- Ends it without a commit: nothing of it is left. Harmless when it has ended.
function methods:discard()
    local live, record = self.live, self.record
    self:let_go()
    if self.known then
        record.gen:keep(record == live.previous)
    elseif record.gen then
        record.gen:drop()
        record.gen = nil
    end
    if live.attempt == self then
        live.attempt = nil
    end
end

-- Returns nil, or the answer that says what has failed.
local function run(self, steps)
    for _, step in ipairs(steps) do
        local name, began = step[1], core.now()
        self.phase = name
        local ok, text, details = step[2](self)
        self.phases[name] = math.max(0, core.now() - began)
        if not ok then
            return answer.failure(name, text, details)
        end
    end
    return nil
end

--- Does the steps { name, function(attempt) -> true, or nil, a whole message, details }, which may await. Returns nil;
-- or the answer that says what has failed, and then it has ended.
function methods:run(steps)
    local _, failure = xpcall(run, function(err)
        if err == pace.stopped then
            return answer.refusal("abandoned", "the reload was abandoned")
        end
        return answer.refusal(self.phase, tostring(err), { debug.traceback("an error of the runtime's own:", 2) })
    end, self, steps)
    if failure then
        self:discard()
    end
    return failure
end

--- The answer that all is well.
function methods:success()
    local handled, failed = self.live.rates:recent()
    return {
        ok = true, phases = self.phases, connections = answer.connections(), held = self.held,
        handled = handled, failed = failed,
    }
end

return attempt
