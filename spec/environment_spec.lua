local chunk = require "tidewire.chunk"
local environment = require "tidewire.environment"

-- Runs a text in a new environment. Returns what pcall does.
local function run(text, options)
    options = options or {}
    local sources = {}
    local env = environment.new {
        libraries = environment.libraries(), sources = sources, open = options.open,
        require = options.require,
        read = options.read or function()
            return nil, "No such file or directory", 2
        end,
    }
    local compiled, message = chunk.compile(text, "x.lua", env, sources)
    assert(compiled, message)
    return pcall(compiled)
end

local function result(text, options)
    local ok, value = run(text, options)
    assert.is_true(ok, value)
    return value
end

local function message(text, options)
    local ok, said = run(text, options)
    assert.is_false(ok)
    return said
end

describe("an app's globals", function()
    it("are those of Lua", function()
        assert.equal("Lua 5.4", result "return _VERSION")
        assert.equal(2, result "return select('#', pcall(error))")
        assert.equal("table", result "return type(table and utf8 and coroutine and io and math)")
        assert.is_true(result "return _G == _ENV")
    end)

    it("tell how the runtime's module comes by its name, where there is require", function()
        local options = { require = print }
        assert.equal('x.lua:1: undeclared global `tidewire`: write `local tidewire = require "tidewire"`',
            message("return tidewire.now()", options))
        assert.equal('x.lua:1: assignment to undeclared global `tidewire`: write `local tidewire = require "tidewire"`',
            message("tidewire = 1", options))
        assert.equal("x.lua:1: undeclared global `tidewire`", message "return tidewire.now()")
    end)

    it("tell a name that is not declared, and the nearest that is", function()
        assert.equal("x.lua:1: undeclared global `pritn` (did you mean `print`?)", message "pritn(1)")
        assert.equal("x.lua:1: undeclared global `colour`", message "return colour")
        assert.equal("x.lua:1: undeclared global `colour`", message "return _G.colour")
        assert.equal("x.lua:3: undeclared global `mesages` (did you mean `messages`?)",
            message "local messages = {}\nlocal function f()\nreturn mesages[1]\nend\nf()")
        assert.equal("x.lua:1: undeclared global `conection` (did you mean `connection`?)",
            message "local function f(ws, connection) return conection end f()")
        assert.equal("x.lua:1: undeclared global `brodcast` (did you mean `broadcast`?)",
            message "local function broadcast() end brodcast()")
    end)

    it("tell a name that is written and was not declared", function()
        assert.equal("x.lua:1: assignment to undeclared global `count`: write `local count`", message "count = 1")
        assert.equal("x.lua:1: assignment to undeclared global `answer`: write `local answer`",
            message "function answer() end")
        assert.equal("x.lua:2: assignment to undeclared global `cuont` (did you mean `count`?)",
            message "local count = 0\ncuont = 1")
    end)

    it("stay closed", function()
        assert.equal("x.lua:1: cannot change a protected metatable", message "setmetatable(_G, nil)")
        assert.equal("tidewire.environment", result "return getmetatable(_G)")
    end)

    it("say why some names of Lua are not there", function()
        assert.equal("x.lua:1: no global `debug`: the debug library is not open to apps", message "debug.traceback()")
        assert.equal("x.lua:1: no global `unpack`: it is of Lua 5.1; use table.unpack", message "unpack {}")
    end)

    it("have no way out of the runtime", function()
        assert.equal("x.lua:1: os.exit would end the worker and with it every connection: raise an error, or close "
            .. "connections with ws:close()", message "os.exit(1)")
        assert.equal("function", type(os.exit))
    end)

    it("are not shared", function()
        assert.is_nil(result "math.mine = 1 return nil")
        assert.is_nil(rawget(math, "mine"))
        assert.is_nil(result "return math.mine")
    end)

    it("keep methods of strings", function()
        assert.equal("AB", result "return ('ab'):upper()")
        assert.is_true(result "return string == getmetatable('').__index")
    end)
end)

