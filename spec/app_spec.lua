local app = require "tidewire.app"
local files = require "tidewire.files"

local function noop() end

local handler = { message = noop }

local context = {
    file = "chat/app.lua", root = "chat",
    folder = function()
        return {
            open = function()
                return nil, "No such file or directory", "not_found"
            end,
        }
    end,
}

local function check(value)
    local got, message = app.check(value, context)
    assert.is_not_nil(got, message)
    return got
end

local function refused(value)
    local got, message = app.check(value, context)
    assert.is_nil(got)
    assert.equal("chat/app.lua: ", message:sub(1, 14))
    return message:sub(15)
end

local function with(fields)
    fields.routes = fields.routes or { ["/"] = handler }
    return fields
end

describe("app.check", function()
    it("serves a handler at every path", function()
        local got = check(handler)
        assert.equal(1, #got.routes)
        assert.same({ "/", true, "websocket" }, { got.routes[1].pattern, got.routes[1].mount, got.routes[1].kind })
        assert.is_true(got.routes[1].install.mount)
        assert.same({ root = "chat", state = {}, state_version = 1 }, got.object)
        assert.equal("protocols: expected a list of subprotocol names, got a number",
            refused { message = noop, protocols = 1 })
    end)

    it("sorts the routes of a manifest", function()
        local got = check(app.declare {
            routes = { ["/chat/:room"] = handler, ["/"] = files.declare "public", ["/health"] = noop },
        })
        assert.same({ "/", "/chat/:room", "/health" },
            { got.routes[1].pattern, got.routes[2].pattern, got.routes[3].pattern })
    end)

    it("takes a table with routes for a manifest", function()
        assert.equal("/x", check({ routes = { ["/x"] = handler } }).routes[1].pattern)
    end)

    it("has timers, start, stop and the version of the state", function()
        local got = check(with {
            timers = { sweep = { every = "1 min", run = print }, beat = { every = 0.5, run = noop } },
            start = noop, stop = print, state_version = 3,
        })
        assert.same({ { name = "beat", every = 0.5, run = noop }, { name = "sweep", every = 60, run = print } },
            got.timers)
        assert.same({ noop, print, 3 }, { got.start, got.stop, got.state_version })
        assert.equal(3, got.object.state_version)
    end)

    it("has migrate, downgrade and the check of its own", function()
        local got = check(with { migrate = noop, downgrade = print, check = pairs })
        assert.same({ noop, print, pairs }, { got.migrate, got.downgrade, got.check })
    end)

    it("gives each check an object of its own", function()
        assert.not_equal(check(handler).object, check(handler).object)
    end)

    it("tells what a script may return", function()
        local shapes = "expected the script to return a handler (a table with message, open, ... or run) or "
            .. "tidewire.app { routes = ... }, got "
        assert.equal(shapes .. "nothing", refused(nil))
        assert.equal(shapes .. "a function", refused(noop))
        assert.equal(shapes .. 'tidewire.files(...): write tidewire.app { routes = { ["/"] = ... } }',
            refused(files.declare "public"))
    end)

    it("tells what is wrong with the routes", function()
        assert.equal('routes: expected a table of patterns, as in { ["/chat"] = handler }, got nil',
            refused(app.declare { start = noop }))
        assert.equal("routes: expected at least one route, got an empty table", refused { routes = {} })
        assert.equal('routes["/chat/:room"].protocols: expected a list of subprotocol names, got a number',
            refused { routes = { ["/chat/:room"] = { message = noop, protocols = 3 } } })
        assert.equal('routes.chat: a pattern starts with "/"', refused { routes = { chat = handler } })
        assert.equal('routes[1]: expected a pattern such as "/rooms/:room" as key, got a number',
            refused { routes = { handler } })
    end)

    it("tells routes that match the same paths", function()
        assert.equal('routes["/a/:y"]: matches the same paths as routes["/a/:x"]',
            refused { routes = { ["/a/:x"] = handler, ["/a/:y"] = handler } })
        assert.equal('routes["/a/"]: matches the same paths as routes["/a"]',
            refused { routes = { ["/a"] = files.declare "a", ["/a/"] = files.declare "b" } })
        assert.equal(2, #check({ routes = { ["/a"] = handler, ["/a/"] = files.declare "b" } }).routes)
        assert.equal(2, #check({ routes = { ["/a/:x"] = handler, ["/a/b"] = handler } }).routes)
    end)

    it("tells fields that it does not have", function()
        assert.equal("routs: unknown field (did you mean `routes`?)", refused(app.declare { routs = {} }))
        assert.equal("colour: unknown field; known are routes, timers, start, stop, state_version, "
            .. "migrate, downgrade, check",
            refused(with { colour = 1 }))
        assert.equal("topics: options of topics (history, ttl, presence, slow) are not available in this version; "
            .. "topics as such need no declaration: use ws:subscribe and ws:publish",
            refused(with { topics = { ["room/+"] = { history = 100 } } }))
    end)

    it("tells what is wrong with timers", function()
        local function timer(given)
            return refused(with { timers = { sweep = given } })
        end
        assert.equal("timers: expected a table of timers by name, got a number", refused(with { timers = 1 }))
        assert.equal("timers[1]: expected a timer's name as key, got 1", refused(with { timers = { {} } }))
        assert.equal("timers.sweep: expected a table such as { every = 60, run = function(app) ... end }, got a "
            .. "function", timer(noop))
        assert.equal('timers.sweep.every: expected a duration such as 30, "2 min" or "500 ms", got nil',
            timer { run = noop })
        assert.equal("timers.sweep.every: expected more than 0", timer { every = 0, run = noop })
        assert.equal("timers.sweep.run: expected a function, got nil", timer { every = 1 })
        assert.equal("timers.sweep.evry: unknown field (did you mean `every`?)", timer { evry = 1, run = noop })
    end)

    it("tells what is wrong with the rest", function()
        assert.equal("start: expected a function, got a table", refused(with { start = {} }))
        assert.equal("stop: expected a function, got a string", refused(with { stop = "x" }))
        assert.equal("migrate: expected a function, got a table", refused(with { migrate = {} }))
        assert.equal("downgrade: expected a function, got a table", refused(with { downgrade = {} }))
        assert.equal("check: expected a function, got a boolean", refused(with { check = true }))
        assert.equal("state_version: expected a whole number from 1, got 0", refused(with { state_version = 0 }))
        assert.equal("state_version: expected a whole number from 1, got 1.5", refused(with { state_version = 1.5 }))
        assert.equal('state_version: expected a whole number from 1, got "2"', refused(with { state_version = "2" }))
    end)
end)

describe("app.declare", function()
    it("gives the table back", function()
        local manifest = {}
        assert.equal(manifest, app.declare(manifest))
    end)

    it("refuses what is no table", function()
        local ok, message = pcall(app.declare, "x")
        assert.is_false(ok)
        assert.equal("bad argument #1 to 'app' (a table expected, got string)", message)
    end)
end)
