require("support.core").install()
local command = require("support.command").new "exec"

describe("tidewire exec", function()
    local dir
    local environment

    setup(command.setup)
    teardown(command.teardown)
    after_each(command.clear)

    before_each(function()
        command.files { ["a.lua"] = "print(1)", ["lib/app.lua"] = "return {}" }
        dir, environment = command.dir, command.environment
    end)

    local function exec(...)
        local result, out, err = command.run(...)
        assert.equal("", out)
        return result, err
    end

    it("makes a plan, with no listeners", function()
        local path = dir.path .. "/a.lua"
        assert.same({
            command = "exec", file = path, arguments = {}, listen = {}, limits = {}, log = "info",
            entry = { file = path, root = dir.path, text = "print(1)" },
        }, (exec(path)))
    end)

    it("leaves to the script what follows it", function()
        local path = dir.path .. "/a.lua"
        for _, case in ipairs {
            { { path, "x", "--log", "-h", "--", "" }, { "x", "--log", "-h", "--", "" }, "info" },
            { { "--log", "debug", path, "--log", "x" }, { "--log", "x" }, "debug" },
            { { "--log=warn", path, path }, { path }, "warn" },
            { { "--", path, "--", "y" }, { "--", "y" }, "info" },
        } do
            local plan = exec(table.unpack(case[1]))
            assert.same({ case[2], case[3], path }, { plan.arguments, plan.log, plan.file })
        end
    end)

    it("takes the level from the environment, and nothing else", function()
        environment.TIDEWIRE_LOG = "debug"
        environment.TIDEWIRE_LISTEN = "nonsense"
        environment.TIDEWIRE_WORKERS = "nonsense"
        assert.equal("debug", exec(dir.path .. "/a.lua").log)
        assert.equal("error", exec("--log", "error", dir.path .. "/a.lua").log)
    end)

    it("tells what it cannot run", function()
        assert.same({ 1, "tidewire: cannot open DIR/b.lua: No such file or directory\n" },
            { exec(dir.path .. "/b.lua") })
        assert.same({ 1, "tidewire: cannot open DIR/a: No such file or directory (did you mean `DIR/a.lua`?)\n" },
            { exec(dir.path .. "/a") })
        assert.same({ 1, "tidewire: DIR/lib is a folder; exec runs a script, and `tidewire run` an app\n" },
            { exec(dir.path .. "/lib") })
    end)

    it("tells misuse", function()
        local usage = "Usage: tidewire exec [--log LEVEL] [-h] FILE [ARG]...\nTry `tidewire exec --help`.\n"
        assert.same({ 2, "tidewire: missing argument `FILE`\n" .. usage }, { exec() })
        assert.same({ 2, "tidewire: missing argument `FILE`\n" .. usage }, { exec("--log", "debug") })
        assert.same({ 2, "tidewire: unknown option `--lgo` (did you mean `--log`?)\n" .. usage },
            { exec("--lgo", "x") })
        assert.same({ 2, 'tidewire: --log: expected one of debug, info, warn, error, got "loud"\n' },
            { exec("--log", "loud", dir.path .. "/a.lua") })
    end)
end)
