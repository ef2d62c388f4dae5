--- What happens in a worker process: boot (load the app, install it, start it) and stop.
local banner = require "tidewire.banner"
local core = require "tidewire.core"
local expect = require "tidewire.expect"
local limits = require "tidewire.limits"
local prepare = require "tidewire.prepare"
local report = require "tidewire.report"

local worker = {}

-- The app that this worker runs: what boot leaves for stop.
local running

local function log_error(where, err, traceback)
    local message, details = report.entry(err, traceback, running and running.generation.sources or {})
    core.log("error", message, { where = where }, details)
end

-- Calls a function of the app. Returns true and its results, or false, the error and the traceback.
local function call(fn, ...)
    local traceback
    local results = table.pack(xpcall(fn, function(err)
        traceback = debug.traceback("", 2)
        return err
    end, ...))
    if results[1] then
        return table.unpack(results, 1, results.n)
    end
    return false, results[2], traceback
end

-- given: the limits of tidewire.lua. C needs all of them apart from the routes': before a route is
-- known they are in force.
local function install(checked, file, given)
    local routes = {}
    for i, route in ipairs(checked.routes) do
        routes[i] = route.install
    end
    local ok, message, index = core.install {
        app = checked.object, routes = routes, limits = limits.merge("limits", given),
    }
    if ok then
        return true
    end
    local place = index and expect.field("routes", checked.routes[index].pattern) .. ": " or ""
    return nil, report.plain(("%s: %s%s"):format(file, place, message))
end

-- A run that takes longer than its interval is not joined by a second one: that turn is left out.
local function start_timer(timer, object)
    local busy = false
    return core.every(timer.every, function()
        if busy then
            return
        end
        busy = true
        local ok, err, traceback = call(timer.run, object)
        busy = false
        if not ok then
            log_error("timer " .. timer.name, err, traceback)
        end
    end)
end

-- start(app) says no by raising, or by returning nil and a message. false alone is a no as well.
local function start(checked, generation)
    if not checked.start then
        return true
    end
    local ok, result, message = call(checked.start, checked.object)
    if not ok then
        return nil, (report.failure(result, message, generation.sources))
    elseif not result and message ~= nil then
        return nil, report.plain(("%s: start: %s"):format(generation.file, tostring(message)))
    elseif result == false then
        return nil, report.plain(("%s: start returned false; to say why: return nil, message"):format(generation.file))
    end
    return true
end

--- Loads the app of the plan (see tidewire.cli), installs it, runs its start(app), and then starts
-- its timers. listeners: the URLs that are bound. To be called in a task: start may await. Returns
-- the text that `run` prints, or nil and a whole message for stderr.
function worker.boot(plan, listeners)
    local checked, generation = prepare.app(plan.app, plan.settings)
    if not checked then
        return nil, generation
    end
    running = { app = checked, generation = generation, timers = {} }
    core.reporter(log_error)
    local ok, message = install(checked, generation.file, plan.settings.limits.value)
    if ok then
        ok, message = start(checked, generation)
    end
    if not ok then
        running = nil
        return nil, message
    end
    for i, timer in ipairs(checked.timers) do
        running.timers[i] = start_timer(timer, checked.object)
    end
    return banner.text(listeners, checked.routes)
end

--- Ends the app: its timers are cancelled, stop(app) runs. To be called in a task, at the end of the
-- drain. An error in stop is logged.
function worker.stop()
    if not running then
        return
    end
    for _, timer in ipairs(running.timers) do
        timer:cancel()
    end
    running.timers = {}
    if running.app.stop then
        local ok, err, traceback = call(running.app.stop, running.app.object)
        if not ok then
            log_error("stop", err, traceback)
        end
    end
end

return worker
