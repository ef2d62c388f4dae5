local expect = require "tidewire.expect"
local limits = require "tidewire.limits"

local function read(given, scope)
    return expect.catch(limits.read, given, scope or "route", "limits")
end

local function refused(given, scope)
    local result, message = read(given, scope)
    assert.is_nil(result)
    return message
end

describe("limits.read", function()
    it("gives numbers, and only what was given", function()
        assert.same({ message = 65536, idle = 120, fragments = 10 },
            read { message = "64 KiB", idle = "2 min", fragments = 10 })
        assert.same({}, read {})
    end)

    it("names the limit that is wrong", function()
        assert.equal("limits: expected a table of limits, got a number", refused(5))
        assert.equal("limits.mesage: unknown limit (did you mean `message`?)", refused { mesage = 1 })
        assert.equal("limits.colour: unknown limit; known are close, fragments, idle, inflate_ratio, message, "
            .. "ping_interval, pong_wait, rate, send_queue, send_soft, stall, subscriptions", refused { colour = 1 })
        assert.equal('limits.message: expected a size such as 65536 or "64 KiB", got "big"',
            refused { message = "big" })
        assert.equal("limits[1]: unknown limit; known are close, fragments, idle, inflate_ratio, message, "
            .. "ping_interval, pong_wait, rate, send_queue, send_soft, stall, subscriptions", refused { "1 MiB" })
    end)

    it("takes 0 only where it turns something off", function()
        local off = { idle = 0, ping_interval = 0, rate = 0, subscriptions = 0 }
        assert.same(off, read(off))
        off = { handshakes_per_second = 0, lag = 0 }
        assert.same(off, read(off, "process"))
        assert.equal("limits.message: expected more than 0: this limit cannot be turned off",
            refused { message = 0 })
    end)

    it("keeps limits of the process out of routes", function()
        assert.equal("limits.drain: this limit concerns the whole process: set it in tidewire.lua",
            refused { drain = 5 })
        assert.same({ drain = 0, message = 9 }, read({ drain = 0, message = 9 }, "process"))
    end)

    it("refuses limits that are not enforced", function()
        assert.equal("limits.handler: this limit is not available in this version", refused { handler = 5 })
        assert.equal("limits.heap: this limit is not available in this version", refused({ heap = 5 }, "process"))
    end)

    it("bounds the number of headers by what the parser has room for", function()
        assert.same({ headers = 100 }, read({ headers = 100 }, "process"))
        assert.equal("limits.headers: expected at most 100, got 101", refused({ headers = 101 }, "process"))
    end)
end)

describe("limits.merge", function()
    it("lays later tables over earlier ones and all over the defaults", function()
        local merged = limits.merge("limits", { message = 10, idle = 1 }, nil, { idle = 2 })
        assert.equal(10, merged.message)
        assert.equal(2, merged.idle)
        assert.equal(25, merged.ping_interval)
        assert.equal(1024, merged.fragments)
    end)

    it("has the defaults that are documented", function()
        local merged = limits.merge("limits")
        assert.same({
            handshake = 10, head = 16384, headers = 100, body = 1048576, message = 1048576, fragments = 1024,
            ping_interval = 25, pong_wait = 20, idle = 120, close = 10, send_soft = 262144, send_queue = 1048576,
            stall = 10, subscriptions = 128, handshakes_per_address = 1024, drain = 30,
            handshakes_per_second = 0, inflate_ratio = 100, lag = 0.25, load = 0.5, rate = 0, reassembly = 268435456,
            reload_grace = 5, reload_watch = 30,
        }, merged)
    end)

    it("lets the send queue follow the message", function()
        assert.equal(64 * 1048576, limits.merge("limits", { message = 64 * 1048576 }).send_queue)
        assert.equal(1048576, limits.merge("limits", { message = 10 }).send_queue)
        assert.equal(2000, limits.merge("limits", { message = 1000, send_queue = 2000 }).send_queue)
    end)

    it("lets the soft mark stay below the hard one", function()
        assert.equal(2000, limits.merge("limits", { message = 1000, send_queue = 2000 }).send_soft)
        assert.equal(500, limits.merge("limits", { message = 1000, send_queue = 2000, send_soft = 500 }).send_soft)
    end)

    it("refuses marks that contradict each other", function()
        local _, message = expect.catch(limits.merge, "limits", { send_queue = 65536 })
        assert.equal("limits.send_queue: 64 KiB is below one message (`message` is 1 MiB)", message)
        _, message = expect.catch(limits.merge, "limits", { send_soft = 2 * 1048576 })
        assert.equal("limits.send_soft: 2 MiB is above the hard mark (`send_queue` is 1 MiB)", message)
    end)
end)

describe("limits.of_process", function()
    it("has the limits that no route can have", function()
        local of_process = limits.of_process { drain = 5, message = 10 }
        assert.equal(5, of_process.drain)
        assert.equal(1024, of_process.handshakes_per_address)
        assert.equal(16384, of_process.head)
        assert.is_nil(of_process.message)
    end)

    it("has connections only when they are set", function()
        assert.is_nil(limits.of_process({}).connections)
        assert.equal(7, limits.of_process({ connections = 7 }).connections)
    end)
end)
