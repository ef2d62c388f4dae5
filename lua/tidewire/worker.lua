--- What happens in a worker process: boot (load the app, serve it, start it) and stop.
local banner = require "tidewire.banner"
local core = require "tidewire.core"
local reload = require "tidewire.reload"
local report = require "tidewire.report"

local worker = {}

-- start(app) says no by raising, or by returning nil and a message. false alone is a no as well.
local function start(record)
    local checked, file = record.checked, record.generation.file
    if not checked.start then
        return true
    end
    local ok, result, message, frames = record:call("start", checked.start, checked.object)
    if not ok then
        return nil, (record:failure(result, message, frames))
    elseif not result and message ~= nil then
        return nil, report.plain(("%s: start: %s"):format(file, tostring(message)))
    elseif result == false then
        return nil, report.plain(("%s: start returned false; to say why: return nil, message"):format(file))
    end
    return true
end

--- Loads the app of the plan (see tidewire.cli), serves it, runs its start(app), and then starts its timers.
-- listeners: the URLs that are bound; order and bytes: the version to load (see tidewire.reload), or nil: what
-- is on the disk. To be called in a task: start may await. Returns the text that `run` prints, or nil
-- and a whole message for stderr.
function worker.boot(plan, listeners, order, bytes)
    local record, message = reload.boot(plan, order, bytes)
    if not record then
        return nil, message
    end
    core.reporter(function(where, err, traceback, of, frames)
        (of or reload.current()):log_error(where, err, traceback, frames)
    end, plan.dev)
    local ok
    ok, message = start(record)
    if not ok then
        reload.stop()
        return nil, message
    end
    reload.start()
    return banner.text(listeners, record.checked.routes)
end

--- Ends the app: its timers are cancelled, stop(app) of the version that serves runs. To be called in a task, at
-- the end of the drain. An error in stop is logged.
function worker.stop()
    local record, object = reload.stop()
    if record and record.checked.stop then
        local ok, err, traceback, frames = record:call("stop", record.checked.stop, object)
        if not ok then
            record:log_error("stop", err, traceback, frames)
        end
    end
end

return worker
