--- One version of the app in a worker, from the bytes of its bundle to something that can be committed: a record
--   { number, hash, state_version, generation (see loader), checked (see app.check), classes (see class.set),
--     gen (the core's generation) }
local bundle = require "tidewire.bundle"
local class = require "tidewire.class"
local core = require "tidewire.core"
local expect = require "tidewire.expect"
local guard = require "tidewire.guard"
local limits = require "tidewire.limits"
local loader = require "tidewire.loader"
local locals = require "tidewire.locals"
local prepare = require "tidewire.prepare"
local public = require "tidewire.public"
local report = require "tidewire.report"

local version = {}

local methods = {}
methods.__index = methods

-- Calls fn, and notes in `raised` where an error came from.
local function observed(raised, fn, ...)
    local results = table.pack(xpcall(fn, function(err)
        raised.traceback, raised.frames = debug.traceback("", 2), locals.frames(2)
        return err
    end, ...))
    if not results[1] then
        error(results[2], 0)
    end
    return table.unpack(results, 2, results.n)
end

--- Calls a function of the app as one of this version, which it pins until it returns; it may await. what: for
-- `status`. Returns true and the results, or false, the error, the traceback and the frames.
function methods:call(what, fn, ...)
    local raised = {}
    local results = table.pack(self.gen:call(what, observed, raised, fn, ...))
    if results[1] then
        return table.unpack(results, 1, results.n)
    end
    return false, results[2], raised.traceback, raised.frames
end

--- Logs an error of this version's code; where: what has raised it. frames: nil, or as call returns them; they are
-- for `dev`.
function methods:log_error(where, err, traceback, frames)
    local message, details = report.entry(err, traceback, self.generation.sources,
        self.generation.dev and frames or nil)
    core.log("error", message, { where = where }, details)
end

--- Calls it with the objects of all classes turned to this version, under the limits for loading: it may neither act
-- nor await. Returns true and the results, or false, the error, the traceback and the frames.
function methods:judge(fn, ...)
    local _ <close> = class.pointed(self.classes)
    return guard.call(self.generation.limit, fn, ...)
end

--- An error of this version as a text and details; see report.failure.
function methods:failure(err, traceback, frames)
    local generation = self.generation
    return report.failure(guard.advice(err), traceback, generation.sources, generation.dev and frames or nil)
end

-- The entries of core.generation for its routes.
local function routes_of(checked)
    local routes = {}
    for i, route in ipairs(checked.routes) do
        routes[i] = route.install
    end
    return routes
end

-- The core's generation: slots, bindings, and whatever a commit will need.
local function install(self, context)
    local checked = self.checked
    local gen, message, index = core.generation {
        number = self.number, state_version = self.state_version, app = context.object or checked.object,
        routes = routes_of(checked), limits = limits.merge("limits", context.settings.limits.value), record = self,
        loaded = self.generation.loaded, force = context.force,
    }
    if not gen then
        local place = index and expect.field("routes", checked.routes[index].pattern) .. ": " or ""
        return nil, report.plain(("%s: %s%s"):format(self.generation.file, place, message))
    end
    self.gen = gen
    return true
end

local function judged(self, settings)
    local _ <close> = class.pointed(self.classes)
    return prepare.judge(self.generation, settings)
end

local function open(context)
    if context.bytes == "" then
        return nil
    end
    local opened, message = bundle.open(context.bytes)
    if not opened then
        return nil, report.plain(("version %d: %s"):format(context.number, message))
    end
    return opened
end

--- The steps, each a phase, for attempt:run. context:
--   number, hash   of the version
--   bytes          its bundle; "": it is read from the disk, from the path `app`
--   settings       of settings.load
--   dev            true: reports show local variables
--   object         the app object; nil: the first version makes it
--   force          true: also when there is no room for it
--   pace           see tidewire.reload.pace
function version.steps(context)
    local function begin(self)
        local opened, text, details = open(context)
        if text then
            return nil, text, details
        end
        self.generation, text, details = loader.begin {
            bundle = opened, app = context.app, public = public.new(self.classes), version = context.number,
            dev = context.dev, limit = guard.limits(context.settings.limits.value),
        }
        return self.generation and true, text, details
    end
    local function compile(attempt)
        local self = attempt.record
        local more, text, details = begin(self)
        while more do
            context.pace()
            more, text, details = loader.compile(self.generation)
        end
        return more == false, text, details
    end
    local function load(attempt)
        local _ <close> = class.pointed(attempt.record.classes)
        return loader.run(attempt.record.generation)
    end
    local function judge(attempt)
        local self = attempt.record
        local checked, text, details = judged(self, context.settings)
        if not checked then
            return nil, text, details
        end
        self.checked, self.state_version = checked, checked.state_version
        return install(self, context)
    end
    return { { "compile", compile }, { "load", load }, { "contract", judge } }
end

--- A record to begin with.
function version.new(number, hash)
    return setmetatable({ number = number, hash = hash, classes = class.set() }, methods)
end

return version
