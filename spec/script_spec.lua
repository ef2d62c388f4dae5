local support = require "support.core"
local folder = require "support.folder"

describe("a script of exec", function()
    local core, loader, script, dir

    before_each(function()
        core = support.install()
        loader, script = require "tidewire.loader", require "tidewire.script"
        function core.exit(status)
            core.status = status
            error("ended", 0)
        end
    end)

    after_each(function()
        dir:remove()
    end)

    -- Runs the text; returns the status, what was written to stderr, and the folder.
    local function run(text, arguments, files)
        dir = folder.new(files)
        dir:write("a.lua", text)
        local path = dir.path .. "/a.lua"
        local written = {}
        local status = script.run({
            file = path, entry = assert(loader.locate(path)), arguments = arguments or {},
        }, { write = function(_, ...)
            written[#written + 1] = table.concat { ... }
        end })
        return status, (table.concat(written):gsub(dir.path:gsub("%p", "%%%0"), "DIR"))
    end

    it("has its arguments, as `arg` and as ...", function()
        local status, err = run([[
            local probe = require "probe"
            assert(select("#", ...) == 2 and (...) == "x" and arg[1] == "x" and arg[2] == "-y" and #arg == 2)
            assert(arg[0]:find("/a.lua$"))
            assert(probe.arguments == arg)
        ]], { "x", "-y" }, { ["probe.lua"] = "return { arguments = arg }" })
        assert.same({ 0, "" }, { status, err })
    end)

    it("has the closed environment of an app", function()
        local status, err = run "local x = 1\nprnt(x)"
        assert.equal(1, status)
        assert.is_truthy(err:find("tidewire: DIR/a.lua:2: undeclared global `prnt` (did you mean `print`?)", 1, true),
            err)
        assert.is_truthy(err:find("> 2 | prnt(x)", 1, true), err)
    end)

    it("has errors told with the calls that led there", function()
        local status, err = run "local function inner() error 'deep' end\nlocal function outer() inner() end\nouter()"
        assert.equal(1, status)
        assert.is_truthy(err:find("tidewire: DIR/a.lua:1: deep", 1, true), err)
        assert.is_truthy(err:find("stack traceback:", 1, true), err)
        assert.is_truthy(err:find("in local 'outer'", 1, true), err)
        status, err = run "x = = 1"
        assert.equal(1, status)
        assert.is_truthy(err:find("tidewire: DIR/a.lua:1: unexpected symbol near '='", 1, true), err)
    end)

    it("ends with the status of os.exit", function()
        for code, status in pairs {
            [""] = 0, ["true"] = 0, ["false"] = 1, ["0"] = 0, ["3"] = 3, ["3.0"] = 3, ["true, true"] = 0,
        } do
            core.status = nil
            run(("os.exit(%s)"):format(code))
            assert.equal(status, core.status, code)
            dir:remove()
        end
        local result, err = run "os.exit 'x'"
        assert.equal(1, result)
        assert.is_truthy(err:find("DIR/a.lua:1: bad argument #1 to 'exit' "
            .. '(true, false or a whole number expected, got "x")', 1, true), err)
    end)

    it("has no status of its own", function()
        assert.equal(0, (run "return 3"))
        assert.equal(0, #core.calls)
    end)

    it("is told when it looks like an app", function()
        assert.equal(0, (run "return { message = print }"))
        assert.equal("warn", core.calls[1][2])
        assert.is_truthy(core.calls[1][3]:find("`tidewire run`", 1, true))
    end)

    it("has errors of its tasks logged", function()
        run "return"
        core.report("spawn", "boom", "")
        assert.same({ "log", "error", "boom", { where = "spawn" }, {} }, core.calls[1])
    end)
end)
