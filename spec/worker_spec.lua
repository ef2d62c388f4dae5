local folder = require "support.folder"
local request = require "support.request"
local support = require "support.core"

describe("worker", function()
    local core, worker, dir

    before_each(function()
        core = support.install()
        worker = require "tidewire.worker"
    end)

    after_each(function()
        dir:remove()
    end)

    -- Boots an app of these files; in texts, its folder is called DIR.
    local function boot(files, limits)
        dir = folder.new(files)
        local settings = { limits = { value = limits or {} }, proxies = { value = {} } }
        local text, message = worker.boot({ app = dir.path, settings = settings }, { "ws://127.0.0.1:8080" })
        local function named(s)
            return s and s:gsub(dir.path:gsub("%p", "%%%0"), "DIR")
        end
        return named(text), (named(message))
    end

    local function app(fields)
        return 'local tidewire = require "tidewire"\nreturn tidewire.app {\n'
            .. 'routes = { ["/"] = tidewire.files "public", ["/chat/:room"] = require "chat" },\n' .. fields .. "\n}\n"
    end

    local function files(fields)
        return {
            ["app.lua"] = app(fields or ""), ["public/index.html"] = "<h1>",
            ["chat.lua"] = "return { protocols = { 'chat' }, message = function(ws) return ws end,\n"
                .. "upgrade = function(req) return require('tidewire').refuse(403) end }",
        }
    end

    -- The first timer of the app. (The runtime has one of its own, every 5 s.)
    local function timer()
        for _, set in ipairs(core.timers) do
            if set.seconds ~= 5 then
                return set
            end
        end
        return nil
    end

    local function logged()
        for i = #core.calls, 1, -1 do
            if core.calls[i][1] == "log" then
                local _, level, message, fields, details = table.unpack(core.calls[i], 1, 5)
                local text = table.concat(details, "\n")
                local function named(s)
                    return (s:gsub(dir.path:gsub("%p", "%%%0"), "DIR"))
                end
                return level, named(message), fields.where, named(text)
            end
        end
        return nil
    end

    it("installs the routes and returns the banner", function()
        assert.equal(table.concat({
            "listening ws://127.0.0.1:8080",
            "routes    /*           files      public",
            "          /chat/:room  WebSocket  chat",
            "page      http://127.0.0.1:8080/",
            "",
        }, "\n"), (boot(files())))
        local mount, chat = table.unpack(core.installed.routes)
        assert.same({ "/", true }, { mount.pattern, mount.mount })
        local req = request.new { path = "/", rest = "" }
        mount.serve(req)
        assert.equal(dir.path .. "/public/index.html", req.answer.body.path)
        assert.same({ "/chat/:room", false, { "chat" }, 1048576 },
            { chat.pattern, chat.mount, chat.protocols, chat.limits.message })
        assert.equal(5, chat.handler.message(5))
        req = request.new {}
        assert.is_nil(chat.handler.upgrade(req))
        assert.equal(403, req.answer.status)
        assert.same({ root = dir.path, state = {}, state_version = 1 }, core.installed.app)
        assert.is_false(core.is_loading)
    end)

    it("starts routes from the limits of the settings", function()
        boot(files(), { message = 65536 })
        assert.equal(65536, core.installed.routes[2].limits.message)
        assert.same({ 65536, 10, 16384 }, {
            core.installed.limits.message, core.installed.limits.handshake, core.installed.limits.head,
        })
    end)

    it("runs start with the app, and then starts the timers", function()
        assert.is_string((boot(files [[
            start = function(app) app.state.n = 1 tidewire.publish("t", "started") end,
            timers = { beat = { every = "2 s", run = function(app) app.state.n = app.state.n + 1 end } },
        ]])))
        assert.same({ "publish", "t", "started" }, core.calls[#core.calls])
        local state = core.installed.app.state
        assert.equal(1, state.n)
        assert.equal(2, timer().seconds)
        timer().fire()
        assert.equal(2, state.n)
    end)

    it("waits for a start that awaits", function()
        local task = coroutine.wrap(function()
            return (boot(files [[start = function() coroutine.yield "waiting" end, timers = {
                beat = { every = 1, run = print } }]]))
        end)
        assert.equal("waiting", task())
        assert.is_nil(timer())
        assert.is_string(task())
        assert.is_table(timer())
    end)

    it("does not start a timer's run beside one that is not done", function()
        boot(files [[timers = { beat = { every = 1, run = function(app)
            app.state.begun = (app.state.begun or 0) + 1
            coroutine.yield()
        end } }]])
        local first = coroutine.wrap(timer().fire)
        first()
        timer().fire()
        assert.equal(1, core.installed.app.state.begun)
        first()
        coroutine.wrap(timer().fire)()
        assert.equal(2, core.installed.app.state.begun)
    end)

    it("logs an error in a timer, with where, excerpt and calls, and goes on", function()
        boot(files 'timers = { beat = { every = 1, run = function(app)\nlocal x = app.state.n.m\nend } }')
        for _ = 1, 2 do
            core.calls = {}
            timer().fire()
            local level, message, where, details = logged()
            assert.equal("error", level)
            assert.equal("DIR/app.lua:5: attempt to index a nil value (field 'n')", message)
            assert.equal("timer beat", where)
            assert.equal(table.concat({
                '  3 | routes = { ["/"] = tidewire.files "public", ["/chat/:room"] = require "chat" },',
                "  4 | timers = { beat = { every = 1, run = function(app)",
                "> 5 | local x = app.state.n.m",
                "    |                     ^",
                "  6 | end } }",
                "  7 | }",
            }, "\n"), details)
        end
    end)

    it("logs what C reports", function()
        boot(files())
        core.report("message of /chat/:room", "boom", "stack traceback:\n\t[C]: in function 'error'\n\t" .. dir.path
            .. "/chat.lua:1: in function <x>\n\t[C]: in ?")
        local level, message, where, details = logged()
        assert.same({ "error", "boom", "message of /chat/:room" }, { level, message, where })
        assert.is_truthy(details:find("> 1 | return { protocols", 1, true))
        assert.is_truthy(details:find("stack traceback:\n    DIR/chat.lua:1: in function <x>$"))
    end)

    it("logs what C reports with the source of the version whose error it is", function()
        boot(files())
        local reload, old = require "tidewire.reload", core.live[1].record
        local function report(of)
            core.report("message of /chat/:room", "boom", "stack traceback:\n\t" .. dir.path
                .. "/chat.lua:1: in function <x>", of)
            return (select(4, logged()):match "> 1 | ([^\n]*)")
        end
        dir:write("chat.lua", "return { message = print } -- 2")
        assert.is_true(reload.prepare({ version = 2 }, "").ok)
        assert.is_true(reload.commit({ version = 2 }).ok)
        assert.equal("return { message = print } -- 2", report())
        assert.equal("return { message = print } -- 2", report(core.live[2].record))
        assert.is_truthy(report(old):find "^return { protocols")
    end)

    it("refuses acts while the app loads", function()
        local given = files()
        given["chat.lua"] = 'require("tidewire").publish("a", "b")'
        local text, message = boot(given)
        assert.is_nil(text)
        assert.is_truthy(message:find("tidewire.publish is not allowed while the app loads", 1, true))
        assert.is_false(core.is_loading)
        assert.is_nil(core.installed)
    end)

    it("tells a syntax error, a broken contract and a missing folder", function()
        local given = files()
        given["chat.lua"] = "return }"
        local text, message = boot(given)
        assert.is_nil(text)
        assert.equal("tidewire: DIR/chat.lua:1: unexpected symbol near '}'\n\n    > 1 | return }\n"
            .. "        |        ^\n", message)
        dir:remove()
        message = select(2, boot(files "timer = {}"))
        assert.equal("tidewire: DIR/app.lua: timer: unknown field (did you mean `timers`?)\n", message)
        dir:remove()
        given = files()
        given["public/index.html"] = nil
        message = select(2, boot(given))
        assert.equal('tidewire: DIR/app.lua: routes["/"]: cannot open the folder DIR/public: No such file or '
            .. "directory\n", message)
    end)

    it("tells a route that C does not take", function()
        core.refuse_install = { "out of memory", 2 }
        local text, message = boot(files())
        assert.is_nil(text)
        assert.equal('tidewire: DIR/app.lua: routes["/chat/:room"]: out of memory\n', message)
        dir:remove()
        core.refuse_install = { "out of memory" }
        message = select(2, boot(files()))
        assert.equal("tidewire: DIR/app.lua: out of memory\n", message)
    end)

    it("tells a start that raises or says no, and starts no timer then", function()
        local text, message = boot(files('start = function()\nerror "no database"\nend, '
            .. "timers = { a = { every = 1, run = print } }"))
        assert.is_nil(text)
        assert.is_truthy(message:find('^tidewire: DIR/app.lua:5: no database\n\n.*\n    > 5 | error "no database"\n'))
        assert.is_nil(timer())
        dir:remove()
        text, message = boot(files 'start = function() return nil, "no database" end')
        assert.is_nil(text)
        assert.equal("tidewire: DIR/app.lua: start: no database\n", message)
        dir:remove()
        text, message = boot(files 'start = function() return false, "no database" end')
        assert.is_nil(text)
        assert.equal("tidewire: DIR/app.lua: start: no database\n", message)
        dir:remove()
        text, message = boot(files("start = function() return false end, timers = { a = { every = 1, run = print } }"))
        assert.is_nil(text)
        assert.equal("tidewire: DIR/app.lua: start returned false; to say why: return nil, message\n", message)
        assert.is_nil(timer())
        dir:remove()
        assert.is_string((boot(files "start = function() return nil end")))
    end)

    it("stops: cancels the timers, runs stop", function()
        boot(files [[
            timers = { beat = { every = 1, run = print } },
            stop = function(app) app.state.stopped = (app.state.stopped or 0) + 1 end,
        ]])
        worker.stop()
        assert.is_true(timer().cancelled)
        assert.equal(1, core.installed.app.state.stopped)
    end)

    it("logs an error in stop", function()
        boot(files 'stop = function() error "late" end')
        worker.stop()
        local level, message, where = logged()
        assert.same({ "error", "DIR/app.lua:4: late", "stop" }, { level, message, where })
    end)

    it("runs the stop of the version that serves, with the same app", function()
        boot(files "stop = function() error 'old' end")
        dir:write("app.lua", app "stop = function(app) app.state.stopped = app.state.n end")
        local reload = require "tidewire.reload"
        core.installed.app.state.n = 7
        assert.is_true(reload.prepare({ version = 2 }, "").ok)
        assert.is_true(reload.commit({ version = 2 }).ok)
        worker.stop()
        assert.equal(7, core.installed.app.state.stopped)
        assert.is_nil(logged())
    end)

    it("boots from a bundle", function()
        dir = folder.new()
        local settings = { limits = { value = {} }, proxies = { value = {} } }
        local bytes = require("tidewire.bundle").encode {
            entry = "x/app.lua", root = "x", state_version = 1, loaded = { "x/app.lua" },
            files = { ["x/app.lua"] = "return { message = print }" },
        }
        assert.equal("listening ws://a\nroutes    /*  WebSocket\n", (worker.boot({ app = "x", settings = settings },
            { "ws://a" }, { version = 5, hash = "h" }, bytes)))
        assert.same({ 5, "h" }, { core.installed.number, core.installed.record.hash })
    end)

    it("stops without an app, and after a boot that failed", function()
        dir = folder.new()
        worker.stop()
        dir:remove()
        boot(files 'start = function() return nil, "no" end, stop = function() error "called" end')
        worker.stop()
        assert.is_nil(logged())
    end)
end)
