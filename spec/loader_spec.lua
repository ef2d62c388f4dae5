require("support.core").install()
local folder = require "support.folder"
local lfs = require "lfs"
local loader = require "tidewire.loader"
local source = require "tidewire.source"

describe("loader", function()
    local dir
    local public = { version = "test" }

    after_each(function()
        if dir then
            dir:remove()
            dir = nil
        end
    end)

    -- Loads an app of these files; its messages name the folder as DIR.
    local function load_app(files, options)
        dir = folder.new(files)
        options = options or {}
        local generation, message, told = loader.load {
            app = dir.path .. (options.app or ""), public = public, path = options.path, read = options.read,
        }
        return generation, message and message:gsub(dir.path:gsub("%p", "%%%0"), "DIR"), told
    end

    local function value(files, options)
        local generation, message = load_app(files, options)
        assert.is_not_nil(generation, message)
        return generation.value, generation
    end

    local function failure(files, options)
        local generation, message, told = load_app(files, options)
        assert.is_nil(generation)
        return message, told
    end

    local function first_line(files, options)
        return (failure(files, options):match("^[^\n]*"))
    end

    describe("finds the script", function()
        it("in a folder, or as a file", function()
            local _, generation = value { ["app.lua"] = "return 1" }
            assert.equal(dir.path .. "/app.lua", generation.file)
            assert.equal(dir.path, generation.root)
            dir:remove()
            _, generation = value({ ["echo.lua"] = "return 2" }, { app = "/echo.lua" })
            assert.equal(dir.path .. "/echo.lua", generation.file)
            assert.equal(dir.path, generation.root)
        end)

        it("and shows the path without what says nothing", function()
            dir = folder.new { ["app.lua"] = "return 1", ["sub/echo.lua"] = "return 2" }
            local before = lfs.currentdir()
            assert(lfs.chdir(dir.path))
            local seen = {}
            for _, path in ipairs { ".", "./", "app.lua", "./app.lua", "sub/echo.lua", "sub//" } do
                local entry = loader.locate(path)
                seen[#seen + 1] = entry and entry.file .. " in " .. entry.root or "none"
            end
            assert(lfs.chdir(before))
            assert.same({
                "app.lua in .", "app.lua in .", "app.lua in .", "app.lua in .", "sub/echo.lua in sub", "none",
            }, seen)
        end)

        it("or says that it is not there", function()
            assert.equal("tidewire: DIR: the folder has no app.lua\n", (failure { ["x.lua"] = "" }))
            dir:remove()
            assert.equal("tidewire: cannot open DIR/y.lua: No such file or directory\n",
                (failure({}, { app = "/y.lua" })))
            local entry, reason = loader.locate("")
            assert.is_nil(entry)
            assert.equal("cannot open : No such file or directory", reason)
            assert.equal("/: the folder has no app.lua", (select(2, loader.locate "/")))
            dir:remove()
            local message, told = failure({ ["x.lua"] = "" }, { app = "/x" })
            assert.equal("tidewire: cannot open DIR/x: No such file or directory (did you mean `DIR/x.lua`?)\n",
                message)
            assert.is_string(told.message)
        end)
    end)

    describe("require", function()
        it("finds modules below the app's root", function()
            assert.same({ "a", "b", "c", "d" }, (value {
                ["app.lua"] = 'return { require "a", require "lib.b", require "c", (require "lib.d") }',
                ["a.lua"] = 'return "a"', ["lib/b.lua"] = 'return "b"', ["c/init.lua"] = 'return "c"',
                ["lib/d/init.lua"] = 'return "d"',
            }))
        end)

        it("gives the name and the path to the module, and the path to the caller", function()
            local got = value { ["app.lua"] = 'return { require "a" }', ["a.lua"] = "return { ... }" }
            assert.same({ { "a", dir.path .. "/a.lua" }, dir.path .. "/a.lua" }, got)
        end)

        it("runs a module once", function()
            assert.same({ 1, 1 }, (value {
                ["app.lua"] = 'local a = require "a" return { a.count, require("a").count }',
                ["a.lua"] = "local a = { count = 0 } a.count = a.count + 1 return a",
            }))
        end)

        it("gives what a module stored itself, and whatever else it returns but nothing", function()
            assert.same({ 5, true, false }, (value {
                ["app.lua"] = 'return { (require "a"), (require "b"), (require "c") }',
                ["a.lua"] = "package.loaded[...] = 5", ["b.lua"] = "return true", ["c.lua"] = "return false",
            }))
        end)

        it("gives the runtime's module, whatever lies in the folder", function()
            assert.equal(public, (value {
                ["app.lua"] = 'return require "tidewire"', ["tidewire.lua"] = "return { workers = 2 }",
            }))
        end)

        it("gives the libraries of Lua as the app sees them", function()
            assert.is_true((value { ["app.lua"] = 'return require "os" == os and require "package" == package' }))
        end)

        it("has a cache for each generation", function()
            local _, first = value { ["app.lua"] = 'return require "a"', ["a.lua"] = "return {}" }
            local second = assert(loader.load { app = dir.path, public = public })
            assert.not_equal(first.value, second.value)
            assert.not_equal(first.env, second.env)
        end)

        it("reads every source through one function", function()
            local read = {}
            local files = { ["x/app.lua"] = 'return require "a" + 1', ["x/a.lua"] = "return 41" }
            local generation, message = loader.load {
                app = "x", public = public, path = "",
                read = function(path)
                    read[#read + 1] = path
                    if path == "x" then
                        return nil, "Is a directory", 21
                    elseif files[path] then
                        return files[path]
                    end
                    return nil, "No such file or directory", 2
                end,
            }
            assert.is_not_nil(generation, message)
            assert.equal(42, generation.value)
            assert.same({ "x", "x/app.lua", "x/a.lua" }, read)
            assert.same({ "x/app.lua", "x/a.lua" }, generation.files)
        end)

        it("loads late, from the same generation", function()
            local fn, generation = value {
                ["app.lua"] = 'return function() return require "late" end', ["late.lua"] = "return {}",
            }
            local late = fn()
            assert.equal(late, fn())
            assert.equal(late, generation.loaded.late)
        end)
    end)

    describe("require of modules that are not the app's", function()
        it("finds them on package.path, and lets them use globals", function()
            local libs = folder.new {
                ["their.lua"] = 'if jit then error "no" end leaked = 5 return { value = leaked, g = _G }',
            }
            finally(function()
                libs:remove()
            end)
            local got, generation = value({
                ["app.lua"] = 'local their = require "their" return { their.value, rawget(_G, "leaked") }',
            }, { path = libs.path .. "/?.lua" })
            assert.same({ 5 }, got)
            assert.same({ generation.file }, generation.files)
        end)

        it("gives true for one that returns nothing", function()
            local libs = folder.new { ["their.lua"] = "local _ = 1" }
            finally(function()
                libs:remove()
            end)
            assert.same({ true, true }, (value({
                ["app.lua"] = 'package.preload.mine = function() end return { (require "their"), (require "mine") }',
            }, { path = libs.path .. "/?.lua" })))
        end)

        it("prefers the app's", function()
            local libs = folder.new { ["a.lua"] = 'return "theirs"' }
            finally(function()
                libs:remove()
            end)
            local got = value({ ["app.lua"] = 'return require "a"', ["a.lua"] = 'return "own"' },
                { path = libs.path .. "/?.lua" })
            assert.equal("own", got)
        end)

        it("does not look in the working directory, unless the app says so", function()
            local message = first_line({ ["app.lua"] = 'return require "nowhere_at_all"' },
                { path = "./?.lua;spec/?.lua" })
            assert.equal("tidewire: DIR/app.lua:1: module `nowhere_at_all` not found; there is none of:", message)
            dir:remove()
            assert.is_table((value({
                ["app.lua"] = 'package.path = "./spec/support/?.lua" return require "request"',
            }, { path = "" })))
        end)
    end)

    describe("tells", function()
        it("a syntax error with file, line, excerpt and caret", function()
            local message, told = failure { ["app.lua"] = "local a = 1\nlocal b = = 2\nreturn a" }
            assert.equal("tidewire: DIR/app.lua:2: unexpected symbol near '='\n\n"
                .. "      1 | local a = 1\n"
                .. "    > 2 | local b = = 2\n"
                .. "        |           ^\n"
                .. "      3 | return a\n", message)
            assert.equal(dir.path .. "/app.lua", told.file)
            assert.equal(2, told.line)
        end)

        it("a syntax error in a module of a module at its own place, without a traceback", function()
            assert.equal("tidewire: DIR/lib/b.lua:1: unexpected symbol near '}'\n\n"
                .. "    > 1 | return }\n"
                .. "        |        ^\n", (failure {
                ["app.lua"] = 'return require "a"', ["a.lua"] = 'return require "lib.b"', ["lib/b.lua"] = "return }\n",
            }))
        end)

        it("an error at run time with the calls that led there", function()
            assert.equal("tidewire: DIR/a.lua:2: boom\n\n"
                .. "      1 | local function f()\n"
                .. '    > 2 |     error "boom"\n'
                .. "      3 | end\n"
                .. "      4 | f()\n"
                .. "\nstack traceback:\n"
                .. "    DIR/a.lua:2: in local 'f'\n"
                .. "    DIR/a.lua:4: in main chunk\n"
                .. "    DIR/app.lua:1: in main chunk\n", (failure {
                ["app.lua"] = 'local a = require "a" return a',
                ["a.lua"] = 'local function f()\n    error "boom"\nend\nf()\n',
            }))
        end)

        it("a module of the app's that forgot its return, where it is required", function()
            assert.equal("tidewire: DIR/app.lua:2: module `lib.forgot` (DIR/lib/forgot.lua) returned nothing: end it "
                .. "with `return`\n\n      1 | local x = 1\n    > 2 | local forgot = require \"lib.forgot\"\n"
                .. "      3 | return forgot.handler\n", (failure {
                ["app.lua"] = 'local x = 1\nlocal forgot = require "lib.forgot"\nreturn forgot.handler',
                ["lib/forgot.lua"] = "local forgot = { handler = {} }",
            }))
            dir:remove()
            assert.equal("tidewire: DIR/app.lua:1: module `forgot` (DIR/forgot.lua) returned nothing: end it with "
                .. "`return`", first_line { ["app.lua"] = 'return require "forgot"', ["forgot.lua"] = "return nil" })
        end)

        it("an undeclared global", function()
            assert.equal("tidewire: DIR/app.lua:2: undeclared global `conut` (did you mean `count`?)\n\n"
                .. "      1 | local count = 0\n"
                .. "    > 2 | return conut\n"
                .. "        |        ^\n", (failure { ["app.lua"] = "local count = 0\nreturn conut" }))
        end)

        it("a circular require, with the whole circle", function()
            assert.equal("tidewire: DIR/c.lua:1: circular require: a -> b -> c -> a", first_line {
                ["app.lua"] = 'return require "a"', ["a.lua"] = 'return require "b"', ["b.lua"] = 'return require "c"',
                ["c.lua"] = 'return require "a"',
            })
            dir:remove()
            assert.equal("tidewire: DIR/a.lua:1: circular require: app -> a -> app", first_line {
                ["app.lua"] = 'return require "a"', ["a.lua"] = 'return require "app"',
            })
        end)

        it("a module that another task is loading just now", function()
            local generation = select(2, value {
                ["app.lua"] = "return require", ["slow.lua"] = "coroutine.yield() return 1",
            })
            local task = coroutine.create(function()
                return (generation.value "slow")
            end)
            assert(coroutine.resume(task))
            local ok, message = pcall(function()
                generation.value "slow"
            end)
            assert.is_false(ok)
            assert.is_truthy(message:find(": module `slow` is being loaded by another task", 1, true), message)
            assert.same({ true, 1 }, { coroutine.resume(task) })
            assert.equal(1, (generation.value "slow"))
        end)

        it("the same error again when a module that failed is required again", function()
            assert.same({ "DIR/bad.lua:1: boom", "DIR/bad.lua:1: boom" }, (function(got)
                for i, message in ipairs(got) do
                    got[i] = message:gsub(dir.path:gsub("%p", "%%%0"), "DIR")
                end
                return got
            end)(value {
                ["app.lua"] = 'local _, a = pcall(require, "bad") local _, b = pcall(require, "bad") return { a, b }',
                ["bad.lua"] = 'error "boom"',
            }))
        end)

        it("bytecode, in the script and in a module", function()
            local bytecode = string.dump(function() end)
            assert.equal("tidewire: DIR/app.lua: is precompiled Lua; only source text is loaded\n",
                (failure { ["app.lua"] = bytecode }))
            dir:remove()
            assert.equal("tidewire: DIR/a.lua: is precompiled Lua; only source text is loaded",
                first_line { ["app.lua"] = 'return require "a"', ["a.lua"] = bytecode })
        end)

        it("a module that is nowhere, where it was looked for, and the nearest", function()
            assert.equal("tidewire: DIR/app.lua:1: module `tidewrie` not found (did you mean `tidewire`?); there is "
                .. "none of:\n    DIR/tidewrie.lua\n    DIR/tidewrie/init.lua\n    /no/such/tidewrie.lua\n\n"
                .. '    > 1 | return require "tidewrie"\n',
                (failure({ ["app.lua"] = 'return require "tidewrie"' }, { path = "/no/such/?.lua" })))
        end)

        it("a module below what is a file", function()
            local message = first_line({ ["app.lua"] = 'return require "a.b"', ["a"] = "" }, { path = "" })
            assert.equal("tidewire: DIR/app.lua:1: module `a.b` not found; there is none of:", message)
        end)

        it("a module that cannot be read", function()
            local message = first_line({ ["app.lua"] = 'return require "a"' }, {
                read = function(path)
                    if path:find("a.lua$") and not path:find("app.lua$") then
                        return nil, "Permission denied", 13
                    end
                    return source.read(path)
                end,
            })
            assert.equal("tidewire: cannot open DIR/a.lua: Permission denied", message)
        end)

        it("names that lead out of the root", function()
            local outside = folder.new { ["secret.lua"] = 'return "secret"', ["app/app.lua"] = "" }
            finally(function()
                outside:remove()
            end)
            for _, name in ipairs {
                "../secret", "..secret", "...secret", "/etc/passwd", "a..b", "a.", ".a", "", "a\\0b", "a b",
            } do
                outside:write("app/app.lua", ('return require "%s"'):format(name))
                local generation, message = loader.load { app = outside.path .. "/app", public = public, path = "" }
                assert.is_nil(generation)
                assert.is_truthy(message:find("bad module name", 1, true), message)
            end
        end)

        it("how a name with slashes is written", function()
            assert.equal("tidewire: DIR/app.lua:1: bad module name `./lib/a.lua`: folders are separated by dots, as in "
                .. 'require "lib.a"', first_line { ["app.lua"] = 'return require "./lib/a.lua"' })
        end)

        it("that the runtime's own modules, debug and C libraries are not for apps", function()
            assert.equal('tidewire: DIR/app.lua:1: module `tidewire.core` is the runtime\'s own; apps have require '
                .. '"tidewire"', first_line { ["app.lua"] = 'return require "tidewire.core"' })
            dir:remove()
            assert.equal("tidewire: DIR/app.lua:1: no module `debug`: the debug library is not open to apps",
                first_line { ["app.lua"] = 'return require "debug"' })
            dir:remove()
            local message = first_line { ["app.lua"] = 'return require "lfs"' }
            assert.is_truthy(message:find("^tidewire: DIR/app.lua:1: module `lfs` is a C library %(/.*/lfs%.so%); "
                .. "an app can require Lua modules only$"), message)
            dir:remove()
            assert.same({ "nil", "nil", "" }, (value {
                ["app.lua"] = "return { type(package.loadlib), type(package.searchers), package.cpath }",
            }))
        end)

        it("a name that is none", function()
            assert.equal("tidewire: DIR/app.lua:1: bad argument #1 to 'require' (a module's name expected, got nil)",
                first_line { ["app.lua"] = "require()" })
        end)
    end)

    describe("in steps", function()
        -- A generation of an opened bundle with these files; those in `loaded` ran when it was made.
        local function begin(files, loaded, options)
            options = options or {}
            return loader.begin {
                bundle = { entry = "x/app.lua", root = "x", files = files, loaded = loaded }, public = public,
                path = options.path or "", version = options.version, read = options.read or function(path)
                    error("the disk is read: " .. path)
                end,
            }
        end

        local function run(generation)
            repeat
                local more, message = loader.compile(generation)
                assert.is_not_nil(more, message)
            until not more
            local ok, message = loader.run(generation)
            assert.is_true(ok, message)
            return generation.value
        end

        it("compiles one file a time, and runs nothing before the end", function()
            local generation = begin({
                ["x/app.lua"] = 'rawget(_G, "seen")() return require "a"', ["x/a.lua"] = 'return require "b"',
                ["x/b.lua"] = "return 5", ["x/late.lua"] = "no Lua",
            }, { "x/app.lua", "x/a.lua", "x/b.lua" })
            local ran = false
            rawset(generation.env, "seen", function()
                ran = true
            end)
            assert.is_true(loader.compile(generation))
            assert.is_true(loader.compile(generation))
            assert.is_false(loader.compile(generation))
            assert.is_false(ran)
            assert.is_true(loader.run(generation))
            assert.is_true(ran)
            assert.equal(5, generation.value)
            assert.same({ "x/app.lua", "x/a.lua", "x/b.lua" }, generation.files)
        end)

        it("says which file is no Lua", function()
            local generation = begin({ ["x/app.lua"] = "return 1", ["x/a.lua"] = "\nreturn }" },
                { "x/app.lua", "x/a.lua" })
            assert.is_true(loader.compile(generation))
            local more, message, told = loader.compile(generation)
            assert.is_nil(more)
            assert.is_truthy(message:find("^tidewire: x/a.lua:2: unexpected symbol near '}'\n"), message)
            assert.same({ "compile", "x/a.lua", 2 }, { told.phase, told.file, told.line })
        end)

        it("compiles a file anew that runs twice, or as a library of others", function()
            local generation = begin({
                ["x/app.lua"] = 'package.path = "x/?.lua" local a = require "lib.a" package.loaded["lib.a"] = nil '
                    .. 'return { a, require "lib.a", (require "b") }',
                ["x/lib/a.lua"] = "local t = {} return t", ["x/b.lua"] = "return 1",
            }, { "x/app.lua", "x/lib/a.lua", "x/b.lua" })
            local value_of = run(generation)
            assert.not_equal(value_of[1], value_of[2])
            assert.equal(1, value_of[3])
            generation = begin({
                ["x/app.lua"] = 'package.path = "x/lib/?.lua" return require "their"',
                ["x/lib/their.lua"] = "leaked = 5 return leaked",
            }, { "x/app.lua", "x/lib/their.lua" })
            assert.equal(5, (run(generation)))
        end)

        it("takes modules from the bundle alone, late ones too", function()
            local generation = begin({
                ["x/app.lua"] = 'return { function() return require "late" end, '
                    .. 'function() return (require "gone") end }',
                ["x/late.lua"] = "return 7",
            }, { "x/app.lua" }, { version = 4, path = "/usr/share/lua/5.4/?.lua" })
            local value_of = run(generation)
            assert.equal(7, value_of[1]())
            local ok, message = pcall(value_of[2])
            assert.is_false(ok)
            assert.equal("x/app.lua:1: module `gone` is not in version 4, which has what was there when it was read: "
                .. "add the file, and where a library computes its name say require \"gone\" as well, then reload",
                message)
        end)

        it("takes what loadfile reads from the bundle, and then from the disk", function()
            local generation = begin({
                ["x/app.lua"] = 'return { dofile "x/data.lua", dofile "/other.lua", (loadfile "/nothing.lua") }',
                ["x/data.lua"] = "return 1",
            }, { "x/app.lua" }, { read = function(path)
                if path == "/other.lua" then
                    return "return 2"
                end
                return nil, "No such file or directory", 2
            end })
            assert.same({ 1, 2 }, (run(generation)))
        end)

        it("has the phase in what it says of a failure", function()
            local function phase(text)
                local generation = begin({ ["x/app.lua"] = text, ["x/bad.lua"] = "return }" }, { "x/app.lua" })
                assert.is_false(loader.compile(generation))
                local ok, _, told = loader.run(generation)
                assert.is_nil(ok)
                return told.phase
            end
            assert.equal("load", phase "error 'x'")
            assert.equal("load", phase "error {}")
            assert.equal("compile", phase "return require 'bad'")
            local generation, _, told = loader.begin { app = "/nowhere/at/all.lua", public = public }
            assert.is_nil(generation)
            assert.equal("read", told.phase)
        end)
    end)
end)
