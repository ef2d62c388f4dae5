--- A double of tidewire.core for specs: it notes what it is asked to do.
--
--   local core = require("support.core").install()   -- puts it where require finds it
local dkjson = require "dkjson"
local generations = require "support.generations"
local lfs = require "lfs"

local support = {}

local function open_file(path, rest)
    local attributes = lfs.attributes(path)
    if not attributes then
        return nil, rest .. ": No such file or directory", "not_found"
    elseif attributes.mode == "directory" then
        return nil, rest .. ": Is a directory", "directory"
    end
    return {
        path = path, size = attributes.size, mtime = attributes.modification, id = tostring(attributes.ino),
        close = function(self)
            self.closed = true
        end,
    }
end

local function open_folder(path)
    if lfs.attributes(path, "mode") ~= "directory" then
        return nil, path .. ": No such file or directory", "not_found"
    end
    return {
        path = path,
        open = function(_, rest)
            return open_file(path .. "/" .. rest, rest)
        end,
    }
end

local function encode(value)
    local text, message = dkjson.encode(value, { keyorder = { "ok", "app", "message", "file", "line", "routes" } })
    if not text then
        error(message, 2)
    end
    return text
end

--- A new double. Fields beside those of the real module: `calls` (list of { name, ... }), `timers`
-- (by the order of core.every), `installed`, `listen_checked` and `refuse_listen` (of core.check_listen), `is_loading`,
-- `time` (what core.now tells), `outcomes` (list of what core.connect answers, each a list of results), `attempts`
-- (its arguments), `blocked` (why nothing can wait).
function support.new()
    local core = {
        calls = {}, timers = {}, is_loading = false, version = "0.1.0", time = 1700000000.5,
        outcomes = {}, attempts = {},
    }

    local function noted(name)
        return function(...)
            if core.is_loading then
                error(("tidewire.%s is not allowed while the app loads"):format(name), 2)
            end
            core.calls[#core.calls + 1] = { name, ... }
        end
    end
    for _, name in ipairs { "sleep", "spawn", "after", "publish", "send" } do
        core[name] = noted(name)
    end

    core.json_null = dkjson.null
    core.json_encode, core.json_tell = encode, encode
    function core.json_decode(text)
        local value, _, message = dkjson.decode(text)
        return value, message
    end
    local array = { __jsontype = "array" }
    function core.json_array(t)
        return setmetatable(t, array)
    end

    function core.now()
        return core.time
    end
    function core.log(level, message, fields, details)
        core.calls[#core.calls + 1] = { "log", level, message, fields, details }
    end
    function core.loading(on)
        core.is_loading = on
    end
    -- Without limits: that they hold is tested with the binary.
    function core.limited(fn, _, _, ...)
        local traceback
        local results = table.pack(xpcall(fn, function(err)
            traceback = debug.traceback("", 2)
            return err
        end, ...))
        if results[1] then
            return table.unpack(results, 1, results.n)
        end
        return false, results[2], traceback
    end
    -- A message without the path, as of C.
    local function without_path(message, code)
        return nil, (message:gsub("^.*: ", "")), code
    end
    local function stamp(attributes)
        return ("%d:%d:%d:%s:%s"):format(attributes.dev, attributes.ino, attributes.size, attributes.modification,
            attributes.change)
    end
    function core.read(path, most)
        local attributes, _, code = lfs.attributes(path)
        if not attributes then
            return without_path(code == 2 and "No such file or directory" or "Not a directory", code)
        elseif attributes.mode == "directory" then
            return nil, "Is a directory", 21
        elseif attributes.size > most then
            return nil, "File too large", 27
        end
        local file, message, errno = io.open(path, "rb")
        if not file then
            return without_path(message, errno)
        end
        local text = file:read("a")
        file:close()
        return text, stamp(attributes)
    end
    local kinds = { directory = "folder", file = "file", link = "link" }
    function core.stat(path, link)
        local attributes, message, code = (link and lfs.symlinkattributes or lfs.attributes)(path)
        if not attributes then
            return without_path(message, code)
        end
        return {
            kind = kinds[attributes.mode] or "other", id = attributes.dev .. ":" .. attributes.ino,
            stamp = stamp(attributes), target = attributes.target,
        }
    end
    function core.list(path)
        local names = {}
        local ok, message = pcall(function()
            for name in lfs.dir(path) do
                if name ~= "." and name ~= ".." then
                    names[#names + 1] = name
                end
            end
        end)
        if not ok then
            return nil, (message:gsub("^.*: ", "")), 13
        end
        table.sort(names)
        return names
    end
    function core.is_over()
        return false
    end
    -- Not SHA-256, but another one for other bytes, and as long.
    function core.sha256(bytes)
        local sum = 0
        for i = 1, #bytes do
            sum = (sum * 31 + bytes:byte(i)) & 0xFFFFFFFFFFFF
        end
        return ("%064x"):format(sum)
    end
    function core.reporter(fn)
        core.report = fn
    end
    function core.check_listen(urls, tls)
        core.listen_checked = { urls, tls }
        if core.refuse_listen then
            return nil, core.refuse_listen
        end
        return true
    end
    function core.install(what)
        if core.refuse_install then
            return nil, table.unpack(core.refuse_install)
        end
        core.installed = what
        return true
    end
    function core.every(seconds, fn, holds)
        local timer = { seconds = seconds, fire = fn, holds = holds }
        function timer.cancel()
            timer.cancelled = true
        end
        core.timers[#core.timers + 1] = timer
        return timer
    end
    core.folder = open_folder
    -- Knows IPv4 alone; the real one is tested in C.
    function core.network(text)
        if text == "unix" or text:match("^%d+%.%d+%.%d+%.%d+$") or text:match("^%d+%.%d+%.%d+%.%d+/%d+$") then
            return true
        end
        return nil, "no network"
    end

    function core.connect(arguments)
        core.attempts[#core.attempts + 1] = arguments
        local outcome = table.remove(core.outcomes, 1)
        return table.unpack(outcome, 1, 4)
    end
    function core.cannot_wait()
        return core.blocked
    end
    function core.told_to_close(ws)
        return ws.told == true
    end
    generations.add(core)
    return core
end

--- Makes a double what require "tidewire.core" gives, forgets every module that may hold another
-- one, and returns it.
function support.install()
    for name in pairs(package.loaded) do
        if name == "tidewire" or name:find("^tidewire%.") then
            package.loaded[name] = nil
        end
    end
    local core = support.new()
    package.loaded["tidewire.core"] = core
    return core
end

return support
