local settings = require "tidewire.settings"

local function reader(files)
    return function(path)
        if files[path] then
            return files[path]
        end
        return nil, "No such file or directory", 2
    end
end

local function environment(variables)
    return function(name)
        return (variables or {})[name]
    end
end

describe("settings.read_file", function()
    local function read(text)
        return settings.read_file("chat/tidewire.lua", false, reader { ["chat/tidewire.lua"] = text })
    end

    local function refused(text)
        local got, message, told = read(text)
        assert.is_nil(got)
        assert.equal("tidewire: ", message:sub(1, 10))
        return message:sub(11), told
    end

    it("gives what the file returns, checked", function()
        assert.same({
            listen = { "ws://127.0.0.1:1", "unix:/run/x" }, workers = 4,
            limits = { message = 65536, connections = 100, drain = 5 },
        }, read [[return {
            listen = { "ws://127.0.0.1:1", "unix:/run/x" }, workers = 2 + 2,
            limits = { message = "64 KiB", connections = 100, drain = "5 s" },
        }]])
        assert.same({ listen = { "ws://[::1]:1" } }, read 'return { listen = "ws://[::1]:1" }')
        assert.same({}, read "return {}")
        assert.same({ log = "warn" }, read 'return { log = "warn" }')
        assert.same({ log = "warn" }, read 'return { log = { level = "warn" } }')
        assert.same({ log_file = "chat/a.log" }, read 'return { log = { file = "a.log" } }')
        assert.same({ log = "debug", log_file = "/var/log/a.log" },
            read 'return { log = { level = "debug", file = "/var/log/a.log" } }')
    end)

    it("tells what is wrong", function()
        for message, text in pairs {
            ["expected a table of settings, as in return { workers = 4 }, got nil"] = "local x = 1",
            ["worker: unknown field (did you mean `workers`?)"] = "return { worker = 4 }",
            ["colour: unknown field; known are control, limits, listen, log, proxies, tls, workers"] =
                "return { colour = 4 }",
            ["workers: expected a whole number from 1 to 256, got 0"] = "return { workers = 0 }",
            ['workers: expected a whole number from 1 to 256, got "4"'] = 'return { workers = "4" }',
            ['listen: expected a URL such as "ws://127.0.0.1:8080", or a list of URLs, got a number'] =
                "return { listen = 8080 }",
            ['listen[2]: expected a URL, got ""'] = 'return { listen = { "ws://x", "" } }',
            ["listen[1]: expected ws://HOST:PORT, wss://HOST:PORT?cert=FILE&key=FILE, unix:PATH or "
                .. "systemd:NAME, got \"8080\" "
                .. "(did you mean `ws://127.0.0.1:8080`?)"] = 'return { listen = { "8080" } }',
            ['log: expected one of debug, info, warn, error, got "warning"'] = 'return { log = "warning" }',
            ["log: expected one of debug, info, warn, error, got a function"] = "return { log = print }",
            ["log.fiel: unknown field (did you mean `file`?)"] = 'return { log = { fiel = "a.log" } }',
            ["log.file: expected the path of a file, got false"] = "return { log = { file = false } }",
            ['log.level: expected one of debug, info, warn, error, got "loud"'] = 'return { log = { level = "loud" } }',
            ["limits.mesage: unknown limit (did you mean `message`?)"] = "return { limits = { mesage = 1 } }",
            ["limits.send_queue: 1 KiB is below one message (`message` is 1 MiB)"] =
                'return { limits = { send_queue = "1 KiB" } }',
            ['control: expected a path or "off", got true'] = "return { control = true }",
            ['control: expected a path or "off", got ""'] = 'return { control = "" }',
            ["tls: expected a table with `certificates`, got a string"] = 'return { tls = "a.pem" }',
            ["tls.certificates: expected a list of { cert = FILE, key = FILE }, got nil"] = "return { tls = {} }",
            ["engine: this setting is not available in this version"] = 'return { engine = "redis:" }',
        } do
            local said, told = refused(text)
            assert.equal("chat/tidewire.lua: " .. message .. "\n", said)
            assert.equal("chat/tidewire.lua", told.file)
        end
    end)

    it("shows where the script is wrong", function()
        local said, told = refused "return { workers = }"
        assert.equal("chat/tidewire.lua:1: unexpected symbol near '}'\n\n    > 1 | return { workers = }\n"
            .. "        |                    ^\n", said)
        assert.equal(1, told.line)
        assert.equal("chat/tidewire.lua:1: undeclared global `worker`\n\n    > 1 | return { workers = worker }\n"
            .. "        |                    ^\n", (refused "return { workers = worker }"))
        assert.equal("chat/tidewire.lua: is precompiled Lua; only source text is loaded\n",
            (refused(string.dump(function() end))))
    end)
end)

