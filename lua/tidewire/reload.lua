--- Versions of the app in this worker: how one is prepared beside the one that serves, takes over, or is given up.
--
-- The master orders it (runtime/host/code.h): prepare; barrier, when the state has another form; commit or
-- abandon. A commit cannot fail: what can is done before. Orders and answers are tables here, JSON outside.
--   order   { version =, hash =, share = (1 to 99: a canary), grace =, watch =, force =, rollback = }
--   answer  { ok = true, phases = { name = seconds }, connections =, held =, handled =, failed = }, or
--           { ok = false, phase =, message =, text =, file =, line = }
-- Between any two steps others run: connections end, states change, the attempt is abandoned.
local answer = require "tidewire.reload.answer"
local class = require "tidewire.class"
local core = require "tidewire.core"
local migration = require "tidewire.reload.migration"
local pace = require "tidewire.reload.pace"
local rates = require "tidewire.reload.rates"
local states = require "tidewire.reload.states"
local timers = require "tidewire.reload.timers"
local version = require "tidewire.reload.version"

local reload = {}

local generations_max, pins_shown = 4, 10
local grace_default, watch_default = 5, 30

-- The worker, from its boot on:
--   object    the app object, one for good
--   current   the record (see version) that serves
--   canary    the record that serves a share beside it, or nil
--   previous  the record that is kept for the way back, or nil
--   replaced  { state =, state_version = }: what a migration has replaced, while its result is watched
--   attempt   what is being prepared, or is prepared
--   timers, rates, plan
local live

-- --- attempts --------------------------------------------------------------------------------------

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

local function new_attempt(order, bytes)
    local known = living(order)
    local attempt = {
        order = order, bytes = bytes, phases = {}, held = 0, stopped = false, ready = false, holding = false,
        record = known or version.new(order.version, order.hash), known = known ~= nil,
    }
    attempt.pace = pace.new(function()
        return attempt.stopped
    end)
    return attempt
end

local function let_go(attempt)
    if attempt.holding then
        attempt.holding = false
        core.hold(false)
        live.timers:hold(false)
    end
end

local function discard(attempt)
    let_go(attempt)
    if not attempt.known and attempt.record.gen then
        attempt.record.gen:drop()
    end
    if live.attempt == attempt then
        live.attempt = nil
    end
end

-- Does the steps { name, function(record, attempt) }. Returns nil, or the answer that says what has failed.
local function run(attempt, steps)
    for _, step in ipairs(steps) do
        local name, began = step[1], core.now()
        attempt.phase = name
        local ok, text, details = step[2](attempt.record, attempt)
        attempt.phases[name] = math.max(0, core.now() - began)
        if not ok then
            return answer.failure(name, text, details)
        end
    end
    return nil
end

-- The same, whatever happens on the way.
local function run_whole(attempt, steps)
    local ok, failure = xpcall(run, function(err)
        return err == pace.stopped and answer.refusal("abandoned", "the reload was abandoned")
            or answer.refusal(attempt.phase, tostring(err), { debug.traceback("an error of the runtime's own", 2) })
    end, attempt, steps)
    if not ok or failure then
        discard(attempt)
    end
    return failure
end

local function success(attempt)
    local handled, failed = live.rates:recent()
    return {
        ok = true, phases = attempt.phases, connections = answer.connections(), held = attempt.held,
        handled = handled, failed = failed,
    }
end

-- --- the steps of prepare --------------------------------------------------------------------------

