--- The steps that make a version ready to take over: room for it, its loading, the states that it will get.
local answer = require "tidewire.reload.answer"
local core = require "tidewire.core"
local migration = require "tidewire.reload.migration"
local states = require "tidewire.reload.states"
local version = require "tidewire.reload.version"

local prepare = {}

local generations_max, pins_shown = 4, 10

local function no_room(gens)
    local lines = {}
    for _, gen in ipairs(gens) do
        for _, line in ipairs(gen.role == "old" and answer.pins(gen:pins(pins_shown)) or {}) do
            lines[#lines + 1] = ("version %d: %s"):format(gen.number, line)
        end
    end
    lines[#lines + 1] = "an old version goes when what it still serves has ended; --force closes these connections "
        .. "(1012) and drops these tasks"
    lines[#lines + 1] = "what goes on for ever belongs into `timers` of the manifest, which each version takes over"
    return nil, answer.text(("%d versions of the app are in use, and there is no room for another"):format(#gens),
        lines)
end

local function check_room(attempt)
    local gens = core.generations()
    if not attempt.known and #gens >= generations_max and not attempt.order.force then
        return no_room(gens)
    end
    return true
end

local function check_states(attempt)
    local record, from = attempt.record, attempt.live.object.state_version
    if record.state_version ~= from and (attempt.order.share or 100) < 100 then
        return nil, answer.text(("a canary shares the state with the version that serves, and this one has "
            .. "state_version %d instead of %d: reload it for all connections"):format(record.state_version, from))
    end
    local text, details
    attempt.change, text, details = migration.of_app(attempt)
    if text then
        return nil, text, details
    end
    return states.check(attempt)
end

--- What version.steps needs to know.
function prepare.context(attempt)
    local live = attempt.live
    return {
        number = attempt.order.version, bytes = attempt.bytes, app = live.plan.app, settings = live.plan.settings,
        dev = live.plan.dev, object = live.object, pace = attempt.pace,
    }
end

--- The steps for attempt:run. A version that still lives is not loaded again.
function prepare.steps(attempt)
    local steps = { { "generations", check_room } }
    if not attempt.known then
        table.move(version.steps(prepare.context(attempt)), 1, 3, 2, steps)
    end
    steps[#steps + 1] = { "state", check_states }
    steps[#steps + 1] = { "dry_run", states.rehearse }
    return steps
end

return prepare
