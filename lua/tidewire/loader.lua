--- Loads an app: its entry script and what it requires, as one generation with an environment and
-- a cache of modules of its own. Several generations may live in one Lua state. Every source is
-- read through one function, so that the bytes need not come from a disk.
local environment = require "tidewire.environment"
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

--- A generation that has not loaded anything yet; options as for loader.load, entry from loader.locate.
function loader.new_generation(entry, options)
    local libraries = environment.libraries()
    local loaded = { tidewire = options.public }
    for name, library in pairs(libraries) do
        loaded[name] = library
    end
    local generation = {
        file = entry.file, -- the entry script
        root = entry.root, -- its folder
        files = {},        -- the app's own files, in the order in which they were loaded
        sources = {},      -- see chunk
        loaded = loaded,
        loading = {},
        stacks = setmetatable({}, { __mode = "k" }),
        read = options.read or source.read,
    }
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
        return environment.new {
            libraries = libraries, package = generation.package, require = modules.new_require(generation),
            read = generation.read, sources = generation.sources, open = open,
        }
    end
    generation.env = new_env(false)
    generation.library_env = new_env(true)
    return generation
end

--- Loads an app. options:
--   app     path of the file, or of a folder with app.lua
--   public  what require "tidewire" gives
--   read    function(path) -> text, or nil, message, errno; default source.read
--   path    templates for Lua modules that are not the app's; default package.path
-- Returns the generation (`value` is what the script returned), or nil and a whole message with
-- place, excerpt and, for an error at run time, the calls that led there; and the same as a table
-- (see report.failure).
function loader.load(options)
    local entry, message = loader.locate(options.app, options.read)
    if not entry then
        return nil, report.plain(message)
    end
    local generation = loader.new_generation(entry, options)
    local name = entry.file:match("([^/]*)$"):gsub("%.lua$", "")
    local traceback
    local ok, result = xpcall(modules.run, function(err)
        traceback = debug.traceback("", 2)
        return err
    end, generation, name, entry.text, entry.file, true)
    if not ok then
        return nil, report.failure(result, traceback, generation.sources)
    end
    generation.value = result
    return generation
end

return loader
