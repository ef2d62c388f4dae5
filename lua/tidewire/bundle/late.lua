--- The modules that an app may require later than while it loads: those that its texts name, and, when a name
-- is computed, all that lie in its folder.
local chunk = require "tidewire.chunk"
local core = require "tidewire.core"
local modules = require "tidewire.modules"
local report = require "tidewire.report"
local scan = require "tidewire.bundle.scan"
local source = require "tidewire.source"

local late = {}

--- How many folders are searched.
late.folders_most = 10000

-- All files of the app's folder that a module's name can reach. Folders first, so that a link gives a second name
-- only to what has none: each real folder is read once.
local function sweep(generation, reading, reason, found)
    local queue, links, seen = { generation.root }, {}, {}
    local function visit(folder)
        local here = core.stat(folder)
        if not here or here.kind ~= "folder" or seen[here.id] then
            return
        end
        seen[here.id] = true
        for _, name in ipairs(reading:list(folder, reason)) do
            local path = source.join(folder, name)
            if name:find("^[%w_%-]+%.lua$") and path ~= source.join(generation.root, "tidewire.lua") then
                found(path)
            elseif name:find("^[%w_%-]+$") then
                local kind = (core.stat(path, true) or {}).kind
                table.insert(kind == "link" and links or kind == "folder" and queue or {}, path)
            end
        end
    end
    local count, next_folder, next_link = 0, 1, 1
    while queue[next_folder] or links[next_link] do
        count = count + 1
        if count > late.folders_most then
            error(("more than %d folders below %s: give the app a folder of its own; %s"):format(late.folders_most,
                generation.root, reason), 0)
        elseif queue[next_folder] then
            next_folder = next_folder + 1
            visit(queue[next_folder - 1])
        else
            next_link = next_link + 1
            visit(links[next_link - 1])
        end
    end
end

-- A module that is only found to be no Lua when a handler requires it would come too late.
local function check_syntax(text, path)
    local sources = {}
    local compiled, message = chunk.compile(text, path, {}, sources)
    if not compiled then
        error({ phase = "compile", report = table.pack(report.failure(message, nil, sources)) }, 0)
    end
end

local function read_or_fail(reading, path)
    local text, message, code = reading:read(path)
    if not text and code ~= source.ENOENT and code ~= source.EISDIR then
        error(("cannot open %s: %s"):format(path, message), 0)
    end
    return text
end

-- Gathers what one text names.
local function follow(generation, reading, path, add)
    local own = modules.is_below(generation, path)
    local names, computed = scan.requires(reading.texts[path])
    for _, required in ipairs(names) do
        if generation.loaded[required.name] == nil and not modules.bad_name(required.name) then
            local text, where, is_own = modules.find(generation, required.name)
            if text and is_own and not required.caught then
                check_syntax(text, where)
            end
            if text then
                add(where)
            end
        end
    end
    return own and computed
end

--- Reads into `reading` (see tidewire.bundle.reading), beside what is there already, what the app may require later.
-- generation: that has run. Raises a message; or { phase =, report = { text, details } } for a text that is no Lua.
function late.gather(generation, reading)
    local queue, queued, swept = {}, {}, false
    local function add(path)
        if not queued[path] then
            queued[path] = true
            queue[#queue + 1] = path
        end
    end
    for _, path in ipairs(generation.order) do
        add(path)
    end
    local i = 1
    while queue[i] do
        local computed = follow(generation, reading, queue[i], add)
        if computed and not swept then
            swept = true
            local reason = ("it is read because %s:%d requires modules by names that are computed"):format(queue[i],
                computed)
            sweep(generation, reading, reason, function(path)
                local kind = (core.stat(path) or {}).kind
                if kind == "file" and not reading.texts[path] and not read_or_fail(reading, path) then
                    return
                end
                if reading.texts[path] then
                    add(path)
                end
            end)
        end
        i = i + 1
    end
end

return late
