local core = require("support.core").install()
local bundle = require "tidewire.bundle"
local collect = require "tidewire.bundle.collect"
local folder = require "support.folder"
local late = require "tidewire.bundle.late"
local lfs = require "lfs"

describe("collecting a bundle", function()
    local dir

    after_each(function()
        dir:remove()
        core.hook = nil
    end)

    local settings = { limits = { value = {} }, proxies = { value = {} } }

    local function named(text)
        return text and (text:gsub(dir.path:gsub("%p", "%%%0"), "DIR"))
    end

    -- Returns what bundle.open makes of it, or nil, and the report; paths without the folder.
    local function run(files, options)
        dir = files and folder.new(files) or dir
        options = options or {}
        local bytes, told = collect.run {
            app = dir.path .. (options.app or ""), settings = settings, dev = options.dev,
        }
        told.message, told.text, told.file = named(told.message), named(told.text), named(told.file)
        return bytes and bundle.open(bytes), told
    end

    -- Paths below the folder, in one string.
    local function paths(list)
        local out = {}
        for i, path in ipairs(list) do
            out[i] = (path:gsub("^" .. dir.path:gsub("%p", "%%%0") .. "/?", ""))
        end
        return table.concat(out, " ")
    end

    local function files_of(opened)
        local out = {}
        for path in pairs(opened.files) do
            out[#out + 1] = path
        end
        table.sort(out)
        return paths(out)
    end

    local function collected(files, options)
        local opened, told = run(files, options)
        assert.is_not_nil(opened, told.text)
        return opened, told
    end

    local function refused(files, options)
        local opened, told = run(files, options)
        assert.is_nil(opened)
        assert.is_false(told.ok)
        assert.is_false(core.is_loading)
        return told
    end

    local app = "return { message = print }"

    describe("takes", function()
        it("what runs, in its order", function()
            local opened, told = collected {
                ["app.lua"] = 'local b = require "b" require "lib.a" return b', ["b.lua"] = 'require "c" ' .. app,
                ["c.lua"] = "return 1", ["lib/a.lua"] = "return 2", ["unused.lua"] = "return 3",
                ["tidewire.lua"] = "return {}",
            }
            assert.equal("app.lua b.lua c.lua lib/a.lua", paths(opened.loaded))
            assert.equal("app.lua b.lua c.lua lib/a.lua", files_of(opened))
            assert.same({ dir.path .. "/app.lua", dir.path, 1 }, { opened.entry, opened.root, opened.state_version })
            assert.same({ true, opened.hash, 1 }, { told.ok, told.hash, told.state_version })
            assert.equal(4, #told.files)
            assert.same({ path = dir.path .. "/c.lua", hash = core.sha256 "return 1" }, told.files[3])
        end)

        it("what a manifest says of its state", function()
            local opened, told = collected {
                ["app.lua"] = 'return { state_version = 3, routes = { ["/"] = ' .. app:gsub("return ", "") .. " } }",
            }
            assert.same({ 3, 3 }, { opened.state_version, told.state_version })
        end)

        it("what is named for later, and what that names", function()
            local opened = collected {
                ["app.lua"] = 'return { message = function() require "late" local _ = pcall(require, "maybe") end }',
                ["late.lua"] = 'return function() return require("lib.later") end', ["lib/later/init.lua"] = "return 1",
                ["maybe.lua"] = "this is no Lua", ["lib/other.lua"] = "return 2",
            }
            assert.equal("app.lua", paths(opened.loaded))
            assert.equal("app.lua late.lua lib/later/init.lua maybe.lua", files_of(opened))
        end)

        it("libraries of others on package.path, and what they name", function()
            local libs = folder.new { ["their.lua"] = 'return function() require "their_late" end',
                ["their_late.lua"] = "return require(computed)", ["other.lua"] = "return 1" }
            finally(function()
                libs:remove()
            end)
            local opened = collected({
                ["app.lua"] = ('package.path = %q require "their" %s'):format(libs.path .. "/?.lua", app),
                ["unused.lua"] = "return 1",
            })
            local there = {}
            for path in pairs(opened.files) do
                there[#there + 1] = path:match("[^/]+$")
            end
            table.sort(there)
            assert.same({ "app.lua", "their.lua", "their_late.lua" }, there)
            assert.equal(2, #opened.loaded)
        end)

        it("what loadfile reads, which did not run as a module", function()
            local opened = collected {
                ["app.lua"] = 'local _, path = ... assert(loadfile((path:gsub("app.lua$", "data.lua"))))() ' .. app,
                ["data.lua"] = "return 1",
            }
            assert.equal("app.lua", paths(opened.loaded))
            assert.equal("app.lua data.lua", files_of(opened))
        end)

        it("everything that a name can reach when the app computes names", function()
            dir = folder.new {
                ["app.lua"] = 'return { message = function(_, name) require(name) end }',
                ["a.lua"] = 'require "lib.named"',
                ["lib/b.lua"] = "no Lua", ["lib/named.lua"] = "return 1", ["lib/deep/c-d.lua"] = "return 1",
                ["lib/read.txt"] = "", ["tidewire.lua"] = "return {}", ["old.version/d.lua"] = "", [".git/e.lua"] = "",
                ["lib/.#b.lua"] = "", ["lib/a b.lua"] = "",
            }
            assert(lfs.link("..", dir.path .. "/lib/up", true))          -- a circle
            assert(lfs.link("deep", dir.path .. "/lib/again", true))     -- another name of what is read already
            assert(lfs.link("gone.lua", dir.path .. "/nowhere.lua", true))
            assert(lfs.link("old.version", dir.path .. "/current", true)) -- the only name of it
            assert.equal("a.lua app.lua current/d.lua lib/b.lua lib/deep/c-d.lua lib/named.lua", files_of(collected()))
        end)

        it("nothing that only a library computes", function()
            local opened = collected {
                ["app.lua"] = 'package.path = "/nowhere/?.lua" ' .. app .. ' -- require(computed)', ["a.lua"] = "",
            }
            assert.equal("app.lua", files_of(opened))
        end)

        it("nothing for names that are no modules", function()
            assert.equal("app.lua", files_of(collected {
                ["app.lua"] = 'return { message = function() require "nowhere" require "../x" require "tidewire.core" '
                    .. 'require "debug" require "string" require "tidewire" end }', ["string.lua"] = "return 1",
            }))
        end)
    end)

    describe("refuses, and says in which phase,", function()
        it("a text that is no Lua, wherever it is", function()
            local told = refused { ["app.lua"] = 'require "a" ' .. app, ["a.lua"] = "\nlocal x = = 1" }
            assert.same({ "compile", "DIR/a.lua:2: unexpected symbol near '='", "DIR/a.lua", 2 },
                { told.phase, told.message, told.file, told.line })
            local shown = "^tidewire: DIR/a.lua:2: .*\n    > 2 | local x = = 1\n        |           ^\n"
            assert.is_truthy(told.text:find(shown), told.text)
            dir:remove()
            told = refused { ["app.lua"] = "return }" }
            assert.same({ "compile", "DIR/app.lua", 1 }, { told.phase, told.file, told.line })
        end)

        it("a text that is no Lua and would be found out by a handler", function()
            local told = refused {
                ["app.lua"] = 'return { message = function() require "late" end }', ["late.lua"] = "x = (",
            }
            assert.same({ "compile", "DIR/late.lua", 1 }, { told.phase, told.file, told.line })
        end)

        it("an error of the app", function()
            local told = refused { ["app.lua"] = 'require "a"', ["a.lua"] = "\n\nerror 'boom'" }
            assert.same({ "load", "DIR/a.lua:3: boom", "DIR/a.lua", 3 },
                { told.phase, told.message, told.file, told.line })
            assert.is_truthy(told.text:find("stack traceback:\n    DIR/a.lua:3: in main chunk\n", 1, true), told.text)
        end)

        it("what acts while it loads", function()
            local told = refused { ["app.lua"] = 'require("tidewire").publish("a", "b") ' .. app }
            assert.equal("load", told.phase)
            assert.is_truthy(told.message:find("not allowed while the app loads", 1, true))
        end)

        it("a contract that is not kept", function()
            local told = refused { ["app.lua"] = "return { mesage = print }" }
            assert.same({ "contract", "DIR/app.lua" }, { told.phase, told.file })
            assert.is_truthy(told.message:find("did you mean `message`?", 1, true))
        end)

        it("a self-check that says no", function()
            local function message(check)
                local told = refused {
                    ["app.lua"] = ('return { routes = { ["/"] = { message = print } }, check = function() %s end }')
                        :format(check),
                }
                dir:remove()
                assert.equal("check", told.phase)
                assert.equal("DIR/app.lua", told.file)
                return told.message
            end
            assert.equal("DIR/app.lua:1: no room", message 'error "no room"')
            assert.equal("DIR/app.lua: check: no database", message 'return nil, "no database"')
            assert.equal("DIR/app.lua: check: no database", message 'return false, "no database"')
            assert.equal("DIR/app.lua: check returned false; to say why: return nil, message", message "return false")
            assert.is_truthy(message('require("tidewire").send("a", "b")'):find("not allowed while", 1, true))
            for _, fine in ipairs { "", "return nil", "return true", "return 0, 'x'" } do
                local _, told = collected { ["app.lua"] = ('return { routes = { ["/"] = { message = print } }, '
                    .. 'check = function() %s end }'):format(fine) }
                assert.is_true(told.ok)
                dir:remove()
            end
            dir = folder.new {}
        end)

        it("an app that is not there", function()
            local told = refused {}
            assert.same({ "read", "DIR: the folder has no app.lua" }, { told.phase, told.message })
            told = refused(false, { app = "/b.lua" })
            assert.same({ "read", "cannot open DIR/b.lua: No such file or directory" }, { told.phase, told.message })
        end)

        it("too many folders", function()
            local most = late.folders_most
            finally(function()
                late.folders_most = most
            end)
            late.folders_most = 3
            local files = { ["app.lua"] = "return { message = function(_, n) require(n) end }", ["a/b/c.lua"] = "" }
            assert.is_true(select(2, collected(files)).ok)
            dir:remove()
            files["d/e.lua"] = ""
            local told = refused(files)
            assert.same({ "read", "more than 3 folders below DIR: give the app a folder of its own; it is read because "
                .. "DIR/app.lua:1 requires modules by names that are computed" }, { told.phase, told.message })
        end)

        it("more than 64 MiB", function()
            local most = bundle.most
            finally(function()
                bundle.most = most
            end)
            bundle.most = 2 * 1024 * 1024
            local big = 'return "' .. ("x"):rep(1200000) .. '"'
            local told = refused { ["app.lua"] = 'require "a" require "b" ' .. app, ["a.lua"] = big, ["b.lua"] = big }
            assert.same({ "read", "cannot open DIR/b.lua: File too large: all sources of an app together may have "
                .. "2 MiB; keep data in files that the app reads with io.open" }, { told.phase, told.message })
            dir:remove()
            told = refused {
                ["app.lua"] = 'require "a" ' .. app, ["a.lua"] = ("-"):rep(bundle.most - 100) .. "\nreturn 1",
            }
            assert.same({ "read", "the app's sources have 2.0 MiB, and a version may have 2 MiB; the largest is "
                .. "DIR/a.lua (2.0 MiB). Keep data in files that the app reads with io.open" },
                { told.phase, told.message })
        end)
    end)

    it("shows local variables in dev, and not otherwise", function()
        core.limited = require("support.limited")
        local files = { ["app.lua"] = 'local port, name = 8080, "x\\ny"\nlocal t = { 1, a = {} }\nerror "boom"' }
        local told = refused(files, { dev = true })
        local shown = "\nlocal variables:\n    port = 8080\n    name = \"x\\ny\"\n    t = { 1, a = {} }\n"
        assert.is_truthy(told.text:find(shown, 1, true), told.text)
        dir:remove()
        assert.is_nil(refused(files).text:find("local variables", 1, true))
    end)

    describe("when files change meanwhile", function()
        -- Calls fn after the read of each file.
        local function after_read(fn)
            local read = core.read
            finally(function()
                core.read = read
            end)
            function core.read(...)
                local results = table.pack(read(...))
                fn((...))
                return table.unpack(results, 1, results.n)
            end
        end

        local files = { ["app.lua"] = 'return require "a"', ["a.lua"] = app }

        it("reads all of it again", function()
            local count = 0
            after_read(function(path)
                if path:find("a.lua$") and not path:find("app.lua$") and count < 4 then
                    count = count + 1
                    dir:write("app.lua", 'return require "a" -- ' .. ("x"):rep(count))
                end
            end)
            local opened = collected(files)
            assert.equal('return require "a" -- xxxx', opened.files[dir.path .. "/app.lua"])
            assert.equal(4, count)
        end)

        it("gives up at the fifth time", function()
            local count = 0
            after_read(function(path)
                if path:find("a.lua$") and not path:find("app.lua$") then
                    count = count + 1
                    dir:write("app.lua", 'return require "a" -- ' .. ("x"):rep(count))
                end
            end)
            local told = refused(files)
            assert.same({ "read", "DIR/app.lua has changed each time while the app was read (5 times): wait until what "
                .. "writes there has ended, and try again" }, { told.phase, told.message })
            assert.equal(5, count)
        end)

        it("does not believe an error in half of a change", function()
            local done
            after_read(function(path)
                if path:find("app.lua$") and not done then
                    done = true
                    dir:write("app.lua", "return { message = print }")
                end
            end)
            assert.equal("app.lua", files_of(collected { ["app.lua"] = "return }" }))
        end)

        it("notices a file that was not there before", function()
            local done
            after_read(function(path)
                if path:find("a/init.lua$") and not done then
                    done = true
                    dir:write("a.lua", app)
                end
            end)
            assert.equal("a.lua app.lua", files_of(collected { ["app.lua"] = files["app.lua"], ["a/init.lua"] = app }))
        end)

        it("notices a file that vanishes", function()
            local done
            after_read(function(path)
                if path:find("a.lua$") and not path:find("app.lua$") and not done then
                    done = true
                    assert(os.remove(path))
                end
            end)
            local told = refused(files)
            assert.equal("load", told.phase)
            assert.is_truthy(told.message:find("^DIR/app.lua:1: module `a` not found"), told.message)
        end)
    end)

    describe("tells which folders to watch:", function()
        it("those of what was read, or looked for in the app's folder", function()
            local _, told = collected {
                ["app.lua"] = 'require "lib.a" pcall(require, "new.b") require "sub.c" ' .. app,
                ["lib/a.lua"] = "return 1",
                ["sub/c/init.lua"] = "return 1", ["other/x.lua"] = "",
            }
            assert.equal(" lib sub sub/c", paths(told.watch))
        end)

        it("after a failure too", function()
            assert.equal(" lib", paths(refused { ["app.lua"] = 'require "lib.a"', ["lib/a.lua"] = "error 'x'" }.watch))
            dir:remove()
            assert.equal("", paths(refused {}.watch))
            assert.equal("", paths(refused(false, { app = "/gone/app.lua" }).watch))
        end)

        it("those of symbolic links, and of what they lead to", function()
            dir = folder.new {
                ["releases/1/app.lua"] = 'require "a" ' .. app, ["shared/lib/a.lua"] = "return 1", ["live/x"] = "",
            }
            assert(lfs.link("../releases/1", dir.path .. "/live/current", true))
            assert(lfs.link("../../shared/lib/a.lua", dir.path .. "/releases/1/a.lua", true))
            local _, told = collected(false, { app = "/live/current" })
            local seen = {}
            for _, path in ipairs(told.watch) do
                seen[assert(lfs.attributes(path, "ino"))] = true
            end
            for _, wanted in ipairs { "live", "releases/1", "shared/lib", "releases" } do
                assert.is_true(seen[lfs.attributes(dir.path .. "/" .. wanted, "ino")], wanted)
            end
        end)
    end)
end)
