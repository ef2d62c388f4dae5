--- What tests/names puts in the place of lua/tidewire/cli/init.lua: prints the names that an app finds,
-- as one line of JSON, subject -> list of names. Methods are ":name", fields of userdata ".name".
local app = require "tidewire.app"
local core = require "tidewire.core"
local expect = require "tidewire.expect"
local guard = require "tidewire.guard"
local handler = require "tidewire.handler"
local limits = require "tidewire.limits"
local route = require "tidewire.route"
local settings = require "tidewire.settings"
local tidewire = require "tidewire"

local function nothing() end

local function keys(t, mark, out)
    out = out or tidewire.json.array()
    for name in pairs(t) do
        out[#out + 1] = (mark or "") .. name
    end
    return out
end

-- A table that is empty for whoever reads it, and the names that were asked for.
local function recorder()
    local asked = {}
    return setmetatable({}, {
        __index = function(_, name)
            asked[name] = true
        end,
    }), asked
end

-- The names that the checks of the Lua half accept, by the path of the table that they are in.
local function record_checks()
    local accepted = {}
    local only, optional_function = expect.only, expect.optional_function
    function expect.only(value, names, path)
        accepted[path] = tidewire.json.array(table.move(names, 1, #names, 1, {}))
        return only(value, names, path)
    end
    function expect.optional_function(value, path)
        accepted.functions[#accepted.functions + 1] = path
        return optional_function(value, path)
    end
    return accepted
end

local context = { file = "probe", root = ".", folder = core.folder, encode = core.json_encode }

-- The types of userdata: __index of each has the tables of its methods and getters as upvalues.
local function add_types(out)
    for name, meta in pairs(debug.getregistry()) do
        local index = type(name) == "string" and name:find("^tidewire%.") and type(meta) == "table"
            and rawget(meta, "__index")
        if index then
            local _, methods = debug.getupvalue(index, 1)
            local _, getters = debug.getupvalue(index, 2)
            out["type " .. name] = keys(getters, ".", keys(methods, ":"))
        end
    end
end

-- A route with options; those that this version refuses do not count.
local function route_options(names)
    local out = tidewire.json.array()
    for _, name in ipairs(names) do
        local _, message = expect.catch(route.check, "/", { handler = nothing, [name] = true }, "", context)
        if not tostring(message):find("not available in this version", 1, true) then
            out[#out + 1] = name
        end
    end
    return out
end

local function add_contract(out)
    local accepted = record_checks()
    accepted.functions = tidewire.json.array()
    handler.check({ message = nothing }, "")
    out["callbacks accepted"] = accepted.functions
    out["handler options"] = handler.options

    accepted.functions = {}
    local checked = assert(app.check({
        routes = { ["/"] = { handler = { message = nothing } } },
        timers = { t = { every = 1, run = nothing } },
    }, context))
    out["manifest accepted"] = accepted[""]
    out["manifest timer"] = accepted["timers.t"]
    out["route options"] = route_options(accepted['routes["/"]'])
    out["app"] = keys(checked.object)

    assert(settings.read_file("probe", false, function()
        return "return {}"
    end))
    out["settings"] = accepted[""]
end

local function add_client(out)
    local accepted = record_checks()
    pcall(tidewire.connect, "ws://probe", { tls = {}, reconnect = {}, compression = {} })
    out["connect options"] = accepted[""]
    out["connect tls"] = accepted.tls
    out["connect reconnect"] = accepted.reconnect
    out["compression"] = accepted.compression
end

local function add_limits(out)
    local defaults = limits.defaults()
    local process = limits.of_process(setmetatable({}, {
        __index = function()
            return 1
        end,
    }))
    out["process limits"] = keys(process)
    out["route limits"] = tidewire.json.array()
    for name in pairs(defaults) do
        if process[name] == nil then
            table.insert(out["route limits"], name)
        end
    end
    out["defaults"] = defaults
end

-- What is read of an app: the callbacks of a handler, the limits in force before and on a route, and those for loading.
local function add_installed(out)
    local callbacks, callbacks_asked = recorder()
    local read, asked = recorder()
    assert(core.generation {
        number = 1, state_version = 1, app = {}, record = {}, limits = read,
        routes = { { pattern = "/", handler = callbacks, limits = read } },
    })
    guard.limits(read)
    out["callbacks"] = keys(callbacks_asked)
    out["limits read"] = keys(asked)
end

return {
    main = function()
        local out = {
            tidewire = keys(tidewire),
            json = keys(tidewire.json),
            log = keys(tidewire.log),
        }
        add_types(out)
        add_contract(out)
        add_client(out)
        add_limits(out)
        add_installed(out)
        print(tidewire.json.encode(out))

        -- The rest of the limits is read from the plan of `run`. Its URL is none, which ends the command.
        local plan_limits = setmetatable({}, {
            __index = function(_, name)
                print("plan " .. name)
            end,
        })
        return { listen = { { url = "probe:" } }, limits = plan_limits }
    end,
}
