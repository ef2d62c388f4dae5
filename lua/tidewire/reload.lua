--- Versions of the app in this worker: how one is prepared beside the one that serves, takes over, or is given up.
--
-- The master orders it (runtime/host/code.h): prepare; barrier, when the state has another form; commit or
-- abandon. A commit cannot fail: what can is done before. Orders and answers are tables here, JSON outside.
--   order   { version =, hash =, share = (1 to 99: a canary), grace =, watch =, force =, rollback = }
--   answer  { ok = true, phases = { name = seconds }, connections =, held =, handled =, failed = (of the last
--           30 s) }, or { ok = false, phase =, message =, text =, file =, line = }
-- Between any two steps others run: connections end, states change, the attempt is abandoned.
local answer = require "tidewire.reload.answer"
local attempts = require "tidewire.reload.attempt"
local barrier = require "tidewire.reload.barrier"
local class = require "tidewire.class"
local commit = require "tidewire.reload.commit"
local core = require "tidewire.core"
local prepare = require "tidewire.reload.prepare"
local rates = require "tidewire.reload.rates"
local timers = require "tidewire.reload.timers"
local version = require "tidewire.reload.version"

local reload = {}

local pins_shown = 10

-- The worker, from its boot on:
--   plan      of the command
--   object    the app object, one for good
--   started   start(app) has run
--   current   the record (see tidewire.reload.version) that serves
--   canary    the record that serves a share beside it, or nil
--   previous  the record that is kept for the way back, or nil
--   replaced  { state =, state_version = }: what a migration has replaced, while its result is watched (`watch`)
--   attempt   what is being prepared, or is prepared (see tidewire.reload.attempt)
--   timers, rates
local live

local function not_prepared(order, phase)
    return answer.refusal(phase, ("version %d is not prepared in this worker"):format(order.version))
end

local function prepared(order)
    local attempt = live and live.attempt
    return attempt and attempt.ready and attempt.order.version == order.version and attempt or nil
end

--- Makes a version ready to take over: compiled, loaded, judged; the states fit, and their migration works on copies.
-- bytes: its bundle. Awaits; returns the answer. A failure leaves nothing behind.
function reload.prepare(order, bytes)
    if not live then
        return answer.refusal("stopping", "the worker ends")
    end
    reload.abandon {}
    local attempt = attempts.new(live, order, bytes)
    live.attempt = attempt
    local failure = attempt:run(prepare.steps(attempt))
    if failure then
        return failure
    end
    attempt.ready = true
    return attempt:success()
end

--- Begins no further call of the app, waits until those that run have ended, and migrates app.state; the result is
-- kept aside. Awaits up to the grace time; returns the answer. Until commit or abandon all calls are held; when it
-- fails, they go on at once.
function reload.barrier(order)
    local attempt = prepared(order)
    if not attempt then
        return not_prepared(order, "barrier")
    end
    attempt.order.grace = order.grace or attempt.order.grace
    local failure = attempt:run(barrier.steps)
    if failure then
        return failure
    end
    attempt.passed, attempt.held = true, core.hold(true)
    return attempt:success()
end

-- What is prepared; or the canary that is to serve all, or once more what serves, which ends the canary.
local function attempt_to_commit(order)
    local attempt = prepared(order)
    if attempt then
        return (attempt.passed or not attempt.change) and attempt or nil
    end
    for _, record in pairs(live and { live.canary, live.current } or {}) do
        if record.number == order.version then
            return attempts.new(live, order, "", record)
        end
    end
    return nil
end

--- The version takes over: for all, or as a canary for a share of the connections. Calls that were held go on in
-- it. Returns the answer.
function reload.commit(order)
    local began = core.now()
    local attempt = attempt_to_commit(order)
    if not attempt then
        return not_prepared(order, "commit")
    end
    local record, share = attempt.record, order.share or 100
    prepare.make_room()
    if share < 100 and record ~= live.current then
        commit.share(live, record, share)
    else
        commit.all(live, record, attempt.migrated, {
            rollback = attempt.order.rollback or order.rollback, watch = order.watch or attempt.order.watch,
        })
    end
    live.attempt = nil
    attempt:let_go()
    attempt.phases.commit = math.max(0, core.now() - began)
    return attempt:success()
end

--- As if nothing had been asked: what is prepared, or is being prepared, is given up. order.version: only this one.
function reload.abandon(order)
    local attempt = live and live.attempt
    if not attempt or (order.version and order.version ~= attempt.order.version) then
        return
    end
    attempt.stopped = true
    live.attempt = nil
    attempt:let_go()
    if attempt.ready then -- else whoever prepares it ends it
        attempt:discard()
    end
end

-- --- the worker's life -----------------------------------------------------------------------------

--- Loads the first version of this worker and serves it. plan: of the command. order and bytes: as of prepare; nil:
-- the app is read from the disk. Returns its record, or nil and a whole message.
function reload.boot(plan, order, bytes)
    live = { plan = plan, started = false }
    local attempt = attempts.new(live, order or { version = 1 }, bytes or "")
    local failure = attempt:run(version.steps(prepare.context(attempt)))
    if failure then
        live = nil
        return nil, failure.text
    end
    local record = attempt.record
    live.object = record.checked.object
    live.timers = timers.new(live.object)
    commit.all(live, record, nil, {})
    live.rates = rates.new(function()
        return live.current.gen
    end)
    core.on_generation(function(entered)
        class.point(entered.classes)
    end)
    return record
end

--- The record of the version that serves.
function reload.current()
    return live.current
end

--- start(app) has run: the timers begin.
function reload.start()
    live.started = true
    live.timers:follow(live.current)
end

--- The worker ends, or its start has failed: no timer fires any more, and no version is prepared. Returns the record
-- that serves and the app object, or nil when there is none.
function reload.stop()
    if not live then
        return nil
    end
    reload.abandon {}
    live.timers:stop()
    live.rates:stop()
    local record, object = live.current, live.object
    live = nil
    return record, object
end

local function describe(gen)
    local pins, total = {}, 0
    if gen.role == "old" then
        pins, total = gen:pins(pins_shown)
    end
    return {
        version = gen.number, role = gen.role, connections = gen.connections, tasks = gen.tasks,
        handled = gen.handled, failed = gen.failed, migrations_failed = gen.migrations_failed,
        pins = core.json_array(pins), pins_total = total,
    }
end

--- What serves, for `status`: { connections =, held =, generations = { { version =, role =, ... } } }.
function reload.describe()
    local list = core.json_array {}
    for i, gen in ipairs(core.generations()) do
        list[i] = describe(gen)
    end
    local holding = live and live.attempt and live.attempt.holding
    return { connections = answer.connections(), held = holding and core.hold(true) or 0, generations = list }
end

return reload
