--- Loads an app: its entry script and what it requires, as one generation with an environment and
-- a cache of modules of its own. Several generations may live in one Lua state. Every source is
-- read through one function, so that the bytes need not come from a disk. Steps: begin, compile (file by
-- file, so that a loop can turn in between), run.
local environment = require "tidewire.environment"
local guard = require "tidewire.guard"
local modules = require "tidewire.modules"
local report = require "tidewire.report"
local source = require "tidewire.source"

local loader = {}

--- Finds the entry script of an app: the file itself, or app.lua in the folder. Returns
-- { file =, root = (its folder), text = }, or nil and a message.
function loader.locate(path, read)
    read = read or source.read
    local file = path:gsub("/+$", ""):gsub("^%./+", "")
    if file == "" then
        file = path
    end
    local text, message, code = read(file)
    if code == source.EISDIR then
        local folder = file
        file = source.join(folder, "app.lua")
        text, message, code = read(file)
        if code == source.ENOENT then
            return nil, ("%s: the folder has no app.lua"):format(folder)
        end
    elseif code == source.ENOENT and not file:find("%.lua$") and read(file .. ".lua") then
        return nil, ("cannot open %s: %s (did you mean `%s.lua`?)"):format(file, message, file)
    end
    if not text then
        return nil, ("cannot open %s: %s"):format(file, message)
    end
    return { file = file, root = file:match("^(.+)/[^/]*$") or (file:sub(1, 1) == "/" and "/" or "."), text = text }
end

-- Templates that begin in the working directory would make an app depend on where it is started.
local function absolute_templates(path)
    local kept = {}
    for template in path:gmatch("[^;]+") do
        if template:sub(1, 1) == "/" then
            kept[#kept + 1] = template
        end
    end
    return table.concat(kept, ";")
end

-- Reads from a bundle: `require` has nothing else, and loadfile may read what is no module.
local function bundled(opened, read)
    local function from_bundle(path)
        local text = opened.files[path]
        if text then
            return text
        end
        return nil, "not in the bundle", source.ENOENT
    end
    return from_bundle, function(path)
        local text = opened.files[path]
        if text then
            return text
        end
        return read(path)
    end
end

--- A generation that has not loaded anything yet; options as for loader.begin, entry from loader.locate.
function loader.new_generation(entry, options)
    local libraries = environment.libraries()
    local loaded = { tidewire = options.public }
    for name, library in pairs(libraries) do
        loaded[name] = library
    end
    local read = options.read or source.read
    local generation = {
        file = entry.file, -- the entry script
        root = entry.root, -- its folder
        entry = entry,
        files = {},        -- the app's own files, in the order in which they were loaded
        order = {},        -- all of them, those of others too
        sources = {},      -- see chunk
        loaded = loaded,
        loading = {},
        stacks = setmetatable({}, { __mode = "k" }),
        read = read,       -- of modules
        read_file = read,  -- of loadfile and dofile
        bundle = options.bundle,
        version = options.version,
        dev = options.dev,
        limit = options.limit or guard.limits(),
        to_compile = { entry.file }, -- from `next_file` on; what was compiled waits in `compiled`
        next_file = 1,
        compiled = {},
    }
    if options.bundle then
        generation.read, generation.read_file = bundled(options.bundle, read)
        generation.to_compile = options.bundle.loaded
    end
    generation.package = {
        config = package.config,
        cpath = "",
        loaded = loaded,
        path = absolute_templates(options.path or package.path),
        preload = {},
        searchpath = package.searchpath,
    }
    loaded.package = generation.package
    local function new_env(open)
        local env = environment.new {
            libraries = libraries, package = generation.package, require = modules.new_require(generation),
            read = generation.read_file, sources = generation.sources, open = open,
        }
        env.xpcall = guard.xpcall
        return env
    end
    generation.env = new_env(false)
    generation.library_env = new_env(true)
    return generation
end

-- nil, a whole message and details, as all steps return them; phase: where it went wrong.
local function failed(generation, phase, err, traceback, frames)
    return guard.failure(generation.limit, phase, generation.sources, err, traceback, generation.dev and frames or nil)
end

--- Begins a generation: nothing of the app is compiled or run. options:
--   app      path of the file, or of a folder with app.lua; or
--   bundle   what bundle.open returns: no module is read from the disk then
--   public   what require "tidewire" gives
--   read     function(path) -> text, or nil, message, errno; default source.read
--   path     templates for Lua modules that are not the app's; default package.path
--   limit    limits for loading, see guard.limits
--   version  number of the version, for messages
--   dev      true: reports of failures show local variables
-- Returns the generation; or nil, a whole message for stderr, and the same as a table (see report.failure) with the
-- phase "read".
function loader.begin(options)
    local opened = options.bundle
    local entry, message
    if opened then
        entry = { file = opened.entry, root = opened.root, text = opened.files[opened.entry] }
    else
        entry, message = loader.locate(options.app, options.read)
    end
    if not entry then
        local text, details = report.plain(message)
        details.phase = "read"
        return nil, text, details
    end
    return loader.new_generation(entry, options)
end

--- Compiles one file of those that are known: all that ran when the bundle was made, or else the script. Returns
-- true while there is more to compile, then false; or nil, a whole message and the same as a table, with its phase.
function loader.compile(generation)
    local path = generation.to_compile[generation.next_file]
    if path then
        local text = path == generation.file and generation.entry.text or generation.bundle.files[path]
        local message = modules.compile_ahead(generation, path, text)
        if message then
            return failed(generation, "compile", message)
        end
        generation.next_file = generation.next_file + 1
    end
    return generation.to_compile[generation.next_file] ~= nil
end

--- Runs the script, and so what it requires, under the limits for loading. `value` of the generation is then what the
-- script returned. Returns true; or nil, a whole message with place, excerpt and the calls that led there, and the same
-- as a table with the phase, "load" or "compile".
function loader.run(generation)
    local entry = generation.entry
    local name = entry.file:match("([^/]*)$"):gsub("%.lua$", "")
    local ok, result, traceback, frames = guard.call(generation.limit, modules.run, generation, name, entry.text,
        entry.file, true)
    generation.compiled = {}
    if not ok then
        return failed(generation, "load", result, traceback, frames)
    end
    generation.value = result
    return true
end

--- All steps in one; options as for loader.begin. Returns the generation, or nil, a whole message and the same as a
-- table.
function loader.load(options)
    local generation, message, details = loader.begin(options)
    local more = generation and true
    while more do
        more, message, details = loader.compile(generation)
    end
    if more == false then
        more, message, details = loader.run(generation)
    end
    if not more then
        return nil, message, details
    end
    return generation
end

return loader