local function too_many()
    local gens, lines = core.generations(), {}
    for _, gen in ipairs(gens) do
        for _, line in ipairs(gen.role == "old" and answer.pins(gen:pins(pins_shown)) or {}) do
            lines[#lines + 1] = ("version %d: %s"):format(gen.number, line)
        end
    end
    lines[#lines + 1] = "old versions go when what they still serve has ended; --force closes these connections "
        .. "(1012) and drops these tasks"
    return nil, answer.text(("%d versions of the app are in use, and there is no room for another"):format(#gens),
        lines)
end

local function check_room(_, attempt)
    if not attempt.known and #core.generations() >= generations_max and not attempt.order.force then
        return too_many()
    end
    return true
end

local function is_canary(order)
    return (order.share or 100) < 100
end

local function check_states(record, attempt)
    local from = live.object.state_version
    if record.state_version ~= from and is_canary(attempt.order) then
        return nil, answer.text(("a canary shares its state with the version that serves, and this one has "
            .. "state_version %d instead of %d: reload it for all connections"):format(record.state_version, from))
    end
    local text, details
    attempt.change, text, details = migration.of_app(live, attempt)
    if text then
        return nil, text, details
    end
    return states.check(live, attempt)
end

local function rehearse(_, attempt)
    return states.rehearse(live, attempt)
end

local function context_of(attempt)
    return {
        number = attempt.order.version, bytes = attempt.bytes, app = live.plan.app, settings = live.plan.settings,
        dev = live.plan.dev, object = live.object, pace = attempt.pace,
    }
end

local function steps_of(attempt)
    local steps = { { "generations", check_room } }
    if not attempt.known then
        for _, step in ipairs(version.steps(context_of(attempt))) do
            steps[#steps + 1] = step
        end
    end
    steps[#steps + 1] = { "state", check_states }
    steps[#steps + 1] = { "dry_run", rehearse }
    return steps
end

--- Makes a version ready to take over: compiled, loaded, judged; the states fit, and their migration works on copies.
-- bytes: its bundle. Awaits; returns the answer. A failure leaves nothing behind.
function reload.prepare(order, bytes)
    reload.abandon {}
    local attempt = new_attempt(order, bytes)
    live.attempt = attempt
    local failure = run_whole(attempt, steps_of(attempt))
    if failure then
        return failure
    end
    attempt.ready = true
    return success(attempt)
end

-- --- barrier ---------------------------------------------------------------------------------------

local function not_prepared(order, phase)
    return answer.refusal(phase, ("version %d is not prepared in this worker"):format(order.version))
end

local function prepared(order)
    local attempt = live.attempt
    return attempt and attempt.ready and attempt.order.version == order.version and attempt or nil
end

local function become_quiet(_, attempt)
    local grace = attempt.order.grace or grace_default
    attempt.holding = true
    attempt.held = core.hold(true)
    live.timers:hold(true)
    local quiet, pins, total = core.quiet(grace)
    if attempt.stopped then
        error(pace.stopped, 0)
    elseif quiet then
        return true
    end
    local lines = answer.pins(pins, total)
    lines[#lines + 1] = "nothing has changed, and messages are read again; the grace time can be made longer"
    return nil, answer.text(("what runs has not ended within %g s, so its state cannot be migrated"):format(grace),
        lines)
end

local function migrate(_, attempt)
    local change = attempt.change
    if not change then
        return true
    elseif change.state then
        attempt.migrated = change.state
        return true
    end
    local text, details
    attempt.migrated, text, details = change:apply(live.object.state)
    return attempt.migrated and true, text, details
end

--- Begins no further call of the app, waits until those that run have ended, and migrates app.state; the
-- result is kept aside. Awaits up to the grace time. Until commit or abandon all calls are held; when it
-- fails, they go on at once.
function reload.barrier(order)
    local attempt = prepared(order)
    if not attempt then
        return not_prepared(order, "barrier")
    end
    attempt.order.grace = order.grace or attempt.order.grace
    local failure = run_whole(attempt, { { "barrier", become_quiet }, { "migrate", migrate } })
    if failure then
        return failure
    end
    attempt.held = core.hold(true)
    attempt.passed = true
    return success(attempt)
end

-- --- commit ----------------------------------------------------------------------------------------

-- What was replaced serves for the way back while the new version is watched.
local function keep_replaced(seconds, replaced)
    if live.watch then
        live.watch:cancel()
    end
    live.replaced = replaced
    live.watch = replaced and core.after(seconds, function()
        live.replaced, live.watch = nil, nil
    end) or nil
end

local function keep_previous(former, record, order)
    if live.previous and live.previous ~= record then
        live.previous.gen:keep(false)
    end
    record.gen:keep(false)
    live.previous = nil
    if former ~= record and not order.rollback then
        former.gen:keep(true)
        live.previous = former
    end
end

local function take_state(record, migrated, order)
    local object = live.object
    local replaced
    if object.state_version ~= record.state_version and not order.rollback then
        replaced = { state = object.state, state_version = object.state_version }
    end
    keep_replaced(order.watch or watch_default, replaced)
    object.root, object.state_version = record.generation.root, record.state_version
    if migrated then
        object.state = migrated
    end
end

local function take_over(record, migrated, order)
    local former = live.current or record
    keep_previous(former, record, order)
    class.point(record.classes)
    take_state(record, migrated, order)
    live.current, live.canary = record, nil
    record.gen:commit()
    if live.started then
        live.timers:follow(record)
    end
end

local function force_old()
    for _, gen in ipairs(core.generations()) do
        if gen.role == "old" then
            gen:force()
        end
    end
end

-- The record to be committed: what is prepared, the canary that is to serve all, or again what serves.
local function committed(order)
    local attempt = prepared(order)
    if attempt then
        return attempt.record, attempt
    elseif live.canary and live.canary.number == order.version then
        return live.canary
    elseif live.current.number == order.version then
        return live.current
    end
    return nil
end

--- The version takes over: for all, or as a canary for a share of the connections. Calls that were held go on in it.
function reload.commit(order)
    local began = core.now()
    local record, attempt = committed(order)
    if not record or (attempt and attempt.change and not attempt.passed) then
        return not_prepared(order, "commit")
    end
    attempt = attempt or new_attempt(order)
    if attempt.order.force then
        force_old()
    end
    if is_canary(order) and record ~= live.current then
        record.gen:commit(order.share)
        live.canary = record
    else
        take_over(record, attempt.migrated, attempt.order)
    end
    live.attempt = nil
    attempt.held = attempt.holding and core.hold(true) or 0
    let_go(attempt)
    attempt.phases.commit = math.max(0, core.now() - began)
    return success(attempt)
end

--- As if nothing had been asked: what is prepared, or is being prepared, is given up. order.version: only this one.
function reload.abandon(order)
    local attempt = live.attempt
    if not attempt or (order.version and order.version ~= attempt.order.version) then
        return
    end
    attempt.stopped = true
    live.attempt = nil
    let_go(attempt)
    if attempt.ready then
        discard(attempt)
    end
end

-- --- the worker ------------------------------------------------------------------------------------

--- Loads the first version of this worker, and commits it: its routes are served. plan: of the command. Without an order
-- it is read from the disk. Returns its record, or nil and a whole message.
function reload.boot(plan, order, bytes)
    live = { plan = plan, started = false }
    order = order or { version = 1 }
    local attempt = new_attempt(order, bytes or "")
    local failure = run_whole(attempt, version.steps(context_of(attempt)))
    if failure then
        live = nil
        return nil, failure.text
    end
    local record = attempt.record
    live.object = record.checked.object
    live.timers = timers.new(live.object)
    take_over(record, nil, {})
    live.rates = rates.new(function()
        return live.current.gen
    end)
    core.on_generation(function(entered)
        class.point(entered.classes)
    end)
    return record
end

--- start(app) has run: the timers are started.
function reload.start()
    live.started = true
    live.timers:follow(live.current)
end

--- The worker ends: no timer fires any more. Returns the record that serves, or nil when there is none.
function reload.stop()
    if not live then
        return nil
    end
    reload.abandon {}
    live.timers:stop()
    live.rates.timer:cancel()
    return live.current, live.object
end

--- What serves, for `status`.
function reload.describe()
    local list = core.json_array {}
    for i, gen in ipairs(core.generations()) do
        local pins, total = {}, 0
        if gen.role == "old" then
            pins, total = gen:pins(pins_shown)
        end
        list[i] = {
            version = gen.number, role = gen.role, connections = gen.connections, tasks = gen.tasks,
            handled = gen.handled, failed = gen.failed, migrations_failed = gen.migrations_failed,
            pins = core.json_array(pins), pins_total = total,
        }
    end
    local holding = live and live.attempt and live.attempt.holding
    return { connections = answer.connections(), held = holding and core.hold(true) or 0, generations = list }
end

return reload
