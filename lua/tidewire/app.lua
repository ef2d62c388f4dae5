--- The contract of an app: what its script may return, checked and brought into one form.
local expect = require "tidewire.expect"
local files = require "tidewire.files"
local route = require "tidewire.route"
local units = require "tidewire.units"

local app = {}

local declared = setmetatable({}, { __mode = "k" })

local fields = { "routes", "timers", "start", "stop", "state_version", "migrate", "downgrade", "check" }

--- tidewire.app { ... }: says that the table is a manifest. It is checked when the script has
-- returned it. Misuse throws.
function app.declare(manifest)
    if type(manifest) ~= "table" then
        error("bad argument #1 to 'app' (a table expected, got " .. type(manifest) .. ")", 2)
    end
    declared[manifest] = true
    return manifest
end

local function check_routes(given, context)
    expect.type(given, "table", "routes", "a table of patterns, as in { [\"/chat\"] = handler }")
    local routes, by_skeleton = {}, {}
    for _, pattern in ipairs(expect.sorted_keys(given)) do
        local path = expect.field("routes", pattern)
        local skeleton = route.skeleton(pattern, path)
        local checked = route.check(pattern, given[pattern], path, context)
        -- Of a mount, the pattern with and without "/" at the end means the same folder.
        local key = checked.mount and "mount " .. skeleton:gsub("(.)/$", "%1") or skeleton
        if by_skeleton[key] then
            expect.fail(path, "matches the same paths as %s", expect.field("routes", by_skeleton[key]))
        end
        by_skeleton[key] = pattern
        routes[#routes + 1] = checked
    end
    if #routes == 0 then
        expect.fail("routes", "expected at least one route, got an empty table")
    end
    return routes
end

local function check_timer(name, given, path)
    if type(name) ~= "string" then
        expect.fail(path, "expected a timer's name as key, got %s", expect.show(name))
    end
    expect.type(given, "table", path, "a table such as { every = 60, run = function(app) ... end }")
    expect.only(given, { "every", "run" }, path)
    local every, message = units.seconds(given.every)
    if not every or every == 0 then
        expect.fail(expect.field(path, "every"), "%s", message or "expected more than 0")
    end
    expect.type(given.run, "function", expect.field(path, "run"), "a function")
    return { name = name, every = every, run = given.run }
end

local function check_timers(given)
    local timers = {}
    if given ~= nil then
        expect.type(given, "table", "timers", "a table of timers by name")
        for _, name in ipairs(expect.sorted_keys(given)) do
            timers[#timers + 1] = check_timer(name, given[name], expect.field("timers", name))
        end
    end
    return timers
end

local function check_state_version(value)
    if value == nil then
        return 1
    end
    local version = units.count(value)
    if not version or version == 0 then
        expect.fail("state_version", "expected a whole number from 1, got %s", expect.show(value))
    end
    return version
end

local function check_manifest(manifest, context)
    if manifest.topics ~= nil then
        expect.fail("topics", "options of topics (history, ttl, presence, slow) are not available in this "
            .. "version; topics as such need no declaration: use ws:subscribe and ws:publish")
    end
    expect.only(manifest, fields, "")
    local function optional(name)
        return expect.optional_function(manifest[name], name)
    end
    return {
        routes = check_routes(manifest.routes, context),
        timers = check_timers(manifest.timers),
        start = optional "start",
        stop = optional "stop",
        state_version = check_state_version(manifest.state_version),
        migrate = optional "migrate",
        downgrade = optional "downgrade",
        check = optional "check",
    }
end

local shapes = "expected the script to return a handler (a table with message, open, ... or run) or "
    .. "tidewire.app { routes = ... }"

local function check(value, context)
    if type(value) ~= "table" then
        expect.fail("", "%s, got %s", shapes, value == nil and "nothing" or expect.kind(value))
    elseif files.is_declared(value) then
        expect.fail("", "%s, got tidewire.files(...): write tidewire.app { routes = { [\"/\"] = ... } }", shapes)
    elseif declared[value] or value.routes ~= nil then
        return check_manifest(value, context)
    end
    return {
        routes = { route.check_every_path(value, context) },
        timers = {},
        state_version = 1,
    }
end

--- Checks what an app's script returned. context:
--   file     the script, for messages
--   root     the app's folder
--   limits   limits of tidewire.lua that routes start from, in numbers, or nil
--   proxies  trusted proxies that routes start from, a list, or nil
--   folder   function(path) -> folder, or nil, a message that begins with the path (core.folder)
--   encode   function(value) -> JSON text; throws
-- Returns { routes = (sorted by pattern; see route.check), timers = { { name, every, run } },
-- start, stop, state_version, migrate, downgrade, check, object = (what callbacks get as `app`) }, or
-- nil and a message that names the file and the field.
function app.check(value, context)
    local checked, message = expect.catch(check, value, context)
    if not checked then
        return nil, ("%s: %s"):format(context.file, message)
    end
    checked.object = { root = context.root, state = {}, state_version = checked.state_version }
    return checked
end

return app
