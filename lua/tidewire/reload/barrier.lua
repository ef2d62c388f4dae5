--- The barrier: no call of the app is under way while its state is brought into another form.
local answer = require "tidewire.reload.answer"
local core = require "tidewire.core"
local pace = require "tidewire.reload.pace"

local barrier = {}

local grace_default = 5

local function become_quiet(attempt)
    local grace = attempt.order.grace or grace_default
    attempt:hold()
    local quiet, pins, total = core.quiet(grace)
    if attempt.stopped then
        error(pace.stopped, 0)
    elseif quiet then
        return true
    end
    local lines = answer.pins(pins, total)
    lines[#lines + 1] = "nothing has changed, and messages are read again"
    return nil, answer.text(("what runs has not ended within %g s, so the state cannot be migrated"):format(grace),
        lines)
end

local function migrate(attempt)
    local change = attempt.change
    if not change then
        return true
    elseif change.state then
        attempt.migrated = change.state
        return true
    end
    local text, details
    attempt.migrated, text, details = change:apply(attempt.live.object.state)
    return attempt.migrated and true, text, details
end

--- The steps for attempt:run. Calls are held then, until the attempt ends.
barrier.steps = { { "barrier", become_quiet }, { "migrate", migrate } }

return barrier
