--- A control socket that answers what a spec wants, and an app's folder for the commands to it.
--
--   local running = app_that_runs.new()      -- with core's double in the place of the module
--   running.answer = { v = 1, ok = true }    -- or "gone", "control": the code of a failure
--   local status, out, err = running:run("status", running.dir.path)
--   running.asked[1].request.command, .path, .seconds
--   running:finish()
local folder = require "support.folder"
local streams = require "support.streams"
local support = require "support.core"

local app_that_runs = {}

local methods = {}
methods.__index = methods

--- Runs a command line. Returns the status, stdout and stderr; in the latter the folder is DIR.
function methods:run(...)
    local captured = streams.new()
    captured.colour = function()
        return self.coloured
    end
    local status = require("tidewire.cli").main({ ... }, captured)
    return status, captured.out.text(), (captured.err.text():gsub(self.dir.path:gsub("%p", "%%%0"), "DIR"))
end

function methods:finish()
    self.dir:remove()
end

function app_that_runs.new()
    local core = support.install()
    local self = setmetatable({
        core = core, dir = folder.new { ["app.lua"] = "", ["other.lua"] = "" }, asked = {}, coloured = false,
    }, methods)
    function core.control_ask(path, line, seconds)
        assert(line:sub(-1) == "\n" and not line:find("\n.", 1), "not one line")
        self.asked[#self.asked + 1] = { path = path, request = core.json_decode(line), seconds = seconds }
        if type(self.answer) == "table" then
            return core.json_encode(self.answer)
        end
        return nil, "Connection refused", self.answer
    end
    function core.control_find()
        return self.found or {}
    end
    return self
end

return app_that_runs
