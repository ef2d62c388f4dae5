--- Trying again: when a connection could not be made or has ended, with full jitter, so that a thousand
-- clients of a server that restarts do not all come back at once.
--
-- A handler with `reconnect` keeps one ws: after the end, its `close` done, the same ws goes on with a
-- new connection, and `open` is called again. ws.state stays; ws.id, ws.protocol, ws.response are the
-- new connection's; timers and subscriptions have ended with the old one, so `open` sets them up.
-- ws.reconnects tells how often that was. ws:close() ends it for good, also between two connections; when it
-- ends otherwise, `gave_up` is told.
local core = require "tidewire.core"
local date = require "tidewire.http.date"
local expect = require "tidewire.expect"
local units = require "tidewire.units"

local reconnect = {
    random = math.random, -- specs replace it
}

local names = { "attempts", "gave_up", "max", "min" }

local retry_after_max = 300 -- s: a server may ask for more, but not for silence

local function seconds(value, path)
    local n, wrong = units.seconds(value)
    if not n then
        expect.fail(path, "%s", wrong)
    elseif n == 0 then
        expect.fail(path, "expected more than 0")
    end
    return n
end

--- Checks true, false or { min =, max =, attempts =, gave_up = }. Returns false, or the table with all of them;
-- gave_up may be nil.
function reconnect.check(value, path)
    if value == false then
        return false
    elseif value == true then
        value = {}
    end
    expect.type(value, "table", path, "true, false or a table such as { max = 60 }")
    expect.only(value, names, path)
    local function field(name, check, default)
        if value[name] == nil then
            return default
        end
        return check(value[name], expect.field(path, name))
    end
    local out = {
        min = field("min", seconds, 0.5),
        max = field("max", seconds, 30),
        attempts = field("attempts", function(given, at)
            local n, wrong = units.count(given)
            if not n or n == 0 then
                expect.fail(at, "%s", wrong or "expected at least 1")
            end
            return n
        end, math.huge),
        gave_up = expect.optional_function(value.gave_up, expect.field(path, "gave_up")),
    }
    if out.min > out.max then
        expect.fail(expect.field(path, "min"), "%s is above max, %s", out.min, out.max)
    end
    return out
end

-- --- policy --------------------------------------------------------------------------------------

local final_codes = { cancelled = true, handshake = true, tls = true, url = true }
local passing_statuses = { [408] = true, [425] = true, [429] = true }

--- May another attempt go better? A bad certificate, a broken handshake and a refusal with 4xx will not
-- mend; of these statuses 408, 425 and 429 pass.
function reconnect.is_passing(code, details)
    if code == "status" then
        return details.status >= 500 or passing_statuses[details.status] == true
    end
    return not final_codes[code]
end

-- Closes after which it makes no sense to come back: all is said, or what we say is not accepted.
local final_closes = { [1000] = true, [1002] = true, [1003] = true, [1007] = true, [1008] = true, [1010] = true }

--- After a Close of the peer with this code (or an end without one, 1006), is there a new connection?
function reconnect.is_due(close_code)
    return not final_closes[close_code]
end

-- What Retry-After asks for, in seconds from now, or 0.
local function retry_after(details, now)
    local status = details and details.status
    local value = (status == 429 or status == 503) and details.headers["retry-after"]
    if not value then
        return 0
    end
    local asked = value:match("^%d+$") and tonumber(value)
    if not asked then
        local at = date.parse(value, now)
        asked = at and at - now or 0
    end
    return math.max(0, math.min(asked, retry_after_max))
end

--- Seconds to wait before another attempt, after `failures` in a row (from 1): between 0 and
-- min * 2^(failures - 1), bounded by max; more when the server has asked for it.
function reconnect.pause(settings, failures, details)
    local bound = math.min(settings.max, settings.min * 2.0 ^ (failures - 1))
    return retry_after(details, core.now()) + reconnect.random() * bound
end

-- --- attempts ------------------------------------------------------------------------------------

-- Tries until it succeeds or makes no sense. give_up(): somebody has changed his mind.
local function persist(settings, state, try, give_up)
    while true do
        local ws, message, code, details = try()
        if ws then
            return ws
        end
        state.failures = state.failures + 1
        if not reconnect.is_passing(code, details) or state.failures >= settings.attempts then
            return nil, message, code, details
        end
        local pause = reconnect.pause(settings, state.failures, details)
        core.log("info", "connecting again", {
            url = state.place, why = message, seconds = ("%.1f"):format(pause), failures = state.failures,
        })
        core.sleep(pause)
        if give_up() then
            return nil, message, code, details
        end
    end
end

local function never()
    return false
end

-- Nobody has closed it, and no other connection comes. What is told is as connect would return it.
local function tell(ws, want, state, message, code, details)
    if want.reconnect.gave_up then
        want.reconnect.gave_up(ws, message, code, details)
    else
        core.log("warn", "not connecting again", { url = state.place, why = message })
    end
end

-- After an end. The pause before the first attempt is what keeps the crowd apart.
local function come_back(ws, want, state, try)
    local settings = want.reconnect
    if core.now() - state.since >= settings.max then
        state.failures = 0 -- it has lasted
    elseif state.failures >= settings.attempts then
        return tell(ws, want, state, ("no connection has lasted (attempts: %d)"):format(settings.attempts), "lost")
    end
    local function over()
        return core.told_to_close(ws)
    end
    core.sleep(reconnect.pause(settings, state.failures + 1))
    if over() then
        return
    end
    local found, message, code, details = persist(settings, state, function()
        return try { ended = state.ended, again = ws, reconnects = state.reconnects + 1 }
    end, over)
    if found then
        state.reconnects = state.reconnects + 1
        state.since = core.now()
        state.failures = state.failures + 1 -- until it has lasted
    elseif code ~= "cancelled" and not over() then
        tell(ws, want, state, message, code, details)
    end
end

-- What core.connect calls after the end, when `close` is done or has raised; in a task of its own.
local function returning(want, state, try)
    return function(ws, code, reason)
        if core.told_to_close(ws) then
            return
        elseif reconnect.is_due(code) then
            come_back(ws, want, state, try)
        elseif want.reconnect.gave_up then -- the code itself is told to `close`
            local message = ("closed with %d"):format(code) .. (reason ~= "" and ": " .. reason or "")
            want.reconnect.gave_up(ws, message, "closed")
        end
    end
end

--- Makes a connection with the policy of want.reconnect. try(more) is one attempt, with further
-- arguments for core.connect. Results as of try.
function reconnect.run(want, place, try)
    local state = { place = place, failures = 0, reconnects = 0 }
    if not want.handler then
        return persist(want.reconnect, state, try, never)
    end
    state.ended = returning(want, state, try)
    local ws, message, code, details = persist(want.reconnect, state, function()
        return try { ended = state.ended }
    end, never)
    state.since = core.now()
    state.failures = 0
    return ws, message, code, details
end

return reconnect
