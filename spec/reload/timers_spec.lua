local versions = require "support.versions"

describe("named timers", function()
    local v, core

    local function app(...)
        local list = {}
        for i, timer in ipairs { ... } do
            list[i] = ("%s = { every = %g, run = function(app) %s end }"):format(timer[1], timer[2], timer[3])
        end
        return versions.app("timers = { " .. table.concat(list, ", ") .. " },")
    end

    local function note(text)
        return ("table.insert(app.state, %q)"):format(text)
    end

    -- The timers that are set, by their intervals, without that of the rates (5 s).
    local function set()
        local out = {}
        for _, timer in ipairs(core.timers) do
            if timer.seconds ~= 5 and not timer.cancelled then
                out[#out + 1] = timer.seconds
            end
        end
        return table.concat(out, " ")
    end

    local function fire(seconds)
        for _, timer in ipairs(core.timers) do
            if timer.seconds == seconds and not timer.cancelled then
                timer.fire()
            end
        end
    end

    local function ran()
        local out = table.concat(v.state(), " ")
        for i in ipairs(v.state()) do
            v.state()[i] = nil
        end
        return out
    end

    before_each(function()
        v = versions.new()
        core = v.core
        v:boot(app({ "a", 1, note "a1" }, { "b", 2, note "b1" }))
    end)

    it("run the function of the version that serves, and go on undisturbed", function()
        local timer = core.timers[2]
        fire(1)
        assert.equal("a1", ran())
        for version = 2, 50 do
            v:take(version, app({ "a", 1, note("a" .. version) }, { "b", 2, note("b" .. version) }))
            assert.equal(3, #core.timers)
            fire(1)
            fire(2)
            assert.equal(("a%d b%d"):format(version, version), ran())
        end
        assert.is_nil(timer.cancelled)
        v:take(49, nil, { rollback = true })
        fire(1)
        assert.equal("a49", ran())
        assert.same({ "call", 49, "timer a" }, core.calls[#core.calls])
    end)

    it("are set anew with another interval, ended when they are gone, and begun when they are new", function()
        v:take(2, app({ "a", 3, note "a2" }, { "c", 4, note "c2" }))
        assert.equal("3 4", (set():gsub("^4 3$", "3 4")))
        fire(3)
        fire(4)
        assert.equal("a2 c2", ran())
        v:take(3, app())
        assert.equal("", set())
    end)

    it("have one run at a time, over all versions", function()
        local function waits(version)
            return app { "a", 1, note(version) .. " coroutine.yield()" }
        end
        v:take(2, waits "2")
        local old = coroutine.wrap(core.timers[2].fire)
        old()
        assert.equal(1, v:gen(2).tasks)
        v:take(3, waits "3")
        fire(1)
        assert.equal("2", ran())
        v:take(4, app())
        v:take(5, waits "5")
        fire(1)
        assert.equal("", ran())
        old()
        coroutine.wrap(core.timers[#core.timers].fire)()
        assert.equal("5", ran())
    end)

    it("go on after a run that was dropped in its midst", function()
        v:take(2, app { "a", 1, note "2" .. " coroutine.yield()" })
        local co = coroutine.create(core.timers[2].fire)
        coroutine.resume(co)
        v:take(3, app { "a", 1, note "3" })
        coroutine.close(co)
        fire(1)
        assert.equal("2 3", ran())
    end)

    it("log an error as the version's whose it is, and go on", function()
        v:take(2, app { "a", 1, "local x = app.state.n.m" })
        for _ = 1, 2 do
            core.calls = {}
            fire(1)
            local call = core.calls[#core.calls]
            assert.same({ "log", "error", { where = "timer a" } }, { call[1], call[2], call[4] })
            assert.equal("app.lua:3: attempt to index a nil value (field 'n')", call[3])
            assert.is_truthy(table.concat(call[5], "\n"):find("> 3 | timers", 1, true))
        end
        assert.equal(2, v:gen(2).failed)
    end)

    it("wait behind a barrier", function()
        assert.is_true(core.timers[2].holds)
        assert.is_true(core.timers[3].holds)
    end)

    it("do not fire before start(app) has run, nor after the end", function()
        v = versions.new()
        core = v.core
        local bytes = require("tidewire.bundle").encode {
            entry = "app.lua", root = ".", state_version = 1, loaded = { "app.lua" },
            files = { ["app.lua"] = app { "a", 1, note "a1" } },
        }
        v.reload.boot({ settings = { limits = { value = {} }, proxies = { value = {} } } }, { version = 1 }, bytes)
        assert.equal("", set())
        v.reload.start()
        assert.equal("1", set())
        v.reload.stop()
        assert.equal("", set())
        for _, timer in ipairs(core.timers) do
            assert.is_true(timer.cancelled)
        end
    end)
end)
