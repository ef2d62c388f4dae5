--- tidewire versions: the versions of a running app's code, and what differs between two of them.
local control = require "tidewire.control"
local words = require "tidewire.cli.words"

local versions = {}

local hash_shown = 12

local function row_of(version)
    return {
        tostring(math.tointeger(version.version)), version.state, os.date("%Y-%m-%d %H:%M:%S", version.time // 1),
        words.count(version.files, "file"), words.bytes(version.bytes), version.hash:sub(1, hash_shown),
    }
end

-- The newest first.
local function show_list(answer)
    local rows, reasons = {}, {}
    for i = #answer.versions, 1, -1 do
        rows[#rows + 1] = row_of(answer.versions[i])
        reasons[#rows] = answer.versions[i].reason
    end
    local lines, out = words.columns(rows), {}
    for i, line in ipairs(lines) do
        out[#out + 1] = line
        out[#out + 1] = reasons[i] and "  " .. reasons[i] or nil
    end
    return table.concat(out, "\n") .. "\n"
end

local colours = { ["+"] = "\27[32m", ["-"] = "\27[31m", ["@"] = "\27[36m", ["\\"] = "\27[2m" }
local bold, reset = "\27[1m", "\27[0m"

-- Before the first "@@" of a file is its head, whose lines begin with "---" and "+++" as well.
local function coloured(text)
    local is_head = true
    return (text:gsub("[^\n]+", function(line)
        is_head = is_head and line:sub(1, 2) ~= "@@"
        local colour = is_head and bold or colours[line:sub(1, 1)]
        return colour and colour .. line .. reset or nil
    end))
end

local function show_diff(answer, is_coloured)
    local out = {}
    for i, file in ipairs(answer.files) do
        local text = control.printable(file.diff)
        out[i] = is_coloured and coloured(text) or text
    end
    if #out == 0 then
        return ("versions %d and %d have the same files\n"):format(answer.from, answer.to), true
    end
    return table.concat(out), true
end

--- Returns the exit status.
function versions.run(asked, streams)
    return control.run(asked, streams, { command = "versions", diff = asked.diff }, function(answer)
        if not asked.diff then
            return show_list(answer)
        end
        return show_diff(answer, streams.colour and streams.colour())
    end)
end

return versions
