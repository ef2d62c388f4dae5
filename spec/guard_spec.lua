local support = require "support.core"

describe("guard", function()
    local core, guard

    before_each(function()
        core = support.install()
        guard = require "tidewire.guard"
    end)

    it("has the limits of the settings, or the defaults", function()
        assert.same({ seconds = 0.5, bytes = 268435456 }, guard.limits())
        assert.same({ seconds = 0.5, bytes = 268435456 }, guard.limits { message = 5 })
        assert.same({ seconds = 2, bytes = 268435456 }, guard.limits { load = 2 })
    end)

    it("calls within the limits, while nothing may act, and returns all results", function()
        local limited = core.limited
        local got
        function core.limited(fn, seconds, bytes, ...)
            got = { seconds, bytes }
            return limited(fn, seconds, bytes, ...)
        end
        assert.same({ n = 4, true, nil, 2, nil }, table.pack(guard.call({ seconds = 3, bytes = 4 }, function(...)
            assert.is_true(core.is_loading)
            return nil, ...
        end, 2, nil)))
        assert.same({ 3, 4 }, got)
        assert.is_false(core.is_loading)
        local ok, err, traceback = guard.call(guard.limits(), error, "x", 0)
        assert.same({ false, "x" }, { ok, err })
        assert.is_string(traceback)
        assert.is_false(core.is_loading)
    end)

    it("says what to do about a limit that was passed", function()
        assert.equal("a.lua:1: still running after 0.5 s of CPU time\n"
            .. "do what takes longer in start(app), or set `limits.load` in tidewire.lua",
            guard.advice "a.lua:1: still running after 0.5 s of CPU time")
        assert.equal("it took more than 256 MiB of memory\ndo what needs more in start(app)",
            guard.advice "it took more than 256 MiB of memory")
        assert.equal("boom", guard.advice "boom")
        local object = {}
        assert.equal(object, guard.advice(object))
    end)

    it("tells a failure even of what cannot be shown", function()
        local function failure(err, limited)
            core.limited = limited or core.limited
            return select(2, guard.failure(guard.limits(), "load", {}, err, ""))
        end
        assert.equal("tidewire: boom\n", failure "boom")
        assert.equal("tidewire: shown\n", failure(setmetatable({}, { __tostring = function()
            return "shown"
        end })))
        assert.equal("tidewire: an error object that cannot be shown\n", failure({}, function()
            return false, "still running"
        end))
    end)

    it("has an xpcall whose handler is not called when the limits are passed", function()
        local function handler(err)
            return err .. "!"
        end
        assert.same({ false, "x!" }, { guard.xpcall(error, handler, "x", 0) })
        assert.same({ true, 1, 2 }, { guard.xpcall(function(...)
            return ...
        end, handler, 1, 2) })
        function core.is_over()
            return true
        end
        assert.same({ false, "x" }, { guard.xpcall(error, handler, "x", 0) })
        assert.is_false((pcall(guard.xpcall, error)))
    end)
end)
