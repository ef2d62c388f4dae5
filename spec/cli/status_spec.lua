local app_that_runs = require "support.app_that_runs"

describe("tidewire status", function()
    local running

    before_each(function()
        running = app_that_runs.new()
        running.core.time = 1700000100
        running.answer = {
            v = 1, ok = true, version = "0.1.0", pid = 7, uptime = 200000, app = "apps/chat",
            listeners = { { url = "ws://x:1" } }, certificates = {},
            code = { version = 8, previous = 7, state = "stable", share = 100, since = 1700000025 },
            workers = {
                {
                    index = 0, state = "ready", pid = 8, uptime = 130.9, connections = 1000, version = 8,
                    answers = true,
                    generations = { { version = 8, role = "current", connections = 1000, pins = {}, pins_total = 0 } },
                },
                { index = 1, state = "down" },
            },
        }
    end)

    after_each(function()
        running:finish()
    end)

    local function lines()
        local code, out, err = running:run("status", running.dir.path)
        assert.same({ 0, "" }, { code, err })
        local list = {}
        for line in out:gmatch("[^\n]+") do
            list[#list + 1] = line
        end
        return list
    end

    it("shows the app, its version, its workers and where it listens", function()
        assert.same({
            "tidewire 0.1.0  pid 7, up 2 days, apps/chat",
            "version 8 for 75 s",
            "worker 0  ready, pid 8, up 2 min, 1,000 connections",
            "worker 1  down",
            "listening ws://x:1",
        }, lines())
        assert.same({ v = 1, command = "status" }, running.asked[1].request)
    end)

    it("shows a version that is on trial", function()
        running.answer.code.state = "watching"
        assert.equal("version 8 for 75 s, watched for errors; before it version 7", lines()[2])
        running.answer.code.previous = 0
        assert.equal("version 8 for 75 s, watched for errors", lines()[2])
        local code = running.answer.code
        code.state, code.canary, code.share = "canary", 9, 10
        assert.equal("version 8 for 75 s; beside it version 9, a canary, for 10% of the connections", lines()[2])
        code.state, code.phase = "stable", "prepare"
        assert.equal("version 8 for 75 s; a change is under way (prepare)", lines()[2])
        running.answer.code = { version = 0, previous = 0, state = "starting" }
        assert.equal("no version serves yet", lines()[2])
    end)

    it("shows old versions and what keeps them alive", function()
        local worker = running.answer.workers[1]
        worker.version, worker.answers = 7, false
        worker.generations = {
            {
                version = 3, role = "old", connections = 2, pins_total = 1002,
                pins = {
                    {
                        kind = "handler", what = "message of /chat/:room", id = "a1", where = "chat.lua:31",
                        seconds = 12.5,
                    },
                    { kind = "timer", what = "timer" },
                },
            },
            { version = 5, role = "kept", connections = 0, pins = {}, pins_total = 0 },
            {
                version = 6, role = "kept", connections = 0, pins_total = 1,
                pins = { { kind = "task", what = "task" } },
            },
            { version = 7, role = "current", connections = 5, pins = {}, pins_total = 0 },
        }
        assert.same({
            "worker 0  ready, pid 8, up 2 min, version 7, 1,000 connections, does not answer",
            "  version 3  old, 2 connections",
            "    message of /chat/:room at chat.lua:31 (connection a1), for 12 s",
            "    timer",
            "    and 1,000 more",
            "  version 6  kept for a rollback",
            "    task",
            "worker 1  down",
        }, table.move(lines(), 3, 10, 1, {}))
    end)

    it("shows certificates", function()
        running.answer.certificates = { { file = "a.pem", names = "a.example", ["until"] = "2030-01-02" } }
        assert.same({ "certificates", "  a.pem: a.example, until 2030-01-02" }, table.move(lines(), 6, 7, 1, {}))
    end)
end)
