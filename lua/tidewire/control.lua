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

-- Seconds for an answer. Several requests that wait for each other, each with a scout and a busy worker, may
-- take a minute; how long a version is watched is the app's matter, and its end ends the waiting too.
local patience, long_patience = 90, 86400

local no_environment = function() end

--- Where an app's socket is by default: beside its entry script, hidden, so that no route serves it.
-- entry: from loader.locate.
function control.default_path(entry)
    local name = entry.file:match("[^/]*$"):gsub("%.lua$", "")
    return source.join(entry.root, name == "app" and ".tidewire.sock" or (".tidewire-%s.sock"):format(name))
end

-- The setting that tells the place of the socket; or nil, a whole message, and whether it is a usage error. The
-- flag is enough: the app can be asked also while its settings are being edited.
local function setting(asked, root)
    if asked.control then
        local resolved, wrong = settings.resolve { flags = { control = asked.control }, getenv = no_environment }
        if not resolved then
            return nil, (report.plain(wrong)), true
        end
        return resolved.control
    end
    local resolved, message, _, is_usage = settings.load({ config = asked.config }, root)
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

local function is_answer(value)
    return type(value) == "table" and value.v == control.VERSION and (value.ok == true
        or value.ok == false and type(value.error) == "table" and type(value.error.message) == "string")
end

local function misunderstood(path)
    return (report.plain(("what answers at %s is no tidewire of this version"):format(path)))
end

--- Asks. request: a table with `command` and what belongs to it. Returns the answer, a table with `ok` (and, when
-- that is false, error.message), and its text; or nil, a whole message, and a code.
function control.ask(path, request)
    local line = { v = control.VERSION }
    for key, value in pairs(request) do
        line[key] = value
    end
    local text, message, code = core.control_ask(path, json.encode(line) .. "\n",
        request.wait and long_patience or patience)
    if not text then
        if code == "gone" then
            message = "nobody answers there; is the app running?"
        end
        return nil, (report.plain(("cannot ask the app at %s: %s"):format(path, message))), code
    end
    local answer = json.decode(text)
    if not is_answer(answer) then
        return nil, misunderstood(path), "version"
    end
    return answer, text
end

--- What comes from outside must not command the terminal: control characters but tab and line feed, C1's too,
-- are shown by their numbers.
function control.printable(text)
    local function escape(bytes)
        return ("\\x%02x"):format(bytes:byte(-1))
    end
    return (text:gsub("[%z\1-\8\11-\31\127]", escape):gsub("\xC2([\x80-\x9F])", escape))
end

local function plain_refusal(answer)
    return (report.plain(answer.error.message))
end

-- Prints for people. Returns the exit status.
local function tell(answer, streams, path, show, refuse)
    -- one of another build may leave out what we look for
    local shown, text, is_printable = pcall(answer.ok and show or refuse, answer)
    if not shown then
        text = answer.ok and misunderstood(path) or plain_refusal(answer)
    end
    local done = shown and answer.ok
    streams[done and "out" or "err"]:write(is_printable and text or control.printable(text))
    return done and 0 or 1
end

--- A command of the command line from end to end: asks (see control.ask), prints for people with show(answer), or
-- refuse(answer) when it is not ok (default: its message), or as JSON, and returns the exit status. Where these
-- return true as a second result, control characters in their text are meant.
function control.run(asked, streams, request, show, refuse)
    local answer, text, code
    local path, message, is_usage = control.locate(asked)
    if path then
        answer, text, code = control.ask(path, request)
        message = text
    end
    if answer and not asked.json then
        return tell(answer, streams, path, show, refuse or plain_refusal)
    elseif answer then
        streams.out:write(text, "\n")
        return answer.ok and 0 or 1
    elseif asked.json then
        streams.out:write(json.encode {
            v = control.VERSION, ok = false,
            error = { code = code or "control", message = (message:gsub("^tidewire: ", ""):gsub("\n$", "")) },
        }, "\n")
    else
        streams.err:write(message)
    end
    return is_usage and 2 or 1
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