describe("the globals of somebody else's library", function()
    it("are open, and its own", function()
        assert.is_nil(result("return colour", { open = true }))
        assert.equal(5, result("colour = 5 return _G.colour", { open = true }))
        assert.is_nil(rawget(_G, "colour"))
    end)
end)

describe("load, loadfile and dofile", function()
    local bytecode = string.dump(function() end)

    it("give the text these globals", function()
        assert.equal(3, result "return load('return math.floor(3.5)')()")
        assert.equal('[string "return colour"]:1: undeclared global `colour`', message "load('return colour')()")
        assert.equal(7, result "return load('return x', 'name', 't', { x = 7 })()")
        assert.equal(1, result "local i = 0 return load(function() i = i + 1 return ({'return ', '1'})[i] end)()")
        assert.is_false(result "return (pcall(load('return x', 'name', 't', nil)))")
    end)

    it("refuse bytecode", function()
        local refused = "return select(2, load(%q%s))"
        assert.equal("attempt to load a binary chunk (mode is 't')", result(refused:format(bytecode, "")))
        assert.equal('load: only source text is loaded, not mode "b"', result(refused:format(bytecode, ", 'x', 'b'")))
        assert.equal("attempt to load a binary chunk (mode is 't')", result(refused:format(bytecode, ", 'x', 'bt'")))
        local read = function()
            return bytecode
        end
        assert.equal("b.lua: is precompiled Lua; only source text is loaded",
            result("return select(2, loadfile('b.lua'))", { read = read }))
        assert.equal('loadfile: only source text is loaded, not mode "b"',
            result("return select(2, loadfile('b.lua', 'b'))", { read = read }))
        assert.equal("b.lua: is precompiled Lua; only source text is loaded",
            message("dofile('b.lua')", { read = read }))
    end)

    it("read through the function that was given", function()
        local function read(path)
            if path == "f.lua" then
                return "return ..., print"
            elseif path == "bad.lua" then
                return "return }"
            end
            return nil, "No such file or directory", 2
        end
        assert.is_true(result("local a, p = loadfile('f.lua')(5) return a == 5 and p == print", { read = read }))
        assert.is_true(result("local a, p = dofile('f.lua') return a == nil and p == print", { read = read }))
        assert.equal(9, result("return select(2, loadfile('f.lua', 't', { print = 9 })(1))", { read = read }))
        assert.equal("bad.lua:1: unexpected symbol near '}'",
            result("return select(2, loadfile('bad.lua'))", { read = read }))
        assert.equal("cannot open g.lua: No such file or directory",
            result("return select(2, loadfile('g.lua'))", { read = read }))
        assert.equal("cannot open g.lua: No such file or directory", message("dofile('g.lua')", { read = read }))
    end)

    it("want a file's name", function()
        assert.equal("x.lua:1: bad argument #1 to 'dofile' (a file's name expected, got nil)", message "dofile()")
        assert.equal("x.lua:1: bad argument #1 to 'loadfile' (a file's name expected, got nil)", message "loadfile()")
    end)
end)

describe("chunk.compile", function()
    it("skips a byte order mark and a first line for the shell, and keeps the line numbers", function()
        local sources = {}
        assert.equal(1, assert(chunk.compile("\xEF\xBB\xBF#!/usr/bin/env tidewire\nreturn 1", "x.lua", {}, sources))())
        local _, said = chunk.compile("#!/usr/bin/env tidewire\nreturn }", "x.lua", {}, sources)
        assert.equal("x.lua:2: unexpected symbol near '}'", said)
    end)

    it("notes the text under the name that Lua uses", function()
        local sources = {}
        local path = ("a"):rep(40) .. "/" .. ("b"):rep(40) .. ".lua"
        local _, said = chunk.compile("return }", path, {}, sources)
        local short = said:match("^(.-):1:")
        assert.not_equal(path, short)
        assert.same({ path = path, text = "return }" }, sources[short])
    end)
end)
