--- Temporary folders of real files for specs.
--
--   local dir = folder.new { ["app.lua"] = "return {}", ["lib/a.lua"] = "..." }
--   dir.path, dir:write(name, text), dir:remove()
local lfs = require "lfs"

local folder = {}

local methods = {}
methods.__index = methods

local function make_parents(path)
    for parent in path:gmatch("()/") do
        lfs.mkdir(path:sub(1, parent - 1))
    end
end

function methods:write(name, text)
    local path = self.path .. "/" .. name
    make_parents(path)
    local file = assert(io.open(path, "wb"))
    assert(file:write(text))
    assert(file:close())
end

local function remove(path)
    if lfs.symlinkattributes(path, "mode") == "directory" then
        for name in lfs.dir(path) do
            if name ~= "." and name ~= ".." then
                remove(path .. "/" .. name)
            end
        end
    end
    assert(os.remove(path))
end

function methods:remove()
    remove(self.path)
end

--- A new folder with these files.
function folder.new(files)
    local path = os.tmpname()
    assert(os.remove(path))
    assert(lfs.mkdir(path))
    local self = setmetatable({ path = path }, methods)
    for name, text in pairs(files or {}) do
        self:write(name, text)
    end
    return self
end

return folder
