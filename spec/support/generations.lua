--- The part of the double of tidewire.core that is about versions of an app. Fields beside those of the real module:
--   installed       what core.generation was given for the generation that serves
--   live            the generations, oldest first; specs set tasks, connections, handled, failed, pinned of them
--   connections     entries of core.states, by serial
--   holding, held   of core.hold
--   noise           results of core.quiet when something runs; on_quiet: called while it waits
--   entered         what was given to core.on_generation
--   afters          { seconds =, fire =, cancelled = } of core.after
local generations = {}

local methods = {}
methods.__index = methods

-- Generations that nothing keeps are gone.
local function sweep(core)
    local live = {}
    for _, gen in ipairs(core.live) do
        if gen.role == "old" or gen.role == "kept" then
            gen.role = gen.is_kept and "kept" or "old"
        end
        if gen.role == "old" and gen.tasks == 0 and gen.connections == 0 then
            gen.role = "gone"
        else
            live[#live + 1] = gen
        end
    end
    core.live = live
end

local function note(gen, ...)
    assert(gen.role ~= "gone", "a generation that is gone is used")
    gen.core.calls[#gen.core.calls + 1] = { ... }
end

function methods:commit(share)
    note(self, "commit", self.number, share)
    local is_canary = share and share < 100
    for _, gen in ipairs(self.core.live) do
        if gen.role == "canary" or (gen.role == "current" and not is_canary) then
            gen.role = "old"
        end
    end
    self.role, self.is_kept = is_canary and "canary" or "current", false
    if not is_canary then
        self.core.installed = self.what
    end
end

function methods:drop()
    note(self, "drop", self.number)
    assert(self.role == "prepared", "only what is prepared is dropped")
    self.role = "old"
    sweep(self.core)
end

function methods:keep(on)
    self.is_kept = on and (self.role == "old" or self.role == "kept")
    sweep(self.core)
end

function methods:pins(n)
    local pinned = self.pinned or (self.tasks + self.connections > 0 and { { kind = "task", what = "spawn" } }) or {}
    return table.move(pinned, 1, math.min(n or #pinned, #pinned), 1, {}), #pinned
end

function methods:force()
    note(self, "force", self.number)
    self.is_ended = true
    self.tasks, self.connections = 0, 0
    sweep(self.core)
end

function methods:call(what, fn, ...)
    note(self, "call", self.number, what)
    self.tasks = self.tasks + 1
    local results = table.pack(pcall(fn, ...))
    self.tasks, self.handled = self.tasks - 1, self.handled + 1
    if results[1] then
        return table.unpack(results, 1, results.n)
    end
    self.failed = self.failed + 1
    return false, results[2], "traceback"
end

--- Adds it to a double.
function generations.add(core)
    core.live, core.connections, core.afters, core.held = {}, {}, {}, 0

    function core.generation(what)
        local count = 0
        for _, gen in ipairs(core.generations()) do
            count = count + (gen.is_ended and 0 or 1)
        end
        if core.refuse_install then
            return nil, table.unpack(core.refuse_install)
        elseif count >= 4 and not what.force then
            return nil, "4 generations live already"
        end
        local gen = setmetatable({
            core = core, what = what, number = what.number, state_version = what.state_version, record = what.record,
            role = "prepared", tasks = 0, connections = 0, handled = 0, failed = 0, migrations_failed = 0,
        }, methods)
        table.insert(core.live, gen)
        return gen
    end
    function core.generations()
        sweep(core)
        return table.move(core.live, 1, #core.live, 1, {})
    end
    function core.hold(on)
        core.holding = on
        return core.held
    end
    function core.quiet(seconds)
        core.calls[#core.calls + 1] = { "quiet", seconds }
        if core.on_quiet then
            core.on_quiet()
        end
        return table.unpack(core.noise or { true }, 1, 3)
    end
    function core.states(after, n)
        local out = {}
        for _, entry in ipairs(core.connections) do
            if entry.serial > after and #out < n then
                out[#out + 1] = entry
            end
        end
        return out
    end
    function core.on_generation(fn)
        core.entered = fn
    end
    function core.after(seconds, fn)
        local timer = { seconds = seconds, fire = fn, cancelled = false }
        function timer.cancel()
            timer.cancelled = true
        end
        table.insert(core.afters, timer)
        return timer
    end
end

return generations
