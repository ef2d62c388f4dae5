--- Numbers and durations as the commands say them.
local words = {}

--- 1234567 as "1,234,567".
function words.number(n)
    local text = ("%d"):format(n)
    local head = #text % 3
    return (text:sub(1, head) .. text:sub(head + 1):gsub("%d%d%d", ",%0")):gsub("^,", "")
end

--- "no connections", "1 connection", "1,000 connections".
function words.count(n, one)
    return ("%s %s%s"):format(n == 0 and "no" or words.number(n), one, n == 1 and "" or "s")
end

--- How long something has lasted: 75 s as "75 s", 130 as "2 min", so that the number is never large.
function words.duration(seconds)
    for _, unit in ipairs { { 86400, "days" }, { 3600, "h" }, { 60, "min" } } do
        if seconds >= 2 * unit[1] then
            return ("%d %s"):format(seconds // unit[1], unit[2])
        end
    end
    return ("%d s"):format(seconds // 1)
end

--- How long something took, in two figures: "0.4 ms", "1.8 ms", "24 ms", "2.4 s".
function words.span(seconds)
    if seconds < 0.00995 then
        return ("%.1f ms"):format(seconds * 1000)
    elseif seconds < 0.9995 then
        return ("%.0f ms"):format(seconds * 1000)
    end
    return (seconds < 9.95 and "%.1f s" or "%.0f s"):format(seconds)
end

--- "812 B", "34.1 KiB", "2.0 MiB".
function words.bytes(n)
    if n < 1024 then
        return ("%d B"):format(n)
    elseif n < 1024 * 1024 then
        return ("%.1f KiB"):format(n / 1024)
    end
    return ("%.1f MiB"):format(n / (1024 * 1024))
end

--- A list of files in few words: "chat.lua", "chat.lua and 3 others"; nil when there are none.
function words.files(...)
    local first, n = nil, 0
    for _, list in ipairs { ... } do
        first = first or list[1]
        n = n + #list
    end
    if n < 2 then
        return first
    end
    return ("%s and %d %s"):format(first, n - 1, n == 2 and "other" or "others")
end

--- Columns, two blanks apart and without blanks at the ends of lines. rows: lists of texts.
function words.columns(rows)
    local widths, lines = {}, {}
    for _, row in ipairs(rows) do
        for i, text in ipairs(row) do
            widths[i] = math.max(widths[i] or 0, utf8.len(text) or #text)
        end
    end
    for r, row in ipairs(rows) do
        local out = {}
        for i, text in ipairs(row) do
            out[i] = text .. (" "):rep(widths[i] - (utf8.len(text) or #text))
        end
        lines[r] = (table.concat(out, "  "):gsub("%s+$", ""))
    end
    return lines
end

return words
