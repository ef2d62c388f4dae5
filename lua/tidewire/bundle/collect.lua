--- Makes the bundle of an app: loads it from the disk as a worker will, with every read noted, and adds what it
-- may require later. To be done in a process of its own: the app may loop, grow or crash there.
local bundle = require "tidewire.bundle"
local class = require "tidewire.class"
local core = require "tidewire.core"
local guard = require "tidewire.guard"
local late = require "tidewire.bundle.late"
local loader = require "tidewire.loader"
local prepare = require "tidewire.prepare"
local public = require "tidewire.public"
local reading = require "tidewire.bundle.reading"
local report = require "tidewire.report"
local watch = require "tidewire.bundle.watch"

local collect = {}

-- When files change meanwhile all is read again, so often.
local attempts = 5

local MiB = 1024 * 1024

local function refused(phase, message)
    local text, details = report.plain(message)
    details.phase = phase
    return nil, text, details
end

-- The failure of a step: of a file that could not be read, it is told what to do about it.
local function told(read, text, details)
    local whole = read:explain(details.message)
    if whole then
        return refused("read", whole)
    end
    return nil, text, details
end

local function compile(generation)
    local more, text, details
    repeat
        more, text, details = loader.compile(generation)
    until not more
    return more == false, text, details
end

-- Loads and judges. Returns the generation and the checked app; or nil, text, details.
local function load(plan, read)
    local limit = guard.limits(plan.settings.limits.value)
    local classes = class.set()
    local generation, text, details = loader.begin {
        app = plan.app, public = public.new(classes), limit = limit, dev = plan.dev,
        read = function(path)
            return read:read(path)
        end,
    }
    local ok = generation
    if ok then
        ok, text, details = compile(generation)
    end
    if not ok then
        return nil, text, details
    end
    local _ <close> = class.pointed(classes)
    ok, text, details = loader.run(generation)
    if not ok then
        return nil, text, details
    end
    local checked
    checked, text, details = prepare.judge(generation, plan.settings)
    if not checked then
        return nil, text, details
    end
    guard.call(limit, collectgarbage) -- finalizers that loop do so here
    return generation, checked
end

local function gather(generation, read)
    local ok, wrong = pcall(late.gather, generation, read)
    if ok then
        return true
    elseif type(wrong) == "table" then
        wrong.report[2].phase = wrong.phase
        return nil, wrong.report[1], wrong.report[2]
    end
    return refused("read", wrong)
end

local function largest(texts)
    local path
    for candidate in pairs(texts) do
        if not path or #texts[candidate] > #texts[path] then
            path = candidate
        end
    end
    return path
end

-- The paths that have run, each once.
local function in_order(generation)
    local out, seen = {}, {}
    for _, path in ipairs(generation.order) do
        if not seen[path] then
            seen[path] = true
            out[#out + 1] = path
        end
    end
    return out
end

local function encode(generation, checked, read)
    local bytes = bundle.encode {
        entry = generation.file, root = generation.root, state_version = checked.state_version, files = read.texts,
        loaded = in_order(generation),
    }
    if #bytes > bundle.most then
        local path = largest(read.texts)
        return refused("read", ("the app's sources have %.1f MiB, and a version may have %d MiB; the largest is %s "
            .. "(%.1f MiB). Keep data in files that the app reads with io.open"):format(#bytes / MiB,
            bundle.most // MiB, path, #read.texts[path] / MiB))
    end
    return bytes
end

-- One time. Returns the bytes, the generation and the checked app; or nil, text, details.
local function try(plan, read)
    local generation, checked, details = load(plan, read)
    if not generation then
        return told(read, checked, details)
    end
    local ok, text, wrong = gather(generation, read)
    if not ok then
        return told(read, text, wrong)
    end
    local bytes
    bytes, text, wrong = encode(generation, checked, read)
    if not bytes then
        return nil, text, wrong
    end
    return bytes, generation, checked
end

--- Loads, judges and reads the app of a plan: { app =, settings = (of settings.load), dev = }. Returns the bytes, the
-- generation, the checked app (see app.check) and what was read (see tidewire.bundle.reading); or nil, a whole message
-- for stderr, the same as a table with its phase, and what was read.
function collect.app(plan)
    local read, changed, bytes, second, third
    for _ = 1, attempts do
        read = reading.new(bundle.most)
        bytes, second, third = try(plan, read)
        changed = read:difference()
        if not changed then
            return bytes, second, third, read
        end
    end
    bytes, second, third = refused("read", ("%s has changed each time while the app was read (%d times): wait until "
        .. "what writes there has ended, and try again"):format(changed, attempts))
    return bytes, second, third, read
end

-- The folder of an app that was not found, or failed.
local function root_of(app)
    local path = app:gsub("(.)/+$", "%1"):gsub("^%./+", "")
    local found = core.stat(path)
    if found and found.kind == "folder" then
        return path
    end
    return path:match("^(.+)/[^/]*$") or (path:sub(1, 1) == "/" and "/" or ".")
end

-- The folders of all files that were read, and of those that were looked for below the root.
local function watched(root, read)
    local paths = {}
    for path, stamp in pairs(read.stamps) do
        local is_below = root == "." and path:sub(1, 1) ~= "/" or path:sub(1, #root) == root
        if stamp or is_below then
            paths[#paths + 1] = path
        end
    end
    for _, problem in ipairs(read.problems) do
        paths[#paths + 1] = problem.path
    end
    table.sort(paths)
    return watch.folders(paths, read.folders)
end

local function files_of(bytes)
    local opened = bundle.open(bytes)
    local paths, out = {}, core.json_array {}
    for path in pairs(opened.files) do
        paths[#paths + 1] = path
    end
    table.sort(paths)
    for i, path in ipairs(paths) do
        out[i] = { path = path, hash = core.sha256(opened.files[path]) }
    end
    return out, opened.hash
end

--- collect.app for the process that asks (see vm_collect): returns the bytes or nil, and a report:
--   { ok = true, hash =, state_version =, files = { { path =, hash = }, ... }, watch = { folder, ... } }, or
--   { ok = false, phase = "read" | "compile" | "load" | "contract" | "check", message = (one line), text = (for a
--     terminal), file =, line =, watch = }
function collect.run(plan)
    local bytes, second, third, read = collect.app(plan)
    if not bytes then
        return nil, {
            ok = false, phase = third.phase, message = third.message, text = second,
            file = third.file, line = third.line, watch = core.json_array(watched(root_of(plan.app), read)),
        }
    end
    local files, hash = files_of(bytes)
    return bytes, {
        ok = true, hash = hash, state_version = third.state_version, files = files,
        watch = core.json_array(watched(second.root, read)),
    }
end

--- The same with the report as JSON; bytes that JSON has no form for are "?" in it.
function collect.report(plan)
    local bytes, told_report = collect.run(plan)
    return bytes, core.json_tell(told_report)
end

return collect
