--- Local variables of a failed call, as lines "name = value" to print. Nothing of the app is called: no
-- __tostring, no __index.
local locals = {}

local most, widest = 12, 60

local function shorten(text)
    if #text <= widest then
        return text
    end
    local cut = widest - 3
    while cut > 1 and (text:byte(cut + 1) or 0) & 0xC0 == 0x80 do -- not within a character
        cut = cut - 1
    end
    return text:sub(1, cut) .. "..."
end

local escapes = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }

-- In quotes; control characters, and bytes that are no UTF-8, by their numbers.
local function quote(text)
    local start = #text > widest and shorten(text) or text
    local pattern = utf8.len(start) and '[%c"\\]' or '[%c"\\\128-\255]'
    return '"' .. start:gsub(pattern, function(c)
        return escapes[c] or ("\\%03d"):format(c:byte())
    end) .. '"'
end

local function is_name(key)
    return type(key) == "string" and key:match("^[%a_][%w_]*$") and #key <= widest
end

local show

local function show_field(key, value, position)
    if key == position then
        return show(value, true)
    elseif is_name(key) then
        return key .. " = " .. show(value, true)
    end
    return "[" .. show(key, true) .. "] = " .. show(value, true)
end

local function show_table(t)
    local out, length, position = {}, 0, 1
    for key, value in next, t do
        if length > widest then
            out[#out + 1] = "..."
            break
        end
        out[#out + 1] = show_field(key, value, position)
        length = length + #out[#out] + 2
        position = position + 1
    end
    return #out == 0 and "{}" or "{ " .. table.concat(out, ", ") .. " }"
end

-- inner: of a table's field, where no further table is opened.
function show(value, inner)
    local kind = type(value)
    if kind == "string" then
        return quote(value)
    elseif kind == "number" or kind == "boolean" or kind == "nil" then
        return tostring(value)
    elseif kind == "table" and not inner then
        return show_table(value)
    elseif kind == "table" then
        return next(value) == nil and "{}" or "{...}"
    elseif kind == "function" then
        local info = debug.getinfo(value, "S")
        return info.linedefined > 0 and ("function (%s:%d)"):format(info.short_src, info.linedefined) or "function"
    elseif kind == "userdata" then
        local meta = debug.getmetatable(value)
        local name = meta and rawget(meta, "__name")
        return type(name) == "string" and name or kind
    end
    return kind
end

--- A value in a few characters, on one line.
function locals.show(value)
    return show(value, false)
end

-- The frame at the place that the message names: an error may be raised on behalf of a caller.
-- Without a place, the innermost of the app.
local function choose(frames, place, sources)
    for _, frame in ipairs(frames) do
        if place and frame.source == place.source and frame.line == place.line then
            return frame
        end
    end
    for _, frame in ipairs(frames) do
        if sources[frame.source] then
            return frame
        end
    end
    return nil
end

local frames_kept, locals_kept = 16, 100

local function locals_at(level)
    local list = {}
    for i = 1, locals_kept do
        local name, value = debug.getlocal(level + 1, i)
        if not name then
            break
        elseif name:sub(1, 1) ~= "(" then -- a temporary value
            list[#list + 1] = { name, value }
        end
    end
    return list
end

--- The innermost frames from a level on, as for debug.traceback, in the form that core.limited has: for message
-- handlers.
function locals.frames(level)
    local list = {}
    for at = level + 1, level + 100 do
        local info = debug.getinfo(at, "Sl")
        if not info or #list == frames_kept then
            break
        elseif info.currentline > 0 then
            list[#list + 1] = { source = info.short_src, line = info.currentline, locals = locals_at(at) }
        end
    end
    return list
end

--- frames: of core.limited, innermost first, each { source = short name, line =, locals = { { name, value },
-- ... } }, or nil. place: { source =, line = } or nil. Returns a list of lines.
function locals.lines(frames, place, sources)
    local frame = frames and choose(frames, place, sources)
    local out = {}
    for i, variable in ipairs(frame and frame.locals or {}) do
        if i > most then
            out[#out + 1] = ("and %d more"):format(#frame.locals - most)
            break
        end
        out[#out + 1] = ("%s = %s"):format(variable[1], locals.show(variable[2]))
    end
    return out
end

return locals
