require("support.core").install()
local cli = require "tidewire.cli"
local folder = require "support.folder"
local streams = require "support.streams"
local variables = require "support.variables"

describe("tidewire dev", function()
    local dir

    setup(function()
        variables.replace()
    end)

    teardown(function()
        variables.restore()
    end)

    before_each(function()
        dir = folder.new { ["app.lua"] = "return {" }
    end)

    after_each(function()
        dir:remove()
    end)

    it("makes the plan of run, and has it watched", function()
        local arguments = { dir.path, "--listen", "ws://127.0.0.1:1", "--workers", "2", "--log", "debug" }
        local run = cli.main({ "run", table.unpack(arguments) }, streams.new())
        local dev = cli.main({ "dev", table.unpack(arguments) }, streams.new())
        assert.equal("table", type(run))
        assert.is_nil(run.dev)
        assert.is_true(dev.dev)
        dev.dev = nil
        assert.same(run, dev)
    end)

    it("fails as run does when there is nothing to watch", function()
        local captured = streams.new()
        assert.equal(1, cli.main({ "dev", dir.path .. "/none" }, captured))
        assert.is_truthy(captured.err.text():find("cannot open", 1, true))
        assert.equal(2, cli.main({ "dev" }, streams.new()))
    end)
end)
