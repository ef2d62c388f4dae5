--- The steps that make a version ready to take over: room for it, its loading, the states that it will get.
local answer = require "tidewire.reload.answer"
local core = require "tidewire.core"
local migration = require "tidewire.reload.migration"
local states = require "tidewire.reload.states"
local version = require "tidewire.reload.version"

local prepare = {}

local generations_max, pins_shown = 4, 10

-- How often, and for how long, an old version that is about to go is waited for.
local going_waits, going_wait = 100, 0.01

local function no_room(gens)
    local lines = {}
    for _, gen in ipairs(gens) do
        for _, line in ipairs(gen.role == "old" and answer.pins(gen:pins(pins_shown)) or {}) do
            lines[#lines + 1] = ("version %d: %s"):format(gen.number, line)
        end
    end
    lines[#lines + 1] = "an old version goes when what it still serves has ended; --force ends the oldest: its "
        .. "connections are closed (1012), its tasks dropped"
    lines[#lines + 1] = "what goes on for ever belongs into `timers` of the manifest, which each version takes over"
    return nil, answer.text(("%d versions of the app are in use, and there is no room for another"):format(#gens),
        lines)
end

-- Those that count: not those that were forced to end, and are about to.
local function in_use()
    local gens = {}
    for _, gen in ipairs(core.generations()) do
        if not gen.record.forced then
            gens[#gens + 1] = gen
        end
    end
    return gens
end

-- A generation that nothing needs any more goes at the end of a turn, or once all connections have been visited.
local function is_going(gens)
    for _, gen in ipairs(gens) do
        if gen.role == "old" and select(2, gen:pins(0)) == 0 then
            return true
        end
    end
    return false
end

local function check_room(attempt)
    local gens = in_use()
    for _ = 1, going_waits do
        if #gens < generations_max or not is_going(gens) then
            break
        end
        attempt.wait(going_wait)
        gens = in_use()
    end
    if not attempt.known and #gens >= generations_max and not attempt.order.force then
        return no_room(gens)
    end
    return true
end

--- Ends the oldest of those that nothing but their pins keeps, when there are too many with the one that is prepared.
function prepare.make_room()
    local gens = in_use()
    for _, gen in ipairs(gens) do
        if #gens > generations_max and gen.role == "old" then
            gen.record.forced = true
            gen:force()
            return
        end
    end
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
        force = attempt.order.force,
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
