--- A few lines of source around a place, with line numbers, a mark and a caret.
local excerpt = {}

local tab = 4
local widest = 160

-- Lua counts \n, \r, \r\n and \n\r as one end of line each. What follows the last one counts as a
-- line too: it is where a syntax error at the end of the text is.
local function split(text)
    local lines = {}
    text = text:gsub("\r\n", "\n"):gsub("\n\r", "\n"):gsub("\r", "\n")
    for line in (text .. "\n"):gmatch("(.-)\n") do
        lines[#lines + 1] = line
    end
    return lines
end

--- The text of one line, or nil.
function excerpt.line(text, number)
    return split(text)[number]
end

local function characters(text)
    return utf8.len(text) or #text
end

-- Tabs as spaces, other control characters as "?", so that what is printed is as wide as it looks.
local function printable(line)
    local out, width = {}, 0
    for run, control in line:gmatch("([^%c]*)(%c?)") do
        out[#out + 1] = run
        width = width + characters(run)
        if control == "\t" then
            local spaces = tab - width % tab
            out[#out + 1] = (" "):rep(spaces)
            width = width + spaces
        elseif control ~= "" then
            out[#out + 1] = "?"
            width = width + 1
        end
    end
    return table.concat(out), width
end

local function shorten(line)
    if characters(line) <= widest then
        return line
    end
    local cut = utf8.len(line) and utf8.offset(line, widest - 2) or widest - 2
    return line:sub(1, cut - 1) .. "..."
end

--- Lines to print: line `number` and `context` (default 2) around it, and a caret under the byte
-- `column` when it is given. An empty list when the text has no such line.
function excerpt.render(text, number, column, context)
    local lines, out = split(text), {}
    if not lines[number] then
        return out
    end
    context = context or 2
    local filled = (lines[#lines] == "" and number < #lines) and #lines - 1 or #lines
    local first, last = math.max(1, number - context), math.min(filled, number + context)
    local digits = #tostring(last)
    for i = first, last do
        local mark = i == number and ">" or " "
        local shown = ("%s %" .. digits .. "d | %s"):format(mark, i, shorten((printable(lines[i]))))
        out[#out + 1] = (shown:gsub("%s+$", ""))
        if i == number and column then
            local _, width = printable(lines[i]:sub(1, column - 1))
            if width < widest then
                out[#out + 1] = ("  %s | %s^"):format((" "):rep(digits), (" "):rep(width))
            end
        end
    end
    return out
end

return excerpt
