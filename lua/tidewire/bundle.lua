--- Bundles: all sources of one version of an app as one string of bytes. What they are made of is
-- gathered by tidewire.bundle.collect; here is their form.
--
-- "TWB1", s4 entry, s4 root, I4 state_version, I4 n, then n times: s4 path, I1 (1: ran when the app was
-- loaded), s4 text. Those that ran come first, in the order in which they did; the others are sorted.
-- Numbers are little-endian.
local core = require "tidewire.core"

local bundle = {}

local magic = "TWB1"

--- How many bytes a bundle may have.
bundle.most = 64 * 1024 * 1024

-- The paths in the order of the form.
local function order(contents)
    local paths, loaded = {}, {}
    for i, path in ipairs(contents.loaded) do
        paths[i], loaded[path] = path, true
    end
    local others = {}
    for path in pairs(contents.files) do
        if not loaded[path] then
            others[#others + 1] = path
        end
    end
    table.sort(others)
    return table.move(others, 1, #others, #paths + 1, paths)
end

--- contents: { entry =, root =, state_version =, files = { [path] = text }, loaded = { path, ... } (each
-- once) }. Returns the bytes.
function bundle.encode(contents)
    local paths = order(contents)
    local out = {
        magic, ("<s4s4I4I4"):pack(contents.entry, contents.root, contents.state_version, #paths),
    }
    for i, path in ipairs(paths) do
        out[#out + 1] = ("<s4I1s4"):pack(path, i <= #contents.loaded and 1 or 0, contents.files[path])
    end
    return table.concat(out)
end

local function decode(bytes)
    local opened = { files = {}, loaded = {} }
    local count, at
    opened.entry, opened.root, opened.state_version, count, at = ("<s4s4I4I4"):unpack(bytes, #magic + 1)
    for _ = 1, count do
        local path, loaded, text
        path, loaded, text, at = ("<s4I1s4"):unpack(bytes, at)
        opened.files[path] = text
        if loaded == 1 then
            opened.loaded[#opened.loaded + 1] = path
        end
    end
    if at ~= #bytes + 1 then
        error("bytes behind its end", 0)
    elseif not opened.files[opened.entry] then
        error("without its entry script", 0)
    end
    return opened
end

--- Returns { entry =, root =, state_version =, files = { [path] = text }, loaded = { path, ... }, hash = (of the
-- bytes) }; or nil and a message.
function bundle.open(bytes)
    if bytes:sub(1, #magic) ~= magic then
        return nil, "no bundle of an app"
    end
    local ok, result = pcall(decode, bytes)
    if not ok then
        return nil, "a damaged bundle: " .. tostring(result):gsub("^.*: ", "")
    end
    result.hash = core.sha256(bytes)
    return result
end

return bundle
