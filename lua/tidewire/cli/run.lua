--- tidewire run: makes the plan that C carries out.
local limits = require "tidewire.limits"
local loader = require "tidewire.loader"
local report = require "tidewire.report"
local settings = require "tidewire.settings"

local run = {}

--- Returns the plan (see tidewire.cli), or an exit status.
function run.run(asked, streams)
    local entry, reason = loader.locate(asked.app)
    if not entry then
        streams.err:write((report.plain(reason)))
        return 1
    end
    local file, file_path = settings.find_file(asked.config, os.getenv, entry.root)
    if not file then
        streams.err:write(file_path)
        return 1
    end
    local resolved, message = settings.resolve {
        flags = asked, getenv = os.getenv, file = file, file_path = file_path,
    }
    if not resolved then
        streams.err:write((report.plain(message)))
        return 2
    end
    local listen = {}
    for i, url in ipairs(resolved.listen.value) do
        listen[i] = { url = url, text = resolved.listen.from }
    end
    return {
        command = "run",
        app = asked.app,
        settings = resolved,
        listen = listen,
        workers = resolved.workers.value,
        limits = limits.of_process(resolved.limits.value),
    }
end

return run
