--- The control socket of a running app, as the commands use it: where it is, and how it is asked. What
-- it understands is told in runtime/README.md.
local core = require "tidewire.core"
local json = require "tidewire.json"
local loader = require "tidewire.loader"
local report = require "tidewire.report"
local settings = require "tidewire.settings"
local source = require "tidewire.source"

local control = {}

control.VERSION = 1

local patience = 30 -- seconds for an answer; a busy worker is waited for up to 20

--- Where an app's socket is by default: beside its entry script, hidden, so that no route serves it.
-- entry: from loader.locate.
function control.default_path(entry)
    local name = entry.file:match("[^/]*$"):gsub("%.lua$", "")
    return source.join(entry.root, name == "app" and ".tidewire.sock" or (".tidewire-%s.sock"):format(name))
end

-- The setting that tells the place of the socket; or nil, a whole message, and whether it is a usage error.
local function setting(asked, root)
    local resolved, message, _, is_usage = settings.load({ config = asked.config, control = asked.control }, root)
    if not resolved then
        return nil, message, is_usage
    end
    return resolved.control
end

-- Without an app's name: the one that runs from this folder.
local function find_here()
    local found = core.control_find "."
    if #found == 1 then
        return found[1]
    elseif #found == 0 then
        return nil, (report.plain "no app runs from this folder; name the app, or give --control")
    end
    return nil, (report.plain(("several apps run from this folder: %s; name the app, or give --control")
        :format(table.concat(found, ", "))))
end

--- The path of the socket that a command is for. asked: the parsed flags (app, config, control). Returns
-- the path; or nil, a whole message, and whether it is a usage error.
function control.locate(asked)
    local entry, reason
    if asked.app then
        entry, reason = loader.locate(asked.app)
        if not entry then
            return nil, (report.plain(reason)), false
        end
    end
    local chosen, message, is_usage = setting(asked, entry and entry.root or ".")
    if not chosen then
        return nil, message, is_usage
    elseif chosen.value == false then
        return nil, (report.plain(("the control socket is off (%s)"):format(chosen.from))), false
    elseif chosen.value then
        return chosen.value
    elseif entry then
        return control.default_path(entry)
    end
    return find_here()
end

--- Asks for a command. Returns the answer, a table with `ok`, and its text; or nil, a whole message, and
-- a code.
function control.ask(path, command)
    local text, message, code = core.control_ask(path, json.encode { v = control.VERSION, command = command } .. "\n",
        patience)
    if not text then
        if code == "gone" then
            message = "nobody answers there; is the app running?"
        end
        return nil, report.plain(("cannot ask the app at %s: %s"):format(path, message)), code
    end
    local answer = json.decode(text)
    if type(answer) ~= "table" or answer.v ~= control.VERSION then
        return nil, report.plain(("what answers at %s is no tidewire of this version"):format(path)), "version"
    end
    return answer, text
end

--- A command of the command line from end to end: asks, prints with `show(answer)` or as JSON, and returns
-- the exit status.
function control.run(asked, streams, command, show)
    local answer, text, code
    local path, message, is_usage = control.locate(asked)
    if path then
        answer, text, code = control.ask(path, command)
        message = text
    end
    if asked.json then
        streams.out:write(answer and text or json.encode {
            v = control.VERSION, ok = false,
            error = { code = code or "control", message = (message:gsub("^tidewire: ", ""):gsub("\n$", "")) },
        }, "\n")
    elseif not answer then
        streams.err:write(message)
    elseif answer.ok then
        streams.out:write(show(answer))
    else
        streams.err:write((report.plain(answer.error.message)))
    end
    return answer and answer.ok and 0 or is_usage and 2 or 1
end

--- A line for each certificate of an answer.
function control.certificates(list)
    local lines = {}
    for i, c in ipairs(list) do
        lines[i] = ("  %s: %s, until %s%s\n"):format(c.file, c.names ~= "" and c.names or "no names", c["until"],
            c.warning and " (" .. c.warning .. ")" or "")
    end
    return table.concat(lines)
end

return control
