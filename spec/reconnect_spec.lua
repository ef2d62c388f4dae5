local support = require "support.core"

local core, tidewire, reconnect

before_each(function()
    core = support.install()
    tidewire = require "tidewire"
    reconnect = require "tidewire.reconnect"
    require("tidewire.client").getenv = function() end
    reconnect.random = function()
        return 1 -- the longest pause
    end
end)

local lost = { nil, "gone", "lost" }

local function answer(status, headers)
    return { nil, "answered", "status", { status = status, headers = headers or {}, body = "" } }
end

-- What was noted of this name since it was last asked.
local function calls(name)
    local out = {}
    for _, call in ipairs(core.calls) do
        if call[1] == name then
            out[#out + 1] = call
        end
    end
    return out
end

local function pauses()
    local out = {}
    for i, call in ipairs(calls "sleep") do
        out[i] = call[2]
    end
    return out
end

describe("reconnect without a handler", function()
    it("tries until it succeeds, with pauses that grow to a bound", function()
        core.outcomes = { lost, lost, lost, lost, lost, { "a ws" } }
        assert.equal("a ws", tidewire.connect("ws://h/", { reconnect = { min = 1, max = 5 } }))
        assert.same({ 1.0, 2.0, 4.0, 5, 5 }, pauses())
    end)

    it("has full jitter: any pause from 0 to the bound", function()
        local settings = reconnect.check(true, "reconnect")
        assert.same({ min = 0.5, max = 30, attempts = math.huge }, settings)
        for failures, bound in ipairs { 0.5, 1, 2, 4, 8, 16, 30, 30 } do
            for _, part in ipairs { 0, 0.25, 1 } do
                reconnect.random = function()
                    return part
                end
                assert.equal(part * bound, reconnect.pause(settings, failures))
            end
        end
        reconnect.random = math.random
        assert.equal(30, settings.max)
        assert.is_true(reconnect.pause(settings, 5000) <= 30)
    end)

    it("ends after as many attempts as told", function()
        core.outcomes = { lost, lost, { nil, "last", "refused" } }
        local ws, message, code = tidewire.connect("ws://h/", { reconnect = { attempts = 3 } })
        assert.is_nil(ws)
        assert.same({ "last", "refused" }, { message, code })
        assert.equal(2, #pauses())
    end)

    it("tries again only where that may help", function()
        for _, code in ipairs { "name", "refused", "proxy", "lost", "timeout", "memory" } do
            assert.is_true(reconnect.is_passing(code), code)
        end
        for _, code in ipairs { "tls", "handshake", "cancelled", "url" } do
            assert.is_false(reconnect.is_passing(code), code)
        end
        for status, passing in pairs {
            [500] = true, [502] = true, [503] = true, [504] = true, [408] = true, [425] = true, [429] = true,
            [400] = false, [401] = false, [403] = false, [404] = false, [426] = false, [301] = false, [200] = false,
        } do
            assert.equal(passing, reconnect.is_passing("status", { status = status }), status)
        end
        core.outcomes = { lost, answer(403) }
        local ws, _, code, details = tidewire.connect("ws://h/", { reconnect = true })
        assert.is_nil(ws)
        assert.same({ "status", 403 }, { code, details.status })
    end)

    it("honours Retry-After, within a bound, and spreads behind it", function()
        local settings = reconnect.check({ min = 1 }, "reconnect")
        local function pause(status, value)
            return reconnect.pause(settings, 1, { status = status, headers = { ["retry-after"] = value } })
        end
        assert.equal(8, pause(503, "7"))
        assert.equal(8, pause(429, "7"))
        assert.equal(1, pause(500, "7"))
        assert.equal(301, pause(503, "86400"))
        assert.equal(1, pause(503, "soon"))
        assert.equal(1, pause(503, "-5"))
        core.time = 784111777 -- Sun, 06 Nov 1994 08:49:37 GMT
        assert.equal(11, pause(503, "Sun, 06 Nov 1994 08:49:47 GMT"))
        assert.equal(1, pause(503, "Sun, 06 Nov 1994 08:49:27 GMT"))
        assert.equal(301, pause(503, "Sun, 06 Nov 2094 08:49:47 GMT"))
    end)
end)

describe("reconnect with a handler", function()
    local ws, handler, seen

    before_each(function()
        ws, seen = {}, {}
        handler = {
            message = function() end,
            close = function(...)
                seen[#seen + 1] = { ... }
            end,
        }
    end)

    local function connect(opts)
        core.outcomes = { { ws } }
        assert.equal(ws, tidewire.connect("ws://h/a?token=x", { handler = handler, reconnect = opts or true }))
        return core.attempts[1].ended
    end

    -- The connection ends, with `close` first. Returns the number of attempts so far.
    local function finish(ended, code)
        core.calls = {}
        handler.close(ws, code, "why", false)
        ended(ws, code, "why")
        return #core.attempts
    end

    it("gives the handler as it is", function()
        connect()
        assert.equal(handler, core.attempts[1].handler)
    end)

    it("goes on with the same ws", function()
        local ended = connect()
        core.outcomes = { lost, { ws } }
        assert.equal(3, finish(ended, 1006))
        assert.same({ { ws, 1006, "why", false } }, seen)
        local last = core.attempts[3]
        assert.same({ ws, handler, ended, 1, "ws://h/a?token=x" },
            { last.again, last.handler, last.ended, last.reconnects, last.url })
        core.outcomes = { { ws } }
        assert.equal(4, finish(ended, 1001))
        assert.equal(2, core.attempts[4].reconnects)
    end)

    it("waits longer when connections do not last, and counts anew after one that has", function()
        local ended = connect { min = 1, max = 30 }
        for _, expected in ipairs { 1.0, 2.0, 4.0 } do
            core.outcomes = { { ws } }
            finish(ended, 1006)
            assert.same({ expected }, pauses())
        end
        core.time = core.time + 30
        core.outcomes = { { ws } }
        finish(ended, 1006)
        assert.same({ 1.0 }, pauses())
    end)

    it("ends with ws:close(), whenever it is called", function()
        local ended = connect()
        ws.told = true
        assert.equal(1, finish(ended, 1006))
        ws.told = false
        core.sleep = function()
            ws.told = true
        end
        assert.equal(1, finish(ended, 1006))
        assert.equal(0, #calls "log")
    end)

    it("ends with ws:close() between two attempts", function()
        local ended = connect()
        local sleeps = 0
        core.sleep = function()
            sleeps = sleeps + 1
            ws.told = sleeps == 2
        end
        core.outcomes = { lost, { ws } }
        assert.equal(2, finish(ended, 1006))
        assert.equal(2, sleeps)
    end)

    it("ends after a Close that says so", function()
        local ended = connect()
        for _, code in ipairs { 1000, 1002, 1003, 1007, 1008, 1010 } do
            assert.equal(1, finish(ended, code), code)
        end
        for i, code in ipairs { 1001, 1005, 1006, 1009, 1011, 1012, 1013, 4000 } do
            core.outcomes = { { ws } }
            assert.equal(1 + i, finish(ended, code), code)
        end
    end)

    it("ends when trying again makes no sense, and says so", function()
        local ended = connect()
        core.outcomes = { { nil, "bad certificate", "tls" } }
        assert.equal(2, finish(ended, 1006))
        assert.same({ { "log", "warn", "not connecting again", { url = "ws://h/a", why = "bad certificate" } } },
            calls "log")
        core.outcomes = { { nil, "the process ends", "cancelled" } }
        finish(ended, 1006)
        assert.same({}, calls "log")
    end)

    it("counts as attempts those that failed and those whose connection did not last", function()
        local ended = connect { min = 1, max = 30, attempts = 2 }
        core.outcomes = { { ws } }
        assert.equal(2, finish(ended, 1006)) -- the first attempt to come back
        core.outcomes = { lost }
        assert.equal(3, finish(ended, 1006)) -- the second: it failed
        assert.same({ { "log", "warn", "not connecting again", { url = "ws://h/a", why = "gone" } } }, calls "log")
        core.time = core.time + 30
        core.outcomes = { lost, { ws } } -- the count begins anew
        assert.equal(5, finish(ended, 1006))
        assert.equal(5, finish(ended, 1006))
        assert.same({ { "log", "warn", "not connecting again",
            { url = "ws://h/a", why = "no connection has lasted (attempts: 2)" } } }, calls "log")
        assert.same({}, pauses())
    end)

    describe("tells `gave_up`", function()
        local told

        local function connect_and_listen(attempts)
            told = {}
            return connect {
                attempts = attempts,
                gave_up = function(...)
                    told[#told + 1] = table.pack(...)
                end,
            }
        end

        it("when attempts fail, as connect would", function()
            local ended = connect_and_listen(2)
            core.outcomes = { lost, answer(503) }
            finish(ended, 1006)
            assert.same({ { n = 4, ws, "answered", "status", { status = 503, headers = {}, body = "" } } }, told)
            assert.equal(1, #calls "log") -- between the two
        end)

        it("when no connection lasts", function()
            local ended = connect_and_listen(1)
            core.outcomes = { { ws } }
            finish(ended, 1006)
            assert.same({}, told)
            finish(ended, 1006)
            assert.same({ { n = 4, ws, "no connection has lasted (attempts: 1)", "lost" } }, told)
        end)

        it("after a Close that ends it, behind `close`", function()
            local ended = connect_and_listen()
            handler.close = function(_, code)
                told[#told + 1] = code
            end
            finish(ended, 1008)
            assert.same({ 1008, { n = 3, ws, "closed with 1008: why", "closed" } }, told)
        end)

        it("not when somebody has called ws:close(), nor when the process ends", function()
            local ended = connect_and_listen()
            core.outcomes = { { nil, "the process ends", "cancelled" } }
            finish(ended, 1006)
            ws.told = true
            finish(ended, 1006)
            finish(ended, 1000)
            ws.told = false
            core.sleep = function()
                ws.told = true
            end
            finish(ended, 1006)
            assert.same({}, told)
        end)

        it("not when the first connection cannot be made", function()
            connect_and_listen(1)
            core.outcomes = { lost }
            assert.is_nil(tidewire.connect("ws://h/", {
                handler = handler, reconnect = { attempts = 1, gave_up = error },
            }))
        end)
    end)
end)
