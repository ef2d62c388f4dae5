--- From a path to a checked app: loads the script and judges what it returned. While that goes on,
-- core refuses everything that acts (send, publish, spawn, timers).
local app = require "tidewire.app"
local core = require "tidewire.core"
local loader = require "tidewire.loader"
local report = require "tidewire.report"

local prepare = {}

local function load_and_check(path, settings)
    local generation, message, details = loader.load { app = path, public = require "tidewire" }
    if not generation then
        return nil, message, details
    end
    local checked, wrong = app.check(generation.value, {
        file = generation.file,
        root = generation.root,
        limits = settings.limits.value,
        proxies = settings.proxies.value,
        folder = core.folder,
        encode = core.json_encode,
    })
    if not checked then
        local text, told = report.plain(wrong)
        told.file = generation.file
        return nil, text, told
    end
    return checked, generation
end

--- Loads the app at `path`; `settings` are those of settings.load. Returns the app (see
-- app.check) and its generation (see loader.load); or nil, a whole message for stderr, and the same
-- as a table: message, and file and line where they are known.
function prepare.app(path, settings)
    core.loading(true)
    local _ <close> = setmetatable({}, {
        __close = function()
            core.loading(false)
        end,
    })
    return load_and_check(path, settings)
end

return prepare
