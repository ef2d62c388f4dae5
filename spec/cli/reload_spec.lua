local app_that_runs = require "support.app_that_runs"

describe("tidewire reload", function()
    local running

    before_each(function()
        running = app_that_runs.new()
        running.answer = {
            v = 1, ok = true, version = 8, previous = 7, hash = "ab",
            changed = { "chat.lua" }, added = {}, removed = {}, unchanged = false,
            dry_run = false, seconds = 0.0018, pause = 0.0004, phases = { load = 0.001 },
            connections = 1000, held = 0, state = "watching",
        }
    end)

    after_each(function()
        running:finish()
    end)

    local function reload(...)
        return running:run("reload", running.dir.path, ...)
    end

    it("tells what was reloaded, and how long it took", function()
        assert.same({ 0, "reloaded chat.lua in 1.8 ms, 1,000 connections kept\n"
            .. "version 8 serves, and is watched for errors\n", "" }, { reload() })
        assert.same({ v = 1, command = "reload" }, running.asked[1].request)
        local answer = running.answer
        answer.added, answer.removed, answer.connections, answer.held = { "b.lua" }, { "c.lua" }, 1, 12
        assert.equal("reloaded chat.lua and 2 others in 1.8 ms, 1 connection kept, 12 messages held meanwhile\n",
            (select(2, reload()):match("^[^\n]*\n")))
        answer.changed, answer.added, answer.removed, answer.connections, answer.held = {}, {}, {}, 0, 0
        answer.state = "stable"
        assert.equal("reloaded in 1.8 ms\nversion 8 serves\n", (select(2, reload())))
    end)

    it("asks for a canary", function()
        running.answer.state = "canary"
        local _, out = reload("--canary", "10%", "--wait")
        assert.equal("version 8 is a canary for 10% of the connections; it will serve all when it has stayed healthy\n",
            out:match("\n(.*)$"))
        assert.same({ v = 1, command = "reload", canary = 10, wait = true }, running.asked[1].request)
        assert.equal(86400, running.asked[1].seconds)
        reload("--canary=99", "--force")
        assert.same({ v = 1, command = "reload", canary = 99, force = true }, running.asked[2].request)
        assert.equal(90, running.asked[2].seconds)
    end)

    it("tells what a dry run has found", function()
        local answer = running.answer
        answer.dry_run, answer.added, answer.removed = true, { "lib/new.lua" }, { "old.lua" }
        assert.same({ 0, "version 8 would serve (dry run, 1.8 ms)\n  changed  chat.lua\n  added    lib/new.lua\n"
            .. "  removed  old.lua\n", "" }, { reload "--dry-run" })
        assert.same({ v = 1, command = "reload", dry_run = true }, running.asked[1].request)
    end)

    it("tells that nothing has changed", function()
        running.answer.unchanged, running.answer.version, running.answer.changed = true, 7, {}
        assert.same({ 0, "nothing has changed; version 7 serves\n", "" }, { reload() })
        running.answer.state = "canary"
        assert.same({ 0, "nothing has changed; version 7 is the canary\n", "" }, { reload() })
    end)

    it("tells of certificates that were read too", function()
        running.answer.certificates = { { file = "a.pem", names = "a.example", ["until"] = "2030-01-02" } }
        assert.equal("new certificates are in use\n  a.pem: a.example, until 2030-01-02\n",
            select(2, reload()):match("errors\n(.*)$"))
        local certificates = running.answer.certificates
        running.answer.certificates, running.answer.certificates_error = nil, "a.pem: cannot read it"
        running.answer.warning = "worker 1 is busy"
        assert.equal("worker 1 is busy\nthe certificates stay as they are: a.pem: cannot read it\n",
            select(2, reload()):match("errors\n(.*)$"))
        running.answer = { v = 1, ok = true, certificates = certificates }
        assert.same({ 0, "new certificates are in use\n  a.pem: a.example, until 2030-01-02\n", "" },
            { reload "--certificates" })
        assert.same({ v = 1, command = "certificates" }, running.asked[3].request)
    end)

    it("fails with the whole report, the phase, and what serves", function()
        running.answer = {
            v = 1, ok = false, error = { code = "load", message = "chat.lua:3: boom" }, phase = "load",
            text = "tidewire: chat.lua:3: boom\n\n    > 3 | error 'boom'\n", file = "chat.lua", line = 3, serving = 7,
            worker = 2,
        }
        assert.same({ 1, "", "tidewire: chat.lua:3: boom\n\n    > 3 | error 'boom'\n\n"
            .. "refused at loading by worker 2; still serving version 7\n" }, { reload() })
        running.answer.worker, running.answer.phase = -1, "dry_run"
        assert.is_truthy(select(3, reload()):find("\nrefused at the migration's dry run; still serving version 7\n$"))
        running.answer.worker, running.answer.phase, running.answer.serving = nil, "limit", 0
        assert.is_truthy(select(3, reload()):find("'boom'\n\nno version serves yet\n$"))
        running.answer.phase, running.answer.serving = "watch", 7
        running.answer.text = "tidewire: version 8 was rolled back: 5 errors in 20 calls\n"
        assert.equal("tidewire: version 8 was rolled back: 5 errors in 20 calls\nserving version 7 again\n",
            (select(3, reload())))
        running.answer = { v = 1, ok = false, error = { code = "stopping", message = "it is stopping" } }
        assert.same({ 1, "", "tidewire: it is stopping\n" }, { reload() })
    end)

    it("does not let a report command the terminal", function()
        running.answer = {
            v = 1, ok = false, error = { code = "load", message = "m" }, text = "a\27[2J\n", serving = 7,
        }
        assert.same({ 1, "", "a\\x1b[2J\n\nstill serving version 7\n" }, { reload() })
        running.answer.serving, running.answer.text = "seven", 5
        assert.same({ 1, "", "tidewire: m\n\nno version serves yet\n" }, { reload() })
        running.answer = { v = 1, ok = true, seconds = "x" }
        assert.same({ 1, "", "tidewire: what answers at DIR/.tidewire.sock is no tidewire of this version\n" },
            { reload() })
    end)

    it("prints the answer as JSON", function()
        local status, out, err = reload "--json"
        assert.same({ 0, "" }, { status, err })
        assert.same(running.answer, (running.core.json_decode(out)))
        running.answer = { v = 1, ok = false, error = { code = "load", message = "m" }, text = "t", serving = 7 }
        status, out = reload "--json"
        assert.equal(1, status)
        assert.same(running.answer, (running.core.json_decode(out)))
    end)

    it("tells misuse", function()
        local function message(...)
            local status, out, err = reload(...)
            assert.same({ 2, "" }, { status, out })
            assert.equal("Try `tidewire reload --help`.\n", err:match("[^\n]*\n$"))
            return err:match("^[^\n]*")
        end
        for _, share in ipairs { "0", "100%", "x", "5.5", "-1", "10%%", "" } do
            assert.equal(('tidewire: --canary: expected a share from 1%% to 99%%, got "%s"'):format(share),
                message("--canary=" .. share))
        end
        for _, option in ipairs { "--wait", "--force", "--dry-run" } do
            assert.equal(("tidewire: option `%s` can not be used together with option `--certificates`"):format(option),
                message("--certificates", option))
        end
        assert.is_truthy(message("--dry-run", "--wait"):find("can not be used together", 1, true))
        assert.equal(0, #running.asked)
    end)
end)

describe("tidewire rollback", function()
    local running

    before_each(function()
        running = app_that_runs.new()
        running.found = { ".tidewire.sock" }
        running.answer = {
            v = 1, ok = true, version = 7, previous = 8, changed = { "chat.lua" }, added = {}, removed = { "b.lua" },
            unchanged = false, seconds = 0.0004, pause = 0, connections = 1000, held = 0, state = "watching",
        }
    end)

    after_each(function()
        running:finish()
    end)

    it("tells where it has gone", function()
        assert.same({ 0, "rolled back to version 7 in 0.4 ms, 1,000 connections kept\n  changed  chat.lua\n"
            .. "  removed  b.lua\n", "" }, { running:run "rollback" })
        running.answer.unchanged = true
        assert.same({ 0, "version 7 serves already\n", "" }, { running:run("rollback", "7") })
    end)

    it("takes the version and the app in either order", function()
        local path = running.dir.path
        for _, case in ipairs {
            { {}, nil, ".tidewire.sock" },
            { { "7" }, 7, ".tidewire.sock" },
            { { path }, nil, path .. "/.tidewire.sock" },
            { { path, "7" }, 7, path .. "/.tidewire.sock" },
            { { "7", path }, 7, path .. "/.tidewire.sock" },
        } do
            running.asked = {}
            assert.equal(0, (running:run("rollback", table.unpack(case[1]))))
            assert.same({ { v = 1, command = "rollback", to = case[2] }, case[3] },
                { running.asked[1].request, running.asked[1].path })
        end
        for _, n in ipairs { "x", "0", "1.5", "-3", "99999999999" } do
            local status, out, err = running:run("rollback", path, n)
            assert.same({ 2, "" }, { status, out })
            assert.is_truthy(err:find("N: expected the number of a version", 1, true) or n == "-3", err)
        end
    end)

    it("fails with the reason", function()
        running.answer = {
            v = 1, ok = false, error = { code = "version", message = "version 2 is not kept" }, phase = "version",
            text = "tidewire: version 2 is not kept\n", serving = 8,
        }
        assert.same({ 1, "", "tidewire: version 2 is not kept\n\nstill serving version 8\n" },
            { running:run("rollback", "2") })
    end)
end)
