require("support.core").install()
local command = require("support.command").new "run"

describe("tidewire run", function()
    local dir
    local environment

    setup(command.setup)
    teardown(command.teardown)
    after_each(command.clear)

    before_each(function()
        command.files { ["app.lua"] = "return }" }
        dir, environment = command.dir, command.environment
    end)

    local function run(...)
        local result, out, err = command.run(...)
        assert.equal("", out)
        return result, err
    end

    it("makes a plan; the app itself is loaded by the workers", function()
        assert.same({
            command = "run", app = dir.path, root = dir.path, workers = 1, log = "info", proxies = {},
            listen = { { url = "ws://127.0.0.1:8080", text = "default" } },
            control = dir.path .. "/.tidewire.sock", control_asked = false,
            settings = {
                control = { from = "default" },
                tls = { from = "default" },
                listen = { value = { "ws://127.0.0.1:8080" }, from = "default" },
                log = { value = "info", from = "default" },
                log_file = { from = "default" },
                proxies = { value = {}, from = "default" },
                workers = { value = 1, from = "default" },
                limits = { value = {}, from = "default" },
            },
            limits = {
                body = 1048576, drain = 30, handshake = 10, handshakes_per_address = 1024, head = 16384, headers = 100,
                handshakes_per_second = 0, lag = 0.25, load = 0.5, reassembly = 268435456,
                reload_grace = 5, reload_watch = 30,
            },
        }, (run(dir.path)))
    end)

    it("takes flags, and passes URLs on as they are", function()
        local plan = run(dir.path, "--listen", "ws://[::1]:1", "--listen=unix:/x y", "--workers", "3")
        assert.same({ { url = "ws://[::1]:1", text = "--listen" }, { url = "unix:/x y", text = "--listen" } },
            plan.listen)
        assert.equal(3, plan.workers)
        assert.equal(2, run("--workers", "3", dir.path, "--workers", "2").workers)
    end)

    it("takes the control socket's place, and the certificates of the settings", function()
        local plan = run(dir.path .. "/app.lua", "--control", "here.sock")
        assert.same({ "here.sock", true }, { plan.control, plan.control_asked })
        plan = run(dir.path, "--control=off")
        assert.same({ nil, true }, { plan.control, plan.control_asked })
        dir:write("other.lua", "")
        assert.equal(dir.path .. "/.tidewire-other.sock", run(dir.path .. "/other.lua").control)
        dir:write("tidewire.lua", [[return { control = "run/x.sock", tls = { certificates = {
            { cert = "a.pem", key = "/etc/a.key" } } } }]])
        plan = run(dir.path)
        assert.same({ dir.path .. "/run/x.sock", true }, { plan.control, plan.control_asked })
        assert.same({ certificates = { { cert = dir.path .. "/a.pem", key = "/etc/a.key" } } }, plan.tls)
    end)

    it("takes the settings beside the app", function()
        dir:write("tidewire.lua", 'return { listen = "ws://a:1", workers = 2, '
            .. 'limits = { connections = 9, message = "2 MiB", drain = "1 min" } }')
        local plan = run(dir.path)
        assert.same({ { url = "ws://a:1", text = dir.path .. "/tidewire.lua" } }, plan.listen)
        assert.same({ 2, 9, 60, nil, 2097152 }, {
            plan.workers, plan.limits.connections, plan.limits.drain, plan.limits.message,
            plan.settings.limits.value.message,
        })
        assert.equal(9, run(dir.path .. "/app.lua").limits.connections)
    end)

    it("takes the environment over the file, and flags over the environment", function()
        dir:write("tidewire.lua", "return { workers = 2 }")
        environment.TIDEWIRE_WORKERS = "4"
        assert.equal(4, run(dir.path).workers)
        assert.equal(5, run(dir.path, "--workers", "5").workers)
        dir:write("other.lua", "return { limits = { drain = 7 } }")
        environment.TIDEWIRE_CONFIG = dir.path .. "/other.lua"
        assert.equal(7, run(dir.path).limits.drain)
        dir:write("third.lua", "return { limits = { drain = 8 } }")
        assert.equal(8, run(dir.path, "--config", dir.path .. "/third.lua").limits.drain)
    end)

    it("plans the log's level: a flag over the environment, that over the file", function()
        dir:write("tidewire.lua", 'return { log = "debug" }')
        assert.equal("debug", run(dir.path).log)
        environment.TIDEWIRE_LOG = "warn"
        assert.equal("warn", run(dir.path).log)
        assert.equal("error", run(dir.path, "--log", "error").log)
        assert.same({ 2, 'tidewire: --log: expected one of debug, info, warn, error, got "eror" '
            .. "(did you mean `error`?)\n" }, { run(dir.path, "--log", "eror") })
    end)

    it("plans the log's file: a flag over the environment, that over the settings", function()
        dir:write("tidewire.lua", 'return { log = { level = "warn", file = "a.log" } }')
        assert.same({ "warn", dir.path .. "/a.log" }, { run(dir.path).log, run(dir.path).log_file })
        environment.TIDEWIRE_LOG_FILE = "b.log"
        assert.equal("b.log", run(dir.path).log_file)
        local plan = run(dir.path, "--log-file", "c.log")
        assert.same({ "c.log", "--log-file", "warn" }, { plan.log_file, plan.settings.log_file.from, plan.log })
        assert.same({ 2, 'tidewire: --log-file: expected the path of a file, got ""\n' },
            { run(dir.path, "--log-file", "") })
    end)

    it("fails with 1 when the app or the settings cannot be read or are wrong", function()
        assert.same({ 1, "tidewire: cannot open DIR/nope: No such file or directory\n" }, { run(dir.path .. "/nope") })
        assert.same({ 1, "tidewire: cannot open DIR/nope.lua: No such file or directory\n" },
            { run(dir.path, "--config", dir.path .. "/nope.lua") })
        dir:write("tidewire.lua", "return { workers = 0 }")
        assert.same({ 1, "tidewire: DIR/tidewire.lua: workers: expected a whole number from 1 to 256, got 0\n" },
            { run(dir.path) })
    end)

    it("fails with 2 when a flag or variable is wrong", function()
        assert.same({ 2, 'tidewire: --workers: expected a whole number from 1 to 256, got "x"\n' },
            { run(dir.path, "--workers", "x") })
        assert.same({ 2, "tidewire: --listen[1]: expected ws://HOST:PORT, wss://HOST:PORT?cert=FILE&key=FILE, "
            .. 'unix:PATH or systemd:NAME, got ":8080" (did you mean `ws://127.0.0.1:8080`?)\n' },
            { run(dir.path, "--listen", ":8080") })
        environment.TIDEWIRE_WORKERS = "0"
        assert.same({ 2, "tidewire: TIDEWIRE_WORKERS: expected a whole number from 1 to 256, got 0\n" },
            { run(dir.path) })
    end)
end)
