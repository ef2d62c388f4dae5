--- Settings: a flag goes over TIDEWIRE_*, that over tidewire.lua, that over the default. Every value
-- keeps where it came from.
local certificates = require "tidewire.certificates"
local chunk = require "tidewire.chunk"
local environment = require "tidewire.environment"
local expect = require "tidewire.expect"
local limits = require "tidewire.limits"
local nearest = require "tidewire.nearest"
local proxies = require "tidewire.proxies"
local report = require "tidewire.report"
local source = require "tidewire.source"
local units = require "tidewire.units"

local settings = {}

local known = { "control", "limits", "listen", "log", "proxies", "tls", "workers" }
local later = { "engine", "metrics" }

local log_levels = { "debug", "info", "warn", "error" }

local workers_max = 256

local function check_workers(value, path)
    local count = units.count(value)
    if not count or count < 1 or count > workers_max then
        expect.fail(path, "expected a whole number from 1 to %d, got %s", workers_max, expect.show(value))
    end
    return count
end

local function check_level(value, path)
    for _, level in ipairs(log_levels) do
        if value == level then
            return value
        end
    end
    expect.fail(path, "expected one of %s, got %s%s", table.concat(log_levels, ", "), expect.show(value),
        nearest.hint(value, log_levels))
end

local function check_log_file(value, path)
    if type(value) ~= "string" or value == "" or value:find("\0", 1, true) then
        expect.fail(path, "expected the path of a file, got %s", expect.show(value))
    end
    return value
end

-- A level, or a table of level and file, either of which may be left out. Returns both.
local function check_log(value, path)
    if type(value) ~= "table" then
        return check_level(value, path), nil
    end
    expect.only(value, { "file", "level" }, path)
    return value.level ~= nil and check_level(value.level, expect.field(path, "level")) or nil,
        value.file ~= nil and check_log_file(value.file, expect.field(path, "file")) or nil
end

-- The URL that somebody may have meant by an address without a scheme or with one of HTTP's.
local function likely_url(text)
    local secure, host, port = text:match("^http(s?)://([^/]*):(%d+)/?$")
    if not host then
        secure, host, port = "", text:match("^([^/]*):(%d+)$")
    end
    if text:match("^%d+$") then
        host, port = "", text
    elseif text:match("%.sock$") and not text:find(":", 1, true) then
        return "unix:" .. text
    elseif not host then
        return nil
    end
    if host == "" or host == "localhost" then
        host = "127.0.0.1"
    elseif host == "*" then
        host = "0.0.0.0"
    end
    return secure == "s" and ("wss://%s:%s?cert=FILE&key=FILE"):format(host, port) or ("ws://%s:%s"):format(host, port)
end

-- The scheme alone: the rest of a URL is judged where it is bound.
local function check_url(url, path)
    if type(url) ~= "string" or url == "" then
        expect.fail(path, "expected a URL, got %s", expect.show(url))
    elseif not (url:find("^wss?://") or url:find("^unix:") or url:find("^systemd:")) then
        local likely = likely_url(url)
        expect.fail(path, "expected ws://HOST:PORT, wss://HOST:PORT?cert=FILE&key=FILE, unix:PATH or systemd:NAME, "
            .. "got %s%s", expect.quote(url), likely and (" (did you mean `%s`?)"):format(likely) or "")
    end
    return url
end

local function check_listen(value, path)
    local what = 'a URL such as "ws://127.0.0.1:8080", or a list of URLs'
    if type(value) == "string" then
        value = { value }
    end
    expect.list(value, path, what)
    local out = {}
    for i, url in ipairs(value) do
        out[i] = check_url(url, expect.field(path, i))
    end
    return out
end

-- The path of the control socket; "off" is false.
local function check_control(value, path)
    if type(value) ~= "string" or value == "" or value:find("\0", 1, true) then
        expect.fail(path, 'expected a path or "off", got %s', expect.show(value))
    end
    return value ~= "off" and value
end

-- The checked content of a settings file: only what is in it.
local function check_file(value)
    expect.type(value, "table", "", "a table of settings, as in return { workers = 4 }")
    for _, name in ipairs(later) do
        if value[name] ~= nil then
            expect.fail(name, "this setting is not available in this version")
        end
    end
    expect.only(value, known, "")
    local given = value.limits ~= nil and limits.read(value.limits, "process", "limits") or nil
    limits.merge("limits", given) -- fails when they contradict each other
    local out = {
        listen = value.listen ~= nil and check_listen(value.listen, "listen") or nil,
        proxies = value.proxies ~= nil and proxies.check(value.proxies, "proxies") or nil,
        workers = value.workers ~= nil and check_workers(value.workers, "workers") or nil,
        tls = value.tls ~= nil and certificates.check(value.tls, "tls") or nil,
        limits = given,
    }
    if value.log ~= nil then
        out.log, out.log_file = check_log(value.log, "log")
    end
    if value.control ~= nil then
        out.control = check_control(value.control, "control")
    end
    return out
end

