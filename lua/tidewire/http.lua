--- HTTP as an app sees it: small endpoints, and refusals before an upgrade.
local expect = require "tidewire.expect"
local response = require "tidewire.http.response"

local http = {}

local refusal = { __name = "tidewire.refusal" }

-- Where a function is written, so that a complaint about what it returned shows it.
local function position(fn)
    local info = debug.getinfo(fn, "S")
    return info.linedefined > 0 and ("%s:%d: "):format(info.short_src, info.linedefined) or ""
end

-- A tail call, so that tracebacks show the app's function and not how a variable is called here.
local function enter(fn, req)
    return fn(req)
end

-- Where each coroutine has made its last refusal since it entered a function of the app: one that is
-- made and not returned would let everybody in.
local made = setmetatable({}, { __mode = "k" })

-- Where the app has called tidewire.refuse, which called the caller of this; "" when that was a tail
-- call, which leaves no trace.
local function place_of_refusal()
    if debug.getinfo(3, "t").istailcall then
        return ""
    end
    local info = debug.getinfo(4, "Sl")
    return info and info.currentline > 0 and ("%s:%d: "):format(info.short_src, info.currentline) or ""
end

-- Calls fn(req). Returns its results as a list, and where it has made a refusal, or nil.
local function run(fn, req)
    local thread = coroutine.running()
    made[thread] = nil
    local results = table.pack(enter(fn, req))
    local place = made[thread]
    made[thread] = nil
    return results, place
end

local function raise_forgotten(what, place, fn)
    error(("%s%s made a refusal and did not return it: write `return tidewire.refuse(...)`")
        :format(place ~= "" and place or position(fn), what), 0)
end

local function respond(req, answer)
    req:respond(answer.status, answer.headers, answer.body)
end

--- For tidewire.refuse: a value that says no, to be returned by `upgrade` or by an endpoint. status is
-- 300 to 599; body and headers are as in an endpoint's answer. Misuse throws.
function http.refuse(status, body, headers, encode)
    if math.type(status) ~= "integer" or status < 300 or status > 599 then
        error(("bad argument #1 to 'refuse' (a status from 300 to 599 expected, got %s)")
            :format(expect.show(status)), 3)
    end
    local answer, message = response.build(status, body, headers, encode)
    if not answer then
        error(("bad argument to 'refuse' (%s)"):format(message), 3)
    end
    made[coroutine.running()] = place_of_refusal()
    return setmetatable({ answer = answer }, refusal)
end

-- The answer that an endpoint's results stand for, or nil and what is wrong with them.
local function answer_of(encode, results)
    local first = results[1]
    if getmetatable(first) == refusal then
        return first.answer
    elseif first == nil then
        if results.n > 1 then
            return nil, ("status: expected a whole number from 200 to 599, got nil (and then %s)")
                :format(expect.show(results[2]))
        end
        return response.build(204)
    elseif type(first) == "number" then
        if results.n > 3 then
            return nil, ("expected status, body and headers, got %d values"):format(results.n)
        end
        return response.build(first, results[2], results[3], encode)
    elseif type(first) == "string" or type(first) == "table" then
        if results.n > 1 then
            return nil, ("expected status, body and headers, or a body alone, got %s and then %s")
                :format(expect.kind(first), expect.show(results[2]))
        end
        return response.build(200, first, nil, encode)
    end
    return nil, ("expected status, body and headers, or a body, got %s"):format(expect.kind(first))
end

local function method_answer(methods)
    return response.build(405, "Method Not Allowed\n", { Allow = table.concat(methods, ", ") })
end

--- Makes serve(req) of an endpoint function. The function returns status, body, headers; or a
-- string (200, plain text); or a table (200, JSON); or nothing (204); or a refusal. options:
--   route    its pattern, for messages
--   encode   function(value) -> JSON text; throws
--   methods  list of the methods it answers, others get 405; nil: it answers all. GET brings HEAD.
-- What the function raises, a result of the wrong shape, or a refusal made and not returned, is raised
-- by serve: the caller answers 500 and logs.
function http.endpoint(fn, options)
    local methods, allowed = options.methods, {}
    for _, method in ipairs(methods or {}) do
        allowed[method] = true
    end
    return function(req)
        if methods and not allowed[req.method] then
            respond(req, method_answer(methods))
            return
        end
        local results, refused_at = run(fn, req)
        if refused_at and getmetatable(results[1]) ~= refusal then
            raise_forgotten("the endpoint " .. options.route, refused_at, fn)
        end
        local answer, message = answer_of(options.encode, results)
        if not answer then
            error(("%sthe endpoint %s returned a bad answer: %s"):format(position(fn), options.route, message), 0)
        end
        respond(req, answer)
    end
end

-- The fields that an accepting `upgrade` adds to the 101: its second result. A text there is the
-- `nil, message` of a function that has failed, and lets nobody in.
local function upgrade_fields(headers, where)
    if headers == nil then
        return nil
    elseif type(headers) ~= "table" then
        error(("%s returned %s as its second result; expected a table of headers for the answer; to refuse: return "
            .. "tidewire.refuse(...)"):format(where, expect.show(headers)), 0)
    end
    local fields, message = response.fields(headers)
    if not fields then
        error(("%s returned bad headers: %s"):format(where, message), 0)
    end
    return fields
end

--- Makes of a handler's `upgrade` what C calls: nil or true accept, a table becomes ws.state, and a
-- refusal is answered here. One that was made and is not returned raises. With what accepts, headers
-- of the answer may be returned, as by an endpoint; they come out as a list of { name, value }.
function http.upgrade(fn, options)
    return function(req)
        local results, refused_at = run(fn, req)
        local result = results[1]
        if getmetatable(result) == refusal then
            respond(req, result.answer)
            return nil
        elseif refused_at then
            raise_forgotten("upgrade of " .. options.route, refused_at, fn)
        elseif result == nil or result == true or type(result) == "table" then
            return result, upgrade_fields(results[2], position(fn) .. "upgrade of " .. options.route)
        end
        error(("%supgrade of %s returned %s; expected nil, true, a table for ws.state or tidewire.refuse(...)")
            :format(position(fn), options.route, expect.show(result)), 0)
    end
end

return http
