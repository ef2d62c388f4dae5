--- The named timers of the manifest, across the versions of an app. A name has one timer: when a version changes,
-- it goes on at its own beat with the new version's function, unless its interval is another one.
local core = require "tidewire.core"

local timers = {}

local methods = {}
methods.__index = methods

--- The timers of a worker; none is set yet. object: the app, which each run gets.
function timers.new(object)
    return setmetatable({ object = object, entries = {} }, methods)
end

-- The run may be dropped in its midst; the timer goes on all the same.
local function begin(entry)
    entry.busy = true
    return setmetatable({}, {
        __close = function()
            entry.busy = false
        end,
    })
end

-- A run that takes longer than the interval is not joined by a second one: that turn is left out. So it is when
-- the run is one of an older version.
local function fire(self, entry)
    if entry.busy or not entry.timer then
        return
    end
    local _ <close> = begin(entry)
    local record, what = entry.record, "timer " .. entry.name
    local ok, err, traceback, frames = record:call(what, entry.timer.run, self.object)
    if not ok then
        record:log_error(what, err, traceback, frames)
    end
end

-- true: behind a barrier it waits.
local function start(self, entry, declared)
    entry.handle = core.every(declared.every, function()
        fire(self, entry)
    end, true)
end

local function stop(entry)
    entry.handle:cancel()
    entry.handle, entry.timer, entry.record = nil, nil, nil
end

--- Follows a version: from now on its functions run. record: see tidewire.reload.version.
function methods:follow(record)
    local wanted = {}
    for _, declared in ipairs(record.checked.timers) do
        wanted[declared.name] = declared
    end
    for name, entry in pairs(self.entries) do
        local declared = wanted[name]
        if entry.timer and (not declared or declared.every ~= entry.timer.every) then
            stop(entry)
        end
        if not declared and not entry.busy then
            self.entries[name] = nil
        end
    end
    for _, declared in ipairs(record.checked.timers) do
        local name = declared.name
        local entry = self.entries[name] or { name = name, busy = false }
        self.entries[name] = entry
        if not entry.timer then
            start(self, entry, declared)
        end
        entry.timer, entry.record = declared, record
    end
end

--- Ends all of them.
function methods:stop()
    for _, entry in pairs(self.entries) do
        if entry.timer then
            stop(entry)
        end
    end
    self.entries = {}
end

return timers
