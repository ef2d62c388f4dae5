--- Judges a generation of an app that has run (see tidewire.loader). While that goes on, core refuses everything
-- that acts (send, publish, spawn, timers).
local app = require "tidewire.app"
local core = require "tidewire.core"
local expect = require "tidewire.expect"
local guard = require "tidewire.guard"
local report = require "tidewire.report"

local prepare = {}

-- The message about the app as a whole: nil, text, details.
local function refused(generation, phase, message)
    local text, details = report.plain(message)
    details.file, details.phase = generation.file, phase
    return nil, text, details
end

-- What was raised by the app's code while it was judged.
local function raised(generation, phase, err, traceback, frames)
    return guard.failure(generation.limit, phase, generation.sources, err, traceback, generation.dev and frames or nil)
end

-- The self-check says no by raising, or by returning nil or false and a message.
local function self_check(generation, checked)
    local ok, result, message, frames = guard.call(generation.limit, checked.check)
    if not ok then
        return raised(generation, "check", result, message, frames)
    elseif not result and message ~= nil then
        return refused(generation, "check", ("%s: check: %s"):format(generation.file,
            type(message) == "string" and message or expect.show(message)))
    elseif result == false then
        return refused(generation, "check",
            ("%s: check returned false; to say why: return nil, message"):format(generation.file))
    end
    return checked
end

--- Judges a generation that has run: the contract, then the app's own check(). settings are those of
-- settings.load. Returns the app (see app.check); or nil, a whole message for stderr, and the same as a table:
-- message, phase ("contract" or "check"), and file and line where they are known.
function prepare.judge(generation, settings)
    local ok, checked, wrong, frames = guard.call(generation.limit, app.check, generation.value, {
        file = generation.file,
        root = generation.root,
        limits = settings.limits.value,
        proxies = settings.proxies.value,
        folder = core.folder,
        encode = core.json_encode,
    })
    if not ok then
        return raised(generation, "contract", checked, wrong, frames)
    elseif not checked then
        return refused(generation, "contract", wrong)
    elseif checked.check then
        return self_check(generation, checked)
    end
    return checked
end

return prepare
