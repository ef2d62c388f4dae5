--- tidewire exec: makes the plan that C carries out.
local loader = require "tidewire.loader"
local report = require "tidewire.report"
local settings = require "tidewire.settings"
local source = require "tidewire.source"

local exec = {}

-- Only these matter: a script has no listeners and no workers.
local function getenv(name)
    return name == "TIDEWIRE_LOG" and os.getenv(name) or nil
end

-- The script itself; an app's folder is none.
local function locate(path)
    if path == "-" then
        local text, message = io.stdin:read("a")
        if not text then
            return nil, "cannot read stdin: " .. message
        end
        return { file = "stdin", root = ".", text = text }
    end
    local text, message, code = source.read(path)
    if not text and code == source.EISDIR then
        return nil, ("%s is a folder; exec runs a script, and `tidewire run` an app"):format(path)
    elseif not text and code ~= source.ENOENT then
        return nil, ("cannot open %s: %s"):format(path, message)
    end
    return loader.locate(path)
end

--- Returns the plan (see tidewire.cli), or an exit status.
function exec.run(asked, streams)
    local resolved, wrong = settings.resolve { flags = { log = asked.log }, getenv = getenv }
    if not resolved then
        streams.err:write((report.plain(wrong)))
        return 2
    end
    local entry, reason = locate(asked.file)
    if not entry then
        streams.err:write((report.plain(reason)))
        return 1
    end
    return {
        command = "exec", file = asked.file, entry = entry, arguments = asked.arguments,
        listen = {}, limits = {}, log = resolved.log.value,
    }
end

return exec
