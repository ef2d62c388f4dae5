local expect = require "tidewire.expect"
local files = require "tidewire.files"
local request = require "support.request"
local route = require "tidewire.route"

local function noop() end

describe("route.skeleton", function()
    local function skeleton(pattern)
        return expect.catch(route.skeleton, pattern, "routes")
    end

    it("unnames captures", function()
        assert.equal("/", skeleton "/")
        assert.equal("/rooms/:/x", skeleton "/rooms/:room/x")
        assert.equal("/a:b/", skeleton "/a:b/")
    end)

    it("tells what is wrong", function()
        local many = {}
        for i = 1, 17 do
            many[i] = ":c" .. i
        end
        for message, pattern in pairs {
            ['routes: a pattern starts with "/"'] = "chat",
            ['routes: a pattern starts with "/": schemes, hosts and ports belong to --listen'] = "ws://host/chat",
            ['routes: a pattern has no empty segment ("//")'] = "/a//b",
            ['routes: the segment ".." can never match'] = "/a/../b",
            ['routes: ":2nd": the name of a capture has letters, digits and _'] = "/:2nd",
            ['routes: ":": the name of a capture has letters, digits and _'] = "/:/x",
            ['routes: the capture ":a" is there twice'] = "/:a/:a",
            ["routes: `*` has no meaning here; one segment is captured by `:name`, everything below a path by "
                .. "tidewire.files"] = "/chat/*",
            ["routes: `{` has no meaning here; one segment is captured by `:name`, everything below a path by "
                .. "tidewire.files"] = "/chat/{room}",
            ["routes: `}` has no meaning here; one segment is captured by `:name`, everything below a path by "
                .. "tidewire.files"] = "/chat/:room}",
            ["routes: more than 16 captures"] = "/" .. table.concat(many, "/"),
            ['routes: expected a pattern such as "/rooms/:room" as key, got a number'] = 1,
        } do
            local result, said = skeleton(pattern)
            assert.is_nil(result)
            assert.equal(message, said)
        end
        assert.is_string((skeleton("/" .. table.concat(many, "/", 1, 16))))
    end)
end)

