--- Which folders to watch, to be told when an app's sources change: those of all files that were read or
-- looked for, and those of the symbolic links on the way there.
local core = require "tidewire.core"

local watch = {}

local links_most = 40

local function folder_of(path)
    local folder = path:match("^(.*)/[^/]*$")
    return folder == "" and "/" or folder or "."
end

local function joined(folder, path)
    return path:sub(1, 1) == "/" and path or (folder == "." and path or folder:gsub("/$", "") .. "/" .. path)
end

-- Adds the folders of the links that the path goes through. seen: links that were followed already.
local function add_links(path, add, seen)
    local at = 1
    repeat
        local stop = path:find("/", at + 1, true)
        local part = path:sub(1, (stop or #path + 1) - 1)
        local found = seen[part] == nil and core.stat(part, true)
        if found and found.kind == "link" and seen.count < links_most then
            seen[part], seen.count = true, seen.count + 1
            add(folder_of(part))
            add_links(joined(folder_of(part), found.target), add, seen)
            add(folder_of(joined(folder_of(part), found.target)))
        elseif found then
            seen[part] = false
        end
        at = stop
    until not at
end

local function is_folder(path)
    local found = core.stat(path)
    return found ~= nil and found.kind == "folder"
end

-- The folder itself, or the nearest one above it that is there.
local function existing(folder)
    while not is_folder(folder) and folder ~= folder_of(folder) do
        folder = folder_of(folder)
    end
    return folder
end

--- paths: a list of files; folders: of folders that were listed. Returns a sorted list of folders that are there.
function watch.folders(paths, folders)
    local set, seen = {}, { count = 0 }
    local function add(folder)
        set[existing(folder)] = true
    end
    for _, path in ipairs(paths) do
        add(folder_of(path))
        add_links(path, add, seen)
    end
    for _, folder in ipairs(folders) do
        add(folder)
        add_links(folder, add, seen)
    end
    local out = {}
    for folder in pairs(set) do
        out[#out + 1] = folder
    end
    table.sort(out)
    return out
end

return watch