-- What a file names is beside it, wherever the command is started.
local function place(file, path)
    local folder = path:match("^(.*)/[^/]*$") or "."
    folder = folder == "" and "/" or folder
    file.tls = file.tls and certificates.from_folder(file.tls, folder)
    file.control = file.control and source.join(folder, file.control)
    file.log_file = file.log_file and source.join(folder, file.log_file)
    return file
end

local function run_file(text, path, read)
    local sources = {}
    local env = environment.new { libraries = environment.libraries(), read = read, sources = sources }
    local run, message = chunk.compile(text, path, env, sources)
    if not run then
        return nil, report.failure(message, nil, sources)
    end
    local traceback
    local ok, value = xpcall(run, function(err)
        traceback = debug.traceback("", 2)
        return err
    end)
    if not ok then
        return nil, report.failure(value, traceback, sources)
    end
    return { value = value }
end

--- Reads a settings file: a Lua script that returns a table. Returns the checked table; or nil, a
-- whole message, and the same as a table (see report.failure). A file that need not be there
-- (optional) and is not gives an empty table.
function settings.read_file(path, optional, read)
    read = read or source.read
    local text, reason, code = read(path)
    if not text then
        if optional and code == source.ENOENT then
            return {}
        end
        return nil, report.plain(("cannot open %s: %s"):format(path, reason))
    end
    local result, message, details = run_file(text, path, read)
    if not result then
        return nil, message, details
    end
    local checked, wrong = expect.catch(check_file, result.value)
    if not checked then
        local whole, told = report.plain(("%s: %s"):format(path, wrong))
        told.file = path
        return nil, whole, told
    end
    return place(checked, path)
end

--- Finds and reads the settings file of an app: `flag` (--config) over TIDEWIRE_CONFIG, either of
-- which must exist, over tidewire.lua in the app's folder, which need not. Returns the checked table
-- and the file's path, or nil and as read_file.
function settings.find_file(flag, getenv, root, read)
    local variable = getenv "TIDEWIRE_CONFIG"
    local named = flag or (variable ~= "" and variable or nil)
    local path = named or source.join(root, "tidewire.lua")
    local file, message, details = settings.read_file(path, not named, read)
    if not file then
        return nil, message, details
    end
    return file, path
end

-- A number as it is written in a flag or the environment.
local function workers_from_text(text, name)
    return check_workers(text:match("^%d+$") and tonumber(text) or text, name)
end

local function listen_from_text(text, name)
    local urls = {}
    for url in text:gmatch("%S+") do
        urls[#urls + 1] = url
    end
    return check_listen(urls, name)
end

local function resolve(from)
    local file = from.file or {}
    local out = {}
    local function choose(name, flag, read, default)
        local variable = "TIDEWIRE_" .. name:upper()
        local text = from.getenv(variable)
        if flag ~= nil then
            out[name] = { value = flag(), from = "--" .. name:gsub("_", "-") }
        elseif text and text:find("%S") then
            out[name] = { value = read(text, variable), from = variable }
        elseif file[name] ~= nil then
            out[name] = { value = file[name], from = from.file_path }
        else
            out[name] = { value = default, from = "default" }
        end
    end
    local flags = from.flags
    choose("listen", flags.listen and #flags.listen > 0 and function()
        return check_listen(flags.listen, "--listen")
    end or nil, listen_from_text, { "ws://127.0.0.1:8080" })
    choose("workers", flags.workers and function()
        return workers_from_text(flags.workers, "--workers")
    end or nil, workers_from_text, 1)
    choose("proxies", nil, proxies.from_text, {})
    choose("log", flags.log and function()
        return check_level(flags.log, "--log")
    end or nil, check_level, "info")
    choose("log_file", flags.log_file and function()
        return check_log_file(flags.log_file, "--log-file")
    end or nil, check_log_file, nil)
    choose("control", flags.control and function()
        return check_control(flags.control, "--control")
    end or nil, check_control, nil)
    out.tls = { value = file.tls, from = file.tls and from.file_path or "default" }
    out.limits = { value = file.limits or {}, from = file.limits and from.file_path or "default" }
    return out
end

--- Puts all together. from: flags ({ control = text, listen = list, log = text, log_file = text, workers = text }),
-- getenv, file and file_path (from find_file). Returns { control, listen, log, log_file, proxies, tls, workers,
-- limits }, each { value =, from = }: `from` is the flag, the variable, the file's path or "default". The control
-- socket's value is a path, false for "off", or nil; log_file's a path or nil, for stderr. Or nil and what is wrong
-- with a flag or variable.
function settings.resolve(from)
    return expect.catch(resolve, from)
end

--- All of it for a command: asked (the parsed flags), the folder of the app, the environment. Returns
-- as resolve does; or nil, a whole message, the same as a table, and whether it is a flag or a
-- variable that is wrong and not the file.
function settings.load(asked, root)
    local file, path, details = settings.find_file(asked.config, os.getenv, root)
    if not file then
        return nil, path, details, false
    end
    local resolved, wrong = settings.resolve { flags = asked, getenv = os.getenv, file = file, file_path = path }
    if not resolved then
        local whole, told = report.plain(wrong)
        return nil, whole, told, true
    end
    return resolved
end

return settings
