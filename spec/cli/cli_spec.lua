local core = require("support.core").install()
local command_line = require("support.command").new()
local folder = require "support.folder"
local run = command_line.run

local function usage(...)
    local status, out, err = run(...)
    assert.equal(2, status)
    assert.equal("", out)
    return err
end

local commands = { "run", "dev", "check", "exec", "reload", "rollback", "versions", "status", "version" }
local root_usage = "Usage: tidewire [-h] [--version] <command> ...\nTry `tidewire --help`.\n"
local run_usage = "Usage: tidewire run [--config FILE] [--listen URL] [--control PATH] [--log LEVEL] "
    .. "[--log-file FILE]\n       [--workers N] [-h] APP\n"
    .. "Try `tidewire run --help`.\n"

describe("the command line", function()
    it("shows help on stdout, and succeeds", function()
        for _, flag in ipairs { "--help", "-h" } do
            local status, out, err = run(flag)
            assert.equal(0, status)
            assert.equal("", err)
            assert.equal("Usage: tidewire [-h] [--version] <command> ...\n\n"
                .. "A runtime for WebSocket applications written in Lua.", out:match("^[^\n]*\n\n[^\n]*"))
            for _, command in ipairs(commands) do
                assert.is_truthy(out:find("\n   " .. command .. " ", 1, true), command)
            end
        end
    end)

    it("shows the help of each command", function()
        for _, command in ipairs(commands) do
            for _, flag in ipairs { "--help", "-h" } do
                local status, out, err = run(command, flag)
                assert.equal(0, status)
                assert.equal("", err)
                assert.is_truthy(out:find("^Usage: tidewire " .. command), out)
            end
        end
        local _, out = run("run", "--help")
        for _, name in ipairs { "APP", "--listen URL", "--log LEVEL", "--workers N", "--config FILE" } do
            assert.is_truthy(out:find("\n   " .. name, 1, true), name)
        end
    end)

    it("shows the forms of a URL, and an example for each command", function()
        local _, out = run("run", "--help")
        for _, form in ipairs {
            "ws://HOST:PORT", "wss://HOST:PORT?cert=FILE&key=FILE", "unix:PATH", "systemd:NAME", "systemd: ",
        } do
            assert.is_truthy(out:find("\nURLs: .*" .. form:gsub("%p", "%%%0")), form)
        end
        for _, option in ipairs {
            "proxy_protocol=on", "cert=FILE&key=FILE", "client_ca=FILE", "client=optional", "tls=on",
        } do
            assert.is_truthy(out:find("\nOptions of a URL.*\n +" .. option:gsub("%p", "%%%0") .. "  "), option)
        end
        for _, command in ipairs(commands) do
            _, out = run(command, "--help")
            assert.is_truthy(out:find("\nExample: +tidewire " .. command .. " "), out)
        end
    end)

    it("shows help whatever else is there", function()
        assert.equal(0, (run("run", "x.lua", "--help", "--nope")))
    end)

    it("has nothing on a line that is wider than a terminal", function()
        local function is_narrow(...)
            local _, out = run(...)
            for line in out:gmatch("[^\n]+") do
                assert.is_true(#line <= 100, line)
            end
        end
        is_narrow "--help"
        for _, command in ipairs(commands) do
            is_narrow(command, "--help")
        end
    end)

    it("tells a missing or unknown command", function()
        assert.equal("tidewire: a command is required\n" .. root_usage, usage())
        assert.equal("tidewire: unknown command `rnu` (did you mean `run`?)\n" .. root_usage, usage "rnu")
        assert.equal("tidewire: unknown command `dance`\n" .. root_usage, usage("dance", "--help"))
    end)

    it("knows an app in the place of a command", function()
        local dir = folder.new { ["hello.lua"] = "return {}", ["app/app.lua"] = "return {}", ["other/x"] = "" }
        finally(function()
            dir:remove()
        end)
        for _, name in ipairs { "hello.lua", "app" } do
            local path = dir.path .. "/" .. name
            assert.equal(("tidewire: unknown command `%s` (did you mean `tidewire run %s`?)\n"):format(path, path)
                .. root_usage, usage(path))
        end
        for _, name in ipairs { "other", "none.lua" } do
            local path = dir.path .. "/" .. name
            assert.equal(("tidewire: unknown command `%s`\n"):format(path) .. root_usage, usage(path))
        end
    end)

    it("tells an unknown flag", function()
        assert.equal("tidewire: unknown option `--lisetn` (did you mean `--listen`?)\n" .. run_usage,
            usage("run", "--lisetn", "ws://x", "app"))
        assert.equal("tidewire: unknown option `--colour`\n" .. run_usage, usage("run", "--colour=red", "app"))
        assert.equal("tidewire: unknown option `-x`\n" .. run_usage, usage("run", "-x", "app"))
        assert.equal("tidewire: unknown option `--versoin` (did you mean `--version`?)\n" .. root_usage,
            usage "--versoin")
    end)

    it("tells arguments that are missing or too many", function()
        assert.equal("tidewire: missing argument `APP`\n" .. run_usage, usage "run")
        assert.equal("tidewire: too many arguments\n" .. run_usage, usage("run", "a", "b"))
        assert.equal("tidewire: option `--listen` requires an argument\n" .. run_usage, usage("run", "a", "--listen"))
    end)

    it("shows the version", function()
        for _, arguments in ipairs { { "version" }, { "--version" } } do
            local status, out, err = run(table.unpack(arguments))
            assert.same({ 0, "tidewire 0.1.0 (Lua 5.4)\n", "" }, { status, out, err })
        end
        local status, out = run("version", "--json")
        assert.equal(0, status)
        assert.same({ tidewire = "0.1.0", lua = "Lua 5.4" }, (core.json_decode(out)))
    end)
end)
