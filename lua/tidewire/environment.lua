--- The globals of an app: private to one generation, closed against typing errors, and without
-- the ways out of the runtime (bytecode, C libraries, the debug library, os.exit).
local chunk = require "tidewire.chunk"
local class = require "tidewire.class"
local nearest = require "tidewire.nearest"

local environment = {}

local base = {
    "_VERSION", "assert", "collectgarbage", "error", "getmetatable", "ipairs", "next", "pairs", "pcall",
    "print", "rawequal", "rawget", "rawlen", "rawset", "select", "setmetatable", "tonumber", "tostring",
    "type", "warn", "xpcall",
}

-- Names that somebody may well expect, and what to say about them.
local absent = {
    debug = "the debug library is not open to apps",
    getfenv = "it is of Lua 5.1; this is Lua 5.4",
    loadstring = "it is of Lua 5.1; use load",
    module = "it is of Lua 5.1; return a table from the file",
    setfenv = "it is of Lua 5.1; this is Lua 5.4",
    unpack = "it is of Lua 5.1; use table.unpack",
}

--- Why a name of Lua's own is not there, or nil.
function environment.why_absent(name)
    return absent[name]
end

local function copy(library)
    local out = {}
    for key, value in pairs(library) do
        out[key] = value
    end
    return out
end

--- New copies of the standard libraries as an app sees them. `string` is the real one: it is what
-- methods of strings are looked up in.
function environment.libraries()
    local os_copy = copy(os)
    function os_copy.exit()
        error("os.exit would end the worker and with it every connection: raise an error, or close "
            .. "connections with ws:close()", 2)
    end
    return {
        coroutine = copy(coroutine),
        io = copy(io),
        math = copy(math),
        os = os_copy,
        string = string,
        table = copy(table),
        utf8 = copy(utf8),
    }
end

-- The names that a text declares as local variables, functions and parameters: a global that is not
-- there is most often one of them, misspelt.
local function local_names(text)
    local names = {}
    local function add(list)
        for name in list:gmatch("[%a_][%w_]*") do
            names[#names + 1] = name
        end
    end
    for list in text:gmatch("local[ \t]+([%w_, \t]+)") do
        add((list:gsub("^function%f[^%w_]", "")))
    end
    for list in text:gmatch("function[%w_.: \t]*%(([%w_, \t]+)") do
        add(list)
    end
    return names
end

-- " (did you mean ...?)", or what to write, for a name that the function at this level used.
local function hint_for(name, env, sources, level)
    if name == "tidewire" and rawget(env, "require") then
        return ': write `local tidewire = require "tidewire"`'
    end
    local info = debug.getinfo(level + 1, "S")
    local source = info and sources[info.short_src]
    local names = local_names(source and source.text or "")
    for global in pairs(env) do
        names[#names + 1] = global
    end
    return nearest.hint(name, names)
end

local function close(env, sources)
    setmetatable(env, {
        __metatable = "tidewire.environment",
        __index = function(_, name)
            local why = absent[name]
            if why then
                error(("no global `%s`: %s"):format(name, why), 2)
            end
            error(("undeclared global `%s`%s"):format(tostring(name), hint_for(name, env, sources, 2)), 2)
        end,
        __newindex = function(_, name)
            local hint = hint_for(name, env, sources, 2)
            error(("assignment to undeclared global `%s`%s"):format(tostring(name),
                hint ~= "" and hint or (": write `local %s`"):format(tostring(name))), 2)
        end,
    })
end

-- load, loadfile and dofile for one environment: text only, and its globals unless told otherwise.
local function add_loading(env, read, sources)
    function env.load(source, name, mode, ...)
        if mode ~= nil and not tostring(mode):find("t", 1, true) then
            return nil, ("load: only source text is loaded, not mode %q"):format(tostring(mode))
        end
        local globals = env
        if select("#", ...) > 0 then
            globals = ...
        end
        return load(source, name, "t", globals)
    end
    function env.loadfile(path, mode, ...)
        if type(path) ~= "string" then
            error("bad argument #1 to 'loadfile' (a file's name expected, got " .. type(path) .. ")", 2)
        elseif mode ~= nil and not tostring(mode):find("t", 1, true) then
            return nil, ("loadfile: only source text is loaded, not mode %q"):format(tostring(mode))
        end
        local text, message = read(path)
        if not text then
            return nil, ("cannot open %s: %s"):format(path, message)
        end
        local globals = env
        if select("#", ...) > 0 then
            globals = ...
        end
        return chunk.compile(text, path, globals, sources)
    end
    function env.dofile(path)
        if type(path) ~= "string" then
            error("bad argument #1 to 'dofile' (a file's name expected, got " .. type(path) .. ")", 2)
        end
        local run, message = env.loadfile(path)
        if not run then
            error(message, 0)
        end
        return run()
    end
end

-- Lua's own, but that the metatable may be a class. (getmetatable gives the class as it is.)
local function set_metatable(object, ...)
    return (class.set_metatable(2, object, ...))
end

--- A table of globals. options:
--   libraries  from environment.libraries()
--   package    the app's `package` table, or nil
--   require    its `require`, or nil
--   read       function(path) -> text, or nil, message: what loadfile and dofile read with
--   sources    where compiled texts are noted (see chunk)
--   open       true: for libraries of others, written without these rules in mind. Reading an
--              undeclared global is nil, and writing one is allowed; it stays in this table.
function environment.new(options)
    local env = {}
    for _, name in ipairs(base) do
        env[name] = _G[name]
    end
    for name, library in pairs(options.libraries) do
        env[name] = library
    end
    env.setmetatable = set_metatable
    env._G = env
    env.package = options.package
    env.require = options.require
    add_loading(env, options.read, options.sources)
    if not options.open then
        close(env, options.sources)
    end
    return env
end

return environment
