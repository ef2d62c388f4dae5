--- What came of a reload or a rollback, for people.
local report = require "tidewire.report"
local words = require "tidewire.cli.words"

local outcome = {}

-- The phases by the names that people know.
local phases = {
    read = "reading", compile = "compiling", load = "loading", contract = "the contract", check = "the self-check",
    state = "the check of states", dry_run = "the migration's dry run", barrier = "the barrier",
    migrate = "the migration", commit = "the commit",
}

--- "chat.lua and 3 others in 1.8 ms, 1,000 connections kept": what an answer says of a change that was made.
function outcome.change(answer)
    local parts = { words.files(answer.changed, answer.added, answer.removed) }
    parts[#parts + 1] = "in " .. words.span(answer.seconds)
    local text = table.concat(parts, " ")
    if answer.connections > 0 then
        text = text .. ", " .. words.count(answer.connections, "connection") .. " kept"
    end
    if answer.held > 0 then
        text = text .. ", " .. words.count(answer.held, "message") .. " held meanwhile"
    end
    return text
end

--- A line for each file: what has happened to it.
function outcome.files(answer)
    local rows = {}
    for _, kind in ipairs { "changed", "added", "removed" } do
        for _, path in ipairs(answer[kind]) do
            rows[#rows + 1] = { "  " .. kind, path }
        end
    end
    local lines = words.columns(rows)
    return #lines > 0 and table.concat(lines, "\n") .. "\n" or ""
end

--- The version that serves after something was refused.
function outcome.serving(answer)
    local number = math.tointeger(answer.serving) or 0
    return number > 0 and ("still serving version %d"):format(number) or "no version serves yet"
end

--- The text of an answer that is not ok.
function outcome.refusal(answer)
    local text = type(answer.text) == "string" and answer.text or (report.plain(answer.error.message))
    local phase = phases[answer.phase]
    if not answer.serving then
        return text
    elseif answer.phase == "watch" then
        return ("%sserving version %d again\n"):format(text, answer.serving)
    end
    local worker = math.tointeger(answer.worker)
    local by = worker and worker >= 0 and (" by worker %d"):format(worker) or ""
    return text .. "\n" .. (phase and ("refused at %s%s; "):format(phase, by) or "") .. outcome.serving(answer) .. "\n"
end

return outcome
