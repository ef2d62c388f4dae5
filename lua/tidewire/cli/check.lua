--- tidewire check: loads an app and its settings and judges them as `run` would, without opening a socket.
local banner = require "tidewire.banner"
local collect = require "tidewire.bundle.collect"
local core = require "tidewire.core"
local json = require "tidewire.json"
local loader = require "tidewire.loader"
local report = require "tidewire.report"
local settings = require "tidewire.settings"

local check = {}

-- Returns the app and its generation; or nil, a whole message, the same as a table, and whether it is
-- a variable of the environment that is wrong.
local function judge(asked)
    local entry, reason = loader.locate(asked.app)
    if not entry then
        return nil, report.plain(reason)
    end
    local resolved, message, details, is_usage = settings.load(asked, entry.root)
    if not resolved then
        return nil, message, details, is_usage
    end
    local made, second, third = collect.app { app = asked.app, settings = resolved }
    if not made then
        return nil, second, third
    end
    local fine, wrong = core.check_listen(resolved.listen.value, resolved.tls.value)
    if not fine then
        return nil, report.plain(wrong)
    end
    return third, second
end

-- The lines after the first, without what sets them off for people.
local function further_lines(details)
    local lines = json.array {}
    for line in (details.more or ""):gmatch("[^\n]+") do
        lines[#lines + 1] = line:match("^%s*(.-)%s*$")
    end
    return #lines > 0 and lines or nil
end

local function as_json(checked, file)
    local routes = json.array {}
    for i, route in ipairs(checked.routes) do
        routes[i] = {
            pattern = route.pattern, kind = route.kind, mount = route.mount,
            protocols = route.protocols and json.array(route.protocols) or nil,
        }
    end
    return json.encode { ok = true, app = file, routes = routes }
end

--- Returns the exit status.
function check.run(asked, streams)
    local checked, second, details, is_usage = judge(asked)
    if checked then
        if asked.json then
            streams.out:write(as_json(checked, second.file), "\n")
        else
            streams.out:write("ok ", second.file, "\n  ", table.concat(banner.routes(checked.routes), "\n  "), "\n")
        end
        return 0
    end
    if asked.json then
        streams.out:write(json.encode {
            ok = false, app = asked.app, message = details.message, details = further_lines(details),
            file = details.file, line = details.line,
        }, "\n")
    else
        streams.err:write(second)
    end
    return is_usage and 2 or 1
end

return check
