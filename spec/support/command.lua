--- A command of the command line, run by specs: with files of its own, variables of its own, and what it writes.
--
--   local check = command.new "check"
--   setup(check.setup) after_each(check.clear) teardown(check.teardown)
--   check.dir, check.environment    -- see folder and variables
--   check.files { ["app.lua"] = "return {}" }
--   local result, out, err = check.run(check.dir.path, "--json")
local folder = require "support.folder"
local streams = require "support.streams"
local variables = require "support.variables"

local command = {}

--- name: of the command; nil for none. Load support.core before: the commands stand on it.
function command.new(name)
    local self = {}

    function self.setup()
        self.environment = variables.replace()
    end

    function self.teardown()
        variables.restore()
    end

    --- A new folder with these files, instead of the one before.
    function self.files(files)
        if self.dir then
            self.dir:remove()
        end
        self.dir = folder.new(files)
    end

    --- Leaves neither variables nor files.
    function self.clear()
        for variable in pairs(self.environment) do
            self.environment[variable] = nil
        end
        if self.dir then
            self.dir:remove()
            self.dir = nil
        end
    end

    local function named(text)
        return self.dir and (text:gsub(self.dir.path:gsub("%p", "%%%0"), "DIR")) or text
    end

    --- Returns the exit status or the plan, stdout and stderr; in these, the folder is called DIR.
    function self.run(...)
        local captured, arguments = streams.new(), { name, ... }
        if not name then
            arguments = { ... }
        end
        local result = require("tidewire.cli").main(arguments, captured)
        assert(captured.out.flushed and captured.err.flushed, "both streams are flushed")
        return result, named(captured.out.text()), named(captured.err.text())
    end

    return self
end

return command
