local core = require("support.core").install()
local command = require("support.command").new "check"

describe("tidewire check", function()
    setup(command.setup)
    teardown(command.teardown)
    after_each(command.clear)

    -- Returns status, stdout and stderr.
    local function check(files, ...)
        command.files(files)
        return command.run(command.dir.path, ...)
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
        told = core.json_decode((select(2, check({ ["app.lua"] = "return 5" }, "--json"))))
        assert.same({ "DIR/app.lua", false }, { told.file, told.ok })
        assert.is_nil(told.line)
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
        command.environment.TIDEWIRE_WORKERS = "0"
        status, out, err = check { ["app.lua"] = "return { message = print }" }
        assert.same({ 2, "", "tidewire: TIDEWIRE_WORKERS: expected a whole number from 1 to 256, got 0\n" },
            { status, out, err })
    end)

    it("asks C whether it could listen, with what run would be given", function()
        local files = {
            ["app.lua"] = "return { message = print }",
            ["tidewire.lua"] = [[return { listen = { "wss://h:1", "unix:x" }, tls = { certificates = {
                { cert = "a.pem", key = "/etc/a.key" } } } }]],
        }
        assert.equal(0, (check(files)))
        assert.same({
            { "wss://h:1", "unix:x" },
            { certificates = { { cert = command.dir.path .. "/a.pem", key = "/etc/a.key" } } },
        }, core.listen_checked)
        check(files, "--listen", "ws://h:2", "--listen", "ws://h:3")
        assert.same({ "ws://h:2", "ws://h:3" }, core.listen_checked[1])
        core.refuse_listen = "cannot listen on wss://h:1: no such file"
        assert.same({ 1, "", "tidewire: cannot listen on wss://h:1: no such file\n" }, { check(files) })
        local status, out, err = check(files, "--json")
        assert.same({ 1, "" }, { status, err })
        assert.same({ ok = false, app = "DIR", message = core.refuse_listen }, (core.json_decode(out)))
        files["app.lua"] = "return 5"
        assert.is_falsy(select(3, check(files)):find("listen", 1, true), "the app's own mistakes come first")
        core.refuse_listen = nil
    end)

    it("checks the settings too, and lays their limits under the routes'", function()
        local files = { ["app.lua"] = "return { message = print }" }
        files["tidewire.lua"] = "return { limits = { handler = 5 } }"
        local status, _, err = check(files)
        assert.same({ 1, "tidewire: DIR/tidewire.lua: limits.handler: this limit is not available in this version\n" },
            { status, err })
        files["tidewire.lua"] = 'return { limits = { send_queue = "2 MiB" } }'
        files["app.lua"] = 'return { message = print, limits = { message = "3 MiB" } }'
        status, _, err = check(files)
        assert.equal(1, status)
        assert.equal("tidewire: DIR/app.lua: limits.send_queue: 2 MiB is below one message (`message` is 3 MiB)\n", err)
    end)
end)
