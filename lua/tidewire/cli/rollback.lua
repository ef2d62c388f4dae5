--- tidewire rollback: goes back to an earlier version of a running app's code, whatever is on the disk.
local control = require "tidewire.control"
local outcome = require "tidewire.cli.outcome"
local words = require "tidewire.cli.words"

local rollback = {}

local function show(answer)
    if answer.unchanged then
        return ("version %d serves already\n"):format(answer.version)
    end
    local kept = answer.connections > 0 and ", " .. words.count(answer.connections, "connection") .. " kept" or ""
    return ("rolled back to version %d in %s%s\n"):format(answer.version, words.span(answer.seconds), kept)
        .. outcome.files(answer)
end

--- Returns the exit status.
function rollback.run(asked, streams)
    return control.run(asked, streams, { command = "rollback", to = asked.to }, show, outcome.refusal)
end

return rollback
