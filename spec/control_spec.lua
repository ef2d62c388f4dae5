local support = require "support.core"
local streams = require "support.streams"
local folder = require "support.folder"

describe("the commands to a running app", function()
    local core, cli, dir, asked

    before_each(function()
        core = support.install()
        cli = require "tidewire.cli"
        dir = folder.new { ["app.lua"] = "", ["other.lua"] = "" }
        asked = {}
        core.answer = { v = 1, ok = true, certificates = {} }
        function core.control_ask(path, line, seconds)
            asked[#asked + 1] = { path = path, line = line, seconds = seconds }
            if type(core.answer) == "table" then
                return core.json_encode(core.answer)
            end
            return nil, "Connection refused", core.answer
        end
        function core.control_find()
            return core.found
        end
    end)

    after_each(function()
        dir:remove()
    end)

    local function run(...)
        local captured = streams.new()
        local status = cli.main({ ... }, captured)
        return status, captured.out.text(), (captured.err.text():gsub(dir.path:gsub("%p", "%%%0"), "DIR"))
    end

    it("ask the app that is named", function()
        for path, arguments in pairs {
            ["/.tidewire.sock"] = { dir.path },
            ["/.tidewire-other.sock"] = { dir.path .. "/other.lua" },
            ["/x.sock"] = { "--control", dir.path .. "/x.sock", dir.path },
        } do
            asked = {}
            assert.equal(0, (run("reload", "--certificates", table.unpack(arguments))))
            assert.equal(dir.path .. path, asked[1].path)
            assert.same({ v = 1, command = "certificates" }, require("tidewire.json").decode(asked[1].line))
            assert.equal("\n", asked[1].line:sub(-1))
        end
        dir:write("tidewire.lua", 'return { control = "set.sock" }')
        assert.equal(0, (run("reload", "--certificates", dir.path)))
        assert.equal(dir.path .. "/set.sock", asked[#asked].path)
    end)

    it("find the app of this folder", function()
        core.found = { ".tidewire.sock" }
        assert.equal(0, (run("reload", "--certificates")))
        assert.equal(".tidewire.sock", asked[1].path)
        core.found = {}
        assert.same({ 1, "", "tidewire: no app runs from this folder; name the app, or give --control\n" },
            { run("reload", "--certificates") })
        core.found = { ".tidewire-a.sock", ".tidewire.sock" }
        assert.same({ 1, "", "tidewire: several apps run from this folder: .tidewire-a.sock, .tidewire.sock; "
            .. "name the app, or give --control\n" }, { run "status" })
    end)

    it("print what was done", function()
        core.answer.certificates[1] = { file = "a.pem", names = "a.example", ["until"] = "2030-01-02" }
        core.answer.certificates[2] = { file = "b.pem", names = "", ["until"] = "2020-01-02", warning = "has expired" }
        assert.same({ 0, "new certificates are in use\n  a.pem: a.example, until 2030-01-02\n"
            .. "  b.pem: no names, until 2020-01-02 (has expired)\n", "" },
            { run("reload", "--certificates", dir.path) })
    end)

    it("fail with 1, and say why", function()
        core.answer = { v = 1, ok = false, error = { code = "certificates", message = "cannot read it" } }
        assert.same({ 1, "", "tidewire: cannot read it\n" }, { run("reload", "--certificates", dir.path) })
        core.answer = "gone"
        assert.same({ 1, "", "tidewire: cannot ask the app at DIR/.tidewire.sock: nobody answers there; "
            .. "is the app running?\n" }, { run("status", dir.path) })
        core.answer = "control"
        assert.same({ 1, "", "tidewire: cannot ask the app at DIR/.tidewire.sock: Connection refused\n" },
            { run("status", dir.path) })
        core.answer = { v = 2, ok = true }
        assert.same({ 1, "", "tidewire: what answers at DIR/.tidewire.sock is no tidewire of this version\n" },
            { run("status", dir.path) })
        assert.same({ 1, "", "tidewire: the control socket is off (--control)\n" },
            { run("status", "--control", "off", dir.path) })
        assert.same({ 1, "", "tidewire: cannot open DIR/none: No such file or directory\n" },
            { run("status", dir.path .. "/none") })
    end)

    it("fail with 2 when the command line is wrong", function()
        local status, out, err = run("reload", "--certificate", dir.path)
        assert.same({ 2, "" }, { status, out })
        assert.is_truthy(err:find("unknown option `--certificate` (did you mean `--certificates`?)", 1, true))
        assert.same({ 2, "", 'tidewire: --control: expected a path or "off", got ""\n' },
            { run("status", "--control", "", dir.path) })
    end)

    it("do without the settings when the flag tells the place", function()
        dir:write("tidewire.lua", "return {")
        assert.equal(1, (run("status", dir.path)))
        assert.equal(0, (run("reload", "--certificates", dir.path, "--control", "x.sock")))
        assert.equal("x.sock", asked[1].path)
    end)

    it("do not trust who answers", function()
        local strange = { 1, "", "tidewire: what answers at DIR/.tidewire.sock is no tidewire of this version\n" }
        for _, answer in ipairs {
            {}, { v = 1 }, { v = 1, ok = 1 }, { v = 1, ok = false }, { v = 1, ok = false, error = "why" },
            { v = 1, ok = false, error = { message = 7 } }, { v = 1, ok = true }, { v = 1, ok = true, workers = {} },
        } do
            core.answer = answer
            assert.same(strange, { run("status", dir.path) })
        end
        local message = "a\27[2Jb\0\194\155c\127\tin\nlines \195\164"
        core.answer = { v = 1, ok = false, error = { code = "x", message = message } }
        assert.same({ 1, "", "tidewire: a\\x1b[2Jb\\x00\\x9bc\\x7f\tin\nlines \195\164\n" },
            { run("status", dir.path) })
        core.answer = { v = 1, ok = true, certificates = { { file = "\27]0;x\7", names = "", ["until"] = "?" } } }
        assert.same({ 0, "new certificates are in use\n  \\x1b]0;x\\x07: no names, until ?\n", "" },
            { run("reload", "--certificates", dir.path) })
    end)

    it("answer in JSON", function()
        local function decoded(...)
            local status, out, err = run(...)
            assert.equal("", err)
            return status, require("tidewire.json").decode(out)
        end
        assert.same({ 0, { v = 1, ok = true, certificates = {} } },
            { decoded("reload", "--certificates", "--json", dir.path) })
        core.answer = { v = 1, ok = false, error = { code = "certificates", message = "why" } }
        assert.same({ 1, core.answer }, { decoded("status", "--json", dir.path) })
        core.answer = "gone"
        local status, answer = decoded("status", "--json", dir.path)
        assert.same({ 1, false, "gone" }, { status, answer.ok, answer.error.code })
    end)
end)
