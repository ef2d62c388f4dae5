local core = require("support.core").install()
local cli = require "tidewire.cli"
local folder = require "support.folder"
local streams = require "support.streams"
local variables = require "support.variables"

describe("tidewire check", function()
    local dir
    local environment

    setup(function()
        environment = variables.replace()
    end)

    teardown(function()
        variables.restore()
    end)

    after_each(function()
        dir:remove()
    end)

    -- Returns status, stdout and stderr; in texts, the folder is called DIR.
    local function check(files, ...)
        dir = folder.new(files)
        local captured = streams.new()
        local status = cli.main({ "check", dir.path, ... }, captured)
        local function named(s)
            return (s:gsub(dir.path:gsub("%p", "%%%0"), "DIR"))
        end
        return status, named(captured.out.text()), named(captured.err.text())
    end

    local good = {
        ["app.lua"] = 'local t = require "tidewire" return t.app { routes = { ["/"] = t.files "public", '
            .. '["/chat/:room"] = { protocols = { "a", "b" }, message = print }, ["/health"] = print } }',
        ["public/x"] = "",
    }

    it("prints ok and the routes", function()
        local status, out, err = check(good)
        assert.equal("", err)
        assert.equal("ok DIR/app.lua\n"
            .. "  /*           files      public\n"
            .. "  /chat/:room  WebSocket  a, b\n"
            .. "  /health      HTTP\n", out)
        assert.equal(0, status)
        assert.is_nil(core.installed)
        assert.is_false(core.is_loading)
    end)

    it("prints JSON", function()
        local status, out, err = check(good, "--json")
        assert.same({ 0, "" }, { status, err })
        assert.same({
            ok = true, app = "DIR/app.lua",
            routes = {
                { pattern = "/", kind = "files", mount = true },
                { pattern = "/chat/:room", kind = "websocket", mount = false, protocols = { "a", "b" } },
                { pattern = "/health", kind = "http", mount = false },
            },
        }, (core.json_decode(out)))
    end)

    it("tells what is wrong, on stderr, and fails", function()
        local status, out, err = check { ["app.lua"] = "return { mesage = print }" }
        assert.same({ 1, "" }, { status, out })
        assert.equal("tidewire: DIR/app.lua: mesage: unknown callback (did you mean `message`?)\n", err)
    end)

    it("tells it as JSON on stdout", function()
        local status, out, err = check({ ["app.lua"] = "local a\nreturn }" }, "--json")
        assert.same({ 1, "" }, { status, err })
        local told = core.json_decode(out)
        assert.same({
            ok = false, app = "DIR", file = "DIR/app.lua", line = 2,
            message = "DIR/app.lua:2: unexpected symbol near '}'",
        }, told)
        dir:remove()
        told = core.json_decode((select(2, check({ ["app.lua"] = "return 5" }, "--json"))))
        assert.same({ "DIR/app.lua", false }, { told.file, told.ok })
        assert.is_nil(told.line)
        dir:remove()
        told = core.json_decode((select(2, check({}, "--json"))))
        assert.same({ ok = false, app = "DIR", message = "DIR: the folder has no app.lua" }, told)
    end)

    it("tells as JSON all of a message of several lines", function()
        local told = core.json_decode((select(2, check({ ["app.lua"] = 'return require "nothing.here"' }, "--json"))))
        assert.equal("DIR/app.lua:1: module `nothing.here` not found; there is none of:", told.message)
        assert.same({ "DIR/nothing/here.lua", "DIR/nothing/here/init.lua" }, { told.details[1], told.details[2] })
        for _, line in ipairs(told.details) do
            assert.is_truthy(line:find("nothing/here", 1, true), line)
        end
    end)

    it("runs the script with acts refused", function()
        local status, _, err = check {
            ["app.lua"] = 'require("tidewire").spawn(print) return { message = print }',
        }
        assert.equal(1, status)
        assert.equal("tidewire: DIR/app.lua:1: tidewire.spawn is not allowed while the app loads\n",
            err:match("^[^\n]*\n"))
        assert.same({}, core.calls)
    end)

    it("reads the settings as run does", function()
        local files = { ["app.lua"] = "return { message = print }", ["tidewire.lua"] = 'return { listen = ":8080" }' }
        local status, out, err = check(files)
        assert.same({ 1, "" }, { status, out })
        assert.equal("tidewire: DIR/tidewire.lua: listen[1]: expected ws://HOST:PORT, "
            .. 'wss://HOST:PORT?cert=FILE&key=FILE, unix:PATH or systemd:NAME, got ":8080" '
            .. "(did you mean `ws://127.0.0.1:8080`?)\n",
            err)
        dir:remove()
        environment.TIDEWIRE_WORKERS = "0"
        status, out, err = check { ["app.lua"] = "return { message = print }" }
        environment.TIDEWIRE_WORKERS = nil
        assert.same({ 2, "", "tidewire: TIDEWIRE_WORKERS: expected a whole number from 1 to 256, got 0\n" },
            { status, out, err })
    end)

    it("checks the settings too, and lays their limits under the routes'", function()
        local files = { ["app.lua"] = "return { message = print }" }
        files["tidewire.lua"] = "return { limits = { handler = 5 } }"
        local status, _, err = check(files)
        assert.same({ 1, "tidewire: DIR/tidewire.lua: limits.handler: this limit is not available in this version\n" },
            { status, err })
        dir:remove()
        files["tidewire.lua"] = 'return { limits = { send_queue = "2 MiB" } }'
        files["app.lua"] = 'return { message = print, limits = { message = "3 MiB" } }'
        status, _, err = check(files)
        assert.equal(1, status)
        assert.equal("tidewire: DIR/app.lua: limits.send_queue: 2 MiB is below one message (`message` is 3 MiB)\n", err)
    end)
end)
