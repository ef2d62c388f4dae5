--- Reads sources from the disk and notes what was read, what was looked for in vain, and whether any of it
-- has changed meanwhile: the files of one version must have been there together.
local core = require "tidewire.core"
local source = require "tidewire.source"

local reading = {}

local EACCES, EAGAIN, EFBIG, ELOOP = 13, 11, 27, 40
local MiB = 1024 * 1024

-- A file that is being written is read again so often, before all is read again.
local attempts = 5

local absent = { [source.ENOENT] = true, [source.ENOTDIR] = true }

local methods = {}
methods.__index = methods

-- What to do about it.
local function advice(code, most)
    if code == EACCES then
        return ": the user that runs tidewire has to be allowed to read it, and to enter the folders above it"
    elseif code == ELOOP then
        return ": symbolic links that lead in a circle; remove one of them"
    elseif code == EFBIG then
        return (": all sources of an app together may have %d MiB; keep data in files that the app reads with io.open")
            :format(most // MiB)
    end
    return ""
end

-- A message that `require` will put its own words around, and the whole one for later.
local function refuse(self, path, message, code)
    self.problems[#self.problems + 1] = {
        path = path, said = message, message = ("cannot open %s: %s%s"):format(path, message, advice(code, self.most)),
    }
    return nil, message, code
end

local function keep(self, path, text, stamp)
    local before = self.texts[path]
    if before then
        self.changed = self.changed or before ~= text and path or nil
        self.bytes = self.bytes - #before
    end
    self.texts[path], self.stamps[path] = text, stamp
    self.bytes = self.bytes + #text
    return text
end

--- Reads a file as source.read does.
function methods:read(path)
    local text, second, code
    for _ = 1, attempts do
        text, second, code = core.read(path, self.most - self.bytes)
        if text then
            return keep(self, path, text, second)
        elseif code ~= EAGAIN then
            break
        end
    end
    if absent[code] then
        self.stamps[path] = self.stamps[path] or false
    elseif code == EAGAIN then
        self.changed = path
    elseif code ~= source.EISDIR then
        return refuse(self, path, code == EFBIG and "File too large" or second, code)
    end
    return nil, second, code
end

--- The names in a folder; or raises a message that says what to do. reason: why it is read.
function methods:list(folder, reason)
    local names, message, code = core.list(folder)
    if not names then
        local may = code == EACCES and " (let the user that runs tidewire read it, or move it out of the app's folder)"
            or ""
        error(("cannot read the folder %s: %s%s; %s"):format(folder, message, may, reason), 0)
    end
    self.folders[#self.folders + 1] = folder
    return names
end

--- What was read or looked for and is not the same any more: a path, or nil.
function methods:difference()
    if self.changed then
        return self.changed
    end
    for path, stamp in pairs(self.stamps) do
        local found = core.stat(path)
        if (found and found.stamp or false) ~= stamp and not (found and found.kind == "folder") then
            return path
        end
    end
    return nil
end

--- The whole message for an error that comes of a file which could not be read, or nil when `text` tells of none.
function methods:explain(text)
    for _, problem in ipairs(self.problems) do
        local said = ("cannot open %s: %s"):format(problem.path, problem.said)
        if text:find(said, 1, true) then
            return problem.message
        end
    end
    return nil
end

--- A new one. most: bytes, of all files together. Fields: texts = { [path] = text }, folders (that were
-- listed), stamps = { [path] = stamp, or false when it was not there }, bytes.
function reading.new(most)
    return setmetatable({
        most = most, texts = {}, stamps = {}, folders = {}, problems = {}, bytes = 0, changed = nil,
    }, methods)
end

return reading
