--- Makes the module `tidewire`, as apps require it. Reading a name that it does not have, or writing one,
-- throws: a typing error is told at once.
local app = require "tidewire.app"
local class = require "tidewire.class"
local client = require "tidewire.client"
local core = require "tidewire.core"
local files = require "tidewire.files"
local http = require "tidewire.http"
local json = require "tidewire.json"
local log = require "tidewire.log"
local nearest = require "tidewire.nearest"

local members = {
    version = core.version,

    --- app { routes =, timers =, start =, stop =, ... }: a manifest, for the script to return.
    app = app.declare,

    --- files(path): a folder of static files, relative to the app's root, for a route.
    files = files.declare,

    --- connect(url [, options]) -> ws, or nil, message, code, details: see tidewire.client.
    connect = client.connect,

    --- now() -> seconds since 1970, with a fraction.
    now = core.now,

    --- sleep(seconds): waits; other tasks and connections go on.
    sleep = core.sleep,

    --- spawn(fn, ...): runs fn as a task of its own.
    spawn = core.spawn,

    --- after(seconds, fn) -> timer: runs fn once, unless timer:cancel() comes first.
    after = core.after,

    --- publish(topic, data [, options]): to every subscriber. options.kind: "text" or "binary".
    publish = core.publish,

    --- send(id, data [, kind]): to the connection with that ws.id.
    send = core.send,
}

--- refuse(status [, body [, headers]]): what `upgrade` or an endpoint returns to say no. status is 300
-- to 599; a table as body is sent as JSON.
function members.refuse(status, body, headers)
    local refusal = http.refuse(status, body, headers, core.json_encode)
    return refusal
end

-- The table as apps see it: they read what is there, and nothing else. That is an ordinary look-up in
-- the table itself; only what fails enters a function.
local function closed(module, prefix)
    local names = {}
    for name in pairs(module) do
        names[#names + 1] = name
    end
    setmetatable(module, {
        __index = function(_, name)
            error(("no `%s.%s`%s"):format(prefix, tostring(name), nearest.hint(name, names)), 2)
        end,
    })
    return setmetatable({}, {
        __metatable = "tidewire",
        __index = module,
        __newindex = function(_, name)
            error(("`%s.%s` cannot be set: the module is the runtime's"):format(prefix, tostring(name)), 2)
        end,
        __pairs = function()
            return next, module
        end,
    })
end

members.json = closed(json, "tidewire.json")
members.log = closed(log, "tidewire.log")

local public = {}

--- The module for one generation of an app; classes: the set (class.set) of what it declares.
function public.new(classes)
    local own = {}
    for name, value in pairs(members) do
        own[name] = value
    end
    --- class(name [, parent]): the class table of objects that a reload keeps; see tidewire.class.
    function own.class(name, parent)
        return class.declare(classes, name, parent)
    end
    return closed(own, "tidewire")
end

return public
