local expect = require "tidewire.expect"
local handler = require "tidewire.handler"

local function noop() end

local function check(value, path)
    return expect.catch(handler.check, value, path or "")
end

local function refused(value, path)
    local result, message = check(value, path)
    assert.is_nil(result)
    return message
end

describe("handler.check", function()
    it("takes every callback, and functions that timers may name", function()
        assert.same({}, check {
            upgrade = noop, open = noop, message = noop, drain = noop, close = noop, error = noop,
            migrate = noop, downgrade = noop, tick = noop, flush_all = noop,
        })
        assert.same({}, check { run = noop })
        assert.same({}, check { open = noop })
    end)

    it("takes options", function()
        assert.same({ protocols = { "chat.v2", "chat" }, origins = "*", limits = { message = 65536 } }, check {
            message = noop, protocols = { "chat.v2", "chat" }, origins = "*", limits = { message = "64 KiB" },
        })
    end)

    it("takes inherited callbacks", function()
        assert.same({}, check(setmetatable({}, { __index = { message = noop } })))
        assert.equal("message: expected a function, got a number",
            refused(setmetatable({}, { __index = { message = 5 } })))
    end)

    it("tells what is no handler", function()
        assert.equal("r: expected a handler (a table with message, open, ... or run), got a number", refused(5, "r"))
        assert.equal("a handler needs at least one of the functions message, open and run", refused {})
        assert.equal("a handler needs at least one of the functions message, open and run", refused { close = noop })
        assert.equal("a handler has `message` or `run`, not both: `run` receives its messages itself",
            refused { run = noop, message = noop })
    end)

    it("tells a callback that is no function", function()
        assert.equal("r.message: expected a function, got a string", refused({ message = "x" }, "r"))
        assert.equal("open: expected a function, got a boolean", refused { message = noop, open = true })
        assert.equal("migrate: expected a function, got a boolean", refused { message = noop, migrate = false })
    end)

    it("tells a callback that is misspelt", function()
        assert.equal("mesage: unknown callback (did you mean `message`?)", refused { mesage = noop })
        assert.equal("on_message: unknown callback (did you mean `message`?)", refused { on_message = noop })
        assert.equal("onclose: unknown callback (did you mean `close`?)", refused { message = noop, onclose = noop })
        assert.equal("onOpen: unknown callback (did you mean `open`?)", refused { message = noop, onOpen = noop })
        assert.equal("migrat: unknown callback (did you mean `migrate`?)", refused { message = noop, migrat = noop })
        assert.same({}, check { message = noop, mesages = noop, on_fire = noop })
    end)

    it("tells fields that have no use", function()
        assert.equal("protocol: unknown field (did you mean `protocols`?); a handler has functions, compression, "
            .. "limits, origins, protocols, proxy", refused { message = noop, protocol = "chat" })
        assert.equal("[1]: unknown field; a handler has functions, compression, limits, origins, protocols, proxy",
            refused { message = noop, 5 })
    end)

    it("takes proxy: a list, or false for none", function()
        assert.same({}, check({ message = noop, proxy = false }).proxy)
        assert.same({}, check({ message = noop, proxy = {} }).proxy)
        assert.is_nil(check({ message = noop }).proxy)
        assert.equal('proxy: expected a list of addresses and networks such as { "127.0.0.1", "10.0.0.0/8", "unix" }, '
            .. "got a boolean", refused { message = noop, proxy = true })
    end)

    it("takes compression", function()
        assert.equal(15, check({ message = noop, compression = true }).compression.window_bits)
        assert.equal("compression: expected true, false or a table such as { takeover = true }, got a number",
            refused { message = noop, compression = 9 })
    end)
end)

describe("handler.check_protocols", function()
    local function protocols(value)
        return expect.catch(handler.check_protocols, value, "protocols")
    end

    it("copies the list", function()
        local given = { "a", "b.v2" }
        local got = protocols(given)
        assert.same(given, got)
        assert.not_equal(given, got)
    end)

    it("tells what is wrong", function()
        for message, given in pairs {
            ["protocols: expected a list of subprotocol names, got a number"] = 3,
            ["protocols: expected a list of subprotocol names, got a string"] = "chat",
            ["protocols: expected a list of subprotocol names, got an empty table"] = {},
            ["protocols[2]: expected a subprotocol's name, got a number"] = { "chat", 3 },
            ["protocols[1]: expected a subprotocol's name (letters, digits and !#$%&'*+-.^_`|~), got \"a b\""] =
                { "a b" },
            ["protocols[1]: expected a subprotocol's name (letters, digits and !#$%&'*+-.^_`|~), got \"\""] = { "" },
            ['protocols[2]: "a" is there twice'] = { "a", "a" },
        } do
            local result, said = protocols(given)
            assert.is_nil(result)
            assert.equal(message, said)
        end
    end)
end)

describe("handler.check_origins", function()
    local function origins(value)
        return expect.catch(handler.check_origins, value, "origins")
    end

    it("brings them into the form that browsers send", function()
        assert.equal("*", origins "*")
        assert.same({
            "https://ops.example", "http://localhost:8080", "https://a.example", "http://[::1]:9000",
            "http://a.example:443", "https://b.example",
        }, origins {
            "https://OPS.example", "http://localhost:8080", "https://a.example:443", "http://[::1]:9000",
            "http://a.example:443", "HTTPS://b.example",
        })
    end)

    it("tells what is wrong", function()
        local such = 'expected an origin such as "https://ops.example" or "http://localhost:8080"'
        local what = such .. ", got "
        for message, given in pairs {
            ['origins: expected a list of origins, or "*" for all, got a string'] = "https://ops.example",
            ['origins: expected a list of origins, or "*" for all, got an empty table'] = {},
            ['origins[1]: for all origins write origins = "*"'] = { "*" },
            ["origins[1]: " .. what .. '"ops.example"'] = { "ops.example" },
            ["origins[1]: " .. such .. ', without the slash at the end, got "https://ops.example/"'] = {
                "https://ops.example/",
            },
            ["origins[1]: " .. what .. '"https://ops.example/a/"'] = { "https://ops.example/a/" },
            ["origins[1]: " .. what .. '"https://ops.example:"'] = { "https://ops.example:" },
            ["origins[1]: " .. what .. '"https://u@ops.example"'] = { "https://u@ops.example" },
            ["origins[2]: " .. what .. "a number"] = { "https://a.example", 5 },
            ['origins[1]: "null" is what every page without an origin of its own sends: it names nobody'] = { "null" },
        } do
            local result, said = origins(given)
            assert.is_nil(result)
            assert.equal(message, said)
        end
    end)
end)