describe("route.check", function()
    local index = true
    local asked
    local context = {
        file = "apps/chat/app.lua", root = "apps/chat",
        encode = function()
            return "{json}"
        end,
        folder = function(path)
            asked = path ~= "apps/chat" and path or asked
            if path:find("nope") then
                return nil, path .. ": No such file or directory"
            end
            return {
                open = function(_, rest)
                    if index and rest == "index.html" then
                        return { close = noop }
                    end
                    return nil, "No such file or directory", "not_found"
                end,
            }
        end,
    }

    local function check(value, pattern)
        return expect.catch(route.check, pattern or "/x", value, 'routes["/x"]', context)
    end

    local function refused(value)
        local result, message = check(value)
        assert.is_nil(result)
        return message
    end

    it("makes a route of a handler", function()
        local given = { message = noop, protocols = { "chat" }, limits = { message = "2 MiB" } }
        local got = check(given)
        assert.same({ "websocket", "/x", false, false, "chat" },
            { got.kind, got.pattern, got.mount, got.page, got.detail })
        assert.equal(given, got.install.handler)
        assert.same({ "/x", false, { "chat" }, 2097152, 2097152, 120 }, {
            got.install.pattern, got.install.mount, got.install.protocols, got.install.limits.message,
            got.install.limits.send_queue, got.install.limits.idle,
        })
        assert.is_nil(got.install.origins)
        assert.is_nil(got.install.serve)
    end)

    it("lets the options beside a handler go over its own, limit by limit", function()
        context.limits = { idle = 7, message = 1, close = 3 }
        local got = check {
            handler = { message = noop, protocols = { "own" }, origins = "*", limits = { message = 2, stall = 4 } },
            protocols = { "beside" }, limits = { stall = 5 },
        }
        context.limits = nil
        assert.same({ "/x", false }, { got.install.pattern, got.install.mount })
        assert.same({ "beside" }, got.install.protocols)
        assert.equal("*", got.install.origins)
        local limits = got.install.limits
        assert.same({ 7, 2, 3, 5 }, { limits.idle, limits.message, limits.close, limits.stall })
    end)

    it("takes compression from the route over the handler's, also to turn it off", function()
        local on = { message = noop, compression = true }
        assert.equal(15, check(on).install.compression.window_bits)
        assert.equal(9, check({ handler = on, compression = { window_bits = 9 } }).install.compression.window_bits)
        assert.is_false(check({ handler = on, compression = false }).install.compression)
        assert.is_nil(check({ message = noop }).install.compression)
    end)

    it("wraps upgrade, and leaves the rest to be looked up in the app's table", function()
        local given = {
            message = noop,
            upgrade = function(req)
                return { from = req }
            end,
        }
        local handler = check(given).install.handler
        assert.equal(noop, handler.message)
        assert.not_equal(given.upgrade, handler.upgrade)
        assert.same({ from = 5 }, handler.upgrade(5))
        given.tick = print
        assert.equal(print, handler.tick)
    end)

    it("makes an endpoint of a function", function()
        local got = check(function()
            return "hi"
        end)
        assert.same({ "http", "/x", false, true, "" }, { got.kind, got.pattern, got.mount, got.page, got.detail })
        assert.is_nil(got.install.handler)
        local req = request.new {}
        got.install.serve(req)
        assert.equal("hi", req.answer.body)
    end)

    it("takes methods for an endpoint", function()
        local got = check { handler = noop, methods = { "POST", "GET" } }
        assert.same({ "POST, GET, HEAD", true }, { got.detail, got.page })
        assert.equal("GET, HEAD", check({ handler = noop, methods = { "GET", "HEAD", "GET" } }).detail)
        got = check { handler = noop, methods = { "POST" } }
        assert.same({ "POST", false }, { got.detail, got.page })
        local req = request.new { method = "GET" }
        got.install.serve(req)
        assert.equal(405, req.answer.status)
        assert.equal('routes["/x"].methods[1]: expected one of DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, got "get"',
            refused { handler = noop, methods = { "get" } })
        assert.equal('routes["/x"].methods: expected a list of methods such as { "GET", "POST" }, got a string',
            refused { handler = noop, methods = "GET" })
    end)

    it("makes a mount of a folder below the app's root", function()
        local got = check(files.declare "public")
        assert.equal("apps/chat/public", asked)
        assert.same({ "files", "/x", true, true, "public" }, { got.kind, got.pattern, got.mount, got.page, got.detail })
        assert.is_true(got.install.mount)
        local req = request.new { rest = "none", path = "/x/none" }
        got.install.serve(req)
        assert.equal(404, req.answer.status)
        index = false
        assert.is_false(check(files.declare "public").page)
        index = true
        assert.equal("files", check({ handler = files.declare "/srv/www" }).kind)
        assert.equal("/srv/www", asked)
        assert.equal('routes["/x"]: cannot open the folder apps/chat/nope: No such file or directory',
            refused(files.declare "nope"))
    end)

    it("refuses a folder that is the app's root or above it, by its name alone", function()
        for _, path in ipairs { ".", "./", "..", "../.." } do
            assert.equal(('routes["/x"]: the folder "%s" holds the app\'s own source (apps/chat/app.lua), which would '
                .. 'be served: take a folder of its own, such as "public"'):format(path), refused(files.declare(path)))
        end
    end)

    it("tells what a route can be", function()
        assert.equal('routes["/x"]: expected a handler, a function, tidewire.files(...) or a table of options, got '
            .. "a string", refused "chat")
        assert.equal('routes["/x"]: a handler needs at least one of the functions message, open and run', refused {})
        assert.equal('routes["/x"].handler: expected a handler (a table with message, open, ... or run), got a string',
            refused { handler = "chat" })
    end)

    it("tells options that are wrong, or wrong here", function()
        local handler = { message = noop }
        assert.equal('routes["/x"].protocols: expected a list of subprotocol names, got a number',
            refused { handler = handler, protocols = 3 })
        assert.equal('routes["/x"].handler.protocols: expected a list of subprotocol names, got a number',
            refused { handler = { message = noop, protocols = 3 } })
        assert.equal('routes["/x"].limit: unknown field (did you mean `limits`?)',
            refused { handler = handler, limit = {} })
        assert.equal('routes["/x"].limits.drain: this limit concerns the whole process: set it in tidewire.lua',
            refused { handler = handler, limits = { drain = 1 } })
        assert.equal('routes["/x"].limits.send_queue: 1 KiB is below one message (`message` is 1 MiB)',
            refused { handler = handler, limits = { send_queue = 1024 } })
        assert.equal('routes["/x"].compression.level: expected a whole number from 1 to 9, got 0',
            refused { handler = handler, compression = { level = 0 } })
        assert.equal('routes["/x"].methods: only an HTTP endpoint (a function) has this option',
            refused { handler = handler, methods = { "GET" } })
        assert.equal('routes["/x"].origins: this route is an HTTP endpoint: only a WebSocket handler has this option',
            refused { handler = noop, origins = "*" })
        assert.equal('routes["/x"].limits: this route is a folder of files: only a WebSocket handler has this option',
            refused { handler = files.declare "public", limits = {} })
        assert.equal('routes["/x"].methods: files are answered to GET and HEAD: there is no choice',
            refused { handler = files.declare "public", methods = { "GET" } })
    end)
end)
