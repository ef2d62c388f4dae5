local app_that_runs = require "support.app_that_runs"

describe("tidewire versions", function()
    local running

    before_each(function()
        running = app_that_runs.new()
    end)

    after_each(function()
        running:finish()
    end)

    local function versions(...)
        return running:run("versions", running.dir.path, ...)
    end

    it("lists them, the newest first", function()
        local hash = ("0123456789abcdef"):rep(4)
        running.answer = {
            v = 1, ok = true, current = 9,
            versions = {
                { version = 8, hash = hash, time = 1700000000.7, state = "rolled back", files = 1, bytes = 812,
                  state_version = 1, reason = "5 errors in 20 calls" },
                { version = 9, hash = hash, time = 1700000100, state = "current", files = 12, bytes = 34918,
                  state_version = 1 },
            },
        }
        local function at(time)
            return os.date("%Y-%m-%d %H:%M:%S", time)
        end
        assert.same({ 0, ("9  current      %s  12 files  34.1 KiB  0123456789ab\n"):format(at(1700000100))
            .. ("8  rolled back  %s  1 file    812 B     0123456789ab\n"):format(at(1700000000))
            .. "  5 errors in 20 calls\n", "" }, { versions() })
        assert.same({ v = 1, command = "versions" }, running.asked[1].request)
    end)

    describe("with --diff", function()
        local diff = "--- chat.lua (version 7)\n+++ chat.lua (version 8)\n@@ -1,3 +1,3 @@\n same\n--- a comment gone\n"
            .. "+++ x\n\\ No newline at end of file\n"

        before_each(function()
            running.answer = {
                v = 1, ok = true, from = 7, to = 8, files = {
                    { path = "chat.lua", change = "changed", diff = diff },
                    { path = "b.lua", change = "added", diff = "--- /dev/null\n+++ b.lua\n@@ -0,0 +1 @@\n+\27[2J\n" },
                },
            }
        end)

        it("prints what patch takes", function()
            assert.same({ 0, diff .. "--- /dev/null\n+++ b.lua\n@@ -0,0 +1 @@\n+\\x1b[2J\n", "" },
                { versions("--diff", "7", "8") })
            assert.same({ v = 1, command = "versions", diff = { 7, 8 } }, running.asked[1].request)
        end)

        it("colours it on a terminal, and knows heads from lines", function()
            running.coloured = true
            local _, out = versions("--diff", "7", "8")
            assert.equal("\27[1m--- chat.lua (version 7)\27[0m\n\27[1m+++ chat.lua (version 8)\27[0m\n"
                .. "\27[36m@@ -1,3 +1,3 @@\27[0m\n same\n\27[31m--- a comment gone\27[0m\n\27[32m+++ x\27[0m\n"
                .. "\27[2m\\ No newline at end of file\27[0m\n\27[1m--- /dev/null\27[0m\n\27[1m+++ b.lua\27[0m\n"
                .. "\27[36m@@ -0,0 +1 @@\27[0m\n\27[32m+\\x1b[2J\27[0m\n", out)
        end)

        it("tells that nothing differs", function()
            running.answer.files = {}
            assert.same({ 0, "versions 7 and 8 have the same files\n", "" }, { versions("--diff", "7", "8") })
        end)

        it("tells misuse", function()
            local _, _, err = versions("--diff", "7", "x")
            assert.equal('tidewire: --diff: expected the number of a version, got "x"', err:match("^[^\n]*"))
            assert.equal(2, (versions("--diff", "7")))
        end)
    end)
end)