describe("settings.find_file", function()
    local files = reader {
        ["chat/tidewire.lua"] = "return { workers = 2 }", ["flag.lua"] = "return { workers = 3 }",
        ["variable.lua"] = "return { workers = 4 }",
    }

    local function find(flag, variables, root)
        local file, path = settings.find_file(flag, environment(variables), root or "chat", files)
        return { file and file.workers or "none", path }
    end

    it("prefers the flag, then the variable, then the file beside the app", function()
        assert.same({ 3, "flag.lua" }, find("flag.lua", { TIDEWIRE_CONFIG = "variable.lua" }))
        assert.same({ 4, "variable.lua" }, find(nil, { TIDEWIRE_CONFIG = "variable.lua" }))
        assert.same({ 2, "chat/tidewire.lua" }, find())
        assert.same({ 2, "chat/tidewire.lua" }, find(nil, { TIDEWIRE_CONFIG = "" }))
    end)

    it("misses a file only when it was named", function()
        assert.same({ "none", "tidewire: cannot open x.lua: No such file or directory\n" }, find "x.lua")
        assert.same({ "none", "other/tidewire.lua" }, find(nil, nil, "other"))
    end)
end)

describe("settings.resolve", function()
    local function resolve(flags, variables, file)
        return settings.resolve {
            flags = flags, getenv = environment(variables), file = file, file_path = "chat/tidewire.lua",
        }
    end

    it("has defaults", function()
        assert.same({
            listen = { value = { "ws://127.0.0.1:8080" }, from = "default" },
            log = { value = "info", from = "default" },
            log_file = { from = "default" },
            proxies = { value = {}, from = "default" },
            workers = { value = 1, from = "default" },
            limits = { value = {}, from = "default" },
            control = { from = "default" },
            tls = { from = "default" },
        }, resolve({}, {}, {}))
        assert.equal("default", resolve({ listen = {} }, { TIDEWIRE_LISTEN = "", TIDEWIRE_WORKERS = " " }).listen.from)
    end)

    it("lets a flag go over the environment, that over the file", function()
        local file = {
            listen = { "ws://f:1" }, log = "warn", workers = 2, limits = { message = 5 }, proxies = { "10.0.0.0/8" },
        }
        local variables = { TIDEWIRE_LISTEN = "ws://v:1  ws://v:2", TIDEWIRE_WORKERS = "3", TIDEWIRE_LOG = "error" }
        assert.same({
            listen = { value = { "ws://f:1" }, from = "chat/tidewire.lua" },
            log = { value = "warn", from = "chat/tidewire.lua" },
            log_file = { from = "default" },
            proxies = { value = { "10.0.0.0/8" }, from = "chat/tidewire.lua" },
            workers = { value = 2, from = "chat/tidewire.lua" },
            limits = { value = { message = 5 }, from = "chat/tidewire.lua" },
            control = { from = "default" },
            tls = { from = "default" },
        }, resolve({}, {}, file))
        local got = resolve({}, variables, file)
        assert.same({ value = { "ws://v:1", "ws://v:2" }, from = "TIDEWIRE_LISTEN" }, got.listen)
        assert.same({ value = 3, from = "TIDEWIRE_WORKERS" }, got.workers)
        assert.same({ value = "error", from = "TIDEWIRE_LOG" }, got.log)
        got = resolve({ listen = { "ws://g:1" }, log = "debug", workers = "4" }, variables, file)
        assert.same({ value = "debug", from = "--log" }, got.log)
        assert.same({ value = { "ws://g:1" }, from = "--listen" }, got.listen)
        assert.same({ value = 4, from = "--workers" }, got.workers)
    end)

    it("takes the control socket's place from everywhere, and `off`", function()
        local file, variables = { control = "f.sock", tls = { certificates = {} } }, { TIDEWIRE_CONTROL = "off" }
        assert.same({ value = "f.sock", from = "chat/tidewire.lua" }, resolve({}, {}, file).control)
        assert.same({ value = false, from = "TIDEWIRE_CONTROL" }, resolve({}, variables, file).control)
        assert.same({ value = "g.sock", from = "--control" }, resolve({ control = "g.sock" }, variables, file).control)
        assert.same({ value = false, from = "chat/tidewire.lua" }, resolve({}, {}, { control = false }).control)
        assert.same({ value = { certificates = {} }, from = "chat/tidewire.lua" }, resolve({}, {}, file).tls)
    end)

    it("tells which flag or variable is wrong", function()
        local function says(message, ...)
            local got, said = resolve(...)
            assert.is_nil(got)
            assert.equal(message, said)
        end
        assert.equal(256, resolve({ workers = "256" }).workers.value)
        says('--workers: expected a whole number from 1 to 256, got "many"', { workers = "many" })
        says("--workers: expected a whole number from 1 to 256, got 257", { workers = "257" })
        says('--workers: expected a whole number from 1 to 256, got "-1"', { workers = "-1" })
        says('--workers: expected a whole number from 1 to 256, got "1e1"', { workers = "1e1" })
        says('TIDEWIRE_WORKERS: expected a whole number from 1 to 256, got "x"', {}, { TIDEWIRE_WORKERS = "x" })
        says('--listen[1]: expected a URL, got ""', { listen = { "" } })
        says('TIDEWIRE_LOG: expected one of debug, info, warn, error, got "loud"', {}, { TIDEWIRE_LOG = "loud" })
    end)

    it("takes a URL's scheme, and tells what may have been meant without one", function()
        local good = { "ws://127.0.0.1:1", "wss://[::1]:1?cert=a&key=b", "unix:x.sock", "systemd:", "systemd:web" }
        for _, url in ipairs(good) do
            assert.same({ url }, resolve({ listen = { url } }).listen.value)
        end
        for url, likely in pairs {
            ["8080"] = "ws://127.0.0.1:8080", [":8080"] = "ws://127.0.0.1:8080", ["*:80"] = "ws://0.0.0.0:80",
            ["localhost:8080"] = "ws://127.0.0.1:8080", ["0.0.0.0:9000"] = "ws://0.0.0.0:9000",
            ["[::1]:8080"] = "ws://[::1]:8080", ["http://127.0.0.1:80/"] = "ws://127.0.0.1:80",
            ["https://localhost:8443"] = "wss://127.0.0.1:8443?cert=FILE&key=FILE",
            ["/run/app.sock"] = "unix:/run/app.sock", ["dance"] = false, ["ftp://x:1/y"] = false,
        } do
            local _, said = resolve { listen = { url } }
            assert.equal("--listen[1]: expected ws://HOST:PORT, wss://HOST:PORT?cert=FILE&key=FILE, unix:PATH or "
                .. "systemd:NAME, got "
                .. ('"%s"'):format(url) .. (likely and (" (did you mean `%s`?)"):format(likely) or ""), said)
        end
    end)
end)
