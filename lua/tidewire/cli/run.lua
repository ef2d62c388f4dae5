--- tidewire run: makes the plan that C carries out.
local control = require "tidewire.control"
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
    local resolved, message, _, is_usage = settings.load(asked, entry.root)
    if not resolved then
        streams.err:write(message)
        return is_usage and 2 or 1
    end
    local chosen = resolved.control.value
    local listen = {}
    for i, url in ipairs(resolved.listen.value) do
        listen[i] = { url = url, text = resolved.listen.from }
    end
    return {
        command = "run",
        app = asked.app,
        root = entry.root,
        settings = resolved,
        listen = listen,
        log = resolved.log.value,
        log_file = resolved.log_file.value,
        workers = resolved.workers.value,
        tls = resolved.tls.value,
        control = chosen == nil and control.default_path(entry) or chosen or nil,
        control_asked = chosen ~= nil,
        proxies = resolved.proxies.value,
        limits = limits.of_process(resolved.limits.value),
    }
end

return run
