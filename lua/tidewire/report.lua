--- How errors are told: the message, the lines of source around the place, and the calls that led
-- there, without the runtime's own.
local excerpt = require "tidewire.excerpt"
local locals = require "tidewire.locals"
local syntax = require "tidewire.syntax"

local report = {}

-- Is this the short name of a file of the runtime's Lua half? An app's file never is.
local function is_runtime(source, sources)
    if sources[source] then
        return false
    elseif source == "coroutine.wrap" then
        return true
    end
    local module = source:match(".*tidewire/([%w_/]+)%.lua$")
    if not module then
        return false
    end
    local name = "tidewire." .. module:gsub("/init$", ""):gsub("/", ".")
    return module == "init" or package.loaded[name] ~= nil
end

--- The calls of a traceback as a list of "file:line: in ...", innermost first, without those of
-- the runtime itself and of what called the app.
function report.frames(traceback, sources)
    local frames = {}
    for line in (traceback or ""):gmatch("[^\n]+") do
        local frame = line:match("^\t(.+)$")
        local source = frame and (frame:match("^(.-):%d+: in ") or frame:match("^(.-): in "))
        if source and not is_runtime(source, sources) then
            frames[#frames + 1] = { text = frame, source = source }
        elseif frame and frame:match("^%.%.%.%s*%(skipping") then
            frames[#frames + 1] = { text = frame, source = "..." }
        end
    end
    local first = frames[1] and frames[1].text
    if first == "[C]: in function 'error'" or first == "[C]: in function 'assert'" then
        table.remove(frames, 1)
    end
    while frames[#frames] and not sources[frames[#frames].source] do
        frames[#frames] = nil
    end
    return frames
end

local function place_of(message, sources)
    local source, line, rest = message:match("^(.-):(%d+): (.*)$")
    if sources[source] then
        return { source = source, line = tonumber(line), rest = rest }
    end
    return nil
end

local function place_of_frame(frames, sources)
    for _, frame in ipairs(frames) do
        local line = frame.text:match("^.-:(%d+): in ")
        if line and sources[frame.source] then
            return { source = frame.source, line = tonumber(line) }
        end
    end
    return nil
end

local function text_of(err)
    if type(err) == "string" then
        return err
    elseif type(err) == "number" then
        return tostring(err)
    end
    local meta = debug.getmetatable(err) -- that of a class is closed
    if type(meta) == "table" and rawget(meta, "__tostring") then
        local ok, text = pcall(tostring, err)
        if ok then
            return text
        end
    end
    return ("(error object is a %s value)"):format(type(err))
end

-- Everything there is to say about an error: message (one line), more (its further lines),
-- excerpt, frames.
local function examine(err, traceback, sources)
    local text = text_of(err)
    local frames = report.frames(traceback, sources)
    local place = place_of(text, sources)
    local is_syntax = false
    local lines = {}
    local at = place or place_of_frame(frames, sources)
    if at then
        local source = sources[at.source]
        local column
        if place then
            is_syntax = syntax.is_error(source.text, source.path, text)
            column = is_syntax and syntax.column(source.text, source.path, text)
                or syntax.name_column(excerpt.line(source.text, at.line) or "", text)
            text = ("%s:%d: %s"):format(source.path, place.line, place.rest)
        end
        local opened = is_syntax and syntax.opened(text)
        if opened and opened < at.line - 2 then
            lines = excerpt.render(source.text, opened, nil, 0)
            lines[#lines + 1] = "  ..."
        end
        table.move(excerpt.render(source.text, at.line, column), 1, 6, #lines + 1, lines)
    end
    local first, more = text:match("^([^\n]*)\n?(.*)$")
    return {
        message = first, more = more, excerpt = lines,
        -- A single call tells no more than the place in the message, and of a syntax error none does.
        frames = (is_syntax or (place and #frames == 1)) and {} or frames,
        file = at and sources[at.source].path, line = at and at.line, syntax = is_syntax,
        place = at,
    }
end

local function append_frames(out, frames)
    if #frames > 0 then
        out[#out + 1] = "stack traceback:"
        for _, frame in ipairs(frames) do
            out[#out + 1] = "    " .. frame.text
        end
    end
end

local function append_locals(out, lines)
    if #lines > 0 then
        out[#out + 1] = "local variables:"
        for _, line in ipairs(lines) do
            out[#out + 1] = "    " .. line
        end
    end
end

--- A message without a place in a source, in the same two forms.
function report.plain(message)
    return "tidewire: " .. message .. "\n", { message = message }
end

--- The whole text for stderr of an error that ends a command: message, excerpt and, when they tell
-- more, the calls. Ends with a line feed. frames: those of core.limited, or nil; then the local variables
-- at the place are shown. The second result is a table for machines: message, file and line (nil where
-- unknown), and syntax = true when the text is no Lua.
function report.failure(err, traceback, sources, frames)
    local found = examine(err, traceback, sources)
    local out = { "tidewire: " .. found.message }
    if found.more ~= "" then
        out[#out + 1] = found.more
    end
    if #found.excerpt > 0 then
        out[#out + 1] = ""
        for _, line in ipairs(found.excerpt) do
            out[#out + 1] = "    " .. line
        end
    end
    -- of a syntax error they are those of who has required the file
    local shown = found.syntax and {} or locals.lines(frames, found.place, sources)
    if #shown > 0 then
        out[#out + 1] = ""
        append_locals(out, shown)
    end
    if #found.frames > 0 then
        out[#out + 1] = ""
        append_frames(out, found.frames)
    end
    return table.concat(out, "\n") .. "\n", found
end

--- The same for the log: the message, and a list of further lines.
function report.entry(err, traceback, sources, frames)
    local found = examine(err, traceback, sources)
    local details = {}
    for line in found.more:gmatch("[^\n]+") do
        details[#details + 1] = line
    end
    table.move(found.excerpt, 1, #found.excerpt, #details + 1, details)
    append_locals(details, locals.lines(frames, found.place, sources))
    append_frames(details, found.frames)
    return found.message, details
end

return report
