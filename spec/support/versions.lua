--- Versions of an app in a worker, for specs: sources as tables of texts, on the double of tidewire.core.
--
--   local v = versions.new()
--   v:boot { ["app.lua"] = "return { message = print }" }
--   v:prepare(2, { ["app.lua"] = ... } [, order])      the answer
--   v:take(3, { ... } [, order])                       prepare, barrier when needed, commit: they have to succeed
local support = require "support.core"

local versions = {}

local methods = {}
methods.__index = methods

--- Fields: core (the double), reload, and after a boot `record` and `state` (function() -> app.state).
function versions.new()
    local core = support.install()
    return setmetatable({ core = core, reload = require "tidewire.reload" }, methods)
end

--- The text of an app with a route and these fields in its manifest.
function versions.app(fields)
    return 'local tidewire = require "tidewire"\nreturn tidewire.app { routes = { ["/"] = { message = print } },\n'
        .. (fields or "") .. "}\n"
end

local function bytes_of(files)
    if type(files) == "string" then
        files = { ["app.lua"] = files }
    end
    return require("tidewire.bundle").encode {
        entry = "app.lua", root = ".", state_version = 1, files = files, loaded = { "app.lua" },
    }
end

local plan = { app = "app.lua", settings = { limits = { value = {} }, proxies = { value = {} } } }

--- Version 1, started. files: texts by path, or the text of app.lua.
function methods:boot(files)
    local message
    self.record, message = self.reload.boot(plan, { version = 1, hash = "h1" }, bytes_of(files))
    assert(self.record, message)
    self.reload.start()
    function self.state()
        return self.core.installed.app.state
    end
    return self.record
end

local function with(order, version)
    local out = { version = version, hash = "h" .. version }
    for key, value in pairs(order or {}) do
        out[key] = value
    end
    return out
end

function methods:prepare(version, files, order)
    return self.reload.prepare(with(order, version), files and bytes_of(files) or "")
end

function methods:barrier(version, order)
    return self.reload.barrier(with(order, version))
end

function methods:commit(version, order)
    return self.reload.commit(with(order, version))
end

function methods:take(version, files, order)
    local before = self.reload.current().state_version
    local answer = self:prepare(version, files, order)
    assert(answer.ok, answer.text)
    if self:gen(version).state_version ~= before then
        answer = self:barrier(version, order)
        assert(answer.ok, answer.text)
    end
    answer = self:commit(version, order)
    assert(answer.ok, answer.text)
    return answer
end

--- The generation of a version, or nil.
function methods:gen(version)
    for _, gen in ipairs(self.core.live) do
        if gen.number == version then
            return gen
        end
    end
    return nil
end

--- Versions and roles of those that live: "1 kept, 2 current".
function methods:roles()
    local out = {}
    for i, gen in ipairs(self.core.generations()) do
        out[i] = gen.number .. " " .. gen.role
    end
    return table.concat(out, ", ")
end

--- Every pace pauses from now on; on_turn is called meanwhile. Returns what restores the clock (to be closed).
function methods:pausing(on_turn)
    local clock, now = os.clock, 0
    os.clock = function() -- luacheck: ignore
        now = now + 1
        return now
    end
    local sleep = self.core.sleep
    function self.core.sleep(seconds)
        assert(seconds == 0)
        on_turn()
    end
    return setmetatable({}, {
        __close = function()
            os.clock = clock -- luacheck: ignore
            self.core.sleep = sleep
        end,
    })
end

return versions
