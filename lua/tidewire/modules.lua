--- The `require` of an app: modules below the app's root, then Lua modules of others. Each generation
-- has a cache of its own, and nothing but text is loaded.
local chunk = require "tidewire.chunk"
local environment = require "tidewire.environment"
local nearest = require "tidewire.nearest"
local source = require "tidewire.source"

local modules = {}

-- What means that there is no such file, and not that it cannot be read.
local absent = { [source.ENOENT] = true, [source.ENOTDIR] = true, [source.EISDIR] = true }

--- Where a module's text is: nil and the paths that were tried, or text, path, and whether it is
-- the app's own. Raises when there is a file that cannot be read.
function modules.find(generation, name)
    local relative = name:gsub("%.", "/")
    local tried = {}
    local function try(path)
        local text, message, code = generation.read(path)
        if not text and not absent[code] then
            error(("cannot open %s: %s"):format(path, message), 0)
        end
        tried[#tried + 1] = path
        return text
    end
    for _, ending in ipairs { ".lua", "/init.lua" } do
        local path = source.join(generation.root, relative .. ending)
        local text = try(path)
        if text then
            return text, path, true
        end
    end
    for template in tostring(generation.package.path):gmatch("[^;]+") do
        local path = template:gsub("%?", relative)
        local text = try(path)
        if text then
            return text, path, false
        end
    end
    return nil, tried
end

-- Of a version nothing is read from the disk any more.
local function not_bundled(generation, name)
    local version = generation.version and "version " .. generation.version or "the version that serves"
    return ("module `%s` is not in %s, which has what was there when it was read: add the file, and where a library "
        .. "computes its name say require %q as well, then reload"):format(name, version, name)
end

local function not_found(generation, name, tried)
    local library = package.searchpath(name, package.cpath)
    if library then
        return ("module `%s` is a C library (%s); an app can require Lua modules only"):format(name, library)
    end
    if generation.bundle then
        return not_bundled(generation, name)
    end
    local known = {}
    for module in pairs(generation.loaded) do
        known[#known + 1] = module
    end
    return ("module `%s` not found%s; there is none of:\n    %s"):format(name, nearest.hint(name, known),
        table.concat(tried, "\n    "))
end

--- What is wrong with a module's name, or nil.
function modules.bad_name(name)
    if type(name) ~= "string" then
        return "bad argument #1 to 'require' (a module's name expected, got " .. type(name) .. ")"
    elseif name:find("/", 1, true) and not name:find("..", 1, true) then
        local dotted = name:gsub("^%./", ""):gsub("%.lua$", ""):gsub("/", ".")
        return ("bad module name `%s`: folders are separated by dots, as in require \"%s\""):format(name, dotted)
    elseif ("." .. name):gsub("%.[%w_%-]+", "") ~= "" then
        return ("bad module name %q: expected names of letters, digits, _ and -, separated by dots"):format(name)
    elseif name:find("^tidewire%.") then
        return ("module `%s` is the runtime's own; apps have require \"tidewire\""):format(name)
    end
    return environment.why_absent(name)
        and ("no module `%s`: %s"):format(name, environment.why_absent(name)) or nil
end

-- The modules that this coroutine is loading just now, outermost first.
local function stack_of(generation)
    local thread = coroutine.running()
    local stack = generation.stacks[thread] or {}
    generation.stacks[thread] = stack
    return stack
end

local function circular(generation, name)
    local chain
    for _, loading in ipairs(stack_of(generation)) do
        if loading.name == name then
            chain = {}
        end
        if chain then
            chain[#chain + 1] = loading.name
        end
    end
    if not chain then
        return ("module `%s` is being loaded by another task"):format(name)
    end
    chain[#chain + 1] = name
    return "circular require: " .. table.concat(chain, " -> ")
end

-- Notes that `name` is being loaded until the value that is returned is closed.
local function mark(generation, name, text, path)
    local stack = stack_of(generation)
    generation.loading[name] = true
    stack[#stack + 1] = { name = name, text = text or "", path = path }
    return setmetatable({}, {
        __close = function()
            generation.loading[name] = nil
            table.remove(stack)
        end,
    })
end

-- A tail call, so that tracebacks say "main chunk" and not how a variable is called here.
local function enter(main, ...)
    return main(...)
end

local function env_of(generation, own)
    return own and generation.env or generation.library_env
end

--- Is the file below the app's root?
function modules.is_below(generation, path)
    local root = source.join(generation.root, "")
    return generation.root == "." and path:sub(1, 1) ~= "/" or path:sub(1, #root) == root
end

--- Compiles a text before it is run, with the globals that it most likely will have. Returns nil, or the message.
function modules.compile_ahead(generation, path, text)
    local env = env_of(generation, modules.is_below(generation, path))
    local main, message = chunk.compile(text, path, env, generation.sources)
    if not main then
        return message
    end
    generation.compiled[path] = { main = main, text = text, env = env }
    return nil
end

-- What was compiled ahead, once: a module that runs again gets variables of its own.
local function compile(generation, text, path, env)
    local ahead = generation.compiled[path]
    generation.compiled[path] = nil
    if ahead and ahead.text == text and ahead.env == env then
        return ahead.main
    end
    return chunk.compile(text, path, env, generation.sources)
end

--- Compiles and runs a text as the module `name`; `own`: it is the app's. Returns what it returned;
-- a syntax error is raised as it is.
function modules.run(generation, name, text, path, own)
    local compiled, message = compile(generation, text, path, env_of(generation, own))
    if not compiled then
        error(message, 0)
    end
    generation.order[#generation.order + 1] = path
    if own then
        generation.files[#generation.files + 1] = path
    end
    local _ <close> = mark(generation, name, text, path)
    return (enter(compiled, name, path))
end

-- Where the module that is being loaded says require "name". Asked when Lua cannot tell, because
-- `return require "name"` is a tail call.
local function place_of_require(generation, name)
    local stack = stack_of(generation)
    local loading = stack[#stack]
    if not loading or not loading.path then
        return ""
    end
    local number = 0
    for line in (loading.text .. "\n"):gmatch("(.-)\r?\n") do
        number = number + 1
        local _, stop = line:find("require", 1, true)
        if stop and line:find(tostring(name), stop, true) then
            return ("%s:%d: "):format(chunk.short_name(loading.path), number)
        end
    end
    return loading.path .. ": "
end

-- Raises a message at the place where the app called `require`, which called this.
local function complain(generation, name, message)
    if debug.getinfo(2, "t").istailcall then
        error(place_of_require(generation, name) .. message, 0)
    end
    error(message, 3)
end

--- Makes the function `require` of a generation (see loader).
function modules.new_require(generation)
    return function(name)
        local wrong = modules.bad_name(name)
        if wrong then
            complain(generation, name, wrong)
        end
        local loaded = generation.loaded[name]
        if loaded ~= nil then
            return loaded
        elseif generation.loading[name] then
            complain(generation, name, circular(generation, name))
        end
        local preload = generation.package.preload[name]
        local text, path, own
        if not preload then
            text, path, own = modules.find(generation, name)
            if not text then
                complain(generation, name, not_found(generation, name, path))
            end
        end
        local value
        if preload then
            local _ <close> = mark(generation, name)
            value, path = preload(name, ":preload:"), ":preload:"
        else
            value = modules.run(generation, name, text, path, own)
        end
        if value == nil and own and generation.loaded[name] == nil then
            complain(generation, name, ("module `%s` (%s) returned nothing: end it with `return`"):format(name, path))
        elseif value ~= nil then
            generation.loaded[name] = value
        elseif generation.loaded[name] == nil then
            generation.loaded[name] = true
        end
        return generation.loaded[name], path
    end
end

return modules
